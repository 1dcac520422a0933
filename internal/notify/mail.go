package notify

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// mailer sends plain text by SMTP. Mails of one incident form a thread (References).
type mailer struct {
	host           string
	port           int
	tls            string
	user, password string
	from           string
	to             []string
	helo           string
	dial           wire.Dialer // nil: the machine's own
}

// splitServer takes host:port apart; without a port it is 465 for tls, else 587.
func splitServer(s, tls string) (host string, port int, err error) {
	host, word, err := net.SplitHostPort(s)
	if err != nil {
		if host = strings.Trim(s, "[]"); strings.ContainsAny(host, " /@") || host == "" {
			return "", 0, err
		}
		if tls == "tls" {
			return host, 465, nil
		}
		return host, 587, nil
	}
	n, err := strconv.ParseUint(word, 10, 16)
	return host, int(n), err
}

func newMail(c *Channel, d *Doors) (Sender, error) {
	host, port, err := splitServer(c.Server, c.TLS)
	if err != nil {
		return nil, err
	}
	password, err := d.read(c.Password)
	return &mailer{host, port, c.TLS, c.User, password, c.From, c.To, d.HELO, d.Dial}, err
}

func (t *mailer) Send(ctx context.Context, m *Message) error {
	msg, err := t.message(m)
	if err != nil {
		return err
	}
	opt := []gomail.Option{gomail.WithPort(t.port), gomail.WithTimeout(30 * time.Second), gomail.WithTLSPolicy(gomail.TLSMandatory), gomail.WithDialContextFunc(t.connect)}
	switch t.tls {
	case "tls": // connect has begun it already; the library finds that out by itself
		opt = append(opt, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	case "none":
		opt = append(opt, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if t.helo != "" {
		opt = append(opt, gomail.WithHELO(t.helo))
	}
	if t.user != "" {
		opt = append(opt, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(t.user), gomail.WithPassword(t.password))
	}
	c, err := gomail.NewClient(t.host, opt...)
	if err != nil {
		return mask(err, t.password)
	}
	return mask(c.DialAndSendWithContext(ctx, msg), t.password)
}

// connect goes through the door we were given, and begins TLS where it comes first.
func (t *mailer) connect(ctx context.Context, network, address string) (net.Conn, error) {
	var door wire.Dialer = &net.Dialer{}
	if t.dial != nil {
		door = t.dial
	}
	c, err := door.DialContext(ctx, network, address)
	if err != nil || t.tls != "tls" {
		return c, err
	}
	secure := tls.Client(c, &tls.Config{ServerName: t.host, MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return secure, nil
}

func (t *mailer) message(m *Message) (*gomail.Msg, error) {
	msg := gomail.NewMsg()
	if err := msg.From(t.from); err != nil {
		return nil, err
	}
	if err := msg.To(t.to...); err != nil {
		return nil, err
	}
	w := m.Say()
	msg.Subject(shorten(w.Title, 200))
	msg.SetDateWithValue(m.At)
	msg.SetGenHeader("Auto-Submitted", "auto-generated")                   // RFC 3834: nobody's vacation answers it
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")                    // nor Exchange
	msg.SetGenHeader("List-Id", "mailwhy <alerts.mailwhy."+t.domain()+">") // RFC 2919: one thing to filter by
	msg.SetGenHeader("X-Mailwhy-Alerts", strconv.Itoa(len(m.Alerts)))
	var keys []string
	for i := range m.Alerts {
		if k := m.Alerts[i].Key; k != "" && len(keys) < 10 {
			keys = append(keys, t.thread(k))
		}
	}
	if len(keys) > 0 {
		msg.SetGenHeaderPreformatted("References", strings.Join(keys, "\r\n "))
	}
	msg.SetBodyString(gomail.TypeTextPlain, w.Plain(m.Lang))
	return msg, nil
}

// thread is an identifier that all mails of an incident refer to.
func (t *mailer) thread(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "<incident." + hex.EncodeToString(sum[:12]) + "@" + t.domain() + ">"
}

// domain is that of the sender.
func (t *mailer) domain() string {
	if a, err := mail.ParseAddress(t.from); err == nil {
		if _, d, ok := strings.Cut(a.Address, "@"); ok {
			return d
		}
	}
	return "localhost"
}
