// Package mx looks at where mail for a domain goes: its MX records, their hosts and addresses (rows C1 and C9).
//
// Promise: one look asks for the records, every host's addresses and every name server's own answer at once; the
// judgement is pure. RFCs: 5321 section 5.1, 7505 (null MX), 2181 section 10.3, 1123 section 5.2.2, 6890.
//
// It must not connect to mail servers: the smtp and tls packs do.
package mx

import "github.com/mailwhy/mailwhy/internal/finding"

var ruleNoDomain = &finding.Rule{
	ID: "mx.no-such-domain", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "the domain does not exist",
	Says:   "{{.Domain}} does not exist in the DNS (NXDOMAIN)",
	OK:     "{{.Domain}} exists",
	Why:    "Every mail to it bounces at once, and mail from it is refused by servers that check the sender's domain.",
	Repair: "Check the spelling; if it is right, see with the registrar whether the domain has expired or has no name servers.",
	Refs:   []finding.Ref{finding.RFC(8020, ""), finding.RFC(5321, "5.1")},
}

var ruleNone = &finding.Rule{
	ID: "mx.none", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "no server takes mail for the domain",
	Says:   "{{.Domain}} has neither an MX record nor an address: nobody takes its mail",
	OK:     "{{.Domain}} has {{.N}} MX {{plural .N \"host\" \"hosts\"}}",
	Why:    "Senders have nowhere to deliver to; every mail to the domain bounces.",
	Repair: "Publish an MX record that names the mail server, or, if the domain is to take no mail, a null MX.",
	Refs:   []finding.Ref{finding.RFC(5321, "5.1")}, After: []string{"mx.no-such-domain"},
}

var ruleParked = &finding.Rule{
	ID: "mx.no-null-mx", Severity: finding.Note, Owner: finding.OwnerDomain,
	Title:  "takes no mail, but does not say so",
	Says:   "{{.Domain}} neither sends nor takes mail; a null MX would say so at once",
	Why:    "Without it senders try for days, or deliver to whatever web server has the domain's address.",
	Repair: "Publish the null MX.",
	Refs:   []finding.Ref{finding.RFC(7505, "3")},
}

var ruleNull = &finding.Rule{
	ID: "mx.null", Severity: finding.Note, Owner: finding.OwnerNobody,
	Title: "the domain takes no mail, on purpose",
	Says:  "{{.Domain}} has a null MX: it takes no mail, on purpose",
	Why:   "A sender knows at once that mail to the domain cannot be delivered (556 5.1.10).",
	Refs:  []finding.Ref{finding.RFC(7505, "3")},
}

var ruleNullCompany = &finding.Rule{
	ID: "mx.null-not-alone", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "null MX beside other MX records",
	Says:   "{{.Domain}} has a null MX together with {{list .Others}}",
	Why:    "The records contradict each other: some senders take the domain for one without mail and bounce, others deliver.",
	Repair: "Delete the null MX if the domain takes mail, or all others if it does not.",
	Refs:   []finding.Ref{finding.RFC(7505, "3")},
}

var ruleNullPref = &finding.Rule{
	ID: "mx.null-preference", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "null MX with a preference other than 0",
	Says:   "the null MX of {{.Domain}} has preference {{.Pref}}; it must be 0",
	Why:    "A strict sender does not recognise it as a null MX and keeps trying.",
	Repair: "Publish it with preference 0.",
	Refs:   []finding.Ref{finding.RFC(7505, "3")},
}

var ruleImplicit = &finding.Rule{
	ID: "mx.implicit", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "no MX record: mail goes to the domain's own address",
	Says:   "{{.Domain}} has no MX record; senders fall back to its address {{list .Addrs}}",
	Why:    "The fall-back is a relic: often the address is a web server, and some senders and sender checks want an MX.",
	Repair: "Publish an MX record that names the mail server, or a null MX if the domain takes no mail.",
	Refs:   []finding.Ref{finding.RFC(5321, "5.1")},
}

var ruleEqual = &finding.Rule{
	ID: "mx.equal-preference", Severity: finding.Note, Owner: finding.OwnerDomain,
	Title: "MX hosts of equal preference",
	Says:  "{{list .Hosts}} share preference {{.Pref}}: senders spread mail among them at random",
	Why:   "Right for load sharing, as long as each of them takes mail for every mailbox; a lesser backup needs a higher number.",
	Refs:  []finding.Ref{finding.RFC(5321, "5.1")},
}

var ruleDuplicate = &finding.Rule{
	ID: "mx.duplicate-host", Severity: finding.Note, Owner: finding.OwnerDomain,
	Title:  "an MX host is named twice",
	Says:   "{{.Host}} is named {{.N}} times (preferences {{list .Prefs}})",
	Why:    "The second entry does nothing: a host that failed once is only asked again.",
	Repair: "Delete all but the one with the lowest number.",
	Refs:   []finding.Ref{finding.RFC(5321, "5.1")},
}

var ruleIP = &finding.Rule{
	ID: "mx.ip-address", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "an MX record names an IP address",
	Says:   "the MX of {{.Domain}} names the IP address {{.Host}} where a host name belongs",
	Why:    "Senders look the digits up as a name, find nothing, and give up or go to the next MX.",
	Repair: "Give the server a name with an A record, and name that in the MX.",
	Refs:   []finding.Ref{finding.RFC(1035, "3.3.9"), finding.RFC(5321, "5.1")},
}

var ruleBadName = &finding.Rule{
	ID: "mx.bad-name", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "an MX record names something that is no host name",
	Says:   "the MX of {{.Domain}} names {{.Host}}, which is no host name",
	Why:    "Senders refuse to connect to it; often a final dot is missing or too much, or the name is local.",
	Repair: "Name a host with letters, digits and hyphens under a public domain.",
	Refs:   []finding.Ref{finding.RFC(1123, "2.1"), finding.RFC(5321, "5.1")},
}

var ruleCNAME = &finding.Rule{
	ID: "mx.cname", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "an MX host is an alias (CNAME)",
	Says:   "the MX host {{.Host}} is an alias of {{.Target}}",
	Why:    "The standard forbids it. Some senders refuse, and a certificate or TLSA record may be looked for under the wrong name.",
	Repair: "Name {{.Target}} in the MX record itself, or give {{.Host}} address records.",
	Refs:   []finding.Ref{finding.RFC(2181, "10.3"), finding.RFC(5321, "5.1")},
}

var ruleNoAddress = &finding.Rule{
	ID: "mx.no-address", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "an MX host has no address",
	Says:   "{{if .Missing}}the MX host {{.Host}} does not exist{{else}}the MX host {{.Host}} has no A or AAAA record{{end}}",
	OK:     "every MX host has an address",
	Why:    "Senders waste a try on it; if it is the only one left, mail waits in their queues and then bounces.",
	Repair: "Give the host an address record, or delete the MX that names it.",
	Refs:   []finding.Ref{finding.RFC(5321, "5.1")},
}

var ruleNoneReachable = &finding.Rule{
	ID: "mx.no-host-with-address", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "no MX host has an address",
	Says:   "none of the MX hosts of {{.Domain}} ({{list .Hosts}}) has an address",
	Why:    "Senders have nowhere to connect to: every mail to the domain bounces or waits.",
	Repair: "Give at least one MX host an address record, or name a server that has one.",
	Refs:   []finding.Ref{finding.RFC(5321, "5.1")},
}

var rulePrivate = &finding.Rule{
	ID: "mx.private-address", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "an MX host has an address that the Internet cannot reach",
	Says:   "the MX host {{.Host}} has the address {{.Addr}}, which is {{.Kind}}",
	OK:     "all addresses of MX hosts are public",
	Why:    "From outside, nobody is there: senders wait for a time-out, or talk to a machine of their own.",
	Repair: "Publish the public address of the server; keep private addresses to the internal view of the DNS.",
	Refs:   []finding.Ref{finding.RFC(6890, "2.2"), finding.RFC(5321, "5.1")},
}

var ruleSingle = &finding.Rule{
	ID: "mx.single", Severity: finding.Note, Owner: finding.OwnerDomain,
	Title: "a single MX host with a single address",
	Says:  "{{.Domain}} has one MX host, {{.Host}}, with one address",
	Why:   "While it is down, mail waits at the senders (most try for one to five days). That is fine for many; more hosts make it shorter.",
	Refs:  []finding.Ref{finding.RFC(5321, "5.1")},
}

var ruleNoIPv6 = &finding.Rule{
	ID: "mx.no-ipv6", Severity: finding.Note, Owner: finding.OwnerDomain,
	Title: "no MX host has an IPv6 address",
	Says:  "no MX host of {{.Domain}} has an IPv6 address",
	OK:    "{{.Host}} is reachable over IPv6 by name",
	Why:   "Servers without IPv4 cannot deliver; today those are few.",
	Refs:  []finding.Ref{finding.RFC(3974, "")},
}

var ruleOneNetwork = &finding.Rule{
	ID: "mx.one-network", Severity: finding.Note, Owner: finding.OwnerDomain,
	Title: "all MX hosts are in one network",
	Says:  "all {{.N}} MX addresses are in {{.Net}}",
	Why:   "One cut cable or one routing fault takes all of them away at once.",
}

var ruleDiffers = &finding.Rule{
	ID: "mx.differs", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "the name servers disagree about the MX records",
	Says:   "the name servers of {{.Domain}} give different MX records: {{list .Views}}",
	OK:     "all name servers give the same MX records",
	Why:    "Which server a mail goes to depends on which name server the sender's resolver happens to ask.",
	Repair: "Find out why a server has an old copy (zone transfer, serial) and bring all to the same zone.",
	Refs:   []finding.Ref{finding.RFC(1034, "4.3.5")}, After: []string{"nameserver.serial-differs"},
}

// Rules are all the rules of this pack.
var Rules = []*finding.Rule{
	ruleNoDomain, ruleNone, ruleParked, ruleNull, ruleNullCompany, ruleNullPref, ruleImplicit, ruleEqual, ruleDuplicate, ruleIP, ruleBadName,
	ruleCNAME, ruleNoAddress, ruleNoneReachable, rulePrivate, ruleSingle, ruleNoIPv6, ruleOneNetwork, ruleDiffers,
}
