package lab

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/lab/netns"
)

// patience is how long the clients of captures wait for a server that never answers; it is longer than what a verdict
// needs (ten seconds).
const patience = 11 * time.Second

// dialogue is a client: what it says and what it waits for.
type dialogue struct {
	net.Conn
	in *bufio.Reader
}

func dial(ctx context.Context, s netns.Space, addr string) (*dialogue, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c, err := s.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return &dialogue{c, bufio.NewReader(c)}, nil
}

// say sends lines, and after each waits for a whole answer. "" waits without sending.
func (d *dialogue) say(lines ...string) error {
	for _, l := range lines {
		if l != "" {
			if _, err := io.WriteString(d, l+"\r\n"); err != nil {
				return err
			}
		}
		for {
			answer, err := d.in.ReadString('\n')
			if err != nil {
				return err
			}
			if tag, _, _ := strings.Cut(l, " "); len(answer) > 3 && answer[3] == ' ' || strings.HasPrefix(answer, "+OK") || strings.HasPrefix(answer, "-ERR") || l == "" && answer[0] == '*' || l != "" && strings.HasPrefix(answer, tag+" ") {
				break
			}
		}
	}
	return nil
}

// send passes a message of about size bytes, without waiting for its answer.
func (d *dialogue) send(size int) error {
	_, err := io.WriteString(d, "Subject: a film\r\n\r\n"+strings.Repeat("a line of seventy characters, more or less, to fill a message with it\r\n", size/71)+".\r\n")
	return err
}

// scene is one session of a capture.
type scene struct {
	name  string
	host  string // a host of the world, or a fault of the row
	port  int
	play  func(ctx context.Context, d *dialogue) error // nil: connect is all there is
	want  string                                       // "verdict rule: text", empty: nothing loud
	keep  bool                                         // the client still waits when the film ends
	allow string                                       // a rule that may speak as well
}

// wait waits for an answer that must not come.
func (d *dialogue) wait() error {
	_ = d.SetReadDeadline(time.Now().Add(patience))
	b, err := d.in.ReadByte()
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return nil
	}
	return fmt.Errorf("an answer came: %q, %v", b, err)
}

func smtpTo(name, rcpt string) []string {
	return []string{"", "EHLO " + name, "MAIL FROM:<li@hosting.example>", "RCPT TO:<" + rcpt + ">"}
}

// distrust starts TLS 1.2 with a client that believes nobody.
func distrust(_ context.Context, d *dialogue) error {
	if err := d.say("", "EHLO out.hosting.example", "STARTTLS"); err != nil {
		return err
	}
	c := tls.Client(d, &tls.Config{ServerName: "mx.to-li.example", RootCAs: x509.NewCertPool(), MaxVersion: tls.VersionTLS12})
	if err := c.Handshake(); err == nil {
		return errors.New("the client believed the certificate")
	}
	return nil
}

var scenes = []scene{
	{name: "dropped", host: "mx.port-dropped.example", port: 25, want: "error capture.syn-unanswered: nothing came back"},
	{name: "refused", host: "mx.port-closed.example", port: 25, want: "error capture.refused: answered with RST"},
	{name: "rejected", host: "mx.port-reset.example", port: 25, want: "error capture.refused: answered with RST"},
	{name: "late", host: "mx.smtp-slow.example", port: 25, want: "warning capture.late-banner: greets only after 1",
		play: func(_ context.Context, d *dialogue) error { return d.say("", "EHLO x.hosting.example", "QUIT") }},
	{name: "silent", host: "mx.smtp-silent.example", port: 25, want: "error capture.no-banner: says nothing",
		play: func(_ context.Context, d *dialogue) error { return d.wait() }},
	{name: "refusal", host: "mx.to-nobody.example", port: 25, want: "error capture.refusal: refuses RCPT nobody@to-nobody.example",
		play: func(_ context.Context, d *dialogue) error {
			return d.say(append(smtpTo("out.hosting.example", "nobody@to-nobody.example"), "QUIT")...)
		}},
	{name: "good", host: "mx1.hosting.example", port: 25,
		play: func(_ context.Context, d *dialogue) error {
			if err := d.say(append(smtpTo("out.hosting.example", "li@spf-two.example"), "DATA")...); err != nil {
				return err
			}
			return errors.Join(d.send(100_000), d.say("", "QUIT"))
		}},
	{name: "alert", host: "mx.to-li.example", port: 25, want: "error capture.tls-alert: the client broke the TLS handshake", play: distrust},
	{name: "imap", host: "mail.login-no-tls.example", port: 143, want: "warning capture.cleartext-password",
		play: func(_ context.Context, d *dialogue) error {
			return d.say("", "a LOGIN li@login-no-tls.example \""+Password+"\"", "b SELECT INBOX", "c LOGOUT")
		}},
	{name: "pop3", host: "mail.login-no-tls.example", port: 110, want: "warning capture.cleartext-password",
		play: func(_ context.Context, d *dialogue) error {
			return d.say("", "USER li@login-no-tls.example", "PASS "+Password, "STAT", "QUIT")
		}},
	{name: "imap-refused", host: "mail1.hosting.example", port: 143, want: "warning capture.login-failed", allow: "capture.cleartext-password",
		play: func(_ context.Context, d *dialogue) error { return d.say("", "a LOGIN li wrong", "b LOGOUT") }},
	{name: "hole", host: "hole", port: 2525, want: "error capture.mtu-black-hole: never arrive",
		play: func(ctx context.Context, d *dialogue) error {
			return errors.Join(d.say(append(smtpTo("out.hosting.example", "li@row.example"), "DATA")...), d.send(20_000), d.wait())
		}},
	{name: "storm", host: "lossy", port: 2525, want: "warning capture.retransmissions: had to be sent again",
		play: func(_ context.Context, d *dialogue) error {
			if err := d.say(append(smtpTo("out.hosting.example", "li@row.example"), "DATA")...); err != nil {
				return err
			}
			return errors.Join(d.send(600_000), d.say("", "QUIT"))
		}},
	{name: "cut", host: "cut", port: 2525, want: "error capture.reset: something in between sent it",
		play: func(_ context.Context, d *dialogue) error {
			if err := d.say("", "EHLO out.hosting.example"); err == nil {
				return errors.New("the connection was not cut")
			}
			return nil
		}},
	{name: "mute", keep: true, host: "fine", port: 2525, want: "error capture.no-answer: never answered the message itself",
		play: func(ctx context.Context, d *dialogue) error {
			return errors.Join(d.say(append(smtpTo("mute", "li@row.example"), "DATA")...), d.send(1000), d.wait())
		}},
	{name: "gave-up", host: "no-ping", port: 2525, want: "warning capture.gave-up: gave up after waiting",
		play: func(_ context.Context, d *dialogue) error {
			if err := d.say("", "EHLO hang", "MAIL FROM:<li@hosting.example>"); err != nil {
				return err
			}
			_, err := io.WriteString(d, "RCPT TO:<li@row.example>\r\n")
			return errors.Join(err, d.wait())
		}},
	{name: "full", host: "detour", port: 2525, want: "warning capture.zero-window: the server of the stream",
		play: func(_ context.Context, d *dialogue) error {
			if err := d.say(append(smtpTo("noread", "li@row.example"), "DATA")...); err != nil {
				return err
			}
			_ = d.SetWriteDeadline(time.Now().Add(5 * time.Second))
			_ = d.send(4 << 20) // it cannot end
			return nil
		}},
}

// TestCaptures films real sessions with tcpdump and has the tool say what went wrong in each.
func TestCaptures(t *testing.T) {
	w := lab(t)
	bin, err := w.Build(t.Context(), "..")
	if err != nil {
		t.Fatal(err)
	}
	row, err := StartRow("film", w.Dir, PlainRow)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := row.Stop(); err != nil {
			t.Error(err)
		}
	})
	dir := os.Getenv("MAILWHY_LAB_OUT")
	if dir == "" {
		dir = t.TempDir()
	}
	outside, err := Record(t.Context(), w.clients[""], "up0", filepath.Join(dir, "world.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	inside, err := Record(t.Context(), row.Here, "right0", filepath.Join(dir, "row.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	where, leave := playAll(t, w, row)
	for _, r := range []*Recording{outside, inside} {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	}
	leave()
	said := map[string][]string{} // by server
	for _, r := range []*Recording{outside, inside} {
		o, err := w.Tool(t.Context(), bin, "", w.Dir, "capture", r.File, "--json")
		if err != nil {
			t.Fatal(err)
		}
		var rep Report
		if err := json.Unmarshal(firstLine(o.Stdout), &rep); err != nil {
			t.Fatalf("%v: %s", err, o.Stderr)
		}
		for _, f := range rep.Findings {
			said[f.Subject.Name] = append(said[f.Subject.Name], fmt.Sprintf("%s %s: %s", f.Verdict, f.ID, f.Text))
		}
	}
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) { s.judge(t, said[where[s.name]]) })
	}
}

// playAll plays all scenes at once and tells where each took place. leave ends the connections that are kept.
func playAll(t *testing.T, w *World, row *Row) (where map[string]string, leave func()) {
	where = map[string]string{}
	var playing sync.WaitGroup
	errs, kept := make([]error, len(scenes)), make([]net.Conn, len(scenes))
	for i, s := range scenes {
		from, addr := w.clients[""], ""
		if n := slices.IndexFunc(w.Hosts, func(h *Host) bool { return h.Name == s.host }); n >= 0 {
			addr = w.Hosts[n].V4[0]
		} else if _, ok := rowFaults[s.host]; ok {
			from, addr = row.Here, PlainRow.Address(s.host)
		} else {
			t.Fatalf("%s: no host %s", s.name, s.host)
		}
		at := joinPort(addr, s.port) // the map is written on while the scenes play
		where[s.name] = at
		playing.Go(func() { kept[i], errs[i] = s.act(t.Context(), from, at) })
	}
	playing.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("%s: %v", scenes[i].name, err)
		}
	}
	return where, func() {
		for _, c := range kept {
			if c != nil {
				_ = c.Close()
			}
		}
	}
}

// act plays the scene and gives back the connection where it is to be kept.
func (s *scene) act(ctx context.Context, from netns.Space, addr string) (net.Conn, error) {
	if s.play == nil {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // time for two more SYN
		defer cancel()
		if c, err := from.DialContext(ctx, "tcp", addr); err == nil {
			return nil, errors.Join(errors.New("the connection came about"), c.Close())
		}
		return nil, nil
	}
	d, err := dial(ctx, from, addr)
	if err != nil {
		return nil, err
	}
	err = s.play(ctx, d)
	if s.keep {
		return d, err
	}
	_ = d.Close()
	return nil, err
}

// judge wants the verdict of the scene and no other loud one about its server.
func (s *scene) judge(t *testing.T, said []string) {
	head, text, _ := strings.Cut(s.want, ": ")
	found := s.want == ""
	for _, x := range said {
		verdict, _, _ := strings.Cut(x, " ")
		if s.want != "" && strings.HasPrefix(x, head+": ") && strings.Contains(x, text) {
			found = true
		} else if strings.Contains(x, " capture.late-banner:") { // the machine is busy
			continue
		} else if s.allow != "" && strings.Contains(x, " "+s.allow+":") {
			continue
		} else if verdict == "error" || verdict == "warning" || verdict == "could-not-test" {
			t.Errorf("unexpected: %s", x)
		}
	}
	if !found {
		t.Errorf("missing: %s; said: %s", s.want, strings.Join(said, " | "))
	}
}
