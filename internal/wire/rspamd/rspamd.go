// Package rspamd asks an rspamd server for its opinion: POST /checkv2 of its HTTP protocol.
//
// Promise: one request, no redirects, bounded in time and bytes; what the server sends is hostile. It observes, it does
// not judge.
package rspamd

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// Options of a question.
type Options struct {
	URL      string // "http://127.0.0.1:11333"; "/checkv2" is added where no path is given
	Password string // of the controller worker; never recorded
	IP       string // the client's address, where it is known
	HELO     string
	From     string // envelope sender
	Dial     wire.Dialer
	Tape     wire.Tape
	Timeout  time.Duration // 0 means 60 s
}

// Result is the server's opinion.
type Result struct {
	Action   string   `json:"action"` // "no action", "greylist", "add header", "reject" …
	Score    float64  `json:"score"`
	Required float64  `json:"required"`
	Skipped  bool     `json:"skipped,omitempty"`
	Symbols  []Symbol `json:"symbols,omitempty"` // heaviest first; those without weight are left out
}

// Symbol is one rule that matched.
type Symbol struct {
	Name    string   `json:"name"`
	Score   float64  `json:"score"`
	Text    string   `json:"text,omitempty"`
	Options []string `json:"options,omitempty"`
}

const maxReply = 1 << 20

type request struct {
	URL    string `json:"url"`
	SHA256 string `json:"sha256"`
}

// Check sends a message and reads the opinion.
func Check(ctx context.Context, o Options, msg []byte) (*Result, error) {
	if !strings.Contains(strings.TrimPrefix(strings.TrimPrefix(o.URL, "http://"), "https://"), "/") {
		o.URL += "/checkv2"
	}
	sum := sha256.Sum256(msg)
	return wire.Observe(o.Tape, "rspamd", request{o.URL, hex.EncodeToString(sum[:])}, func() (*Result, error) { return ask(ctx, o, msg) })
}

func ask(ctx context.Context, o Options, msg []byte) (*Result, error) {
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.URL, bytes.NewReader(msg))
	if err != nil {
		return nil, wire.Classify("rspamd", err)
	}
	for k, v := range map[string]string{"Password": o.Password, "IP": o.IP, "Helo": o.HELO, "From": o.From} {
		if v != "" && !strings.ContainsAny(v, "\r\n\x00") {
			req.Header.Set(k, v)
		}
	}
	tr := &http.Transport{DialContext: o.Dial.DialContext, DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	hc := http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := hc.Do(req)
	if err != nil {
		return nil, wire.Classify("rspamd", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &wire.Fault{Kind: wire.Protocol, Op: "rspamd", Text: resp.Status}
	}
	r, err := read(resp.Body)
	if err != nil {
		return nil, &wire.Fault{Kind: wire.Protocol, Op: "rspamd", Text: err.Error()}
	}
	return r, nil
}

func read(r io.Reader) (*Result, error) {
	var v struct {
		Action   string  `json:"action"`
		Score    float64 `json:"score"`
		Required float64 `json:"required_score"`
		Skipped  bool    `json:"is_skipped"`
		Symbols  map[string]struct {
			Score       float64  `json:"score"`
			Description string   `json:"description"`
			Options     []string `json:"options"`
		} `json:"symbols"`
	}
	if err := json.NewDecoder(io.LimitReader(r, maxReply)).Decode(&v); err != nil {
		return nil, err
	}
	if v.Action == "" {
		return nil, errors.New("no action in the answer: not an rspamd scan worker")
	}
	out := &Result{Action: v.Action, Score: v.Score, Required: v.Required, Skipped: v.Skipped}
	for name, s := range v.Symbols {
		if s.Score != 0 {
			out.Symbols = append(out.Symbols, Symbol{name, s.Score, s.Description, s.Options[:min(len(s.Options), 5)]})
		}
	}
	slices.SortFunc(out.Symbols, func(a, b Symbol) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out, nil
}
