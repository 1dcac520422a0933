package capture

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// Bounds of one conversation.
const (
	maxLine   = 8 << 10
	maxShown  = 1000
	maxStages = 200
	maxQueue  = 4096
	maxCodes  = 1000
	maxLines  = 2 << 20 // lines of transcripts kept in all streams followed
)

type mode uint8

const (
	lines  mode = iota // of a protocol
	dotted             // a message up to the line with a dot
	octets             // so many bytes
	sealed             // TLS
	deaf               // no mail
)

// command is what the client said and has no answer to yet.
type command struct {
	name, arg, tag string
	at             int64
	stage          int // index in Stages, -1
}

// talk follows what the two ends of a stream say.
type talk struct {
	t    *table
	c    *conv
	mode [2]mode
	line [2][]byte
	need [2]int64 // octets to come
	kept int
	sure bool // the protocol is certain

	queue    []command
	reply    []string
	greeted  bool
	auth     bool // the client's next lines answer a challenge
	lastCode int
	upgraded bool
	bdatLast bool
	blind    [2]bool // bytes are missing: lines that are no command or reply may be of a message
	early    bool    // the dot of a message that was sent without waiting for 354
	literal  [2]bool // the line goes on after the literal
	secret   bool    // the rest of this IMAP command is secret

	bol   bool
	carry []byte
	body  *Message
	sink  io.WriteCloser
	bodyN int

	hands   *hands
	packets packets
}

func mailPort(p uint16) string {
	switch p {
	case 25, 465, 587, 2525, 24:
		return "smtp"
	case 110, 995:
		return "pop3"
	case 143, 993:
		return "imap"
	}
	return ""
}

func tlsPort(p uint16) bool { return p == 465 || p == 993 || p == 995 }

func newTalk(t *table, c *conv) *talk { return &talk{t: t, c: c, blind: [2]bool{c.Midway, c.Midway}} }

func hasFold(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && strings.EqualFold(string(b[:len(prefix)]), prefix)
}

// recognise finds the protocol from the first bytes of an end.
func (k *talk) recognise(dir int, b []byte) {
	c, port := k.c, mailPort(k.c.key.dp)
	helo := hasFold(b, "EHLO ") || hasFold(b, "HELO ") || hasFold(b, "LHLO ") || hasFold(b, "MAIL FROM:")
	switch {
	case len(b) >= 3 && b[0] == 22 && b[1] == 3 || tlsPort(c.key.dp) && c.Midway:
		if port == "" {
			k.stop()
			return
		}
		c.Protocol, k.sure = port, true
		k.seal(true)
	case dir == client && helo:
		c.Protocol, k.sure = "smtp", true
	case dir == server && (bytes.HasPrefix(b, []byte("+OK")) || bytes.HasPrefix(b, []byte("-ERR"))):
		c.Protocol, k.sure = "pop3", true
	case dir == server && (hasFold(b, "* OK") || hasFold(b, "* PREAUTH") || hasFold(b, "* BYE")):
		c.Protocol, k.sure = "imap", true
	case port != "":
		c.Protocol, k.sure = port, true
	case dir == server && len(b) >= 4 && (string(b[:3]) == "220" || string(b[:3]) == "554" || string(b[:3]) == "421") && (b[3] == ' ' || b[3] == '-') && c.key.dp != 21:
		c.Protocol = "smtp"
		k.sure = bytes.Contains(bytes.ToUpper(b[:min(len(b), 512)]), []byte("SMTP"))
	case dir == client && c.Midway && c.Server.Bytes == 0:
		k.stop()
	default:
		k.stop()
	}
	if c.Protocol != "" && c.opened != 0 && !c.Midway {
		k.add(wire.Happened, c.opened, "connected")
		k.stage("connect", "", c.t0, c.opened, true)
	}
}

// stop gives up on a stream that is no mail.
func (k *talk) stop() {
	k.c.Protocol, k.c.Requests, k.c.Replies = "", 0, 0
	k.c.Stages, k.c.Transcript, k.c.Codes, k.c.MailFrom = nil, nil, nil, nil
	k.mode = [2]mode{deaf, deaf}
	k.line = [2][]byte{}
	k.queue, k.reply = nil, nil
}

func (k *talk) add(d wire.Direction, at int64, text string) {
	if len(k.c.Transcript) >= k.t.opt.MaxLines || k.t.lines >= maxLines {
		k.c.LeftOut++
		return
	}
	if len(text) > maxShown {
		text = text[:maxShown] + "…"
	}
	k.t.lines++
	k.kept++
	k.c.Transcript = append(k.c.Transcript, wire.Line{Dir: d, At: time.Duration(at - k.c.t0), Text: strings.Clone(text)})
}

// stage notes a step; the index serves to complete it.
func (k *talk) stage(name, arg string, at, done int64, ok bool) int {
	if len(k.c.Stages) >= maxStages {
		return -1
	}
	s := Stage{Name: name, Arg: strings.Clone(clip(arg)), At: time.Duration(at - k.c.t0)}
	if done != 0 {
		s.Done, s.OK, s.Took = true, ok, time.Duration(done-at)
	}
	k.c.Stages = append(k.c.Stages, s)
	return len(k.c.Stages) - 1
}

func clip(s string) string {
	if len(s) > maxShown {
		return s[:maxShown]
	}
	return s
}

// ask queues a command that waits for its answer.
func (k *talk) ask(name, arg, tag string, at int64) {
	if len(k.queue) >= maxQueue {
		k.queue = k.queue[1:]
	}
	k.queue = append(k.queue, command{name, arg, tag, at, k.stage(name, arg, at, 0, false)})
}

// answer completes a command.
func (k *talk) answer(q command, at int64, code int, ok bool, text string, n int) {
	if q.stage < 0 {
		if ok {
			return
		}
		// a refusal is worth its place though the stages before it were too many
		if len(k.c.Stages) >= 2*maxStages {
			return
		}
		k.c.Stages = append(k.c.Stages, Stage{Name: q.name, Arg: strings.Clone(clip(q.arg)), At: time.Duration(q.at - k.c.t0)})
		q.stage = len(k.c.Stages) - 1
	}
	s := &k.c.Stages[q.stage]
	s.Done, s.OK, s.Code, s.Reply, s.Lines, s.Took = true, ok, code, strings.Clone(clip(text)), n, time.Duration(at-q.at)
}

// feed takes bytes in order.
func (k *talk) feed(dir int, b []byte, at int64) {
	if k.c.Protocol == "" && k.mode[dir] != deaf {
		k.recognise(dir, b)
	}
	if m := k.mode[dir]; m != deaf && m != sealed {
		k.packets.feed(k.c.Protocol, dir, b)
	}
	for len(b) > 0 {
		switch k.mode[dir] {
		case deaf:
			return
		case sealed:
			k.hands.feed(dir, b, at)
			return
		case octets:
			n := int(min(int64(len(b)), k.need[dir]))
			k.write(b[:n])
			k.need[dir] -= int64(n)
			b = b[n:]
			if k.need[dir] == 0 {
				k.mode[dir] = lines
				k.octetsEnd(dir, at)
			}
		case dotted:
			var end bool
			if b, end = k.dots(b); end {
				k.mode[dir] = lines
				k.dotsEnd(dir, at)
			}
		default:
			b = k.lines(dir, b, at)
		}
	}
}

// lines takes the next line; its rest is given back.
func (k *talk) lines(dir int, b []byte, at int64) []byte {
	i := bytes.IndexByte(b, '\n')
	part := b
	if i >= 0 {
		part = b[:i]
	}
	if room := maxLine - len(k.line[dir]); room > 0 {
		k.line[dir] = append(k.line[dir], part[:min(len(part), room)]...)
	}
	if i < 0 {
		return nil
	}
	text := string(bytes.TrimSuffix(k.line[dir], []byte("\r")))
	k.line[dir] = k.line[dir][:0]
	switch k.c.Protocol {
	case "smtp":
		k.smtp(dir, text, at)
	case "pop3":
		k.pop3(dir, text, at)
	case "imap":
		k.imap(dir, text, at)
	}
	return b[i+1:]
}

// begin starts a message.
func (k *talk) begin(dir int) {
	k.close(false)
	k.bol, k.carry, k.body = true, k.carry[:0], &Message{From: ends[dir]}
	if k.t.opt.Message != nil {
		w, err := k.t.opt.Message(k.c.Number, k.bodyN)
		if err != nil {
			k.t.err = err
			return
		}
		k.sink = w
	}
	k.bodyN++
}

func (k *talk) write(b []byte) {
	if k.body == nil || len(b) == 0 {
		return
	}
	k.body.Bytes += int64(len(b))
	if k.sink != nil {
		if _, err := k.sink.Write(b); err != nil {
			k.t.err = err
		}
	}
}

// close ends a message.
func (k *talk) close(whole bool) {
	if k.body == nil {
		return
	}
	k.body.Whole = whole
	if len(k.c.Messages) < maxStages {
		k.c.Messages = append(k.c.Messages, *k.body)
	}
	if k.sink != nil {
		if err := k.sink.Close(); err != nil && k.t.err == nil {
			k.t.err = err
		}
		k.sink = nil
	}
	k.body = nil
}

// dots takes a message with its dots undone; end tells that its last line came, rest is what follows it.
func (k *talk) dots(b []byte) (rest []byte, end bool) {
	for len(b) > 0 {
		if !k.bol {
			i := bytes.IndexByte(b, '\n')
			if i < 0 {
				k.write(b)
				return nil, false
			}
			k.write(b[:i+1])
			b, k.bol = b[i+1:], true
			continue
		}
		if len(k.carry) == 0 && b[0] != '.' {
			k.bol = false
			continue
		}
		k.carry = append(k.carry, b[0])
		b = b[1:]
		switch string(k.carry) {
		case ".", ".\r":
		case ".\r\n", ".\n":
			k.carry = k.carry[:0]
			return b, true
		default:
			k.write(k.carry[1:])
			k.bol = k.carry[len(k.carry)-1] == '\n'
			k.carry = k.carry[:0]
		}
	}
	return nil, false
}

// gap says that bytes of one end are missing here.
func (k *talk) gap(dir int, n, at int64) {
	switch k.mode[dir] {
	case deaf:
		return
	case sealed:
		k.hands.gap(dir)
	case octets:
		k.need[dir] = max(1, k.need[dir]-n)
		k.close(false)
	case dotted:
		k.bol, k.carry = false, k.carry[:0]
		k.close(false)
	}
	k.line[dir], k.blind[dir] = k.line[dir][:0], true
	k.add(wire.Happened, at, fmt.Sprintf("%d bytes of the %s are not in the capture", n, ends[dir]))
}

// seal turns both ends to TLS.
func (k *talk) seal(implicit bool) {
	k.mode = [2]mode{sealed, sealed}
	k.hands = newHands(k)
	k.upgraded = !implicit
}

func (k *talk) dotsEnd(dir int, at int64) {
	n := int64(0)
	if k.body != nil {
		n = k.body.Bytes
	}
	k.close(true)
	k.add(dirOf(dir), at, fmt.Sprintf("(message of %d bytes)", n))
	if k.c.Protocol == "smtp" {
		k.ask("message", strconv.FormatInt(n, 10), "", at)
	}
}

func (k *talk) octetsEnd(dir int, at int64) {
	if k.c.Protocol == "smtp" {
		if k.bdatLast {
			k.close(true)
		}
		return
	}
	k.close(true)
}

func dirOf(dir int) wire.Direction {
	if dir == client {
		return wire.Sent
	}
	return wire.Received
}

// finish notes what never came.
func (k *talk) finish() {
	c := k.c
	if c.Protocol == "" {
		return
	}
	k.close(false)
	if w := k.packets.seen; w.Requests+w.Replies > 0 {
		c.Wireshark = &w
	}
	if k.hands != nil {
		k.hands.finish()
	}
	switch {
	case k.mode[client] == dotted:
		c.Waiting, c.WaitedFor = "", 0
	case len(k.queue) > 0 && c.Server.Packets > 0:
		q := k.queue[0]
		c.Waiting, c.WaitedFor = q.name, time.Duration(c.last-q.at)+c.Quiet
	}
	if r := c.Reset; r != nil {
		k.add(wire.Happened, c.t0+int64(r.At), "reset by the "+r.By)
	} else if c.ClosedBy != "" {
		k.add(wire.Happened, c.last, "closed by the "+c.ClosedBy)
	}
}
