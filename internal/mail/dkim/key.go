// Package dkim reads DKIM key records and signatures, and verifies the signatures of a message with the reason for
// every failure as data.
//
// Promise: streaming and bounded; the message is read once. What was claimed and what was computed stand side by side,
// and where it can be found out, which header or which part of the body was changed after signing. RFCs: 6376, 8301
// (rsa-sha1 and short keys are not accepted), 8463 (ed25519-sha256), 8601 (result words). Keys come through a
// mail.Resolver, the time is an argument.
package dkim

import (
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/tag"
)

// KeyFaultKind names what is wrong with a key record.
type KeyFaultKind string

// The faults of key records.
const (
	KeyVersion    KeyFaultKind = "version"    // v= is not DKIM1, or not the first tag
	KeyType       KeyFaultKind = "type"       // k= is neither rsa nor ed25519
	KeyMissing    KeyFaultKind = "missing"    // no p=
	KeyBase64     KeyFaultKind = "base64"     // p= is not base64
	KeyDER        KeyFaultKind = "der"        // p= is base64 but no public key of the type
	KeyWrongType  KeyFaultKind = "wrong-type" // p= holds a key of another type than k= says
	KeyPKCS1      KeyFaultKind = "pkcs1"      // a bare RSAPublicKey; widely accepted
	KeyTag        KeyFaultKind = "tag"        // a fault of the tag list: Text tells
	KeyHash       KeyFaultKind = "hash"       // h= has no hash in use
	KeyService    KeyFaultKind = "service"    // s= excludes email
	KeyPrivate    KeyFaultKind = "private"    // p= holds a private key!
	KeyLikeOther  KeyFaultKind = "not-a-key"  // a TXT record that is no key record at all
	KeyNoSpaceFix KeyFaultKind = "escaped"    // quotes or backslashes of a zone file inside the value
)

// Fatal tells whether verifiers cannot use a key with this fault.
func (k KeyFaultKind) Fatal() bool { return k != KeyPKCS1 && k != KeyTag }

// KeyFault is a fault of a key record; Pos is a byte offset in Raw.
type KeyFault struct {
	Kind KeyFaultKind `json:"kind"`
	Pos  int          `json:"pos"`
	Text string       `json:"text,omitempty"`
}

// Key is a parsed key record (RFC 6376 section 3.6.1).
type Key struct {
	Raw      string     `json:"raw"`
	Type     string     `json:"type"`               // "rsa" where k= is absent
	Hashes   []string   `json:"hashes,omitempty"`   // h=; nil allows all
	Services []string   `json:"services,omitempty"` // s=; nil allows all
	Test     bool       `json:"test,omitempty"`     // t=y
	Strict   bool       `json:"strict,omitempty"`   // t=s: i= must have the very domain of d=
	Notes    string     `json:"notes,omitempty"`    // n=
	Revoked  bool       `json:"revoked,omitempty"`  // p= is empty
	Bits     int        `json:"bits,omitempty"`     // of the key
	Tags     []tag.Tag  `json:"tags,omitempty"`
	Faults   []KeyFault `json:"faults,omitempty"`
	Public   any        `json:"-"` // *rsa.PublicKey or ed25519.PublicKey; nil where it cannot be used
}

// LooksLikeKey tells whether a TXT value was meant to be a key record.
func LooksLikeKey(txt string) bool {
	s := strings.ToLower(strings.Join(strings.Fields(txt), ""))
	return strings.HasPrefix(s, "v=dkim") || strings.HasPrefix(s, "p=") || strings.HasPrefix(s, "k=") || strings.Contains(s, ";p=")
}

// ParseKey reads a key record. It never fails: faults are listed, and Public is nil where the key cannot be used.
func ParseKey(txt string) *Key {
	k := &Key{Raw: txt, Type: "rsa"}
	var faults []tag.Fault
	k.Tags, faults = tag.Parse(txt)
	for _, f := range faults {
		if f.Kind != tag.EmptyValue {
			k.fault(KeyTag, f.Pos, f.Text)
		}
	}
	p := -1
	for i, t := range k.Tags {
		switch strings.ToLower(t.Name) {
		case "v":
			if t.Value != "DKIM1" || i != 0 {
				k.fault(KeyVersion, t.Pos, t.Value)
			}
		case "k":
			if k.Type = strings.ToLower(t.Value); k.Type != "rsa" && k.Type != "ed25519" {
				k.fault(KeyType, t.ValuePos, t.Value)
			}
		case "h":
			k.hashes(t)
		case "s":
			k.Services = colons(t.Value)
			if !slices.Contains(k.Services, "*") && !slices.Contains(k.Services, "email") {
				k.fault(KeyService, t.ValuePos, t.Value)
			}
		case "t":
			f := colons(t.Value)
			k.Test, k.Strict = slices.Contains(f, "y"), slices.Contains(f, "s")
		case "n":
			k.Notes = t.Value
		case "p":
			p = i
		}
	}
	k.public(p)
	return k
}

func (k *Key) fault(kind KeyFaultKind, pos int, text string) {
	k.Faults = append(k.Faults, KeyFault{kind, pos, text})
}

func (k *Key) hashes(t tag.Tag) {
	k.Hashes = colons(t.Value)
	if !slices.Contains(k.Hashes, "sha256") {
		k.fault(KeyHash, t.ValuePos, t.Value)
	}
}

func colons(s string) []string {
	var out []string
	for p := range strings.SplitSeq(s, ":") {
		out = append(out, strings.ToLower(strings.TrimSpace(p)))
	}
	return out
}

// public decodes p=.
func (k *Key) public(i int) {
	if i < 0 {
		if len(k.Tags) == 0 || !LooksLikeKey(k.Raw) {
			k.fault(KeyLikeOther, 0, "")
			return
		}
		k.fault(KeyMissing, 0, "p")
		return
	}
	t := k.Tags[i]
	text := strings.Join(strings.Fields(t.Value), "")
	if text == "" {
		k.Revoked = true
		return
	}
	if strings.ContainsAny(text, "\"\\") {
		k.fault(KeyNoSpaceFix, t.ValuePos, "")
		return
	}
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		if der, err = base64.RawStdEncoding.DecodeString(text); err != nil {
			k.fault(KeyBase64, t.ValuePos, err.Error())
			return
		}
	}
	k.decode(der, t.ValuePos)
}

func (k *Key) decode(der []byte, pos int) {
	if k.Type == "ed25519" && len(der) == ed25519.PublicKeySize {
		k.Public, k.Bits = ed25519.PublicKey(der), 256
		return
	}
	pub, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		r, err1 := x509.ParsePKCS1PublicKey(der)
		switch {
		case err1 != nil && isPrivate(der):
			k.fault(KeyPrivate, pos, "")
			return
		case err1 != nil:
			k.fault(KeyDER, pos, err.Error())
			return
		}
		k.fault(KeyPKCS1, pos, "")
		pub = r
	}
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		k.Bits = pub.N.BitLen()
		if k.Type == "rsa" {
			k.Public = pub
			return
		}
	case ed25519.PublicKey:
		k.Bits = 256
		if k.Type == "ed25519" {
			k.Public = pub
			return
		}
	}
	k.fault(KeyWrongType, pos, k.Type)
}

func isPrivate(der []byte) bool {
	if _, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return true
	}
	_, err := x509.ParsePKCS8PrivateKey(der)
	return err == nil
}

// Usable tells whether verifiers can use the key at all.
func (k *Key) Usable() bool { return k.Public != nil }

// KeyName is where a selector's key stands in the DNS.
func KeyName(selector, domain string) string { return selector + "._domainkey." + domain }

// maxKeys bounds how many records of one name are tried.
const maxKeys = 10

// Fetch asks for the key records of a selector. No record is an empty slice; the error is that of the resolver.
func Fetch(ctx context.Context, r mail.Resolver, selector, domain string) ([]*Key, error) {
	a, err := r.Resolve(ctx, KeyName(selector, domain), mail.TypeTXT)
	if err != nil {
		return nil, err
	}
	var keys []*Key
	for i, txt := range a.Texts() {
		if i < maxKeys {
			keys = append(keys, ParseKey(txt))
		}
	}
	return keys, nil
}
