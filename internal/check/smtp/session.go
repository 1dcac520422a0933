package smtp

import (
	"slices"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
)

// Rewritten finds the words of a session that a middlebox has masked: a greeting of asterisks, a keyword overwritten
// with X or cut down to noise in the answer to EHLO. Empty means no sign of one.
func Rewritten(s *smtp.Session) string {
	if g := s.Reply(smtp.Greeting); g != nil && stars(g.Text()) {
		return g.String()
	}
	for _, key := range s.Caps.List() {
		word, _, _ := strings.Cut(key, "=")
		if masked(word) {
			return "250-" + word
		}
	}
	return ""
}

// stars tells a greeting masked with asterisks, as old Cisco PIX and ASA do it: "220 ****2***".
func stars(text string) bool {
	n := strings.Count(text, "*")
	return n >= 6 && n*2 > len(text)
}

// masked tells a keyword overwritten with X: "XXXXXXXA" stands where "STARTTLS" did. Real keywords with an X in front
// (XCLIENT, X-ANONYMOUSTLS) have other letters too.
func masked(word string) bool {
	return len(word) >= 6 && strings.HasPrefix(word, "XXXX") && len(strings.Trim(word, "X")) <= 2
}

func (j *judge) rewritten() finding.Finding {
	if raw := Rewritten(j.s); raw != "" {
		return j.failed(ruleRewritten, finding.Args{"Raw": finding.Raw(raw)}, smtp.Greeting, smtp.Ehlo)
	}
	return ruleRewritten.Passed(j.subject, nil)
}

// hello judges EHLO and HELO.
func (j *judge) hello() []finding.Finding {
	ehlo, helo := j.s.Stage(smtp.Ehlo), j.s.Stage(smtp.Helo)
	switch {
	case ehlo == nil:
		return nil
	case ehlo.OK():
		return []finding.Finding{ruleEhlo.Passed(j.subject, nil)}
	case helo != nil && helo.OK():
		return []finding.Finding{j.failed(ruleEhlo, finding.Args{"Reply": finding.Raw(ehlo.Reply.String())}, smtp.Ehlo, smtp.Helo)}
	case ehlo.Fault != nil && ehlo.Fault.Kind == wire.Protocol:
		return []finding.Finding{j.failed(ruleNotSMTP, finding.Args{"What": check.Fault(ehlo.Fault)}, smtp.Ehlo)}
	}
	return []finding.Finding{j.untested(ruleHello, ehlo)}
}

// tls judges whether STARTTLS is offered and works; the certificate is judged by the tls pack.
func (j *judge) tls() []finding.Finding {
	e, h := j.s.Stage(smtp.Ehlo), j.s.Stage(smtp.Helo)
	if e == nil || e.Fault != nil || e.Reply.Code == 421 || !e.OK() && h != nil && !h.OK() {
		return nil
	}
	offer, shake := j.s.Stage(smtp.StartTLS), j.s.Stage(smtp.TLS)
	var fs []finding.Finding
	switch {
	case offer == nil:
		return []finding.Finding{j.failed(ruleNoTLS, nil, smtp.Ehlo)}
	case offer.Reply != nil && offer.Reply.Code == 421:
		return []finding.Finding{j.untested(ruleNoTLS, offer)}
	case offer.Fault != nil:
		fs = append(fs, j.failed(ruleTLSRefused, finding.Args{"What": check.Fault(offer.Fault)}, smtp.StartTLS))
	case !offer.OK():
		fs = append(fs, j.failed(ruleTLSRefused, finding.Args{"What": finding.S("refused: {{.Reply}}", finding.Args{"Reply": finding.Raw(offer.Reply.String())})}, smtp.StartTLS))
	case shake != nil && shake.Fault != nil:
		fs = append(fs, j.failed(ruleTLSRefused, finding.Args{"What": check.Fault(shake.Fault)}, smtp.TLS))
	default:
		fs = append(fs, ruleNoTLS.Passed(j.subject, nil))
	}
	if n := j.s.EarlyBytes; n > 0 {
		fs = append(fs, j.failed(ruleInjection, finding.Args{"N": n}, smtp.StartTLS))
	}
	return fs
}

// offers judges what the server offers: login in the clear, size.
func (j *judge) offers() []finding.Finding {
	var fs []finding.Finding
	if j.s.Caps == nil {
		return nil
	}
	plain := slices.DeleteFunc(j.s.Caps.Auth(), func(m string) bool { return m != "PLAIN" && m != "LOGIN" })
	if len(plain) > 0 {
		fs = append(fs, j.failed(rulePlainAuth, finding.Args{"Mechanisms": plain, "N": len(plain)}, smtp.Ehlo))
	} else {
		fs = append(fs, rulePlainAuth.Passed(j.subject, nil))
	}
	if n, ok := j.s.Offered().Size(); ok && n > 0 {
		args := finding.Args{"Size": n}
		if n < j.th.SMTP.SizeNoteBytes {
			fs = append(fs, j.failed(ruleSize, args, smtp.Ehlo))
		} else {
			fs = append(fs, ruleSize.Passed(j.subject, args))
		}
	}
	return fs
}

// strangers judges what the server lets anybody do.
func (j *judge) strangers() []finding.Finding {
	var fs []finding.Finding
	fs = append(fs, j.vrfy()...)
	rcpt := j.s.Stage(smtp.RcptTo)
	if rcpt == nil {
		if m := j.s.Stage(smtp.MailFrom); m != nil && !m.OK() {
			fs = append(fs, j.untested(ruleRelay, m))
		}
		return fs
	}
	switch {
	case rcpt.OK():
		fs = append(fs, j.failed(ruleRelay, finding.Args{"To": rcpt.Arg}, smtp.MailFrom, smtp.RcptTo))
	case rcpt.Reply.Permanent():
		fs = append(fs, ruleRelay.Passed(j.subject, nil))
	case rcpt.Reply != nil && j.know.ReadReply(rcpt.Reply.String(), knowledge.ReplyContext{Command: "RCPT"}).Cause == "relay-denied":
		fs = append(fs, ruleRelay.Passed(j.subject, nil)) // refused for now, and for the right reason
	default:
		fs = append(fs, j.untested(ruleRelay, rcpt))
	}
	return fs
}

// vrfy judges the answers to VRFY for a name that exists everywhere and for one that exists nowhere. Postfix says 252 to
// the one and 550 to the other, which tells as much as a plain yes.
func (j *judge) vrfy() []finding.Finding {
	var replies []*smtp.Reply
	for i := range j.s.Stages {
		if st := &j.s.Stages[i]; st.Name == smtp.Vrfy && st.Reply != nil {
			replies = append(replies, st.Reply)
		}
	}
	if len(replies) < 2 {
		return nil
	}
	known, unknown := replies[0], replies[1]
	if TellsNames(known.Code, unknown.Code) {
		return []finding.Finding{j.failed(ruleVrfy, finding.Args{"Reply": finding.Raw(known.String()), "Other": finding.Raw(unknown.String())}, smtp.Vrfy)}
	}
	return []finding.Finding{ruleVrfy.Passed(j.subject, nil)}
}

// TellsNames tells that a server that answers VRFY or EXPN so tells strangers which names there are: yes to one that is
// everywhere, and no to one that is nowhere. The codes are those of the two replies.
func TellsNames(known, unknown int) bool {
	return known/100 == 2 && (unknown == 550 || unknown == 551 || unknown == 553)
}

// Vrfy judges two such answers to VRFY, as they came ("252 2.0.0 postmaster").
func Vrfy(subject finding.Subject, known, unknown string) finding.Finding {
	if !TellsNames(codeOf(known), codeOf(unknown)) {
		return ruleVrfy.Passed(subject, nil)
	}
	return ruleVrfy.Failed(subject, finding.Args{"Reply": finding.Raw(known), "Other": finding.Raw(unknown)})
}

// codeOf is the code that a reply begins with, 0 for none.
func codeOf(reply string) int {
	n, err := strconv.Atoi(reply[:min(3, len(reply))])
	if err != nil {
		return 0
	}
	return n
}
