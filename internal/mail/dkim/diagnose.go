package dkim

import (
	"bytes"
	"crypto/rsa"
	"encoding"
	"math/big"
	"strings"

	"github.com/mailwhy/mailwhy/internal/mail/header"
)

// diagnose finds out what was changed after signing, for signatures whose cryptography said no.
func (v *Verification) diagnose(b *header.Block, body []byte) {
	if v.Status != Fail || v.Key == nil {
		return
	}
	switch v.Reason {
	case BodyChanged:
		if line := v.Signature.appendedAt(body); line > 0 {
			v.Reason, v.Appended = BodyAppended, line
		}
	case SignatureBroken:
		v.diagnoseHeader(b)
	}
}

// appendedAt finds the first line of the body that was not signed, when bh= fits all lines before it; 0 when it fits
// no beginning.
func (s *Signature) appendedAt(body []byte) int {
	h := s.hash()
	bh := NewBodyHash(h, s.Body, s.Length)
	for line := 1; len(body) > 0; line++ {
		if s.ends(bh) {
			return line
		}
		i := bytes.IndexByte(body, '\n') + 1
		if i == 0 {
			i = len(body)
		}
		_, _ = bh.Write(body[:i])
		body = body[i:]
	}
	return 0
}

// ends tells whether the body would hash to bh= if it ended here.
func (s *Signature) ends(b *BodyHash) bool {
	state, err := b.h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return false
	}
	c := *b
	c.h = s.hash()
	if c.h.(encoding.BinaryUnmarshaler).UnmarshalBinary(state) != nil {
		return false
	}
	c.buf = append(make([]byte, 0, len(b.buf)+8), b.buf...)
	sum, _ := c.Sum()
	return bytes.Equal(sum, s.BodyHash)
}

// signedDigest recovers the digest inside an RSA signature; nil when the key is not the one that made it.
func signedDigest(pub *rsa.PublicKey, sum []byte, size int) []byte {
	if len(sum) == 0 || len(sum) > pub.Size() {
		return nil
	}
	m := new(big.Int).Exp(new(big.Int).SetBytes(sum), big.NewInt(int64(pub.E)), pub.N)
	em := m.FillBytes(make([]byte, pub.Size()))
	// EMSA-PKCS1-v1_5: 00 01 FF … FF 00 DigestInfo (RFC 8017 section 9.2).
	if em[0] != 0 || em[1] != 1 {
		return nil
	}
	i := 2
	for i < len(em) && em[i] == 0xFF {
		i++
	}
	if i < 10 || i >= len(em) || em[i] != 0 || len(em)-i <= size {
		return nil
	}
	return em[len(em)-size:]
}

// maxGuesses bounds how many variants of the header are tried.
const maxGuesses = 400

// guess tries variants of the header against the digest that was signed.
type guess struct {
	s    *Signature
	b    *header.Block
	want []byte                   // RSA: the digest that was signed
	ok   func(digest []byte) bool // ed25519: whether it verifies
	left int
}

func (v *Verification) diagnoseHeader(b *header.Block) {
	s := v.Signature
	g := guess{s: s, b: b, left: maxGuesses}
	switch pub := v.Key.Public.(type) {
	case *rsa.PublicKey:
		if g.want = signedDigest(pub, s.Sum, s.hash().Size()); g.want == nil {
			v.Reason = WrongKey
			return
		}
		v.Reason = HeaderChanged
	default:
		g.ok = func(d []byte) bool { return CheckSum(v.Key, false, d, s.Sum) }
		g.left = 60
	}
	if name, was, ok := g.find(); ok {
		v.Reason, v.Changed, v.Was = HeaderChanged, name, was
	}
}

// matches tells whether the header with one picked field replaced is the one that was signed. at is the place in h=;
// raw nil leaves the field out.
func (g *guess) matches(at int, raw []byte, canon Canon) bool {
	if g.left == 0 {
		return false
	}
	g.left--
	var data []byte
	p := NewPicker(g.b)
	for i, name := range g.s.Headers {
		j := p.Pick(name)
		switch {
		case i == at && raw != nil:
			data = canon.AppendHeader(data, raw)
		case i == at:
		case j >= 0:
			data = canon.AppendHeader(data, g.b.Fields[j].Raw)
		}
	}
	data = canon.AppendHeader(data, StripB(g.s.Field.Raw))
	return g.fits(data[:len(data)-2])
}

func (g *guess) fits(data []byte) bool {
	h := g.s.hash()
	h.Write(data)
	d := h.Sum(nil)
	if g.ok != nil {
		return g.ok(d)
	}
	return bytes.Equal(d, g.want)
}

// find tries, field by field: the copy in z=, the field absent, known edits of lists and gateways.
func (g *guess) find() (name, was string, ok bool) {
	for _, c := range g.s.Copied { // the signer told the values
		n, val, _ := strings.Cut(c, ":")
		for i, h := range g.s.Headers {
			if strings.EqualFold(h, n) && g.matches(i, []byte(n+":"+val+"\r\n"), g.s.Header) {
				return h, strings.TrimSpace(val), true
			}
		}
	}
	if g.s.Header == Simple && g.matches(-1, nil, Relaxed) {
		return "", "", true
	}
	p := NewPicker(g.b)
	for i, h := range g.s.Headers {
		j := p.Pick(h)
		if j < 0 {
			continue
		}
		f := &g.b.Fields[j]
		if g.matches(i, nil, g.s.Header) { // added after signing
			return h, "", true
		}
		for _, old := range edits(h, f) {
			if g.matches(i, []byte(f.Name+": "+old+"\r\n"), g.s.Header) {
				return h, old, true
			}
		}
	}
	return "", "", false
}

// edits guesses what a field said before a list, a filter or a gateway changed it.
func edits(name string, f *header.Field) []string {
	v := f.Value()
	var out []string
	switch strings.ToLower(name) {
	case "subject":
		s := v
		for range 3 { // tags in front: [list], ***SPAM***, Re:, {Spam?}
			i := -1
			switch {
			case strings.HasPrefix(s, "["):
				i = strings.IndexByte(s, ']')
			case strings.HasPrefix(s, "{"):
				i = strings.IndexByte(s, '}')
			case strings.HasPrefix(s, "***"):
				if i = strings.Index(s[3:], "***"); i >= 0 {
					i += 5
				}
			default:
				i = strings.IndexByte(s, ':')
			}
			if i < 0 {
				break
			}
			s = strings.TrimLeft(s[i+1:], " ")
			out = append(out, s)
		}
		if re, rest, ok := strings.Cut(v, "["); ok {
			if i := strings.IndexByte(rest, ']'); i >= 0 { // "Re: [list] text"
				out = append(out, re+strings.TrimLeft(rest[i+1:], " "))
			}
		}
		if d := f.Text(); d != v {
			out = append(out, d)
		}
	case "from", "to", "cc", "reply-to", "sender":
		if i, j := strings.LastIndexByte(v, '<'), strings.LastIndexByte(v, '>'); i > 0 && j > i {
			out = append(out, v[i+1:j], v[i:j+1])
			if q := strings.TrimSpace(v[:i]); strings.HasPrefix(q, "\"") {
				out = append(out, strings.Trim(q, "\"")+" "+v[i:])
			} else {
				out = append(out, "\""+q+"\" "+v[i:])
			}
			if via := strings.Index(v, " via "); via > 0 {
				out = append(out, v[:via]+" "+v[i:])
			}
		}
	case "message-id":
		out = append(out, strings.Trim(v, "<>"))
	case "content-type":
		out = append(out, strings.ReplaceAll(v, "\"", ""))
		if i := strings.Index(v, "boundary="); i > 0 {
			out = append(out, strings.TrimRight(v[:i], " ;"))
		}
	case "content-transfer-encoding":
		out = append(out, "8bit", "7bit", "quoted-printable", "base64", "binary")
	case "mime-version":
		out = append(out, "1.0")
	}
	return out
}
