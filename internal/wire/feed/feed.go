// Package feed asks sources of threat intelligence about addresses, domains, URLs and hashes: a MISP server over its REST
// interface, and plain lists from files or URLs.
//
// Promise: bounded in time, bytes and lines whatever a source does; what a source said is kept for a while, so that it is
// not asked twice for the same; a key is said only over TLS that is believed, or to this machine, and is never recorded.
// A source that could not be asked is an error, never "not listed". Nothing here judges.
package feed

import (
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Kind says what an indicator is.
type Kind string

// The kinds.
const (
	IP     Kind = "ip" // an address or a network
	Domain Kind = "domain"
	URL    Kind = "url"
	Hash   Kind = "hash" // MD5, SHA-1 or SHA-256 in hex
)

// Indicator is something that may be known as bad.
type Indicator struct {
	Kind  Kind
	Value string // in one form: lower case for domains and hashes, the host of a URL in lower case
	Net   netip.Prefix
}

// Hit is a line of a source that speaks of an indicator.
type Hit struct {
	Value string    `json:"value"` // as the source has it: a network, a parent domain
	Note  string    `json:"note,omitempty"`
	Event string    `json:"event,omitempty"` // id of the event the source files it under
	Tags  []string  `json:"tags,omitempty"`
	At    time.Time `json:"at,omitzero"` // when the source wrote it
	IDS   bool      `json:"ids"`         // the source means it for detection, not for context alone
}

// Parse tells what a word is; ok is false for a word that is no indicator.
func Parse(s string) (Indicator, bool) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return Indicator{IP, a.String(), netip.PrefixFrom(a, a.BitLen())}, true
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return Indicator{IP, p.Masked().String(), p.Masked()}, true
	}
	if i := strings.Index(s, "://"); i > 0 {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || len(s) > 4096 {
			return Indicator{}, false
		}
		u.Host, u.Scheme = strings.ToLower(u.Host), strings.ToLower(u.Scheme)
		return Indicator{Kind: URL, Value: u.String()}, true
	}
	l := strings.ToLower(strings.TrimSuffix(s, "."))
	if n := len(l); (n == 32 || n == 40 || n == 64) && strings.Trim(l, "0123456789abcdef") == "" {
		return Indicator{Kind: Hash, Value: l}, true
	}
	if domainLike(l) {
		return Indicator{Kind: Domain, Value: l}, true
	}
	return Indicator{}, false
}

func domainLike(d string) bool {
	if len(d) > 253 || !strings.Contains(d, ".") {
		return false
	}
	last := ""
	for l := range strings.SplitSeq(d, ".") {
		if l == "" || len(l) > 63 || strings.ContainsFunc(l, func(r rune) bool {
			return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && r < 0x80
		}) {
			return false
		}
		last = l
	}
	return strings.Trim(last, "0123456789") != ""
}

// Covers tells whether a source that lists the one speaks of the other: a network of its addresses, a domain of those
// below and of URLs on them.
func (i Indicator) Covers(o Indicator) bool {
	switch {
	case i.Kind == IP && o.Kind == IP:
		return i.Net.Bits() <= o.Net.Bits() && i.Net.Contains(o.Net.Addr())
	case i.Kind == Domain && o.Kind == Domain:
		return below(o.Value, i.Value)
	case o.Kind == URL && i.Kind != URL:
		u, err := url.Parse(o.Value)
		if err != nil {
			return false
		}
		host, ok := Parse(u.Hostname())
		return ok && host.Kind == i.Kind && i.Covers(host)
	}
	return i.Kind == o.Kind && i.Value == o.Value
}

func below(name, parent string) bool {
	return name == parent || len(name) > len(parent) && strings.HasSuffix(name, parent) && name[len(name)-len(parent)-1] == '.'
}
