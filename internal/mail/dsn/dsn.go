// Package dsn reads reports about the fate of a message: standard delivery status notifications and the home-made
// reports of mail servers that know no standard, and tells them from automatic answers, complaints and ordinary mail.
//
// Promise: what stands in the report, and who wrote it; no opinion on what it means. Nothing is invented: a status or
// code that is not there is "". Bounded: at most MaxParts parts, MaxDepth levels of nesting, MaxText bytes of text and
// MaxRecipients recipients. Home-made forms come as data (Forms), so that a new server is a row of a table. RFCs: 3464,
// 6533, 6522 (3462), 3834, 5965 (only recognised), 2045, 2047, 8098 (only recognised). It must not look anything up.
package dsn

import (
	"bytes"
	"strings"

	"github.com/mailwhy/mailwhy/internal/mail/header"
)

// Bounds of what is read.
const (
	MaxParts      = 10000
	MaxDepth      = 12
	MaxText       = 256 << 10
	MaxRecipients = 1000
)

// Kind says what a message is.
type Kind string

// The kinds of message.
const (
	Bounce     Kind = "bounce"
	Delay      Kind = "delay"
	Success    Kind = "success"
	AutoReply  Kind = "auto-reply"
	Complaint  Kind = "complaint"
	NotABounce Kind = "not-a-bounce"
)

// Report is what a message says about other messages.
type Report struct {
	Kind         Kind
	Form         string // which form of report: "dsn" for the standard alone, else the name of a Form
	Software     string // who wrote it, as far as known: "Postfix"
	ReportingMTA string // host, without the type
	From         string // header From of the report
	Subject      string
	Date         string
	Recipients   []Recipient
	Original     Original // the message it is about
	Complaint    map[string]string
	Forwarded    bool     // the report was found inside another message
	Text         string   // the human-readable text, cut
	Limits       []string // bounds that were reached: "parts", "depth", "text", "recipients"
}

// Recipient is what a report says about one recipient.
type Recipient struct {
	Address    string // as the report names it
	Original   string // Original-Recipient or the alias it was expanded from, where another
	Action     string // failed, delayed, delivered, relayed, expanded, or ""
	Status     string // Status field, or ""
	Diagnostic string // Diagnostic-Code without its type, or ""
	DiagType   string // "smtp", "x-unix", "x-postfix", lower case
	RemoteMTA  string // host, without the type
	Text       string // the human-readable lines about this recipient
	Transcript string // SMTP lines quoted by the report
	Hint       string // the form's own code of the cause, where it has one
	Evidence   []Line // the very lines
	Named      bool   // the report itself names the recipient; else it comes from the returned message
}

// Line is a line of the report.
type Line struct {
	N    int    // line number in the message, from 1; 0 where the text was decoded
	Text string // verbatim
}

// Original is what the report returns of the message.
type Original struct {
	From, To, Subject, MessageID, Date, ReturnPath string
	To2                                            []string // further addresses: Delivered-To, X-Failed-Recipients
}

// Read reads a whole message.
func Read(msg []byte, forms *Forms) *Report {
	r := &reader{forms: forms, rep: &Report{}}
	return r.read(msg, 0)
}

type reader struct {
	forms  *Forms
	rep    *Report
	head   *header.Block
	parts  int
	plain  []string // texts in order
	html   []string
	status []string // delivery-status parts
	arf    string
	mdn    bool
	nested [][]byte // attached messages, unread
	orig   bool
	low    string // the text in lower case
	end    int    // where its first end mark stands, or -1
}

func (r *reader) read(msg []byte, depth int) *Report {
	msg = skipMboxLine(msg)
	head, body, err := header.ParseBytes(msg, header.Limits{})
	if err != nil {
		r.limit("header")
	}
	r.head = head
	r.rep.From, r.rep.Subject, r.rep.Date = head.Text("From"), head.Text("Subject"), head.Get("Date")
	r.walk(contentOf(head.Get("Content-Type"), head.Get("Content-Transfer-Encoding")), body, 0)
	if len(r.status) == 0 && r.arf == "" {
		if rep := r.attached(depth); rep != nil {
			return rep
		}
	}
	r.assemble()
	return r.rep
}

// attached reads a report that was forwarded as an attachment.
func (r *reader) attached(depth int) *Report {
	if depth >= 2 || r.looksMachine() {
		return nil
	}
	for _, m := range r.nested {
		sub := &reader{forms: r.forms, rep: &Report{}, parts: r.parts}
		rep := sub.read(m, depth+1)
		if rep.Kind != NotABounce && rep.Kind != AutoReply {
			rep.Forwarded = true
			return rep
		}
	}
	return nil
}

// looksMachine tells that the outer message itself comes from a mail system, so that what is attached is the returned
// message and no report.
func (r *reader) looksMachine() bool {
	from := strings.ToLower(r.rep.From)
	return strings.Contains(from, "mailer-daemon") || strings.Contains(from, "mail delivery") || strings.Contains(from, "postmaster")
}

func (r *reader) limit(name string) {
	for _, l := range r.rep.Limits {
		if l == name {
			return
		}
	}
	r.rep.Limits = append(r.rep.Limits, name)
}

// skipMboxLine drops a "From sender date" line of an mbox in front.
func skipMboxLine(msg []byte) []byte {
	if len(msg) > 5 && string(msg[:5]) == "From " {
		for i, c := range msg {
			if c == '\n' {
				return msg[i+1:]
			}
		}
	}
	return msg
}

// Split cuts an mbox into its messages at lines "From sender date" behind an empty line (or at the start); a message
// alone is given back as it is.
func Split(box []byte) [][]byte {
	var out [][]byte
	start := 0
	for at := 0; at < len(box); {
		end := at
		for end < len(box) && box[end] != '\n' {
			end++
		}
		if at > start && fromLine(box[at:end]) && blankBefore(box, at) && fieldFollows(box[min(end+1, len(box)):]) {
			out = append(out, box[start:at])
			start = at
		}
		at = end + 1
	}
	return append(out, box[start:])
}

// fromLine tells the envelope line of an mbox: "From ", a sender, and a time with a colon and a year.
func fromLine(line []byte) bool {
	s := strings.TrimRight(string(line[:min(len(line), 200)]), "\r ")
	if !strings.HasPrefix(s, "From ") || strings.Count(s, ":") < 2 {
		return false
	}
	f := strings.Fields(s)
	return len(f) >= 6 || len(f) == 4
}

func blankBefore(box []byte, at int) bool {
	if s := string(box[max(0, at-3):at]); strings.HasSuffix(s, "\n\n") || strings.HasSuffix(s, "\n\r\n") {
		return true
	}
	prev := box[bytes.LastIndexByte(box[:at-1], '\n')+1 : at]
	return bytes.HasPrefix(prev, []byte("--")) && bytes.HasSuffix(bytes.TrimRight(prev, "\r\n"), []byte("--")) // some writers forget the empty line behind the last boundary
}

// fieldFollows tells that a header field stands on the next line.
func fieldFollows(b []byte) bool {
	i := 0
	for i < len(b) && i < 60 && (b[i]|0x20 >= 'a' && b[i]|0x20 <= 'z' || b[i] == '-' || b[i] >= '0' && b[i] <= '9') {
		i++
	}
	return i > 1 && i < len(b) && b[i] == ':'
}
