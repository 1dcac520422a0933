// Package demo is a small Internet inside the process: name servers, mail servers, a web server and certificates, for a
// dozen domains with one fault each, so that a newcomer without root or network sees what mailwhy does.
//
// Promise: nothing leaves the machine; every address is led to a listener on loopback. The faults are real: the same
// code that talks to real servers finds them. Names are of the reserved kind (RFC 2606), addresses from ranges that
// belong to no mail server (RFC 7534, RFC 7535).
package demo

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing/fstest"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

// Our own side of the demo.
const (
	resolver = "192.31.196.53"
	authNS   = "192.175.48.53"
	authNS2  = "192.31.196.54"
	ourName  = "mail.mine.example"
	// Sender is who writes in the demo.
	Sender = "li@mine.example"
)

// The addresses we may come from: with everything in order, without a PTR record, on a blocklist.
const (
	selfGood   = "192.175.48.25"
	selfNoPTR  = "192.31.196.26"
	selfListed = "192.175.48.27"
)

// Case is one domain with its fault.
type Case struct {
	Name    string      // of the domain's first label
	About   finding.Msg // what is wrong there
	To      string      // recipient for deliver
	Check   bool        // show it with check rather than deliver
	self    string
	records string // of the zone, beside SOA and NS; {ip} is the server's address
	server  func(w *World, host string) (*wiretest.SMTP, error)
	after   func(w *World, ip string) error
}

// Domain is the case's domain.
func (c *Case) Domain() string { return c.Name + ".example" }

// World is the small Internet. Close ends it.
type World struct {
	net  *wiretest.World
	now  time.Time
	root *wiretest.CA
	sub  *wiretest.CA
}

// New raises the world: all cases at once.
func New(now time.Time) (*World, error) {
	w := &World{net: wiretest.NewWorld(), now: now}
	w.net.Self = netip.MustParseAddr(selfGood)
	if err := w.raise(); err != nil {
		_ = w.Close()
		return nil, err
	}
	return w, nil
}

// Close ends all servers.
func (w *World) Close() error { return w.net.Close() }

func (w *World) raise() (err error) {
	if w.root, err = wiretest.NewCA("Demo Root CA", w.now); err != nil {
		return err
	}
	if w.sub, err = w.root.Sub("Demo Issuing CA", w.now); err != nil {
		return err
	}
	w.net.Else = wiretest.Refuses
	zones := fixedZones()
	for i := range Cases {
		c := &Cases[i]
		ip := fmt.Sprintf("192.175.48.%d", 101+i)
		zones = append(zones, zone(c.Domain(), strings.ReplaceAll(c.records, "{ip}", ip)))
		zones[0] += fmt.Sprintf("%d.48.175.192.in-addr.arpa. 300 IN PTR mx.%s.\n", 101+i, c.Domain())
		if c.server != nil {
			s, err := c.server(w, "mx."+c.Domain())
			if err != nil {
				return err
			}
			if err := w.net.SMTP(ip+":25", s); err != nil {
				return err
			}
		}
		if c.after != nil {
			if err := c.after(w, ip); err != nil {
				return err
			}
		}
	}
	return w.names(zones)
}

// names starts the resolver and the authoritative server.
func (w *World) names(zones []string) error {
	if _, err := w.net.DNS([]string{authNS, authNS2}, zones...); err != nil {
		return err
	}
	ours, _ := dns.SystemServers() // whoever compares resolvers asks those of this machine, too: they answer from the demo
	r, err := w.net.DNS(append([]string{resolver}, ours...), zones...)
	if err != nil {
		return err
	}
	r.Recursive = true
	return nil
}

// zone writes a zone as a file would have it.
func zone(origin, records string) string {
	return fmt.Sprintf("$ORIGIN %s.\n$TTL 300\n@ IN SOA ns1.%s. hostmaster.%s. 2026112200 7200 3600 1209600 300\n@ IN NS ns1.%s.\n@ IN NS ns2.%s.\nns1 IN A %s\nns2 IN A %s\n%s\n",
		origin, origin, origin, origin, origin, authNS, authNS2, records)
}

// fixedZones are those of no case: reverse names first, our own domain, the demo's blocklist, and the hosts that tell
// whether our port 25 is open.
func fixedZones() []string {
	reverse := "$ORIGIN 192.in-addr.arpa.\n$TTL 300\n@ IN SOA ns1.demo.example. hostmaster.demo.example. 1 7200 3600 1209600 300\n@ IN NS ns1.demo.example.\n" +
		"25.48.175 IN PTR mail.mine.example.\n27.48.175 IN PTR mail.mine.example.\n"
	return []string{
		reverse,
		zone("example", ""),
		zone("demo.example", "open1 IN A 192.31.196.201\nopen2 IN A 192.31.196.202\n"),
		zone("mine.example", "@ IN MX 10 mail\nmail IN A "+selfGood+"\nmail IN A "+selfNoPTR+"\nmail IN A "+selfListed+"\n"+
			"@ IN TXT \"v=spf1 a:mail.mine.example -all\"\n_dmarc IN TXT \"v=DMARC1; p=none; rua=mailto:dmarc@mine.example\"\n"),
		zone("bl.demo.example", "2.0.0.127 IN A 127.0.0.2\n2.0.0.127 IN TXT \"test point\"\n27.48.175.192 IN A 127.0.0.2\n27.48.175.192 IN TXT \"spam seen on 2026-11-20\"\n"),
	}
}

const lists = `checked = 2026-11-22

[[list]]
id = "demo"
name = "Demo blocklist"
zone = "bl.demo.example"
kinds = ["v4"]
status = "alive"
weight = 10
delist = "https://bl.demo.example/remove"
public = "allowed"
source = "https://bl.demo.example/"
codes = [ { answer = "127.0.0.2", means = { en = "a source of spam", zh = "垃圾邮件来源" } } ]
`

// Env is the door to the world, as the case needs it: our own address differs between cases.
func (w *World) Env(c *Case) *check.Env {
	self := c.self
	if self == "" {
		self = selfGood
	}
	w.net.Self = netip.MustParseAddr(self)
	env := w.door(func() time.Time { return w.now }, nil)
	env.SMTP = &smtp.Prober{Door: env.SMTPDoor()}
	return env
}

func (w *World) door(clock wire.Clock, tape wire.Tape) *check.Env {
	return &check.Env{
		Tape: tape,
		Dial: w.net, Allow: w.within, Now: clock, Roots: w.root.Pool(), Gate: &wire.Gate{AtOnce: 2, Total: 40},
		Know: knowledge.Over(fstest.MapFS{
			"blocklists.toml": {Data: []byte(lists)},
			"outbound.toml":   {Data: []byte("checked = 2026-11-22\nhosts = [\"open1.demo.example\", \"open2.demo.example\"]\n")},
		}),
		Probe: check.Probe{HELO: ourName, Timeout: time.Second, NoIPv6: true},
		DNS: dns.New(dns.Options{Servers: []string{resolver}, Dial: w.net, Now: clock, Timeout: time.Second, NoIPv6: true, Tape: tape,
			Anchors: []string{"invalid. IN DS 1 13 2 " + strings.Repeat("00", 32)}}), // the demo's names are not signed
	}
}

// within keeps traces, which go past Dial, from leaving the demo: its Internet has no routers.
func (w *World) within(place string) error {
	return &wire.Fault{Kind: wire.NotAllowed, Op: "trace", Text: "the way to " + place + " is none of packets here"}
}

// Live is the door for a service that runs: the clock goes, runs may be at once, our address is in order.
func (w *World) Live(tape wire.Tape) *check.Env {
	env := w.door(time.Now, tape)
	env.SMTP = &smtp.Prober{Door: env.SMTPDoor()}
	return env
}

// config is a server's TLS with a certificate of the demo's authority.
func (w *World) config(l wiretest.Leaf) (*tls.Config, error) {
	cert, err := w.sub.Issue(l, w.now)
	if err != nil {
		return nil, err
	}
	return wiretest.Config(cert), nil
}

// good is a server with nothing to find fault with, changed by the caller.
func good(change func(*wiretest.SMTP)) func(*World, string) (*wiretest.SMTP, error) {
	return withCert(func(*World, *wiretest.Leaf) {}, change)
}

func withCert(leaf func(*World, *wiretest.Leaf), change func(*wiretest.SMTP)) func(*World, string) (*wiretest.SMTP, error) {
	return func(w *World, host string) (*wiretest.SMTP, error) {
		l := wiretest.Leaf{Names: []string{host}}
		leaf(w, &l)
		cfg, err := w.config(l)
		if err != nil {
			return nil, err
		}
		s := &wiretest.SMTP{
			Name: host, TLS: cfg, Caps: []string{"PIPELINING", "SIZE 52428800", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8"},
			Domain: strings.TrimPrefix(host, "mx."), Replies: map[string]string{},
		}
		change(s)
		return s, nil
	}
}

// policyServer serves an MTA-STS policy at the address.
func policyServer(text string) func(*World, string) error {
	return func(w *World, ip string) error {
		l, err := w.net.Listen(ip + ":443")
		if err != nil {
			return err
		}
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go w.policy(conn, text)
			}
		}()
		return nil
	}
}

// policy answers one request with the policy, whatever was asked.
func (w *World) policy(conn net.Conn, text string) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	c := tls.Server(conn, &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		cert, err := w.sub.Issue(wiretest.Leaf{Names: []string{h.ServerName}}, w.now)
		return &cert, err
	}})
	buf := make([]byte, 4096)
	if _, err := c.Read(buf); err != nil {
		return
	}
	_, _ = io.WriteString(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(text), text))
	_ = c.Close()
}
