package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// webhook posts our own JSON, for programs. With a secret it carries X-Mailwhy-Timestamp and X-Mailwhy-Signature: the hex
// HMAC-SHA256 of timestamp, a dot, and the body.
type webhook struct {
	*post
	secret string
	now    func() time.Time
}

type webhookBody struct {
	Version int          `json:"version"`
	Title   string       `json:"title"`
	Lang    finding.Lang `json:"lang"`
	Text    string       `json:"text"`
	Alerts  []hookAlert  `json:"alerts"`
}

// hookAlert is an alert in one language.
type hookAlert struct {
	ID       string            `json:"id"`
	Key      string            `json:"key"`
	Status   Status            `json:"status"`
	Event    string            `json:"event"`
	Severity finding.Severity  `json:"severity"`
	Monitor  string            `json:"monitor"`
	Kind     string            `json:"kind,omitempty"`
	Title    string            `json:"title"`
	Target   string            `json:"target,omitempty"`
	What     string            `json:"what"`
	How      string            `json:"how,omitempty"`
	Since    time.Time         `json:"since,omitzero"`
	At       time.Time         `json:"at"`
	Why      []string          `json:"why,omitempty"`
	Evidence []string          `json:"evidence,omitempty"`
	Owner    string            `json:"owner,omitempty"`
	Next     string            `json:"next,omitempty"`
	Link     string            `json:"link,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
}

func newWebhook(c *Channel, d *Doors) (Sender, error) {
	p, err := newPost(c, d, "")
	if err != nil {
		return nil, err
	}
	secret, err := d.read(c.Secret)
	p.secrets = append(p.secrets, secret)
	return &webhook{p, secret, d.clock()}, err
}

func (d *Doors) clock() func() time.Time {
	if d.Now == nil {
		return time.Now
	}
	return d.Now
}

func (w *webhook) Send(ctx context.Context, m *Message) error {
	words := m.Say()
	body := webhookBody{Version: 1, Title: words.Title, Lang: m.Lang, Text: words.Plain(m.Lang)}
	for i := range m.Alerts {
		a := &m.Alerts[i]
		x := hookAlert{
			ID: a.ID, Key: a.Key, Status: a.Status, Event: a.Event, Severity: a.Severity, Monitor: a.Monitor, Kind: a.Kind, Title: a.Title, Target: a.Target,
			What: a.What.In(m.Lang), How: a.How.In(m.Lang), Since: a.Since, At: a.At, Evidence: a.Evidence, Owner: a.Owner, Next: a.Next, Link: a.Link, Labels: a.Labels,
		}
		for _, y := range a.Why {
			x.Why = append(x.Why, y.In(m.Lang))
		}
		body.Alerts = append(body.Alerts, x)
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if w.secret != "" {
		stamp := strconv.FormatInt(w.now().Unix(), 10)
		mac := hmac.New(sha256.New, []byte(w.secret))
		mac.Write([]byte(stamp + "."))
		mac.Write(raw)
		w.header.Set("X-Mailwhy-Timestamp", stamp)
		w.header.Set("X-Mailwhy-Signature", hex.EncodeToString(mac.Sum(nil)))
	}
	_, err = w.send(ctx, w.to, raw)
	return err
}
