package server

import (
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/tls"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// sections draws the table of ports, the certificate, and the folded transcripts.
func (s *Survey) sections() []finding.Section {
	table := finding.Section{
		Title: finding.S("ports", nil),
		Columns: []finding.Sentence{
			finding.S("port", nil), finding.S("state", nil), finding.S("encryption", nil), finding.S("took", nil), finding.S("software", nil), finding.S("login methods", nil),
		},
	}
	for i := range s.Ports {
		p := &s.Ports[i]
		name := p.label()
		if len(s.Addrs) > 1 {
			name += " " + p.Addr.String()
		}
		row := finding.Cells(finding.Raw(name), p.state(), p.encrypted(), brief(p.took()), finding.Raw(p.Software.Name()), finding.Raw(strings.Join(p.methods(), " ")))
		v := p.mark()
		row.Mark = &v
		table.Rows = append(table.Rows, row)
	}
	out := []finding.Section{table}
	for i := range s.Ports {
		if h := s.Ports[i].tls(); h != nil && len(h.Chain) > 0 {
			c := tls.ChainSection(h)
			c.Folded = true
			out = append(out, c)
			break
		}
	}
	for i := range s.Ports {
		if p := &s.Ports[i]; p.open() {
			out = append(out, p.spoken())
		}
	}
	if s.Abuse != nil {
		out = append(out, s.Abuse.sections()...)
	}
	return out
}

// spoken is the folded transcript of a port.
func (p *Port) spoken() finding.Section {
	return finding.Section{Title: finding.S("transcript of {{.Port}} ({{.Place}})", finding.Args{"Port": p.label(), "Place": p.place()}), Raw: p.transcript().String(), Folded: true}
}

// brief is a span as it stands in a table: nothing for none.
func brief(d time.Duration) finding.Sentence {
	if d = d.Round(time.Millisecond); d <= 0 {
		return finding.Raw("")
	}
	return finding.S("{{.D}}", finding.Args{"D": d})
}

func (p *Port) mark() finding.Verdict {
	switch f := p.fault(); {
	case !p.open() && check.Ours(f):
		return finding.VerdictUntested
	case !p.open():
		return finding.VerdictNotApplicable
	case p.refusal() != "" || f != nil:
		return finding.VerdictError
	case p.tls() == nil || p.clearLogin() || p.tls().Trust != wire.TrustOK || p.tls().Name != "" && !p.tls().NameOK:
		return finding.VerdictWarning
	}
	return finding.VerdictPass
}

func (p *Port) state() finding.Sentence {
	switch f := p.fault(); {
	case p.refusal() != "":
		return finding.Raw(p.refusal())
	case p.open() && f == nil:
		return finding.S("open", nil)
	case p.open():
		return finding.S("open, then: {{.What}}", finding.Args{"What": check.Fault(f)})
	case f != nil && f.Kind == wire.Refused:
		return finding.S("closed", nil)
	case f != nil && f.Kind == wire.Timeout:
		return finding.S("no answer", nil)
	default:
		return check.Fault(f)
	}
}

func (p *Port) encrypted() finding.Sentence {
	h := p.tls()
	switch {
	case h == nil && !p.open():
		return finding.Raw("")
	case h == nil:
		return finding.S("none", nil)
	case h.Fault != nil:
		return finding.S("fails: {{.Text}}", finding.Args{"Text": finding.Raw(h.Fault.Text)})
	}
	how := "STARTTLS"
	if p.Implicit {
		how = ""
	}
	return finding.Raw(strings.TrimSpace(how + " " + h.Version))
}
