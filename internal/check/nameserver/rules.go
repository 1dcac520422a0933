// Package nameserver looks at the name servers of a domain (row C8): do they all answer, with authority, the same, as
// the parent says, far enough apart, and without giving strangers more than they need.
//
// Promise: one look asks every server at every address at once; the judgement is pure. RFCs: 1034, 1035, 1912, 2181,
// 2182, 5936 (transfers), 5358 (open recursion), 7766 (TCP).
//
// It must not say anything of signatures: the dnssec pack does.
package nameserver

import "github.com/mailwhy/mailwhy/internal/finding"

var ruleSilentAll = &finding.Rule{
	ID: "nameserver.all-silent", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "no name server answers",
	Says:   "none of the {{.N}} name servers of {{.Zone}} answers for it",
	Why:    "The domain cannot be looked up: mail to it waits and bounces, mail from it is refused or deferred.",
	Repair: "Bring the name servers up, or have the delegation changed to servers that answer.",
	Refs:   []finding.Ref{finding.RFC(2182, "3.1")},
}

var ruleSilent = &finding.Rule{
	ID: "nameserver.silent", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "a name server does not answer",
	Says:   "{{.Host}} ({{.Addr}}) does not answer: {{.Fault}}",
	OK:     "all {{.N}} name server addresses answer",
	Why:    "Resolvers that try it first wait for a time-out; look-ups become slow, and fail when the others are busy.",
	Repair: "Bring the server up, open UDP and TCP port 53 to it, or take it out of the NS records and the delegation.",
	Refs:   []finding.Ref{finding.RFC(2182, "3.1")}, After: []string{"nameserver.all-silent"},
}

var ruleLame = &finding.Rule{
	ID: "nameserver.lame", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "a name server does not hold the zone",
	Says:   "{{.Host}} answers without authority for {{.Zone}} ({{.Answer}})",
	OK:     "all answering name servers hold the zone",
	Why:    "The delegation leads to a server that does not know the zone; part of all look-ups fails or takes a detour.",
	Repair: "Configure the zone on that server, or take it out of the NS records and the delegation.",
	Refs:   []finding.Ref{finding.RFC(1912, "2.8")},
}

var ruleSingle = &finding.Rule{
	ID: "nameserver.single", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "a single name server",
	Says:   "{{.Zone}} has {{if .Host}}only one name server, {{.Host}}{{else}}no name server{{end}}",
	OK:     "{{.Zone}} has {{.N}} name servers",
	Why:    "While it is down nobody can look the domain up, and all mail stops.",
	Repair: "Add a second name server, in another network.",
	Refs:   []finding.Ref{finding.RFC(1034, "4.1"), finding.RFC(2182, "5")},
}

var ruleOneNetwork = &finding.Rule{
	ID: "nameserver.one-network", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "all name servers are in one network",
	Says:   "all name servers of {{.Zone}} are in {{.Net}}",
	OK:     "the name servers are in different networks",
	Why:    "One routing fault or one attack takes all of them away at once.",
	Repair: "Move one of them to another network, best at another provider.",
	Refs:   []finding.Ref{finding.RFC(2182, "3.1")},
}

var ruleSerial = &finding.Rule{
	ID: "nameserver.serial-differs", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "the name servers hold different versions of the zone",
	Says:   "the SOA serial differs: {{list .Serials}}",
	OK:     "all name servers have serial {{.Serial}}",
	Why:    "Right after a change this is normal for minutes; if it lasts, part of the world sees the old zone.",
	Repair: "If it lasts: look for a failed zone transfer on the servers with the older serial.",
	Refs:   []finding.Ref{finding.RFC(1034, "4.3.5")},
}

var ruleDelegation = &finding.Rule{
	ID: "nameserver.delegation-differs", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "parent and zone name different name servers",
	Says:   "{{if .OnlyParent}}only the parent names {{list .OnlyParent}}{{end}}{{if .Both}}; {{end}}{{if .OnlyChild}}only the zone itself names {{list .OnlyChild}}{{end}}",
	OK:     "parent and zone name the same servers",
	Why:    "Which servers are asked depends on what a resolver saw first; one that is only in the parent is often forgotten and stale.",
	Repair: "Bring the NS records of the zone and the delegation at the registrar to the same list.",
	Refs:   []finding.Ref{finding.RFC(1034, "4.2.2")},
}

var ruleGlueMissing = &finding.Rule{
	ID: "nameserver.glue-missing", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "the delegation lacks glue",
	Says:   "{{.Host}} lies inside {{.Zone}}, but the parent gives no address for it",
	OK:     "the parent gives addresses where they are needed",
	Why:    "To find the server one would have to ask the server: nobody gets in through this name.",
	Repair: "Register the host with its address at the registrar.",
	Refs:   []finding.Ref{finding.RFC(1034, "4.2.1")},
}

var ruleGlueDiffers = &finding.Rule{
	ID: "nameserver.glue-differs", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "glue and address record differ",
	Says:   "the parent gives {{list .Glue}} for {{.Host}}, the zone says {{list .Addrs}}",
	Why:    "Resolvers that follow the glue ask an address that may be anyone's by now.",
	Repair: "Correct the host's address at the registrar, or in the zone.",
	Refs:   []finding.Ref{finding.RFC(1912, "2.3")},
}

var ruleNoAddress = &finding.Rule{
	ID: "nameserver.no-address", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "a name server's name has no address",
	Says:   "the name server {{.Host}} has no address",
	Why:    "It can never be asked; the load lies on the others.",
	Repair: "Give the host an address record, or take it out of the NS records and the delegation.",
	Refs:   []finding.Ref{finding.RFC(1912, "2.8")},
}

var ruleAlias = &finding.Rule{
	ID: "nameserver.cname", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "a name server's name is an alias (CNAME)",
	Says:   "the name server {{.Host}} is an alias",
	Why:    "The standard forbids it, and many resolvers then ignore the server.",
	Repair: "Name the host itself in the NS record.",
	Refs:   []finding.Ref{finding.RFC(2181, "10.3")},
}

var rulePrivate = &finding.Rule{
	ID: "nameserver.private-address", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "a name server has an address that the Internet cannot reach",
	Says:   "the name server {{.Host}} has the address {{.Addr}}, which is no public one",
	Why:    "Whoever is given this server cannot ask it.",
	Repair: "Publish the public address of the server.",
	Refs:   []finding.Ref{finding.RFC(6890, "2.2")},
}

var ruleRecursion = &finding.Rule{
	ID: "nameserver.open-recursion", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "a name server resolves for strangers",
	Says:   "{{.Host}} ({{.Addr}}) looks up foreign names for anybody",
	OK:     "no name server resolves for strangers",
	Why:    "Open resolvers are used to flood others, and their memory can be poisoned more easily.",
	Repair: "Allow recursion for your own networks only.",
	Refs:   []finding.Ref{finding.RFC(5358, "4")},
}

var ruleTransfer = &finding.Rule{
	ID: "nameserver.open-transfer", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "a name server gives the whole zone to strangers",
	Says:   "{{.Host}} ({{.Addr}}) hands out the whole zone {{.Zone}} to anybody (AXFR)",
	OK:     "no name server hands out the zone",
	Why:    "Every host name, also of internal machines, is on show for attackers.",
	Repair: "Allow transfers to your own secondary servers only, best with TSIG.",
	Refs:   []finding.Ref{finding.RFC(5936, "5")},
}

var ruleTCP = &finding.Rule{
	ID: "nameserver.no-tcp", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "a name server does not answer over TCP",
	Says:   "{{.Host}} ({{.Addr}}) answers over UDP but not over TCP: {{.Fault}}",
	OK:     "all name servers answer over TCP",
	Why:    "Long answers (DKIM keys, large TXT sets, DNSSEC) are cut over UDP and then asked for over TCP: they are never got.",
	Repair: "Open TCP port 53 in the firewall and let the name server listen on it.",
	Refs:   []finding.Ref{finding.RFC(7766, "5")},
}

var ruleTimers = &finding.Rule{
	ID: "nameserver.soa-timers", Severity: finding.Note, Owner: finding.OwnerDomain,
	Title:  "unusual SOA timers",
	Says:   "the SOA of {{.Zone}} has {{list .Odd}}",
	OK:     "the SOA timers are in the usual range",
	Why:    "Secondary servers follow the primary too slowly or give the zone up too early; a long negative time hides new records.",
	Repair: "Set them within the usual range.",
	Refs:   []finding.Ref{finding.RFC(1912, "2.2"), finding.RFC(2308, "4")},
}

// Rules are all the rules of this pack.
var Rules = []*finding.Rule{
	ruleSilentAll, ruleSilent, ruleLame, ruleSingle, ruleOneNetwork, ruleSerial, ruleDelegation, ruleGlueMissing, ruleGlueDiffers,
	ruleNoAddress, ruleAlias, rulePrivate, ruleRecursion, ruleTransfer, ruleTCP, ruleTimers,
}
