package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/check/eml"
	"github.com/mailwhy/mailwhy/internal/check/score"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/inbox"
	"github.com/mailwhy/mailwhy/internal/mail/header"
	"github.com/mailwhy/mailwhy/internal/render"
	"github.com/mailwhy/mailwhy/internal/web"
)

// InboxConfig is [inbox]: a small SMTP receiver for test mails. Without listen there is none.
type InboxConfig struct {
	Listen   string   `toml:"listen"`    // [ADDRESS]:PORT; port 25 to receive from the Internet
	Domain   string   `toml:"domain"`    // right side of the addresses; its MX record points here
	Lifetime duration `toml:"lifetime"`  // of an address; 0 means 1h
	MaxBytes int64    `toml:"max_bytes"` // of a message; 0 means 25 MiB
}

// maxTestMessages bounds what is remembered of one address.
const maxTestMessages = 20

// testInbox receives, scores and remembers the scores, not the messages.
type testInbox struct {
	v    *service
	srv  *inbox.Server
	life time.Duration

	mu  sync.Mutex
	all map[string]*web.TestAddress // by lower-case address
}

// inboxPart receives test mails.
func inboxPart(ctx context.Context, v *service) (*part, error) {
	c := &v.cfg.Inbox
	if c.Listen == "" {
		return nil, nil
	}
	if c.Domain == "" {
		c.Domain = hostname()
	}
	t := &testInbox{v: v, life: time.Duration(c.Lifetime), all: map[string]*web.TestAddress{}}
	if t.life <= 0 {
		t.life = time.Hour
	}
	t.srv = inbox.New(inbox.Options{Domain: c.Domain, Lifetime: t.life, Uses: maxTestMessages, MaxBytes: c.MaxBytes, Now: v.now, Handle: t.arrived})
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return nil, busy(c.Listen, err)
	}
	v.web.Inbox, v.inboxAt = t, l.Addr().String()
	v.log.Info("receiving test mails", "listen", l.Addr().String(), "domain", c.Domain)
	return &part{name: "inbox", run: func(ctx context.Context) error { return t.srv.Serve(ctx, l) }}, nil
}

// Open gives out an address.
func (t *testInbox) Open(_ context.Context, by string) (*web.TestAddress, error) {
	address, err := t.srv.Open()
	if errors.Is(err, inbox.ErrFull) {
		return nil, web.ErrInboxFull
	}
	if err != nil {
		return nil, err
	}
	now := t.v.now()
	a := &web.TestAddress{Address: address, By: by, Created: now, Expires: now.Add(t.life)}
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, x := range t.all { // a day after its end nobody looks for it any more
		if now.Sub(x.Expires) > 24*time.Hour {
			delete(t.all, k)
		}
	}
	t.all[strings.ToLower(address)] = a
	c := *a
	return &c, nil
}

// Addresses gives copies, the newest first.
func (t *testInbox) Addresses() []web.TestAddress {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]web.TestAddress, 0, len(t.all))
	for _, a := range t.all {
		c := *a
		c.Messages = slices.Clone(a.Messages)
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b web.TestAddress) int {
		if c := b.Created.Compare(a.Created); c != 0 {
			return c
		}
		return strings.Compare(a.Address, b.Address)
	})
	return out
}

// arrived scores a message; the receiver hands over one after the other.
func (t *testInbox) arrived(m inbox.Message) {
	got := web.TestMessage{At: m.At, From: m.From, Client: m.Client.String()}
	r, err := t.score(m, &got)
	if err != nil {
		t.v.log.Warn("a test mail could not be scored", "address", m.Address, "error", err)
		return
	}
	got.Report = r
	t.mu.Lock()
	defer t.mu.Unlock()
	if a := t.all[strings.ToLower(m.Address)]; a != nil && len(a.Messages) < maxTestMessages {
		a.Messages = append(a.Messages, got)
	}
}

func (t *testInbox) score(m inbox.Message, got *web.TestMessage) (r *finding.Report, err error) {
	defer func() {
		if p := recover(); p != nil { // one hostile mail must not end the service
			err = fmt.Errorf("mailwhy has a bug: %v", p)
		}
	}()
	env, done, err := t.v.newEnv(nil)
	if err != nil {
		return nil, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	msg, err := eml.Read(bytes.NewReader(m.Raw), m.Address)
	if err != nil {
		return nil, err
	}
	got.Subject = render.Clean(shorten(header.Decode(msg.Header.Get("Subject"))))
	r, err = score.Survey(ctx, env, msg, score.Options{Trust: []string{t.v.cfg.Inbox.Domain}})
	if err == nil {
		finding.Order(r.Findings)
	}
	return r, err
}
