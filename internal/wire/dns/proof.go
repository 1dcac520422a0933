package dns

import (
	"time"

	"github.com/mailwhy/mailwhy/internal/mail"
)

// State is what validation told of an answer (RFC 4033 section 5).
type State string

// The states.
const (
	Secure        State = "secure"        // an unbroken chain of signatures from a trust anchor
	Insecure      State = "insecure"      // the parent proves that the zone is not signed, or with nothing we can check
	Bogus         State = "bogus"         // should be signed, and is not or wrongly: validating resolvers answer SERVFAIL
	Indeterminate State = "indeterminate" // the keys could not be asked for, or no trust anchor is above the name
)

// BreakKind names what is wrong with a link.
type BreakKind string

// The kinds of break.
const (
	NoBreak         BreakKind = ""
	DSMismatch      BreakKind = "ds-mismatch"         // the parent's DS matches none of the zone's keys
	NoKeys          BreakKind = "no-dnskey"           // the parent has a DS, the zone has no DNSKEY
	KeysUnsigned    BreakKind = "dnskey-not-signed"   // no key named by the DS signs the DNSKEY set
	SigMissing      BreakKind = "signature-missing"   // a set of a signed zone comes without RRSIG
	SigExpired      BreakKind = "signature-expired"   //
	SigEarly        BreakKind = "signature-not-yet"   // inception lies in the future: a clock is wrong
	SigWrong        BreakKind = "signature-wrong"     // does not match the data: altered on the way, or signed with another key
	SigUnknownKey   BreakKind = "signature-other-key" // made by a key that is not in the zone's DNSKEY set
	DenialMissing   BreakKind = "denial-missing"      // nothing proves that the name or type is absent
	DenialWrong     BreakKind = "denial-wrong"        // NSEC or NSEC3 records that prove something else
	AlgorithmTooNew BreakKind = "unknown-algorithm"   // signed only by algorithms we cannot check
	NotReached      BreakKind = "not-reached"         // the question failed
	Stripped        BreakKind = "signatures-stripped" // the resolver in use hands on no signatures at all
	AnchorMismatch  BreakKind = "anchor-mismatch"     // the anchored zone's keys, as this resolver gives them, do not fit the anchor
	NoAnchor        BreakKind = "no-anchor"           // no trust anchor at or above the name
)

// Break says where and why a chain breaks, as data.
type Break struct {
	Kind BreakKind `json:"kind"`
	Zone string    `json:"zone"` // the zone whose owner can mend it
	Name string    `json:"name"` // the owner of the set in question
	Type string    `json:"type"` // its type
	Tags []uint16  `json:"tags,omitempty"`
	At   time.Time `json:"at,omitzero"` // the expiry or inception in question
	Text string    `json:"text,omitempty"`
}

// DS is a delegation signer record and what became of it.
type DS struct {
	Tag       uint16 `json:"tag"`
	Algorithm uint8  `json:"algorithm"`
	Digest    uint8  `json:"digest"`
	Hash      string `json:"hash"`
	Matches   bool   `json:"matches"` // a key of the zone has this digest
	Known     bool   `json:"known"`   // we can check this algorithm and digest
}

// Key is a key of a zone.
type Key struct {
	Tag       uint16 `json:"tag"`
	Algorithm uint8  `json:"algorithm"`
	Flags     uint16 `json:"flags"` // 257 KSK, 256 ZSK
	Bits      int    `json:"bits"`
	Signs     bool   `json:"signs,omitempty"` // its signature over the DNSKEY set was checked
}

// Link is one zone of a chain.
type Link struct {
	Zone    string    `json:"zone"` // "" is the root
	State   State     `json:"state"`
	Anchor  bool      `json:"anchor,omitempty"` // trusted by configuration
	DS      []DS      `json:"ds,omitempty"`
	Keys    []Key     `json:"keys,omitempty"`
	Expires time.Time `json:"expires,omitzero"` // of the signature over the DNSKEY set that was used
	Denial  string    `json:"denial,omitempty"` // what proves that there is no DS: "NSEC", "NSEC3", "NSEC3 opt-out"
}

// Proof is the result of a validation.
type Proof struct {
	Name    string    `json:"name"`
	Type    string    `json:"type"`
	State   State     `json:"state"`
	Zone    string    `json:"zone"`            // the zone that signs the answer, or the deepest one known
	Links   []Link    `json:"links,omitempty"` // from the trust anchor down
	Break   *Break    `json:"break,omitempty"` // set unless secure
	Expires time.Time `json:"expires,omitzero"`
	Denial  string    `json:"denial,omitempty"` // of a negative answer: what proved it

	answer *mail.Answer
}

// Answer is what was validated; nil where the question failed. A bogus answer is what the servers claim.
func (p *Proof) Answer() *mail.Answer { return p.answer }

// Signed tells whether the parent of the zone says that it is signed.
func (p *Proof) Signed() bool { return p.State == Secure || p.State == Bogus }

var algorithms = [...]struct {
	n    uint8
	name string
}{{1, "RSAMD5"}, {3, "DSA"}, {5, "RSASHA1"}, {6, "DSA-NSEC3-SHA1"}, {7, "RSASHA1-NSEC3-SHA1"}, {8, "RSASHA256"}, {10, "RSASHA512"}, {12, "ECC-GOST"},
	{13, "ECDSAP256SHA256"}, {14, "ECDSAP384SHA384"}, {15, "ED25519"}, {16, "ED448"}}

// AlgorithmName is the mnemonic of a DNSSEC algorithm: "ECDSAP256SHA256".
func AlgorithmName(n uint8) string {
	for _, a := range algorithms {
		if a.n == n {
			return a.name
		}
	}
	return "algorithm " + itoa(int(n))
}
