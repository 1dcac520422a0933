package knowledge

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Hole is a known hole of a mail server and the releases that have it.
type Hole struct {
	Product string   `toml:"product"` // lower case, as in banners
	CVE     string   `toml:"cve"`
	From    string   `toml:"from"`  // first release that has it; "" for the first of all
	Fixed   []string `toml:"fixed"` // the first good release of each branch, ascending
	EN      string   `toml:"en"`
	ZH      string   `toml:"zh"`
}

// Vulnerable is vulnerable.toml.
type Vulnerable struct {
	Checked toml.LocalDate `toml:"checked"`
	Holes   []Hole         `toml:"hole"`
}

// Vulnerable reads the list of releases with known holes.
func (b *Base) Vulnerable() (*Vulnerable, error) { return load[Vulnerable](b, "vulnerable.toml") }

// Of gives the holes of a release, in the order of the table. version is dotted numbers; what follows them is left out
// ("3.7.11-0+deb12u1" is 3.7.11).
func (v *Vulnerable) Of(product, version string) (out []Hole) {
	have, ok := numbers(version)
	if !ok {
		return nil
	}
	for _, h := range v.Holes {
		if h.Product == product && h.has(have) {
			out = append(out, h)
		}
	}
	return out
}

// has tells whether a release has the hole: it is not older than From, older than the newest mended release, and not
// mended within its own branch.
func (h *Hole) has(have []int) bool {
	if from, ok := numbers(h.From); ok && slices.Compare(have, from) < 0 {
		return false
	}
	for i, f := range h.Fixed {
		fixed, ok := numbers(f)
		if !ok {
			continue
		}
		branch := fixed[:len(fixed)-1]
		sameBranch := len(have) >= len(branch) && slices.Equal(have[:len(branch)], branch)
		if slices.Compare(have, fixed) >= 0 && (sameBranch || i == len(h.Fixed)-1) {
			return false
		}
	}
	return true
}

func numbers(version string) (out []int, ok bool) {
	for part := range strings.SplitSeq(version, ".") {
		digits := part[:len(part)-len(strings.TrimLeft(part, "0123456789"))]
		n, err := strconv.Atoi(digits)
		if err != nil {
			break
		}
		out = append(out, n)
		if digits != part {
			break
		}
	}
	return out, len(out) > 0
}
