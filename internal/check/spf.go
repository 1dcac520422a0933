package check

import (
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/spf"
)

// SPFProblem puts the reason for an error result of SPF into words; nothing for none.
func SPFProblem(p *spf.Problem) finding.Sentence {
	if p == nil {
		return finding.Sentence{}
	}
	args := finding.Args{"Domain": p.Domain, "Term": p.Term, "Pos": p.Pos + 1, "Text": p.Text}
	switch p.Kind {
	case spf.NoDomain:
		return finding.S("the sender has no domain that can be asked: {{.Domain}}", args)
	case spf.NoRecord:
		return finding.S("{{.Domain}} has no SPF record", args)
	case spf.ManyRecords:
		return finding.S("{{.Domain}} has several SPF records", args)
	case spf.Syntax:
		return finding.S("mistake in the record of {{.Domain}} at character {{.Pos}}: {{.Text}}", args)
	case spf.TooManyLookups:
		return finding.S("{{.Term}} in the record of {{.Domain}} is the eleventh DNS look-up", args)
	case spf.TooManyVoids:
		return finding.S("{{.Term}} in the record of {{.Domain}} is the third look-up that finds nothing", args)
	case spf.TooManyMX:
		return finding.S("{{.Term}} in the record of {{.Domain}} has more than 10 MX hosts", args)
	case spf.IncludeNoRecord, spf.RedirectNone:
		return finding.S("{{.Term}} in the record of {{.Domain}} points to {{.Text}}, which has no SPF record", args)
	case spf.BadTarget:
		return finding.S("{{.Term}} in the record of {{.Domain}} gives no name that can be asked", args)
	}
	return finding.S("the DNS could not be asked: {{.Text}}", args)
}
