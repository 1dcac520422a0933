package bimi

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// MaxLogo is the largest logo receivers are asked to take, in bytes.
const MaxLogo = 32 << 10

// Fault names what keeps a picture from being an SVG Tiny PS logo.
type Fault string

// Faults of a logo.
const (
	NotSVG       Fault = "not-svg"
	BadXML       Fault = "bad-xml"
	HasDoctype   Fault = "doctype"      // document type declarations and entities are not allowed
	NoProfile    Fault = "base-profile" // baseProfile is not tiny-ps
	BadVersion   Fault = "version"      // version is not 1.2
	NoTitle      Fault = "title"        // no <title> under <svg>
	Script       Fault = "script"
	Animation    Fault = "animation"
	Picture      Fault = "image"       // an embedded bitmap
	External     Fault = "external"    // a reference outside the document
	NotSquare    Fault = "not-square"  // the view box is not square; receivers cut to a square or a circle
	TooLarge     Fault = "too-large"   // more than 32 kB
	Interactive  Fault = "interactive" // links and the like
	PositionAttr Fault = "x-y"         // x or y on <svg>
)

// Finding is a fault with what was seen.
type Finding struct {
	Fault Fault  `json:"fault"`
	Text  string `json:"text,omitempty"`
}

// CheckLogo holds a picture against the profile. Gzipped pictures (.svgz) are not read: unpack first, with a bound.
func CheckLogo(b []byte) []Finding {
	l := &logo{seen: map[Fault]bool{}}
	if len(b) > MaxLogo {
		l.add(TooLarge, strconv.Itoa(len(b)))
		b = b[:min(len(b), 4*MaxLogo)]
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	d.Strict = true
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if len(l.out) == 0 || !l.seen[TooLarge] {
				l.add(BadXML, err.Error())
			}
			break
		}
		l.token(tok)
	}
	if !l.root {
		l.add(NotSVG, "")
	} else if !l.title {
		l.add(NoTitle, "")
	}
	return l.out
}

type logo struct {
	depth       int
	root, title bool
	seen        map[Fault]bool
	out         []Finding
}

func (l *logo) add(f Fault, text string) {
	if !l.seen[f] {
		l.seen[f] = true
		l.out = append(l.out, Finding{f, text[:min(len(text), 100)]})
	}
}

func (l *logo) token(tok xml.Token) {
	switch t := tok.(type) {
	case xml.Directive:
		l.add(HasDoctype, string(t))
	case xml.EndElement:
		l.depth--
	case xml.StartElement:
		l.depth++
		l.element(t)
	}
}

func (l *logo) element(t xml.StartElement) {
	name := t.Name.Local
	if l.depth == 1 {
		if name == "svg" {
			l.root = true
			l.rootAttributes(t)
		}
		return
	}
	switch strings.ToLower(name) {
	case "title":
		l.title = l.title || l.depth == 2
	case "script", "handler", "listener":
		l.add(Script, name)
	case "animate", "animatecolor", "animatemotion", "animatetransform", "set", "discard":
		l.add(Animation, name)
	case "image", "video", "audio", "foreignobject":
		l.add(Picture, name)
	case "a":
		l.add(Interactive, name)
	}
	for _, a := range t.Attr {
		v := strings.TrimSpace(a.Value)
		switch {
		case a.Name.Local == "href" && v != "" && !strings.HasPrefix(v, "#"), strings.Contains(strings.ToLower(v), "url(http"):
			l.add(External, v)
		case strings.HasPrefix(strings.ToLower(a.Name.Local), "on") && len(a.Name.Local) > 2:
			l.add(Script, a.Name.Local)
		}
	}
}

func (l *logo) rootAttributes(t xml.StartElement) {
	at := map[string]string{}
	for _, a := range t.Attr {
		at[a.Name.Local] = strings.TrimSpace(a.Value)
	}
	if at["baseProfile"] != "tiny-ps" {
		l.add(NoProfile, at["baseProfile"])
	}
	if at["version"] != "1.2" {
		l.add(BadVersion, at["version"])
	}
	if at["x"] != "" || at["y"] != "" {
		l.add(PositionAttr, "x="+at["x"]+" y="+at["y"])
	}
	box := strings.FieldsFunc(at["viewBox"], func(r rune) bool { return r == ' ' || r == ',' })
	w, h := at["width"], at["height"]
	if len(box) == 4 {
		w, h = box[2], box[3]
	}
	fw, err1 := strconv.ParseFloat(strings.TrimSuffix(w, "px"), 64)
	fh, err2 := strconv.ParseFloat(strings.TrimSuffix(h, "px"), 64)
	if err1 != nil || err2 != nil || fw <= 0 || fw != fh {
		l.add(NotSquare, at["viewBox"])
	}
}

// The object identifiers of mark certificates.
var (
	oidBIMI     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 31} // id-kp-BrandIndicatorforMessageIdentification
	oidLogotype = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 12} // RFC 3709
)

// CertFault names what is wrong with a mark certificate.
type CertFault string

// Faults of a mark certificate.
const (
	NoPEM      CertFault = "no-pem"
	NoPurpose  CertFault = "no-purpose"   // without the BIMI extended key usage
	NoLogotype CertFault = "no-logotype"  // carries no logo
	WrongName  CertFault = "wrong-domain" // not for this domain
	Expired    CertFault = "expired"
	NotYet     CertFault = "not-yet-valid"
)

// Mark is a mark certificate as far as a domain owner cares.
type Mark struct {
	Subject string      `json:"subject"`
	Issuer  string      `json:"issuer"`
	Names   []string    `json:"names"`
	From    time.Time   `json:"from"`
	Until   time.Time   `json:"until"`
	Chain   int         `json:"chain"` // certificates in the file
	Faults  []CertFault `json:"faults,omitempty"`
}

// ReadMark reads a PEM chain, leaf first, for a domain.
func ReadMark(b []byte, domain string, now time.Time) *Mark {
	m := &Mark{}
	var leaf *x509.Certificate
	for range 10 {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue
		}
		m.Chain++
		if leaf == nil {
			leaf = c
		}
	}
	if leaf == nil {
		m.Faults = append(m.Faults, NoPEM)
		return m
	}
	m.Subject, m.Issuer, m.Names, m.From, m.Until = leaf.Subject.String(), leaf.Issuer.String(), leaf.DNSNames, leaf.NotBefore, leaf.NotAfter
	m.judge(leaf, domain, now)
	return m
}

func (m *Mark) judge(leaf *x509.Certificate, domain string, now time.Time) {
	add := func(bad bool, f CertFault) {
		if bad {
			m.Faults = append(m.Faults, f)
		}
	}
	purpose, logo := false, false
	for _, o := range leaf.UnknownExtKeyUsage {
		purpose = purpose || o.Equal(oidBIMI)
	}
	for _, e := range leaf.Extensions {
		logo = logo || e.Id.Equal(oidLogotype)
	}
	named := false
	for _, n := range leaf.DNSNames {
		n = strings.ToLower(n)
		named = named || n == domain || strings.HasSuffix(domain, "."+n) || strings.HasSuffix(n, "._bimi."+domain)
	}
	add(!purpose, NoPurpose)
	add(!logo, NoLogotype)
	add(!named, WrongName)
	add(now.After(leaf.NotAfter), Expired)
	add(now.Before(leaf.NotBefore), NotYet)
}
