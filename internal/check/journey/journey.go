// Package journey says what became of a message that trace followed: the fate in one sentence, why, whose job it is,
// and the timeline.
//
// Promise: pure judgement over a trace.Journey and the table of replies; nothing is looked up. A failure is laid at
// somebody's door only as far as the reply table knows what the reply means.
package journey

import (
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/trace"
)

var (
	ruleFailed = &finding.Rule{ID: "trace.not-delivered", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title:  "A recipient did not get the message",
		Says:   "{{.To}} did not get the message: {{.Cause}}.",
		Why:    "The message came to its end without reaching this mailbox; nothing will be tried again.",
		Repair: "{{.Advice}}"}
	ruleWaiting = &finding.Rule{ID: "trace.deferred", Severity: finding.Note, Owner: finding.OwnerRecipient,
		Title:  "A recipient has not got the message yet",
		Says:   "{{.To}} has not got the message after {{.N}} {{plural .N \"attempt\" \"attempts\"}}: {{.Cause}}.",
		Why:    "The sending server keeps the message and tries again until it expires.",
		Repair: "{{.Advice}}"}
	ruleRejected = &finding.Rule{ID: "trace.rejected", Severity: finding.Note, Owner: finding.OwnerSender,
		Title:  "A message was refused at the door",
		Says:   "{{.Client}} was refused at {{.Stage}}: {{.Cause}}.",
		Why:    "The sending server was told so at once and has to tell its user.",
		Repair: "{{.Advice}}"}
)

// Rules are the rules this package may say.
var Rules = []*finding.Rule{ruleFailed, ruleWaiting, ruleRejected}

// Facts are the JSON of a trace, written down in docs/json.md.
type Facts struct {
	Query    string         `json:"query"`
	Journey  *trace.Journey `json:"journey"`
	Cause    string         `json:"cause,omitempty"` // id of the cause in the table of causes
	Coarse   string         `json:"cause_class,omitempty"`
	Owner    string         `json:"owner,omitempty"`
	Searched []string       `json:"searched,omitempty"`
}

// Report judges one journey.
func Report(j *trace.Journey, query string, know *knowledge.Base) *finding.Report {
	r := &finding.Report{Command: "trace", Target: subject(j), Started: j.Started}
	facts := &Facts{Query: query, Journey: j}
	w := judge(j, know)
	r.Headline = w.headline()
	if w.read != nil {
		facts.Cause, facts.Coarse, facts.Owner = w.read.Cause, w.read.Coarse, r.Headline.Owner.String()
	}
	r.Findings = w.findings
	r.Sections = append(r.Sections, about(j), timeline(j))
	if len(j.Recipients) > 1 {
		r.Sections = append(r.Sections, recipients(j))
	}
	r.Sections = append(r.Sections, raw(j))
	r.Facts = facts
	return r
}

func subject(j *trace.Journey) finding.Subject {
	name := ""
	switch {
	case len(j.MessageIDs) > 0:
		name = "<" + j.MessageIDs[0] + ">"
	case len(j.QueueIDs) > 0:
		name = j.QueueIDs[0]
	case j.Client != nil:
		name = client(j.Client)
	}
	return finding.Subject{Kind: finding.KindMessage, Name: name}
}

func client(c *trace.Client) string {
	switch {
	case c == nil:
		return ""
	case c.IP != "" && c.Name != "" && c.Name != "unknown":
		return c.Name + " [" + c.IP + "]"
	case c.IP != "":
		return c.IP
	}
	return c.User
}

// judgement holds what is concluded from a journey.
type judgement struct {
	j        *trace.Journey
	know     *knowledge.Base
	findings []finding.Finding
	worst    *trace.Recipient // the recipient the headline is about
	read     *knowledge.Reading
}

func judge(j *trace.Journey, know *knowledge.Base) *judgement {
	w := &judgement{j: j, know: know}
	causes := map[string]bool{}
	for i := range j.Recipients {
		r := &j.Recipients[i]
		var rule *finding.Rule
		switch r.Fate() {
		case event.Bounced, event.Expired, event.Failed, event.Undeliverable:
			rule = ruleFailed
		case event.Deferred:
			rule = ruleWaiting
		default:
			continue
		}
		read := w.reading(r.Text, r.DSN, r.Code, r.Relay, r.Stage)
		if w.worst == nil || rule == ruleFailed && w.worst.Fate() == event.Deferred {
			w.worst, w.read = r, &read
		}
		if key := rule.ID + read.Cause + r.Relay; len(w.findings) < 20 || !causes[key] {
			causes[key] = true
			f := rule.Failed(subject(j), finding.Args{"To": r.To, "N": r.Attempts, "Cause": causeName(&read), "Advice": said(read.Admin)})
			f = f.Saw(finding.Raw(r.Text), finding.Sentence{}).With(finding.Evidence{Source: "log", At: r.At, Raw: r.Line})
			f.Verify, f.Owner = next(&read, r.To, j), &read.Owner
			w.findings = append(w.findings, f)
		}
	}
	w.rejects()
	return w
}

// rejects says why our own server refused.
func (w *judgement) rejects() {
	seen := map[string]bool{}
	for i := range w.j.Rejects {
		x := &w.j.Rejects[i]
		read := w.reading(x.Text, x.DSN, x.Code, "", x.Stage)
		key := read.Cause + x.Stage
		if seen[key] {
			continue
		}
		seen[key] = true
		if w.read == nil {
			w.read = &read
		}
		if len(w.findings) < 20 {
			args := finding.Args{"Client": client(w.j.Client), "Stage": x.Stage, "Cause": causeName(&read), "Advice": said(read.Meaning)}
			f := ruleRejected.Failed(subject(w.j), args).Saw(finding.Raw(x.Text), finding.Sentence{}).With(finding.Evidence{Source: "log", At: x.At, Raw: x.Line})
			theirs := read.Owner.OtherSide()
			f.Owner = &theirs
			w.findings = append(w.findings, f)
		}
	}
}

func said(t knowledge.Text) finding.Sentence { return finding.Both(t.EN, t.ZH) }

// causeName is the cause as a short noun phrase.
func causeName(r *knowledge.Reading) finding.Sentence {
	if r.CauseName.EN == "" {
		return finding.S("a cause the reply does not tell", nil)
	}
	return said(r.CauseName)
}

func (w *judgement) reading(text, dsn string, code int, host, stage string) knowledge.Reading {
	ctx := knowledge.ReplyContext{Enhanced: dsn, Host: host, Command: command(stage)}
	if code != 0 {
		ctx.Code = itoa(code)
	}
	if _, after, ok := strings.Cut(text, " said: "); ok {
		text = after
	}
	if i := strings.LastIndex(text, " (in reply to "); i > 0 {
		text = text[:i]
	}
	return w.know.ReadReply(text, ctx)
}

func itoa(n int) string {
	return string([]byte{byte('0' + n/100%10), byte('0' + n/10%10), byte('0' + n%10)})
}

// command gives the reply table's word for a stage.
func command(stage string) string {
	s := strings.ToUpper(stage)
	for _, c := range []string{"EHLO", "HELO", "MAIL", "RCPT", "DATA", "AUTH", "STARTTLS", "QUIT"} {
		if strings.Contains(s, c) {
			if c == "HELO" {
				return "EHLO"
			}
			return c
		}
	}
	if strings.HasPrefix(s, "CONN") || strings.HasPrefix(s, "INITIAL") {
		return "CONN"
	}
	return ""
}

// next is the command that looks further into the cause.
func next(r *knowledge.Reading, to string, j *trace.Journey) finding.Command {
	_, domain, ok := strings.Cut(to, "@")
	if !ok {
		return nil
	}
	switch r.Next {
	case "deliver":
		return finding.Cmd("deliver", to)
	case "check":
		return finding.Cmd("check", domain)
	case "blocklist":
		if j.From != nil && strings.Contains(*j.From, "@") {
			_, from, _ := strings.Cut(*j.From, "@")
			return finding.Cmd("check", from)
		}
	}
	return finding.Cmd("deliver", to)
}

// headline is the fate in one sentence.
func (w *judgement) headline() finding.Headline {
	j := w.j
	h := finding.Headline{State: finding.StateOK, Owner: finding.OwnerNobody}
	args := finding.Args{"When": clock(j.Ended), "N": len(j.Recipients)}
	if len(j.Recipients) > 0 {
		last := lastSent(j)
		args["To"], args["Where"], args["When"], args["Delay"], args["Folder"] = last.To, place(last), clock(last.At), last.At.Sub(j.Started), last.Folder
		args["AtOnce"] = last.At.Sub(j.Started) < time.Millisecond // the log has whole seconds
	}
	if w.read != nil {
		args["Cause"] = causeName(w.read)
	}
	if r := w.worst; r != nil {
		args["Bad"], args["Tries"], args["BadWhere"], args["BadWhen"] = r.To, r.Attempts, place(r), clock(r.At)
		args["Reached"], args["Others"] = reached(r.Relay, r.RelayIP+r.Socket), unsent(j)-1
	}
	switch j.State {
	case trace.Delivered:
		h.Says = delivered(j, args)
	case trace.Waiting:
		h.State, h.Says = finding.StateWarning, finding.S("Not delivered yet: {{if .Reached}}{{.BadWhere}} put {{.Bad}} off{{else}}{{.Bad}} waits{{end}} ({{.Tries}} {{plural .Tries \"attempt\" \"attempts\"}}, the last at {{.BadWhen}}): {{.Cause}}.", args)
	case trace.BouncedSt:
		h.State, h.Says = finding.StateBroken, finding.S("Not delivered: {{.Bad}} failed{{if .Reached}} at {{.BadWhere}}{{end}} at {{.BadWhen}}: {{.Cause}}.", args)
		if len(j.Notices) > 0 && j.Notices[0].To != "" {
			args["Sender"] = j.Notices[0].To
			h.Says = finding.S("Not delivered: {{.Bad}} failed{{if .Reached}} at {{.BadWhere}}{{end}} at {{.BadWhen}}: {{.Cause}}. {{.Sender}} was told.", args)
		}
	case trace.Partly:
		args["Sent"] = sentTo(j)
		h.State, h.Says = finding.StateWarning, finding.S("Delivered to {{.Sent}} of {{.N}} {{plural .N \"recipient\" \"recipients\"}}.", args)
		if w.worst != nil {
			h.Says = finding.S("Delivered to {{.Sent}} of {{.N}} {{plural .N \"recipient\" \"recipients\"}}; {{.Bad}} failed{{if .Reached}} at {{.BadWhere}}{{end}}: {{.Cause}}{{if .Others}}; {{.Others}} more did not get it either{{end}}.", args)
		}
	case trace.RejectedS:
		args["Client"], args["Stage"] = client(j.Client), j.Rejects[0].Stage
		h.State, h.Says = finding.StateWarning, finding.S("Refused at our door: {{.Client}} was turned away at {{.Stage}}: {{.Cause}}.", args)
	case trace.HeldState:
		args["Text"] = j.Held
		h.State, h.Owner, h.Says = finding.StateWarning, finding.OwnerSelf, finding.S("On hold in our own queue: {{.Text}}.", args)
	case trace.DiscardSt:
		h.State, h.Says = finding.StateWarning, finding.S("Thrown away on purpose: {{.To}} got nothing and the sender was not told.", args)
	case trace.InQueue:
		h.State, h.Says = finding.StateUntested, finding.S("Accepted, and no delivery in these logs: it may still wait in the queue, or its lines are in another file.", args)
		if j.Removed {
			h.Says = finding.S("It left the queue, but no delivery is in these logs.", args)
		}
	default:
		h.State, h.Says = finding.StateUntested, loose(j.Steps)
	}
	if w.read != nil && j.State != trace.Delivered && j.State != trace.HeldState && j.State != trace.InQueue {
		if h.Owner = w.read.Owner; j.State == trace.RejectedS {
			h.Owner = h.Owner.OtherSide()
		}
		if w.worst != nil {
			h.Next = next(w.read, w.worst.To, j)
		}
	}
	return h
}

// loose says what lines tell that belong to no message: a login before a connection, and one that failed before all.
func loose(steps []trace.Step) finding.Sentence {
	said, rank := finding.S("These lines belong to no message.", nil), 0
	for i := range steps {
		s := &steps[i]
		args := finding.Args{"User": s.User, "Client": client(&trace.Client{Name: s.Client, IP: s.ClientIP, User: s.User})}
		switch s.Kind {
		case event.LoginFailed.String(), event.AuthFailed.String():
			if rank < 3 && s.User != "" {
				said, rank = finding.S("A login as {{.User}}{{if ne .Client .User}} from {{.Client}}{{end}} was refused.", args), 3
			} else if rank < 3 {
				said, rank = finding.S("A login{{if .Client}} from {{.Client}}{{end}} was refused.", args), 3
			}
		case event.Login.String(), event.Auth.String():
			if rank < 2 && s.User != "" {
				said, rank = finding.S("{{.User}} logged in{{if ne .Client .User}} from {{.Client}}{{end}}.", args), 2
			}
		case event.Connect.String(), event.Disconnect.String(), event.Lost.String(), event.TLS.String():
			if rank < 1 && args["Client"] != "" {
				said, rank = finding.S("A connection of {{.Client}} without a message.", args), 1
			}
		}
	}
	return said
}

func delivered(j *trace.Journey, args finding.Args) finding.Sentence {
	switch {
	case j.Started.IsZero() && len(j.Recipients) > 1:
		return finding.S("Delivered to all {{.N}} {{plural .N \"recipient\" \"recipients\"}}; the log has no times.", args)
	case j.Started.IsZero():
		return finding.S("Delivered to {{.To}}{{if .Folder}}, folder {{.Folder}}{{end}}: {{.Where}} accepted it; the log has no times.", args)
	case len(j.Recipients) > 1:
		return finding.S("Delivered to all {{.N}} {{plural .N \"recipient\" \"recipients\"}}, the last at {{.When}}, {{if .AtOnce}}at once{{else}}{{.Delay}} after it came in{{end}}.", args)
	case !reached(j.Recipients[0].Relay, j.Recipients[0].RelayIP+j.Recipients[0].Socket) && args["Folder"] == "":
		return finding.S("Delivered to {{.To}} at {{.When}}, {{if .AtOnce}}at once{{else}}{{.Delay}} after it came in{{end}}.", args)
	case args["Folder"] != "":
		return finding.S("Delivered to {{.To}}, folder {{.Folder}}, at {{.When}}, {{if .AtOnce}}at once{{else}}{{.Delay}} after it came in{{end}}.", args)
	}
	return finding.S("Delivered to {{.To}} at {{.When}}: {{.Where}} accepted it, {{if .AtOnce}}at once{{else}}{{.Delay}} after it came in{{end}}.", args)
}

func sentTo(j *trace.Journey) (n int) {
	for i := range j.Recipients {
		if f := j.Recipients[i].Fate(); f == event.Sent || f == event.Relayed {
			n++
		}
	}
	return n
}

// unsent counts the recipients whose mail was refused, given up or put off.
func unsent(j *trace.Journey) (n int) {
	for i := range j.Recipients {
		switch j.Recipients[i].Fate() {
		case event.Bounced, event.Failed, event.Expired, event.Undeliverable, event.Deferred:
			n++
		}
	}
	return n
}

func lastSent(j *trace.Journey) *trace.Recipient {
	last := &j.Recipients[0]
	for i := range j.Recipients {
		if r := &j.Recipients[i]; r.At.After(last.At) {
			last = r
		}
	}
	return last
}

func clock(t time.Time) finding.Sentence {
	if t.IsZero() {
		return finding.S("a time the log does not tell", nil)
	}
	return finding.Raw(t.Format("2006-01-02 15:04:05 -0700"))
}

// reached tells whether the log names a next host at all: Postfix says "none" where it found or reached no one.
func reached(relay, ip string) bool { return relay != "none" && relay+ip != "" }

// place names the next host with its address, or the local transport.
func place(r *trace.Recipient) finding.Sentence {
	return where(r.Relay, r.RelayIP+r.Socket, r.Port)
}

func where(relay, ip string, port uint16) finding.Sentence {
	switch {
	case !reached(relay, ip):
		return finding.S("our own server", nil)
	case ip == "" || ip == relay:
		return finding.Raw(relay)
	case strings.Contains(ip, "/"):
		return finding.Raw(relay + " (" + ip + ")")
	case relay == "":
		return finding.Raw("[" + ip + "]")
	}
	return finding.Raw(relay + " [" + ip + "]")
}
