package monitor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/blocklist"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// Kind is a kind of monitor, as a value. Make one with define.
type Kind struct {
	Name       string
	Title      finding.Msg
	About      finding.Msg
	Fields     []Field
	Measures   []Measure
	Every      time.Duration // 0: a minute
	FailAfter  int           // 0: 5
	ClearAfter int           // 0: 2
	Once       bool          // it compares with the run before: what it finds is told once and opens no incident

	Machine bool // it reads this machine (its queue, its files): made by who writes the configuration, not from the page

	run    func(context.Context, *Doors, map[string]any) (*Result, error)
	target func(map[string]any) string
	valid  func(map[string]any) []Problem
	past   func(args map[string]any) (q FlowQuery, within time.Duration, err error) // of a kind that asks nothing but Doors.Flow: what, and how far back
}

// Field is one argument of a kind, for forms and for the schema.
type Field struct {
	Name     string
	Label    finding.Msg
	Type     string // text, list, number, bool, span, choice, account
	Required bool
	Choices  []string
	Example  string // shown as a placeholder
	Numbers  bool   // a list of whole numbers
	File     bool   // given in the configuration file only, never from the page: it reads this machine or says where a password goes
	Page     bool   // required of the page, which has nothing that could stand instead
}

// AccountField is the type of a field that names an account of the configuration.
const AccountField = "account"

// Measure is something a kind measures.
type Measure struct {
	Name  string
	Unit  string // "s", "bytes", or "1" for a count
	About finding.Msg
}

// Doors are what a run may touch. What is nil is not to be had here: a kind that needs it could not test.
type Doors struct {
	Env      *check.Env
	Secret   func(file string) (string, error)                                                       // the first line of a file
	Account  func(name string) (a Account, secret string, err error)                                 // an account of the configuration, and its password
	Local    func(ctx context.Context, ntp string) (*finding.Report, map[string]float64, error)      // this machine as a mail server; ntp "": the clock is not compared
	Queue    func(context.Context) (*finding.Report, map[string]float64, error)                      // the mail queue of this machine
	Logs     func(ctx context.Context, files []string, since time.Duration) (*finding.Report, error) // log files of this machine
	Flow     func(ctx context.Context, q FlowQuery) (count int64, stored time.Time, err error)       // what the store saw; stored: the newest it has
	Threat   func(ctx context.Context, what []string) (*finding.Report, error)                       // sources of threat intelligence
	Listings blocklist.History                                                                       // what blocklists said before
	Close    func()                                                                                  // after the run; may be nil
	Before   []byte                                                                                  // Result.Snapshot of the run before
}

// FlowQuery asks how many messages there were.
type FlowQuery struct {
	Direction    string // "received", "delivered", "bounced", "deferred", "rejected"
	Domain, Host string // "" for all
	Since, Until time.Time
}

// From is where counting begins: stores sum by the hour, so the hour in which Since stands counts as a whole, but for the
// mail of one domain.
func (q *FlowQuery) From() time.Time {
	if q.Domain != "" {
		return q.Since
	}
	return q.Since.Truncate(time.Hour)
}

// Result is what a run of a kind gives.
type Result struct {
	Report   *finding.Report
	Values   map[string]float64
	Snapshot []byte // what the next run is compared with; nil: nothing
}

// Kinds lists every kind of monitor.
func Kinds() []Kind {
	return []Kind{
		domainKind(), changesKind(), serverKind(), deliverKind(), receiveKind(), loginKind(), canaryKind(), sieveKind(), findKind(), certificateKind(), tlsKind(),
		blocklistKind(), ipKind(), courtKind(), pathKind(), threatKind(), queueKind(), logsKind(), silenceKind(), localKind(),
	}
}

// FindKind finds a kind by name, nil for none.
func FindKind(kinds []Kind, name string) *Kind {
	for i := range kinds {
		if kinds[i].Name == name {
			return &kinds[i]
		}
	}
	return nil
}

// Target says what arguments of the kind are about: a domain, an address, a host.
func (k *Kind) Target(args map[string]any) string { return k.target(args) }

// Words brings arguments as a form gives them into the form the kind takes: numbers in lists may come as text.
func (k *Kind) Words(args map[string]any) map[string]any {
	out := maps.Clone(args)
	for _, f := range k.Fields {
		list, ok := out[f.Name].([]any)
		if !ok || !f.Numbers {
			continue
		}
		list = slices.Clone(list)
		for i := range list {
			if s, ok := list[i].(string); ok {
				if n, err := strconv.Atoi(strings.TrimSpace(s)); err == nil {
					list[i] = n
				}
			}
		}
		out[f.Name] = list
	}
	return out
}

func (k *Kind) unit(measure string) string {
	for _, m := range k.Measures {
		if m.Name == measure {
			return m.Unit
		}
	}
	return ""
}

// check lists what is wrong with arguments.
func (k *Kind) check(args map[string]any) []Problem {
	var out []Problem
	for _, f := range k.Fields {
		if v, ok := args[f.Name]; f.Required && (!ok || v == "") {
			out = append(out, Problem{[]any{f.Name}, finding.S("{{.Kind}} wants {{.Field}}", finding.Args{"Kind": k.Name, "Field": f.Name})})
		}
	}
	if len(out) > 0 {
		return out
	}
	return k.valid(args)
}

// define completes a kind with its argument struct. valid gives what is wrong by field name; an empty sentence is nothing.
func define[C any](k Kind, target func(*C) string, valid func(*C, func(field string, s finding.Sentence)), run func(context.Context, *Doors, *C) (*Result, error)) Kind {
	k.target = func(args map[string]any) string {
		c, err := decode[C](args)
		if err != nil {
			return ""
		}
		return target(&c)
	}
	k.valid = func(args map[string]any) []Problem {
		c, err := decode[C](args)
		if err != nil {
			return []Problem{argumentProblem(&k, err)}
		}
		var out []Problem
		if valid != nil {
			valid(&c, func(field string, s finding.Sentence) {
				if !s.IsZero() {
					out = append(out, Problem{[]any{field}, s})
				}
			})
		}
		return out
	}
	k.run = func(ctx context.Context, d *Doors, args map[string]any) (*Result, error) {
		c, err := decode[C](args)
		if err != nil {
			return nil, err
		}
		return run(ctx, d, &c)
	}
	return k
}

func strictJSON(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}

// argumentProblem says what is wrong with arguments that do not fit the kind's struct.
func argumentProblem(k *Kind, err error) Problem {
	var names []string
	for _, f := range k.Fields {
		names = append(names, f.Name)
	}
	var te *json.UnmarshalTypeError
	if errors.As(err, &te) {
		return Problem{[]any{te.Field}, finding.S("wants {{.Want}}", finding.Args{"Want": shape(te.Type)})}
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name = strings.Trim(name, `"`)
		return Problem{[]any{name}, finding.S("{{.Kind}} knows no {{.Name}}; it knows {{list .All}}", finding.Args{"Kind": k.Name, "Name": name, "All": names})}
	}
	return Problem{nil, finding.Raw(err.Error())}
}

// shape says in words what a value must be.
func shape(t reflect.Type) finding.Msg {
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		return finding.M("a list")
	case reflect.Bool:
		return finding.M("true or false")
	case reflect.String:
		return finding.M("a text")
	case reflect.Uint16:
		return finding.M("a whole number from 0 to 65535")
	case reflect.Map, reflect.Struct:
		return finding.M("a table")
	}
	return finding.M("a number")
}

// Rules lists what this room may say by itself.
var Rules = []*finding.Rule{rulePort, ruleSilence, ruleChanged}

var (
	rulePort = &finding.Rule{
		ID: "monitor.port-closed", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "port that must be open", Says: "port {{.Port}} of {{.Host}} does not answer: {{.Why}}", OK: "port {{.Port}} of {{.Host}} answers",
		Why:    "Mail programs and other servers cannot use the service.",
		Repair: "Look whether the service runs and listens, then at the firewall in front of it.",
	}
	ruleSilence = &finding.Rule{
		ID: "monitor.silence", Severity: finding.Error, Owner: finding.OwnerSelf,
		Title: "absence of mail", Says: "{{.N}} {{plural .N \"message\" \"messages\"}} {{.Direction}} within {{.Within}}, expected at least {{.Least}}",
		OK:     "{{.N}} {{plural .N \"message\" \"messages\"}} {{.Direction}} within {{.Within}}",
		Why:    "A server that receives or delivers nothing at a time when it always does is broken in a way no error message tells.",
		Repair: "Look whether connections arrive at port 25 at all, whether the MX still points here, and whether the logs are still taken in.",
	}
	ruleChanged = &finding.Rule{
		ID: "monitor.changed", Severity: finding.Error, Owner: finding.OwnerDomain,
		Title: "change since the run before", Says: "{{.What}}", OK: "nothing changed",
		Why:    "A record that nobody meant to change is an accident or an attack; one that was meant to change wants to be seen on its way.",
		Repair: "If the change was meant, there is nothing to do. If not, put the old value back and find out who can edit the zone.",
	}
)

// untestable is the report of a kind whose door is not to be had here.
func untestable(env *check.Env, r *finding.Rule, s finding.Subject, why finding.Sentence) *Result {
	return &Result{Report: check.NewReport(env, "monitor", s, env.Now(), []finding.Finding{r.Untested(s, why)}, nil, nil)}
}
