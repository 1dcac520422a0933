package message

import (
	"strings"

	"github.com/mailwhy/mailwhy/internal/check/auth"
	"github.com/mailwhy/mailwhy/internal/check/fields"
	"github.com/mailwhy/mailwhy/internal/check/results"
	"github.com/mailwhy/mailwhy/internal/check/vendor"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
)

func both(t knowledge.Text) finding.Sentence { return finding.Both(t.EN, t.ZH) }

func sections(f *Facts) []finding.Section {
	out := []finding.Section{who(f)}
	if len(f.Path.Hops) > 0 {
		out = append(out, f.Path.Section(), finding.Section{Rows: []finding.Row{finding.Cells(f.Path.Trust())}})
	}
	if f.Auth != nil {
		out = append(out, auth.Sections(f.Auth)...)
	}
	if len(f.Results) > 0 {
		out = append(out, results.Section(f.Results))
	}
	if len(f.Vendors) > 0 {
		open, sealed := sortFields(f.Vendors)
		out = append(out, vendor.Sections(open, both)...)
		if len(sealed) > 0 {
			out = append(out, vendor.Sealed(sealed, both))
		}
	}
	return out
}

// sortFields parts fields that say something from those only their makers can read.
func sortFields(fs []vendor.Field) (open, sealed []vendor.Field) {
	for _, f := range fs {
		if len(f.Items) > 0 {
			open = append(open, f)
		} else {
			sealed = append(sealed, f)
		}
	}
	return open, sealed
}

// who shows the fields that name people and the message.
func who(f *Facts) finding.Section {
	h := f.Header
	s := finding.Section{}
	row := func(name finding.Sentence, value string) {
		if value != "" {
			s.Rows = append(s.Rows, finding.Cells(name, finding.Raw(clip(value))))
		}
	}
	row(finding.Raw("From"), list(h.From))
	if h.Sender != nil {
		row(finding.Raw("Sender"), show(*h.Sender))
	}
	row(finding.Raw("Reply-To"), list(h.ReplyTo))
	if h.ReturnPath != nil {
		row(finding.Raw("Return-Path"), "<"+h.ReturnPath.Address+">")
	}
	row(finding.Raw("To"), list(h.To))
	row(finding.Raw("Subject"), h.Subject)
	row(finding.Raw("Date"), h.DateText)
	row(finding.Raw("Message-ID"), h.MessageID)
	if o := f.Origin; o.IP.IsValid() {
		name, names := finding.Raw(o.IP.String()), o.names()
		switch {
		case o.PTR != nil && o.PTR.Confirmed() != "":
			name = finding.S("{{.IP}} ({{list .Names}}, points back)", finding.Args{"IP": o.IP.String(), "Names": names})
		case len(names) > 0:
			name = finding.S("{{.IP}} ({{list .Names}}, does not point back)", finding.Args{"IP": o.IP.String(), "Names": names})
		case o.PTR != nil && o.PTR.Fault == "":
			name = finding.S("{{.IP}} (no reverse name)", finding.Args{"IP": o.IP.String()})
		}
		s.Rows = append(s.Rows, finding.Cells(finding.S("Came in from", nil), name))
		if o.Net != nil && o.Net.Holder() != "" {
			s.Rows = append(s.Rows, finding.Cells(finding.S("The network", nil), finding.Raw(o.Net.Holder()+" "+o.Net.Prefix.String())))
		}
	}
	return s
}

func show(a fields.Address) string {
	if a.Name != "" {
		return a.Name + " <" + a.Address + ">"
	}
	return a.Address
}

func list(as []fields.Address) string {
	var out []string
	for i, a := range as {
		if i == 5 {
			out = append(out, "… (+"+itoa(len(as)-5)+")")
			break
		}
		out = append(out, show(a))
	}
	return strings.Join(out, ", ")
}
