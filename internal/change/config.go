package change

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Config is the guard as an admin writes it (guard.toml, or [desk] of the serve configuration).
type Config struct {
	Own      []string `toml:"own" json:"own,omitempty"`           // our networks, addresses and domains
	Partners []string `toml:"partners" json:"partners,omitempty"` // networks, addresses and domains that are never blocked
	Shared   []string `toml:"shared" json:"shared,omitempty"`     // networks from which many innocent people send, each with its holder: "192.0.2.0/26 Provider"
	Bits4    int      `toml:"widest_ipv4" json:"widest_ipv4,omitempty"`
	Bits6    int      `toml:"widest_ipv6" json:"widest_ipv6,omitempty"`
	Longest  int      `toml:"longest_days" json:"longest_days,omitempty"`
	Free     []string `toml:"without_approval" json:"without_approval,omitempty"` // rules whose proposals become active at once
}

// Wrong is something wrong with a Config.
type Wrong struct {
	Key  string
	Says finding.Sentence
}

// Error says it in English.
func (w *Wrong) Error() string { return w.Key + ": " + w.Says.In(finding.EN) }

// Guard reads the words of the configuration; the error names the first that cannot be understood.
func (c *Config) Guard() (Guard, error) {
	g := Guard{Bits4: c.Bits4, Bits6: c.Bits6, Longest: time.Duration(c.Longest) * 24 * time.Hour}
	for _, l := range []struct {
		name  string
		words []string
		nets  *[]netip.Prefix
		names *[]string
	}{{"own", c.Own, &g.Own, &g.OwnNames}, {"partners", c.Partners, &g.Partners, &g.Names}} {
		for _, w := range l.words {
			what, ok := ParseWhat(w)
			if !ok {
				return g, &Wrong{l.name, finding.S("{{.Text}} is neither an address nor a network nor a domain", finding.Args{"Text": strconv.Quote(w)})}
			}
			if p, err := netip.ParsePrefix(what); err == nil {
				*l.nets = append(*l.nets, p)
			} else {
				*l.names = append(*l.names, what)
			}
		}
	}
	for _, w := range c.Shared {
		what, name, _ := strings.Cut(strings.TrimSpace(w), " ")
		p, err := netip.ParsePrefix(what)
		if a, aerr := netip.ParseAddr(what); err != nil && aerr == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return g, &Wrong{"shared", finding.S("{{.Text}} is no network with the name of its holder, such as 192.0.2.0/26 Provider", finding.Args{"Text": strconv.Quote(w)})}
		}
		g.Shared = append(g.Shared, Range{p.Masked(), cmp.Or(strings.TrimSpace(name), what)})
	}
	for _, n := range []struct {
		key     string
		n, most int
	}{{"widest_ipv4", c.Bits4, 32}, {"widest_ipv6", c.Bits6, 128}, {"longest_days", c.Longest, 36500}} {
		if n.n < 0 || n.n > n.most {
			return g, &Wrong{n.key, finding.S("wants a number from 0 to {{.Most}}", finding.Args{"Most": n.most})}
		}
	}
	return g, nil
}

// ParseUntil reads the end of an entry: 12h, 7d, 2w, or a day (2027-01-31), seen from now. A day ends when it is over.
func ParseUntil(s string, now time.Time) (time.Time, bool) {
	if t, err := time.ParseInLocation("2006-01-02", s, now.Location()); err == nil {
		return t.AddDate(0, 0, 1), true
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, true
	}
	for unit, days := range map[string]int{"d": 1, "w": 7} {
		if n, ok := strings.CutSuffix(s, unit); ok {
			var v int
			if _, err := fmt.Sscanf(n, "%d", &v); err == nil && fmt.Sprint(v) == n && v > 0 && v < 100000 {
				return now.AddDate(0, 0, v*days), true
			}
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(d), true
	}
	return time.Time{}, false
}
