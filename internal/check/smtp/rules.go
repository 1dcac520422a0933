package smtp

import "github.com/mailwhy/mailwhy/internal/finding"

var (
	ruleNoServer = &finding.Rule{
		ID: "smtp.no-server-answers", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "no mail server of the domain answers", Says: "{{if eq .N 1}}the only address takes no{{else}}none of {{.N}} addresses takes a{{end}} connection on port 25",
		OK:     "mail servers answer on port 25",
		Why:    "No mail reaches the domain; senders keep trying for days and then give up with a bounce.",
		Repair: "Start the mail server, have it listen on the public addresses, and open port 25 in every firewall on the way.",
		Refs:   []finding.Ref{finding.RFC(5321, "4.5.4.1")},
	}
	ruleUnreachable = &finding.Rule{
		ID: "smtp.unreachable", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "mail server address unreachable", Says: "{{.Addr}} port 25: {{.What}}",
		OK:     "every mail server address takes connections",
		Why:    "Senders that try this address first lose time, and while the others are down they cannot deliver.",
		Repair: "Make the server listen on this address and open port 25, or take the address out of the DNS.",
		Refs:   []finding.Ref{finding.RFC(5321, "5.1")},
	}
	ruleIPv6 = &finding.Rule{
		ID: "smtp.ipv6-unreachable", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "mail server unreachable over IPv6", Says: "the host has an IPv6 address that does not take mail: {{.Addr}}: {{.What}}",
		Why:    "Senders with IPv6 try it first and wait for their time-out before they use IPv4; some give up.",
		Repair: "Make the server listen on IPv6 and open port 25 there, or remove the AAAA record.",
		Refs:   []finding.Ref{finding.RFC(5321, "5.2")},
		After:  []string{"smtp.no-server-answers"},
	}
	ruleNotSMTP = &finding.Rule{
		ID: "smtp.not-smtp", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "no SMTP on port 25", Says: "port 25 answers, but not as a mail server: {{.What}}",
		OK:     "port 25 speaks SMTP",
		Why:    "No sender can deliver to this address.",
		Repair: "Look at what listens on port 25 (ss -ltnp sport = :25) and at any proxy or firewall in front of it.",
		Refs:   []finding.Ref{finding.RFC(5321, "4.2")},
	}
	ruleSlow = &finding.Rule{
		ID: "smtp.greeting-slow", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "slow greeting", Says: "the greeting came only after {{.Took}}",
		OK:     "the greeting comes within {{.Took}}",
		Why:    "A few seconds keep spammers away; more makes senders hit their time-outs and mail programs give up. A slow greeting is often a DNS look-up or a blocklist that no longer answers.",
		Repair: "Check the resolver of the mail server and remove dead blocklists; set the delay of postscreen or the tarpit below 10 seconds.",
		Refs:   []finding.Ref{finding.RFC(5321, "4.5.3.2.1")},
	}
	ruleHello = &finding.Rule{
		ID: "smtp.no-hello", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "neither EHLO nor HELO is taken", Says: "the server takes neither EHLO nor HELO",
		Why:    "No mail can be handed to a server that does not get past the first command.",
		Repair: "Read the server's log for the moment of the test: a blocklist, a check of the EHLO name, or a filter in front of the server is the usual cause.",
		Refs:   []finding.Ref{finding.RFC(5321, "4.1.1.1")},
	}
	ruleEhlo = &finding.Rule{
		ID: "smtp.ehlo-refused", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "EHLO is not understood", Says: "EHLO is answered with {{.Reply}}, HELO works",
		OK:     "EHLO is understood",
		Why:    "Without EHLO there is no STARTTLS, no SIZE and no delivery status: mail goes in plain text. Mail servers have understood EHLO for decades, so a firewall that inspects SMTP is the usual cause.",
		Repair: "Switch the SMTP inspection of the firewall off (Cisco: no inspect esmtp, no fixup protocol smtp).",
		Refs:   []finding.Ref{finding.RFC(5321, "2.2.1")},
	}
	ruleRewritten = &finding.Rule{
		ID: "smtp.rewritten", Severity: finding.Warning, Owner: finding.OwnerNetwork,
		Title: "answers rewritten on the way", Says: "something between us and the server rewrites its words: {{.Raw}}",
		OK:     "no sign of rewriting on the way",
		Why:    "Firewalls that inspect SMTP mask STARTTLS and the greeting, so that mail crosses the network in plain text. It may sit on their side or on ours: other servers tell.",
		Repair: "Switch the SMTP inspection of the firewall off. If other servers show the same, it is on our side.",
		Refs:   []finding.Ref{finding.RFC(3207, "6")},
	}
	ruleNoTLS = &finding.Rule{
		ID: "smtp.starttls-missing", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "STARTTLS is not offered", Says: "the server does not offer STARTTLS",
		OK:     "STARTTLS is offered and works",
		Why:    "Mail crosses the Internet readable by anybody on the path; Gmail shows an open padlock, and senders that insist on TLS do not deliver.",
		Repair: "Install a certificate and enable STARTTLS (Postfix: smtpd_tls_security_level = may).",
		Refs:   []finding.Ref{finding.RFC(3207, ""), finding.RFC(7435, "")},
		After:  []string{"smtp.rewritten", "smtp.ehlo-refused"},
	}
	ruleTLSRefused = &finding.Rule{
		ID: "smtp.starttls-broken", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "STARTTLS is offered and does not work", Says: "STARTTLS is offered, but {{.What}}",
		Why:    "Senders that take up the offer fail. Some fall back to plain text, many, among them large providers, defer the mail until it bounces.",
		Repair: "Read the server's TLS log; usual causes are a missing or unreadable key file and a certificate that does not belong to it.",
		Refs:   []finding.Ref{finding.RFC(3207, "4")},
	}
	ruleInjection = &finding.Rule{
		ID: "smtp.starttls-early", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "words in the clear behind STARTTLS", Says: "the server sent {{.N}} bytes in the clear behind its reply to STARTTLS",
		Why:    "What was said before TLS may have been put there by anybody on the path; servers that keep such a buffer have let attackers inject commands.",
		Repair: "Update the mail server.",
		Refs:   []finding.Ref{finding.RFC(3207, "4.2")},
	}
	ruleRelay = &finding.Rule{
		ID: "smtp.open-relay", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "open relay", Says: "the server accepted a recipient of a foreign domain ({{.To}}) from a stranger",
		OK:     "foreign recipients are refused",
		Why:    "Spammers find open relays within hours; the server's address is then on every blocklist and its own mail is refused everywhere.",
		Repair: "Relay only for your own networks and for senders that have logged in (Postfix: smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination). A server that accepts first and refuses later is no relay but sends backscatter: let it check recipients during the session.",
		Refs:   []finding.Ref{finding.RFC(2505, "2.1"), finding.RFC(5321, "7.9")},
	}
	ruleVrfy = &finding.Rule{
		ID: "smtp.vrfy", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "VRFY tells who exists", Says: "VRFY postmaster is answered with {{.Reply}}, an invented name with {{.Other}}",
		OK:     "VRFY tells nothing",
		Why:    "Spammers can try names until they have the list of mailboxes.",
		Repair: "Switch VRFY off (Postfix: disable_vrfy_command = yes).",
		Refs:   []finding.Ref{finding.RFC(5321, "7.3")},
	}
	rulePlainAuth = &finding.Rule{
		ID: "smtp.plain-auth", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "login offered in plain text", Says: "{{list .Mechanisms}} {{plural .N \"is\" \"are\"}} offered before TLS",
		OK:     "no plain-text login before TLS",
		Why:    "Mail programs that are not set to TLS send the password readable across the network.",
		Repair: "Offer login only after STARTTLS (Postfix: smtpd_tls_auth_only = yes), or on port 465 and 587 alone.",
		Refs:   []finding.Ref{finding.RFC(4954, "4"), finding.RFC(8314, "4.1")},
	}
	ruleBanner = &finding.Rule{
		ID: "smtp.banner-version", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "greeting tells the software's version", Says: "the greeting names software and version: {{.Raw}}",
		OK:     "the greeting names no version",
		Why:    "Attackers look for versions with known holes. Hiding it repairs nothing, but there is no reason to tell.",
		Repair: "Shorten the greeting (Postfix: smtpd_banner = $myhostname ESMTP).",
		Refs:   []finding.Ref{finding.RFC(5321, "7.5")},
	}
	ruleName = &finding.Rule{
		ID: "smtp.banner-name", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "greeting without a host name", Says: "the greeting begins with {{.Name}}, which is no full host name",
		OK:     "the greeting begins with a host name",
		Why:    "The standard wants the server's full name there. The same setting is usually the name the server says when it sends, and receivers refuse mail from bad names.",
		Repair: "Set the server's name to its full DNS name (Postfix: myhostname).",
		Refs:   []finding.Ref{finding.RFC(5321, "4.1.3"), finding.RFC(5321, "4.3.1")},
	}
	ruleNameDNS = &finding.Rule{
		ID: "smtp.banner-name-unknown", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "name in the greeting does not exist in the DNS", Says: "the greeting names {{.Name}}, which has no address in the DNS",
		OK:     "the name in the greeting exists",
		Why:    "The same setting is usually the name the server says when it sends, and receivers refuse mail from names that do not exist.",
		Repair: "Publish an address for {{.Name}}, or set the server's name to one that exists.",
		Refs:   []finding.Ref{finding.RFC(5321, "2.3.5")},
	}
	ruleNameOther = &finding.Rule{
		ID: "smtp.banner-name-other", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "name in the greeting has another address", Says: "the greeting names {{.Name}}, which has the {{plural .N \"address\" \"addresses\"}} {{list .Addrs}}, not {{.Addr}}",
		OK:     "the name in the greeting has the server's address",
		Why:    "Harmless for incoming mail; for outgoing mail receivers compare the name the server says with its address.",
		Repair: "Let name and address agree, unless a load balancer or proxy stands in front on purpose.",
		Refs:   []finding.Ref{finding.RFC(5321, "4.1.4")},
	}
	ruleSize = &finding.Rule{
		ID: "smtp.size-small", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "small message size limit", Says: "messages above {{size .Size}} are refused",
		OK:     "messages up to {{size .Size}} are accepted",
		Why:    "Mail with ordinary attachments bounces: most providers take 20 to 50 MB, and encoding adds a third.",
		Repair: "Raise the limit (Postfix: message_size_limit) on every server of the domain alike.",
		Refs:   []finding.Ref{finding.RFC(1870, "4")},
	}
	ruleBareLF = &finding.Rule{
		ID: "smtp.bare-lf", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "replies end in LF alone", Says: "the server ends its lines in LF instead of CRLF",
		Why:    "The standard demands CRLF; strict senders wait for it for ever, and home-made servers with this habit have others.",
		Repair: "Update or replace the software that answers on port 25.",
		Refs:   []finding.Ref{finding.RFC(5321, "2.3.8")},
	}
	ruleOutbound = &finding.Rule{
		ID: "smtp.outbound-blocked", Severity: finding.Error, Owner: finding.OwnerNetwork,
		Title: "our outgoing port 25 is blocked", Says: "from here no connection to port 25 of anybody comes up: {{list .Tried}} {{plural .N \"was\" \"were\"}} tried too",
		OK:     "outgoing connections to port 25 work",
		Why:    "Home and cloud providers block port 25 to keep spam in. No mail can leave this machine directly, and nothing can be said about the other side from here.",
		Repair: "Ask the provider of this machine to open outgoing port 25, or send through a smarthost on port 587 or 465.",
		Refs:   []finding.Ref{finding.RFC(5068, "4.1")},
	}
)

// Rules lists every rule of this pack.
var Rules = []*finding.Rule{
	ruleNoServer, ruleUnreachable, ruleIPv6, ruleNotSMTP, ruleSlow, ruleHello, ruleEhlo, ruleRewritten, ruleNoTLS, ruleTLSRefused, ruleInjection,
	ruleRelay, ruleVrfy, rulePlainAuth, ruleBanner, ruleName, ruleNameDNS, ruleNameOther, ruleSize, ruleBareLF, ruleOutbound,
}
