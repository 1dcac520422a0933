// Package spamassassin reads the lines of SpamAssassin's spamd.
//
// Promise: spamd's own words in front decide; the message-id, which the sender chooses, is read last and only fills a
// field. It judges nothing.
package spamassassin

import (
	"bytes"
	"strconv"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the spamd dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.SpamAssassin }

// Mine tells spamd.
func (Dialect) Mine(program []byte) bool {
	return string(program) == "spamd" || string(program) == "spampd"
}

var (
	name = []byte("spamassassin")
	spam = []byte("spam")
	ham  = []byte("ham")
)

// Parse reads one line.
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	b := bytes.TrimPrefix(e.Msg, []byte("spamd: "))
	e.Filter, e.Text = name, b
	switch {
	case logs.Has(b, "result: "):
		result(e, b[8:])
	case logs.Has(b, "clean message ("), logs.Has(b, "identified spam ("):
		i := bytes.IndexByte(b, '(')
		e.Kind, e.Verdict = event.Filter, ham
		if b[0] == 'i' {
			e.Verdict = spam
		}
		if j := bytes.IndexByte(b[i:], '/'); j > 0 {
			e.Score, _ = strconv.ParseFloat(string(b[i+1:i+j]), 64)
		}
		if _, u, ok := logs.Cut(b[i:], " for "); ok {
			e.User, _, _ = logs.Cut(u, ":")
		}
	case logs.Has(b, "processing message "), logs.Has(b, "checking message "):
		e.Kind = event.Filter
		_, id, _ := logs.Cut(b, " message ")
		if a, _, ok := logs.Angle(id); ok {
			e.MessageID = a
		}
	default:
		e.Kind = event.Stats
		for _, w := range [...]string{"error", "warn", "failed", "timed out"} {
			if bytes.Contains(b, []byte(w)) {
				e.Kind, e.Level = event.Warning, event.Warn
			}
		}
	}
	sink.Event(e)
	return logs.Known
}

// result reads "Y 15 - TEST1,TEST2 scantime=0.5,size=1234,user=u,…,mid=<x>,bayes=0.1,autolearn=no".
func result(e *event.Event, b []byte) {
	e.Kind, e.Verdict = event.Filter, ham
	if len(b) > 0 && b[0] == 'Y' {
		e.Verdict = spam
	}
	b = bytes.TrimLeft(b, "Y. ")
	if i := bytes.IndexByte(b, ' '); i > 0 {
		e.Score, _ = strconv.ParseFloat(string(b[:i]), 64)
		b = bytes.TrimPrefix(b[i+1:], []byte("- "))
	}
	i := bytes.IndexByte(b, ' ')
	if i < 0 {
		return
	}
	e.Text, b = b[:i], b[i+1:]
	for len(b) > 0 {
		key, v, rest, ok := logs.Pair(b, ",")
		if !ok {
			return
		}
		switch string(key) {
		case "mid":
			e.MessageID = v
		case "size":
			e.Size, _ = logs.Number(v)
		case "user":
			e.User = v
		}
		b = rest
	}
}
