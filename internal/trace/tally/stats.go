package tally

import (
	"slices"
	"strings"
	"time"
)

// Totals are the grand totals. Messages that pass a content filter are counted at each pass, as pflogsumm does; Local
// tells how many of the deliveries did not leave the machine.
type Totals struct {
	Received       int64 `json:"received"`
	Reinjected     int64 `json:"reinjected"` // came back from a content filter, not counted as received
	Delivered      int64 `json:"delivered"`
	Local          int64 `json:"local"`
	Forwarded      int64 `json:"forwarded"`
	Filtered       int64 `json:"filtered"`
	Deferred       int64 `json:"deferred"`  // messages
	Deferrals      int64 `json:"deferrals"` // attempts
	Bounced        int64 `json:"bounced"`
	Expired        int64 `json:"expired"` // messages given up for their age
	Rejected       int64 `json:"rejected"`
	RejectWarnings int64 `json:"reject_warnings"`
	Held           int64 `json:"held"`
	Discarded      int64 `json:"discarded"`
	BytesReceived  int64 `json:"bytes_received"`
	BytesDelivered int64 `json:"bytes_delivered"`
	Connections    int64 `json:"connections"`
	LoginsOK       int64 `json:"logins_ok"`
	LoginsFailed   int64 `json:"logins_failed"`
	InQueue        int64 `json:"in_queue"` // messages seen that had not left when the log ends
	Senders        int64 `json:"senders"`
	SenderDomains  int64 `json:"sender_domains"`
	Recipients     int64 `json:"recipients"` // with at least one delivery
	RecipientDoms  int64 `json:"recipient_domains"`
}

// Hour is one hour of the log, in UTC steps.
type Hour struct {
	At           time.Time `json:"at"`
	Received     int64     `json:"received"`
	Delivered    int64     `json:"delivered"`
	Deferred     int64     `json:"deferred"`
	Bounced      int64     `json:"bounced"`
	Rejected     int64     `json:"rejected"`
	Connections  int64     `json:"connections"`
	LoginsOK     int64     `json:"logins_ok"`
	LoginsFailed int64     `json:"logins_failed"`
	InQueue      int64     `json:"in_queue"` // at the end of the hour
	Clients      int64     `json:"clients"`  // connections of other machines that handed in mail
	TLS          int64     `json:"tls"`      // connections, or messages where only those are told of, that came in with TLS
}

// Address is what is counted by address and by domain.
type Address struct {
	Messages  int64         `json:"messages"`
	Bytes     int64         `json:"bytes"`
	Deferrals int64         `json:"deferrals"`
	Bounces   int64         `json:"bounces"`
	DelaySum  time.Duration `json:"-"`
	DelayMax  time.Duration `json:"-"`
}

// Client is what is counted by the address of a client.
type Client struct {
	Connections int64 `json:"connections"`
	Messages    int64 `json:"messages"`
	Rejected    int64 `json:"rejected"`
}

// Relay is what is counted by the family of a next host.
type Relay struct {
	Sent     int64         `json:"sent"`
	Deferred int64         `json:"deferred"`
	Bounced  int64         `json:"bounced"`
	DelaySum time.Duration `json:"-"`
	Hours    []RelayHour   `json:"-"`
	Reasons  []RelayReason `json:"-"` // the first so many that it gave
}

// What is kept of one relay: so many reasons, and an example of the first few.
const (
	maxRelayReasons  = 16
	maxRelayExamples = 4
	maxRelayExample  = 200
)

// RelayReason is how often a relay gave one reason.
type RelayReason struct {
	Count   int64
	Reason  int    // index into Stats.Reasons, -1 where it was forgotten there
	Example string // the first time's words, at most 200 bytes; "" for all but the first few reasons of a relay
	key     uint64
}

// because counts a reason of the relay by its key.
func (r *Relay) because(key uint64, text []byte) {
	for i := range r.Reasons {
		if r.Reasons[i].key == key {
			r.Reasons[i].Count++
			return
		}
	}
	if len(r.Reasons) == maxRelayReasons {
		return
	}
	new := RelayReason{Count: 1, Reason: -1, key: key}
	if len(r.Reasons) < maxRelayExamples {
		new.Example = string(text[:min(len(text), maxRelayExample)])
	}
	r.Reasons = append(r.Reasons, new)
}

// RelayHour is an hour in which a relay deferred.
type RelayHour struct {
	At       int64 // nanoseconds since 1970 UTC, start of the hour
	Deferred int64
}

type reason struct {
	n           int64
	kind, text  string
	who, relay  string
	stage       string
	code        int16
	first, last int64
}

// Reason is one reason for not delivering or not accepting, with an example verbatim.
type Reason struct {
	Kind    string    `json:"kind"` // deferred, bounced, rejected, reject-warning, held, discarded
	Count   int64     `json:"count"`
	Code    int       `json:"code,omitempty"`
	Stage   string    `json:"stage,omitempty"`
	Example string    `json:"example"`
	Who     string    `json:"who,omitempty"` // recipient of the example
	Relay   string    `json:"relay,omitempty"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
}

// Row is an entry of a table by key.
type Row[T any] struct {
	Key string `json:"key"`
	Val T      `json:"numbers"`
}

// Table is the head of a table, heaviest first.
type Table[T any] struct {
	Rows     []Row[T] `json:"rows"`
	Distinct int64    `json:"distinct"`
	Exact    bool     `json:"exact"` // Distinct is exact; otherwise an estimate within 2 %
	Cut      int64    `json:"cut"`   // light entries that were forgotten
}

// Account is a login name.
type Account struct {
	OK       int64     `json:"ok"`
	Failed   int64     `json:"failed"`
	Messages int64     `json:"messages"` // submitted after login
	PerHour  int64     `json:"per_hour"` // most in one hour
	PeakAt   time.Time `json:"peak_at,omitzero"`
	Networks []Place   `json:"networks"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
}

// Place is a network from which an account logged in.
type Place struct {
	Network string    `json:"network"`
	IP      string    `json:"ip"` // the last address of it
	Count   int64     `json:"count"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
}

// Source is a client address that tried to log in.
type Source struct {
	OK        int64     `json:"ok"`
	Failed    int64     `json:"failed"`
	Users     []string  `json:"users"` // accounts tried without success, at most 64
	PerMinute int64     `json:"per_minute"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
}

// Stats is the whole sum.
type Stats struct {
	From             time.Time      `json:"from"`
	To               time.Time      `json:"to"`
	Totals           Totals         `json:"totals"`
	Hours            []Hour         `json:"hours"`
	Senders          Table[Address] `json:"senders"`
	SenderDomains    Table[Address] `json:"sender_domains"`
	Recipients       Table[Address] `json:"recipients"`
	RecipientDomains Table[Address] `json:"recipient_domains"`
	Clients          Table[Client]  `json:"clients"`
	Relays           Table[Relay]   `json:"relays"`
	Reasons          []Reason       `json:"reasons"`
	Accounts         Table[Account] `json:"accounts"`
	Sources          Table[Source]  `json:"sources"`
	Words            []Row[int64]   `json:"words"` // warnings, fatal, panic, filters: "kind program text"
	TLS              []Row[int64]   `json:"tls"`   // "in TLSv1.3", "out failed"
}

// Stats closes the sum. top bounds the rows of the tables of addresses and clients, 0 means all; relays, accounts,
// sources and reasons are always whole, because opinions need them.
func (t *Tally) Stats(top int) *Stats {
	s := &Stats{Totals: t.total}
	if t.last > 0 {
		s.From, s.To = time.Unix(0, t.first), time.Unix(0, t.last)
	}
	s.Totals.InQueue = int64(t.msgs.len())
	if t.now != nil {
		t.now.InQueue = int64(t.msgs.len())
	}
	for _, h := range t.hours {
		s.Hours = append(s.Hours, *h)
		s.Totals.Connections += h.Connections
	}
	slices.SortFunc(s.Hours, func(a, b Hour) int { return a.At.Compare(b.At) })
	s.Totals.Senders, _ = t.senders.distinct()
	s.Totals.SenderDomains, _ = t.senderDoms.distinct()
	s.Totals.Recipients, s.Totals.RecipientDoms = delivered(t.rcpts), delivered(t.rcptDoms)
	s.Senders, s.SenderDomains = head(t.senders, top), head(t.senderDoms, top)
	s.Recipients, s.RecipientDomains = head(t.rcpts, top), head(t.rcptDoms, top)
	s.Clients, s.Relays = head(t.clients, top), head(t.relays, 0)
	s.Accounts = convert(head(t.accounts, 0), (*account).public)
	s.Sources = convert(head(t.sources, 0), (*source).public)
	s.Words, s.TLS = head(t.words, 0).Rows, head(t.tls, 0).Rows
	at := map[uint64]int{}
	for i, e := range t.reasons.sorted(0) {
		r := e.val
		at[e.hash] = i
		s.Reasons = append(s.Reasons, Reason{r.kind, r.n, int(r.code), r.stage, r.text, r.who, r.relay, time.Unix(0, r.first), time.Unix(0, r.last)})
	}
	for _, relay := range s.Relays.Rows {
		for i := range relay.Val.Reasons {
			r := &relay.Val.Reasons[i]
			r.Reason = -1
			if n, ok := at[r.key]; ok {
				r.Reason = n
			}
		}
	}
	return s
}

func head[T any](t *table[T], top int) Table[T] {
	es := t.sorted(top)
	out := Table[T]{Cut: t.cut, Rows: make([]Row[T], 0, len(es))}
	out.Distinct, out.Exact = t.distinct()
	for _, e := range es {
		out.Rows = append(out.Rows, Row[T]{e.key, e.val})
	}
	return out
}

func convert[A, B any](t Table[A], f func(*A) B) Table[B] {
	out := Table[B]{Distinct: t.Distinct, Exact: t.Exact, Cut: t.Cut, Rows: make([]Row[B], 0, len(t.Rows))}
	for i := range t.Rows {
		out.Rows = append(out.Rows, Row[B]{t.Rows[i].Key, f(&t.Rows[i].Val)})
	}
	return out
}

func (a *account) public() Account {
	out := Account{OK: a.OK, Failed: a.Failed, Messages: a.Messages, PerHour: a.peak, PeakAt: moment(a.peakAt), First: time.Unix(0, a.First), Last: time.Unix(0, a.Last), Networks: []Place{}}
	for _, p := range a.networks {
		out.Networks = append(out.Networks, Place{p.net.String(), p.ip.String(), p.n, time.Unix(0, p.first), time.Unix(0, p.last)})
	}
	return out
}

func (s *source) public() Source {
	out := Source{OK: s.OK, Failed: s.Failed, PerMinute: s.peak, First: time.Unix(0, s.First), Last: time.Unix(0, s.Last), Users: []string{}}
	for u := range s.users {
		out.Users = append(out.Users, u)
	}
	slices.SortFunc(out.Users, strings.Compare)
	return out
}

func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// delivered counts the keys with a delivery; where keys were forgotten the share among the kept ones is taken.
func delivered(t *table[Address]) int64 {
	var n int64
	for i := range t.ents {
		if t.ents[i].val.Messages > 0 {
			n++
		}
	}
	all, exact := t.distinct()
	if exact || len(t.ents) == 0 {
		return n
	}
	return all * n / int64(len(t.ents))
}
