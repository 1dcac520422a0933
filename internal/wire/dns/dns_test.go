package dns_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/tape"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

const zone = `$ORIGIN a.example.
@	SOA ns1 hostmaster 7 7200 900 1209600 60
@	NS ns1
@	MX 10 mx1
@	MX 20 mx2
@	TXT "v=spf1 " "-all \"quoted\" \009tab"
ns1	A 198.51.100.53
mx1	A 198.51.100.1
mx1	AAAA 2001:db8::1
alias	CNAME mx1
away	CNAME host.b.example.
loop1	CNAME loop2
loop2	CNAME loop1
_25._tcp.mx1 TLSA 3 1 1 0102030405060708091011121314151617181920212223242526272829303132
@	CAA 0 issue "ca.example"
@	1800 TYPE99 \# 0
`

const zoneB = `$ORIGIN b.example.
@	SOA ns1 hostmaster 1 7200 900 1209600 60
host A 198.51.100.9
`

// world is a client whose resolvers are fakes of the given number, all with the same zones.
func world(t *testing.T, opt dns.Options, n int) (*dns.Client, []*wiretest.DNS) {
	t.Helper()
	w := wiretest.NewWorld()
	var servers []*wiretest.DNS
	for i := range n {
		addr := fmt.Sprintf("192.0.2.%d", i+1)
		d, err := w.DNS([]string{addr}, zone, zoneB)
		if err != nil {
			t.Fatal(err)
		}
		d.Recursive = true
		servers = append(servers, d)
		opt.Servers = append(opt.Servers, addr)
	}
	if opt.Timeout == 0 {
		opt.Timeout = time.Second
	}
	opt.Dial = w
	c := dns.New(opt)
	t.Cleanup(func() { c.Close(); w.Close() })
	return c, servers
}

func TestResolve(t *testing.T) {
	c, servers := world(t, dns.Options{}, 1)
	ctx := context.Background()
	tests := []struct {
		name  string
		t     mail.Type
		want  string
		final string
		nx    bool
	}{
		{"A.example.", mail.TypeMX, "10 mx1.a.example. | 20 mx2.a.example.", "a.example", false},
		{"mx1.a.example", mail.TypeA, "198.51.100.1", "mx1.a.example", false},
		{"alias.a.example", mail.TypeAAAA, "2001:db8::1", "mx1.a.example", false},
		{"away.a.example", mail.TypeA, "198.51.100.9", "host.b.example", false},
		{"nothing.a.example", mail.TypeA, "", "nothing.a.example", true},
		{"_tcp.mx1.a.example", mail.TypeA, "", "_tcp.mx1.a.example", false},
		{"mx1.a.example", mail.TypeTXT, "", "mx1.a.example", false},
		{"_25._tcp.mx1.a.example", mail.TypeTLSA, "3 1 1 0102030405060708091011121314151617181920212223242526272829303132", "_25._tcp.mx1.a.example", false},
		{"a.example", mail.TypeCAA, `0 issue "ca.example"`, "a.example", false},
	}
	for _, tt := range tests {
		a, err := c.Resolve(ctx, tt.name, tt.t)
		if err != nil {
			t.Errorf("%s %d: %v", tt.name, tt.t, err)
			continue
		}
		var got []string
		for _, r := range a.Records {
			got = append(got, r.Text)
		}
		if g := strings.Join(got, " | "); g != tt.want || a.Final != tt.final || a.NXDomain != tt.nx {
			t.Errorf("%s %d: got %q final %q nx %v", tt.name, tt.t, g, a.Final, a.NXDomain)
		}
	}
	a, err := c.Resolve(ctx, "a.example", mail.TypeTXT)
	if err != nil || len(a.Texts()) != 1 || a.Texts()[0] != "v=spf1 -all \"quoted\" \ttab" {
		t.Errorf("texts %q, %v", a.Texts(), err)
	}
	if a, _ := c.Resolve(ctx, "nothing.a.example", mail.TypeA); a.TTL != time.Minute {
		t.Errorf("negative TTL %v, want the SOA's minimum", a.TTL)
	}
	if n := servers[0].Asked("nothing.a.example A"); n != 1 {
		t.Errorf("the negative answer was asked %d times", n)
	}
}

func TestBadNames(t *testing.T) {
	c, servers := world(t, dns.Options{}, 1)
	for _, name := range []string{"a..example", strings.Repeat("a", 64) + ".example", strings.Repeat("abc.", 100) + "example", ".a"} {
		_, err := c.Resolve(context.Background(), name, mail.TypeA)
		var bad *dns.NameError
		if !errors.As(err, &bad) || errors.Is(err, mail.ErrTemporary) {
			t.Errorf("%.20q: %v", name, err)
		}
	}
	if n := servers[0].Asked(""); n != 0 {
		t.Errorf("%d questions went out", n)
	}
}

func TestCNAMELoopEnds(t *testing.T) {
	c, _ := world(t, dns.Options{}, 1)
	_, err := c.Resolve(context.Background(), "loop1.a.example", mail.TypeA)
	if !errors.Is(err, mail.ErrTemporary) {
		t.Errorf("got %v", err)
	}
}

// TestHostile holds that each kind of broken answer ends in an error in bounded time, or in the truth where a second
// way to it exists.
func TestHostile(t *testing.T) {
	loop := []byte{0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 'a', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 15, 0, 1, 0xc0, 27, 0, 15, 0, 1, 0, 0, 0, 9, 0, 4, 0, 1, 0xc0, 37}
	long := "\"" + strings.Repeat(strings.Repeat("x", 250)+"\" \"", 240) + "\""
	tests := map[string]struct {
		fault wiretest.Fault
		says  string // part of the error; "" for the right answer
	}{
		"delay":       {wiretest.Fault{Delay: 20 * time.Millisecond}, ""},
		"drop":        {wiretest.Fault{Drop: true}, "no answer"},
		"first lost":  {wiretest.Fault{DropN: 1}, ""},
		"servfail":    {wiretest.Fault{Rcode: miekg.RcodeServerFailure, EDE: 6}, "SERVFAIL (DNSSEC Bogus)"},
		"refused":     {wiretest.Fault{Rcode: miekg.RcodeRefused}, "REFUSED"},
		"truncated":   {wiretest.Fault{Truncate: true}, ""},
		"wrong id":    {wiretest.Fault{WrongID: true}, "no answer"},
		"wrong q":     {wiretest.Fault{WrongQ: true}, "no answer"},
		"half":        {wiretest.Fault{Cut: true}, "unreadable"},
		"loop":        {wiretest.Fault{Raw: loop}, "unreadable"},
		"two bytes":   {wiretest.Fault{Raw: []byte{0x84, 0}}, "no answer"},
		"only header": {wiretest.Fault{Raw: []byte{0x84, 0, 0, 0, 0, 0, 0, 0, 0, 0}}, "no answer"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, servers := world(t, dns.Options{}, 1)
			servers[0].Tune(func(d *wiretest.DNS) { d.Faults["a.example MX"] = tt.fault })
			a, err := c.Resolve(context.Background(), "a.example", mail.TypeMX)
			switch {
			case tt.says == "" && (err != nil || len(a.Records) != 2):
				t.Errorf("got %v, %v", a, err)
			case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says) || !errors.Is(err, mail.ErrTemporary)):
				t.Errorf("got error %v, want %q", err, tt.says)
			}
		})
	}
	t.Run("60 kB of TXT", func(t *testing.T) {
		c, servers := world(t, dns.Options{}, 1)
		if err := servers[0].Load("$ORIGIN big.example.\n@ TXT " + long + "\n"); err != nil {
			t.Fatal(err)
		}
		a, err := c.Resolve(context.Background(), "big.example", mail.TypeTXT)
		if err != nil || len(a.Texts()[0]) != 60000 {
			t.Errorf("got %v", err)
		}
	})
}

func TestFailOver(t *testing.T) {
	c, servers := world(t, dns.Options{}, 3)
	servers[0].Tune(func(d *wiretest.DNS) { d.Faults["*"] = wiretest.Fault{Drop: true} })
	servers[1].Tune(func(d *wiretest.DNS) { d.Faults["*"] = wiretest.Fault{Rcode: miekg.RcodeServerFailure} })
	a, err := c.Resolve(context.Background(), "a.example", mail.TypeMX)
	if err != nil || a.Server != "192.0.2.3:53" {
		t.Fatalf("got %+v, %v", a, err)
	}
	stats := c.Stats()
	if stats[0].Timeouts != 1 || stats[1].Answers != 1 || stats[2].Answers != 1 {
		t.Errorf("stats %+v", stats)
	}
}

func TestSingleFlight(t *testing.T) {
	c, servers := world(t, dns.Options{}, 1)
	servers[0].Tune(func(d *wiretest.DNS) { d.Faults["*"] = wiretest.Fault{Delay: 30 * time.Millisecond} })
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := c.Resolve(context.Background(), "a.example", mail.TypeMX); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := servers[0].Asked("a.example MX"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestCallerGivesUp holds that one impatient caller does not spoil the answer of the others.
func TestCallerGivesUp(t *testing.T) {
	c, servers := world(t, dns.Options{Timeout: 30 * time.Second}, 1)
	servers[0].Tune(func(d *wiretest.DNS) { d.Faults["*"] = wiretest.Fault{Delay: 500 * time.Millisecond} })
	ctx, cancel := context.WithCancel(context.Background())
	first := make(chan error)
	go func() { _, err := c.Resolve(ctx, "a.example", mail.TypeMX); first <- err }()
	for servers[0].Asked("") == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	a, err := c.Resolve(context.Background(), "a.example", mail.TypeMX)
	if err != nil || len(a.Records) != 2 {
		t.Errorf("the patient one got %v, %v", a, err)
	}
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the impatient one got %v", err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	c, servers := world(t, dns.Options{Memory: 10}, 1)
	for i := range 30 {
		c.Resolve(context.Background(), fmt.Sprintf("n%d.a.example", i), mail.TypeA)
	}
	c.Resolve(context.Background(), "n29.a.example", mail.TypeA)
	c.Resolve(context.Background(), "n0.a.example", mail.TypeA)
	if n, m := servers[0].Asked("n29.a.example A"), servers[0].Asked("n0.a.example A"); n != 1 || m != 2 {
		t.Errorf("the newest asked %d times, the oldest %d times", n, m)
	}
}

func TestAsk(t *testing.T) {
	w := wiretest.NewWorld()
	defer w.Close()
	d, err := w.DNS([]string{"198.51.100.53"}, zone)
	if err != nil {
		t.Fatal(err)
	}
	c := dns.New(dns.Options{Dial: w, Servers: []string{"192.0.2.1"}, Timeout: 3 * time.Second})
	defer c.Close()
	ctx := context.Background()
	r, err := c.Ask(ctx, "198.51.100.53", dns.Question{Name: "a.example", Type: mail.TypeSOA})
	if err != nil || !r.AA || r.RA || r.Rcode != 0 || len(r.Of(mail.TypeSOA)) != 1 || r.Proto != "udp" || r.EDNS != 1232 || r.Size == 0 || r.RTT <= 0 {
		t.Errorf("got %+v, %v", r, err)
	}
	r, err = c.Ask(ctx, "198.51.100.53", dns.Question{Name: "other.example", Type: mail.TypeSOA})
	if err != nil || r.Rcode != miekg.RcodeRefused {
		t.Errorf("got %+v, %v", r, err)
	}
	d.Tune(func(d *wiretest.DNS) { d.Faults["a.example MX"] = wiretest.Fault{Truncate: true} })
	r, err = c.Ask(ctx, "198.51.100.53", dns.Question{Name: "a.example", Type: mail.TypeMX})
	if err != nil || !r.Cut || r.Proto != "tcp" || len(r.Answer) != 2 {
		t.Errorf("got %+v, %v", r, err)
	}
	_, err = c.Ask(ctx, "198.51.100.54", dns.Question{Name: "a.example", Type: mail.TypeMX})
	if f := wire.Classify("", err); f.Kind != wire.Refused {
		t.Errorf("got %v", err)
	}
	w.Set("udp", "198.51.100.55", wiretest.Drops)
	_, err = c.Ask(ctx, "198.51.100.55", dns.Question{Name: "a.example", Type: mail.TypeMX})
	if f := wire.Classify("", err); f.Kind != wire.Timeout {
		t.Errorf("got %v", err)
	}
}

func TestReplay(t *testing.T) {
	var buf bytes.Buffer
	rec := tape.NewRecorder(&buf, time.Now(), nil)
	c, servers := world(t, dns.Options{Tape: rec}, 1)
	servers[0].Tune(func(d *wiretest.DNS) { d.Faults["b.example MX"] = wiretest.Fault{Rcode: miekg.RcodeServerFailure} })
	ask := func(c *dns.Client) string {
		a, err := c.Resolve(context.Background(), "a.example", mail.TypeMX)
		_, err2 := c.Resolve(context.Background(), "b.example", mail.TypeMX)
		r, err3 := c.Ask(context.Background(), "192.0.2.1", dns.Question{Name: "a.example", Type: mail.TypeSOA})
		return fmt.Sprint(a, err, err2, r.Answer, r.RTT, err3, errors.Is(err2, mail.ErrTemporary))
	}
	live := ask(c)
	rec.Close()
	player, err := tape.Open(&buf)
	if err != nil {
		t.Fatal(err)
	}
	again := dns.New(dns.Options{Tape: player, Servers: []string{"192.0.2.99"}, Dial: wiretest.NewWorld()})
	if got := ask(again); got != live {
		t.Errorf("replayed\n%s\nlive\n%s", got, live)
	}
	if _, err := again.Resolve(context.Background(), "c.example", mail.TypeA); wire.Classify("", err).Kind != wire.OffTape {
		t.Errorf("off tape: %v", err)
	}
}
