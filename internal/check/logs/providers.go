package logs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// alike are providers whose mail is stopped by the same cause more often than by any other.
type alike struct {
	why       Share
	known     bool // why is known
	providers []Provider
}

// byCause puts providers with the same main cause together, the group with the most mail stopped first.
func byCause(ps []Provider, kind string) []alike {
	stopped := func(p *Provider) int64 {
		if kind == "bounced" {
			return p.Bounced
		}
		return p.Deferred
	}
	var out []alike
	at := map[string]int{}
	for _, p := range ps {
		why, known := p.main(kind)
		i, ok := at[why.ID]
		if !ok {
			i = len(out)
			at[why.ID] = i
			out = append(out, alike{why: why, known: known})
		}
		out[i].providers = append(out[i].providers, p)
	}
	sum := func(g alike) (n int64) {
		for i := range g.providers {
			n += stopped(&g.providers[i])
		}
		return n
	}
	for _, g := range out {
		slices.SortStableFunc(g.providers, func(a, b Provider) int { return cmp.Compare(stopped(&b), stopped(&a)) })
	}
	slices.SortStableFunc(out, func(a, b alike) int { return cmp.Compare(sum(b), sum(a)) })
	return out
}

// finish adds whose job the cause is, and what each provider says with how often it was so.
func (g *alike) finish(f finding.Finding, kind string, numbers func(*Provider) string) finding.Finding {
	if g.known {
		f.Owner = &g.why.Owner
	}
	for i := range g.providers[:min(len(g.providers), maxNamed)] {
		p := &g.providers[i]
		said := numbers(p)
		if why, ok := p.main(kind); ok && why.Example != "" {
			said += " × " + why.Example
		}
		f = f.With(finding.Evidence{Source: "log", Place: p.ID, Raw: said})
	}
	return f
}

// maxNamed bounds the providers that one finding names.
const maxNamed = 12

// of is the provider itself where the group has one only.
func (j *judging) of(g *alike) finding.Subject {
	if len(g.providers) > 1 {
		return j.subject
	}
	return finding.Subject{Kind: finding.KindHost, Name: g.providers[0].ID}
}

// deferralWaves tells providers that sometimes take mail from destinations that never did in this log; the latter
// are named together, the former with those that give the same cause.
func (j *judging) deferralWaves() {
	var dead, waves []Provider
	for _, p := range j.f.Providers {
		if p.Sent == 0 && p.Deferred > 0 {
			dead = append(dead, p)
		} else if _, n := p.worstHour(); n >= j.lim.DeferralWaveMin && float64(p.Deferred) >= j.lim.DeferralWaveShare*float64(p.attempts()) {
			waves = append(waves, p)
		}
	}
	for _, g := range byCause(waves, "deferred") {
		j.deferralWave(&g)
	}
	j.dead(dead)
}

func (p *Provider) attempts() int64 { return p.Sent + p.Bounced + p.Deferred }

// worstHour is the hour with the most deferrals, the first of equal ones.
func (p *Provider) worstHour() (at, n int64) {
	perHour := map[int64]int64{}
	for _, h := range p.hours {
		perHour[h.At] += h.Deferred
	}
	for h, k := range perHour {
		if k > n || k == n && h < at {
			at, n = h, k
		}
	}
	return at, n
}

func (j *judging) deferralWave(g *alike) {
	var deferred, attempts int64
	for i := range g.providers {
		deferred += g.providers[i].Deferred
		attempts += g.providers[i].attempts()
	}
	first := &g.providers[0]
	at, n := first.worstHour()
	if len(g.providers) > 1 {
		n = deferred
	}
	f := ruleDeferralWave.Failed(j.of(g), finding.Args{"Provider": first.name, "Hosts": len(g.providers), "N": group(n), "At": time.Unix(0, at),
		"Share": percent(float64(deferred) / float64(attempts)), "Cause": g.why.name, "Known": g.known})
	f = g.finish(f, "deferred", func(p *Provider) string { return fmt.Sprintf("%d/%d", p.Deferred, p.attempts()) })
	if g.known && slices.Contains(j.lim.WaitingCauses, g.why.ID) {
		f.Severity = &mild
	}
	j.say(f.Prove(finding.Cmd("trace", "host:"+first.host, "--status", "deferred")))
}

// mild is the severity of what passes by itself.
var mild = finding.Note

// dead names the destinations that took nothing.
func (j *judging) dead(dead []Provider) {
	var n int64
	for _, p := range dead {
		n += p.Deferred
	}
	if n < j.lim.DeferralWaveMin {
		return
	}
	g := alike{providers: dead}
	f := g.finish(ruleDead.Failed(j.subject, finding.Args{"N": group(n), "Hosts": len(dead)}), "deferred", func(p *Provider) string { return fmt.Sprint(p.Deferred) })
	j.say(f.Prove(finding.Cmd("queue")))
}

func (j *judging) acceptance() {
	fell := map[string]Change{}
	for _, c := range j.f.Changes {
		if id, ok := strings.CutPrefix(c.What, "acceptance "); ok && c.Before-c.Now+1e-9 >= j.lim.AcceptanceDrop {
			fell[id] = c
		}
	}
	var refusing []Provider
	fine := false
	for _, p := range j.f.Providers {
		if p.Sent+p.Bounced < j.lim.AcceptanceMinAttempts {
			continue
		}
		if c, ok := fell[p.ID]; ok {
			j.fell(&p, c)
		}
		if p.Acceptance < j.lim.AcceptanceWarning {
			refusing = append(refusing, p)
		} else {
			fine = true
		}
	}
	for _, g := range byCause(refusing, "bounced") {
		j.refusing(&g)
	}
	if fine && len(refusing) == 0 {
		j.say(ruleAcceptance.Passed(j.subject, nil))
	}
}

func (j *judging) fell(p *Provider, c Change) {
	g := alike{providers: []Provider{*p}}
	g.why, g.known = p.main("bounced")
	f := ruleAcceptanceDrop.Failed(j.of(&g), finding.Args{"Provider": p.name, "Now": percent(c.Now), "Before": percent(c.Before), "Cause": g.why.name, "Known": g.known})
	j.say(g.finish(f, "bounced", refused).Prove(finding.Cmd("trace", "host:"+p.host, "--status", "bounced")))
}

// refused says how many of the final answers were refusals.
func refused(p *Provider) string { return fmt.Sprintf("%d/%d", p.Bounced, p.Sent+p.Bounced) }

func (j *judging) refusing(g *alike) {
	var sent, bounced int64
	for i := range g.providers {
		sent += g.providers[i].Sent
		bounced += g.providers[i].Bounced
	}
	f := ruleAcceptance.Failed(j.of(g), finding.Args{"Provider": g.providers[0].name, "Hosts": len(g.providers),
		"Share": percent(float64(sent) / float64(sent+bounced)), "N": group(sent + bounced), "Cause": g.why.name, "Known": g.known}).
		Saw(finding.S("{{.Sent}} sent, {{.Bounced}} bounced", finding.Args{"Sent": sent, "Bounced": bounced}),
			finding.S("at least {{.Share}} % sent", finding.Args{"Share": percent(j.lim.AcceptanceWarning)}))
	f = g.finish(f, "bounced", refused)
	j.say(f.Prove(finding.Cmd("trace", "host:"+g.providers[0].host, "--status", "bounced")))
}
