package journey

import (
	"strings"
	"time"

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

// program is a program without what all have in front, and without the user and the session that Dovecot puts behind.
func program(p string) string {
	p, _, _ = strings.Cut(strings.TrimPrefix(p, "postfix/"), "(")
	return p
}

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
		if l := j.Steps[i].Line; l != last && l != "" {
			b.WriteString(l)
			b.WriteByte('\n')
			last = l
		}
	}
	return finding.Section{Title: finding.S("log lines", nil), Raw: b.String(), Folded: true}
}
