package knowledge

import "github.com/pelletier/go-toml/v2"

// Reports is reports.toml: how servers that keep to no standard write their delivery reports. The fields are those of
// the reader of reports, which takes them as data.
type Reports struct {
	Checked   toml.LocalDate `toml:"checked"`
	End       []string       `toml:"end"`
	Rcpt      []string       `toml:"rcpt"`
	Subject   []string       `toml:"subject"`
	Sender    []string       `toml:"sender"`
	Text      []string       `toml:"text"`
	AutoReply []string       `toml:"auto_reply"`
	AutoText  []string       `toml:"auto_text"`
	Delay     []string       `toml:"delay"`
	Success   []string       `toml:"success"`
	Form      []ReportForm   `toml:"form"`
	Stop      []string       `toml:"stop"`    // words behind a server's reply that are the reporting server's own
	Command   []CommandWord  `toml:"command"` // words that tell which SMTP command was refused
}

// ReportForm is one form of home-made report.
type ReportForm struct {
	Name     string       `toml:"name"`
	Software string       `toml:"software"`
	When     []string     `toml:"when"`
	Start    []string     `toml:"start"`
	End      []string     `toml:"end"`
	Rcpt     []string     `toml:"rcpt"`
	Reason   []string     `toml:"reason"`
	Skip     []string     `toml:"skip"`
	Sure     bool         `toml:"sure"` // its marks stand in no ordinary mail
	Late     bool         `toml:"late"` // a gateway that takes mail first and does not tell at which command the next server refused
	Own      bool         `toml:"own"`  // the report is the refusing provider's own: its hints tell more than its replies
	Returned bool         `toml:"returned"`
	Before   bool         `toml:"before"`
	Kind     string       `toml:"kind"`
	Hint     []ReportHint `toml:"hint"`
	Example  string       `toml:"example"`
}

// ReportHint is a sentence of a form that tells the cause by itself.
type ReportHint struct {
	Phrase string `toml:"phrase"`
	Cause  string `toml:"cause"`
}

// CommandWord tells the SMTP command from words of a report, lower case.
type CommandWord struct {
	Words   []string `toml:"words"`
	Command string   `toml:"command"`
}

// Reports reads reports.toml.
func (b *Base) Reports() (*Reports, error) { return load[Reports](b, "reports.toml") }
