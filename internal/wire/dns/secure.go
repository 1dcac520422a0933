package dns

import (
	"context"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/mailwhy/mailwhy/internal/mail"
)

//go:embed root.anchors
var rootAnchors string

func itoa(n int) string { return strconv.Itoa(n) }

// anchor is a zone we trust by configuration.
type anchor struct {
	zone string
	ds   []*miekg.DS
	keys []*miekg.DNSKEY
}

// readAnchors reads trust anchors as lines of a zone file; none means the root's own.
func readAnchors(lines []string) ([]anchor, error) {
	text := rootAnchors
	if len(lines) > 0 {
		text = strings.Join(lines, "\n") + "\n"
	}
	byZone := map[string]*anchor{}
	p := miekg.NewZoneParser(strings.NewReader(text), ".", "trust anchor")
	p.SetDefaultTTL(3600)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		zone := normal(rr.Header().Name)
		a := byZone[zone]
		if a == nil {
			a = &anchor{zone: zone}
			byZone[zone] = a
		}
		switch v := rr.(type) {
		case *miekg.DS:
			a.ds = append(a.ds, v)
		case *miekg.DNSKEY:
			a.keys = append(a.keys, v)
		default:
			return nil, fmt.Errorf("trust anchor %q: neither DS nor DNSKEY", rr.String())
		}
	}
	if err := p.Err(); err != nil {
		return nil, fmt.Errorf("trust anchor: %w", err)
	}
	var out []anchor
	for _, a := range byZone {
		out = append(out, *a)
	}
	return out, nil
}

// CheckAnchors reads trust anchors and throws them away, to find mistakes before a run.
func CheckAnchors(lines []string) error {
	_, err := readAnchors(lines)
	return err
}

// trust is what is known of a zone: its keys, if the chain to them holds.
type trust struct {
	Link
	brk    *Break
	keys   []*miekg.DNSKEY
	parent *trust
}

// links gives the chain from the anchor down.
func (t *trust) links() []Link {
	var out []Link
	for ; t != nil; t = t.parent {
		out = append(out, t.Link)
	}
	slices.Reverse(out)
	return out
}

// zoneMemory keeps validated zones. It is emptied when full: the zones that matter are back after one round trip to
// the memory of answers.
type zoneMemory struct {
	mu   sync.Mutex
	size int
	m    map[string]zoneEntry
}

type zoneEntry struct {
	t       *trust
	expires time.Time
}

func newZoneMemory(size int) *zoneMemory { return &zoneMemory{size: max(size, 16)} }

func (z *zoneMemory) get(zone string, now time.Time) *trust {
	z.mu.Lock()
	defer z.mu.Unlock()
	if e, ok := z.m[zone]; ok && now.Before(e.expires) {
		return e.t
	}
	return nil
}

func (z *zoneMemory) put(zone string, t *trust, now time.Time) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.m == nil || len(z.m) >= z.size {
		z.m = map[string]zoneEntry{}
	}
	z.m[zone] = zoneEntry{t, now.Add(5 * time.Minute)}
}

// ancestors lists the names from below top down to name: ("com", "", "a.b.com") → b.com is between.
func ancestors(name, top string) []string {
	var out []string
	for n := name; n != top; n = up(n) {
		out = append(out, n)
		if n == "" {
			break
		}
	}
	slices.Reverse(out)
	return out
}

// up gives the name without its first label.
func up(name string) string {
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '\\':
			i++
		case '.':
			return name[i+1:]
		}
	}
	return ""
}

// under tells whether name is zone or below it. Both are normal.
func under(name, zone string) bool {
	return zone == "" || name == zone || strings.HasSuffix(name, "."+zone)
}

// Validate asks a question with signatures and proves the answer from the trust anchor, whatever the resolver thinks
// of it. The chain's questions go out at once, so that the whole costs about two round trips. Faults of the resolver
// are a Proof in state Indeterminate; the error tells a name that cannot be asked, or that the caller gave up.
func (c *Client) Validate(ctx context.Context, name string, t mail.Type) (*Proof, error) {
	name = normal(name)
	c.prefetch(ctx, name)
	e, err := c.lookup(ctx, key{name, t, true})
	var bad *NameError
	switch {
	case errors.As(err, &bad), err != nil && ctx.Err() != nil:
		return nil, err
	case err != nil:
		p := &Proof{Name: name, Type: TypeName(t), State: Indeterminate}
		c.locate(ctx, p, name)
		if p.State != Bogus {
			p.Break = &Break{Kind: NotReached, Zone: p.Zone, Name: name, Type: TypeName(t), Text: err.Error()}
		}
		return p, nil
	}
	p := c.prove(ctx, e.msg, name, t)
	p.answer = e.answer
	if !e.open {
		return p, nil
	}
	return p, c.proveRest(ctx, p, t)
}

// proveRest goes on where an answer ends in a CNAME whose target the resolver did not look up.
func (c *Client) proveRest(ctx context.Context, p *Proof, t mail.Type) error {
	if len(p.answer.Chain) >= maxChain {
		return nil
	}
	rest, err := c.Validate(ctx, p.answer.Final, t)
	if err != nil {
		return err
	}
	whole := *p.answer
	if a := rest.answer; a != nil {
		whole.Final, whole.Records, whole.NXDomain = a.Final, a.Records, a.NXDomain
		whole.Chain = append(slices.Clone(whole.Chain), a.Chain...)
	}
	p.answer = &whole
	if p.State == Secure {
		p.State, p.Break, p.Links, p.Zone = rest.State, rest.Break, rest.Links, rest.Zone
		p.until(rest.Expires)
	}
	return nil
}

// locate fills in what is known of the chain above a name that could not be asked.
func (c *Client) locate(ctx context.Context, p *Proof, name string) {
	if tr := c.trustOf(ctx, name, name); tr != nil {
		p.Links, p.Zone = tr.links(), tr.Zone
		if tr.State == Bogus {
			p.State, p.Break = Bogus, tr.brk
		}
	}
}

// prefetch asks for all keys a chain to the name can need, at once.
func (c *Client) prefetch(ctx context.Context, name string) {
	names := ancestors(name, "")
	if len(names) > 6 {
		names = names[:6]
	}
	warm := func(n string, t mail.Type) { go c.lookup(ctx, key{n, t, true}) }
	warm("", mail.TypeDNSKEY)
	for _, n := range names {
		warm(n, mail.TypeDS)
		warm(n, mail.TypeDNSKEY)
	}
}

// believed tells whether the AD flag of this server's answer may stand for our own validation.
func (c *Client) believed(spec string) bool {
	if !c.opt.TrustAD {
		return false
	}
	s, err := newServer(spec)
	return err == nil && (s.loopback() || s.proto != protoUDP)
}

// secure marks an answer of the stub as validated or bogus. Answers without signatures cost nothing.
func (c *Client) secure(ctx context.Context, a *mail.Answer, m *miekg.Msg) {
	if m.AuthenticatedData && c.believed(a.Server) {
		a.Secure, a.Validator = true, "resolver"
		return
	}
	if !signed(m) {
		return
	}
	p := c.prove(ctx, m, a.Name, a.Type)
	a.Secure, a.Bogus = p.State == Secure, p.State == Bogus
	if a.Secure {
		a.Validator = "mailwhy"
	}
}

// trustOf gives the zone that holds name, as deep as stop, and whether its keys can be trusted. stop is the name whose
// zone is looked for: usually the signer that a signature names, so that names below a zone's apex cost no questions.
func (c *Client) trustOf(ctx context.Context, name, stop string) *trust {
	anchors, err := c.anchors()
	if err != nil {
		return &trust{Link: Link{State: Indeterminate}, brk: &Break{Kind: NoAnchor, Text: err.Error()}}
	}
	var best *anchor
	for i := range anchors {
		if a := &anchors[i]; under(name, a.zone) && (best == nil || len(a.zone) > len(best.zone)) {
			best = a
		}
	}
	if best == nil {
		return &trust{Link: Link{State: Indeterminate}, brk: &Break{Kind: NoAnchor, Name: name}}
	}
	cur := c.zones.get(best.zone, c.now())
	if cur == nil {
		cur = c.anchorTrust(ctx, best)
		if cur.State != Indeterminate {
			c.zones.put(best.zone, cur, c.now())
		}
	}
	for _, n := range ancestors(stop, best.zone) {
		if cur.State != Secure {
			break
		}
		next := c.zones.get(n, c.now())
		if next == nil {
			if next = c.step(ctx, cur, n); next != cur && next.State != Indeterminate {
				c.zones.put(n, next, c.now())
			}
		}
		cur = next
	}
	return cur
}

// anchorTrust checks the keys of a zone we trust by configuration.
func (c *Client) anchorTrust(ctx context.Context, a *anchor) *trust {
	t := &trust{Link: Link{Zone: a.zone, Anchor: true}}
	ds := slices.Clone(a.ds)
	for _, k := range a.keys {
		ds = append(ds, k.ToDS(miekg.SHA256))
	}
	c.keysOf(ctx, t, ds)
	if t.State == Bogus {
		// A fault of the anchored zone itself is far less likely than a resolver that strips, a private root or a wrong
		// clock: it says something of us, not of the name that was asked.
		t.brk.Text = string(t.brk.Kind)
		if t.State, t.brk.Kind = Indeterminate, AnchorMismatch; t.brk.Text == string(SigMissing) {
			t.brk.Kind = Stripped
		}
	}
	return t
}

// step goes from a secure zone to a name directly or further below it: to the child zone if one is cut off there, else
// it stays (and gives cur back).
func (c *Client) step(ctx context.Context, cur *trust, n string) *trust {
	t := &trust{Link: Link{Zone: n}, parent: cur}
	fail := func(state State, b Break) *trust {
		b.Name, b.Type = n, "DS"
		t.State, t.brk = state, &b
		return t
	}
	e, err := c.lookup(ctx, key{n, mail.TypeDS, true})
	if err != nil {
		return fail(Indeterminate, Break{Kind: NotReached, Zone: cur.Zone, Text: err.Error()})
	}
	set, sigs := pick(e.msg.Answer, n, miekg.TypeDS)
	if len(set) == 0 {
		if cn, _ := pick(e.msg.Answer, n, miekg.TypeCNAME); len(cn) > 0 {
			return cur // an alias is no zone cut
		}
		d := deny(e.msg, n, miekg.TypeDS, cur.Zone, cur.keys, c.now())
		switch d.kind {
		case denyNoCut:
			return cur
		case denyInsecure:
			t.State, t.Denial = Insecure, d.by
			t.brk = &Break{Kind: NoBreak, Zone: n, Name: n, Type: "DS"}
			return t
		}
		return fail(Bogus, d.brk)
	}
	if _, b := verify(set, sigs, cur.Zone, cur.keys, c.now()); b != nil {
		return fail(Bogus, *b)
	}
	var ds []*miekg.DS
	for _, rr := range set {
		ds = append(ds, rr.(*miekg.DS))
	}
	c.keysOf(ctx, t, ds)
	return t
}

// keysOf fetches the keys of t's zone and holds them to the DS records.
func (c *Client) keysOf(ctx context.Context, t *trust, ds []*miekg.DS) {
	known := 0
	for _, d := range ds {
		k := knownAlgorithm(d.Algorithm) && knownDigest(d.DigestType)
		t.DS = append(t.DS, DS{Tag: d.KeyTag, Algorithm: d.Algorithm, Digest: d.DigestType, Hash: strings.ToUpper(d.Digest), Known: k})
		if k {
			known++
		}
	}
	brk := func(state State, kind BreakKind, text string) {
		t.State, t.brk = state, &Break{Kind: kind, Zone: t.Zone, Name: t.Zone, Type: "DNSKEY", Text: text}
		for _, d := range ds {
			t.brk.Tags = append(t.brk.Tags, d.KeyTag)
		}
	}
	if known == 0 {
		brk(Insecure, AlgorithmTooNew, "") // RFC 4035 section 5.2: as if unsigned
		return
	}
	e, err := c.lookup(ctx, key{t.Zone, mail.TypeDNSKEY, true})
	if err != nil {
		brk(Indeterminate, NotReached, err.Error())
		return
	}
	set, sigs := pick(e.msg.Answer, t.Zone, miekg.TypeDNSKEY)
	if len(set) == 0 {
		brk(Bogus, NoKeys, "")
		return
	}
	entry := c.match(t, set, ds)
	if len(entry) == 0 {
		brk(Bogus, DSMismatch, "")
		return
	}
	sig, b := verify(set, sigs, t.Zone, entry, c.now())
	if b != nil {
		if b.Kind == SigUnknownKey {
			b.Kind = KeysUnsigned
		}
		t.State, t.brk = Bogus, b
		return
	}
	t.State, t.Expires = Secure, expiry(sig, c.now())
	for i := range t.Link.Keys {
		t.Link.Keys[i].Signs = t.Link.Keys[i].Tag == sig.KeyTag
	}
}

// maxKeys bounds the keys of a zone that are looked at.
const maxKeys = 32

// match notes the keys of the set and gives those that a DS names (RFC 4035 section 5.2).
func (c *Client) match(t *trust, set []miekg.RR, ds []*miekg.DS) []*miekg.DNSKEY {
	var entry []*miekg.DNSKEY
	for _, rr := range set[:min(len(set), maxKeys)] {
		k := rr.(*miekg.DNSKEY)
		t.Link.Keys = append(t.Link.Keys, Key{Tag: k.KeyTag(), Algorithm: k.Algorithm, Flags: k.Flags, Bits: keyBits(k)})
		if k.Flags&miekg.ZONE == 0 || k.Protocol != 3 || k.Flags&miekg.REVOKE != 0 {
			continue
		}
		t.keys = append(t.keys, k)
		for i, d := range ds {
			if d.KeyTag != k.KeyTag() || d.Algorithm != k.Algorithm || !t.DS[i].Known {
				continue
			}
			if own := k.ToDS(d.DigestType); own != nil && strings.EqualFold(own.Digest, d.Digest) {
				t.DS[i].Matches = true
				entry = append(entry, k)
			}
		}
	}
	return entry
}

func knownAlgorithm(a uint8) bool {
	switch a {
	case miekg.RSASHA1, miekg.RSASHA1NSEC3SHA1, miekg.RSASHA256, miekg.RSASHA512, miekg.ECDSAP256SHA256, miekg.ECDSAP384SHA384, miekg.ED25519:
		return true
	}
	return false
}

func knownDigest(d uint8) bool { return d == miekg.SHA1 || d == miekg.SHA256 || d == miekg.SHA384 }

// keyBits is the size of a key's modulus or curve.
func keyBits(k *miekg.DNSKEY) int {
	raw, err := base64.StdEncoding.DecodeString(k.PublicKey)
	if err != nil {
		return 0
	}
	switch k.Algorithm {
	case miekg.ECDSAP256SHA256, miekg.ECDSAP384SHA384:
		return len(raw) * 4
	case miekg.ED25519, miekg.ED448:
		return len(raw) * 8
	}
	if len(raw) < 3 { // RSA: exponent length, exponent, modulus (RFC 3110)
		return 0
	}
	skip := 1 + int(raw[0])
	if raw[0] == 0 {
		skip = 3 + int(raw[1])<<8 + int(raw[2])
	}
	for skip < len(raw) && raw[skip] == 0 {
		skip++
	}
	return max(len(raw)-skip, 0) * 8
}
