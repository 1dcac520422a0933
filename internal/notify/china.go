package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// dingTalk posts to a custom robot. With a secret the address carries timestamp (milliseconds) and sign: the Base64 of
// HMAC-SHA256 over "timestamp\nsecret" with the secret as key. A robot takes 20 messages a minute and then none for ten
// minutes. Held against copies of the custom robot's documentation on 2026-11-22.
type dingTalk struct {
	*post
	secret string
	now    func() time.Time
}

// dingTalkSize is the most a message may have, in bytes.
const dingTalkSize = 18000

func newDingTalk(c *Channel, d *Doors) (Sender, error) {
	p, err := newPost(c, d, "")
	if err != nil {
		return nil, err
	}
	secret, err := d.read(c.Secret)
	p.secrets = append(p.secrets, secret)
	return &dingTalk{p, secret, d.clock()}, err
}

func signDingTalk(secret string, at time.Time) url.Values {
	stamp := strconv.FormatInt(at.UnixMilli(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(stamp + "\n" + secret))
	return url.Values{"timestamp": {stamp}, "sign": {base64.StdEncoding.EncodeToString(mac.Sum(nil))}}
}

func (t *dingTalk) Send(ctx context.Context, m *Message) error {
	to := t.to
	if t.secret != "" {
		u, err := url.Parse(to)
		if err != nil {
			return mask(err, t.secrets...)
		}
		q := u.Query()
		for k, v := range signDingTalk(t.secret, t.now()) {
			q[k] = v
		}
		u.RawQuery = q.Encode()
		to = u.String()
	}
	w := m.Say()
	body, err := w.fit(m.Lang, dingTalkSize, func() ([]byte, error) {
		text := "#### " + markdownEscape.Replace(w.Title) + "\n\n" + w.markdown(m.Lang, &markdownWords)
		text = strings.ReplaceAll(text, "**\n- ", "**\n\n- ") // a list begins after an empty line
		return encode(map[string]any{"msgtype": "markdown", "markdown": map[string]any{"title": shorten(w.Title, 200), "text": text}})
	})
	if err != nil {
		return err
	}
	raw, err := t.send(ctx, to, body)
	if err != nil {
		return err
	}
	return errCode(raw, t.secrets)
}

// errCode reads the answer of DingTalk and WeCom: 200 with an error code inside.
func errCode(raw []byte, secrets []string) error {
	r := struct {
		Code *int   `json:"errcode"`
		Text string `json:"errmsg"`
	}{}
	if err := answered(raw, &r); err != nil {
		return mask(err, secrets...)
	}
	if r.Code == nil || *r.Code != 0 {
		x := &Refusal{Text: shorten(oneLine(string(raw)), 300)}
		switch { // too many messages in a minute
		case r.Code == nil:
		case *r.Code == 130101: // DingTalk, which then takes none for ten minutes
			x.After = 10 * time.Minute
		case *r.Code == 45009: // WeCom
			x.After = time.Minute
		}
		return mask(x, secrets...)
	}
	return nil
}

// weCom posts Markdown to a group robot: at most 4,096 bytes and 20 messages a minute, as its documentation (91770) said on
// 2026-11-22.
type weCom struct{ *post }

const weComSize = 4096

func newWeCom(c *Channel, d *Doors) (Sender, error) {
	p, err := newPost(c, d, "")
	return &weCom{p}, err
}

// weComEscape: this dialect knows no backslash.
var weComEscape = strings.NewReplacer("<", "＜", ">", "＞", "`", "'", "*", "＊", "@", "＠")

var weComWords = dialect{"**", weComEscape.Replace, inCode("<", "＜", ">", "＞", "@", "＠")}

func (t *weCom) Send(ctx context.Context, m *Message) error {
	w := m.Say()
	text := w.markdown(m.Lang, &weComWords)
	for len(text) > weComSize && len(w.Blocks) > 1 {
		w.drop(m.Lang)
		text = "**" + weComEscape.Replace(w.Title) + "**\n" + w.markdown(m.Lang, &weComWords)
	}
	raw, err := t.json(ctx, t.to, map[string]any{"msgtype": "markdown", "markdown": map[string]any{"content": shorten(text, weComSize)}})
	if err != nil {
		return err
	}
	return errCode(raw, t.secrets)
}

// feishu posts a card to a custom bot. With a secret the body carries timestamp (seconds) and sign: the Base64 of
// HMAC-SHA256 over nothing, with "timestamp\nsecret" as key. Held against copies of the custom bot's documentation on
// 2026-11-22.
type feishu struct {
	*post
	secret string
	now    func() time.Time
}

func newFeishu(c *Channel, d *Doors) (Sender, error) {
	p, err := newPost(c, d, "")
	if err != nil {
		return nil, err
	}
	secret, err := d.read(c.Secret)
	p.secrets = append(p.secrets, secret)
	return &feishu{p, secret, d.clock()}, err
}

func signFeishu(secret, stamp string) string {
	mac := hmac.New(sha256.New, []byte(stamp+"\n"+secret))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// feishuSize is the most a request may have, in bytes; the service says 20 kB.
const feishuSize = 19_000

func (t *feishu) Send(ctx context.Context, m *Message) error {
	w := m.Say()
	color := "red"
	if len(m.Alerts) > 0 && m.Alerts[len(m.Alerts)-1].Status == Resolved {
		color = "green"
	}
	body := map[string]any{"msg_type": "interactive"}
	if t.secret != "" {
		stamp := strconv.FormatInt(t.now().Unix(), 10)
		body["timestamp"], body["sign"] = stamp, signFeishu(t.secret, stamp)
	}
	raw, err := w.fit(m.Lang, feishuSize, func() ([]byte, error) {
		body["card"] = map[string]any{
			"config":   map[string]any{"wide_screen_mode": true},
			"header":   map[string]any{"template": color, "title": map[string]any{"tag": "plain_text", "content": shorten(w.Title, 300)}},
			"elements": []any{map[string]any{"tag": "div", "text": map[string]any{"tag": "lark_md", "content": w.markdown(m.Lang, &feishuWords)}}},
		}
		return encode(body)
	})
	if err != nil {
		return err
	}
	if raw, err = t.send(ctx, t.to, raw); err != nil {
		return err
	}
	var r struct {
		Code   *int `json:"code"`
		Status *int `json:"StatusCode"` // the older answer
	}
	if err := answered(raw, &r); err != nil {
		return mask(err, t.secrets...)
	}
	if r.Code != nil && *r.Code == 0 || r.Code == nil && r.Status != nil && *r.Status == 0 {
		return nil
	}
	x := &Refusal{Text: shorten(oneLine(string(raw)), 300)}
	if r.Code != nil && *r.Code == 11232 { // too many requests
		x.After = time.Minute
	}
	return mask(x, t.secrets...)
}

var feishuEscape = strings.NewReplacer("<", "&lt;", ">", "&gt;", "*", "&#42;", "~", "&#126;", "[", "&#91;", "`", "'")

var feishuWords = dialect{"**", feishuEscape.Replace, inCode("<", "&lt;", ">", "&gt;")}
