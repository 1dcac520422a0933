package provoke

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

// serve has one connection answered by a function that gets the raw socket.
func serve(t *testing.T, f func(net.Conn, *tls.Config)) Door {
	t.Helper()
	w := wiretest.NewWorld()
	t.Cleanup(func() { _ = w.Close() })
	now := time.Now()
	ca, err := wiretest.NewCA("Test Root", now)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(wiretest.Leaf{Names: []string{"mx.test"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	l, err := w.Listen("198.51.100.7:25")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		f(c, wiretest.Config(cert))
	}()
	return Door{Dial: w, Timeout: time.Minute, Silence: time.Minute}
}

func try(t *testing.T, d Door, p Plan) *Result {
	t.Helper()
	p.Addr, p.Port, p.HELO, p.To = netip.MustParseAddr("198.51.100.7"), 25, "probe.test", "li@mx.test"
	r, err := Run(context.Background(), d, p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// upgrade plays a server whose buffer outlives STARTTLS, where keep is set, or is emptied as it must be.
func upgrade(protocol string, keep bool) func(net.Conn, *tls.Config) {
	words := map[string]struct{ greeting, ehlo, yes, slipped, last string }{
		"smtp":        {"220 mx.test\r\n", "250-mx.test\r\n250 STARTTLS\r\n", "220 go\r\n", "250 ok\r\n", "250-mx.test\r\n250 SIZE\r\n"},
		"imap":        {"* OK ready\r\n", "", "m1 OK go\r\n", "m2 OK\r\n", "* CAPABILITY IMAP4rev1\r\nm3 OK\r\n"},
		"pop3":        {"+OK ready\r\n", "", "+OK go\r\n", "-ERR what\r\n", "+OK\r\nUSER\r\n.\r\n"},
		"managesieve": {"\"STARTTLS\"\r\nOK\r\n", "", "OK go\r\n", "OK (TAG \"slipped-in\")\r\n", "\"SIEVE\" \"fileinto\"\r\nOK\r\nOK (TAG \"asked\")\r\n"},
	}[protocol]
	return func(c net.Conn, conf *tls.Config) {
		in := bufio.NewReader(c)
		fmt.Fprint(c, words.greeting)
		if words.ehlo != "" {
			_, _ = in.ReadString('\n')
			fmt.Fprint(c, words.ehlo)
		}
		_, _ = in.ReadString('\n') // STARTTLS
		_, _ = in.ReadString('\n') // what was slipped in came in the same breath
		fmt.Fprint(c, words.yes)
		s := tls.Server(c, conf)
		if s.Handshake() != nil {
			return
		}
		if keep {
			fmt.Fprint(s, words.slipped)
		}
		_, _ = bufio.NewReader(s).ReadString('\n')
		fmt.Fprint(s, words.last)
		_, _ = c.Read(make([]byte, 1))
	}
}

func TestInjection(t *testing.T) {
	for _, protocol := range []string{"smtp", "imap", "pop3", "managesieve"} {
		for keep, want := range map[bool]Outcome{true: Fooled, false: Sound} {
			r := try(t, serve(t, upgrade(protocol, keep)), Plan{Try: Injection, Protocol: protocol})
			if r.Outcome != want {
				t.Errorf("%s, buffer kept %v: %s (%+v)\n%s", protocol, keep, r.Outcome, r.Fault, r.Transcript)
			}
		}
	}
}

// receiver takes a message up to an end that it takes for one.
func receiver(end string, bdat string) func(net.Conn, *tls.Config) {
	return func(c net.Conn, _ *tls.Config) {
		in := bufio.NewReader(c)
		fmt.Fprint(c, "220 mx.test\r\n")
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			switch {
			case strings.HasPrefix(line, "EHLO"):
				fmt.Fprint(c, "250-mx.test\r\n250 CHUNKING\r\n")
			case strings.HasPrefix(line, "BDAT"):
				fmt.Fprint(c, bdat+"\r\n")
			case strings.HasPrefix(line, "DATA"):
				fmt.Fprint(c, "354 go\r\n")
				var body strings.Builder
				for {
					b, err := in.ReadByte()
					if err != nil {
						return
					}
					body.WriteByte(b)
					if strings.HasSuffix(body.String(), end) {
						break
					}
				}
				fmt.Fprint(c, "250 taken\r\n")
			default:
				fmt.Fprint(c, "250 ok\r\n")
			}
		}
	}
}

func TestSmuggling(t *testing.T) {
	for _, form := range Forms() {
		if r := try(t, serve(t, receiver(bytesOf(form), "")), Plan{Try: Smuggling, Protocol: "smtp", Form: form}); r.Outcome != Fooled || r.Text != "250 taken" {
			t.Errorf("%s: %s %q (%+v)", form, r.Outcome, r.Text, r.Fault)
		}
	}
	sound := serve(t, receiver("\r\n.\r\n", ""))
	sound.Silence = 300 * time.Millisecond // it must pass
	if r := try(t, sound, Plan{Try: Smuggling, Protocol: "smtp", Form: "LF.LF"}); r.Outcome != Sound {
		t.Errorf("a sound server: %s (%+v)", r.Outcome, r.Fault)
	}
}

func TestChunking(t *testing.T) {
	for reply, want := range map[string]Outcome{"250 6 octets": Sound, "502 no": Fooled, "500 what": Fooled, "451 later": Unclear} {
		if r := try(t, serve(t, receiver("", reply)), Plan{Try: Chunking, Protocol: "smtp"}); r.Outcome != want {
			t.Errorf("%s: %s (%+v)", reply, r.Outcome, r.Fault)
		}
	}
}

// counts takes messages in pieces as they are counted; last is what it says to an empty last piece.
func counts(last string) func(net.Conn, *tls.Config) {
	return func(c net.Conn, _ *tls.Config) {
		in := bufio.NewReader(c)
		fmt.Fprint(c, "220 mx.test\r\n")
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			n := 0
			switch _, _ = fmt.Sscanf(line, "BDAT %d", &n); {
			case strings.HasPrefix(line, "EHLO"):
				fmt.Fprint(c, "250-mx.test\r\n250 CHUNKING\r\n")
			case n > 0:
				if _, err := io.CopyN(io.Discard, in, int64(n)); err != nil {
					return
				}
				fmt.Fprint(c, "250 octets\r\n")
			case strings.HasPrefix(line, "BDAT"):
				fmt.Fprint(c, last+"\r\n")
			case strings.HasPrefix(line, "QUIT"):
				fmt.Fprint(c, "221 bye\r\n")
				return
			default:
				fmt.Fprint(c, "250 ok\r\n")
			}
		}
	}
}

func TestEmptyLastPiece(t *testing.T) {
	for last, want := range map[string]Outcome{"250 queued": Sound, "501 chunk of no size": Fooled, "552 mailbox full": Sound} {
		if r := try(t, serve(t, counts(last)), Plan{Try: Chunking, Protocol: "smtp"}); r.Outcome != want || r.Fault != nil {
			t.Errorf("%s: %s %q (%+v)\n%s", last, r.Outcome, r.Text, r.Fault, r.Transcript)
		}
	}
	for _, form := range ChunkForms() {
		if r := try(t, serve(t, counts("250 ok")), Plan{Try: SmugglingBDAT, Protocol: "smtp", Form: form}); r.Outcome != Sound {
			t.Errorf("%s: %s %q (%+v)", form, r.Outcome, r.Text, r.Fault)
		}
	}
}

// No form holds the true end of a message, and each is bytes of its own.
func TestFormsAreFalse(t *testing.T) {
	seen := map[string]bool{}
	for _, form := range Forms() {
		b := bytesOf(form)
		if seen[b] || strings.Contains("x"+b, "\r\n.\r\n") || !strings.Contains(b, ".") || strings.Trim(b, "\r\n\x00 .") != "" {
			t.Errorf("%s: %q", form, b)
		}
		seen[b] = true
	}
}

func TestHostile(t *testing.T) {
	endless := func(c net.Conn, _ *tls.Config) {
		for {
			if _, err := c.Write([]byte("220-more\r\n")); err != nil {
				return
			}
		}
	}
	if r := try(t, serve(t, endless), Plan{Try: Chunking, Protocol: "smtp"}); r.Fault == nil || r.Outcome != Unclear {
		t.Errorf("%+v", r)
	}
	if _, err := Run(context.Background(), Door{}, Plan{To: "a@b>\r\nRSET"}); err == nil {
		t.Error("a line end in the address went through")
	}
}

func FuzzReply(f *testing.F) {
	f.Add("250-mx.test")
	f.Add("25")
	f.Fuzz(func(t *testing.T, l string) {
		if code, more, ok := cutReply(l); ok != (len(code) == 3) || more && !ok {
			t.Errorf("%q: %q %v %v", l, code, more, ok)
		}
	})
}
