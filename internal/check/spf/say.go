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
