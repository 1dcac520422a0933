package capture

import "github.com/mailwhy/mailwhy/internal/finding"

// Rules lists every rule of this survey.
var Rules = []*finding.Rule{ruleSilent, ruleRefused, ruleReset, ruleNoBanner, ruleLateBanner, ruleNoAnswer, ruleGaveUp, ruleMTU, ruleResent, ruleAlert, ruleHandshake,
	ruleZeroWindow, ruleSaidNo, ruleLogin, ruleCleartext, ruleMissing, ruleOneSided, ruleFile, ruleNoMail}

var tcp = finding.RFC(9293, "")

var ruleSilent = &finding.Rule{ID: "capture.syn-unanswered", Severity: finding.Error, Owner: finding.OwnerNetwork,
	Title: "connection attempt without an answer", Refs: []finding.Ref{tcp},
	Says:   "{{.Server}} never answers: {{.Client}} sent {{.Count}} SYN {{plural .Count \"packet\" \"packets\"}} over {{.Waited}} and nothing came back{{if gt .N 1}} ({{.N}} attempts){{end}}",
	Why:    "No connection comes about, so mail stays in the queue until it expires. Silence means that something drops the packets: a firewall at either end, a provider that blocks the port, or a dead host.",
	Repair: "Capture at the other end too: if the SYN never arrives there, the path or an outgoing block is at fault; if it arrives, the firewall of that server is."}

var ruleRefused = &finding.Rule{ID: "capture.refused", Severity: finding.Error, Owner: finding.OwnerServer,
	Title: "connection refused", Refs: []finding.Ref{tcp},
	Says:   "{{.Server}} refuses connections: the SYN of {{.Client}} is answered with RST{{if gt .N 1}} ({{.N}} attempts){{end}}",
	Why:    "The host is up, but nothing listens on the port, or a firewall rejects with a reset.",
	Repair: "Start the mail service on that port, or open the firewall for it."}

var ruleReset = &finding.Rule{ID: "capture.reset", Severity: finding.Error, Owner: finding.OwnerServer,
	Title: "connection reset in the middle",
	Says:  "the connection to {{.Server}} was cut by an RST in the name of the {{.By}} after {{size .Bytes}}{{if .Foreign}}; its TTL {{.TTL}} is not the {{.Usual}} of all other packets of that end, so something in between sent it{{end}}{{if gt .N 1}} ({{.N}} streams){{end}}",
	Why:   "What was not yet accepted is lost and must be sent again; a reset at the same place each time means that the mail never arrives.", Refs: []finding.Ref{tcp},
	Repair: "Where something in between sent it, look for a firewall, an intrusion detection or a censoring device on the way. Otherwise read the log of the end that sent it, at the second of the reset."}

var ruleNoBanner = &finding.Rule{ID: "capture.no-banner", Severity: finding.Error, Owner: finding.OwnerServer,
	Title: "no greeting", Refs: []finding.Ref{finding.RFC(5321, "3.1")},
	Says:   "{{.Server}} takes the connection and then says nothing: no greeting within {{.Waited}}{{if gt .N 1}} ({{.N}} streams){{end}}",
	Why:    "The server is overloaded, waits for a DNS or blocklist look-up, or a proxy in front accepts for a dead server. Clients give up after some minutes.",
	Repair: "Look at the load and the resolver of the server; through a proxy, at the server behind it."}

var ruleLateBanner = &finding.Rule{ID: "capture.late-banner", Severity: finding.Warning, Owner: finding.OwnerServer,
	Title:  "late greeting",
	Says:   "{{.Server}} greets only after {{.Waited}}{{if gt .N 1}} ({{.N}} streams, this is the longest){{end}}",
	Why:    "Each delivery is held up by that time, and impatient clients give up. A resolver that times out is the usual cause; some servers wait on purpose to catch spammers.",
	Repair: "Check the resolver of the server: reverse look-up, blocklists; or shorten the deliberate delay."}

var ruleNoAnswer = &finding.Rule{ID: "capture.no-answer", Severity: finding.Error, Owner: finding.OwnerServer,
	Title: "server silent", Refs: []finding.Ref{finding.RFC(5321, "4.5.3.2")},
	Says:   "{{.Server}} never answered {{.Stage}}: waited {{.Waited}}{{if .Acked}}, though its TCP had received everything{{else}}, and its TCP did not acknowledge everything either{{end}}{{if gt .N 1}} ({{.N}} streams){{end}}",
	Why:    "The client cannot know whether the mail was taken; it tries again, which delays or doubles mail.",
	Repair: "Where everything was acknowledged the server program hangs: look at its content filters and its log at that time. Where it was not, packets get lost on the way."}

var ruleGaveUp = &finding.Rule{ID: "capture.gave-up", Severity: finding.Warning, Owner: finding.OwnerSelf,
	Title: "client gave up", Refs: []finding.Ref{finding.RFC(5321, "4.5.3.2")},
	Says:   "{{.Client}} gave up after waiting {{.Waited}} for the answer of {{.Server}} to {{.Stage}}{{if gt .N 1}} ({{.N}} streams){{end}}",
	Why:    "The standard gives each stage minutes; a client that gives up sooner fails against slow servers and may send mail twice.",
	Repair: "Raise the client's timeouts to those of the standard; a firewall that forgets idle connections does the same harm."}

var ruleMTU = &finding.Rule{ID: "capture.mtu-black-hole", Severity: finding.Error, Owner: finding.OwnerNetwork,
	Title: "large packets vanish", Refs: []finding.Ref{finding.RFC(1191, ""), finding.RFC(4821, "")},
	Says:   "packets of {{.Size}} bytes from {{.From}} never arrive: sent {{.Times}} times without acknowledgement, while small ones pass{{if .MTU}}; a router asks for at most {{.MTU}} bytes and is not heard{{end}}{{if gt .N 1}} ({{.N}} streams){{end}}",
	Why:    "Greeting and commands work and the message itself hangs, until a timeout: the pattern of a path with a smaller MTU whose ICMP messages are dropped.",
	Repair: "Let ICMP \"fragmentation needed\" (IPv6: \"packet too big\") through, or clamp the MSS on the tunnel or PPPoE router."}

var ruleResent = &finding.Rule{ID: "capture.retransmissions", Severity: finding.Warning, Owner: finding.OwnerNetwork,
	Title:  "many retransmissions",
	Says:   "{{.Percent}} % of the data packets of {{.From}} had to be sent again ({{.Resent}} of {{.Sent}}){{if gt .N 1}}; {{.N}} streams are like that{{end}}",
	Why:    "Loss on the way makes large messages slow and lets them run into timeouts.",
	Repair: "Find the lossy stretch with mailwhy path; look for duplex faults, a full link or an overloaded firewall."}

var ruleAlert = &finding.Rule{ID: "capture.tls-alert", Severity: finding.Error, Owner: finding.OwnerServer,
	Title: "TLS alert", Refs: []finding.Ref{finding.RFC(8446, "6")},
	Says:   "the {{.By}} broke the TLS handshake of {{.Client}} with {{.Server}}: {{.Alert}}{{if .SNI}} (name asked for: {{.SNI}}){{end}}{{if gt .N 1}} ({{.N}} streams){{end}}",
	Why:    "No encrypted session comes about; mail is delayed, or sent in clear text where the client allows that.",
	Repair: "An alert about a certificate from the client means that it does not trust the server's chain or name. An alert of the server means that versions, ciphers or the name asked for do not fit."}

var ruleHandshake = &finding.Rule{ID: "capture.tls-broken", Severity: finding.Error, Owner: finding.OwnerServer, After: []string{"capture.tls-alert"},
	Title: "TLS handshake not finished", Refs: []finding.Ref{finding.RFC(3207, "")},
	Says:   "the TLS handshake with {{.Server}} never came to its end: {{if .Plain}}something else than TLS was said{{else if not .Answer}}no answer to the client's hello{{else}}it stopped after the server's hello{{end}}{{if gt .N 1}} ({{.N}} streams){{end}}",
	Why:    "Mail stays in the queue or goes in clear text.",
	Repair: "Test the server with mailwhy tls; where the large certificate packet is lost, see the MTU. Clear text in place of TLS often comes from a firewall that inspects SMTP."}

var ruleZeroWindow = &finding.Rule{ID: "capture.zero-window", Severity: finding.Warning, Owner: finding.OwnerServer,
	Title: "receiver takes no data", Refs: []finding.Ref{tcp},
	Says:   "the {{.By}} of the stream to {{.Server}} closed its window for {{.Waited}}: its program did not read{{if gt .N 1}} ({{.N}} streams){{end}}",
	Why:    "The network is fine; the program at that end is too slow or hangs, often in a filter or on a full disk.",
	Repair: "Look at the load, disk and content filters of that end."}

var ruleSaidNo = &finding.Rule{ID: "capture.refusal", Severity: finding.Error, Owner: finding.OwnerServer,
	Title: "refused by the server", Refs: []finding.Ref{finding.RFC(5321, "4.2")},
	Says:   "{{.Server}} refuses {{.What}}: {{.Cause}} ({{.Reply}}){{if gt .N 1}}; {{.N}} times{{end}}",
	Why:    "The network did its work: the server understood and said no.",
	Repair: "{{.Advice}}"}

var ruleLogin = &finding.Rule{ID: "capture.login-failed", Severity: finding.Warning, Owner: finding.OwnerSender,
	Title:  "login failed",
	Says:   "{{.Server}} does not accept the login of {{.Client}}{{if .User}} as {{.User}}{{end}}: {{.Reply}}{{if gt .N 1}} ({{.N}} times){{end}}",
	Why:    "Without a login no mail is fetched or sent.",
	Repair: "Check name, password and login method of the mail program; many services want an app password or OAuth."}

var ruleCleartext = &finding.Rule{ID: "capture.cleartext-password", Severity: finding.Warning, Owner: finding.OwnerServer,
	Title: "password in clear text", Refs: []finding.Ref{finding.RFC(8314, "3")},
	Says:   "a login to {{.Server}} went over the network without encryption{{if gt .N 1}} ({{.N}} streams){{end}}",
	Why:    "Whoever can make such a capture has the password.",
	Repair: "Offer logins only under TLS, and change the passwords that were seen."}

var ruleMissing = &finding.Rule{ID: "capture.missing-bytes", Severity: finding.Note, Owner: finding.OwnerSelf,
	Title:  "capture not complete",
	Says:   "{{size .Bytes}} of the stream to {{.Server}} were received but are not in the capture{{if gt .N 1}} ({{.N}} streams){{end}}",
	Why:    "The capturing machine lost packets or cut them, so what is said about this stream may be wrong.",
	Repair: "Capture whole packets (tcpdump -s 0) with a larger buffer (-B)."}

var ruleOneSided = &finding.Rule{ID: "capture.one-sided", Severity: finding.Note, Owner: finding.OwnerSelf,
	Title:  "only one direction captured",
	Says:   "of the stream to {{.Server}} only the packets of the {{.By}} are in the capture{{if gt .N 1}} ({{.N}} streams){{end}}",
	Why:    "The other direction takes another way (asymmetric routing) or the filter of the capture left it out; answers cannot be judged.",
	Repair: "Capture where both directions pass, with a filter like \"port 25\" instead of \"dst port 25\"."}

var ruleFile = &finding.Rule{ID: "capture.file-damaged", Severity: finding.Note, Owner: finding.OwnerSelf,
	Title:  "capture file damaged or cut",
	Says:   "{{if .Broken}}the file could not be read to its end: {{.Broken}}{{else if .Cut}}the file ends in the middle of a packet{{else}}{{.Damaged}} packets have headers that lie{{end}}",
	Why:    "What came after is unknown.",
	Repair: "Copy the file again, or stop tcpdump in order (Ctrl-C) so that it writes its last packets."}

var ruleNoMail = &finding.Rule{ID: "capture.no-mail", Severity: finding.Note, Owner: finding.OwnerNobody,
	Title:  "no mail in the capture",
	Says:   "no SMTP, IMAP or POP3 among {{.Streams}} TCP {{plural .Streams \"stream\" \"streams\"}} in {{.Packets}} packets",
	Why:    "There is nothing to judge.",
	Repair: "Capture the mail ports: tcpdump -s 0 -w mail.pcap port 25 or port 465 or port 587 or port 143 or port 993 or port 110 or port 995"}
