package smtp

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
)

// Checks talk to every address of every mail server of a domain, one session each.
var Checks = []check.Check[check.Servers]{{Name: "smtp", Rules: Rules, Run: run}}

func run(ctx context.Context, env *check.Env, t check.Servers) ([]finding.Finding, error) {
	if t.Null || len(t.Hosts) == 0 {
		return []finding.Finding{ruleNoServer.NA(finding.Domain(t.Domain))}, nil
	}
	th, err := env.Know.Thresholds()
	if err != nil {
		return nil, err
	}
	addrs := t.Addresses()
	sessions := make([]*smtp.Session, len(addrs))
	results := make([][]finding.Finding, len(addrs))
	var wg sync.WaitGroup
	for i, a := range addrs {
		wg.Go(func() { sessions[i], results[i] = look(ctx, env, a, th) })
	}
	wg.Wait()
	fs := domain(ctx, env, &t, sessions)
	for _, r := range results {
		fs = append(fs, explained(r, fs)...)
	}
	for i := range fs { // one session knows the host only
		if v := fs[i].Verify; len(v) > 0 && v[0] == "check" && t.Domain != "" {
			fs[i].Verify = finding.Cmd("check", t.Domain)
		}
	}
	return fs, nil
}

// explained names what the whole domain's trouble explains of one address: where no address answers, one fault is said of
// all of them; where our own port is blocked, nothing is known of theirs.
func explained(one, whole []finding.Finding) []finding.Finding {
	for i := range one {
		f := &one[i]
		if f.Outcome != finding.Fail || f.Rule != ruleUnreachable && f.Rule != ruleIPv6 {
			continue
		}
		for k := range whole {
			switch w := &whole[k]; {
			case w.Outcome != finding.Fail:
			case w.Rule == ruleNoServer:
				f.Causes = []string{w.Rule.ID}
			case w.Rule == ruleOutbound:
				evidence := f.Evidence
				*f = f.Rule.Untested(f.Subject, finding.S("our own outgoing port 25 is blocked", nil)).With(evidence...)
				f.Causes = []string{w.Rule.ID}
			}
		}
	}
	return one
}

// look talks to one address and judges it.
func look(ctx context.Context, env *check.Env, a check.ServerAddr, th *knowledge.Thresholds) (*smtp.Session, []finding.Finding) {
	s, err := env.Session(ctx, env.ProbePlan(a.Host, a.Addr))
	if err != nil {
		return nil, []finding.Finding{ruleUnreachable.Untested(finding.Host(a.Host), check.Why(err))}
	}
	fs := JudgeSession(s, env.Know, th)
	return s, append(fs, names(ctx, env, s)...)
}

// names holds the name in the greeting against the DNS.
func names(ctx context.Context, env *check.Env, s *smtp.Session) []finding.Finding {
	name, subject := BannerName(s), finding.Host(s.Plan.Host)
	if name == "" || env.DNS == nil {
		return nil
	}
	addrs, err := addresses(ctx, env.DNS, name)
	if err != nil {
		return []finding.Finding{ruleNameDNS.Untested(subject, check.Why(err))}
	}
	j := judge{s: s, subject: subject}
	switch {
	case len(addrs) == 0:
		return []finding.Finding{j.failed(ruleNameDNS, finding.Args{"Name": name}, smtp.Greeting)}
	case slices.Contains(addrs, s.Plan.Addr.String()):
		return []finding.Finding{ruleNameDNS.Passed(subject, finding.Args{"Name": name}), ruleNameOther.Passed(subject, nil)}
	}
	return []finding.Finding{
		ruleNameDNS.Passed(subject, finding.Args{"Name": name}),
		j.failed(ruleNameOther, finding.Args{"Name": name, "Addrs": addrs, "N": len(addrs), "Addr": s.Plan.Addr}, smtp.Greeting),
	}
}

func addresses(ctx context.Context, r mail.Resolver, name string) (out []string, err error) {
	for _, t := range []mail.Type{mail.TypeA, mail.TypeAAAA} {
		a, aerr := r.Resolve(ctx, name, t)
		if aerr != nil {
			err = aerr
			continue
		}
		for i := range a.Records {
			out = append(out, a.Records[i].IP.String())
		}
	}
	if len(out) > 0 {
		err = nil
	}
	return out, err
}

// domain judges the servers together: does any of them take a connection, and if not, is it us?
func domain(ctx context.Context, env *check.Env, t *check.Servers, sessions []*smtp.Session) []finding.Finding {
	subject, ours := finding.Domain(t.Domain), 0
	if len(sessions) == 0 {
		return nil // hosts without addresses: the mx pack says so
	}
	for _, s := range sessions {
		if s == nil || s.Stage(smtp.Connect) == nil || check.Ours(s.Stage(smtp.Connect).Fault) {
			ours++
		} else if s.Connected() {
			return []finding.Finding{ruleNoServer.Passed(subject, nil)}
		}
	}
	if ours == len(sessions) {
		return []finding.Finding{ruleNoServer.Untested(subject, finding.S("no connection could be tried from here", nil))}
	}
	out := LookOutbound(ctx, env)
	if f := out.Judge(subject); f != nil {
		return []finding.Finding{*f, ruleNoServer.Untested(subject, finding.S("our own outgoing port 25 is blocked", nil))}
	}
	if ours > 0 {
		return []finding.Finding{ruleNoServer.Untested(subject, finding.S("not every address could be tried from here", nil))}
	}
	f := ruleNoServer.Failed(subject, finding.Args{"N": len(sessions)}).Prove(finding.Cmd("check", t.Domain))
	for _, s := range sessions {
		j := judge{s: s}
		f = f.With(j.evidence(smtp.Connect)...)
	}
	return []finding.Finding{f}
}

// Outbound is what trying other people's port 25 told.
type Outbound struct {
	Knocks []Knock `json:"knocks"`
}

// Knock is one attempt, with the host's name.
type Knock struct {
	Host string `json:"host"`
	wire.Knock
}

// Open tells that some port 25 of the world answers us.
func (o *Outbound) Open() bool {
	return slices.ContainsFunc(o.Knocks, func(k Knock) bool { return k.Fault == nil })
}

// Blocked tells that none of at least two does.
func (o *Outbound) Blocked() bool { return len(o.Knocks) >= 2 && !o.Open() }

// Judge says that our own port 25 is blocked, or nil.
func (o *Outbound) Judge(subject finding.Subject) *finding.Finding {
	if !o.Blocked() {
		return nil
	}
	var tried []string
	f := ruleOutbound.Failed(subject, nil)
	for _, k := range o.Knocks {
		tried = append(tried, k.Host)
		f = f.With(finding.Evidence{Source: "tcp", Place: k.Host + " " + netip.AddrPortFrom(k.Addr, k.Port).String(), Raw: k.Fault.Text})
	}
	f.Args = finding.Args{"Tried": tried, "N": len(tried)}
	return &f
}

// LookOutbound knocks at port 25 of the servers in outbound.toml, one address each. Names that do not resolve are left
// out: a private network has no way to them.
func LookOutbound(ctx context.Context, env *check.Env) *Outbound {
	out := &Outbound{}
	table, err := env.Know.Outbound()
	if err != nil || env.DNS == nil || env.Probe.Offline {
		return out
	}
	found := make([]*Knock, len(table.Hosts))
	var wg sync.WaitGroup
	for i, h := range table.Hosts {
		wg.Go(func() {
			a, err := env.DNS.Resolve(ctx, h, mail.TypeA)
			if err != nil || len(a.Records) == 0 {
				return
			}
			// The first in order, so that a replay knocks at the same one.
			ip := slices.MinFunc(a.Records, func(x, y mail.Record) int { return x.IP.Compare(y.IP) }).IP
			if k, err := wire.KnockAt(ctx, KnockDoor(env), ip, 25); err == nil {
				found[i] = &Knock{h, *k}
			}
		})
	}
	wg.Wait()
	for _, k := range found {
		if k != nil {
			out.Knocks = append(out.Knocks, *k)
		}
	}
	return out
}

// KnockDoor is what knocking needs, out of the Env.
func KnockDoor(env *check.Env) wire.KnockDoor {
	return wire.KnockDoor{Dial: env.Dial, Tape: env.Tape, Gate: env.Gate, Timeout: env.Probe.Timeout}
}
