package cli

import (
	"bytes"
	"fmt"
	"os"

	"github.com/pelletier/go-toml/v2"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// profileFile is the shape of a profile: [severity] with a rule ID and a word each.
type profileFile struct {
	Severity map[string]finding.Severity `toml:"severity"`
}

// readProfile reads a profile; an empty name is no profile. A rule that does not exist is an error that names it: a
// profile with a typo would silently do nothing.
func readProfile(name string) (map[string]finding.Severity, error) {
	if name == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	var p profileFile
	d := toml.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return nil, unreadable(name, err)
	}
	for id := range p.Severity {
		if ruleByID(id) == nil {
			return nil, unreadable(name, fmt.Errorf("no rule %q", id))
		}
	}
	return p.Severity, nil
}
