package sieve

import "github.com/mailwhy/mailwhy/internal/finding"

var ruleSyntax = &finding.Rule{
	ID: "sieve.syntax", Severity: finding.Error, Owner: finding.OwnerRecipient,
	Title:  "Sieve script with a fault of form",
	Says:   "line {{.Line}}, column {{.Column}}: {{.What}}",
	OK:     "the script is well formed",
	Why:    "A server refuses the whole script, or keeps running the last one that was good: every message goes to the inbox, or where the old script puts it.",
	Repair: "Mend the place named and check again; the fault may begin a line before it.",
	Refs:   []finding.Ref{finding.RFC(5228, "8.2")},
}

var ruleRequire = &finding.Rule{
	ID: "sieve.require-missing", Severity: finding.Error, Owner: finding.OwnerRecipient,
	Title:  "Extension used without require",
	Says:   "line {{.Line}}: {{.By}} needs require \"{{.Ext}}\", which the script does not have",
	Why:    "A server refuses a script that uses an extension it did not require, the whole of it.",
	Repair: "Name the extension in the require at the top of the script.",
	Refs:   []finding.Ref{finding.RFC(5228, "3.2")},
}

var ruleMeaning = &finding.Rule{
	ID: "sieve.meaning", Severity: finding.Error, Owner: finding.OwnerRecipient,
	Title:  "Sieve command that no server takes",
	Says:   "line {{.Line}}: {{.What}}",
	OK:     "every command, test and argument is one that servers take",
	Why:    "A server refuses the whole script when it is stored, or files every message in the inbox.",
	Repair: "Mend the line named; the word may be misspelt or its arguments may stand in another order.",
	Refs:   []finding.Ref{finding.RFC(5228, "2.6")},
}

var ruleRegex = &finding.Rule{
	ID: "sieve.regex", Severity: finding.Error, Owner: finding.OwnerRecipient,
	Title:  "Regular expression that cannot be read",
	Says:   "line {{.Line}}: the expression {{.Word}} cannot be read: {{.Text}}",
	Why:    "Most servers refuse the whole script; others never match.",
	Repair: "Write a POSIX extended expression; in a quoted string each backslash is written twice.",
}

var ruleNever = &finding.Rule{
	ID: "sieve.never-matches", Severity: finding.Warning, Owner: finding.OwnerRecipient,
	Title:  "Test that never matches",
	Says:   "line {{.Line}}: {{.What}}",
	Why:    "The rule looks active and never does anything.",
	Repair: "Write the test as the line says, then run it over a message it should catch.",
	Refs:   []finding.Ref{finding.RFC(5228, "2.7.1")},
}

var ruleAll = &finding.Rule{
	ID: "sieve.matches-all", Severity: finding.Warning, Owner: finding.OwnerRecipient,
	Title:  "Test that matches everything",
	Says:   "line {{.Line}}: {{.By}} with \"{{.Word}}\" matches every value, so the rule catches far more than it names",
	Why:    "Mail that has nothing to do with the rule is filed, thrown away or refused by it.",
	Repair: "Name what is to be matched, or use exists where only the presence of the header counts.",
	Refs:   []finding.Ref{finding.RFC(5228, "2.7.1")},
}

var ruleUnreachable = &finding.Rule{
	ID: "sieve.unreachable", Severity: finding.Warning, Owner: finding.OwnerRecipient,
	Title:  "Rules that are never reached",
	Says:   "line {{.Line}}: {{.Word}} and what follows is never reached, because every way through ends with the stop of line {{.Stop}}",
	Why:    "The rules behind it do nothing, whatever the message.",
	Repair: "Move the stop into the branch it belongs to, or move the rules before it.",
	Refs:   []finding.Ref{finding.RFC(5228, "3.3")},
}

var ruleUnused = &finding.Rule{
	ID: "sieve.require-unused", Severity: finding.Note, Owner: finding.OwnerRecipient,
	Title: "Extension required and not used",
	Says:  "line {{.Line}}: require \"{{.Ext}}\" is not used",
	Why:   "It does no harm, but the script will not run on a server that lacks the extension.",
}

var ruleNotRun = &finding.Rule{
	ID: "sieve.not-run", Severity: finding.Warning, Owner: finding.OwnerNobody,
	Title:  "Extension that mailwhy does not run",
	Says:   "the extension {{.Ext}} is not run here",
	Why:    "What its commands and tests do is not known here; everything else of the script is.",
	Repair: "Ask the server for those lines: its own log or its sieve-test tool tells.",
}

var ruleDiscarded = &finding.Rule{
	ID: "sieve.discarded", Severity: finding.Warning, Owner: finding.OwnerRecipient,
	Title:  "Message thrown away by a filter",
	Says:   "line {{.Line}} throws the message away without a trace{{if .Because}}, because the condition of line {{.Because}} held{{end}}",
	Why:    "The server took the message, so the sender's log says delivered; neither side gets a notice.",
	Repair: "Narrow the condition, or file such mail in a folder instead of throwing it away.",
	Refs:   []finding.Ref{finding.RFC(5228, "4.4")},
}

var ruleRejected = &finding.Rule{
	ID: "sieve.rejected", Severity: finding.Warning, Owner: finding.OwnerRecipient,
	Title:  "Message refused by a filter",
	Says:   "line {{.Line}} refuses the message{{if .Because}}, because the condition of line {{.Because}} held{{end}}; the sender reads: {{.Reason}}",
	Why:    "The sender gets a refusal or a bounce that the recipient's own filter caused.",
	Repair: "Narrow the condition if the message was wanted.",
	Refs:   []finding.Ref{finding.RFC(5429, "2.1")},
}

var ruleFiled = &finding.Rule{
	ID: "sieve.filed", Severity: finding.Note, Owner: finding.OwnerRecipient,
	Title: "Message put elsewhere by a filter",
	Says:  "line {{.Line}} puts the message into {{.Target}} and not into the inbox{{if .Because}}, because the condition of line {{.Because}} held{{end}}",
	Why:   "Who looks only at the inbox does not see it; many phones fetch no other folder by themselves.",
	Refs:  []finding.Ref{finding.RFC(5228, "4.1")},
}

var ruleForwarded = &finding.Rule{
	ID: "sieve.redirected", Severity: finding.Note, Owner: finding.OwnerRecipient,
	Title: "Message sent on by a filter",
	Says:  "line {{.Line}} sends the message on to {{.Target}}{{if .Gone}} and keeps no copy{{end}}{{if .Because}}, because the condition of line {{.Because}} held{{end}}",
	Why:   "SPF fails for the sender's domain at the next server, which may refuse or file the message.",
	Refs:  []finding.Ref{finding.RFC(5228, "4.2")},
}

var ruleWithheld = &finding.Rule{
	ID: "sieve.no-answer", Severity: finding.Note, Owner: finding.OwnerRecipient,
	Title: "Automatic answer withheld",
	Says:  "line {{.Line}} sends no answer to this message: {{.Why}}",
	Why:   "Answers to lists, machines and senders who did not write to the user make loops and backscatter, so the standard forbids them.",
	Refs:  []finding.Ref{finding.RFC(5230, "4.6")},
}

// Rules lists every rule of this package.
var Rules = []*finding.Rule{
	ruleSyntax, ruleRequire, ruleMeaning, ruleRegex, ruleNever, ruleAll, ruleUnreachable, ruleUnused, ruleNotRun,
	ruleDiscarded, ruleRejected, ruleFiled, ruleForwarded, ruleWithheld,
}

// Loses tells a rule about a message that does not reach the user at all.
func Loses(r *finding.Rule) bool { return r == ruleDiscarded || r == ruleRejected }
