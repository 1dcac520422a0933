package knowledge

import "github.com/pelletier/go-toml/v2"

// VendorHeaders tell what the headers of filters and providers mean.
type VendorHeaders struct {
	Checked toml.LocalDate `toml:"checked"`
	Header  []VendorHeader `toml:"header"`
}

// VendorHeader is one field. Name may end in * and is then a prefix. Form says how the value is cut; see the table.
type VendorHeader struct {
	Name    string      `toml:"name"`
	Product string      `toml:"product"`
	Form    string      `toml:"form"`
	About   Text        `toml:"about"`
	Key     []VendorKey `toml:"key"`
}

// VendorKey is one part of a value; Key "" is the whole value.
type VendorKey struct {
	Key   string        `toml:"key"`
	Name  Text          `toml:"name"`
	Value []VendorValue `toml:"value"`
}

// VendorValue is what one value means: Is matches exactly, as a range "lo..hi", as a prefix "x*", or always "*".
type VendorValue struct {
	Is      string `toml:"is"`
	Means   Text   `toml:"means"`
	Verdict string `toml:"verdict"` // "good", "bad" or ""
}

// VendorHeaders reads vendor_headers.toml.
func (b *Base) VendorHeaders() (*VendorHeaders, error) {
	return load[VendorHeaders](b, "vendor_headers.toml")
}
