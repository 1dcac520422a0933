package delivery

import "github.com/mailwhy/mailwhy/internal/finding"

var (
	ruleSyntax = &finding.Rule{
		ID: "deliver.address-syntax", Severity: finding.Error, Owner: finding.OwnerSender,
		Title: "broken address", Says: "{{.Address}} is no mail address: {{.What}}",
		OK:     "the address is well formed",
		Why:    "No mail server takes a message for it.",
		Repair: "Correct the address; compare it with a message or a card from the recipient.",
		Refs:   []finding.Ref{finding.RFC(5321, "4.1.2"), finding.RFC(6531, "3.3")},
	}
	ruleTypo = &finding.Rule{
		ID: "deliver.address-typo", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title: "domain looks misspelt", Says: "{{.Address}} looks misspelt: {{.Means}}?",
		Why:    "Domains one slip away from large providers mostly belong to nobody or to collectors of misdirected mail.",
		Repair: "Ask the recipient, or send to {{.Means}} if that is who was meant.",
	}
	ruleNoDomain = &finding.Rule{
		ID: "deliver.domain-missing", Severity: finding.Error, Owner: finding.OwnerSender,
		Title: "the recipient's domain does not exist", Says: "the domain {{.Domain}} does not exist",
		OK:     "the domain exists",
		Why:    "There is nowhere to deliver to; the message bounces at once.",
		Repair: "Correct the address. If the domain was right yesterday, its registration may have run out.",
		Refs:   []finding.Ref{finding.RFC(5321, "5.1")},
		After:  []string{"deliver.address-typo"},
	}
	ruleNull = &finding.Rule{
		ID: "deliver.takes-no-mail", Severity: finding.Error, Owner: finding.OwnerSender,
		Title: "the recipient's domain takes no mail", Says: "{{.Domain}} declares that it takes no mail (null MX)",
		Why:    "Senders return the message at once, as the owner of the domain wishes.",
		Repair: "Use another address of the recipient.",
		Refs:   []finding.Ref{finding.RFC(7505, "3")},
		After:  []string{"deliver.address-typo"},
	}
	ruleNoServer = &finding.Rule{
		ID: "deliver.no-mail-server", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title: "the recipient's domain has no mail server", Says: "{{.Domain}} has no MX record that leads to an address, and no address of its own",
		OK:     "the domain has mail servers",
		Why:    "There is nowhere to deliver to; the message bounces.",
		Repair: "The owner of {{.Domain}} publishes an MX record for a host that has an address.",
		Refs:   []finding.Ref{finding.RFC(5321, "5.1")},
		After:  []string{"deliver.address-typo"},
	}
	ruleViews = &finding.Rule{
		ID: "deliver.resolvers-disagree", Severity: finding.Warning, Owner: finding.OwnerResolver,
		Title: "resolvers disagree about the mail servers", Says: "the resolvers give different mail servers for {{.Domain}}",
		OK:     "the resolvers agree",
		Why:    "Some senders deliver elsewhere or nowhere: a change is on its way, a resolver holds an old answer, or one of them invents answers.",
		Repair: "Wait for the TTL of the old record; if they still differ, ask the name servers of the domain directly and distrust the resolver that stands alone.",
		Refs:   []finding.Ref{finding.RFC(2181, "5")},
	}
	ruleReach = &finding.Rule{
		ID: "deliver.unreachable", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "the recipient's servers do not answer", Says: "no mail server of {{.Name}} {{if .Stage}}gets beyond {{.Stage}}{{else}}answers{{end}} ({{.N}} {{plural .N \"address\" \"addresses\"}} tried): {{.What}}",
		OK:     "the recipient's servers answer",
		Why:    "A mail server keeps the message, tries again for days, and then returns it.",
		Repair: "The recipient's administrator checks that the server runs and that port 25 is open from the Internet; tell them by another channel.",
		Refs:   []finding.Ref{finding.RFC(5321, "4.5.4.1")},
		After:  []string{"smtp.outbound-blocked", "deliver.port-filtered"},
	}
	ruleFiltered = &finding.Rule{
		ID: "deliver.port-filtered", Severity: finding.Warning, Owner: finding.OwnerNetwork,
		Title: "the host lives, its port 25 is silent", Says: "{{.Addr}} answers on port {{.Port}} but not on port 25: {{.Side}}",
		Why:    "A mail server keeps the message, tries again for days, and then returns it.",
		Repair: "Try port 25 of another host. If none answers, ask our own provider to open outgoing port 25; else it is the recipient's firewall.",
		Refs:   []finding.Ref{finding.RFC(5068, "4.1")},
	}
	ruleSome = &finding.Rule{
		ID: "deliver.server-unreachable", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "one of the servers does not answer", Says: "{{.Host}} {{.Addr}} {{.Stage}}: {{.What}}",
		Why:    "The others take the mail, later than need be.",
		Repair: "The recipient's administrator repairs the server or takes it out of the DNS.",
		Refs:   []finding.Ref{finding.RFC(5321, "5.1")},
	}
	ruleRefused       = refusal("deliver.refused", "refused", "deliver.address-typo")
	ruleRefusedName   = refusal("deliver.refused-name", "refused because of our name", "ptr.missing", "ptr.not-confirmed", "ptr.generic", "deliver.helo-unknown")
	ruleRefusedListed = refusal("deliver.refused-listed", "refused because of our reputation", "blocklist.listed")
	ruleRefusedSPF    = refusal("deliver.refused-spf", "refused because of SPF", "deliver.spf-fails")
	ruleUTF8          = &finding.Rule{
		ID: "deliver.no-smtputf8", Severity: finding.Error, Owner: finding.OwnerRecipient,
		Title: "the server does not know internationalised addresses", Says: "{{.Host}} does not offer SMTPUTF8, which {{.Address}} needs",
		Why:    "A local part with other characters than ASCII can only be handed over with SMTPUTF8; the message bounces.",
		Repair: "Use an ASCII address of the recipient, or have the recipient's server updated.",
		Refs:   []finding.Ref{finding.RFC(6531, "3.2")},
	}
	ruleSTS = &finding.Rule{
		ID: "deliver.mta-sts", Severity: finding.Error, Owner: finding.OwnerRecipient,
		Title: "MTA-STS policy not met", Says: "{{.Host}} does not meet the MTA-STS policy of {{.Domain}}: {{.What}}",
		OK:     "the MTA-STS policy is met",
		Why:    "Gmail, Outlook and others that honour the policy do not deliver to this server; where TLS is offered to others but not to us, somebody on the way may have taken it out.",
		Repair: "The recipient's administrator repairs the certificate or the policy file and gives the record a new id. If other senders see no fault, look for a firewall on our side that inspects SMTP.",
		Refs:   []finding.Ref{finding.RFC(8461, "4.2"), finding.RFC(8461, "5")},
		After:  []string{"smtp.rewritten"},
	}
	ruleDANE = &finding.Rule{
		ID: "deliver.dane", Severity: finding.Error, Owner: finding.OwnerRecipient,
		Title: "DANE record does not match", Says: "{{.Host}} promises its key by DANE, and {{.What}}",
		OK:     "DANE: the certificate matches the TLSA record",
		Why:    "Senders that check DANE, many in Germany and the Netherlands, do not deliver to this server.",
		Repair: "The recipient's administrator publishes a TLSA record for the key in use, best before the key is changed.",
		Refs:   []finding.Ref{finding.RFC(7672, "2.2"), finding.RFC(7672, "8.1")},
		After:  []string{"smtp.rewritten"},
	}
	ruleTLS = &finding.Rule{
		ID: "deliver.starttls-broken", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "STARTTLS is offered and does not work", Says: "STARTTLS with {{.Host}} breaks: {{.What}}",
		Why:    "A sender that insists on TLS cannot deliver; others fall back to plain text.",
		Repair: "The recipient's administrator reads the TLS log of the server. If other servers break too, it is our own TLS library or a firewall on our side.",
		Refs:   []finding.Ref{finding.RFC(3207, "4")},
	}
	ruleHELO = &finding.Rule{
		ID: "deliver.helo-unknown", Severity: finding.Warning, Owner: finding.OwnerSelf,
		Title: "our HELO name does not lead to us", Says: "we say EHLO {{.HELO}}, {{.What}}",
		OK:     "our HELO name leads to our address",
		Why:    "Receivers compare the name with the address; a name that does not exist gets mail refused at some of them.",
		Repair: "Say the name that the PTR record of the address gives (Postfix: myhostname or smtp_helo_name; here: --helo NAME).",
		Refs:   []finding.Ref{finding.RFC(5321, "4.1.4")},
	}
	ruleSPF = &finding.Rule{
		ID: "deliver.spf-fails", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title: "SPF does not allow our address", Says: "SPF of {{.Domain}} gives {{.Code}} for {{.Addr}}",
		OK:     "SPF allows our address ({{.Code}})",
		Why:    "Receivers that check SPF refuse the mail or put it into the spam folder, and DMARC then rests on DKIM alone.",
		Repair: "Add the address to the SPF record of {{.Domain}}, or send through a server that is in it.",
		Refs:   []finding.Ref{finding.RFC(7208, "2.6")},
	}
	ruleDMARC = &finding.Rule{
		ID: "deliver.dmarc-outlook", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title: "DMARC rests on DKIM alone", Says: "{{.Domain}} asks receivers to {{.Policy}} what fails DMARC, and SPF gives {{.Code}}: without an aligned DKIM signature the mail is lost",
		OK:     "DMARC can pass by SPF",
		Why:    "DMARC needs SPF or DKIM to pass for the domain of the From field.",
		Repair: "Sign with DKIM as {{.Domain}}, and let SPF allow the address.",
		Refs:   []finding.Ref{finding.RFC(7489, "6.6.2")},
		After:  []string{"deliver.spf-fails"},
	}
	ruleSelf = &finding.Rule{
		ID: "deliver.own-address", Severity: finding.Warning, Owner: finding.OwnerSelf,
		Title: "our public address", Says: "our public address is not known",
		OK:     "our address is {{.Addr}}",
		Why:    "Reverse name, blocklists and SPF of our side hang on it.",
		Repair: "Give it with --public-ip.",
	}
)

// refusal is a rule about a server's reply. There is one per kind of root cause, because only the server's words tell
// which fault of ours explains its refusal: a missing reverse name does not explain a listing.
func refusal(id string, title finding.Msg, after ...string) *finding.Rule {
	return &finding.Rule{
		ID: id, Severity: finding.Error, Owner: finding.OwnerRecipient,
		Title: title, Says: "{{.Host}} refuses {{.What}}: {{.Cause}} ({{.Reply}})",
		OK:     "{{.Host}} accepts {{.To}}",
		Why:    "{{.Meaning}}",
		Repair: "{{.Advice}}",
		Refs:   []finding.Ref{finding.RFC(5321, "4.2"), finding.RFC(3463, "")},
		After:  after,
	}
}

// Rules lists every rule of this pack.
var Rules = []*finding.Rule{
	ruleSyntax, ruleTypo, ruleNoDomain, ruleNull, ruleNoServer, ruleViews, ruleReach, ruleFiltered, ruleSome, ruleRefused, ruleRefusedName, ruleRefusedListed, ruleRefusedSPF, ruleUTF8,
	ruleSTS, ruleDANE, ruleTLS, ruleHELO, ruleSPF, ruleDMARC, ruleSelf,
}
