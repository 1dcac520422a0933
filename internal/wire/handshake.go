package wire

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"time"
)

// TrustFault tells why a certificate chain is not believed.
type TrustFault string

// The faults of trust, in the order in which they are looked for.
const (
	TrustOK        TrustFault = ""
	NoCertificate  TrustFault = "no-certificate"
	SelfSigned     TrustFault = "self-signed"          // the leaf signed itself and is not a given root
	UnknownRoot    TrustFault = "unknown-authority"    // the chain ends at a root we do not know
	MissingLink    TrustFault = "missing-intermediate" // an issuer was neither sent nor is it a known root
	Expired        TrustFault = "expired"              // a certificate of the chain is out of date
	NotYetValid    TrustFault = "not-yet-valid"        //
	BadCertificate TrustFault = "bad-certificate"      // a constraint, a key usage, or bytes that do not parse
	NoRoots        TrustFault = "no-roots"             // this machine has no list of roots: nothing can be said
)

// MaxCertificates is how many certificates of a chain are kept.
const MaxCertificates = 20

// Handshake is a TLS handshake as data: what was agreed, what the peer showed, and whether a verifier believes it.
// The chain is verified where it is seen, against the roots in use there, so that a replay on another machine gives
// the same verdict.
type Handshake struct {
	ServerName string        `json:"server_name,omitempty"` // the SNI sent; empty for none
	Version    string        `json:"version,omitempty"`     // "TLS 1.3"
	Suite      string        `json:"suite,omitempty"`       // IANA name
	Group      string        `json:"group,omitempty"`       // key exchange group, "X25519MLKEM768"; empty for RSA key exchange
	ALPN       string        `json:"alpn,omitempty"`        //
	Chain      [][]byte      `json:"chain,omitempty"`       // DER as sent, leaf first, at most MaxCertificates
	Sent       int           `json:"sent,omitempty"`        // certificates sent, where more than were kept
	Staple     []byte        `json:"ocsp_staple,omitempty"` // the stapled OCSP answer, DER
	Trust      TrustFault    `json:"trust,omitempty"`       // empty: trusted; the name is judged apart
	TrustText  string        `json:"trust_text,omitempty"`  // the verifier's own words
	Name       string        `json:"name,omitempty"`        // the name the leaf was held against
	NameOK     bool          `json:"name_ok"`               // the leaf is valid for Name
	At         time.Time     `json:"at,omitzero"`           // the clock the dates were held against
	Took       time.Duration `json:"took"`
	Fault      *Fault        `json:"fault,omitempty"` // the handshake failed; the rest is then as far as known
}

// Trusted tells a chain that ends at a known root, in date, and valid for the name.
func (h *Handshake) Trusted() bool { return h.Fault == nil && h.Trust == TrustOK && h.NameOK }

// PostQuantum tells a key exchange that holds against a recorder with a quantum computer (ML-KEM hybrids).
func (h *Handshake) PostQuantum() bool { return strings.Contains(h.Group, "MLKEM") }

// Certificates parses the chain; what does not parse is left out.
func (h *Handshake) Certificates() []*x509.Certificate {
	out := make([]*x509.Certificate, 0, len(h.Chain))
	for _, der := range h.Chain {
		if c, err := x509.ParseCertificate(der); err == nil {
			out = append(out, c)
		}
	}
	return out
}

// Leaf is the first certificate, or nil.
func (h *Handshake) Leaf() *x509.Certificate {
	if len(h.Chain) == 0 {
		return nil
	}
	c, err := x509.ParseCertificate(h.Chain[0])
	if err != nil {
		return nil
	}
	return c
}

// HandshakeOptions say how to shake hands and whom to believe.
type HandshakeOptions struct {
	ServerName string         // SNI, also the name the leaf is held against where Name is empty; empty sends none
	Name       string         // the name the leaf is held against, where it differs from the SNI
	Roots      *x509.CertPool // nil: the system's
	ALPN       []string
	Now        Clock // nil: time.Now
	MinVersion uint16
}

// ShakeHands starts TLS on a connection and tells what came of it. The connection is returned even when the chain is
// not believed: mail servers talk on, and so does the reader. It is nil only when the handshake itself failed, which
// Handshake.Fault tells. The caller bounds the time with ctx or a deadline on the connection.
func ShakeHands(ctx context.Context, conn net.Conn, opt HandshakeOptions) (net.Conn, *Handshake) {
	now := opt.Now
	if now == nil {
		now = time.Now
	}
	h := &Handshake{ServerName: opt.ServerName, At: now()}
	start := time.Now()
	c := tls.Client(conn, &tls.Config{
		ServerName:         opt.ServerName,
		NextProtos:         opt.ALPN,
		MinVersion:         max(opt.MinVersion, tls.VersionTLS10),
		CipherSuites:       allSuites(),
		InsecureSkipVerify: true, // verified below, so that a bad chain is a fact and not the end
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			h.keep(raw)
			return nil
		},
	})
	err := c.HandshakeContext(ctx)
	h.Took = time.Since(start)
	if h.Fault = Classify("tls", err); h.Fault != nil {
		if h.Fault.Kind == OtherFault {
			h.Fault.Kind = TLSFault
		}
		h.Fault.After = h.Took
	} else {
		st := c.ConnectionState()
		h.Version, h.Suite, h.ALPN = tls.VersionName(st.Version), tls.CipherSuiteName(st.CipherSuite), st.NegotiatedProtocol
		h.Staple = st.OCSPResponse
		if st.CurveID != 0 {
			h.Group = st.CurveID.String()
		}
	}
	h.Name = opt.Name
	if h.Name == "" {
		h.Name = opt.ServerName
	}
	h.verify(h.Certificates(), opt.Roots)
	if h.Fault != nil {
		return nil, h
	}
	return c, h
}

// allSuites lists every suite the library knows, weak ones last: what a peer agrees to is an observation.
func allSuites() []uint16 {
	var out []uint16
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		out = append(out, s.ID)
	}
	return out
}

func (h *Handshake) keep(raw [][]byte) {
	h.Chain = nil
	for i, der := range raw {
		if i == MaxCertificates {
			h.Sent = len(raw)
			return
		}
		h.Chain = append(h.Chain, der)
	}
}

// verify holds the chain against roots and the name. Whoever sent the certificates in a wrong order is believed as
// browsers and mail servers do: all certificates after the leaf are candidates.
func (h *Handshake) verify(chain []*x509.Certificate, roots *x509.CertPool) {
	if len(chain) == 0 {
		h.Trust = NoCertificate
		if len(h.Chain) > 0 {
			h.Trust, h.TrustText = BadCertificate, "the certificate does not parse"
		}
		return
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: h.At})
	h.Trust = trustFault(err, chain, h.At)
	if err != nil {
		h.TrustText = err.Error()
	}
	h.NameOK = h.Name != "" && chain[0].VerifyHostname(h.Name) == nil
}

func trustFault(err error, chain []*x509.Certificate, at time.Time) TrustFault {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var noRoots x509.SystemRootsError
	switch {
	case err == nil:
		return TrustOK
	case errors.As(err, &noRoots):
		return NoRoots
	case selfSigned(chain[0]) && !outOfDate(chain[0], at):
		return SelfSigned
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		if at.Before(chain[0].NotBefore) {
			return NotYetValid
		}
		return Expired
	case errors.As(err, &unknown):
		return unknownFault(chain)
	}
	return BadCertificate
}

// unknownFault tells a chain that breaks off from one that ends at a root we do not know.
func unknownFault(chain []*x509.Certificate) TrustFault {
	top := chain[0]
	for range chain {
		next := issuerOf(top, chain)
		if next == nil {
			return MissingLink
		}
		if next == top {
			return UnknownRoot
		}
		top = next
	}
	return MissingLink
}

func issuerOf(c *x509.Certificate, chain []*x509.Certificate) *x509.Certificate {
	if selfSigned(c) {
		return c
	}
	for _, i := range chain {
		if i != c && string(i.RawSubject) == string(c.RawIssuer) && c.CheckSignatureFrom(i) == nil {
			return i
		}
	}
	return nil
}

func selfSigned(c *x509.Certificate) bool {
	if string(c.RawSubject) != string(c.RawIssuer) {
		return false
	}
	var old x509.InsecureAlgorithmError // too old for the library to check; the names have to do
	err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
	return err == nil || errors.As(err, &old)
}

func outOfDate(c *x509.Certificate, at time.Time) bool {
	return at.Before(c.NotBefore) || at.After(c.NotAfter)
}

// KeyStrength gives the kind and size of a certificate's key: "RSA" and 2048, "ECDSA" and 256, "Ed25519" and 256. An
// unknown key gives its type's name and 0.
func KeyStrength(c *x509.Certificate) (kind string, bits int) {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return "RSA", k.N.BitLen()
	case *ecdsa.PublicKey:
		return "ECDSA", k.Curve.Params().BitSize
	case ed25519.PublicKey:
		return "Ed25519", 256
	}
	return c.PublicKeyAlgorithm.String(), 0
}
