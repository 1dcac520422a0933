package knowledge

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Provider is a mailbox provider and the settings it tells its users.
type Provider struct {
	ID      string   `toml:"id" json:"id"`
	Name    Text     `toml:"name" json:"name"`
	Domains []string `toml:"domains" json:"domains"` // of addresses
	MX      []string `toml:"mx" json:"mx"`           // ends of the names of MX hosts of domains it hosts
	Servers []string `toml:"servers" json:"servers"` // "imap imap.example.com 993 tls"; see ProviderServer

	Password PasswordKind `toml:"password" json:"password,omitempty"` // what a mail program logs in with; "" is the account's password
	Source   string       `toml:"source" json:"source,omitempty"`     // where the row was read; "" is general knowledge
}

// PasswordKind is what a provider wants of a mail program instead of the account's password.
type PasswordKind string

// The kinds.
const (
	ByCode   PasswordKind = "code"    // an authorization code of the web mail (授权码)
	ByApp    PasswordKind = "app"     // an app password
	ByApp2FA PasswordKind = "app-2fa" // an app password where two-step verification is on
	ByClient PasswordKind = "client"  // a password for mail programs, where that was turned on
	Enable   PasswordKind = "enable"  // the account's password, once IMAP and POP3 are turned on
	ByOAuth  PasswordKind = "oauth"   // OAuth alone
	ByBridge PasswordKind = "bridge"  // a program of the provider on the same computer
	NoWay    PasswordKind = "none"    // no mail program is let in
)

// PasswordKinds lists the kinds a row may name.
func PasswordKinds() []PasswordKind {
	return []PasswordKind{"", ByCode, ByApp, ByApp2FA, ByClient, Enable, ByOAuth, ByBridge, NoWay}
}

// Closed tells a provider that no mail program reaches over the network.
func (p *Provider) Closed() bool { return p.Password == ByBridge || p.Password == NoWay }

// ProviderServer is one server of a provider.
type ProviderServer struct {
	Type, Host, Security string
	Port                 uint16
}

// Providers is the table of settings.
type Providers struct {
	Checked  toml.LocalDate `toml:"checked"`
	Provider []Provider     `toml:"provider"`
}

// Providers reads providers.toml.
func (b *Base) Providers() (*Providers, error) { return load[Providers](b, "providers.toml") }

// List takes the servers apart; the error names the row.
func (p *Provider) List() ([]ProviderServer, error) {
	var out []ProviderServer
	for _, s := range p.Servers {
		f := strings.Fields(s)
		if len(f) != 4 {
			return nil, fmt.Errorf("provider %s: %q: want type host port security", p.ID, s)
		}
		port, err := strconv.ParseUint(f[2], 10, 16)
		if err != nil {
			return nil, fmt.Errorf("provider %s: %q: %w", p.ID, s, err)
		}
		out = append(out, ProviderServer{f[0], f[1], f[3], uint16(port)})
	}
	return out, nil
}

// OfDomain finds the provider whose addresses end in the domain, or nil.
func (t *Providers) OfDomain(domain string) *Provider {
	for i := range t.Provider {
		for _, d := range t.Provider[i].Domains {
			if strings.EqualFold(d, domain) {
				return &t.Provider[i]
			}
		}
	}
	return nil
}

// OfMX finds the provider behind an MX host by the longest end of its name, or nil.
func (t *Providers) OfMX(host string) *Provider {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	var best *Provider
	longest := 0
	for i := range t.Provider {
		for _, m := range t.Provider[i].MX {
			if len(m) > longest && (host == m || strings.HasSuffix(host, "."+m)) {
				best, longest = &t.Provider[i], len(m)
			}
		}
	}
	return best
}
