package wiretest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// DNS is a DNS server on loopback, over UDP and TCP. It serves zones as an authoritative server, or, with Recursive,
// answers as a resolver that knows all zones it holds. Set the knobs before the first question, or with Tune.
type DNS struct {
	Recursive bool                 // RA: answer across zones, follow CNAMEs, no AA, no referrals
	Faults    map[string]Fault     // by "name", "name TYPE" or "*": what goes wrong; names lower-case, without the last dot
	Hook      func(*dns.Msg) *Turn // decides before all else; nil goes on
	Transfer  bool                 // AXFR allowed
	Authentic bool                 // set AD on what it answers

	world *World // where it stands, nil for none
	mu    sync.Mutex
	zones map[string]*Zone
	asked map[string]int
	addr  string
	stop  []func()
}

// Fault is what goes wrong with an answer. The zero value changes nothing.
type Fault struct {
	Delay    time.Duration // before the answer
	Drop     bool          // no answer at all
	DropN    int           // no answer to the first n questions
	Rcode    int           // this response code and no records: dns.RcodeServerFailure, dns.RcodeRefused
	EDE      uint16        // with this extended error, where not 0
	Truncate bool          // TC over UDP, no records
	WrongID  bool
	WrongQ   bool   // answers another question
	Cut      bool   // half of the bytes
	Raw      []byte // these bytes, with the question's id
	NotAuth  bool   // without AA
	Udp      bool   // the fault is seen over UDP only
}

// Turn is what a Hook decides: a message, or nothing at all.
type Turn struct {
	Msg  *dns.Msg
	Drop bool
}

// NewDNS starts a server on loopback with the zones given as text, each with an $ORIGIN or absolute names and one SOA.
func NewDNS(zones ...string) (*DNS, error) {
	d := &DNS{zones: map[string]*Zone{}, asked: map[string]int{}, Faults: map[string]Fault{}}
	for _, text := range zones {
		if err := d.Load(text); err != nil {
			return nil, err
		}
	}
	return d, d.start()
}

// DNS starts a server that is reached by invented addresses ("198.51.100.53" or with a port).
func (w *World) DNS(fakes []string, zones ...string) (*DNS, error) {
	d, err := NewDNS(zones...)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.world = w
	d.mu.Unlock()
	for _, f := range fakes {
		if _, _, err := net.SplitHostPort(f); err != nil {
			f = net.JoinHostPort(f, "53")
		}
		w.Map("udp", f, d.addr)
		w.Map("tcp", f, d.addr)
	}
	w.OnClose(d.Close)
	return d, nil
}

// Load adds a zone, or replaces the one of the same origin.
func (d *DNS) Load(text string) error {
	z, err := ReadZone(text)
	if err != nil {
		return err
	}
	d.Add(z)
	return nil
}

// Add adds a zone, or replaces the one of the same origin.
func (d *DNS) Add(z *Zone) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.zones[z.Origin] = z
}

// Tune changes knobs while the server runs.
func (d *DNS) Tune(f func(*DNS)) { d.mu.Lock(); defer d.mu.Unlock(); f(d) }

// Addr is the loopback address:port.
func (d *DNS) Addr() string { d.meet(); return d.addr }

// meet makes what was set before the address was asked for, or dialled, visible to the one who answers: a socket alone
// does not, as Go's memory model has it.
func (d *DNS) meet() {
	d.mu.Lock()
	w := d.world
	d.mu.Unlock()
	if w != nil {
		w.meet()
	}
}

// Asked tells how often a question came: Asked("a.example MX"). "" counts all.
func (d *DNS) Asked(question string) int { d.mu.Lock(); defer d.mu.Unlock(); return d.asked[question] }

// Close stops the server.
func (d *DNS) Close() {
	for _, f := range d.stop {
		f()
	}
}

// start opens the same port for UDP and TCP.
func (d *DNS) start() error {
	for range 20 {
		p, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp", p.LocalAddr().String())
		if err != nil {
			p.Close()
			continue
		}
		d.addr = p.LocalAddr().String()
		ready := make(chan struct{}, 2)
		note := func() { ready <- struct{}{} }
		for _, s := range []*dns.Server{{PacketConn: p, Handler: d, NotifyStartedFunc: note}, {Listener: l, Handler: d, NotifyStartedFunc: note}} {
			go s.ActivateAndServe()
			d.stop = append(d.stop, func() {
				ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
				defer cancel()
				s.ShutdownContext(ctx)
			})
		}
		<-ready
		<-ready
		return nil
	}
	return fmt.Errorf("no port free for both UDP and TCP")
}

// ServeDNS implements dns.Handler.
func (d *DNS) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	if len(q.Question) != 1 {
		return
	}
	d.meet()
	udp := w.LocalAddr().Network() == "udp"
	name := strings.ToLower(strings.TrimSuffix(q.Question[0].Name, "."))
	label := name + " " + dns.TypeToString[q.Question[0].Qtype]
	d.mu.Lock()
	d.asked[label]++
	d.asked[""]++
	n := d.asked[label]
	f, ok := d.Faults[label]
	if !ok {
		if f, ok = d.Faults[name]; !ok {
			f = d.Faults["*"]
		}
	}
	hook := d.Hook
	d.mu.Unlock()
	if f.Udp && !udp {
		f = Fault{}
	}
	if f.Drop || n <= f.DropN {
		return
	}
	if f.Delay > 0 {
		time.Sleep(f.Delay)
	}
	if hook != nil {
		if t := hook(q); t != nil {
			if !t.Drop {
				w.WriteMsg(t.Msg)
			}
			return
		}
	}
	if q.Question[0].Qtype == dns.TypeAXFR {
		d.transfer(w, q)
		return
	}
	m := d.reply(q)
	d.send(w, q, m, f, udp)
}

// send applies what goes wrong and fits the answer into what the question offers.
func (d *DNS) send(w dns.ResponseWriter, q, m *dns.Msg, f Fault, udp bool) {
	if f.Rcode != 0 {
		m.Rcode, m.Answer, m.Ns, m.Extra = f.Rcode, nil, nil, nil
	}
	if f.NotAuth {
		m.Authoritative = false
	}
	size := 512
	if opt := q.IsEdns0(); opt != nil {
		size = int(opt.UDPSize())
		m.SetEdns0(1232, opt.Do())
		if f.EDE != 0 {
			o := m.IsEdns0()
			o.Option = append(o.Option, &dns.EDNS0_EDE{InfoCode: f.EDE})
		}
	}
	switch {
	case udp && f.Truncate:
		m.Answer, m.Ns, m.Truncated = nil, nil, true
	case udp:
		m.Truncate(size)
	}
	if f.WrongID {
		m.Id++
	}
	if f.WrongQ {
		m.Question[0].Name = "other.example."
	}
	m.Compress = true
	b, err := m.Pack()
	if err != nil {
		return
	}
	if f.Raw != nil {
		b = append(append([]byte(nil), b[:2]...), f.Raw...)
	}
	if f.Cut {
		b = b[:len(b)/2]
	}
	w.Write(b)
}

func (d *DNS) transfer(w dns.ResponseWriter, q *dns.Msg) {
	d.mu.Lock()
	z, allowed := d.zones[dns.CanonicalName(q.Question[0].Name)], d.Transfer
	d.mu.Unlock()
	if z == nil || !allowed {
		m := new(dns.Msg).SetRcode(q, dns.RcodeRefused)
		w.WriteMsg(m)
		return
	}
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = true
	soa := z.first(z.Origin, dns.TypeSOA)
	m.Answer = append(append([]dns.RR{soa}, z.all()...), soa)
	w.WriteMsg(m)
}

// reply answers from the zones.
func (d *DNS) reply(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = d.Recursive
	m.AuthenticatedData = d.Authentic
	do := false
	if opt := q.IsEdns0(); opt != nil {
		do = opt.Do()
	}
	name, t := dns.CanonicalName(q.Question[0].Name), q.Question[0].Qtype
	d.mu.Lock()
	defer d.mu.Unlock()
	for range 10 {
		z := d.zoneOf(name, t)
		if z == nil {
			if len(m.Answer) > 0 {
				return m
			}
			m.Rcode = dns.RcodeRefused
			if d.Recursive {
				m.Rcode = dns.RcodeServerFailure
			}
			return m
		}
		m.Authoritative = !d.Recursive
		next := z.answer(m, name, t, do, d.Recursive)
		if next == "" {
			return m
		}
		name = next
	}
	m.Rcode = dns.RcodeServerFailure
	return m
}

// zoneOf is the deepest zone that holds a name; for DS the parent's side.
func (d *DNS) zoneOf(name string, t uint16) *Zone {
	if t == dns.TypeDS && name != "." {
		if z := d.zoneOf(parent(name), 0); z != nil {
			return z
		}
	}
	for n := name; ; n = parent(n) {
		if z := d.zones[n]; z != nil {
			return z
		}
		if n == "." {
			return nil
		}
	}
}

func parent(name string) string {
	i, end := dns.NextLabel(name, 0)
	if end || name == "." {
		return "."
	}
	return name[i:]
}
