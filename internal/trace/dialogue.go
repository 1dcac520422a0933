package trace

import (
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// The programs whose lines are those of an SMTP session word by word (Exchange's protocol logs): a reply does not tell what
// it is for, and a session may carry several messages.
const (
	smtpReceive = "smtp-receive"
	smtpSend    = "smtp-send"
)

// dialogues tells sessions that are logged word by word as other software logs them: a refusal with the address it is
// about, a delivery for each recipient. Where a session carried several messages, only those that the query asked for are
// given, each with the beginning and the end of the session.
func dialogues(steps []Step) [][]Step {
	if !slices.ContainsFunc(steps, func(s Step) bool { return s.Program == smtpReceive || s.Program == smtpSend }) {
		return [][]Step{steps}
	}
	d := &dialogue{}
	for _, s := range steps {
		d.take(s)
	}
	var out [][]Step
	for _, m := range d.mails {
		if slices.ContainsFunc(m.steps, func(s Step) bool { return s.match }) {
			out = append(out, slices.Concat(d.before, m.steps, d.after))
		}
	}
	if out == nil { // the session itself was asked for
		all := d.before
		for _, m := range d.mails {
			all = append(all, m.steps...)
		}
		out = append(out, append(all, d.after...))
	}
	return out
}

// dialogue is a session as it is read.
type dialogue struct {
	before, after []Step // what belongs to no message
	mails         []*mailing
	open          *mailing // the message at hand
	asked         []said   // commands without an answer so far

	user, helo, peer string // who logged in, what the client called itself, what the server does
}

// mailing is a message of a session.
type mailing struct {
	steps    []Step
	from     *string
	size     int64
	rcpts    []string // all
	accepted []string
}

// said is a command.
type said struct{ stage, to string }

const (
	stageMail  = "MAIL"
	stageRcpt  = "RCPT"
	stageData  = "DATA"
	stageEnd   = "end of DATA"
	stageReset = "RSET"
)

func (d *dialogue) take(s Step) {
	d.name(&s)
	switch {
	case s.kind == event.Disconnect, strings.EqualFold(s.Text, "QUIT"):
		d.open = nil
		d.keep(s)
	case s.Program != smtpReceive && s.Program != smtpSend:
		d.keep(s)
	case s.Code != 0 && s.kind != event.ConnectError:
		d.answer(s)
	case s.Stage != "":
		d.command(s)
	case s.kind == event.Related && s.Mention != "" && s.Program == smtpSend: // "sending message with …" stands before MAIL
		d.begin()
		s.Message = s.Mention
		s.setKind(event.MessageID, event.NoStatus)
		d.keep(s)
	default:
		d.keep(s)
	}
}

// name notes what the two sides are called, and tells it with what is told of them later.
func (d *dialogue) name(s *Step) {
	if s.User != "" {
		d.user = s.User
	}
	if s.Helo != "" {
		d.helo = s.Helo
	}
	if banner, ok := strings.CutPrefix(s.Text, "220 "); ok && d.peer == "" && s.Program == smtpSend {
		d.peer, _, _ = strings.Cut(banner, " ")
	}
	switch s.kind {
	case event.Received, event.Reject, event.AuthFailed:
		s.Helo, s.User = d.helo, d.user
	}
	if s.Program == smtpSend && s.Relay == "" && s.RelayIP != "" {
		s.Relay = d.peer
	}
}

// begin begins a message, unless one has just begun.
func (d *dialogue) begin() {
	if d.open == nil || d.open.from != nil {
		d.open = &mailing{}
		d.mails = append(d.mails, d.open)
	}
}

func (d *dialogue) keep(s Step) {
	switch {
	case d.open != nil:
		d.open.steps = append(d.open.steps, s)
	case len(d.mails) == 0:
		d.before = append(d.before, s)
	default:
		d.after = append(d.after, s)
	}
}

func (d *dialogue) command(s Step) {
	d.asked = append(d.asked, said{s.Stage, s.To})
	switch s.Stage {
	case stageMail:
		d.begin()
		d.open.from, d.open.size = s.From, s.Size
		if s.From == nil {
			d.open.from = new(string)
		}
	case stageRcpt:
		if d.open != nil {
			d.open.rcpts = append(d.open.rcpts, s.To)
		}
	case stageReset:
		d.open = nil
	}
	d.keep(s)
}

// answer finds the command that is answered and tells what that means for the message.
func (d *dialogue) answer(s Step) {
	cmd := said{}
	if len(d.asked) > 0 {
		cmd, d.asked = d.asked[0], d.asked[1:]
	}
	m := d.open
	if m == nil {
		d.keep(s)
		return
	}
	s.Stage = cmd.stage
	switch bad := s.Code >= 400; {
	case cmd.stage == stageData && s.Code == 354:
		d.asked = append(d.asked, said{stage: stageEnd})
		d.keep(s)
	case cmd.stage == stageRcpt && !bad:
		m.accepted = append(m.accepted, cmd.to)
		d.keep(s)
	case cmd.stage == stageRcpt:
		d.refused(s, cmd.to)
	case cmd.stage == stageEnd && !bad:
		d.handedOver(s)
	case bad && (cmd.stage == stageMail || cmd.stage == stageData || cmd.stage == stageEnd):
		rcpts := m.accepted
		if len(rcpts) == 0 {
			rcpts = m.rcpts
		}
		d.refused(s, rcpts...)
		if cmd.stage != stageData {
			d.open = nil
		}
	default:
		d.keep(s)
	}
}

// refused tells a refusal: ours, or that of the next host for each recipient.
func (d *dialogue) refused(s Step, rcpts ...string) {
	s.From = d.open.from
	if len(rcpts) == 0 {
		rcpts = []string{""}
	}
	status := event.Bounced
	if s.Code < 500 {
		status = event.Deferred
	}
	for _, to := range rcpts {
		if s.To = to; s.Program == smtpSend && to != "" {
			s.setKind(event.Delivery, status)
		}
		d.keep(s)
	}
}

// handedOver tells that a message was taken: by us, or by the next host for each recipient it accepted.
func (d *dialogue) handedOver(s Step) {
	m := d.open
	s.From, s.Size = m.from, m.size
	if s.Program == smtpReceive {
		s.setKind(event.Received, event.NoStatus)
		s.Message, s.QueueID = s.Mention, s.Session
		d.keep(s)
		s.setKind(event.Delivery, event.Filtered) // what becomes of it other logs tell
	} else {
		s.setKind(event.Delivery, event.Sent)
		if id, _ := logs.NextID([]byte(s.Text)); id != nil {
			s.Ref, s.refIs, s.RefIs = string(id), event.Next, event.Next.String()
		}
	}
	for _, to := range m.accepted {
		s.To = to
		d.keep(s)
	}
	d.open = nil
}

func (s *Step) setKind(k event.Kind, st event.Status) {
	s.kind, s.Kind, s.status, s.Status = k, k.String(), st, st.String()
}
