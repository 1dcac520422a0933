package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/check/server"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

// promises are what a modern server offers.
var promises = []string{"PIPELINING", "SIZE 10240000", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES"}

// keeps are the replies of a server that keeps them.
var keeps = map[string]string{
	"RCPT": "554 5.7.1 Relay access denied", "MAIL FROM:<> SIZE=10240001": "552 5.3.4 Message size exceeds fixed limit", "BDAT": "503 5.5.1 Error: need RCPT command",
	"VRFY": "252 2.0.0 try it", "EXPN": "502 5.5.1 not here",
}

// TestPromisesOfEHLO shows every fault by a server that has it, and none of them by one that keeps its promises.
func TestPromisesOfEHLO(t *testing.T) {
	for _, c := range []struct {
		name  string
		caps  []string // nil: promises
		say   map[string]string
		ehlo  string
		raw   func(net.Conn)
		rule  string // that fails; "" for none of this pack
		clear bool   // "could not test" instead
	}{
		{name: "keeps them all"},
		{name: "8BITMIME refused", say: map[string]string{"MAIL FROM:<> BODY=8BITMIME": "501 5.5.4 Syntax error"}, rule: "server.8bitmime-refused"},
		{name: "8BITMIME put off", say: map[string]string{"MAIL FROM:<> BODY=8BITMIME": "451 4.7.1 later"}, rule: "server.8bitmime-refused", clear: true},
		{name: "SMTPUTF8 refused", say: map[string]string{"MAIL FROM:<> SMTPUTF8": "555 5.5.4 Unsupported option"}, rule: "server.smtputf8-broken"},
		{name: "SMTPUTF8 without 8BITMIME", caps: []string{"PIPELINING", "SIZE 10240000", "SMTPUTF8"}, rule: "server.smtputf8-broken"},
		{name: "SIZE refused", say: map[string]string{"MAIL FROM:<> SIZE=1000": "501 5.5.4 what"}, rule: "server.size-refused"},
		{name: "SIZE not enforced", say: map[string]string{"MAIL FROM:<> SIZE=10240001": "250 ok"}, rule: "server.size-not-enforced"},
		{name: "SIZE of a floppy", caps: []string{"PIPELINING", "SIZE 1024", "8BITMIME", "SMTPUTF8"}, say: map[string]string{"MAIL FROM:<> SIZE=1025": "552 too big"}, rule: "server.size-absurd"},
		{name: "SIZE of no number", caps: []string{"PIPELINING", "SIZE lots", "8BITMIME", "SMTPUTF8"}, rule: "server.size-absurd"},
		{name: "SIZE beyond all", caps: []string{"PIPELINING", "SIZE 99999999999999999999", "8BITMIME", "SMTPUTF8"}, rule: "server.size-absurd"},
		{name: "no limit", caps: []string{"PIPELINING", "SIZE 0", "8BITMIME", "SMTPUTF8"}},
		{name: "CHUNKING not known", say: map[string]string{"BDAT": "502 5.5.2 Command not recognized"}, rule: "server.chunking-broken"},
		{name: "VRFY tells", say: map[string]string{"VRFY postmaster": "250 <postmaster@mx.test>", "VRFY": "550 5.1.1 unknown"}, rule: "smtp.vrfy"},
		{name: "EXPN tells", say: map[string]string{"EXPN postmaster": "250 Li <li@mx.test>", "EXPN": "550 5.1.1 unknown"}, rule: "server.expn"},
		{name: "the client's name given back", ehlo: "probe.test", rule: "server.ehlo-name"},
		{name: "no full name", ehlo: "localhost", rule: "server.ehlo-name"},
		{name: "little offered", caps: []string{"PIPELINING"}, rule: "server.extensions-missing"},
		{name: "PIPELINING that empties its buffer", raw: forgetful, rule: "server.pipelining-broken"},
		{name: "PIPELINING refused", raw: refuseGroups, rule: "server.pipelining-broken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t)
			s := &wiretest.SMTP{Caps: c.caps, Replies: map[string]string{}, Raw: c.raw}
			if s.Caps == nil {
				s.Caps = promises
			}
			for k, v := range keeps {
				s.Replies[k] = v
			}
			for k, v := range c.say {
				s.Replies[k] = v
			}
			if c.ehlo != "" {
				s.Replies["EHLO"] = "250-" + c.ehlo + "\n250-" + strings.Join(s.Caps[:len(s.Caps)-1], "\n250-") + "\n250 " + s.Caps[len(s.Caps)-1]
			}
			b.must(t, b.w.SMTP(addr+":25", s))
			r, err := server.Report(context.Background(), b.env, addr, server.Options{Abuse: true})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range r.Findings {
				if f.Outcome == finding.Fail && f.Rule.ID != "server.no-tls" && (f.Rule.ID != "server.extensions-missing" || len(s.Caps) < 3) || f.Outcome == finding.Unknown && c.clear {
					got = append(got, f.Rule.ID)
				}
			}
			if c.rule == "" && len(got) > 0 || c.rule != "" && !slices.Equal(got, []string{c.rule}) {
				t.Errorf("%v, want %q", got, c.rule)
			}
			for _, h := range s.Heard() {
				if strings.HasPrefix(h, "DATA") || strings.HasPrefix(h, "BDAT") && h != "BDAT 0 LAST" {
					t.Errorf("said %q", h)
				}
			}
		})
	}
}

// converse answers line by line; next is asked after each line and may end it.
func converse(c net.Conn, next func(*bufio.Reader, string) bool) {
	in := bufio.NewReader(c)
	fmt.Fprint(c, "220 mx.test ESMTP\r\n")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		switch verb := strings.ToUpper(strings.Fields(line + " ?")[0]); {
		case !next(in, line):
			return
		case verb == "EHLO":
			fmt.Fprint(c, "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-SMTPUTF8\r\n250 8BITMIME\r\n")
		case verb == "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return
		case keeps[line] != "":
			fmt.Fprintf(c, "%s\r\n", keeps[line])
		case keeps[verb] != "":
			fmt.Fprintf(c, "%s\r\n", keeps[verb])
		default:
			fmt.Fprint(c, "250 2.0.0 Ok\r\n")
		}
	}
}

// forgetful answers the first command of a group and hangs up, as a filter does whose buffer holds one command.
func forgetful(c net.Conn) {
	converse(c, func(in *bufio.Reader, line string) bool {
		if in.Buffered() > 0 {
			fmt.Fprint(c, "250 2.0.0 Ok\r\n")
			_, _ = io.CopyN(io.Discard, in, int64(in.Buffered()))
			return false
		}
		return true
	})
}

// refuseGroups wants one command after the other.
func refuseGroups(c net.Conn) {
	converse(c, func(in *bufio.Reader, line string) bool {
		for in.Buffered() > 0 {
			_, _ = in.ReadString('\n')
			fmt.Fprint(c, "503 5.5.0 improper command pipelining\r\n")
		}
		return true
	})
}

// pieceServer takes messages by DATA and BDAT. inside: it looks for the end of a message within a counted piece.
func pieceServer(inside bool) func(net.Conn) {
	return func(c net.Conn) {
		in := bufio.NewReader(c)
		fmt.Fprint(c, "220 mx.test ESMTP\r\n")
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			fields := strings.Fields(line + " ?")
			switch strings.ToUpper(fields[0]) {
			case "EHLO":
				fmt.Fprint(c, "250-mx.test\r\n250 CHUNKING\r\n")
			case "QUIT":
				fmt.Fprint(c, "221 bye\r\n")
				return
			case "DATA":
				fmt.Fprint(c, "354 go\r\n")
				var body strings.Builder
				for !strings.HasSuffix(body.String(), "\r\n.\r\n") {
					b, err := in.ReadByte()
					if err != nil {
						return
					}
					body.WriteByte(b)
				}
				fmt.Fprint(c, "250 taken\r\n")
			case "BDAT":
				n, _ := strconv.Atoi(fields[1])
				piece := make([]byte, n)
				if _, err := io.ReadFull(in, piece); err != nil {
					return
				}
				fmt.Fprint(c, "250 octets\r\n")
				if _, rest, found := strings.Cut(string(piece), "\r\n.\r\n"); inside && found {
					fmt.Fprint(c, strings.Repeat("250 ok\r\n", strings.Count(rest, "\n")))
				}
			default:
				fmt.Fprint(c, "250 ok\r\n")
			}
		}
	}
}

// TestSmugglingInPieces holds that a server that reads the end of a message inside a counted piece is found out, and that
// one that counts is not blamed.
func TestSmugglingInPieces(t *testing.T) {
	for inside, want := range map[bool]bool{true: true, false: false} {
		b := newBed(t)
		b.must(t, b.w.SMTP(addr+":25", &wiretest.SMTP{Raw: pieceServer(inside)}))
		r, err := server.Report(context.Background(), b.env, addr, server.Options{Abuse: true, Owner: "li@mx.test", Silence: 1})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(r.Findings, func(f finding.Finding) bool { return f.Rule.ID == "server.smtp-smuggling" })
		if i < 0 || (r.Findings[i].Outcome == finding.Fail) != want {
			t.Errorf("inside %v: %+v", inside, r.Findings)
			continue
		}
		if says := r.Findings[i].Says().String(); want && !strings.Contains(says, "BDAT CRLF.CRLF") {
			t.Error(says)
		}
	}
}
