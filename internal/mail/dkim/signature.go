package dkim

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail/header"
)

// Reason names why a signature is not good, or what weakens it.
type Reason string

// The reasons.
const (
	MissingTag      Reason = "missing-tag"      // Detail names it
	BadTag          Reason = "bad-tag"          // Detail names it
	DuplicateTag    Reason = "duplicate-tag"    // Detail names it
	BadVersion      Reason = "bad-version"      // v= is not 1
	BadAlgorithm    Reason = "bad-algorithm"    // unknown a=
	OldAlgorithm    Reason = "old-algorithm"    // rsa-sha1 (RFC 8301)
	FromNotSigned   Reason = "from-not-signed"  //
	BadIdentity     Reason = "bad-identity"     // i= is not within d=
	BadQuery        Reason = "bad-query"        // q= is not dns/txt
	Expired         Reason = "expired"          // x= has passed
	Future          Reason = "future"           // t= lies ahead
	NoKey           Reason = "no-key"           // the name has no TXT record; Detail tells NXDOMAIN
	KeyUnavailable  Reason = "key-unavailable"  // the DNS could not be asked
	KeyRevoked      Reason = "key-revoked"      //
	KeyBroken       Reason = "key-broken"       // the record cannot be used; Detail names the fault
	KeyMismatch     Reason = "key-mismatch"     // a= and k= differ
	KeyHashDenied   Reason = "key-hash-denied"  // h= of the key forbids the hash
	KeyStrict       Reason = "key-strict"       // t=s and i= is a subdomain
	KeyTooShort     Reason = "key-too-short"    // RSA under 1024 bits (RFC 8301)
	BodyChanged     Reason = "body-changed"     // bh= differs
	BodyAppended    Reason = "body-appended"    // bh= fits the first lines: something was added below
	BodyShort       Reason = "body-short"       // the body has fewer bytes than l= says
	HeaderChanged   Reason = "header-changed"   // the key is right, the signed fields are not
	WrongKey        Reason = "wrong-key"        // the signature was made with another key
	SignatureBroken Reason = "signature-broken" // b= fits nothing
	TooMany         Reason = "too-many"         // more signatures than are looked at
)

// Signature is a parsed DKIM-Signature (RFC 6376 section 3.5), or an ARC-Message-Signature, which has the same tags.
type Signature struct {
	Version   string        `json:"version"`
	Algorithm string        `json:"algorithm"` // a=, lower case
	Header    Canon         `json:"headerCanon"`
	Body      Canon         `json:"bodyCanon"`
	Domain    string        `json:"domain"`   // d=, lower case
	Selector  string        `json:"selector"` // s=
	Identity  string        `json:"identity,omitempty"`
	Headers   []string      `json:"headers"`          // h=, as written
	Length    int64         `json:"length"`           // l=; -1 where absent
	Time      time.Time     `json:"time,omitzero"`    // t=
	Expires   time.Time     `json:"expires,omitzero"` // x=
	Copied    []string      `json:"copied,omitempty"` // z=, decoded: "Name:value"
	Query     string        `json:"query,omitempty"`
	Faults    []TagFault    `json:"faults,omitempty"`
	BodyHash  []byte        `json:"-"`
	Sum       []byte        `json:"-"` // b=
	Field     *header.Field `json:"-"`
	Tags      []Pair        `json:"-"` // all tags in order
}

// Pair is a tag as written, white space around it removed.
type Pair struct{ Name, Value string }

// TagFault is something wrong with a tag.
type TagFault struct {
	Reason Reason `json:"reason"`
	Tag    string `json:"tag"`
	Text   string `json:"text,omitempty"`
}

// Pairs cuts a tag list, unfolded or not. Parts that are no tag=value are named in bad.
func Pairs(s string) (tags []Pair, bad []string) {
	tags = make([]Pair, 0, 12)
	for part := range strings.SplitSeq(s, ";") {
		part = strings.Trim(part, " \t\r\n")
		if part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimRight(name, " \t\r\n")
		if !ok || !isTagName(name) {
			bad = append(bad, part)
			continue
		}
		tags = append(tags, Pair{name, strings.TrimLeft(value, " \t\r\n")})
	}
	return tags, bad
}

func isTagName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !('a' <= c|0x20 && c|0x20 <= 'z') && (i == 0 || !('0' <= c && c <= '9') && c != '_') {
			return false
		}
	}
	return s != ""
}

// ParseSignature reads the value of a signature field. Faults are listed; what could be read stands beside them.
func ParseSignature(f *header.Field) *Signature {
	s := &Signature{Field: f, Length: -1, Query: "dns/txt"}
	var bad []string
	s.Tags, bad = Pairs(f.Value())
	for _, b := range bad {
		s.fault(BadTag, b, "")
	}
	for i, t := range s.Tags {
		for _, u := range s.Tags[:i] {
			if u.Name == t.Name {
				s.fault(DuplicateTag, t.Name, "")
			}
		}
		s.tag(t)
	}
	return s
}

func (s *Signature) fault(r Reason, tag, text string) {
	s.Faults = append(s.Faults, TagFault{r, tag, text})
}

// Tag gives the value of a tag, and whether it is there.
func (s *Signature) Tag(name string) (string, bool) {
	for _, t := range s.Tags {
		if t.Name == name {
			return t.Value, true
		}
	}
	return "", false
}

func (s *Signature) tag(t Pair) {
	switch t.Name {
	case "v":
		s.Version = t.Value
	case "a":
		s.Algorithm = strings.ToLower(t.Value)
	case "b":
		s.Sum = s.base64(t)
	case "bh":
		s.BodyHash = s.base64(t)
	case "c":
		s.canon(t)
	case "d":
		s.Domain = strings.ToLower(strings.TrimSuffix(t.Value, "."))
	case "s":
		s.Selector = t.Value
	case "i":
		s.Identity = t.Value
	case "h":
		for name := range strings.SplitSeq(t.Value, ":") {
			s.Headers = append(s.Headers, strings.Trim(name, " \t\r\n"))
		}
	case "l":
		n, err := strconv.ParseInt(t.Value, 10, 64)
		if err != nil || n < 0 {
			s.fault(BadTag, "l", t.Value)
			return
		}
		s.Length = n
	case "t":
		s.Time = s.time(t)
	case "x":
		s.Expires = s.time(t)
	case "q":
		s.Query = t.Value
	case "z":
		for f := range strings.SplitSeq(t.Value, "|") {
			s.Copied = append(s.Copied, unquote(strings.Trim(f, " \t\r\n")))
		}
	}
}

func (s *Signature) base64(t Pair) []byte {
	text := t.Value
	if strings.ContainsAny(text, " \t\r\n") {
		text = strings.Join(strings.Fields(text), "")
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		if b, err = base64.RawStdEncoding.DecodeString(text); err != nil {
			s.fault(BadTag, t.Name, "base64")
		}
	}
	return b
}

func (s *Signature) canon(t Pair) {
	h, b, both := strings.Cut(strings.ToLower(t.Value), "/")
	if !both {
		b = "simple"
	}
	for i, w := range []string{strings.TrimSpace(h), strings.TrimSpace(b)} {
		if w != "simple" && w != "relaxed" {
			s.fault(BadTag, "c", t.Value)
		}
		if i == 0 {
			s.Header = w == "relaxed"
		} else {
			s.Body = w == "relaxed"
		}
	}
}

func (s *Signature) time(t Pair) time.Time {
	n, err := strconv.ParseInt(t.Value, 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		s.fault(BadTag, t.Name, t.Value)
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// unquote undoes DKIM-Quoted-Printable (section 2.11).
func unquote(s string) string {
	if !strings.Contains(s, "=") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '=' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out = append(out, byte(n))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

// Signs tells whether h= names a field.
func (s *Signature) Signs(name string) bool { return s.count(name) > 0 }

func (s *Signature) count(name string) (n int) {
	for _, h := range s.Headers {
		if strings.EqualFold(h, name) {
			n++
		}
	}
	return n
}
