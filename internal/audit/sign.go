package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Names of the files beside a log: the key that signs, and the public parts of all that ever did, the newest last.
const (
	KeyFile    = "audit.key"
	PublicFile = "audit.pub"
)

// Key signs records (Ed25519, RFC 8032).
type Key struct{ private ed25519.PrivateKey }

// OpenKey reads the key of a folder, or makes one that only its owner can read. The public part is added to PublicFile,
// so that records of a key that was lost can still be verified.
func OpenKey(folder string) (*Key, error) {
	name := filepath.Join(folder, KeyFile)
	raw, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		raw, err = makeKey(name)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s holds no private key", name)
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	private, ok := any.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: the key is not of Ed25519", name)
	}
	k := &Key{private}
	return k, k.publish(filepath.Join(folder, PublicFile))
}

// makeKey writes a new key under another name first: a crash leaves a whole one or none.
func makeKey(name string) ([]byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	raw := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err = os.WriteFile(name+".new", raw, 0o600); err == nil {
		err = os.Rename(name+".new", name)
	}
	return raw, err
}

func (k *Key) publish(name string) error {
	raw, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	own := []byte(k.Public())
	if bytes.Contains(raw, own) {
		return nil
	}
	return os.WriteFile(name, append(raw, own...), 0o644)
}

// Public is the public part as PEM, for whoever verifies.
func (k *Key) Public() string {
	der, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		panic(err) // only for a type of key that is not known
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// Fingerprint is that of the key that signs, "" without one.
func (l *Log) Fingerprint() string {
	if l.key == nil {
		return ""
	}
	return Fingerprint(l.key.private.Public().(ed25519.PublicKey))
}

// Fingerprint is the SHA-256 of a public key in DER, as hexadecimal digits: what people compare.
func Fingerprint(k ed25519.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// maxKeys bounds what is read of a file of public keys.
const maxKeys = 100

// ParseKeys reads public keys from PEM. Other keys than those of Ed25519 are an error.
func ParseKeys(raw []byte) (out []ed25519.PublicKey, err error) {
	for len(out) < maxKeys {
		var block *pem.Block
		if block, raw = pem.Decode(raw); block == nil {
			break
		}
		any, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		k, ok := any.(ed25519.PublicKey)
		if !ok {
			return nil, errors.New("a key is not of Ed25519")
		}
		out = append(out, k)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no public key in it")
	}
	return out, nil
}

// text is what a signature of the record is made of: the record without it.
func (r Record) text() ([]byte, error) {
	r.Sig = ""
	return json.Marshal(r)
}

func (k *Key) signature(text []byte) string {
	return base64.StdEncoding.EncodeToString(ed25519.Sign(k.private, text))
}

// Signer tells which of the keys signed the record; ok is false where none did.
func (r *Record) Signer(keys []ed25519.PublicKey) (k ed25519.PublicKey, ok bool) {
	sig, err := base64.StdEncoding.DecodeString(r.Sig)
	if err != nil || r.Sig == "" {
		return nil, false
	}
	text, err := r.text()
	if err != nil {
		return nil, false
	}
	for _, k := range keys {
		if ed25519.Verify(k, text, sig) {
			return k, true
		}
	}
	return nil, false
}

// ErrNoKey says that something is to be signed and no key was given.
var ErrNoKey = errors.New("the audit log has no key to sign with")
