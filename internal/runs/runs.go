// Package runs is what a survey that was run on somebody's behalf is made of: the kinds there are and the fields each asks
// for, the run with its report in both languages, and the difference between two runs.
//
// Promise: a diff tells what a reader of both reports would: what appeared, what went away, what says something else; what
// was fine and is fine is no news. The room runs nothing itself, stores nothing and speaks no HTTP.
package runs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Kind is something that can be run from the page: a survey with the fields it asks for.
type Kind struct {
	Kind   string
	Group  string // "domain", "server", "message", "address"
	Title  finding.Msg
	About  finding.Msg
	Fields []Field
	Kept   bool // its report may be stored; what holds the content of messages is kept in memory, for a while

	Machine bool // it looks at the machine that runs it
}

// AccountField is the type of a field that names an account of the configuration.
const AccountField = "account"

// Account gives the first account that the arguments name, "" for none.
func (k *Kind) Account(args map[string]string) string {
	for _, f := range k.Fields {
		if f.Type == AccountField && args[f.Name] != "" {
			return args[f.Name]
		}
	}
	return ""
}

// NeedsAccount tells that it cannot be run without one.
func (k *Kind) NeedsAccount() bool {
	return slices.ContainsFunc(k.Fields, func(f Field) bool { return f.Type == AccountField && f.Required })
}

// HasAccounts tells that there are accounts to choose from.
func (k *Kind) HasAccounts() bool {
	return slices.ContainsFunc(k.Fields, func(f Field) bool { return f.Type == AccountField && len(f.Choices) > 0 })
}

// WithoutAccounts is the kind without the fields that name one; ok is false where it cannot do without.
func (k Kind) WithoutAccounts() (without Kind, ok bool) {
	ok = !k.NeedsAccount()
	k.Fields = slices.DeleteFunc(slices.Clone(k.Fields), func(f Field) bool { return f.Type == AccountField })
	for i := range k.Fields {
		k.Fields[i].Required = k.Fields[i].Required || k.Fields[i].Instead
	}
	return k, ok
}

// Field is an input of a kind.
type Field struct {
	Name        string
	Type        string // "text", "textarea", "bool", "number", "choice", "account" (one of Choices), "file" (base64)
	Label       finding.Msg
	Placeholder string
	Required    bool
	Instead     bool // required where there is no account to take it from
	Choices     []string
}

// Job is a kind with checked arguments, ready to run.
type Job struct {
	Target finding.Subject
	// Run does it. step is called as it goes on and may be called by several goroutines. The report in each language may be
	// the same value.
	Run func(ctx context.Context, step func(name, text string)) (map[finding.Lang]*finding.Report, error)
}

// Runner knows the surveys. Prepare gives a *BadArg where an argument is wrong.
type Runner interface {
	Kinds() []Kind
	Prepare(kind string, args map[string]string) (*Job, error)
}

// State is how far a run is.
type State string

// The states of a run.
const (
	Running State = "running"
	Done    State = "done"
	Failed  State = "failed"
)

// Run is a run as it is stored.
type Run struct {
	ID      string
	Kind    string
	Args    map[string]string
	Target  finding.Subject
	State   State
	Result  finding.State // of the report
	By      string        // ID of the user; "" is the server itself
	ByName  string
	Started time.Time
	Ended   time.Time
	Problem string                  // why it failed
	Share   Share                   // link that shows it without signing in
	Says    map[finding.Lang]string // the report's headline
	Reports map[finding.Lang]json.RawMessage
}

// Share is a link that shows one run to whoever has it, until it ends.
type Share struct {
	Hash  string // of the link's secret; "" is no link
	By    string // name of the user who made it
	Until time.Time
}

// Query asks for runs, the newest first.
type Query struct {
	Shared       bool // only those with a link, also one that ended
	Kind, Target string
	By           string    // of this user
	Before       time.Time // started before; zero: from the newest
	BeforeID     string    // tie-break of Before
	Limit        int
}

// Store remembers runs. ErrNone says there is no such run. Runs lists without reports.
type Store interface {
	PutRun(ctx context.Context, r *Run) error
	Run(ctx context.Context, id string) (*Run, error)
	RunByShare(ctx context.Context, hash string) (*Run, error)
	Runs(ctx context.Context, q Query) ([]Run, error)
}

// ErrNone says that there is no such run.
var ErrNone = errors.New("no such run")

// BadArg says what is wrong with an argument.
type BadArg struct {
	Name string
	What finding.Sentence
}

// Error makes a BadArg an error.
func (b *BadArg) Error() string { return b.Name + ": " + b.What.String() }

func bad(name string, what finding.Sentence) error { return &BadArg{name, what} }

// Words brings the arguments into one shape: text. Unknown ones and lists are refused by name.
func (k *Kind) Words(in map[string]any) (map[string]string, error) {
	out := map[string]string{}
	for name, v := range in {
		i := slices.IndexFunc(k.Fields, func(f Field) bool { return f.Name == name })
		if i < 0 {
			return nil, bad(name, finding.S("{{.Kind}} takes no {{.Name}}", finding.Args{"Kind": k.Kind, "Name": name}))
		}
		switch v := v.(type) {
		case nil:
		case string:
			out[name] = v
		case bool, float64, json.Number:
			out[name] = fmt.Sprint(v)
		default:
			return nil, bad(name, finding.S("{{.Name}} wants a text, a number or true or false", finding.Args{"Name": name}))
		}
		if len(out[name]) > maxArg && k.Fields[i].Type != "textarea" && k.Fields[i].Type != "file" || strings.ContainsRune(out[name], 0) {
			return nil, bad(name, finding.S("{{.Name}} is too long or holds what no text holds", finding.Args{"Name": name}))
		}
	}
	for _, f := range k.Fields {
		if v := strings.TrimSpace(out[f.Name]); f.Required && v == "" {
			return nil, bad(f.Name, finding.S("{{.Name}} is needed", finding.Args{"Name": f.Name}))
		} else if len(f.Choices) > 0 && v != "" && !slices.Contains(f.Choices, v) {
			return nil, bad(f.Name, finding.S("{{.Name}}: one of {{list .All}}", finding.Args{"Name": f.Name, "All": f.Choices}))
		}
	}
	return out, nil
}

// maxArg bounds an argument that is no text area.
const maxArg = 2000
