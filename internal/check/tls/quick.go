package tls

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
	wiretls "github.com/mailwhy/mailwhy/internal/wire/tls"
)

// Glance is what Quick finds out; it is the report's Facts.
type Glance struct {
	Host    string            `json:"host"`
	Port    uint16            `json:"port"`
	Start   string            `json:"starttls,omitempty"`
	Shakes  []*wire.Handshake `json:"handshakes"` // one per address
	Expires time.Time         `json:"expires,omitzero"`
	Took    time.Duration     `json:"-"` // the slowest handshake; differs between runs
}

// Quick does one handshake with each address of a host and judges the certificate and the connection: what is asked often
// enough must cost the server little. It takes what Report takes.
func Quick(ctx context.Context, env *check.Env, host string, port uint16, start string) (*finding.Report, *Glance, error) {
	began := env.Now()
	where := net.JoinHostPort(host, strconv.Itoa(int(port)))
	subject := finding.Subject{Kind: finding.KindService, Name: where}
	th, err := env.Know.Thresholds()
	if err != nil {
		return nil, nil, err
	}
	g := &Glance{Host: host, Port: port, Start: start}
	addrs, err := check.Addresses(ctx, env, host)
	if len(addrs) == 0 {
		why := finding.S("{{.Host}} has no address in the DNS", finding.Args{"Host": host})
		if err != nil {
			why = check.Why(err)
		}
		return check.NewReport(env, "tls", subject, began, []finding.Finding{ruleHandshake.Untested(subject, why)}, nil, g), g, nil
	}
	name := host
	if _, err := netip.ParseAddr(host); err == nil {
		name = ""
	}
	var fs []finding.Finding
	for _, a := range addrs {
		h, err := wiretls.Shake(ctx, Door(env), wiretls.Target{Host: name, Addr: a, Port: port, Start: start})
		if err != nil {
			fs = append(fs, ruleHandshake.Untested(subject, check.Why(err)))
			continue
		}
		g.Shakes, g.Took = append(g.Shakes, h), max(g.Took, h.Took)
		if certs := h.Certificates(); len(certs) > 0 && (g.Expires.IsZero() || certs[0].NotAfter.Before(g.Expires)) {
			g.Expires = certs[0].NotAfter
		}
		fs = append(fs, judgeOne(subject, &wiretls.Inventory{Handshake: h},
			Facts{Subject: subject, Place: Place(host, a, port), Handshake: h, Verify: finding.Cmd("tls", where)}, th)...)
	}
	return check.NewReport(env, "tls", subject, began, fs, nil, g), g, nil
}
