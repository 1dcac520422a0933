// Package pki is the lab's certificate authority: certificates that are good, and ones with one fault each, made at
// start and never stored in the project.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// Kind says what is right or wrong with a certificate.
type Kind string

// The kinds of certificate.
const (
	Good       Kind = "good"        // names, dates, key and chain in order
	Expired    Kind = "expired"     // ended ten days ago
	Soon       Kind = "soon"        // ends in two days
	NotYet     Kind = "not-yet"     // begins in ten days
	SelfSigned Kind = "self-signed" // signed by its own key
	WrongName  Kind = "wrong-name"  // for another host
	ShortKey   Kind = "short-key"   // RSA with 1024 bits
	NoChain    Kind = "no-chain"    // the intermediate is not sent
	Disorder   Kind = "disorder"    // the root is sent before the intermediate
	Stranger   Kind = "stranger"    // by an authority nobody trusts
)

// Authority signs for the lab: a root that clients trust and an intermediate that servers send.
type Authority struct {
	root, middle *signer
	stranger     *signer
}

type signer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// Pair is a certificate with its key, ready for a server.
type Pair struct {
	CertFile, KeyFile, BothFile string // PEM; the chain follows the leaf; BothFile holds key and chain
	Leaf                        *x509.Certificate
	Issuer                      *x509.Certificate
}

// New makes the authorities. now is the time the dates of all certificates are counted from.
func New(now time.Time) (*Authority, error) {
	root, err := authority("Lab Root CA", nil, now)
	if err != nil {
		return nil, err
	}
	middle, err := authority("Lab Issuing CA", root, now)
	if err != nil {
		return nil, err
	}
	stranger, err := authority("Unknown CA", nil, now)
	if err != nil {
		return nil, err
	}
	return &Authority{root, middle, stranger}, nil
}

// RootPEM is what clients trust.
func (a *Authority) RootPEM() []byte { return certPEM(a.root.cert) }

func authority(name string, by *signer, now time.Time) (*signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := template(name, now.AddDate(-2, 0, 0), now.AddDate(8, 0, 0))
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	return sign(t, key, by)
}

func template(name string, from, to time.Time) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // fails only where the machine has no entropy
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: to}
}

func sign(t *x509.Certificate, key crypto.Signer, by *signer) (*signer, error) {
	parent, signKey := t, key
	if by != nil {
		parent, signKey = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), signKey)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &signer{cert, key}, err
}

// Issue writes a certificate of the kind for the names into dir, in files called after the first name.
func (a *Authority) Issue(dir string, kind Kind, now time.Time, names ...string) (*Pair, error) {
	from, to, bits, by := now.AddDate(0, -1, 0), now.AddDate(0, 2, 0), 0, a.middle
	subjects := names
	switch kind {
	case Good, NoChain, Disorder:
	case Expired:
		to = now.AddDate(0, 0, -10)
	case Soon:
		to = now.Add(49 * time.Hour)
	case NotYet:
		from = now.AddDate(0, 0, 10)
	case SelfSigned:
		by = nil
	case WrongName:
		subjects = []string{"other.elsewhere.example"}
	case ShortKey:
		bits = 1024
	case Stranger:
		by = a.stranger
	default:
		return nil, fmt.Errorf("unknown kind of certificate %q", kind)
	}
	key, err := leafKey(bits)
	if err != nil {
		return nil, err
	}
	t := template(subjects[0], from, to)
	t.DNSNames, t.ExtKeyUsage = subjects, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	t.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	leaf, err := sign(t, key, by)
	if err != nil {
		return nil, err
	}
	chain := certPEM(leaf.cert)
	issuer := leaf.cert
	if by != nil {
		issuer = by.cert
		if kind == Disorder {
			chain = append(chain, certPEM(a.root.cert)...)
		}
		if by == a.middle && kind != NoChain {
			chain = append(chain, certPEM(by.cert)...)
		}
	}
	return write(filepath.Join(dir, names[0]), chain, leaf, issuer)
}

// leafKey makes an ECDSA key, or an RSA key where a length in bits is given.
func leafKey(bits int) (crypto.Signer, error) {
	if bits == 0 {
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return rsa.GenerateKey(rand.Reader, bits)
}

func write(base string, chain []byte, leaf *signer, issuer *x509.Certificate) (*Pair, error) {
	der, err := x509.MarshalPKCS8PrivateKey(leaf.key)
	if err != nil {
		return nil, err
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	p := &Pair{base + ".crt", base + ".key", base + ".pem", leaf.cert, issuer}
	for file, data := range map[string][]byte{p.CertFile: chain, p.KeyFile: key, p.BothFile: append(append([]byte{}, key...), chain...)} {
		// Servers drop root before they read: the lab's keys are worth nothing outside it.
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func certPEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// TLSA is the data of a TLSA record (RFC 6698) for the pair, in presentation form. Usages 0 and 2 take the issuer.
func (p *Pair) TLSA(usage, selector, matching int) string {
	cert := p.Leaf
	if usage == 0 || usage == 2 {
		cert = p.Issuer
	}
	data := cert.Raw
	if selector == 1 {
		data = cert.RawSubjectPublicKeyInfo
	}
	switch matching {
	case 1:
		sum := sha256.Sum256(data)
		data = sum[:]
	case 2:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return fmt.Sprintf("%d %d %d %s", usage, selector, matching, hex.EncodeToString(data))
}
