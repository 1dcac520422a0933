package dmarc

import (
	"context"
	"fmt"

	"github.com/mailwhy/mailwhy/internal/mail"
)

// Query is one question for a record and what came back.
type Query struct {
	Domain  string   `json:"domain"`            // "_dmarc." and this were asked
	Chain   []string `json:"chain,omitempty"`   // CNAMEs followed
	Texts   []string `json:"texts,omitempty"`   // TXT values that receivers see as DMARC records
	Near    []string `json:"near,omitempty"`    // values that were meant as one, but receivers do not see them
	Record  *Record  `json:"record,omitempty"`  // the one; nil for none or several
	Secure  bool     `json:"secure,omitempty"`  //
	Several bool     `json:"several,omitempty"` // more than one: all are discarded
}

// Ask asks for the record of one domain. The error is non-nil only when the DNS could not be asked.
func Ask(ctx context.Context, r mail.Resolver, domain string) (*Query, error) {
	domain = normal(domain)
	a, err := r.Resolve(ctx, "_dmarc."+domain, mail.TypeTXT)
	if err != nil {
		return nil, fmt.Errorf("_dmarc.%s: %w", domain, err)
	}
	q := &Query{Domain: domain, Chain: a.Chain, Secure: a.Secure}
	for _, t := range a.Texts() {
		switch {
		case IsRecord(t):
			q.Texts = append(q.Texts, t)
		case LooksLikeRecord(t):
			q.Near = append(q.Near, t)
		}
	}
	q.Several = len(q.Texts) > 1
	if len(q.Texts) == 1 {
		q.Record = Parse(q.Texts[0])
		q.Record.Domain = domain
	}
	return q, nil
}

// Discovery is how a receiver finds the policy for an author domain.
type Discovery struct {
	Reading Reading  `json:"reading"`
	Domain  string   `json:"domain"`
	Asked   []*Query `json:"asked"`            // in order
	Record  *Record  `json:"record,omitempty"` // the one that applies, or nil
	Org     string   `json:"org"`              // the organizational domain
	Exists  bool     `json:"exists"`           // the author domain exists (not NXDOMAIN, RFC 8020)
	Tag     string   `json:"tag,omitempty"`    // "p", "sp" or "np": where the policy was taken from
	Meaning Meaning  `json:"meaning"`          // of Record
	// Policy is what the record asks for mail of this domain; "" where DMARC does not apply.
	Policy Policy `json:"policy,omitempty"`
	// Effective is what happens to failing mail: Policy, one lower in test mode.
	Effective Policy `json:"effective,omitempty"`
}

// Applies tells whether DMARC applies to mail of the domain.
func (d *Discovery) Applies() bool { return d.Record != nil && d.Meaning.Applies }

// Discover finds the policy for mail from a domain as a receiver of the given reading does. The error is non-nil only
// when the DNS could not be asked.
func Discover(ctx context.Context, r mail.Resolver, domain string, g Reading) (*Discovery, error) {
	d := &Discovery{Reading: g, Domain: normal(domain), Exists: true}
	var err error
	if g == RFC7489 {
		err = d.bySuffixList(ctx, r)
	} else {
		err = d.byTreeWalk(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	return d, d.conclude(ctx, r)
}

// bySuffixList is RFC 7489 section 6.6.3: the domain itself, then its organizational domain. Several records at either
// end the search.
func (d *Discovery) bySuffixList(ctx context.Context, r mail.Resolver) error {
	d.Org = PublicSuffixOrg(d.Domain)
	for _, name := range []string{d.Domain, d.Org} {
		q, err := Ask(ctx, r, name)
		if err != nil {
			return err
		}
		d.Asked = append(d.Asked, q)
		d.Record = q.Record
		if len(q.Texts) > 0 || d.Org == d.Domain {
			return nil
		}
	}
	return nil
}

// byTreeWalk is RFC 9989 sections 4.10, 4.10.1 and 4.10.2: the domain's own record, else that of its organizational
// domain, else that of its public suffix domain.
func (d *Discovery) byTreeWalk(ctx context.Context, r mail.Resolver) error {
	asked, err := walk(ctx, r, d.Domain)
	if err != nil {
		return err
	}
	d.Asked, d.Org = asked, orgOf(d.Domain, asked)
	for _, want := range []string{d.Domain, d.Org} {
		for _, q := range asked {
			if q.Domain == want && q.Record != nil {
				d.Record = q.Record
				return nil
			}
		}
	}
	for _, q := range asked {
		if q.Record != nil && q.Record.PSD == "y" {
			d.Record = q.Record
		}
	}
	return nil
}

// walk asks up the tree; it stops at a record with psd=y or psd=n.
func walk(ctx context.Context, r mail.Resolver, domain string) ([]*Query, error) {
	var asked []*Query
	for _, name := range Walk(domain) {
		q, err := Ask(ctx, r, name)
		if err != nil {
			return nil, err
		}
		asked = append(asked, q)
		if q.Record != nil && (q.Record.PSD == "y" || q.Record.PSD == "n") {
			break
		}
	}
	return asked, nil
}

// orgOf selects the organizational domain from a walk (RFC 9989 section 4.10.2).
func orgOf(domain string, asked []*Query) string {
	org := domain
	for i, q := range asked {
		switch {
		case q.Record == nil:
		case q.Record.PSD == "n":
			return q.Domain
		case q.Record.PSD == "y" && i > 0:
			return below(domain, q.Domain)
		default:
			org = q.Domain
		}
	}
	return org
}

// below is the name one label below parent on the way to domain.
func below(domain, parent string) string {
	for i := len(domain) - len(parent) - 2; i > 0; i-- {
		if domain[i-1] == '.' {
			return domain[i:]
		}
	}
	return domain
}

// TreeWalkOrg is the organizational domain of any domain by the tree walk (RFC 9989 section 4.10.2).
func TreeWalkOrg(ctx context.Context, r mail.Resolver, domain string) (string, error) {
	asked, err := walk(ctx, r, normal(domain))
	if err != nil {
		return "", err
	}
	return orgOf(normal(domain), asked), nil
}

// Org is the organizational domain of a domain in a reading.
func Org(ctx context.Context, r mail.Resolver, domain string, g Reading) (string, error) {
	if g == RFC7489 {
		return PublicSuffixOrg(domain), nil
	}
	return TreeWalkOrg(ctx, r, domain)
}

// conclude takes the policy for the author domain from the record found.
func (d *Discovery) conclude(ctx context.Context, r mail.Resolver) error {
	if d.Record == nil {
		return nil
	}
	m := d.Record.Meaning(d.Reading)
	d.Meaning = m
	switch {
	case d.Record.Domain == d.Domain:
		d.Policy, d.Tag = m.P, "p"
	case d.Reading == RFC7489:
		d.Policy, d.Tag = m.SP, "sp"
	default:
		a, err := r.Resolve(ctx, d.Domain, mail.TypeA)
		if err != nil {
			return fmt.Errorf("%s: %w", d.Domain, err)
		}
		d.Exists = !a.NXDomain
		d.Policy, d.Tag = m.SP, "sp"
		if !d.Exists {
			d.Policy, d.Tag = m.NP, "np"
		}
	}
	switch given := map[string]Policy{"sp": d.Record.SP, "np": d.Record.NP}; {
	case d.Tag == "np" && given["np"] == "" && given["sp"] != "":
		d.Tag = "sp"
	case d.Tag != "p" && given[d.Tag] == "" && given["sp"] == "":
		d.Tag = "p"
	}
	d.Effective = d.Policy
	if m.Test {
		d.Effective = d.Policy.Lower()
	}
	if !m.Applies {
		d.Policy, d.Effective, d.Tag = "", "", ""
	}
	return nil
}
