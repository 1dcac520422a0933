package knowledge

import "github.com/pelletier/go-toml/v2"

// Content is what filters and readers dislike in a message.
type Content struct {
	Checked    toml.LocalDate `toml:"checked"`
	Shorteners []string       `toml:"shorteners"` // hosts that hide where a link leads
	Dangerous  []string       `toml:"dangerous"`  // endings of files that run programs
	Macro      []string       `toml:"macro"`      // Office files that carry macros
	Harmless   []string       `toml:"harmless"`   // endings that look harmless
	Page       []string       `toml:"page"`       // web pages
	Archive    []string       `toml:"archive"`
	Limit      []SizeLimit    `toml:"limit"` // smallest first
	Phrases    []Phrases      `toml:"phrases"`
}

// SizeLimit is what a provider takes at most, in bytes of the whole message.
type SizeLimit struct {
	Provider string `toml:"provider"`
	Bytes    int    `toml:"bytes"`
}

// Phrases are words of one kind.
type Phrases struct {
	Lang   string   `toml:"lang"` // "en": whole words; "zh": anywhere
	Group  Text     `toml:"group"`
	Points float64  `toml:"points"` // of each phrase
	Words  []string `toml:"words"`  // lower case
}

// Content reads content.toml.
func (b *Base) Content() (*Content, error) { return load[Content](b, "content.toml") }

// Score says how much each part of a message counts.
type Score struct {
	Checked  toml.LocalDate     `toml:"checked"`
	Severity map[string]float64 `toml:"severity"` // points of a finding by severity
	Section  []ScoreSection     `toml:"section"`
	Points   map[string]float64 `toml:"points"` // points of a finding by rule ID
}

// ScoreSection is one part of the score.
type ScoreSection struct {
	ID     string   `toml:"id"`
	Name   Text     `toml:"name"`
	Max    float64  `toml:"max"`
	Topics []string `toml:"topics"` // first parts of rule IDs
}

// Score reads score.toml.
func (b *Base) Score() (*Score, error) { return load[Score](b, "score.toml") }
