// Package message is the survey of one message in hand: the way it came, where belief ends, what filters noted, whether
// its header is sound and its names are honest.
//
// Promise: look gathers facts from the bytes and, where a network may be asked, about the origin address only; judge is
// pure. Nothing named inside the message is ever fetched. RFC 5321 section 4.4, RFC 5322, RFC 8601.
package message

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/fields"
	"github.com/mailwhy/mailwhy/internal/check/hops"
	"github.com/mailwhy/mailwhy/internal/check/lookalike"
	"github.com/mailwhy/mailwhy/internal/check/vendor"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail"
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
	Results []AuthResults      `json:"authentication_results,omitempty"`
	Alike   []*lookalike.Match `json:"lookalikes,omitempty"`
	TooBig  string             `json:"too_big,omitempty"`
}

// Origin is the address the message came in from, as far as it can be believed, and what the DNS says of it.
type Origin struct {
	IP        netip.Addr `json:"ip,omitzero"`
	PTR       []string   `json:"ptr,omitempty"`
	Confirmed bool       `json:"ptr_confirmed"`
	Asked     bool       `json:"asked"` // the DNS was asked and answered
	err       error
}

// Survey looks at a message and reports.
func Survey(ctx context.Context, env *check.Env, m *Message, o Options) (*finding.Report, error) {
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

func look(ctx context.Context, env *check.Env, m *Message, o Options) (*Facts, *knowledge.Brands, error) {
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
	believed := 0
	for i := range f.Path.Hops {
		if f.Path.Hops[i].Believed {
			believed++
		}
	}
	f.Vendors = vendor.Decode(m.Header, table, believed)
	f.Results = authResults(m.Header, believed)
	f.Alike = alike(f.Header, brands)
	f.Origin = lookOrigin(ctx, env, f.Path.Origin)
	return f, brands, nil
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

// lookOrigin asks the DNS for the reverse names of the origin and whether they point back.
func lookOrigin(ctx context.Context, env *check.Env, ip netip.Addr) Origin {
	o := Origin{IP: ip}
	if !ip.IsValid() || env.DNS == nil || env.Probe.Offline || ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
		return o
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	a, err := env.DNS.Resolve(ctx, reverse(ip), mail.TypePTR)
	if err != nil {
		o.err = err
		return o
	}
	o.Asked = true
	t := mail.TypeA
	if ip.Is6() {
		t = mail.TypeAAAA
	}
	for _, r := range a.Records[:min(len(a.Records), 10)] {
		o.PTR = append(o.PTR, r.Host)
		if back, err := env.DNS.Resolve(ctx, r.Host, t); err == nil {
			for _, x := range back.Records {
				o.Confirmed = o.Confirmed || x.IP.Unmap() == ip
			}
		}
	}
	return o
}

// reverse is the name under which the PTR records of an address stand (RFC 1035 section 3.5, RFC 3596 section 2.5).
func reverse(ip netip.Addr) string {
	const hex = "0123456789abcdef"
	var parts []string
	for _, b := range ip.AsSlice() {
		if ip.Is4() {
			parts = append([]string{itoa(int(b))}, parts...)
		} else {
			parts = append([]string{string(hex[b&15]), string(hex[b>>4])}, parts...)
		}
	}
	if ip.Is4() {
		return strings.Join(parts, ".") + ".in-addr.arpa"
	}
	return strings.Join(parts, ".") + ".ip6.arpa"
}
