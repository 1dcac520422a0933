package knowledge

import (
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Senders is the table of services that send or forward for many.
type Senders struct {
	Checked toml.LocalDate `toml:"checked"`
	Senders []Sender       `toml:"sender"`
}

// Sender is one service.
type Sender struct {
	Name    string   `toml:"name"`
	PTR     []string `toml:"ptr"`
	Auth    []string `toml:"auth"`
	Forward bool     `toml:"forward"`
}

// Senders reads senders.toml.
func (b *Base) Senders() (*Senders, error) { return load[Senders](b, "senders.toml") }

// ByHost finds the service of a sending host by its name, or nil.
func (s *Senders) ByHost(host string) *Sender {
	return s.find(host, func(x *Sender) []string { return x.PTR })
}

// ByDomain finds the service that signs or bounces with a domain, or nil.
func (s *Senders) ByDomain(domain string) *Sender {
	return s.find(domain, func(x *Sender) []string { return x.Auth })
}

func (s *Senders) find(name string, of func(*Sender) []string) *Sender {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	for i := range s.Senders {
		for _, suffix := range of(&s.Senders[i]) {
			if name == suffix || strings.HasSuffix(name, "."+suffix) {
				return &s.Senders[i]
			}
		}
	}
	return nil
}
