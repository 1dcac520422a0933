package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

var start = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

func failing() Alert {
	return Alert{
		ID: "mx/opened/1", Key: "mx-1", Status: Firing, Severity: finding.Error, Event: "opened", Monitor: "mx", Kind: "server", Title: "Mail_server *one*", Target: "mail.mine.example",
		What: Text{"port 993 does not answer: <refused>", "993 端口没有应答"}, How: Text{"failed 5 times in a row", "连续失败 5 次"}, Since: start, At: start.Add(5 * time.Minute),
		Why: []Text{{"port 25 does not answer", ""}}, Evidence: []string{"192.0.2.1:993 connection refused `x`"}, Owner: "server", Whose: Text{"whoever runs the server", "服务器管理员"},
		Next: "mailwhy server mail.mine.example", Link: "https://why.mine.example/#/monitors/mx",
	}
}

func mended() Alert {
	a := failing()
	a.ID, a.Status, a.Event, a.What, a.Evidence, a.Why = "mx/resolved/2", Resolved, "resolved", Text{"mail.mine.example is fine", "mail.mine.example 正常"}, nil, nil
	return a
}

// stub is a service that keeps what it got and answers what it is told.
type stub struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	bodies   [][]byte
	answer   func(n int) (status int, header map[string]string, body string)
}

func newStub(t *testing.T, body string) *stub {
	s := &stub{answer: func(int) (int, map[string]string, string) { return 200, nil, body }}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.requests, s.bodies = append(s.requests, r), append(s.bodies, raw)
		status, header, answer := s.answer(len(s.bodies))
		s.mu.Unlock()
		for k, v := range header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	t.Cleanup(s.Close)
	return s
}

// last decodes the last request.
func (s *stub) last(t *testing.T) (*http.Request, map[string]any) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.bodies) == 0 {
		t.Fatal("nothing arrived")
	}
	r, raw := s.requests[len(s.requests)-1], s.bodies[len(s.bodies)-1]
	if ct := r.Header.Get("Content-Type"); r.Method != "POST" || !strings.HasPrefix(ct, "application/json") {
		t.Errorf("%s with %s", r.Method, ct)
	}
	var v map[string]any
	if err := json.Unmarshal(raw, &v); err != nil {
		var list []any
		if json.Unmarshal(raw, &list) != nil {
			t.Fatalf("%v in %s", err, raw)
		}
		v = map[string]any{"list": list}
	}
	return r, v
}

// at follows a path of keys and indexes.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok || m[p] == nil {
				t.Fatalf("no %v in %v", path, v)
			}
			v = m[p]
		case int:
			l, ok := v.([]any)
			if !ok || len(l) <= p {
				t.Fatalf("no %v in %v", path, v)
			}
			v = l[p]
		}
	}
	return v
}

func text(t *testing.T, v any, path ...any) string {
	t.Helper()
	s, ok := at(t, v, path...).(string)
	if !ok {
		t.Fatalf("%v is no text", path)
	}
	return s
}

func doors(secrets map[Secret]string) *Doors {
	return &Doors{Now: func() time.Time { return start }, Secret: func(s Secret) (string, error) {
		v, ok := secrets[s]
		if !ok {
			return "", errors.New("no " + string(s))
		}
		return v + "\n", nil
	}}
}

func send(t *testing.T, c Channel, d *Doors, alerts ...Alert) error {
	t.Helper()
	s, err := c.Open(d)
	if err != nil {
		t.Fatal(err)
	}
	return s.Send(context.Background(), &Message{Lang: c.lang(), Alerts: alerts, At: start.Add(5 * time.Minute)})
}

func TestSlack(t *testing.T) {
	s := newStub(t, "ok")
	if err := send(t, Channel{Kind: "slack", Hook: "file:x"}, doors(map[Secret]string{"file:x": s.URL + "/services/T0/B0/xyz"}), failing()); err != nil {
		t.Fatal(err)
	}
	r, v := s.last(t)
	if r.URL.Path != "/services/T0/B0/xyz" || text(t, v, "blocks", 0, "type") != "header" || text(t, v, "blocks", 0, "text", "type") != "plain_text" ||
		text(t, v, "blocks", 1, "type") != "section" || text(t, v, "blocks", 1, "text", "type") != "mrkdwn" {
		t.Errorf("%v", v)
	}
	body := text(t, v, "blocks", 1, "text", "text")
	for _, want := range []string{"*FAIL mail.mine.example: port 993 does not answer: &lt;refused&gt;*", "whose job: whoever runs the server", "next: `mailwhy server mail.mine.example`", "since: ", "failed 5 times in a row", "also: port 25"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not in\n%s", want, body)
		}
	}
	if fallback := text(t, v, "text"); !strings.Contains(fallback, "&lt;refused&gt;") {
		t.Errorf("%q", fallback)
	}
}

func TestTeams(t *testing.T) {
	s := newStub(t, "")
	if err := send(t, Channel{Kind: "teams", Hook: "file:x", Lang: "zh"}, doors(map[Secret]string{"file:x": s.URL + "/workflows/abc"}), failing()); err != nil {
		t.Fatal(err)
	}
	_, v := s.last(t)
	card := at(t, v, "attachments", 0, "content")
	if text(t, v, "type") != "message" || text(t, v, "attachments", 0, "contentType") != "application/vnd.microsoft.card.adaptive" || text(t, card, "type") != "AdaptiveCard" ||
		text(t, card, "version") == "" || text(t, card, "body", 0, "type") != "TextBlock" || text(t, card, "body", 2, "type") != "FactSet" || text(t, card, "actions", 0, "type") != "Action.OpenUrl" {
		t.Errorf("%v", v)
	}
	if head := text(t, card, "body", 1, "text"); !strings.Contains(head, "993 端口没有应答") {
		t.Errorf("%q", head)
	}
	if got := text(t, card, "body", 2, "facts", 0, "value"); got != `Mail\_server \*one\*` {
		t.Errorf("not escaped: %q", got)
	}
	many := make([]Alert, 12)
	for i := range many {
		many[i] = failing()
		many[i].Evidence = []string{strings.Repeat("x", 4000)}
	}
	if err := send(t, Channel{Kind: "teams", Hook: "file:x"}, doors(map[Secret]string{"file:x": s.URL}), many...); err != nil {
		t.Fatal(err)
	}
	if n := len(s.bodies[1]); n > 28<<10 {
		t.Errorf("%d bytes: Teams takes 28 kB", n)
	}
}

func TestMattermost(t *testing.T) {
	s := newStub(t, "ok")
	if err := send(t, Channel{Kind: "mattermost", Hook: "file:x"}, doors(map[Secret]string{"file:x": s.URL}), failing()); err != nil {
		t.Fatal(err)
	}
	_, v := s.last(t)
	if body := text(t, v, "text"); !strings.HasPrefix(body, "#### FAIL mail.mine.example") || !strings.Contains(body, `Mail\_server \*one\*`) || text(t, v, "username") != "mailwhy" {
		t.Errorf("%v", v)
	}
}

func TestTelegram(t *testing.T) {
	s := newStub(t, `{"ok":true,"result":{}}`)
	c := Channel{Kind: "telegram", Secret: "env:TOKEN", Chat: "-100123", URL: s.URL}
	d := doors(map[Secret]string{"env:TOKEN": "123:abcDEF"})
	if err := send(t, c, d, failing(), mended()); err != nil {
		t.Fatal(err)
	}
	r, v := s.last(t)
	body := text(t, v, "text")
	if r.URL.Path != "/bot123:abcDEF/sendMessage" || text(t, v, "chat_id") != "-100123" || text(t, v, "parse_mode") != "HTML" || !strings.Contains(body, "&lt;refused&gt;") ||
		!strings.Contains(body, "<code>mailwhy server mail.mine.example</code>") || !strings.Contains(body, "<b>OK mail.mine.example is fine</b>") || len(body) > 4096 {
		t.Errorf("%v", v)
	}
	s.answer = func(int) (int, map[string]string, string) {
		return 429, nil, `{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 17","parameters":{"retry_after":17}}`
	}
	var refused *Refusal
	if err := send(t, c, d, failing()); !errors.As(err, &refused) || refused.After != 17*time.Second {
		t.Errorf("%v", err)
	}
}

func TestDingTalk(t *testing.T) {
	s := newStub(t, `{"errcode":0,"errmsg":"ok"}`)
	c, d := Channel{Kind: "dingtalk", Hook: "file:x", Secret: "file:s", Lang: "zh"}, doors(map[Secret]string{"file:x": s.URL + "/robot/send?access_token=tok", "file:s": "SECabc"})
	if err := send(t, c, d, failing()); err != nil {
		t.Fatal(err)
	}
	r, v := s.last(t)
	q := r.URL.Query()
	mac := hmac.New(sha256.New, []byte("SECabc"))
	io.WriteString(mac, "1795316400000\nSECabc")
	if q.Get("access_token") != "tok" || q.Get("timestamp") != "1795316400000" || q.Get("sign") != base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		t.Errorf("%v", q)
	}
	if text(t, v, "msgtype") != "markdown" || !strings.Contains(text(t, v, "markdown", "title"), "993 端口没有应答") || !strings.Contains(text(t, v, "markdown", "text"), "由谁处理") {
		t.Errorf("%v", v)
	}
	s.answer = func(int) (int, map[string]string, string) {
		return 200, nil, `{"errcode":310000,"errmsg":"sign not match"}`
	}
	if err := send(t, c, d, failing()); err == nil || !strings.Contains(err.Error(), "sign not match") {
		t.Errorf("%v", err)
	}
}

func TestWeCom(t *testing.T) {
	s := newStub(t, `{"errcode":0,"errmsg":"ok"}`)
	c, d := Channel{Kind: "wecom", Hook: "file:x", Lang: "zh"}, doors(map[Secret]string{"file:x": s.URL + "/cgi-bin/webhook/send?key=k"})
	many := make([]Alert, 30)
	for i := range many {
		many[i] = failing()
	}
	if err := send(t, c, d, many...); err != nil {
		t.Fatal(err)
	}
	_, v := s.last(t)
	if content := text(t, v, "markdown", "content"); text(t, v, "msgtype") != "markdown" || len(content) > 4096 || !strings.Contains(content, "30 条告警") || !strings.Contains(content, "未在此显示") {
		t.Errorf("%d bytes: %v", len(content), v)
	}
	s.answer = func(int) (int, map[string]string, string) {
		return 200, nil, `{"errcode":45009,"errmsg":"api freq out of limit"}`
	}
	var refused *Refusal
	if err := send(t, c, d, failing()); !errors.As(err, &refused) || refused.After != time.Minute {
		t.Errorf("%v", err)
	}
}

func TestFeishu(t *testing.T) {
	s := newStub(t, `{"code":0,"data":{},"msg":"success"}`)
	c, d := Channel{Kind: "feishu", Hook: "file:x", Secret: "file:s"}, doors(map[Secret]string{"file:x": s.URL, "file:s": "key"})
	if err := send(t, c, d, failing()); err != nil {
		t.Fatal(err)
	}
	_, v := s.last(t)
	mac := hmac.New(sha256.New, []byte("1795316400\nkey"))
	if text(t, v, "timestamp") != "1795316400" || text(t, v, "sign") != base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		t.Errorf("signature: %v", v)
	}
	if text(t, v, "msg_type") != "interactive" || text(t, v, "card", "header", "template") != "red" || text(t, v, "card", "elements", 0, "text", "tag") != "lark_md" {
		t.Errorf("%v", v)
	}
	s.answer = func(int) (int, map[string]string, string) { return 200, nil, `{"code":19021,"msg":"sign match fail"}` }
	if err := send(t, c, d, failing()); err == nil || !strings.Contains(err.Error(), "sign match fail") {
		t.Errorf("%v", err)
	}
}

func TestPagerDuty(t *testing.T) {
	s := newStub(t, `{"status":"success","message":"Event processed","dedup_key":"mx-1"}`)
	s.answer = func(int) (int, map[string]string, string) {
		return 202, nil, `{"status":"success","message":"Event processed"}`
	}
	c, d := Channel{Kind: "pagerduty", Secret: "env:KEY", URL: s.URL + "/v2/enqueue"}, doors(map[Secret]string{"env:KEY": "R0UTING"})
	if err := send(t, c, d, failing()); err != nil {
		t.Fatal(err)
	}
	_, v := s.last(t)
	if text(t, v, "routing_key") != "R0UTING" || text(t, v, "event_action") != "trigger" || text(t, v, "dedup_key") != "mx-1" || text(t, v, "payload", "severity") != "error" ||
		text(t, v, "payload", "source") != "mail.mine.example" || text(t, v, "payload", "summary") == "" || text(t, v, "payload", "custom_details", "next") != "mailwhy server mail.mine.example" {
		t.Errorf("%v", v)
	}
	if err := send(t, c, d, mended()); err != nil {
		t.Fatal(err)
	}
	if _, v = s.last(t); text(t, v, "event_action") != "resolve" || text(t, v, "dedup_key") != "mx-1" || v["payload"] != nil {
		t.Errorf("%v", v)
	}
	s.answer = func(int) (int, map[string]string, string) {
		return 400, nil, `{"status":"invalid event","message":"R0UTING is bad"}`
	}
	if err := send(t, c, d, failing()); err == nil || strings.Contains(err.Error(), "R0UTING") {
		t.Errorf("the key is in the error: %v", err)
	}
}

func TestAlertmanager(t *testing.T) {
	s := newStub(t, "")
	c, d := Channel{Kind: "alertmanager", URL: s.URL, User: "mailwhy", Password: "file:p"}, doors(map[Secret]string{"file:p": "pass"})
	if err := send(t, c, d, failing()); err != nil {
		t.Fatal(err)
	}
	r, v := s.last(t)
	if u, p, ok := r.BasicAuth(); r.URL.Path != "/api/v2/alerts" || !ok || u != "mailwhy" || p != "pass" {
		t.Errorf("%s, %v", r.URL.Path, r.Header)
	}
	begin := at(t, v, "list", 0)
	if text(t, begin, "labels", "alertname") == "" || text(t, begin, "startsAt") != "2026-11-22T03:00:00Z" || text(t, begin, "annotations", "summary") == "" ||
		text(t, begin, "generatorURL") == "" || text(t, begin, "endsAt") <= "2026-11-22T04" {
		t.Errorf("%v", begin)
	}
	if err := send(t, c, d, mended()); err != nil {
		t.Fatal(err)
	}
	_, v = s.last(t)
	end := at(t, v, "list", 0)
	a, _ := json.Marshal(at(t, begin, "labels"))
	b, _ := json.Marshal(at(t, end, "labels"))
	if !bytes.Equal(a, b) || text(t, end, "endsAt") != "2026-11-22T03:05:00Z" {
		t.Errorf("the end must bear the labels of the beginning: %s %s, ends at %s", a, b, text(t, end, "endsAt"))
	}
}

func TestWebhook(t *testing.T) {
	s := newStub(t, "")
	if err := send(t, Channel{Kind: "webhook", URL: s.URL + "/x", Secret: "file:s"}, doors(map[Secret]string{"file:s": "key"}), failing(), mended()); err != nil {
		t.Fatal(err)
	}
	r, v := s.last(t)
	mac := hmac.New(sha256.New, []byte("key"))
	mac.Write(append([]byte(r.Header.Get("X-Mailwhy-Timestamp")+"."), s.bodies[0]...))
	if r.Header.Get("X-Mailwhy-Signature") != hex.EncodeToString(mac.Sum(nil)) {
		t.Error("the signature does not fit")
	}
	if text(t, v, "alerts", 0, "status") != "firing" || text(t, v, "alerts", 1, "status") != "resolved" || text(t, v, "alerts", 0, "severity") != "error" || text(t, v, "alerts", 0, "next") == "" {
		t.Errorf("%v", v)
	}
}

func TestSecretsStayOut(t *testing.T) {
	dead := httptest.NewServer(nil)
	dead.Close()
	hook := dead.URL + "/services/T0/B0/verysecret"
	err := send(t, Channel{Kind: "slack", Hook: "file:x"}, doors(map[Secret]string{"file:x": hook}), failing())
	if err == nil || strings.Contains(err.Error(), "verysecret") {
		t.Errorf("%v", err)
	}
	s := newStub(t, "")
	s.answer = func(int) (int, map[string]string, string) {
		return 503, map[string]string{"Retry-After": "42"}, "no such hook /services/T0/B0/verysecret"
	}
	err = send(t, Channel{Kind: "slack", Hook: "file:x"}, doors(map[Secret]string{"file:x": s.URL + "/services/T0/B0/verysecret"}), failing())
	var r *Refusal
	if !errors.As(err, &r) || r.After != 42*time.Second || strings.Contains(err.Error(), "verysecret") {
		t.Errorf("%v", err)
	}
}

func TestHostileTextStaysInItsLine(t *testing.T) {
	a := failing()
	a.What = Text{EN: "refused:\r\nBcc: all@mine.example\u2028x\x1b[31m"}
	m := Message{Alerts: []Alert{a}}
	w := m.Say()
	if strings.ContainsAny(w.Title, "\r\n\u2028\x1b") {
		t.Errorf("%q", w.Title)
	}
}
