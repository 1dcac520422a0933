package delivery

import (
	"context"
	"net/netip"
	"strings"
	"sync"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/blocklist"
	"github.com/mailwhy/mailwhy/internal/check/ptr"
	checksmtp "github.com/mailwhy/mailwhy/internal/check/smtp"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail/dmarc"
	"github.com/mailwhy/mailwhy/internal/mail/spf"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
)

// serve tries the servers. Without a message all of them are asked, hosts at once and the addresses of a host one after
// the other; with one it goes as a mail server does, and stops where a server has decided.
func (f *Facts) serve(ctx context.Context, env *check.Env, opt Options) {
	for _, h := range f.DNS.Servers.Hosts {
		for _, a := range h.Addrs {
			if len(f.Attempts) == maxAddresses {
				f.Untried++
				continue
			}
			f.Attempts = append(f.Attempts, Attempt{Host: h.Name, Pref: h.Pref, Addr: a, Result: Unknown})
		}
	}
	if opt.Message != nil {
		f.serveInOrder(ctx, env, opt)
	} else {
		f.serveAll(ctx, env, opt)
	}
	f.conclude()
	if f.Result == Nowhere && len(f.Attempts) > 0 {
		f.Outbound = checksmtp.LookOutbound(ctx, env)
		f.knock(ctx, env)
	}
}

func (f *Facts) serveAll(ctx context.Context, env *check.Env, opt Options) {
	byHost := map[string][]*Attempt{}
	for i := range f.Attempts {
		byHost[f.Attempts[i].Host] = append(byHost[f.Attempts[i].Host], &f.Attempts[i])
	}
	var wg sync.WaitGroup
	for _, as := range byHost {
		wg.Go(func() {
			for _, a := range as {
				f.try(ctx, env, opt, a)
			}
		})
	}
	wg.Wait()
}

func (f *Facts) serveInOrder(ctx context.Context, env *check.Env, opt Options) {
	for i := range f.Attempts {
		a := &f.Attempts[i]
		f.try(ctx, env, opt, a)
		if a.Result == Accepted || a.Result == Refused {
			f.Delivered = a.Result == Accepted
			f.Untried += len(f.Attempts) - i - 1
			f.Attempts = f.Attempts[:i+1]
			return
		}
	}
}

// try has one session with one address; where an offered STARTTLS breaks, a second one in plain text, unless a policy
// forbids it.
func (f *Facts) try(ctx context.Context, env *check.Env, opt Options, a *Attempt) {
	p := f.plan(opt, a)
	if f.message && !f.mayHave(ctx, env, a, p) {
		return
	}
	s, err := env.Session(ctx, p)
	if err != nil {
		s = &smtp.Session{Plan: p, Fault: wire.Classify("connect", err), Stages: []smtp.Stage{{Name: smtp.Connect, Fault: wire.Classify("connect", err)}}}
	}
	a.Session = s
	a.STS = f.STS.holds(a)
	if f.Via == "" && !f.to.Literal.IsValid() && s.Connected() {
		a.DANE = lookDANE(ctx, env, f.Domain, a)
	}
	if h := s.TLS; h != nil && h.Fault != nil && !a.mandatory(f.STS) {
		p.Security = smtp.Plain
		if plain, err := env.Session(ctx, p); err == nil {
			a.Plain = plain
		}
	}
	a.Result = outcome(a.said(), f.message)
	if a.forbidden(f.STS) && a.Result != Unknown && s.Connected() {
		a.Result = Insecure
	}
}

// mayHave holds a server against MTA-STS and DANE before a message goes there: a session up to EHLO within TLS.
func (f *Facts) mayHave(ctx context.Context, env *check.Env, a *Attempt, p smtp.Plan) bool {
	p.Message, p.Security, p.StopAfter, p.Envelope = nil, smtp.Opportunistic, smtp.Ehlo2, nil
	if f.Via != "" || f.to.Literal.IsValid() {
		return true
	}
	s, err := env.Session(ctx, p)
	if err != nil || !s.Connected() {
		return true // the session with the message will tell
	}
	a.Session = s
	a.STS, a.DANE = f.STS.holds(a), lookDANE(ctx, env, f.Domain, a)
	if a.forbidden(f.STS) {
		a.Result = Insecure
		return false
	}
	return true
}

// forbidden tells that a policy forbids to deliver to the server as it showed itself.
func (a *Attempt) forbidden(s *STS) bool {
	return s.enforced() && a.STS != "" && a.STS != "met" || a.DANE.broken()
}

// mandatory tells that a policy makes TLS with a good certificate a condition.
func (a *Attempt) mandatory(s *STS) bool {
	return s.enforced() || a.DANE != nil
}

func (d *DANE) broken() bool {
	return d != nil && (d.Verdict == nil || d.Verdict.Mandatory() && !d.Verdict.Authenticated)
}

// plan builds the session. With a message and a policy TLS is required.
func (f *Facts) plan(opt Options, a *Attempt) smtp.Plan {
	p := smtp.Plan{
		Host: a.Host, Addr: a.Addr, HELO: f.HELO, Message: opt.Message,
		Envelope: []smtp.Mail{{To: []string{f.to.SMTP()}, UTF8: f.to.UTF8}},
	}
	if _, err := netip.ParseAddr(a.Host); err == nil {
		p.Host = ""
	}
	if f.from != nil {
		p.Envelope[0].From = f.from.SMTP()
		p.Envelope[0].UTF8 = p.Envelope[0].UTF8 || f.from.UTF8
	}
	if f.Via != "" {
		if p.Port = opt.ViaPort; p.Port == 465 {
			p.Security = smtp.Implicit
		}
	}
	if f.message && a.mandatory(f.STS) {
		p.Security = smtp.Require
	}
	return p
}

// outcome reads how far a session came.
func outcome(s *smtp.Session, message bool) Result {
	last := s.Stage(smtp.RcptTo)
	if message && last != nil && last.OK() {
		if last = s.Stage(smtp.Message); last == nil {
			last = s.Stage(smtp.Data)
		}
	}
	if last != nil && last.OK() {
		return Accepted
	}
	st := s.Failed()
	switch {
	case st == nil:
		return Unknown
	case st.Fault != nil && check.Ours(st.Fault):
		return Unknown
	case st.Reply != nil && st.Reply.Permanent():
		return Refused
	case st.Reply != nil && st.Reply.Temporary():
		return Deferred
	case st.Name == smtp.MailFrom && st.Fault != nil && st.Fault.Kind == wire.Protocol:
		return Refused // SMTPUTF8 is missing: another try changes nothing
	}
	return Nowhere
}

// conclude folds the attempts into one result, in the order a mail server goes: the first that decides, decides.
func (f *Facts) conclude() {
	f.Result = Nowhere
	if f.DNS.err != nil && len(f.Attempts) == 0 {
		f.Result = Unknown
	}
	for i := range f.Attempts {
		switch r := f.Attempts[i].Result; {
		case r == Accepted, r == Refused:
			f.Result = r
			return
		case r == Deferred, r == Insecure && f.Result != Deferred:
			f.Result = r
		case r == Unknown && f.Result == Nowhere && i == len(f.Attempts)-1 && f.allUnknown():
			f.Result = Unknown
		}
	}
}

func (f *Facts) allUnknown() bool {
	for i := range f.Attempts {
		if f.Attempts[i].Result != Unknown {
			return false
		}
	}
	return true
}

// otherPorts are tried on a host whose port 25 is silent: an answer on one of them says that the host lives.
var otherPorts = []uint16{443, 587, 465, 80, 993}

// knock tries other ports of the addresses where TCP did not come up, at most two per address.
func (f *Facts) knock(ctx context.Context, env *check.Env) {
	var wg sync.WaitGroup
	for i := range f.Attempts {
		a := &f.Attempts[i]
		st := a.Session.Stage(smtp.Connect)
		if st == nil || st.Fault == nil || check.Ours(st.Fault) {
			continue
		}
		wg.Go(func() {
			for _, port := range otherPorts {
				k, err := wire.KnockAt(ctx, checksmtp.KnockDoor(env), a.Addr, port)
				if err != nil {
					return
				}
				a.Ports = append(a.Ports, *k)
				if k.Answered() || len(a.Ports) == 3 {
					return
				}
			}
		})
	}
	wg.Wait()
}

// alive tells that another port of the same address answered.
func (a *Attempt) alive() *wire.Knock {
	for i := range a.Ports {
		if a.Ports[i].Answered() {
			return &a.Ports[i]
		}
	}
	return nil
}

// lookSelf finds out how we look to the other side.
func lookSelf(ctx context.Context, env *check.Env, f *Facts, opt Options) *Self {
	s := &Self{HELO: f.HELO}
	s.address(f, opt)
	var wg sync.WaitGroup
	wg.Go(func() { s.policy(ctx, env, f) })
	if s.IP.IsValid() {
		wg.Go(func() { s.PTR = ptr.Look(ctx, env, s.IP, "") })
		wg.Go(func() {
			if facts, err := blocklist.Look(ctx, env, []string{s.IP.String()}, blocklist.Options{}); err == nil {
				s.Lists = facts
			}
		})
		wg.Go(func() {
			in := spf.Input{IP: s.IP, HELO: f.HELO, Receiver: f.HELO, Now: env.Now()}
			if f.from != nil {
				in.MailFrom = f.from.Local + "@" + f.from.ASCII
			}
			s.SPF = spf.Check(ctx, env.DNS, in)
		})
	}
	wg.Go(func() {
		if !strings.HasPrefix(f.HELO, "[") {
			ips, _ := addressesOf(ctx, env, f.HELO)
			for _, ip := range ips {
				s.HELOIPs = append(s.HELOIPs, ip.String())
			}
		}
	})
	wg.Wait()
	return s
}

// address finds our own address: given, else that of the socket, else the one the EHLO reply names.
func (s *Self) address(f *Facts, opt Options) {
	var named netip.Addr
	for i := range f.Attempts {
		se := f.Attempts[i].Session
		if !s.Socket.IsValid() {
			if s.Socket = se.LocalAddr(); s.Socket.IsValid() {
				s.HELO = se.Says()
			}
		}
		for _, n := range []smtp.StageName{smtp.Ehlo, smtp.Ehlo2} {
			if a := smtp.Address(se.Reply(n)); a.IsValid() && !named.IsValid() {
				named = a
			}
		}
	}
	switch {
	case opt.PublicIP.IsValid():
		s.IP, s.Source = opt.PublicIP, "given"
	case s.Socket.IsValid() && public(s.Socket):
		s.IP, s.Source = s.Socket, "socket"
	case named.IsValid():
		s.IP, s.Source = named, "ehlo"
	}
}

func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !netip.MustParsePrefix("100.64.0.0/10").Contains(a)
}

// policy finds what the sender's domain asks receivers to do with what fails.
func (s *Self) policy(ctx context.Context, env *check.Env, f *Facts) {
	if f.from == nil || f.from.ASCII == "" {
		return
	}
	d, err := dmarc.Discover(ctx, env.DNS, f.from.ASCII, dmarc.RFC7489)
	if err != nil {
		s.dmarcErr = err
		return
	}
	if d.Record != nil {
		s.DMARC, s.DMARCAt = string(d.Effective), d.Record.Domain
	}
}

// reading is what a stage's reply means.
func reading(env *check.Env, a *Attempt, st *smtp.Stage) knowledge.Reading {
	return env.Know.ReadReply(st.Reply.String(), knowledge.ReplyContext{Host: a.Host, Command: checksmtp.Command(st.Name)})
}
