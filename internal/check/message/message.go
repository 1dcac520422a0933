// Package message is the survey of one message in hand: the way it came, where belief ends, what filters noted, whether
// its header is sound and its names are honest.
//
// Promise: look gathers facts from the bytes and, where a network may be asked, about the origin address only; judge is
// pure. Nothing named inside the message is ever fetched. RFC 5321 section 4.4, RFC 5322, RFC 8601.
package message

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/auth"
	"github.com/mailwhy/mailwhy/internal/check/blocklist"
	"github.com/mailwhy/mailwhy/internal/check/eml"
	"github.com/mailwhy/mailwhy/internal/check/fields"
	"github.com/mailwhy/mailwhy/internal/check/hops"
	"github.com/mailwhy/mailwhy/internal/check/lookalike"
	"github.com/mailwhy/mailwhy/internal/check/origin"
	"github.com/mailwhy/mailwhy/internal/check/ptr"
	"github.com/mailwhy/mailwhy/internal/check/results"
	"github.com/mailwhy/mailwhy/internal/check/vendor"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
)

// Options of a survey.
type Options struct {
	Trust []string // our border: hosts, addresses, prefixes; empty: guessed
}

// Facts are what the survey gathers; docs/json.md describes them.
type Facts struct {
	File    string             `json:"file"`
	Header  *fields.Facts      `json:"header"`
	Path    *hops.Path         `json:"path"`
	Origin  Origin             `json:"origin"`
	Vendors []vendor.Field     `json:"filters,omitempty"`
	Results []results.Field    `json:"authentication_results,omitempty"`
	Auth    *auth.Facts        `json:"verified,omitempty"` // verified again; absent for a header alone or where the network was not asked
	Alike   []*lookalike.Match `json:"lookalikes,omitempty"`
	TooBig  string             `json:"too_big,omitempty"`
}

// Origin is the address the message came in from, as far as it can be believed, and what the DNS says of it. PTR,
// Lists and Net are nil where the network was not asked.
type Origin struct {
	IP    netip.Addr       `json:"ip,omitzero"`
	PTR   *ptr.Facts       `json:"ptr,omitempty"`
	Lists *blocklist.Facts `json:"blocklists,omitempty"`
	Net   *origin.Facts    `json:"network,omitempty"`
}

// Survey looks at a message and reports.
func Survey(ctx context.Context, env *check.Env, m *eml.Message, o Options) (*finding.Report, error) {
	started := env.Now()
	f, brands, err := look(ctx, env, m, o)
	if err != nil {
		return nil, err
	}
	target := finding.Subject{Kind: finding.KindMessage, Name: m.Name}
	fs := judge(f, brands, target)
	r := check.NewReport(env, "headers", target, started, fs, sections(f), f)
	r.Headline = headline(f, r)
	return r, nil
}

func look(ctx context.Context, env *check.Env, m *eml.Message, o Options) (*Facts, *knowledge.Brands, error) {
	brands, err := env.Know.Brands()
	if err != nil {
		return nil, nil, err
	}
	table, err := env.Know.VendorHeaders()
	if err != nil {
		return nil, nil, err
	}
	f := &Facts{File: m.Name, Header: fields.Read(m.Header), Path: hops.Read(m.Header.All("Received"), hops.Options{Trust: o.Trust})}
	if m.TooBig != nil {
		f.TooBig = m.TooBig.Error()
	}
	believed := f.Path.Believed()
	f.Vendors = vendor.Decode(m.Header, table, believed)
	f.Results = results.Read(m.Header, believed, f.Path.BorderHost())
	f.Alike = alike(f.Header, brands)
	var wg sync.WaitGroup
	wg.Go(func() { f.Origin = lookOrigin(ctx, env, f.Path.Origin) })
	// Signatures cover the body: a header alone cannot be verified.
	if len(m.Body) > 0 && !m.Cut && env.DNS != nil && !env.Probe.Offline {
		wg.Go(func() { f.Auth = auth.Look(ctx, env.DNS, f.authInput(env, m)) })
	}
	wg.Wait()
	return f, brands, nil
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

// alike holds every domain of the header against the brands.
func alike(h *fields.Facts, b *knowledge.Brands) []*lookalike.Match {
	var out []*lookalike.Match
	seen := map[string]bool{}
	try := func(a *fields.Address) {
		if a == nil || a.Domain == "" || seen[a.Domain] || len(out) >= 5 {
			return
		}
		seen[a.Domain] = true
		if m := lookalike.Find(a.Domain, b); m != nil {
			out = append(out, m)
		}
	}
	for i := range h.From {
		try(&h.From[i])
	}
	for i := range h.ReplyTo {
		try(&h.ReplyTo[i])
	}
	try(h.Sender)
	try(h.ReturnPath)
	return out
}

// lookOrigin asks the DNS for the reverse names of the origin, and the blocklists about it.
func lookOrigin(ctx context.Context, env *check.Env, ip netip.Addr) Origin {
	o := Origin{IP: ip}
	if !ip.IsValid() || env.DNS == nil || env.Probe.Offline || ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
		return o
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { o.PTR = ptr.Look(ctx, env, ip, "") })
	wg.Go(func() { o.Net = origin.Look(ctx, env, ip) })
	wg.Go(func() { o.Lists, _ = blocklist.Look(ctx, env, []string{ip.String()}, blocklist.Options{}) })
	wg.Wait()
	return o
}

func (o *Origin) names() []string {
	var out []string
	if o.PTR != nil {
		for _, n := range o.PTR.Names {
			out = append(out, n.Name)
		}
	}
	return out
}
