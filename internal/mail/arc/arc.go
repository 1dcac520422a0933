// Package arc validates Authenticated Received Chains and adds a set of its own to one.
//
// Promise: RFC 8617 to the letter (all of the public validation and signing suites), with the outcome of every
// signature as data: the chain's status, the set that breaks it and why, the oldest set whose body still verifies.
// RFCs: 8617, 6376 (canonicalisation, keys), 8601 (Authentication-Results). It must not say what a chain is worth: that
// depends on who sealed it.
package arc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/dkim"
	"github.com/mailwhy/mailwhy/internal/mail/header"
)

// MaxSets is the longest chain a receiver looks at (RFC 8617 section 5.2).
const MaxSets = 50

// Status of a chain (section 4.4).
type Status string

// The states of a chain.
const (
	None Status = "none"
	Pass Status = "pass"
	Fail Status = "fail"
)

// Reason names why a chain fails.
type Reason string

// The reasons. Those of signatures and keys are dkim's.
const (
	TooManySets   Reason = "too-many-sets"
	BadInstance   Reason = "bad-instance"   // i= missing, not a number or out of 1 to 50
	GapInChain    Reason = "gap"            // an instance is missing
	MissingField  Reason = "missing-field"  // a set lacks one of its three fields
	Duplicate     Reason = "duplicate"      // a set has one of its fields twice
	SealedFail    Reason = "sealed-fail"    // the newest seal says cv=fail: the chain was broken before
	BadChainValue Reason = "bad-cv"         // cv= is not what it must be there
	BadTags       Reason = "bad-tags"       // Detail names the tag
	SealInHeaders Reason = "seal-in-h"      // h= of a message signature names ARC-Seal
	HeadersInSeal Reason = "h-in-seal"      // a seal must not have h=
	MessageBroken Reason = "message-broken" // the newest message signature does not verify: Detail is dkim's reason
	SealBroken    Reason = "seal-broken"    // a seal does not verify: Detail is dkim's reason
)

// Set is the three fields of one instance.
type Set struct {
	Instance   int             `json:"instance"`
	Results    string          `json:"results"` // the value of ARC-Authentication-Results behind i=
	Message    *dkim.Signature `json:"message"` // ARC-Message-Signature
	Seal       *dkim.Signature `json:"seal"`    // ARC-Seal
	CV         string          `json:"cv"`      // of the seal
	MessageOK  bool            `json:"messageOK"`
	SealOK     bool            `json:"sealOK"`
	MessageWhy dkim.Reason     `json:"messageReason,omitempty"` // where not OK
	SealWhy    dkim.Reason     `json:"sealReason,omitempty"`
	aar        *header.Field
	hashes     []*dkim.BodyHash // one per reading
}

// Chain is the outcome of a validation.
type Chain struct {
	Status Status `json:"status"`
	Reason Reason `json:"reason,omitempty"`
	At     int    `json:"at,omitempty"`         // the instance that breaks the chain
	Detail string `json:"detail,omitempty"`     // the tag, the field, dkim's reason
	Temp   bool   `json:"temporary,omitempty"`  // a key could not be asked for: the status may change
	Oldest int    `json:"oldestPass,omitempty"` // oldest instance whose message signature still verifies, all newer ones too
	Sets   []*Set `json:"sets"`
}

func (c *Chain) fail(r Reason, at int, detail string) {
	if c.Status != Fail {
		c.Status, c.Reason, c.At, c.Detail = Fail, r, at, detail
	}
}

// Validate reads a message once and validates its chain. The error is that of the reader.
func Validate(ctx context.Context, res mail.Resolver, msg io.Reader, lim header.Limits) (*Chain, error) {
	b, body, err := header.Parse(msg, lim)
	if err != nil {
		return nil, err
	}
	return ValidateBody(ctx, res, b, body)
}

// ValidateBody is Validate for a message whose header was already parsed.
func ValidateBody(ctx context.Context, res mail.Resolver, b *header.Block, body io.Reader) (*Chain, error) {
	c := collect(b)
	if c.Status == None || len(c.Sets) == 0 {
		return c, nil
	}
	var all []io.Writer
	for _, s := range c.Sets {
		for _, sig := range s.readings() {
			h := dkim.NewBodyHash(sha256.New(), sig.Body, sig.Length)
			s.hashes = append(s.hashes, h)
			all = append(all, h)
		}
	}
	if _, err := io.Copy(io.MultiWriter(all...), body); err != nil {
		return c, err
	}
	keys := c.keys(ctx, res)
	for i, s := range c.Sets {
		if s.Message == nil || s.Seal == nil || s.aar == nil {
			continue
		}
		for k, sig := range s.readings() {
			if s.checkMessage(b, sig, s.hashes[k], keys); s.MessageOK {
				break
			}
		}
		c.checkSeal(i, keys)
	}
	c.conclude(keys)
	return c, nil
}

// collect sorts the fields into sets and judges their structure.
func collect(b *header.Block) *Chain {
	c := &Chain{Status: None}
	sets := map[int]*Set{}
	set := func(n int) *Set {
		if sets[n] == nil {
			sets[n] = &Set{Instance: n}
		}
		return sets[n]
	}
	for i := range b.Fields {
		f := &b.Fields[i]
		switch strings.ToLower(f.Name) {
		case "arc-authentication-results":
			n, rest, ok := instanceOf(f.Value())
			if !ok {
				c.fail(BadInstance, 0, f.Name)
				continue
			}
			s := set(n)
			if s.aar != nil {
				c.fail(Duplicate, n, f.Name)
			}
			s.aar, s.Results = f, rest
		case "arc-message-signature", "arc-seal":
			sig := dkim.ParseSignature(f)
			v, _ := sig.Tag("i")
			n, ok := number(v)
			if !ok {
				c.fail(BadInstance, 0, f.Name)
				continue
			}
			s := set(n)
			p := &s.Message
			if strings.EqualFold(f.Name, "arc-seal") {
				p = &s.Seal
				s.CV, _ = sig.Tag("cv")
			}
			if *p != nil {
				c.fail(Duplicate, n, f.Name)
			}
			*p = sig
		}
	}
	for _, s := range sets {
		c.Sets = append(c.Sets, s)
	}
	slices.SortFunc(c.Sets, func(a, b *Set) int { return a.Instance - b.Instance })
	if c.structure(); c.Status != Fail && len(c.Sets) > 0 {
		c.Status = Pass
	}
	if len(c.Sets) > MaxSets {
		c.Sets = c.Sets[:MaxSets]
	}
	return c
}

// instanceOf reads "i=N;" at the beginning of ARC-Authentication-Results.
func instanceOf(v string) (n int, rest string, ok bool) {
	first, rest, semi := strings.Cut(v, ";")
	name, val, eq := strings.Cut(first, "=")
	if !semi || !eq || strings.TrimSpace(name) != "i" {
		return 0, "", false
	}
	n, ok = number(strings.TrimSpace(val))
	return n, strings.TrimSpace(rest), ok
}

func number(s string) (int, bool) {
	if s == "" || len(s) > 3 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 1 && n <= MaxSets
}

// structure is steps 1 to 3 of section 5.2.
func (c *Chain) structure() {
	if len(c.Sets) > MaxSets {
		c.fail(TooManySets, 0, strconv.Itoa(len(c.Sets)))
		return
	}
	if n := len(c.Sets); n > 0 && c.Sets[n-1].CV == "fail" {
		c.fail(SealedFail, c.Sets[n-1].Instance, "")
	}
	for i, s := range c.Sets {
		if s.Instance != i+1 {
			c.fail(GapInChain, i+1, "")
		}
		for _, m := range []struct {
			missing bool
			name    string
		}{{s.aar == nil, "ARC-Authentication-Results"}, {s.Message == nil, "ARC-Message-Signature"}, {s.Seal == nil, "ARC-Seal"}} {
			if m.missing {
				c.fail(MissingField, s.Instance, m.name)
			}
		}
		want := "pass"
		if s.Instance == 1 {
			want = "none"
		}
		if s.Seal != nil && s.CV != want {
			c.fail(BadChainValue, s.Instance, s.CV)
		}
		c.tags(s)
	}
}

// tags judges the tags of a set's two signatures.
func (c *Chain) tags(s *Set) {
	if s.Message != nil {
		c.required(s, s.Message, "a", "b", "bh", "d", "h", "i", "s")
		if s.Message.Signs("ARC-Seal") {
			c.fail(SealInHeaders, s.Instance, "")
		}
	}
	if s.Seal != nil {
		c.required(s, s.Seal, "a", "b", "cv", "d", "i", "s")
		if _, has := s.Seal.Tag("h"); has {
			c.fail(HeadersInSeal, s.Instance, "")
		}
	}
}

func (c *Chain) required(s *Set, sig *dkim.Signature, names ...string) {
	for _, f := range sig.Faults {
		c.fail(BadTags, s.Instance, f.Tag)
	}
	for _, n := range names {
		if v, ok := sig.Tag(n); !ok || v == "" && n != "h" {
			c.fail(BadTags, s.Instance, n)
		}
	}
	if emptyTag(sig.Field.Value()) {
		c.fail(BadTags, s.Instance, ";")
	}
	if sig.Algorithm != "rsa-sha256" && sig.Algorithm != "ed25519-sha256" {
		c.fail(BadTags, s.Instance, "a")
	}
	if v, _ := sig.Tag("a"); v != sig.Algorithm { // values are case-sensitive
		c.fail(BadTags, s.Instance, "a")
	}
	if v, ok := sig.Tag("t"); ok && sig.Time.IsZero() && v == "" {
		c.fail(BadTags, s.Instance, "t")
	}
}

// emptyTag tells whether two semicolons have nothing between them.
func emptyTag(v string) bool {
	parts := strings.Split(strings.TrimRight(v, " \t"), ";")
	if parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	return slices.ContainsFunc(parts, func(p string) bool { return strings.TrimSpace(p) == "" })
}

type keyAnswer struct {
	keys []*dkim.Key
	err  error
}

// keys asks for all keys of the chain at once.
func (c *Chain) keys(ctx context.Context, res mail.Resolver) map[string]*keyAnswer {
	out := map[string]*keyAnswer{}
	var wg sync.WaitGroup
	for _, s := range c.Sets {
		for _, sig := range []*dkim.Signature{s.Message, s.Seal} {
			if sig == nil || out[keyOf(sig)] != nil {
				continue
			}
			a := &keyAnswer{}
			out[keyOf(sig)] = a
			wg.Go(func() { a.keys, a.err = dkim.Fetch(ctx, res, sig.Selector, sig.Domain) })
		}
	}
	wg.Wait()
	return out
}

func keyOf(s *dkim.Signature) string { return dkim.KeyName(s.Selector, s.Domain) }

// usable chooses the key for a signature.
func usable(a *keyAnswer, s *dkim.Signature) (*dkim.Key, dkim.Reason) {
	switch {
	case a.err != nil:
		return nil, dkim.KeyUnavailable
	case len(a.keys) == 0:
		return nil, dkim.NoKey
	}
	for _, k := range a.keys {
		if k.Usable() && strings.HasPrefix(s.Algorithm, k.Type+"-") {
			if k.Type == "rsa" && k.Bits < 1024 {
				return nil, dkim.KeyTooShort
			}
			return k, ""
		}
	}
	if a.keys[0].Revoked {
		return nil, dkim.KeyRevoked
	}
	return nil, dkim.KeyBroken
}

// readings are the ways to read the message signature: as written, and where c= is absent also relaxed/relaxed, which
// sealers took for the default before RFC 8617 made it DKIM's.
func (s *Set) readings() []*dkim.Signature {
	if s.Message == nil {
		return nil
	}
	if _, written := s.Message.Tag("c"); written {
		return []*dkim.Signature{s.Message}
	}
	relaxed := *s.Message
	relaxed.Header, relaxed.Body = dkim.Relaxed, dkim.Relaxed
	return []*dkim.Signature{s.Message, &relaxed}
}

func (s *Set) checkMessage(b *header.Block, sig *dkim.Signature, h *dkim.BodyHash, keys map[string]*keyAnswer) {
	k, why := usable(keys[keyOf(sig)], sig)
	sum, _ := h.Sum()
	digest := sha256.Sum256(sig.Data(b))
	switch {
	case why != "":
		s.MessageWhy = why
	case !bytes.Equal(sum, sig.BodyHash):
		s.MessageWhy = dkim.BodyChanged
	case !dkim.CheckSum(k, false, digest[:], sig.Sum):
		s.MessageWhy = dkim.HeaderChanged
	default:
		s.MessageOK, s.MessageWhy = true, ""
	}
}

// checkSeal verifies the seal of Sets[i], which covers all sets up to it (section 5.1.1).
func (c *Chain) checkSeal(i int, keys map[string]*keyAnswer) {
	s := c.Sets[i]
	k, why := usable(keys[keyOf(s.Seal)], s.Seal)
	if why != "" {
		s.SealWhy = why
		return
	}
	digest := sha256.Sum256(sealData(c.Sets[:i], s.aar.Raw, s.Message.Field.Raw, s.Seal.Field.Raw))
	if s.SealOK = dkim.CheckSum(k, false, digest[:], s.Seal.Sum); !s.SealOK {
		s.SealWhy = dkim.HeaderChanged
	}
}

// sealData is what a seal is over: the older sets, then the own fields, the seal without its value and last line end.
func sealData(older []*Set, aar, message, seal []byte) []byte {
	var data []byte
	for _, s := range older {
		if s.aar == nil || s.Message == nil || s.Seal == nil {
			continue
		}
		for _, raw := range [][]byte{s.aar.Raw, s.Message.Field.Raw, s.Seal.Field.Raw} {
			data = dkim.Relaxed.AppendHeader(data, raw)
		}
	}
	data = dkim.Relaxed.AppendHeader(data, aar)
	data = dkim.Relaxed.AppendHeader(data, message)
	data = dkim.Relaxed.AppendHeader(data, dkim.StripB(seal))
	return data[:len(data)-2]
}

// conclude is steps 4 to 6 of section 5.2.
func (c *Chain) conclude(keys map[string]*keyAnswer) {
	for _, a := range keys {
		c.Temp = c.Temp || a.err != nil
	}
	newest := c.Sets[len(c.Sets)-1]
	if newest.Message != nil && !newest.MessageOK {
		c.fail(MessageBroken, newest.Instance, string(newest.MessageWhy))
	}
	for i := len(c.Sets) - 1; i >= 0; i-- {
		if s := c.Sets[i]; s.Seal != nil && !s.SealOK {
			c.fail(SealBroken, s.Instance, string(s.SealWhy))
		}
	}
	for i := len(c.Sets) - 1; i >= 0 && c.Sets[i].MessageOK; i-- {
		c.Oldest = c.Sets[i].Instance
	}
}
