package server

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire/provoke"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
)

// Abuse is what the server put up with.
type Abuse struct {
	Relay      []RelayForm       `json:"relay,omitempty"`
	Injection  []*provoke.Result `json:"starttls_injection,omitempty"`
	Extensions *provoke.Result   `json:"extensions,omitempty"` // what EHLO promised, and what was done
	Smuggling  []*provoke.Result `json:"smuggling,omitempty"`
	Chunking   *provoke.Result   `json:"chunking,omitempty"`

	control *smtp.Stage // an unknown user of its own
}

// RelayForm is a way to write a foreign recipient, and what the server said to it.
type RelayForm struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Reply string `json:"reply"`
	Taken bool   `json:"taken"`

	own bool // the address ends in the server's own name: only a server that knows its users tells something by taking it
}

const (
	foreignLocal, foreignDomain = "relay-probe", "example.com"
	controlLocal                = "no-such-user-7f3a9c"
)

// forms are the classic ways to smuggle a foreign recipient past a relay check: plain, quoted, percent hack, source
// route, bang path, and from a sender that claims to be local.
func forms(host string) []RelayForm {
	ext := foreignLocal + "@" + foreignDomain
	return []RelayForm{
		{To: ext},
		{From: "postmaster@" + host, To: ext},
		{To: `"` + ext + `"`},
		{To: foreignLocal + "%" + foreignDomain},
		{To: "@" + host + ":" + ext},
		{To: foreignDomain + "!" + foreignLocal},
		{To: foreignLocal + "%" + foreignDomain + "@" + host, own: true},
		{To: `"` + ext + `"@` + host, own: true},
		{To: foreignDomain + "!" + foreignLocal + "@" + host, own: true},
	}
}

// lookAbuse tries a command behind STARTTLS where ports were seen to offer it. With an Owner, an address on the server that
// its administrator gave, also false ends of a message and pieces of one.
func (s *Survey) lookAbuse(ctx context.Context, env *check.Env, o Options) {
	owner := o.Owner
	var wg sync.WaitGroup
	at25 := slices.IndexFunc(s.Ports, func(p Port) bool { return p.Port == 25 && p.open() && p.refusal() == "" && p.fault() == nil })
	door := provoke.Door{Dial: env.Dial, Tape: env.Tape, Timeout: env.Probe.Timeout, Silence: cmp.Or(o.Silence, silence)}
	var mu sync.Mutex
	try := func(p provoke.Plan, keep func(*provoke.Result)) {
		p.HELO = env.Probe.HELO
		if r, err := provoke.Run(ctx, door, p); err == nil {
			mu.Lock()
			keep(r)
			mu.Unlock()
		}
	}
	first := s.Addrs[0]
	for i := range s.Ports {
		if p := &s.Ports[i]; p.Addr == first && p.open() && !p.Implicit && p.startTLS() && p.tls() != nil && p.tls().Fault == nil {
			wg.Go(func() {
				try(provoke.Plan{Try: provoke.Injection, Protocol: p.Protocol, Addr: p.Addr, Port: p.Port}, func(r *provoke.Result) { s.Abuse.Injection = append(s.Abuse.Injection, r) })
			})
		}
	}
	if owner != "" && at25 >= 0 {
		p := &s.Ports[at25]
		plan := provoke.Plan{Protocol: "smtp", Addr: p.Addr, Port: p.Port, To: owner}
		places := make(chan struct{}, smugglers)
		smuggle := func(kind provoke.Try, forms []string) {
			for _, form := range forms {
				plan := plan
				plan.Try, plan.Form = kind, form
				wg.Go(func() {
					places <- struct{}{}
					defer func() { <-places }()
					try(plan, func(r *provoke.Result) { s.Abuse.Smuggling = append(s.Abuse.Smuggling, r) })
				})
			}
		}
		smuggle(provoke.Smuggling, provoke.Forms())
		if p.Session.Offered().Has("CHUNKING") {
			smuggle(provoke.SmugglingBDAT, provoke.ChunkForms())
			plan.Try = provoke.Chunking
			wg.Go(func() { try(plan, func(r *provoke.Result) { s.Abuse.Chunking = r }) })
		}
	}
	wg.Wait()
	slices.SortFunc(s.Abuse.Injection, func(a, b *provoke.Result) int { return int(a.Plan.Port) - int(b.Plan.Port) })
	slices.SortFunc(s.Abuse.Smuggling, func(a, b *provoke.Result) int {
		return cmp.Or(strings.Compare(string(a.Plan.Try), string(b.Plan.Try)), strings.Compare(a.Plan.Form, b.Plan.Form))
	})
}

// smugglers is how many false ends are tried at the same moment: servers limit the connections of one client.
const smugglers = 6

// extensions asks port 25 for what its EHLO promises; nothing is sent.
func (a *Abuse) extensions(ctx context.Context, env *check.Env, addr netip.Addr) {
	door := provoke.Door{Dial: env.Dial, Tape: env.Tape, Timeout: env.Probe.Timeout}
	if r, err := provoke.Run(ctx, door, provoke.Plan{Try: provoke.Extensions, Protocol: "smtp", Addr: addr, Port: 25, HELO: env.Probe.HELO}); err == nil && len(r.Steps) > 0 {
		a.Extensions = r
	}
}

// relay asks for every form in one session; nothing is sent.
func (a *Abuse) relay(ctx context.Context, env *check.Env, host string, addr netip.Addr) {
	all := forms(host)
	plan := smtp.Plan{Host: host, Addr: addr, Port: 25, HELO: env.Probe.HELO, Envelope: []smtp.Mail{{To: []string{controlLocal + "@" + host}}}}
	for _, f := range all {
		plan.Envelope = append(plan.Envelope, smtp.Mail{From: f.From, To: []string{f.To}})
	}
	d := env.SMTPDoor()
	d.Gate = nil
	s, err := smtp.Run(ctx, d, plan)
	if err != nil {
		return
	}
	for i := range s.Stages {
		st := &s.Stages[i]
		if st.Name != smtp.RcptTo || st.Reply == nil {
			continue
		}
		if st.Part == 0 {
			a.control = st
			continue
		}
		f := all[st.Part-1]
		f.Reply, f.Taken = st.Reply.String(), st.Reply.OK()
		a.Relay = append(a.Relay, f)
	}
}

// judge says which of it a sound server would not have put up with.
func (a *Abuse) judge(subject finding.Subject) (fs []finding.Finding) {
	if a == nil {
		return nil
	}
	if len(a.Relay) > 0 {
		fs = append(fs, a.judgeRelay(subject))
	}
	fooled, tried := provoked(a.Injection)
	if tried > 0 {
		f := ruleInjection.Passed(subject, nil)
		if len(fooled) > 0 {
			var ports []string
			for _, r := range fooled {
				ports = append(ports, (&Port{Protocol: r.Plan.Protocol, Port: r.Plan.Port}).label())
			}
			f = ruleInjection.Failed(subject, finding.Args{"Ports": ports, "N": len(ports)}).With(evidence(fooled)...)
		}
		fs = append(fs, f)
	}
	fs = append(fs, judgeExtensions(subject, a.Extensions, a.Chunking != nil)...)
	if len(a.Smuggling) > 0 {
		fs = append(fs, a.judgeSmuggling(subject))
	}
	if r := a.Chunking; r != nil {
		switch r.Outcome {
		case provoke.Fooled:
			fs = append(fs, ruleChunking.Failed(subject, finding.Args{"Text": finding.Raw(r.Text)}).With(evidence([]*provoke.Result{r})...))
		case provoke.Sound:
			fs = append(fs, ruleChunking.Passed(subject, nil))
		default:
			fs = append(fs, ruleChunking.Untested(subject, check.Fault(r.Fault)))
		}
	}
	return fs
}

func (a *Abuse) judgeRelay(subject finding.Subject) finding.Finding {
	catchAll := a.control == nil || a.control.OK()
	var taken []string
	f := ruleRelayForm.Passed(subject, finding.Args{"N": len(a.Relay)})
	var ev []finding.Evidence
	for _, r := range a.Relay {
		if r.Taken && !(r.own && catchAll) {
			if to := "<" + r.To + ">"; !slices.Contains(taken, to) {
				taken = append(taken, to)
			}
			ev = append(ev, finding.Evidence{Source: "smtp", Place: "RCPT TO:<" + r.To + ">", Raw: r.Reply})
		}
	}
	if len(taken) > 0 {
		f = ruleRelayForm.Failed(subject, finding.Args{"Forms": taken[:min(len(taken), 3)], "More": max(0, len(taken)-3)}).With(ev...)
	}
	return f
}

func (a *Abuse) judgeSmuggling(subject finding.Subject) finding.Finding {
	fooled, tried := provoked(a.Smuggling)
	if len(fooled) > 0 {
		var names []string
		for _, r := range fooled {
			names = append(names, formName(r))
		}
		return ruleSmuggling.Failed(subject, finding.Args{"Forms": names, "N": len(names)}).With(evidence(fooled)...)
	}
	if tried < len(a.Smuggling) {
		for _, r := range a.Smuggling {
			if r.Outcome == provoke.Unclear {
				return ruleSmuggling.Untested(subject, finding.S("{{.N}} of {{.All}} forms could not be tried: {{.Why}}", finding.Args{"N": len(a.Smuggling) - tried, "All": len(a.Smuggling), "Why": check.Fault(r.Fault)}))
			}
		}
	}
	return ruleSmuggling.Passed(subject, finding.Args{"N": tried})
}

// formName names a form as it was tried.
func formName(r *provoke.Result) string {
	if r.Plan.Try == provoke.SmugglingBDAT {
		return "BDAT " + r.Plan.Form
	}
	return r.Plan.Form
}

// provoked gives the tries that fooled the server, and how many came to an end.
func provoked(all []*provoke.Result) (fooled []*provoke.Result, tried int) {
	for _, r := range all {
		if r.Outcome != provoke.Unclear {
			tried++
		}
		if r.Outcome == provoke.Fooled {
			fooled = append(fooled, r)
		}
	}
	return fooled, tried
}

func evidence(rs []*provoke.Result) (out []finding.Evidence) {
	for _, r := range rs {
		place := (&Port{Protocol: r.Plan.Protocol, Port: r.Plan.Port}).label()
		if r.Plan.Form != "" {
			place += " " + formName(r)
		}
		out = append(out, finding.Evidence{Source: r.Plan.Protocol, Place: place, Raw: r.Text})
	}
	return out
}

// sections draws the transcripts of what was tried.
func (a *Abuse) sections() (out []finding.Section) {
	if len(a.Relay) > 0 {
		sec := finding.Section{Title: finding.S("foreign recipients", nil), Columns: []finding.Sentence{finding.S("sender", nil), finding.S("recipient", nil), finding.S("answer", nil)}, Folded: true}
		for _, f := range a.Relay {
			v := finding.VerdictPass
			if f.Taken {
				v = finding.VerdictWarning
			}
			sec.Rows = append(sec.Rows, finding.Marked(v, finding.Raw("<"+f.From+">"), finding.Raw("<"+f.To+">"), finding.Raw(f.Reply)))
		}
		out = append(out, sec)
	}
	for _, r := range slices.Concat(a.Injection, []*provoke.Result{a.Extensions}, a.Smuggling, []*provoke.Result{a.Chunking}) {
		if r != nil {
			name := string(r.Plan.Try)
			if r.Plan.Form != "" {
				name += " " + r.Plan.Form
			}
			out = append(out, finding.Section{Title: finding.S("{{.Try}} tried at {{.Port}}: {{.Outcome}}", finding.Args{"Try": name, "Port": (&Port{Protocol: r.Plan.Protocol, Port: r.Plan.Port}).label(), "Outcome": outcomeSays(r.Outcome)}),
				Raw: r.Transcript.String(), Folded: true})
		}
	}
	return out
}

func outcomeSays(o provoke.Outcome) finding.Sentence {
	switch o {
	case provoke.Sound:
		return finding.S("the server is sound", nil)
	case provoke.Fooled:
		return finding.S("the server is fooled", nil)
	}
	return finding.S("it did not come that far", nil)
}

// silence is how long a false end of a message is left without an answer before it counts as not taken.
const silence = 5 * time.Second

var (
	ruleRelayForm = &finding.Rule{
		ID: "server.open-relay", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "mail for strangers taken from strangers", Says: "the server takes foreign recipients from a stranger: {{list .Forms}}{{if .More}} and {{.More}} more forms{{end}}",
		OK:     "{{.N}} ways to write a foreign recipient are refused",
		Why:    "Spammers find open relays within hours; the server's address is then on every blocklist. Old ways to write an address (percent, bang path, source route, quotes) get past checks that look at the last domain alone.",
		Repair: "Relay only for your own networks and for senders that have logged in, and do not rewrite such addresses (Postfix: smtpd_relay_restrictions with reject_unauth_destination, allow_percent_hack = no, swap_bangpath = no; Exim: deny local parts with @, % or !).",
		Refs:   []finding.Ref{finding.RFC(5321, "3.6.1"), finding.RFC(5321, "7.9")},
	}
	ruleInjection = &finding.Rule{
		ID: "server.starttls-injection", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "commands from before TLS carried out inside it", Says: "{{list .Ports}} {{plural .N \"carries\" \"carry\"}} out a command inside TLS that came before it, behind STARTTLS",
		OK:     "what stands behind STARTTLS in the clear is forgotten",
		Why:    "Anybody on the path can put commands before the client's own and, for instance, have its login or its message sent to himself.",
		Repair: "Update the server software; it has to throw away what is in its buffer when TLS begins.",
		Refs:   []finding.Ref{finding.RFC(3207, "6"), finding.RFC(2595, "3.1")},
	}
	ruleSmuggling = &finding.Rule{
		ID: "server.smtp-smuggling", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "false ends of a message taken for true (SMTP smuggling)", Says: "the server takes {{list .Forms}} for the end of a message",
		OK:     "{{.N}} false ends of a message are not taken",
		Why:    "A sender hides a second message with any envelope behind such an end: it comes from a server that is believed, with SPF and DMARC in order, in the name of anybody there.",
		Repair: "Update the server and have it refuse bare line ends: Postfix 3.9 and patched older ones smtpd_forbid_bare_newline = normalize (or yes), Exim 4.97.1, Sendmail 8.18 with srv_features.",
		Refs:   []finding.Ref{finding.RFC(5321, "2.3.8"), finding.RFC(5321, "4.1.1.4")},
	}
	ruleChunking = &finding.Rule{
		ID: "server.chunking-broken", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "CHUNKING offered and not done", Says: "the server offers CHUNKING and does not take BDAT: {{.Text}}",
		OK:     "CHUNKING works as offered",
		Why:    "Exchange and other senders use BDAT as soon as it is offered, and their mail bounces; often a firewall in front knows the word and not the command.",
		Repair: "Have the server, or the firewall or filter in front of it, do BDAT or not offer CHUNKING (Postfix: smtpd_discard_ehlo_keywords = chunking).",
		Refs:   []finding.Ref{finding.RFC(3030, "2")},
	}
)
