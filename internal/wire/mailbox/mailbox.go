// Package mailbox reads the messages of an IMAP folder, one at a time as they stream in.
//
// Promise: the password goes over TLS only, with a certificate that is believed; the folder is opened read-only and its
// messages stay unread unless asked otherwise; time, number and size are bounded. Messages are not kept in memory.
// Nothing here judges. RFCs: 3501 and 9051 (IMAP), 8314 (TLS).
package mailbox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// Bounds that hold whatever the server does.
const (
	MaxMessages = 100_000
	MaxBytes    = 256 << 20 // of one message
	idle        = 2 * time.Minute
)

// Place is a folder of an account: imaps://user@host:port/folder.
type Place struct {
	Host, Port, User, Folder string
	StartTLS                 bool // imap: TLS begins with STARTTLS
}

// ErrURL is the error of a URL that names no folder.
var ErrURL = errors.New("want imaps://user@host/folder or imap://user@host/folder")

// Parse reads a URL. Without a folder it is the INBOX. A password inside the URL is refused: process lists show it.
func Parse(s string) (*Place, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "imap" && u.Scheme != "imaps" || u.Hostname() == "" || u.User.Username() == "" {
		return nil, ErrURL
	}
	if _, has := u.User.Password(); has {
		return nil, errors.New("a password does not belong into the URL: others can see it there")
	}
	p := &Place{Host: u.Hostname(), Port: u.Port(), User: u.User.Username(), Folder: strings.Trim(u.Path, "/"), StartTLS: u.Scheme == "imap"}
	if p.Folder == "" {
		p.Folder = "INBOX"
	}
	if p.Port == "" {
		p.Port = map[bool]string{true: "143", false: "993"}[p.StartTLS]
	}
	return p, nil
}

// String is the URL.
func (p *Place) String() string {
	u := url.URL{Scheme: "imaps", User: url.User(p.User), Host: net.JoinHostPort(p.Host, p.Port), Path: "/" + p.Folder}
	if p.StartTLS {
		u.Scheme = "imap"
	}
	return u.String()
}

// Options are what reading needs.
type Options struct {
	Dial     wire.Dialer
	Roots    *x509.CertPool // nil: the system's
	Password string
	MarkSeen bool // let the server mark what was read
}

// Read logs in and hands the messages over, oldest first. each must not keep r. The number of messages in the folder is
// returned; where it is larger than MaxMessages only the newest are handed over.
func Read(ctx context.Context, p *Place, o Options, each func(name string, r io.Reader)) (total int, err error) {
	err = visit(ctx, p, o, func(c *imapclient.Client, box *imap.SelectData) error {
		if total = int(box.NumMessages); total == 0 {
			return nil
		}
		return fetch(c, box.NumMessages, !o.MarkSeen, each)
	})
	return total, err
}

// visit logs in, opens the folder, lets do work in it and logs out.
func visit(ctx context.Context, p *Place, o Options, do func(*imapclient.Client, *imap.SelectData) error) error {
	raw, err := o.Dial.DialContext(ctx, "tcp", net.JoinHostPort(p.Host, p.Port))
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	c, err := open(ctx, &patient{raw}, p, o)
	if err != nil {
		raw.Close()
		return err
	}
	defer c.Close()
	if err := c.Login(p.User, o.Password).Wait(); err != nil {
		return fmt.Errorf("login: %w", err)
	}
	box, err := c.Select(p.Folder, &imap.SelectOptions{ReadOnly: !o.MarkSeen}).Wait()
	if err != nil {
		return fmt.Errorf("folder %s: %w", p.Folder, err)
	}
	if err = do(c, box); err == nil {
		err = c.Logout().Wait()
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return err
}

func open(ctx context.Context, conn net.Conn, p *Place, o Options) (*imapclient.Client, error) {
	conf := &tls.Config{ServerName: p.Host, RootCAs: o.Roots}
	if p.StartTLS {
		c, err := imapclient.NewStartTLS(conn, &imapclient.Options{TLSConfig: conf})
		if err != nil {
			return nil, fmt.Errorf("STARTTLS: %w", err)
		}
		return c, nil
	}
	t := tls.Client(conn, conf)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	c := imapclient.New(t, nil)
	if err := c.WaitGreeting(); err != nil {
		return nil, err
	}
	return c, nil
}

func fetch(c *imapclient.Client, total uint32, peek bool, each func(string, io.Reader)) error {
	var set imap.SeqSet
	first := uint32(1)
	if total > MaxMessages {
		first = total - MaxMessages + 1
	}
	set.AddRange(first, total)
	cmd := c.Fetch(set, &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{{Peek: peek}}})
	for m := cmd.Next(); m != nil; m = cmd.Next() {
		for it := m.Next(); it != nil; it = m.Next() {
			b, ok := it.(imapclient.FetchItemDataBodySection)
			if !ok || b.Literal == nil {
				continue
			}
			if b.Literal.Size() > MaxBytes {
				c.Close()
				return fmt.Errorf("message %d: %d bytes, more than %d", m.SeqNum, b.Literal.Size(), int64(MaxBytes))
			}
			each(fmt.Sprint(m.SeqNum), b.Literal)
			if _, err := io.Copy(io.Discard, b.Literal); err != nil {
				return err
			}
		}
	}
	return cmd.Close()
}

// patient gives up on a peer that is silent for too long.
type patient struct{ net.Conn }

func (p *patient) Read(b []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(idle)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}
