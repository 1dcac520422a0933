// Package notify wakes people: it takes alerts over, groups them, and hands them to mail, webhooks, chats, pagers and
// Alertmanager in each channel's language.
//
// Promise: an alert that was taken over is stored first and sent until it arrived or a day is over; the same alert is sent
// once to each channel. What comes together goes together, a channel never gets more messages in an hour than it is set to,
// and what is held back for that is told later in one message, never lost. Every attempt is in the log of deliveries.
// Secrets come from files or the environment by reference and are in no error, log or listing.
//
// It must not judge and must not decide what is worth an alert. Formats are those documented by each service; the mail is
// RFC 5322 by the go-mail library.
package notify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Text is a sentence in every language, as it is stored.
type Text struct {
	EN string `json:"en"`
	ZH string `json:"zh,omitempty"`
}

// In says it in a language.
func (t Text) In(l finding.Lang) string {
	if l == finding.ZH && t.ZH != "" {
		return t.ZH
	}
	return t.EN
}

// Status tells whether an alert begins, ends, or only says something.
type Status string

// The statuses.
const (
	Firing   Status = "firing"
	Resolved Status = "resolved"
	Info     Status = "info"
)

// Alert is one thing somebody must know.
type Alert struct {
	ID       string            `json:"id"`  // the same alert is sent once
	Key      string            `json:"key"` // the incident: what began and what ended share it
	Status   Status            `json:"status"`
	Severity finding.Severity  `json:"severity"`
	Event    string            `json:"event"` // opened, resolved, reminded, flapping, blind, …
	Monitor  string            `json:"monitor"`
	Kind     string            `json:"kind,omitempty"`
	Title    string            `json:"title"`            // of the monitor, as the admin wrote it
	Target   string            `json:"target,omitempty"` // a domain, a host
	What     Text              `json:"what"`             // what is wrong, or is right again
	How      Text              `json:"how,omitzero"`     // what happened: "failed 5 times in a row"
	Since    time.Time         `json:"since"`
	At       time.Time         `json:"at"`
	Why      []Text            `json:"why,omitempty"`      // further causes
	Evidence []string          `json:"evidence,omitempty"` // verbatim
	Owner    string            `json:"owner,omitempty"`    // the owner's word: "server"
	Whose    Text              `json:"whose,omitzero"`     // the same for people
	Next     string            `json:"next,omitempty"`     // command line
	Link     string            `json:"link,omitempty"`     // to the page
	Labels   map[string]string `json:"labels,omitempty"`
}

// over tells whether what its Key names is at an end, for services that keep that: an incident, or a time without sight.
func (a *Alert) over() bool { return a.Status == Resolved || a.Event == "sees" }

// Message is what a channel gets at one go.
type Message struct {
	Lang   finding.Lang
	Alerts []Alert // in the order in which things happened
	Held   int     // how many of them waited for the channel's limit
	At     time.Time
}

// Sender hands a message over. It returns nil when the service took it; a *Refusal tells when to try again.
type Sender interface {
	Send(ctx context.Context, m *Message) error
}

// Refusal is a service that did not take a message.
type Refusal struct {
	Text  string
	After time.Duration // the service says when to come again; 0: it does not
}

// Error is the service's own words.
func (r *Refusal) Error() string { return r.Text }

// mask takes secrets out of an error.
func mask(err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, s := range secrets {
		if len(s) >= 4 {
			text = strings.ReplaceAll(text, s, "…")
		}
	}
	var r *Refusal
	if errors.As(err, &r) {
		return &Refusal{Text: text, After: r.After}
	}
	return errors.New(text)
}

// Span is a duration in configuration: "30s", "5m".
type Span time.Duration

// UnmarshalText reads a span that is not negative.
func (s *Span) UnmarshalText(b []byte) error {
	d, err := time.ParseDuration(string(b))
	if err != nil || d < 0 {
		return fmt.Errorf("%q is no span of time: give one like 30s or 5m", b)
	}
	*s = Span(d)
	return nil
}

// MarshalText writes a span.
func (s Span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }
