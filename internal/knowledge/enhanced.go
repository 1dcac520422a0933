package knowledge

import "github.com/pelletier/go-toml/v2"

// Enhanced is one enhanced status code of the IANA registry (RFC 3463, RFC 5248), with "x" for the class.
type Enhanced struct {
	Status  string `toml:"status"`
	Name    Text   `toml:"name"`
	Meaning Text   `toml:"meaning"`
	Cause   string `toml:"cause"` // "" where the status tells no cause
	Broad   bool   `toml:"broad"` // servers use it for many things: it never contradicts their words
	Firm    bool   `toml:"firm"`  // it means one thing only: likely even without words
	Source  string `toml:"source"`
}

func (e *Enhanced) certainty() Certainty {
	if e.Broad || !e.Firm {
		return Guess
	}
	return Likely
}

// BasicCode is a three-digit reply code (RFC 5321 section 4.2 and its extensions).
type BasicCode struct {
	Code    string `toml:"code"`
	Command string `toml:"command"` // only where this command was refused
	Meaning Text   `toml:"meaning"`
	Cause   string `toml:"cause"`
	Certain bool   `toml:"certain"` // the code has one meaning only
	Source  string `toml:"source"`
}

// EnhancedTable is enhanced.toml: both kinds of code.
type EnhancedTable struct {
	Checked toml.LocalDate `toml:"checked"`
	Status  []Enhanced     `toml:"status"`
	Code    []BasicCode    `toml:"code"`
}

// Enhanced reads enhanced.toml.
func (b *Base) Enhanced() (*EnhancedTable, error) { return load[EnhancedTable](b, "enhanced.toml") }

// lookup finds "5.1.1" as "x.1.1", or nil. A row with a class of its own ("4.4.7") goes first.
func (t *EnhancedTable) lookup(status string) *Enhanced {
	if len(status) < 5 {
		return nil
	}
	var found *Enhanced
	for i := range t.Status {
		s := t.Status[i].Status
		if s == status {
			return &t.Status[i]
		}
		if s[1:] == status[1:] && s[0] == 'x' {
			found = &t.Status[i]
		}
	}
	return found
}
