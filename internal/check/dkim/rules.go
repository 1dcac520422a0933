// Package dkim judges the DKIM keys a domain publishes: which selectors there are, whether receivers can use their keys,
// and whether a key fits the private key a server signs with.
//
// Promise: look gathers facts through a Resolver, judge is pure. The DNS cannot list selectors: they come from a table
// of names that senders use and from the user. A private key never leaves the caller; only its public half is compared.
package dkim

import "github.com/mailwhy/mailwhy/internal/finding"

var (
	ruleNone = &finding.Rule{
		ID: "dkim.none", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "no DKIM key",
		Says:   "{{.Domain}} publishes no DKIM key: there is nothing below _domainkey.{{.Domain}}",
		OK:     "DKIM {{plural .N \"key\" \"keys\"}} found at {{list .Selectors}}",
		Why:    "Nobody can verify a signature of the domain. Forwarded mail then fails DMARC, since SPF does not survive forwarding; Google and Yahoo want DKIM from bulk senders.",
		Repair: "Turn on DKIM signing where mail leaves, and publish the key it shows.",
		Refs:   []finding.Ref{finding.RFC(6376, "3.6.2"), {Title: "Google: Email sender guidelines", URL: "https://support.google.com/a/answer/81126"}},
	}
	ruleSelector = &finding.Rule{
		ID: "dkim.selector-missing", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "no key at the selector",
		Says:   "{{.Name}} has no TXT record{{if .Target}}: it is an alias of {{.Target}}, where there is none{{else if .NX}}: the name does not exist{{end}}",
		Why:    "Signatures with this selector cannot be verified and count for nothing.",
		Repair: "Publish the key the signing server shows, at this very name; or correct the selector in the server.",
		Refs:   []finding.Ref{finding.RFC(6376, "3.6.2.1")},
	}
	ruleSyntax = &finding.Rule{
		ID: "dkim.syntax", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "a key record that cannot be used",
		Says:   "the key record at {{.Name}} cannot be used: {{.What}}{{if .Pos}} (character {{.Pos}}){{end}}",
		OK:     "the syntax of every key record is right",
		Why:    "Every signature with this selector fails.",
		Repair: "Publish the key again, exactly as the signing server shows it.",
		Refs:   []finding.Ref{finding.RFC(6376, "3.6.1")},
	}
	ruleTag = &finding.Rule{
		ID: "dkim.tag", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "a slip in a key record",
		Says:   "the key record at {{.Name}} has a slip: {{.What}}{{if .Pos}} (character {{.Pos}}){{end}}",
		Why:    "Most receivers read over it; strict ones refuse the key.",
		Repair: "Publish the record in its clean form.",
		Refs:   []finding.Ref{finding.RFC(6376, "3.2"), finding.RFC(6376, "3.6.1")},
	}
	ruleSeveral = &finding.Rule{
		ID: "dkim.several", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "several records at one selector",
		Says:   "{{.Name}} has {{.N}} TXT records; there must be one",
		Why:    "Receivers take any of them or none: verification succeeds by luck.",
		Repair: "Keep the record of the key the server signs with and delete the others; a new key gets a selector of its own.",
		Refs:   []finding.Ref{finding.RFC(6376, "3.6.2.2")},
	}
	ruleShort = &finding.Rule{
		ID: "dkim.short-key", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "a short RSA key",
		Says:   "the RSA key at {{.Name}} has {{.Bits}} bits; 2048 are wanted",
		OK:     "every key is long enough",
		Why:    "Keys of 1024 bits are within reach of a well-equipped attacker; some receivers already mark them down.",
		Repair: "Make a key of 2048 bits under a new selector, sign with it, and revoke the old one after a week.",
		Refs:   []finding.Ref{finding.RFC(8301, "3.2")},
	}
	ruleTooShort = &finding.Rule{
		ID: "dkim.key-too-short", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "an RSA key nobody accepts",
		Says:   "the RSA key at {{.Name}} has {{.Bits}} bits; receivers must refuse keys under 1024",
		Why:    "Every signature with this key counts as failed, and the key can be broken in hours.",
		Repair: "Make a key of 2048 bits under a new selector and sign with it; revoke this one at once.",
		Refs:   []finding.Ref{finding.RFC(8301, "3.2")},
	}
	ruleTest = &finding.Rule{
		ID: "dkim.test-mode", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "a key in test mode",
		Says:   "the key at {{.Name}} says t=y: the domain is only testing DKIM",
		OK:     "no key is in test mode",
		Why:    "Receivers may treat the signature as if it were not there.",
		Repair: "Remove the flag y from t.",
		Refs:   []finding.Ref{finding.RFC(6376, "3.6.1")},
	}
	ruleRevoked = &finding.Rule{
		ID: "dkim.revoked", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "a revoked key",
		Says:   "the key at {{.Name}} is revoked (p is empty)",
		Why:    "Signatures with this selector fail, which is right after a change of keys.",
		Repair: "Nothing, unless a server still signs with this selector. Delete the record when no mail signed with it is under way any more.",
		Refs:   []finding.Ref{finding.RFC(6376, "3.6.1")},
	}
	ruleHash = &finding.Rule{
		ID: "dkim.hash-limit", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "a key that forbids sha256",
		Says:   "the key at {{.Name}} allows only {{.Hashes}}, so no signature in use today verifies",
		Why:    "sha1 must not be used any more; all signatures are made with sha256.",
		Repair: "Remove the tag h.",
		Refs:   []finding.Ref{finding.RFC(8301, "3.1"), finding.RFC(6376, "3.6.1")},
	}
	rulePrivate = &finding.Rule{
		ID: "dkim.private-key-published", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "the private key is public",
		Says:   "the record at {{.Name}} holds a private key",
		Why:    "Everybody can sign mail as the domain.",
		Repair: "Make a new pair of keys, publish the public one under a new selector, and delete this record at once.",
		Refs:   []finding.Ref{finding.RFC(6376, "8.3")},
	}
	ruleDuplicate = &finding.Rule{
		ID: "dkim.duplicate-key", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "the same key at two selectors",
		Says:   "{{.A}} and {{.B}} hold the same key",
		Why:    "Changing one selector does not change the key: whoever has it can go on signing.",
		Repair: "Give each selector a key of its own.",
		Refs:   []finding.Ref{finding.RFC(6376, "3.1")},
	}
	ruleWildcard = &finding.Rule{
		ID: "dkim.wildcard", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "a wildcard below _domainkey",
		Says:   "every name below _domainkey.{{.Domain}} answers with the same TXT record",
		Why:    "A wildcard hides a missing key: the selector seems to exist, but what is there is {{if .Key}}one key for all{{else}}no key{{end}}.",
		Repair: "Remove the wildcard, or limit it to names outside _domainkey.",
		Refs:   []finding.Ref{finding.RFC(6376, "6.1.2"), finding.RFC(4592, "2.2")},
	}
	ruleEd25519 = &finding.Rule{
		ID: "dkim.ed25519-only", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "only ed25519 keys",
		Says:   "all keys found are ed25519; many receivers verify RSA only",
		Why:    "At those receivers the mail counts as unsigned.",
		Repair: "Sign twice: with ed25519 and with RSA of 2048 bits under another selector.",
		Refs:   []finding.Ref{finding.RFC(8463, "4"), finding.RFC(8463, "3")},
	}
	ruleMatch = &finding.Rule{
		ID: "dkim.key-mismatch", Severity: finding.Error, Owner: finding.OwnerDomain, After: []string{"dkim.selector-missing", "dkim.syntax", "dkim.revoked"},
		Title:  "the published key is not that of the server",
		Says:   "the key at {{.Name}} does not belong to the private key in {{.File}}",
		OK:     "the key at {{.Name}} belongs to the private key in {{.File}}",
		Why:    "Every signature the server makes fails.",
		Repair: "Publish the public half of the key the server uses.",
		Refs:   []finding.Ref{finding.RFC(6376, "3.6.1")},
	}
)

// Rules are all rules of the topic.
var Rules = []*finding.Rule{
	ruleNone, ruleSelector, ruleSyntax, ruleTag, ruleSeveral, ruleShort, ruleTooShort, ruleTest, ruleRevoked, ruleHash, rulePrivate,
	ruleDuplicate, ruleWildcard, ruleEd25519, ruleMatch,
}
