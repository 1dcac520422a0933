package dns

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// The ways to talk to a server.
const (
	protoUDP   = "udp"
	protoTCP   = "tcp"
	protoTLS   = "tls"   // DoT, RFC 7858
	protoHTTPS = "https" // DoH, RFC 8484
)

// server is one place to ask, with its open sockets and what we learned of it.
type server struct {
	spec  string // as the user named it, normalised: "192.0.2.1:53", "tls://192.0.2.1:853#dns.example", "https://…"
	proto string // protoUDP (with TCP), protoTLS or protoHTTPS
	addr  string // host:port to dial; for https the authority
	name  string // DoT: the name the certificate must bear

	window window
	mu     sync.Mutex
	socks  []*socket    // UDP
	pipe   *pipe        // DoT
	http   *http.Client // DoH
	stats  stats
	used   atomic.Int64 // unix nanoseconds of the last use, for eviction
}

// Stat is what was learned of one server during the run.
type Stat struct {
	Server    string        `json:"server"`
	Questions int           `json:"questions"`
	Answers   int           `json:"answers"`
	Timeouts  int           `json:"timeouts"`
	Failures  int           `json:"failures"` // refused, reset, unreadable
	Strays    int           `json:"strays"`   // packets that answered nothing we asked: wrong id or wrong question
	Fastest   time.Duration `json:"fastest"`
	Average   time.Duration `json:"average"`
	Slowest   time.Duration `json:"slowest"`
}

type stats struct {
	questions, answers, timeouts, failures, strays int
	silent                                         int       // time-outs in a row
	silentAt, heardAt                              time.Time // of the last time-out, of the last answer
	min, max, sum                                  time.Duration
}

// ParseServer reads a resolver as users write it: "192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:53",
// "tls://192.0.2.1", "tls://192.0.2.1:853#dns.example", "tls://dns.example", "https://dns.example/dns-query". It gives
// the normalised form.
func ParseServer(spec string) (string, error) {
	s, err := newServer(spec)
	if err != nil {
		return "", err
	}
	return s.spec, nil
}

func newServer(spec string) (*server, error) {
	bad := func(why string) error { return fmt.Errorf("resolver %q: %s", spec, why) }
	switch {
	case strings.HasPrefix(spec, "https://"):
		u, err := url.Parse(spec)
		if err != nil || u.Host == "" {
			return nil, bad("not a URL like https://dns.example/dns-query")
		}
		if u.Path == "" {
			u.Path = "/dns-query"
		}
		return &server{spec: u.String(), proto: protoHTTPS, addr: u.Host}, nil
	case strings.HasPrefix(spec, "tls://"):
		rest, name, _ := strings.Cut(strings.TrimPrefix(spec, "tls://"), "#")
		addr, err := hostPort(rest, "853", true)
		if err != nil {
			return nil, bad(err.Error())
		}
		host, _, _ := net.SplitHostPort(addr)
		full := "tls://" + addr
		if name != "" {
			full += "#" + name
		} else {
			name = host
		}
		return &server{spec: full, proto: protoTLS, addr: addr, name: name}, nil
	}
	rest := strings.TrimPrefix(spec, "udp://")
	addr, err := hostPort(rest, "53", false)
	if err != nil {
		return nil, bad(err.Error())
	}
	return &server{spec: addr, proto: protoUDP, addr: addr}, nil
}

// hostPort reads "host", "host:port", "v6", "[v6]:port". Names are allowed where a certificate proves them.
func hostPort(s, port string, names bool) (string, error) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return net.JoinHostPort(a.String(), port), nil
	}
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		host, p = s, port
	}
	if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%q is no port", p)
	}
	if a, err := netip.ParseAddr(host); err == nil {
		host = a.String()
	} else if !names || host == "" || strings.ContainsAny(host, " /:") {
		return "", fmt.Errorf("wants an IP address, with a port where it is not %s", port)
	}
	return net.JoinHostPort(host, p), nil
}

// ipv6 tells whether the server is reached over IPv6 for sure.
func (s *server) ipv6() bool {
	host, _, err := net.SplitHostPort(s.addr)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Is6() && !a.Is4In6()
}

// loopback tells whether the server is this machine.
func (s *server) loopback() bool {
	host, _, _ := net.SplitHostPort(s.addr)
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// note keeps what one exchange told, and tells whether its answer was lost.
func (s *server) note(rtt time.Duration, err error, now time.Time) (lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &s.stats
	st.questions++
	if err != nil {
		if wire.Classify("", err).Kind == wire.Timeout {
			st.timeouts++
			st.silent++
			st.silentAt = now
			return true
		}
		st.failures++
		return false
	}
	st.silent, st.heardAt = 0, now
	st.answers++
	st.sum += rtt
	st.max = max(st.max, rtt)
	if st.min == 0 || rtt < st.min {
		st.min = rtt
	}
	return false
}

// usual is the average time of an answer, 0 before there were ten.
func (s *server) usual() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stats.answers < 10 {
		return 0
	}
	return s.stats.sum / time.Duration(s.stats.answers)
}

// deadFor is how long a server that kept silent is left alone by questions that have no other server to go to.
const (
	deadAfter = 4
	deadQuiet = 2 * time.Second // and this long without any answer: a burst that got lost is no death
	deadFor   = 30 * time.Second
)

// dead tells that the server has been silent several times in a row, the last time just now.
func (s *server) dead(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats.silent >= deadAfter && now.Sub(s.stats.silentAt) < deadFor && now.Sub(s.stats.heardAt) > deadQuiet
}

func (s *server) stat() Stat {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stat{Server: s.spec, Questions: s.stats.questions, Answers: s.stats.answers, Timeouts: s.stats.timeouts,
		Failures: s.stats.failures, Strays: s.stats.strays, Fastest: s.stats.min, Slowest: s.stats.max}
	if st.Answers > 0 {
		st.Average = s.stats.sum / time.Duration(st.Answers)
	}
	return st
}

func (s *server) close() {
	s.mu.Lock()
	socks, p, h := s.socks, s.pipe, s.http
	s.socks, s.pipe, s.http = nil, nil, nil
	s.mu.Unlock()
	for _, k := range socks {
		k.conn.Close()
	}
	if p != nil {
		p.conn.Close()
	}
	if h != nil {
		h.CloseIdleConnections()
	}
}
