package server

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/tls"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail/header"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// loginJudge judges logins; it holds the tables it judges by.
type loginJudge struct {
	subject finding.Subject
	o       LoginOptions
	logins  *knowledge.Logins
	banners *knowledge.Banners
	th      *knowledge.Thresholds
}

func newJudge(env *check.Env, subject finding.Subject, o LoginOptions) (*loginJudge, error) {
	j := &loginJudge{subject: subject, o: o}
	var err error
	if j.logins, err = env.Know.Logins(); err != nil {
		return nil, err
	}
	if j.banners, err = env.Know.Banners(); err != nil {
		return nil, err
	}
	j.th, err = env.Know.Thresholds()
	return j, err
}

// unreached judges a service that could not be connected to.
func (j *loginJudge) unreached(w Way, why finding.Sentence, ours bool) finding.Finding {
	if ours {
		return ruleNotOffered.Untested(j.subject, why)
	}
	return ruleNotOffered.Failed(j.subject, finding.Args{"Service": w.service(w.Port), "What": why}).Prove(finding.Cmd("server", w.Host))
}

// port judges one protocol's login.
func (j *loginJudge) port(w Way, p *Port) []finding.Finding {
	if !p.open() {
		f := j.unreached(w, check.Fault(p.fault()), check.Ours(p.fault()))
		return []finding.Finding{f.With(finding.Evidence{Source: "tcp", Place: p.place(), Raw: p.fault().Error()})}
	}
	args := finding.Args{"Service": w.service(p.Port), "User": j.o.User, "Method": p.method(), "Note": "", "Offered": p.methods()}
	if p.loggedIn() {
		return append([]finding.Finding{ruleLoggedIn.Passed(j.subject, args)}, j.quota(p)...)
	}
	reply, why, fault := p.decision()
	ev := finding.Evidence{Source: p.Protocol, Place: p.place(), At: p.started(), Raw: reply}
	prove := finding.Cmd("login", j.o.Address, "--server", w.Host)
	if h := p.tls(); h != nil && h.Fault != nil || why == "not-trusted" {
		return j.certificate(w, p, args, why)
	}
	rule := ruleLoggedIn
	args["Text"] = finding.Raw(reply)
	switch {
	case p.refusal() != "":
		ev.Raw = p.refusal()
		args["Text"] = finding.Raw(p.refusal())
		rule = j.known(p.refusal(), args, ruleLoggedIn)
	case why == "not-encrypted":
		ev.Raw = p.capsLine()
		rule = ruleNotSent
		if !p.startTLS() && len(p.methods()) == 0 && p.Protocol != "imap" {
			rule = ruleWrongMethod
		}
	case why == "no-method":
		ev.Raw = p.capsLine()
		rule = ruleWrongMethod
		args["Method"] = finding.S("of this kind", nil)
	case reply != "":
		rule = j.known(reply, args, ruleLoggedIn)
	case fault != nil:
		ev.Raw = fault.Error()
		args["Step"], args["What"] = fault.Op, check.Fault(fault)
		if check.Ours(fault) {
			return []finding.Finding{ruleBroken.Untested(j.subject, check.Fault(fault)).With(ev)}
		}
		rule = ruleBroken
	}
	return []finding.Finding{rule.Failed(j.subject, args).With(ev).Prove(prove)}
}

// known finds the rule for what the server said; otherwise is for words that are not in the table.
func (j *loginJudge) known(reply string, args finding.Args, otherwise *finding.Rule) *finding.Rule {
	row := j.logins.Read(reply)
	if row == nil {
		return otherwise
	}
	if row.Note != nil {
		args["Note"] = row.Note.Say()
	}
	return map[string]*finding.Rule{
		"wrong-password": ruleWrongPassword, "app-password": ruleAppPassword, "locked": ruleLocked, "disabled": ruleDisabled, "too-many": ruleTooMany,
		"ip-blocked": ruleBlocked, "tls-required": ruleTLSRequired, "wrong-method": ruleWrongMethod, "password-expired": rulePasswordExpired,
		"client-refused": ruleClient, "server-fault": ruleServerFault,
	}[row.Cause]
}

// certificate judges a login that TLS stopped: what is wrong with the certificate is said by the rules of TLS beside.
func (j *loginJudge) certificate(w Way, p *Port, args finding.Args, why string) []finding.Finding {
	h := p.tls()
	f := tls.Facts{Subject: j.subject, Place: tls.Place(w.Host, p.Addr, p.Port), Handshake: h, Verify: finding.Cmd("tls", p.where(w.Host))}
	fs := slices.DeleteFunc(tls.Judge(f, j.th), func(x finding.Finding) bool { return x.Outcome != finding.Fail || x.Level() == finding.Note })
	if why == "not-trusted" {
		args["What"] = trustWords(h)
		fs = append([]finding.Finding{ruleNotTrusted.Failed(j.subject, args).Prove(f.Verify)}, fs...)
	}
	return fs
}

// trustWords says in a few words why a certificate is not believed.
func trustWords(h *wire.Handshake) finding.Sentence {
	switch h.Trust {
	case wire.Expired:
		return finding.S("expired", nil)
	case wire.NotYetValid:
		return finding.S("not valid yet", nil)
	case wire.SelfSigned:
		return finding.S("self-signed", nil)
	case wire.UnknownRoot, wire.MissingLink:
		return finding.S("no known authority behind it", nil)
	case wire.NoRoots:
		return finding.S("this machine has no list of root certificates", nil)
	case wire.TrustOK:
		return finding.S("made for another name", nil)
	}
	return finding.S("it cannot be verified", nil)
}

func (p *Port) method() string {
	m := p.mechanism()
	if m == "PASSWORD" {
		return map[string]string{"imap": "LOGIN", "pop3": "USER/PASS"}[p.Protocol]
	}
	return m
}

// quota judges how full the account is.
func (j *loginJudge) quota(p *Port) (fs []finding.Finding) {
	if p.Visit == nil {
		return nil
	}
	for _, q := range p.Visit.Quota {
		if q.Limit <= 0 {
			continue
		}
		args := finding.Args{"Used": amount(q.Resource, q.Used), "Limit": amount(q.Resource, q.Limit), "Biggest": biggest(p.Visit, 3)}
		ev := finding.Evidence{Source: "imap", Place: p.place(), Raw: fmt.Sprintf("QUOTA %s %s %d %d", q.Root, q.Resource, q.Used, q.Limit)}
		switch {
		case q.Used >= q.Limit:
			fs = append(fs, ruleQuotaFull.Failed(j.subject, args).With(ev))
		case float64(q.Used) >= 0.9*float64(q.Limit):
			fs = append(fs, ruleQuotaNear.Failed(j.subject, args).With(ev))
		default:
			fs = append(fs, ruleQuotaFull.Passed(j.subject, args))
		}
	}
	return fs
}

// biggest names the folders that take most of the room, with their sizes.
func biggest(v *wire.Visit, most int) (out []string) {
	for _, f := range bySize(v) {
		if len(out) < most {
			out = append(out, f.Name+" ("+finding.Size(f.Bytes)+")")
		}
	}
	return out
}

// bySize lists the folders whose size is known, biggest first.
func bySize(v *wire.Visit) (out []wire.Folder) {
	for _, f := range v.Folders {
		if f.Bytes > 0 {
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b wire.Folder) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return out
}

func amount(resource string, n int64) finding.Sentence {
	if resource == "STORAGE" {
		return finding.Raw(finding.Size(n))
	}
	return finding.S("{{.N}} {{plural .N \"message\" \"messages\"}}", finding.Args{"N": n})
}

// whole looks at all protocols together: where none could be reached, that is the fault.
func (j *loginJudge) whole(fs []finding.Finding, s *LoginSurvey) []finding.Finding {
	for i := range fs {
		if fs[i].Rule != ruleNotOffered {
			return fs
		}
	}
	if len(fs) == 0 {
		return fs
	}
	sev := finding.Error
	for i := range fs {
		fs[i].Severity = &sev
	}
	return fs
}

// sections draws what was tried, the folders, the quota, the newest messages, and the transcripts.
func (s *LoginSurvey) sections() []finding.Section {
	table := finding.Section{
		Title:   finding.S("logins", nil),
		Columns: []finding.Sentence{finding.S("port", nil), finding.S("server", nil), finding.S("encryption", nil), finding.S("login method", nil), finding.S("took", nil), finding.S("result", nil)},
	}
	var more, spoken []finding.Section
	for i := range s.Ports {
		p := &s.Ports[i]
		mark, result := finding.VerdictError, p.state()
		switch reply, _, _ := p.decision(); {
		case p.loggedIn():
			mark, result = finding.VerdictPass, finding.S("logged in", nil)
		case !p.open():
			mark = finding.VerdictNotApplicable
		case reply != "":
			result = finding.Raw(reply)
		}
		table.Rows = append(table.Rows, finding.Marked(mark, finding.Raw(p.label()), finding.Raw(s.hostOf(p.Protocol)), p.encrypted(), finding.Raw(p.method()), brief(p.took()), result))
		more = append(more, p.inside()...)
		if p.open() {
			spoken = append(spoken, p.steps(), p.spoken())
		}
	}
	if s.Stopped != "" {
		table.Rows = append(table.Rows, finding.Cells(finding.S("the others were not tried: each further wrong try may lock the account", nil)))
	}
	return append(append([]finding.Section{table}, more...), spoken...)
}

func (s *LoginSurvey) hostOf(protocol string) string {
	for _, w := range s.Servers {
		if w.Protocol == protocol {
			return w.Host
		}
	}
	return ""
}

// steps is the folded list of a conversation's steps with the time of each.
func (p *Port) steps() finding.Section {
	sec := finding.Section{Title: finding.S("steps of {{.Port}}", finding.Args{"Port": p.label()}), Folded: true}
	add := func(name, says string, took finding.Sentence, ok bool) {
		mark := finding.VerdictPass
		if !ok {
			mark = finding.VerdictError
		}
		sec.Rows = append(sec.Rows, finding.Marked(mark, finding.Raw(name), finding.Raw(says), took))
	}
	if p.Session != nil {
		for i := range p.Session.Stages {
			st := &p.Session.Stages[i]
			says := st.Reply.String()
			if st.Fault != nil {
				says = st.Fault.Text
			}
			add(string(st.Name), says, brief(st.Took), st.OK())
		}
		return sec
	}
	for i := range p.Visit.Steps {
		st := &p.Visit.Steps[i]
		says := strings.TrimSpace(st.Status + " " + st.Text)
		if st.Fault != nil {
			says = st.Fault.Text
		}
		add(st.Name, says, brief(st.Took), st.OK())
	}
	return sec
}

// inside draws what was seen behind a login.
func (p *Port) inside() (out []finding.Section) {
	v := p.Visit
	if v == nil || !v.LoggedIn {
		return nil
	}
	name := finding.Args{"Port": p.label()}
	if big := bySize(v); len(big) > 0 {
		sec := finding.Section{Title: finding.S("biggest folders ({{.Port}})", name), Columns: []finding.Sentence{finding.S("folder", nil), finding.S("size", nil), finding.S("messages", nil)}}
		for _, f := range big[:min(len(big), 10)] {
			sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(f.Name), finding.Raw(finding.Size(f.Bytes)), finding.Raw(strconv.FormatInt(f.Messages, 10))))
		}
		out = append(out, sec)
	}
	if len(v.Folders) > 0 {
		sec := finding.Section{Title: finding.S("folders ({{.Port}})", name), Folded: len(v.Folders) > 12}
		for _, f := range v.Folders {
			sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(f.Name), finding.Raw(f.Use)))
		}
		out = append(out, sec)
	}
	if len(v.Quota) > 0 {
		sec := finding.Section{Title: finding.S("quota ({{.Port}})", name)}
		for _, q := range v.Quota {
			sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(strings.TrimSpace(q.Root+" "+q.Resource)), finding.S("{{.Used}} of {{.Limit}}", finding.Args{"Used": amount(q.Resource, q.Used), "Limit": amount(q.Resource, q.Limit)})))
		}
		out = append(out, sec)
	}
	if v.Count > 0 {
		sec := finding.Section{Title: finding.S("newest of {{.N}} {{plural .N \"message\" \"messages\"}} in the INBOX ({{.Port}})", finding.Args{"N": v.Count, "Port": p.label()})}
		for _, m := range v.Newest {
			when := m.Arrived
			if when == "" {
				when = m.Date
			}
			sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(when), finding.Raw(header.Decode(m.From)), finding.Raw(header.Decode(m.Subject)), finding.Raw(finding.Size(m.Size))))
		}
		out = append(out, sec)
	}
	if len(v.Scripts) > 0 {
		sec := finding.Section{Title: finding.S("Sieve scripts", nil)}
		for _, x := range v.Scripts {
			state := finding.S("not active", nil)
			if x.Active {
				state = finding.S("active", nil)
			}
			sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(x.Name), state))
		}
		out = append(out, sec)
	}
	return out
}
