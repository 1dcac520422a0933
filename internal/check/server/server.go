// Package server looks at a mail server as mail programs do: which services answer on which ports, what they are, how
// they encrypt, and why a login is refused.
//
// Promise: one session per port and address, all ports at once, nothing delivered, nothing marked or deleted. Judging
// is pure and works on recorded sessions. A port that is closed is no fault by itself: not every server offers every
// service. RFCs: 8314 (TLS for mail programs), 6409 (submission), 3501, 1939, 5804, 5530.
package server

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/tls"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/imap"
	"github.com/mailwhy/mailwhy/internal/wire/managesieve"
	"github.com/mailwhy/mailwhy/internal/wire/pop3"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
	wiretls "github.com/mailwhy/mailwhy/internal/wire/tls"
)

// service is a port of a mail server and what is spoken there.
type service struct {
	protocol string
	port     uint16
	implicit bool
}

// services lists the ports that are looked at.
func services() []service {
	return []service{
		{"smtp", 25, false}, {"smtp", 587, false}, {"smtp", 465, true},
		{"imap", 143, false}, {"imap", 993, true}, {"pop3", 110, false}, {"pop3", 995, true}, {"managesieve", 4190, false},
	}
}

// title is a protocol as people write it.
func title(protocol string) string {
	if protocol == "managesieve" {
		return "ManageSieve"
	}
	return strings.ToUpper(protocol)
}

// Survey is what `mailwhy server HOST` finds out; it is the report's Facts.
type Survey struct {
	Host  string       `json:"host"`
	Addrs []netip.Addr `json:"addrs"`
	Ports []Port       `json:"ports"`
	Abuse *Abuse       `json:"abuse,omitempty"`
}

// Port is one port of one address and the session held there: Session for SMTP, Visit for the others.
type Port struct {
	Protocol string             `json:"protocol"`
	Addr     netip.Addr         `json:"addr"`
	Port     uint16             `json:"port"`
	Implicit bool               `json:"implicit_tls,omitempty"`
	Software knowledge.Software `json:"software,omitzero"`
	Session  *smtp.Session      `json:"session,omitempty"`
	Visit    *wire.Visit        `json:"visit,omitempty"`

	hellos tls.Facts // what old hellos got, for judging
}

// Options say how far a survey goes.
type Options struct {
	Abuse bool   // try foreign recipients, and a command behind STARTTLS
	Owner string // an address on the server whose owner runs it: false ends of messages are tried too; "" leaves that

	Silence time.Duration // how long a false end is left without an answer before it counts as not taken; 0 means 5 s
}

// Report surveys a host. host may be an address.
func Report(ctx context.Context, env *check.Env, host string, o Options) (*finding.Report, error) {
	began, subject := env.Now(), finding.Host(host)
	if _, err := netip.ParseAddr(host); err == nil {
		subject.Kind = finding.KindIP
	}
	th, err := env.Know.Thresholds()
	if err != nil {
		return nil, err
	}
	banners, err := env.Know.Banners()
	if err != nil {
		return nil, err
	}
	s := &Survey{Host: host}
	if s.Addrs, err = check.Addresses(ctx, env, host); len(s.Addrs) == 0 {
		return check.NewReport(env, "server", subject, began, []finding.Finding{ruleNoPort.Untested(subject, noAddress(host, err))}, nil, s), nil
	}
	var relay sync.WaitGroup
	if o.Abuse { // the longest conversation of all, so that it does not wait for the others
		s.Abuse = &Abuse{}
		relay.Go(func() { s.Abuse.relay(ctx, env, s.Host, s.Addrs[0]) })
		relay.Go(func() { s.Abuse.extensions(ctx, env, s.Addrs[0]) })
	}
	s.look(ctx, env)
	if o.Abuse {
		s.lookAbuse(ctx, env, o)
	}
	relay.Wait()
	for i := range s.Ports {
		s.Ports[i].Software = read(banners, &s.Ports[i])
	}
	fs := append(Judge(s, subject, th), s.Abuse.judge(subject)...)
	prove := finding.Cmd("server", s.Host)
	if o.Owner != "" {
		prove = append(prove, "--i-own-this-server", o.Owner)
	}
	for i := range fs {
		if fs[i].Outcome == finding.Fail && fs[i].Verify == nil {
			fs[i].Verify = prove
		}
	}
	r := check.NewReport(env, "server", subject, began, fs, s.sections(), s)
	return r, nil
}

func noAddress(host string, err error) finding.Sentence {
	if err != nil {
		return check.Why(err)
	}
	return finding.S("{{.Host}} has no address in the DNS", finding.Args{"Host": host})
}

// look holds a session on every port of every address, all at once.
func (s *Survey) look(ctx context.Context, env *check.Env) {
	for _, a := range s.Addrs {
		for _, v := range services() {
			s.Ports = append(s.Ports, Port{Protocol: v.protocol, Addr: a, Port: v.port, Implicit: v.implicit})
		}
	}
	var wg sync.WaitGroup
	for i := range s.Ports {
		wg.Go(func() { s.Ports[i].visit(ctx, env, s.Host, wire.VisitPlan{}, nil); s.Ports[i].greet(ctx, env, s.Host) })
	}
	wg.Wait()
}

// visit holds the session of a port; plan says what to do there, and send what SMTP is to hand over, if anything. What could not even be replayed is left out: the port
// then has no session.
func (p *Port) visit(ctx context.Context, env *check.Env, host string, plan wire.VisitPlan, send *Parcel) {
	if _, err := netip.ParseAddr(host); err == nil {
		host = ""
	}
	if p.Protocol == "smtp" {
		plan := smtp.Plan{Host: host, Addr: p.Addr, Port: p.Port, HELO: env.Probe.HELO, Login: plan.Login}
		if send != nil {
			plan.Envelope, plan.Message = []smtp.Mail{{From: send.From, To: []string{send.To}}}, send.Message
		}
		if p.Implicit {
			plan.Security = smtp.Implicit
		}
		d := env.SMTPDoor()
		d.Gate = nil // a session per port is polite by itself
		p.Session, _ = smtp.Run(ctx, d, plan)
		return
	}
	plan.Host, plan.Addr, plan.Port = host, p.Addr, p.Port
	if p.Implicit {
		plan.Security = wire.Implicit
	}
	d := wire.VisitDoor{Dial: env.Dial, Now: env.Now, Tape: env.Tape, Roots: env.Roots, Timeout: env.Probe.Timeout}
	switch p.Protocol {
	case "imap":
		p.Visit, _ = imap.Run(ctx, d, plan)
	case "pop3":
		p.Visit, _ = pop3.Run(ctx, d, plan)
	case "managesieve":
		p.Visit, _ = managesieve.Run(ctx, d, plan)
	}
}

// greet sends the hellos that tell old versions and broken suites, where TLS is spoken.
func (p *Port) greet(ctx context.Context, env *check.Env, host string) {
	h := p.tls()
	if h == nil || h.Fault != nil {
		return
	}
	start := ""
	if !p.Implicit {
		start = map[string]string{"smtp": "smtp", "imap": "imap", "pop3": "pop3", "managesieve": "sieve"}[p.Protocol]
	}
	d := tls.Door(env)
	d.Gate = nil
	p.hellos.Ask(ctx, d, wiretls.Target{Host: h.ServerName, Addr: p.Addr, Port: p.Port, Start: start})
}

// Readings of the two kinds of session.

func (p *Port) tls() *wire.Handshake {
	switch {
	case p.Session != nil:
		return p.Session.TLS
	case p.Visit != nil:
		return p.Visit.TLS
	}
	return nil
}

func (p *Port) fault() *wire.Fault {
	switch {
	case p.Session != nil:
		return p.Session.Fault
	case p.Visit != nil:
		return p.Visit.Fault
	}
	return &wire.Fault{Kind: wire.OffTape, Text: "not looked at"}
}

func (p *Port) open() bool {
	return p.Session != nil && p.Session.Connected() || p.Visit != nil && p.Visit.Connected()
}

// greeting is the text after the status word.
func (p *Port) greeting() string {
	if p.Session != nil {
		if r := p.Session.Reply(smtp.Greeting); r != nil {
			return strings.Join(r.Lines, "\n")
		}
		return ""
	}
	if p.Visit != nil {
		return p.Visit.Greeting
	}
	return ""
}

// refusal is what the server said instead of a welcome, "" where it welcomed us.
func (p *Port) refusal() string {
	if p.Session != nil {
		for _, n := range []smtp.StageName{smtp.Greeting, smtp.Ehlo} {
			if r := p.Session.Reply(n); r != nil && r.Code >= 400 && (n == smtp.Greeting || p.Session.Stage(smtp.Helo) == nil) {
				return r.String()
			}
		}
		return ""
	}
	if p.Visit != nil {
		if s := p.Visit.Step("greeting"); s != nil && s.Fault == nil && !s.OK() {
			return strings.TrimSpace(s.Status + " " + s.Text)
		}
	}
	return ""
}

// clearLogin tells that a readable password is taken without TLS.
func (p *Port) clearLogin() bool {
	if p.Session != nil {
		return !p.Implicit && slices.ContainsFunc(p.Session.Caps.Auth(), wire.Readable)
	}
	return p.Visit != nil && p.Visit.ClearLogin && p.Visit.Caps != nil
}

// startTLS tells that the port offers to encrypt.
func (p *Port) startTLS() bool {
	if p.Session != nil {
		return p.Session.Caps.Has("STARTTLS")
	}
	return p.Visit != nil && slices.ContainsFunc(p.Visit.Caps, func(c string) bool { return c == "STARTTLS" || c == "STLS" })
}

func (p *Port) methods() []string {
	if p.Session != nil {
		return p.Session.Offered().Auth()
	}
	if p.Visit != nil {
		return p.Visit.Auth
	}
	return nil
}

func (p *Port) earlyBytes() int {
	if p.Session != nil {
		return p.Session.EarlyBytes
	}
	return p.Visit.EarlyBytes
}

func (p *Port) took() time.Duration {
	if p.Session != nil {
		return p.Session.Took
	}
	if p.Visit != nil {
		return p.Visit.Took
	}
	return 0
}

func (p *Port) transcript() wire.Transcript {
	if p.Session != nil {
		return p.Session.Transcript
	}
	if p.Visit != nil {
		return p.Visit.Transcript
	}
	return nil
}

// place names the port for evidence.
func (p *Port) place() string { return netip.AddrPortFrom(p.Addr, p.Port).String() }

// label names the port for people: "IMAP 993".
func (p *Port) label() string { return title(p.Protocol) + " " + strconv.Itoa(int(p.Port)) }

// where is the port as `mailwhy tls` takes it.
func (p *Port) where(host string) string { return net.JoinHostPort(host, strconv.Itoa(int(p.Port))) }

// read tells the software of a port: by its greeting, and by what it says of itself when asked.
func read(banners *knowledge.Banners, p *Port) knowledge.Software {
	if p.greeting() == "" {
		return knowledge.Software{}
	}
	s := banners.Read(p.greeting())
	if p.Visit == nil {
		return s
	}
	if s.Product == "" && p.Visit.ID["implementation"] != "" {
		host := s.Host
		if s = banners.Read(p.Visit.ID["implementation"]); s.Host == "" {
			s.Host = host
		}
	}
	if name := p.Visit.ID["name"]; name != "" && s.Product == "" {
		s.Product, s.Vendor = name, p.Visit.ID["vendor"]
		if known := banners.Read(name); known.Product != "" {
			s.Product, s.Vendor = known.Product, known.Vendor
		}
	}
	if v := p.Visit.ID["version"]; v != "" && s.Version == "" {
		s.Version = v
	}
	return s
}

func (p *Port) started() time.Time {
	if p.Session != nil {
		return p.Session.Started
	}
	return p.Visit.Started
}
