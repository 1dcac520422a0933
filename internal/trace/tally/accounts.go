package tally

import (
	"net/netip"
	"time"
)

// The bounds of what is remembered per account and per source.
const (
	placesPerAccount = 32
	usersPerSource   = 64
	hoursPerRelay    = 96
)

type account struct {
	OK, Failed  int64
	First, Last int64
	networks    []place // /16 or /32 of IPv6, where logins worked
	Messages    int64   // submitted after login
	hourAt      int64
	inHour      int64
	peak        int64 // most messages submitted in one hour
	peakAt      int64
}

type place struct {
	net         netip.Prefix
	ip          netip.Addr
	n           int64
	first, last int64
}

type source struct {
	OK, Failed  int64
	First, Last int64
	users       map[string]int64 // accounts tried without success
	oneMinute   int64            // failures in the minute of lastMin
	lastMin     int64
	peak        int64 // most failures in one minute
	looked      int64 // failures that the password daemon told, and the program that asked it has not told yet
}

// login counts a login, of a mailbox or for submission, by account and by client address.
func (t *Tally) login(r *rec, ok bool) {
	n := int64(1)
	if ok {
		t.total.LoginsOK++
		t.now.LoginsOK++
	} else {
		if n = t.failures(r); n == 0 {
			return
		}
		t.total.LoginsFailed += n
		t.now.LoginsFailed += n
	}
	if len(r.a) > 0 {
		a := t.accounts.at(r.ha, r.a)
		a.First = firstOf(a.First, r.at)
		a.Last = max(a.Last, r.at)
		if ok {
			a.OK++
			a.from(r)
		} else {
			a.Failed += n
		}
	}
	if len(r.b) > 0 {
		t.sources.at(r.hb, r.b).login(r, ok, n)
	}
}

// failures is how many failed logins a line adds: what the password daemon told of a client before is told again by the
// program the client talked to, for several tries together.
func (t *Tally) failures(r *rec) int64 {
	n := max(1, r.size)
	if len(r.b) == 0 {
		return n
	}
	s := t.sources.at(r.hb, r.b)
	if r.forward {
		s.looked++
		return n
	}
	again := min(n, s.looked)
	s.looked -= again
	return n - again
}

// firstOf is the earlier of two moments; 0 means none yet.
func firstOf(was, at int64) int64 {
	if was == 0 {
		return at
	}
	return min(was, at)
}

func (a *account) from(r *rec) {
	ip, err := netip.ParseAddr(string(r.b))
	if err != nil || ip.IsLoopback() {
		return
	}
	n := network(ip)
	for i := range a.networks {
		if p := &a.networks[i]; p.net == n {
			p.n++
			p.last, p.ip = r.at, ip
			return
		}
	}
	if len(a.networks) < placesPerAccount {
		a.networks = append(a.networks, place{n, ip, 1, r.at, r.at})
	}
}

// network is the neighbourhood of an address: /16 of IPv4, /32 of IPv6.
func network(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap()
	bits := 16
	if ip.Is6() {
		bits = 32
	}
	p, _ := ip.Prefix(bits)
	return p
}

func (s *source) login(r *rec, ok bool, n int64) {
	s.First = firstOf(s.First, r.at)
	s.Last = max(s.Last, r.at)
	if ok {
		s.OK++
		return
	}
	s.Failed += n
	if m := r.at / int64(time.Minute); m != s.lastMin {
		s.lastMin, s.oneMinute = m, 0
	}
	s.oneMinute += n
	s.peak = max(s.peak, s.oneMinute)
	if len(r.a) == 0 {
		return
	}
	if s.users == nil {
		s.users = map[string]int64{}
	}
	if _, known := s.users[string(r.a)]; known || len(s.users) < usersPerSource {
		s.users[string(r.a)] += n
	}
}

// hour finds the numbers of a relay for an hour; the oldest hour is given up when there are too many.
func (r *Relay) hour(at int64) *RelayHour {
	for i := len(r.Hours) - 1; i >= 0; i-- {
		if r.Hours[i].At == at {
			return &r.Hours[i]
		}
	}
	if len(r.Hours) >= hoursPerRelay {
		r.Hours = r.Hours[1:]
	}
	r.Hours = append(r.Hours, RelayHour{At: at})
	return &r.Hours[len(r.Hours)-1]
}

// submitted counts a message that a logged-in client handed in; Postfix tells the login in the same line.
func (t *Tally) submitted(r *rec) {
	t.total.LoginsOK++
	t.now.LoginsOK++
	a := t.accounts.at(r.hw, r.word)
	a.First = firstOf(a.First, r.at)
	a.Last = max(a.Last, r.at)
	a.OK++
	a.Messages++
	a.from(r)
	if a.hourAt != t.nowAt {
		a.hourAt, a.inHour = t.nowAt, 0
	}
	if a.inHour++; a.inHour > a.peak {
		a.peak, a.peakAt = a.inHour, t.nowAt
	}
	if r.b != nil {
		t.sources.at(r.hb, r.b).login(r, true, 1)
	}
}
