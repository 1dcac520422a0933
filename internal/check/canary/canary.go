// Package canary tries the whole way for real: it sends one marked message, waits for it at the other end, and tells
// where it fell, how long each hop took and what the far end thought of its authentication.
//
// Promise: exactly one message is sent, and only after the mailbox was opened: what could not be found again is not
// sent. It looks for this message alone, by its Message-ID, and deletes no other; with Keep it deletes none. RFCs: 5321,
// 3834 (it names itself automatic), 8601.
package canary

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/delivery"
	"github.com/mailwhy/mailwhy/internal/check/hops"
	"github.com/mailwhy/mailwhy/internal/check/results"
	"github.com/mailwhy/mailwhy/internal/check/server"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/header"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
)

// Options say what to send and where to look for it.
type Options struct {
	From, To string
	Submit   *server.LoginOptions // the sender's account; nil: straight to the MX of the recipient
	Fetch    server.LoginOptions  // the recipient's account; Protocols holds "imap" or "pop3"
	Wait     time.Duration        // how long to look for the message
	Keep     bool                 // do not delete it
}

// Facts are what was seen; docs/json.md writes them down.
type Facts struct {
	From    string          `json:"from"`
	To      string          `json:"to"`
	ID      string          `json:"id"` // Message-ID without the angle brackets
	By      string          `json:"by"` // "submission" or "mx"
	Session *smtp.Session   `json:"session,omitempty"`
	Sent    time.Time       `json:"sent,omitzero"`
	Visits  []server.Port   `json:"visits"`
	Arrived bool            `json:"arrived"`
	Took    time.Duration   `json:"took,omitempty"`
	Folder  string          `json:"folder,omitempty"`
	Removed bool            `json:"removed"`
	Path    *hops.Path      `json:"path,omitempty"`
	Results []results.Field `json:"authentication_results,omitempty"`

	sought *wire.Sought
	wait   time.Duration
	keep   bool
}

// Survey sends the message and waits for it.
func Survey(ctx context.Context, env *check.Env, o Options) (*finding.Report, error) {
	began, subject := env.Now(), finding.Subject{Kind: finding.KindAddress, Name: o.To}
	token, err := wire.Observe(env.Tape, "canary", o.From+" "+o.To, newToken)
	if err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(o.From, "@")
	f := &Facts{From: o.From, To: o.To, ID: "canary." + token + "@" + domain, By: "mx", Visits: []server.Port{}, wait: o.Wait, keep: o.Keep}
	if o.Submit != nil {
		f.By = "submission"
	}
	w := &walk{env: env, o: o, f: f, subject: subject, token: token}
	if err := w.walk(ctx); err != nil {
		return nil, err
	}
	r := check.NewReport(env, "canary", subject, began, w.fs, w.sections(), f)
	w.headline(r)
	return r, nil
}

func newToken() (string, error) {
	raw := make([]byte, 12)
	_, err := rand.Read(raw)
	return hex.EncodeToString(raw), err
}

type walk struct {
	env     *check.Env
	o       Options
	f       *Facts
	subject finding.Subject
	token   string
	fs      []finding.Finding
	more    []finding.Section
}

// walk goes on as long as the way does.
func (w *walk) walk(ctx context.Context) error {
	open, err := w.opens(ctx)
	if err != nil || !open {
		return err
	}
	sent, err := w.send(ctx)
	if err != nil || !sent {
		return err
	}
	w.f.Sent = w.env.Now()
	if err := w.fetch(ctx); err != nil {
		return err
	}
	w.read()
	w.judge()
	return nil
}

// opens tells whether the mailbox at the far end can be opened, before anything is sent.
func (w *walk) opens(ctx context.Context) (bool, error) {
	s, fs, err := server.LookIn(ctx, w.env, w.o.Fetch)
	if err != nil {
		return false, err
	}
	if len(s.Ways()) > 0 {
		return true, nil
	}
	w.fs = append(w.fs, fs...)
	w.more = append(w.more, s.Sections()...)
	return false, nil
}

// message is what is sent.
func (w *walk) message() []byte {
	return []byte(fmt.Sprintf("From: <%s>\r\nTo: <%s>\r\nSubject: mailwhy canary %s\r\nDate: %s\r\nMessage-ID: <%s>\r\nAuto-Submitted: auto-generated\r\n"+
		"X-Mailwhy-Canary: %[3]s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"+
		"A test message of mailwhy (canary). Whoever sent it looks for it and deletes it again.\r\n"+
		"这是 mailwhy 的测试邮件（canary），发送者会查找并自动删除它。\r\n",
		w.o.From, w.o.To, w.token, w.env.Now().Format("Mon, 02 Jan 2006 15:04:05 -0700"), w.f.ID))
}

// send hands the message over; it tells whether it was taken.
func (w *walk) send(ctx context.Context) (bool, error) {
	if w.o.Submit == nil {
		f := delivery.Look(ctx, w.env, delivery.Options{From: w.o.From, To: w.o.To, Message: w.message()})
		for i := range f.Attempts {
			if s := f.Attempts[i].Session; s != nil && s.Plan.MessageSum != "" {
				w.f.Session = s
			}
		}
		w.more = append(w.more, delivery.Sections(w.env, f)...)
		if !f.Delivered {
			w.fs = append(w.fs, delivery.Judge(w.env, f)...)
			w.undone()
		}
		return f.Delivered, nil
	}
	o := *w.o.Submit
	o.Protocols, o.Send = []string{"smtp"}, &server.Parcel{From: w.o.From, To: w.o.To, Message: w.message()}
	s, fs, err := server.LookIn(ctx, w.env, o)
	if err != nil {
		return false, err
	}
	w.more = append(w.more, s.Sections()...)
	if len(s.Ports) > 0 {
		w.f.Session = s.Ports[len(s.Ports)-1].Session
	}
	if w.f.Session == nil || !w.f.Session.LoggedIn {
		w.fs = append(w.fs, fs...)
		return false, nil
	}
	if rep := w.f.Session.Reply(smtp.Message); rep != nil && rep.Code < 400 {
		return true, nil
	}
	w.refused()
	return false, nil
}

// fetch waits for the message. POP3 shows a mailbox as it was when the session began, so that each look is a visit.
func (w *walk) fetch(ctx context.Context) error {
	o, until := w.o.Fetch, time.Now().Add(w.o.Wait)
	o.Newest = 0
	pop := o.Protocols[0] == "pop3"
	for turn := 1; ; turn++ {
		o.Seek = &wire.Seek{ID: w.f.ID, Wait: w.o.Wait, Remove: !w.o.Keep}
		if pop {
			o.Seek.Wait, o.Seek.Turn = 0, turn
		}
		s, fs, err := server.LookIn(ctx, w.env, o)
		if err != nil {
			return err
		}
		for i := range s.Ports {
			if v := s.Ports[i].Visit; v != nil && v.Sought != nil {
				w.f.sought = v.Sought
				w.f.Took = max(0, v.Started.Add(v.Sought.After).Sub(w.f.Sent))
			}
		}
		pause := min(time.Duration(turn)*500*time.Millisecond, 5*time.Second)
		if w.f.sought != nil || len(s.Ways()) == 0 || !pop || time.Now().Add(pause).After(until) || wire.Pause(ctx, pause) != nil {
			w.f.Visits = append(w.f.Visits, s.Ports...)
			if len(s.Ways()) == 0 {
				w.fs = append(w.fs, fs...)
			}
			return nil
		}
	}
}

// read takes the header of the message apart.
func (w *walk) read() {
	s := w.f.sought
	if s == nil {
		return
	}
	w.f.Arrived, w.f.Folder, w.f.Removed = true, s.Folder, s.Removed
	h, _, _ := header.ParseBytes([]byte(s.Header), header.Limits{})
	w.f.Path = hops.Read(h.All("Received"), hops.Options{Slow: time.Minute, Trust: w.known()})
	w.f.Results = results.Read(h, w.f.Path.Believed(), w.f.Path.BorderHost())
}

// known are the servers that are known to have had the message: the one that took it, and the one it was found on. What
// they write into the header is no forgery.
func (w *walk) known() []string {
	var out []string
	if s := w.f.Session; s != nil {
		out = append(out, s.Plan.Host, s.Plan.Addr.String())
	}
	for i := range w.f.Visits {
		if v := w.f.Visits[i].Visit; v != nil {
			out = append(out, v.Plan.Host, v.Plan.Addr.String())
		}
	}
	return out
}
