package receive

import (
	"fmt"
	"strings"

	"github.com/mailwhy/mailwhy/internal/check/server"
	"github.com/mailwhy/mailwhy/internal/check/sieve"
	"github.com/mailwhy/mailwhy/internal/finding"
	lang "github.com/mailwhy/mailwhy/internal/mail/sieve"
)

// filter runs the active script over the sample.
func (w *walk) filter(s *server.LoginSurvey) {
	v := s.Visit("managesieve")
	if v == nil {
		w.station(Filter, finding.VerdictNotApplicable, finding.S("the server lets nobody read filters (no ManageSieve)", nil), finding.Headline{})
		return
	}
	name, text := "", ""
	for _, x := range v.Scripts {
		if x.Active {
			name, text = x.Name, x.Text
		}
	}
	if name == "" {
		w.station(Filter, finding.VerdictPass, finding.S("no filter is active", nil), finding.Headline{})
		return
	}
	raw, as := w.sample()
	script := sieve.Read(name, []byte(text))
	r := script.Survey(as, raw, sieve.Envelope{From: &w.o.From, To: &w.f.Address}, w.began)
	w.f.Filter, _ = r.Facts.(*sieve.Facts)
	severe := finding.Error
	for i := range r.Findings {
		if f := &r.Findings[i]; sieve.Loses(f.Rule) && f.Outcome == finding.Fail {
			f.Severity, f.Verify = &severe, finding.Cmd("receive", w.f.Address)
		}
	}
	w.fs = append(w.fs, r.Findings...)
	w.more = append(w.more, r.Sections...)
	w.more = append(w.more, finding.Section{Title: finding.S("active filter {{.Name}}", finding.Args{"Name": name}), Raw: text, Folded: true})
	worst := (*finding.Finding)(nil)
	for i := range r.Findings {
		if f := &r.Findings[i]; worst == nil || f.Verdict() < worst.Verdict() {
			worst = f
		}
	}
	head := r.Headline
	if worst != nil && worst.Verdict() == finding.VerdictError {
		head = headOf(worst)
	}
	w.station(Filter, verdictOf(head.State), r.Headline.Says, head)
}

func verdictOf(s finding.State) finding.Verdict {
	switch s {
	case finding.StateBroken:
		return finding.VerdictError
	case finding.StateWarning:
		return finding.VerdictWarning
	case finding.StateUntested:
		return finding.VerdictUntested
	}
	return finding.VerdictPass
}

// sample is the message the filter is run over, and what it is called.
func (w *walk) sample() ([]byte, string) {
	if w.o.Sample != nil {
		return w.o.Sample, w.o.SampleAs
	}
	from := w.o.From
	if from == "" {
		from = "wang@mine.example"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Return-Path: <%s>\r\nFrom: <%[1]s>\r\nTo: <%s>\r\nSubject: Minutes of Monday\r\nDate: %s\r\nMessage-ID: <sample@mailwhy.invalid>\r\n\r\nA plain message.\r\n",
		from, w.f.Address, w.began.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	return []byte(b.String()), "sample.eml"
}

// inbox tells that the filter leaves the sample in the inbox.
func (f *Facts) inbox() bool {
	if f.Filter == nil || f.Filter.Result == nil {
		return true
	}
	for _, a := range f.Filter.Result.Actions {
		if a.Kind == lang.Keep {
			return true
		}
	}
	return false
}
