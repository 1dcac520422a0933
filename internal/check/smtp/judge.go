// Package smtp judges how a mail server talks on port 25: whether it answers, its greeting and name, what it offers,
// STARTTLS, and what it lets strangers do.
//
// Promise: JudgeSession is pure and works on a recorded session. Probes say RCPT and never DATA. A server that refuses
// to talk to us (421, 4xx, a blocklist) is "could not test", for it says nothing about the domain. RFCs: 5321, 3207,
// 1870, 2505, 4954.
package smtp

import (
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
)

// JudgeSession says what is good and bad about one session with one address of a host.
func JudgeSession(s *smtp.Session, know *knowledge.Base, th *knowledge.Thresholds) []finding.Finding {
	j := judge{s: s, th: th, know: know, subject: finding.Host(s.Plan.Host)}
	if f := j.reached(); f != nil {
		return f
	}
	if f := j.greeted(); f != nil {
		return f
	}
	fs := j.greeting()
	fs = append(fs, j.hello()...)
	fs = append(fs, j.tls()...)
	fs = append(fs, j.offers()...)
	fs = append(fs, j.strangers()...)
	return fs
}

type judge struct {
	s       *smtp.Session
	th      *knowledge.Thresholds
	know    *knowledge.Base
	subject finding.Subject
}

func (j *judge) place() string {
	return j.s.Plan.Host + " " + netip.AddrPortFrom(j.s.Plan.Addr, j.s.Plan.Port).String()
}

// failed builds a finding with the lines of the stages as evidence.
func (j *judge) failed(r *finding.Rule, args finding.Args, stages ...smtp.StageName) finding.Finding {
	f := r.Failed(j.subject, args).Prove(finding.Cmd("tls", net.JoinHostPort(j.s.Plan.Host, "25")))
	if r != ruleTLSRefused && r != ruleNoTLS {
		f.Verify = finding.Cmd("check", j.s.Plan.Host)
	}
	return f.With(j.evidence(stages...)...)
}

// evidence is what was said in the stages.
func (j *judge) evidence(stages ...smtp.StageName) []finding.Evidence {
	var out []finding.Evidence
	for i := range j.s.Stages {
		st := &j.s.Stages[i]
		if !slices.Contains(stages, st.Name) {
			continue
		}
		raw := st.Reply.String()
		if st.Fault != nil {
			raw = strings.TrimSpace(raw + " " + st.Fault.Text)
		}
		if line := said(st); raw != "" && line != "" {
			raw = line + " → " + raw
		}
		if raw != "" {
			out = append(out, finding.Evidence{Source: "smtp", Place: j.place(), At: j.s.Started, Raw: raw})
		}
	}
	return out
}

// said is the command line of a stage whose reply means little without it.
func said(st *smtp.Stage) string {
	switch st.Name {
	case smtp.MailFrom:
		return "MAIL FROM:<" + st.Arg + ">"
	case smtp.RcptTo:
		return "RCPT TO:<" + st.Arg + ">"
	case smtp.Vrfy:
		return "VRFY " + st.Arg
	}
	return ""
}

// untested says why a rule could not be tested, from a reply that put us off or a fault.
func (j *judge) untested(r *finding.Rule, st *smtp.Stage) finding.Finding {
	if st.Reply != nil {
		return Refusal(r, j.subject, st, j.s.Started, j.know).With(j.evidence(st.Name)...)
	}
	return r.Untested(j.subject, check.Fault(st.Fault)).With(j.evidence(st.Name)...)
}

// Refusal is "could not test" because of a server's reply: what the reply means, and when to try again.
func Refusal(r *finding.Rule, subject finding.Subject, st *smtp.Stage, at time.Time, know *knowledge.Base) finding.Finding {
	read := know.ReadReply(st.Reply.String(), knowledge.ReplyContext{Command: Command(st.Name)})
	f := r.Untested(subject, finding.S("the server put us off: {{.Cause}} ({{.Reply}})", finding.Args{"Cause": read.CauseName.Say(), "Reply": finding.Raw(st.Reply.String())}))
	if read.Temporary {
		f.Cannot.Again = Again(at, st.Reply, &read)
	}
	return f
}

// Command is the name of a stage's command as tables of replies know it.
func Command(n smtp.StageName) string {
	switch n {
	case smtp.Connect, smtp.Greeting:
		return "CONN"
	case smtp.Ehlo, smtp.Helo, smtp.Ehlo2:
		return "EHLO"
	case smtp.StartTLS:
		return "STARTTLS"
	case smtp.MailFrom:
		return "MAIL"
	case smtp.RcptTo:
		return "RCPT"
	case smtp.Data, smtp.Message:
		return "DATA"
	case smtp.Quit:
		return "QUIT"
	}
	return ""
}

var seconds = regexp.MustCompile(`(?i)\b(\d{1,5})\s*(s|sec|secs|seconds?|m|min|mins|minutes?|h|hours?)\b`)

// Again tells when trying again makes sense: the span the server names, else what its cause usually takes.
func Again(at time.Time, rep *smtp.Reply, read *knowledge.Reading) time.Time {
	if m := seconds.FindStringSubmatch(rep.Text()); m != nil {
		n, unit := 0, time.Second
		for _, c := range m[1] {
			n = n*10 + int(c-'0')
		}
		switch m[2][0] | 0x20 {
		case 'm':
			unit = time.Minute
		case 'h':
			unit = time.Hour
		}
		if d := time.Duration(n) * unit; d > 0 && d <= 48*time.Hour {
			return at.Add(d)
		}
	}
	switch {
	case read.Cause == "greylisted":
		return at.Add(15 * time.Minute) // whatever else is said: servers open the gate after 1 to 10 minutes
	case read.TryAgain == "hours":
		return at.Add(4 * time.Hour)
	case read.TryAgain == "after repair":
		return time.Time{}
	}
	return at.Add(15 * time.Minute)
}

// reached judges whether TCP came up; nil means it did.
func (j *judge) reached() []finding.Finding {
	st := j.s.Stage(smtp.Connect)
	if st == nil || st.Fault == nil {
		return nil
	}
	if check.Ours(st.Fault) {
		return []finding.Finding{j.untested(ruleUnreachable, st)}
	}
	r := ruleUnreachable
	if j.s.Plan.Addr.Is6() {
		r = ruleIPv6
	}
	return []finding.Finding{j.failed(r, finding.Args{"Addr": j.s.Plan.Addr, "What": check.Fault(st.Fault)}, smtp.Connect)}
}

// greeted judges whether we were let in; nil means we were.
func (j *judge) greeted() []finding.Finding {
	st := j.s.Stage(smtp.Greeting)
	if st == nil {
		st = j.s.Failed()
	}
	switch {
	case st == nil || st.OK():
		return nil
	case st.Fault != nil && !check.Ours(st.Fault):
		what := check.Fault(st.Fault)
		if st.Fault.Kind == wire.Closed || st.Fault.Kind == wire.Reset {
			// Hanging up without a greeting is how many servers and firewalls turn strangers away.
			return []finding.Finding{ruleNotSMTP.Untested(j.subject, finding.S("the server took the connection and hung up without a greeting: it may not like our address", nil)).With(j.evidence(st.Name)...)}
		}
		return []finding.Finding{j.failed(ruleNotSMTP, finding.Args{"What": what}, st.Name)}
	}
	return []finding.Finding{j.untested(ruleNotSMTP, st)}
}

// greeting judges the greeting itself.
func (j *judge) greeting() []finding.Finding {
	st := j.s.Stage(smtp.Greeting)
	if st == nil || st.Reply == nil {
		return nil
	}
	fs := []finding.Finding{ruleUnreachable.Passed(j.subject, nil), ruleNotSMTP.Passed(j.subject, nil), j.slow(st), j.rewritten()}
	text := st.Reply.Lines[0]
	name, _, _ := strings.Cut(text, " ")
	switch {
	case strings.Contains(text, "***"):
	case hostname(name):
		fs = append(fs, ruleName.Passed(j.subject, nil))
	default:
		fs = append(fs, j.failed(ruleName, finding.Args{"Name": finding.Raw(name)}, smtp.Greeting))
	}
	if version(st.Reply.Text()) {
		fs = append(fs, j.failed(ruleBanner, finding.Args{"Raw": finding.Raw(st.Reply.Text())}, smtp.Greeting))
	} else {
		fs = append(fs, ruleBanner.Passed(j.subject, nil))
	}
	if slices.ContainsFunc(j.s.Stages, func(s smtp.Stage) bool { return s.Reply != nil && s.Reply.Bare }) {
		fs = append(fs, j.failed(ruleBareLF, nil, smtp.Greeting))
	}
	return fs
}

func (j *judge) slow(st *smtp.Stage) finding.Finding {
	level := finding.Note
	args := finding.Args{"Took": st.Took.Round(time.Millisecond)}
	switch secs := int(st.Took.Seconds()); {
	case secs >= j.th.SMTP.GreetingWarningSeconds:
		level = finding.Warning
	case secs < j.th.SMTP.GreetingNoteSeconds:
		return ruleSlow.Passed(j.subject, args)
	}
	f := j.failed(ruleSlow, args, smtp.Greeting)
	f.Severity = &level
	return f
}

// BannerName is the host name at the start of the greeting, or "".
func BannerName(s *smtp.Session) string {
	rep := s.Reply(smtp.Greeting)
	if rep == nil || !rep.OK() || len(rep.Lines) == 0 {
		return ""
	}
	name, _, _ := strings.Cut(rep.Lines[0], " ")
	if !hostname(name) {
		return ""
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// hostname tells a full DNS name: letters, digits and hyphens in at least two labels, the last not all digits.
func hostname(s string) bool {
	labels := strings.Split(strings.TrimSuffix(s, "."), ".")
	if len(labels) < 2 || len(s) > 254 {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.Trim(strings.ToLower(l), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

// software names products whose version in a greeting is worth a word; a number behind any of them is a version.
var software = regexp.MustCompile(`(?i)\b(postfix|exim|sendmail|opensmtpd|qmail|haraka|courier|exchange|mailenable|mdaemon|kerio|zimbra|hmailserver|smartermail|icewarp|surgemail|communigate|mercury|imail|merak|argosoft|coremail|lotus domino|xmail|james|microsoft esmtp mail service)\b[^\d]{0,24}\d+\.\d+`)

func version(banner string) bool { return software.MatchString(banner) }
