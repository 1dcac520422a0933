// Package domain is the survey of `mailwhy check DOMAIN`: every topic that can be looked at for a domain, at once, and
// one answer (rows C9 and C10).
//
// Promise: it adds no opinion of its own but one: a domain that neither sends nor takes mail is judged as such. The
// topics are plain slices in sight. Many domains run with a bound on how many at once, in flat memory.
//
// It must not say what a topic says, nor print.
package domain

import "github.com/mailwhy/mailwhy/internal/finding"

var ruleParked = &finding.Rule{
	ID: "domain.no-mail", Severity: finding.Note, Owner: finding.OwnerNobody,
	Title: "the domain neither sends nor takes mail",
	Says:  "{{.Domain}} neither sends nor takes mail, and is judged as such",
	Why:   "Checks of mail servers, keys and transport policies do not apply to it; what counts is that nobody else can use its name.",
	Refs:  []finding.Ref{finding.RFC(7505, "4.2")},
}

var ruleForgeable = &finding.Rule{
	ID: "domain.no-mail-forgeable", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "a domain without mail that anybody can use as sender",
	Says:   "{{.Domain}} has no mail, but {{if .NoSPF}}no SPF record that says so{{end}}{{if .Both}} and {{end}}{{if .NoDMARC}}no DMARC policy that has forgeries refused{{end}}",
	OK:     "nobody can send as {{.Domain}}",
	Why:    "Unused domains are what forgers look for: receivers have no reason to refuse mail in their name.",
	Repair: "Publish SPF that allows no server, and DMARC with p=reject.",
	Refs:   []finding.Ref{finding.RFC(7208, "10.1.2"), finding.RFC(7489, "6.3")},
}

// Rules are the rules this survey adds to those of its topics.
var Rules = []*finding.Rule{ruleParked, ruleForgeable}
