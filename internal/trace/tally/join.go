package tally

import (
	"bytes"
	"hash/maphash"
	"strings"

	"github.com/mailwhy/mailwhy/internal/event"
)

func (t *Tally) hash(b []byte) uint64 { return maphash.Bytes(t.seed, b) }

// received counts a message that entered a queue.
func (t *Tally) received(r *rec) {
	if r.forward {
		t.total.Reinjected++
		return
	}
	t.total.Received++
	t.now.Received++
	if r.b != nil {
		t.clients.at(r.hb, r.b).Messages++
	}
	if r.hw != 0 {
		t.submitted(r)
	}
	m := t.msgs.get(r.id)
	m.client = clientDomain(r.c, r.b)
	if r.a != nil && !m.sized { // Exim tells sender and size in the same line
		t.sender(&m, r)
	}
	t.keep(r.id, m)
}

// keep notes what is known of a message in the queue. Software that names no queue id has none to note it under.
func (t *Tally) keep(id uint64, m message) {
	if id != 0 {
		t.msgs.put(id, m)
	}
}

// active counts the sender of a message at its first stay in the active queue.
func (t *Tally) active(r *rec) {
	if m := t.msgs.get(r.id); !m.sized {
		t.sender(&m, r)
		t.keep(r.id, m)
	}
}

func (t *Tally) sender(m *message, r *rec) {
	from, hash, size := r.a, r.ha, r.size
	m.sized, m.size = size > 0, size
	if m.client != "" { // without it the message came by forwarding and is not counted as received
		key := from
		if len(from) == 0 {
			key = nullSender
			hash = t.hash(key)
		}
		dom := key
		if i := bytes.LastIndexByte(from, '@'); i >= 0 {
			dom = from[i+1:]
		} else if m.client != pickup {
			dom = []byte(m.client)
		}
		for _, a := range [...]*Address{t.senders.at(hash, key), t.senderDoms.at(t.lowerHash(&dom), dom)} {
			a.Messages++
			a.Bytes += size
		}
		t.total.BytesReceived += size
		m.client = ""
	}
}

// lowerHash lowers a domain and hashes it.
func (t *Tally) lowerHash(dom *[]byte) uint64 {
	for _, c := range *dom {
		if c-'A' < 26 {
			*dom = bytes.ToLower(*dom)
			break
		}
	}
	return t.hash(*dom)
}

var nullSender = []byte("<>")

const pickup = "pickup"

// clientDomain is the domain of a client as pflogsumm shortens it: the last two labels where the last has three
// letters, three where the last two are short ("host.co.uk"), the whole name otherwise, the address without a name.
func clientDomain(name, ip []byte) string {
	if len(ip) == 0 && len(name) == 0 {
		return pickup
	}
	if len(name) == 0 || string(name) == "unknown" {
		return string(ip)
	}
	one := bytes.LastIndexByte(name, '.') // in front of the last label
	two := bytes.LastIndexByte(name[:max(one, 0)], '.')
	three := bytes.LastIndexByte(name[:max(two, 0)], '.')
	last, before := len(name)-one-1, one-two-1
	switch {
	case three >= 0 && last == 2 && before >= 2 && before <= 3:
		return strings.ToLower(string(name[three+1:]))
	case two >= 0 && last == 3:
		return strings.ToLower(string(name[two+1:]))
	}
	return string(name)
}

// delivery counts one attempt for one recipient.
func (t *Tally) delivery(r *rec) {
	switch r.status {
	case event.Sent, event.Relayed:
		t.sent(r)
	case event.Deferred:
		t.deferred(r)
	case event.Bounced, event.Failed, event.Expired:
		t.bounced(r)
	case event.Discarded:
		t.total.Discarded++
	case event.Filtered:
		t.total.Filtered++
	}
}

func (t *Tally) sent(r *rec) {
	if r.forward {
		t.total.Forwarded++
		return
	}
	t.total.Delivered++
	t.now.Delivered++
	size := t.msgs.get(r.id).size
	t.total.BytesDelivered += size
	for _, a := range [...]*Address{t.rcpts.at(r.ha, r.a), t.rcptDoms.at(r.hb, r.b)} {
		a.Messages++
		a.Bytes += size
		a.DelaySum += r.delay
		a.DelayMax = max(a.DelayMax, r.delay)
	}
	if local(r.d) {
		t.total.Local++
	}
	relay := t.relay(r)
	relay.Sent++
	relay.DelaySum += r.delay
}

// local tells a hand-over that did not leave the machine: no address, a socket, or loopback (a content filter).
func local(ip []byte) bool {
	return len(ip) == 0 || ip[0] == '/' || string(ip) == "127.0.0.1" || string(ip) == "::1"
}

// relay is the entry of the next host: its name with the first label removed, so that the many hosts of one provider
// fall together; the transport where there is no host.
func (t *Tally) relay(r *rec) *Relay {
	name := r.c
	if len(name) == 0 {
		name = r.d
	}
	if len(name) == 0 || string(name) == "none" {
		name = r.b // never connected: the recipient's domain stands for the host
	}
	key := relayFamily(name)
	return t.relays.at(t.hash(key), key)
}

// relayFamily removes the first label of a name with three or more, unless it is an address.
func relayFamily(name []byte) []byte {
	i := bytes.IndexByte(name, '.')
	if i < 0 || bytes.Count(name, []byte{'.'}) < 2 || name[len(name)-1]-'0' <= 9 {
		return name
	}
	return name[i+1:]
}

func (t *Tally) deferred(r *rec) {
	t.total.Deferrals++
	t.now.Deferred++
	m := t.msgs.get(r.id)
	if !m.deferred {
		m.deferred = true
		t.keep(r.id, m)
		t.total.Deferred++
	}
	dom := t.rcptDoms.at(r.hb, r.b)
	dom.Deferrals++
	dom.DelayMax = max(dom.DelayMax, r.delay)
	t.rcpts.at(r.ha, r.a).Deferrals++
	relay := t.relay(r)
	relay.Deferred++
	relay.hour(t.nowAt).Deferred++
	relay.because(t.reason(r, "deferred"), r.text)
}

func (t *Tally) bounced(r *rec) {
	if r.status == event.Expired {
		t.total.Expired++
		return // told of the whole message; its recipients were counted as deferred
	}
	t.total.Bounced++
	t.now.Bounced++
	t.rcptDoms.at(r.hb, r.b).Bounces++
	t.rcpts.at(r.ha, r.a).Bounces++
	relay := t.relay(r)
	relay.Bounced++
	relay.because(t.reason(r, "bounced"), r.text)
}

func (t *Tally) reject(r *rec) {
	kind := "rejected"
	switch string(r.word) {
	case "reject_warning", "warning", "warn":
		t.total.RejectWarnings++
		kind = "reject-warning"
	case "hold", "milter-hold", "quarantine":
		t.total.Held++
		kind = "held"
	case "discard", "milter-discard":
		t.total.Discarded++
		kind = "discarded"
	default:
		t.total.Rejected++
		if r.b != nil {
			t.clients.at(r.hb, r.b).Rejected++
		}
	}
	t.now.Rejected++
	t.reason(r, kind)
}

// reason counts a reason text with its changing parts taken out, and gives its hash.
func (t *Tally) reason(r *rec, kind string) uint64 {
	t.key = normalise(t.key, kind, r.text)
	key := t.key
	hash := t.hash(key)
	e := t.reasons.at(hash, key)
	e.n++
	e.last = r.at
	if e.n == 1 {
		e.kind, e.text, e.code, e.first = kind, string(r.text[:min(len(r.text), 500)]), r.code, r.at
		e.who, e.relay = string(r.a[:min(len(r.a), 254)]), string(r.c[:min(len(r.c), 254)])
		stage := r.d
		if r.kind == event.Delivery { // d is the relay's address
			stage = r.word
		}
		e.stage = string(stage[:min(len(stage), 30)])
	}
	return hash
}

func (t *Tally) word(r *rec) {
	kind := r.kind.String()
	if r.level > event.Warn {
		kind = r.level.String()
	}
	switch r.kind {
	case event.Filter, event.Screen, event.Policy, event.Sieve:
		for _, w := range [...][]byte{r.a, r.c, r.d} {
			if len(w) > 0 {
				kind += " " + string(w)
			}
		}
		r.text = nil
	case event.Warning, event.Trouble, event.Started, event.Lost:
		kind += " " + string(r.a)
	}
	t.key = normalise(t.key, kind, r.text)
	key := bytes.TrimSpace(t.key) // a verdict alone has no text behind it
	*t.words.at(t.hash(key), key)++
}
