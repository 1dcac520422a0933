// Package spf judges the SPF record of a domain with everything it includes, and whether a client may send for it.
//
// Promise: look gathers the tree through a Resolver, judge is pure. What RFC 7208 makes of a record is mail/spf; here is
// only what an administrator should think of it. Every repair that a record can express is given as the exact record.
package spf

import "github.com/mailwhy/mailwhy/internal/finding"

var (
	ruleMissing = &finding.Rule{
		ID: "spf.missing", Severity: finding.Error, Owner: finding.OwnerDomain, After: []string{"spf.invisible"},
		Title:  "no SPF record",
		Says:   "{{.Domain}} has no SPF record",
		OK:     "SPF record found at {{.Domain}}",
		Why:    "Receivers cannot tell real mail of the domain from forged mail. Large providers refuse or junk mail that neither SPF nor DKIM vouches for.",
		Repair: "Publish one TXT record that lists the servers that send for the domain. The record proposed allows the MX hosts; add every other sender before publishing it.",
		Refs:   []finding.Ref{finding.RFC(7208, "3"), finding.RFC(7208, "4.5")},
	}
	ruleInvisible = &finding.Rule{
		ID: "spf.invisible", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "an SPF record that receivers do not see",
		Says:   "a TXT record of {{.Domain}} looks like SPF but does not begin with v=spf1 and a space, so receivers do not see it",
		Why:    "Only a record that begins exactly with v=spf1 counts; a quotation mark, a space or a slip of the pen before or in it hides the whole record.",
		Repair: "Correct the beginning of the record, or delete it if it is a leftover.",
		Refs:   []finding.Ref{finding.RFC(7208, "4.5")},
	}
	ruleSeveral = &finding.Rule{
		ID: "spf.several", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "several SPF records",
		Says:   "{{.Domain}} has {{.N}} SPF records, so receivers use none of them",
		OK:     "{{.Domain}} has one SPF record",
		Why:    "More than one record is a permanent error: SPF never passes, for any server.",
		Repair: "Merge the records into one and delete the others.",
		Refs:   []finding.Ref{finding.RFC(7208, "4.5"), finding.RFC(7208, "3.2")},
	}
	ruleSyntax = &finding.Rule{
		ID: "spf.syntax", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "mistake in the SPF record",
		Says:   "the SPF record of {{.In}} has a mistake at character {{.Pos}}: {{.What}}",
		OK:     "the syntax of the record is right",
		Why:    "One mistake anywhere makes the whole record a permanent error: SPF passes for no server, and DMARC has only DKIM left.",
		Repair: "Correct the record at the place named.",
		Refs:   []finding.Ref{finding.RFC(7208, "4.6"), finding.RFC(7208, "12")},
	}
	ruleLookups = &finding.Rule{
		ID: "spf.too-many-lookups", Severity: finding.Error, Owner: finding.OwnerDomain, After: []string{"spf.loop", "spf.duplicate-include"},
		Title:  "too many DNS look-ups",
		Says:   "{{.Lookups}}{{if .Least}} or more{{end}} DNS look-ups, limit {{.Limit}}: {{.Term}} in the record of {{.In}} is the eleventh",
		OK:     "{{.Lookups}} of {{.Limit}} DNS look-ups used",
		Why:    "Receivers stop at the limit with a permanent error. Servers listed after that point, and all forged mail, are treated as if there were no SPF.",
		Repair: "Remove includes of services no longer used, write a and mx terms as addresses, or move a service to a subdomain of its own.",
		Refs:   []finding.Ref{finding.RFC(7208, "4.6.4")},
	}
	ruleNearLimit = &finding.Rule{
		ID: "spf.lookups-near-limit", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "hardly any DNS look-ups left",
		Says:   "{{.Lookups}} of {{.Limit}} DNS look-ups are used; the next service, or a change at one that is included, breaks the record",
		Why:    "What an included record holds can change without notice.",
		Repair: "Make room before it is needed: write a and mx terms as addresses, drop includes no longer used.",
		Refs:   []finding.Ref{finding.RFC(7208, "4.6.4")},
	}
	ruleVoids = &finding.Rule{
		ID: "spf.too-many-voids", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "too many look-ups that find nothing",
		Says:   "{{.Voids}} DNS look-ups find nothing, limit {{.Limit}}: {{list .Terms}}",
		OK:     "{{.Voids}} look-ups that find nothing, limit {{.Limit}}",
		Why:    "Receivers give up with a permanent error after the second name that does not exist.",
		Repair: "Remove the terms whose names no longer exist.",
		Refs:   []finding.Ref{finding.RFC(7208, "4.6.4")},
	}
	ruleVoid = &finding.Rule{
		ID: "spf.void", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "a term that finds nothing",
		Says:   "{{.Term}} in the record of {{.In}} finds nothing: {{.Target}} has no {{.Type}}",
		Why:    "The term allows no server. Two such terms are tolerated, the third is a permanent error.",
		Repair: "Remove the term, or correct the name.",
		Refs:   []finding.Ref{finding.RFC(7208, "4.6.4"), finding.RFC(7208, "11.1")},
	}
	ruleLoop = &finding.Rule{
		ID: "spf.loop", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "a record that includes itself",
		Says:   "{{.Term}} in the record of {{.In}} leads back to itself: {{join \" → \" .Path}}",
		OK:     "no include leads back to itself",
		Why:    "Receivers go round until the look-up limit and end with a permanent error.",
		Repair: "Remove the term that closes the circle.",
		Refs:   []finding.Ref{finding.RFC(7208, "4.6.4"), finding.RFC(7208, "5.2")},
	}
	ruleIncludeNone = &finding.Rule{
		ID: "spf.include-none", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "include of a domain without SPF",
		Says:   "{{.Term}} in the record of {{.In}} points to {{.Target}}, which {{if .NX}}does not exist{{else}}has no SPF record{{end}}",
		OK:     "every included domain has a record",
		Why:    "An include or redirect without a record behind it is a permanent error for every message that gets that far.",
		Repair: "Remove the term, or correct the name; ask the service for the name it uses now.",
		Refs:   []finding.Ref{finding.RFC(7208, "5.2"), finding.RFC(7208, "6.1")},
	}
	ruleIncludeBroken = &finding.Rule{
		ID: "spf.include-broken", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "include of a broken record",
		Says:   "{{.Term}} in the record of {{.In}} points to {{.Target}}, which has several SPF records",
		Why:    "A permanent error below is a permanent error above.",
		Repair: "Tell whoever runs the included domain, and remove the term until it is mended.",
		Refs:   []finding.Ref{finding.RFC(7208, "5.2")},
	}
	ruleDuplicate = &finding.Rule{
		ID: "spf.duplicate-include", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "a domain included twice",
		Says:   "{{.Term}} in the record of {{.In}} was included before and only costs look-ups",
		OK:     "no domain is included twice",
		Why:    "The second time allows no further server but counts against the limit of ten look-ups, with everything below it.",
		Repair: "Remove the second include.",
		Refs:   []finding.Ref{finding.RFC(7208, "4.6.4")},
	}
	rulePTR = &finding.Rule{
		ID: "spf.ptr", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "the ptr mechanism",
		Says:   "{{.Term}} in the record of {{.In}} uses ptr, which is slow, unreliable and not to be used any more",
		OK:     "no ptr mechanism",
		Why:    "It asks the name servers of the client's network for each message; many receivers skip it or give up there.",
		Repair: "Replace it by the addresses of the servers that send, or remove it.",
		Refs:   []finding.Ref{finding.RFC(7208, "5.5")},
	}
	rulePassAll = &finding.Rule{
		ID: "spf.pass-all", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "everybody may send",
		Says:   "{{.Term}} in the record of {{.In}} lets every server in the world send for {{.Domain}}",
		OK:     "the record does not allow everybody",
		Why:    "Forged mail passes SPF, and with it DMARC. Spammers look for such records.",
		Repair: "End the record with ~all or -all.",
		Refs:   []finding.Ref{finding.RFC(7208, "5.1"), finding.RFC(7208, "11")},
	}
	ruleWide = &finding.Rule{
		ID: "spf.wide-network", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "a very large network may send",
		Says:   "{{.Term}} in the record of {{.In}} allows {{.Size}} addresses",
		Why:    "Whoever gets one of these addresses can forge mail of the domain that passes SPF.",
		Repair: "Name the servers that send instead of the network they are in.",
		Refs:   []finding.Ref{finding.RFC(7208, "11")},
	}
	ruleNoAll = &finding.Rule{
		ID: "spf.no-all", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "the record does not say what to do with the rest",
		Says:   "the record ends without all or redirect, so servers that are not listed get neutral: as if there were no SPF",
		OK:     "the record ends with {{.Term}}",
		Why:    "Without an end the record allows, but never forbids.",
		Repair: "Add ~all at the end, and -all once DMARC reports show that nothing is missing.",
		Refs:   []finding.Ref{finding.RFC(7208, "4.7"), finding.RFC(7208, "5.1")},
	}
	ruleNeutralAll = &finding.Rule{
		ID: "spf.neutral-all", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "the record says nothing about the rest",
		Says:   "?all makes the result neutral for every server that is not listed: as if there were no SPF",
		Why:    "The record allows, but never forbids.",
		Repair: "Replace ?all by ~all, and by -all once DMARC reports show that nothing is missing.",
		Refs:   []finding.Ref{finding.RFC(7208, "5.1"), finding.RFC(7208, "8.2")},
	}
	ruleAfterAll = &finding.Rule{
		ID: "spf.after-all", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "text after all",
		Says:   "{{list .Terms}} in the record of {{.In}} stands after all and is never read",
		OK:     "nothing stands after all",
		Why:    "The servers meant there are not allowed to send.",
		Repair: "Move all to the end of the record.",
		Refs:   []finding.Ref{finding.RFC(7208, "5.1")},
	}
	ruleRedirectAll = &finding.Rule{
		ID: "spf.redirect-with-all", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "redirect beside all",
		Says:   "{{.Term}} in the record of {{.In}} is ignored because the record has all",
		Why:    "The servers meant there are not allowed to send.",
		Repair: "Remove all if the other record is to decide, or make the redirect an include before all.",
		Refs:   []finding.Ref{finding.RFC(7208, "6.1"), finding.RFC(7208, "5.1")},
	}
	ruleLong = &finding.Rule{
		ID: "spf.long", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "a long answer",
		Says:   "the SPF record has {{.Bytes}} bytes and the other TXT records of {{.In}} {{.Others}}: the answer does not fit a UDP packet of 512 bytes",
		OK:     "the record has {{.Bytes}} bytes",
		Why:    "Resolvers must ask again over TCP; behind firewalls that block DNS over TCP the record is then not found.",
		Repair: "Shorten the record to 450 bytes or fewer, by joining networks or by moving parts into an include; delete TXT records no longer used.",
		Refs:   []finding.Ref{finding.RFC(7208, "3.4")},
	}
	ruleJoined = &finding.Rule{
		ID: "spf.strings-joined", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "two parts run together",
		Says:   "the record is made of several strings, and where they meet, at character {{.Pos}}, the space is missing: {{.Around}}",
		Why:    "Receivers join the strings without a space, so two terms become one wrong word and the record a permanent error.",
		Repair: "Put a space at the end of the first string or at the beginning of the second.",
		Refs:   []finding.Ref{finding.RFC(7208, "3.3")},
	}
	ruleMacroP = &finding.Rule{
		ID: "spf.macro-p", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "the macro p",
		Says:   "{{.Term}} in the record of {{.In}} uses the macro p, which is slow, unreliable and not to be used",
		Why:    "It needs reverse look-ups of the client for each message, and often gives unknown.",
		Repair: "Use the macro i (the address) instead.",
		Refs:   []finding.Ref{finding.RFC(7208, "7.2")},
	}
	ruleExp = &finding.Rule{
		ID: "spf.exp", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "an explanation that leads nowhere",
		Says:   "{{.Term}} points to {{.Target}}, which {{if .N}}has {{.N}} TXT {{plural .N \"record\" \"records\"}}{{if .Bad}} with a mistake in it{{end}}{{else}}has no TXT record{{end}}; exactly one right one is needed",
		Why:    "Receivers leave the explanation out; mail is not affected.",
		Repair: "Publish one TXT record there, or remove exp.",
		Refs:   []finding.Ref{finding.RFC(7208, "6.2")},
	}
	ruleType99 = &finding.Rule{
		ID: "spf.type99", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "a record of the obsolete type SPF",
		Says:   "{{.Domain}} also has a record of type SPF (99){{if .Differs}} that differs from the TXT record{{end}}; nobody reads it any more",
		OK:     "no record of the obsolete type SPF (99)",
		Why:    "It does no harm, but is forgotten when the TXT record changes.",
		Repair: "Delete the record of type SPF.",
		Refs:   []finding.Ref{finding.RFC(7208, "3.1")},
	}
	ruleMX = &finding.Rule{
		ID: "spf.too-many-mx", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "too many MX hosts for an mx term",
		Says:   "{{.Term}} in the record of {{.In}} names {{.N}} MX hosts, limit {{.Limit}}",
		Why:    "Receivers end with a permanent error.",
		Repair: "Replace the mx term by the addresses of the servers that send.",
		Refs:   []finding.Ref{finding.RFC(7208, "4.6.4")},
	}
	ruleModifier = &finding.Rule{
		ID: "spf.unknown-modifier", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "an unknown modifier",
		Says:   "{{.Term}} at character {{.Pos}} in the record of {{.In}} is no known modifier and is ignored",
		Why:    "It does nothing; often it was meant to be something else, such as a second record pasted behind the first, or = for a colon.",
		Repair: "Remove it, or write what was meant.",
		Refs:   []finding.Ref{finding.RFC(7208, "6")},
	}
	rulePrivate = &finding.Rule{
		ID: "spf.private-network", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "private addresses in the record",
		Says:   "{{.Term}} in the record of {{.In}} allows private addresses, which no receiver on the Internet ever sees",
		Why:    "The term does nothing outside, and tells strangers about the inner network.",
		Repair: "Replace it by the public address mail leaves from, or remove it.",
		Refs:   []finding.Ref{finding.RFC(1918, "3")},
	}
	ruleRepeated = &finding.Rule{
		ID: "spf.repeated-term", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "the same term twice",
		Says:   "{{.Term}} stands twice in the record of {{.In}}",
		Why:    "The second one does nothing but make the record longer.",
		Repair: "Remove the second one.",
		Refs:   []finding.Ref{finding.RFC(7208, "4.6.2")},
	}
	ruleResult = &finding.Rule{
		ID: "spf.result", Severity: finding.Error, Owner: finding.OwnerDomain,
		After:  []string{"spf.missing", "spf.several", "spf.syntax", "spf.too-many-lookups", "spf.too-many-voids", "spf.loop", "spf.include-none", "spf.include-broken", "spf.strings-joined", "spf.too-many-mx"},
		Title:  "SPF for this client",
		Says:   "{{.IP}} may not send for {{.Sender}}: SPF result {{.Result}}{{if .Term}} by {{.Term}}{{end}}",
		OK:     "{{.IP}} may send for {{.Sender}}: {{.Term}} matches",
		Why:    "Receivers refuse, junk or distrust the message; DMARC then depends on DKIM alone.",
		Repair: "If the server is yours, add its address to the record.",
		Refs:   []finding.Ref{finding.RFC(7208, "8"), finding.RFC(7208, "2.6")},
	}
)

// Rules are all rules of the topic.
var Rules = []*finding.Rule{
	ruleMissing, ruleInvisible, ruleSeveral, ruleSyntax, ruleJoined, ruleLookups, ruleNearLimit, ruleVoids, ruleVoid, ruleLoop,
	ruleIncludeNone, ruleIncludeBroken, ruleDuplicate, rulePTR, rulePassAll, ruleWide, ruleNoAll, ruleNeutralAll, ruleAfterAll,
	ruleRedirectAll, ruleLong, ruleMacroP, ruleExp, ruleType99, ruleMX, ruleModifier, rulePrivate, ruleRepeated, ruleResult,
}
