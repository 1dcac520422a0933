package check

import (
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// Fault says in words what broke a conversation. A nil fault is the empty sentence.
func Fault(f *wire.Fault) finding.Sentence {
	if f == nil {
		return finding.Sentence{}
	}
	args := finding.Args{"After": rounded(f.After), "AtOnce": f.After < time.Millisecond, "Text": f.Text}
	switch f.Kind {
	case wire.Timeout:
		if f.Op == "greeting" || f.Op == "ehlo" || f.Op == "helo" || f.Op == "mail" || f.Op == "rcpt" {
			return finding.S("connected, but no answer within {{.After}}", args)
		}
		return finding.S("no answer within {{.After}}: packets are dropped silently, or the host is down", args)
	case wire.Refused:
		return finding.S("refused (TCP reset): nothing listens there, or a firewall rejects", args)
	case wire.Reset:
		return finding.S("the connection was reset {{if .AtOnce}}at once{{else}}after {{.After}}{{end}}", args)
	case wire.Unreachable:
		return finding.S("unreachable: a router or firewall answered with ICMP{{if not .AtOnce}} after {{.After}}{{end}}", args)
	case wire.NoRoute:
		return finding.S("no route there: this machine has none, or a router on the way says so", args)
	case wire.Closed:
		return finding.S("the server closed the connection {{if .AtOnce}}at once{{else}}after {{.After}}{{end}} without a word", args)
	case wire.TLSFault:
		return finding.S("the TLS handshake failed: {{.Text}}", args)
	case wire.Limit:
		return finding.S("cut off: {{.Text}}", args)
	case wire.Offline:
		return finding.S("the network was not asked (--offline)", nil)
	case wire.NotAllowed:
		return finding.S("this server does not probe there for its users: {{.Text}}", args)
	case wire.Canceled:
		return finding.S("stopped before it was done", nil)
	}
	return finding.Raw(f.Text)
}

// rounded drops what a reader does not need.
func rounded(d time.Duration) time.Duration {
	if d < time.Millisecond {
		return d.Round(time.Microsecond)
	}
	return d.Round(time.Millisecond)
}

// Ours tells a fault of this machine or of this run, which says nothing about the peer.
func Ours(f *wire.Fault) bool {
	if f == nil {
		return false
	}
	switch f.Kind {
	case wire.NoRoute, wire.Canceled, wire.OffTape, wire.NotAllowed:
		return true
	case wire.Limit:
		return f.Op == "connect"
	}
	return false
}
