package knowledge

import "github.com/pelletier/go-toml/v2"

// Resolvers is the table of well-known public resolvers.
type Resolvers struct {
	Checked   toml.LocalDate   `toml:"checked"`
	SlowMS    int              `toml:"slow_ms"` // from this many milliseconds on, an answer is slow
	Resolvers []PublicResolver `toml:"resolver"`
}

// PublicResolver is one end at which anybody may ask.
type PublicResolver struct {
	Name   string `toml:"name"`
	Server string `toml:"server"` // as for --resolver: address, tls://address#name, https://…
	Region string `toml:"region"` // "world", or a country code
	Filter Text   `toml:"filter"` // what it leaves out on purpose; empty: nothing
}

// Resolvers reads resolvers.toml.
func (b *Base) Resolvers() (*Resolvers, error) { return load[Resolvers](b, "resolvers.toml") }
