package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
)

// deaf is a network in which nobody answers: a dial lasts as long as its context.
type deaf struct{ dialled chan struct{} }

func (d deaf) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	select {
	case d.dialled <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// Serve ends, and everybody who is connected is told so, although a run waits for the network, somebody follows it, and
// machines hold connections open with half a line on them. What came in before is stored.
func TestServeStopsWithEverythingOpen(t *testing.T) {
	net0 := deaf{make(chan struct{}, 1)}
	said := &sayings{}
	cfg := &Config{Intake: []intake.Config{{Kind: "syslog", Listen: "tcp://127.0.0.1:0"}}}
	s := quietService(t, cfg, func(o *serveOptions) {
		o.Log = slog.New(slog.NewTextHandler(said, nil))
		o.Env = func(tape wire.Tape) (*check.Env, func(), error) {
			e := &check.Env{Now: time.Now, Know: knowledge.Embedded(), Dial: net0, Tape: tape, Probe: check.Probe{HELO: "mail.mine.example", Timeout: time.Hour}}
			e.DNS = dns.New(dns.Options{Servers: []string{"192.0.2.53"}, Dial: net0, Tape: tape, Now: time.Now, Timeout: time.Hour})
			return e, func() { e.DNS.Close() }, nil
		}
	})
	at := regexp.MustCompile(`msg="syslog is listened for" at=(\S+)`).FindStringSubmatch(said.String())
	if at == nil {
		t.Fatalf("no word of where syslog is listened for: %s", said)
	}
	var conns []net.Conn
	for range 20 {
		c, err := net.Dial("tcp", at[1])
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	if _, err := io.WriteString(conns[0], "<22>Nov 22 10:00:02 mx1 postfix/smtp[16]: A00000000001: to=<sun@partner.example>, relay=mx.partner.example[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)\n<22>Nov 22 10:00:03 mx1 half a li"); err != nil {
		t.Fatal(err)
	}
	untilStored(t, cfg.Serve.Data, "sun@partner.example", 1)
	var run struct{ ID string }
	if err := json.Unmarshal(s.want(201, "POST", "/api/v1/runs", map[string]any{"kind": "spf", "args": map[string]any{"domain": "mine.example"}}), &run); err != nil {
		t.Fatal(err)
	}
	<-net0.dialled
	res, err := s.c.Get(s.url + "/api/v1/runs/" + run.ID + "/events")
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", res, err)
	}
	defer res.Body.Close()
	ended := make(chan error, 1)
	go func() { ended <- s.stop() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("it does not end")
	}
	if _, err := io.Copy(io.Discard, bufio.NewReader(res.Body)); err != nil && !strings.Contains(err.Error(), "EOF") && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the stream: %v", err)
	}
	for _, c := range conns {
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := c.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
			t.Errorf("a connection is still open: %v", err)
		}
	}
	if n := stored(t, cfg.Serve.Data, "sun@partner.example"); n != 1 {
		t.Errorf("%d journeys after the end", n)
	}
}

// Readyz tells the truth: while the data folder is away it says no, and yes again when it is back. Healthz speaks of the
// process alone.
func TestReadyzIsTrue(t *testing.T) {
	cfg := &Config{}
	s := quietService(t, cfg)
	s.want(200, "GET", "/readyz", nil)
	if err := os.Rename(cfg.Serve.Data, cfg.Serve.Data+".away"); err != nil {
		t.Fatal(err)
	}
	if answer := s.want(503, "GET", "/readyz", nil); bytes.Contains(answer, []byte(cfg.Serve.Data)) {
		t.Errorf("it tells where the data are: %s", answer)
	}
	s.want(200, "GET", "/healthz", nil)
	if err := os.Rename(cfg.Serve.Data+".away", cfg.Serve.Data); err != nil {
		t.Fatal(err)
	}
	s.want(200, "GET", "/readyz", nil)
}
