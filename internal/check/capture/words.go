package capture

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/capture"
)

// transcript shows what was said in a stream, a line each; what neither end said is said in the reader's language.
func transcript(s *capture.Stream) finding.Section {
	t := finding.Section{Title: finding.S("transcript of stream {{.N}} with {{.Place}}", finding.Args{"N": s.Number, "Place": s.Server.Addr.String()}), Folded: true}
	for _, l := range s.Transcript {
		t.Rows = append(t.Rows, finding.Cells(finding.Raw(fmt.Sprintf("%8.3f %s", l.At.Seconds(), l.Dir)), line(l)))
	}
	if s.LeftOut > 0 {
		t.Rows = append(t.Rows, finding.Cells(finding.Raw("…"), finding.S("{{.N}} more lines", finding.Args{"N": s.LeftOut})))
	}
	return t
}

// line says a line of a transcript. What is put in brackets there, or happened, are the instrument's own words.
func line(l wire.Line) finding.Sentence {
	text := l.Text
	if l.Dir == wire.Happened {
		return happened(text)
	}
	if alert, ok := strings.CutPrefix(text, "(TLS alert: "); ok {
		return finding.S("(TLS alert: {{.Alert}})", finding.Args{"Alert": alertWord(strings.TrimSuffix(alert, ")"))})
	}
	if text == "(TLS alert, encrypted)" {
		return finding.S("(TLS alert, encrypted)", nil)
	}
	if n, ok := between(text, "(message of ", " bytes)"); ok {
		return finding.S("(message of {{.N}} bytes)", finding.Args{"N": n})
	}
	if said, ok := strings.CutPrefix(text, "(no TLS) "); ok {
		return finding.S("(no TLS) {{.Said}}", finding.Args{"Said": said})
	}
	return finding.Raw(text)
}

// happened says what neither end said.
func happened(text string) finding.Sentence {
	if text == "connected" {
		return finding.S("connected", nil)
	}
	if v, ok := strings.CutPrefix(text, "TLS established"); ok {
		return finding.S("TLS established: {{.Version}}", finding.Args{"Version": strings.TrimSpace(v)})
	}
	if by, ok := strings.CutPrefix(text, "reset by the "); ok {
		return finding.S("reset by the {{.By}}", finding.Args{"By": party(by)})
	}
	if by, ok := strings.CutPrefix(text, "closed by the "); ok {
		return finding.S("closed by the {{.By}}", finding.Args{"By": party(by)})
	}
	if head, ok := strings.CutSuffix(text, " are not in the capture"); ok {
		if n, by, ok := strings.Cut(head, " bytes of the "); ok {
			return finding.S("{{.N}} bytes of the {{.By}} are not in the capture", finding.Args{"N": n, "By": party(by)})
		}
	}
	return finding.Raw(text)
}

func between(s, before, after string) (int64, bool) {
	s, ok := strings.CutPrefix(s, before)
	if !ok {
		return 0, false
	}
	s, ok = strings.CutSuffix(s, after)
	n, err := strconv.ParseInt(s, 10, 64)
	return n, ok && err == nil
}

// alertWord says an alert (RFC 8446 section 6) in words; those of crypto/tls are the keys.
func alertWord(alert string) finding.Sentence {
	switch alert {
	case "encrypted alert":
		return finding.S("encrypted alert", nil)
	case "handshake failure":
		return finding.S("handshake failure: no version, cipher or key exchange in common", nil)
	case "protocol version not supported":
		return finding.S("protocol version not supported", nil)
	case "insufficient security level":
		return finding.S("insufficient security level", nil)
	case "bad certificate":
		return finding.S("bad certificate", nil)
	case "unsupported certificate":
		return finding.S("unsupported certificate", nil)
	case "revoked certificate":
		return finding.S("revoked certificate", nil)
	case "expired certificate":
		return finding.S("expired certificate", nil)
	case "unknown certificate":
		return finding.S("certificate not accepted, for a reason that is not told", nil)
	case "unknown certificate authority":
		return finding.S("unknown certificate authority", nil)
	case "certificate required":
		return finding.S("a certificate of the client is required", nil)
	case "no certificate":
		return finding.S("no certificate", nil)
	case "unrecognized name":
		return finding.S("the server does not know the name asked for (SNI)", nil)
	case "access denied":
		return finding.S("access denied", nil)
	case "unexpected message":
		return finding.S("unexpected message", nil)
	case "bad record MAC":
		return finding.S("bad record MAC: data was changed on the way, or a program is broken", nil)
	case "error decoding message", "illegal parameter", "error decrypting message", "record overflow", "decryption failed":
		return finding.S("a message that cannot be read ({{.Alert}})", finding.Args{"Alert": alert})
	case "internal error":
		return finding.S("internal error", nil)
	case "inappropriate fallback":
		return finding.S("inappropriate fallback to an older version", nil)
	case "no application protocol":
		return finding.S("no application protocol in common (ALPN)", nil)
	case "user canceled":
		return finding.S("canceled by the user", nil)
	case "bad certificate status response":
		return finding.S("bad certificate status response (OCSP)", nil)
	}
	return finding.Raw(alert)
}
