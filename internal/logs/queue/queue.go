// Package queue reads listings of mail queues: Postfix (postqueue -j, postqueue -p), Exim (exim -bp, and the spool with
// its header files and message logs), Sendmail (mailq).
//
// Promise: reads what it is given and runs nothing. Entries are pushed one at a time, so memory does not grow with the
// queue. A line that belongs to no entry is counted, never silently dropped.
package queue

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"time"
)

// Format is the kind of a listing.
type Format string

// The formats.
const (
	PostfixJSON Format = "postqueue -j"
	PostfixText Format = "postqueue -p"
	EximText    Format = "exim -bp"
	EximSpool   Format = "exim spool"
	Sendmail    Format = "mailq"
)

// Recipient is one recipient that still waits.
type Recipient struct {
	Address string
	Reason  string // the last reason for the delay, "" where the listing has none
}

// Entry is one message in the queue.
type Entry struct {
	ID         string
	Queue      string // "active", "deferred", "hold", "incoming", "frozen"; "" where not told
	Arrived    time.Time
	Size       int64  // bytes
	Sender     string // "" is the null sender
	Recipients []Recipient
	Forced     bool // Postfix: expires at the next try
}

// Summary tells what reading a listing gave.
type Summary struct {
	Format  Format
	Entries int64
	Strange int64 // lines that belong to no entry
}

// maxLine bounds a line of a listing.
const maxLine = 4 << 20

// maxRecipients bounds the recipients kept of one entry.
const maxRecipients = 100_000

// Errors of listings.
var (
	ErrEmpty   = errors.New("holds no queue listing")
	ErrUnknown = errors.New("is no queue listing of Postfix, Exim or Sendmail")
)

// Read reads a listing of whichever format it is. now is the time it was made: it gives ages and years. An empty queue
// is a Summary without entries, not an error.
func Read(r io.Reader, now time.Time, sink func(*Entry)) (Summary, error) {
	br := bufio.NewReaderSize(r, 1<<16)
	head, err := br.Peek(1 << 12)
	if len(bytes.TrimSpace(head)) == 0 {
		if err != nil && err != io.EOF {
			return Summary{}, err
		}
		return Summary{}, ErrEmpty
	}
	f, ok := detect(head)
	if !ok {
		return Summary{}, ErrUnknown
	}
	s := Summary{Format: f}
	sc := bufio.NewScanner(br)
	sc.Buffer(make([]byte, 1<<16), maxLine)
	p := parser{now: now, sum: &s, sink: sink}
	read := map[Format]func(*parser, []byte){PostfixJSON: (*parser).json, PostfixText: (*parser).postfix, EximText: (*parser).exim, Sendmail: (*parser).sendmail}[f]
	for sc.Scan() {
		read(&p, bytes.TrimRight(sc.Bytes(), "\r"))
	}
	p.flush()
	return s, sc.Err()
}

// detect tells the format by the first lines.
func detect(head []byte) (Format, bool) {
	first, _, _ := bytes.Cut(bytes.TrimLeft(head, " \t\r\n"), []byte("\n"))
	switch {
	case first[0] == '{':
		return PostfixJSON, true
	case bytes.Contains(head, []byte("-Queue ID-")), bytes.HasPrefix(first, []byte("Mail queue is empty")):
		return PostfixText, true
	case bytes.Contains(head, []byte("-----Q-ID-----")), bytes.Contains(first, []byte("requests)")), bytes.Contains(first, []byte("is empty")), bytes.Contains(head, []byte("Total requests:")):
		return Sendmail, true
	}
	if _, ok := eximHead(first, time.Time{}); ok {
		return EximText, true
	}
	return "", false
}

// parser holds the entry that is being read.
type parser struct {
	now    time.Time
	sum    *Summary
	sink   func(*Entry)
	cur    Entry
	open   bool
	reason string // stands before the recipients it is about
}

func (p *parser) begin(e Entry) {
	p.flush()
	if e.ID == "" {
		p.sum.Strange++
		return
	}
	p.cur, p.open, p.reason = e, true, ""
}

func (p *parser) flush() {
	if p.open {
		p.sum.Entries++
		p.sink(&p.cur)
	}
	p.open = false
}

func (p *parser) recipient(addr, reason string) {
	switch {
	case !p.open:
		p.sum.Strange++
	case len(p.cur.Recipients) < maxRecipients:
		p.cur.Recipients = append(p.cur.Recipients, Recipient{addr, reason})
	}
}

// bare takes angle brackets off an address.
func bare(b []byte) string {
	return string(bytes.TrimSuffix(bytes.TrimPrefix(b, []byte("<")), []byte(">")))
}

// yearless reads "Sun Nov 22 01:45:23" or "Sun Nov 22 01:45": the latest such moment not after now.
func yearless(s string, now time.Time) (time.Time, bool) {
	return latest(s, now, "Mon Jan _2 15:04:05", "Mon Jan _2 15:04")
}

// monthly is yearless for "Nov 22 01:45".
func monthly(s string, now time.Time) (time.Time, bool) { return latest(s, now, "Jan _2 15:04") }

func latest(s string, now time.Time, layouts ...string) (time.Time, bool) {
	for _, layout := range layouts {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		for y := now.Year(); y > now.Year()-3; y-- {
			at := time.Date(y, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, now.Location())
			if !at.After(now.Add(26 * time.Hour)) {
				return at, true
			}
		}
	}
	return time.Time{}, false
}
