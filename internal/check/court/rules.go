package court

import "github.com/mailwhy/mailwhy/internal/finding"

var (
	ruleAgree = &finding.Rule{
		ID: "resolve.agree", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "resolvers answer differently",
		Says:   "{{.Type}}: {{.N}} different answers, and no authoritative server to tell which is right",
		OK:     "{{.Type}}: all {{.N}} that answered say {{.Value}}{{if not .Proved}}, though no authoritative server could be asked{{end}}",
		Why:    "Which server mail goes to, and whether it passes, depends on which resolver a sender uses.",
		Repair: "See to it that the authoritative servers answer, then ask again.",
		Refs:   []finding.Ref{finding.RFC(1034, "4.3")},
	}
	rulePropagation = &finding.Rule{
		ID: "resolve.propagation", Severity: finding.Warning, Owner: finding.OwnerNobody,
		Title:  "an old answer is still cached",
		Says:   "{{.Type}}: {{list .Who}} still {{plural (len .Who) \"gives\" \"give\"}} {{.Old}}; the authoritative servers say {{.New}}. It runs out in {{.Left}}, at {{.Until}}",
		Why:    "A change takes effect for each resolver when the copy it holds runs out. Until then mail goes by the old answer.",
		Repair: "Wait. Before the next change, lower the TTL as long ahead as the old TTL was.",
		Refs:   []finding.Ref{finding.RFC(1034, "3.6"), finding.RFC(2308, "5")},
	}
	ruleAuthorities = &finding.Rule{
		ID: "resolve.authorities-differ", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title:  "the authoritative servers do not agree",
		Says:   "{{.Type}}: {{list .Answers}}",
		OK:     "{{.Type}}: all {{.N}} authoritative servers that answered say the same",
		Why:    "Resolvers ask any of them: what the world sees is left to chance, and an old answer never dies out.",
		Repair: "Bring all servers of the zone to the same data: check zone transfers and serial numbers.",
		Refs:   []finding.Ref{finding.RFC(1034, "4.3.5"), finding.RFC(1912, "2.2")},
	}
	ruleAuthority = &finding.Rule{
		ID: "resolve.authority", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "an authoritative server does not answer for the zone",
		Says:   "{{.Who}} ({{.Server}}) is named for {{.Zone}}, and {{if .Fault}}does not answer: {{.Fault}}{{else}}answers {{.Rcode}} without authority{{end}}",
		OK:     "{{.N}} authoritative {{plural .N \"server\" \"servers\"}} of {{.Zone}} {{plural .N \"answers\" \"answer\"}}",
		Why:    "Every resolver that tries it first loses time, and where the others fail too the domain is gone.",
		Repair: "Repair the server, or take it out of the NS records at the parent and in the zone.",
		Refs:   []finding.Ref{finding.RFC(1912, "2.8")},
	}
	ruleView = &finding.Rule{
		ID: "resolve.split-view", Severity: finding.Note, Owner: finding.OwnerSelf,
		Title:  "an inside answer that was not declared",
		Says:   "{{.Type}}: {{list .Who}} {{plural (len .Who) \"gives\" \"give\"}} the inside address {{.Value}}; the world is told {{.New}}",
		OK:     "{{.Type}}: {{list .Who}} {{plural (len .Who) \"gives\" \"give\"}} the declared answer {{.Value}}",
		Why:    "That is right where the inside has a view of its own, and wrong anywhere else.",
		Repair: "If it is meant so, declare it with --expect; if not, take the entry out of the resolver.",
		Refs:   []finding.Ref{finding.RFC(9499, "6")},
	}
	ruleExpected = &finding.Rule{
		ID: "resolve.expected", Severity: finding.Warning, Owner: finding.OwnerSelf,
		Title:  "nobody gives the declared answer",
		Says:   "nobody asked answers {{list .Expect}}",
		Why:    "The view that was declared is not there, or not at the resolvers that were asked.",
		Repair: "Ask the resolver that should give it, with --resolver, or correct --expect.",
	}
	ruleRewritten = &finding.Rule{
		ID: "resolve.nxdomain-rewritten", Severity: finding.Error, Owner: finding.OwnerResolver,
		Title:  "the resolver invents addresses for names that do not exist",
		Says:   "{{list .Who}} {{plural (len .Who) \"answers\" \"answer\"}} {{.Value}} for {{.Random}}, which does not exist",
		OK:     "no resolver invents an address for a name that does not exist",
		Why:    "Behind such a resolver every blocklist lists everything, mistyped domains take mail, and sender checks pass that should fail.",
		Repair: "Use another resolver on mail servers, best one of your own.",
		Refs:   []finding.Ref{finding.RFC(8020, "2"), finding.RFC(6761, "6.4"), finding.RFC(2308, "5")},
	}
	ruleFiltered = &finding.Rule{
		ID: "resolve.filtered", Severity: finding.Error, Owner: finding.OwnerResolver,
		Title:  "a resolver filters the name",
		Says:   "{{.Type}}: {{list .Who}} {{plural (len .Who) \"answers\" \"answer\"}} {{.Value}}{{if .EDE}} ({{.EDE}}){{end}}{{if .Known}}; it leaves out {{.Known}} on purpose{{end}}; the authoritative servers say {{.New}}",
		Why:    "For everybody behind that resolver the domain is not there, and mail for it is deferred or refused.",
		Repair: "Ask its operator to take the domain off the filter, or use a resolver without one.",
		Refs:   []finding.Ref{finding.RFC(8914, "4.16"), finding.RFC(8914, "4.18")},
	}
	ruleStale = &finding.Rule{
		ID: "resolve.stale", Severity: finding.Error, Owner: finding.OwnerResolver,
		Title:  "a resolver gives an answer beyond its time",
		Says:   "{{.Type}}: {{list .Who}} {{plural (len .Who) \"gives\" \"give\"}} {{.Value}}, {{if .EDE}}and {{plural (len .Who) \"says\" \"say\"}} itself that it is stale{{else}}which had to be gone by {{.Due}}{{end}}; the authoritative servers say {{.New}}",
		Why:    "Mail goes by an answer that the domain has taken back, and no waiting helps.",
		Repair: "Flush the name at the resolver; if it says itself that the answer is stale, find out why it cannot reach the authoritative servers.",
		Refs:   []finding.Ref{finding.RFC(8767, "4"), finding.RFC(8914, "4.4")},
	}
	ruleForeign = &finding.Rule{
		ID: "resolve.tampered", Severity: finding.Error, Owner: finding.OwnerResolver,
		Title:  "an answer that no authoritative server gives",
		Says:   "{{.Type}}: {{list .Who}} {{plural (len .Who) \"answers\" \"answer\"}} {{.Value}} with a TTL that does not run ({{.TTL}}, then {{.Later}}); the authoritative servers say {{.New}}",
		Why:    "No cache explains it: the resolver has an entry of its own, or somebody on the way forges answers. Mail goes to whoever wrote it.",
		Repair: "Look for a local entry (local-data, address=, response policy) in the resolver; if there is none, ask over DoT or DoH and sign the domain with DNSSEC.",
		Refs:   []finding.Ref{finding.RFC(3833, "2"), finding.RFC(5452, "3")},
	}
	ruleVaries = &finding.Rule{
		ID: "resolve.varies", Severity: finding.Note, Owner: finding.OwnerNobody,
		Title: "the answer depends on who asks",
		Says:  "{{.Type}}: {{.N}} different answers from {{.From}} places; the name is served by place or load",
		Why:   "Then different answers are no sign of a fault, and a change cannot be watched this way.",
		Refs:  []finding.Ref{finding.RFC(7871, "1")},
	}
	ruleIntercepted = &finding.Rule{
		ID: "resolve.intercepted", Severity: finding.Error, Owner: finding.OwnerNetwork,
		Title:  "DNS is intercepted on the way",
		Says:   "{{.Server}} is a root server, yet answers {{.Rcode}} {{if .RA}}and offers recursion{{else}}without authority{{end}}: somebody on the way answers in its place, whoever is asked",
		OK:     "questions reach the servers they are sent to",
		Why:    "Whichever resolver is set, the same one answers; no authoritative server can be heard from here, and what it says may be filtered or changed.",
		Repair: "Ask whoever runs the network to let port 53 through, or ask over DoT or DoH (--resolver tls://… or https://…).",
		Refs:   []finding.Ref{finding.RFC(1034, "4.3.1"), finding.RFC(1035, "4.1.1")},
	}
	ruleDead = &finding.Rule{
		ID: "resolve.resolver-dead", Severity: finding.Error, Owner: finding.OwnerSelf,
		Title:  "a resolver of this machine does not answer",
		Says:   "{{.Server}} does not answer: {{.Fault}}",
		OK:     "the {{plural .N \"resolver\" \"resolvers\"}} of this machine {{plural .N \"answers\" \"answer\"}}",
		Why:    "Each look-up that tries it first waits for a time-out; mail servers defer mail when it happens often.",
		Repair: "Repair the resolver or take it out of /etc/resolv.conf.",
	}
	ruleLame = &finding.Rule{
		ID: "resolve.resolver-lame", Severity: finding.Error, Owner: finding.OwnerSelf,
		Title:  "a resolver answers with an error",
		Says:   "{{.Type}}: {{list .Who}} {{plural (len .Who) \"answers\" \"answer\"}} {{.Rcode}}{{if .EDE}} ({{.EDE}}){{end}}; the authoritative servers say {{.New}}",
		Why:    "For whoever asks there the name cannot be looked up, and mail is deferred.",
		Repair: "REFUSED: let this machine use the resolver, or use another. SERVFAIL: see whether it can reach the authoritative servers and whether DNSSEC fails.",
		Refs:   []finding.Ref{finding.RFC(1035, "4.1.1"), finding.RFC(8914, "4")},
	}
	ruleSlow = &finding.Rule{
		ID: "resolve.resolver-slow", Severity: finding.Warning, Owner: finding.OwnerSelf,
		Title:  "a resolver of this machine is slow",
		Says:   "{{.Server}} took {{.Took}}",
		OK:     "the resolvers of this machine answer within {{.Took}}",
		Why:    "A mail server asks a dozen questions per message; slow answers make slow sessions and time-outs.",
		Repair: "Run a resolver on the machine itself or close to it.",
	}
	ruleHosts = &finding.Rule{
		ID: "resolve.hosts-file", Severity: finding.Warning, Owner: finding.OwnerSelf,
		Title:  "the hosts file answers for the name",
		Says:   "{{.File}} line {{.Line}} says {{.Value}}{{if .New}}, the authoritative servers say {{.New}}{{end}}; {{if .Wins}}programs that ask the system get the file's answer{{else}}the DNS is asked first{{end}}",
		OK:     "{{.File}} does not name {{.Name}}",
		Why:    "Programs that ask the system and programs that ask the DNS (most mail servers, for MX) then go to different places.",
		Repair: "Take the line out of the file, unless it is meant so.",
		Refs:   []finding.Ref{finding.RFC(952, "")},
	}
)

// Rules lists every rule of this package.
var Rules = []*finding.Rule{ruleAgree, rulePropagation, ruleAuthorities, ruleAuthority, ruleView, ruleExpected, ruleRewritten,
	ruleFiltered, ruleStale, ruleForeign, ruleVaries, ruleIntercepted, ruleDead, ruleLame, ruleSlow, ruleHosts}
