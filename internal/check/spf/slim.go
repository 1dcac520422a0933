package spf

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/mail/spf"
)

// merge joins the terms of several records into one: each term once, the strictest all last.
func merge(raws []string) string {
	var terms []string
	all := ""
	rank := map[string]int{"": 0, "+all": 1, "all": 1, "?all": 2, "~all": 3, "-all": 4}
	for _, raw := range raws {
		for _, t := range spf.Parse(raw).Terms {
			text := strings.ToLower(t.Text)
			switch {
			case t.Bad:
			case t.Name == "all" && !t.Modifier:
				if rank[text] > rank[all] {
					all = text
				}
			case !slices.ContainsFunc(terms, func(s string) bool { return strings.EqualFold(s, t.Text) }):
				terms = append(terms, t.Text)
			}
		}
	}
	if all != "" {
		terms = append(terms, all)
	}
	return "v=spf1 " + strings.Join(terms, " ")
}

// slimmer proposes the root record with fewer look-ups: second includes and void terms dropped, a and mx written as
// addresses, and as far as needed the shortest includes written out too. ok tells that the proposal keeps the limit.
func slimmer(t *spf.Tree) (record string, ok bool) {
	type piece struct {
		text string
		cost int
		b    *spf.Branch
	}
	var pieces []piece
	included := map[string]bool{}
	total := 0
	for i := range t.Root.Terms {
		b := &t.Root.Terms[i]
		if b.Term.Bad {
			return "", false
		}
		p := piece{text: b.Term.Text, b: b}
		if b.Term.Asks() && !b.Dead {
			p.cost = 1
			if b.Child != nil {
				p.cost += b.Child.Lookups
			}
		}
		key := strings.ToLower(b.Term.Text)
		switch {
		case b.Term.Name == "include" && included[key], b.Child != nil && b.Child.Status == spf.Loop, b.Void, b.Term.Name == "ptr":
			continue
		case b.Term.Name == "a" || b.Term.Name == "mx":
			if nets, plain := written(b); plain {
				p.text, p.cost = nets, 0
			}
		}
		included[key] = true
		total += p.cost
		pieces = append(pieces, p)
	}
	for total > spf.MaxLookups {
		best := -1
		var text string
		for i, p := range pieces {
			if p.cost == 0 || p.b.Term.Name != "include" {
				continue
			}
			if s, plain := writtenNode(p.b.Child, 0); plain && len(strings.Fields(s)) <= 20 && (best < 0 || p.cost > pieces[best].cost) {
				best, text = i, s
			}
		}
		if best < 0 {
			return "", false
		}
		total -= pieces[best].cost
		pieces[best].text, pieces[best].cost = text, 0
	}
	out := []string{"v=spf1"}
	for _, p := range pieces {
		for _, term := range strings.Fields(p.text) {
			if !slices.Contains(out, term) { // a and mx often stand for the same address
				out = append(out, term)
			}
		}
	}
	return tidy(strings.Join(out, " ")), true
}

// written turns an a or mx term into the addresses it stands for today.
func written(b *spf.Branch) (string, bool) {
	if b.Term.Qualifier != spf.QPass || len(b.Addrs) == 0 || len(b.Addrs) > 12 || b.Error != "" {
		return "", false
	}
	var out []string
	for _, a := range b.Addrs {
		bits := b.Term.Bits4
		if a.Is6() {
			bits = b.Term.Bits6
		}
		if s := network(netip.PrefixFrom(a, bits)); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return strings.Join(out, " "), true
}

func network(p netip.Prefix) string {
	kind := "ip6:"
	if p.Addr().Is4() {
		kind = "ip4:"
	}
	if p.IsSingleIP() {
		return kind + p.Addr().String()
	}
	return kind + p.Masked().String()
}

// writtenNode turns an included record into networks, where it has nothing but terms that stand for some.
func writtenNode(n *spf.Node, depth int) (string, bool) {
	if n == nil || n.Record == nil || !n.Record.Valid() || depth > 10 {
		return "", false
	}
	var out []string
	for i := range n.Terms {
		b := &n.Terms[i]
		switch {
		case b.Dead || b.Term.Name == "all" || b.Term.Modifier && b.Term.Name != "redirect":
		case b.Term.Qualifier != spf.QPass && !b.Term.Modifier:
			return "", false
		case b.Term.Prefix.IsValid():
			out = append(out, network(b.Term.Prefix))
		case b.Term.Name == "a" || b.Term.Name == "mx":
			s, ok := written(b)
			if !ok {
				return "", false
			}
			out = append(out, s)
		case b.Child != nil:
			s, ok := writtenNode(b.Child, depth+1)
			if !ok {
				return "", false
			}
			out = append(out, s)
		default:
			return "", false
		}
	}
	return strings.Join(out, " "), len(out) > 0
}
