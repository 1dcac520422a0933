package dmarc

import (
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/dmarc"
)

// Sections are the record tag by tag and the two readings side by side.
func Sections(f *Facts) []finding.Section {
	if f.Err != nil || f.Old == nil || f.New == nil {
		return nil
	}
	out := []finding.Section{readingsSection(f)}
	if rec := f.Record(); rec != nil {
		out = append([]finding.Section{recordSection(rec)}, out...)
	}
	return out
}

func recordSection(r *dmarc.Record) finding.Section {
	s := finding.Section{
		Title:   finding.S("Record at _dmarc.{{.Domain}}", finding.Args{"Domain": r.Domain}),
		Columns: []finding.Sentence{finding.S("tag", nil), finding.S("value", nil), finding.S("meaning", nil)},
	}
	for _, t := range r.Tags {
		row := finding.Cells(finding.Raw(t.Name), finding.Raw(t.Value), tagMeaning(strings.ToLower(t.Name)))
		for _, p := range r.Problems {
			if p.Pos >= t.Pos && p.Pos <= t.ValuePos+len(t.Value) && p.Code != dmarc.HistoricTag && p.Code != dmarc.NewerTag {
				w := finding.VerdictWarning
				row.Mark = &w
			}
		}
		s.Rows = append(s.Rows, row)
	}
	return s
}

func tagMeaning(name string) finding.Sentence {
	switch name {
	case "v":
		return finding.S("version", nil)
	case "p":
		return finding.S("what to do with failing mail of the domain", nil)
	case "sp":
		return finding.S("… of its subdomains", nil)
	case "np":
		return finding.S("… of names that do not exist (RFC 9989)", nil)
	case "adkim":
		return finding.S("how exactly the DKIM domain must agree: r relaxed, s strict", nil)
	case "aspf":
		return finding.S("how exactly the SPF domain must agree: r relaxed, s strict", nil)
	case "rua":
		return finding.S("where daily summaries go", nil)
	case "ruf":
		return finding.S("where reports about single messages go", nil)
	case "fo":
		return finding.S("when reports about single messages are wanted", nil)
	case "pct":
		return finding.S("share of failing mail the policy is for (RFC 7489 only)", nil)
	case "ri":
		return finding.S("seconds between summaries (RFC 7489 only)", nil)
	case "rf":
		return finding.S("format of single reports (RFC 7489 only)", nil)
	case "t":
		return finding.S("test mode: one step weaker (RFC 9989)", nil)
	case "psd":
		return finding.S("whether the domain is a public suffix (RFC 9989)", nil)
	}
	return finding.S("unknown, ignored", nil)
}

func readingsSection(f *Facts) finding.Section {
	s := finding.Section{
		Title: finding.S("What receivers do", nil),
		Columns: []finding.Sentence{
			finding.Raw(""), finding.S("receivers of RFC 7489", nil), finding.S("receivers of RFC 9989", nil),
		},
	}
	same := true
	row := func(what finding.Sentence, show func(*dmarc.Discovery) finding.Sentence) {
		a, b := show(f.Old), show(f.New)
		r := finding.Cells(what, a, b)
		if a.String() != b.String() {
			w := finding.VerdictWarning
			r.Mark, same = &w, false
		}
		s.Rows = append(s.Rows, r)
	}
	row(finding.S("record used", nil), func(d *dmarc.Discovery) finding.Sentence {
		if d.Record == nil {
			return finding.S("none", nil)
		}
		return finding.Raw("_dmarc." + d.Record.Domain)
	})
	row(finding.S("mail of this domain", nil), func(d *dmarc.Discovery) finding.Sentence { return effect(d, d.Policy) })
	row(finding.S("mail of existing subdomains", nil), func(d *dmarc.Discovery) finding.Sentence { return effect(d, d.Meaning.SP) })
	row(finding.S("mail of names that do not exist", nil), func(d *dmarc.Discovery) finding.Sentence { return effect(d, d.Meaning.NP) })
	row(finding.S("organizational domain", nil), func(d *dmarc.Discovery) finding.Sentence { return finding.Raw(d.Org) })
	s.Rows = append(s.Rows, finding.Cells(finding.S("names asked", nil), asked(f.Old), asked(f.New)))
	s.Folded = same
	return s
}

func asked(d *dmarc.Discovery) finding.Sentence {
	var names []string
	for _, q := range d.Asked {
		names = append(names, "_dmarc."+q.Domain)
	}
	return finding.Raw(strings.Join(names, " "))
}

// effect is what a receiver does with failing mail, in words.
func effect(d *dmarc.Discovery, p dmarc.Policy) finding.Sentence {
	switch {
	case !d.Applies():
		return finding.S("no DMARC", nil)
	case d.Meaning.Test && p != dmarc.None:
		return finding.S("{{.Policy}} ({{.Full}} in test mode)", finding.Args{"Policy": string(p.Lower()), "Full": string(p)})
	case d.Meaning.Pct < 100 && p != dmarc.None:
		return finding.S("{{.Policy}} for {{.Pct}}%, {{.Lower}} for the rest", finding.Args{"Policy": string(p), "Pct": strconv.Itoa(d.Meaning.Pct), "Lower": string(p.Lower())})
	}
	return finding.Raw(string(p))
}
