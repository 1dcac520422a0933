package journey

import (
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/trace"
)

// about is the message in a few lines.
func about(j *trace.Journey) finding.Section {
	s := finding.Section{Title: finding.S("message", nil)}
	add := func(name, v finding.Sentence) { s.Rows = append(s.Rows, finding.Cells(name, v)) }
	if j.From != nil {
		from := finding.Raw(*j.From)
		if *j.From == "" {
			from = finding.S("<> (a bounce or another automatic message)", nil)
		}
		add(finding.S("from", nil), from)
	}
	if to := recipientNames(j); to != "" {
		add(finding.S("to", nil), finding.Raw(to))
	}
	if j.Subject != "" {
		add(finding.S("subject", nil), finding.Raw(j.Subject))
	}
	if len(j.MessageIDs) > 0 {
		add(finding.S("message-id", nil), finding.Raw(strings.Join(j.MessageIDs, "  ")))
	}
	if len(j.QueueIDs) > 0 {
		add(finding.S("queue ids", nil), finding.Raw(strings.Join(j.QueueIDs, " → ")))
	}
	if j.Size > 0 {
		add(finding.S("size", nil), finding.S("{{size .N}}", finding.Args{"N": j.Size}))
	}
	if c := j.Client; c != nil {
		add(finding.S("handed in by", nil), clientSentence(c))
	}
	return s
}

func recipientNames(j *trace.Journey) string {
	var names []string
	for i := range j.Recipients {
		if len(names) == 5 {
			return strings.Join(names, ", ") + ", …"
		}
		names = append(names, j.Recipients[i].To)
	}
	if names == nil {
		for i := range j.Rejects {
			if r := j.Rejects[i].To; r != "" && len(names) < 5 {
				names = append(names, r)
			}
		}
	}
	return strings.Join(names, ", ")
}

func clientSentence(c *trace.Client) finding.Sentence {
	args := finding.Args{"Who": client(c), "User": c.User, "TLS": c.TLS}
	switch {
	case c.User != "" && c.TLS != "" && c.IP != "":
		return finding.S("{{.Who}}, logged in as {{.User}}, {{.TLS}}", args)
	case c.User != "" && c.IP != "":
		return finding.S("{{.Who}}, logged in as {{.User}}", args)
	case c.TLS != "":
		return finding.S("{{.Who}}, {{.TLS}}", args)
	}
	return finding.Raw(client(c))
}

// timeline is the story, a row for each line that tells something.
func timeline(j *trace.Journey) finding.Section {
	s := finding.Section{Title: finding.S("timeline", nil),
		Columns: []finding.Sentence{finding.S("when", nil), finding.S("host", nil), finding.S("program", nil), finding.S("queue id", nil), finding.S("what happened", nil)}}
	day := ""
	for _, p := range passages(j.Steps) {
		st := p.step
		if d := st.At.Format("2006-01-02 -0700"); !st.At.IsZero() && d != day {
			day = d
			s.Rows = append(s.Rows, finding.Cells(finding.Raw(d)))
		}
		row := finding.Cells(finding.Raw(stamp(st.At)), finding.Raw(st.Host), finding.Raw(program(st.Program)), finding.Raw(st.QueueID), p.words())
		if v, ok := verdict(st); ok {
			row.Mark = &v
		}
		s.Rows = append(s.Rows, row)
	}
	return s
}

// quiet tells lines that add nothing to the story: they stand among the raw lines.
func quiet(st *trace.Step) bool {
	switch st.EventKind() {
	case event.Filter, event.Policy:
		return st.Verdict == "" && st.Action == ""
	case event.Stats:
		return true
	}
	return false
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if t.Nanosecond() != 0 {
		return t.Format("15:04:05.000")
	}
	return t.Format("15:04:05")
}

func program(p string) string { return strings.TrimPrefix(p, "postfix/") }

func verdict(st *trace.Step) (finding.Verdict, bool) {
	switch st.EventKind() {
	case event.Reject:
		return finding.VerdictWarning, true
	case event.Delivery:
		switch st.Fate() {
		case event.Sent, event.Relayed, event.Deliverable:
			return finding.VerdictPass, true
		case event.Deferred:
			return finding.VerdictWarning, true
		case event.Bounced, event.Expired, event.Failed, event.Undeliverable:
			return finding.VerdictError, true
		}
	}
	return 0, false
}

// words tells a step in words; to is for whom it is told.
func words(st *trace.Step, to finding.Sentence) finding.Sentence {
	args := finding.Args{"To": to, "Text": st.Text, "Where": where(st.Relay, st.RelayIP+st.Socket, st.Port), "IP": st.ClientIP, "Name": st.Client, "Delay": st.Delay,
		"Ref": st.Ref, "User": st.User, "TLS": st.TLS, "Filter": st.Filter, "Verdict": st.Verdict, "Folder": st.Folder, "Size": st.Size, "N": st.NRcpt, "Stage": st.Stage,
		"Message": st.Message, "Who": client(&trace.Client{Name: st.Client, IP: st.ClientIP, User: st.User})}
	if st.From != nil {
		args["From"] = "<" + *st.From + ">"
	}
	switch st.EventKind() {
	case event.Connect:
		return finding.S("{{.Who}} connected", args)
	case event.Disconnect:
		return finding.S("{{.Who}} left", args)
	case event.Lost:
		return finding.S("{{.Who}} broke off: {{.Text}}", args)
	case event.TLS:
		return finding.S("TLS: {{.TLS}}", args)
	case event.Received:
		return receivedWords(st, args)
	case event.MessageID:
		return finding.S("message-id {{.Message}}", args)
	case event.Active:
		return finding.S("ready to go: from {{.From}}, {{size .Size}}, {{.N}} {{plural .N \"recipient\" \"recipients\"}}", args)
	case event.Delivery:
		return deliveryWords(st, args)
	case event.Removed:
		return finding.S("done, left the queue", args)
	case event.Notification:
		return noticeWords(st, args)
	case event.Reject:
		return finding.S("refused at {{.Stage}}: {{.Text}}", args)
	case event.Hold:
		return finding.S("put on hold: {{.Text}}", args)
	case event.Filter:
		return filterWords(st, args)
	case event.Policy:
		if st.Filter != "" {
			return policyWords(st, args)
		}
	case event.Sieve:
		return sieveWords(st, args)
	case event.Related:
		if st.Ref == "" && st.To != "" {
			return finding.S("for {{.To}}", args)
		}
	case event.ConnectError:
		return finding.S("could not connect to {{.Where}}: {{.Text}}", args)
	}
	if st.Text != "" {
		return finding.Raw(st.Text)
	}
	return finding.Raw(st.Line)
}

// policyWords tells what a policy server answered: greylisting, SPF, limits.
func policyWords(st *trace.Step, args finding.Args) finding.Sentence {
	args["Verdict"] = check.FilterVerdict(st.Verdict)
	if st.Text != "" && st.Text != st.Verdict && len(st.Text) < 80 && !strings.Contains(st.Text, "; ") {
		return finding.S("{{.Filter}}: {{.Verdict}} ({{.Text}})", args)
	}
	return finding.S("{{.Filter}}: {{.Verdict}}", args)
}

func filterWords(st *trace.Step, args finding.Args) finding.Sentence {
	word := st.Verdict
	if word == "" {
		word = st.Action
	}
	args["Verdict"] = check.FilterVerdict(word)
	if st.Score != 0 {
		args["Score"] = strconv.FormatFloat(st.Score, 'f', -1, 64)
		return finding.S("{{.Filter}}: {{.Verdict}}, score {{.Score}}", args)
	}
	return finding.S("{{.Filter}}: {{.Verdict}}", args)
}

func receivedWords(st *trace.Step, args finding.Args) finding.Sentence {
	switch {
	case st.RefIs == event.Parent.String() && st.Ref != "":
		return finding.S("made because of {{.Ref}}", args)
	case st.User != "" && st.ClientIP != "":
		return finding.S("taken in from {{.Who}}, logged in as {{.User}}", args)
	case st.ClientIP == "":
		return finding.S("taken in from a local program, user {{.User}}", args)
	}
	return finding.S("taken in from {{.Who}}", args)
}

// addressee is the recipient, with the address it was before aliases and forwards.
func addressee(st *trace.Step) string {
	if st.OrigTo != "" && !strings.EqualFold(st.OrigTo, st.To) {
		return st.OrigTo + " → " + st.To
	}
	return st.To
}

func deliveryWords(st *trace.Step, args finding.Args) finding.Sentence {
	args["Reached"] = reached(st.Relay, st.RelayIP+st.Socket)
	switch st.Fate() {
	case event.Sent, event.Relayed:
		if st.Delays != nil && st.Delay > time.Second && st.Delays.Before+st.Delays.Queue > 0 {
			args["Queue"], args["Before"], args["Connect"], args["Transfer"] = st.Delays.Queue, st.Delays.Before, st.Delays.Connect, st.Delays.Transfer
			return finding.S("{{.To}} sent to {{.Where}} after {{.Delay}} (before the queue {{.Before}}, waiting {{.Queue}}, connecting {{.Connect}}, sending {{.Transfer}}): {{.Text}}", args)
		}
		return finding.S("{{.To}} sent to {{.Where}}: {{.Text}}", args)
	case event.Deferred:
		return finding.S("{{.To}} put off{{if .Reached}} by {{.Where}}{{end}}: {{.Text}}", args)
	case event.Bounced, event.Failed:
		return finding.S("{{.To}} {{if .Reached}}refused by {{.Where}}{{else}}failed{{end}}: {{.Text}}", args)
	case event.Expired:
		return finding.S("{{.To}} waited too long and was given up: {{.Text}}", args)
	case event.Discarded:
		return finding.S("{{.To}} thrown away: {{.Text}}", args)
	}
	return finding.S("{{.To}} at {{.Where}}: {{.Text}}", args)
}

func noticeWords(st *trace.Step, args finding.Args) finding.Sentence {
	switch st.RefIs {
	case "delay":
		return finding.S("a delay warning goes to the sender as {{.Ref}}", args)
	case "success":
		return finding.S("a success report goes to the sender as {{.Ref}}", args)
	}
	return finding.S("a bounce goes to the sender as {{.Ref}}", args)
}

func sieveWords(st *trace.Step, args finding.Args) finding.Sentence {
	switch {
	case st.Action == "discarded":
		return finding.S("{{.User}}: thrown away by a filter rule", args)
	case st.Action == "forwarded":
		return finding.S("{{.User}}: forwarded by a filter rule: {{.Text}}", args)
	case st.Folder != "":
		return finding.S("{{.User}}: saved in folder {{.Folder}}", args)
	}
	return finding.S("{{.User}}: {{.Text}}", args)
}

// recipients lists the fates where there is more than one.
func recipients(j *trace.Journey) finding.Section {
	s := finding.Section{Title: finding.S("recipients", nil),
		Columns: []finding.Sentence{finding.S("address", nil), finding.S("fate", nil), finding.S("attempts", nil), finding.S("last host", nil), finding.S("answer", nil)}}
	for i := range j.Recipients {
		r := &j.Recipients[i]
		row := finding.Cells(finding.Raw(r.To), fate(r.Fate()), finding.S("{{.N}}", finding.Args{"N": r.Attempts}), lastHost(r), finding.Raw(r.Text))
		if v, ok := fateVerdict(r.Fate()); ok {
			row.Mark = &v
		}
		s.Rows = append(s.Rows, row)
	}
	return s
}

// lastHost is the host of the last attempt; nothing where none was reached.
func lastHost(r *trace.Recipient) finding.Sentence {
	if f := r.Fate(); !reached(r.Relay, r.RelayIP+r.Socket) && f != event.Sent && f != event.Relayed {
		return finding.Raw("–")
	}
	return place(r)
}

func fateVerdict(f event.Status) (finding.Verdict, bool) {
	return verdictOf[f], f != event.NoStatus && f != event.Filtered && f != event.Expanded
}

var verdictOf = map[event.Status]finding.Verdict{event.Sent: finding.VerdictPass, event.Relayed: finding.VerdictPass, event.Deliverable: finding.VerdictPass, event.Deferred: finding.VerdictWarning,
	event.Bounced: finding.VerdictError, event.Expired: finding.VerdictError, event.Failed: finding.VerdictError, event.Undeliverable: finding.VerdictError, event.Discarded: finding.VerdictWarning,
	event.Quarantined: finding.VerdictWarning}

func fate(f event.Status) finding.Sentence {
	switch f {
	case event.Sent, event.Relayed, event.Deliverable:
		return finding.S("delivered", nil)
	case event.Deferred:
		return finding.S("waiting", nil)
	case event.Bounced, event.Failed, event.Undeliverable:
		return finding.S("refused", nil)
	case event.Expired:
		return finding.S("given up", nil)
	case event.Discarded:
		return finding.S("thrown away", nil)
	case event.Quarantined:
		return finding.S("quarantined", nil)
	}
	return finding.S("passed on", nil)
}

// raw is the very lines, folded.
func raw(j *trace.Journey) finding.Section {
	var b strings.Builder
	last := ""
	for i := range j.Steps {
		if l := j.Steps[i].Line; l != last {
			b.WriteString(l)
			b.WriteByte('\n')
			last = l
		}
	}
	return finding.Section{Title: finding.S("log lines", nil), Raw: b.String(), Folded: true}
}
