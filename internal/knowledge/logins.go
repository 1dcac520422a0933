package knowledge

import (
	"fmt"
	"regexp"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

// LoginRefusal is a row of the table of refused logins.
type LoginRefusal struct {
	Cause string   `toml:"cause"`
	Match []string `toml:"match"`
	Note  *Text    `toml:"note"`
}

// Logins is the table of refused logins. Read compiles its patterns at first use.
type Logins struct {
	Checked toml.LocalDate `toml:"checked"`
	Refusal []LoginRefusal `toml:"refusal"`

	once     sync.Once
	err      error
	patterns [][]*regexp.Regexp
}

// LoginCauses are the causes a row may name.
func LoginCauses() []string {
	return []string{"app-password", "locked", "disabled", "too-many", "ip-blocked", "tls-required", "wrong-method", "password-expired", "client-refused", "server-fault", "wrong-password"}
}

// Logins reads logins.toml. A pattern that does not compile is an error that names it.
func (b *Base) Logins() (*Logins, error) {
	t, err := load[Logins](b, "logins.toml")
	if err != nil {
		return nil, err
	}
	t.once.Do(func() {
		for i := range t.Refusal {
			var row []*regexp.Regexp
			for _, p := range t.Refusal[i].Match {
				re, err := regexp.Compile("(?i)" + p)
				if err != nil {
					t.err = err
					return
				}
				row = append(row, re)
			}
			t.patterns = append(t.patterns, row)
		}
	})
	if t.err != nil {
		return nil, fmt.Errorf("knowledge table logins.toml: %w", t.err)
	}
	return t, nil
}

// Read finds the row for what a server said to a login, as one line; nil where no row fits.
func (t *Logins) Read(reply string) *LoginRefusal {
	if len(reply) > 2000 {
		reply = reply[:2000]
	}
	for i, row := range t.patterns {
		for _, re := range row {
			if re.MatchString(reply) {
				return &t.Refusal[i]
			}
		}
	}
	return nil
}
