package knowledge

import "github.com/pelletier/go-toml/v2"

// Mailboxes names the domains of large mailbox providers, for hints at misspelt addresses.
type Mailboxes struct {
	Checked toml.LocalDate    `toml:"checked"`
	Domains []string          `toml:"domains"`
	Endings map[string]string `toml:"endings"` // ".con" → ".com"
}

// Mailboxes reads mailboxes.toml.
func (b *Base) Mailboxes() (*Mailboxes, error) { return load[Mailboxes](b, "mailboxes.toml") }
