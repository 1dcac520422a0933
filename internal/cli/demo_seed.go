package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/smtp"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check/demo"
)

// demoClient does over the API what a person would have done on the page.
type demoClient struct {
	ctx  context.Context
	page string
	c    *http.Client
}

func newDemoClient(ctx context.Context, page string) (*demoClient, error) {
	jar, err := cookiejar.New(nil)
	return &demoClient{ctx, page, &http.Client{Jar: jar, Timeout: time.Minute}}, err
}

// call sends a body, or only asks where there is none, and reads what the answer has of into.
func (d *demoClient) call(path string, body map[string]any, into any) error {
	method, send := http.MethodGet, io.Reader(nil)
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		method, send = http.MethodPost, bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(d.ctx, method, d.page+"api/v1/"+path, send)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := d.c.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s: HTTP %d: %s", path, res.StatusCode, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// run runs a check and waits for its end, which its stream of events tells.
func (d *demoClient) run(kind string, args map[string]any) (id string, err error) {
	var r struct{ ID string }
	if err := d.call("runs", map[string]any{"kind": kind, "args": args}, &r); err != nil {
		return "", err
	}
	return r.ID, d.call("runs/"+r.ID+"/events", nil, nil)
}

// demoSetup makes what a week of use leaves behind: an admin, a helpdesk that sees one domain only, blocks, runs with a
// shared one, a maintenance window, a token, and a test mail. inboxAt is where the test inbox receives.
func demoSetup(ctx context.Context, page, setup, inboxAt string) (password string, err error) {
	password = strings.ToLower(rand.Text()[:12])
	d, err := newDemoClient(ctx, page)
	if err != nil {
		return "", err
	}
	in := func(days int) string { return time.Now().AddDate(0, 0, days).UTC().Format(time.RFC3339) }
	_, token, _ := strings.Cut(setup, "token=")
	var block struct{ ID string }
	for _, q := range []struct {
		path string
		body map[string]any
		into any
	}{
		{"setup", map[string]any{"token": token, "name": demoUser, "password": password}, nil},
		{"users", map[string]any{"name": demoHelpdesk, "password": password, "role": "helpdesk", "domains": []string{"fine.example"}}, nil},
		{"tokens", map[string]any{"name": "dashboard"}, nil},
		{"maintenance", map[string]any{"reason": "kernel updates", "cron": "0 3 * * 0", "for_s": 7200}, nil},
		{"blocks", map[string]any{"what": "spam.example", "reason": "offers to every address", "until": in(30)}, nil},
		{"blocks", map[string]any{"what": "203.0.113.66", "reason": "wrong passwords for seven accounts", "until": in(7)}, &block},
	} {
		if err := d.call(q.path, q.body, q.into); err != nil {
			return "", err
		}
	}
	if err := d.call("blocks/"+block.ID+"/approve", map[string]any{}, nil); err != nil {
		return "", err
	}
	if err := demoRuns(d); err != nil {
		return "", err
	}
	var inbox struct{ Address string }
	if err := d.call("inbox", map[string]any{}, &inbox); err != nil {
		return "", err
	}
	return password, demoTestMail(ctx, inboxAt, inbox.Address)
}

// demoRuns leaves a history of checks, one of them shared and one run twice, which shows what is different.
func demoRuns(d *demoClient) error {
	for _, q := range []struct {
		kind string
		args map[string]any
	}{
		{"check", map[string]any{"domain": "broken.example"}},
		{"explain", map[string]any{"text": "550 5.7.26 This mail has been blocked because the sender is unauthenticated."}},
		{"server", map[string]any{"host": "mx.relay.example"}},
		{"threat", map[string]any{"what": "203.0.113.66 spam.example fine.example"}},
		{"check", map[string]any{"domain": "broken.example"}},
	} {
		if _, err := d.run(q.kind, q.args); err != nil {
			return err
		}
	}
	id, err := d.run("deliver", map[string]any{"to": "wang@strict.example"})
	if err != nil {
		return err
	}
	return d.call("runs/"+id+"/share", map[string]any{"days": 7}, nil)
}

// demoTestMail sends the newsletter of the demo to an address of the test inbox.
func demoTestMail(ctx context.Context, server, to string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", server)
	if err != nil {
		return err
	}
	c, err := smtp.NewClient(conn, "inbox.mine.example")
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Hello("out1.mine.example"); err != nil {
		return err
	}
	if err := c.Mail("newsletter@mine.example"); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, demo.Newsletter(to, time.Now())); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

// demoPhone takes the alerts of the demo, as somebody's phone would.
func demoPhone(ctx context.Context) (url string, stop func(), err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 1<<20))
		w.WriteHeader(http.StatusNoContent)
	})}
	go func() { _ = s.Serve(l) }()
	return "http://" + l.Addr().String() + "/alerts", func() { _ = s.Close() }, nil
}
