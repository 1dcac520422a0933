// Package score is the survey that says how a message would fare: sections with points and reasons, what filters of the
// user's own say, and what cannot be seen from here.
//
// Promise: only what was tested is scored; a section that could not be tested counts neither way. Points come from the
// table knowledge/tables/score.toml by the rules that failed, so every point lost has its finding. Nothing inside the
// message is fetched; only DNS questions about its origin and its links are asked, and none with --offline.
package score

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/auth"
	"github.com/mailwhy/mailwhy/internal/check/blocklist"
	"github.com/mailwhy/mailwhy/internal/check/content"
	"github.com/mailwhy/mailwhy/internal/check/eml"
	"github.com/mailwhy/mailwhy/internal/check/fields"
	"github.com/mailwhy/mailwhy/internal/check/hops"
	"github.com/mailwhy/mailwhy/internal/check/lookalike"
	"github.com/mailwhy/mailwhy/internal/check/ptr"
	"github.com/mailwhy/mailwhy/internal/check/results"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire/rspamd"
	"github.com/mailwhy/mailwhy/internal/wire/spamd"
)

// Options of a survey.
type Options struct {
	Trust          []string // our border, as for headers
	SpamAssassin   string   // host:port of a spamd, or ""
	Rspamd         string   // URL of an rspamd, or ""
	RspamdPassword string
}

// Facts are what the survey gathers; docs/json.md describes them.
type Facts struct {
	File         string           `json:"file"`
	Score        float64          `json:"score"`  // 0 to 10, over what was tested
	Tested       float64          `json:"tested"` // points that could be given, of ten
	Sections     []Section        `json:"score_sections"`
	Header       *fields.Facts    `json:"header"`
	Path         *hops.Path       `json:"path"`
	Results      []results.Field  `json:"authentication_results,omitempty"`
	Auth         *auth.Facts      `json:"verified,omitempty"` // verified again; absent where the network was not asked
	Content      *content.Facts   `json:"content"`
	PTR          *ptr.Facts       `json:"ptr,omitempty"`
	Lists        *blocklist.Facts `json:"blocklists,omitempty"`
	SpamAssassin *Filter          `json:"spamassassin,omitempty"`
	Rspamd       *Filter          `json:"rspamd,omitempty"`

	linkLists *blocklist.Facts
	offline   bool
}

// Section is one part of the score.
type Section struct {
	ID     string         `json:"id"`
	Name   knowledge.Text `json:"name"`
	Max    float64        `json:"max"`
	Points float64        `json:"points"`
	Tested bool           `json:"tested"`
	Lost   []Loss         `json:"lost,omitempty"`
}

// Loss is what one finding cost.
type Loss struct {
	Rule   string           `json:"rule"`
	Points float64          `json:"points"` // as the table has it; a section loses no more than its maximum
	Says   finding.Sentence `json:"says"`
}

// Filter is the opinion of one of the user's own filters, or why there is none.
type Filter struct {
	Where    string  `json:"where"`
	Spam     bool    `json:"spam"`
	Action   string  `json:"action,omitempty"`
	Score    float64 `json:"score"`
	Required float64 `json:"required"`
	Rules    []Rule  `json:"rules,omitempty"`
	Error    string  `json:"error,omitempty"`
	err      error
}

// Rule is one rule of a filter that matched.
type Rule struct {
	Name  string  `json:"name"`
	Score float64 `json:"score"`
	Text  string  `json:"text,omitempty"`
}

// maxDomains bounds the domains of links that the blocklists are asked about.
const maxDomains = 10

// Survey scores a message.
func Survey(ctx context.Context, env *check.Env, m *eml.Message, o Options) (*finding.Report, error) {
	started := env.Now()
	t, err := tables(env.Know)
	if err != nil {
		return nil, err
	}
	f := look(ctx, env, m, o, t)
	target := finding.Subject{Kind: finding.KindMessage, Name: m.Name}
	fs := judge(f, t, target)
	finding.Order(fs)
	f.weigh(fs, t.score)
	r := check.NewReport(env, "score", target, started, fs, sections(f), f)
	r.Headline = headline(f, r)
	return r, nil
}

type tableSet struct {
	content *knowledge.Content
	brands  *knowledge.Brands
	score   *knowledge.Score
}

func tables(k *knowledge.Base) (t tableSet, err error) {
	if t.content, err = k.Content(); err != nil {
		return t, err
	}
	if t.brands, err = k.Brands(); err != nil {
		return t, err
	}
	t.score, err = k.Score()
	return t, err
}

func look(ctx context.Context, env *check.Env, m *eml.Message, o Options, t tableSet) *Facts {
	f := &Facts{File: m.Name, offline: env.Probe.Offline || env.DNS == nil}
	f.Header = fields.Read(m.Header)
	f.Path = hops.Read(m.Header.All("Received"), hops.Options{Trust: o.Trust})
	believed := f.Path.Believed()
	f.Results = results.Read(m.Header, believed, f.Path.BorderHost())
	f.Content = content.Read(m.Header, m.Body, m.Bytes, t.content, func(host string) *content.Alike {
		if x := lookalike.Find(host, t.brands); x != nil && x.Brand != "" {
			return &content.Alike{Shown: x.Shown, Brand: x.Brand, Real: x.Real}
		}
		return nil
	})
	var wg sync.WaitGroup
	if !f.offline {
		dns, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		f.askDNS(dns, env, m, &wg)
	}
	if o.SpamAssassin != "" {
		wg.Go(func() { f.SpamAssassin = askSpamd(ctx, env, o.SpamAssassin, m.Raw) })
	}
	if o.Rspamd != "" {
		wg.Go(func() { f.Rspamd = askRspamd(ctx, env, o, f, m.Raw) })
	}
	wg.Wait()
	return f
}

// askDNS starts the questions about authentication, about the origin and about the domains of the links.
func (f *Facts) askDNS(ctx context.Context, env *check.Env, m *eml.Message, wg *sync.WaitGroup) {
	wg.Go(func() { f.Auth = auth.Look(ctx, env.DNS, f.authInput(env, m)) })
	if ip := f.Path.Origin; public(ip) {
		wg.Go(func() { f.PTR = ptr.Look(ctx, env, ip, "") })
		wg.Go(func() { f.Lists, _ = blocklist.Look(ctx, env, []string{ip.String()}, blocklist.Options{}) })
	}
	if ds := f.Content.Domains(maxDomains); len(ds) > 0 {
		wg.Go(func() { f.linkLists, _ = blocklist.Look(ctx, env, ds, blocklist.Options{}) })
	}
}

// authInput is what the border knew of the message.
func (f *Facts) authInput(env *check.Env, m *eml.Message) auth.Input {
	in := auth.Input{Header: m.Header, Body: m.Body, Receiver: env.Probe.HELO, Now: env.Now()}
	if ip := f.Path.Origin; ip.IsValid() {
		in.IP, in.HELO = ip, f.Path.Hops[f.Path.Border-1].HELO
	}
	if rp := f.Header.ReturnPath; rp != nil {
		in.MailFrom = rp.Address
	}
	return in
}

func public(ip netip.Addr) bool {
	return ip.IsValid() && !ip.IsPrivate() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() && !ip.IsUnspecified()
}

func askSpamd(ctx context.Context, env *check.Env, addr string, raw []byte) *Filter {
	r, err := spamd.Report(ctx, spamd.Options{Addr: addr, Dial: env.Dial, Tape: env.Tape}, raw)
	if err != nil {
		return &Filter{Where: addr, Error: err.Error(), err: err}
	}
	f := &Filter{Where: addr, Spam: r.Spam, Score: r.Score, Required: r.Required}
	for _, x := range r.Rules {
		f.Rules = append(f.Rules, Rule(x))
	}
	slices.SortStableFunc(f.Rules, func(a, b Rule) int { return int(1000 * (b.Score - a.Score)) })
	return f
}

func askRspamd(ctx context.Context, env *check.Env, o Options, facts *Facts, raw []byte) *Filter {
	ro := rspamd.Options{URL: o.Rspamd, Password: o.RspamdPassword, Dial: env.Dial, Tape: env.Tape}
	if ip := facts.Path.Origin; ip.IsValid() {
		ro.IP = ip.String()
		ro.HELO = facts.Path.Hops[facts.Path.Border-1].HELO
	}
	if rp := facts.Header.ReturnPath; rp != nil {
		ro.From = rp.Address
	}
	r, err := rspamd.Check(ctx, ro, raw)
	if err != nil {
		return &Filter{Where: o.Rspamd, Error: err.Error(), err: err}
	}
	f := &Filter{Where: o.Rspamd, Spam: r.Action != "no action" && r.Action != "greylist", Action: r.Action, Score: r.Score, Required: r.Required}
	for _, x := range r.Symbols {
		f.Rules = append(f.Rules, Rule{x.Name, x.Score, x.Text})
	}
	return f
}

// alike holds the domains of the sender against the brands.
func alike(h *fields.Facts, b *knowledge.Brands) []*lookalike.Match {
	var out []*lookalike.Match
	for _, as := range [][]fields.Address{h.From, h.ReplyTo} {
		for _, a := range as[:min(len(as), 3)] {
			if m := lookalike.Find(a.Domain, b); m != nil {
				out = append(out, m)
			}
		}
	}
	return out
}
