// Package mail is the parent of the standards, one folder each: addr, header, received, spf, dkim, arc, dmarc, mtasts,
// tlsrpt, dane, bimi, dsn, arf and so on.
//
// Promise: what is true because a standard says so. No opinions, no dialling, no clock, no files, no logger: whatever
// must be looked up comes through the one-method Resolver, whatever depends on the time takes it as an argument.
package mail

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// Type is a DNS record type (RFC 1035 section 3.2.2 and the IANA registry).
type Type uint16

// The record types mail uses.
const (
	TypeA      Type = 1
	TypeNS     Type = 2
	TypeCNAME  Type = 5
	TypeSOA    Type = 6
	TypePTR    Type = 12
	TypeMX     Type = 15
	TypeTXT    Type = 16
	TypeAAAA   Type = 28
	TypeSRV    Type = 33
	TypeDS     Type = 43
	TypeRRSIG  Type = 46
	TypeDNSKEY Type = 48
	TypeTLSA   Type = 52
	TypeSPF    Type = 99
	TypeCAA    Type = 257
)

// Record is one resource record, decoded as far as mail needs it. Only the fields of its type are set.
type Record struct {
	Name                      string        // owner, lower case, without the trailing dot
	Type                      Type          //
	TTL                       time.Duration //
	Text                      string        // presentation form of the value, as in a zone file
	TXT                       []string      // TXT and SPF: the character-strings, in order, not joined
	IP                        netip.Addr    // A, AAAA
	Host                      string        // MX, NS, CNAME, PTR, SRV target: without the trailing dot; "" is the root
	Pref                      uint16        // MX preference, SRV priority
	Port                      uint16        // SRV
	Data                      []byte        // TLSA association data, CAA value
	Usage, Selector, Matching uint8         // TLSA
	Tag                       string        // CAA
}

// Answer is what the DNS says about one question, CNAMEs followed.
type Answer struct {
	Name    string   // the name asked
	Type    Type     //
	Final   string   // the name at the end of the CNAME chain; Name where there is none
	Chain   []string // CNAME targets in order, empty where there is none
	Records []Record // of the type asked, at Final; empty means NXDOMAIN or no data
	// NXDomain tells that Final does not exist at all (RCODE 3); Records is then empty.
	NXDomain bool
	// Secure tells that the whole answer was validated by DNSSEC (RFC 4035), here or by a trusted resolver.
	Secure bool
	// Validator says who validated a Secure answer: "mailwhy", or "resolver" for one whose AD flag is believed.
	Validator string
	// Bogus tells that the answer should be signed and is not, or wrongly: validating resolvers answer SERVFAIL.
	Bogus  bool
	TTL    time.Duration // smallest of the answer; for a negative answer the negative TTL
	Server string        // who answered, as address:port or URL
}

// Resolver answers questions. The error is non-nil only when the DNS could not be asked (time-out, SERVFAIL, REFUSED,
// bogus): an absent name or type is an Answer without records. Implementations are safe for concurrent use, bound
// their own time and return an error that wraps ErrTemporary for faults a later try may not see.
type Resolver interface {
	Resolve(ctx context.Context, name string, t Type) (*Answer, error)
}

// ErrTemporary marks a look-up that failed for a reason that may pass: RFC 7208 calls it temperror.
var ErrTemporary = errors.New("temporary DNS failure")

// Texts joins the character-strings of each TXT record without a space (RFC 7208 section 3.3).
func (a *Answer) Texts() []string {
	out := make([]string, 0, len(a.Records))
	for i := range a.Records {
		var n int
		for _, s := range a.Records[i].TXT {
			n += len(s)
		}
		b := make([]byte, 0, n)
		for _, s := range a.Records[i].TXT {
			b = append(b, s...)
		}
		out = append(out, string(b))
	}
	return out
}

// Func lets a plain function be a Resolver.
type Func func(ctx context.Context, name string, t Type) (*Answer, error)

// Resolve calls f.
func (f Func) Resolve(ctx context.Context, name string, t Type) (*Answer, error) {
	return f(ctx, name, t)
}

// Zone is a Resolver over fixed records, for tests and for judging recorded facts. A name with no records at all is
// NXDOMAIN; a name under Fail is a temporary failure.
type Zone struct {
	Records map[string][]Record // by lower-case owner name
	Fail    map[string]error    // by lower-case owner name
}
