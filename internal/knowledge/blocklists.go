package knowledge

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Blocklists is the table of DNS lists.
type Blocklists struct {
	Checked toml.LocalDate `toml:"checked"`
	Lists   []Blocklist    `toml:"list"`
}

// Blocklist is one DNS list (RFC 5782). The head of blocklists.toml explains the fields.
type Blocklist struct {
	ID         string          `toml:"id"`
	Name       string          `toml:"name"`
	Zone       string          `toml:"zone"`
	Kinds      []string        `toml:"kinds"`  // "v4", "v6", "domain"
	Status     string          `toml:"status"` // "alive" or "dead"
	Since      string          `toml:"since"`  // of death: "2015" or "2015-01"
	Weight     int             `toml:"weight"` // 0 to 10
	Allow      bool            `toml:"allow"`  // a listing is a good word
	Delist     string          `toml:"delist"`
	Public     string          `toml:"public"`
	Key        string          `toml:"key"` // zone with {key} in it
	TestListed string          `toml:"test_listed"`
	TestClean  string          `toml:"test_clean"`
	Note       Text            `toml:"note"`
	Source     string          `toml:"source"`
	Codes      []BlocklistCode `toml:"codes"`
}

// BlocklistCode is the meaning of an answer.
type BlocklistCode struct {
	Answer string `toml:"answer"`
	Means  Text   `toml:"means"`
	Bit    bool   `toml:"bit"`
	Error  bool   `toml:"error"`
	Good   bool   `toml:"good"`
}

// Blocklists reads blocklists.toml.
func (b *Base) Blocklists() (*Blocklists, error) { return load[Blocklists](b, "blocklists.toml") }

// Alive tells a list that can be asked.
func (l *Blocklist) Alive() bool { return l.Status == "alive" }

// Takes tells whether the list has entries of a kind.
func (l *Blocklist) Takes(kind string) bool {
	for _, k := range l.Kinds {
		if k == kind {
			return true
		}
	}
	return false
}

// Means gives the rows an answer stands for; several for a list of bits, none for an answer nobody wrote down.
func (l *Blocklist) Means(a netip.Addr) []BlocklistCode {
	var out []BlocklistCode
	for _, c := range l.Codes {
		if c.covers(a) {
			out = append(out, c)
		}
	}
	return out
}

func (c *BlocklistCode) covers(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	parts := a.As4()
	if c.Bit {
		n, err := strconv.ParseUint(c.Answer, 10, 8)
		return err == nil && parts[0] == 127 && parts[3] != 1 && parts[3]&byte(n) != 0
	}
	want := strings.Split(c.Answer, ".")
	if len(want) != 4 {
		return false
	}
	for i, w := range want {
		if !partCovers(w, int(parts[i])) {
			return false
		}
	}
	return true
}

// partCovers holds one part of an address against "2", "4-7" or "*".
func partCovers(want string, n int) bool {
	if want == "*" {
		return true
	}
	lo, hi, ranged := strings.Cut(want, "-")
	from, err := strconv.Atoi(lo)
	if err != nil {
		return false
	}
	if !ranged {
		return n == from
	}
	to, err := strconv.Atoi(hi)
	return err == nil && n >= from && n <= to
}
