// Package tls judges how a server encrypts: chain, trust, name, dates, key and signature, versions, suites, key
// exchange.
//
// Promise: Judge is pure and works on recorded facts. Between mail servers TLS is opportunistic (RFC 7435), so what
// only verifying senders mind is a warning; MTA-STS and DANE raise the stakes in packs of their own. RFCs: 5280, 5246,
// 8446, 8996, 9325, 9155, 7568, 7465, 9525.
package tls

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire"
	wiretls "github.com/mailwhy/mailwhy/internal/wire/tls"
)

// Facts are what was seen of one port.
type Facts struct {
	Subject   finding.Subject
	Place     string             // "mx.example 192.0.2.1:25": where the evidence comes from
	Handshake *wire.Handshake    //
	NoSNI     *wire.Handshake    // nil: not looked
	Old       *wiretls.Answer    // to a hello of at most TLS 1.1; nil: not looked
	SSL3      *wiretls.Answer    // to a hello of SSL 3.0
	Weak      *wiretls.Answer    // to a hello of TLS 1.2 with broken suites alone
	Inventory *wiretls.Inventory // the whole, instead of the three above
	Verify    finding.Command    // proves a repair
}

// Judge says what is good and bad about the facts.
func Judge(f Facts, th *knowledge.Thresholds) []finding.Finding {
	h := f.Handshake
	if h == nil {
		return nil
	}
	if h.Fault != nil && len(h.Chain) == 0 {
		return f.sealed([]finding.Finding{f.broken(h.Fault)})
	}
	var fs []finding.Finding
	if h.Fault == nil {
		fs = append(fs, ruleHandshake.Passed(f.Subject, nil))
	}
	certs := h.Certificates()
	fs = append(fs, f.trust(certs), f.name(certs))
	fs = append(fs, f.dates(certs, th)...)
	fs = append(fs, f.order(certs), f.key(certs, th), f.signature(certs), f.staple(certs))
	fs = append(fs, f.versions()...)
	fs = append(fs, f.suites()...)
	fs = append(fs, f.exchange(th)...)
	fs = append(fs, f.sni())
	return f.sealed(slices.DeleteFunc(fs, func(x finding.Finding) bool { return x.Rule == nil }))
}

// broken judges a port where no certificate came. An SMTP server that answers STARTTLS with words says whether it
// cannot now (4yz) or never can (5yz): neither is a fault of TLS.
func (f *Facts) broken(fault *wire.Fault) finding.Finding {
	what := finding.Args{"What": finding.Raw(fault.Text)}
	if fault.Op == "starttls" && fault.Kind == wire.Protocol && len(fault.Text) > 3 {
		switch {
		case fault.Text[0] == '4' && fault.Text[1] >= '0' && fault.Text[1] <= '9':
			return ruleHandshake.Untested(f.Subject, finding.S("the server puts TLS off: {{.What}}", what))
		case fault.Text[0] == '5' && fault.Text[1] >= '0' && fault.Text[1] <= '9':
			return f.failed(ruleNotOffered, what)
		}
	}
	return f.failed(ruleHandshake, what)
}

func (f *Facts) failed(r *finding.Rule, args finding.Args) finding.Finding {
	return r.Failed(f.Subject, args)
}

// sealed adds to what failed where it was seen and how a repair is proved.
func (f *Facts) sealed(fs []finding.Finding) []finding.Finding {
	for i := range fs {
		x := &fs[i]
		if x.Outcome != finding.Fail {
			continue
		}
		x.Verify = f.Verify
		if len(x.Evidence) == 0 {
			x.Evidence = []finding.Evidence{{Source: "tls", Place: f.Place, At: f.Handshake.At, Raw: summary(f.Handshake)}}
		}
	}
	return fs
}

// summary is a handshake on one line.
func summary(h *wire.Handshake) string {
	parts := []string{strings.TrimSpace(h.Version + " " + h.Suite + " " + h.Group)}
	if c := h.Leaf(); c != nil {
		parts = append(parts, "subject "+c.Subject.String(), "issuer "+c.Issuer.String(), "valid until "+c.NotAfter.UTC().Format(time.RFC3339))
	}
	if h.Fault != nil {
		parts = append(parts, h.Fault.Text)
	}
	return strings.TrimPrefix(strings.Join(parts, ", "), ", ")
}

// trust judges the chain without name and dates of the leaf.
func (f *Facts) trust(certs []*x509.Certificate) finding.Finding {
	h := f.Handshake
	switch h.Trust {
	case wire.TrustOK:
		return ruleTrust.Passed(f.Subject, nil)
	case wire.SelfSigned:
		return f.failed(ruleSelfSigned, finding.Args{"Subject": finding.Raw(certs[0].Subject.String())})
	case wire.UnknownRoot:
		return f.failed(ruleUnknownRoot, finding.Args{"Issuer": finding.Raw(last(certs).Issuer.String())})
	case wire.MissingLink:
		return f.failed(ruleMissing, finding.Args{"Issuer": finding.Raw(loose(certs).Issuer.String())})
	case wire.Expired:
		return f.failed(ruleExpired, finding.Args{"Until": outdated(certs, h.At).NotAfter})
	case wire.NotYetValid:
		return f.failed(ruleNotYet, finding.Args{"From": certs[0].NotBefore})
	case wire.NoRoots:
		return ruleTrust.Untested(f.Subject, finding.S("this machine has no list of root certificates", nil))
	}
	return f.failed(ruleBadCert, finding.Args{"Text": h.TrustText})
}

func last(certs []*x509.Certificate) *x509.Certificate { return certs[len(certs)-1] }

// outdated is the certificate of the chain that has run out, the leaf first.
func outdated(certs []*x509.Certificate, at time.Time) *x509.Certificate {
	for _, c := range certs {
		if at.After(c.NotAfter) {
			return c
		}
	}
	return certs[0]
}

// loose is the certificate, from the leaf up, whose issuer was not sent.
func loose(certs []*x509.Certificate) *x509.Certificate {
	c := certs[0]
	for range certs {
		i := slices.IndexFunc(certs, func(x *x509.Certificate) bool { return x != c && string(x.RawSubject) == string(c.RawIssuer) })
		if i < 0 {
			return c
		}
		c = certs[i]
	}
	return c
}

func (f *Facts) name(certs []*x509.Certificate) finding.Finding {
	switch {
	case f.Handshake.Name == "" || len(certs) == 0:
		return finding.Finding{}
	case f.Handshake.NameOK:
		return ruleName.Passed(f.Subject, nil)
	}
	return f.failed(ruleName, finding.Args{"Name": f.Handshake.Name, "Names": names(certs[0])})
}

// names lists what a certificate is valid for, at most eight.
func names(c *x509.Certificate) []string {
	out := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	if len(out) == 0 {
		out = []string{c.Subject.String()}
	}
	if len(out) > 8 {
		out = append(out[:8], "…")
	}
	return out
}

// dates judges the rest of the leaf's life by the thresholds.
func (f *Facts) dates(certs []*x509.Certificate, th *knowledge.Thresholds) []finding.Finding {
	if len(certs) == 0 || f.Handshake.Trust == wire.Expired || f.Handshake.Trust == wire.NotYetValid {
		return nil
	}
	left := certs[0].NotAfter.Sub(f.Handshake.At)
	days := int(left.Hours() / 24)
	args := finding.Args{"Left": left, "Until": certs[0].NotAfter}
	level := finding.Note
	switch {
	case days >= th.TLS.ExpiryNoteDays:
		return []finding.Finding{ruleExpires.Passed(f.Subject, args)}
	case days < th.TLS.ExpiryErrorDays:
		level = finding.Error
	case days < th.TLS.ExpiryWarningDays:
		level = finding.Warning
	}
	x := f.failed(ruleExpires, args)
	x.Severity = &level
	return []finding.Finding{x}
}

// order wants each certificate to be followed by its issuer.
func (f *Facts) order(certs []*x509.Certificate) finding.Finding {
	for i := 0; i+1 < len(certs); i++ {
		if string(certs[i].RawIssuer) != string(certs[i+1].RawSubject) {
			var chain []string
			for _, c := range certs {
				chain = append(chain, c.Subject.String())
			}
			return f.failed(ruleOrder, finding.Args{"Names": chain})
		}
	}
	return ruleOrder.Passed(f.Subject, nil)
}

func (f *Facts) key(certs []*x509.Certificate, th *knowledge.Thresholds) finding.Finding {
	if len(certs) == 0 {
		return finding.Finding{}
	}
	kind, bits := wire.KeyStrength(certs[0])
	least := map[string]int{"RSA": th.TLS.MinRSABits, "ECDSA": 224}[kind]
	args := finding.Args{"Kind": kind, "Bits": bits, "Min": least}
	if bits == 0 || bits >= least {
		return ruleKey.Passed(f.Subject, args)
	}
	return f.failed(ruleKey, args)
}

// signature looks at every certificate but a root, whose own signature proves nothing.
func (f *Facts) signature(certs []*x509.Certificate) finding.Finding {
	for _, c := range certs {
		if string(c.RawIssuer) == string(c.RawSubject) && c != certs[0] {
			continue
		}
		switch c.SignatureAlgorithm {
		case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
			return f.failed(ruleSignature, finding.Args{"Subject": finding.Raw(c.Subject.String()), "Algorithm": c.SignatureAlgorithm.String()})
		}
	}
	return ruleSignature.Passed(f.Subject, nil)
}

// sni compares the leaf shown without SNI.
func (f *Facts) sni() finding.Finding {
	if f.NoSNI == nil || f.NoSNI.Leaf() == nil || f.Handshake.Leaf() == nil {
		return finding.Finding{}
	}
	if string(f.NoSNI.Chain[0]) == string(f.Handshake.Chain[0]) {
		return ruleSNI.Passed(f.Subject, nil)
	}
	return f.failed(ruleSNI, finding.Args{"Names": names(f.NoSNI.Leaf())})
}

// ChainSection shows the certificates of a chain, a row each, and the PEM of none: it is evidence, not a download.
func ChainSection(h *wire.Handshake) finding.Section {
	s := finding.Section{
		Title:   finding.S("certificates, as sent", nil),
		Columns: []finding.Sentence{finding.S("certificate", nil), finding.S("issuer", nil), finding.S("key", nil), finding.S("valid until", nil), finding.S("names", nil)},
	}
	for _, c := range h.Certificates() {
		kind, bits := wire.KeyStrength(c)
		s.Rows = append(s.Rows, finding.Cells(
			finding.Raw(c.Subject.String()), finding.Raw(c.Issuer.String()), finding.Raw(fmt.Sprintf("%s %d", kind, bits)),
			finding.Raw(c.NotAfter.UTC().Format("2006-01-02")), finding.Raw(strings.Join(c.DNSNames, " ")),
		))
	}
	return s
}

// PEM writes a chain as certificates in PEM.
func PEM(h *wire.Handshake) string {
	var b strings.Builder
	for _, der := range h.Chain {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return b.String()
}
