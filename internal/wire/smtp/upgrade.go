package smtp

import (
	"bufio"
	"fmt"
	"net"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// Upgrade talks a fresh connection up to the point where TLS begins: greeting, EHLO, STARTTLS. It bounds no time: set
// a deadline on the connection. A refusal is a *wire.Fault with the server's words.
func Upgrade(conn net.Conn, helo string) error {
	r := bufio.NewReaderSize(conn, 4096)
	for _, line := range []string{"", "EHLO " + helo, "STARTTLS"} {
		if line != "" {
			if _, err := conn.Write([]byte(line + "\r\n")); err != nil {
				return wire.Classify("starttls", err)
			}
		}
		rep, err := ReadReply(r, func(string) {})
		if err != nil {
			return wire.Classify("starttls", err)
		}
		if !rep.OK() {
			return &wire.Fault{Kind: wire.Protocol, Op: "starttls", Text: fmt.Sprintf("%.200s", rep.String())}
		}
	}
	if r.Buffered() > 0 {
		return &wire.Fault{Kind: wire.Protocol, Op: "starttls", Text: "the server went on in the clear behind its reply to STARTTLS"}
	}
	return nil
}
