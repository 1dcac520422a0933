package court

import (
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// Sections shows who said what, a table per type, and how the authoritative servers were found.
func Sections(f *Facts) []finding.Section {
	var out []finding.Section
	for i := range f.Questions {
		q := &f.Questions[i]
		s := finding.Section{Title: finding.S("Who says what: {{.Name}} {{.Type}}", finding.Args{"Name": f.Name, "Type": q.Type}),
			Columns: []finding.Sentence{finding.S("who", nil), finding.S("says", nil), finding.S("TTL", nil), finding.S("flags", nil), finding.S("took", nil), finding.S("verdict", nil)}}
		if q.t == mail.TypeA || q.t == mail.TypeAAAA {
			s.Rows = append(s.Rows, hostsRows(f, q)...)
		}
		for j := range q.Says {
			s.Rows = append(s.Rows, row(&q.Says[j]))
		}
		if len(s.Rows) > 0 {
			out = append(out, s)
		}
	}
	if w := walkSection(f); len(w.Rows) > 0 {
		out = append(out, w)
	}
	return out
}

func hostsRows(f *Facts, q *Question) []finding.Row {
	if f.Local == nil {
		return nil
	}
	var out []finding.Row
	for _, l := range f.Local.Lines {
		if l.Addr.Is4() == (q.t == mail.TypeA) {
			word := finding.S("the DNS is asked before it", nil)
			if f.Local.Wins {
				word = finding.S("wins over the DNS on this machine", nil)
			}
			out = append(out, finding.Cells(finding.Raw(f.Local.File+":"+strconv.Itoa(l.Line)), finding.Raw(l.Addr.String()), finding.Sentence{}, finding.Sentence{}, finding.Sentence{}, word))
		}
	}
	return out
}

func row(t *Testimony) finding.Row {
	who := finding.Raw(t.Who)
	switch {
	case t.Role == Authority:
		who = finding.S("{{.Who}} ({{.Server}}), authoritative", finding.Args{"Who": t.Who, "Server": strings.TrimSuffix(t.Server, ":53")})
	case t.Role == System:
		who = finding.S("{{.Server}}, of this machine", finding.Args{"Server": t.Server})
	case t.Who != t.Server && t.Who != strings.TrimSuffix(t.Server, ":53"):
		who = finding.Raw(t.Who + " (" + strings.TrimSuffix(t.Server, ":53") + ")")
	}
	if t.Fault != "" {
		return finding.Marked(markOf(t), who, finding.S("no answer", nil), finding.Sentence{}, finding.Sentence{}, took(t), verdict(t))
	}
	says := t.Rcode
	if t.spoke() {
		says = shownKey(t.key())
		if len(t.Chain) > 0 {
			says = "→ " + strings.Join(t.Chain, " → ") + ": " + says
		}
	}
	for _, e := range t.EDE {
		says += " (" + e.String() + ")"
	}
	var ttl finding.Sentence
	if t.spoke() && (len(t.Values) > 0 || t.SOA != "") {
		ttl = finding.S("{{.D}}", finding.Args{"D": t.TTL})
		if t.TTL < time.Second {
			ttl = finding.Raw("0")
		}
	}
	return finding.Marked(markOf(t), who, finding.Raw(says), ttl, finding.Raw(strings.Join(t.Flags, " ")), took(t), verdict(t))
}

func took(t *Testimony) finding.Sentence {
	return finding.S("{{.D}}", finding.Args{"D": t.Took})
}

func markOf(t *Testimony) finding.Verdict {
	switch t.Standing {
	case Agrees, Declared:
		return finding.VerdictPass
	case Old, Inside, Varies:
		return finding.VerdictWarning
	case Stale, Rewritten, Filtered, Foreign:
		return finding.VerdictError
	case Refuses:
		if t.Role == Public {
			return finding.VerdictWarning
		}
		return finding.VerdictError
	case Silent:
		if t.Role == System {
			return finding.VerdictError
		}
	}
	return finding.VerdictUntested
}

func verdict(t *Testimony) finding.Sentence {
	switch t.Standing {
	case Agrees:
		if t.Role == Authority {
			return finding.S("the zone's own word", nil)
		}
		return finding.S("agrees", nil)
	case Declared:
		return finding.S("declared", nil)
	case Old:
		return finding.S("old, running out", nil)
	case Stale:
		return finding.S("beyond its time", nil)
	case Rewritten:
		return finding.S("made up for any missing name", nil)
	case Filtered:
		return finding.S("filtered", nil)
	case Inside:
		return finding.S("an inside address", nil)
	case Foreign:
		return finding.S("nobody entitled says so", nil)
	case Varies:
		return finding.S("depends on who asks", nil)
	case Refuses:
		return finding.S("an error, no answer", nil)
	case Silent, NoWay:
		return finding.S("could not test: {{.Why}}", finding.Args{"Why": whyNot(t)})
	}
	return finding.S("nobody to compare with", nil)
}

// whyNot says why no answer came, in a few words; the error's own are in the facts.
func whyNot(t *Testimony) finding.Sentence {
	switch t.Kind {
	case wire.Timeout:
		return finding.S("no answer in time", nil)
	case wire.Refused:
		return finding.S("connection refused", nil)
	case wire.TLSFault:
		return finding.S("TLS failed", nil)
	case wire.NoRoute, wire.Unreachable:
		return finding.S("no way there", nil)
	}
	if strings.Contains(t.Fault, "tls: ") {
		return finding.S("TLS failed", nil)
	}
	return finding.Raw(strings.TrimPrefix(t.Fault, t.Server+": "))
}

func walkSection(f *Facts) finding.Section {
	s := finding.Section{Title: finding.S("The way from the parent", nil), Folded: true,
		Columns: []finding.Sentence{finding.S("zone", nil), finding.S("server", nil), finding.S("says", nil)}}
	for _, z := range f.Zones {
		for _, h := range z.Hops {
			zone := h.Zone
			if zone == "" {
				zone = "."
			}
			says := finding.Raw(h.Says)
			if h.To != "" {
				says = finding.S("sends on to {{.Zone}}", finding.Args{"Zone": h.To})
			}
			s.Rows = append(s.Rows, finding.Cells(finding.Raw(zone), finding.Raw(h.Server), says))
		}
		if len(z.Hops) == 0 && z.Asked != "" {
			s.Rows = append(s.Rows, finding.Cells(finding.Raw(z.Parent), finding.Raw(z.Asked), finding.S("sends on to {{.Zone}}", finding.Args{"Zone": z.Zone})))
		}
	}
	return s
}
