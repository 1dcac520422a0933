package dkim

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/dkim"
)

// Facts are what the DNS says about a domain's DKIM keys; JSON: docs/json.md.
type Facts struct {
	Domain    string     `json:"domain"`
	Below     bool       `json:"below"`              // there are names below _domainkey: it is not NXDOMAIN
	Wildcard  []string   `json:"wildcard,omitempty"` // what a made-up selector answers
	Tried     int        `json:"tried"`              // selectors asked for
	Selectors []Selector `json:"selectors"`          // those with an answer, and those given
	Own       *Own       `json:"own,omitempty"`
	Err       error      `json:"-"` // _domainkey itself could not be asked for
}

// Selector is one selector and what stands there.
type Selector struct {
	Name   string      `json:"selector"`
	By     string      `json:"by,omitempty"`    // who uses the name
	Given  bool        `json:"given,omitempty"` // by the user
	Alias  string      `json:"alias,omitempty"` // end of a CNAME chain
	NX     bool        `json:"nxdomain,omitempty"`
	Keys   []*dkim.Key `json:"keys,omitempty"`
	Server string      `json:"server,omitempty"`
	Err    error       `json:"-"`
}

// Own is the public half of a private key of the user's.
type Own struct {
	File   string `json:"file"`
	Type   string `json:"type"`
	Bits   int    `json:"bits"`
	Record string `json:"record"` // the record to publish
	Public string `json:"-"`      // the value of p=
}

// Question is what to look for.
type Question struct {
	Selectors []string // given by the user; asked whatever the probe says
	All       bool     // try every selector of the table, not only the common ones
	Own       *Own
}

// nobody is a selector that nobody uses: an answer there is a wildcard's.
const nobody = "mailwhy-no-such-selector"

// Look gathers the facts about a domain.
func Look(ctx context.Context, r mail.Resolver, table []knowledge.Selector, domain string, q Question) *Facts {
	f := &Facts{Domain: strings.ToLower(strings.TrimSuffix(domain, ".")), Own: q.Own}
	probe, err := r.Resolve(ctx, "_domainkey."+f.Domain, mail.TypeTXT)
	if err != nil {
		f.Err = err
	} else {
		f.Below = !probe.NXDomain
	}
	var asked []Selector
	for _, s := range q.Selectors {
		asked = append(asked, Selector{Name: strings.ToLower(s), Given: true})
	}
	if f.Below || f.Err != nil {
		for _, t := range table {
			if (q.All || t.Common) && !slices.ContainsFunc(asked, func(s Selector) bool { return s.Name == t.Name }) {
				asked = append(asked, Selector{Name: t.Name, By: t.By})
			}
		}
	}
	f.Tried = len(asked)
	var wg sync.WaitGroup
	slots := make(chan struct{}, 40)
	for i := range asked {
		wg.Go(func() { slots <- struct{}{}; asked[i].look(ctx, r, f.Domain); <-slots })
	}
	if f.Below {
		if a, err := r.Resolve(ctx, dkim.KeyName(nobody, f.Domain), mail.TypeTXT); err == nil {
			f.Wildcard = a.Texts()
		}
	}
	wg.Wait()
	for _, s := range asked {
		if s.Given || len(s.Keys) > 0 && !s.wild(f.Wildcard) || s.Alias != "" {
			f.Selectors = append(f.Selectors, s)
		}
	}
	return f
}

// wild tells whether a wildcard made up the answer.
func (s *Selector) wild(w []string) bool {
	return len(w) > 0 && len(s.Keys) == len(w) && slices.ContainsFunc(s.Keys, func(k *dkim.Key) bool { return slices.Contains(w, k.Raw) })
}

func (s *Selector) look(ctx context.Context, r mail.Resolver, domain string) {
	a, err := r.Resolve(ctx, dkim.KeyName(s.Name, domain), mail.TypeTXT)
	if err != nil {
		s.Err = err
		return
	}
	s.NX, s.Server = a.NXDomain, a.Server
	if len(a.Chain) > 0 {
		s.Alias = a.Final
	}
	for i, txt := range a.Texts() {
		if i < 10 {
			s.Keys = append(s.Keys, masked(dkim.ParseKey(txt)))
		}
	}
}

// masked takes a private key out of a record that holds one, so that it does not travel with reports.
func masked(k *dkim.Key) *dkim.Key {
	if slices.ContainsFunc(k.Faults, func(f dkim.KeyFault) bool { return f.Kind == dkim.KeyPrivate }) {
		k.Raw, k.Tags = "v=DKIM1; p=…", nil
	}
	return k
}

// ReadPrivateKey gives the public half of a private key in PEM (PKCS #1, PKCS #8) or of a bare base64 or raw ed25519
// seed in PKCS #8. The error says what the file is not; it never quotes it.
func ReadPrivateKey(file string, raw []byte) (*Own, error) {
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, errors.New("not a PEM file")
	}
	var key any
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		if key, err = x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
			return nil, errors.New("no private key of type RSA or ed25519 in it")
		}
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("no private key of type RSA or ed25519 in it")
	}
	o := &Own{File: file}
	switch pub := signer.Public().(type) {
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(pub)
		if err != nil {
			return nil, errors.New("its public half cannot be written")
		}
		o.Type, o.Bits, o.Public = "rsa", pub.N.BitLen(), base64.StdEncoding.EncodeToString(der)
	case ed25519.PublicKey:
		o.Type, o.Bits, o.Public = "ed25519", 256, base64.StdEncoding.EncodeToString(pub)
	default:
		return nil, errors.New("no private key of type RSA or ed25519 in it")
	}
	o.Record = "v=DKIM1; k=" + o.Type + "; p=" + o.Public
	return o, nil
}

// fits tells whether a published key is the public half.
func (o *Own) fits(k *dkim.Key) bool {
	switch pub := k.Public.(type) {
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(pub)
		return err == nil && base64.StdEncoding.EncodeToString(der) == o.Public
	case ed25519.PublicKey:
		return base64.StdEncoding.EncodeToString(pub) == o.Public
	}
	return false
}

// Check is the DKIM topic for a domain: the common selectors.
var Check = check.Check[string]{Name: "dkim", Rules: Rules, Run: func(ctx context.Context, env *check.Env, domain string) ([]finding.Finding, error) {
	t, err := env.Know.Selectors()
	if err != nil {
		return nil, err
	}
	return Judge(Look(ctx, env.DNS, t.Selector, domain, Question{})), nil
}}

// Survey is the report of `mailwhy dkim DOMAIN`. The error is that of the table of selectors.
func Survey(ctx context.Context, env *check.Env, domain string, q Question) (*finding.Report, error) {
	start := env.Now()
	t, err := env.Know.Selectors()
	if err != nil {
		return nil, err
	}
	q.All = true
	f := Look(ctx, env.DNS, t.Selector, domain, q)
	return check.NewReport(env, "dkim", finding.Domain(f.Domain), start, Judge(f), Sections(f), f), nil
}
