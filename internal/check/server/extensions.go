package server

import (
	"cmp"
	"math"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/smtp"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire/provoke"
)

// Bounds of a limit that somebody can have meant, in bytes. RFC 5321 section 4.5.3.1.7: every server takes 64 k octets.
const (
	leastSize = 64 << 10
	mostSize  = 1 << 40
)

// judgeExtensions holds what EHLO promised against what was done, and what strangers were told of names. inPieces tells
// that BDAT was tried for real, which says more than what is seen here.
func judgeExtensions(subject finding.Subject, r *provoke.Result, inPieces bool) []finding.Finding {
	if r == nil || r.Find(provoke.StepEHLO) == nil {
		return nil
	}
	j := &extJudge{r: r, subject: subject}
	j.name()
	j.names()
	j.size()
	j.bodies()
	if !inPieces {
		j.pieces()
	}
	j.pipelining()
	j.missing()
	return j.fs
}

type extJudge struct {
	r       *provoke.Result
	subject finding.Subject
	fs      []finding.Finding
}

func (j *extJudge) add(f finding.Finding) { j.fs = append(j.fs, f) }

// said is the evidence of steps: what was sent and what came back.
func (j *extJudge) said(names ...string) (out []finding.Evidence) {
	for _, n := range names {
		if s := j.r.Find(n); s != nil {
			raw := strings.Join(s.Replies, "\n")
			if s.Fault != nil {
				raw = strings.TrimSpace(raw + "\n" + s.Fault.Text)
			}
			out = append(out, finding.Evidence{Source: "smtp", Place: s.Sent, Raw: raw})
		}
	}
	return out
}

// name judges how the server calls itself in its answer to EHLO.
func (j *extJudge) name() {
	own, _, _ := strings.Cut(j.r.Find(provoke.StepEHLO).Replies[0], " ")
	args := finding.Args{"Name": finding.Raw(cmp.Or(own, "250"))}
	literal := strings.HasPrefix(own, "[") && strings.HasSuffix(own, "]")
	if own == "" || strings.EqualFold(own, j.r.Plan.HELO) || !literal && !strings.Contains(strings.Trim(own, "."), ".") {
		j.add(ruleEhloName.Failed(j.subject, args).With(j.said(provoke.StepEHLO)...))
		return
	}
	j.add(ruleEhloName.Passed(j.subject, args))
}

// names judges VRFY and EXPN.
func (j *extJudge) names() {
	known, unknown := j.r.Find(provoke.StepVRFY), j.r.Find(provoke.StepVRFYUnknown)
	if unknown.Reply() != "" {
		f := smtp.Vrfy(j.subject, known.Reply(), unknown.Reply())
		if f.Outcome == finding.Fail {
			f = f.With(j.said(provoke.StepVRFY, provoke.StepVRFYUnknown)...)
		}
		j.add(f)
	}
	known = j.r.Find(provoke.StepEXPN)
	if known.Reply() == "" {
		return
	}
	// 252 says that the server does not tell; any other yes comes with names.
	if s := known.Reply(); strings.HasPrefix(s, "2") && !strings.HasPrefix(s, "252") && strings.Contains(s, "@") {
		j.add(ruleExpn.Failed(j.subject, finding.Args{"Text": finding.Raw(s)}).With(j.said(provoke.StepEXPN, provoke.StepEXPNUnknown)...))
		return
	}
	j.add(ruleExpn.Passed(j.subject, nil))
}

// size judges the limit itself, and whether it holds.
func (j *extJudge) size() {
	arg, ok := j.r.Offered("SIZE")
	if !ok {
		return
	}
	n, err := strconv.ParseInt(arg, 10, 64)
	switch {
	case arg == "" || err == nil && n == 0: // no fixed limit
	case err != nil || n < leastSize || n > mostSize:
		j.add(ruleSizeAbsurd.Failed(j.subject, finding.Args{"Text": finding.Raw(arg)}).With(finding.Evidence{Source: "smtp", Place: "EHLO", Raw: "SIZE " + arg}))
	default:
		j.add(ruleSizeAbsurd.Passed(j.subject, nil))
	}
	small := j.r.Find(provoke.StepSize)
	if small.Reply() == "" {
		return
	}
	if !strings.HasPrefix(small.Reply(), "2") {
		j.refusal(ruleSizeRefused, small)
		return
	}
	over := j.r.Find(provoke.StepSizeOver)
	switch s := over.Reply(); {
	case s == "":
		j.add(ruleSizeRefused.Passed(j.subject, nil))
	case strings.HasPrefix(s, "2") && n < math.MaxInt64:
		j.add(ruleSizeOver.Failed(j.subject, finding.Args{"Size": n}).With(j.said(provoke.StepSizeOver)...))
	case strings.HasPrefix(s, "5"), strings.HasPrefix(s, "452"):
		j.add(ruleSizeOver.Passed(j.subject, nil))
	}
}

// refusal judges a MAIL command with a parameter that was offered and is not taken. A server that puts us off said nothing
// about the parameter, nor does one that wants TLS or a login first.
func (j *extJudge) refusal(rule *finding.Rule, s *provoke.Step) {
	reply := s.Reply()
	switch {
	case reply == "":
		return
	case strings.HasPrefix(reply, "2"):
		j.add(rule.Passed(j.subject, nil))
	case strings.HasPrefix(reply, "4"), strings.HasPrefix(reply, "530"), strings.HasPrefix(reply, "550"), strings.HasPrefix(reply, "554"):
		j.add(rule.Untested(j.subject, finding.S("{{.Sent}} is answered with {{.Text}}", finding.Args{"Sent": finding.Raw(s.Sent), "Text": finding.Raw(reply)})).With(j.said(s.Name)...))
	default:
		j.add(rule.Failed(j.subject, finding.Args{"Text": finding.Raw(reply)}).With(j.said(s.Name)...))
	}
}

// bodies judges 8BITMIME and SMTPUTF8.
func (j *extJudge) bodies() {
	if s := j.r.Find(provoke.Step8BIT); s != nil {
		j.refusal(rule8Bit, s)
	}
	s := j.r.Find(provoke.StepUTF8)
	if s == nil {
		return
	}
	if _, ok := j.r.Offered("8BITMIME"); !ok {
		j.add(ruleUTF8.Failed(j.subject, finding.Args{"Text": finding.S("8BITMIME, which belongs to it, is not offered", nil)}).With(j.said(provoke.StepEHLO)...))
		return
	}
	j.refusal(ruleUTF8, s)
}

// pieces judges BDAT out of order: a server that knows it says that it comes too early.
func (j *extJudge) pieces() {
	s := j.r.Find(provoke.StepBDAT)
	if s == nil || s.Reply() == "" {
		return
	}
	switch code := s.Reply()[:min(3, len(s.Reply()))]; {
	case code == "500" || code == "502" || code == "504":
		j.add(ruleChunking.Failed(j.subject, finding.Args{"Text": finding.Raw(s.Reply())}).With(j.said(s.Name)...))
	case strings.HasPrefix(code, "5"):
		j.add(ruleChunking.Passed(j.subject, nil))
	}
}

// pipelining judges whether every command of a group was answered, and each with its own answer.
func (j *extJudge) pipelining() {
	s := j.r.Find(provoke.StepPipelining)
	switch {
	case s == nil:
	case s.Fault != nil && check.Ours(s.Fault) && len(s.Replies) == 0:
		j.add(rulePipelining.Untested(j.subject, check.Fault(s.Fault)))
	case s.Fault != nil:
		j.add(rulePipelining.Failed(j.subject, finding.Args{"N": len(s.Replies), "All": strings.Count(s.Sent, ",") + 1, "Text": check.Fault(s.Fault)}).With(j.said(s.Name)...))
	case strings.HasPrefix(s.Replies[0], "503"), strings.HasPrefix(s.Replies[0], "554") && strings.Contains(strings.ToLower(s.Replies[0]), "pipelin"):
		j.add(rulePipelining.Failed(j.subject, finding.Args{"N": 0, "All": strings.Count(s.Sent, ",") + 1, "Text": finding.Raw(s.Replies[0])}).With(j.said(s.Name)...))
	default:
		j.add(rulePipelining.Passed(j.subject, nil))
	}
}

// missing names the extensions that senders would use and find not there.
func (j *extJudge) missing() {
	var out []string
	for _, k := range []string{"8BITMIME", "PIPELINING", "SIZE", "SMTPUTF8"} {
		if _, ok := j.r.Offered(k); !ok {
			out = append(out, k)
		}
	}
	if len(out) == 0 {
		j.add(ruleMissing.Passed(j.subject, nil))
		return
	}
	j.add(ruleMissing.Failed(j.subject, finding.Args{"Names": out, "N": len(out)}).With(j.said(provoke.StepEHLO)...))
}

var (
	ruleEhloName = &finding.Rule{
		ID: "server.ehlo-name", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "EHLO not answered with the server's name", Says: "EHLO is answered with {{.Name}}, which is no name of a server",
		OK:     "EHLO is answered with {{.Name}}",
		Why:    "The answer to EHLO begins with the server's own full name. Something else there, or the client's name given back, shows a proxy in front or a name that was never set; the same setting is usually the name the server says when it sends.",
		Repair: "Set the server's name to its full DNS name (Postfix: myhostname; Exim: primary_hostname).",
		Refs:   []finding.Ref{finding.RFC(5321, "4.1.1.1")},
	}
	ruleExpn = &finding.Rule{
		ID: "server.expn", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "EXPN tells who is behind a name", Says: "EXPN postmaster is answered with {{.Text}}",
		OK:     "EXPN tells nothing",
		Why:    "Spammers and burglars get the members of lists and the real mailboxes behind names.",
		Repair: "Switch EXPN off (Sendmail: PrivacyOptions noexpn; Exim: no acl_smtp_expn that accepts).",
		Refs:   []finding.Ref{finding.RFC(5321, "7.3")},
	}
	ruleSizeAbsurd = &finding.Rule{
		ID: "server.size-absurd", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "a size limit that nobody can have meant", Says: "EHLO offers SIZE {{.Text}}",
		OK:     "the size limit is one that can be meant",
		Why:    "Senders compare the size of a message with this number and do not even try: below 64 kB nearly all mail is refused, and a number that cannot be read is taken for none or for zero.",
		Repair: "Set the limit in bytes to what is meant (Postfix: message_size_limit; Exim: message_size_limit).",
		Refs:   []finding.Ref{finding.RFC(1870, "4"), finding.RFC(5321, "4.5.3.1.7")},
	}
	ruleSizeRefused = &finding.Rule{
		ID: "server.size-refused", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "SIZE offered and not understood", Says: "SIZE is offered, and a message of 1000 bytes that names its size is answered with {{.Text}}",
		OK:     "a message that names its size is taken",
		Why:    "Nearly every sender names the size as soon as SIZE is offered, so that its mail is refused.",
		Repair: "Look at the filter or firewall in front of the server: it knows the word and not the parameter.",
		Refs:   []finding.Ref{finding.RFC(1870, "6.1")},
	}
	ruleSizeOver = &finding.Rule{
		ID: "server.size-not-enforced", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "a message above the limit is not refused at MAIL", Says: "the limit is {{size .Size}}, and a message that names one byte more is taken at MAIL",
		OK:     "a message above the limit is refused at MAIL",
		Why:    "Such a message crosses the network as a whole before it is refused, or is taken although it should not be.",
		Repair: "Have the server compare the size that MAIL names with its limit; a filter in front may hide the parameter from it.",
		Refs:   []finding.Ref{finding.RFC(1870, "6.1")},
	}
	rule8Bit = &finding.Rule{
		ID: "server.8bitmime-refused", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "8BITMIME offered and refused", Says: "8BITMIME is offered, and BODY=8BITMIME is answered with {{.Text}}",
		OK:     "8BITMIME works as offered",
		Why:    "Messages in other letters than the English ones are refused as soon as a sender believes the offer.",
		Repair: "Have the server, or the filter in front of it, take BODY=8BITMIME or not offer it (Postfix: smtpd_discard_ehlo_keywords = 8bitmime).",
		Refs:   []finding.Ref{finding.RFC(6152, "3")},
	}
	ruleUTF8 = &finding.Rule{
		ID: "server.smtputf8-broken", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "SMTPUTF8 offered and not done", Says: "SMTPUTF8 is offered and does not work: {{.Text}}",
		OK:     "SMTPUTF8 works as offered",
		Why:    "Mail from and to addresses such as 用户@例子.example is handed over on the strength of the offer, and bounces.",
		Repair: "Let the server do SMTPUTF8, with all that comes behind it, or not offer it (Postfix: smtputf8_enable = no).",
		Refs:   []finding.Ref{finding.RFC(6531, "3.1")},
	}
	rulePipelining = &finding.Rule{
		ID: "server.pipelining-broken", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title: "PIPELINING offered and not done", Says: "PIPELINING is offered, and of {{.All}} commands in one breath {{.N}} {{plural .N \"is\" \"are\"}} answered: {{.Text}}",
		OK:     "PIPELINING works as offered",
		Why:    "Senders that say several commands at once wait for answers that never come, and their mail is late or bounces. A firewall or filter that forgets what is in its buffer is the usual cause.",
		Repair: "Update or reconfigure the firewall or filter in front of the server, or do not offer PIPELINING (Postfix: smtpd_discard_ehlo_keywords = pipelining).",
		Refs:   []finding.Ref{finding.RFC(2920, "3.2")},
	}
	ruleMissing = &finding.Rule{
		ID: "server.extensions-missing", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "usual extensions that are not offered", Says: "EHLO does not offer {{list .Names}}",
		OK:     "8BITMIME, PIPELINING, SIZE and SMTPUTF8 are offered",
		Why:    "Without 8BITMIME messages are recoded on the way, which breaks their signatures; without SIZE a message that is too large is known only after it was sent; without PIPELINING each message takes more round trips; without SMTPUTF8 addresses such as 用户@例子.example do not work.",
		Repair: "Turn on what the software can; a firewall that inspects SMTP may hide it.",
		Refs:   []finding.Ref{finding.RFC(6152, "1"), finding.RFC(1870, "4"), finding.RFC(2920, "1"), finding.RFC(6531, "1")},
	}
)
