package notify

import (
	"context"
	"errors"
	"net/http"
	"net/mail"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// Config is the part of the configuration file that speaks of channels.
type Config struct {
	Channel []Channel `toml:"channel,omitempty" json:"channel,omitempty"`
}

// Secret refers to a secret: "file:/etc/mailwhy/slack" or "env:MAILWHY_SLACK"; in a channel that was made while mailwhy runs
// "kept:NAME", a secret of the Shelf. It is never the secret itself.
type Secret string

// kept begins a reference to a secret of the Shelf.
const kept = "kept:"

// Channel is one way to wake somebody. Which fields a kind needs is in Kinds.
type Channel struct {
	ID        string   `toml:"id" json:"id"`
	Kind      string   `toml:"kind" json:"kind"`
	Lang      string   `toml:"lang,omitempty" json:"lang,omitempty"`             // en or zh; "" means en
	Severity  string   `toml:"severity,omitempty" json:"severity,omitempty"`     // from this on: note, warning or error; "" means warning
	Monitors  []string `toml:"monitors,omitempty" json:"monitors,omitempty"`     // patterns of monitor IDs; none: all
	Named     bool     `toml:"only_named,omitempty" json:"only_named,omitempty"` // only for monitors that name this channel
	GroupWait Span     `toml:"group_wait,omitempty" json:"group_wait,omitempty"` // how long to wait for what comes together; 0: 10s
	PerHour   int      `toml:"per_hour,omitempty" json:"per_hour,omitempty"`     // messages; 0: 60

	URL      string `toml:"url,omitempty" json:"url,omitempty"`           // webhook, alertmanager; others where the service is not at its usual place
	Hook     Secret `toml:"hook,omitempty" json:"hook,omitempty"`         // the address a chat gave out, which is a secret
	Secret   Secret `toml:"secret,omitempty" json:"secret,omitempty"`     // signs (webhook, dingtalk, feishu), or is the token or key (telegram, pagerduty)
	Chat     string `toml:"chat,omitempty" json:"chat,omitempty"`         // telegram
	User     string `toml:"user,omitempty" json:"user,omitempty"`         // mail, alertmanager
	Password Secret `toml:"password,omitempty" json:"password,omitempty"` // mail, alertmanager

	Server string   `toml:"server,omitempty" json:"server,omitempty"` // mail: host:port
	TLS    string   `toml:"tls,omitempty" json:"tls,omitempty"`       // mail: starttls, tls or none; "" means starttls
	From   string   `toml:"from,omitempty" json:"from,omitempty"`     // mail
	To     []string `toml:"to,omitempty" json:"to,omitempty"`         // mail

	Made bool `toml:"-" json:"-"` // while mailwhy runs, not in the configuration file
}

// Refs are the fields that refer to a secret, by key.
func (c *Channel) Refs() map[string]*Secret {
	return map[string]*Secret{"hook": &c.Hook, "secret": &c.Secret, "password": &c.Password}
}

// Kind is a kind of channel, as a value.
type Kind struct {
	Name  string
	Title finding.Msg
	Needs []string // keys of Channel that must be there
	Takes []string // keys that may be there
	make  func(*Channel, *Doors) (Sender, error)
}

// Doors are what senders may touch.
type Doors struct {
	HTTP   *http.Client                     // nil: one that follows no redirects
	Dial   wire.Dialer                      // of mail; nil: wherever the machine may go
	Secret func(ref Secret) (string, error) // reads a file or the environment
	Now    func() time.Time
	HELO   string // our name, for mail
}

// Kinds lists every kind of channel.
func Kinds() []Kind {
	return []Kind{
		{"mail", finding.M("Mail"), []string{"server", "from", "to"}, []string{"tls", "user", "password"}, newMail},
		{"webhook", finding.M("Webhook"), []string{"url"}, []string{"secret", "hook"}, newWebhook},
		{"slack", finding.M("Slack"), []string{"hook"}, nil, newSlack},
		{"teams", finding.M("Microsoft Teams"), []string{"hook"}, nil, newTeams},
		{"mattermost", finding.M("Mattermost"), []string{"hook"}, nil, newMattermost},
		{"telegram", finding.M("Telegram"), []string{"secret", "chat"}, []string{"url"}, newTelegram},
		{"dingtalk", finding.M("DingTalk"), []string{"hook"}, []string{"secret"}, newDingTalk},
		{"wecom", finding.M("WeCom"), []string{"hook"}, nil, newWeCom},
		{"feishu", finding.M("Feishu"), []string{"hook"}, []string{"secret"}, newFeishu},
		{"pagerduty", finding.M("PagerDuty"), []string{"secret"}, []string{"url"}, newPagerDuty},
		{"alertmanager", finding.M("Alertmanager"), []string{"url"}, []string{"user", "password"}, newAlertmanager},
	}
}

func findKind(name string) *Kind {
	all := Kinds()
	for i := range all {
		if all[i].Name == name {
			return &all[i]
		}
	}
	return nil
}

// Problem is something wrong with a configuration. Path leads to the place: "channel", 2, "hook".
type Problem struct {
	Path []any
	Says finding.Sentence
}

var idPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// IDs lists the channels.
func (c *Config) IDs() []string {
	var out []string
	for i := range c.Channel {
		out = append(out, c.Channel[i].ID)
	}
	return out
}

// Validate lists everything that is wrong.
func (c *Config) Validate() []Problem {
	var out []Problem
	seen := map[string]bool{}
	for i := range c.Channel {
		ch := &c.Channel[i]
		bad := func(key string, s finding.Sentence) { out = append(out, Problem{[]any{"channel", i, key}, s}) }
		switch {
		case !idPattern.MatchString(ch.ID):
			bad("id", badID(ch.ID))
		case seen[ch.ID]:
			bad("id", finding.S("{{.Name}} is there twice", finding.Args{"Name": ch.ID}))
		}
		seen[ch.ID] = true
		ch.check(bad)
	}
	return out
}

func badID(id string) finding.Sentence {
	return finding.S("{{.Name}} is no name: lower-case letters, digits, dots and dashes, at most 63", finding.Args{"Name": id})
}

// check says what is wrong with one channel, by key.
func (c *Channel) check(bad func(string, finding.Sentence)) {
	if c.Lang != "" && c.Lang != "en" && c.Lang != "zh" {
		bad("lang", finding.S("unknown language {{.Lang}}", finding.Args{"Lang": c.Lang}))
	}
	if _, ok := finding.ParseSeverity(c.Severity); c.Severity != "" && !ok {
		bad("severity", finding.S("{{.Word}} is no severity: one of note, warning, error", finding.Args{"Word": c.Severity}))
	}
	if c.PerHour < 0 || c.PerHour > 100_000 {
		bad("per_hour", finding.S("wants a number from 1 to 100000", nil))
	}
	if time.Duration(c.GroupWait) > time.Hour {
		bad("group_wait", finding.S("group_wait wants a span up to 1h", nil))
	}
	for _, p := range c.Monitors {
		if _, err := path.Match(p, ""); err != nil {
			bad("monitors", finding.S("{{.Name}} is no pattern", finding.Args{"Name": p}))
		}
	}
	k := findKind(c.Kind)
	if k == nil {
		var names []string
		for _, k := range Kinds() {
			names = append(names, k.Name)
		}
		bad("kind", finding.S("there is no kind {{.Name}}: one of {{list .All}}", finding.Args{"Name": c.Kind, "All": names}))
		return
	}
	set := c.set()
	for _, key := range k.Needs {
		if !slices.Contains(set, key) && !(key == "url" && c.Kind == "webhook" && c.Hook != "") {
			bad(key, finding.S("{{.Kind}} wants {{.Field}}", finding.Args{"Kind": c.Kind, "Field": key}))
		}
	}
	for _, key := range set {
		if !slices.Contains(k.Needs, key) && !slices.Contains(k.Takes, key) {
			bad(key, finding.S("{{.Kind}} has no use for {{.Field}}", finding.Args{"Kind": c.Kind, "Field": key}))
		}
	}
	c.checkValues(bad)
}

// set lists the keys beside the common ones that have a value.
func (c *Channel) set() []string {
	var out []string
	for _, f := range []struct{ key, value string }{
		{"url", c.URL}, {"hook", string(c.Hook)}, {"secret", string(c.Secret)}, {"chat", c.Chat}, {"user", c.User}, {"password", string(c.Password)},
		{"server", c.Server}, {"tls", c.TLS}, {"from", c.From}, {"to", strings.Join(c.To, ",")},
	} {
		if f.value != "" {
			out = append(out, f.key)
		}
	}
	return out
}

// right tells whether it is a reference that a channel may have. One that was made while mailwhy runs has those of the shelf
// alone: it must not read the files of this machine.
func (s Secret) right(made bool) bool {
	for _, scheme := range []string{"file:", "env:", kept} {
		if name, ok := strings.CutPrefix(string(s), scheme); ok {
			return name != "" && (scheme == kept) == made
		}
	}
	return false
}

func (c *Channel) checkValues(bad func(string, finding.Sentence)) {
	for key, s := range c.Refs() {
		if *s != "" && !s.right(c.Made) {
			bad(key, finding.S("a secret does not stand in the configuration: give file:/PATH or env:NAME", nil)) // and is not repeated here
		}
	}
	if c.URL != "" && httpURL(c.URL) == nil {
		bad("url", finding.S("{{.URL}} is no address that begins with https:// or http://", finding.Args{"URL": c.URL}))
	}
	switch c.TLS {
	case "", "starttls", "tls", "none":
	default:
		bad("tls", finding.S("unknown word {{.Word}}: one of {{list .All}}", finding.Args{"Word": c.TLS, "All": []string{"starttls", "tls", "none"}}))
	}
	for key, list := range map[string][]string{"from": {c.From}, "to": c.To} {
		for _, a := range list {
			if _, err := mail.ParseAddress(a); a != "" && err != nil {
				bad(key, finding.S("{{.Name}} is not a mail address", finding.Args{"Name": a}))
			}
		}
	}
	if c.Server != "" {
		if _, _, err := splitServer(c.Server, c.TLS); err != nil {
			bad("server", finding.S("{{.Name}} is no host:port", finding.Args{"Name": c.Server}))
		}
	}
}

func httpURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil
	}
	return u
}

// Takes tells whether a channel wants an alert. named are the channels the monitor names; nil: none in particular.
func (c *Channel) Takes(a *Alert, named []string) bool {
	if named != nil && !slices.Contains(named, c.ID) || named == nil && c.Named {
		return false
	}
	least, ok := finding.ParseSeverity(c.Severity)
	if !ok {
		least = finding.Warning
	}
	if a.Severity < least {
		return false
	}
	return len(c.Monitors) == 0 || slices.ContainsFunc(c.Monitors, func(p string) bool { ok, _ := path.Match(p, a.Monitor); return ok })
}

func (c *Channel) lang() finding.Lang {
	if c.Lang == "zh" {
		return finding.ZH
	}
	return finding.EN
}

// Open makes the sender of a channel: the secrets are read now.
func (c *Channel) Open(d *Doors) (Sender, error) {
	k := findKind(c.Kind)
	if k == nil {
		return nil, errors.New("no kind " + c.Kind)
	}
	return k.make(c, d)
}

// read gives the secret behind a reference, "" for none.
func (d *Doors) read(s Secret) (string, error) {
	if s == "" {
		return "", nil
	}
	if d.Secret == nil {
		return "", errors.New("no way to read secrets")
	}
	v, err := d.Secret(s)
	return strings.TrimSpace(v), err
}

// Try sends a test message now, past the outbox.
func Try(ctx context.Context, c *Channel, d *Doors) error {
	s, err := c.Open(d)
	if err != nil {
		return err
	}
	now := time.Now
	if d.Now != nil {
		now = d.Now
	}
	what := finding.S("this is a test of the channel {{.ID}}", finding.Args{"ID": c.ID})
	a := Alert{ID: "test", Key: "mailwhy-test-" + c.ID, Status: Info, Event: "test", Monitor: "test", Title: "mailwhy", What: Text{what.In(finding.EN), what.In(finding.ZH)}, At: now()}
	return s.Send(ctx, &Message{Lang: c.lang(), Alerts: []Alert{a}, At: now()})
}
