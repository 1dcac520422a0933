package pop3

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

func visit(t *testing.T, l *wiretest.Lines, login *wire.Login) *wire.Visit {
	t.Helper()
	return visitFor(t, l, wire.VisitPlan{Login: login, Newest: 2}, time.Minute)
}

func visitFor(t *testing.T, l *wiretest.Lines, p wire.VisitPlan, timeout time.Duration) *wire.Visit {
	t.Helper()
	w := wiretest.NewWorld()
	t.Cleanup(func() { _ = w.Close() })
	if err := w.Lines("198.51.100.7:110", l); err != nil {
		t.Fatal(err)
	}
	p.Addr, p.Port = netip.MustParseAddr("198.51.100.7"), 110
	v, err := Run(context.Background(), wire.VisitDoor{Dial: w, Timeout: timeout}, p)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func server(line string, _ bool) string {
	verb, arg, _ := strings.Cut(line, " ")
	switch verb {
	case "CAPA":
		return "+OK\nUSER\nUIDL\nTOP\nSASL PLAIN CRAM-MD5\nIMPLEMENTATION Test 1.0\n."
	case "AUTH":
		return "+ PDEyM0B0ZXN0Pg==" // <123@test>
	case "STAT":
		return "+OK 3 1500"
	case "LIST":
		return "+OK\n1 500\n2 500\n3 500\n."
	case "UIDL":
		return "+OK\n1 a\n2 b\n3 c\n."
	case "TOP":
		return "+OK\nSubject: number " + arg[:1] + "\n\n..\n."
	case "QUIT":
		return "+OK bye"
	}
	return "-ERR [AUTH] wrong"
}

func TestInside(t *testing.T) {
	l := &wiretest.Lines{Greeting: "+OK ready", Answer: func(line string, s bool) string {
		if strings.HasPrefix(line, "bGk") { // CRAM-MD5: user and digest
			return "+OK in"
		}
		return server(line, s)
	}}
	v := visit(t, l, &wire.Login{User: "li", Secret: "geheim"})
	if v.Fault != nil || !v.LoggedIn || v.Mechanism != "CRAM-MD5" {
		t.Fatalf("%+v\n%s", v.Fault, v.Transcript)
	}
	if v.Count != 3 || v.Bytes != 1500 || len(v.Newest) != 2 || v.Newest[0].Subject != "number 3" || v.Newest[0].UID != "c" || v.Newest[0].Size != 500 {
		t.Errorf("%+v", v.Newest)
	}
	if !v.ClearLogin || v.ID["implementation"] != "Test 1.0" {
		t.Errorf("clear login %v, %v", v.ClearLogin, v.ID)
	}
	for _, h := range l.Heard() {
		if strings.HasPrefix(h, "DELE") || strings.HasPrefix(h, "RETR") {
			t.Errorf("sent %q", h)
		}
	}
}

func TestRefused(t *testing.T) {
	v := visit(t, &wiretest.Lines{Greeting: "+OK ready", Answer: server}, &wire.Login{User: "li", Secret: "x", Mechanism: "PASSWORD", InClear: true})
	if s := v.Step("user"); s == nil || s.Status != "-ERR" || s.Code != "AUTH" || v.LoggedIn {
		t.Errorf("%+v\n%s", s, v.Transcript)
	}
}

func TestHostile(t *testing.T) {
	in := func(more func(string) string) func(string, bool) string {
		return func(line string, s bool) string {
			if strings.HasPrefix(line, "bGk") {
				return "+OK in"
			}
			if a := more(line); a != "" {
				return a
			}
			return server(line, s)
		}
	}
	for name, c := range map[string]struct {
		answer func(string, bool) string
		kind   wire.FaultKind
	}{
		"endless CAPA":   {func(string, bool) string { return "flood:+OK\nX\n" }, wire.Limit},
		"endless LIST":   {in(func(l string) string { return map[string]string{"LIST": "flood:+OK\n1 1\n"}[l] }), wire.Limit},
		"stops":          {in(func(l string) string { return map[string]string{"UIDL": "+OK\n1 a"}[l] }), wire.Timeout},
		"hangs up":       {in(func(l string) string { return map[string]string{"STAT": "close"}[l] }), wire.Closed},
		"other protocol": {func(string, bool) string { return "220 what" }, wire.Protocol},
	} {
		t.Run(name, func(t *testing.T) {
			timeout := time.Minute
			if c.kind == wire.Timeout {
				timeout = 500 * time.Millisecond
			}
			v := visitFor(t, &wiretest.Lines{Greeting: "+OK ready", Answer: c.answer}, wire.VisitPlan{Login: &wire.Login{User: "li", Secret: "geheim"}, Newest: 2}, timeout)
			if v.Fault == nil || v.Fault.Kind != c.kind {
				t.Errorf("%+v, want %s", v.Fault, c.kind)
			}
		})
	}
	// A mailbox of a billion is told and not listed.
	v := visit(t, &wiretest.Lines{Greeting: "+OK ready", Answer: in(func(l string) string { return map[string]string{"STAT": "+OK 1000000000 5"}[l] })}, &wire.Login{User: "li", Secret: "geheim"})
	if v.Fault != nil || v.Count != 1_000_000_000 || v.Step("list") != nil {
		t.Errorf("%+v %d", v.Fault, v.Count)
	}
}

func TestSeek(t *testing.T) {
	answer := func(line string, s bool) string {
		switch {
		case strings.HasPrefix(line, "bGk"), strings.HasPrefix(line, "DELE"):
			return "+OK"
		case line == "TOP 2 0":
			return "+OK\nMessage-ID: <c.1@mine.example>\n\n."
		}
		return server(line, s)
	}
	l := &wiretest.Lines{Greeting: "+OK ready", Answer: answer}
	v := visitFor(t, l, wire.VisitPlan{Login: &wire.Login{User: "li", Secret: "geheim"}, Seek: &wire.Seek{ID: "c.1@mine.example", Remove: true}}, time.Minute)
	if v.Sought == nil || v.Sought.UID != "2" || !v.Sought.Removed {
		t.Fatalf("%+v\n%s", v.Sought, v.Transcript)
	}
	for _, h := range l.Heard() {
		if strings.HasPrefix(h, "DELE") && h != "DELE 2" {
			t.Errorf("said %q", h)
		}
	}
}

func FuzzStatus(f *testing.F) {
	f.Add("-ERR [AUTH] wrong")
	f.Add("+OK [")
	f.Fuzz(func(_ *testing.T, s string) { cutStatus(s) })
}
