package delivery

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/blocklist"
	"github.com/mailwhy/mailwhy/internal/check/ptr"
	checksmtp "github.com/mailwhy/mailwhy/internal/check/smtp"
	checktls "github.com/mailwhy/mailwhy/internal/check/tls"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail/addr"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
)

// Judge says what the facts mean. Only the tables of knowledge are read.
func Judge(env *check.Env, f *Facts) []finding.Finding {
	j := &judge{f: f, know: env.Know, to: finding.Subject{Kind: finding.KindAddress, Name: f.To}, prove: f.again()}
	j.addresses()
	if f.badTo == nil && f.badFrom == nil && f.DNS != nil {
		j.route()
		for i := range f.Attempts {
			j.attempt(&f.Attempts[i])
		}
		j.together()
		j.self()
	} else if f.badTo == nil && f.badFrom == nil {
		j.add(ruleRefused.Untested(j.to, finding.S("the network may not be asked (--offline)", nil)))
	}
	return j.fs
}

type judge struct {
	f     *Facts
	know  *knowledge.Base
	to    finding.Subject
	prove finding.Command
	fs    []finding.Finding
}

func (j *judge) add(f finding.Finding) {
	if f.Outcome == finding.Fail && f.Verify == nil {
		f.Verify = j.prove
	}
	j.fs = append(j.fs, f)
}

// again is the command that repeats the run.
func (f *Facts) again() finding.Command {
	if f.From != "" {
		return finding.Cmd("deliver", "--from", f.From, f.To)
	}
	return finding.Cmd("deliver", f.To)
}

func (j *judge) addresses() {
	f := j.f
	for _, bad := range []*addr.Error{f.badTo, f.badFrom} {
		if bad != nil {
			s := finding.Subject{Kind: finding.KindAddress, Name: bad.In}
			j.add(ruleSyntax.Failed(s, finding.Args{"Address": finding.Raw(fmt.Sprintf("%.80q", bad.In)), "What": syntax(bad)}))
		}
	}
	if f.badTo == nil && f.badFrom == nil {
		j.add(ruleSyntax.Passed(j.to, nil))
	}
	if f.Means != "" {
		j.add(ruleTypo.Failed(j.to, finding.Args{"Address": f.To, "Means": f.Means}).Prove(finding.Cmd("deliver", f.Means)))
	}
}

// syntax says what is wrong with an address.
func syntax(e *addr.Error) finding.Sentence {
	args := finding.Args{"Text": finding.Raw(fmt.Sprintf("%.60q", e.Text)), "At": e.At + 1}
	switch e.Code {
	case addr.Empty:
		return finding.S("it is empty", nil)
	case addr.NoAt:
		return finding.S("it has no @", nil)
	case addr.EmptyLocal:
		return finding.S("nothing stands before the @", nil)
	case addr.EmptyDomain:
		return finding.S("nothing stands after the @", nil)
	case addr.LongLocal:
		return finding.S("the part before the @ is longer than 64 bytes", nil)
	case addr.LongDomain:
		return finding.S("the domain is too long: a label has at most 63 bytes, the whole at most 253", nil)
	case addr.LongAddress:
		return finding.S("it is longer than 254 bytes", nil)
	case addr.Dots:
		return finding.S("a dot stands at the edge of the part before the @, or two in a row (character {{.At}})", args)
	case addr.BadQuote:
		return finding.S("the quotation marks do not fit (character {{.At}})", args)
	case addr.BadLiteral:
		return finding.S("the address literal is broken: {{.Text}}", args)
	case addr.SingleLabel:
		return finding.S("the domain {{.Text}} has no dot", args)
	case addr.BadDomain:
		return finding.S("{{.Text}} is no domain name", args)
	}
	return finding.S("{{.Text}} may not stand there (character {{.At}})", args)
}

// route judges what the DNS says.
func (j *judge) route() {
	f, r := j.f, j.f.DNS
	args := finding.Args{"Domain": f.Domain}
	if f.Domain == "" {
		args["Domain"] = f.Via
	}
	switch {
	case r.err != nil && len(f.Attempts) == 0:
		j.add(ruleNoServer.Untested(j.to, check.Why(r.err)))
		return
	case r.NXDomain:
		j.add(ruleNoDomain.Failed(j.to, args))
		return
	case r.Servers.Null:
		j.add(ruleNull.Failed(j.to, args))
		return
	case len(f.Attempts) == 0:
		j.add(ruleNoServer.Failed(j.to, args).Prove(finding.Cmd("check", args["Domain"].(string))))
		return
	}
	j.add(ruleNoServer.Passed(j.to, args))
	if n, same := r.agree(); n > 1 && !same {
		x := ruleViews.Failed(j.to, args).Prove(finding.Cmd("check", f.Domain))
		for _, v := range r.Views {
			x = x.With(finding.Evidence{Source: "dns", Place: v.Server, At: f.StartedAt, Raw: fmt.Sprintf("%q %s", v.MX, v.Fault)})
		}
		j.add(x)
	} else if n > 1 {
		j.add(ruleViews.Passed(j.to, args))
	}
}

func place(a *Attempt) string {
	port := a.Session.Plan.Port
	if port == 0 {
		port = 25
	}
	return a.Host + " " + netip.AddrPortFrom(a.Addr, port).String()
}

// attempt judges one server.
func (j *judge) attempt(a *Attempt) {
	s := a.said()
	if raw := checksmtp.Rewritten(a.Session); raw != "" {
		j.rewritten(a, raw)
	}
	j.secure(a)
	st := s.Failed()
	switch {
	case a.Result == Accepted:
		j.add(ruleRefused.Passed(j.to, finding.Args{"Host": a.Host, "To": j.f.To}))
	case st == nil || a.Result == Insecure:
	case st.Reply != nil && st.Fault == nil:
		j.reply(a, st)
	case st.Name == smtp.MailFrom && st.Fault.Kind == wire.Protocol:
		j.add(ruleUTF8.Failed(j.to, finding.Args{"Host": a.Host, "Address": j.f.To}))
	case check.Ours(st.Fault):
		j.add(ruleSome.Untested(j.to, finding.S("{{.Host}} {{.Addr}}: {{.What}}", finding.Args{"Host": a.Host, "Addr": a.Addr, "What": check.Fault(st.Fault)})))
	case j.f.Result != Nowhere:
		j.add(ruleSome.Failed(j.to, finding.Args{"Host": a.Host, "Addr": a.Addr, "Stage": stageName(st.Name), "What": check.Fault(st.Fault)}).
			With(finding.Evidence{Source: "smtp", Place: place(a), At: s.Started, Raw: st.Fault.Error()}))
	}
}

func (j *judge) rewritten(a *Attempt, raw string) {
	for _, x := range checksmtp.JudgeSession(a.Session, j.know, &knowledge.Thresholds{}) {
		if x.Rule.ID == "smtp.rewritten" && x.Outcome == finding.Fail {
			x.Subject = j.to
			j.add(x)
		}
	}
}

// reply judges a refusal by the server's words.
func (j *judge) reply(a *Attempt, st *smtp.Stage) {
	read := j.know.ReadReply(st.Reply.String(), knowledge.ReplyContext{Host: a.Host, Command: checksmtp.Command(st.Name)})
	ev := finding.Evidence{Source: "smtp", Place: place(a), At: a.said().Started, Raw: st.Reply.String()}
	if passing(st, &read) {
		x := checksmtp.Refusal(ruleRefused, j.to, st, a.said().Started, j.know)
		j.add(x.With(ev))
		return
	}
	owner := read.Owner
	if read.Job == "sender-admin" {
		owner = finding.OwnerSelf
	}
	rule, subject := j.about(&read)
	x := rule.Failed(subject, finding.Args{
		"Host": a.Host, "What": refusedWhat(st), "Cause": read.CauseName.Say(), "Reply": finding.Raw(st.Reply.String()), "To": j.f.To,
		"Meaning": read.Meaning.Say(), "Advice": advice(&read),
	}).With(ev).Prove(j.next(&read))
	x.Owner = &owner
	j.add(x)
}

// about gives the rule and the subject of a refusal: our own address where the refusal is about it, so that its root
// cause stands above it.
func (j *judge) about(read *knowledge.Reading) (*finding.Rule, finding.Subject) {
	if s := j.f.Self; s != nil && s.IP.IsValid() {
		switch read.Cause {
		case "ptr-missing", "helo-rejected":
			return ruleRefusedName, finding.IP(s.IP)
		case "dnsbl-listed", "ip-blocked", "bad-reputation":
			return ruleRefusedListed, finding.IP(s.IP)
		case "spf-failed":
			return ruleRefusedSPF, finding.IP(s.IP)
		}
	}
	return ruleRefused, j.to
}

func (j *judge) next(read *knowledge.Reading) finding.Command {
	if s := j.f.Self; s != nil && s.IP.IsValid() {
		switch read.Cause {
		case "ptr-missing", "helo-rejected":
			return finding.Cmd("ip", s.IP.String())
		case "dnsbl-listed", "ip-blocked", "bad-reputation":
			return finding.Cmd("blocklist", s.IP.String())
		}
	}
	if f := j.f.from; f != nil && (read.Cause == "spf-failed" || read.Cause == "dmarc-failed" || read.Cause == "sender-domain-bad") {
		return finding.Cmd("check", f.ASCII)
	}
	return j.prove
}

func advice(read *knowledge.Reading) finding.Sentence {
	if read.Job == "sender" && read.User.EN != "" {
		return read.User.Say()
	}
	return read.Admin.Say()
}

// passing tells a refusal that will pass by itself: the server is busy, greylists, counts our connections. A 4xx for a
// lasting cause (no PTR, full mailbox) is a refusal that only sounds polite.
func passing(st *smtp.Stage, read *knowledge.Reading) bool {
	if st.Reply.Code == 421 {
		return true
	}
	if !read.Temporary {
		return false
	}
	switch read.Cause {
	case "ptr-missing", "helo-rejected", "sender-domain-bad", "dnsbl-listed", "ip-blocked", "bad-reputation", "spf-failed", "dmarc-failed",
		"dkim-failed", "auth-missing", "mailbox-full", "user-unknown", "mailbox-disabled", "relay-denied", "tls-required", "sender-rejected", "auth-required":
		return false
	}
	return true
}

// refusedWhat says what was refused at a stage.
func refusedWhat(st *smtp.Stage) finding.Sentence {
	switch st.Name {
	case smtp.Greeting, smtp.Ehlo, smtp.Helo, smtp.Ehlo2:
		return finding.S("to talk to us", nil)
	case smtp.MailFrom:
		if st.Arg == "" {
			return finding.S("the null sender", nil)
		}
		return finding.S("the sender {{.Who}}", finding.Args{"Who": st.Arg})
	case smtp.RcptTo:
		return finding.S("the recipient {{.Who}}", finding.Args{"Who": st.Arg})
	}
	return finding.S("the message", nil)
}

// stageName is a stage as people call it.
func stageName(n smtp.StageName) finding.Sentence {
	switch n {
	case smtp.Connect:
		return finding.S("connect", nil)
	case smtp.Greeting:
		return finding.S("greeting", nil)
	case smtp.TLS:
		return finding.Raw("TLS")
	case smtp.Ehlo, smtp.Ehlo2:
		return finding.Raw("EHLO")
	case smtp.Helo:
		return finding.Raw("HELO")
	case smtp.StartTLS:
		return finding.Raw("STARTTLS")
	case smtp.MailFrom:
		return finding.Raw("MAIL FROM")
	case smtp.RcptTo:
		return finding.Raw("RCPT TO")
	case smtp.Data:
		return finding.Raw("DATA")
	case smtp.Message:
		return finding.S("message", nil)
	}
	return finding.Raw(string(n))
}

// secure judges TLS, MTA-STS and DANE of one server.
func (j *judge) secure(a *Attempt) {
	h := a.Session.TLS
	if h != nil && h.Fault != nil {
		j.add(ruleTLS.Failed(j.to, finding.Args{"Host": a.Host, "What": check.Fault(h.Fault)}).
			With(finding.Evidence{Source: "tls", Place: place(a), At: h.At, Raw: h.Fault.Text}).Prove(finding.Cmd("tls", net.JoinHostPort(a.Host, "25"))))
	}
	if h != nil && h.Fault == nil && j.f.Via == "" {
		j.certificate(a)
	}
	if a.STS != "" {
		args := finding.Args{"Host": a.Host, "Domain": j.f.Domain, "What": stsFault(a, j.f.STS)}
		if a.STS == "met" {
			j.add(ruleSTS.Passed(j.to, args))
		} else {
			x := ruleSTS.Failed(j.to, args).Prove(finding.Cmd("check", j.f.Domain)).With(finding.Evidence{Source: "http", Place: "mta-sts." + j.f.Domain, Raw: string(j.f.STS.Policy.Mode)})
			if !j.f.STS.enforced() {
				mild := finding.Note
				x.Severity = &mild
			}
			j.add(x)
		}
	}
	if d := a.DANE; d != nil && a.Session.Caps != nil {
		args := finding.Args{"Host": a.Host, "What": finding.S("shows another one", nil)}
		switch {
		case d.Verdict == nil:
			args["What"] = finding.S("offers no working TLS to us", nil)
			j.add(ruleDANE.Failed(j.to, args))
		case d.broken():
			j.add(ruleDANE.Failed(j.to, args))
		default:
			j.add(ruleDANE.Passed(j.to, args))
		}
	}
}

// certificate takes what the tls pack says about the chain; without a policy none of it keeps mail from being
// delivered, so it weighs a note here.
func (j *judge) certificate(a *Attempt) {
	th, err := j.know.Thresholds()
	if err != nil {
		return
	}
	keep := []string{"tls.self-signed", "tls.unknown-authority", "tls.missing-intermediate", "tls.expired", "tls.not-yet-valid", "tls.bad-certificate", "tls.wrong-name"}
	facts := checktls.Facts{Subject: finding.Host(a.Host), Place: place(a), Handshake: a.Session.TLS, Verify: finding.Cmd("tls", net.JoinHostPort(a.Host, "25"))}
	for _, x := range checktls.Judge(facts, th) {
		if x.Outcome == finding.Fail && slices.Contains(keep, x.Rule.ID) {
			mild := finding.Note
			x.Severity = &mild
			j.add(x)
		}
	}
}

func stsFault(a *Attempt, s *STS) finding.Sentence {
	switch a.STS {
	case "host":
		return finding.S("the policy does not list it", nil)
	case "certificate":
		return finding.S("its certificate is not valid: {{.Text}}", finding.Args{"Text": trustText(a.Session.TLS)})
	case "no-tls":
		return finding.S("it offers us no working STARTTLS", nil)
	}
	return finding.Sentence{}
}

// trustText says in a few words why a certificate is not believed.
func trustText(h *wire.Handshake) finding.Sentence {
	switch h.Trust {
	case wire.TrustOK:
		return finding.S("it is for other names", nil)
	case wire.SelfSigned:
		return finding.S("self-signed", nil)
	case wire.Expired:
		return finding.S("expired", nil)
	case wire.NotYetValid:
		return finding.S("not valid yet", nil)
	case wire.UnknownRoot:
		return finding.S("unknown authority", nil)
	case wire.MissingLink:
		return finding.S("incomplete chain", nil)
	case wire.NoCertificate:
		return finding.S("no certificate", nil)
	}
	return finding.Raw(h.TrustText)
}

// together judges the servers as a whole.
func (j *judge) together() {
	f := j.f
	if f.Result != Nowhere || len(f.Attempts) == 0 {
		return
	}
	if f.Outbound != nil {
		if x := f.Outbound.Judge(j.to); x != nil {
			j.add(*x)
		}
	}
	first := f.firstFault()
	if first == nil {
		return
	}
	blocked := f.Outbound != nil && f.Outbound.Blocked()
	name := f.Domain
	if name == "" {
		name = f.Attempts[0].Host
	}
	x := ruleReach.Failed(j.to, finding.Args{"N": len(f.Attempts), "Name": name, "What": check.Fault(first.Fault), "Stage": ""})
	if first.Name != smtp.Connect {
		x.Args["Stage"] = stageName(first.Name)
	}
	if blocked {
		x = ruleReach.Untested(j.to, finding.S("our own outgoing port 25 is blocked", nil))
	}
	for i := range f.Attempts {
		a := &f.Attempts[i]
		st := a.said().Failed()
		if st == nil || st.Fault == nil {
			continue
		}
		x = x.With(finding.Evidence{Source: "smtp", Place: place(a), At: a.Session.Started, Raw: st.Fault.Error()})
		if k := a.alive(); k != nil && !blocked && st.Name == smtp.Connect && st.Fault.Kind == wire.Timeout {
			shut := ruleFiltered.Failed(j.to, finding.Args{"Addr": a.Addr, "Port": strconv.Itoa(int(k.Port)), "Side": f.side()})
			if f.Outbound != nil && f.Outbound.Open() {
				theirs := finding.OwnerServer
				shut.Owner = &theirs
			}
			j.add(shut)
		}
	}
	j.add(x)
}

// firstFault is what broke the first attempt that broke through no fault of ours.
func (f *Facts) firstFault() *smtp.Stage {
	for i := range f.Attempts {
		if st := f.Attempts[i].said().Failed(); st != nil && st.Fault != nil && !check.Ours(st.Fault) {
			return st
		}
	}
	return nil
}

// self judges our own side. Where the mail was accepted, it weighs less.
func (j *judge) self() {
	s := j.f.Self
	if s == nil {
		return
	}
	if !s.IP.IsValid() && len(j.f.Attempts) == 0 {
		return // no server to come to: nobody would see our address
	}
	if !s.IP.IsValid() {
		why := finding.S("no connection came up, so the address is not known; give it with --public-ip", nil)
		if s.Socket.IsValid() {
			why = finding.S("the socket has the private address {{.Addr}}, and no server named the public one; give it with --public-ip", finding.Args{"Addr": s.Socket})
		}
		j.add(ruleSelf.Untested(j.to, why))
		return
	}
	ip := finding.IP(s.IP)
	j.add(ruleSelf.Passed(ip, finding.Args{"Addr": s.IP}))
	from := len(j.fs)
	if s.PTR != nil {
		j.fs = append(j.fs, ptr.Judge(s.PTR, s.HELO)...)
	}
	if s.Lists != nil {
		j.fs = append(j.fs, blocklist.Brief(s.Lists)...)
	}
	j.helo(ip)
	j.policy(ip)
	ours := finding.OwnerSelf // what others have to do for our address, we have to ask them for
	for i := from; i < len(j.fs); i++ {
		if w := j.fs[i].Rule.Owner; w == finding.OwnerServer || w == finding.OwnerNetwork {
			j.fs[i].Owner = &ours
		}
		if x := &j.fs[i]; j.f.Result == Accepted && x.Level() == finding.Error {
			mild := finding.Warning
			x.Severity = &mild
		}
	}
}

// side tells whose firewall keeps port 25 shut, as far as other hosts tell.
func (f *Facts) side() finding.Sentence {
	if f.Outbound != nil && f.Outbound.Open() {
		return finding.S("a firewall on their side, for port 25 of other hosts answers us", nil)
	}
	return finding.S("a firewall, theirs or our provider's", nil)
}

func (j *judge) helo(ip finding.Subject) {
	s := j.f.Self
	args := finding.Args{"HELO": s.HELO}
	switch {
	case s.HELO == "["+ip.Name+"]" || s.HELO == "[IPv6:"+ip.Name+"]" || slices.Contains(s.HELOIPs, ip.Name):
		j.add(ruleHELO.Passed(ip, args))
		return
	case s.HELO != "" && s.HELO[0] == '[':
		args["What"] = finding.S("which is not the address {{.Addr}} we come from", finding.Args{"Addr": s.IP})
	case len(s.HELOIPs) == 0:
		args["What"] = finding.S("which has no address in the DNS", nil)
	default:
		args["What"] = finding.S("which leads to {{list .Addrs}} and not to {{.Addr}}", finding.Args{"Addrs": s.HELOIPs, "Addr": s.IP})
	}
	j.add(ruleHELO.Failed(ip, args).Prove(finding.Cmd("ip", ip.Name)))
}

// policy judges SPF and what DMARC will make of it.
func (j *judge) policy(ip finding.Subject) {
	s := j.f.Self
	if s.SPF == nil || j.f.from == nil {
		return
	}
	args := finding.Args{"Domain": s.SPF.Domain, "Code": string(s.SPF.Code), "Addr": s.IP}
	switch s.SPF.Code {
	case "pass":
		j.add(ruleSPF.Passed(ip, args))
	case "temperror":
		j.add(ruleSPF.Untested(ip, finding.S("the DNS did not answer all of SPF's questions", nil)))
	case "none", "neutral":
		mild := finding.Note
		x := ruleSPF.Failed(ip, args).Prove(finding.Cmd("spf", s.SPF.Domain, "--ip", ip.Name))
		x.Severity = &mild
		j.add(x)
	default:
		j.add(ruleSPF.Failed(ip, args).Prove(finding.Cmd("spf", s.SPF.Domain, "--ip", ip.Name)))
	}
	switch {
	case s.dmarcErr != nil:
		j.add(ruleDMARC.Untested(ip, check.Why(s.dmarcErr)))
	case (s.DMARC == "reject" || s.DMARC == "quarantine") && s.SPF.Code != "pass" && s.SPF.Code != "temperror":
		j.add(ruleDMARC.Failed(ip, finding.Args{"Domain": j.f.from.ASCII, "Policy": s.DMARC, "Code": string(s.SPF.Code)}).Prove(finding.Cmd("dmarc", j.f.from.ASCII)))
	}
}
