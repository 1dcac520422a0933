// Package amavis reads the verdict lines of amavisd: passed or blocked, why, from, to, both queue ids, score.
//
// Promise: amavis's own words in front decide; addresses are read with their quotes, and the fields behind them left to
// right. It judges nothing.
package amavis

import (
	"bytes"
	"strconv"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Dialect is the amavis dialect.
type Dialect struct{}

// Software names the family.
func (Dialect) Software() event.Software { return event.Amavis }

// Mine tells amavis's program names.
func (Dialect) Mine(program []byte) bool { return logs.Has(program, "amavis") }

var name = []byte("amavis")

// Parse reads one line.
func (Dialect) Parse(e *event.Event, sink event.Sink) logs.Outcome {
	b := e.Msg
	e.Filter, e.Text = name, b
	if i := bytes.Index(b, []byte(") ")); len(b) > 0 && b[0] == '(' && i > 0 && i < 24 {
		b = b[i+2:]
	}
	blocked := logs.Has(b, "Blocked ")
	if !blocked && !logs.Has(b, "Passed ") {
		if e.Kind = event.Stats; bytes.Contains(b[:min(len(b), 120)], []byte("TROUBLE")) || logs.Has(b, "(!") || bytes.Contains(b[:min(len(b), 120)], []byte("WARN")) {
			e.Kind, e.Level = event.Warning, event.Warn
		}
		sink.Event(e)
		return logs.Known
	}
	e.Kind, e.Action = event.Filter, b[:6]
	if blocked {
		e.Action = b[:7]
	}
	i := bytes.IndexByte(b, '<')
	if i < 0 {
		return logs.Unparsed
	}
	front := b[len(e.Action)+1 : i]
	e.Verdict = bytes.TrimRight(front, " ,")
	if j := bytes.IndexAny(front, "{[,("); j > 0 {
		e.Verdict = bytes.TrimRight(front[:j], " ")
	}
	if j := bytes.Index(front, []byte("[")); j >= 0 {
		if k := bytes.IndexByte(front[j:], ']'); k > 0 {
			e.ClientIP = front[j+1 : j+k]
			if ip := string(e.ClientIP); ip == "127.0.0.1" || ip == "::1" { // handed on by ourselves: where it came from stands behind
				if m := bytes.IndexByte(front[j+k:], '['); m >= 0 {
					if n := bytes.IndexByte(front[j+k+m:], ']'); n > 0 {
						e.ClientIP = front[j+k+m+1 : j+k+m+n]
					}
				}
			}
		}
	}
	var ok bool
	if e.From, b, ok = logs.Angle(b[i:]); !ok {
		return logs.Unparsed
	}
	if b, ok = logs.After(b, " -> "); !ok {
		return logs.Unparsed
	}
	list := b
	for first := true; ; first = false {
		to, rest, ok := logs.Angle(b)
		if !ok {
			break
		}
		if first {
			e.To, list = to, rest
		}
		b = bytes.TrimPrefix(rest, []byte(","))
	}
	fields(e, bytes.TrimLeft(b, ", "))
	sink.Event(e)
	e.Kind, e.Ref, e.RefIs = event.Related, nil, event.NoRef // the others, so that a search by recipient finds the message
	for {
		to, rest, ok := logs.Angle(bytes.TrimPrefix(list, []byte(",")))
		if !ok {
			return logs.Known
		}
		e.To, list = to, rest
		sink.Event(e)
	}
}

// fields reads "Queue-ID: ABC, Message-ID: <m>, mail_id: x, Hits: -1.2, size: 123, queued_as: DEF, …, 12 ms".
func fields(e *event.Event, b []byte) {
	for len(b) > 0 {
		key, v, ok := logs.Cut(b, ": ")
		if !ok || len(key) > 20 || bytes.IndexByte(key, ' ') >= 0 {
			if _, rest, more := logs.Cut(b, ", "); more {
				b = rest
				continue
			}
			return
		}
		if a, rest, angle := logs.Angle(v); angle {
			if string(key) == "Message-ID" {
				e.MessageID = a
			}
			b = bytes.TrimPrefix(rest, []byte(", "))
			continue
		}
		val, rest, _ := logs.Cut(v, ", ")
		switch string(key) {
		case "Queue-ID":
			e.QueueID = val
		case "queued_as":
			e.RefIs = event.Next
			if _, id, ok := logs.Cut(val, "queued as "); ok { // the whole reply
				val = id
			}
			e.Ref, _, _ = logs.Cut(val, "/")
		case "Hits":
			e.Score, _ = strconv.ParseFloat(string(val), 64)
		case "size":
			e.Size, _ = logs.Number(val)
		case "quarantine":
			e.Folder = val
		}
		b = rest
	}
}
