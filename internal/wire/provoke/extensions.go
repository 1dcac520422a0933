package provoke

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// Step is a thing that was said in a try of several, and what was answered.
type Step struct {
	Name    string      `json:"step"`
	Sent    string      `json:"sent"`
	Replies []string    `json:"replies,omitempty"`
	Fault   *wire.Fault `json:"fault,omitempty"` // that came instead of a reply
}

// Reply is the first answer, "" for none.
func (s *Step) Reply() string {
	if s == nil || len(s.Replies) == 0 {
		return ""
	}
	return s.Replies[0]
}

// The steps of Extensions.
const (
	StepEHLO        = "ehlo"
	StepVRFY        = "vrfy"
	StepVRFYUnknown = "vrfy-unknown"
	StepEXPN        = "expn"
	StepEXPNUnknown = "expn-unknown"
	Step8BIT        = "8bitmime"
	StepUTF8        = "smtputf8"
	StepSize        = "size"      // a small message
	StepSizeOver    = "size-over" // one byte more than the limit
	StepBDAT        = "bdat"
	StepPipelining  = "pipelining"
)

// Find gives the step of that name, or nil.
func (r *Result) Find(name string) *Step {
	for i := range r.Steps {
		if r.Steps[i].Name == name {
			return &r.Steps[i]
		}
	}
	return nil
}

// Offered gives the parameters of an extension out of the answer to EHLO; ok is false where it is not offered.
func (r *Result) Offered(keyword string) (params string, ok bool) {
	s := r.Find(StepEHLO)
	if s == nil {
		return "", false
	}
	for i, l := range s.Replies {
		key, arg, _ := strings.Cut(l, " ")
		if i > 0 && strings.EqualFold(key, keyword) {
			return strings.TrimSpace(arg), true
		}
	}
	return "", false
}

// unknownName is a mailbox or list that nobody has.
const unknownName = "no-such-user-7f3a9c"

// extensions asks for what EHLO promised, and what strangers should not be told. No message is begun that could be
// delivered: every MAIL is taken back at once. What may make a server hang stands last.
func (t *talk) extensions() error {
	if _, err := t.command("", "220"); err != nil {
		return err
	}
	if err := t.hello(); err != nil {
		return err
	}
	asks := []struct{ name, line string }{
		{StepVRFY, "VRFY postmaster"}, {StepVRFYUnknown, "VRFY " + unknownName}, {StepEXPN, "EXPN postmaster"}, {StepEXPNUnknown, "EXPN " + unknownName},
	}
	if _, ok := t.r.Offered("8BITMIME"); ok {
		asks = append(asks, struct{ name, line string }{Step8BIT, "MAIL FROM:<> BODY=8BITMIME"})
	}
	if _, ok := t.r.Offered("SMTPUTF8"); ok {
		asks = append(asks, struct{ name, line string }{StepUTF8, "MAIL FROM:<> SMTPUTF8"})
	}
	if arg, ok := t.r.Offered("SIZE"); ok {
		asks = append(asks, struct{ name, line string }{StepSize, "MAIL FROM:<> SIZE=1000"})
		if n, err := strconv.ParseInt(arg, 10, 62); err == nil && n > 0 {
			asks = append(asks, struct{ name, line string }{StepSizeOver, fmt.Sprintf("MAIL FROM:<> SIZE=%d", n+1)})
		}
	}
	if _, ok := t.r.Offered("CHUNKING"); ok {
		asks = append(asks, struct{ name, line string }{StepBDAT, "BDAT 0 LAST"})
	}
	for _, a := range asks {
		s, err := t.ask(a.name, a.line)
		if err != nil {
			return err
		}
		if strings.HasPrefix(a.line, "MAIL") && strings.HasPrefix(s.Reply(), "2") {
			if _, err := t.command("RSET", "2"); err != nil {
				return err
			}
		}
	}
	if _, ok := t.r.Offered("PIPELINING"); ok {
		t.group()
	}
	t.r.Outcome = Sound // it came to its end; what the answers are worth is judged elsewhere
	_ = t.put("QUIT\r\n")
	return nil
}

// hello keeps every line of the answer to EHLO.
func (t *talk) hello() error {
	line := "EHLO " + t.r.Plan.HELO
	if err := t.put(line + "\r\n"); err != nil {
		return err
	}
	s := Step{Name: StepEHLO, Sent: line}
	for {
		l, err := t.line(t.d.Timeout)
		if err != nil {
			return err
		}
		code, more, ok := cutReply(l)
		if !ok || code != "250" {
			return refused(l)
		}
		s.Replies = append(s.Replies, strings.TrimSpace(l[min(4, len(l)):]))
		if !more {
			t.r.Steps = append(t.r.Steps, s)
			return nil
		}
	}
}

// ask says a line and keeps the answer.
func (t *talk) ask(name, line string) (*Step, error) {
	s := Step{Name: name, Sent: line}
	err := t.put(line + "\r\n")
	if err == nil {
		var text string
		if text, _, err = t.reply(t.d.Timeout); err == nil {
			s.Replies = []string{text}
		}
	}
	if err != nil {
		s.Fault = wire.Classify(string(t.r.Plan.Try), err)
	}
	t.r.Steps = append(t.r.Steps, s)
	return &t.r.Steps[len(t.r.Steps)-1], err
}

// pipelined are commands that may stand in one group (RFC 2920 section 3.1).
const pipelined = "MAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\nRSET\r\nNOOP\r\n"

// group says a group of commands in one breath and reads as many replies; that they do not come is what was to be found out.
func (t *talk) group() {
	s := Step{Name: StepPipelining, Sent: strings.ReplaceAll(strings.TrimSpace(pipelined), "\r\n", ", ")}
	err := t.put(pipelined)
	for i := 0; err == nil && i < strings.Count(pipelined, "\r\n"); i++ {
		var text string
		if text, _, err = t.reply(t.d.Timeout); err == nil {
			s.Replies = append(s.Replies, text)
		}
	}
	if err != nil {
		s.Fault = wire.Classify(string(t.r.Plan.Try), err)
	}
	t.r.Steps = append(t.r.Steps, s)
}

// chunkSmuggle hands over a piece of a message that holds an end of a message, or one that is none, and behind it a
// command. The piece is counted: a server that answers twice read inside it. The message is never ended.
func (t *talk) chunkSmuggle() error {
	caps, err := t.envelope()
	if err != nil {
		return err
	}
	if !strings.Contains(strings.ToUpper(caps), "CHUNKING") {
		return refused("CHUNKING is not offered")
	}
	piece := "Subject: mailwhy: an end inside a piece\r\n\r\nA test." + bytesOf(t.r.Plan.Form) + "NOOP\r\n"
	if err := t.put(fmt.Sprintf("BDAT %d\r\n%s", len(piece), piece)); err != nil {
		return err
	}
	reply, _, err := t.reply(t.d.Timeout)
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(reply, "4"):
		return refused(reply)
	case !strings.HasPrefix(reply, "2"):
		t.decide(false, "") // it refuses the piece: nobody is fooled
		t.r.Text = reply
		_ = t.put("QUIT\r\n")
		return nil
	}
	if err := t.put("QUIT\r\n"); err != nil {
		return err
	}
	// The only answer that may come now is that to QUIT.
	next, _, err := t.reply(t.d.Timeout)
	t.decide(err == nil && !strings.HasPrefix(next, "221"), next)
	return nil
}

// chunkEnd ends a message with an empty last piece, as RFC 3030 section 2 allows. A sound server delivers it.
func (t *talk) chunkEnd() error {
	for _, line := range []string{"MAIL FROM:<>", "RCPT TO:<" + t.r.Plan.To + ">"} {
		if _, err := t.command(line, "25"); err != nil {
			return err
		}
	}
	text := "From: <postmaster@" + strings.Trim(t.r.Plan.HELO, "[]") + ">\r\nTo: <" + t.r.Plan.To + ">\r\nSubject: mailwhy: a message in pieces (BDAT)\r\n\r\n" +
		"A test of the server's own administrator: the last piece of this message was empty.\r\n"
	if err := t.put(fmt.Sprintf("BDAT %d\r\n%s", len(text), text)); err != nil {
		return err
	}
	if reply, _, err := t.reply(t.d.Timeout); err != nil || !strings.HasPrefix(reply, "250") {
		t.decide(err == nil && strings.HasPrefix(reply, "5"), reply)
		return err
	}
	if err := t.put("BDAT 0 LAST\r\n"); err != nil {
		return err
	}
	reply, _, err := t.reply(t.d.Timeout)
	switch {
	case err != nil:
		t.decide(true, "BDAT 0 LAST: "+err.Error())
	case strings.HasPrefix(reply, "50"): // 500 to 504: it does not know the form; other refusals are about the message
		t.decide(true, "BDAT 0 LAST: "+reply)
	}
	return nil
}
