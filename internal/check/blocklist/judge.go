package blocklist

import (
	"cmp"
	"context"
	"slices"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
)

// heavy is the weight from which a listing keeps mail from arriving.
const heavy = 5

var (
	ruleListed = &finding.Rule{
		ID: "blocklist.listed", Severity: finding.Error, Owner: finding.OwnerServer,
		Title:  "listed on a blocklist that many receivers use",
		Says:   "{{.Subject}} is listed by {{.List}}: {{.Means}}",
		OK:     "{{.Subject}} is on none of the {{.N}} lists that could be tested",
		Why:    "Receivers that ask this list refuse the mail or put it into spam.",
		Repair: "First find and stop the cause (a hijacked account, a script, an infected machine, a newsletter without consent), then ask the list for removal. Asking without stopping leads to a longer listing.",
		Refs:   []finding.Ref{finding.RFC(5782, "2")},
	}
	ruleMinor = &finding.Rule{
		ID: "blocklist.listed-minor", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title:  "listed on a blocklist that few receivers use",
		Says:   "{{.Subject}} is listed by {{.List}}, which few receivers refuse mail for: {{.Means}}",
		Why:    "Taken alone it costs little, but it often comes before a listing that hurts.",
		Repair: "Look for the cause, then ask the list for removal where it offers that.",
		Refs:   []finding.Ref{finding.RFC(5782, "2")},
	}
	ruleNoted = &finding.Rule{
		ID: "blocklist.noted", Severity: finding.Note, Owner: finding.OwnerNobody,
		Title: "listed for information",
		Says:  "{{.Subject}} is listed by {{.List}}: {{.Means}}",
		Why:   "The list states a fact about the address, not a fault. Nobody should refuse mail for it.",
		Refs:  []finding.Ref{finding.RFC(5782, "2")},
	}
	ruleAsked = &finding.Rule{
		ID: "blocklist.answers", Severity: finding.Warning, Owner: finding.OwnerSelf,
		Title:  "blocklists without an answer that can be believed",
		Says:   "{{.N}} lists gave no answer that can be believed",
		OK:     "{{.N}} lists answered and passed their own test",
		Why:    "A list that does not answer, or answers wrongly, says nothing about the address.",
		Repair: "Ask through a resolver of your own (--resolver), not a public one; some lists want a key or a registration.",
		Refs:   []finding.Ref{finding.RFC(5782, "5")},
	}
)

// Rules lists every rule of this package.
var Rules = []*finding.Rule{ruleListed, ruleMinor, ruleNoted, ruleAsked}

// Judge says what to think of the answers.
func Judge(f *Facts) []finding.Finding {
	var out []finding.Finding
	for i := range f.Subjects {
		out = append(out, judge(&f.Subjects[i])...)
	}
	return out
}

func judge(s *Subject) []finding.Finding {
	var out []finding.Finding
	subject, prove := subjectOf(s), finding.Cmd("blocklist", s.Name)
	listed := s.Listings()
	slices.SortStableFunc(listed, func(a, b Entry) int { return cmp.Compare(b.Weight, a.Weight) })
	for _, e := range listed {
		rule := ruleMinor
		switch {
		case e.Weight >= heavy:
			rule = ruleListed
		case e.Weight == 0:
			rule = ruleNoted
		}
		fd := rule.Failed(subject, finding.Args{"Subject": s.Name, "List": e.Name, "Means": meaning(&e), "Delist": e.Delist}).
			With(evidence(&e)...).Prove(prove)
		if rule != ruleNoted {
			fd = fd.Mend(finding.Step{Kind: finding.Ask, Target: e.Name, New: e.Delist})
		}
		out = append(out, fd)
	}
	tested := s.Count(Clean) + s.Count(Good) + s.Count(Listed)
	if len(listed) == 0 && tested > 0 {
		out = append(out, ruleListed.Passed(subject, finding.Args{"Subject": s.Name, "N": tested}))
	}
	if tested > 0 {
		out = append(out, ruleAsked.Passed(subject, finding.Args{"N": tested}))
	}
	return append(out, untested(s, subject)...)
}

// untested makes one finding of all lists that could not be tested for the same reason.
func untested(s *Subject, subject finding.Subject) []finding.Finding {
	var out []finding.Finding
	for _, r := range []Reason{Refused, NeedsKey, ListsAll, ListsNone, Rewritten, UnknownCode, NoAnswer} {
		var names []string
		var ev []finding.Evidence
		for i := range s.Entries {
			if e := &s.Entries[i]; e.State == Untested && e.Reason == r {
				names = append(names, e.Name)
				if e.Detail != "" {
					ev = append(ev, finding.Evidence{Source: "dns", Place: e.Query, Raw: e.Detail})
				}
			}
		}
		if len(names) > 0 {
			f := ruleAsked.Untested(subject, why(r, names)).With(ev[:min(len(ev), 5)]...)
			f.Args = finding.Args{"N": len(names)}
			out = append(out, f)
		}
	}
	return out
}

// namesShown bounds the names in a sentence; the table has them all.
const namesShown = 6

func why(r Reason, names []string) finding.Sentence {
	args := finding.Args{"Lists": names, "N": len(names)}
	if len(names) > namesShown {
		args["Lists"] = finding.S("{{list .Names}} and others ({{.All}} in all)", finding.Args{"Names": names[:namesShown-1], "All": len(names)})
	}
	switch r {
	case Refused:
		return finding.S("{{list .Lists}} {{plural .N \"refuses\" \"refuse\"}} questions from this resolver: public or busy resolvers are turned away; ask through one of your own (--resolver) or with a key", args)
	case NeedsKey:
		return finding.S("{{list .Lists}} {{plural .N \"answers\" \"answer\"}} registered resolvers only", args)
	case ListsAll:
		return finding.S("{{list .Lists}} {{plural .N \"lists\" \"list\"}} even the address that must never be listed, so a listing there means nothing", args)
	case ListsNone:
		return finding.S("{{list .Lists}} {{plural .N \"does\" \"do\"}} not list even the test entry, so silence there means nothing", args)
	case Rewritten:
		return finding.S("answers for {{list .Lists}} are no blocklist answers: a resolver that invents addresses for missing names, or a zone in other hands", args)
	case UnknownCode:
		return finding.S("{{list .Lists}} {{plural .N \"gives\" \"give\"}} an answer whose meaning is not known", args)
	}
	return finding.S("no answer from {{list .Lists}}", args)
}

// meaning says what a listing means, from the table, in both languages; the raw answer where the table is silent.
func meaning(e *Entry) finding.Sentence {
	if len(e.meanings) == 0 {
		return finding.Raw(joined(e.Answers))
	}
	t := e.meanings[0]
	return tableText(t)
}

// tableText makes a sentence of a table's text. Tables carry their own Chinese, which is not in the catalogue.
func tableText(t knowledge.Text) finding.Sentence { return finding.Both(t.EN, t.ZH) }

func joined(s []string) string {
	out := ""
	for i, x := range s {
		if i > 0 {
			out += " "
		}
		out += x
	}
	return out
}

func evidence(e *Entry) []finding.Evidence {
	ev := []finding.Evidence{{Source: "dns", Place: e.Query, Raw: joined(e.Answers)}}
	for _, t := range e.Text {
		ev = append(ev, finding.Evidence{Source: "dns", Place: e.Query + " TXT", Raw: t})
	}
	return ev
}

// Sections are the tables of answers, a section per subject.
func Sections(f *Facts) []finding.Section {
	var out []finding.Section
	for i := range f.Subjects {
		s := &f.Subjects[i]
		sec := finding.Section{
			Title: finding.S("Lists asked about {{.Subject}}: {{.Listed}} list it, {{.Clean}} do not, {{.Untested}} could not be tested",
				finding.Args{"Subject": s.Name, "Listed": s.Count(Listed), "Clean": s.Count(Clean) + s.Count(Good), "Untested": s.Count(Untested)}),
			Columns: []finding.Sentence{finding.S("list", nil), finding.S("weight", nil), finding.S("answer", nil), finding.S("TTL", nil), finding.S("time", nil), finding.S("meaning", nil)},
		}
		entries := slices.Clone(s.Entries)
		slices.SortStableFunc(entries, func(a, b Entry) int {
			return cmp.Or(cmp.Compare(rank(a.State), rank(b.State)), cmp.Compare(b.Weight, a.Weight))
		})
		for _, e := range entries {
			sec.Rows = append(sec.Rows, row(&e))
		}
		out = append(out, sec)
	}
	if len(f.Dead) > 0 {
		sec := finding.Section{Title: finding.S("Not asked, because they are dead", nil), Folded: true}
		for _, d := range f.Dead {
			sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(d)))
		}
		out = append(out, sec)
	}
	return out
}

func rank(s State) int { return slices.Index([]State{Listed, Untested, Good, Clean}, s) }

func row(e *Entry) finding.Row {
	ttl := finding.Raw("")
	if e.State == Listed {
		ttl = finding.S("{{.D}}", finding.Args{"D": e.TTL})
	}
	cells := []finding.Sentence{finding.Raw(e.Name), finding.S("{{.N}}", finding.Args{"N": e.Weight}), finding.Raw(joined(e.Answers)), ttl, finding.S("{{.D}}", finding.Args{"D": e.Took}), rowMeaning(e)}
	v := finding.VerdictPass
	switch e.State {
	case Listed:
		v = finding.VerdictWarning
		if e.Weight >= heavy {
			v = finding.VerdictError
		} else if e.Weight == 0 {
			v = finding.VerdictNote
		}
	case Untested:
		v = finding.VerdictUntested
	}
	return finding.Marked(v, cells...)
}

func rowMeaning(e *Entry) finding.Sentence {
	switch {
	case e.State == Clean:
		return finding.S("not listed", nil)
	case e.State != Untested:
		return meaning(e)
	}
	switch e.Reason {
	case Refused:
		return finding.S("refuses this resolver", nil)
	case NeedsKey:
		return finding.S("answers registered resolvers only", nil)
	case ListsAll:
		return finding.S("lists everything: dead or broken", nil)
	case ListsNone:
		return finding.S("its own test entry is missing", nil)
	case Rewritten:
		return finding.S("not a blocklist answer: {{.Answer}}", finding.Args{"Answer": e.Detail})
	case UnknownCode:
		return finding.S("unknown answer {{.Answer}}", finding.Args{"Answer": e.Detail})
	}
	return finding.S("no answer", nil)
}

// Brief says what to think of the answers where blocklists are one topic of many: what is listed, and one line where
// nothing could be tested. Which lists did not answer is for `mailwhy blocklist` to tell.
func Brief(f *Facts) []finding.Finding {
	var out []finding.Finding
	for i := range f.Subjects {
		s := &f.Subjects[i]
		fs := judge(s)
		tested := slices.ContainsFunc(fs, func(x finding.Finding) bool { return x.Rule == ruleAsked && x.Outcome == finding.Pass })
		fs = slices.DeleteFunc(fs, func(x finding.Finding) bool { return x.Rule == ruleAsked })
		if !tested && len(s.Entries) > 0 {
			fs = append(fs, ruleAsked.Untested(subjectOf(s), finding.S("none of the {{.N}} blocklists gave an answer that can be believed", finding.Args{"N": len(s.Entries)})).
				Prove(finding.Cmd("blocklist", s.Name)))
		}
		out = append(out, fs...)
	}
	return out
}

// Checks are for the addresses of a domain's mail servers and the domain itself.
var Checks = []check.Check[check.Servers]{{Name: "blocklist", Rules: Rules, Run: func(ctx context.Context, env *check.Env, t check.Servers) ([]finding.Finding, error) {
	var subjects []string
	for _, a := range t.Addresses() {
		if a.Addr.IsGlobalUnicast() && !a.Addr.IsPrivate() {
			subjects = append(subjects, a.Addr.String())
		}
	}
	if t.Domain != "" {
		subjects = append(subjects, t.Domain)
	}
	f, err := Look(ctx, env, subjects[:min(len(subjects), 20)], Options{})
	if err != nil {
		return nil, err
	}
	return Brief(f), nil
}}}

// Survey is the report of `mailwhy blocklist SUBJECT…`.
func Survey(ctx context.Context, env *check.Env, subjects []string, opt Options) (*finding.Report, error) {
	start := env.Now()
	f, err := Look(ctx, env, subjects, opt)
	if err != nil {
		return nil, err
	}
	if opt.History != nil && ctx.Err() == nil {
		if err := remember(ctx, opt.History, f, start); err != nil {
			return nil, err
		}
	}
	target := subjectOf(&f.Subjects[0])
	if len(f.Subjects) > 1 {
		target.Name = joined(subjects)
	}
	r := check.NewReport(env, "blocklist", target, start, Judge(f), append(Sections(f), pastSections(f)...), f)
	if h := notListed(f, target); h != nil {
		r.Headline = *h
	}
	return r, nil
}

// notListed is the headline where no list lists anything and some could be tested; nil otherwise.
func notListed(f *Facts, target finding.Subject) *finding.Headline {
	var tested, untested int
	for i := range f.Subjects {
		s := &f.Subjects[i]
		if s.Count(Listed) > 0 {
			return nil
		}
		untested += s.Count(Untested)
		tested += s.Count(Clean) + s.Count(Good)
	}
	if tested == 0 {
		return nil
	}
	return &finding.Headline{State: finding.StateOK, Says: finding.S(
		"{{.Subject}} is on none of the {{.Tested}} blocklists that could be tested{{if .Untested}}; {{.Untested}} gave no answer that can be believed{{end}}.",
		finding.Args{"Subject": target.Name, "Tested": tested, "Untested": untested})}
}
