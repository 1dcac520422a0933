package trace

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"net/netip"
	"strings"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/trace/find"
)

// Redactor puts pseudonyms in the place of mail addresses, message-ids, host names, IP addresses and subjects. The same
// one gets the same pseudonym as long as the key is the same, what belongs to one domain or network still can be seen
// to, and a line stays readable for its parser; without the key nobody can tell who it was by trying.
type Redactor struct{ Key []byte }

// Text redacts a text of any kind.
func (r *Redactor) Text(s string) string { return string(r.Line([]byte(s), nil)) }

// Line gives a copy of the line with pseudonyms. subject is the message's subject as it stands in the line, nil for none.
func (r *Redactor) Line(b, subject []byte) []byte {
	out := make([]byte, 0, len(b)+32)
	hide := len(subject) > 0
	for i := 0; i < len(b); {
		switch {
		case hide && bytes.HasPrefix(b[i:], subject):
			out = append(append(out, "subject-"...), r.name(subject, 8)...)
			i += len(subject)
		case !nameByte(b[i]):
			out = append(out, b[i])
			i++
		default:
			n := 1
			for i+n < len(b) && nameByte(b[i+n]) && !(hide && bytes.HasPrefix(b[i+n:], subject)) {
				n++
			}
			if i+n < len(b) && b[i+n] == '@' {
				var used int
				out, used = r.address(out, b[i:], n)
				i += used
				continue
			}
			out = r.word(out, b[i:i+n])
			i += n
		}
	}
	return out
}

// address writes the pseudonym of the address whose '@' stands at b[at]; used is how much of b it took.
func (r *Redactor) address(out, b []byte, at int) ([]byte, int) {
	from, to := 0, at+1
	for _, key := range [...]string{"sasl_username=", "user=", "from=", "to=", "id=", "F=", "U=", "A=", "message-id=", "msgid="} { // a field's name is no part of an address
		if len(key) < at && string(b[:len(key)]) == key {
			from = len(key)
		}
	}
	for to < len(b) && domainByte(b[to]) {
		to++
	}
	for to > at+1 && (b[to-1] == '.' || b[to-1] == '-') {
		to--
	}
	if to == at+1 {
		return append(r.word(out, b[:at]), '@'), at + 1
	}
	out = append(append(out, b[:from]...), "u"+r.name(b[from:at], 6)+"@"...)
	return r.host(out, b[at+1:to]), to
}

// word writes an IP address or a host name by its pseudonym, and what is neither as it is. Field names ("helo=") and
// parts of paths stand around them.
func (r *Redactor) word(out, b []byte) []byte {
	for len(b) > 0 {
		n := 0
		for n < len(b) && (domainByte(b[n]) || b[n] == ':') {
			n++
		}
		if n == 0 {
			out, b = append(out, b[0]), b[1:]
			continue
		}
		out, b = r.token(out, b[:n]), b[n:]
	}
	return out
}

func (r *Redactor) token(out, b []byte) []byte {
	if rest, ok := bytes.CutPrefix(b, []byte("IPv6:")); ok {
		out, b = append(out, "IPv6:"...), rest
	}
	end := len(b)
	for end > 0 && (b[end-1] == '.' || b[end-1] == '-' || b[end-1] == ':' && !bytes.HasSuffix(b[:end], []byte("::"))) {
		end--
	}
	t, tail := b[:end], b[end:]
	if i := bytes.LastIndexByte(t, ':'); i > 0 && bytes.IndexByte(t[:i], ':') < 0 { // "host:25"
		t, tail = b[:i], b[i:]
	}
	if a, err := netip.ParseAddr(string(t)); err == nil {
		return append(append(out, r.ip(a)...), tail...)
	}
	if hostName(t) {
		return append(r.host(out, t), tail...)
	}
	return append(append(out, t...), tail...)
}

// ip keeps the loopback addresses, which say something about no one, and neighbours neighbours.
func (r *Redactor) ip(a netip.Addr) string {
	a = a.Unmap()
	if a.IsLoopback() || a.IsUnspecified() {
		return a.String()
	}
	raw := a.AsSlice()
	if a.Is4() {
		net := r.sum(raw[:3])
		return fmt.Sprintf("%d.%d.%d.%d", 240+net[0]%15, net[1], net[2], raw[3]^net[3])
	}
	net, host := r.sum(raw[:8]), r.sum(raw)
	return fmt.Sprintf("2001:db8:%x:%x::%x:%x", uint16(net[0])<<8|uint16(net[1]), uint16(net[2])<<8|uint16(net[3]), uint16(host[0])<<8|uint16(host[1])|1, uint16(host[2])<<8|uint16(host[3])|1)
}

// host names a domain by its last two labels, and a host in it by all.
func (r *Redactor) host(out, b []byte) []byte {
	i := bytes.LastIndexByte(b, '.')
	if i > 0 {
		i = bytes.LastIndexByte(b[:i], '.')
	}
	if i > 0 {
		out = append(out, "h"+r.name(b, 6)+"."...)
	}
	return append(out, "d"+r.name(b[i+1:], 6)+".example"...)
}

// hostName tells a name with a dot whose last part is of letters. Parts of program names are none.
func hostName(b []byte) bool {
	i := bytes.LastIndexByte(b, '.')
	if i <= 0 || len(b)-i < 3 || bytes.HasPrefix(b, []byte("fail2ban.")) || bytes.IndexByte(b, ':') >= 0 || bytes.Contains(b, []byte("..")) {
		return false
	}
	switch string(b[i+1:]) {
	case "log", "cf", "gz", "zst", "conf": // file names
		return false
	}
	for _, c := range b[i+1:] {
		if !find.Letter(c) && c < 0x80 {
			return bytes.HasPrefix(b[i+1:], []byte("xn--"))
		}
	}
	return true
}

// subjectOf gives the subject an event shows, as it stands in the line.
func subjectOf(e *event.Event) []byte {
	if e.Subject == nil && e.Kind == event.Subject && bytes.HasPrefix(bytes.ToLower(e.Text), []byte("subject: ")) {
		return e.Text[len("subject: "):]
	}
	return e.Subject
}

func (r *Redactor) sum(b []byte) []byte {
	m := hmac.New(sha256.New, r.Key)
	m.Write([]byte(strings.ToLower(string(b))))
	return m.Sum(nil)
}

func (r *Redactor) name(b []byte, n int) string {
	return strings.ToLower(base32.StdEncoding.EncodeToString(r.sum(b)))[:n]
}

// nameByte tells what may stand in the local part of an address, a host name or an IP address.
func nameByte(c byte) bool { return localByte(c) || c == ':' }

func localByte(c byte) bool {
	return find.WordByte(c) || c >= 0x80 || strings.IndexByte(".!#$%&'*+/=?^_`{|}~-", c) >= 0
}

func domainByte(c byte) bool { return find.WordByte(c) || c >= 0x80 || c == '.' || c == '-' }
