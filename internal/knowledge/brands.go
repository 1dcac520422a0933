package knowledge

import "github.com/pelletier/go-toml/v2"

// Brands are the names forgers imitate, with what helps to notice it.
type Brands struct {
	Checked    toml.LocalDate    `toml:"checked"`
	Freemail   []string          `toml:"freemail"`   // domains where anybody can open a mailbox
	Confusable map[string]string `toml:"confusable"` // a letter or group, and what it looks like
	Brand      []Brand           `toml:"brand"`
}

// Brand is one name and the registrable domains that are really its own.
type Brand struct {
	Name    string   `toml:"name"`
	Domains []string `toml:"domains"`
}

// Brands reads brands.toml.
func (b *Base) Brands() (*Brands, error) { return load[Brands](b, "brands.toml") }
