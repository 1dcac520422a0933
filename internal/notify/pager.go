package notify

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// pagerDuty speaks Events API v2: one event per alert; what began and what ended share the dedup_key (255 characters at
// most), a summary has 1,024. Held against the documentation of Events API v2 on 2026-11-22.
type pagerDuty struct {
	*post
	key string
}

func newPagerDuty(c *Channel, d *Doors) (Sender, error) {
	key, err := d.read(c.Secret)
	if err != nil {
		return nil, err
	}
	if key == "" {
		return nil, errors.New("what secret refers to is empty")
	}
	p, err := newPost(c, d, "https://events.pagerduty.com/v2/enqueue")
	if err != nil {
		return nil, err
	}
	p.secrets = append(p.secrets, key)
	return &pagerDuty{p, key}, nil
}

// pagerWords are the severities of the other side.
func pagerWord(a *Alert) string {
	switch a.Severity {
	case finding.Error:
		return "error"
	case finding.Warning:
		return "warning"
	}
	return "info"
}

func (t *pagerDuty) Send(ctx context.Context, m *Message) error {
	for i := range m.Alerts {
		if err := t.one(ctx, &m.Alerts[i], m); err != nil {
			return err // those before are there already, and dedup_key makes a second time harmless
		}
	}
	return nil
}

func (t *pagerDuty) one(ctx context.Context, a *Alert, m *Message) error {
	b := m.block(a)
	event := map[string]any{"routing_key": t.key, "event_action": "trigger", "dedup_key": shorten(a.Key, 255), "client": "mailwhy"}
	if a.Link != "" {
		event["client_url"] = a.Link
		event["links"] = []any{map[string]any{"href": a.Link, "text": "mailwhy"}}
	}
	if a.over() {
		event["event_action"] = "resolve"
	} else {
		details := map[string]any{}
		for _, l := range b.Lines {
			if was, ok := details[l.Name]; ok {
				details[l.Name] = was.(string) + "; " + l.Value
				continue
			}
			details[l.Name] = l.Value
		}
		if a.Next != "" {
			details[next(m.Lang)] = a.Next
		}
		if len(a.Evidence) > 0 {
			details["evidence"] = strings.Join(a.Evidence, "\n")
		}
		event["payload"] = map[string]any{
			"summary": shorten(b.Mark+" "+b.Head, 1024), "source": a.name(), "severity": pagerWord(a), "timestamp": a.At.UTC().Format(time.RFC3339),
			"component": a.Monitor, "class": a.Kind, "custom_details": details,
		}
	}
	raw, err := t.json(ctx, t.to, event)
	if err != nil {
		return err
	}
	var r struct {
		Status  string `json:"status"`
		Message string `json:"message"`
	}
	if err := answered(raw, &r); err != nil {
		return err
	}
	if r.Status != "success" {
		return mask(&Refusal{Text: r.Status + ": " + r.Message}, t.secrets...)
	}
	return nil
}

// alertmanager posts to /api/v2/alerts. An alert that nobody ends is dropped there after a while, so that each carries an
// end far ahead, which a reminder moves on and the end of the incident brings near. Held against api/v2/openapi.yaml and the
// pages on clients on 2026-11-22.
type alertmanager struct{ *post }

// alertLife is how long an alert stands in Alertmanager without news; monitors remind once a day.
const alertLife = 72 * time.Hour

func newAlertmanager(c *Channel, d *Doors) (Sender, error) {
	p, err := newPost(c, d, "")
	if err != nil {
		return nil, err
	}
	if p.user = c.User; p.user != "" {
		if p.pass, err = d.read(c.Password); err != nil {
			return nil, err
		}
		p.secrets = append(p.secrets, p.pass)
	}
	p.to = strings.TrimSuffix(p.to, "/")
	if !strings.HasSuffix(p.to, "/api/v2/alerts") {
		p.to += "/api/v2/alerts"
	}
	p.header = http.Header{}
	return &alertmanager{p}, nil
}

type amAlert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

func (t *alertmanager) Send(ctx context.Context, m *Message) error {
	var out []amAlert
	for i := range m.Alerts {
		a := &m.Alerts[i]
		b := m.block(a)
		// The labels are the alert's identity: beginning and end must have the same.
		x := amAlert{
			Labels:      map[string]string{"alertname": "MailwhyMonitor", "monitor": a.Monitor, "incident": a.Key, "kind": a.Kind, "target": a.Target, "service": "mailwhy"},
			Annotations: map[string]string{"summary": b.Head, "event": a.Event, "severity": a.Severity.String(), "owner": a.Whose.In(m.Lang), "next": a.Next, "since": a.Since.UTC().Format(time.RFC3339)},
			StartsAt:    a.Since, EndsAt: m.At.Add(alertLife), GeneratorURL: a.Link,
		}
		if a.Since.IsZero() {
			x.StartsAt = a.At
		}
		words := Words{Blocks: []Block{b}}
		x.Annotations["description"] = words.Plain(m.Lang)
		switch {
		case a.over():
			x.EndsAt = a.At
			x.StartsAt = minTime(x.StartsAt, a.At)
		case a.Event == "blind": // until it sees again
		case a.Status == Info:
			x.StartsAt, x.EndsAt = a.At, m.At.Add(time.Hour)
		}
		out = append(out, x)
	}
	_, err := t.json(ctx, t.to, out)
	return err
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
