package wiretest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"time"
)

// CA is a certificate authority made in memory.
type CA struct {
	Cert *x509.Certificate
	key  crypto.Signer
	// Above are the certificates between this authority and its root, nearest first; empty for a root.
	Above [][]byte
}

// NewCA makes a root that is valid for ten years around now.
func NewCA(name string, now time.Time) (*CA, error) { return newCA(nil, name, now) }

// Sub makes an intermediate authority under ca.
func (ca *CA) Sub(name string, now time.Time) (*CA, error) { return newCA(ca, name, now) }

func newCA(parent *CA, name string, now time.Time) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.AddDate(-5, 0, 0), NotAfter: now.AddDate(5, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	ca := &CA{key: key}
	signer, above := crypto.Signer(key), t
	if parent != nil {
		signer, above = parent.key, parent.Cert
	}
	der, err := x509.CreateCertificate(rand.Reader, t, above, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	if ca.Cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	if parent != nil {
		ca.Above = append([][]byte{der}, parent.Above...)
	}
	return ca, nil
}

// Pool is a pool of roots with this authority alone.
func (ca *CA) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(ca.Cert)
	return p
}

// Leaf says what a server certificate is like. Zero fields give a good one: ECDSA P-256, from a month ago to 60 days
// ahead.
type Leaf struct {
	Names      []string // DNS names or addresses
	NotBefore  time.Time
	NotAfter   time.Time
	RSA        int  // bits of an RSA key instead
	SelfSigned bool //
	Short      bool // leave the intermediates out
	Reversed   bool // send the chain in the wrong order behind the leaf
	SHA1       bool // sign with SHA-1 (RSA or ECDSA as the authority's key)
}

// Issue makes a server certificate with its chain.
func (ca *CA) Issue(l Leaf, now time.Time) (tls.Certificate, error) {
	key, err := newKey(l.RSA)
	if err != nil {
		return tls.Certificate{}, err
	}
	t := &x509.Certificate{
		SerialNumber: serial(), NotBefore: l.NotBefore, NotAfter: l.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if t.NotBefore.IsZero() {
		t.NotBefore = now.AddDate(0, -1, 0)
	}
	if t.NotAfter.IsZero() {
		t.NotAfter = now.AddDate(0, 0, 60)
	}
	for _, n := range l.Names {
		t.Subject.CommonName = l.Names[0]
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	if l.SHA1 {
		t.SignatureAlgorithm = x509.ECDSAWithSHA1
	}
	above, signer := ca.Cert, ca.key
	if l.SelfSigned {
		above, signer = t, key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, above, key.Public(), signer)
	if err != nil {
		return tls.Certificate{}, err
	}
	cert := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	if !l.Short && !l.SelfSigned {
		cert.Certificate = append(cert.Certificate, ca.Above...)
	}
	if c := cert.Certificate; l.Reversed {
		for i, j := 1, len(c)-1; i < j; i, j = i+1, j-1 {
			c[i], c[j] = c[j], c[i]
		}
	}
	return cert, nil
}

// Config is a server configuration with that certificate.
func Config(c tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12}
}

func newKey(bits int) (crypto.Signer, error) {
	if bits > 0 {
		return rsa.GenerateKey(rand.Reader, bits)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return big.NewInt(1)
	}
	return n
}
