package court

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail"
)

// Judge says what to think of all that was said.
func Judge(f *Facts) []finding.Finding {
	var out []finding.Finding
	out = append(out, f.judgeHosts()...)
	if f.Offline {
		fd := ruleAgree.Untested(f.subject(), finding.S("the network may not be asked (--offline)", nil))
		level := finding.Error
		fd.Severity = &level
		return append(out, fd)
	}
	out = append(out, f.judgeRoot()...)
	out = append(out, f.judgeZone()...)
	out = append(out, f.judgeResolvers()...)
	out = append(out, f.judgeInvented()...)
	met := len(f.Expect) == 0
	for i := range f.Questions {
		q := &f.Questions[i]
		for j := range q.Says {
			met = met || q.Says[j].Standing == Declared || f.declared(&q.Says[j])
		}
		out = append(out, f.judgeQuestion(q)...)
	}
	if !met && f.anybody() {
		out = append(out, ruleExpected.Failed(f.subject(), finding.Args{"Expect": f.Expect}))
	}
	return out
}

func (f *Facts) subject() finding.Subject { return finding.Domain(f.Name) }

func (f *Facts) prove(q *Question, more ...string) finding.Command {
	return finding.Cmd("resolve", append([]string{f.Name, q.Type}, more...)...)
}

// anybody tells whether anybody answered anything.
func (f *Facts) anybody() bool {
	for i := range f.Questions {
		if slices.ContainsFunc(f.Questions[i].Says, func(t Testimony) bool { return t.Fault == "" }) {
			return true
		}
	}
	return false
}

func (f *Facts) judgeHosts() []finding.Finding {
	if f.Local == nil {
		return nil
	}
	if f.Local.Fault != "" {
		return []finding.Finding{ruleHosts.Untested(f.subject(), finding.Raw(f.Local.Fault))}
	}
	args := finding.Args{"File": f.Local.File, "Name": f.Name, "Wins": f.Local.Wins}
	if len(f.Local.Lines) == 0 {
		return []finding.Finding{ruleHosts.Passed(f.subject(), args)}
	}
	var values []string
	var ev []finding.Evidence
	for _, l := range f.Local.Lines {
		values = append(values, l.Addr.String())
		ev = append(ev, finding.Evidence{Source: "file", Place: f.Local.File, Raw: l.Text})
	}
	args["Line"], args["Value"], args["New"] = f.Local.Lines[0].Line, strings.Join(values, ", "), ""
	fd := ruleHosts.Failed(f.subject(), args).With(ev...)
	note, agree := finding.Note, true
	for i := range f.Questions {
		q := &f.Questions[i]
		truth := truths(q.Says)
		if q.t != mail.TypeA && q.t != mail.TypeAAAA || len(truth) == 0 {
			continue
		}
		for _, l := range f.Local.Lines {
			if l.Addr.Is4() == (q.t == mail.TypeA) {
				agree = agree && strings.Contains("\n"+strings.Join(slices.Collect(maps.Keys(truth)), "\n")+"\n", "\n"+l.Addr.String()+"\n")
			}
		}
		args["New"] = right(q)
	}
	if agree {
		fd.Severity = &note
	}
	return []finding.Finding{fd.Prove(finding.Cmd("resolve", f.Name))}
}

// judgeRoot tells whether questions reach whom they are sent to. A root server that cannot be reached says nothing.
func (f *Facts) judgeRoot() []finding.Finding {
	switch {
	case f.Root == nil || f.Root.Fault != "":
		return nil
	case !f.Intercepted():
		return []finding.Finding{ruleIntercepted.Passed(f.subject(), nil)}
	}
	r := f.Root
	return []finding.Finding{ruleIntercepted.Failed(f.subject(), finding.Args{"Server": r.Server, "Rcode": r.Rcode, "RA": r.flag("RA")}).
		With(finding.Evidence{Source: "dns", Place: r.Server, At: r.At, Raw: ". SOA " + r.Rcode + " " + strings.Join(r.Flags, " ")}).
		Prove(finding.Cmd("resolve", f.Name))}
}

// judgeZone judges the authoritative servers, once for all questions.
func (f *Facts) judgeZone() []finding.Finding {
	if len(f.Zones) == 0 {
		why := finding.S("the authoritative servers were not found: {{.Text}}", finding.Args{"Text": f.ZoneFault})
		return []finding.Finding{ruleAuthority.Untested(f.subject(), why)}
	}
	var out []finding.Finding
	q := &f.Questions[0]
	good := len(authorities(q.Says))
	zone := cmp.Or(f.Zones[len(f.Zones)-1].Zone, ".")
	if good == 0 {
		return []finding.Finding{ruleAuthority.Untested(f.subject(), finding.S("no authoritative server of {{.Zone}} answered from here", finding.Args{"Zone": zone}))}
	}
	for i := range q.Says {
		t := &q.Says[i]
		if t.Role == Authority && (t.Standing == Silent || t.Standing == Refuses) {
			out = append(out, ruleAuthority.Failed(f.subject(), finding.Args{"Who": t.Who, "Server": t.Server, "Zone": zone, "Fault": t.Fault, "Rcode": t.Rcode}).
				With(evidence(f, q, t)).Prove(finding.Cmd("check", zone)))
		}
	}
	if len(out) == 0 {
		out = append(out, ruleAuthority.Passed(f.subject(), finding.Args{"N": good, "Zone": zone}))
	}
	return out
}

// judgeResolvers tells which of this machine's resolvers are dead or slow. Where nobody answers at all, it is the
// network, and nothing can be said.
func (f *Facts) judgeResolvers() []finding.Finding {
	if f.SystemFail != "" {
		return []finding.Finding{ruleDead.Untested(f.subject(), finding.Raw(f.SystemFail))}
	}
	worst := map[string]*Testimony{}
	var names []string
	for i := range f.Questions {
		for j := range f.Questions[i].Says {
			t := &f.Questions[i].Says[j]
			if t.Role != System {
				continue
			}
			w := worst[t.Server]
			if w == nil {
				names = append(names, t.Server)
			}
			if w == nil || w.Fault != "" && t.Fault == "" || t.Fault == "" && t.Took > w.Took {
				worst[t.Server] = t
			}
		}
	}
	var out []finding.Finding
	var alive int
	var slowest time.Duration
	for _, n := range names {
		t := worst[n]
		at := finding.Subject{Kind: finding.KindService, Name: n}
		args := finding.Args{"Server": n, "Fault": t.Fault, "Took": t.Took}
		switch {
		case t.Fault != "" && !f.anybody():
			out = append(out, ruleDead.Untested(at, finding.S("nobody answered at all: this machine seems to have no way to the DNS", nil)))
		case t.Standing == NoWay:
			out = append(out, ruleDead.Untested(at, finding.S("this machine has no way to {{.Server}}", args)))
		case t.Fault != "":
			out = append(out, ruleDead.Failed(at, args))
		case t.Took > f.Slow:
			out = append(out, ruleSlow.Failed(at, args))
		default:
			alive++
			slowest = max(slowest, t.Took)
		}
	}
	if alive > 0 && alive == len(names) {
		out = append(out, ruleDead.Passed(f.subject(), finding.Args{"N": alive}), ruleSlow.Passed(f.subject(), finding.Args{"Took": slowest}))
	}
	return out
}

func (f *Facts) judgeInvented() []finding.Finding {
	rs := f.rewriters()
	if len(rs) == 0 {
		if !slices.ContainsFunc(f.Invented, func(i Invented) bool { return i.Role != Authority && i.Rcode == "NXDOMAIN" }) {
			return nil
		}
		return []finding.Finding{ruleRewritten.Passed(f.subject(), nil)}
	}
	args := finding.Args{"Value": strings.Join(rs[0].Values, ", "), "Random": rs[0].Name}
	var who []string
	level := finding.Warning
	fd := ruleRewritten.Failed(f.subject(), args)
	for _, r := range rs {
		who = append(who, r.Who)
		if r.Role == System {
			level = finding.Error
		}
		fd = fd.With(finding.Evidence{Source: "dns", Place: r.Server, At: f.At, Raw: r.Name + " A " + strings.Join(r.Values, ", ")})
	}
	args["Who"] = who
	fd.Severity = &level
	return []finding.Finding{fd.Prove(finding.Cmd("resolve", f.Name))}
}

// judgeQuestion judges the answers to one type.
func (f *Facts) judgeQuestion(q *Question) []finding.Finding {
	out := f.judgeTruth(q)
	groups := map[string][]*Testimony{}
	for i := range q.Says {
		t := &q.Says[i]
		if t.Role != Authority {
			k := string(t.Standing) + "\n" + t.key()
			if t.Standing == Refuses {
				k = string(t.Standing) + t.Rcode
			}
			groups[k] = append(groups[k], t)
		}
	}
	plain := true
	for _, k := range slices.Sorted(maps.Keys(groups)) {
		if fd := f.judgeGroup(q, groups[k]); fd != nil {
			out = append(out, *fd)
			plain = plain && fd.Outcome != finding.Fail
		}
	}
	return append(out, f.judgeUnity(q, plain)...)
}

// judgeTruth holds the authoritative servers against each other.
func (f *Facts) judgeTruth(q *Question) []finding.Finding {
	as := authorities(q.Says)
	by := split(as)
	switch {
	case len(by) == 1 && len(as) > 1:
		return []finding.Finding{ruleAuthorities.Passed(f.subject(), finding.Args{"Type": q.Type, "N": len(as)})}
	case len(by) < 2:
		return nil
	case turns(q.Says) && (q.t == mail.TypeA || q.t == mail.TypeAAAA):
		return []finding.Finding{ruleVaries.Failed(f.subject(), finding.Args{"Type": q.Type, "N": len(by), "From": len(as)})}
	}
	var answers []string
	fd := ruleAuthorities.Failed(f.subject(), nil)
	for _, k := range slices.Sorted(maps.Keys(by)) {
		t := by[k][0]
		answers = append(answers, t.Who+" ("+t.Server+") "+shownKey(k)+serialText(t))
		fd = fd.With(evidence(f, q, t))
	}
	fd.Args = finding.Args{"Type": q.Type, "Answers": answers}
	return []finding.Finding{fd.Prove(f.prove(q, "--watch"))}
}

func serialText(t *Testimony) string {
	if t.Serial == "" {
		return ""
	}
	return " [SOA " + t.Serial + "]"
}

// judgeGroup makes one finding of all who gave the same answer and have the same standing; nil where there is nothing
// to say.
func (f *Facts) judgeGroup(q *Question, ts []*Testimony) *finding.Finding {
	t := ts[0]
	rule := map[Standing]*finding.Rule{Old: rulePropagation, Stale: ruleStale, Filtered: ruleFiltered, Inside: ruleView, Declared: ruleView,
		Foreign: ruleForeign, Refuses: ruleLame}[t.Standing]
	if rule == nil || t.Standing == Refuses && len(truths(q.Says)) == 0 {
		return nil
	}
	args := finding.Args{"Type": q.Type, "Value": shownKey(t.key()), "Old": shownKey(t.key()), "New": right(q), "Rcode": t.Rcode, "TTL": t.TTL, "Known": finding.Sentence{}}
	fd := rule.Failed(f.subject(), args)
	if t.Standing == Declared {
		fd.Outcome = finding.Pass
	}
	var who []string
	var until, due time.Time
	ours := false
	for _, x := range ts {
		who = append(who, x.Who)
		ours = ours || x.Role == System
		if e := x.At.Add(x.TTL); e.After(until) {
			until = e
		}
		if x.Due.After(due) {
			due = x.Due
		}
		fd = fd.With(evidence(f, q, x))
	}
	args["Who"], args["Until"], args["Left"], args["Due"] = who, until, until.Sub(f.At), due
	if args["New"] == "" {
		args["New"] = finding.S("nothing, for none answered", nil)
	}
	args["EDE"] = ""
	if len(t.EDE) > 0 {
		args["EDE"] = t.EDE[0].String()
	}
	if t.Again != nil {
		args["Later"] = t.Again.TTL
	} else {
		args["Later"] = t.TTL
	}
	if t.Filter != (knowledge.Text{}) {
		args["Known"] = t.Filter.Say()
	} else {
		args["Known"] = ""
	}
	if !ours && fd.Outcome == finding.Fail {
		fd.Severity = elsewhere(t)
		owner := finding.OwnerResolver
		if t.Standing == Refuses {
			fd.Owner = &owner
		}
	}
	fd = fd.Prove(f.prove(q))
	if t.Standing == Old {
		fd = fd.Prove(f.prove(q, "--watch"))
	}
	return &fd
}

// elsewhere is how bad it is when only public resolvers do it: others are hit, this machine is not. A refusal, or a
// filter that is meant so, says nothing about the domain.
func elsewhere(t *Testimony) *finding.Severity {
	level := finding.Warning
	switch {
	case t.Standing == Refuses && t.Rcode == "REFUSED", t.Standing == Inside, t.Standing == Filtered && t.Filter != (knowledge.Text{}):
		level = finding.Note
	}
	return &level
}

// judgeUnity says whether all that answered agree. plain tells that no more telling finding was made.
func (f *Facts) judgeUnity(q *Question, plain bool) []finding.Finding {
	truth := truths(q.Says)
	var varies, from int
	keys := map[string]bool{}
	n := 0
	for i := range q.Says {
		switch t := &q.Says[i]; t.Standing {
		case Agrees, Declared:
			n++
		case Unjudged:
			n++
			keys[t.key()] = true
		case Varies:
			from++
			keys[t.key()] = true
		}
	}
	if from > 0 {
		varies = len(keys) + len(truth)
		return []finding.Finding{ruleVaries.Failed(f.subject(), finding.Args{"Type": q.Type, "N": varies, "From": n + from})}
	}
	args := finding.Args{"Type": q.Type, "N": n, "Value": right(q), "Proved": len(truth) > 0}
	switch {
	case n == 0 && len(truth) == 0:
		fd := ruleAgree.Untested(f.subject(), finding.S("{{.Type}}: nobody answered", finding.Args{"Type": q.Type}))
		level := finding.Error
		fd.Severity = &level
		return []finding.Finding{fd}
	case len(truth) == 0 && len(keys) > 1:
		args["N"] = len(keys)
		return []finding.Finding{ruleAgree.Failed(f.subject(), args).Prove(f.prove(q))}
	case len(truth) < 2 && plain:
		if len(truth) == 0 {
			args["Value"] = shownKey(slices.Collect(maps.Keys(keys))[0])
		}
		return []finding.Finding{ruleAgree.Passed(f.subject(), args)}
	}
	return nil
}

// right is the answer of the authoritative servers as it is shown.
func right(q *Question) string {
	keys := slices.Sorted(maps.Keys(truths(q.Says)))
	for i := range keys {
		keys[i] = shownKey(keys[i])
	}
	return strings.Join(keys, " | ")
}

// shownKey writes an answer on one line.
func shownKey(k string) string { return strings.ReplaceAll(k, "\n", ", ") }

func evidence(f *Facts, q *Question, t *Testimony) finding.Evidence {
	raw := f.Name + " " + q.Type + " " + shownKey(t.key())
	switch {
	case t.Fault != "":
		raw = t.Fault
	case !t.spoke():
		raw = f.Name + " " + q.Type + " " + t.Rcode
	}
	for _, e := range t.EDE {
		raw += " (" + e.String() + ")"
	}
	return finding.Evidence{Source: "dns", Place: t.Server, At: t.At, Raw: raw}
}

// agreed is the headline where all agree; nil where there is more to say. Without an authority nothing is proved.
func agreed(f *Facts) *finding.Headline {
	var parts []string
	n := 0
	for i := range f.Questions {
		q := &f.Questions[i]
		if len(truths(q.Says)) != 1 {
			return unproved(f)
		}
		for j := range q.Says {
			switch q.Says[j].Standing {
			case Agrees:
				n++
			case Declared, Varies:
				return nil
			}
		}
		parts = append(parts, q.Type+" "+cmp.Or(right(q), "NODATA"))
	}
	return &finding.Headline{State: finding.StateOK, Says: finding.S("{{.Name}}: all who answered agree: {{.Answers}}.",
		finding.Args{"Name": f.Name, "Answers": strings.Join(parts, "; ")})}
}

// unproved is the headline where those who answered agree and no authority could be asked; nil otherwise.
func unproved(f *Facts) *finding.Headline {
	var parts []string
	n := 0
	for i := range f.Questions {
		q := &f.Questions[i]
		by := split(q.Says)
		if len(by) != 1 || len(truths(q.Says)) > 0 {
			return nil
		}
		for k, ts := range by {
			n = max(n, len(ts))
			parts = append(parts, q.Type+" "+shownKey(k))
		}
	}
	return &finding.Headline{State: finding.StateUntested, Says: finding.S("{{.Name}}: the {{.N}} who answered agree ({{.Answers}}), but no authoritative server could be asked: nothing is proved.",
		finding.Args{"Name": f.Name, "N": n, "Answers": strings.Join(parts, "; ")})}
}
