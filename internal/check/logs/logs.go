// Package logs says what the numbers of a mail log mean: how well mail flows, which causes stop it and whose job they
// are, and what is alarming: bursts, waves, silence, attacks on logins, an account in foreign hands, a machine short of
// resources.
//
// Promise: facts come from trace/tally; the limits are data (knowledge/tables/loglimits.toml); judge is pure. An input
// that could not be read is "could not test", never silence.
package logs

import (
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace/tally"
)

// File is one input and what became of it.
type File struct {
	Name   string      `json:"name"`
	Format string      `json:"format,omitempty"` // plain, gzip, zstd, …
	Lines  logs.Counts `json:"lines"`
	Error  string      `json:"error,omitempty"` // why it was not read, or not to its end
	err    error
}

// Unread notes why a file was not read, or not to its end.
func (f *File) Unread(err error) {
	f.err = err
	var named *logs.Error
	var path *fs.PathError
	switch {
	case errors.As(err, &named):
		err = named.Err
	case errors.As(err, &path):
		err = path.Err
	}
	f.Error = err.Error()
}

func (f *File) why() finding.Sentence {
	if f.err == nil {
		return finding.Raw(f.Error)
	}
	return Why(f.err)
}

// Partly tells whether some of the log could be read.
func Partly(err error) bool {
	var broken *logs.Broken
	return errors.As(err, &broken) || errors.Is(err, logs.ErrShorter) || errors.Is(err, logs.ErrTooLong)
}

// Why says why a log cannot be read, in the reader's language where the reason is one people meet.
func Why(err error) finding.Sentence {
	var broken *logs.Broken
	switch {
	case errors.As(err, &broken):
		args := finding.Args{"Size": finding.Size(broken.After), "Error": broken.Err.Error()}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return finding.S("it is incomplete: it ends in the midst, after {{.Size}} of text", args)
		}
		return finding.S("it is damaged after {{.Size}} of text: {{.Error}}", args)
	case errors.Is(err, logs.ErrBinary):
		return finding.S("it is binary, not a log", nil)
	case errors.Is(err, logs.ErrJournal):
		return finding.S("it is a binary journal: journalctl -o export makes it a log", nil)
	case errors.Is(err, logs.ErrEmpty):
		return finding.S("it is empty", nil)
	case errors.Is(err, logs.ErrDirectory):
		return finding.S("it is a folder", nil)
	case errors.Is(err, logs.ErrShorter):
		return finding.S("it became shorter while it was read", nil)
	case errors.Is(err, logs.ErrTooLong):
		return finding.S("it has a line of more than 16 MB, which was stepped over", nil)
	case errors.Is(err, fs.ErrNotExist):
		return finding.S("there is no such file", nil)
	case errors.Is(err, fs.ErrPermission):
		return finding.S("permission denied", nil)
	}
	return finding.Raw(err.Error())
}

// Place is where an address is, from a database the admin gave.
type Place struct {
	Country  string // ISO 3166 code
	Lat, Lon float64
}

// Input is what the survey judges.
type Input struct {
	Files   []File
	Stats   *tally.Stats
	Against *tally.Stats                   // another period, or nil
	Top     int                            // rows per table; 0 means 10
	Full    bool                           // all tables
	Locate  func(netip.Addr) (Place, bool) // nil: no database
	Unread  []string                       // mail lines nobody understood, shown on request
}

// Facts is the survey's own part of the JSON.
type Facts struct {
	Files     []File        `json:"files"`
	Lines     logs.Counts   `json:"lines"`
	Stats     *tally.Stats  `json:"stats"`
	Causes    []Cause       `json:"causes"`
	Providers []Provider    `json:"providers"`
	Countries []Country     `json:"countries,omitempty"` // logins by country, with a database
	Against   *tally.Totals `json:"against,omitempty"`
	Changes   []Change      `json:"changes,omitempty"`
	Unread    []string      `json:"unparsed,omitempty"`
}

// Cause is one cause of deferrals, bounces or rejects, over all its wordings.
type Cause struct {
	Kind      string        `json:"kind"` // deferred, bounced, rejected, …
	ID        string        `json:"cause"`
	Name      string        `json:"name"`
	Count     int64         `json:"count"`
	Permanent bool          `json:"permanent"`
	Owner     finding.Owner `json:"owner"`
	Example   string        `json:"example"`
	Who       string        `json:"who,omitempty"`
	Relay     string        `json:"relay,omitempty"`
	name      knowledge.Text
}

// Provider is how a mailbox provider, a gateway or a single host family takes our mail. Acceptance is the share of
// sent among the final answers (sent and bounced).
type Provider struct {
	ID         string  `json:"id"`
	Name       string  `json:"name"`
	Sent       int64   `json:"sent"`
	Deferred   int64   `json:"deferred"`
	Bounced    int64   `json:"bounced"`
	Acceptance float64 `json:"acceptance"`
	DelayMS    float64 `json:"delay_ms"`         // mean of what was sent
	Causes     []Share `json:"causes,omitempty"` // why it deferred and bounced, most frequent first
	name       finding.Sentence
	host       string // what mailwhy trace finds its mail by: the family of its busiest host
	hours      []tally.RelayHour
	delay      time.Duration
}

// Share is how often one cause stopped mail to a provider.
type Share struct {
	Kind    string        `json:"kind"` // deferred, bounced
	ID      string        `json:"cause"`
	Name    string        `json:"name"`
	Owner   finding.Owner `json:"owner"`
	Count   int64         `json:"count"`
	Example string        `json:"example,omitempty"` // its words, verbatim
	name    finding.Sentence
}

// Country is logins by country.
type Country struct {
	Code string `json:"country"`
	OK   int64  `json:"ok"`
}

// Change is a number of this period beside that of the other one.
type Change struct {
	What   string  `json:"what"`
	Now    float64 `json:"now"`
	Before float64 `json:"before"`
	says   finding.Sentence
	share  bool
}
