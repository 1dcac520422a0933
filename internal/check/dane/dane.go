// Package dane judges the TLSA records of a domain's mail servers against the certificates they show (RFC 6698, 7671,
// 7672).
//
// Promise: look gathers facts, judge is pure. Records that DNSSEC does not secure are useless and said to be so; a
// look-up that fails is "could not test".
package dane

import (
	"context"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/dane"
	"github.com/mailwhy/mailwhy/internal/wire"
)

var (
	ruleMissing = &finding.Rule{
		ID: "dane.missing", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "no DANE",
		Says:   "{{.Host}} has no TLSA record",
		OK:     "{{.Host}} has {{.N}} TLSA {{plural .N \"record\" \"records\"}}",
		Why:    "With DANE senders insist on encryption with the right key; without it, and without MTA-STS, encryption can be switched off on the way.",
		Repair: "Sign the zone with DNSSEC, then publish the TLSA record of the key.",
		Refs:   []finding.Ref{finding.RFC(7672, "2.2")},
	}
	ruleInsecure = &finding.Rule{
		ID: "dane.insecure", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "TLSA record without DNSSEC",
		Says:   "the TLSA records of {{.Host}} are not secured by DNSSEC, so senders ignore them",
		Why:    "A record anybody on the way can forge proves nothing.",
		Repair: "Sign the zone of the mail server (not only that of the domain) and publish the DS record at its parent.",
		Refs:   []finding.Ref{finding.RFC(7672, "2.1"), finding.RFC(7672, "2.2")},
	}
	ruleUnusable = &finding.Rule{
		ID: "dane.unusable", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "TLSA record that mail senders cannot use",
		Says:   "the TLSA record {{.Record}} of {{.Host}} cannot be used: {{.What}}",
		Why:    "Senders skip such a record. If no other is left they encrypt without checking the certificate.",
		Repair: "Publish 3 1 1 with the SHA-256 digest of the server's public key.",
		Refs:   []finding.Ref{finding.RFC(7672, "3.1"), finding.RFC(7671, "4")},
	}
	ruleMismatch = &finding.Rule{
		ID: "dane.mismatch", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "certificate does not match the TLSA records",
		Says:   "no TLSA record of {{.Host}} matches the certificate it shows: {{.What}}",
		OK:     "{{.Host}} shows the certificate its TLSA records promise",
		Why:    "Senders with DANE (many in Germany and the Netherlands, Microsoft, Comcast, GMX) deliver nothing to this host.",
		Repair: "Publish the record of the key now in use; keep the old one until its TTL is over.",
		Refs:   []finding.Ref{finding.RFC(7672, "2.2"), finding.RFC(7671, "8.1")},
	}
	ruleNoTLS = &finding.Rule{
		ID: "dane.no-starttls", Severity: finding.Error, Owner: finding.OwnerServer,
		Title:  "TLSA record, but no STARTTLS",
		Says:   "{{.Host}} has TLSA records but offers no STARTTLS",
		Why:    "Senders with DANE must not deliver in the clear, so they deliver nothing.",
		Repair: "Switch STARTTLS on, or remove the records.",
		Refs:   []finding.Ref{finding.RFC(7672, "2.2")},
	}
	ruleRollover = &finding.Rule{
		ID: "dane.rollover", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "TLSA records besides the one in use",
		Says:   "{{.N}} of {{.All}} TLSA records of {{.Host}} match nothing the server shows: right during a change of keys, otherwise left over",
		Why:    "A record published ahead of the new key is how a change should go.",
		Repair: "Remove records whose key will not come back.",
		Refs:   []finding.Ref{finding.RFC(7671, "8.1")},
	}
	ruleSome = &finding.Rule{
		ID: "dane.some-hosts", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "DANE on some MX hosts only",
		Says:   "{{list .With}} {{plural .N \"has\" \"have\"}} TLSA records, {{list .Without}} none",
		Why:    "An attacker steers senders to the host without protection.",
		Repair: "Publish TLSA records for every MX host.",
		Refs:   []finding.Ref{finding.RFC(7672, "2.2")},
	}
)

// Rules lists every rule of this package.
var Rules = []*finding.Rule{ruleMissing, ruleInsecure, ruleUnusable, ruleMismatch, ruleNoTLS, ruleRollover, ruleSome}

// Host is what was seen of one MX host.
type Host struct {
	Name    string          `json:"name"`
	Found   *dane.Found     `json:"found,omitempty"`
	Verdict *dane.Verdict   `json:"verdict,omitempty"` // nil where no certificate was seen
	TLS     *wire.Handshake `json:"-"`
	Plain   bool            `json:"no_starttls,omitempty"`
	Err     error           `json:"-"`
}

// Facts are what was seen of a domain's hosts; JSON: docs/json.md.
type Facts struct {
	Domain string `json:"domain"`
	Hosts  []Host `json:"hosts"`
}

// Look gathers the facts; a handshake is taken from the shared SMTP session where there are secure records.
func Look(ctx context.Context, env *check.Env, t check.Servers) *Facts {
	f := &Facts{Domain: t.Domain, Hosts: make([]Host, len(t.Hosts))}
	var wg sync.WaitGroup
	for i, h := range t.Hosts {
		wg.Go(func() { f.Hosts[i] = look(ctx, env, t.Domain, h) })
	}
	wg.Wait()
	return f
}

func look(ctx context.Context, env *check.Env, domain string, h check.MailServer) Host {
	out := Host{Name: h.Name}
	if out.Found, out.Err = dane.Lookup(ctx, env.DNS, h.Name, 25); out.Err != nil {
		return out
	}
	if len(out.Found.Records) == 0 || !out.Found.Secure || len(h.Addrs) == 0 || env.Probe.SkipSMTP || env.Probe.Offline {
		return out
	}
	s, err := env.Session(ctx, env.ProbePlan(h.Name, h.Addrs[0]))
	if err != nil || s == nil {
		return out
	}
	out.TLS, out.Plain = s.TLS, s.TLS == nil && len(s.Caps) > 0
	out.verify(domain, env.Now())
	return out
}

func (h *Host) verify(domain string, now time.Time) {
	if h.TLS != nil && h.TLS.Fault == nil {
		h.Verdict = dane.Verify(h.Found.Records, h.TLS.Certificates(), []string{h.Found.Base, h.Name, domain}, now)
	}
}

// Judge says what to think of the facts.
func Judge(f *Facts) []finding.Finding {
	var out []finding.Finding
	var with, without []string
	for i := range f.Hosts {
		h := &f.Hosts[i]
		switch {
		case h.Err != nil:
			out = append(out, ruleMissing.Untested(finding.Host(h.Name), check.Why(h.Err)))
			continue
		case len(h.Found.Records) == 0:
			without = append(without, h.Name)
		case h.Found.Secure:
			with = append(with, h.Name)
		}
		out = append(out, host(h)...)
	}
	if len(with) > 0 && len(without) > 0 {
		out = append(out, ruleSome.Failed(finding.Domain(f.Domain), finding.Args{"With": with, "Without": without, "N": len(with)}))
	}
	for i := range out {
		out[i] = out[i].Prove(finding.Cmd("check", f.Domain))
	}
	return out
}

func host(h *Host) []finding.Finding {
	subject := finding.Host(h.Name)
	args := finding.Args{"Host": h.Name, "N": len(h.Found.Records)}
	target := h.Found.Name + " TLSA"
	if len(h.Found.Records) == 0 {
		return []finding.Finding{ruleMissing.Failed(subject, args)}
	}
	ev := finding.Evidence{Source: "dns", Place: target, Raw: raw(h.Found.Records)}
	if !h.Found.Secure {
		return []finding.Finding{ruleInsecure.Failed(subject, args).With(ev)}
	}
	out := []finding.Finding{ruleMissing.Passed(subject, args)}
	usable := 0
	for _, t := range h.Found.Records {
		if c := t.Problem(); c != dane.Usable {
			out = append(out, ruleUnusable.Failed(subject, finding.Args{"Host": h.Name, "Record": t.String(), "What": what(c)}).With(ev))
		} else {
			usable++
		}
	}
	switch {
	case h.Plain:
		return append(out, ruleNoTLS.Failed(subject, args).With(ev))
	case usable == 0:
		return out
	case h.Verdict == nil:
		why := finding.S("no certificate of {{.Host}} could be seen", finding.Args{"Host": h.Name})
		if h.TLS != nil && h.TLS.Fault != nil {
			why = check.Fault(h.TLS.Fault)
		}
		return append(out, ruleMismatch.Untested(subject, why))
	}
	return append(out, verdict(h, target, ev)...)
}

func verdict(h *Host, target string, ev finding.Evidence) []finding.Finding {
	subject := finding.Host(h.Name)
	if !h.Verdict.Authenticated {
		f := ruleMismatch.Failed(subject, finding.Args{"Host": h.Name, "What": what(h.Verdict.Each[0].Code)}).With(ev)
		if leaf := h.TLS.Leaf(); leaf != nil {
			f = f.Mend(finding.Step{Kind: finding.DNSAdd, Target: target, New: dane.For(leaf).String()})
		}
		return []finding.Finding{f}
	}
	out := []finding.Finding{ruleMismatch.Passed(subject, finding.Args{"Host": h.Name})}
	idle := 0
	for _, e := range h.Verdict.Each {
		if e.Code == dane.NoMatch {
			idle++
		}
	}
	if idle > 0 {
		out = append(out, ruleRollover.Failed(subject, finding.Args{"Host": h.Name, "N": idle, "All": len(h.Verdict.Each)}).With(ev))
	}
	return out
}

func raw(ts []dane.TLSA) string {
	out := ""
	for i, t := range ts {
		if i > 0 {
			out += "\n"
		}
		out += t.String()
	}
	return out
}

func what(c dane.Code) finding.Sentence {
	switch c {
	case dane.PKIXUsage:
		return finding.S("usage 0 and 1 are not for mail", nil)
	case dane.BadUsage, dane.BadSelector, dane.BadMatching:
		return finding.S("a usage, selector or matching type that does not exist", nil)
	case dane.BadLength:
		return finding.S("the digest has the wrong length", nil)
	case dane.BadData:
		return finding.S("the data is no certificate and no key", nil)
	case dane.WrongName:
		return finding.S("the trust anchor matches, but the certificate is not for this name", nil)
	case dane.OutOfDate:
		return finding.S("the trust anchor matches, but a certificate is expired or not yet valid", nil)
	case dane.BrokenChain:
		return finding.S("the trust anchor matches, but the server's certificate does not lead to it", nil)
	}
	return finding.S("the server shows another key", nil)
}

// Checks are the checks of this topic.
var Checks = []check.Check[check.Servers]{{Name: "dane", Rules: Rules, Run: func(ctx context.Context, env *check.Env, t check.Servers) ([]finding.Finding, error) {
	if t.Null {
		return nil, nil
	}
	return Judge(Look(ctx, env, t)), nil
}}}
