package server

import "github.com/mailwhy/mailwhy/internal/finding"

var (
	ruleNoPort = &finding.Rule{
		ID: "server.no-port", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "no mail service answers", Says: "no mail service answers on {{.Host}}: {{.What}}",
		OK:     "{{.N}} mail {{plural .N \"port answers\" \"ports answer\"}}: {{list .Ports}}",
		Why:    "Neither mail programs nor other servers reach anything here.",
		Repair: "Start the mail services, have them listen on the public address and not on 127.0.0.1 alone, and open their ports in the firewall.",
	}
	ruleClearLogin = &finding.Rule{
		ID: "server.login-in-clear", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "passwords taken without encryption", Says: "{{list .Ports}} {{plural .N \"takes\" \"take\"}} passwords without encryption",
		OK:     "no port takes a readable password without encryption",
		Why:    "A mail program that is set up wrongly, or whose STARTTLS somebody on the path suppresses, sends the password so that anybody on the path can read it.",
		Repair: "Offer login methods only after STARTTLS: in Dovecot auth_allow_cleartext = no (before 2.4 disable_plaintext_auth = yes), in Postfix smtpd_tls_auth_only = yes, in Exim auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}.",
		Refs:   []finding.Ref{finding.RFC(8314, "4.1"), finding.RFC(3501, "6.2.3"), finding.RFC(4954, "4")},
	}
	ruleNoTLS = &finding.Rule{
		ID: "server.no-tls", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "no encryption offered", Says: "{{list .Ports}} {{plural .N \"offers\" \"offer\"}} no encryption (no STARTTLS)",
		OK:     "every open port encrypts",
		Why:    "Mail and passwords travel readable; mail programs that insist on TLS do not connect.",
		Repair: "Configure a certificate and turn STARTTLS on for the port, or close it and leave only the port with TLS from the start.",
		Refs:   []finding.Ref{finding.RFC(8314, "3"), finding.RFC(2595, ""), finding.RFC(3207, "")},
	}
	ruleTurnedAway = &finding.Rule{
		ID: "server.turned-away", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "the server turns us away in its greeting", Says: "{{.Port}} turns us away: {{.Text}}",
		Why:    "Whoever is greeted so gets no further. It may concern our address alone.",
		Repair: "If others are greeted so too, read the server's log for the moment of the test; look for block lists, connection limits and TCP wrappers that name this address.",
	}
	ruleMute = &finding.Rule{
		ID: "server.mute", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "a port opens and the service does not speak", Says: "{{.Port}} accepts connections, and then: {{.What}}",
		Why:    "Mail programs hang and give up with a time-out.",
		Repair: "Look whether the process behind the port is alive and has free slots (process limits, file descriptors, a blocked authentication back end), or whether a firewall or proxy answers in its stead.",
	}
	ruleOtherProtocol = &finding.Rule{
		ID: "server.other-protocol", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "another protocol on the port", Says: "{{.Port}} is open but speaks something else: {{.Text}}",
		Why:    "Mail programs that use the standard settings fail here.",
		Repair: "Have the service that belongs to the port listen there; look for plain text on a TLS port, TLS on a plain port, and for port forwarding that is crossed.",
	}
	ruleCertDiffers = &finding.Rule{
		ID: "server.certificates-differ", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "different certificates on the ports", Says: "the ports show {{.N}} different certificates: {{list .Groups}}",
		OK:     "every port shows the same certificate",
		Why:    "A certificate that is renewed on one port and forgotten on another expires unseen.",
		Repair: "Have all services read the same certificate files, and reload them all after a renewal.",
	}
	ruleEarly = &finding.Rule{
		ID: "server.bytes-before-tls", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "plain text behind the yes to STARTTLS", Says: "{{.Port}} sends {{.N}} bytes in the clear behind its yes to STARTTLS",
		Why:    "A program that keeps these bytes takes words for encrypted that anybody on the path can put there (command injection).",
		Repair: "Update the server software; empty the buffers when TLS begins.",
		Refs:   []finding.Ref{finding.RFC(3207, "4.2")},
	}
	ruleNoImplicit = &finding.Rule{
		ID: "server.no-implicit-tls", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "no port with TLS from the start", Says: "{{list .Missing}} {{plural .N \"is\" \"are\"}} closed, while {{list .Open}} {{plural .N \"is\" \"are\"}} open",
		OK:     "the services for mail programs have a port with TLS from the start",
		Why:    "RFC 8314 prefers TLS from the first byte: it cannot be stripped, and new mail programs try these ports first.",
		Repair: "Turn on submissions (465), imaps (993) and pop3s (995) beside the ports with STARTTLS.",
		Refs:   []finding.Ref{finding.RFC(8314, "3.2"), finding.RFC(8314, "3.3")},
	}
	ruleVersion = &finding.Rule{
		ID: "server.version-told", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "the greeting tells the software's version", Says: "the greeting tells the version: {{list .Names}}",
		Why:    "Whoever looks for servers with a known hole finds this one without trying. It is no hole by itself.",
		Repair: "Shorten the greeting if you do not want to tell: smtpd_banner in Postfix, smtp_banner in Exim, login_greeting in Dovecot.",
	}
)

// Rules are what this pack may say.
var Rules = []*finding.Rule{
	ruleNoPort, ruleClearLogin, ruleNoTLS, ruleTurnedAway, ruleMute, ruleOtherProtocol, ruleCertDiffers, ruleEarly, ruleNoImplicit, ruleVersion,
	ruleRelayForm, ruleInjection, ruleSmuggling, ruleChunking,
	ruleEhloName, ruleExpn, ruleSizeAbsurd, ruleSizeRefused, ruleSizeOver, rule8Bit, ruleUTF8, rulePipelining, ruleMissing,
	ruleLoggedIn, ruleWrongPassword, ruleAppPassword, ruleLocked, ruleDisabled, rulePasswordExpired, ruleTooMany, ruleBlocked, ruleTLSRequired, ruleWrongMethod,
	ruleClient, ruleServerFault, ruleNotSent, ruleNotTrusted, ruleBroken, ruleNotOffered, ruleQuotaFull, ruleQuotaNear,
}
