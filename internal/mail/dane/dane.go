// Package dane holds certificates against TLSA records as a mail sender does: RFC 6698 and 7671 for the records, RFC
// 7672 for SMTP.
//
// Promise: pure. The chain comes from a live handshake that somebody else made, the records from a Resolver, the time
// as an argument. Whether the records can be trusted (DNSSEC) is said in Found.Secure and not decided here.
package dane

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail"
)

// The usages of RFC 6698 section 2.1.1, by the names of RFC 7218.
const (
	PKIXTA uint8 = 0
	PKIXEE uint8 = 1
	TA     uint8 = 2
	EE     uint8 = 3
)

// TLSA is one record.
type TLSA struct {
	Usage    uint8  `json:"usage"`
	Selector uint8  `json:"selector"`
	Matching uint8  `json:"matching"`
	Data     []byte `json:"data"`
}

// FromRecord takes the fields of a DNS record of type TLSA.
func FromRecord(r mail.Record) TLSA { return TLSA{r.Usage, r.Selector, r.Matching, r.Data} }

// String is the value as it stands in a zone file.
func (t TLSA) String() string {
	return fmt.Sprintf("%d %d %d %s", t.Usage, t.Selector, t.Matching, hex.EncodeToString(t.Data))
}

// Code names why a record cannot be used, or why it did not match.
type Code string

// Reasons.
const (
	Usable        Code = ""
	PKIXUsage     Code = "pkix-usage"     // usage 0 or 1: mail senders ignore it (RFC 7672 section 3.1.3)
	BadUsage      Code = "bad-usage"      // a usage nobody defined
	BadSelector   Code = "bad-selector"   //
	BadMatching   Code = "bad-matching"   //
	BadLength     Code = "bad-length"     // a digest of the wrong length
	BadData       Code = "bad-data"       // matching type 0 with bytes that are no certificate or key
	NoMatch       Code = "no-match"       // usable, but other data than the server shows
	WrongName     Code = "wrong-name"     // the trust anchor matches, the leaf does not carry the name
	OutOfDate     Code = "out-of-date"    // the trust anchor matches, a certificate of the chain is expired or not yet valid
	BrokenChain   Code = "broken-chain"   // the trust anchor matches, but no chain leads from the leaf to it
	NoCertificate Code = "no-certificate" // the server showed none
)

// Problem tells whether a mail sender can use the record at all (RFC 7672 section 3.1.3, RFC 7671 section 4).
func (t TLSA) Problem() Code {
	switch {
	case t.Usage == PKIXTA || t.Usage == PKIXEE:
		return PKIXUsage
	case t.Usage > EE:
		return BadUsage
	case t.Selector > 1:
		return BadSelector
	case t.Matching > 2:
		return BadMatching
	case t.Matching == 1 && len(t.Data) != sha256.Size, t.Matching == 2 && len(t.Data) != sha512.Size:
		return BadLength
	case t.Matching == 0 && !t.parses():
		return BadData
	}
	return Usable
}

func (t TLSA) parses() bool {
	if t.Selector == 0 {
		_, err := x509.ParseCertificate(t.Data)
		return err == nil
	}
	_, err := x509.ParsePKIXPublicKey(t.Data)
	return err == nil
}

// Matches tells whether the record's data is that of the certificate.
func (t TLSA) Matches(c *x509.Certificate) bool {
	return bytes.Equal(t.Data, Digest(c, t.Selector, t.Matching))
}

// Digest is the association data of a certificate for a selector (0 whole, 1 key) and matching type (0 itself, 1
// SHA-256, 2 SHA-512); nil for others.
func Digest(c *x509.Certificate, selector, matching uint8) []byte {
	b := c.Raw
	if selector == 1 {
		b = c.RawSubjectPublicKeyInfo
	}
	switch matching {
	case 0:
		return b
	case 1:
		d := sha256.Sum256(b)
		return d[:]
	case 2:
		d := sha512.Sum512(b)
		return d[:]
	}
	return nil
}

// For builds the record that a leaf certificate's owner should publish: DANE-EE, key, SHA-256 (RFC 7672 section 3.1.1
// and 7671 section 5.1: "3 1 1").
func For(leaf *x509.Certificate) TLSA { return TLSA{EE, 1, 1, Digest(leaf, 1, 1)} }

// Each is the verdict on one record.
type Each struct {
	TLSA  TLSA `json:"tlsa"`
	Code  Code `json:"code,omitempty"`  // empty: it authenticates the server
	Depth int  `json:"depth,omitempty"` // of the certificate that matched: 0 the leaf
}

// Verdict is what a sender concludes from all records.
type Verdict struct {
	Each          []Each `json:"each"`
	Usable        int    `json:"usable"`        // records a mail sender can use
	Authenticated bool   `json:"authenticated"` // one of them matches
}

// Mandatory tells that the sender insists: there are usable records, so an unauthenticated server gets no mail. With
// records but none usable TLS is mandatory but the certificate is not checked (RFC 7672 section 2.2).
func (v *Verdict) Mandatory() bool { return v.Usable > 0 }

// Verify holds the chain a server showed (leaf first) against records. names are the reference identifiers: the TLSA
// base domain, and the next-hop domain (RFC 7672 section 3.2.2); they count for usage 2 only, as does the time.
func Verify(records []TLSA, chain []*x509.Certificate, names []string, now time.Time) *Verdict {
	v := &Verdict{}
	for _, t := range records {
		e := Each{TLSA: t, Code: t.Problem()}
		if e.Code == Usable {
			v.Usable++
			e.Code, e.Depth = hold(t, chain, names, now)
			v.Authenticated = v.Authenticated || e.Code == Usable
		}
		v.Each = append(v.Each, e)
	}
	return v
}

func hold(t TLSA, chain []*x509.Certificate, names []string, now time.Time) (Code, int) {
	if len(chain) == 0 {
		return NoCertificate, 0
	}
	if t.Usage == EE {
		if t.Matches(chain[0]) {
			return Usable, 0
		}
		return NoMatch, 0
	}
	for i, c := range chain {
		if t.Matches(c) {
			return anchored(chain, c, names, now), i
		}
	}
	// RFC 7671 section 5.2.2: a full certificate in the record need not be sent by the server.
	if t.Matching == 0 && t.Selector == 0 {
		if c, err := x509.ParseCertificate(t.Data); err == nil && anchored(chain, c, nil, now) != BrokenChain {
			return anchored(chain, c, names, now), len(chain)
		}
	}
	return NoMatch, 0
}

// anchored verifies the leaf up to the anchor, then the dates, then the names.
func anchored(chain []*x509.Certificate, anchor *x509.Certificate, names []string, now time.Time) Code {
	if !anchor.Equal(chain[0]) {
		between := x509.NewCertPool()
		for _, c := range chain[1:] {
			between.AddCert(c)
		}
		roots := x509.NewCertPool()
		roots.AddCert(anchor)
		opt := x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
		if _, err := chain[0].Verify(opt); err != nil {
			opt.CurrentTime = chain[0].NotBefore.Add(time.Second) // does it hold at all?
			if _, again := chain[0].Verify(opt); again == nil || expired(err) {
				return OutOfDate
			}
			return BrokenChain
		}
	} else if now.Before(anchor.NotBefore) || now.After(anchor.NotAfter) {
		return OutOfDate
	}
	if len(names) == 0 {
		return Usable
	}
	for _, n := range names {
		if chain[0].VerifyHostname(n) == nil {
			return Usable
		}
	}
	return WrongName
}

func expired(err error) bool {
	e, ok := err.(x509.CertificateInvalidError)
	return ok && e.Reason == x509.Expired
}

// Found is what the DNS says about a server.
type Found struct {
	Host    string `json:"host"`
	Port    int    `json:"port"`
	Base    string `json:"base"`              // the TLSA base domain: the host, or the end of its CNAME chain
	Name    string `json:"name"`              // the owner name of the records
	Records []TLSA `json:"records,omitempty"` //
	// Secure tells that the records were validated; without it a sender must not use them (RFC 7672 section 2.1).
	Secure bool `json:"secure"`
	// HostSecure tells that the address records of the host were validated; without it a sender does not even ask for
	// TLSA (RFC 7672 section 2.2.2).
	HostSecure bool `json:"host_secure"`
}

// Lookup asks for the TLSA records of an MX host (RFC 7672 section 2.2). Where the host is a CNAME whose chain is
// secure the end of the chain is tried first, then the host itself (section 2.2.2). The error is non-nil only when the
// DNS could not be asked; a sender then holds the mail back (section 2.1.2).
func Lookup(ctx context.Context, r mail.Resolver, host string, port int) (*Found, error) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	f := &Found{Host: host, Port: port, Base: host}
	bases := []string{host}
	addr, err := r.Resolve(ctx, host, mail.TypeA)
	if err == nil && len(addr.Records) == 0 {
		addr, err = r.Resolve(ctx, host, mail.TypeAAAA)
	}
	if err != nil {
		return nil, err
	}
	f.HostSecure = addr.Secure
	if addr.Secure && addr.Final != host && addr.Final != "" {
		bases = []string{addr.Final, host}
	}
	for _, b := range bases {
		name := fmt.Sprintf("_%d._tcp.%s", port, b)
		a, err := r.Resolve(ctx, name, mail.TypeTLSA)
		if err != nil {
			return nil, err
		}
		f.Base, f.Name, f.Secure = b, name, a.Secure
		for _, rr := range a.Records {
			f.Records = append(f.Records, FromRecord(rr))
		}
		if len(f.Records) > 0 {
			break
		}
	}
	return f, nil
}
