package spf

import (
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/spf"
)

// sayFault puts a fault of syntax into words.
func sayFault(x spf.Fault) finding.Sentence {
	args := finding.Args{"Text": x.Text, "Term": x.Term, "Hint": x.Hint}
	switch x.Kind {
	case spf.UnknownMechanism:
		return finding.S("{{.Text}} is no mechanism{{if .Hint}}; {{.Hint}} was probably meant{{end}}", args)
	case spf.MissingValue:
		return finding.S("{{.Term}} has no value", args)
	case spf.UnexpectedValue:
		return finding.S("{{.Text}} must not follow {{.Hint}}", args)
	case spf.BadIP:
		return finding.S("{{.Text}} is no address of this kind{{if .Hint}}; {{.Hint}} was probably meant{{end}}", args)
	case spf.BadPrefixLength:
		return finding.S("{{.Text}} is no valid prefix length", args)
	case spf.BadDomain:
		return finding.S("{{.Text}} is no domain name{{if .Hint}}; {{.Hint}} was probably meant{{end}}", args)
	case spf.BadMacro:
		return finding.S("{{.Text}} is no valid macro", args)
	case spf.BadModifierName:
		return finding.S("{{.Text}} is no name a modifier can have", args)
	case spf.DuplicateModifier:
		return finding.S("{{.Term}} is the second of its kind; only one is allowed", args)
	case spf.BadCharacter:
		return finding.S("a character that is not printable ASCII: a tab, a no-break space or a typographic quote", nil)
	}
	return finding.S("too many terms", nil)
}

// expected says what should stand there.
func expected(x spf.Fault) finding.Sentence {
	switch x.Kind {
	case spf.UnknownMechanism:
		return finding.S("one of all, include, a, mx, ip4, ip6, exists", nil)
	case spf.BadIP:
		return finding.S("ip4: with an IPv4 address or ip6: with an IPv6 address", nil)
	case spf.BadPrefixLength:
		return finding.S("0 to 32 for IPv4, 0 to 128 for IPv6, without leading zeros", nil)
	case spf.BadDomain, spf.MissingValue:
		return finding.S("a full domain name with at least one dot", nil)
	case spf.BadMacro:
		return finding.S("a macro such as %{i}, or %% for a percent sign", nil)
	case spf.BadCharacter:
		return finding.S("plain spaces between the terms", nil)
	}
	return finding.Sentence{}
}

// sayProblem puts the reason for an error result into words.
func sayProblem(p *spf.Problem) finding.Sentence {
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
