package dns

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/mailwhy/mailwhy/internal/mail"
)

// Question is one question to one server. The zero value of each flag is what a question to an authoritative server
// looks like: no recursion, EDNS, no DNSSEC records.
type Question struct {
	Name      string    `json:"name"` // presentation form, with or without the trailing dot
	Type      mail.Type `json:"type"`
	Class     uint16    `json:"class,omitempty"`   // 0 means IN; 3 is CHAOS (version.bind)
	Recursion bool      `json:"rd,omitempty"`      // RD: ask the server to find out
	DNSSEC    bool      `json:"do,omitempty"`      // DO: send signatures
	Unchecked bool      `json:"cd,omitempty"`      // CD: a validating resolver must not hide what it holds bogus
	TCP       bool      `json:"tcp,omitempty"`     // do not try UDP
	NoEDNS    bool      `json:"no_edns,omitempty"` // leave out the OPT record
}

// udpSize is the size we offer: what fits the smallest IPv6 path without fragments (the DNS flag day of 2020).
const udpSize = 1232

const headerLen = 12

// NameError is a name that cannot be asked: a label over 63 bytes, a name over 255, an empty label. It is no fault of
// the DNS, so it does not wrap mail.ErrTemporary.
type NameError struct{ Name, Why string }

func (e *NameError) Error() string { return fmt.Sprintf("%q is not a DNS name: %s", e.Name, e.Why) }

// normal gives the form under which a name is remembered: lower case, no trailing dot; "" is the root.
func normal(name string) string {
	return strings.ToLower(trimDot(name))
}

// trimDot takes the final dot away, unless it is escaped.
func trimDot(name string) string {
	if !strings.HasSuffix(name, ".") {
		return name
	}
	slashes := 0
	for i := len(name) - 2; i >= 0 && name[i] == '\\'; i-- {
		slashes++
	}
	if slashes%2 == 1 {
		return name
	}
	return name[:len(name)-1]
}

// appendName writes a name in wire form (RFC 1035 section 3.1). Escapes \. and \DDD are understood.
func appendName(b []byte, name string) ([]byte, error) {
	start := len(b)
	rest := trimDot(name)
	for len(rest) > 0 {
		at := len(b)
		b = append(b, 0)
		i := 0
		for i < len(rest) && rest[i] != '.' {
			ch := rest[i]
			i++
			if ch == '\\' && i < len(rest) {
				ch = rest[i]
				i++
				if isDigit(ch) && i+1 < len(rest) && isDigit(rest[i]) && isDigit(rest[i+1]) {
					ch = (ch-'0')*100 + (rest[i]-'0')*10 + rest[i+1] - '0'
					i += 2
				}
			}
			b = append(b, ch)
		}
		n := len(b) - at - 1
		switch {
		case n == 0:
			return nil, &NameError{name, "it has an empty label"}
		case n > 63:
			return nil, &NameError{name, fmt.Sprintf("a label has %d bytes, 63 are allowed", n)}
		case len(b)-start > 254:
			return nil, &NameError{name, "it is longer than 255 bytes"}
		}
		b[at] = byte(n)
		if i == len(rest) {
			break
		}
		rest = rest[i+1:]
		if rest == "" {
			return nil, &NameError{name, "it has an empty label"}
		}
	}
	return append(b, 0), nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// pack writes the question as a message with a fresh random id.
func (q *Question) pack() ([]byte, error) {
	b := make([]byte, headerLen, headerLen+len(q.Name)+2+4+11)
	binary.BigEndian.PutUint16(b, uint16(rand.Uint32()))
	if q.Recursion {
		b[2] |= 0x01
	}
	if q.Unchecked {
		b[3] |= 0x10
	}
	b[5] = 1 // one question
	b, err := appendName(b, q.Name)
	if err != nil {
		return nil, err
	}
	class := q.Class
	if class == 0 {
		class = 1
	}
	b = binary.BigEndian.AppendUint16(b, uint16(q.Type))
	b = binary.BigEndian.AppendUint16(b, class)
	if q.NoEDNS {
		return b, nil
	}
	b[11] = 1 // one additional record: OPT (RFC 6891 section 6.1.2)
	b = append(b, 0, 0, 41)
	b = binary.BigEndian.AppendUint16(b, udpSize)
	var flags byte
	if q.DNSSEC {
		flags = 0x80
	}
	return append(b, 0, 0, flags, 0, 0, 0), nil
}

// questionOf gives the bytes of the question section of a message we packed.
func questionOf(b []byte) []byte {
	i := headerLen
	for i < len(b) && b[i] != 0 {
		i += int(b[i]) + 1
	}
	return b[headerLen:min(i+5, len(b))]
}

// answers tells whether got can be the answer to what was sent (RFC 5452 section 9.1): same id, a response, the same
// question, letter case aside. A server that could not read the question may leave it out.
func answers(sent, got []byte) bool {
	if len(got) < headerLen || got[0] != sent[0] || got[1] != sent[1] || got[2]&0x80 == 0 {
		return false
	}
	if binary.BigEndian.Uint16(got[4:]) == 0 {
		rcode := got[3] & 0x0f
		return rcode == 1 || rcode == 4 || rcode == 5 || rcode == 2 // FORMERR, NOTIMP, REFUSED, SERVFAIL
	}
	q := questionOf(sent)
	if len(got) < headerLen+len(q) {
		return false
	}
	for i, ch := range q {
		if lower(ch) != lower(got[headerLen+i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
