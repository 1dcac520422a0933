package knowledge

import "github.com/pelletier/go-toml/v2"

// Outbound names servers whose port 25 tells whether ours is open towards the world.
type Outbound struct {
	Checked toml.LocalDate `toml:"checked"`
	Hosts   []string       `toml:"hosts"`
}

// Outbound reads outbound.toml.
func (b *Base) Outbound() (*Outbound, error) { return load[Outbound](b, "outbound.toml") }
