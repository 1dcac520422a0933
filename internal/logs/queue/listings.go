package queue

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// json reads a line of postqueue -j (postqueue(1), "JSON OBJECT FORMAT").
func (p *parser) json(line []byte) {
	var o struct {
		Queue   string `json:"queue_name"`
		ID      string `json:"queue_id"`
		Arrived int64  `json:"arrival_time"`
		Size    int64  `json:"message_size"`
		Forced  bool   `json:"forced_expire"`
		Sender  string `json:"sender"`
		Rcpts   []struct {
			Address string `json:"address"`
			Reason  string `json:"delay_reason"`
		} `json:"recipients"`
	}
	if len(bytes.TrimSpace(line)) == 0 {
		return
	}
	if json.Unmarshal(line, &o) != nil || o.ID == "" {
		p.sum.Strange++
		return
	}
	e := Entry{ID: o.ID, Queue: o.Queue, Arrived: time.Unix(o.Arrived, 0), Size: o.Size, Sender: o.Sender, Forced: o.Forced}
	if o.Sender == "MAILER-DAEMON" {
		e.Sender = ""
	}
	p.begin(e)
	for _, r := range o.Rcpts {
		p.recipient(r.Address, r.Reason)
	}
}

// postfix reads a line of postqueue -p.
func (p *parser) postfix(line []byte) {
	switch {
	case len(bytes.TrimSpace(line)) == 0, line[0] == '-', bytes.HasPrefix(line, []byte("Mail queue is empty")), bytes.HasPrefix(line, []byte("postqueue: ")):
	case line[0] != ' ' && line[0] != '(':
		p.postfixHead(line)
	default:
		p.recipientOrReason(bytes.TrimSpace(line))
	}
}

// postfixHead reads "4F2B1986D2*    1234 Sun Nov 22 01:45:23  sender@x".
func (p *parser) postfixHead(line []byte) {
	f := strings.Fields(string(line))
	if len(f) < 6 {
		p.sum.Strange++
		return
	}
	size, err := strconv.ParseInt(f[1], 10, 64)
	at, ok := yearless(strings.Join(f[2:6], " "), p.now)
	if err != nil || !ok {
		p.sum.Strange++
		return
	}
	e := Entry{ID: strings.TrimRight(f[0], "*!#"), Queue: "deferred", Arrived: at, Size: size}
	switch f[0][len(f[0])-1] {
	case '*':
		e.Queue = "active"
	case '!':
		e.Queue = "hold"
	case '#':
		e.Forced = true
	}
	if len(f) > 6 && f[6] != "MAILER-DAEMON" {
		e.Sender = f[6]
	}
	p.begin(e)
}

// recipientOrReason reads an indented line: a reason in parentheses stands before the recipients it is about.
func (p *parser) recipientOrReason(b []byte) {
	if len(b) > 1 && b[0] == '(' && b[len(b)-1] == ')' {
		p.reason = string(b[1 : len(b)-1])
		return
	}
	p.recipient(bare(b), p.reason)
}

// sendmail reads a line of Sendmail's mailq: of one queue or of several, each with a head of its own.
func (p *parser) sendmail(line []byte) {
	trimmed := bytes.TrimSpace(line)
	switch {
	case len(trimmed) == 0, trimmed[0] == '-', bytes.Contains(trimmed, []byte("is empty")), bytes.HasPrefix(trimmed, []byte("Total requests:")), sendmailTalk(trimmed), queueHead(trimmed):
		p.flush()
	case line[0] == ' ' || line[0] == '\t' || line[0] == '(':
		p.sendmailDetail(trimmed)
	default:
		p.sendmailHead(string(line))
	}
}

// sendmailTalk tells lines that are about no message: which queue comes, and complaints about the configuration.
func sendmailTalk(b []byte) bool {
	for _, w := range [...]string{"MSP Queue status", "MTA Queue status", "WARNING: ", "Warning: "} {
		if bytes.HasPrefix(b, []byte(w)) {
			return true
		}
	}
	return bytes.HasSuffix(b, []byte("(job completed)")) || bytes.HasSuffix(b, []byte("(no control file)"))
}

// queueHead reads "/var/spool/mqueue/q1 (2 requests)" and "… (1 request, only 1 printed)".
func queueHead(b []byte) bool {
	i := bytes.LastIndexByte(b, '(')
	return i > 0 && b[0] == '/' && bytes.Contains(b[i:], []byte(" request"))
}

// sendmailDetail reads what stands below a message: whom it is for, why it waits, why it is held.
func (p *parser) sendmailDetail(b []byte) {
	if !p.open {
		return
	}
	if why, ok := bytes.CutPrefix(b, []byte("QUARANTINE: ")); ok {
		p.cur.Queue, p.reason = "hold", string(why)
		return
	}
	if bytes.HasPrefix(b, []byte("(---")) { // who is told of what a recipient's own program does
		return
	}
	for _, body := range [...]string{"8BITMIME", "7BIT"} {
		if rest, ok := bytes.CutPrefix(b, []byte(body)); ok && len(rest) > 0 && rest[0] == ' ' {
			b = bytes.TrimLeft(rest, " ")
		}
	}
	p.recipientOrReason(b)
}

// sendmailHead reads "x5N1aBcD012345*    1234 Sun Nov 22 01:45 <sender@x>", or, told verbosely, with the priority in the
// place of the day of the week: "1234      30345+Nov 22 01:45 <sender@x>".
func (p *parser) sendmailHead(line string) {
	f := strings.Fields(line)
	at, ok := time.Time{}, false
	rest := 6
	if len(f) > 5 {
		if at, ok = yearless(strings.Join(f[2:6], " "), p.now); !ok {
			if _, mon, plus := strings.Cut(f[2], "+"); plus && mon != "" {
				at, ok = monthly(mon+" "+strings.Join(f[3:5], " "), p.now)
				rest = 5
			} else {
				at, ok = monthly(strings.Join(f[3:6], " "), p.now)
			}
		}
	}
	size := int64(0)
	err := strconv.ErrSyntax
	if ok {
		size, err = strconv.ParseInt(f[1], 10, 64)
	}
	if err != nil {
		p.sum.Strange++
		return
	}
	e := Entry{ID: strings.TrimRight(f[0], "*-X?"), Queue: "deferred", Arrived: at, Size: size}
	switch f[0][len(f[0])-1] {
	case '*':
		e.Queue = "active"
	case '?':
		e.Queue = "hold"
	}
	if len(f) > rest {
		e.Sender = bare([]byte(f[rest]))
	}
	if e.Sender == "MAILER-DAEMON" {
		e.Sender = ""
	}
	p.begin(e)
}

// exim reads a line of exim -bp: a head, then a line per recipient, "D" in front of those already served.
func (p *parser) exim(line []byte) {
	if e, ok := eximHead(line, p.now); ok {
		p.begin(e)
		return
	}
	b := bytes.TrimSpace(line)
	switch {
	case len(b) == 0:
		p.flush()
	case bytes.HasPrefix(b, []byte("D ")):
	case bytes.HasPrefix(line, []byte("  ")):
		p.recipient(bare(b), "")
	default:
		p.sum.Strange++
	}
}

// eximHead reads "25m  2.9K 0t5C6f-0000c8-00 <alice@a.example> *** frozen ***"; a size may be missing.
func eximHead(line []byte, now time.Time) (Entry, bool) {
	f := strings.Fields(string(line))
	if len(f) < 3 {
		return Entry{}, false
	}
	age, ok := eximAge(f[0])
	if !ok {
		return Entry{}, false
	}
	i := 1
	size, sized := eximSize(f[1])
	if sized {
		i = 2
	}
	if i+1 >= len(f) || !eximID(f[i]) || !strings.HasPrefix(f[i+1], "<") {
		return Entry{}, false
	}
	e := Entry{ID: f[i], Queue: "deferred", Arrived: now.Add(-age), Size: size, Sender: bare([]byte(f[i+1]))}
	if strings.HasSuffix(strings.TrimSpace(string(line)), "*** frozen ***") {
		e.Queue = "frozen"
	}
	return e, true
}

func eximAge(s string) (time.Duration, bool) {
	n, err := strconv.Atoi(s[:len(s)-1])
	if err != nil || n < 0 || n > 1<<20 {
		return 0, false
	}
	unit, ok := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}[s[len(s)-1]]
	return time.Duration(n) * unit, ok
}

func eximSize(s string) (int64, bool) {
	mult := 1.0
	switch {
	case strings.HasSuffix(s, "K"):
		s, mult = s[:len(s)-1], 1024
	case strings.HasSuffix(s, "M"):
		s, mult = s[:len(s)-1], 1<<20
	case strings.HasSuffix(s, "G"):
		s, mult = s[:len(s)-1], 1<<30
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || v < 0 || v > 1e6 {
		return 0, false
	}
	return int64(v * mult), true
}

// eximID tells "0t5C6f-0000c8-00" and the longer form of Exim 4.97 on.
func eximID(s string) bool {
	parts := strings.Split(s, "-")
	if len(parts) != 3 || len(parts[0]) != 6 {
		return false
	}
	short, long := len(parts[1]) == 6 && len(parts[2]) == 2, len(parts[1]) == 11 && len(parts[2]) == 4
	for _, c := range s {
		if c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return short || long
}
