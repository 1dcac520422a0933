package logs

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/trace/tally"
)

// gather works out the facts that need knowledge: causes and providers.
func gather(in *Input, know *knowledge.Base, lim *knowledge.LogLimits) (*Facts, error) {
	fam, err := know.Families()
	if err != nil {
		return nil, err
	}
	f := &Facts{Files: in.Files, Stats: in.Stats, Unread: in.Unread}
	for _, file := range in.Files {
		f.Lines.Add(file.Lines)
	}
	read := reasons(in.Stats.Reasons, know, lim)
	f.Causes = causes(read)
	f.Providers = providers(in.Stats, fam, read)
	f.Countries = countries(in)
	if in.Against != nil {
		f.Against = &in.Against.Totals
		f.Changes = changes(in.Stats, in.Against, f.Providers, providers(in.Against, fam, nil))
	}
	return f, nil
}

// reasons reads each wording of the log by the reply table: a cause of its own each, in the order given.
func reasons(said []tally.Reason, know *knowledge.Base, lim *knowledge.LogLimits) []Cause {
	out := make([]Cause, len(said))
	for i, r := range said {
		if r.Kind == "deferred" && slices.ContainsFunc(lim.NotTried.Words, func(w string) bool { return strings.Contains(r.Example, w) }) {
			out[i] = Cause{Kind: r.Kind, ID: notTried, Name: lim.NotTried.Name.EN, name: lim.NotTried.Name, Owner: finding.OwnerNobody, Example: r.Example, Who: r.Who, Relay: r.Relay, Count: r.Count}
			continue
		}
		ctx := knowledge.ReplyContext{Host: speaker(r.Example), Command: r.Stage}
		if r.Kind == "deferred" {
			ctx.Code = "421" // not final, where the text has no code of its own
		}
		read := know.ReadReply(knowledge.SaidIn(r.Example), ctx)
		out[i] = Cause{Kind: r.Kind, ID: read.Cause, Name: read.CauseName.EN, name: read.CauseName, Permanent: read.Permanent,
			Owner: read.Owner, Example: r.Example, Who: r.Who, Relay: r.Relay, Count: r.Count}
		if r.Kind == "rejected" {
			out[i].Owner = read.Owner.OtherSide()
		}
	}
	return out
}

// notTried is the cause of a deferral without an attempt: the answer of an earlier attempt still holds.
const notTried = "not-tried"

// causes folds the wordings of a log into causes, most frequent first.
func causes(read []Cause) []Cause {
	at := map[[2]string]int{}
	var out []Cause
	for _, c := range read {
		key := [2]string{c.Kind, c.ID}
		i, ok := at[key]
		if !ok {
			at[key] = len(out)
			out = append(out, c)
			continue
		}
		out[i].Count += c.Count
	}
	slices.SortStableFunc(out, func(a, b Cause) int { return cmp.Compare(b.Count, a.Count) })
	return out
}

// speaker names the host that spoke in a log's reason, "" where none did.
func speaker(s string) string {
	_, rest, ok := strings.Cut(s, "host ")
	if !ok {
		return ""
	}
	name, _, ok := strings.Cut(rest, "[")
	if !ok || strings.ContainsAny(name, " <>") {
		return ""
	}
	return name
}

// providers folds relays into mailbox providers; the rest stand for themselves. Hand-overs inside the machine are no
// provider. read are the causes of the reasons of the log, nil where they are not asked for.
func providers(s *tally.Stats, fam *knowledge.Families, read []Cause) []Provider {
	at := map[string]int{}
	var out []Provider
	for _, r := range s.Relays.Rows {
		if strings.HasPrefix(r.Key, "/") || strings.HasPrefix(r.Key, "private/") || r.Key == "127.0.0.1" || !strings.ContainsAny(r.Key, ".:") {
			continue
		}
		id, name := r.Key, finding.Raw(r.Key)
		if f := fam.OfHost(r.Key); f != nil {
			id, name = f.ID, f.Name.Say()
		}
		i, ok := at[id]
		if !ok {
			i = len(out)
			at[id] = i
			out = append(out, Provider{ID: id, Name: name.String(), name: name, host: r.Key})
		}
		p := &out[i]
		p.Sent += r.Val.Sent
		p.Deferred += r.Val.Deferred
		p.Bounced += r.Val.Bounced
		p.delay += r.Val.DelaySum
		p.hours = append(p.hours, r.Val.Hours...)
		for _, w := range r.Val.Reasons {
			if w.Reason >= 0 && w.Reason < len(read) {
				p.because(&read[w.Reason], w)
			}
		}
	}
	for i := range out {
		p := &out[i]
		if n := p.Sent + p.Bounced; n > 0 {
			p.Acceptance = float64(p.Sent) / float64(n)
		}
		if p.Sent > 0 {
			p.DelayMS = float64((p.delay / time.Duration(p.Sent)).Milliseconds())
		}
		slices.SortStableFunc(p.Causes, func(a, b Share) int { return cmp.Compare(b.Count, a.Count) })
	}
	slices.SortStableFunc(out, func(a, b Provider) int {
		return cmp.Compare(b.Sent+b.Bounced+b.Deferred, a.Sent+a.Bounced+a.Deferred)
	})
	return out
}

// because counts a cause that stopped mail to the provider.
func (p *Provider) because(c *Cause, r tally.RelayReason) {
	for i := range p.Causes {
		if s := &p.Causes[i]; s.Kind == c.Kind && s.ID == c.ID {
			s.Count += r.Count
			s.Example = cmp.Or(s.Example, r.Example)
			return
		}
	}
	p.Causes = append(p.Causes, Share{Kind: c.Kind, ID: c.ID, Name: c.Name, Owner: c.Owner, Count: r.Count, Example: r.Example, name: c.name.Say()})
}

// main is the most frequent cause of a kind, "" for any. That the next attempt was not due is none where there is another.
func (p *Provider) main(kind string) (main Share, known bool) {
	for _, s := range p.Causes {
		if (kind == "" || s.Kind == kind) && (!known || main.ID == notTried) {
			main, known = s, true
		}
	}
	return main, known
}

// countries counts logins by country.
func countries(in *Input) []Country {
	if in.Locate == nil {
		return nil
	}
	n := map[string]int64{}
	for _, s := range in.Stats.Sources.Rows {
		ip, err := netip.ParseAddr(s.Key)
		if err != nil || s.Val.OK == 0 {
			continue
		}
		if p, ok := in.Locate(ip); ok {
			n[p.Country] += s.Val.OK
		}
	}
	out := make([]Country, 0, len(n))
	for c, k := range n {
		out = append(out, Country{c, k})
	}
	slices.SortFunc(out, func(a, b Country) int { return cmp.Or(cmp.Compare(b.OK, a.OK), cmp.Compare(a.Code, b.Code)) })
	return out
}

// changes sets the numbers of two periods side by side, per hour of each, so that periods of unequal length compare.
func changes(now, before *tally.Stats, pNow, pBefore []Provider) []Change {
	perHour := func(s *tally.Stats, n int64) float64 { return float64(n) / max(s.To.Sub(s.From).Hours(), 1) }
	a, b := now.Totals, before.Totals
	rate := func(what string, says finding.Sentence, x, y int64) Change {
		return Change{What: what, says: says, Now: perHour(now, x), Before: perHour(before, y)}
	}
	out := []Change{
		rate("received", finding.S("received per hour", nil), a.Received, b.Received),
		rate("delivered", finding.S("delivered per hour", nil), a.Delivered, b.Delivered),
		rate("deferrals", finding.S("deferrals per hour", nil), a.Deferrals, b.Deferrals),
		rate("bounced", finding.S("bounced per hour", nil), a.Bounced, b.Bounced),
		rate("rejected", finding.S("rejected per hour", nil), a.Rejected, b.Rejected),
		rate("logins_failed", finding.S("failed logins per hour", nil), a.LoginsFailed, b.LoginsFailed),
	}
	for _, p := range pNow {
		for _, q := range pBefore {
			if p.ID == q.ID && p.Sent+p.Bounced > 0 && q.Sent+q.Bounced > 0 {
				out = append(out, Change{What: "acceptance " + p.ID, says: finding.S("acceptance by {{.Provider}}", finding.Args{"Provider": p.name}),
					Now: p.Acceptance, Before: q.Acceptance, share: true})
			}
		}
	}
	return out
}
