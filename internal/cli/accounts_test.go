package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/runs"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

// theSecret is a password that must turn up nowhere.
const theSecret = "Swordfish-7391-geheim"

// probeAccounts are accounts of a configuration, one: its password stands in a file.
func probeAccounts(t *testing.T) *accounts {
	t.Helper()
	a := newApp(strings.NewReader(""), nil, nil, func(string) (string, bool) { return "", false })
	return a.newAccounts([]monitor.Account{{Name: "probe", Address: "wang@partner.example", Server: "mail.partner.example", Password: "file:" + secretFile(t)}})
}

func secretFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "probe.secret")
	if err := os.WriteFile(name, []byte(theSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// talkative is a mail server of one mailbox that repeats the password wherever it can.
type talkative struct{ smtp *wiretest.SMTP }

func (b *talkative) imap(line string, _ bool) string {
	tag, rest, _ := strings.Cut(line, " ")
	switch verb, _, _ := strings.Cut(rest, " "); verb {
	case "CAPABILITY":
		return "* CAPABILITY IMAP4rev1 SASL-IR UIDPLUS AUTH=PLAIN\n" + tag + " OK"
	case "AUTHENTICATE":
		return tag + " OK you said " + theSecret
	case "LIST":
		return "* LIST () \"/\" INBOX\n" + tag + " OK"
	case "UID":
		if strings.HasPrefix(rest, "UID SEARCH") && len(b.smtp.Messages()) > 0 {
			return "* SEARCH 5\n" + tag + " OK"
		}
		if strings.HasPrefix(rest, "UID FETCH") && len(b.smtp.Messages()) > 0 {
			head, _, _ := bytes.Cut(b.smtp.Messages()[0], []byte("\r\n\r\n"))
			text := strings.ReplaceAll(string(head), "\r\n", "\n") + "\n\n"
			return fmt.Sprintf("* 1 FETCH (UID 5 BODY[HEADER] {%d}\n%s)\n%s OK", len(text)+strings.Count(text, "\n"), text, tag)
		}
	}
	return tag + " OK"
}

func (b *talkative) sieve(line string, _ bool) string {
	switch {
	case line == "STARTTLS":
		return "TLS:OK"
	case strings.HasPrefix(line, "AUTHENTICATE"):
		return `OK "you said ` + theSecret + `"`
	case line == "LISTSCRIPTS":
		return "\"main\" ACTIVE\nOK"
	case strings.HasPrefix(line, "GETSCRIPT"):
		return "\"discard;\"\nOK"
	}
	return "OK"
}

// mailboxWorld is a domain with that server, and the door to it.
func mailboxWorld(t *testing.T) newEnv {
	t.Helper()
	w := wiretest.NewWorld()
	t.Cleanup(func() { _ = w.Close() })
	d, err := w.DNS([]string{"192.0.2.1"}, "$ORIGIN mine.test.\n@ NS ns\nns A 192.0.2.1\n@ MX 10 mail\nmail A 198.51.100.7\n")
	if err != nil {
		t.Fatal(err)
	}
	d.Recursive = true
	ca, err := wiretest.NewCA("root", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(wiretest.Leaf{Names: []string{"mail.mine.test"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	conf := wiretest.Config(cert)
	b := &talkative{smtp: &wiretest.SMTP{Name: "mail.mine.test", TLS: conf, Implicit: true, Caps: []string{"AUTH PLAIN"}, Replies: map[string]string{"AUTH": "235 2.7.0 you said " + theSecret}}}
	for _, err := range []error{
		w.SMTP("198.51.100.7:25", &wiretest.SMTP{Name: "mail.mine.test", TLS: conf}),
		w.SMTP("198.51.100.7:465", b.smtp),
		w.Lines("198.51.100.7:993", &wiretest.Lines{Greeting: "* OK ready", TLS: conf, Implicit: true, Answer: b.imap}),
		w.Lines("198.51.100.7:4190", &wiretest.Lines{Greeting: "\"SASL\" \"PLAIN\"\n\"STARTTLS\"\nOK", AfterTLS: "\"SASL\" \"PLAIN\"\nOK", TLS: conf, Answer: b.sieve}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return func(tape wire.Tape) (*check.Env, func(), error) {
		c := dns.New(dns.Options{Servers: []string{"192.0.2.1"}, Dial: w, Timeout: 30 * time.Second, Tape: tape})
		e := &check.Env{DNS: c, Dial: w, Roots: ca.Pool(), Now: time.Now, Know: knowledge.Embedded(), Tape: tape, Probe: check.Probe{HELO: "probe.test", Timeout: time.Minute, NoIPv6: true}}
		return e, func() { _ = c.Close() }, nil
	}
}

// locked is a buffer for several writers.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *locked) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// An account is used by its name through the page, by runs and by monitors made there; its password is in no answer, in
// no file of the data folder and in no line of the log, also where the server repeats it.
func TestPasswordsOfAccountsStayWhereTheyAre(t *testing.T) {
	log := &locked{}
	account := func(name, secret string) monitor.Account {
		return monitor.Account{Name: name, Address: name + "@mine.test", Server: "mail.mine.test", Password: secret}
	}
	cfg := &Config{Account: []monitor.Account{account("probe", "file:"+secretFile(t)), account("gone", "file:/nonexistent/"+"secret")}}
	s := quietService(t, cfg, func(o *serveOptions) {
		o.Env, o.Log = mailboxWorld(t), slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	var all strings.Builder
	want := func(status int, method, path string, body any) string {
		t.Helper()
		got := string(s.want(status, method, path, body))
		all.WriteString(got)
		return got
	}
	run := func(kind, args string) string {
		t.Helper()
		var r struct{ ID string }
		if err := json.Unmarshal([]byte(want(201, "POST", "/api/v1/runs", map[string]any{"kind": kind, "args": json.RawMessage(args)})), &r); err != nil {
			t.Fatal(err)
		}
		want(200, "GET", "/api/v1/runs/"+r.ID+"/events", nil)
		return want(200, "GET", "/api/v1/runs/"+r.ID, nil)
	}
	for _, c := range []struct{ kind, args, says string }{
		{"login", `{"account":"probe"}`, "probe@mine.test can log in"},
		{"login", `{"account":"probe","protocol":"imap"}`, "can log in: IMAP 993."},
		{"login", `{"account":"gone"}`, "the password of account gone"},
		{"receive", `{"to":"probe@mine.test","account":"probe"}`, "filter:"},
		{"receive", `{"to":"probe@mine.test"}`, "for want of a password"},
		{"sieve", `{"account":"probe"}`, "Of 0 messages"},
		{"sieve", `{"script":"discard;","message":"Subject: hello\n\nbody"}`, "thrown away by line 1"},
		{"canary", `{"from_account":"probe","to_account":"probe","wait_seconds":20}`, "canary"},
	} {
		if got := run(c.kind, c.args); !strings.Contains(got, c.says) {
			t.Errorf("%s %s: no %q in %s", c.kind, c.args, c.says, got)
		}
	}
	for _, c := range []struct{ kind, args string }{
		{"login", `{"account":"nobody"}`}, {"login", `{}`}, {"receive", `{"to":"li@mine.test","account":"probe"}`}, {"canary", `{"from_account":"probe","to_account":"probe","wait_seconds":9999}`},
		{"sieve", `{}`}, {"sieve", `{"account":"probe","message":"x"}`},
	} {
		want(422, "POST", "/api/v1/runs", map[string]any{"kind": c.kind, "args": json.RawMessage(c.args)})
	}
	catalogue := want(200, "GET", "/api/v1/catalogue", nil)
	if !strings.Contains(catalogue, `{"value":"probe","label":"probe"}`) || strings.Contains(catalogue, "password_file") {
		t.Errorf("%s", catalogue)
	}
	want(201, "POST", "/api/v1/monitors", map[string]any{"kind": "login", "args": map[string]any{"account": "probe"}})
	if got := want(200, "POST", "/api/v1/monitors/login-probe/run", nil); !strings.Contains(got, `"state":"ok"`) {
		t.Errorf("%s", got)
	}
	for _, args := range []map[string]any{{"address": "li@mine.test", "password_file": "/etc/shadow"}, {"account": "probe", "server": "thief.example"}, {"account": "nobody"}, {}} {
		want(422, "POST", "/api/v1/monitors", map[string]any{"kind": "login", "args": args})
	}
	for _, page := range []string{"/runs", "/monitors", "/monitors/login-probe", "/monitors/login-probe/samples", "/settings", "/audit", "/openapi.json"} {
		want(200, "GET", "/api/v1"+page, nil)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"an answer": all.String(), "the log": log.String()} {
		if before, after, found := strings.Cut(text, theSecret); found {
			t.Errorf("the password stands in %s: %s>>>%s", what, before[max(0, len(before)-200):], after[:min(len(after), 200)])
		}
	}
	noSecretIn(t, cfg.Serve.Data)
}

// noSecretIn looks for the password in every file of a folder.
func noSecretIn(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(p)
		if files++; bytes.Contains(raw, []byte(theSecret)) {
			t.Errorf("the password stands in %s", p)
		}
		return err
	})
	if err != nil || files < 2 {
		t.Errorf("%d files: %v", files, err)
	}
}

// What an assistant is offered logs in nowhere, and what an account is asked for names one.
func TestKindsWithoutAccounts(t *testing.T) {
	for _, k := range toolKinds(&runner{accounts: probeAccounts(t)}) {
		if k.NeedsAccount() || k.HasAccounts() || k.Kind == "login" || k.Kind == "canary" {
			t.Errorf("%s logs in", k.Kind)
		}
	}
	_, err := (&runner{newEnv: offlineEnv}).Prepare("login", map[string]string{"account": "probe"})
	if bad, ok := err.(*runs.BadArg); !ok || bad.Name != "account" {
		t.Errorf("%v", err)
	}
}
