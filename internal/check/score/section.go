package score

import (
	"strconv"

	"github.com/mailwhy/mailwhy/internal/check/auth"
	"github.com/mailwhy/mailwhy/internal/check/results"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
)

func both(t knowledge.Text) finding.Sentence { return finding.Both(t.EN, t.ZH) }

func num(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func sections(f *Facts) []finding.Section {
	out := []finding.Section{points(f)}
	if f.Auth != nil {
		out = append(out, auth.Sections(f.Auth)...)
	}
	if len(f.Results) > 0 {
		out = append(out, results.Section(f.Results))
	}
	for _, x := range []struct {
		name string
		f    *Filter
	}{{"SpamAssassin", f.SpamAssassin}, {"rspamd", f.Rspamd}} {
		if x.f != nil && x.f.err == nil {
			out = append(out, filter(x.name, x.f))
		}
	}
	return append(out, unseen(f))
}

// points is the table of sections with the reason for each point lost.
func points(f *Facts) finding.Section {
	s := finding.Section{Columns: []finding.Sentence{finding.S("section", nil), finding.S("points", nil), finding.S("at most", nil), finding.S("why", nil)}}
	for _, x := range f.Sections {
		if !x.Tested {
			s.Rows = append(s.Rows, finding.Marked(finding.VerdictUntested, both(x.Name), finding.Raw("–"), finding.Raw(num(x.Max)), notTested(x.ID, f)))
			continue
		}
		mark := finding.VerdictPass
		switch {
		case x.Points <= x.Max/2:
			mark = finding.VerdictError
		case x.Points < x.Max:
			mark = finding.VerdictWarning
		}
		why := finding.S("nothing to find fault with", nil)
		if len(x.Lost) > 0 {
			why = x.Lost[0].Says
		}
		s.Rows = append(s.Rows, finding.Marked(mark, both(x.Name), finding.Raw(num(x.Points)), finding.Raw(num(x.Max)), why))
		for i := 1; i < len(x.Lost) && i < 6; i++ {
			s.Rows = append(s.Rows, finding.Cells(finding.Raw(""), finding.Raw(""), finding.Raw(""), x.Lost[i].Says))
		}
		if len(x.Lost) > 6 {
			s.Rows = append(s.Rows, finding.Cells(finding.Raw(""), finding.Raw(""), finding.Raw(""), finding.S("and {{.N}} more", finding.Args{"N": len(x.Lost) - 6})))
		}
	}
	return s
}

func notTested(id string, f *Facts) finding.Sentence {
	switch {
	case id == "authentication":
		return finding.S("no server that can be believed noted a result", nil)
	case id == "infrastructure" && f.offline:
		return finding.S("the network was not asked", nil)
	case id == "infrastructure":
		return finding.S("no address the message came in from", nil)
	case id == "links":
		return finding.S("the message has no links", nil)
	case id == "attachments":
		return finding.S("the message has no attachments", nil)
	case id == "unsubscribe":
		return finding.S("the message is no mailing", nil)
	}
	return finding.S("could not be tested", nil)
}

// filter lists the rules that matched, heaviest first.
func filter(name string, x *Filter) finding.Section {
	s := finding.Section{
		Title:   finding.S("{{.Name}} at {{.Where}}: {{.Score}} of {{.Required}}", finding.Args{"Name": name, "Where": x.Where, "Score": x.Score, "Required": x.Required}),
		Columns: []finding.Sentence{finding.S("points", nil), finding.S("rule", nil), finding.S("in its own words", nil)},
	}
	for i, r := range x.Rules {
		if i == 40 {
			break
		}
		s.Rows = append(s.Rows, finding.Cells(finding.Raw(num(r.Score)), finding.Raw(r.Name), finding.Raw(r.Text)))
	}
	return s
}

// unseen says what no look at a message can tell.
func unseen(f *Facts) finding.Section {
	s := finding.Section{Title: finding.S("What cannot be seen from here", nil)}
	add := func(x finding.Sentence) { s.Rows = append(s.Rows, finding.Cells(x)) }
	add(finding.S("the reputation of the domain and the address at each provider, and what its users did with earlier mail", nil))
	add(finding.S("filters that are trained for each mailbox, and rules the recipient set", nil))
	add(finding.S("the pages behind the links and the pictures: nothing inside a message is ever fetched", nil))
	if f.SpamAssassin == nil && f.Rspamd == nil {
		add(finding.S("the opinion of SpamAssassin or rspamd: name yours with --spamassassin HOST:PORT or --rspamd URL", nil))
	}
	return s
}

func headline(f *Facts, r *finding.Report) finding.Headline {
	h := r.Headline
	args := finding.Args{"Score": num(f.Score), "Tested": num(f.Tested)}
	switch {
	case f.Score >= 9:
		h.State = finding.StateOK
	case f.Score >= 6:
		h.State = finding.StateWarning
	default:
		h.State = finding.StateBroken
	}
	var worst *Loss
	for i := range f.Sections {
		for j := range f.Sections[i].Lost {
			if l := &f.Sections[i].Lost[j]; worst == nil || l.Points > worst.Points {
				worst = l
			}
		}
	}
	if worst == nil {
		h.Owner = finding.OwnerNobody
		h.Says = finding.S("{{.Score}} of 10, over the {{.Tested}} points that could be tested: nothing to find fault with.", args)
		return h
	}
	args["Worst"] = worst.Says
	h.Says = finding.S("{{.Score}} of 10, over the {{.Tested}} points that could be tested. Costs most: {{.Worst}}.", args)
	return h
}
