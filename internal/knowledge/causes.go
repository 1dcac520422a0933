package knowledge

import (
	"fmt"

	"github.com/pelletier/go-toml/v2"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Cause is one answer to "why was it refused?". The causes are finer than what most tools tell apart; Coarse folds them
// into the twenty classes that comparisons use.
type Cause struct {
	ID        string `toml:"id" json:"id"`               // "user-unknown"
	Coarse    string `toml:"coarse" json:"coarse"`       // "recipient-unknown"
	Job       string `toml:"job" json:"job"`             // who has to act, one of Jobs
	Permanent bool   `toml:"permanent" json:"permanent"` // what it is where neither code nor status says
	Hard      bool   `toml:"hard" json:"hard"`           // the address itself is dead: take it off the list
	Name      Text   `toml:"name" json:"name"`           // a short noun phrase
	Meaning   Text   `toml:"meaning" json:"meaning"`     // what happened
	User      Text   `toml:"user" json:"user"`           // what the writer of the message does
	Admin     Text   `toml:"admin" json:"admin"`         // what the sender's mail administrator does
	Next      string `toml:"next" json:"next"`           // next command: "deliver", "check", "blocklist", "ip" or empty
}

// Jobs are the words for who has to act, finer than finding.Owner.
var jobs = map[string]finding.Owner{
	"nobody":          finding.OwnerNobody,
	"sender":          finding.OwnerSender,
	"sender-admin":    finding.OwnerSelf,
	"recipient":       finding.OwnerRecipient,
	"recipient-admin": finding.OwnerRecipient,
	"list-operator":   finding.OwnerListOperator,
	"network":         finding.OwnerNetwork,
	"domain":          finding.OwnerDomain,
}

// Owner is the job as the owner that findings know.
func (c *Cause) Owner() finding.Owner { return jobs[c.Job] }

// Causes is the table of causes.
type Causes struct {
	Checked toml.LocalDate `toml:"checked"`
	Cause   []Cause        `toml:"cause"`
}

// Causes reads causes.toml.
func (b *Base) Causes() (*Causes, error) { return load[Causes](b, "causes.toml") }

// ByID finds a cause, or nil.
func (c *Causes) ByID(id string) *Cause {
	for i := range c.Cause {
		if c.Cause[i].ID == id {
			return &c.Cause[i]
		}
	}
	return nil
}

// Cause finds a cause by its id; an unknown id is an error that names it.
func (b *Base) Cause(id string) (*Cause, error) {
	t, err := b.Causes()
	if err != nil {
		return nil, err
	}
	if c := t.ByID(id); c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("knowledge table causes.toml has no cause %q", id)
}
