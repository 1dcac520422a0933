package arc

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/dkim"
	"github.com/mailwhy/mailwhy/internal/mail/header"
)

// Signer adds a set to the chain of a message.
type Signer struct {
	Domain, Selector string
	Key              crypto.Signer // RSA or ed25519
	AuthServID       string        // whose Authentication-Results are sealed
	Headers          []string      // names to sign; ARC-Seal must not be among them
	Now              time.Time
}

// Sealed is a new set: the values of its three fields, folded with CRLF and a space.
type Sealed struct {
	Results, Message, Seal string
	CV                     Status
}

// ErrSealedFail tells that the chain was already sealed as failed, so that nothing may be added (section 5.1.2).
var ErrSealedFail = errors.New("the chain is sealed as failed")

// Sign validates the chain of a message and makes the next set.
func (s *Signer) Sign(ctx context.Context, res mail.Resolver, msg io.Reader) (*Sealed, error) {
	b, body, err := header.Parse(msg, header.Limits{})
	if err != nil {
		return nil, err
	}
	alg, err := s.algorithm()
	if err != nil {
		return nil, err
	}
	hash := dkim.NewBodyHash(sha256.New(), dkim.Relaxed, -1)
	tee := io.TeeReader(body, hash)
	chain, err := ValidateBody(ctx, res, b, tee)
	if err == nil {
		_, err = io.Copy(io.Discard, tee)
	}
	switch n := len(chain.Sets); {
	case err != nil:
		return nil, err
	case n > 0 && chain.Sets[n-1].CV == "fail":
		return nil, ErrSealedFail
	case n >= MaxSets:
		return nil, fmt.Errorf("the chain has %d sets already", n)
	}
	bh, _ := hash.Sum()
	return s.seal(b, chain, alg, base64.StdEncoding.EncodeToString(bh))
}

func (s *Signer) algorithm() (string, error) {
	switch s.Key.(type) {
	case *rsa.PrivateKey:
		return "rsa-sha256", nil
	case ed25519.PrivateKey:
		return "ed25519-sha256", nil
	}
	return "", fmt.Errorf("cannot sign with a key of type %T", s.Key)
}

func (s *Signer) seal(b *header.Block, chain *Chain, alg, bh string) (*Sealed, error) {
	n := strconv.Itoa(len(chain.Sets) + 1)
	out := &Sealed{CV: chain.Status}
	out.Results = "i=" + n + "; " + s.AuthServID
	if r := s.results(b); r != "" {
		out.Results += "; " + r
	}
	tail := "; i=" + n + "; s=" + s.Selector + "; t=" + strconv.FormatInt(s.Now.Unix(), 10)
	rest := "; bh=" + bh + "; c=relaxed/relaxed; d=" + s.Domain + "; h=" + strings.Join(s.Headers, ":") + tail
	pick := dkim.NewPicker(b)
	var data []byte
	for _, h := range s.Headers {
		if i := pick.Pick(h); i >= 0 {
			data = dkim.Relaxed.AppendHeader(data, b.Fields[i].Raw)
		}
	}
	data = dkim.Relaxed.AppendHeader(data, []byte("ARC-Message-Signature: a="+alg+"; b="+rest))
	sum, err := s.sum(data[:len(data)-2])
	if err != nil {
		return nil, err
	}
	out.Message = "a=" + alg + ";\r\n b=" + sum + rest
	older := chain.Sets
	if chain.Status == Fail { // a failed seal covers its own set only (section 5.1.2)
		older = nil
	}
	rest = "; cv=" + string(chain.Status) + "; d=" + s.Domain + tail
	data = sealData(older, []byte("ARC-Authentication-Results: "+out.Results), []byte("ARC-Message-Signature: "+out.Message), []byte("ARC-Seal: a="+alg+"; b="+rest))
	if sum, err = s.sum(data); err != nil {
		return nil, err
	}
	out.Seal = "a=" + alg + ";\r\n b=" + sum + rest
	return out, nil
}

// sum signs. The text is not folded: within b= of the message signature folding would be covered by the seal.
func (s *Signer) sum(data []byte) (string, error) {
	digest := sha256.Sum256(data)
	var opts crypto.SignerOpts = crypto.SHA256
	if _, ed := s.Key.(ed25519.PrivateKey); ed {
		opts = crypto.Hash(0)
	}
	sig, err := s.Key.Sign(rand.Reader, digest[:], opts)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(sig), nil
}

// results joins what our own Authentication-Results say, top of the message first.
func (s *Signer) results(b *header.Block) string {
	var parts []string
	for _, f := range b.All("Authentication-Results") {
		id, rest, _ := strings.Cut(f.Value(), ";")
		if strings.EqualFold(strings.TrimSpace(id), s.AuthServID) {
			if rest = strings.TrimSpace(rest); rest != "" {
				parts = append(parts, rest)
			}
		}
	}
	return strings.Join(parts, "; ")
}
