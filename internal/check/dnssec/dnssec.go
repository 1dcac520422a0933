package dnssec

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
)

type args = finding.Args

// Facts are the proofs for what mail asks of a domain.
type Facts struct {
	Domain string       `json:"domain"`
	Proofs []*dns.Proof `json:"proofs"`           // SOA; of a signed zone MX and TXT too, and TXT of _mta-sts below it
	Island bool         `json:"island,omitempty"` // keys in the zone, but no DS at the parent
	At     time.Time    `json:"at"`               // when it was judged

	err error
}

// State is the worst of the proofs.
func (f *Facts) State() dns.State {
	worst := dns.Secure
	for _, p := range f.Proofs {
		if rank(p.State) > rank(worst) {
			worst = p.State
		}
	}
	return worst
}

func rank(s dns.State) int {
	switch s {
	case dns.Secure:
		return 0
	case dns.Insecure:
		return 1
	case dns.Indeterminate:
		return 2
	}
	return 3
}

// Look validates what mail asks of a domain.
func Look(ctx context.Context, env *check.Env, domain string) *Facts {
	f := &Facts{Domain: domain, At: env.Now()}
	zone, err := env.DNS.Validate(ctx, domain, mail.TypeSOA)
	if err != nil {
		f.err = err
		return f
	}
	f.Proofs = []*dns.Proof{zone}
	if zone.Signed() { // else all the rest is as unsigned
		// Most signed domains lack the last name, so its answer shows whether absence can be proved.
		questions := []struct {
			name string
			kind mail.Type
		}{{domain, mail.TypeMX}, {domain, mail.TypeTXT}, {"_mta-sts." + domain, mail.TypeTXT}}
		proofs, errs := make([]*dns.Proof, len(questions)), make([]error, len(questions))
		var wg sync.WaitGroup
		for i, q := range questions {
			wg.Go(func() { proofs[i], errs[i] = env.DNS.Validate(ctx, q.name, q.kind) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			f.Proofs, f.err = nil, err
			return f
		}
		f.Proofs = append(f.Proofs, proofs...)
	}
	if f.State() == dns.Insecure {
		if p, err := env.DNS.Validate(ctx, domain, mail.TypeDNSKEY); err == nil && p.Answer() != nil {
			f.Island = len(p.Answer().Records) > 0
		}
	}
	return f
}

// Judge makes findings of facts.
func Judge(f *Facts, warnDays int) []finding.Finding {
	s := finding.Domain(f.Domain)
	if f.err != nil {
		return []finding.Finding{ruleUnsigned.Untested(s, check.Why(f.err))}
	}
	prove := finding.Cmd("check", f.Domain)
	var out []finding.Finding
	said := map[string]bool{}
	for _, p := range f.Proofs {
		if p.State != dns.Bogus || p.Break == nil {
			continue
		}
		if key := string(p.Break.Kind) + p.Break.Name + p.Break.Type; !said[key] {
			said[key] = true
			out = append(out, broken(f, p).Prove(prove))
		}
	}
	switch {
	case len(out) > 0:
	case f.State() == dns.Indeterminate:
		return append(out, indeterminate(f, s))
	case f.State() == dns.Insecure:
		return append(out, insecure(f, s))
	default:
		out = append(out, ruleUnsigned.Passed(s, args{"Domain": f.Domain}), expiring(f, s, warnDays).Prove(prove))
	}
	return append(out, weak(f)...)
}

// indeterminate says why nothing can be said.
func indeterminate(f *Facts, s finding.Subject) finding.Finding {
	for _, p := range f.Proofs {
		if p.State != dns.Indeterminate || p.Break == nil {
			continue
		}
		switch p.Break.Kind {
		case dns.Stripped:
			return ruleUnsigned.Untested(s, finding.S("the resolver in use hands on no signatures: try another with --resolver", nil))
		case dns.AnchorMismatch:
			return ruleUnsigned.Untested(s, finding.S("the keys of {{.Zone}} that the resolver gives do not fit the trust anchor: a private root (see --trust-anchor), a resolver that rewrites, or a wrong clock here", args{"Zone": shown(p.Break.Zone)}))
		case dns.NoAnchor:
			return ruleUnsigned.Untested(s, finding.S("no trust anchor is above {{.Domain}}: name one with --trust-anchor", args{"Domain": f.Domain}))
		}
		return ruleUnsigned.Untested(s, finding.S("the chain could not be asked for: {{.Text}}", args{"Text": p.Break.Text}))
	}
	return ruleUnsigned.Untested(s, finding.S("the chain could not be asked for: {{.Text}}", args{"Text": ""}))
}

func insecure(f *Facts, s finding.Subject) finding.Finding {
	for _, p := range f.Proofs {
		if p.Break != nil && p.Break.Kind == dns.AlgorithmTooNew {
			var what []string
			for _, d := range p.Links[len(p.Links)-1].DS {
				what = append(what, dns.AlgorithmName(d.Algorithm))
			}
			return ruleUnknown.Failed(s, args{"Zone": shown(p.Break.Zone), "What": what})
		}
	}
	return ruleUnsigned.Failed(s, args{"Domain": f.Domain, "Island": f.Island})
}

// broken names the link.
func broken(f *Facts, p *dns.Proof) finding.Finding {
	b := p.Break
	s := finding.Domain(f.Domain)
	a := args{"Zone": shown(b.Zone), "Name": shown(b.Name), "Type": b.Type, "Tags": tags(b.Tags), "At": b.At, "Missing": b.Kind == dns.DenialMissing, "Keys": ""}
	var last dns.Link
	if len(p.Links) > 0 {
		last = p.Links[len(p.Links)-1]
	}
	ev := finding.Evidence{Source: "dns", Place: shown(b.Zone), At: f.At, Raw: chainText(p)}
	switch b.Kind {
	case dns.DSMismatch:
		var keys []uint16
		for _, k := range last.Keys {
			if k.Flags&1 == 1 {
				keys = append(keys, k.Tag)
			}
		}
		a["Keys"] = tags(keys)
		return ruleDS.Failed(s, a).With(ev).Mend(oldDS(last)...)
	case dns.NoKeys:
		return ruleNoKeys.Failed(s, a).With(ev).Mend(oldDS(last)...)
	}
	return rules[b.Kind].Failed(s, a).With(ev)
}

// rules leads from a break to its rule; what needs more than that is in broken.
var rules = map[dns.BreakKind]*finding.Rule{
	dns.KeysUnsigned: ruleKeysUnsigned, dns.SigMissing: ruleMissing, dns.SigExpired: ruleExpired, dns.SigEarly: ruleEarly, dns.SigWrong: ruleWrong,
	dns.SigUnknownKey: ruleOtherKey, dns.DenialMissing: ruleDenial, dns.DenialWrong: ruleDenial, dns.AlgorithmTooNew: ruleOtherKey,
	dns.NotReached: ruleMissing, dns.Stripped: ruleMissing, dns.NoAnchor: ruleMissing, dns.AnchorMismatch: ruleMissing,
}

// oldDS is the repair that makes the domain work at once: the DS that fits nothing goes away.
func oldDS(l dns.Link) []finding.Step {
	var out []finding.Step
	for _, d := range l.DS {
		if !d.Matches {
			out = append(out, finding.Step{Kind: finding.DNSDelete, Target: l.Zone + " DS", Old: fmt.Sprintf("%d %d %d %s", d.Tag, d.Algorithm, d.Digest, d.Hash)})
		}
	}
	return out
}

func expiring(f *Facts, s finding.Subject, warnDays int) finding.Finding {
	var soonest time.Time
	for _, p := range f.Proofs {
		for _, l := range p.Links {
			if l.Zone == f.Domain && !l.Expires.IsZero() && (soonest.IsZero() || l.Expires.Before(soonest)) {
				soonest = l.Expires
			}
		}
		if p.Zone == f.Domain && !p.Expires.IsZero() && (soonest.IsZero() || p.Expires.Before(soonest)) {
			soonest = p.Expires
		}
	}
	left := soonest.Sub(f.At)
	a := args{"Domain": f.Domain, "Left": left, "At": soonest}
	if !soonest.IsZero() && left < time.Duration(warnDays)*24*time.Hour {
		return ruleExpiring.Failed(s, a)
	}
	return ruleExpiring.Passed(s, a)
}

// weak looks at the keys of the domain itself.
func weak(f *Facts) []finding.Finding {
	var out []finding.Finding
	for _, p := range f.Proofs[:1] {
		for _, l := range p.Links {
			if l.Zone != f.Domain {
				continue
			}
			var what []string
			var orphans []uint16
			matched := false
			for _, k := range l.Keys {
				switch {
				case k.Algorithm < 8:
					what = append(what, fmt.Sprintf("%s (key %d)", dns.AlgorithmName(k.Algorithm), k.Tag))
				case (k.Algorithm == 8 || k.Algorithm == 10) && k.Bits < 1024:
					what = append(what, fmt.Sprintf("RSA %d bits (key %d)", k.Bits, k.Tag))
				}
			}
			sha256 := false
			for _, d := range l.DS {
				sha256 = sha256 || d.Digest == 2 || d.Digest == 4
				matched = matched || d.Matches
				if !d.Matches {
					orphans = append(orphans, d.Tag)
				}
			}
			if len(l.DS) > 0 && !sha256 {
				what = append(what, "DS SHA-1")
			}
			s := finding.Domain(f.Domain)
			if len(what) > 0 {
				out = append(out, ruleAlgorithm.Failed(s, args{"Zone": l.Zone, "What": what}))
			}
			if matched && len(orphans) > 0 {
				out = append(out, ruleOrphan.Failed(s, args{"Zone": l.Zone, "Tags": tags(orphans)}).Mend(oldDS(l)...))
			}
		}
	}
	return out
}

func tags(in []uint16) string {
	var out []string
	for _, t := range in {
		out = append(out, strconv.Itoa(int(t)))
	}
	return strings.Join(out, ", ")
}

func shown(zone string) string {
	if zone == "" {
		return "."
	}
	return zone
}

// chainText is the chain on one line: ". secure > test. secure > a.test bogus".
func chainText(p *dns.Proof) string {
	var parts []string
	for _, l := range p.Links {
		t := shown(l.Zone) + " " + string(l.State)
		for _, d := range l.DS {
			t += fmt.Sprintf(" DS %d/%d", d.Tag, d.Algorithm)
		}
		for _, k := range l.Keys {
			t += fmt.Sprintf(" DNSKEY %d/%d", k.Tag, k.Algorithm)
		}
		parts = append(parts, t)
	}
	return strings.Join(parts, " > ")
}

// Sections shows the chain.
func Sections(f *Facts) []finding.Section {
	if len(f.Proofs) == 0 || len(f.Proofs[0].Links) < 2 {
		return nil
	}
	s := finding.Section{Title: finding.S("DNSSEC chain", nil), Folded: true,
		Columns: []finding.Sentence{finding.S("zone", nil), finding.S("state", nil), finding.Raw("DS"), finding.Raw("DNSKEY")}}
	for i, l := range f.Proofs[0].Links {
		var ds, keys []string
		for _, d := range l.DS {
			ds = append(ds, strconv.Itoa(int(d.Tag)))
		}
		for _, k := range l.Keys {
			keys = append(keys, fmt.Sprintf("%d %s", k.Tag, dns.AlgorithmName(k.Algorithm)))
		}
		row := finding.Cells(finding.Raw(shown(l.Zone)), stateWord(l.State), finding.Raw(strings.Join(ds, " ")), finding.Raw(strings.Join(keys, ", ")))
		row.Depth = i
		s.Rows = append(s.Rows, row)
	}
	return []finding.Section{s}
}

func stateWord(s dns.State) finding.Sentence {
	switch s {
	case dns.Secure:
		return finding.S("signed, chain whole", nil)
	case dns.Insecure:
		return finding.S("not signed", nil)
	case dns.Bogus:
		return finding.S("chain broken", nil)
	}
	return finding.S("could not be tested", nil)
}

// Check is the pack as a value.
var Check = check.Check[string]{Name: "dnssec", Rules: Rules, Run: func(ctx context.Context, env *check.Env, domain string) ([]finding.Finding, error) {
	return Judge(Look(ctx, env, domain), WarnDays(env)), nil
}}

// WarnDays is the threshold for signatures that expire soon.
func WarnDays(env *check.Env) int {
	if env.Know != nil {
		if t, err := env.Know.Thresholds(); err == nil {
			return t.DNSSEC.ExpiryWarningDays
		}
	}
	return 2
}
