package knowledge

import "github.com/pelletier/go-toml/v2"

// Selectors are names under which senders publish DKIM keys, since the DNS cannot list them.
type Selectors struct {
	Checked  toml.LocalDate `toml:"checked"`
	Selector []Selector     `toml:"selector"`
}

// Selector is one such name.
type Selector struct {
	Name   string `toml:"name"`
	By     string `toml:"by"`     // the service or software that uses it; "" where many do
	Common bool   `toml:"common"` // asked in a survey too; the others only by the dkim command
}

// Selectors reads selectors.toml.
func (b *Base) Selectors() (*Selectors, error) { return load[Selectors](b, "selectors.toml") }
