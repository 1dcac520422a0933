package tally

import (
	"bytes"
	"hash/maphash"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
)

// rec is what the join needs of one event. The slices point into the block of lines or into the part's own scratch.
type rec struct {
	kind    event.Kind
	status  event.Status
	level   event.Level
	forward bool
	code    int16
	at      int64
	id      uint64 // host and queue id
	size    int64
	delay   time.Duration
	ha, hb  uint64 // hashes of a and b
	hw      uint64 // hash of word, where it is a login name
	a, b    []byte // the two keys of the event: see note
	c, d    []byte
	text    []byte
	word    []byte
}

type connects struct{ at, connects, clients int64 }

// Part collects the events of one block. It is an event.Sink; one goroutine fills it.
type Part struct {
	seed         maphash.Seed
	recs         []rec
	hours        []connects
	scratch      []byte
	first, last  int64
	since, until int64
	host         []byte
	hostHash     uint64
	versions     [16]int32        // by hash of direction and version of TLS: number of its record of the hour and one
	versionsAt   int64            // the hour
	clients      map[int32]uint64 // by process of Postfix, the client it has: a hash of its address
}

// Reset empties the part for the next block.
func (p *Part) Reset() {
	clear(p.recs)
	p.recs, p.hours, p.scratch = p.recs[:0], p.hours[:0], p.scratch[:0]
	p.first, p.last = 1<<62, 0
	p.host, p.versions = nil, [16]int32{}
	clear(p.clients)
}

func (p *Part) hash(b []byte) uint64 { return maphash.Bytes(p.seed, b) }

// id hashes the queue id with the host, because short queue ids of two hosts may be equal.
func (p *Part) id(e *event.Event) uint64 {
	if p.host == nil || !bytes.Equal(p.host, e.Host) {
		p.host, p.hostHash = e.Host, p.hash(e.Host)
		if p.host == nil {
			p.host = []byte{}
		}
	}
	return p.hash(e.QueueID) ^ p.hostHash
}

// Event takes one event: what can be summed at once is summed, the rest is noted for the join.
func (p *Part) Event(e *event.Event) {
	if e.TimeSet {
		if e.At < p.since || e.At > p.until {
			return
		}
		p.first, p.last = min(p.first, e.At), max(p.last, e.At)
	}
	switch e.Kind {
	case event.Subject, event.Policy:
		if onlyWarned(e.Action) {
			p.reject(e)
		} else if e.Kind == event.Policy {
			p.filter(e)
		}
	case event.Connect:
		p.connect(e)
	case event.Received:
		p.besides(e)
		p.received(e)
	case event.Active:
		p.note(e, e.From, nil).size = e.Size
	case event.Delivery:
		p.besides(e)
		p.delivery(e)
	case event.Removed:
		p.note(e, nil, nil)
	case event.Reject, event.Hold:
		p.reject(e)
	case event.Auth, event.AuthFailed, event.Login, event.LoginFailed:
		r := p.note(e, e.User, e.ClientIP)
		r.c, r.text = e.Method, e.Text
		r.size, r.forward = int64(max(1, e.Attempts)), len(e.Action) == len("lookup") && string(e.Action) == "lookup"
	case event.TLS, event.TLSFailed:
		p.tls(e)
	case event.Warning, event.Trouble, event.Started, event.Lost:
		r := p.note(e, e.Program, nil)
		r.text = e.Text
		if r.text == nil {
			r.text = e.Msg
		}
	case event.Filter, event.Sieve, event.Screen:
		p.filter(e)
	case event.ConnectError:
		r := p.note(e, e.Relay, nil)
		r.text = e.Text
	}
}

// note appends a record with its two keys hashed.
func (p *Part) note(e *event.Event, a, b []byte) *rec {
	p.recs = append(p.recs, rec{kind: e.Kind, status: e.Status, level: e.Level, code: e.Code, at: e.At, a: a, b: b})
	r := &p.recs[len(p.recs)-1]
	if a != nil {
		r.ha = p.hash(a)
	}
	if b != nil {
		r.hb = p.hash(b)
	}
	if e.QueueID != nil {
		r.id = p.id(e)
	}
	return r
}

func (p *Part) connect(e *event.Event) {
	p.hour(e.At).connects++
	if e.ClientIP != nil {
		p.note(e, nil, e.ClientIP)
	}
}

func (p *Part) hour(at int64) *connects {
	h := at - at%int64(time.Hour)
	if n := len(p.hours); n == 0 || p.hours[n-1].at != h {
		p.hours = append(p.hours, connects{at: h})
	}
	return &p.hours[len(p.hours)-1]
}

// client counts the connection in which another machine handed in a message: a process of Postfix that takes several of one
// client in a row has one connection for them.
func (p *Part) client(e *event.Event) {
	if len(e.ClientIP) == 0 || local(e.ClientIP) {
		return
	}
	if e.Software == event.Postfix && e.PID != 0 {
		ip := p.hash(e.ClientIP)
		if p.clients[e.PID] == ip {
			return
		}
		if p.clients == nil {
			p.clients = map[int32]uint64{}
		}
		p.clients[e.PID] = ip
	}
	p.hour(e.At).clients++
}

func (p *Part) received(e *event.Event) {
	p.client(e)
	from := e.From
	if e.Software == event.Postfix {
		from = nil // its queue manager tells sender and size later
	}
	r := p.note(e, from, e.ClientIP)
	r.c, r.d, r.word, r.size = e.ClientName, e.Method, e.User, e.Size
	r.forward = reinjected(e)
	if len(e.User) > 0 {
		r.hw = p.hash(e.User)
	}
}

// reinjected tells a message that comes back from a content filter through a service of its own name
// ("postfix/reinject/smtpd") on the loopback interface. Through a service without a name of its own it cannot be told
// from mail of the machine itself.
func reinjected(e *event.Event) bool {
	if ip := string(e.ClientIP); ip != "127.0.0.1" && ip != "::1" {
		return false
	}
	i := bytes.IndexByte(e.Program, '/')
	j := bytes.LastIndexByte(e.Program, '/')
	if i < 0 || i == j {
		return false
	}
	service := string(e.Program[i+1 : j])
	return service != "smtps" && service != "submission" && service != "submissions"
}

func (p *Part) delivery(e *event.Event) {
	to := p.lowerDomain(e.To)
	dom := to
	if i := bytes.LastIndexByte(to, '@'); i >= 0 {
		dom = to[i+1:]
	}
	r := p.note(e, to, dom)
	r.delay, r.c, r.d, r.forward = e.Delay, e.Relay, e.RelayIP, e.RefIs == event.Forward
	if e.Status != event.Sent {
		r.text, r.word = e.Text, e.Stage
	}
}

// lowerDomain writes the domain of an address in lower case, without a copy where it is so already.
func (p *Part) lowerDomain(addr []byte) []byte {
	at := bytes.LastIndexByte(addr, '@')
	if at < 0 {
		return addr
	}
	for _, c := range addr[at:] {
		if c-'A' < 26 {
			start := len(p.scratch)
			p.scratch = append(p.scratch, addr...)
			out := p.scratch[start:len(p.scratch):len(p.scratch)]
			for i := at; i < len(out); i++ {
				if out[i]-'A' < 26 {
					out[i] += 'a' - 'A'
				}
			}
			return out
		}
	}
	return addr
}

// onlyWarned tells Postfix's "would have been refused": warn_if_reject and WARN actions of header checks.
func onlyWarned(action []byte) bool {
	return string(action) == "reject_warning" || string(action) == "warning"
}

func (p *Part) reject(e *event.Event) {
	r := p.note(e, e.To, e.ClientIP)
	if r.kind != event.Hold {
		r.kind = event.Reject
	}
	r.c, r.d, r.text, r.word = e.From, e.Stage, e.Text, e.Action
}

// besides counts the TLS of a line that tells it beside something else, as Exim's do.
func (p *Part) besides(e *event.Event) {
	if e.TLSVersion == nil || e.Kind != event.Received && e.Status != event.Sent {
		return
	}
	of := event.Event{Origin: e.Origin, Kind: event.TLS, TLSVersion: e.TLSVersion, Outbound: e.Kind == event.Delivery}
	p.tls(&of)
}

// tls counts versions by hour and direction: "in TLSv1.3", "out failed".
func (p *Part) tls(e *event.Event) {
	if h := e.At - e.At%int64(time.Hour); h != p.versionsAt {
		p.versions, p.versionsAt = [16]int32{}, h
	}
	start := len(p.scratch)
	dir := "in "
	if e.Outbound {
		dir = "out "
	}
	p.scratch = append(p.scratch, dir...)
	if e.Kind == event.TLSFailed {
		p.scratch = append(p.scratch, "failed"...)
	} else {
		v := e.TLSVersion
		if len(v) > 4 && string(v[:4]) == "TLS1" { // Exim's way of writing it
			p.scratch = append(p.scratch, "TLSv"...)
			v = v[3:]
		}
		p.scratch = append(p.scratch, v...)
	}
	key := p.scratch[start:len(p.scratch):len(p.scratch)]
	h := p.hash(key)
	at := &p.versions[h%uint64(len(p.versions))] // the same few versions stand in every block
	if i := int(*at) - 1; i >= 0 && p.recs[i].ha == h {
		p.recs[i].size++
		p.scratch = p.scratch[:start]
		return
	}
	p.note(e, key, nil).size = 1
	*at = int32(len(p.recs))
}

func (p *Part) filter(e *event.Event) {
	r := p.note(e, e.Filter, nil)
	r.c, r.d, r.text = e.Verdict, e.Action, e.Text
}
