package notify

import (
	"bytes"
	"io"
	"mime"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
)

// box is a mail server that keeps what it gets.
type box struct {
	mu    sync.Mutex
	from  string
	to    []string
	mails [][]byte
}

func (b *box) NewSession(*smtp.Conn) (smtp.Session, error) { return b, nil }
func (b *box) Mail(from string, _ *smtp.MailOptions) error { b.from = from; return nil }
func (b *box) Rcpt(to string, _ *smtp.RcptOptions) error   { b.to = append(b.to, to); return nil }
func (b *box) Reset()                                      {}
func (b *box) Logout() error                               { return nil }
func (b *box) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	b.mu.Lock()
	b.mails = append(b.mails, raw)
	b.mu.Unlock()
	return err
}

func TestMail(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &box{}
	srv := smtp.NewServer(b)
	srv.Domain = "mail.mine.example"
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done })
	c := Channel{Kind: "mail", Server: l.Addr().String(), TLS: "none", From: "mailwhy@mine.example", To: []string{"li@mine.example", "wang@mine.example"}, Lang: "zh"}
	if err := send(t, c, doors(nil), failing()); err != nil {
		t.Fatal(err)
	}
	if err := send(t, c, doors(nil), mended()); err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.from != "mailwhy@mine.example" || len(b.to) != 4 || len(b.mails) != 2 {
		t.Fatalf("%s %v, %d mails", b.from, b.to, len(b.mails))
	}
	var threads []string
	for i, raw := range b.mails {
		m, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil || i == 0 && subject != "FAIL mail.mine.example: 993 端口没有应答" || m.Header.Get("Auto-Submitted") != "auto-generated" || m.Header.Get("Message-ID") == "" || m.Header.Get("Date") == "" {
			t.Errorf("%q, %v, %v", subject, err, m.Header)
		}
		if m.Header.Get("List-Id") != "mailwhy <alerts.mailwhy.mine.example>" || m.Header.Get("X-Auto-Response-Suppress") != "All" || !strings.HasSuffix(m.Header.Get("Message-ID"), ">") {
			t.Errorf("%v", m.Header)
		}
		threads = append(threads, m.Header.Get("References"))
	}
	if threads[0] == "" || threads[0] != threads[1] || !strings.HasSuffix(threads[0], "@mine.example>") {
		t.Errorf("no thread: %q", threads)
	}
}

func TestMailNeedsTLS(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := smtp.NewServer(&box{})
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done })
	c := Channel{Kind: "mail", Server: l.Addr().String(), From: "a@mine.example", To: []string{"b@mine.example"}, User: "u", Password: "file:p"}
	if err := send(t, c, doors(map[Secret]string{"file:p": "verysecret"}), failing()); err == nil || strings.Contains(err.Error(), "verysecret") {
		t.Errorf("sent without STARTTLS, or told the password: %v", err)
	}
}

// Whatever peers said: a mail is RFC 5322, its header is ASCII without a line that somebody smuggled in, its lines are short.
func TestMailTakesEverything(t *testing.T) {
	for name, alerts := range hard() {
		for _, lang := range []string{"en", "zh"} {
			c := Channel{ID: "x", Kind: "mail", Server: "127.0.0.1:1", From: "mailwhy@mine.example", To: []string{"li@mine.example"}, Lang: lang}
			m, err := (&mailer{from: c.From, to: c.To}).message(&Message{Lang: c.lang(), Alerts: alerts, At: start})
			if err != nil {
				t.Fatal(err)
			}
			var raw bytes.Buffer
			if _, err := m.WriteTo(&raw); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(raw.String()) {
				if len(line) > 1000 || !strings.HasSuffix(line, "\r\n") && strings.HasSuffix(line, "\n") || strings.ContainsFunc(line, func(r rune) bool { return r > 126 }) {
					t.Errorf("%s: line %q", name, shorten(line, 200))
				}
			}
			got, err := mail.ReadMessage(bytes.NewReader(raw.Bytes()))
			if err != nil || got.Header.Get("Bcc") != "" || got.Header.Get("Subject") == "" {
				t.Errorf("%s: %v, %v", name, err, got)
			}
		}
	}
}
