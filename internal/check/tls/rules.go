package tls

import "github.com/mailwhy/mailwhy/internal/finding"

var (
	ruleHandshake = &finding.Rule{
		ID: "tls.handshake-failed", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "TLS handshake fails", Says: "the TLS handshake fails: {{.What}}",
		OK:     "TLS works",
		Why:    "Senders that insist on TLS cannot deliver; others fall back to plain text or give up, as they please.",
		Repair: "Read the server's TLS log for the moment of the test; usual causes are a certificate file without its key, a list of suites that is empty, or a firewall that inspects TLS.",
		Refs:   []finding.Ref{finding.RFC(3207, "4"), finding.RFC(8446, "6.2")},
	}
	ruleNotOffered = &finding.Rule{
		ID: "tls.not-offered", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "no TLS on this port", Says: "the server refuses STARTTLS: {{.What}}",
		Why:    "Mail and passwords cross the network in plain text, and senders that insist on TLS cannot deliver.",
		Repair: "Install a certificate and enable STARTTLS on this port.",
		Refs:   []finding.Ref{finding.RFC(3207, "4"), finding.RFC(8314, "3")},
	}
	ruleSelfSigned = &finding.Rule{
		ID: "tls.self-signed", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "self-signed certificate", Says: "the certificate is self-signed ({{.Subject}})",
		OK:     "the certificate chain ends at a known root",
		Why:    "The connection is encrypted, but anybody on the path can pose as this server; senders that verify (MTA-STS, Outlook and others by policy) refuse it.",
		Repair: "Install a certificate from a public authority for the host name; ACME clients renew it unattended.",
		Refs:   []finding.Ref{finding.RFC(8461, "4.2"), finding.RFC(5280, "6.1")},
	}
	ruleUnknownRoot = &finding.Rule{
		ID: "tls.unknown-authority", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "certificate from an unknown authority", Says: "the certificate chain ends at {{.Issuer}}, which is no known root",
		Why:    "Strangers do not know this authority, so senders that verify refuse the server.",
		Repair: "Use a certificate from a public authority for servers that strangers talk to.",
		Refs:   []finding.Ref{finding.RFC(5280, "6.1"), finding.RFC(8461, "4.2")},
	}
	ruleMissing = &finding.Rule{
		ID: "tls.missing-intermediate", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "incomplete certificate chain", Says: "the server did not send the certificate of {{.Issuer}}, which signed what it sent",
		Why:    "Clients that do not happen to know the missing certificate cannot build a chain, so verification fails for some senders and works for others.",
		Repair: "Configure the full chain (fullchain.pem, not cert.pem): leaf first, then each issuer up to but without the root. If {{.Issuer}} is an authority of your own, strangers will not believe it in any case.",
		Refs:   []finding.Ref{finding.RFC(8446, "4.4.2")},
	}
	ruleExpired = &finding.Rule{
		ID: "tls.expired", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "expired certificate", Says: "the certificate expired on {{.Until}}",
		Why:    "Senders that verify refuse the server, mail programs warn their users.",
		Repair: "Renew the certificate, reload the server, and find out why the renewal did not happen by itself.",
		Refs:   []finding.Ref{finding.RFC(5280, "4.1.2.5")},
	}
	ruleNotYet = &finding.Rule{
		ID: "tls.not-yet-valid", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "certificate not valid yet", Says: "the certificate is valid only from {{.From}} on",
		Why:    "Until then it counts as invalid. If this date looks right, the clock of the testing machine may be wrong.",
		Repair: "Install a certificate that is valid now; check the clocks of both machines.",
		Refs:   []finding.Ref{finding.RFC(5280, "4.1.2.5")},
	}
	ruleBadCert = &finding.Rule{
		ID: "tls.bad-certificate", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "invalid certificate", Says: "the certificate cannot be verified: {{.Text}}",
		Why:    "Senders that verify refuse the server.",
		Repair: "Have the certificate issued again for server authentication by a public authority.",
		Refs:   []finding.Ref{finding.RFC(5280, "6.1")},
	}
	ruleName = &finding.Rule{
		ID: "tls.wrong-name", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "certificate for other names", Says: "the certificate is not valid for {{.Name}}, only for {{list .Names}}",
		OK:     "the certificate names the host",
		Why:    "Senders that verify hold the certificate against the MX host name and refuse the server; MTA-STS demands it.",
		Repair: "Have the certificate issued with {{.Name}} among its names, or name a host in the MX record that the certificate covers.",
		Refs:   []finding.Ref{finding.RFC(8461, "4.2"), finding.RFC(9525, "6")},
	}
	ruleExpires = &finding.Rule{
		ID: "tls.expires-soon", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "certificate about to expire", Says: "the certificate expires in {{.Left}}, on {{.Until}}",
		OK:     "the certificate is valid for another {{.Left}}",
		Why:    "After that date senders that verify refuse the server. Unattended renewals are done 30 days ahead, so a shorter rest often means that the renewal is broken.",
		Repair: "Run the renewal by hand, read its log, and reload the mail server afterwards: many keep the old file in memory.",
		Refs:   []finding.Ref{finding.RFC(5280, "4.1.2.5")},
	}
	ruleOrder = &finding.Rule{
		ID: "tls.chain-order", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "certificates in the wrong order", Says: "the certificates of the chain are not in order: {{list .Names}}",
		OK:     "the chain is in order",
		Why:    "TLS before 1.3 demands that each certificate is followed by its issuer; some old clients cannot sort.",
		Repair: "Put the leaf first, then its issuer, then the issuer of that one.",
		Refs:   []finding.Ref{finding.RFC(5246, "7.4.2"), finding.RFC(8446, "4.4.2")},
	}
	ruleKey = &finding.Rule{
		ID: "tls.key-small", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "small certificate key", Says: "the certificate has a {{.Kind}} key of {{.Bits}} bits, the minimum is {{.Min}}",
		OK:     "{{.Kind}} key of {{.Bits}} bits",
		Why:    "Keys of this size can be broken, and current TLS libraries refuse them.",
		Repair: "Make a new key, ECDSA P-256 or RSA of 2048 bits or more, and have a new certificate issued for it.",
		Refs:   []finding.Ref{finding.RFC(9325, "4.5")},
	}
	ruleSignature = &finding.Rule{
		ID: "tls.signature-weak", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "weak certificate signature", Says: "a certificate of the chain ({{.Subject}}) is signed with {{.Algorithm}}",
		OK:     "signatures of the chain are up to date",
		Why:    "Signatures over MD5 and SHA-1 can be forged, and current TLS libraries refuse them.",
		Repair: "Have the certificate issued again, signed with SHA-256 or better.",
		Refs:   []finding.Ref{finding.RFC(9155, ""), finding.RFC(8446, "4.4.2.4")},
	}
	ruleOldVersion = &finding.Rule{
		ID: "tls.version-old", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "outdated TLS versions accepted", Says: "the server still accepts {{list .Versions}}",
		OK:     "no outdated TLS versions",
		Why:    "These versions have known weaknesses and have been withdrawn since 2021; auditors count them. Between mail servers they still beat plain text, so switch them off for mail programs first.",
		Repair: "Set the lowest version to TLS 1.2 (Postfix: smtpd_tls_protocols = >=TLSv1.2).",
		Refs:   []finding.Ref{finding.RFC(8996, ""), finding.RFC(9325, "3.1.1")},
	}
	ruleSSL = &finding.Rule{
		ID: "tls.sslv3", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "SSL 3.0 accepted", Says: "the server accepts SSL 3.0",
		OK:     "SSL 3.0 is refused",
		Why:    "SSL 3.0 is broken (POODLE); a server that still has it has not been updated for a decade.",
		Repair: "Switch SSL 3.0 off and update the server's TLS library.",
		Refs:   []finding.Ref{finding.RFC(7568, "")},
	}
	ruleOnlyOld = &finding.Rule{
		ID: "tls.version-only-old", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "no current TLS version", Says: "the best the server can do is {{.Version}}",
		OK:     "the best version is {{.Version}}",
		Why:    "Many senders speak nothing below TLS 1.2 any more: they send in plain text or not at all.",
		Repair: "Update the server's TLS library, or enable TLS 1.2 and 1.3 in its configuration.",
		Refs:   []finding.Ref{finding.RFC(8996, ""), finding.RFC(9325, "3.1.1")},
	}
	ruleNo13 = &finding.Rule{
		ID: "tls.no-tls13", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "no TLS 1.3", Says: "TLS 1.3 is not offered",
		OK:     "TLS 1.3 is offered",
		Why:    "TLS 1.2 is still good, but TLS 1.3 is safer, needs one round trip less, and post-quantum key exchange exists only there.",
		Repair: "Update the server's TLS library, or allow TLS 1.3 in its configuration.",
		Refs:   []finding.Ref{finding.RFC(9325, "3.1.1"), finding.RFC(8446, "")},
	}
	ruleWeakSuite = &finding.Rule{
		ID: "tls.suite-broken", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "broken cipher suites accepted", Says: "the server accepts {{.N}} broken {{plural .N \"suite\" \"suites\"}} ({{list .Reasons}}), such as {{list .Suites}}",
		OK:     "no broken cipher suites",
		Why:    "Whoever can steer the handshake to one of these suites can read or forge the connection, and audits fail.",
		Repair: "Allow only AEAD suites with ephemeral keys (Postfix: smtpd_tls_exclude_ciphers = aNULL, eNULL, EXPORT, RC4, DES, MD5).",
		Refs:   []finding.Ref{finding.RFC(9325, "4.1"), finding.RFC(7465, "")},
	}
	ruleOldSuite = &finding.Rule{
		ID: "tls.suite-old", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "ageing cipher suites accepted", Says: "the server also accepts {{.N}} ageing {{plural .N \"suite\" \"suites\"}} ({{list .Reasons}})",
		OK:     "only modern cipher suites",
		Why:    "They are not broken, but better ones have replaced them; without ephemeral keys a stolen key opens recorded mail.",
		Repair: "Prefer ECDHE with AES-GCM or ChaCha20 and drop the rest once no partner needs them.",
		Refs:   []finding.Ref{finding.RFC(9325, "4.1")},
	}
	ruleDH = &finding.Rule{
		ID: "tls.dh-small", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "small Diffie-Hellman group", Says: "the key exchange uses a prime of {{.Bits}} bits, the minimum is {{.Min}}",
		OK:     "Diffie-Hellman groups are large enough",
		Why:    "Groups of 1024 bits and less can be broken by large attackers (Logjam).",
		Repair: "Use ECDHE, or the groups of RFC 7919 from 2048 bits on.",
		Refs:   []finding.Ref{finding.RFC(9325, "4.1"), finding.RFC(7919, "")},
	}
	rulePQ = &finding.Rule{
		ID: "tls.no-post-quantum", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "no post-quantum key exchange", Says: "the key exchange ({{.Group}}) does not hold against a recorder with a future quantum computer",
		OK:     "post-quantum key exchange ({{.Group}})",
		Why:    "Mail recorded today could be opened later. Nobody demands the hybrid groups yet; a current TLS library has them.",
		Repair: "Update the server's TLS library (OpenSSL 3.5 or later offers X25519MLKEM768).",
		Refs:   []finding.Ref{finding.RFC(8446, "4.2.7")},
	}
	ruleSNI = &finding.Rule{
		ID: "tls.sni-differs", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "another certificate without SNI", Says: "without SNI the server shows a certificate for {{list .Names}}",
		OK:     "the same certificate with and without SNI",
		Why:    "Senders that name no host in the handshake, among them many mail servers, see the other certificate.",
		Repair: "Make the certificate of the MX host the default one of this port.",
		Refs:   []finding.Ref{finding.RFC(6066, "3")},
	}
	ruleTrust = ruleSelfSigned // says that the chain is good, where it is
)

// Rules lists every rule of this pack.
var Rules = []*finding.Rule{
	ruleStaple,
	ruleHandshake, ruleNotOffered, ruleSelfSigned, ruleUnknownRoot, ruleMissing, ruleExpired, ruleNotYet, ruleBadCert, ruleName, ruleExpires, ruleOrder,
	ruleKey, ruleSignature, ruleOldVersion, ruleSSL, ruleOnlyOld, ruleNo13, ruleWeakSuite, ruleOldSuite, ruleDH, rulePQ, ruleSNI,
}
