package score

import (
	"math"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/auth"
	"github.com/mailwhy/mailwhy/internal/check/blocklist"
	"github.com/mailwhy/mailwhy/internal/check/content"
	"github.com/mailwhy/mailwhy/internal/check/fields"
	"github.com/mailwhy/mailwhy/internal/check/hops"
	"github.com/mailwhy/mailwhy/internal/check/lookalike"
	"github.com/mailwhy/mailwhy/internal/check/ptr"
	"github.com/mailwhy/mailwhy/internal/check/results"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
)

var ruleFilter = &finding.Rule{
	ID: "filter.spam", Severity: finding.Warning, Owner: finding.OwnerSender,
	Title:  "A filter of your own takes the message for spam",
	Says:   "{{.Name}} at {{.Where}} gives {{.Score}} of {{.Required}} points{{if .Action}} ({{.Action}}){{end}}: spam",
	OK:     "{{.Name}} at {{.Where}} gives {{.Score}} of {{.Required}} points{{if .Action}} ({{.Action}}){{end}}: not spam",
	Why:    "Many receivers run the same filter with much the same rules.",
	Repair: "Mend the heaviest rules of its list first.",
}

// Rules lists what this survey says itself.
var Rules = []*finding.Rule{ruleFilter}

func judge(f *Facts, t tableSet, s finding.Subject) []finding.Finding {
	var out []finding.Finding
	// What was verified here goes before what others noted.
	if f.Auth != nil {
		out = append(out, auth.Judge(f.Auth, s)...)
	} else {
		out = append(out, results.Judge(f.Results, s)...)
	}
	if f.PTR != nil {
		out = append(out, ptr.Judge(f.PTR, "")...)
	}
	if f.Lists != nil {
		out = append(out, blocklist.Judge(f.Lists)...)
	}
	matches := alike(f.Header, t.brands)
	for _, m := range matches {
		out = append(out, lookalike.Judge(m, finding.S("The sender's domain", nil), s))
	}
	if len(matches) == 0 {
		out = append(out, lookalike.Clean(s))
	}
	out = append(out, content.Judge(f.Content, t.content, s)...)
	if f.linkLists != nil {
		listed, asked := map[string][]string{}, 0
		for i := range f.linkLists.Subjects {
			x := &f.linkLists.Subjects[i]
			if x.Count(blocklist.Clean)+x.Count(blocklist.Listed)+x.Count(blocklist.Good) > 0 {
				asked++
			}
			for _, e := range x.Listings() {
				if e.Weight > 0 {
					listed[x.Name] = append(listed[x.Name], e.Name)
				}
			}
		}
		out = append(out, content.JudgeBlocked(listed, asked, s)...)
	}
	out = append(out, fields.Judge(f.Header, fields.Context{Arrived: arrived(f.Path), Freemail: t.brands.Freemail}, s)...)
	if len(f.Path.Hops) > 0 {
		out = append(out, hops.Judge(f.Path, s)...)
	}
	return append(out, judgeFilters(f, s)...)
}

func arrived(p *hops.Path) time.Time {
	if p.Border > 0 && p.Hops[p.Border-1].Skew == nil {
		return p.Hops[p.Border-1].Time
	}
	return time.Time{}
}

func judgeFilters(f *Facts, s finding.Subject) []finding.Finding {
	var out []finding.Finding
	for _, x := range []struct {
		name string
		f    *Filter
	}{{"SpamAssassin", f.SpamAssassin}, {"rspamd", f.Rspamd}} {
		switch {
		case x.f == nil:
		case x.f.err != nil:
			out = append(out, ruleFilter.Untested(s, check.Why(x.f.err)))
		default:
			args := finding.Args{"Name": x.name, "Where": x.f.Where, "Score": x.f.Score, "Required": x.f.Required, "Action": x.f.Action}
			if x.f.Spam {
				out = append(out, ruleFilter.Failed(s, args))
			} else {
				out = append(out, ruleFilter.Passed(s, args))
			}
		}
	}
	return out
}

// weigh gives every section its points: its maximum less what the findings of its topics cost. A section counts as
// tested where a rule of its topics passed or failed.
func (f *Facts) weigh(fs []finding.Finding, t *knowledge.Score) {
	got, tested := 0.0, 0.0
	for _, sec := range t.Section {
		s := Section{ID: sec.ID, Name: sec.Name, Max: sec.Max}
		lost := 0.0
		said := map[*finding.Rule]bool{}
		for i := range fs {
			x := &fs[i]
			if !of(sec.Topics, x.Rule.Topic()) || x.Outcome != finding.Pass && x.Outcome != finding.Fail {
				continue
			}
			s.Tested = true
			if p := cost(x, t); p > 0 && x.Outcome == finding.Fail {
				// The second finding of the same rule tells nothing new of the sender.
				if !said[x.Rule] {
					lost += p
				}
				said[x.Rule] = true
				s.Lost = append(s.Lost, Loss{x.Rule.ID, p, x.Says()})
			}
		}
		s.Points = round(sec.Max - min(lost, sec.Max))
		if s.Tested {
			got, tested = got+s.Points, tested+s.Max
		}
		f.Sections = append(f.Sections, s)
	}
	if tested > 0 {
		f.Score = round(10 * got / tested)
	}
	f.Tested = round(tested)
}

func of(topics []string, topic string) bool {
	for _, t := range topics {
		if t == topic {
			return true
		}
	}
	return false
}

func cost(x *finding.Finding, t *knowledge.Score) float64 {
	if p, ok := t.Points[x.Rule.ID]; ok {
		return p
	}
	return t.Severity[x.Level().String()]
}

func round(v float64) float64 { return math.Round(v*10) / 10 }
