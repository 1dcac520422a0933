// Package finding holds the words every room of mailwhy speaks: rules, findings, verdicts, owners, evidence, repairs
// and reports.
//
// Promise: a value of this package is plain data. It can be printed in any language, stored, sent, compared and judged
// again later. Nothing here looks anything up, reads a clock or knows a face; only the standard library is imported.
package finding

// Severity is how bad a failed rule is. A profile may override it.
type Severity uint8

// The severities, mildest first.
const (
	Note    Severity = iota // worth knowing; never counts against anything
	Warning                 // works today, will hurt
	Error                   // mail is lost, delayed or refused because of it
)

var severityNames = [...]string{"note", "warning", "error"}

// String gives the word used in JSON, profiles and flags.
func (s Severity) String() string { return nameOf(severityNames[:], int(s)) }

// Owner says whose job a repair is.
type Owner uint8

// The owners. Unowned is for findings that nobody has to act on.
const (
	OwnerNobody       Owner = iota
	OwnerDomain             // whoever edits the DNS zone of the domain
	OwnerServer             // whoever runs the mail server named as subject
	OwnerNetwork            // whoever holds the IP range or the path: provider, firewall
	OwnerRecipient          // the recipient or the recipient's mail administrator
	OwnerListOperator       // whoever runs the blocklist
	OwnerSender             // the person or system that wrote the message
	OwnerResolver           // whoever runs the DNS resolver in use
	OwnerSelf               // the administrator of the machine mailwhy runs on
)

var ownerNames = [...]string{"nobody", "domain", "server", "network", "recipient", "list-operator", "sender", "resolver", "self"}

// String gives the word used in JSON and in tables of knowledge.
func (o Owner) String() string { return nameOf(ownerNames[:], int(o)) }

// OtherSide turns the owner of a refusal round. What is known of replies speaks to the side that was refused; where we
// refused, the administrator of that side is a stranger, and the recipient's is us.
func (o Owner) OtherSide() Owner {
	switch o {
	case OwnerSelf:
		return OwnerSender
	case OwnerRecipient:
		return OwnerSelf
	}
	return o
}

// ParseOwner is the reverse of Owner.String; ok is false for a word that is no owner.
func ParseOwner(s string) (o Owner, ok bool) {
	i := indexOf(ownerNames[:], s)
	return Owner(max(i, 0)), i >= 0
}

// ParseSeverity is the reverse of Severity.String; ok is false for a word that is no severity.
func ParseSeverity(s string) (v Severity, ok bool) {
	i := indexOf(severityNames[:], s)
	return Severity(max(i, 0)), i >= 0
}

// Ref points at the text a rule rests on.
type Ref struct {
	RFC     int    `json:"rfc,omitempty"`     // 7208
	Section string `json:"section,omitempty"` // "4.6.4"
	Title   string `json:"title,omitempty"`   // for what is no RFC: "Google: Email sender guidelines"
	URL     string `json:"url,omitempty"`
}

// String is "RFC 7208 section 4.6.4", or the title of what is no RFC.
func (r Ref) String() string {
	if r.RFC == 0 {
		return r.Title
	}
	s := "RFC " + itoa(r.RFC)
	if r.Section != "" {
		s += " section " + r.Section
	}
	return s
}

// RFC is short for a reference to a section; leave section empty for the whole document.
func RFC(number int, section string) Ref { return Ref{RFC: number, Section: section} }

// Rule is one sentence the tool may say. It is written once, as a package variable beside the code that says it, and
// listed in the Rules of its check. IDs are "topic.fault", lower case, and never reused.
//
// Title, Says, Why and Repair are English templates (text/template over Args, see Msg). Title is a short noun phrase
// for the fault without particulars. Says is the fault with its particulars. OK, when set, is said when the rule holds.
// Why tells the effect on mail. Repair tells what to do in words; the exact records are in Finding.Fix.
type Rule struct {
	ID       string
	Severity Severity
	Owner    Owner
	Title    Msg
	Says     Msg
	OK       Msg
	Why      Msg
	Repair   Msg
	Refs     []Ref
	After    []string // IDs: where one of these failed on the same subject, it is the cause and is said first
}

// Topic is the part of the ID before the first dot.
func (r *Rule) Topic() string {
	for i := range len(r.ID) {
		if r.ID[i] == '.' {
			return r.ID[:i]
		}
	}
	return r.ID
}
