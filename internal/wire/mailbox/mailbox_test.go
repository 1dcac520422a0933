package mailbox

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"

	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

// serve runs a server with two messages in the INBOX of li; the password is secret.
func serve(t *testing.T, startTLS bool) (*imapmemserver.User, Place, Options) {
	t.Helper()
	now := time.Now()
	ca, err := wiretest.NewCA("root", now)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(wiretest.Leaf{Names: []string{"imap.mine.example"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	user := imapmemserver.NewUser("li", "secret")
	if err := user.Create("INBOX", nil); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"Subject: one\r\n\r\nfirst\r\n", "Subject: two\r\n\r\nsecond\r\n"} {
		if _, err := user.Append("INBOX", literal{bytes.NewReader([]byte(s))}, &imap.AppendOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	mem := imapmemserver.New()
	mem.AddUser(user)
	conf := wiretest.Config(cert)
	srv := imapserver.New(&imapserver.Options{TLSConfig: conf, NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
		return mem.NewSession(), nil, nil
	}})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := ln.Addr().String()
	if !startTLS {
		ln = tls.NewListener(ln, conf)
	}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return user, Place{Host: "imap.mine.example", Port: "993", User: "li", Folder: "INBOX", StartTLS: startTLS},
		Options{Dial: toServer(at), Roots: ca.Pool(), Password: "secret"}
}

type literal struct{ *bytes.Reader }

func (l literal) Size() int64 { return l.Reader.Size() }

func unseen(t *testing.T, u *imapmemserver.User) uint32 {
	t.Helper()
	st, err := u.Status("INBOX", &imap.StatusOptions{NumUnseen: true})
	if err != nil {
		t.Fatal(err)
	}
	return *st.NumUnseen
}

func TestReadLeavesUnread(t *testing.T) {
	for _, startTLS := range []bool{false, true} {
		user, place, o := serve(t, startTLS)
		var got []string
		n, err := Read(t.Context(), &place, o, func(name string, r io.Reader) {
			b, err := io.ReadAll(r)
			if err != nil {
				t.Error(err)
			}
			got = append(got, name+" "+string(b))
		})
		if err != nil || n != 2 || len(got) != 2 || !strings.Contains(got[0], "first") || !strings.HasPrefix(got[1], "2 ") {
			t.Fatalf("starttls %v: %d %q %v", startTLS, n, got, err)
		}
		if k := unseen(t, user); k != 2 {
			t.Errorf("%d unseen, want 2", k)
		}
	}
}

func TestMarkSeen(t *testing.T) {
	user, place, o := serve(t, false)
	o.MarkSeen = true
	if _, err := Read(t.Context(), &place, o, func(string, io.Reader) {}); err != nil {
		t.Fatal(err)
	}
	if k := unseen(t, user); k != 0 {
		t.Errorf("%d unseen, want 0", k)
	}
}

func TestRefusals(t *testing.T) {
	_, place, o := serve(t, false)
	for _, c := range []struct {
		name   string
		change func(*Place, *Options)
		want   string
	}{
		{"password", func(_ *Place, o *Options) { o.Password = "wrong" }, "login"},
		{"folder", func(p *Place, _ *Options) { p.Folder = "gone" }, "folder gone"},
		{"certificate", func(_ *Place, o *Options) { o.Roots = nil }, "TLS"},
		{"name", func(p *Place, _ *Options) { p.Host = "other.example" }, "TLS"},
	} {
		p, x := place, o
		c.change(&p, &x)
		if _, err := Read(t.Context(), &p, x, func(string, io.Reader) {}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestNoTLSNoPassword(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	heard := make(chan string, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "* OK [CAPABILITY IMAP4rev1] hello\r\n")
		var all strings.Builder
		b := make([]byte, 4096)
		for {
			n, err := c.Read(b)
			all.Write(b[:n])
			if err != nil {
				break
			}
			tag, _, _ := strings.Cut(string(b[:n]), " ")
			io.WriteString(c, tag+" BAD no\r\n")
		}
		heard <- all.String()
	}()
	p := Place{Host: "imap.mine.example", Port: "143", User: "li", Folder: "INBOX", StartTLS: true}
	if _, err := Read(t.Context(), &p, Options{Dial: toServer(ln.Addr().String()), Password: "secret"}, func(string, io.Reader) {}); err == nil {
		t.Error("no error")
	}
	if s := <-heard; strings.Contains(s, "secret") {
		t.Errorf("the password went out in clear: %q", s)
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"imaps://li@imap.mine.example/Reports/DMARC":  "imaps://li@imap.mine.example:993/Reports/DMARC",
		"imap://li%40mine.example@imap.mine.example/": "imap://li%40mine.example@imap.mine.example:143/INBOX",
		"imaps://li@[2001:db8::1]:9930":               "imaps://li@[2001:db8::1]:9930/INBOX",
	} {
		p, err := Parse(in)
		if err != nil || p.String() != want {
			t.Errorf("%s: %v %v", in, p, err)
		}
	}
	for _, bad := range []string{"", "https://li@x.example/", "imaps://x.example/", "imaps://li:secret@x.example/", "imaps:///INBOX", "::"} {
		if p, err := Parse(bad); err == nil {
			t.Errorf("%s: %v", bad, p)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows the password: %v", bad, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("imaps://li@imap.mine.example/INBOX")
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := Parse(s); err == nil && (p.Host == "" || p.User == "" || p.Folder == "") {
			t.Errorf("%q: %+v", s, p)
		}
	})
}
