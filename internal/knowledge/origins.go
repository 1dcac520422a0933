package knowledge

import "github.com/pelletier/go-toml/v2"

// Origins is the table of services that tell which network announces an address.
type Origins struct {
	Checked toml.LocalDate `toml:"checked"`
	Origins []OriginZone   `toml:"origin"`
}

// OriginZone is one such service. The head of origins.toml explains the fields.
type OriginZone struct {
	Name   string `toml:"name"`
	V4     string `toml:"v4"`
	V6     string `toml:"v6"`
	ASN    string `toml:"asn"`
	Test   string `toml:"test"`
	TestAS uint32 `toml:"test_as"`
	Source string `toml:"source"`
}

// Origins reads origins.toml.
func (b *Base) Origins() (*Origins, error) { return load[Origins](b, "origins.toml") }
