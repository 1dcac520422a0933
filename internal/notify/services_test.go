package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// service refuses what the documentation of a service does not allow, as the service does: it says what is wrong, "" for
// nothing.
type service struct {
	channel Channel
	refuse  func(r *http.Request, raw []byte) string
	took    int    // status of what was taken
	says    string // body of it
	no      string // format of a refusal
	noCode  int
}

// docs reads a body of JSON strictly: a key we do not know of the service is wrong.
func docs[T any](raw []byte) (v T, wrong string) {
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, err.Error()
	}
	if !utf8.Valid(raw) {
		return v, "not UTF-8"
	}
	return v, ""
}

// between says what is wrong with a text that must have from 1 to most characters.
func between(name, s string, most int) string {
	if n := utf8.RuneCountInString(s); strings.TrimSpace(s) == "" || n > most {
		return fmt.Sprintf("%s has %d characters, 1 to %d are taken", name, n, most)
	}
	return ""
}

func first(wrongs ...string) string {
	for _, w := range wrongs {
		if w != "" {
			return w
		}
	}
	return ""
}

var rawAmpersand = regexp.MustCompile(`&(amp|lt|gt|quot|#\d+);`)

func slackRefuses(_ *http.Request, raw []byte) string {
	type text struct {
		Type, Text string
	}
	v, wrong := docs[struct {
		Text   string
		Blocks []struct {
			Type string
			Text *text
		}
	}](raw)
	if wrong != "" {
		return wrong
	}
	all := 0
	if len(v.Blocks) == 0 || len(v.Blocks) > 50 {
		return fmt.Sprintf("%d blocks", len(v.Blocks))
	}
	for i, b := range v.Blocks {
		switch {
		case b.Text == nil:
			return "a block without text"
		case b.Type == "header" && b.Text.Type == "plain_text":
			wrong = between("a header", b.Text.Text, 150)
		case b.Type == "section" && b.Text.Type == "mrkdwn":
			wrong = between("a section", b.Text.Text, 3000)
			if plain := rawAmpersand.ReplaceAllString(b.Text.Text, ""); strings.ContainsAny(plain, "<>&") {
				wrong = "a character that is not escaped: " + plain
			}
		default:
			wrong = "a block of type " + b.Type + " with " + b.Text.Type
		}
		if wrong != "" {
			return fmt.Sprintf("block %d: %s", i, wrong)
		}
		all += len(b.Text.Text)
	}
	if all > 12_000 {
		return fmt.Sprintf("msg_blocks_too_long: %d bytes in all", all)
	}
	return between("text", v.Text, 40_000)
}

func teamsRefuses(_ *http.Request, raw []byte) string {
	type element struct {
		Type, Text, Size, Weight, Color, FontType string
		Wrap, Separator                           bool
		Facts                                     []struct{ Title, Value string }
	}
	v, wrong := docs[struct {
		Type        string
		Attachments []struct {
			ContentType string
			ContentURL  *string
			Content     struct {
				Schema        string `json:"$schema"`
				Type, Version string
				Body          []element
				MSTeams       map[string]string
				Actions       []struct{ Type, Title, URL string }
			}
		}
	}](raw)
	switch {
	case wrong != "":
		return wrong
	case len(raw) > 28<<10:
		return fmt.Sprintf("%d bytes", len(raw))
	case v.Type != "message" || len(v.Attachments) != 1 || v.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive":
		return "no message with a card"
	}
	card := v.Attachments[0].Content
	if card.Type != "AdaptiveCard" || !slices.Contains([]string{"1.2", "1.3", "1.4", "1.5"}, card.Version) || len(card.Body) == 0 {
		return "no card of a version that Teams draws: " + card.Version
	}
	for _, e := range card.Body {
		switch {
		case e.Type == "TextBlock" && between("a text", e.Text, 28<<10) == "" && e.Facts == nil:
		case e.Type == "FactSet" && len(e.Facts) > 0 && e.Text == "":
			for _, f := range e.Facts {
				if f.Title == "" || f.Value == "" {
					return "an empty fact"
				}
			}
		default:
			return fmt.Sprintf("element %+v", e)
		}
	}
	for _, a := range card.Actions {
		if a.Type != "Action.OpenUrl" || a.Title == "" || httpURL(a.URL) == nil {
			return fmt.Sprintf("action %+v", a)
		}
	}
	return ""
}

var mention = regexp.MustCompile(`(^|[^\w])@\w`)

func mattermostRefuses(_ *http.Request, raw []byte) string {
	v, wrong := docs[struct{ Text, Username string }](raw)
	if mention.MatchString(v.Text) {
		wrong = "somebody is called: " + mention.FindString(v.Text)
	}
	return first(wrong, between("text", v.Text, 16383))
}

var telegramTag = regexp.MustCompile(`</?(b|code)>`)

func telegramRefuses(r *http.Request, raw []byte) string {
	v, wrong := docs[struct {
		ChatID    string `json:"chat_id"`
		Text      string
		ParseMode string          `json:"parse_mode"`
		Preview   map[string]bool `json:"link_preview_options"`
	}](raw)
	if wrong != "" {
		return wrong
	}
	var open []string
	for _, tag := range telegramTag.FindAllString(v.Text, -1) {
		name := strings.Trim(tag, "</>")
		switch {
		case !strings.HasPrefix(tag, "</"):
			open = append(open, name)
		case len(open) == 0 || open[len(open)-1] != name:
			return "can't parse entities: unmatched " + tag
		default:
			open = open[:len(open)-1]
		}
	}
	plain := telegramTag.ReplaceAllString(v.Text, "")
	switch {
	case r.URL.Path != "/bot123:abcDEF/sendMessage":
		return "Not Found"
	case v.ChatID == "":
		return "chat not found"
	case v.ParseMode != "HTML" || len(open) > 0 || strings.ContainsAny(rawAmpersand.ReplaceAllString(plain, ""), "<>&"):
		return "can't parse entities"
	case len(utf16.Encode([]rune(html.UnescapeString(plain)))) > 4096:
		return "message is too long"
	}
	return between("text", plain, 1<<20)
}

// near says what is wrong with the time of a signature: the services take an hour either way.
func near(stamp string, unit time.Duration) string {
	n, err := strconv.ParseInt(stamp, 10, 64)
	if at := time.Unix(0, n*int64(unit)); err != nil || at.Sub(start).Abs() > time.Hour {
		return "timestamp " + stamp
	}
	return ""
}

func dingTalkRefuses(r *http.Request, raw []byte) string {
	v, wrong := docs[struct {
		MsgType  string
		Markdown struct{ Title, Text string }
	}](raw)
	q := r.URL.Query()
	mac := hmac.New(sha256.New, []byte("SECabc"))
	io.WriteString(mac, q.Get("timestamp")+"\nSECabc")
	if q.Get("sign") != base64.StdEncoding.EncodeToString(mac.Sum(nil)) || q.Get("access_token") != "tok" {
		return "sign not match"
	}
	if len(raw) > 20_000 {
		return fmt.Sprintf("%d bytes", len(raw))
	}
	if v.MsgType != "markdown" {
		return "msgtype " + v.MsgType
	}
	return first(wrong, near(q.Get("timestamp"), time.Millisecond), between("title", v.Markdown.Title, 20_000), between("text", v.Markdown.Text, 20_000))
}

func weComRefuses(_ *http.Request, raw []byte) string {
	v, wrong := docs[struct {
		MsgType  string
		Markdown struct{ Content string }
	}](raw)
	if n := len(v.Markdown.Content); n > 4096 || v.MsgType != "markdown" {
		return fmt.Sprintf("%d bytes of %s", n, v.MsgType)
	}
	if strings.Contains(v.Markdown.Content, "<@") || strings.Contains(v.Markdown.Content, "<font") {
		return "what a peer said calls somebody"
	}
	return first(wrong, between("content", v.Markdown.Content, 4096))
}

func feishuRefuses(_ *http.Request, raw []byte) string {
	type text struct{ Tag, Content string }
	v, wrong := docs[struct {
		MsgType         string `json:"msg_type"`
		Timestamp, Sign string
		Card            struct {
			Config map[string]bool
			Header struct {
				Template string
				Title    text
			}
			Elements []struct {
				Tag  string
				Text text
			}
		}
	}](raw)
	mac := hmac.New(sha256.New, []byte(v.Timestamp+"\nkey"))
	switch {
	case wrong != "":
		return wrong
	case v.Sign != base64.StdEncoding.EncodeToString(mac.Sum(nil)):
		return "sign match fail"
	case len(raw) > 20_000:
		return fmt.Sprintf("%d bytes", len(raw))
	case v.MsgType != "interactive" || v.Card.Header.Title.Tag != "plain_text" || !slices.Contains([]string{"red", "orange", "green", "blue"}, v.Card.Header.Template) || len(v.Card.Elements) == 0:
		return "no card"
	}
	for _, e := range v.Card.Elements {
		if e.Tag != "div" || e.Text.Tag != "lark_md" || between("a text", e.Text.Content, 20_000) != "" || strings.Contains(e.Text.Content, "<at") {
			return fmt.Sprintf("element %+v", e)
		}
	}
	return first(near(v.Timestamp, time.Second), between("title", v.Card.Header.Title.Content, 300))
}

func pagerDutyRefuses(_ *http.Request, raw []byte) string {
	v, wrong := docs[struct {
		RoutingKey string `json:"routing_key"`
		Action     string `json:"event_action"`
		Dedup      string `json:"dedup_key"`
		Client     string
		ClientURL  string `json:"client_url"`
		Links      []struct{ Href, Text string }
		Payload    *struct {
			Summary, Source, Severity, Timestamp, Component, Class string
			Details                                                map[string]string `json:"custom_details"`
		}
	}](raw)
	switch {
	case wrong != "":
		return wrong
	case v.RoutingKey == "" || len(raw) > 512<<10 || len(v.Dedup) > 255:
		return "no key, or too long"
	case v.Action == "resolve" && v.Dedup != "" && v.Payload == nil:
		return ""
	case v.Action != "trigger" || v.Payload == nil:
		return "event_action " + v.Action
	}
	p := v.Payload
	if _, err := time.Parse(time.RFC3339, p.Timestamp); err != nil || !slices.Contains([]string{"critical", "error", "warning", "info"}, p.Severity) {
		return fmt.Sprintf("payload %+v", p)
	}
	return first(between("summary", p.Summary, 1024), between("source", p.Source, 1024))
}

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

func alertmanagerRefuses(r *http.Request, raw []byte) string {
	all, wrong := docs[[]amAlert](raw)
	if wrong != "" || r.URL.Path != "/api/v2/alerts" || len(all) == 0 {
		return "no list of alerts: " + wrong
	}
	for _, a := range all {
		if a.Labels["alertname"] == "" || !a.EndsAt.After(a.StartsAt) && !a.EndsAt.Equal(a.StartsAt) || a.StartsAt.IsZero() {
			return fmt.Sprintf("alert %+v", a)
		}
		for _, m := range []map[string]string{a.Labels, a.Annotations} {
			for k := range m {
				if !labelName.MatchString(k) {
					return "label " + k
				}
			}
		}
	}
	return ""
}

func webhookRefuses(r *http.Request, raw []byte) string {
	mac := hmac.New(sha256.New, []byte("key"))
	mac.Write([]byte(r.Header.Get("X-Mailwhy-Timestamp") + "."))
	mac.Write(raw)
	if r.Header.Get("X-Mailwhy-Signature") != hex.EncodeToString(mac.Sum(nil)) {
		return "signature"
	}
	_, wrong := docs[webhookBody](raw)
	return first(wrong, near(r.Header.Get("X-Mailwhy-Timestamp"), time.Second))
}

func services() map[string]service {
	ding := `{"errcode":310000,"errmsg":%q}`
	return map[string]service{
		"slack":        {Channel{Hook: "file:hook"}, slackRefuses, 200, "ok", "%s", 400},
		"teams":        {Channel{Hook: "file:hook"}, teamsRefuses, 202, "", `{"error":{"message":%q}}`, 400},
		"mattermost":   {Channel{Hook: "file:hook"}, mattermostRefuses, 200, "ok", `{"message":%q}`, 400},
		"telegram":     {Channel{Secret: "file:token", Chat: "-100123"}, telegramRefuses, 200, `{"ok":true,"result":{}}`, `{"ok":false,"error_code":400,"description":%q}`, 400},
		"dingtalk":     {Channel{Hook: "file:ding", Secret: "file:sec"}, dingTalkRefuses, 200, `{"errcode":0,"errmsg":"ok"}`, ding, 200},
		"wecom":        {Channel{Hook: "file:hook"}, weComRefuses, 200, `{"errcode":0,"errmsg":"ok"}`, ding, 200},
		"feishu":       {Channel{Hook: "file:hook", Secret: "file:key"}, feishuRefuses, 200, `{"code":0,"data":{},"msg":"success"}`, `{"code":9499,"msg":%q}`, 200},
		"pagerduty":    {Channel{Secret: "file:token"}, pagerDutyRefuses, 202, `{"status":"success","message":"Event processed","dedup_key":"x"}`, `{"status":"invalid event","message":%q}`, 400},
		"alertmanager": {Channel{}, alertmanagerRefuses, 200, "", "%q", 400},
		"webhook":      {Channel{Secret: "file:key"}, webhookRefuses, 204, "", "%s", 422},
	}
}

// hard are messages of every shape: one, many, long, hostile, in both languages, ends and news.
func hard() map[string][]Alert {
	long, hostile, blind, many, empty := failing(), failing(), failing(), []Alert(nil), failing()
	long.What, long.Evidence = Text{EN: strings.Repeat("the server answers slowly & <late>; ", 300)}, []string{strings.Repeat("*x* `y` <z> & ", 2000)}
	long.Why = []Text{{EN: strings.Repeat("警告", 3000)}}
	hostile.Title, hostile.Target = "@channel <!everyone> <at id=all></at>", "<@U123> [x](https://evil.example) @all"
	hostile.What = Text{EN: "550 <b>bold</b> </code> *_~`|>@here \x1b[31m\u202e\r\n.\r\nBcc: x \xff & &amp; \\ \U0001f600"}
	hostile.Evidence = []string{"</code><script>", "```", "@channel <at user_id=\"all\">"}
	blind.ID, blind.Event, blind.Status, blind.Key = "mx/blind/1", "blind", Info, "mx-blind"
	empty.Evidence, empty.Why, empty.Next, empty.Link, empty.Whose, empty.How, empty.Kind, empty.Target = nil, nil, "", "", Text{}, Text{}, "", ""
	for i := range 40 {
		a := long
		if i%3 == 0 {
			a = hostile
		}
		a.ID, a.Key = fmt.Sprint("many/", i), fmt.Sprint("many-", i)
		many = append(many, a)
	}
	return map[string][]Alert{"one": {failing()}, "its end": {mended()}, "both": {failing(), mended()}, "long": {long}, "hostile": {hostile}, "cannot test": {blind}, "nearly empty": {empty}, "many": many}
}

// Every message is one that the service takes, whatever peers put into it.
func TestServicesTakeEverything(t *testing.T) {
	for kind, s := range services() {
		for name, alerts := range hard() {
			for _, lang := range []string{"en", "zh"} {
				t.Run(kind+"/"+name+"/"+lang, func(t *testing.T) {
					srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						raw, err := io.ReadAll(r.Body)
						wrong := s.refuse(r, raw)
						if ct := r.Header.Get("Content-Type"); err != nil || r.Method != http.MethodPost || !strings.HasPrefix(ct, "application/json") {
							wrong = r.Method + " " + ct
						}
						if wrong == "" {
							w.WriteHeader(s.took)
							io.WriteString(w, s.says)
							return
						}
						w.WriteHeader(s.noCode)
						fmt.Fprintf(w, s.no, wrong)
					}))
					defer srv.Close()
					c := s.channel
					c.ID, c.Kind, c.Lang = "x", kind, lang
					if c.Hook == "" {
						c.URL = srv.URL
					}
					d := doors(map[Secret]string{"file:hook": srv.URL + "/services/x", "file:ding": srv.URL + "/robot/send?access_token=tok", "file:sec": "SECabc", "file:key": "key", "file:token": "123:abcDEF"})
					sender, err := c.Open(d)
					if err != nil {
						t.Fatal(err)
					}
					if err := sender.Send(context.Background(), &Message{Lang: c.lang(), Alerts: alerts, At: start.Add(5 * time.Minute)}); err != nil {
						t.Error(shorten(err.Error(), 600))
					}
				})
			}
		}
	}
}

// Every kind but mail is tried against its service here; mail has a mail server of its own.
func TestServicesAreAll(t *testing.T) {
	for _, k := range Kinds() {
		if _, ok := services()[k.Name]; !ok && k.Name != "mail" {
			t.Errorf("%s is tried by nothing", k.Name)
		}
	}
}

// What a service says of when to come again is heard, in each of its forms.
func TestServicesSayWhen(t *testing.T) {
	for _, c := range []struct {
		kind   string
		status int
		header map[string]string
		body   string
		want   time.Duration
	}{
		{"slack", 429, map[string]string{"Retry-After": "30"}, "", 30 * time.Second},
		{"teams", 429, map[string]string{"Retry-After": "Sun, 22 Nov 2026 03:10:00 GMT", "Date": "Sun, 22 Nov 2026 03:05:00 GMT"}, "", 5 * time.Minute},
		{"pagerduty", 429, nil, `{"status":"throttle exceeded","message":"Requests for this service are arriving too quickly."}`, 0},
		{"mattermost", 503, map[string]string{"Retry-After": "-5"}, "", 0},
		{"dingtalk", 200, nil, `{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}`, 10 * time.Minute},
		{"wecom", 200, nil, `{"errcode":45009,"errmsg":"api freq out of limit"}`, time.Minute},
		{"feishu", 200, nil, `{"code":11232,"msg":"frequency limited psm[lark.oapi.app_platform_runtime]"}`, time.Minute},
		{"telegram", 429, nil, `{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":17}}`, 17 * time.Second},
	} {
		s := newStub(t, "")
		s.answer = func(int) (int, map[string]string, string) { return c.status, c.header, c.body }
		ch := services()[c.kind].channel
		ch.Kind = c.kind
		if ch.Hook == "" {
			ch.URL = s.URL
		}
		err := send(t, ch, doors(map[Secret]string{"file:hook": s.URL, "file:ding": s.URL, "file:sec": "SECabc", "file:key": "key", "file:token": "123:abcDEF"}), failing())
		var r *Refusal
		if !errors.As(err, &r) || r.After != c.want {
			t.Errorf("%s: %v", c.kind, err)
		}
	}
}

// A monitor that cannot test and then can again does not leave an alert standing where services keep them.
func TestSightComesBack(t *testing.T) {
	blind, sees := failing(), failing()
	blind.Event, blind.Status, blind.Key = "blind", Info, "mx-blind"
	sees.Event, sees.Status, sees.Key, sees.At = "sees", Info, "mx-blind", start.Add(time.Hour)
	s := newStub(t, `{"status":"success"}`)
	d := doors(map[Secret]string{"env:KEY": "R0UTING"})
	pager := Channel{Kind: "pagerduty", Secret: "env:KEY", URL: s.URL}
	if err := send(t, pager, d, blind, sees); err != nil {
		t.Fatal(err)
	}
	if _, v := s.last(t); text(t, v, "event_action") != "resolve" || text(t, v, "dedup_key") != "mx-blind" {
		t.Errorf("%v", v)
	}
	if err := send(t, Channel{Kind: "alertmanager", URL: s.URL}, d, blind, sees); err != nil {
		t.Fatal(err)
	}
	_, v := s.last(t)
	if text(t, v, "list", 0, "endsAt") <= "2026-11-23" || text(t, v, "list", 1, "endsAt") != "2026-11-22T04:00:00Z" || text(t, v, "list", 0, "labels", "incident") != text(t, v, "list", 1, "labels", "incident") {
		t.Errorf("%v", v)
	}
}
