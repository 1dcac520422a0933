package queue

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/logs/queue"
)

// Rules lists what this pack may say.
var Rules = []*finding.Rule{ruleEmpty, ruleStuck, ruleExpiring, ruleHeld, ruleGrowing, ruleBackscatter, ruleBounceStorm, ruleOneSender, ruleStrange}

var (
	ruleEmpty = &finding.Rule{
		ID: "queue.empty", Severity: finding.Note, Owner: finding.OwnerNobody,
		Title: "waiting messages", Says: "{{.N}} {{plural .N \"message waits\" \"messages wait\"}}", OK: "the queue is empty", Why: "a queue that is never empty is normal on a busy server; what matters is age and reason",
	}
	ruleStuck = &finding.Rule{
		ID: "queue.stuck-destination", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "destination that holds the queue", Says: "{{.Domain}} holds {{.N}} of {{.All}} {{plural .All \"message\" \"messages\"}}, the oldest for {{.Age}}: {{.Reason}}",
		Why:    "a destination that takes nothing fills the queue and slows everything else",
		Repair: "test the destination; then, in the order of the commands: try its messages again, hold them if it needs more time, remove them if it is gone",
	}
	ruleExpiring = &finding.Rule{
		ID: "queue.expiring", Severity: finding.Error, Owner: finding.OwnerSelf,
		Title: "messages about to expire", Says: "{{.N}} {{plural .N \"message expires\" \"messages expire\"}} within {{.Within}}",
		Why:    "expired messages go back to their senders as undeliverable",
		Repair: "mend the cause now, or raise the lifetime (Postfix maximal_queue_lifetime, Exim retry rules), then retry",
	}
	ruleHeld = &finding.Rule{
		ID: "queue.held", Severity: finding.Note, Owner: finding.OwnerSelf,
		Title: "messages on hold", Says: "{{.N}} {{plural .N \"message is\" \"messages are\"}} on hold or frozen: nothing is tried for {{plural .N \"it\" \"them\"}}",
		Why:    "such messages stay until somebody releases or removes them; their senders hear nothing",
		Repair: "look at one of them (postcat -q ID, exim -Mvh ID); release what is wanted, remove what is not",
	}
	ruleGrowing = &finding.Rule{
		ID: "queue.growing", Severity: finding.Warning, Owner: finding.OwnerSelf,
		Title: "growing queue", Says: "the queue grew by {{.N}} {{plural .N \"message\" \"messages\"}} since {{.Since}}: {{.PerHour}} per hour",
		OK:     "the queue does not grow",
		Why:    "more comes in than goes out; mail is late and will expire",
		Repair: "see which destinations hold the messages and why",
	}
	ruleBackscatter = &finding.Rule{
		ID: "queue.backscatter", Severity: finding.Warning, Owner: finding.OwnerSelf,
		Title: "bounces to forged senders", Says: "{{.N}} of {{.All}} {{plural .All \"message\" \"messages\"}} {{plural .N \"is a bounce\" \"are bounces\"}} that cannot be delivered, to {{.Domains}} {{plural .Domains \"domain\" \"domains\"}}",
		Why:    "a server that first accepts and then bounces spam sends mail to strangers; blocklists list it for that",
		Repair: "refuse unknown recipients and spam during the SMTP session instead of bouncing later",
		Refs:   []finding.Ref{finding.RFC(5321, "6.2")},
	}
	ruleBounceStorm = &finding.Rule{
		ID: "queue.bounce-storm", Severity: finding.Warning, Owner: finding.OwnerSelf,
		Title: "bounces without end to one address", Says: "{{.N}} of {{.Bounces}} {{plural .Bounces \"bounce\" \"bounces\"}} that cannot be delivered {{plural .N \"goes\" \"go\"}} to {{.To}}",
		Why:    "a mailing fails and its sender cannot be told, or someone sends with this address as sender",
		Repair: "see what that address sent; if it was not one of your users, refuse what caused the bounces during the SMTP session, then remove them",
	}
	ruleOneSender = &finding.Rule{
		ID: "queue.one-sender", Severity: finding.Warning, Owner: finding.OwnerSelf,
		Title: "one sender fills the queue", Says: "{{.Sender}} has {{.N}} of {{.All}} {{plural .All \"message\" \"messages\"}} in the queue",
		Why:    "a single account that fills the queue is a newsletter without limits or an account in foreign hands",
		Repair: "ask the sender; lock the account if it was not them; then hold the messages (first command) or remove them (second)",
	}
	ruleStrange = &finding.Rule{
		ID: "queue.strange-lines", Severity: finding.Note, Owner: finding.OwnerNobody,
		Title: "lines that belong to no message", Says: "{{.N}} {{plural .N \"line\" \"lines\"}} of the listing {{plural .N \"was\" \"were\"}} not understood", Why: "messages in those lines are missing here",
	}
)

// The limits of judge.
const (
	stuckShare, stuckMin         = 0.2, 20
	growingMin                   = 50
	backscatterShare, backMin    = 0.5, 20
	stormShare                   = 0.5 // of the bounces, to one address
	oneSenderShare, oneSenderMin = 0.5, 50
)

// Survey judges a queue and lays it out. subject names the listing.
func Survey(env *check.Env, subject finding.Subject, f *Facts, top int) *finding.Report {
	fs := judge(subject, f)
	r := check.NewReport(env, "queue", subject, env.Now(), fs, sections(f, top), f)
	r.Headline = headline(r, f)
	return r
}

func headline(r *finding.Report, f *Facts) finding.Headline {
	if f.Messages == 0 {
		return finding.Headline{State: finding.StateOK, Says: finding.S("The queue is empty.", nil)}
	}
	h := r.Headline
	args := finding.Args{"N": f.Messages, "Size": finding.Size(f.Bytes), "Age": f.At.Sub(f.Oldest[0].At), "Domains": len(f.Domains)}
	if len(f.Causes) > 0 {
		c := f.Causes[0]
		args["Cause"], args["Share"] = c.name.Say(), fmt.Sprintf("%.0f", 100*float64(c.Count)/float64(max(f.Recipients, 1)))
		h.Says = finding.S("{{.N}} {{plural .N \"message\" \"messages\"}} ({{.Size}}) {{plural .N \"waits\" \"wait\"}} for {{.Domains}} {{plural .Domains \"domain\" \"domains\"}}, the oldest for {{.Age}}; {{.Share}} % because of: {{.Cause}}.", args)
		h.Owner = c.Owner
	} else {
		h.Says = finding.S("{{.N}} {{plural .N \"message\" \"messages\"}} ({{.Size}}) {{plural .N \"waits\" \"wait\"}} for {{.Domains}} {{plural .Domains \"domain\" \"domains\"}}, the oldest for {{.Age}}.", args)
	}
	return h
}

// judge says what the facts mean. It is pure.
func judge(s finding.Subject, f *Facts) []finding.Finding {
	if f.Messages == 0 {
		return []finding.Finding{ruleEmpty.Passed(s, nil)}
	}
	var out []finding.Finding
	for i := len(f.Expiring) - 1; i >= 0; i-- { // the widest span first: it holds the others
		if e := f.Expiring[i]; e.Within <= 6 && e.Count > 0 {
			out = append(out, ruleExpiring.Failed(s, finding.Args{"N": e.Count, "Within": time.Duration(e.Within * float64(time.Hour))}).Mend(retry(f, "")...))
			break
		}
	}
	if f.Held > 0 {
		out = append(out, ruleHeld.Failed(s, finding.Args{"N": f.Held}).Mend(release(f)...))
	}
	for _, d := range f.Domains {
		if d.Total >= stuckMin && float64(d.Total) >= stuckShare*float64(f.Messages) && d.Reason != "" {
			out = append(out, ruleStuck.Failed(finding.Domain(d.Name), finding.Args{"Domain": d.Name, "N": d.Total, "All": f.Messages, "Age": d.Oldest, "Reason": d.Reason}).
				With(finding.Evidence{Source: "queue", Place: d.Name, At: f.At, Raw: d.Reason}).
				Mend(actions(f, d.Name)...).Prove(finding.Cmd("deliver", "postmaster@"+d.Name)))
		}
	}
	switch {
	case f.Growth == nil:
	case f.Growth.Messages >= growingMin:
		out = append(out, ruleGrowing.Failed(s, finding.Args{"N": f.Growth.Messages, "Since": f.Growth.Since, "PerHour": fmt.Sprintf("%+.0f", f.Growth.PerHour)}))
	default:
		out = append(out, ruleGrowing.Passed(s, nil))
	}
	if b := f.BouncesTo; b != nil && b.Count >= backMin && float64(b.Count) >= stormShare*float64(f.Bounces) {
		out = append(out, ruleBounceStorm.Failed(finding.Subject{Kind: finding.KindAddress, Name: b.Address}, finding.Args{"N": b.Count, "Bounces": f.Bounces, "To": b.Address}).
			Mend(removeBounces(f, b.Address)...).Prove(finding.Cmd("trace", b.Address)))
	} else if f.Bounces >= backMin && float64(f.Bounces) >= backscatterShare*float64(f.Messages) {
		out = append(out, ruleBackscatter.Failed(s, finding.Args{"N": f.Bounces, "All": f.Messages, "Domains": len(f.Domains)}).Mend(remove(f, "<>")...))
	}
	for _, x := range f.Senders {
		if x.Address != "<>" && x.Count >= oneSenderMin && float64(x.Count) >= oneSenderShare*float64(f.Messages) {
			out = append(out, ruleOneSender.Failed(finding.Subject{Kind: finding.KindAddress, Name: x.Address},
				finding.Args{"Sender": x.Address, "N": x.Count, "All": f.Messages}).Mend(append(holdSender(f, x.Address), remove(f, x.Address)...)...).Prove(finding.Cmd("trace", x.Address)))
		}
	}
	if f.Strange > 0 {
		out = append(out, ruleStrange.Failed(s, finding.Args{"N": f.Strange}))
	}
	return out
}

// shell quotes a word for the printed commands.
func shell(w string) string { return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'" }

func run(cmd string) finding.Step { return finding.Step{Kind: finding.Run, Target: "shell", New: cmd} }

// actions are the commands that retry, hold or remove the messages for a domain. Each first shows what it would touch.
func actions(f *Facts, domain string) []finding.Step {
	return append(append(retry(f, domain), hold(f, domain)...), removeDomain(f, domain)...)
}

const jqDomain = `postqueue -j | jq -r --arg d %s 'select(any(.recipients[]; .address | ascii_downcase | endswith("@" + $d))) | .queue_id'`

func postfix(f *Facts) bool { return f.Format == queue.PostfixJSON || f.Format == queue.PostfixText }

func exim(f *Facts) bool { return f.Format == queue.EximText || f.Format == queue.EximSpool }

func retry(f *Facts, domain string) []finding.Step {
	switch {
	case postfix(f) && domain == "":
		return []finding.Step{run("postqueue -f")}
	case postfix(f):
		return []finding.Step{run(fmt.Sprintf(jqDomain, shell(domain)) + " | xargs -n 1 postqueue -i")}
	case exim(f) && domain == "":
		return []finding.Step{run("exim -qff")}
	case exim(f):
		return []finding.Step{run("exim -Rff " + shell("@"+domain))}
	case domain == "":
		return []finding.Step{run("sendmail -q -v")}
	}
	return []finding.Step{run("sendmail -qR" + shell("@"+domain) + " -v")}
}

// release is the command that lets go all that is on hold.
func release(f *Facts) []finding.Step {
	switch {
	case postfix(f):
		return []finding.Step{run("postsuper -H ALL")}
	case exim(f):
		return []finding.Step{run("exiqgrep -z -i | xargs exim -Mt")}
	}
	return nil
}

func hold(f *Facts, domain string) []finding.Step {
	switch {
	case postfix(f):
		return []finding.Step{run(fmt.Sprintf(jqDomain, shell(domain)) + " | postsuper -h -")}
	case exim(f):
		return []finding.Step{run(eximTo(domain) + " | xargs exim -Mf")}
	}
	return []finding.Step{run("sendmail -qR" + shell("@"+domain) + " -Q" + shell("held by the administrator"))}
}

func removeDomain(f *Facts, domain string) []finding.Step {
	switch {
	case postfix(f):
		return []finding.Step{run(fmt.Sprintf(jqDomain, shell(domain)) + " | postsuper -d -")}
	case exim(f):
		return []finding.Step{run(eximTo(domain) + " | xargs exim -Mrm")}
	}
	return nil
}

// remove are the commands that remove the messages of a sender.
func remove(f *Facts, sender string) []finding.Step {
	switch {
	case postfix(f):
		return []finding.Step{run(bySender(sender) + " | postsuper -d -")}
	case exim(f):
		return []finding.Step{run(eximFrom(sender) + " | xargs exim -Mrm")}
	}
	return nil
}

func holdSender(f *Facts, sender string) []finding.Step {
	switch {
	case postfix(f):
		return []finding.Step{run(bySender(sender) + " | postsuper -h -")}
	case exim(f):
		return []finding.Step{run(eximFrom(sender) + " | xargs exim -Mf")}
	}
	return []finding.Step{run("sendmail -qS" + shell(sender) + " -Q" + shell("held by the administrator"))}
}

// removeBounces are the commands that remove the bounces to an address.
func removeBounces(f *Facts, to string) []finding.Step {
	switch {
	case postfix(f):
		return []finding.Step{run("postqueue -j | jq -r --arg t " + shell(to) + ` 'select((.sender == "" or .sender == "MAILER-DAEMON") and any(.recipients[]; .address | ascii_downcase == $t)) | .queue_id' | postsuper -d -`)}
	case exim(f):
		return []finding.Step{run(eximFrom("<>") + " -r " + shell("^"+regexp.QuoteMeta(to)+"$") + " | xargs exim -Mrm")}
	}
	return nil
}

// eximTo and eximFrom select by regular expressions; a sender stands in angle brackets there.
func eximTo(domain string) string {
	return "exiqgrep -i -r " + shell("@"+regexp.QuoteMeta(domain)+"$")
}

func eximFrom(sender string) string {
	return "exiqgrep -i -f " + shell("^<"+regexp.QuoteMeta(strings.Trim(sender, "<>"))+">$")
}

func bySender(sender string) string {
	if sender == "<>" {
		return `postqueue -j | jq -r 'select(.sender == "" or .sender == "MAILER-DAEMON") | .queue_id'`
	}
	return "postqueue -j | jq -r --arg s " + shell(sender) + " 'select(.sender == $s) | .queue_id'"
}

func sections(f *Facts, top int) []finding.Section {
	if f.Messages == 0 {
		return nil
	}
	return []finding.Section{ageSection(f, top), causeSection(f, top), expirySection(f), oldSection(f)}
}

// ageSection is the table of qshape: destinations by age.
func ageSection(f *Facts, top int) finding.Section {
	sec := finding.Section{Title: finding.S("Waiting by destination and age (minutes)", nil), Columns: []finding.Sentence{finding.S("domain", nil), finding.S("total", nil)}}
	for _, a := range Ages {
		sec.Columns = append(sec.Columns, finding.Raw("<"+strconv.Itoa(a)))
	}
	sec.Columns = append(sec.Columns, finding.Raw(strconv.Itoa(Ages[len(Ages)-1])+"+"))
	all := Domain{Ages: make([]int64, len(Ages)+1)}
	for _, d := range f.Domains {
		all.Total += d.Total
		for i, n := range d.Ages {
			all.Ages[i] += n
		}
	}
	row := func(name finding.Sentence, d Domain) {
		cells := []finding.Sentence{name, finding.Raw(strconv.FormatInt(d.Total, 10))}
		for _, n := range d.Ages {
			cells = append(cells, finding.Raw(strconv.FormatInt(n, 10)))
		}
		sec.Rows = append(sec.Rows, finding.Cells(cells...))
	}
	row(finding.S("all", nil), all)
	for _, d := range f.Domains[:min(top, len(f.Domains))] {
		row(finding.Raw(d.Name), d)
	}
	return sec
}

func causeSection(f *Facts, top int) finding.Section {
	sec := finding.Section{Title: finding.S("Why they wait", nil), Columns: []finding.Sentence{
		finding.S("recipients", nil), finding.S("cause", nil), finding.S("domains", nil), finding.S("example", nil)}}
	for _, c := range f.Causes[:min(top, len(f.Causes))] {
		v := finding.VerdictWarning
		if c.Permanent {
			v = finding.VerdictError
		}
		example := []rune(knowledge.SaidIn(c.Example))
		sec.Rows = append(sec.Rows, finding.Marked(v, finding.Raw(strconv.FormatInt(c.Count, 10)), c.name.Say(), finding.Raw(strings.Join(c.Domains[:min(2, len(c.Domains))], " ")), finding.Raw(string(example[:min(len(example), 90)]))))
	}
	return sec
}

func expirySection(f *Facts) finding.Section {
	sec := finding.Section{Title: finding.S("Forecast", nil)}
	for _, e := range f.Expiring {
		sec.Rows = append(sec.Rows, finding.Cells(finding.S("expire within {{.Within}}", finding.Args{"Within": time.Duration(e.Within * float64(time.Hour))}), finding.Raw(strconv.FormatInt(e.Count, 10))))
	}
	if g := f.Growth; g != nil {
		sec.Rows = append(sec.Rows, finding.Cells(finding.S("since {{.At}}", finding.Args{"At": g.Since}), finding.Raw(fmt.Sprintf("%+d (%+.0f/h)", g.Messages, g.PerHour))))
		if g.PerHour < 0 {
			left := time.Duration(float64(f.Messages) / -g.PerHour * float64(time.Hour))
			sec.Rows = append(sec.Rows, finding.Cells(finding.S("empty in about", nil), finding.S("{{.Left}} at this rate", finding.Args{"Left": left})))
		}
	}
	return sec
}

func oldSection(f *Facts) finding.Section {
	sec := finding.Section{Title: finding.S("Oldest", nil), Columns: []finding.Sentence{
		finding.S("queue id", nil), finding.S("age", nil), finding.S("from", nil), finding.S("to", nil)}}
	for _, o := range f.Oldest {
		sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(o.ID), finding.Sentence{Msg: durationMsg, Args: finding.Args{"D": f.At.Sub(o.At)}}, finding.Raw("<"+o.Sender+">"), finding.Raw(o.To)))
	}
	return sec
}

// durationMsg is a span and nothing else: the same in every language but for its unit.
const durationMsg finding.Msg = "{{.D}}"
