package dns

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/mailwhy/mailwhy/internal/mail"
)

// decode reads a message. Compression loops, lengths that lie and half messages are errors.
func decode(b []byte) (*miekg.Msg, error) {
	m := new(miekg.Msg)
	if err := m.Unpack(b); err != nil {
		return nil, fmt.Errorf("unreadable answer of %d bytes: %w", len(b), err)
	}
	if !m.Response {
		return nil, errors.New("not an answer: the QR bit is not set")
	}
	if opt := m.IsEdns0(); opt != nil && opt.ExtendedRcode() != 0 {
		m.Rcode = m.Rcode&0x0f | opt.ExtendedRcode()&^0x0f
	}
	return m, nil
}

// answer folds a message into what it says about the question: the CNAME chain and the records at its end. open tells
// that it stops at a CNAME without saying anything about its target.
func answer(m *miekg.Msg, name string, t mail.Type) (a *mail.Answer, open bool) {
	a = &mail.Answer{Name: name, Type: t, Final: name, TTL: -1}
	least := func(ttl uint32) {
		if d := time.Duration(ttl) * time.Second; a.TTL < 0 || d < a.TTL {
			a.TTL = d
		}
	}
	owner := name
	if len(m.Question) > 0 {
		owner = normal(m.Question[0].Name) // with the library's own escapes
	}
	for len(a.Chain) <= maxChain {
		var next string
		for _, rr := range m.Answer {
			h := rr.Header()
			if !strings.EqualFold(strings.TrimSuffix(h.Name, "."), owner) {
				continue
			}
			switch {
			case h.Rrtype == uint16(t):
				a.Records = append(a.Records, record(rr))
				least(h.Ttl)
			case h.Rrtype == miekg.TypeCNAME && t != mail.TypeRRSIG:
				next = normal(rr.(*miekg.CNAME).Target)
				least(h.Ttl)
			}
		}
		if len(a.Records) > 0 || next == "" {
			break
		}
		owner = next
		a.Chain = append(a.Chain, next)
		a.Final = next
	}
	a.NXDomain = m.Rcode == miekg.RcodeNameError && len(a.Records) == 0
	soa := false
	if len(a.Records) == 0 {
		for _, rr := range m.Ns {
			if s, ok := rr.(*miekg.SOA); ok {
				soa = true
				least(min(s.Hdr.Ttl, s.Minttl)) // RFC 2308 section 5
			}
		}
		open = len(a.Chain) > 0 && !soa && !a.NXDomain
	}
	a.TTL = max(a.TTL, 0)
	return a, open
}

// records converts a section, without OPT.
func records(rrs []miekg.RR) []mail.Record {
	var out []mail.Record
	for _, rr := range rrs {
		if rr.Header().Rrtype != miekg.TypeOPT {
			out = append(out, record(rr))
		}
	}
	return out
}

// record converts one record.
func record(rr miekg.RR) mail.Record {
	h := rr.Header()
	r := mail.Record{Name: normal(h.Name), Type: mail.Type(h.Rrtype), TTL: time.Duration(h.Ttl) * time.Second}
	switch v := rr.(type) {
	case *miekg.A:
		r.IP, _ = netip.AddrFromSlice(v.A.To4())
		r.Text = r.IP.String()
	case *miekg.AAAA:
		r.IP, _ = netip.AddrFromSlice(v.AAAA.To16())
		r.Text = r.IP.String()
	case *miekg.MX:
		r.Pref, r.Host, r.Text = v.Preference, normal(v.Mx), strconv.Itoa(int(v.Preference))+" "+v.Mx
	case *miekg.NS:
		r.Host, r.Text = normal(v.Ns), v.Ns
	case *miekg.CNAME:
		r.Host, r.Text = normal(v.Target), v.Target
	case *miekg.PTR:
		r.Host, r.Text = normal(v.Ptr), v.Ptr
	case *miekg.TXT:
		r.TXT = unescapeAll(v.Txt)
	case *miekg.SPF:
		r.TXT = unescapeAll(v.Txt)
	case *miekg.SRV:
		r.Pref, r.Port, r.Host = v.Priority, v.Port, normal(v.Target)
	case *miekg.TLSA:
		r.Usage, r.Selector, r.Matching, r.Data = v.Usage, v.Selector, v.MatchingType, unhex(v.Certificate)
	case *miekg.CAA:
		r.Tag, r.Data = v.Tag, []byte(unescape(v.Value))
	}
	if r.Text == "" {
		r.Text = strings.TrimPrefix(rr.String(), h.String())
	}
	return r
}

func unescapeAll(in []string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = unescape(s)
	}
	return out
}

// unescape turns the library's presentation form of a character-string back into its bytes.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		ch := s[i]
		if ch == '\\' && i+1 < len(s) {
			i++
			ch = s[i]
			if isDigit(ch) && i+2 < len(s) && isDigit(s[i+1]) && isDigit(s[i+2]) {
				ch = (ch-'0')*100 + (s[i+1]-'0')*10 + s[i+2] - '0'
				i += 2
			}
		}
		b = append(b, ch)
	}
	return string(b)
}

func unhex(s string) []byte {
	b := make([]byte, 0, len(s)/2)
	for i := 0; i+1 < len(s); i += 2 {
		v, err := strconv.ParseUint(s[i:i+2], 16, 8)
		if err != nil {
			return nil
		}
		b = append(b, byte(v))
	}
	return b
}

// TypeName is the mnemonic of a type: "MX", or "TYPE65280" for one without.
func TypeName(t mail.Type) string {
	if s, ok := miekg.TypeToString[uint16(t)]; ok {
		return s
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// ParseType reads a mnemonic or "TYPEn"; ok is false for anything else.
func ParseType(s string) (t mail.Type, ok bool) {
	s = strings.ToUpper(s)
	if v, ok := miekg.StringToType[s]; ok {
		return mail.Type(v), true
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "TYPE"), 10, 16)
	return mail.Type(n), err == nil && strings.HasPrefix(s, "TYPE")
}

// RcodeName is the mnemonic of a response code: "SERVFAIL".
func RcodeName(rcode int) string {
	if s, ok := miekg.RcodeToString[rcode]; ok {
		return s
	}
	return "RCODE" + strconv.Itoa(rcode)
}

// EDE is an extended error (RFC 8914) as the server gave it. Text is hostile.
type EDE struct {
	Code uint16 `json:"code"`
	Text string `json:"text,omitempty"`
}

// String is the name of the code and the server's text: "DNSSEC Bogus: no valid signature".
func (e EDE) String() string {
	s, ok := miekg.ExtendedErrorCodeToString[e.Code]
	if !ok {
		s = "extended error " + strconv.Itoa(int(e.Code))
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

func edeOf(m *miekg.Msg) []EDE {
	var out []EDE
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*miekg.EDNS0_EDE); ok {
				out = append(out, EDE{e.InfoCode, e.ExtraText})
			}
		}
	}
	return out
}

func signed(m *miekg.Msg) bool {
	for _, s := range [][]miekg.RR{m.Answer, m.Ns} {
		for _, rr := range s {
			if rr.Header().Rrtype == miekg.TypeRRSIG {
				return true
			}
		}
	}
	return false
}
