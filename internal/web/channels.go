package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/notify"
)

// ChannelTerms is what a channel is made of, but for its secrets.
type ChannelTerms struct {
	ID         string   `json:"id" maxLength:"63"`
	Kind       string   `json:"kind" maxLength:"50"`
	Lang       string   `json:"lang,omitempty" enum:"en,zh," doc:"of what it is told; English where it is left out"`
	Severity   string   `json:"severity,omitempty" enum:"note,warning,error," doc:"from which on it is told; warning where it is left out"`
	Monitors   []string `json:"monitors,omitempty" maxItems:"100" doc:"patterns of monitor ids; none: all"`
	Named      bool     `json:"only_named,omitempty" doc:"only what monitors tell that name this channel"`
	GroupWaitS float64  `json:"group_wait_s,omitempty" minimum:"0" maximum:"3600" doc:"how long to wait for what comes together"`
	PerHour    int      `json:"per_hour,omitempty" minimum:"0" maximum:"100000" doc:"messages at most"`
	URL        string   `json:"url,omitempty" maxLength:"2000"`
	Chat       string   `json:"chat,omitempty" maxLength:"200"`
	User       string   `json:"user,omitempty" maxLength:"200"`
	Server     string   `json:"server,omitempty" maxLength:"300" doc:"host:port"`
	TLS        string   `json:"tls,omitempty" enum:"starttls,tls,none,"`
	From       string   `json:"from,omitempty" maxLength:"300"`
	To         []string `json:"to,omitempty" maxItems:"100"`
}

type channelRow struct {
	ChannelTerms
	Title    string   `json:"title" doc:"of its kind"`
	Secrets  []string `json:"secrets" doc:"names of the secrets it has; their values are never told"`
	Editable bool     `json:"editable" doc:"made from the page; one of the configuration file is changed there"`
}

type channelOut struct{ Body channelRow }

// NewChannel is a channel with its secrets.
type NewChannel struct {
	ChannelTerms
	Secrets map[string]string `json:"secrets,omitempty" doc:"hook, secret, password: values to be kept; what is left out stays, what is empty goes"`
}

func (s *Server) channelRoutes() {
	if s.o.Channels == nil {
		return
	}
	get, post := http.MethodGet, http.MethodPost
	add(s, access.SeeChannels, huma.Operation{Method: get, Path: "/channels", Summary: "Ways to wake somebody"}, s.getChannels)
	add(s, access.KeepChannels, huma.Operation{Method: post, Path: "/channels", Summary: "Make a channel", DefaultStatus: http.StatusCreated, Errors: []int{http.StatusConflict}}, s.addChannel)
	add(s, access.SeeChannels, huma.Operation{Method: get, Path: "/channels/{id}", Summary: "One channel"}, s.getChannel)
	add(s, access.KeepChannels, huma.Operation{Method: http.MethodPut, Path: "/channels/{id}", Summary: "Change a channel that was made from the page", Errors: []int{http.StatusConflict}}, s.putChannel)
	add(s, access.KeepChannels, huma.Operation{Method: http.MethodDelete, Path: "/channels/{id}", Summary: "Forget a channel that was made from the page", Errors: []int{http.StatusConflict}}, s.dropChannel)
	add(s, access.KeepChannels, huma.Operation{Method: post, Path: "/channels/{id}/test", Summary: "Send a test message to a channel now", DefaultStatus: http.StatusOK}, s.testChannel)
}

func rowOfChannel(e *notify.Entry, l finding.Lang) channelRow {
	c := &e.Channel
	r := channelRow{ChannelTerms: ChannelTerms{
		ID: c.ID, Kind: c.Kind, Lang: c.Lang, Severity: c.Severity, Monitors: c.Monitors, Named: c.Named, GroupWaitS: time.Duration(c.GroupWait).Seconds(), PerHour: c.PerHour,
		URL: c.URL, Chat: c.Chat, User: c.User, Server: c.Server, TLS: c.TLS, From: c.From, To: c.To,
	}, Title: c.Kind, Secrets: append([]string{}, e.Secrets...), Editable: e.Editable}
	for _, k := range notify.Kinds() {
		if k.Name == c.Kind {
			r.Title = finding.Sentence{Msg: k.Title}.In(l)
		}
	}
	return r
}

func (t *ChannelTerms) channel() notify.Channel {
	return notify.Channel{
		ID: t.ID, Kind: t.Kind, Lang: t.Lang, Severity: t.Severity, Monitors: t.Monitors, Named: t.Named, GroupWait: notify.Span(t.GroupWaitS * float64(time.Second)), PerHour: t.PerHour,
		URL: t.URL, Chat: t.Chat, User: t.User, Server: t.Server, TLS: t.TLS, From: t.From, To: t.To,
	}
}

func (s *Server) getChannels(ctx context.Context, _ *struct{}) (*listOut[channelRow], error) {
	var out []channelRow
	for _, e := range s.o.Channels.List() {
		out = append(out, rowOfChannel(&e, langOf(ctx)))
	}
	return listed(out, ""), nil
}

func (s *Server) getChannel(ctx context.Context, in *ByID) (*channelOut, error) {
	return s.oneChannel(ctx, in.ID)
}

func (s *Server) oneChannel(ctx context.Context, id string) (*channelOut, error) {
	e, err := s.o.Channels.Find(id)
	if err != nil {
		return nil, channelFault(id, err)
	}
	return &channelOut{rowOfChannel(&e, langOf(ctx))}, nil
}

// channelFault tells what a Book refused.
func channelFault(id string, err error) error {
	switch {
	case errors.Is(err, notify.ErrNone):
		return missing()
	case errors.Is(err, notify.ErrTaken):
		return fault(http.StatusConflict, finding.S("the name is taken", nil))
	case errors.Is(err, notify.ErrFile):
		return fault(http.StatusConflict, finding.S("{{.ID}} stands in the configuration file: change it there", finding.Args{"ID": id}))
	}
	return err
}

// wrong tells the first of the problems at its field.
func wrong(bad []notify.Problem, err error, id string) error {
	if err != nil {
		return channelFault(id, err)
	}
	if len(bad) == 0 {
		return nil
	}
	key, _ := bad[0].Path[0].(string)
	return at(key, bad[0].Says)
}

func (s *Server) addChannel(ctx context.Context, in *struct{ Body NewChannel }) (*channelOut, error) {
	b := &in.Body
	bad, err := s.o.Channels.Add(ctx, b.channel(), b.Secrets)
	if err := wrong(bad, err, b.ID); err != nil {
		return nil, err
	}
	if err := s.record(ctx, "channel.add", b.ID, b.Kind); err != nil {
		return nil, err
	}
	return s.oneChannel(ctx, b.ID)
}

func (s *Server) putChannel(ctx context.Context, in *struct {
	ByID
	Body NewChannel
}) (*channelOut, error) {
	b := &in.Body
	b.ID = in.ID
	bad, err := s.o.Channels.Change(ctx, b.channel(), b.Secrets)
	if err := wrong(bad, err, b.ID); err != nil {
		return nil, err
	}
	var what []string
	for key := range b.Secrets {
		what = append(what, key)
	}
	slices.Sort(what)
	if err := s.record(ctx, "channel.change", b.ID, strings.TrimSpace(b.Kind+" "+strings.Join(what, " "))); err != nil {
		return nil, err
	}
	return s.oneChannel(ctx, b.ID)
}

func (s *Server) dropChannel(ctx context.Context, in *ByID) (*struct{}, error) {
	if _, err := s.o.Channels.Find(in.ID); err != nil {
		return nil, channelFault(in.ID, err)
	}
	if s.o.Monitors != nil {
		for _, d := range s.o.Monitors.Definitions() {
			if slices.Contains(d.Channels, in.ID) {
				return nil, fault(http.StatusConflict, finding.S("the monitor {{.ID}} names this channel: change it first", finding.Args{"ID": d.ID}))
			}
		}
	}
	if err := s.o.Channels.Remove(ctx, in.ID); err != nil {
		return nil, channelFault(in.ID, err)
	}
	return nil, s.record(ctx, "channel.remove", in.ID, "")
}

type testOut struct {
	Body struct {
		Sent bool   `json:"sent"`
		Text string `json:"text,omitempty" doc:"what the service said where it was not sent"`
	}
}

// longestTest is how long a test message is waited for.
const longestTest = 30 * time.Second

func (s *Server) testChannel(ctx context.Context, in *ByID) (*testOut, error) {
	if _, err := s.o.Channels.Find(in.ID); err != nil {
		return nil, channelFault(in.ID, err)
	}
	leave, err := s.limit.enter(user(ctx).ID) // it goes out to somebody, as a run does
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := s.record(ctx, "channel.test", in.ID, ""); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, longestTest)
	defer cancel()
	out := &testOut{}
	if err := s.o.Channels.Test(ctx, in.ID); err != nil {
		out.Body.Text = err.Error()
		return out, nil
	}
	out.Body.Sent = true
	return out, nil
}

// channelFields says how a key of a channel is asked for.
var channelFields = map[string]struct {
	label       finding.Msg
	typ         string
	placeholder string
	choices     []string
}{
	"url":      {finding.M("Address of the service"), "text", "https://", nil},
	"hook":     {finding.M("Address the chat gave out (it is a secret)"), "secret", "", nil},
	"secret":   {finding.M("Secret, token or key"), "secret", "", nil},
	"chat":     {finding.M("Chat"), "text", "-1001234567890", nil},
	"user":     {finding.M("User"), "text", "", nil},
	"password": {finding.M("Password"), "secret", "", nil},
	"server":   {finding.M("Mail server"), "text", "mail.mine.example:587", nil},
	"tls":      {finding.M("Encryption"), "choice", "", []string{"starttls", "tls", "none"}},
	"from":     {finding.M("From"), "text", "mailwhy@mine.example", nil},
	"to":       {finding.M("To"), "list", "li@mine.example", nil},
}

// channelKinds are the kinds of channels with the fields each asks for, for the catalogue.
func (s *Server) channelKinds(l finding.Lang) (out []kindRow) {
	say := func(m finding.Msg) string { return finding.Sentence{Msg: m}.In(l) }
	for _, k := range notify.Kinds() {
		row := kindRow{Kind: k.Name, Title: say(k.Title), Fields: []fieldRow{}}
		field := func(key string, required bool) {
			f := channelFields[key]
			r := fieldRow{Name: key, Label: say(f.label), Type: f.typ, Required: required, Placeholder: f.placeholder}
			for _, c := range f.choices {
				r.Choices = append(r.Choices, choice{c, c})
			}
			row.Fields = append(row.Fields, r)
		}
		for _, key := range k.Needs {
			field(key, !(k.Name == "webhook" && key == "url")) // or a secret address
		}
		for _, key := range k.Takes {
			field(key, false)
		}
		out = append(out, row)
	}
	slices.SortFunc(out, func(a, b kindRow) int { return cmp.Compare(a.Kind, b.Kind) })
	return out
}
