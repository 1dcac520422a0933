// Package dnssec looks at the chain of signatures from the trust anchor to a domain (row C7), validated by mailwhy
// itself, and names the broken link.
//
// Promise: an unsigned domain is no fault. A broken chain is, because validating resolvers (most of the large ones)
// then answer SERVFAIL and mail in both directions stops. RFCs: 4033-4035, 5155, 6781, 8624, 9276.
//
// It must not look at TLSA records: the dane pack does.
package dnssec

import "github.com/mailwhy/mailwhy/internal/finding"

const breaks = "Validating resolvers answer SERVFAIL for the whole domain: mail to it waits and bounces, mail from it is deferred or refused."

var ruleUnsigned = &finding.Rule{
	ID: "dnssec.unsigned", Severity: finding.Note, Owner: finding.OwnerDomain,
	Title: "the domain is not signed",
	Says:  "{{.Domain}} is not signed with DNSSEC{{if .Island}}: it has keys, but the parent has no DS record{{end}}",
	OK:    "{{.Domain}} is signed and the chain from the trust anchor is whole",
	Why:   "Mail works without. DNSSEC keeps forged MX answers away and is what DANE stands on.",
	Refs:  []finding.Ref{finding.RFC(4033, "5")},
}

var ruleDS = &finding.Rule{
	ID: "dnssec.ds-mismatch", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "the DS at the parent fits none of the zone's keys",
	Says:   "the parent of {{.Zone}} has DS for key {{.Tags}}, the zone has {{if .Keys}}key {{.Keys}}{{else}}no such key{{end}}",
	Why:    breaks,
	Repair: "Publish the DS of the present key at the registrar, or take the DS out to make the domain unsigned.",
	Refs:   []finding.Ref{finding.RFC(4035, "5.2"), finding.RFC(6781, "4.1.2")},
}

var ruleNoKeys = &finding.Rule{
	ID: "dnssec.no-keys", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "the parent says signed, but the zone has no keys",
	Says:   "the parent of {{.Zone}} has a DS record, but {{.Zone}} has no DNSKEY",
	Why:    breaks,
	Repair: "Take the DS out at the registrar, or sign the zone again. This often follows a move to a provider that does not sign.",
	Refs:   []finding.Ref{finding.RFC(4035, "5.2")},
}

var ruleKeysUnsigned = &finding.Rule{
	ID: "dnssec.keys-not-signed", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "the key named by the DS does not sign the key set",
	Says:   "no key that the parent's DS names signs the DNSKEY set of {{.Zone}}",
	Why:    breaks,
	Repair: "Have the signer sign the DNSKEY set with the key-signing key, or publish the DS of the key that does.",
	Refs:   []finding.Ref{finding.RFC(4035, "5.2")},
}

var ruleMissing = &finding.Rule{
	ID: "dnssec.signature-missing", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "a record set of a signed zone has no signature",
	Says:   "{{.Name}} {{.Type}} comes without a signature, though {{.Zone}} is signed",
	Why:    breaks,
	Repair: "Sign the zone again; if only one name server is at fault, transfer the signed zone to it.",
	Refs:   []finding.Ref{finding.RFC(4035, "2.2")},
}

var ruleExpired = &finding.Rule{
	ID: "dnssec.signature-expired", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "a signature has expired",
	Says:   "the signature of {{.Name}} {{.Type}} expired on {{.At}}",
	Why:    breaks,
	Repair: "Sign the zone again, and find out why the signer did not run.",
	Refs:   []finding.Ref{finding.RFC(4035, "5.3.1"), finding.RFC(6781, "4.4.2")},
}

var ruleEarly = &finding.Rule{
	ID: "dnssec.signature-not-yet-valid", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "a signature is not valid yet",
	Says:   "the signature of {{.Name}} {{.Type}} is valid from {{.At}} on only",
	Why:    breaks,
	Repair: "Set the clock of the signer right and sign the zone again (and look at the clock of this machine).",
	Refs:   []finding.Ref{finding.RFC(4035, "5.3.1")},
}

var ruleWrong = &finding.Rule{
	ID: "dnssec.signature-wrong", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "a signature does not fit its records",
	Says:   "the signature of {{.Name}} {{.Type}} by key {{.Tags}} does not fit",
	Why:    breaks,
	Repair: "Sign the zone again; if it comes back, something between signer and name server alters records.",
	Refs:   []finding.Ref{finding.RFC(4035, "5.3.3")},
}

var ruleOtherKey = &finding.Rule{
	ID: "dnssec.signature-other-key", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "a signature is by a key that the zone does not publish",
	Says:   "{{.Name}} {{.Type}} is signed by key {{.Tags}}, which is not in the DNSKEY set of {{.Zone}}",
	Why:    breaks,
	Repair: "Publish the key, or sign with one that is published. This follows a key change that went too fast.",
	Refs:   []finding.Ref{finding.RFC(4035, "5.3.1"), finding.RFC(6781, "4.1.1")},
}

var ruleDenial = &finding.Rule{
	ID: "dnssec.denial-broken", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "absence is not proved",
	Says:   "{{.Zone}} does not prove that {{.Name}} {{.Type}} does not exist (NSEC or NSEC3 {{if .Missing}}missing{{else}}wrong{{end}})",
	Why:    breaks,
	Repair: "Sign the zone again, so that the NSEC or NSEC3 chain is whole.",
	Refs:   []finding.Ref{finding.RFC(4035, "5.4"), finding.RFC(5155, "8")},
}

var ruleExpiring = &finding.Rule{
	ID: "dnssec.expiring", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "signatures expire soon",
	Says:   "signatures of {{.Domain}} expire in {{.Left}} ({{.At}})",
	OK:     "signatures are good for another {{.Left}}",
	Why:    "A zone whose signatures run out is gone for validating resolvers from one second to the next.",
	Repair: "See that the signer runs; it should renew signatures days before they expire.",
	Refs:   []finding.Ref{finding.RFC(6781, "4.4.2")},
}

var ruleAlgorithm = &finding.Rule{
	ID: "dnssec.old-algorithm", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "an algorithm or key that is too weak",
	Says:   "{{.Zone}} uses {{list .What}}",
	Why:    "SHA-1 and short RSA keys can be broken; some resolvers treat such zones as unsigned already.",
	Repair: "Change to ECDSAP256SHA256 (13) or ED25519 (15), with SHA-256 (2) as DS digest.",
	Refs:   []finding.Ref{finding.RFC(8624, "3.1"), finding.RFC(8624, "3.3")},
}

var ruleUnknown = &finding.Rule{
	ID: "dnssec.unknown-algorithm", Severity: finding.Note, Owner: finding.OwnerDomain,
	Title: "signed with an algorithm that few can check",
	Says:  "{{.Zone}} is signed only with algorithms that mailwhy cannot check ({{list .What}})",
	Why:   "Resolvers that do not know them either take the domain for unsigned.",
	Refs:  []finding.Ref{finding.RFC(4035, "5.2")},
}

var ruleOrphan = &finding.Rule{
	ID: "dnssec.ds-orphan", Severity: finding.Note, Owner: finding.OwnerDomain,
	Title: "a DS without a key beside a good one",
	Says:  "the parent of {{.Zone}} also has a DS for key {{.Tags}}, which the zone does not have",
	Why:   "Normal during a key change; forgotten, it is one more thing to go wrong.",
	Refs:  []finding.Ref{finding.RFC(6781, "4.1.2")},
}

// Rules are all the rules of this pack.
var Rules = []*finding.Rule{
	ruleUnsigned, ruleDS, ruleNoKeys, ruleKeysUnsigned, ruleMissing, ruleExpired, ruleEarly, ruleWrong, ruleOtherKey, ruleDenial,
	ruleExpiring, ruleAlgorithm, ruleUnknown, ruleOrphan,
}
