// Package caa reads CAA records (RFC 8659) with the property issuemail of RFC 9495: which certification authorities may
// issue certificates for a domain.
//
// Promise: pure; looks up through a Resolver only, climbing at most MaxClimb names.
package caa

import (
	"context"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/mail"
)

// MaxClimb is how many names are asked on the way to the root.
const MaxClimb = 16

// Property is one CAA record.
type Property struct {
	Critical bool              `json:"critical"` // bit 7 of the flags
	Tag      string            `json:"tag"`      // lower case
	Value    string            `json:"value"`
	Issuer   string            `json:"issuer,omitempty"` // of issue, issuewild, issuemail; "" forbids all
	Params   map[string]string `json:"params,omitempty"`
	Bad      string            `json:"bad,omitempty"` // the part that does not fit the grammar
}

// known are the registered properties.
var known = [...]string{"issue", "issuewild", "iodef", "contactemail", "contactphone", "issuemail", "issuevmc"}

// Known tells whether a property is registered; an unknown critical one forbids every issuance (RFC 8659 section 4.1).
func (p *Property) Known() bool {
	for _, k := range known {
		if p.Tag == k {
			return true
		}
	}
	return false
}

// Parse reads a property from its parts.
func Parse(flags uint8, tag, value string) Property {
	p := Property{Critical: flags&0x80 != 0, Tag: strings.ToLower(tag), Value: value}
	switch p.Tag {
	case "issue", "issuewild", "issuemail", "issuevmc":
		p.issuer()
	case "iodef":
		scheme, rest, ok := strings.Cut(value, ":")
		if s := strings.ToLower(scheme); !ok || rest == "" || s != "mailto" && s != "http" && s != "https" {
			p.Bad = value
		}
	}
	return p
}

// issuer reads "ca.example; name=value name=value" (RFC 8659 section 4.2).
func (p *Property) issuer() {
	name, rest, _ := strings.Cut(p.Value, ";")
	p.Issuer = strings.ToLower(strings.TrimSpace(name))
	for l := range strings.SplitSeq(p.Issuer, ".") {
		if p.Issuer != "" && (l == "" || strings.ContainsAny(l, " \t:/@\"'=") || len(l) > 63) {
			p.Bad = name
		}
	}
	for _, kv := range strings.FieldsFunc(rest, func(r rune) bool { return r == ';' || r == ' ' || r == '\t' }) {
		k, v, ok := strings.Cut(kv, "=")
		if !ok || k == "" {
			p.Bad = kv
			continue
		}
		if p.Params == nil {
			p.Params = map[string]string{}
		}
		p.Params[strings.ToLower(k)] = v
	}
}

// FromRecord reads a DNS record of type CAA; its flags are the first word of the presentation form.
func FromRecord(r mail.Record) Property {
	first, _, _ := strings.Cut(strings.TrimSpace(r.Text), " ")
	flags, _ := strconv.ParseUint(first, 10, 8)
	return Parse(uint8(flags), r.Tag, string(r.Data))
}

// Found is the set of properties in force for a domain.
type Found struct {
	Domain     string     `json:"domain"`
	At         string     `json:"at,omitempty"` // the name that has them: the domain or a parent
	Properties []Property `json:"properties,omitempty"`
	Secure     bool       `json:"secure"`
}

// Lookup climbs from a domain to the first name with CAA records (RFC 8659 section 3). The error is non-nil only when
// the DNS could not be asked; an authority must then refuse to issue.
func Lookup(ctx context.Context, r mail.Resolver, domain string) (*Found, error) {
	f := &Found{Domain: strings.ToLower(strings.TrimSuffix(domain, "."))}
	name := f.Domain
	for range MaxClimb {
		a, err := r.Resolve(ctx, name, mail.TypeCAA)
		if err != nil {
			return nil, err
		}
		if len(a.Records) > 0 {
			f.At, f.Secure = name, a.Secure
			for _, rr := range a.Records {
				f.Properties = append(f.Properties, FromRecord(rr))
			}
			return f, nil
		}
		_, parent, ok := strings.Cut(name, ".")
		if !ok || parent == "" {
			break
		}
		name = parent
	}
	return f, nil
}

// Has tells whether a property is set.
func (f *Found) Has(tag string) bool {
	for _, p := range f.Properties {
		if p.Tag == tag {
			return true
		}
	}
	return false
}
