package managesieve

import (
	"context"
	"encoding/base64"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

func visit(t *testing.T, l *wiretest.Lines, login *wire.Login) *wire.Visit {
	t.Helper()
	return visitFor(t, l, wire.VisitPlan{Login: login}, time.Minute)
}

func visitFor(t *testing.T, l *wiretest.Lines, p wire.VisitPlan, timeout time.Duration) *wire.Visit {
	t.Helper()
	w := wiretest.NewWorld()
	t.Cleanup(func() { _ = w.Close() })
	if err := w.Lines("198.51.100.7:4190", l); err != nil {
		t.Fatal(err)
	}
	p.Addr, p.Port = netip.MustParseAddr("198.51.100.7"), 4190
	v, err := Run(context.Background(), wire.VisitDoor{Dial: w, Timeout: timeout}, p)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

const greeting = "\"IMPLEMENTATION\" \"Test Pigeonhole\"\n\"SASL\" \"SCRAM-SHA-256 PLAIN\"\n\"SIEVE\" {8}\nfileinto\nOK \"ready\""

// TestSCRAM logs in against the server's side of the library.
func TestSCRAM(t *testing.T) {
	client, err := scram.SHA256.NewClient("li", "geheim", "")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salz", Iters: 4096})
	if err != nil {
		t.Fatal(err)
	}
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return stored, nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		secret string
		in     bool
	}{{"geheim", true}, {"falsch", false}} {
		conv := server.NewConversation()
		l := &wiretest.Lines{Greeting: greeting, Answer: func(line string, _ bool) string {
			line = strings.TrimPrefix(line, `AUTHENTICATE "SCRAM-SHA-256" `)
			switch {
			case line == "LISTSCRIPTS":
				return "\"main\" ACTIVE\n\"old \\\"one\\\"\"\nOK"
			case line == "LOGOUT":
				return "OK"
			}
			raw, err := wire.Challenge(strings.Trim(line, `"`))
			if err != nil {
				return "BYE"
			}
			out, err := conv.Step(string(raw))
			switch {
			case err != nil:
				return `NO "Authentication failed."`
			case conv.Done():
				return `OK (SASL "` + b64(out) + `") "in"`
			}
			return `"` + b64(out) + `"`
		}}
		v := visit(t, l, &wire.Login{User: "li", Secret: c.secret})
		if v.LoggedIn != c.in || v.Mechanism != "SCRAM-SHA-256" {
			t.Errorf("%s: in %v by %s: %+v\n%s", c.secret, v.LoggedIn, v.Mechanism, v.Fault, v.Transcript)
		}
		if c.in && (len(v.Scripts) != 2 || !v.Scripts[0].Active || v.Scripts[1].Name != `old "one"`) {
			t.Errorf("scripts %+v", v.Scripts)
		}
		if v.Greeting != "Test Pigeonhole" || v.ClearLogin != true {
			t.Errorf("%q %v", v.Greeting, v.ClearLogin)
		}
	}
}

func TestHostile(t *testing.T) {
	for name, c := range map[string]struct {
		l    *wiretest.Lines
		kind wire.FaultKind
	}{
		"huge literal": {&wiretest.Lines{Greeting: `"SIEVE" {999999999999}`}, wire.Limit},
		"stops":        {&wiretest.Lines{Greeting: `"SIEVE" "fileinto"`}, wire.Timeout},
		"another":      {&wiretest.Lines{Greeting: "220 mx.test ESMTP"}, wire.Protocol},
	} {
		t.Run(name, func(t *testing.T) {
			c.l.Answer = func(string, bool) string { return "stall" }
			timeout := time.Minute
			if c.kind == wire.Timeout {
				timeout = 500 * time.Millisecond
			}
			v := visitFor(t, c.l, wire.VisitPlan{}, timeout)
			if v.Fault == nil || v.Fault.Kind != c.kind {
				t.Errorf("%+v, want %s", v.Fault, c.kind)
			}
		})
	}
}

func TestActiveScript(t *testing.T) {
	plan := wire.VisitPlan{Login: &wire.Login{User: "li", Secret: "geheim", Mechanism: "PLAIN", InClear: true}, Script: true}
	answer := func(line string, _ bool) string {
		switch {
		case strings.HasPrefix(line, "AUTHENTICATE"), line == "LOGOUT":
			return "OK"
		case line == "LISTSCRIPTS":
			return "\"old\"\n\"a \\\"b\\\"\" ACTIVE\nOK"
		case line == `GETSCRIPT "a \"b\""`:
			return "{10}\nkeep;\nst\nOK"
		}
		return "NO"
	}
	v := visitFor(t, &wiretest.Lines{Greeting: greeting, Answer: answer}, plan, time.Minute)
	if v.Fault != nil || len(v.Scripts) != 2 || v.Scripts[0].Text != "" || v.Scripts[1].Text != "keep;\r\nst\r" {
		t.Errorf("%+v %+v\n%s", v.Fault, v.Scripts, v.Transcript)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(`"SIEVE" {8}`)
	f.Add(`NO (QUOTA/MAXSIZE) "too \"big"`)
	f.Fuzz(func(_ *testing.T, s string) { split(s) })
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
