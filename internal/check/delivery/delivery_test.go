package delivery_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/delivery"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
	"github.com/mailwhy/mailwhy/internal/wire/tape"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

var now = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

const soa = "@ 300 IN SOA ns.test. root.test. 1 3600 900 86400 300\n"

const to = `$ORIGIN to.test.
` + soa + `@ 300 IN MX 10 a
@ 300 IN MX 20 b
a 300 IN A 192.0.2.1
b 300 IN A 192.0.2.2
null 300 IN MX 0 .
bare 300 IN TXT x
safe 300 IN MX 10 a
_mta-sts.safe 300 IN TXT "v=STSv1; id=1"
mta-sts.safe 300 IN A 192.0.2.80
`

const mine = `$ORIGIN mine.test.
` + soa + `@ 300 IN TXT "v=spf1 ip4:203.0.113.25 -all"
mail 300 IN A 203.0.113.25
smart 300 IN A 192.0.2.9
`

const reverse = "$ORIGIN 203.in-addr.arpa.\n" + soa + "25.113.0 300 IN PTR mail.mine.test.\n"

type bed struct {
	w    *wiretest.World
	a, b *wiretest.SMTP
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{w: wiretest.NewWorld(), a: &wiretest.SMTP{Name: "a.to.test", Replies: map[string]string{}}, b: &wiretest.SMTP{Name: "b.to.test", Replies: map[string]string{}}}
	b.w.Self = netip.MustParseAddr("203.0.113.25")
	t.Cleanup(func() { _ = b.w.Close() })
	d, err := b.w.DNS([]string{"192.0.2.53"}, "$ORIGIN .\n"+soa, to, mine, reverse)
	if err != nil {
		t.Fatal(err)
	}
	d.Recursive = true
	for addr, s := range map[string]*wiretest.SMTP{"192.0.2.1:25": b.a, "192.0.2.2:25": b.b} {
		if err := b.w.SMTP(addr, s); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func (b *bed) env(t *testing.T, tp *tape.Tape) *check.Env {
	clock := func() time.Time { return now }
	do := dns.Options{Servers: []string{"192.0.2.53"}, Dial: b.w, Now: clock, Timeout: time.Second, NoIPv6: true}
	e := &check.Env{
		Dial: b.w, Now: clock, Probe: check.Probe{HELO: "mail.mine.test", Timeout: time.Second, NoIPv6: true},
		Know: knowledge.Over(fstest.MapFS{
			"blocklists.toml": {Data: []byte("checked = 2026-11-22\n")},
			"outbound.toml":   {Data: []byte("checked = 2026-11-22\nhosts = [\"smart.mine.test\"]\n")},
		}),
	}
	if tp != nil {
		e.Tape, do.Tape = tp, tp
	}
	e.DNS = dns.New(do)
	t.Cleanup(func() { _ = e.DNS.Close() })
	e.SMTP = &smtp.Prober{Door: e.SMTPDoor()}
	return e
}

func (b *bed) run(t *testing.T, o delivery.Options) *finding.Report {
	t.Helper()
	if o.To == "" {
		o.To = "wang@to.test"
	}
	if o.From == "" {
		o.From = "li@mine.test"
	}
	return delivery.Survey(context.Background(), b.env(t, nil), o)
}

func TestHeadlines(t *testing.T) {
	cases := []struct {
		name   string
		change func(*bed, *delivery.Options)
		state  finding.State
		says   string // part of the headline
		owner  finding.Owner
	}{
		{"accepted", func(*bed, *delivery.Options) {}, finding.StateOK, "Deliverable: a.to.test accepts wang@to.test (nothing was sent).", finding.OwnerNobody},
		{"unknown user", func(b *bed, _ *delivery.Options) { b.a.Replies["RCPT"] = "550 5.1.1 <wang@to.test>: User unknown" }, finding.StateBroken, "a.to.test refuses the recipient wang@to.test", finding.OwnerSender},
		{"full", func(b *bed, _ *delivery.Options) { b.a.Replies["RCPT"] = "552 5.2.2 mailbox full" }, finding.StateBroken, "full", finding.OwnerRecipient},
		{"full for now", func(b *bed, _ *delivery.Options) {
			b.a.Replies["RCPT"], b.b.Replies["RCPT"] = "452 4.2.2 mailbox full", "452 4.2.2 mailbox full"
		}, finding.StateBroken, "full", finding.OwnerRecipient},
		{"greylisted", func(b *bed, _ *delivery.Options) {
			b.a.Replies["RCPT"], b.b.Replies["RCPT"] = "451 4.7.1 Greylisting in action, please come back in 00:05:00", "451 4.7.1 Greylisted"
		}, finding.StateUntested, "Could not be tested now", finding.OwnerNobody},
		{"busy", func(b *bed, _ *delivery.Options) {
			b.a.Greeting, b.b.Greeting = "421 4.3.2 too many connections", "421 4.3.2 too many connections"
		}, finding.StateUntested, "again after", finding.OwnerNobody},
		{"first is down", func(b *bed, _ *delivery.Options) { b.w.Set("tcp", "192.0.2.1", wiretest.Drops) }, finding.StateOK, "b.to.test accepts", finding.OwnerNobody},
		{"all down", func(b *bed, _ *delivery.Options) {
			b.w.Set("tcp", "192.0.2.1", wiretest.Drops)
			b.w.Set("tcp", "192.0.2.2", wiretest.Unreachable)
		}, finding.StateBroken, "no mail server of to.test answers", finding.OwnerServer},
		{"refuses our IP for its name", func(b *bed, _ *delivery.Options) {
			b.w.Self = netip.MustParseAddr("203.0.113.26")
			b.a.Replies["RCPT"] = "550 5.7.25 Client host rejected: cannot find your reverse hostname, [203.0.113.26]"
		}, finding.StateBroken, "because 203.0.113.26 has no PTR record", finding.OwnerSelf},
		{"refuses our IP for a listing nobody confirms", func(b *bed, _ *delivery.Options) {
			b.w.Self = netip.MustParseAddr("203.0.113.26")
			b.a.Replies["RCPT"] = "554 5.7.1 Service unavailable; Client host [203.0.113.26] blocked using zen.spamhaus.org"
		}, finding.StateBroken, "refuses the recipient wang@to.test: listed on a DNS blocklist.", finding.OwnerSelf},
		{"no such domain", func(_ *bed, o *delivery.Options) { o.To = "wang@none.test" }, finding.StateBroken, "none.test does not exist", finding.OwnerSender},
		{"null MX", func(_ *bed, o *delivery.Options) { o.To = "wang@null.to.test" }, finding.StateBroken, "takes no mail", finding.OwnerSender},
		{"no server", func(_ *bed, o *delivery.Options) { o.To = "wang@bare.to.test" }, finding.StateBroken, "no MX record that leads to an address", finding.OwnerDomain},
		{"bad address", func(_ *bed, o *delivery.Options) { o.To = "wang.to.test" }, finding.StateBroken, "it has no @", finding.OwnerSender},
		{"EAI refused", func(_ *bed, o *delivery.Options) { o.To = "王@to.test" }, finding.StateBroken, "does not offer SMTPUTF8", finding.OwnerRecipient},
		{"full-width", func(_ *bed, o *delivery.Options) { o.To = "wang＠to．test" }, finding.StateOK, "accepts wang@to.test", finding.OwnerNobody},
		{"smarthost", func(b *bed, o *delivery.Options) {
			o.Via = "smart.mine.test"
			_ = b.w.SMTP("192.0.2.9:25", &wiretest.SMTP{Replies: map[string]string{"RCPT": "554 5.7.1 Relay access denied"}})
		}, finding.StateBroken, "smart.mine.test refuses the recipient", finding.OwnerSelf},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t)
			var o delivery.Options
			c.change(b, &o)
			r := b.run(t, o)
			if h := r.Headline; h.State != c.state || !strings.Contains(h.Says.String(), c.says) || h.Owner != c.owner {
				t.Errorf("%s, %s: %s", h.State, h.Owner, h.Says)
			}
			for _, s := range []*wiretest.SMTP{b.a, b.b} {
				if slices.Contains(s.Heard(), "DATA") {
					t.Error("DATA was said")
				}
			}
		})
	}
}

func TestOutboundBlocked(t *testing.T) {
	b := newBed(t)
	b.w.Else = wiretest.Drops
	for _, a := range []string{"192.0.2.1:25", "192.0.2.2:25"} {
		b.w.Set("tcp", a, wiretest.Drops)
	}
	_ = b.w.SMTP("192.0.2.1:443", &wiretest.SMTP{})
	env := b.env(t, nil)
	env.Know = knowledge.Over(fstest.MapFS{
		"blocklists.toml": {Data: []byte("checked = 2026-11-22\n")},
		"outbound.toml":   {Data: []byte("checked = 2026-11-22\nhosts = [\"smart.mine.test\", \"mail.mine.test\"]\n")},
	})
	r := delivery.Survey(context.Background(), env, delivery.Options{From: "li@mine.test", To: "wang@to.test"})
	if h := r.Headline; h.Owner != finding.OwnerNetwork || !strings.Contains(h.Says.String(), "from here no connection to port 25") {
		t.Errorf("%s: %s", h.Owner, h.Says)
	}
	if !hasUntested(r, "deliver.unreachable") {
		t.Errorf("the recipient's servers are accused: %v", says(r))
	}
	if slices.ContainsFunc(r.Findings, func(f finding.Finding) bool { return f.Rule.ID == "deliver.port-filtered" }) {
		t.Error("a firewall of theirs is suspected though ours is known")
	}
}

func TestSendsOnceAndStops(t *testing.T) {
	b := newBed(t)
	b.a.Replies["RCPT"] = "451 4.3.0 later"
	r := b.run(t, delivery.Options{Message: []byte("Subject: hello\n\nhi\n")})
	if !strings.HasPrefix(r.Headline.Says.String(), "Delivered: b.to.test") {
		t.Errorf("%s", r.Headline.Says)
	}
	if len(b.a.Messages()) != 0 || len(b.b.Messages()) != 1 {
		t.Errorf("a took %d, b took %d messages", len(b.a.Messages()), len(b.b.Messages()))
	}
	b = newBed(t)
	b.run(t, delivery.Options{Message: []byte("Subject: hello\n\nhi\n")})
	if len(b.a.Messages()) != 1 || len(b.b.Messages()) != 0 || b.w.Dials("tcp", "192.0.2.2:25") != 0 {
		t.Errorf("a took %d, b took %d messages", len(b.a.Messages()), len(b.b.Messages()))
	}
	b = newBed(t)
	b.a.Replies["RCPT"] = "550 5.1.1 no such user"
	b.run(t, delivery.Options{Message: []byte("x")})
	if len(b.b.Messages()) != 0 {
		t.Error("a refusal for good was answered by trying the next server")
	}
}

func TestOwnAddressFromEHLO(t *testing.T) {
	b := newBed(t)
	b.w.Self = netip.MustParseAddr("10.0.0.7")
	r := b.run(t, delivery.Options{})
	if s := r.Facts.(*delivery.Facts).Self; s.IP.IsValid() {
		t.Errorf("took %s for our public address", s.IP)
	}
	if !hasUntested(r, "deliver.own-address") {
		t.Error("a private address is not told")
	}
	b.a.Replies["EHLO"] = "250-a.to.test Hello mail.mine.test [203.0.113.25]\n250 SIZE"
	if s := b.run(t, delivery.Options{}).Facts.(*delivery.Facts).Self; s.IP.String() != "203.0.113.25" || s.Source != "ehlo" {
		t.Errorf("%v by %s", s.IP, s.Source)
	}
	if s := b.run(t, delivery.Options{PublicIP: netip.MustParseAddr("203.0.113.9")}).Facts.(*delivery.Facts).Self; s.Source != "given" {
		t.Errorf("%v by %s", s.IP, s.Source)
	}
}

func hasUntested(r *finding.Report, id string) bool {
	return slices.ContainsFunc(r.Findings, func(f finding.Finding) bool { return f.Rule.ID == id && f.Outcome == finding.Unknown })
}

func TestReplayIsTheSame(t *testing.T) {
	b := newBed(t)
	b.a.Replies["RCPT"] = "550 5.1.1 no such user \xff\x1b[31m"
	b.w.Set("tcp", "192.0.2.2", wiretest.Drops)
	opt := delivery.Options{From: "li@mine.test", To: "wang@to.test"}
	tell := func(tp *tape.Tape) string {
		r := delivery.Survey(context.Background(), b.env(t, tp), opt)
		raw, err := json.Marshal(struct{ H, F, S, X any }{r.Headline, says(r), r.Sections, r.Facts})
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	var buf bytes.Buffer
	rec := tape.NewRecorder(&buf, now, nil)
	live := tell(rec)
	_ = rec.Close()
	_ = b.w.Close()
	play, err := tape.Open(&buf)
	if err != nil {
		t.Fatal(err)
	}
	if again := tell(play); again != live {
		t.Errorf("live   %s\nreplay %s", live, again)
	}
}

func says(r *finding.Report) (out []string) {
	for i := range r.Findings {
		out = append(out, r.Findings[i].Rule.ID+" "+r.Findings[i].Says().String())
	}
	return out
}

func TestTypos(t *testing.T) {
	b := newBed(t)
	for in, want := range map[string]string{
		"a@gmial.com": "a@gmail.com", "a@gmai.com": "a@gmail.com", "a@hotmail.con": "a@hotmail.com", "a@outlok.com": "a@outlook.com",
		"a@qq.con": "a@qq.com", "a@162.com": "a@126.com", "a@169.com": "", "a@mail.com": "", "a@gmail.com": "", "a@partner.example": "", "a@aq.com": "", "a@partner.cmo": "a@partner.com",
	} {
		env := b.env(t, nil)
		env.Probe.Offline = true
		f := delivery.Look(context.Background(), env, delivery.Options{To: in})
		if f.Means != want {
			t.Errorf("%s: %q, want %q", in, f.Means, want)
		}
	}
}

// TestNothingIsSentAgainstThePolicy holds that a message stays here where MTA-STS forbids the server.
func TestNothingIsSentAgainstThePolicy(t *testing.T) {
	b := newBed(t)
	ca, err := wiretest.NewCA("Root", now)
	if err != nil {
		t.Fatal(err)
	}
	issue := func(l wiretest.Leaf) *tls.Config {
		c, err := ca.Issue(l, now)
		if err != nil {
			t.Fatal(err)
		}
		return wiretest.Config(c)
	}
	web := issue(wiretest.Leaf{Names: []string{"mta-sts.safe.to.test"}})
	policy := "version: STSv1\nmode: enforce\nmx: a.to.test\nmax_age: 86400\n"
	if err := b.w.SMTP("192.0.2.80:443", &wiretest.SMTP{Raw: func(c net.Conn) {
		s := tls.Server(c, web)
		if _, err := s.Read(make([]byte, 4096)); err == nil {
			_, _ = fmt.Fprintf(s, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(policy), policy)
		}
	}}); err != nil {
		t.Fatal(err)
	}
	send := func(cert *tls.Config) *delivery.Facts {
		b.a.TLS = cert
		env := b.env(t, nil)
		env.Roots = ca.Pool()
		env.SMTP = &smtp.Prober{Door: env.SMTPDoor()}
		return delivery.Survey(context.Background(), env, delivery.Options{From: "li@mine.test", To: "wang@safe.to.test", Message: []byte("x")}).Facts.(*delivery.Facts)
	}
	for name, cert := range map[string]*tls.Config{
		"no TLS": nil, "other name": issue(wiretest.Leaf{Names: []string{"b.to.test"}}), "expired": issue(wiretest.Leaf{Names: []string{"a.to.test"}, NotAfter: now.Add(-time.Hour)}),
	} {
		if f := send(cert); f.Result != delivery.Insecure || f.Delivered || len(b.a.Messages()) != 0 {
			t.Errorf("%s: %s, delivered %v", name, f.Result, f.Delivered)
		}
	}
	if f := send(issue(wiretest.Leaf{Names: []string{"a.to.test"}})); !f.Delivered || len(b.a.Messages()) != 1 {
		t.Errorf("a good certificate: %s", f.Result)
	}
}
