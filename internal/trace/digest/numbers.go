package digest

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/knowledge"
)

// Numbers are what the lines count for, until taken.
type Numbers struct {
	Hours map[HourKey]*Sum
	Hosts map[string]int64 // machine that logged → time of its latest line, ns

	hosts    map[string]*hostTime
	host     *hostTime // of the last line
	lastHour HourKey
	lastSum  *Sum
}

type hostTime struct {
	name string
	at   int64
}

// HourKey is what is counted apart.
type HourKey struct {
	Hour      int64 // hours since 1970 UTC
	Host      string
	Fate      Fates
	Direction Direction // of deliveries
	Provider  string    // family of the next host, "" for others
	Cause     string    // id in the table of causes, "" for what went well
}

// Fates are what is counted.
type Fates uint8

// The fates. Their numbers are stored.
const (
	Received Fates = iota + 1
	Delivered
	Deferred
	Bounced
	Rejected
	Discarded
)

// Direction is the way of a delivery.
type Direction uint8

// The directions. Their numbers are stored.
const (
	NoDirection Direction = iota
	In                    // to a mailbox here
	Out                   // to another server
)

// Sum is a count and what is summed beside it.
type Sum struct {
	N     int64
	Bytes int64
	Delay time.Duration
}

func (n *Numbers) init() {
	n.Hours, n.Hosts, n.hosts = map[HourKey]*Sum{}, map[string]int64{}, map[string]*hostTime{}
	n.host = n.hostOf(nil)
}

// Take gives the numbers and begins anew.
func (n *Numbers) Take() Numbers {
	for name, h := range n.hosts {
		if name != "" && h.at > 0 {
			n.Hosts[name] = h.at
		}
	}
	out := Numbers{Hours: n.Hours, Hosts: n.Hosts}
	*n = Numbers{}
	n.init()
	return out
}

// Add sums.
func (n *Numbers) Add(o *Numbers) {
	for k, v := range o.Hours {
		if s := n.Hours[k]; s != nil {
			s.N, s.Bytes, s.Delay = s.N+v.N, s.Bytes+v.Bytes, s.Delay+v.Delay
		} else {
			n.Hours[k] = v
		}
	}
	for h, at := range o.Hosts {
		n.Hosts[h] = max(n.Hosts[h], at)
	}
}

// hostOf finds what is kept of a host.
func (n *Numbers) hostOf(host []byte) *hostTime {
	h := n.hosts[string(host)]
	if h == nil {
		h = &hostTime{name: string(host)}
		n.hosts[h.name] = h
	}
	return h
}

// count adds what an event counts for. seen is the set of the piece.
func (n *Numbers) count(e *event.Event, w *words, seen *set) {
	if string(e.Host) != n.host.name {
		n.host = n.hostOf(e.Host)
	}
	if e.TimeSet {
		n.host.at = max(n.host.at, e.At)
	}
	switch e.Kind {
	case event.Received:
		if reinjected(e) {
			return
		}
		n.sum(e, HourKey{Fate: Received}).Bytes += e.Size
		if len(e.QueueID) > 0 {
			seen.add(hash(kindFate+1, e.QueueID, false))
		}
	case event.Active: // Postfix tells the size here, each time it tries: the first time stands beside the reception
		if len(e.QueueID) > 0 && !seen.add(hash(kindFate+1, e.QueueID, false)) && seen.add(hash(kindFate+2, e.QueueID, false)) {
			s := n.sum(e, HourKey{Fate: Received})
			s.N, s.Bytes = s.N-1, s.Bytes+e.Size
		}
	case event.Delivery:
		n.delivery(e, w)
	case event.Reject:
		n.sum(e, HourKey{Fate: Rejected, Cause: w.cause(e)})
	}
}

func (n *Numbers) delivery(e *event.Event, w *words) {
	k := HourKey{Direction: direction(e)}
	switch e.Status {
	case event.Sent, event.Relayed:
		if e.RefIs == event.Next && loopback(e.RelayIP) { // a hop through a filter
			return
		}
		k.Fate = Delivered
	case event.Deferred:
		k.Fate = Deferred
	case event.Bounced, event.Expired, event.Failed:
		k.Fate = Bounced
	case event.Discarded:
		k.Fate = Discarded
	default:
		return
	}
	if k.Direction == Out {
		k.Provider = w.provider(e.Relay)
	}
	if k.Fate == Deferred || k.Fate == Bounced {
		k.Cause = w.cause(e)
		if len(e.To) == 0 { // the whole message expired
			k.Cause = "expired"
		}
	}
	n.sum(e, k).Delay += e.Delay
}

// sum finds the sum of a key and counts one.
func (n *Numbers) sum(e *event.Event, k HourKey) *Sum {
	k.Hour = e.At / int64(time.Hour)
	if !e.TimeSet {
		k.Hour = 0
	}
	k.Host = n.host.name
	if n.lastSum == nil || n.lastHour != k {
		s := n.Hours[k]
		if s == nil {
			s = &Sum{}
			n.Hours[k] = s
		}
		n.lastHour, n.lastSum = k, s
	}
	n.lastSum.N++
	return n.lastSum
}

// direction tells a delivery to a mailbox here from one to another server.
func direction(e *event.Event) Direction {
	switch {
	case bytes.HasPrefix(e.RelayIP, []byte("private/")), bytes.HasPrefix(e.RelayIP, []byte("/")), len(e.Folder) > 0:
		return In
	case string(e.Relay) == "local", string(e.Relay) == "virtual", string(e.Relay) == "dovecot", bytes.Contains(e.Relay, []byte("local_")):
		return In
	case len(e.Relay) > 0 && len(e.RelayIP) > 0, e.Status == event.Deferred, e.Status == event.Bounced:
		return Out
	}
	return NoDirection
}

func loopback(ip []byte) bool { return bytes.HasPrefix(ip, []byte("127.")) || string(ip) == "::1" }

// reinjected tells a message that comes back from a filter through a service of its own name on the loopback interface.
func reinjected(e *event.Event) bool {
	i, j := bytes.IndexByte(e.Program, '/'), bytes.LastIndexByte(e.Program, '/')
	if !loopback(e.ClientIP) || i < 0 || i == j {
		return false
	}
	service := string(e.Program[i+1 : j])
	return service != "smtps" && service != "submission" && service != "submissions"
}

// words remembers what names and texts mean, for those that come again.
type words struct {
	know      *knowledge.Base
	families  *knowledge.Families
	providers map[string]string
	causes    map[string]string
	buf       []byte
}

const wordsKept = 50_000

func newWords(know *knowledge.Base) *words {
	w := &words{know: know, providers: map[string]string{}, causes: map[string]string{}}
	if know != nil {
		w.families, _ = know.Families() // a table that cannot be read is told of by those who open the knowledge
	}
	return w
}

// provider is the id of the family of a host.
func (w *words) provider(relay []byte) string {
	if w.families == nil || len(relay) == 0 {
		return ""
	}
	if p, ok := w.providers[string(relay)]; ok {
		return p
	}
	if len(w.providers) >= wordsKept {
		clear(w.providers)
	}
	p := ""
	if f := w.families.OfHost(string(relay)); f != nil {
		p = f.ID
	}
	w.providers[string(relay)] = p
	return p
}

// cause is the id of the cause an event's text tells.
func (w *words) cause(e *event.Event) string {
	if w.know == nil {
		return "unknown"
	}
	text := e.Text
	if i := bytes.Index(text, []byte(" said: ")); i >= 0 {
		text = text[i+7:]
	}
	if i := bytes.LastIndex(text, []byte(" (in reply to ")); i > 0 {
		text = text[:i]
	}
	w.buf = shape(append(append(append(w.buf[:0], e.Relay...), ' '), e.Stage...), text)
	w.buf = append(append(w.buf, ' '), e.DSN...)
	if c, ok := w.causes[string(w.buf)]; ok {
		return c
	}
	if len(w.causes) >= wordsKept {
		clear(w.causes)
	}
	ctx := knowledge.ReplyContext{Enhanced: string(e.DSN), Host: string(e.Relay), Command: command(string(e.Stage))}
	if e.Code != 0 {
		ctx.Code = strconv.Itoa(int(e.Code))
	}
	c := w.know.ReadReply(string(text), ctx).Cause
	w.causes[string(w.buf)] = c
	return c
}

// shape takes what changes from message to message out of a reply: addresses, and words of four digits and more.
func shape(out, text []byte) []byte {
	text = text[:min(len(text), 600)]
	for i := 0; i < len(text); {
		j, digits, at := i, 0, false
		for j < len(text) && text[j] > ' ' && text[j] != '<' && text[j] != '>' && text[j] != '[' && text[j] != ']' && text[j] != ';' && text[j] != ',' && text[j] != ')' {
			if text[j]-'0' < 10 {
				digits++
			}
			at = at || text[j] == '@'
			j++
		}
		if at || digits >= 4 {
			out = append(out, '*')
		} else {
			out = append(out, text[i:j]...)
		}
		if j < len(text) {
			out = append(out, text[j])
			j++
		}
		i = j
	}
	return out
}

// command gives the reply table's word for a stage.
func command(stage string) string {
	s := strings.ToUpper(stage)
	for _, c := range [...]string{"EHLO", "HELO", "MAIL", "RCPT", "DATA", "AUTH", "STARTTLS", "QUIT"} {
		if strings.Contains(s, c) {
			if c == "HELO" {
				return "EHLO"
			}
			return c
		}
	}
	if strings.HasPrefix(s, "CONN") || strings.HasPrefix(s, "INITIAL") {
		return "CONN"
	}
	return ""
}
