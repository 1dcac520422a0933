package dmarc

import (
	"context"

	"github.com/mailwhy/mailwhy/internal/mail"
)

// maxIdentities bounds how many signatures of one message are held against the author domain.
const maxIdentities = 32

// Identity is one authentication result.
type Identity struct {
	Domain   string `json:"domain"`             // SPF: of MAIL FROM; DKIM: d=
	Result   string `json:"result"`             // RFC 8601: pass, fail, none, softfail, …
	Selector string `json:"selector,omitempty"` // DKIM
}

// Input is what a receiver knows of a message when it comes to DMARC.
type Input struct {
	From string     `json:"from"` // the domain of the From: address
	SPF  Identity   `json:"spf"`
	DKIM []Identity `json:"dkim,omitempty"`
}

// Held is one identity held against the author domain.
type Held struct {
	Identity
	Mode    string `json:"mode"`    // "r" or "s"
	Org     string `json:"org"`     // its organizational domain; "" where nobody needed it
	Aligned bool   `json:"aligned"` // the names agree, whatever the result
	Pass    bool   `json:"pass"`    // passes and aligned
}

// Result is a receiver's conclusion about one message.
type Result struct {
	Found   *Discovery `json:"found"`
	Applies bool       `json:"applies"`
	Pass    bool       `json:"pass"`
	SPF     Held       `json:"spf"`
	DKIM    []Held     `json:"dkim,omitempty"`
	// Disposition is what the domain owner asks to be done with this message; "none" for a pass.
	Disposition Policy `json:"disposition"`
	// Pct is the share of failing mail that gets Disposition, the rest gets Otherwise (RFC 7489 section 6.6.4); 100 to
	// RFC 9989.
	Pct       int    `json:"pct"`
	Otherwise Policy `json:"otherwise,omitempty"`
}

// Evaluate holds a message's results against the policy of its author domain. The error is non-nil only when the DNS
// could not be asked.
func Evaluate(ctx context.Context, r mail.Resolver, in Input, g Reading) (*Result, error) {
	found, err := Discover(ctx, r, in.From, g)
	if err != nil {
		return nil, err
	}
	res := &Result{Found: found, Applies: found.Applies(), Pct: 100, Disposition: None}
	aspf, adkim := "r", "r"
	if found.Record != nil {
		aspf, adkim = found.Record.ASPF, found.Record.ADKIM
	}
	if res.SPF, err = hold(ctx, r, found, in.SPF, aspf); err != nil {
		return nil, err
	}
	res.Pass = res.SPF.Pass
	for _, id := range in.DKIM[:min(len(in.DKIM), maxIdentities)] {
		h, err := hold(ctx, r, found, id, adkim)
		if err != nil {
			return nil, err
		}
		res.DKIM = append(res.DKIM, h)
		res.Pass = res.Pass || h.Pass
	}
	res.Pass = res.Pass && res.Applies
	if res.Applies && !res.Pass {
		res.Disposition, res.Pct = found.Effective, found.Meaning.Pct
		if res.Pct < 100 {
			res.Otherwise = found.Effective.Lower()
		}
	}
	return res, nil
}

// hold compares an identity with the author domain (RFC 7489 section 3.1, RFC 9989 section 4.10.2).
func hold(ctx context.Context, r mail.Resolver, d *Discovery, id Identity, mode string) (Held, error) {
	h := Held{Identity: id, Mode: mode}
	name := normal(id.Domain)
	switch {
	case name == "":
	case name == d.Domain:
		h.Aligned = true
	case mode == "r":
		org, err := Org(ctx, r, name, d.Reading)
		if err != nil {
			return h, err
		}
		h.Org, h.Aligned = org, org == d.Org
	}
	h.Pass = h.Aligned && id.Result == "pass"
	return h, nil
}

// Authorisation is whether another domain agreed to receive reports.
type Authorisation struct {
	Domain   string   `json:"domain"`           // whose record names the address
	Target   string   `json:"target"`           // the domain of the address
	External bool     `json:"external"`         // the two belong to different organizations
	Name     string   `json:"name,omitempty"`   // the name asked
	Agreed   bool     `json:"agreed"`           // a record there says so, or none is needed
	Texts    []string `json:"texts,omitempty"`  // TXT values found there
	Record   *Record  `json:"record,omitempty"` // may name another address of the same domain
}

// ReportName is the name whose TXT record lets a domain's reports go to a target (RFC 7489 section 7.1; RFC 9990
// keeps it).
func ReportName(domain, target string) string {
	return normal(domain) + "._report._dmarc." + normal(target)
}

// Authorise asks whether a target domain agreed to receive the reports of a domain. The error is non-nil only when the
// DNS could not be asked.
func Authorise(ctx context.Context, r mail.Resolver, domain, target string, g Reading) (*Authorisation, error) {
	a := &Authorisation{Domain: normal(domain), Target: normal(target)}
	ours, err := Org(ctx, r, a.Domain, g)
	if err != nil {
		return nil, err
	}
	theirs, err := Org(ctx, r, a.Target, g)
	if err != nil {
		return nil, err
	}
	if ours == theirs {
		a.Agreed = true
		return a, nil
	}
	a.External, a.Name = true, ReportName(domain, target)
	ans, err := r.Resolve(ctx, a.Name, mail.TypeTXT)
	if err != nil {
		return nil, err
	}
	for _, t := range ans.Texts() {
		a.Texts = append(a.Texts, t)
		if IsRecord(t) && !a.Agreed {
			a.Agreed, a.Record = true, Parse(t)
		}
	}
	return a, nil
}
