// Package dmarc judges the DMARC record of a domain: whether receivers see it, what each kind of receiver (RFC 7489,
// RFC 9989) makes of it, and whether reports arrive.
//
// Promise: look gathers facts through a Resolver, judge is pure. How receivers read a record is mail/dmarc; here is
// only what an administrator should think of it.
package dmarc

import "github.com/mailwhy/mailwhy/internal/finding"

var (
	ruleMissing = &finding.Rule{
		ID: "dmarc.missing", Severity: finding.Error, Owner: finding.OwnerDomain, After: []string{"dmarc.wrong-place", "dmarc.invisible"},
		Title:  "no DMARC record",
		Says:   "{{.Domain}} has no DMARC record",
		OK:     "DMARC record found at _dmarc.{{.Where}}",
		Why:    "Anybody can send mail in the name of the domain and receivers have no reason to refuse it. Google, Yahoo and Microsoft refuse or junk bulk mail from domains without DMARC.",
		Repair: "Publish a record that only watches at first, read the reports, then tighten it.",
		Refs:   []finding.Ref{finding.RFC(9989, "4.5"), finding.RFC(7489, "6.1")},
	}
	ruleSeveral = &finding.Rule{
		ID: "dmarc.multiple", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "several DMARC records at one name",
		Says:   "_dmarc.{{.Where}} has {{.N}} DMARC records, so receivers use none of them",
		Why:    "Receivers discard all records when there is more than one; the domain is as unprotected as without any.",
		Repair: "Keep one record and delete the others. Until now no policy was in force: begin with the record that asks for reports and is the most cautious, and tighten it when the reports show that all own mail passes.",
		Refs:   []finding.Ref{finding.RFC(7489, "6.6.3"), finding.RFC(9989, "4.10")},
	}
	ruleInvisible = &finding.Rule{
		ID: "dmarc.invisible", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "a DMARC record that receivers do not see",
		Says:   "the record at _dmarc.{{.Where}} does not begin with v=DMARC1 exactly, so receivers do not see it",
		Why:    "The version must come first and be written v=DMARC1; anything else at that name is ignored.",
		Repair: "Begin the record with v=DMARC1; in exactly this spelling.",
		Refs:   []finding.Ref{finding.RFC(7489, "6.3"), finding.RFC(9989, "4.7")},
	}
	ruleWrongPlace = &finding.Rule{
		ID: "dmarc.wrong-place", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "a DMARC record at the wrong name",
		Says:   "a DMARC record stands at {{.Where}}, where receivers do not look; its place is _dmarc.{{.Domain}}",
		Why:    "Receivers ask for _dmarc and the domain only. A record elsewhere protects nothing.",
		Repair: "Move the record to the right name. Many control panels add the domain by themselves: enter only _dmarc.",
		Refs:   []finding.Ref{finding.RFC(9989, "4.5"), finding.RFC(7489, "6.1")},
	}
	ruleNoPolicy = &finding.Rule{
		ID: "dmarc.no-policy", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "DMARC record without a valid policy",
		Says:   "{{if .Value}}the policy {{.Tag}}={{.Value}} does not exist{{else}}the record has no p tag{{end}}, so receivers {{if .Applies}}act as if it said p=none{{else}}ignore the record{{end}}",
		Why:    "A record whose policy cannot be read protects nothing; without a report address it is not even a record.",
		Repair: "Set p (and sp or np where given) to none, quarantine or reject.",
		Refs:   []finding.Ref{finding.RFC(7489, "6.6.3"), finding.RFC(9989, "4.10.1")},
	}
	ruleSyntax = &finding.Rule{
		ID: "dmarc.syntax", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "mistake in the DMARC record",
		Says:   "the DMARC record has a mistake at character {{.Pos}}: {{.What}}",
		OK:     "the record's syntax is right",
		Why:    "Receivers drop what they cannot read and use the default instead, which is rarely what was meant.",
		Repair: "Correct the record at the place named.",
		Refs:   []finding.Ref{finding.RFC(7489, "6.4"), finding.RFC(9989, "4.8")},
	}
	ruleUnknownTag = &finding.Rule{
		ID: "dmarc.unknown-tag", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "tag that DMARC does not have",
		Says:   "the tag {{.Tag}} at character {{.Pos}} is unknown and ignored",
		Why:    "Often a slip of the pen: the tag that was meant is then missing.",
		Repair: "Correct the name of the tag or remove it.",
		Refs:   []finding.Ref{finding.RFC(9989, "4.7"), finding.RFC(7489, "6.3")},
	}
	rulePNotSecond = &finding.Rule{
		ID: "dmarc.p-not-second", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "p does not follow v",
		Says:   "p is not the second tag of the record; strict receivers of RFC 7489 ignore such a record",
		Why:    "RFC 7489 wants p right after v. RFC 9989 gave this up, but older receivers live on.",
		Repair: "Move p directly behind v=DMARC1.",
		Refs:   []finding.Ref{finding.RFC(7489, "6.4"), finding.RFC(9989, "4.8")},
	}
	rulePolicyNone = &finding.Rule{
		ID: "dmarc.policy-none", Severity: finding.Warning, Owner: finding.OwnerDomain, After: []string{"dmarc.no-policy"},
		Title:  "policy p=none",
		Says:   "the policy for {{.Domain}} is none: forged mail in its name is delivered",
		OK:     "failing mail of {{.Domain}} is to be met with {{.Policy}}",
		Why:    "p=none only asks for reports. It is the right start and the wrong end.",
		Repair: "When the reports show that all your own mail passes, raise the policy to quarantine and then to reject.",
		Refs:   []finding.Ref{finding.RFC(9989, "4.7"), finding.RFC(7489, "6.3")},
	}
	ruleSubdomainsWeaker = &finding.Rule{
		ID: "dmarc.subdomains-weaker", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "weaker policy for subdomains",
		Says:   "{{.Tag}}={{.Sub}} is weaker than p={{.Policy}}: whoever cannot forge {{.Domain}} forges a subdomain instead",
		Why:    "Any name under the domain, also one that does not exist, looks like yours to a reader.",
		Repair: "Remove the tag, so that p holds for subdomains too, or make it as strict.",
		Refs:   []finding.Ref{finding.RFC(7489, "6.3"), finding.RFC(9989, "4.7")},
	}
	ruleNPMissing = &finding.Rule{
		ID: "dmarc.np-missing", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "no policy for names that do not exist",
		Says:   "without np, mail from names under {{.Domain}} that do not exist gets {{.Policy}}",
		Why:    "Nobody sends honest mail from a name that does not exist, so np=reject costs nothing, even while p is still none.",
		Repair: "Add np=reject. Receivers of RFC 7489 ignore it.",
		Refs:   []finding.Ref{finding.RFC(9989, "4.7")},
	}
	rulePct = &finding.Rule{
		ID: "dmarc.pct", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "policy for a part of the mail only",
		Says:   "pct={{.Pct}}: receivers of RFC 7489 apply {{.Policy}} to {{.Pct}}% of failing mail, receivers of RFC 9989 to all of it",
		Why:    "pct is no longer part of DMARC. A roll-out that relies on it hits some receivers with full force and leaves others half open.",
		Repair: "Remove pct. To go gently use a weaker policy, or t=y for receivers of RFC 9989.",
		Refs:   []finding.Ref{finding.RFC(7489, "6.6.4"), finding.RFC(9989, "4.7")},
	}
	ruleTest = &finding.Rule{
		ID: "dmarc.test-mode", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "test mode",
		Says:   "t=y: receivers of RFC 9989 apply {{.Lower}} instead of {{.Policy}}, receivers of RFC 7489 apply {{.Policy}}",
		Why:    "Test mode is for a time of trial; left on, the domain is protected one step less than its record says.",
		Repair: "Remove t=y when the reports are clean.",
		Refs:   []finding.Ref{finding.RFC(9989, "4.7")},
	}
	ruleHistoric = &finding.Rule{
		ID: "dmarc.historic-tags", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "tags that are history",
		Says:   "{{list .Tags}} {{plural .N \"means\" \"mean\"}} nothing to receivers of RFC 9989",
		Why:    "They do no harm; they only make the record longer and suggest something that does not happen.",
		Repair: "Remove them at the next change.",
		Refs:   []finding.Ref{finding.RFC(9989, "4.7")},
	}
	ruleReadings = &finding.Rule{
		ID: "dmarc.readings-differ", Severity: finding.Warning, Owner: finding.OwnerDomain, After: []string{"dmarc.pct", "dmarc.test-mode", "dmarc.multiple"},
		Title:  "old and new receivers act differently",
		Says:   "receivers of RFC 7489 and of RFC 9989 treat mail of {{.Domain}} differently: {{list .What}}",
		OK:     "receivers of RFC 7489 and of RFC 9989 act alike",
		Why:    "Both kinds of receiver are in use. What you test at one is not what happens at the other.",
		Repair: "Publish a record at the domain itself, with p and sp spelt out and without pct, t or psd, unless the difference is meant.",
		Refs:   []finding.Ref{finding.RFC(7489, "6.6.3"), finding.RFC(9989, "4.10")},
	}
	ruleRUAMissing = &finding.Rule{
		ID: "dmarc.rua-missing", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "nobody gets the reports",
		Says:   "the record names no address for aggregate reports (rua)",
		OK:     "aggregate reports go to {{list .Targets}}",
		Why:    "Without reports nobody learns that own mail fails or that the domain is forged, and tightening the policy is guesswork.",
		Repair: "Add rua=mailto: with a mailbox that a program reads.",
		Refs:   []finding.Ref{finding.RFC(9989, "4.7"), finding.RFC(7489, "6.3")},
	}
	ruleURI = &finding.Rule{
		ID: "dmarc.report-address", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "report address that cannot be used",
		Says:   "{{.Tag}} has an address at character {{.Pos}} that receivers cannot use: {{.What}}",
		Why:    "Reports to this address are never sent.",
		Repair: "Write each address as mailto:name@domain, with commas between them.",
		Refs:   []finding.Ref{finding.RFC(7489, "6.4"), finding.RFC(9989, "4.8")},
	}
	ruleURISize = &finding.Rule{
		ID: "dmarc.report-size", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "size limit on a report address",
		Says:   "the size limit !{{.Size}} on {{.Address}} is unknown to RFC 9989",
		Why:    "Receivers of RFC 9989 may take the limit for a part of the address.",
		Repair: "Remove the exclamation mark and the size.",
		Refs:   []finding.Ref{finding.RFC(7489, "6.2"), finding.RFC(9989, "4.8")},
	}
	ruleUnauthorised = &finding.Rule{
		ID: "dmarc.report-unauthorised", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "the report address belongs to a domain that did not agree",
		Says:   "{{.Target}} has not agreed to receive reports about {{.Domain}}: no DMARC record at {{.Name}}",
		OK:     "{{.Target}} takes reports about {{.Domain}}",
		Why:    "Receivers send reports to another organization only if a record there says so; otherwise they send none.",
		Repair: "Ask the holder of the report address to publish the record, or use an address in your own domain.",
		Refs:   []finding.Ref{finding.RFC(7489, "7.1"), finding.RFC(9990, "")},
	}
	ruleUnreachable = &finding.Rule{
		ID: "dmarc.report-unreachable", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "the report address cannot receive mail",
		Says:   "{{.Target}}, where {{.Tag}} sends reports, {{if .Null}}declares that it takes no mail (null MX){{else}}has neither MX nor address records{{end}}",
		OK:     "{{.Target}} can receive reports",
		Why:    "Every report bounces, and the domain owner sees nothing.",
		Repair: "Use an address whose domain receives mail.",
		Refs:   []finding.Ref{finding.RFC(7489, "6.2"), finding.RFC(5321, "5.1")},
	}
	ruleFO = &finding.Rule{
		ID: "dmarc.fo-without-ruf", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "fo without ruf",
		Says:   "fo={{.Value}} has no effect without ruf",
		Why:    "fo says when failure reports are wanted; without an address for them nobody sends any.",
		Repair: "Remove fo or add ruf.",
		Refs:   []finding.Ref{finding.RFC(9989, "4.7"), finding.RFC(7489, "6.3")},
	}
	ruleStrict = &finding.Rule{
		ID: "dmarc.strict-alignment", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "strict alignment",
		Says:   "{{list .Tags}}: only the very same domain counts, not a subdomain",
		Why:    "Services that bounce to or sign with a subdomain of yours will fail DMARC. Meant by few, set by many.",
		Repair: "Remove the tag unless subdomains are in other hands.",
		Refs:   []finding.Ref{finding.RFC(9989, "4.4"), finding.RFC(7489, "3.1")},
	}
	rulePSD = &finding.Rule{
		ID: "dmarc.psd", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "the domain claims to be a public suffix",
		Says:   "psd=y says that {{.Domain}} is a registry, as com is; the public suffix list disagrees",
		Why:    "To receivers of RFC 9989 every name below is then a separate organization, and alignment between them ends.",
		Repair: "Remove psd=y, unless others register names under this domain.",
		Refs:   []finding.Ref{finding.RFC(9989, "4.7"), finding.RFC(9989, "4.10.2")},
	}
)

// Rules lists every rule of this package.
var Rules = []*finding.Rule{
	ruleMissing, ruleSeveral, ruleInvisible, ruleWrongPlace, ruleNoPolicy, ruleSyntax, ruleUnknownTag, rulePNotSecond,
	rulePolicyNone, ruleSubdomainsWeaker, ruleNPMissing, rulePct, ruleTest, ruleHistoric, ruleReadings, ruleRUAMissing,
	ruleURI, ruleURISize, ruleUnauthorised, ruleUnreachable, ruleFO, ruleStrict, rulePSD,
}
