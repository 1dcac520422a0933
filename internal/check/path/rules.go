package path

import "github.com/mailwhy/mailwhy/internal/finding"

var ruleAddress = &finding.Rule{
	ID: "path.no-address", Severity: finding.Error, Owner: finding.OwnerDomain,
	Title:  "the name has no address",
	Says:   "{{.Host}} has neither an IPv4 nor an IPv6 address",
	Why:    "There is nothing to find a way to.",
	Repair: "Give the host an A or AAAA record, or ask for the name of the mail server.",
	Refs:   []finding.Ref{finding.RFC(5321, "5.1")},
}

var ruleMail = &finding.Rule{
	ID: "path.mail-elsewhere", Severity: finding.Note, Owner: finding.OwnerNobody,
	Title: "mail for the name goes to another host",
	Says:  "this is the way to {{.Host}}, but mail for {{.Host}} goes to {{list .MX}}",
	Why:   "The host of the web site and the mail server are often far apart.",
	Refs:  []finding.Ref{finding.RFC(5321, "5.1")},
}

var ruleReach = &finding.Rule{
	ID: "path.unreachable", Severity: finding.Error, Owner: finding.OwnerNetwork,
	Title:  "no way to the host",
	Says:   "{{.Addr}} is not reached: {{if .Said}}{{.From}} (hop {{.Hop}}) says {{.Said}}{{else if .Hop}}behind hop {{.Hop}}, {{.Last}}, nobody answers any more{{else}}not even the first router answers{{end}}",
	OK:     "{{.Addr}} is {{.Hops}} {{plural .Hops \"hop\" \"hops\"}} away and answers {{.Method}} in {{.RTT}}",
	Why:    "Mail to this host waits in the queue, and comes back when the queue gives up.",
	Repair: "{{if .Hop}}Ask the network of {{.Last}} ({{.Owner}}) what lies behind it: a host that is down, a missing route or a filter.{{else}}Look at this machine's own route and firewall first.{{end}}",
	Refs:   []finding.Ref{finding.RFC(792, ""), finding.RFC(1812, "4.3.3.1")},
}

var ruleLoop = &finding.Rule{
	ID: "path.loop", Severity: finding.Error, Owner: finding.OwnerNetwork,
	Title:  "packets go round in circles",
	Says:   "on the way to {{.Addr}} packets come past {{.Router}} again and again (hops {{list .Hops}})",
	Why:    "Two routers each think the other is nearer to the host. Nothing gets through until one of them learns better.",
	Repair: "Report it to the network of {{.Router}} ({{.Owner}}); loops seldom last, so try again in a few minutes.",
	Refs:   []finding.Ref{finding.RFC(792, "")},
}

var rulePort = &finding.Rule{
	ID: "path.port-blocked", Severity: finding.Error, Owner: finding.OwnerNetwork,
	Title:  "a filter on the way to the mail port",
	Says:   "TCP to port {{.Port}} of {{.Addr}} {{if .Said}}is turned away by {{.From}} (hop {{.Hop}}): {{.Said}}{{else if .Reset}}is reset at hop {{.Hop}}, where the host is {{.Distance}} hops away{{else}}stops behind hop {{.Hop}} ({{.Last}}){{end}}, while {{.Method}} goes on to the host",
	OK:     "TCP to port {{.Port}} of {{.Addr}} comes through",
	Why:    "The host is there and the way is open; only this port is filtered. {{if .Near}}So near to us it is most likely our own firewall or provider: many providers block port 25 outwards.{{else if .Far}}The last hop before the host still passes it on, so it is the host's own firewall or the one right before it.{{else}}The filter is at this hop or the one behind it.{{end}}",
	Repair: "{{if .Near}}Open the port in our own firewall, ask the provider to open it, or send through a smarthost.{{else if .Far}}Ask whoever runs the host to let our address in.{{else}}Ask the network of {{.Last}} ({{.Owner}}) why port {{.Port}} is filtered.{{end}}",
	Refs:   []finding.Ref{finding.RFC(5068, "4.1")},
	After:  []string{"path.unreachable"},
}

var ruleClosed = &finding.Rule{
	ID: "path.port-closed", Severity: finding.Error, Owner: finding.OwnerServer,
	Title:  "nothing listens at the mail port",
	Says:   "{{.Addr}} itself refuses TCP to port {{.Port}}{{if .Said}}: {{.Said}}{{end}}",
	Why:    "The way is open and the host is up, but no mail server takes the connection, or the host's own firewall rejects it.",
	Repair: "Start the mail server, or open the port in the host's firewall.",
	Refs:   []finding.Ref{finding.RFC(9293, "3.10.7.1")},
}

var ruleIntercepted = &finding.Rule{
	ID: "path.intercepted", Severity: finding.Warning, Owner: finding.OwnerNetwork,
	Title:  "somebody on the way answers in the host's place",
	Says:   "a connection to port {{.Port}} of {{.Addr}} is taken {{.Hop}} {{plural .Hop \"hop\" \"hops\"}} away, where {{.Method}} finds the host {{.Distance}} hops away",
	Why:    "A firewall or a transparent mail proxy sits in between (such as one that inspects SMTP): what we hear is not the host, and STARTTLS or long commands may break on it.",
	Repair: "Look for a mail proxy or an SMTP inspection in the firewall near hop {{.Hop}} ({{.Last}}) and switch it off for this machine.",
	Refs:   []finding.Ref{finding.RFC(3234, "2.11")},
}

var ruleLoss = &finding.Rule{
	ID: "path.loss", Severity: finding.Warning, Owner: finding.OwnerNetwork,
	Title:  "packets are lost on the way",
	Says:   "{{.Loss}} % of the packets to {{.Addr}} are lost, from hop {{.Hop}} ({{.Last}}) on to the end",
	OK:     "no packet of {{.Sent}} to {{.Addr}} was lost",
	Why:    "The loss begins at one hop and stays behind it, so packets really go missing there. TCP repairs it, but sessions get slow and large messages time out.",
	Repair: "Report it to the network of hop {{.Hop}} ({{.Owner}}) and the one before it: the line between the two, or its load. If the first hop loses already, look at our own line.",
	Refs:   []finding.Ref{finding.RFC(7680, "")},
	After:  []string{"path.unreachable"},
}

var ruleLimit = &finding.Rule{
	ID: "path.rate-limited", Severity: finding.Note, Owner: finding.OwnerNobody,
	Title: "a router answers sparingly",
	Says:  "{{plural .N \"hop\" \"hops\"}} {{list .Hops}} left {{.Loss}} % of the questions unanswered, but the hops behind did not: the router limits its own answers and loses nothing",
	Why:   "Routers pass packets on in hardware and answer traceroutes when they have time. Loss that does not continue behind a hop harms no mail.",
	Refs:  []finding.Ref{finding.RFC(1812, "4.3.2.8")},
}

var ruleSlow = &finding.Rule{
	ID: "path.slow-router", Severity: finding.Note, Owner: finding.OwnerNobody,
	Title: "a router answers slowly",
	Says:  "hop {{.Hop}} ({{.Last}}) takes {{.RTT}} to answer, but hosts behind it answer in {{.Later}}: it is slow to answer, not to pass on",
	Why:   "A delay that does not continue behind a hop is the router's own and harms no mail.",
	Refs:  []finding.Ref{finding.RFC(1812, "4.3.2.8")},
}

var ruleStep = &finding.Rule{
	ID: "path.latency-step", Severity: finding.Note, Owner: finding.OwnerNetwork,
	Title:  "a long stretch on the way",
	Says:   "from {{if .Before}}hop {{.Before}} to {{end}}hop {{.Hop}} ({{.Last}}) the round trip grows by {{.Step}}, and it stays so up to the host ({{.RTT}})",
	Why:    "The delay stays behind the hop, so it is real: distance (an ocean is 60 to 150 ms), a satellite, or a line that is full. A mail session takes some ten round trips.",
	Repair: "Nothing, where it is distance. If it was less before, ask the network of hop {{.Hop}} ({{.Owner}}) about a detour or a full line.",
	Refs:   []finding.Ref{finding.RFC(2681, "")},
}

var ruleJitter = &finding.Rule{
	ID: "path.jitter", Severity: finding.Note, Owner: finding.OwnerNetwork,
	Title:  "the round trip varies",
	Says:   "answers of {{.Addr}} take between {{.Best}} and {{.Worst}}, on average {{.Jitter}} apart from one to the next",
	Why:    "A queue fills and empties on the way: a line is busy. Mail gets through, only slower.",
	Repair: "Look at the load of the own line first.",
	Refs:   []finding.Ref{finding.RFC(3393, "")},
}

var ruleNAT = &finding.Rule{
	ID: "path.nat", Severity: finding.Note, Owner: finding.OwnerSelf,
	Title: "we are behind address translation",
	Says:  "our address {{.Source}} is not public; it is translated (NAT) by hop {{.Hop}} ({{.Last}}) at the latest",
	Why:   "Receivers see the public address: its reverse name and its reputation count. To take mail from outside, port 25 must be passed on to this machine.",
	Refs:  []finding.Ref{finding.RFC(1918, "3"), finding.RFC(2663, "")},
}

var ruleCGNAT = &finding.Rule{
	ID: "path.cgnat", Severity: finding.Warning, Owner: finding.OwnerNetwork,
	Title:  "the provider shares one address among customers",
	Says:   "hop {{.Hop}} ({{.Last}}) is an address of carrier-grade NAT",
	Why:    "Our public address belongs to many customers: no reverse name of our own, no incoming port 25, and a neighbour's spam lists us too.",
	Repair: "Ask the provider for a public address of our own, or send through a smarthost.",
	Refs:   []finding.Ref{finding.RFC(6598, ""), finding.RFC(6269, "13")},
}

var rulePrivate = &finding.Rule{
	ID: "path.private-inside", Severity: finding.Note, Owner: finding.OwnerNobody,
	Title: "private addresses in the middle of the path",
	Says:  "{{plural .N \"hop\" \"hops\"}} {{list .Hops}} behind public routers {{plural .N \"has\" \"have\"}} private addresses",
	Why:   "A network numbers its own lines so, or a tunnel begins there. Harmless in itself; but where such addresses are filtered, the router's word about the path MTU never arrives.",
	Refs:  []finding.Ref{finding.RFC(6752, "3")},
}

var ruleHole = &finding.Rule{
	ID: "path.mtu-black-hole", Severity: finding.Error, Owner: finding.OwnerNetwork,
	Title:  "large packets vanish (path MTU black hole)",
	Says:   "packets of {{.Fails}} bytes to {{.Addr}} vanish without a word {{if .AtHost}}on the last line or at the host itself{{else if .Hop}}before hop {{.Hop}} ({{.Last}}){{else}}on the way{{end}}; {{.Passes}} bytes pass",
	OK:     "packets of {{.Passes}} bytes come through to {{.Addr}}",
	Why:    "The session opens and goes well until the first full packets: the message, or the server's certificate. Then both sides wait until the time-out. Small messages arrive, large ones never do.",
	Repair: "Let ICMP \"fragmentation needed\" (IPv6: \"packet too big\") through, at the router before hop {{.Hop}} and in every firewall. Until then clamp the MSS to {{.MSS}} bytes, or set the MTU of our own interface to {{.Passes}}.",
	Refs:   []finding.Ref{finding.RFC(2923, "2.1"), finding.RFC(1191, "4"), finding.RFC(8201, "1"), finding.RFC(4821, "")},
	After:  []string{"path.unreachable"},
}

var ruleSmall = &finding.Rule{
	ID: "path.mtu-small", Severity: finding.Note, Owner: finding.OwnerNobody,
	Title: "a smaller packet size on the way",
	Says:  "{{if .From}}{{.From}} says that{{else}}our own link says that{{end}} {{.Passes}} bytes fit on the way to {{.Addr}}, and they come through",
	Why:   "A tunnel or a PPPoE line. Path MTU discovery works here; it breaks as soon as somebody filters ICMP.",
	Refs:  []finding.Ref{finding.RFC(1191, "3"), finding.RFC(8201, "4")},
}

var ruleAsymmetric = &finding.Rule{
	ID: "path.asymmetric", Severity: finding.Note, Owner: finding.OwnerNobody,
	Title: "the way back is another one",
	Says:  "it is {{.Out}} hops to {{.Last}}, but its answers come over about {{.Back}}",
	Why:   "Usual between large networks. It means that loss or delay seen here may be on the way back, which only a trace from the other side shows.",
	Refs:  []finding.Ref{finding.RFC(3449, "")},
}

var rulePing = &finding.Rule{
	ID: "path.no-ping", Severity: finding.Note, Owner: finding.OwnerServer,
	Title: "the host does not answer ping",
	Says:  "{{.Addr}} does not answer ICMP echo, though TCP to port {{.Port}} comes through",
	OK:    "{{.Addr}} answers ICMP echo",
	Why:   "No fault by itself. If all ICMP is filtered there, path MTU discovery towards it fails too.",
	Refs:  []finding.Ref{finding.RFC(4890, "4.3"), finding.RFC(2979, "3.1")},
}

// Rules are all the rules of this pack.
var Rules = []*finding.Rule{
	ruleAddress, ruleMail, ruleReach, ruleLoop, rulePort, ruleClosed, ruleIntercepted, ruleLoss, ruleLimit, ruleSlow, ruleStep, ruleJitter,
	ruleNAT, ruleCGNAT, rulePrivate, ruleHole, ruleSmall, ruleAsymmetric, rulePing,
}
