// Package spamd asks a SpamAssassin daemon for its opinion: the SPAMC/SPAMD protocol, version 1.5.
//
// Promise: one connection, one message, one answer, all bounded in time and bytes; what the daemon sends is hostile. It
// observes, it does not judge.
package spamd

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// Options of a question.
type Options struct {
	Addr    string // host:port
	Dial    wire.Dialer
	Tape    wire.Tape     // nil: neither recorded nor replayed
	Timeout time.Duration // of the whole conversation; 0 means 60 s: network tests are slow
}

// Result is the daemon's opinion.
type Result struct {
	Spam     bool    `json:"spam"`
	Score    float64 `json:"score"`
	Required float64 `json:"required"`
	Rules    []Rule  `json:"rules,omitempty"` // those that matched, as the report has them
	Report   string  `json:"report,omitempty"`
}

// Rule is one rule that matched.
type Rule struct {
	Name  string  `json:"name"`
	Score float64 `json:"score"`
	Text  string  `json:"text,omitempty"` // the daemon's own words
}

const maxReply = 256 << 10

type request struct {
	Addr   string `json:"addr"`
	SHA256 string `json:"sha256"` // of the message: the tape holds no mail
}

// Report sends a message and reads the opinion. Line ends are sent as they are.
func Report(ctx context.Context, o Options, msg []byte) (*Result, error) {
	sum := sha256.Sum256(msg)
	return wire.Observe(o.Tape, "spamd", request{o.Addr, hex.EncodeToString(sum[:])}, func() (*Result, error) { return ask(ctx, o, msg) })
}

func ask(ctx context.Context, o Options, msg []byte) (*Result, error) {
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	c, err := o.Dial.DialContext(ctx, "tcp", o.Addr)
	if err != nil {
		return nil, wire.Classify("connect "+o.Addr, err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := fmt.Fprintf(c, "REPORT SPAMC/1.5\r\nContent-length: %d\r\n\r\n", len(msg)); err != nil {
		return nil, wire.Classify("spamd", err)
	}
	if _, err := c.Write(msg); err != nil {
		return nil, wire.Classify("spamd", err)
	}
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		_ = h.CloseWrite()
	}
	r, err := read(c)
	if err != nil {
		return nil, wire.Classify("spamd", err)
	}
	return r, nil
}

// read reads an answer: a status line, fields, a blank line, the report.
func read(c io.Reader) (*Result, error) {
	br := bufio.NewReader(io.LimitReader(c, maxReply))
	tp := textproto.NewReader(br)
	line, err := tp.ReadLine()
	if err != nil {
		return nil, err
	}
	f := strings.Fields(line)
	if len(f) < 3 || !strings.HasPrefix(f[0], "SPAMD/") {
		return nil, &wire.Fault{Kind: wire.Protocol, Op: "spamd", Text: "not a SPAMD answer: " + clip(line)}
	}
	if f[1] != "0" {
		return nil, &wire.Fault{Kind: wire.Protocol, Op: "spamd", Text: clip(line)}
	}
	h, err := tp.ReadMIMEHeader()
	if err != nil {
		return nil, err
	}
	r := &Result{}
	if !r.verdict(h.Get("Spam")) {
		return nil, &wire.Fault{Kind: wire.Protocol, Op: "spamd", Text: "no Spam field in the answer"}
	}
	body, err := io.ReadAll(br)
	r.Report = strings.ToValidUTF8(string(body), "\uFFFD")
	r.rules()
	return r, err
}

// verdict reads "True ; 6.4 / 5.0".
func (r *Result) verdict(s string) bool {
	word, nums, ok := strings.Cut(s, ";")
	score, required, ok2 := strings.Cut(nums, "/")
	var e1, e2 error
	r.Score, e1 = strconv.ParseFloat(strings.TrimSpace(score), 64)
	r.Required, e2 = strconv.ParseFloat(strings.TrimSpace(required), 64)
	word = strings.ToLower(strings.TrimSpace(word))
	r.Spam = word == "true" || word == "yes"
	return ok && ok2 && e1 == nil && e2 == nil
}

var ruleLine = regexp.MustCompile(`^\s{0,3}(-?\d+\.\d+)\s+([A-Z][A-Z0-9_]+)\s+(.*)$`)

// rules reads the table of the report: points, rule, description, which may go on in the next line.
func (r *Result) rules() {
	for _, line := range strings.Split(r.Report, "\n") {
		line = strings.TrimRight(line, "\r ")
		if m := ruleLine.FindStringSubmatch(line); m != nil && len(r.Rules) < 200 {
			n, _ := strconv.ParseFloat(m[1], 64)
			r.Rules = append(r.Rules, Rule{m[2], n, m[3]})
		} else if n := len(r.Rules); n > 0 && strings.HasPrefix(line, "          ") {
			r.Rules[n-1].Text = clip(r.Rules[n-1].Text + " " + strings.TrimSpace(line))
		}
	}
}

func clip(s string) string {
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}
