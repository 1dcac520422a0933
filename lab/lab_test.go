package lab

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// world is the lab all tests of this package share; nil with the reason in missing where it cannot run.
var (
	world   *World
	missing string
	tookUp  time.Duration
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx := context.Background()
	if missing = Missing(ctx); missing == "" {
		cases, err := Cases()
		if err != nil {
			fmt.Fprintln(os.Stderr, "lab:", err)
			return 1
		}
		if cases, err = only(cases, os.Getenv("MAILWHY_LAB_ONLY")); err != nil {
			fmt.Fprintln(os.Stderr, "lab: MAILWHY_LAB_ONLY:", err)
			return 1
		}
		begin := time.Now()
		if world, err = Start(ctx, cases); err != nil {
			fmt.Fprintln(os.Stderr, "lab:", err)
			return 1
		}
		tookUp = time.Since(begin)
	}
	code := m.Run()
	if world != nil {
		if err := world.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "lab:", err)
			return 1
		}
	}
	return code
}

// only keeps the cases whose names match a glob pattern, for whoever writes one; no pattern keeps all.
func only(cases []*Case, pattern string) (out []*Case, err error) {
	for _, c := range cases {
		ok, err := path.Match(pattern, c.Name)
		if err != nil {
			return nil, err
		}
		if ok || pattern == "" {
			out = append(out, c)
		}
	}
	return out, nil
}

// lab gives the running world, or skips; where the lab is required it fails instead.
func lab(t *testing.T) *World {
	t.Helper()
	if world == nil {
		skipOrFail(t, missing)
	}
	return world
}

func TestStartIsQuick(t *testing.T) {
	lab(t)
	t.Logf("the lab of %d cases and %d hosts was up after %v", len(world.Cases), len(world.Hosts), tookUp.Round(time.Millisecond))
}

// TestResolverValidates proves the chain of the lab: Unbound calls the signed zone secure, and an island not.
func TestResolverValidates(t *testing.T) {
	w := lab(t)
	for _, q := range []struct {
		name   string
		secure bool
	}{{"flawless.example.", true}, {"hosting.example.", false}} {
		m, err := w.Query(t.Context(), ResolverV4, q.name, dns.TypeSOA)
		if err != nil || m.Rcode != dns.RcodeSuccess {
			t.Fatalf("%s: %v %v", q.name, err, m)
		}
		if m.AuthenticatedData != q.secure {
			t.Errorf("%s: secure %v, want %v", q.name, m.AuthenticatedData, q.secure)
		}
	}
}

// TestHostsGreet speaks to every host that runs a real mail server and wants its own name and STARTTLS.
func TestHostsGreet(t *testing.T) {
	w := lab(t)
	for _, h := range w.Hosts {
		if h.Software != "postfix" && h.Software != "exim" && h.Software != "opensmtpd" || h.Filter != "" {
			continue
		}
		for _, addr := range h.addresses() {
			lines, err := w.greet(t.Context(), addr)
			if err != nil {
				t.Errorf("%s at %s: %v", h.Name, addr, err)
				continue
			}
			if !strings.Contains(lines, h.Name) {
				t.Errorf("%s at %s does not say its name: %s", h.Name, addr, lines)
			}
			if strings.Contains(lines, "STARTTLS") == (h.Cert == "none") {
				t.Errorf("%s at %s with certificate %q: %s", h.Name, addr, h.Cert, lines)
			}
		}
	}
}

// greet returns the greeting and the EHLO reply of a server.
func (w *World) greet(ctx context.Context, addr string) (string, error) {
	c, err := w.clients[""].DialContext(ctx, "tcp", net.JoinHostPort(addr, "25"))
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	var all strings.Builder
	in := bufio.NewReader(c)
	for _, say := range []string{"", "EHLO " + clientName + "\r\n"} {
		if _, err := c.Write([]byte(say)); err != nil {
			return "", err
		}
		for {
			line, err := in.ReadString('\n')
			all.WriteString(line)
			if err != nil {
				return all.String(), err
			}
			if len(line) > 3 && line[3] == ' ' {
				break
			}
		}
	}
	return all.String(), nil
}

// TestDelay measures the relay: a round trip to a slow address takes the delay, one to a near address does not.
func TestDelay(t *testing.T) {
	w := lab(t)
	for _, q := range []struct {
		server string
		least  time.Duration
	}{{ns1V4, 0}, {slowNSV4, Delay}} {
		begin := time.Now()
		if _, err := w.Query(t.Context(), q.server, "ns1.dns.example.", dns.TypeA); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took < q.least {
			t.Errorf("%s answered after %v, before the delay of %v", q.server, took, q.least)
		} else {
			t.Logf("%s answered after %v", q.server, took)
		}
	}
}

func TestBlocklistsAnswer(t *testing.T) {
	w := lab(t)
	for name, want := range map[string]string{
		"2.0.0.127.good.lists.example.":  "127.0.0.2",
		"1.0.0.127.good.lists.example.":  "",
		"2.0.1.11.error.lists.example.":  "127.255.255.254",
		"2.0.1.11.wild.lists.example.":   "127.0.0.2",
		"2.0.1.11.parked.lists.example.": "11.0.7.80",
		"2.0.1.11.clean.lists.example.":  "",
	} {
		m, err := w.Query(t.Context(), ResolverV4, name, dns.TypeA)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, rr := range m.Answer {
			if a, ok := rr.(*dns.A); ok {
				got = a.A.String()
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q (%s)", name, got, want, dns.RcodeToString[m.Rcode])
		}
	}
}
