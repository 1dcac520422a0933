package spf

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/mailwhy/mailwhy/internal/mail"
)

// Bounds of a tree. What lies beyond is marked, not followed.
const (
	maxDepth = 20
	maxNodes = 400 // terms that ask the DNS
)

// Status tells what was found where a record was looked for.
type Status string

// The states of a node.
const (
	Found    Status = "found"
	Absent   Status = "absent"   // the name exists or not; it has no SPF record
	Multiple Status = "multiple" // several records; the first is read
	Unknown  Status = "unknown"  // the DNS could not be asked
	Loop     Status = "loop"     // the name is one of its own ancestors
	Dynamic  Status = "dynamic"  // the name depends on the message
	NotRead  Status = "not-read" // too deep or too many
	Invalid  Status = "invalid"  // no name that can be asked
)

// Node is a domain's record in the tree.
type Node struct {
	Domain   string   `json:"domain"`
	Status   Status   `json:"status"`
	NXDomain bool     `json:"nxdomain,omitempty"`
	Error    string   `json:"error,omitempty"`   // the resolver's words where Status is unknown
	Raw      []string `json:"raw,omitempty"`     // every SPF record found
	Strings  []int    `json:"strings,omitempty"` // length of each character-string of the first record
	Others   int      `json:"others,omitempty"`  // bytes of the other TXT records at the name
	Near     []string `json:"near,omitempty"`    // TXT records that look like SPF but are none
	Server   string   `json:"server,omitempty"`
	Record   *Record  `json:"record,omitempty"`
	Terms    []Branch `json:"terms,omitempty"`
	Lookups  int      `json:"lookups"` // asked by the terms of this record and of all below it
	depth    int
	path     []string
}

// Branch is a term in the tree.
type Branch struct {
	Term    Term         `json:"term"`
	Target  string       `json:"target,omitempty"` // the name it asks, macros of the domain expanded
	Dynamic bool         `json:"dynamic,omitempty"`
	Dead    bool         `json:"dead,omitempty"`  // never evaluated: after all, or a redirect beside all
	Running int          `json:"running"`         // look-ups counted up to and with this term and what is below it
	At      int          `json:"at,omitempty"`    // the number of this term's own look-up, from 1; 0 where it asks nothing
	Void    bool         `json:"void,omitempty"`  // its look-up finds nothing
	Voids   int          `json:"voids,omitempty"` // void look-ups of this term, exchanges of mx included
	Error   string       `json:"error,omitempty"` // the resolver's words
	Hosts   []string     `json:"hosts,omitempty"` // mx: the exchanges
	Addrs   []netip.Addr `json:"addrs,omitempty"` // a, mx: what they resolve to
	Child   *Node        `json:"child,omitempty"` // include, redirect
}

// Spot names a term in a tree.
type Spot struct {
	Domain string   `json:"domain"` // whose record
	Term   string   `json:"term"`
	Pos    int      `json:"pos"`
	Path   []string `json:"path"` // domains from the root down to Domain
}

// Tree is a domain's record with everything it refers to.
type Tree struct {
	Root      *Node    `json:"root"`
	Type99    []string `json:"type99,omitempty"` // records of the obsolete type SPF
	Lookups   int      `json:"lookups"`          // of the whole tree, limit or not
	Voids     int      `json:"voids"`
	Culprit   *Spot    `json:"culprit,omitempty"`   // the term whose look-up is the eleventh
	VoidSpots []Spot   `json:"voidSpots,omitempty"` // terms whose look-ups find nothing, in order
	Duplicate []Spot   `json:"duplicate,omitempty"` // includes of a domain that was included before
	Loops     []Spot   `json:"loops,omitempty"`
	Unknown   []Spot   `json:"unknown,omitempty"` // terms whose look-up failed: counts may be too low
	Truncated bool     `json:"truncated,omitempty"`
	Explain   *Explain `json:"explain,omitempty"` // what exp= of the root leads to
}

// Explain is what stands behind an exp= modifier.
type Explain struct {
	Target string   `json:"target"`
	Texts  []string `json:"texts,omitempty"`
	Error  string   `json:"error,omitempty"`
	Bad    bool     `json:"bad,omitempty"` // a fault of macro syntax, or not US-ASCII
}

// Expand reads a domain's record and all records below it, level by level, all questions of a level at once. It goes
// on past the limits of RFC 7208, so that they can be counted in full.
func Expand(ctx context.Context, res mail.Resolver, domain string) *Tree {
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	e := &expander{ctx: ctx, m: newMemo(ctx, res), left: maxNodes, slots: make(chan struct{}, width)}
	e.m.left = 4 * maxNodes
	t := &Tree{Root: &Node{Domain: domain, path: []string{domain}}}
	level := []*Node{t.Root}
	for len(level) > 0 {
		e.each(len(level), func(i int) { e.read(level[i]) })
		if level[0] == t.Root {
			e.bg.Go(func() { e.explain(t) })
		}
		level = e.grow(level)
	}
	e.bg.Wait()
	e.m.wait()
	t.Truncated = e.truncated
	t.count()
	return t
}

type expander struct {
	ctx       context.Context
	m         *memo
	left      int
	bg        sync.WaitGroup // look-ups that no further level waits for
	slots     chan struct{}
	truncated bool
}

// width bounds the questions under way at once.
const width = 32

func (e *expander) each(n int, do func(int)) {
	var wg sync.WaitGroup
	for i := range n {
		e.slots <- struct{}{}
		wg.Go(func() { do(i); <-e.slots })
	}
	wg.Wait()
}

// read asks for a node's record and for what its terms name directly.
func (e *expander) read(n *Node) {
	a, err := e.m.Resolve(e.ctx, n.Domain, mail.TypeTXT)
	if err != nil {
		n.Status, n.Error = Unknown, err.Error()
		return
	}
	n.Status, n.NXDomain, n.Server = Absent, a.NXDomain, a.Server
	for i, txt := range a.Texts() {
		switch {
		case IsRecord(txt):
			if n.Raw = append(n.Raw, txt); len(n.Raw) == 1 {
				for _, s := range a.Records[i].TXT {
					n.Strings = append(n.Strings, len(s))
				}
			}
			continue
		case looksLike(txt):
			n.Near = append(n.Near, txt)
		}
		n.Others += len(txt)
	}
	if len(n.Raw) == 0 {
		return
	}
	n.Status = Found
	if len(n.Raw) > 1 {
		n.Status = Multiple
	}
	n.Record = Parse(n.Raw[0])
	n.branches()
}

// looksLike tells a TXT that was meant to be SPF: a typo in the version, quotes, white space before it.
func looksLike(txt string) bool {
	s := strings.ToLower(strings.Trim(txt, " \t\"'\u201c\u201d\u00a0\ufeff"))
	for _, p := range []string{"v=spf1", "v=spf", "v = spf", "spf1 ", "v:spf1", "vspf1", "v=sfp1", "v=psf1", "\\\"v=spf1"} {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return strings.HasPrefix(s, "spf2.0/") && strings.Contains(s, "mfrom")
}

// branches makes the branches of a record, with names expanded as far as the domain alone tells them.
func (n *Node) branches() {
	all := false
	hasAll := n.Record.All() != nil
	v := values{domain: n.Domain}
	for _, t := range n.Record.Terms {
		b := Branch{Term: t}
		b.Dead = all && !t.Modifier || hasAll && t.Modifier && t.Name == "redirect"
		if !t.Modifier && t.Name == "all" && !t.Bad {
			all = true
		}
		switch {
		case t.Bad || !t.Asks() && !(t.Modifier && t.Name == "exp"):
		case t.Domain == "":
			b.Target = n.Domain
		case t.spec.uses("slopihvcrt"):
			b.Dynamic = true
		default:
			b.Target = fit(t.spec.expand(&v))
		}
		n.Terms = append(n.Terms, b)
	}
}

// grow asks, in the background, for the addresses that the terms of a level name; it gives the nodes of the next level.
func (e *expander) grow(level []*Node) (next []*Node) {
	for _, n := range level {
		for i := range n.Terms {
			b := &n.Terms[i]
			if !b.Term.Asks() || b.Term.Bad || b.Dead {
				continue
			}
			if e.left == 0 {
				e.truncated = true
			}
			child := b.Term.Name == "include" || b.Term.Name == "redirect"
			switch {
			case child:
				if b.Child = e.child(n, b); b.Child.Status == "" {
					next = append(next, b.Child)
				}
			case b.Target != "" && validDomain(b.Target) && e.left > 0:
				e.bg.Go(func() { e.slots <- struct{}{}; e.leaf(b); <-e.slots })
			}
			e.left = max(e.left-1, 0)
		}
	}
	return next
}

func (e *expander) child(n *Node, b *Branch) *Node {
	c := &Node{Domain: b.Target, depth: n.depth + 1}
	key := strings.ToLower(b.Target)
	c.path = append(slices.Clip(n.path), key)
	switch {
	case b.Dynamic:
		c.Status, c.Domain = Dynamic, b.Term.Domain
	case !validDomain(b.Target):
		c.Status = Invalid
	case slices.Contains(n.path, key):
		c.Status = Loop
	case c.depth > maxDepth || e.left == 0:
		c.Status = NotRead
		e.truncated = true
	}
	return c
}

// leaf asks what a, mx, exists and ptr terms name.
func (e *expander) leaf(b *Branch) {
	switch b.Term.Name {
	case "a":
		b.Void = e.addresses(b, b.Target)
	case "exists":
		a, err := e.m.Resolve(e.ctx, b.Target, mail.TypeA)
		b.Void = err == nil && len(a.Records) == 0
		b.failed(err)
	case "mx":
		e.exchanges(b)
	}
	if b.Void {
		b.Voids++
	}
}

func (b *Branch) failed(err error) {
	if err != nil && b.Error == "" {
		b.Error = err.Error()
	}
}

// addresses adds A and AAAA of a name; void tells that there are neither.
func (e *expander) addresses(b *Branch, name string) (void bool) {
	e.m.ahead(name, mail.TypeAAAA, nil)
	found := 0
	failed := false
	for _, t := range []mail.Type{mail.TypeA, mail.TypeAAAA} {
		a, err := e.m.Resolve(e.ctx, name, t)
		if err != nil {
			failed = true
			b.failed(err)
			continue
		}
		for _, rr := range a.Records {
			b.Addrs = append(b.Addrs, rr.IP)
			found++
		}
	}
	return found == 0 && !failed
}

func (e *expander) exchanges(b *Branch) {
	a, err := e.m.Resolve(e.ctx, b.Target, mail.TypeMX)
	if err != nil {
		b.failed(err)
		return
	}
	b.Void = len(a.Records) == 0
	for i, rr := range a.Records {
		b.Hosts = append(b.Hosts, rr.Host)
		if i < MaxMX && validDomain(rr.Host) {
			e.m.ahead(rr.Host, mail.TypeA, nil)
			e.m.ahead(rr.Host, mail.TypeAAAA, nil)
		}
	}
	for i, rr := range a.Records {
		if i < MaxMX && validDomain(rr.Host) && e.addresses(b, rr.Host) {
			b.Voids++
		}
	}
}

// explain looks at what exp= of the root leads to.
func (e *expander) explain(t *Tree) {
	for i := range t.Root.Terms {
		b := &t.Root.Terms[i]
		if !b.Term.Modifier || b.Term.Name != "exp" || b.Term.Bad || b.Dynamic || !validDomain(b.Target) {
			continue
		}
		t.Explain = &Explain{Target: b.Target}
		a, err := e.m.Resolve(e.ctx, b.Target, mail.TypeTXT)
		if err != nil {
			t.Explain.Error = err.Error()
			return
		}
		t.Explain.Texts = a.Texts()
		for _, txt := range t.Explain.Texts {
			t.Explain.Bad = t.Explain.Bad || parseMacro(txt, true).bad != nil
		}
		return
	}
}

// IsTemporary tells whether an error of a resolver may pass.
func IsTemporary(err error) bool { return errors.Is(err, mail.ErrTemporary) }

// count walks the tree in the order of evaluation.
func (t *Tree) count() {
	w := walker{t: t, seen: map[string]bool{}}
	w.walk(t.Root)
	t.Lookups, t.Voids = w.lookups, w.voids
}

type walker struct {
	t       *Tree
	lookups int
	voids   int
	seen    map[string]bool
	again   bool // inside an include that was there before
}

func (w *walker) walk(n *Node) {
	before := w.lookups
	defer func() { n.Lookups = w.lookups - before }()
	if n.Status == Unknown {
		w.t.Unknown = append(w.t.Unknown, Spot{Domain: n.Domain, Path: n.path})
	}
	// Directives come first, the redirect last, wherever it is written.
	for pass := range 2 {
		for i := range n.Terms {
			b := &n.Terms[i]
			if redirect := b.Term.Modifier && b.Term.Name == "redirect"; redirect == (pass == 1) {
				w.branch(n, b)
			}
		}
	}
}

func (w *walker) branch(n *Node, b *Branch) {
	defer func() { b.Running = w.lookups }()
	if !b.Term.Asks() || b.Term.Bad || b.Dead {
		return
	}
	spot := Spot{Domain: n.Domain, Term: b.Term.Text, Pos: b.Term.Pos, Path: n.path}
	w.lookups++
	b.At = w.lookups
	if w.lookups == MaxLookups+1 {
		w.t.Culprit = &spot
	}
	if b.Error != "" {
		w.t.Unknown = append(w.t.Unknown, spot)
	}
	for range b.Voids {
		w.t.VoidSpots = append(w.t.VoidSpots, spot)
	}
	w.voids += b.Voids
	if b.Child == nil {
		return
	}
	if b.Child.Status == Loop {
		w.t.Loops = append(w.t.Loops, spot)
		return
	}
	if key := strings.ToLower(b.Child.Domain); b.Term.Name == "include" && !b.Dynamic {
		if w.seen[key] && !w.again {
			w.t.Duplicate = append(w.t.Duplicate, spot)
			w.again = true // what is below it is there twice for the same reason
			defer func() { w.again = false }()
		}
		w.seen[key] = true
	}
	w.walk(b.Child)
}
