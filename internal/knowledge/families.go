package knowledge

import (
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Family is a mailbox provider or a gateway, known by the names of its hosts.
type Family struct {
	ID    string   `toml:"id" json:"id"`
	Kind  string   `toml:"kind" json:"kind"` // "mailbox" or "gateway"
	Name  Text     `toml:"name" json:"name"`
	Hosts []string `toml:"hosts" json:"hosts"` // ends of host names, lower case
}

// Families is the table of providers.
type Families struct {
	Checked toml.LocalDate `toml:"checked"`
	Family  []Family       `toml:"family"`
}

// Families reads families.toml.
func (b *Base) Families() (*Families, error) { return load[Families](b, "families.toml") }

// OfHost finds the family of a host or domain by the longest end of its name, or nil.
func (f *Families) OfHost(host string) *Family {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	var best *Family
	longest := 0
	for i := range f.Family {
		for _, h := range f.Family[i].Hosts {
			if len(h) > longest && (host == h || strings.HasSuffix(host, "."+h)) {
				best, longest = &f.Family[i], len(h)
			}
		}
	}
	return best
}
