package notify

import (
	"context"
	"errors"
	"html"
	"strings"
	"time"
	"unicode/utf16"
)

// telegram speaks the bot API: sendMessage with HTML, at most 4,096 characters behind the tags, counted as UTF-16 does.
// Held against the documentation of the Bot API and of its limits on 2026-11-22.
type telegram struct {
	*post
	chat string
}

const telegramSize = 4000

func newTelegram(c *Channel, d *Doors) (Sender, error) {
	token, err := d.read(c.Secret)
	if err != nil {
		return nil, err
	}
	if token == "" || strings.ContainsAny(token, "/?# \r\n") {
		return nil, errors.New("what secret refers to is no token of a bot")
	}
	p, err := newPost(c, d, "https://api.telegram.org")
	if err != nil {
		return nil, err
	}
	p.to = strings.TrimSuffix(p.to, "/") + "/bot" + token + "/sendMessage"
	p.secrets = append(p.secrets, token)
	return &telegram{p, c.Chat}, nil
}

func (t *telegram) Send(ctx context.Context, m *Message) error {
	w := m.Say()
	text := w.html(m)
	for units(text) > telegramSize && len(w.Blocks) > 1 { // tags must not be cut in two
		w.drop(m.Lang)
		text = w.html(m)
	}
	if units(text) > telegramSize {
		text = html.EscapeString(shorten(w.Title, 1000))
	}
	raw, err := t.json(ctx, t.to, map[string]any{"chat_id": t.chat, "text": text, "parse_mode": "HTML", "link_preview_options": map[string]any{"is_disabled": true}})
	var r struct {
		OK          bool   `json:"ok"`
		Description string `json:"description"`
		Parameters  struct {
			RetryAfter int `json:"retry_after"`
		} `json:"parameters"`
	}
	if raw == nil {
		return err
	}
	if bad := answered(raw, &r); bad != nil {
		return errors.Join(err, mask(bad, t.secrets...))
	}
	if !r.OK {
		return mask(&Refusal{Text: r.Description, After: time.Duration(r.Parameters.RetryAfter) * time.Second}, t.secrets...)
	}
	return err
}

// units is how long a text is in UTF-16: a sign beyond the first plane counts twice.
func units(s string) (n int) {
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// html is the message in the few tags Telegram knows.
func (w *Words) html(m *Message) string {
	var b strings.Builder
	if len(w.Blocks) > 1 {
		b.WriteString("<b>" + html.EscapeString(w.Title) + "</b>\n")
	}
	for _, x := range w.Blocks {
		b.WriteString("<b>" + html.EscapeString(x.Mark+" "+x.Head) + "</b>\n")
		for _, l := range x.Lines {
			b.WriteString(html.EscapeString(l.Name+colon(m.Lang)+l.Value) + "\n")
		}
		for _, e := range x.Evidence {
			b.WriteString("<code>" + html.EscapeString(oneLine(e)) + "</code>\n")
		}
		if x.Next != "" {
			b.WriteString(html.EscapeString(next(m.Lang)+colon(m.Lang)) + "<code>" + html.EscapeString(x.Next) + "</code>\n")
		}
		if x.Link != "" {
			b.WriteString(html.EscapeString(x.Link) + "\n")
		}
	}
	if w.Foot != "" {
		b.WriteString(html.EscapeString(w.Foot) + "\n")
	}
	return b.String()
}
