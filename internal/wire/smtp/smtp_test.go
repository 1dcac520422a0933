package smtp_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
	"github.com/mailwhy/mailwhy/internal/wire/tape"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

var now = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

// serve starts a scripted server and gives a plan that reaches it.
func serve(t *testing.T, s *wiretest.SMTP) smtp.Plan {
	t.Helper()
	addr, stop, err := wiretest.Listen(s.Serve)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	ap := netip.MustParseAddrPort(addr)
	return smtp.Plan{Host: "mx.test", Addr: ap.Addr(), Port: ap.Port(), HELO: "probe.test",
		Envelope: []smtp.Mail{{From: "a@probe.test", To: []string{"b@mx.test"}}}}
}

func door(roots *x509.CertPool) smtp.Door {
	short := 300 * time.Millisecond
	return smtp.Door{Dial: &net.Dialer{}, Now: clock, Roots: roots, Limits: smtp.Limits{Connect: short, Greeting: short, Reply: short, Session: 2 * time.Second}}
}

func authority(t *testing.T) *wiretest.CA {
	t.Helper()
	ca, err := wiretest.NewCA("Root", now)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func withTLS(t *testing.T, ca *wiretest.CA, l wiretest.Leaf) *wiretest.SMTP {
	t.Helper()
	cert, err := ca.Issue(l, now)
	if err != nil {
		t.Fatal(err)
	}
	return &wiretest.SMTP{TLS: wiretest.Config(cert)}
}

func TestWholeSession(t *testing.T) {
	ca := authority(t)
	srv := withTLS(t, ca, wiretest.Leaf{Names: []string{"mx.test"}})
	s, err := smtp.Run(context.Background(), door(ca.Pool()), serve(t, srv))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, st := range s.Stages {
		names = append(names, string(st.Name))
	}
	if got, want := strings.Join(names, " "), "connect greeting ehlo starttls tls ehlo2 mail rcpt rset quit"; got != want {
		t.Errorf("stages %s, want %s", got, want)
	}
	if s.Failed() != nil || s.Fault != nil {
		t.Errorf("failed at %+v, %v", s.Failed(), s.Fault)
	}
	if !s.TLS.Trusted() || s.TLS.Version != "TLS 1.3" || !s.TLS.PostQuantum() {
		t.Errorf("handshake %+v", s.TLS)
	}
	if s.Caps.Has("STARTTLS") == s.SecureCaps.Has("STARTTLS") {
		t.Errorf("before TLS %v, after %v", s.Caps, s.SecureCaps)
	}
	if n, ok := s.Offered().Size(); n != 10240000 || !ok {
		t.Errorf("size %d %v", n, ok)
	}
	if text := s.Transcript.String(); !strings.Contains(text, "> RCPT TO:<b@mx.test>\n< 250 2.0.0 Ok\n") {
		t.Errorf("transcript:\n%s", text)
	}
	if len(srv.Messages()) != 0 {
		t.Error("a message was delivered without being asked to")
	}
}

func TestSendsOnlyWithMessage(t *testing.T) {
	srv := &wiretest.SMTP{}
	p := serve(t, srv)
	p.Message = []byte("Subject: x\n\n.dot\nend")
	s, _ := smtp.Run(context.Background(), door(nil), p)
	if st := s.Stage(smtp.Message); st == nil || !st.OK() {
		t.Fatalf("stages %+v", s.Stages)
	}
	if got := srv.Messages(); len(got) != 1 || string(got[0]) != "Subject: x\r\n\r\n..dot\r\nend\r\n" {
		t.Errorf("server took %q", got)
	}
	if !strings.Contains(strings.Join(srv.Heard(), "\n"), "MAIL FROM:<a@probe.test> SIZE=25") {
		t.Errorf("heard %q", srv.Heard())
	}
}

// TestBroken holds how each way to break a session is told.
func TestBroken(t *testing.T) {
	cases := []struct {
		name  string
		srv   *wiretest.SMTP
		stage smtp.StageName
		kind  wire.FaultKind // "" for a reply
		code  int
	}{
		{"closes before greeting", &wiretest.SMTP{Greeting: "close"}, smtp.Greeting, wire.Closed, 0},
		{"resets at EHLO", &wiretest.SMTP{Replies: map[string]string{"EHLO": "reset"}}, smtp.Ehlo, wire.Reset, 0},
		{"silent", &wiretest.SMTP{Greeting: "stall"}, smtp.Greeting, wire.Timeout, 0},
		{"refuses in greeting", &wiretest.SMTP{Greeting: "554 5.7.1 go away"}, smtp.Greeting, "", 554},
		{"busy", &wiretest.SMTP{Greeting: "421 4.3.2 busy"}, smtp.Greeting, "", 421},
		{"not SMTP", &wiretest.SMTP{Greeting: "SSH-2.0-x"}, smtp.Greeting, wire.Protocol, 0},
		{"closes at EHLO", &wiretest.SMTP{Replies: map[string]string{"EHLO": "close"}}, smtp.Ehlo, wire.Closed, 0},
		{"stalls at MAIL", &wiretest.SMTP{Replies: map[string]string{"MAIL": "stall"}}, smtp.MailFrom, wire.Timeout, 0},
		{"refuses MAIL", &wiretest.SMTP{Replies: map[string]string{"MAIL": "550 5.7.1 no"}}, smtp.MailFrom, "", 550},
		{"unknown user", &wiretest.SMTP{Replies: map[string]string{"RCPT": "550-5.1.1 no\n550 5.1.1 such user"}}, smtp.RcptTo, "", 550},
		{"closes at RCPT with 421", &wiretest.SMTP{Replies: map[string]string{"RCPT": "421 4.7.0 slow down"}}, smtp.RcptTo, "", 421},
		{"code changes", &wiretest.SMTP{Replies: map[string]string{"EHLO": "250-a\n550 b"}}, smtp.Ehlo, wire.Protocol, 0},
		{"10 MB greeting", &wiretest.SMTP{Raw: flood("220-" + strings.Repeat("x", 500) + "\r\n")}, smtp.Greeting, wire.Limit, 0},
		{"endless line", &wiretest.SMTP{Raw: flood(strings.Repeat("220-", 1000))}, smtp.Greeting, wire.Limit, 0},
		{"binary", &wiretest.SMTP{Raw: flood("\x16\x03\x01\x00\xff\n")}, smtp.Greeting, wire.Protocol, 0},
		{"byte by byte", &wiretest.SMTP{Raw: drip}, smtp.Greeting, wire.Timeout, 0},
		{"closes in TLS", &wiretest.SMTP{Replies: map[string]string{"EHLO": "250-a\n250 STARTTLS", "STARTTLS": "220 go"}}, smtp.TLS, "", 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, err := smtp.Run(context.Background(), door(nil), serve(t, c.srv))
			if err != nil {
				t.Fatal(err)
			}
			st := s.Failed()
			if st == nil || st.Name != c.stage {
				t.Fatalf("failed at %+v, want %s; transcript:\n%s", st, c.stage, s.Transcript)
			}
			if c.kind != "" && (st.Fault == nil || st.Fault.Kind != c.kind) {
				t.Errorf("fault %+v, want %s", st.Fault, c.kind)
			}
			if c.code != 0 && (st.Reply == nil || st.Reply.Code != c.code) {
				t.Errorf("reply %+v, want %d", st.Reply, c.code)
			}
			if s.Took > 20*time.Second {
				t.Errorf("took %v", s.Took)
			}
		})
	}
}

func flood(s string) func(net.Conn) {
	return func(c net.Conn) {
		for range 10 << 20 / len(s) {
			if _, err := c.Write([]byte(s)); err != nil {
				return
			}
		}
	}
}

func drip(c net.Conn) {
	for _, b := range []byte(strings.Repeat("220-hello\r\n", 100)) {
		if _, err := c.Write([]byte{b}); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestConnectFaults(t *testing.T) {
	addr, stop, err := wiretest.Listen(func(net.Conn) {})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	ap := netip.MustParseAddrPort(addr)
	s, _ := smtp.Run(context.Background(), door(nil), smtp.Plan{Addr: ap.Addr(), Port: ap.Port()})
	if st := s.Failed(); st == nil || st.Name != smtp.Connect || st.Fault.Kind != wire.Refused {
		t.Errorf("%+v", st)
	}
}

func TestHeloAfterRefusedEhlo(t *testing.T) {
	srv := &wiretest.SMTP{Replies: map[string]string{"EHLO": "500 5.5.1 what"}}
	s, _ := smtp.Run(context.Background(), door(nil), serve(t, srv))
	if s.Failed() != nil || s.Stage(smtp.Helo) == nil || s.Stage(smtp.RcptTo) == nil {
		t.Errorf("stages %+v", s.Stages)
	}
}

func TestTrustFaults(t *testing.T) {
	ca, other := authority(t), authority(t)
	sub, err := ca.Sub("Middle", now)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name  string
		by    *wiretest.CA
		leaf  wiretest.Leaf
		trust wire.TrustFault
		named bool
	}{
		{"good", sub, wiretest.Leaf{Names: []string{"mx.test"}}, wire.TrustOK, true},
		{"expired", sub, wiretest.Leaf{Names: []string{"mx.test"}, NotAfter: now.AddDate(0, 0, -1)}, wire.Expired, true},
		{"not yet", sub, wiretest.Leaf{Names: []string{"mx.test"}, NotBefore: now.AddDate(0, 0, 1)}, wire.NotYetValid, true},
		{"self-signed", ca, wiretest.Leaf{Names: []string{"mx.test"}, SelfSigned: true}, wire.SelfSigned, true},
		{"wrong name", sub, wiretest.Leaf{Names: []string{"www.test"}}, wire.TrustOK, false},
		{"short chain", sub, wiretest.Leaf{Names: []string{"mx.test"}, Short: true}, wire.MissingLink, true},
		{"other root", other, wiretest.Leaf{Names: []string{"mx.test"}}, wire.MissingLink, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, _ := smtp.Run(context.Background(), door(ca.Pool()), serve(t, withTLS(t, c.by, c.leaf)))
			if s.TLS == nil || s.TLS.Fault != nil {
				t.Fatalf("handshake %+v", s.TLS)
			}
			if s.TLS.Trust != c.trust || s.TLS.NameOK != c.named {
				t.Errorf("trust %q (%s), name %v", s.TLS.Trust, s.TLS.TrustText, s.TLS.NameOK)
			}
			if s.Stage(smtp.RcptTo) == nil {
				t.Error("the session did not go on")
			}
		})
	}
}

func TestRecordedSessionReplays(t *testing.T) {
	var buf bytes.Buffer
	rec := tape.NewRecorder(&buf, now, nil)
	d := door(nil)
	d.Tape = rec
	p := serve(t, &wiretest.SMTP{Greeting: "220 \xff\xfe \x1b[31mhi"})
	live, err := smtp.Run(context.Background(), d, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	if d.Tape, err = tape.Open(&buf); err != nil {
		t.Fatal(err)
	}
	again, err := smtp.Run(context.Background(), d, p)
	if err != nil {
		t.Fatal(err)
	}
	if again.Transcript.String() != live.Transcript.String() || again.Took != live.Took {
		t.Errorf("replay differs:\n%s\n%s", live.Transcript, again.Transcript)
	}
}

func TestNoSmuggling(t *testing.T) {
	p := serve(t, &wiretest.SMTP{})
	p.Envelope[0].To = []string{"a@b>\r\nDATA\r\n"}
	if _, err := smtp.Run(context.Background(), door(nil), p); err == nil {
		t.Error("a line end in an address was sent")
	}
}

func TestProberAsksOnce(t *testing.T) {
	srv := &wiretest.SMTP{}
	pr := &smtp.Prober{Door: door(nil)}
	p := serve(t, srv)
	a, _ := pr.Session(context.Background(), p)
	b, _ := pr.Session(context.Background(), p)
	if a != b || a == nil {
		t.Error("two sessions for one plan")
	}
}

func TestCancelEndsSession(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	started := make(chan struct{})
	srv := &wiretest.SMTP{Raw: func(c net.Conn) { close(started); buf := make([]byte, 1); _, _ = c.Read(buf) }}
	p := serve(t, srv)
	go func() { <-started; cancel() }()
	d := door(nil)
	d.Limits.Greeting = time.Minute
	s, _ := smtp.Run(ctx, d, p)
	if s.Fault == nil || s.Fault.Kind != wire.Canceled {
		t.Errorf("fault %+v", s.Fault)
	}
}

func TestAddressNamedInReply(t *testing.T) {
	for line, want := range map[string]string{
		"mx.google.com at your service, [203.0.113.5]": "203.0.113.5",
		"mx.example Hello probe [IPv6:2001:db8::5]":    "2001:db8::5",
		"mx.example Hello probe [192.168.1.5]":         "invalid IP",
		"mx.example":                                   "invalid IP",
	} {
		if got := smtp.Address(&smtp.Reply{Lines: []string{line}}).String(); got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
}

func FuzzReadReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-a\r\n250 b\r\n", "220\n", "550-5.1.1 x\r\n550 5.1.1 y\r\n", "\x00\xff\r\n", "250-"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		seen := 0
		rep, err := smtp.ReadReply(bufio.NewReader(bytes.NewReader(in)), func(string) { seen++ })
		if err == nil && (rep.Code < 100 || rep.Code > 599 || len(rep.Lines) == 0) {
			t.Errorf("accepted %q as %+v", in, rep)
		}
		smtp.ParseCaps(rep.Lines)
		smtp.Address(rep)
	})
}

func TestLongChain(t *testing.T) {
	ca := authority(t)
	srv := withTLS(t, ca, wiretest.Leaf{Names: []string{"mx.test"}})
	c := &srv.TLS.Certificates[0]
	for len(c.Certificate) < 100 {
		c.Certificate = append(c.Certificate, ca.Cert.Raw)
	}
	s, err := smtp.Run(context.Background(), door(ca.Pool()), serve(t, srv))
	if err != nil || s.Failed() != nil {
		t.Fatal(err, s.Failed())
	}
	if len(s.TLS.Chain) != wire.MaxCertificates || s.TLS.Sent != 100 || !s.TLS.Trusted() {
		t.Errorf("kept %d of %d, trust %q", len(s.TLS.Chain), s.TLS.Sent, s.TLS.Trust)
	}
}

func TestNULsAreKept(t *testing.T) {
	s, _ := smtp.Run(context.Background(), door(nil), serve(t, &wiretest.SMTP{Greeting: "220 a\x00b ESMTP"}))
	if g := s.Reply(smtp.Greeting); g == nil || g.Lines[0] != "a\x00b ESMTP" {
		t.Errorf("greeting %+v", g)
	}
}

func TestGate(t *testing.T) {
	g := &wire.Gate{AtOnce: 1, Total: 2}
	leave, err := g.Enter(context.Background(), "h")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := g.Enter(ctx, "h"); err == nil {
		t.Error("two at once")
	}
	leave()
	var f *wire.Fault
	if _, err := g.Enter(context.Background(), "h"); !errors.As(err, &f) || f.Kind != wire.Limit {
		t.Errorf("a third connection: %v", err)
	}
}
