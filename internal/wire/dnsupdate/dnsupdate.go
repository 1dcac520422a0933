// Package dnsupdate changes records on a primary name server by dynamic update, signed with a shared key.
//
// Promise: a change is made only where the zone still holds exactly what it was made from (prerequisites), all of it or
// nothing; it is told done only when the server says so in an answer with its own valid signature. Every exchange goes over
// TCP, bounded in time. The key is in no error.
//
// RFCs: 2136 (update), 8945 (TSIG).
//
// It must not decide what is to be changed, and must not be recorded on a tape: a replay changes nothing.
package dnsupdate

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// Key is a TSIG key.
type Key struct {
	Name      string
	Algorithm string // "hmac-sha256"
	Secret    string // base64
}

// algorithms are those that RFC 8945 wants and allows; those on MD5 and SHA-1 are not used for something new.
var algorithms = [...]string{"hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"}

// ReadKey reads a key file as tsig-keygen and BIND write it: key "NAME" { algorithm hmac-sha256; secret "…"; };
func ReadKey(text string) (Key, error) {
	var words []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		line, _, _ = strings.Cut(line, "//")
		line = strings.NewReplacer("{", " { ", "}", " } ", ";", " ; ").Replace(line)
		words = append(words, strings.Fields(line)...)
	}
	var k Key
	for i := 0; i+1 < len(words); i++ {
		value := strings.Trim(words[i+1], `"`)
		switch words[i] {
		case "key":
			k.Name = value
		case "algorithm":
			k.Algorithm = strings.ToLower(strings.TrimSuffix(value, "."))
		case "secret":
			k.Secret = value
		}
	}
	if _, ok := miekg.IsDomainName(k.Name); !ok || k.Name == "" {
		return Key{}, errors.New("no key in it: wanted key \"NAME\" { algorithm hmac-sha256; secret \"…\"; }; as tsig-keygen writes it")
	}
	if !slices.Contains(algorithms[:], k.Algorithm) {
		return Key{}, fmt.Errorf("algorithm %q of the key: one of %s", k.Algorithm, strings.Join(algorithms[:], ", "))
	}
	if raw, err := base64.StdEncoding.DecodeString(k.Secret); err != nil || len(raw) == 0 {
		return Key{}, errors.New("the secret of the key is not base64")
	}
	return k, nil
}

// Server is a primary and the zone that may be changed on it.
type Server struct {
	Address string // host:port
	Zone    string
	Key     Key
	Dial    wire.Dialer   // nil: the net package's
	Now     wire.Clock    // nil: time.Now
	Timeout time.Duration // of one exchange; 0 means 10 s
}

// Below tells whether a name is that of a zone or stands in it.
func Below(name, zone string) bool {
	_, ok := miekg.IsDomainName(name)
	_, also := miekg.IsDomainName(zone)
	return ok && also && zone != "" && !strings.ContainsAny(name+zone, " \t\r\n") && miekg.IsSubDomain(miekg.CanonicalName(zone), miekg.CanonicalName(name))
}

// Set is all records of an owner and type.
type Set struct {
	Owner, Type string
	TTL         uint32
	Values      []string // as a zone file has them, sorted
}

// ErrChanged says that the zone does not hold what the change was made from.
var ErrChanged = errors.New("the zone no longer holds what the change was made from")

// Read gives the records of an owner and type as the primary has them; a Set without values where there are none.
func (s *Server) Read(ctx context.Context, owner, kind string) (*Set, error) {
	t, ok := miekg.StringToType[strings.ToUpper(kind)]
	if !ok {
		return nil, fmt.Errorf("%q is no type of record", kind)
	}
	m := new(miekg.Msg)
	m.SetQuestion(miekg.CanonicalName(owner), t)
	m.RecursionDesired = false
	r, err := s.exchange(ctx, m)
	if err != nil {
		return nil, err
	}
	if r.Rcode != miekg.RcodeSuccess && r.Rcode != miekg.RcodeNameError || !r.Authoritative {
		return nil, fmt.Errorf("%s does not answer for %s with authority: %s", s.Address, owner, rcode(r))
	}
	out := &Set{Owner: miekg.CanonicalName(owner), Type: strings.ToUpper(kind)}
	for _, rr := range r.Answer {
		if h := rr.Header(); h.Rrtype == t && miekg.CanonicalName(h.Name) == out.Owner {
			out.TTL = h.Ttl
			out.Values = append(out.Values, strings.TrimPrefix(rr.String(), h.String()))
		}
	}
	slices.Sort(out.Values)
	return out, nil
}

// Replace puts new in the place of old, which must be what the zone holds; ErrChanged where it is not.
func (s *Server) Replace(ctx context.Context, old, new *Set) error {
	before, err := old.records()
	if err != nil {
		return err
	}
	after, err := new.records()
	if err != nil {
		return err
	}
	if len(before) == 0 || len(after) == 0 {
		return errors.New("records are replaced by records")
	}
	m := &miekg.Msg{}
	m.SetUpdate(miekg.CanonicalName(s.Zone))
	m.Used(before)
	m.RemoveRRset(before[:1])
	m.Insert(after)
	r, err := s.exchange(ctx, m)
	switch {
	case err != nil:
		return err
	case r.Rcode == miekg.RcodeNXRrset, r.Rcode == miekg.RcodeNameError, r.Rcode == miekg.RcodeYXRrset:
		return ErrChanged
	case r.Rcode != miekg.RcodeSuccess:
		return fmt.Errorf("%s refuses the update of %s: %s", s.Address, s.Zone, rcode(r))
	}
	return nil
}

func rcode(m *miekg.Msg) string {
	if s, ok := miekg.RcodeToString[m.Rcode]; ok {
		return s
	}
	return fmt.Sprintf("RCODE %d", m.Rcode)
}

// records are the set as the wire has it.
func (s *Set) records() ([]miekg.RR, error) {
	var out []miekg.RR
	for _, v := range s.Values {
		if strings.ContainsAny(v, "\r\n") {
			return nil, fmt.Errorf("%q is no record", v)
		}
		rr, err := miekg.NewRR(fmt.Sprintf("%s %d IN %s %s", miekg.CanonicalName(s.Owner), s.TTL, s.Type, v))
		if err != nil || rr == nil {
			return nil, fmt.Errorf("%q is no record of type %s", v, s.Type)
		}
		out = append(out, rr)
	}
	return out, nil
}

// exchange signs a message, sends it, and takes an answer that is signed by the same key.
func (s *Server) exchange(ctx context.Context, m *miekg.Msg) (*miekg.Msg, error) {
	wait := s.Timeout
	if wait <= 0 {
		wait = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var door wire.Dialer = &net.Dialer{}
	if s.Dial != nil {
		door = s.Dial
	}
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	c, err := door.DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	name := miekg.CanonicalName(s.Key.Name)
	m.SetTsig(name, miekg.Fqdn(s.Key.Algorithm), 300, now().Unix())
	client := &miekg.Client{Net: "tcp", Timeout: wait, TsigSecret: map[string]string{name: s.Key.Secret}}
	r, _, err := client.ExchangeWithConnContext(ctx, m, &miekg.Conn{Conn: c})
	switch {
	case r != nil && r.Rcode == miekg.RcodeNotAuth:
		return nil, fmt.Errorf("%s does not take the key %s (NOTAUTH): does it know it, and is its clock right?", s.Address, s.Key.Name)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", s.Address, err)
	case r.IsTsig() == nil:
		return nil, fmt.Errorf("%s answers without a signature: %s", s.Address, rcode(r))
	}
	return r, nil
}
