package change

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Formats are the names Export takes.
var Formats = []string{"postfix-cidr", "postfix-access", "exim-hosts", "exim-domains", "nft", "rbldnsd", "plain"}

// Merged gives the entries that an export needs: one that is covered by another is left out, the wider one stays. Networks
// come first, by address, then domains by name.
func Merged(active []Entry) []Entry {
	var nets, names []Entry
	for _, e := range active {
		if _, ok := e.Network(); ok {
			nets = append(nets, e)
		} else {
			names = append(names, e)
		}
	}
	slices.SortStableFunc(nets, func(a, b Entry) int {
		x, _ := a.Network()
		y, _ := b.Network()
		return cmp.Or(x.Addr().Compare(y.Addr()), cmp.Compare(x.Bits(), y.Bits()), b.Until.Compare(a.Until))
	})
	out := nets[:0:0]
	for _, e := range nets {
		if n := len(out); n == 0 || !covers(out[n-1].What, e.What) {
			out = append(out, e)
		}
	}
	seen := map[string]bool{}
	for _, e := range names {
		seen[e.What] = true
	}
	slices.SortStableFunc(names, func(a, b Entry) int { return cmp.Or(cmp.Compare(a.What, b.What), b.Until.Compare(a.Until)) })
	for i, e := range names {
		if i > 0 && names[i-1].What == e.What || above(e.What, seen) {
			continue
		}
		out = append(out, e)
	}
	return out
}

// above tells whether a parent of the name is among the names.
func above(name string, names map[string]bool) bool {
	for {
		_, rest, ok := strings.Cut(name, ".")
		if !ok {
			return false
		}
		if names[rest] {
			return true
		}
		name = rest
	}
}

// Export writes the active entries, merged, in a format of Formats; now goes into the head. Left gives the entries that
// the format has no words for. The text sent to a refused client names the entry by its id only: the reason is ours.
func Export(w io.Writer, format string, active []Entry, now time.Time) (left []Entry, err error) {
	var b bytes.Buffer
	x := &exporter{w: &b, entries: Merged(active)}
	x.line("# mailwhy block export --as %s, %s, entries: %d", format, now.UTC().Format(time.RFC3339), len(x.entries))
	switch format {
	case "postfix-cidr":
		x.cidr()
	case "postfix-access":
		x.access()
	case "exim-hosts":
		x.eximHosts()
	case "exim-domains":
		x.eximDomains()
	case "nft":
		x.nft()
	case "rbldnsd":
		x.rbldnsd()
	case "plain":
		x.each(func(e *Entry, p netip.Prefix, isNet bool) { x.line("%s", bare(e)) })
	default:
		return nil, fmt.Errorf("unknown format %q", format)
	}
	_, err = w.Write(b.Bytes())
	return x.left, err
}

type exporter struct {
	w       *bytes.Buffer
	entries []Entry
	left    []Entry
}

func (x *exporter) line(format string, args ...any) { fmt.Fprintf(x.w, format+"\n", args...) }

func (x *exporter) each(do func(e *Entry, p netip.Prefix, isNet bool)) {
	for i := range x.entries {
		e := &x.entries[i]
		p, ok := e.Network()
		do(e, p, ok)
	}
}

func (x *exporter) note(e *Entry) {
	x.line("# %s until %s: %s", e.ID, e.Until.UTC().Format("2006-01-02 15:04Z"), e.Reason)
}

func (x *exporter) skip(e *Entry) { x.left = append(x.left, *e) }

// bare is the entry without the width of a single address.
func bare(e *Entry) string {
	if p, ok := e.Network(); ok && p.IsSingleIP() {
		return p.Addr().String()
	}
	return e.What
}

func refusal(e *Entry) string { return "5.7.1 Blocked by local policy, entry " + e.ID }

// cidr is a cidr_table(5).
func (x *exporter) cidr() {
	x.each(func(e *Entry, p netip.Prefix, isNet bool) {
		if !isNet {
			x.skip(e)
			return
		}
		x.note(e)
		x.line("%s REJECT %s", e.What, refusal(e))
	})
}

// widest is how many keys one network may become in a format that knows whole octets or groups only.
const widest = 256

// access is an access(5) map for postmap: a network is written as its leading octets or groups.
func (x *exporter) access() {
	x.each(func(e *Entry, p netip.Prefix, isNet bool) {
		keys := []string{e.What}
		if isNet {
			keys = octets(p)
		}
		if keys == nil {
			x.skip(e)
			return
		}
		x.note(e)
		for _, k := range keys {
			x.line("%s REJECT %s", k, refusal(e))
		}
	})
}

// octets writes a network as keys of an access map; nil where it would become more than widest.
func octets(p netip.Prefix) (keys []string) {
	unit, sep := 8, "."
	if p.Addr().Is6() {
		unit, sep = 16, ":"
	}
	if p.IsSingleIP() {
		return []string{p.Addr().String()}
	}
	whole := (p.Bits() + unit - 1) / unit // parts that a key names
	n := 1 << (whole*unit - p.Bits())
	if p.Bits() == 0 || n > widest || whole*unit == p.Addr().BitLen() && unit == 16 {
		return nil
	}
	raw := p.Addr().AsSlice()
	for i := range n {
		var parts []string
		for k := range whole {
			v := int(raw[k])
			if unit == 16 {
				v = int(raw[2*k])<<8 | int(raw[2*k+1])
			}
			if k == whole-1 {
				v += i
			}
			if unit == 16 {
				parts = append(parts, strconv.FormatInt(int64(v), 16))
			} else {
				parts = append(parts, strconv.Itoa(v))
			}
		}
		keys = append(keys, strings.Join(parts, sep))
	}
	return keys
}

// eximHosts is a file for a host list: hosts = /path/of/file.
func (x *exporter) eximHosts() {
	x.each(func(e *Entry, p netip.Prefix, isNet bool) {
		if !isNet {
			x.skip(e)
			return
		}
		x.note(e)
		x.line("%s", bare(e))
	})
}

// eximDomains is a file for a domain list: sender_domains = /path/of/file.
func (x *exporter) eximDomains() {
	x.each(func(e *Entry, _ netip.Prefix, isNet bool) {
		if isNet {
			x.skip(e)
			return
		}
		x.note(e)
		x.line("%s\n*.%s", e.What, e.What)
	})
}

// nft is a table of its own with two sets: what to do with them is one line that the admin writes.
func (x *exporter) nft() {
	sets := map[bool][]string{}
	x.each(func(e *Entry, p netip.Prefix, isNet bool) {
		if !isNet {
			x.skip(e)
			return
		}
		sets[p.Addr().Is4()] = append(sets[p.Addr().Is4()], bare(e))
		x.note(e)
	})
	x.line("# use, in a chain of this table: ip saddr @block4 tcp dport { 25, 465, 587 } drop")
	x.line("table inet mailwhy {")
	for _, s := range []struct {
		name, kind string
		four       bool
	}{{"block4", "ipv4_addr", true}, {"block6", "ipv6_addr", false}} {
		x.line("\tset %s {\n\t\ttype %s\n\t\tflags interval\n\t\tauto-merge\n\t}", s.name, s.kind)
	}
	x.line("}")
	// A set that is there keeps its elements, and a table that is deleted takes the admin's chains along: so the sets are
	// emptied and filled, which nft does in one step for the whole file.
	for _, s := range []struct {
		name string
		four bool
	}{{"block4", true}, {"block6", false}} {
		x.line("flush set inet mailwhy %s", s.name)
		if list := sets[s.four]; len(list) > 0 {
			x.line("add element inet mailwhy %s { %s }", s.name, strings.Join(list, ",\n\t"))
		}
	}
}

// rbldnsd is a zone of the "combined" kind: addresses of both families and names in one file.
func (x *exporter) rbldnsd() {
	sets := map[string]*strings.Builder{"ip4set": {}, "ip6trie": {}, "dnset": {}}
	x.each(func(e *Entry, p netip.Prefix, isNet bool) {
		kind, what := "dnset", "."+e.What // a leading dot means the name and all below
		switch {
		case isNet && p.Addr().Is4():
			kind, what = "ip4set", bare(e)
		case isNet:
			kind, what = "ip6trie", e.What
		}
		fmt.Fprintf(sets[kind], "# %s until %s: %s\n%s :2:%s\n", e.ID, e.Until.UTC().Format("2006-01-02 15:04Z"), e.Reason, what, refusal(e))
	})
	for _, kind := range []string{"ip4set", "ip6trie", "dnset"} {
		x.line("$DATASET %s @", kind)
		if kind == "ip4set" { // the test points of RFC 5782 section 5
			x.line("127.0.0.2 :2:Test entry")
		}
		if kind == "ip6trie" {
			x.line("::ffff:7f00:2 :2:Test entry")
		}
		if kind == "dnset" {
			x.line("test :2:Test entry")
		}
		x.line("%s", strings.TrimSuffix(sets[kind].String(), "\n"))
	}
}
