// Package rspamd reads the lines of rspamd, from syslog and from its own file: the verdict on each message with queue
// id, message-id, score and symbols.
//
// Promise: a message line is known by the task's fixed words before the message-id, and its fields are read left to
// right; it judges nothing.
package rspamd

import (
	"bytes"
	"strconv"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the rspamd dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.Rspamd }

// Mine tells rspamd's program names.
func (Dialect) Mine(program []byte) bool { return logs.Has(program, "rspamd") }

var name = []byte("rspamd")

// Parse reads one line.
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	b := e.Msg
	if len(b) > 0 && b[0] == '#' { // "#12(normal) <task>; …"
		if i := bytes.IndexByte(b, ' '); i > 0 {
			b = b[i+1:]
		}
	}
	if len(b) > 0 && b[0] == '(' { // syslog: "(normal) <task>; …"
		if i := bytes.Index(b, []byte(") ")); i > 0 {
			b = b[i+2:]
		}
	}
	e.Filter, e.Text = name, b
	if i := bytes.Index(b, []byte("rspamd_task_write_log: ")); i >= 0 && i < 200 {
		return written(e, b[i+len("rspamd_task_write_log: "):], sink)
	}
	if i := bytes.Index(b, []byte("; ")); len(b) > 0 && b[0] == '<' && i > 0 || logs.Has(b, "; ") {
		return logs.Known // the inner workings of a task
	}
	e.Kind = event.Stats
	for _, w := range [...]string{"cannot ", "error", "failed"} {
		if bytes.Contains(b[:min(len(b), 200)], []byte(w)) {
			e.Kind, e.Level = event.Warning, event.Warn
		}
	}
	sink.Event(e)
	return logs.Known
}

// written reads "id: <mid>, qid: <QID>, ip: 192.0.2.1, user: u, from: <a>, (default: F (no action): [3.2/15.00] [SYM…]),
// len: 1, time: …, rcpts: <b>,<c>, …".
func written(e *event.Event, b []byte, sink event.Sink) logs.Outcome {
	e.Kind = event.Filter
	for len(b) > 0 {
		if r, ok := logs.After(b, "("); ok {
			if b, ok = verdict(e, r); !ok {
				return logs.Unparsed
			}
			continue
		}
		key, v, ok := logs.Cut(b, ": ")
		if !ok || len(key) > 24 {
			break
		}
		end := bytes.Index(v, []byte(", "))
		if a, rest, angle := logs.Angle(v); angle && string(key) != "rcpts" && string(key) != "mime_rcpts" {
			field(e, key, a)
			b = bytes.TrimPrefix(rest, []byte(", "))
			continue
		}
		if end < 0 {
			end = len(v)
		}
		field(e, key, v[:end])
		b = bytes.TrimPrefix(v[end:], []byte(", "))
	}
	sink.Event(e)
	return logs.Known
}

func field(e *event.Event, key, v []byte) {
	switch string(key) {
	case "id":
		if string(v) != "undef" { // a message without one
			e.MessageID = v
		}
	case "qid":
		e.QueueID = v
	case "ip":
		e.ClientIP = v
	case "user":
		e.User = v
	case "from":
		e.From = v
	case "len":
		e.Size, _ = logs.Number(v)
	case "rcpts", "rcpt":
		e.To = logs.FirstAngle(v)
	case "settings_id", "forced":
		e.Method = v
	}
}

// verdict reads "default: F (no action): [3.20/15.00] [SYM1(0.1){…},…]), ".
func verdict(e *event.Event, b []byte) (rest []byte, ok bool) {
	i := bytes.IndexByte(b, '(')
	if i < 0 {
		return nil, false
	}
	j := bytes.Index(b[i:], []byte("): ["))
	if j < 0 {
		return nil, false
	}
	e.Verdict, b = b[i+1:i+j], b[i+j+4:]
	if k := bytes.IndexByte(b, '/'); k > 0 && k < 16 {
		e.Score, _ = strconv.ParseFloat(string(b[:k]), 64)
	}
	end := bytes.Index(b, []byte("]), "))
	if end < 0 {
		if end = bytes.Index(b, []byte("])")); end < 0 {
			return nil, false
		}
	}
	e.Text = b[:end]
	if k := bytes.Index(e.Text, []byte("] [")); k >= 0 {
		e.Text = e.Text[k+3:]
	} else {
		e.Text = nil // no symbols
	}
	return bytes.TrimPrefix(b[end+2:], []byte(", ")), true
}
