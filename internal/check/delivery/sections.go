package delivery

import (
	"fmt"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	checksmtp "github.com/mailwhy/mailwhy/internal/check/smtp"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
)

// Sections draws the table of stages and the transcripts.
func Sections(env *check.Env, f *Facts) []finding.Section {
	t := &table{f: f, env: env}
	t.stage(finding.S("address", nil), finding.Raw(f.To), 0, t.address())
	if f.DNS == nil {
		return []finding.Section{t.section()}
	}
	t.dns()
	for i := range f.Attempts {
		t.attempt(&f.Attempts[i])
	}
	if f.Untried > 0 {
		t.stage(finding.S("connect", nil), finding.S("{{.N}} more {{plural .N \"address\" \"addresses\"}}", finding.Args{"N": f.Untried}), 0, cell{finding.VerdictNotApplicable, finding.S("not tried", nil)})
	}
	out := []finding.Section{t.section()}
	for i := range f.Attempts {
		a := &f.Attempts[i]
		for _, s := range []*smtp.Session{a.Session, a.Plain} {
			if s == nil || len(s.Transcript) < 2 {
				continue
			}
			out = append(out, finding.Section{
				Title: finding.S("transcript with {{.Place}}", finding.Args{"Place": place(a)}), Raw: transcript(s), Folded: true,
			})
		}
	}
	return out
}

// transcript writes a session with the time of each line in front.
func transcript(s *smtp.Session) string {
	var b strings.Builder
	for _, l := range s.Transcript {
		fmt.Fprintf(&b, "%8.3f %s %s\n", l.At.Seconds(), l.Dir, l.Text)
	}
	return b.String()
}

type cell struct {
	mark finding.Verdict
	says finding.Sentence
}

type table struct {
	f    *Facts
	env  *check.Env
	rows []finding.Row
}

func (t *table) section() finding.Section {
	return finding.Section{
		Columns: []finding.Sentence{finding.S("stage", nil), finding.S("where", nil), finding.S("time", nil), finding.S("result", nil)},
		Rows:    t.rows,
	}
}

func (t *table) stage(name, where finding.Sentence, took time.Duration, c cell) {
	when := finding.Sentence{}
	if took > 0 {
		when = finding.S("{{.T}}", finding.Args{"T": took})
	}
	t.rows = append(t.rows, finding.Marked(c.mark, name, where, when, c.says))
}

func good() cell { return cell{finding.VerdictPass, finding.S("ok", nil)} }

func (t *table) address() cell {
	switch {
	case t.f.badTo != nil:
		return cell{finding.VerdictError, syntax(t.f.badTo)}
	case t.f.badFrom != nil:
		return cell{finding.VerdictError, finding.S("the sender's address: {{.What}}", finding.Args{"What": syntax(t.f.badFrom)})}
	case t.f.Means != "":
		return cell{finding.VerdictWarning, finding.S("misspelt? {{.Means}}", finding.Args{"Means": t.f.Means})}
	case t.f.to.ASCII != t.f.to.Domain:
		return cell{finding.VerdictPass, finding.S("ok, the DNS is asked for {{.Name}}", finding.Args{"Name": t.f.to.ASCII})}
	case len(t.f.Mended) > 0:
		return cell{finding.VerdictPass, finding.S("ok, after tidying up what was typed", nil)}
	}
	return good()
}

func (t *table) dns() {
	r := t.f.DNS
	n := 0
	for _, h := range r.Servers.Hosts {
		n += len(h.Addrs)
	}
	args := finding.Args{"MX": len(r.Servers.Hosts), "N": n}
	where := finding.S("{{.MX}} MX, {{.N}} {{plural .N \"address\" \"addresses\"}}", args)
	switch {
	case t.f.Via != "":
		where = finding.S("smarthost {{.Host}}, {{.N}} {{plural .N \"address\" \"addresses\"}}", finding.Args{"Host": t.f.Via, "N": n})
	case r.Implicit:
		where = finding.S("no MX, {{.N}} {{plural .N \"address\" \"addresses\"}} of the domain itself", args)
	}
	c := good()
	answered, same := r.agree()
	switch {
	case r.err != nil && n == 0:
		c = cell{finding.VerdictUntested, check.Why(r.err)}
	case r.NXDomain:
		c = cell{finding.VerdictError, finding.S("the domain does not exist", nil)}
	case r.Servers.Null:
		c = cell{finding.VerdictError, finding.S("the domain takes no mail (null MX)", nil)}
	case n == 0:
		c = cell{finding.VerdictError, finding.S("no address to deliver to", nil)}
	case !same:
		c = cell{finding.VerdictWarning, finding.S("the resolvers disagree", nil)}
	case answered > 0 && answered < len(r.Views):
		c = cell{finding.VerdictPass, finding.S("ok, {{.N}} of {{.All}} resolvers answered", finding.Args{"N": answered, "All": len(r.Views)})}
	case answered > 1:
		c = cell{finding.VerdictPass, finding.S("ok, all {{.N}} resolvers agree", finding.Args{"N": answered})}
	}
	t.stage(finding.Raw("DNS"), where, r.slowest(), c)
}

// attempt draws the stages of one server.
func (t *table) attempt(a *Attempt) {
	for _, s := range []*smtp.Session{a.Session, a.Plain} {
		if s == nil {
			continue
		}
		for i := range s.Stages {
			st := &s.Stages[i]
			switch st.Name {
			case smtp.Quit, smtp.Rset, smtp.Vrfy:
				continue
			case smtp.StartTLS:
				if st.OK() {
					continue // the handshake says it
				}
			case smtp.Ehlo2:
				if st.OK() && s.Plan.Security != smtp.Implicit {
					continue
				}
			}
			t.stage(stageName(st.Name), t.where(a, s, st), st.Took, t.result(a, s, st))
			if st.Name == smtp.TLS && st.OK() {
				t.policies(a)
			}
		}
		if s == a.Session && s.TLS == nil {
			t.policies(a)
		}
	}
}

func (t *table) where(a *Attempt, s *smtp.Session, st *smtp.Stage) finding.Sentence {
	switch st.Name {
	case smtp.Connect:
		return finding.Raw(place(a))
	case smtp.Ehlo, smtp.Helo, smtp.Ehlo2, smtp.RcptTo:
		return finding.Raw(st.Arg)
	case smtp.MailFrom:
		return finding.Raw("<" + st.Arg + ">")
	case smtp.TLS:
		if s.TLS != nil {
			return finding.Raw(strings.TrimSpace(s.TLS.Version + " " + s.TLS.Group))
		}
	}
	return finding.Sentence{}
}

func (t *table) result(a *Attempt, s *smtp.Session, st *smtp.Stage) cell {
	switch {
	case st.Fault != nil && check.Ours(st.Fault):
		return cell{finding.VerdictUntested, check.Fault(st.Fault)}
	case st.Fault != nil:
		mark := finding.VerdictError
		if t.f.Result == Accepted {
			mark = finding.VerdictWarning
		}
		return cell{mark, check.Fault(st.Fault)}
	case st.Name == smtp.TLS:
		return tlsCell(s.TLS)
	case st.Reply == nil:
		return good()
	case !st.OK():
		return t.refusal(a, s, st)
	case st.Name == smtp.Greeting:
		return cell{finding.VerdictPass, finding.Raw(st.Reply.String())}
	case st.Name == smtp.Ehlo:
		return cell{finding.VerdictPass, finding.Raw(strings.Join(brief(s.Caps), " "))}
	case st.Name == smtp.Message:
		return cell{finding.VerdictPass, finding.Raw(st.Reply.String())}
	}
	return good()
}

// brief lists the extensions that matter to delivery.
func brief(c smtp.Caps) []string {
	var out []string
	for _, k := range c.List() {
		key, _, _ := strings.Cut(k, "=")
		switch key {
		case "STARTTLS", "SIZE", "SMTPUTF8", "8BITMIME", "REQUIRETLS", "AUTH", "CHUNKING":
			out = append(out, k)
		}
	}
	if len(out) == 0 {
		out = c.List()
	}
	return out
}

func (t *table) refusal(a *Attempt, s *smtp.Session, st *smtp.Stage) cell {
	says := finding.Raw(st.Reply.String())
	read := reading(t.env, a, st)
	switch {
	case passing(st, &read):
		if again := checksmtp.Again(s.Started, st.Reply, &read); !again.IsZero() {
			says = finding.S("{{.Reply}}: not tested, again after {{.Again}}", finding.Args{"Reply": says, "Again": again.Local().Format("15:04:05")})
		}
		return cell{finding.VerdictUntested, says}
	case st.Name == smtp.Ehlo && s.Stage(smtp.Helo) != nil, st.Name == smtp.StartTLS:
		return cell{finding.VerdictWarning, says}
	}
	return cell{finding.VerdictError, says}
}

func tlsCell(h *wire.Handshake) cell {
	left := time.Duration(0)
	if c := h.Leaf(); c != nil {
		left = c.NotAfter.Sub(h.At)
	}
	args := finding.Args{"Name": h.Name, "Left": left, "Trust": trustText(h)}
	switch {
	case h.Trusted():
		return cell{finding.VerdictPass, finding.S("trusted for {{.Name}}, {{.Left}} left", args)}
	case h.Trust == wire.TrustOK && h.Name != "":
		return cell{finding.VerdictNote, finding.S("encrypted; the certificate does not name {{.Name}}", args)}
	case h.Trust == wire.TrustOK:
		return good()
	}
	return cell{finding.VerdictNote, finding.S("encrypted; the certificate is not trusted ({{.Trust}})", args)}
}

// policies draws what MTA-STS and DANE say of a server.
func (t *table) policies(a *Attempt) {
	if a.STS != "" {
		mode := finding.Raw(string(t.f.STS.Policy.Mode))
		c := cell{finding.VerdictPass, finding.S("met", nil)}
		if a.STS != "met" {
			c = cell{finding.VerdictNote, stsFault(a, t.f.STS)}
			if t.f.STS.enforced() {
				c.mark = finding.VerdictError
			}
		}
		t.stage(finding.Raw("MTA-STS"), mode, 0, c)
	}
	if d := a.DANE; d != nil && a.Session.Caps != nil {
		c := cell{finding.VerdictPass, finding.S("the certificate matches", nil)}
		if d.broken() {
			c = cell{finding.VerdictError, finding.S("the certificate does not match", nil)}
		}
		t.stage(finding.Raw("DANE"), finding.Raw(d.Found.Name), 0, c)
	}
}
