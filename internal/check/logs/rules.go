package logs

import "github.com/mailwhy/mailwhy/internal/finding"

// Rules lists what this pack may say.
var Rules = []*finding.Rule{
	ruleRead, ruleUnparsed, ruleOdd, ruleBounceBurst, ruleDeferralWave, ruleDead, ruleAcceptance, ruleAcceptanceDrop, ruleSilent, ruleQueueGrowth, ruleBruteForce,
	ruleBruteForceNetwork, ruleSpraying, ruleCompromised, ruleTravel, ruleRelayAttempts, ruleTLSOld, ruleTLSFailed, ruleTLSDrop, ruleResources, ruleDying,
}

var (
	ruleRead = &finding.Rule{
		ID: "logs.input", Severity: finding.Error, Owner: finding.OwnerSelf,
		Title:  "the log can be read",
		Says:   "{{.File}} holds no mail log lines",
		OK:     "{{.Mail}} mail {{plural .Mail \"line\" \"lines\"}} read",
		Why:    "what is not in the log cannot be counted: the numbers say nothing",
		Repair: "name the mail log itself; on a machine with journald export it with journalctl -o export",
	}
	ruleUnparsed = &finding.Rule{
		ID: "logs.unparsed", Severity: finding.Note, Owner: finding.OwnerNobody,
		Title: "mail lines that were not understood",
		Says:  "{{.N}} of {{.All}} mail {{plural .All \"line\" \"lines\"}} {{plural .N \"was\" \"were\"}} not understood (--unparsed shows {{plural .N \"it\" \"them\"}})",
		OK:    "every mail line was understood",
		Why:   "numbers that stand in those lines are missing here",
	}
	ruleOdd = &finding.Rule{
		ID: "logs.odd-lines", Severity: finding.Note, Owner: finding.OwnerNobody,
		Title: "lines that are not as a log's should be",
		Says: "{{.File}}: " +
			"{{if eq .Kind \"long\"}}{{.N}} {{plural .N \"line is\" \"lines are\"}} longer than 64 kB" +
			"{{else if eq .Kind \"nul\"}}{{.N}} {{plural .N \"line has\" \"lines have\"}} NUL bytes" +
			"{{else if eq .Kind \"invalid\"}}{{.N}} {{plural .N \"line is\" \"lines are\"}} not UTF-8" +
			"{{else if eq .Kind \"cut\"}}the last line has no end" +
			"{{else if eq .Kind \"years\"}}its times name no year and are of several: hours and days are told as if of one; a file given by its name is read right" +
			"{{else}}time goes back by more than 90 minutes {{plural .N \"once\" \"several times\"}} ({{.N}}){{end}}",
		Why: "NUL bytes and a last line without an end come from a log that was cut or a machine that fell while it was written; time that goes back, from a clock that was set or from several logs in one file. What could be read of them was",
	}
	ruleBounceBurst = &finding.Rule{
		ID: "logs.bounce-burst", Severity: finding.Warning, Owner: finding.OwnerSelf,
		Title:  "burst of bounces",
		Says:   "{{.N}} {{plural .N \"bounce\" \"bounces\"}} in the hour from {{.At}}, {{.Times}} times the median hour",
		Why:    "many bounces at once come from an old list, a hijacked account or a provider that began to refuse us; they cost reputation",
		Repair: "look at the causes and senders of that hour; stop the sender if it is not meant to send",
	}
	ruleDeferralWave = &finding.Rule{
		ID: "logs.deferral-wave", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title:  "wave of deferrals",
		Says:   "{{if gt .Hosts 1}}{{.Hosts}} destinations deferred {{.N}} attempts, {{.Share}} % of all to them, most in the hour from {{.At}}{{else}}{{.Provider}} deferred {{.N}} {{plural .N \"attempt\" \"attempts\"}} in the hour from {{.At}}, {{.Share}} % of those of the whole log{{end}}{{if .Known}}: {{.Cause}}{{end}}",
		Why:    "mail to them is late; when it goes on, messages expire and bounce",
		Repair: "read the provider's words in the evidence: a rate limit asks for slower sending, a reputation reply for clean-up, a time-out for patience",
	}
	ruleDead = &finding.Rule{
		ID: "logs.dead-destinations", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title:  "destinations that took nothing",
		Says:   "{{.Hosts}} {{plural .Hosts \"destination\" \"destinations\"}} took no mail at all: {{.N}} {{plural .N \"deferral\" \"deferrals\"}}",
		Why:    "messages to them wait in the queue until they expire, and each retry costs a connection",
		Repair: "test the largest with mailwhy deliver; what is misspelt or gone is better bounced than kept",
	}
	ruleAcceptance = &finding.Rule{
		ID: "logs.acceptance", Severity: finding.Warning, Owner: finding.OwnerSelf,
		Title:  "acceptance by providers",
		Says:   "{{if gt .Hosts 1}}{{.Hosts}} destinations{{else}}{{.Provider}}{{end}} accepted {{.Share}} % of {{.N}} {{plural .N \"recipient\" \"recipients\"}}{{if .Known}}: {{.Cause}}{{end}}",
		OK:     "every large provider accepts our mail",
		Why:    "what a provider refuses does not arrive, and a low share lowers the reputation of all other mail",
		Repair: "mend the cause that is named, the most frequent one; the others of each provider stand in the JSON under providers",
	}
	ruleAcceptanceDrop = &finding.Rule{
		ID: "logs.acceptance-drop", Severity: finding.Error, Owner: finding.OwnerSelf,
		Title:  "acceptance fell",
		Says:   "{{.Provider}} accepts {{.Now}} %, before {{.Before}} %{{if .Known}}: {{.Cause}}{{end}}",
		Why:    "a sudden fall is a block or a broken authentication, not bad addresses",
		Repair: "compare the refusals of both periods; check SPF, DKIM, DMARC and blocklists of the sending address",
		After:  nil,
	}
	ruleSilent = &finding.Rule{
		ID: "logs.silent-hour", Severity: finding.Warning, Owner: finding.OwnerSelf,
		Title:  "silence",
		Says:   "nothing was received or delivered for {{.For}} from {{.At}}, the median hour has {{.Median}} {{plural .Median \"message\" \"messages\"}}",
		Why:    "the server, its network or its logging stood still",
		Repair: "look at the last lines before and the first after; check that the log itself was not interrupted",
	}
	ruleQueueGrowth = &finding.Rule{
		ID: "logs.queue-growth", Severity: finding.Warning, Owner: finding.OwnerSelf,
		Title:  "growing queue",
		Says:   "the queue grew for {{.Hours}} {{plural .Hours \"hour\" \"hours\"}} from {{.At}} on, to {{.N}} {{plural .N \"message\" \"messages\"}}",
		Why:    "more comes in than goes out; mail is late and will expire",
		Repair: "see which destinations hold the messages and why",
	}
	ruleBruteForce = &finding.Rule{
		ID: "logs.brute-force", Severity: finding.Warning, Owner: finding.OwnerSelf,
		Title:  "guessing of passwords",
		Says:   "{{.IP}} failed to log in {{.N}} {{plural .N \"time\" \"times\"}}{{if .OK}} and succeeded {{.OK}} {{plural .OK \"time\" \"times\"}}{{end}}",
		Why:    "guessing goes on until a password is found; then the account sends spam",
		Repair: "block the address or limit its rate; where it succeeded, change that account's password now",
	}
	ruleBruteForceNetwork = &finding.Rule{
		ID: "logs.brute-force-network", Severity: finding.Warning, Owner: finding.OwnerSelf,
		Title:  "guessing of passwords from one network",
		Says:   "{{.Net}}: {{.N}} failed {{plural .N \"login\" \"logins\"}} from {{.Addresses}} {{plural .Addresses \"address\" \"addresses\"}}",
		Why:    "each address stays below a limit, the network as a whole does not",
		Repair: "block or limit the network, after a look at who else uses it",
	}
	ruleSpraying = &finding.Rule{
		ID: "logs.password-spraying", Severity: finding.Warning, Owner: finding.OwnerSelf,
		Title:  "one password tried on many accounts",
		Says:   "{{.IP}} tried {{.N}} {{plural .N \"account\" \"accounts\"}} without success",
		Why:    "a few guesses per account stay below every lock-out limit",
		Repair: "block the address; ask for long passwords or a second factor",
	}
	ruleCompromised = &finding.Rule{
		ID: "logs.account-compromised", Severity: finding.Error, Owner: finding.OwnerSelf,
		Title:  "account likely in foreign hands",
		Says:   "{{.User}} logged in from {{.Networks}} {{plural .Networks \"network\" \"networks\"}} and then sent {{.N}} {{plural .N \"message\" \"messages\"}} in one hour",
		Why:    "spam from a real account ruins the reputation of the whole server within hours",
		Repair: "lock the account, change its password, remove what it left in the queue, look for rules it made",
	}
	ruleTravel = &finding.Rule{
		ID: "logs.impossible-travel", Severity: finding.Warning, Owner: finding.OwnerSelf,
		Title:  "impossible travel",
		Says:   "{{.User}} logged in from {{.A}} and {{.B}}, {{.Km}} km apart, within {{.Within}}",
		Why:    "nobody travels that fast: one of the two is somebody else, or a VPN",
		Repair: "ask the user; if it was not them, change the password",
	}
	ruleRelayAttempts = &finding.Rule{
		ID: "logs.relay-attempts", Severity: finding.Note, Owner: finding.OwnerNobody,
		Title: "attempts to relay",
		Says:  "{{.N}} {{plural .N \"attempt\" \"attempts\"}} to send through this server to others {{plural .N \"was\" \"were\"}} refused",
		Why:   "strangers look for an open relay; refusing them is right",
	}
	ruleTLSOld = &finding.Rule{
		ID: "logs.tls-old", Severity: finding.Warning, Owner: finding.OwnerSelf,
		Title:  "old TLS versions in use",
		Says:   "{{.N}} {{plural .N \"connection\" \"connections\"}} used {{list .Versions}}",
		Why:    "TLS 1.0 and 1.1 are withdrawn; partners will stop speaking them, and some already do",
		Repair: "find the peers and update them; then require TLS 1.2",
		Refs:   []finding.Ref{finding.RFC(8996, "")},
	}
	ruleTLSFailed = &finding.Rule{
		ID: "logs.tls-failed", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title:  "failed TLS handshakes",
		Says:   "{{.N}} TLS {{plural .N \"handshake\" \"handshakes\"}} failed ({{.Share}} %)",
		Why:    "mail to or from these peers goes in clear, late, or not at all",
		Repair: "see the peers and reasons in the log; test them with mailwhy tls HOST:25",
	}
	ruleTLSDrop = &finding.Rule{
		ID: "logs.tls-drop", Severity: finding.Warning, Owner: finding.OwnerSelf,
		Title:  "less TLS than before",
		Says:   "for {{.Hours}} {{plural .Hours \"hour\" \"hours\"}} from {{.At}} on {{.Now}} % of the mail from other servers came with TLS, in the hours before {{.Before}} %",
		Why:    "a certificate ran out, a setting was changed, or somebody between the servers takes STARTTLS away and reads along; or mail of another kind came than usual",
		Repair: "see what was changed at that hour; test this server from outside with mailwhy tls HOST:25",
		Refs:   []finding.Ref{finding.RFC(3207, "6")},
	}
	ruleResources = &finding.Rule{
		ID: "logs.resources", Severity: finding.Error, Owner: finding.OwnerSelf,
		Title:  "lack of resources",
		Says:   "the server warned {{.N}} {{plural .N \"time\" \"times\"}} of a lack of resources: {{.Example}}",
		Why:    "without disk, memory or descriptors mail is refused or lost",
		Repair: "free or add what is missing; see the evidence for which",
	}
	ruleDying = &finding.Rule{
		ID: "logs.daemon-dying", Severity: finding.Error, Owner: finding.OwnerSelf,
		Title:  "a daemon dies",
		Says:   "{{.Program}} reported a fatal fault {{.N}} {{plural .N \"time\" \"times\"}}: {{.Example}}",
		Why:    "each death interrupts mail in transit, and the master daemon slows restarts down",
		Repair: "mend what the message names; then watch that it stays quiet",
	}
)
