package finding

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Outcome is what looking told. The zero value is Unknown: what was not tested is never taken for good or bad.
type Outcome uint8

// The outcomes.
const (
	Unknown       Outcome = iota // could not test; Finding.Cannot says why
	Pass                         // the rule holds
	Fail                         // the rule is broken; Rule.Severity says how bad that is
	NotApplicable                // the rule has nothing to say about this subject
)

var outcomeNames = [...]string{"unknown", "pass", "fail", "not-applicable"}

// String gives the word used in JSON.
func (o Outcome) String() string { return nameOf(outcomeNames[:], int(o)) }

// Verdict is what people are shown.
type Verdict uint8

// The verdicts, in the order reports list them.
const (
	VerdictError Verdict = iota
	VerdictWarning
	VerdictUntested
	VerdictNote
	VerdictPass
	VerdictNotApplicable
)

var verdictNames = [...]string{"error", "warning", "could-not-test", "note", "pass", "not-applicable"}

// String gives the word used in JSON.
func (v Verdict) String() string { return nameOf(verdictNames[:], int(v)) }

// Mark is the text mark of a verdict, at most four columns wide; it works without colour and read aloud.
func (v Verdict) Mark() string {
	return [...]string{"FAIL", "WARN", "????", "NOTE", "OK", "--"}[v]
}

// Kind says what a subject is.
type Kind string

// The kinds of subject.
const (
	KindDomain  Kind = "domain"
	KindHost    Kind = "host"
	KindIP      Kind = "ip"
	KindAddress Kind = "address"
	KindService Kind = "service" // host:port
	KindMessage Kind = "message"
	KindLog     Kind = "log"
	KindReport  Kind = "report"
	KindNetwork Kind = "network"
	KindReply   Kind = "reply"
	KindFile    Kind = "file"
)

// Subject is what a finding is about. Names are in presentation form: domains and hosts without the trailing dot.
type Subject struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name"`
}

// Domain is short for a subject of that kind.
func Domain(name string) Subject { return Subject{KindDomain, name} }

// Host is short for a subject of that kind.
func Host(name string) Subject { return Subject{KindHost, name} }

// IP is short for a subject of that kind.
func IP(addr fmt.Stringer) Subject { return Subject{KindIP, addr.String()} }

// Evidence is something that was seen, verbatim. Raw is hostile text: faces escape it.
type Evidence struct {
	Source string    `json:"source"`          // who said it: "dns", "smtp", "log", "header", "http", "tls"
	Place  string    `json:"place,omitempty"` // where: a server address, a file and line, a header field
	At     time.Time `json:"at,omitzero"`
	Raw    string    `json:"raw"`
}

// StepKind says what a step of a repair does.
type StepKind string

// The kinds of step.
const (
	DNSAdd     StepKind = "dns-add"     // publish New (a full record line) at Target
	DNSReplace StepKind = "dns-replace" // Old becomes New
	DNSDelete  StepKind = "dns-delete"  // Old goes away
	Configure  StepKind = "configure"   // set New in the software named by Target
	Ask        StepKind = "ask"         // ask Target for New
	Publish    StepKind = "publish"     // serve New as the file or URL Target
	Run        StepKind = "run"         // a command line of other software, shown and never run; Target is "shell"
)

// Step is one step of a repair, as data. For DNS kinds Target is "owner TYPE" ("_dmarc.example.com TXT") and Old and
// New are the values in presentation form as they stand after the type in a zone file.
type Step struct {
	Kind   StepKind `json:"kind"`
	Target string   `json:"target"`
	Old    string   `json:"old,omitempty"`
	New    string   `json:"new,omitempty"`
}

// Command is a mailwhy command line without the leading "mailwhy". Build it with Cmd: a test holds every literal first
// word against the command tree.
type Command []string

// Cmd builds a command: Cmd("check", domain).
func Cmd(name string, args ...string) Command { return append(Command{name}, args...) }

// Cannot says why something could not be tested, and when trying again makes sense.
type Cannot struct {
	Why   Sentence  `json:"why"`
	Again time.Time `json:"again,omitzero"` // zero: no better time is known
}

// Finding is one rule applied to one subject.
type Finding struct {
	Rule     *Rule
	Subject  Subject
	Outcome  Outcome
	Severity *Severity // set by a profile; nil means Rule.Severity
	Owner    *Owner    // whose job it is in this very case; nil means Rule.Owner
	Args     Args      // the particulars, so that every language can say them
	Observed Sentence  // what was seen, in short; Raw("…") for verbatim values
	Expected Sentence  // what should have been seen
	Evidence []Evidence
	Fix      []Step
	Verify   Command  // the command that proves the repair
	Cannot   *Cannot  // set where Outcome is Unknown
	Causes   []string // IDs of the findings that explain this one, set by Order
}

// Level is the severity in force.
func (f *Finding) Level() Severity {
	if f.Severity != nil {
		return *f.Severity
	}
	return f.Rule.Severity
}

// Whose tells whose job the repair is.
func (f *Finding) Whose() Owner {
	if f.Owner != nil {
		return *f.Owner
	}
	return f.Rule.Owner
}

// Verdict folds outcome and severity into what people are shown.
func (f *Finding) Verdict() Verdict {
	switch f.Outcome {
	case Pass:
		return VerdictPass
	case NotApplicable:
		return VerdictNotApplicable
	case Fail:
		return [...]Verdict{VerdictNote, VerdictWarning, VerdictError}[f.Level()]
	}
	return VerdictUntested
}

// Says is the sentence of this finding: the rule's OK or title when it holds, its particulars when it is broken, the
// reason when it could not be tested.
func (f *Finding) Says() Sentence {
	switch {
	case f.Outcome == Fail:
		return Sentence{f.Rule.Says, f.Args}
	case f.Outcome == Pass && f.Rule.OK != "":
		return Sentence{f.Rule.OK, f.Args}
	case f.Outcome == Unknown && f.Cannot != nil:
		return f.Cannot.Why
	}
	return Sentence{f.Rule.Title, f.Args}
}

// Short constructors, so that checks read as sentences.

// Passed is a finding that the rule holds for the subject.
func (r *Rule) Passed(s Subject, args Args) Finding {
	return Finding{Rule: r, Subject: s, Outcome: Pass, Args: args}
}

// Failed is a finding that the rule is broken.
func (r *Rule) Failed(s Subject, args Args) Finding {
	return Finding{Rule: r, Subject: s, Outcome: Fail, Args: args}
}

// NA is a finding that the rule does not apply.
func (r *Rule) NA(s Subject) Finding { return Finding{Rule: r, Subject: s, Outcome: NotApplicable} }

// Untested is a finding that the rule could not be tested, and why.
func (r *Rule) Untested(s Subject, why Sentence) Finding {
	return Finding{Rule: r, Subject: s, Cannot: &Cannot{Why: why}}
}

// With adds evidence and gives the finding back.
func (f Finding) With(ev ...Evidence) Finding { f.Evidence = append(f.Evidence, ev...); return f }

// Saw sets observed and expected and gives the finding back.
func (f Finding) Saw(observed, expected Sentence) Finding {
	f.Observed, f.Expected = observed, expected
	return f
}

// Mend adds repair steps and gives the finding back.
func (f Finding) Mend(steps ...Step) Finding { f.Fix = append(f.Fix, steps...); return f }

// Prove sets the command that proves the repair and gives the finding back.
func (f Finding) Prove(c Command) Finding { f.Verify = c; return f }

// State is the one-word result of a report.
type State string

// The states of a report.
const (
	StateOK       State = "ok"
	StateWarning  State = "warning"
	StateBroken   State = "broken"
	StateUntested State = "could-not-test"
)

// Headline is the first line of a report: the answer.
type Headline struct {
	State State
	Says  Sentence // state and cause in one sentence
	Owner Owner    // whose job; OwnerNobody where there is nothing to do
	Next  Command  // the next command, or nil
}

// ReportVersion is the version of the output contract written down in docs/json.md.
const ReportVersion = 1

// Report is everything a command has to say about one target.
type Report struct {
	Command  string // the survey: "check", "deliver"
	Target   Subject
	Headline Headline
	Findings []Finding
	Sections []Section // shown between the headline and the findings
	Facts    any       // the survey's own struct, JSON-marshalled as it is; written down in docs/json.md
	Started  time.Time
	Took     time.Duration
}

// Worst is the gravest verdict among the findings that count.
func (r *Report) Worst() Verdict {
	w := VerdictPass
	for i := range r.Findings {
		if v := r.Findings[i].Verdict(); v < w && v != VerdictNote {
			w = v
		}
	}
	return w
}

// Count tells how many findings have the verdict.
func (r *Report) Count(v Verdict) (n int) {
	for i := range r.Findings {
		if r.Findings[i].Verdict() == v {
			n++
		}
	}
	return n
}

func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return "invalid(" + strconv.Itoa(i) + ")"
}

func indexOf(names []string, s string) int { return slices.Index(names, s) }

func itoa(n int) string { return strconv.Itoa(n) }

// MarshalText lets the small enumerations stand as words in JSON and TOML.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalText writes the owner's word.
func (o Owner) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// MarshalText writes the outcome's word.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// MarshalText writes the verdict's word.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads the owner's word.
func (o *Owner) UnmarshalText(b []byte) error {
	v, ok := ParseOwner(string(b))
	if !ok {
		return fmt.Errorf("unknown owner %q, one of %v", b, ownerNames)
	}
	*o = v
	return nil
}

// UnmarshalText reads the severity's word.
func (s *Severity) UnmarshalText(b []byte) error {
	v, ok := ParseSeverity(string(b))
	if !ok {
		return fmt.Errorf("unknown severity %q, one of %v", b, severityNames)
	}
	*s = v
	return nil
}

var _ json.Marshaler = Sentence{}
