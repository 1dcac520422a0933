package trace

import (
	"bytes"
	"slices"
	"strconv"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
)

// How far around a line the rest of its SMTP session is looked for, in bytes.
const (
	lookBack  = 2 << 20
	lookAhead = 512 << 10
)

// Session adds to a journey the lines of the SMTP session in which a message was handed in: they carry no queue id, only
// the process id of the server. It is looked for near the line that names the queue id.
func (f *Found) Session(j *Journey) {
	c := f.cutter()
	var extra []Step
	for i := range j.Steps {
		s := &j.Steps[i]
		if s.PID == 0 || s.ClientIP == "" || s.kind != event.Received && s.kind != event.Reject {
			continue
		}
		extra = append(extra, c.session(s)...)
		extra = append(extra, c.policies(s, j)...)
	}
	have := map[[2]int64]bool{}
	for i := range j.Steps {
		have[[2]int64{j.Steps[i].rank, j.Steps[i].Offset}] = true
	}
	steps := j.Steps
	for _, s := range extra {
		key := [2]int64{s.rank, s.Offset}
		if !have[key] {
			have[key] = true
			steps = append(steps, s)
		}
	}
	if len(steps) == len(j.Steps) {
		return
	}
	sortSteps(steps)
	id := j.ID()
	*j = *build(steps)
	j.id = id
}

// How far in time from the message a policy server is asked about it, and how many lines with the client's address are
// looked at for that.
const (
	policyTime  = int64(30 * time.Second)
	policyLines = 200
)

// policies gives what policy servers (greylisting, SPF, limits) said of the client, the sender and the recipients near a
// line: they name no queue id, and another process wrote them.
func (c *cutter) policies(s *Step, j *Journey) (out []Step) {
	src := c.f.sources[s.src]
	text := src.text
	if src.around != nil {
		text = src.around
	}
	var ip []byte
	whole := bytes.Clone(c.line(s.src, s.Offset))
	c.reader(s.src).Line(whole, s.src, s.Offset, event.SinkFunc(func(e *event.Event) {
		if ip == nil {
			ip = bytes.Clone(e.ClientIP)
		}
	}))
	if len(ip) == 0 {
		return nil
	}
	take := func(line []byte, off int64) (near bool) {
		near = true
		found := false
		c.reader(s.src).Line(line, s.src, off, event.SinkFunc(func(e *event.Event) {
			near = near && (!e.TimeSet || e.At >= s.at-policyTime && e.At <= s.at+policyTime)
			found = found || near && e.Kind == event.Policy && e.Filter != nil && e.QueueID == nil && bytes.Equal(e.ClientIP, ip) && string(e.Host) == s.Host && c.concerns(e, j)
		}))
		if found {
			if c.f.Redact != nil {
				line = c.redacted(s.src, off, line)
			}
			c.reader(s.src).Line(line, s.src, off, event.SinkFunc(func(e *event.Event) {
				out = append(out, c.step(e, src.in.Name, false))
			}))
		}
		return near
	}
	from := max(0, s.Offset-lookBack)
	buf := make([]byte, s.Offset-from)
	n, _ := text.ReadAt(buf, from)
	buf = buf[:n]
	for end, left := len(buf), policyLines; left > 0; left-- {
		i := bytes.LastIndex(buf[:end], ip)
		if i < 0 {
			break
		}
		line, off := lineAround(buf, i)
		if !take(line, from+int64(off)) {
			break
		}
		end = off
	}
	ahead := make([]byte, lookAhead)
	n, _ = text.ReadAt(ahead, s.Offset)
	ahead = ahead[:n]
	for at, left := 0, policyLines; left > 0 && at < len(ahead); left-- {
		i := bytes.Index(ahead[at:], ip)
		if i < 0 {
			break
		}
		line, off := lineAround(ahead, at+i)
		if off > 0 && !take(line, s.Offset+int64(off)) {
			break
		}
		at = off + len(line) + 1
	}
	return out
}

// concerns tells whether an answer is about the sender and one of the recipients of the journey, where it names them.
func (c *cutter) concerns(e *event.Event, j *Journey) bool {
	name := func(b []byte) string {
		if c.f.Redact != nil {
			return c.f.Redact.Text(string(b))
		}
		return string(b)
	}
	if len(e.From) > 0 && j.From != nil && !sameAddress(name(e.From), *j.From) {
		return false
	}
	if len(e.To) == 0 {
		return true
	}
	to := name(e.To)
	return slices.ContainsFunc(j.Recipients, func(r Recipient) bool { return sameAddress(r.To, to) || sameAddress(r.OrigTo, to) }) ||
		slices.ContainsFunc(j.Rejects, func(r Reject) bool { return sameAddress(r.To, to) })
}

// session gives the steps of the session around one line.
func (c *cutter) session(s *Step) []Step {
	src := c.f.sources[s.src]
	text := src.text
	if src.around != nil {
		text = src.around
	}
	from := max(0, s.Offset-lookBack)
	buf := make([]byte, s.Offset-from)
	n, _ := text.ReadAt(buf, from)
	buf = buf[:n]
	mark := []byte(s.Program + "[" + strconv.Itoa(int(s.PID)) + "]: ")
	var out []Step
	for end := len(buf); ; {
		i := bytes.LastIndex(buf[:end], mark)
		if i < 0 {
			return nil // the beginning is not near: half a session says little
		}
		line, off := lineAround(buf, i)
		st, ok := c.one(s, line, from+int64(off))
		if ok && st.kind == event.Disconnect {
			return nil
		}
		if ok && sessionKind(st.kind) {
			out = append(out, st)
			if st.kind == event.Connect {
				break
			}
		}
		end = off
	}
	ahead := make([]byte, lookAhead)
	n, _ = text.ReadAt(ahead, s.Offset)
	ahead = ahead[:n]
	for at := 0; ; {
		i := bytes.Index(ahead[at:], mark)
		if i < 0 {
			return out
		}
		line, off := lineAround(ahead, at+i)
		if st, ok := c.one(s, line, s.Offset+int64(off)); ok && sessionKind(st.kind) {
			if st.kind == event.Connect {
				return out
			}
			out = append(out, st)
			if st.kind == event.Disconnect {
				return out
			}
		}
		if at += i + len(mark); at >= len(ahead) {
			return out
		}
	}
}

func sessionKind(k event.Kind) bool {
	switch k {
	case event.Connect, event.TLS, event.TLSFailed, event.Auth, event.AuthFailed, event.Lost, event.Disconnect, event.Screen:
		return true
	}
	return false
}

func lineAround(b []byte, i int) (line []byte, off int) {
	off = bytes.LastIndexByte(b[:i], '\n') + 1
	end := bytes.IndexByte(b[i:], '\n')
	if end < 0 {
		return b[off:], off
	}
	return b[off : i+end], off
}

// one parses a line of the same host.
func (c *cutter) one(like *Step, line []byte, off int64) (st Step, ok bool) {
	if c.f.Redact != nil {
		line = c.redacted(like.src, off, line)
	}
	c.reader(like.src).Line(line, like.src, off, event.SinkFunc(func(e *event.Event) {
		if e.PID == like.PID && string(e.Host) == like.Host && (e.ClientIP == nil || string(e.ClientIP) == like.ClientIP) {
			st, ok = c.step(e, c.f.sources[like.src].in.Name, false), true
		}
	}))
	return st, ok
}
