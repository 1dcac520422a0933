package feedback

import (
	"cmp"
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail/arf"
	"github.com/mailwhy/mailwhy/internal/mail/dmarc"
	"github.com/mailwhy/mailwhy/internal/mail/dmarcxml"
	"github.com/mailwhy/mailwhy/internal/mail/tlsrptjson"
)

// Bounds of memory.
const (
	maxSources  = 10_000 // kept one by one; beyond, sources are summed by network
	maxNetworks = 5_000  // of those; beyond, by domain
	maxNames    = 4      // authenticated domains kept per source
	maxDomains  = 5_000
	maxIDs      = 1_000_000 // report ids remembered to know duplicates
	maxARF      = 1_000
	maxAddrs    = 1_500_000 // different addresses counted exactly; beyond, Addresses is a lower bound
)

// Sum is everything that was read. The zero value is not ready: use NewSum.
type Sum struct {
	Files      int               `json:"files"`
	Reports    int               `json:"reports"`    // aggregate reports counted
	Duplicates int               `json:"duplicates"` // reports that came again
	Rows       int               `json:"rows"`
	BadRows    int               `json:"bad_rows,omitempty"`
	Messages   uint64            `json:"messages"`
	Aligned    uint64            `json:"aligned"`         // messages that pass DMARC
	Addresses  int               `json:"addresses"`       // different senders; at most maxAddrs
	Begin      int64             `json:"begin,omitempty"` // Unix seconds over all reports
	End        int64             `json:"end,omitempty"`
	Domains    []*Domain         `json:"domains,omitempty"`
	Sources    []*Source         `json:"sources,omitempty"` // most messages first
	Reporters  map[string]int    `json:"reporters,omitempty"`
	TLS        []*TLSDomain      `json:"tls,omitempty"`
	Failures   []*arf.Report     `json:"failure_reports,omitempty"`
	Complaints []*arf.Report     `json:"complaints,omitempty"`
	Heads      []dmarcxml.Report `json:"report_heads,omitempty"` // the first few hundred
	Troubles   []Trouble         `json:"troubles,omitempty"`

	// EachRow, when set, sees every row as it is read, also of a report that later turns out broken. Its bytes are lent.
	EachRow func(*dmarcxml.Row) `json:"-"`

	seed     maphash.Seed
	ids      map[uint64]bool
	sources  map[sourceKey]*Source
	networks int
	domains  map[string]*Domain
	seen     addrSet
}

const maxHeads = 500

// Domain is one domain that reports are about.
type Domain struct {
	Name         string             `json:"name"`
	Policy       dmarcxml.Published `json:"policy"` // of the newest report
	Messages     uint64             `json:"messages"`
	Aligned      uint64             `json:"aligned"`
	Dispositions map[string]uint64  `json:"dispositions"`
	Begin        int64              `json:"begin"`
	End          int64              `json:"end"`
	Classes      map[Class]uint64   `json:"classes,omitempty"` // messages
	Lost         map[Class]uint64   `json:"failing,omitempty"` // messages that fail DMARC: what a policy would hit

	days map[int64]bool // days that reports cover
}

type sourceKey struct {
	domain string
	net    netip.Prefix // invalid: all the rest
}

// Source is one address (or a network, where there were too many) that sent mail in a domain's name.
type Source struct {
	Domain       string       `json:"domain"`
	Net          netip.Prefix `json:"-"`
	Name         string       `json:"source"` // address or network
	PTR          string       `json:"ptr,omitempty"`
	Network      string       `json:"network,omitempty"` // who holds it: "AS64500 EXAMPLE"
	Service      string       `json:"service,omitempty"`
	Class        Class        `json:"class"`
	Messages     uint64       `json:"messages"`
	Aligned      uint64       `json:"aligned"`
	DKIM         uint64       `json:"dkim_aligned"`
	SPF          uint64       `json:"spf_aligned"`
	Dispositions Counts       `json:"dispositions"`
	RawDKIM      []string     `json:"dkim_pass,omitempty"` // domains with a passing signature
	RawSPF       []string     `json:"spf_pass,omitempty"`  // domains that pass SPF
	BadDKIM      []string     `json:"dkim_fail,omitempty"` // own domains whose signature is broken
	Forwarded    uint64       `json:"forwarded"`           // messages the reporter calls forwarded or of a list
	First        int64        `json:"first"`
	Last         int64        `json:"last"`

	forward bool // of a service that forwards
}

// Counts are messages by what was done with them.
type Counts struct {
	None       uint64 `json:"none,omitempty"`
	Quarantine uint64 `json:"quarantine,omitempty"`
	Reject     uint64 `json:"reject,omitempty"`
	Pass       uint64 `json:"pass,omitempty"` // RFC 9990
	Other      uint64 `json:"other,omitempty"`
}

func (c *Counts) add(what []byte, n uint64) {
	switch string(what) {
	case "none":
		c.None += n
	case "quarantine":
		c.Quarantine += n
	case "reject":
		c.Reject += n
	case "pass":
		c.Pass += n
	default:
		c.Other += n
	}
}

func (c *Counts) merge(d Counts) {
	c.None += d.None
	c.Quarantine += d.Quarantine
	c.Reject += d.Reject
	c.Pass += d.Pass
	c.Other += d.Other
}

// TLSDomain is what TLS reports say about one domain and policy.
type TLSDomain struct {
	Domain   string            `json:"domain"`
	Policy   string            `json:"policy"`
	Reports  int               `json:"reports"`
	Success  uint64            `json:"success"`
	Failure  uint64            `json:"failure"`
	Types    map[string]uint64 `json:"failure_types,omitempty"`
	MX       map[string]uint64 `json:"failing_mx,omitempty"`
	Reporter string            `json:"reporter,omitempty"` // one of them
}

// NewSum makes an empty sum.
func NewSum() *Sum {
	return &Sum{
		Reporters: map[string]int{}, seed: maphash.MakeSeed(), ids: map[uint64]bool{},
		sources: map[sourceKey]*Source{}, domains: map[string]*Domain{},
	}
}

// once tells whether an id of a kind and reporter comes for the first time.
func (s *Sum) once(kind, org, id string) bool {
	if id == "" {
		return true
	}
	h := maphash.String(s.seed, kind+"\x00"+strings.ToLower(org)+"\x00"+id)
	if s.ids[h] {
		s.Duplicates++
		return false
	}
	if len(s.ids) < maxIDs {
		s.ids[h] = true
	}
	return true
}

// one is the sum of one aggregate report, which counts only if it is whole.
type one struct{ big *Sum }

func (s *Sum) begin() *one {
	b := NewSum()
	b.seed, b.EachRow = s.seed, s.EachRow
	return &one{b}
}

// row counts a row. Its bytes are lent.
func (o *one) row(rep *dmarcxml.Report, r *dmarcxml.Row) error {
	b := o.big
	if b.EachRow != nil {
		b.EachRow(r)
	}
	name := rep.Policy.Domain
	if name == "" {
		name = strings.ToLower(string(r.HeaderFrom))
	}
	d := b.domain(name)
	aligned := r.Aligned()
	b.Messages += r.Count
	d.Messages += r.Count
	if aligned {
		b.Aligned += r.Count
		d.Aligned += r.Count
	}
	count(d.Dispositions, r.Disposition, r.Count)
	if r.IP.IsValid() {
		b.seen.add(maphash.Comparable(b.seed, r.IP))
	}
	b.source(name, r.IP).add(r, name, aligned)
	return nil
}

// count adds without making a string for a key that is there.
func count(m map[string]uint64, key []byte, n uint64) {
	if _, ok := m[string(key)]; ok || len(m) < 20 {
		m[strings.ToLower(string(key))] += n
	}
}

func (s *Sum) domain(name string) *Domain {
	d := s.domains[name]
	if d == nil {
		if len(s.domains) >= maxDomains {
			name = "…"
			if d = s.domains[name]; d != nil {
				return d
			}
		}
		d = &Domain{Name: name, Dispositions: map[string]uint64{}}
		s.domains[name] = d
		s.Domains = append(s.Domains, d)
	}
	return d
}

// source finds the bucket of an address: its own, its network's, or the domain's rest.
func (s *Sum) source(domain string, ip netip.Addr) *Source {
	k := sourceKey{domain, netip.Prefix{}}
	if ip.IsValid() {
		k.net = netip.PrefixFrom(ip, ip.BitLen())
	}
	return s.bucket(k)
}

func (s *Sum) bucket(k sourceKey) *Source {
	if src := s.sources[k]; src != nil {
		return src
	}
	if k.net.IsValid() && k.net.IsSingleIP() && len(s.sources)-s.networks >= maxSources {
		bits := 24
		if k.net.Addr().Is6() {
			bits = 48
		}
		k.net, _ = k.net.Addr().Prefix(bits)
		if src := s.sources[k]; src != nil {
			return src
		}
		if s.networks >= maxNetworks {
			k.net = netip.Prefix{}
			if src := s.sources[k]; src != nil {
				return src
			}
		}
		s.networks++
	}
	src := &Source{Domain: k.domain, Net: k.net}
	switch {
	case !k.net.IsValid():
		src.Name = "…"
	case k.net.IsSingleIP():
		src.Name = k.net.Addr().String()
	default:
		src.Name = k.net.String()
	}
	s.sources[k] = src
	return src
}

func (src *Source) add(r *dmarcxml.Row, domain string, aligned bool) {
	n := r.Count
	src.Messages += n
	if aligned {
		src.Aligned += n
	}
	if string(r.DKIM) == "pass" {
		src.DKIM += n
	}
	if string(r.SPF) == "pass" {
		src.SPF += n
	}
	src.Dispositions.add(r.Disposition, n)
	for _, a := range r.AuthDKIM {
		if string(a.Result) == "pass" {
			src.RawDKIM = remember(src.RawDKIM, a.Domain)
		} else if len(a.Domain) > 0 && ownName(a.Domain, domain) {
			src.BadDKIM = remember(src.BadDKIM, a.Domain)
		}
	}
	for _, a := range r.AuthSPF {
		if string(a.Result) == "pass" {
			src.RawSPF = remember(src.RawSPF, a.Domain)
		}
	}
	for _, w := range r.Reasons {
		switch string(w.Type) {
		case "forwarded", "mailing_list", "trusted_forwarder":
			src.Forwarded += n
			return
		}
	}
}

// ownName tells a name of the same organization.
func ownName(name []byte, domain string) bool {
	n := strings.ToLower(string(name))
	return n == domain || strings.HasSuffix(n, "."+domain) || dmarc.PublicSuffixOrg(n) == dmarc.PublicSuffixOrg(domain)
}

func remember(have []string, name []byte) []string {
	if len(name) == 0 || len(have) >= maxNames {
		return have
	}
	for _, h := range have {
		if h == string(name) {
			return have
		}
	}
	return append(have, strings.ToLower(string(name)))
}

// addAggregate counts a whole report.
func (s *Sum) addAggregate(_ string, rep *dmarcxml.Report, o *one) {
	if !s.once("dmarc", rep.Org, rep.ID) {
		return
	}
	b := o.big
	s.Reports++
	s.Rows += rep.Rows
	s.BadRows += rep.BadRows
	s.Messages += b.Messages
	s.Aligned += b.Aligned
	s.Reporters[rep.Org]++
	if len(s.Heads) < maxHeads {
		s.Heads = append(s.Heads, *rep)
	}
	s.span(rep.Begin, rep.End)
	s.seen.merge(&b.seen)
	if len(b.Domains) == 0 && rep.Policy.Domain != "" {
		b.domain(rep.Policy.Domain)
	}
	for _, d := range b.Domains {
		to := s.domain(d.Name)
		if rep.End >= to.End {
			to.Policy = rep.Policy
		}
		to.Messages += d.Messages
		to.Aligned += d.Aligned
		to.cover(rep.Begin, rep.End)
		to.Begin, to.End = earliest(to.Begin, rep.Begin), max(to.End, rep.End)
		for k, n := range d.Dispositions {
			to.Dispositions[k] += n
		}
	}
	if len(s.sources) == 0 { // the first report: adopt its sources instead of copying them
		s.sources, s.networks = b.sources, b.networks
		for _, src := range s.sources {
			src.First, src.Last = rep.Begin, rep.End
		}
		return
	}
	for k, src := range b.sources {
		s.bucket(k).merge(src, rep.Begin, rep.End)
	}
}

// cover notes the days of a report; one that claims more than a month is taken for a month.
func (d *Domain) cover(begin, end int64) {
	if d.days == nil {
		d.days = map[int64]bool{}
	}
	for day := begin / 86400; day <= (end-1)/86400 && day < begin/86400+31 && len(d.days) < 4000; day++ {
		d.days[day] = true
	}
}

func earliest(a, b int64) int64 {
	if a == 0 {
		return b
	}
	return min(a, b)
}

func (s *Sum) span(begin, end int64) {
	s.Begin, s.End = earliest(s.Begin, begin), max(s.End, end)
}

func (src *Source) merge(from *Source, begin, end int64) {
	src.Messages += from.Messages
	src.Aligned += from.Aligned
	src.DKIM += from.DKIM
	src.SPF += from.SPF
	src.Forwarded += from.Forwarded
	src.Dispositions.merge(from.Dispositions)
	for _, l := range []struct {
		to   *[]string
		from []string
	}{{&src.RawDKIM, from.RawDKIM}, {&src.RawSPF, from.RawSPF}, {&src.BadDKIM, from.BadDKIM}} {
		for _, n := range l.from {
			*l.to = remember(*l.to, []byte(n))
		}
	}
	src.First, src.Last = earliest(src.First, begin), max(src.Last, end)
}

func (s *Sum) addTLS(rep *tlsrptjson.Report) {
	if !s.once("tls", rep.Org, rep.ID) {
		return
	}
	from, to := rep.Range.Times()
	if !from.IsZero() && !to.IsZero() {
		s.span(from.Unix(), to.Unix())
	}
	s.Reporters[rep.Org]++
	for i := range rep.Policies {
		p := &rep.Policies[i]
		t := s.tlsDomain(strings.ToLower(p.Policy.Domain), p.Policy.Type)
		t.Reports++
		t.Reporter = rep.Org
		t.Success += uint64(p.Summary.Success)
		t.Failure += uint64(p.Summary.Failure)
		for _, f := range p.Failures {
			if len(t.Types) < 50 {
				t.Types[f.Type] += uint64(f.Count)
			}
			if f.MX != "" && len(t.MX) < 50 {
				t.MX[f.MX] += uint64(f.Count)
			}
		}
	}
}

func (s *Sum) tlsDomain(domain, policy string) *TLSDomain {
	for _, t := range s.TLS {
		if t.Domain == domain && t.Policy == policy {
			return t
		}
	}
	t := &TLSDomain{Domain: domain, Policy: policy, Types: map[string]uint64{}, MX: map[string]uint64{}}
	if len(s.TLS) < maxDomains {
		s.TLS = append(s.TLS, t)
	}
	return t
}

func (s *Sum) addARF(rep *arf.Report) {
	switch {
	case rep.Type == "auth-failure" && len(s.Failures) < maxARF:
		s.Failures = append(s.Failures, rep)
	case rep.Type != "auth-failure" && len(s.Complaints) < maxARF:
		s.Complaints = append(s.Complaints, rep)
	}
}

// finish sorts what was summed.
func (s *Sum) finish() {
	s.Addresses = s.seen.n
	s.Sources = s.Sources[:0]
	for _, src := range s.sources {
		s.Sources = append(s.Sources, src)
	}
	slices.SortFunc(s.Sources, func(a, b *Source) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Name, b.Name))
	})
	slices.SortFunc(s.Domains, func(a, b *Domain) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Name, b.Name))
	})
	slices.SortFunc(s.TLS, func(a, b *TLSDomain) int {
		return cmp.Or(cmp.Compare(b.Failure, a.Failure), cmp.Compare(a.Domain, b.Domain))
	})
}

// Days is how long the reports reach.
func (s *Sum) Days() int {
	return int((time.Duration(s.End-s.Begin)*time.Second + 12*time.Hour) / (24 * time.Hour))
}

// addrSet counts different addresses by hashes of 8 bytes each.
type addrSet struct {
	slots []uint64
	n     int
	zero  bool
}

func (a *addrSet) add(h uint64) {
	if h == 0 {
		if !a.zero {
			a.zero = true
			a.n++
		}
		return
	}
	if a.n >= maxAddrs {
		return
	}
	if 4*(a.n+1) > 3*len(a.slots) {
		old := a.slots
		a.slots = make([]uint64, max(64, 2*len(old)))
		for _, o := range old {
			if o != 0 {
				a.put(o)
			}
		}
	}
	if a.put(h) {
		a.n++
	}
}

func (a *addrSet) put(h uint64) bool {
	mask := uint64(len(a.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch a.slots[i] {
		case h:
			return false
		case 0:
			a.slots[i] = h
			return true
		}
	}
}

func (a *addrSet) merge(b *addrSet) {
	if a.n == 0 {
		*a = *b
		return
	}
	for _, h := range b.slots {
		if h != 0 {
			a.add(h)
		}
	}
	if b.zero {
		a.add(0)
	}
}
