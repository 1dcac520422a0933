// Package logstest helps the tests of log dialects: lines in, one short text per event out.
//
// Promise: it is imported by tests only.
package logstest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Case is a line with its prefix, and what its events should tell by Short, divided by " | ".
type Case [2]string

// Run parses each line and compares.
func Run(t *testing.T, d logs.Dialect, cases []Case) {
	t.Helper()
	for _, c := range cases {
		r := logs.NewReader(logs.Clock{Latest: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)}, []logs.Dialect{d})
		var got []string
		out := r.Line([]byte(c[0]), 0, 0, event.SinkFunc(func(e *event.Event) { got = append(got, Short(e)) }))
		if out == logs.Foreign || out == logs.Unparsed {
			got = append(got, fmt.Sprintf("outcome %d", out))
		}
		if s := strings.Join(got, " | "); s != c[1] {
			t.Errorf("%s\n got %s\nwant %s", c[0], s, c[1])
		}
	}
}

// NoAllocation wants a line to be read without an allocation.
func NoAllocation(t *testing.T, d logs.Dialect, line string) {
	t.Helper()
	r := logs.NewReader(logs.Clock{Latest: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)}, []logs.Dialect{d})
	sink := event.SinkFunc(func(*event.Event) {})
	b := []byte(line)
	if n := testing.AllocsPerRun(100, func() { r.Line(b, 0, 0, sink) }); n != 0 {
		t.Errorf("%v allocations for %s", n, line)
	}
}

// Fuzz feeds messages to the dialect: nothing may panic, and no event may lack a kind.
func Fuzz(f *testing.F, d logs.Dialect, program string, seeds ...string) {
	for _, s := range seeds {
		f.Add(program, s)
	}
	f.Fuzz(func(t *testing.T, program, msg string) {
		e := &event.Event{Origin: event.Origin{Program: []byte(program), Msg: []byte(msg), Line: []byte(msg)}}
		d.Mine(e.Program)
		d.Parse(e, event.SinkFunc(func(e *event.Event) {
			if e.Kind == event.None {
				t.Error("an event without a kind")
			}
		}))
	})
}

// Short writes what an event tells in one line.
func Short(e *event.Event) string {
	var b strings.Builder
	b.WriteString(e.Kind.String())
	add := func(name string, v []byte) {
		if v != nil {
			b.WriteString(" " + name + "=" + string(v))
		}
	}
	add("id", e.QueueID)
	if e.Ref != nil {
		add(e.RefIs.String(), e.Ref)
	}
	add("session", e.Session)
	add("mid", e.MessageID)
	add("from", e.From)
	add("to", e.To)
	add("orig", e.OrigTo)
	add("ip", e.ClientIP)
	add("user", e.User)
	if e.Status != event.NoStatus {
		add("status", []byte(e.Status.String()))
	}
	if e.Code != 0 {
		fmt.Fprintf(&b, " code=%d", e.Code)
	}
	add("dsn", e.DSN)
	add("relay", e.Relay)
	add("verdict", e.Verdict)
	add("folder", e.Folder)
	add("action", e.Action)
	add("subject", e.Subject)
	if e.Score != 0 {
		fmt.Fprintf(&b, " score=%g", e.Score)
	}
	if e.Size != 0 {
		fmt.Fprintf(&b, " size=%d", e.Size)
	}
	if e.Delay != 0 {
		fmt.Fprintf(&b, " delay=%s", e.Delay)
	}
	return b.String()
}
