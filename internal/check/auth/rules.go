// Package auth verifies a message again, not only what others noted: SPF for the address it came from, every DKIM
// signature, the ARC chain, and DMARC as old and new receivers evaluate it.
//
// Promise: look gathers through a Resolver, judge is pure. What is proved and what is only claimed are kept apart; keys
// and records are those of today, which may not be those of the day the message came. The cryptography is mail/dkim and
// mail/arc, the evaluations mail/spf and mail/dmarc.
package auth

import "github.com/mailwhy/mailwhy/internal/finding"

var (
	ruleSPF = &finding.Rule{
		ID: "auth.spf", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "SPF of the message",
		Says:   "SPF gives {{.Result}} for {{.IP}} and {{.Sender}}{{if .Term}} by {{.Term}}{{end}}{{if .Why}}: {{.Why}}{{end}}",
		OK:     "SPF passes: {{.IP}} may send for {{.Sender}} ({{.Term}})",
		Why:    "The server that handed the message in is not one the sender's domain allows. Forwarders cause this too; DMARC then depends on DKIM.",
		Repair: "If the server is the sender's own, add it to the SPF record of the domain.",
		Refs:   []finding.Ref{finding.RFC(7208, "8")},
	}
	ruleUnsigned = &finding.Rule{
		ID: "auth.dkim-missing", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title:  "no DKIM signature",
		Says:   "the message has no DKIM signature",
		Why:    "Nothing shows that the message is unchanged and from whom; it fails DMARC as soon as it is forwarded.",
		Repair: "Turn on DKIM signing where the sender's mail leaves.",
		Refs:   []finding.Ref{finding.RFC(6376, "5")},
	}
	ruleDKIM = &finding.Rule{
		ID: "auth.dkim", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title:  "a DKIM signature that does not hold",
		Says:   "the signature of {{.Domain}} (selector {{.Selector}}) gives {{.Result}}: {{.Reason}}",
		OK:     "the signature of {{.Domain}} (selector {{.Selector}}) holds",
		Why:    "A signature that does not hold counts as none.",
		Repair: "See the reason: a change on the way is stopped where it is made, a key is mended in the DNS of the signer.",
		Refs:   []finding.Ref{finding.RFC(6376, "6.1"), finding.RFC(8601, "2.7.1")},
	}
	ruleLength = &finding.Rule{
		ID: "auth.dkim-body-length", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title:  "a signature over a part of the body",
		Says:   "the signature of {{.Domain}} covers {{.Signed}} bytes of the body only; {{.Unsigned}} more follow that anybody could have added",
		Why:    "A stranger can put any text below a signed message and the signature still holds.",
		Repair: "Sign without l.",
		Refs:   []finding.Ref{finding.RFC(6376, "8.2")},
	}
	ruleAddable = &finding.Rule{
		ID: "auth.dkim-unsigned-fields", Severity: finding.Note, Owner: finding.OwnerSender,
		Title:  "fields a stranger could change",
		Says:   "the signature of {{.Domain}} does not cover {{list .Fields}}",
		Why:    "These fields can be changed without breaking the signature.",
		Repair: "Add them to the signed fields.",
		Refs:   []finding.Ref{finding.RFC(6376, "5.4")},
	}
	ruleKey = &finding.Rule{
		ID: "auth.dkim-short-key", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title:  "a signature by a short key",
		Says:   "the signature of {{.Domain}} (selector {{.Selector}}) was made with a key of {{.Bits}} bits; 2048 are wanted",
		Why:    "Short keys can be broken; receivers mark them down.",
		Repair: "Sign with a key of 2048 bits under a new selector.",
		Refs:   []finding.Ref{finding.RFC(8301, "3.2")},
	}
	ruleARC = &finding.Rule{
		ID: "auth.arc", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title:  "a broken ARC chain",
		Says:   "the ARC chain fails{{if .At}} at set {{.At}} of {{.N}}{{end}}: {{.Reason}}",
		OK:     "the ARC chain holds: {{.N}} {{plural .N \"set\" \"sets\"}}, sealed by {{list .Sealers}}",
		Why:    "What earlier servers saw of SPF and DKIM cannot be believed, so a receiver cannot forgive the forwarding.",
		Repair: "Whoever changed the message after that set must seal it last, after the change.",
		Refs:   []finding.Ref{finding.RFC(8617, "5.2")},
	}
	ruleDMARC = &finding.Rule{
		ID: "auth.dmarc", Severity: finding.Error, Owner: finding.OwnerSender,
		After:  []string{"auth.spf", "auth.dkim", "auth.dkim-missing"},
		Title:  "DMARC of the message",
		Says:   "DMARC fails for {{.From}}: {{.Reason}}; the domain asks receivers for {{.Policy}}{{if .Other}} ({{.Other}} by the older standard){{end}}",
		OK:     "DMARC passes for {{.From}}: {{.Reason}}",
		Why:    "Receivers refuse or junk the message as the domain asks.",
		Repair: "Sign with DKIM as the domain of the From address, or send with a MAIL FROM of that domain from a server its SPF allows.",
		Refs:   []finding.Ref{finding.RFC(9989, "5.3"), finding.RFC(7489, "6.6.2")},
	}
	ruleNoPolicy = &finding.Rule{
		ID: "auth.dmarc-missing", Severity: finding.Note, Owner: finding.OwnerSender,
		Title:  "no DMARC policy for the message",
		Says:   "{{.From}} has no DMARC policy, so nothing depends on it",
		Why:    "Anybody can send as this domain.",
		Repair: "Publish a DMARC record.",
		Refs:   []finding.Ref{finding.RFC(9989, "4.5")},
	}
)

// Rules are all rules of the topic.
var Rules = []*finding.Rule{ruleSPF, ruleUnsigned, ruleDKIM, ruleLength, ruleAddable, ruleKey, ruleARC, ruleDMARC, ruleNoPolicy}
