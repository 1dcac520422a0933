package smtp

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

func TestAuth(t *testing.T) {
	now := time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)
	ca, err := wiretest.NewCA("Test Root", now)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(wiretest.Leaf{Names: []string{"mail.test"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, offered string
		replies       map[string]string
		tls           bool
		login         wire.Login
		in            bool
		mechanism     string
		code          int    // of the AUTH stage
		fault         string // a part of its fault
	}{
		{name: "plain", offered: "AUTH PLAIN LOGIN", tls: true, replies: map[string]string{"AUTH": "235 2.7.0 in"}, in: true, mechanism: "PLAIN", code: 235},
		{name: "wrong", offered: "AUTH PLAIN", tls: true, replies: map[string]string{"AUTH": "535 5.7.8 Error: authentication failed: geheim"}, mechanism: "PLAIN", code: 535},
		{name: "login", offered: "AUTH LOGIN", tls: true, in: true, mechanism: "LOGIN", code: 235,
			replies: map[string]string{"AUTH": "334 VXNlcm5hbWU6", "bGk=": "334 UGFzc3dvcmQ6", "Z2VoZWlt": "235 in"}},
		{name: "CRAM-MD5 in the clear", offered: "AUTH PLAIN CRAM-MD5", mechanism: "CRAM-MD5", code: 535,
			replies: map[string]string{"AUTH": "334 PDEyM0B0ZXN0Pg==", "QUIT": "221 bye"}, login: wire.Login{Mechanism: "CRAM-MD5"}, fault: "-"},
		{name: "not in the clear", offered: "AUTH PLAIN", mechanism: "PLAIN", fault: "not encrypted"},
		{name: "nothing offered", offered: "SIZE 1", tls: true, fault: "no login method"},
		{name: "endless", offered: "AUTH LOGIN", tls: true, mechanism: "LOGIN", fault: "ten answers",
			replies: map[string]string{"AUTH": "334 VXNlcm5hbWU6", "bGk=": "334 QQ==", "Z2VoZWlt": "334 QQ=="}},
		{name: "no base64", offered: "AUTH LOGIN", tls: true, mechanism: "LOGIN", fault: "not base64", replies: map[string]string{"AUTH": "334 !!!"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := wiretest.NewWorld()
			defer w.Close()
			srv := &wiretest.SMTP{Caps: []string{c.offered}, Replies: c.replies}
			if c.tls {
				srv.TLS = wiretest.Config(cert)
			}
			if err := w.SMTP("198.51.100.7:587", srv); err != nil {
				t.Fatal(err)
			}
			l := c.login
			l.User, l.Secret = "li", "geheim"
			s, err := Run(context.Background(), Door{Dial: w, Roots: ca.Pool(), Now: func() time.Time { return now }},
				Plan{Host: "mail.test", Addr: netip.MustParseAddr("198.51.100.7"), Port: 587, HELO: "probe.test", Login: &l, StopAfter: Auth})
			if err != nil {
				t.Fatal(err)
			}
			if s.LoggedIn != c.in || s.Mechanism != c.mechanism {
				t.Errorf("in %v by %q\n%s", s.LoggedIn, s.Mechanism, s.Transcript)
			}
			st := s.Stage(Auth)
			switch {
			case st == nil:
				t.Fatalf("no stage\n%s", s.Transcript)
			case c.fault == "-":
			case c.fault != "":
				if st = last(s, Auth); st.Fault == nil || !strings.Contains(st.Fault.Text, c.fault) {
					t.Errorf("%+v", st)
				}
			case st.Reply == nil || st.Reply.Code != c.code:
				t.Errorf("%+v", st)
			}
			raw, _ := json.Marshal(s)
			if strings.Contains(string(raw), "geheim") || strings.Contains(string(raw), "Z2VoZWlt") {
				t.Errorf("the password stands in the facts:\n%s", s.Transcript)
			}
			if !c.tls && slices.ContainsFunc(srv.Heard(), func(h string) bool { return strings.Contains(h, "Z2VoZWlt") || strings.Contains(h, "AUTH PLAIN") }) {
				t.Errorf("sent in the clear: %q", srv.Heard())
			}
		})
	}
}

func last(s *Session, n StageName) *Stage {
	for i := len(s.Stages) - 1; i >= 0; i-- {
		if s.Stages[i].Name == n {
			return &s.Stages[i]
		}
	}
	return nil
}
