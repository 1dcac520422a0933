package imap

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

var now = time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)

// visit runs a plan against a scripted server at 198.51.100.7:143.
func visit(t *testing.T, l *wiretest.Lines, p wire.VisitPlan, timeout time.Duration) *wire.Visit {
	t.Helper()
	w := wiretest.NewWorld()
	t.Cleanup(func() { _ = w.Close() })
	if err := w.Lines("198.51.100.7:143", l); err != nil {
		t.Fatal(err)
	}
	d := wire.VisitDoor{Dial: w, Now: func() time.Time { return now }, Timeout: timeout}
	if l.TLS == nil {
		ca, err := wiretest.NewCA("Test Root", now)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := ca.Issue(wiretest.Leaf{Names: []string{"mail.test"}}, now)
		if err != nil {
			t.Fatal(err)
		}
		l.TLS, d.Roots = wiretest.Config(cert), ca.Pool()
	}
	p.Host, p.Addr, p.Port = "mail.test", netip.MustParseAddr("198.51.100.7"), 143
	v, err := Run(context.Background(), d, p)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// dovecot answers like a good server with one account, li / geheim.
func dovecot(line string, secure bool) string {
	tag, rest, _ := strings.Cut(line, " ")
	verb := strings.ToUpper(strings.Fields(rest + " ?")[0])
	switch verb {
	case "CAPABILITY":
		if secure {
			return "* CAPABILITY IMAP4rev1 SASL-IR ID QUOTA SPECIAL-USE AUTH=PLAIN\n" + tag + " OK done"
		}
		return "* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED ID\n" + tag + " OK done"
	case "STARTTLS":
		return "TLS:" + tag + " OK begin"
	case "ID":
		return `* ID ("name" "Dovecot" "version" {3}` + "\n2.4)\n" + tag + " OK id"
	case "AUTHENTICATE":
		want := base64.StdEncoding.EncodeToString([]byte("\x00li\x00geheim"))
		if strings.HasSuffix(line, " "+want) {
			return tag + " OK [CAPABILITY IMAP4rev1 QUOTA SPECIAL-USE] in"
		}
		return tag + " NO [AUTHENTICATIONFAILED] Authentication failed."
	case "LIST":
		return `* LIST (\HasNoChildren) "/" INBOX` + "\n" + `* LIST (\HasNoChildren \Sent) "/" "&XfJT0ZABkK5O9g-"` + "\n" + tag + " OK done"
	case "GETQUOTAROOT":
		return "* QUOTAROOT INBOX \"User quota\"\n* QUOTA \"User quota\" (STORAGE 95 100 MESSAGE 2 1000)\n" + tag + " OK done"
	case "EXAMINE":
		return "* 2 EXISTS\n* 0 RECENT\n" + tag + " OK [READ-ONLY] done"
	case "FETCH":
		head := "From: wang@mine.example\r\nSubject: =?utf-8?B?5L2g5aW9?=\r\nDate: Sun, 22 Nov 2026 04:00:00 +0000\r\n\r\n"
		msg := func(n string) string {
			return "* " + n + ` FETCH (UID 1` + n + ` FLAGS (\Seen) INTERNALDATE "22-Nov-2026 04:00:00 +0000" RFC822.SIZE 512 BODY[HEADER.FIELDS (FROM SUBJECT DATE)] {` + itoa(len(head)) + "}\n" + strings.TrimSuffix(strings.ReplaceAll(head, "\r\n", "\n"), "") + ")"
		}
		return msg("1") + "\n" + msg("2") + "\n" + tag + " OK done"
	case "LOGOUT":
		return "* BYE\n" + tag + " OK bye"
	}
	return tag + " BAD what"
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func TestInside(t *testing.T) {
	v := visit(t, &wiretest.Lines{Greeting: "* OK Dovecot ready.", Answer: dovecot},
		wire.VisitPlan{Login: &wire.Login{User: "li", Secret: "geheim"}, Newest: 5}, time.Minute)
	if v.Fault != nil || !v.LoggedIn || v.Mechanism != "PLAIN" {
		t.Fatalf("%+v\n%s", v.Fault, v.Transcript)
	}
	if v.TLS == nil || !v.TLS.Trusted() || v.ClearLogin {
		t.Errorf("TLS %+v, clear login %v", v.TLS, v.ClearLogin)
	}
	if v.ID["version"] != "2.4" || len(v.Folders) != 2 || v.Folders[1].Name != "已发送邮件" || v.Folders[1].Use != "Sent" {
		t.Errorf("id %v, folders %+v", v.ID, v.Folders)
	}
	if len(v.Quota) != 2 || v.Quota[0].Used != 95*1024 || v.Quota[0].Limit != 100*1024 || v.Quota[1].Limit != 1000 {
		t.Errorf("quota %+v", v.Quota)
	}
	if v.Count != 2 || len(v.Newest) != 2 || v.Newest[0].UID != "12" || v.Newest[0].From != "wang@mine.example" || v.Newest[0].Size != 512 {
		t.Errorf("%d messages: %+v", v.Count, v.Newest)
	}
	raw, err := json.Marshal(v)
	if err != nil || strings.Contains(string(raw), "geheim") || strings.Contains(string(raw), base64.StdEncoding.EncodeToString([]byte("\x00li\x00geheim"))) {
		t.Errorf("the password stands in the facts: %v %s", err, raw)
	}
}

func TestWrongPassword(t *testing.T) {
	v := visit(t, &wiretest.Lines{Greeting: "* OK ready", Answer: dovecot}, wire.VisitPlan{Login: &wire.Login{User: "li", Secret: "falsch"}}, time.Minute)
	s := v.Step("login")
	if v.LoggedIn || s == nil || s.Status != "NO" || s.Code != "AUTHENTICATIONFAILED" || v.Step("logout") == nil {
		t.Errorf("%+v\n%s", s, v.Transcript)
	}
}

func TestNoPasswordInClear(t *testing.T) {
	l := &wiretest.Lines{Greeting: "* OK ready", Answer: func(line string, _ bool) string {
		tag, rest, _ := strings.Cut(line, " ")
		if rest == "CAPABILITY" {
			return "* CAPABILITY IMAP4rev1 AUTH=PLAIN\n" + tag + " OK"
		}
		return tag + " OK"
	}}
	v := visit(t, l, wire.VisitPlan{Login: &wire.Login{User: "li", Secret: "geheim"}}, time.Minute)
	if s := v.Step("login"); s == nil || s.Fault == nil || s.Fault.Text != wire.WhyNotEncrypted || !v.ClearLogin {
		t.Errorf("%+v", s)
	}
	for _, h := range l.Heard() {
		if strings.Contains(h, "AUTHENTICATE") || strings.Contains(h, "LOGIN") {
			t.Errorf("sent %q", h)
		}
	}
}

// patience is short where a time-out is what must come, and so long that none comes where it must not.
func patience(kind wire.FaultKind) time.Duration {
	if kind == wire.Timeout {
		return 200 * time.Millisecond
	}
	return time.Minute
}

// TestHostile holds the bounds: each server must end in a fault of the kind named, soon.
func TestHostile(t *testing.T) {
	ready := "* OK ready"
	for name, c := range map[string]struct {
		l    *wiretest.Lines
		kind wire.FaultKind
	}{
		"huge literal":         {&wiretest.Lines{Greeting: ready, Answer: func(string, bool) string { return "* CAPABILITY {999999999999}" }}, wire.Limit},
		"beyond 64 bits":       {&wiretest.Lines{Greeting: ready, Answer: func(string, bool) string { return "* OK {99999999999999999999999}" }}, wire.Limit},
		"endless capabilities": {&wiretest.Lines{Greeting: ready, Answer: func(string, bool) string { return "flood:* CAPABILITY IMAP4rev1\n" }}, wire.Limit},
		"endless line":         {&wiretest.Lines{Greeting: ready, Answer: func(string, bool) string { return "flood:* CAPABILITY" }}, wire.Limit},
		"stops":                {&wiretest.Lines{Greeting: ready, Answer: func(string, bool) string { return "stall" }}, wire.Timeout},
		"hangs up":             {&wiretest.Lines{Greeting: ready, Answer: func(string, bool) string { return "close" }}, wire.Closed},
		"another protocol":     {&wiretest.Lines{Greeting: "220 mx.test ESMTP", Answer: func(string, bool) string { return "" }}, wire.Protocol},
		"says nothing":         {&wiretest.Lines{Answer: func(string, bool) string { return "" }}, wire.Timeout},
	} {
		t.Run(name, func(t *testing.T) {
			v := visit(t, c.l, wire.VisitPlan{}, patience(c.kind))
			if v.Fault == nil || v.Fault.Kind != c.kind {
				t.Errorf("%+v, want %s", v.Fault, c.kind)
			}
			if len(v.Transcript) > 500 {
				t.Errorf("a transcript of %d lines", len(v.Transcript))
			}
		})
	}
}

// answers lays answers of its own over dovecot's, by how a line begins behind its tag.
func answers(over map[string]string) func(string, bool) string {
	return func(line string, secure bool) string {
		tag, rest, _ := strings.Cut(line, " ")
		for begin, answer := range over {
			if strings.HasPrefix(rest, begin) {
				return strings.ReplaceAll(answer, "TAG", tag)
			}
		}
		return dovecot(line, secure)
	}
}

func TestSizesOfAFullMailbox(t *testing.T) {
	for name, c := range map[string]struct {
		over map[string]string
		want int64
	}{
		"told by the server": {map[string]string{"AUTHENTICATE": "TAG OK [CAPABILITY IMAP4rev1 QUOTA STATUS=SIZE] in", `STATUS "INBOX"`: "* STATUS INBOX (MESSAGES 2 SIZE 900)\nTAG OK"}, 900},
		"added up":           {map[string]string{`STATUS "INBOX"`: "* STATUS INBOX (MESSAGES 2)\nTAG OK", "FETCH 1:* (RFC822.SIZE)": "* 1 FETCH (RFC822.SIZE 400)\n* 2 FETCH (RFC822.SIZE 300)\nTAG OK"}, 700},
		"a billion messages": {map[string]string{`STATUS "INBOX"`: "* STATUS INBOX (MESSAGES 1000000000)\nTAG OK", "FETCH 1:*": "flood:* 1 FETCH (RFC822.SIZE 1)\n"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			v := visit(t, &wiretest.Lines{Greeting: "* OK ready", Answer: answers(c.over)}, wire.VisitPlan{Login: &wire.Login{User: "li", Secret: "geheim"}}, time.Minute)
			if v.Fault != nil || len(v.Folders) != 2 || v.Folders[0].Bytes != c.want {
				t.Errorf("%+v %+v\n%s", v.Fault, v.Folders, v.Transcript)
			}
		})
	}
}

func TestSeek(t *testing.T) {
	head := "Message-ID: <c.1@mine.example>\nSubject: x\n\n"
	size := itoa(len(strings.ReplaceAll(head, "\n", "\r\n")))
	found := map[string]string{
		"AUTHENTICATE":   "TAG OK [CAPABILITY IMAP4rev1 UIDPLUS] in",
		"UID SEARCH":     "* SEARCH 7\nTAG OK",
		"UID FETCH 7":    "* 1 FETCH (UID 7 FLAGS () BODY[HEADER] {" + size + "}\n" + head + ")\nTAG OK",
		"SELECT":         "TAG OK",
		"UID STORE 7":    "TAG OK",
		"UID EXPUNGE 7":  "TAG OK",
		"UID SEARCH ALL": "TAG BAD",
	}
	plan := wire.VisitPlan{Login: &wire.Login{User: "li", Secret: "geheim"}, Seek: &wire.Seek{ID: "c.1@mine.example", Remove: true}}
	l := &wiretest.Lines{Greeting: "* OK ready", Answer: answers(found)}
	if v := visit(t, l, plan, time.Minute); v.Sought == nil || v.Sought.Folder != "INBOX" || !v.Sought.Removed || v.Sought.Marked {
		t.Errorf("%+v\n%s", v.Sought, v.Transcript)
	}
	// Without UIDPLUS nothing is expunged: others' messages would go with it.
	delete(found, "AUTHENTICATE")
	l = &wiretest.Lines{Greeting: "* OK ready", Answer: answers(found)}
	if v := visit(t, l, plan, time.Minute); v.Sought == nil || v.Sought.Removed || !v.Sought.Marked {
		t.Errorf("%+v\n%s", v.Sought, v.Transcript)
	}
	for _, h := range l.Heard() {
		if strings.Contains(h, "EXPUNGE") || strings.Contains(h, "CLOSE") {
			t.Errorf("said %q", h)
		}
	}
	// A server that names another message finds ours nowhere, and nothing is deleted.
	found["UID FETCH 7"] = "* 1 FETCH (UID 7 BODY[HEADER] {2}\n\n)\nTAG OK"
	l = &wiretest.Lines{Greeting: "* OK ready", Answer: answers(found)}
	if v := visit(t, l, plan, time.Minute); v.Sought != nil || v.Fault != nil {
		t.Errorf("%+v %+v", v.Sought, v.Fault)
	}
	for _, h := range l.Heard() {
		if strings.Contains(h, "STORE") {
			t.Errorf("said %q", h)
		}
	}
}

func TestDecodeName(t *testing.T) {
	for in, want := range map[string]string{"INBOX": "INBOX", "&V4NXPpCuTvY-": "垃圾邮件", "a&-b": "a&b", "&broken": "&broken", "&!!!-": "&!!!-"} {
		if got := decodeName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`(UID 1 FLAGS (\Seen) BODY[HEADER.FIELDS (FROM)] ` + "\x005\x00hello)")
	f.Add(strings.Repeat("(", 100))
	f.Add(`("a" "b\"c" NIL &XfJT0ZABkK5O9g-)`)
	f.Fuzz(func(_ *testing.T, s string) {
		parse(s)
		decodeName(s)
		textCode(s)
		literalAt(s)
	})
}
