package notify

import (
	"context"
	"strings"
)

// slack posts to an incoming webhook: text for the notification, blocks of mrkdwn for the message.
type slack struct{ *post }

func newSlack(c *Channel, d *Doors) (Sender, error) {
	p, err := newPost(c, d, "")
	return &slack{p}, err
}

// Slack's own bounds: 3,000 characters in a section, 150 in a header, 50 blocks; and some 13,000 in all, which it does not
// document (msg_blocks_too_long). Held against its documentation and issues of its clients on 2026-11-22.
const (
	slackSection = 2900
	slackHeader  = 150
	slackSize    = 11_000
)

// slackEscape writes the three characters that mean something in Slack's mrkdwn.
var slackEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

var slackWords = dialect{"*", strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "*", "＊", "`", "'").Replace, inCode("&", "&amp;", "<", "&lt;", ">", "&gt;")}

func (s *slack) Send(ctx context.Context, m *Message) error {
	type text struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	type block struct {
		Type string `json:"type"`
		Text *text  `json:"text,omitempty"`
	}
	w := m.Say()
	raw, err := w.fit(m.Lang, slackSize, func() ([]byte, error) {
		blocks := []block{{"header", &text{"plain_text", shorten(w.Title, slackHeader)}}}
		for i := range w.Blocks {
			one := Words{Blocks: w.Blocks[i : i+1]}
			blocks = append(blocks, block{"section", &text{"mrkdwn", shorten(one.markdown(m.Lang, &slackWords), slackSection)}})
		}
		if w.Foot != "" {
			blocks = append(blocks, block{"section", &text{"mrkdwn", slackEscape.Replace(w.Foot)}})
		}
		return encode(map[string]any{"text": slackEscape.Replace(w.Title), "blocks": blocks})
	})
	if err != nil {
		return err
	}
	answer, err := s.send(ctx, s.to, raw)
	if err == nil && strings.TrimSpace(string(answer)) != "ok" {
		err = &Refusal{Text: shorten(oneLine(string(answer)), 300)}
	}
	return err
}

// teams posts an Adaptive Card to a webhook of the Workflows app, which takes no older card; the connectors that did are
// retired. Held against Microsoft's pages on connectors and Workflows on 2026-11-22.
type teams struct{ *post }

func newTeams(c *Channel, d *Doors) (Sender, error) {
	p, err := newPost(c, d, "")
	return &teams{p}, err
}

// teamsSize is the most a Teams message may have, in bytes; the service says 28 kB.
const teamsSize = 26 << 10

func (t *teams) Send(ctx context.Context, m *Message) error {
	w := m.Say()
	raw, err := w.fit(m.Lang, teamsSize, func() ([]byte, error) { return encode(teamsCard(w, m)) })
	if err == nil {
		_, err = t.send(ctx, t.to, raw)
	}
	return err
}

func teamsCard(w Words, m *Message) any {
	type fact struct {
		Title string `json:"title"`
		Value string `json:"value"`
	}
	body := []any{map[string]any{"type": "TextBlock", "size": "Medium", "weight": "Bolder", "wrap": true, "text": teamsEscape.Replace(w.Title)}}
	for i := range w.Blocks {
		b := &w.Blocks[i]
		color := "attention"
		if b.Status == Resolved {
			color = "good"
		}
		body = append(body, map[string]any{"type": "TextBlock", "weight": "Bolder", "wrap": true, "separator": true, "color": color, "text": teamsEscape.Replace(b.Mark + " " + b.Head)})
		var facts []fact
		for _, l := range b.Lines {
			facts = append(facts, fact{l.Name, teamsEscape.Replace(l.Value)})
		}
		if b.Next != "" {
			facts = append(facts, fact{next(m.Lang), b.Next})
		}
		body = append(body, map[string]any{"type": "FactSet", "facts": facts})
		if len(b.Evidence) > 0 {
			body = append(body, map[string]any{"type": "TextBlock", "fontType": "Monospace", "wrap": true, "text": teamsEscape.Replace(oneLine(strings.Join(b.Evidence, " | ")))})
		}
	}
	if w.Foot != "" {
		body = append(body, map[string]any{"type": "TextBlock", "wrap": true, "text": w.Foot})
	}
	card := map[string]any{"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": body, "msteams": map[string]any{"width": "Full"}}
	if len(w.Blocks) == 1 && w.Blocks[0].Link != "" {
		card["actions"] = []any{map[string]any{"type": "Action.OpenUrl", "title": "mailwhy", "url": w.Blocks[0].Link}}
	}
	return map[string]any{"type": "message", "attachments": []any{map[string]any{"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": nil, "content": card}}}
}

// teamsEscape keeps names with underscores from becoming italics.
var teamsEscape = strings.NewReplacer("_", `\_`, "*", `\*`, "[", `\[`)

// mattermost posts Markdown to an incoming webhook.
type mattermost struct{ *post }

func newMattermost(c *Channel, d *Doors) (Sender, error) {
	p, err := newPost(c, d, "")
	return &mattermost{p}, err
}

// mattermostSize is the longest message a Mattermost server takes, in characters: 16,383 since version 5.0 (as told on 2026-11-22).
const mattermostSize = 16000

var markdownEscape = strings.NewReplacer(`\`, `\\`, "_", `\_`, "*", `\*`, "`", "\\`", "[", `\[`, "<", `\<`, "@", "@\u200b")

var markdownWords = dialect{"**", markdownEscape.Replace, inCode("@", "@\u200b", "<", "＜")}

func (t *mattermost) Send(ctx context.Context, m *Message) error {
	w := m.Say()
	text := "#### " + markdownEscape.Replace(w.Title) + "\n" + w.markdown(m.Lang, &markdownWords)
	answer, err := t.json(ctx, t.to, map[string]any{"text": shorten(text, mattermostSize), "username": "mailwhy"})
	if err == nil && strings.TrimSpace(string(answer)) != "ok" {
		err = &Refusal{Text: shorten(oneLine(string(answer)), 300)}
	}
	return err
}
