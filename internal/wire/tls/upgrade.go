package tls

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// turn is a step of a plain-text protocol on its way to TLS: what we send (nothing for the greeting) and how the line
// that ends the answer begins.
type turn struct{ send, good string }

// starts are the line protocols whose way to TLS is short enough to stand here (RFC 3501 section 6.2.1, RFC 2595
// section 4, RFC 5804 section 2.2). SMTP has an instrument of its own.
var starts = map[string][]turn{
	"imap":  {{"", "* OK"}, {"m1 STARTTLS", "m1 OK"}},
	"pop3":  {{"", "+OK"}, {"STLS", "+OK"}},
	"sieve": {{"", "OK"}, {"STARTTLS", "OK"}},
}

// StartLines upgrades a connection of IMAP, POP3 or ManageSieve; ok is false for another protocol. At most 100 lines
// are read.
func StartLines(conn net.Conn, start string) (ok bool, err error) {
	turns, ok := starts[start]
	if !ok {
		return false, nil
	}
	r := bufio.NewReaderSize(conn, 4096)
	for _, t := range turns {
		if t.send != "" {
			if _, err := conn.Write([]byte(t.send + "\r\n")); err != nil {
				return true, wire.Classify("starttls", err)
			}
		}
		if err := await(r, t.good); err != nil {
			return true, err
		}
	}
	return true, nil
}

// await reads lines up to the one that says yes. Lines of listings ("* CAPABILITY", quoted strings of ManageSieve) are
// passed over; any other line is a no.
func await(r *bufio.Reader, good string) error {
	for range 100 {
		line, err := r.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 || err != nil {
			return wire.Classify("starttls", err)
		}
		text := strings.TrimRight(string(line), "\r\n")
		if strings.HasPrefix(text, good) {
			return nil
		}
		if !strings.HasPrefix(text, "* ") && !strings.HasPrefix(text, `"`) || strings.HasPrefix(text, "* BYE") {
			return &wire.Fault{Kind: wire.Protocol, Op: "starttls", Text: fmt.Sprintf("%.200s", text)}
		}
	}
	return &wire.Fault{Kind: wire.Limit, Op: "starttls", Text: "more than 100 lines before the answer"}
}
