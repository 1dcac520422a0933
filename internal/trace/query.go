package trace

import (
	"bytes"
	"fmt"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/trace/find"
)

// Query is a question about messages: what to look for, and which of the journeys found to keep.
type Query struct {
	What   string // as the user wrote it
	Kind   QueryKind
	Text   string       // without the kind's prefix and without angle brackets
	Prefix netip.Prefix // for ByIP

	Since, Until time.Time
	Status       event.Status // keep journeys with a recipient of this fate; NoStatus keeps all
	Rejected     bool         // keep journeys with a reject
	Direction    string       // "in", "out", ""
	Messages     bool         // leave out lines that belong to no message: logins, connections

	Domains  []string  // people who ask are limited to journeys of these mail domains, see scoped; none: no limit
	Sessions int       // to so many journeys add the lines of the SMTP session the message was handed in (a store only; see Found.Session)
	Redact   *Redactor // pseudonyms in what is given (a store only; see Found.Redact)
	Newest   bool      // the latest journeys first (a store only)
	Limit    int       // so many journeys at most; 0: all
	After    Place     // only journeys behind this place in the order: the next page
}

// Place is where a page ended: the start and the id of its last journey.
type Place struct {
	Started time.Time
	ID      string
}

// QueryKind is what the text of a query is.
type QueryKind uint8

// The kinds. ByAny looks in several fields, because the text alone does not tell.
const (
	ByAny     QueryKind = iota // "x@y": an address or a message-id
	ByMessage                  // message-id
	ByQueue                    // queue id or session id
	ByAddress                  // exact address, sender or recipient
	BySender                   //
	ByRcpt                     //
	ByGlob                     // address with * and ?
	ByIP                       // address or network
	ByHost                     // host name or mail domain
	BySubject                  // part of a subject
	ByFate                     // no text: every message whose fate is asked for by Status or Rejected
)

var kindPrefixes = []struct {
	word string
	kind QueryKind
}{
	{"message-id:", ByMessage}, {"mid:", ByMessage}, {"id:", ByQueue}, {"qid:", ByQueue}, {"queue:", ByQueue}, {"from:", BySender}, {"to:", ByRcpt},
	{"ip:", ByIP}, {"host:", ByHost}, {"domain:", ByHost}, {"subject:", BySubject}, {"address:", ByAddress},
}

// ParseQuery tells what the text is: a prefix such as "subject:" or "from:" says so; otherwise its shape does.
func ParseQuery(what string) (Query, error) {
	text := strings.TrimSpace(what)
	q := Query{What: what, Text: text}
	for _, p := range kindPrefixes {
		if rest, ok := strings.CutPrefix(strings.ToLower(text), p.word); ok {
			q.Kind, q.Text = p.kind, strings.TrimSpace(text[len(text)-len(rest):])
			return q.finish()
		}
	}
	switch {
	case isNetwork(text):
		q.Kind = ByIP
	case strings.HasPrefix(text, "<") && strings.HasSuffix(text, ">"):
		q.Kind = ByAny
	case strings.ContainsAny(text, " \t"):
		q.Kind = BySubject
	case strings.HasPrefix(text, "@"), strings.ContainsAny(text, "*?"):
		q.Kind = ByGlob
	case strings.Contains(text, "@"):
		q.Kind = ByAny
	case strings.Contains(text, "."):
		q.Kind = ByHost
	default:
		q.Kind = ByQueue
	}
	return q.finish()
}

func isNetwork(s string) bool {
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return true
	}
	_, err := netip.ParsePrefix(s)
	return err == nil
}

func (q Query) finish() (Query, error) {
	if q.Kind != BySubject {
		q.Text = strings.TrimSuffix(strings.TrimPrefix(q.Text, "<"), ">")
	}
	if len(q.Text) < 2 {
		return q, fmt.Errorf("%q is too short to look for", q.What)
	}
	if (q.Kind == BySender || q.Kind == ByRcpt) && !strings.ContainsAny(q.Text, "*?@") {
		q.Text = "*@" + q.Text
	}
	switch q.Kind {
	case ByGlob:
		if strings.HasPrefix(q.Text, "@") {
			q.Text = "*" + q.Text
		}
		if strings.Trim(q.Text, "*?@.") == "" {
			return q, fmt.Errorf("%q matches everything", q.What)
		}
		if _, err := path.Match(strings.ToLower(q.Text), ""); err != nil {
			return q, fmt.Errorf("%q is no pattern: %w", q.What, err)
		}
	case ByIP:
		text := strings.Trim(q.Text, "[]")
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, err := netip.ParseAddr(text)
			if err != nil {
				return q, fmt.Errorf("%q is neither an IP address nor a network", q.What)
			}
			p = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		}
		q.Prefix = p.Masked()
	}
	return q, nil
}

// seeds looks for the text that stands in every line that can match.
func (q *Query) seeds(freq *find.Frequency) *find.Set {
	text, fold := q.Text, true
	switch q.Kind {
	case ByMessage, ByQueue:
		fold = false
	case ByGlob, BySender, ByRcpt:
		text = longestLiteral(q.Text)
	case ByIP:
		text = commonText(q.Prefix)
	case ByFate:
		text, fold = ":", false
	}
	return find.New([][]byte{[]byte(text)}, find.Options{Fold: fold}, freq)
}

// longestLiteral is the longest part of a pattern without wild cards.
func longestLiteral(pattern string) string {
	best := ""
	for _, p := range strings.FieldsFunc(pattern, func(r rune) bool { return r == '*' || r == '?' }) {
		if len(p) > len(best) {
			best = p
		}
	}
	return best
}

// commonText gives the fixed text in front of all addresses of a network.
func commonText(p netip.Prefix) string {
	a, bits := p.Addr(), p.Bits()
	if bits == a.BitLen() {
		return a.String()
	}
	if a.Is4() {
		parts := strings.Split(a.String(), ".")
		if n := bits / 8; n > 0 {
			return strings.Join(parts[:n], ".") + "."
		}
		return "."
	}
	full := a.StringExpanded()
	var groups []string
	for i := 0; i < bits/16; i++ {
		g := strings.TrimLeft(full[i*5:i*5+4], "0")
		if g == "" {
			break // zero groups may be shortened: what is before them is enough
		}
		groups = append(groups, g)
	}
	if len(groups) == 0 {
		return ":"
	}
	return strings.Join(groups, ":") + ":"
}

// Match tells whether the event is what the query looks for.
func (q *Query) Match(e *event.Event) bool {
	switch q.Kind {
	case ByMessage:
		return string(e.MessageID) == q.Text || string(e.Mention) == q.Text
	case ByQueue:
		return string(e.QueueID) == q.Text || string(e.Ref) == q.Text || sessionBase(e.Session) == q.Text && q.Text != ""
	case ByAny:
		return string(e.MessageID) == q.Text || string(e.Mention) == q.Text || q.address(e.From) || q.address(e.To) || q.address(e.OrigTo) || q.address(e.User)
	case ByAddress:
		return q.address(e.From) || q.address(e.To) || q.address(e.OrigTo) || q.address(e.User)
	case BySender:
		return q.glob(e.From)
	case ByRcpt:
		return q.glob(e.To) || q.glob(e.OrigTo)
	case ByGlob:
		return q.glob(e.From) || q.glob(e.To) || q.glob(e.OrigTo) || q.glob(e.User)
	case ByIP:
		return q.ip(e.ClientIP) || q.ip(e.RelayIP)
	case ByHost:
		return q.host(e.ClientName) || q.host(e.Relay) || q.host(e.Helo) || q.host(e.Host) || q.domain(e.From) || q.domain(e.To) || q.domain(e.OrigTo) || q.domain(e.User)
	case BySubject:
		return len(e.Subject) >= len(q.Text) && find.IndexFold(e.Subject, []byte(q.Text)) >= 0
	case ByFate:
		return q.fate(e)
	}
	return false
}

// fate tells whether the event is of the fate asked for; without one any delivery or refusal is.
func (q *Query) fate(e *event.Event) bool {
	switch {
	case q.Rejected:
		return e.Kind == event.Reject
	case q.Status == event.NoStatus:
		return e.Kind == event.Delivery || e.Kind == event.Reject
	}
	return e.Kind == event.Delivery && (e.Status == q.Status || q.Status == event.Sent && e.Status == event.Relayed)
}

func (q *Query) address(b []byte) bool {
	return len(b) == len(q.Text) && find.EqualFold(b, []byte(q.Text))
}

func (q *Query) glob(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	if d, ok := strings.CutPrefix(q.Text, "*@"); ok && !strings.ContainsAny(d, "*?[\\") {
		return len(b) > len(d) && b[len(b)-len(d)-1] == '@' && find.EqualFold(b[len(b)-len(d):], []byte(d))
	}
	ok, _ := path.Match(strings.ToLower(q.Text), strings.ToLower(strings.ReplaceAll(string(b), "/", "_")))
	return ok
}

func (q *Query) ip(b []byte) bool {
	if len(b) < 2 || len(b) > 64 {
		return false
	}
	a, err := netip.ParseAddr(strings.TrimPrefix(string(b), "IPv6:"))
	return err == nil && q.Prefix.Contains(a.Unmap())
}

func (q *Query) host(b []byte) bool {
	if n := len(b) - len(q.Text); n > 0 {
		return b[n-1] == '.' && find.EqualFold(b[n:], []byte(q.Text))
	} else if n == 0 {
		return find.EqualFold(b, []byte(q.Text))
	}
	return false
}

func (q *Query) domain(b []byte) bool {
	i := bytes.LastIndexByte(b, '@')
	return i >= 0 && q.host(b[i+1:])
}

// inTime tells whether a moment is in the asked span.
func (q *Query) inTime(at int64) bool {
	return (q.Since.IsZero() || at >= q.Since.UnixNano()) && (q.Until.IsZero() || at < q.Until.UnixNano())
}

// seedTime tells whether an event may begin a search: with --since and --until only events of that span do. What they
// lead to may lie outside.
func (q *Query) seedTime(e *event.Event) bool { return !e.TimeSet || q.inTime(e.At) }

// sessionBase takes the number of a recipient within a session (":2") off.
func sessionBase(b []byte) string { return string(base(b)) }

func base(b []byte) []byte {
	if i := bytes.LastIndexByte(b, ':'); i > 8 && i >= len(b)-4 {
		return b[:i]
	}
	return b
}
