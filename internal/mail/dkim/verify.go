package dkim

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/header"
)

// Status is a result word of RFC 8601 section 2.7.1.
type Status string

// The results.
const (
	Pass      Status = "pass"
	Fail      Status = "fail"      // the cryptography says no, or the signature has expired
	PermError Status = "permerror" // the signature or its key cannot be used
	TempError Status = "temperror" // the key could not be asked for
	Neutral   Status = "neutral"   // not looked at
)

// Options of a verification. The zero value takes the defaults, but Now should be set: a zero time expires nothing.
type Options struct {
	Now           time.Time
	Diagnose      bool // find out what was changed: keeps up to DiagnoseBytes of the body
	MaxSignatures int  // 0 means 20
	Header        header.Limits
}

// DiagnoseBytes is how much of a body is kept for a diagnosis.
const DiagnoseBytes = 1 << 20

// Verification is the outcome for one signature.
type Verification struct {
	Signature  *Signature `json:"signature"`
	Line       int        `json:"line"` // of the field in the message
	Status     Status     `json:"status"`
	Reason     Reason     `json:"reason,omitempty"`
	Detail     string     `json:"detail,omitempty"` // the tag, the fault, the resolver's words
	Key        *Key       `json:"key,omitempty"`
	Test       bool       `json:"test,omitempty"` // the key says t=y
	Claimed    string     `json:"bodyHashClaimed,omitempty"`
	Computed   string     `json:"bodyHashComputed,omitempty"`
	BodyBytes  int64      `json:"bodyBytes"`            // of the canonical body
	Unsigned   int64      `json:"unsigned,omitempty"`   // bytes beyond l=
	Oversigned []string   `json:"oversigned,omitempty"` // names in h= more often than in the message: none can be added
	Addable    []string   `json:"addable,omitempty"`    // important fields a stranger could add or change
	Changed    string     `json:"changed,omitempty"`    // the field that was changed after signing, where it was found out
	Was        string     `json:"was,omitempty"`        // its value when it was signed
	Appended   int        `json:"appended,omitempty"`   // BodyAppended: first line of the body that was not signed, from 1
	answer     chan fetched
}

type fetched struct {
	keys []*Key
	nx   bool
	err  error
}

// Report is the outcome for a message.
type Report struct {
	Header     *header.Block   `json:"-"`
	Signatures []*Verification `json:"signatures"` // top of the message first
	BodyBytes  int64           `json:"bodyBytes"`  // as read
}

// Verify reads a message once and verifies every signature. The error is that of the reader.
func Verify(ctx context.Context, res mail.Resolver, msg io.Reader, opt Options) (*Report, error) {
	b, body, err := header.Parse(msg, opt.Header)
	if err != nil {
		return nil, err
	}
	return VerifyBody(ctx, res, b, body, opt)
}

// VerifyBody is Verify for a message whose header was already parsed.
func VerifyBody(ctx context.Context, res mail.Resolver, b *header.Block, body io.Reader, opt Options) (*Report, error) {
	r := &Report{Header: b}
	if opt.MaxSignatures <= 0 {
		opt.MaxSignatures = 20
	}
	var hashers hasherSet
	var asked []*Verification // whose keys are needed
	for _, f := range b.All("DKIM-Signature") {
		v := &Verification{Signature: ParseSignature(f), Line: f.Line}
		r.Signatures = append(r.Signatures, v)
		if len(r.Signatures) > opt.MaxSignatures {
			v.Status, v.Reason = Neutral, TooMany
			continue
		}
		if v.form() {
			asked = append(asked, v)
			hashers.add(v.Signature)
		}
	}
	if len(asked) > 1 {
		for _, v := range asked {
			v.answer = make(chan fetched, 1)
			go func() { v.answer <- v.fetch(ctx, res) }()
		}
	}
	n, kept, err := hashers.read(body, opt.Diagnose)
	r.BodyBytes = n
	if err != nil {
		return r, err
	}
	for _, v := range asked {
		var got fetched
		if v.answer != nil {
			got = <-v.answer
		} else {
			got = v.fetch(ctx, res) // a goroutine for one key would cost more than it saves
		}
		v.judge(b, hashers.of(v.Signature), got, opt)
		if opt.Diagnose {
			v.diagnose(b, kept)
		}
	}
	return r, nil
}

// hasherSet shares one hasher among signatures that hash the same.
type hasherSet []*hasher

type hasher struct {
	canon Canon
	limit int64
	sha1  bool
	*BodyHash
	once sync.Once
	sum  []byte
	n    int64
}

func (h *hasher) result() ([]byte, int64) {
	h.once.Do(func() { h.sum, h.n = h.Sum() })
	return h.sum, h.n
}

func (hs hasherSet) of(s *Signature) *hasher {
	for _, h := range hs {
		if h.canon == s.Body && h.limit == s.Length && h.sha1 == s.sha1() {
			return h
		}
	}
	return nil
}

func (hs *hasherSet) add(s *Signature) {
	if hs.of(s) == nil {
		*hs = append(*hs, &hasher{canon: s.Body, limit: s.Length, sha1: s.sha1(), BodyHash: NewBodyHash(s.hash(), s.Body, s.Length)})
	}
}

// read streams the body through all hashers. kept is its beginning, for a diagnosis.
func (hs hasherSet) read(body io.Reader, keep bool) (n int64, kept []byte, err error) {
	br, ok := body.(*bufio.Reader)
	if !ok {
		br = bufio.NewReaderSize(body, 8192)
	}
	for {
		_, err := br.Peek(1)
		p, _ := br.Peek(br.Buffered())
		for _, h := range hs {
			_, _ = h.Write(p)
		}
		if keep && len(kept) < DiagnoseBytes {
			kept = append(kept, p[:min(len(p), DiagnoseBytes-len(kept))]...)
		}
		n += int64(len(p))
		_, _ = br.Discard(len(p))
		if errors.Is(err, io.EOF) {
			return n, kept, nil
		}
		if err != nil {
			return n, kept, err
		}
	}
}

func (s *Signature) sha1() bool { return s.Algorithm == "rsa-sha1" }

func (s *Signature) hash() hash.Hash {
	if s.sha1() {
		return sha1.New()
	}
	return sha256.New()
}

func (v *Verification) fail(st Status, r Reason, detail string) bool {
	if v.Status == "" {
		v.Status, v.Reason, v.Detail = st, r, detail
	}
	return false
}

// form judges what the field alone tells. false means that no key can help.
func (v *Verification) form() bool {
	s := v.Signature
	for _, f := range s.Faults {
		if f.Reason == DuplicateTag || f.Reason == BadTag {
			v.fail(PermError, f.Reason, f.Tag)
		}
	}
	for _, t := range []string{"v", "a", "b", "bh", "d", "h", "s"} {
		if val, ok := s.Tag(t); !ok || val == "" {
			v.fail(PermError, MissingTag, t)
		}
	}
	switch {
	case v.Status != "":
	case s.Version != "1":
		v.fail(PermError, BadVersion, s.Version)
	case s.Algorithm != "rsa-sha256" && s.Algorithm != "ed25519-sha256" && s.Algorithm != "rsa-sha1":
		v.fail(PermError, BadAlgorithm, s.Algorithm)
	case !s.Signs("From"):
		v.fail(PermError, FromNotSigned, "")
	case !s.identityFits(false):
		v.fail(PermError, BadIdentity, s.Identity)
	case !slices.Contains(colons(s.Query), "dns/txt"):
		v.fail(PermError, BadQuery, s.Query)
	}
	return v.Status == ""
}

// identityFits tells whether the domain of i= is d= or, unless strict, below it.
func (s *Signature) identityFits(strict bool) bool {
	if s.Identity == "" {
		return true
	}
	at := strings.LastIndexByte(s.Identity, '@')
	if at < 0 {
		return false
	}
	d := strings.ToLower(strings.TrimSuffix(s.Identity[at+1:], "."))
	return d == s.Domain || !strict && strings.HasSuffix(d, "."+s.Domain)
}

// fetch asks for the key.
func (v *Verification) fetch(ctx context.Context, res mail.Resolver) (f fetched) {
	a, err := res.Resolve(ctx, KeyName(v.Signature.Selector, v.Signature.Domain), mail.TypeTXT)
	if err != nil {
		return fetched{err: err}
	}
	f.nx = a.NXDomain
	for i, txt := range a.Texts() {
		if i < maxKeys {
			f.keys = append(f.keys, ParseKey(txt))
		}
	}
	return f
}

// judge joins key, body and header.
func (v *Verification) judge(b *header.Block, h *hasher, got fetched, opt Options) {
	s := v.Signature
	sum, n := h.result()
	v.BodyBytes = n
	v.Claimed, v.Computed = base64.StdEncoding.EncodeToString(s.BodyHash), base64.StdEncoding.EncodeToString(sum)
	if s.Length >= 0 {
		v.Unsigned = max(n-s.Length, 0)
	}
	v.signedNames(b)
	if !v.key(got) {
		return
	}
	bodyOK := v.Claimed == v.Computed
	data := s.Data(b)
	digest := s.hash()
	digest.Write(data)
	headerOK := CheckSum(v.Key, s.sha1(), digest.Sum(nil), s.Sum)
	switch {
	case !bodyOK && s.Length > n:
		v.fail(Fail, BodyShort, "")
	case !bodyOK:
		v.fail(Fail, BodyChanged, "")
	case !headerOK:
		v.fail(Fail, SignatureBroken, "")
	case s.sha1():
		v.fail(PermError, OldAlgorithm, "")
	case !s.Expires.IsZero() && !opt.Now.IsZero() && opt.Now.After(s.Expires):
		v.fail(Fail, Expired, "")
	default:
		v.Status = Pass
		if !opt.Now.IsZero() && s.Time.After(opt.Now.Add(time.Hour)) {
			v.Reason = Future
		}
	}
}

// key chooses the key and judges whether it may be used.
func (v *Verification) key(got fetched) bool {
	s := v.Signature
	switch {
	case got.err != nil:
		return v.fail(TempError, KeyUnavailable, got.err.Error())
	case len(got.keys) == 0 && got.nx:
		return v.fail(PermError, NoKey, "NXDOMAIN")
	case len(got.keys) == 0:
		return v.fail(PermError, NoKey, "")
	}
	v.Key = got.keys[0]
	for _, k := range got.keys {
		if k.Usable() && strings.HasPrefix(s.Algorithm, k.Type) {
			v.Key = k
			break
		}
	}
	k := v.Key
	v.Test = k.Test
	switch {
	case k.Revoked:
		return v.fail(PermError, KeyRevoked, "")
	case slices.ContainsFunc(k.Faults, func(f KeyFault) bool { return f.Kind == KeyHash }) || k.Hashes != nil && !slices.Contains(k.Hashes, strings.TrimPrefix(s.Algorithm[strings.IndexByte(s.Algorithm, '-'):], "-")):
		return v.fail(PermError, KeyHashDenied, strings.Join(k.Hashes, ":"))
	case !k.Usable() || slices.ContainsFunc(k.Faults, func(f KeyFault) bool { return f.Kind.Fatal() }):
		return v.fail(PermError, KeyBroken, k.fatal())
	case !strings.HasPrefix(s.Algorithm, k.Type+"-"):
		return v.fail(PermError, KeyMismatch, k.Type)
	case k.Strict && !s.identityFits(true):
		return v.fail(PermError, KeyStrict, s.Identity)
	case k.Type == "rsa" && k.Bits < 1024:
		return v.fail(PermError, KeyTooShort, "")
	}
	return true
}

func (k *Key) fatal() string {
	if slices.ContainsFunc(k.Faults, func(f KeyFault) bool { return f.Kind == KeyLikeOther }) {
		return string(KeyLikeOther)
	}
	for _, f := range k.Faults {
		if f.Kind.Fatal() {
			return string(f.Kind)
		}
	}
	return ""
}

// Data is what the signature is over: the chosen fields and the signature field without its value (section 3.7).
func (s *Signature) Data(b *header.Block) []byte {
	data := make([]byte, 0, 2048)
	p := NewPicker(b)
	for _, name := range s.Headers {
		if i := p.Pick(name); i >= 0 {
			data = s.Header.AppendHeader(data, b.Fields[i].Raw)
		}
	}
	return s.appendOwn(data)
}

func (s *Signature) appendOwn(data []byte) []byte {
	data = s.Header.AppendHeader(data, StripB(s.Field.Raw))
	return data[:len(data)-2]
}

// CheckSum tells whether a signature over a digest was made with the key.
func CheckSum(k *Key, withSHA1 bool, digest, sum []byte) bool {
	switch pub := k.Public.(type) {
	case *rsa.PublicKey:
		h := crypto.SHA256
		if withSHA1 {
			h = crypto.SHA1
		}
		return rsa.VerifyPKCS1v15(pub, h, digest, sum) == nil
	case ed25519.PublicKey:
		return len(sum) == ed25519.SignatureSize && ed25519.Verify(pub, digest, sum)
	}
	return false
}

// guarded are the fields whose change would change what a reader sees or where an answer goes.
var guarded = []string{"From", "Subject", "Date", "To", "Cc", "Reply-To", "Message-ID", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"}

// signedNames finds which fields are oversigned, and which a stranger could change or add.
func (v *Verification) signedNames(b *header.Block) {
	for _, name := range guarded {
		signed, present := v.Signature.count(name), b.Count(name)
		switch {
		case signed > present:
			v.Oversigned = append(v.Oversigned, name)
		case signed < present:
			v.Addable = append(v.Addable, name)
		}
	}
}
