package monitor

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Bounds of what is kept of one run.
const (
	maxSeen     = 40 // findings of one point
	maxValues   = 40 // measurements of one point
	maxEvidence = 3  // pieces of one finding
)

// Sample is what one run saw, without an opinion: the facts a replay judges again.
type Sample struct {
	Monitor     string        `json:"monitor"`
	At          time.Time     `json:"at"` // when the run began
	Took        time.Duration `json:"took"`
	Points      []Point       `json:"points"`                // one per vantage point
	Maintenance bool          `json:"maintenance,omitempty"` // within a maintenance window: kept, never counted
}

// Point is what was seen from one vantage point. "" is this machine with its own resolvers.
type Point struct {
	From     string             `json:"from,omitempty"`
	Values   map[string]float64 `json:"values,omitempty"` // by measure, in base units: seconds, bytes, or a count
	Failed   []Seen             `json:"failed,omitempty"` // findings, gravest first
	Untested []Seen             `json:"untested,omitempty"`
	Headline Said               `json:"headline,omitzero"` // of the whole report
	Error    Said               `json:"error,omitzero"`    // the run itself broke: could not test
}

// Seen is one finding, condensed.
type Seen struct {
	Rule     string           `json:"rule"`
	Subject  string           `json:"subject,omitempty"`
	Severity finding.Severity `json:"severity"`
	Text     Said             `json:"text"`
	Owner    finding.Owner    `json:"owner,omitempty"`
	Next     finding.Command  `json:"next,omitempty"`
	Evidence []string         `json:"evidence,omitempty"`
	Again    time.Time        `json:"again,omitzero"` // when testing again makes sense
}

// Key tells whether two findings are the same one in two runs. The sentence belongs to it, because one rule may speak of
// several lists or records of one subject; numbers in it do not ("expires in 6 days").
func (s *Seen) Key() string { return s.Rule + "|" + s.Subject + "|" + withoutNumbers(s.Text.EN) }

func withoutNumbers(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, s)
}

// Look makes a point of a report: the findings that fail or could not be tested, and the measurements.
func Look(from string, r *finding.Report, values map[string]float64) Point {
	p := Point{From: from, Headline: Say(r.Headline.Says)}
	for i := range r.Findings {
		f := &r.Findings[i]
		switch f.Outcome {
		case finding.Fail:
			p.Failed = append(p.Failed, condense(f))
		case finding.Unknown:
			p.Untested = append(p.Untested, condense(f))
		}
	}
	byGravity := func(a, b Seen) int { return cmp.Compare(b.Severity, a.Severity) }
	slices.SortStableFunc(p.Failed, byGravity)
	slices.SortStableFunc(p.Untested, byGravity)
	p.Failed, p.Untested = p.Failed[:min(len(p.Failed), maxSeen)], p.Untested[:min(len(p.Untested), maxSeen)]
	for name, v := range values {
		if len(p.Values) >= maxValues {
			break
		}
		if p.Values == nil {
			p.Values = map[string]float64{}
		}
		p.Values[name] = v
	}
	return p
}

func condense(f *finding.Finding) Seen {
	s := Seen{Rule: f.Rule.ID, Subject: f.Subject.Name, Severity: f.Level(), Text: Say(f.Says()), Owner: f.Whose(), Next: f.Verify}
	if f.Cannot != nil {
		s.Again = f.Cannot.Again
	}
	for _, e := range f.Evidence[:min(len(f.Evidence), maxEvidence)] {
		s.Evidence = append(s.Evidence, cut(strings.TrimSpace(e.Place+" "+e.Raw)))
	}
	return s
}

// Broke is the point of a run that could not be made.
func Broke(from string, why finding.Sentence) Point { return Point{From: from, Error: Say(why)} }

// Limits say from when on what was seen is called failing.
type Limits struct {
	FailOn     finding.Severity // findings from this severity on
	Only       []string         // patterns of rule IDs ("tls.*"); none: all
	Ignore     []string         // patterns of rule IDs
	Thresholds []Threshold
	Quorum     int // vantage points that must agree that it fails; 0 means 1
}

// Threshold is a bound of a measurement.
type Threshold struct {
	Measure string
	Above   *float64 // failing when over it
	Below   *float64 // failing when under it
	Unit    string   // of the measure, for the sentence
}

// counts tells whether findings of a rule count.
func (l *Limits) counts(rule string) bool {
	match := func(pattern string) bool { ok, _ := path.Match(pattern, rule); return ok }
	return (len(l.Only) == 0 || slices.ContainsFunc(l.Only, match)) && !slices.ContainsFunc(l.Ignore, match)
}

// Observation is what is thought of a sample.
type Observation struct {
	At      time.Time     `json:"at"`
	Verdict Verdict       `json:"verdict"`
	Text    Said          `json:"text"`
	Owner   finding.Owner `json:"owner,omitempty"`
	Next    []string      `json:"next,omitempty"` // words of the command, without the leading "mailwhy"
	Keys    []string      `json:"keys,omitempty"` // what fails, sorted; see Seen.Key
	Causes  []Seen        `json:"causes,omitempty"`
	From    []string      `json:"from,omitempty"` // vantage points that see it so, where there are several
	Took    time.Duration `json:"took,omitempty"`
	Value   *Measured     `json:"value,omitempty"` // the measurement the limits speak of, else the response time
}

// Measured is one measurement.
type Measured struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
}

// maxCauses bounds what an observation and an incident carry.
const maxCauses = 10

// Judge says what to think of a sample. It is pure.
func Judge(l *Limits, s *Sample) Observation {
	o := Observation{At: s.At, Verdict: Unknown, Took: s.Took}
	quorum := max(l.Quorum, 1)
	var failing, fine, unknown []Observation
	for i := range s.Points {
		p := l.point(&s.Points[i])
		switch p.Verdict {
		case Failing:
			failing = append(failing, p)
		case OK:
			fine = append(fine, p)
		default:
			unknown = append(unknown, p)
		}
		if o.Value == nil {
			o.Value = p.Value
		}
	}
	many := len(s.Points) > 1
	var pick []Observation
	switch {
	case len(failing) >= quorum:
		o.Verdict, pick = Failing, failing
	case len(failing)+len(fine) >= min(quorum, len(s.Points)) && len(fine) > 0:
		o.Verdict, pick = OK, fine
	default:
		pick = slices.Concat(unknown, failing)
	}
	if len(pick) == 0 {
		o.Text = Say(finding.S("nothing was looked at", nil))
		return o
	}
	o.Text, o.Owner, o.Next = pick[0].Text, pick[0].Owner, pick[0].Next
	if pick[0].Value != nil {
		o.Value = pick[0].Value
	}
	for _, p := range pick {
		o.Keys = append(o.Keys, p.Keys...)
		for _, c := range p.Causes {
			if len(o.Causes) < maxCauses && !slices.ContainsFunc(o.Causes, func(have Seen) bool { return have.Key() == c.Key() }) {
				o.Causes = append(o.Causes, c)
			}
		}
		if many {
			o.From = append(o.From, p.From...)
		}
	}
	slices.Sort(o.Keys)
	o.Keys = slices.Compact(o.Keys)
	return o
}

// point judges what was seen from one place.
func (l *Limits) point(p *Point) Observation {
	o := Observation{Verdict: OK, Text: p.Headline, From: []string{p.From}}
	if v, ok := p.Values[Response]; ok {
		o.Value = &Measured{Response, v, "s"}
	}
	if !p.Error.IsZero() {
		o.Verdict, o.Text, o.Owner = Unknown, p.Error, finding.OwnerSelf
		return o
	}
	for _, f := range p.Failed {
		if f.Severity >= l.FailOn && l.counts(f.Rule) {
			o.Causes, o.Keys = append(o.Causes, f), append(o.Keys, f.Key())
		}
	}
	over := l.over(p)
	o.Causes = append(o.Causes, over...)
	for i := range over {
		o.Keys = append(o.Keys, over[i].Key())
	}
	if len(o.Causes) > 0 {
		first := &o.Causes[0]
		o.Verdict, o.Text, o.Owner, o.Next = Failing, first.Text, first.Owner, first.Next
		if t := l.threshold(first.Rule); t != nil {
			o.Value = &Measured{t.Measure, p.Values[t.Measure], t.Unit}
		}
		return o
	}
	for _, u := range p.Untested {
		if u.Severity >= l.FailOn && l.counts(u.Rule) {
			o.Verdict, o.Text, o.Owner, o.Next = Unknown, u.Text, u.Owner, u.Next
			return o
		}
	}
	for i := range l.Thresholds {
		t := &l.Thresholds[i]
		v, ok := p.Values[t.Measure]
		if !ok {
			o.Verdict, o.Text = Unknown, Say(finding.S("{{.Measure}} could not be measured", finding.Args{"Measure": t.Measure}))
			return o
		}
		o.Value = &Measured{t.Measure, v, t.Unit}
	}
	return o
}

// thresholdRule is the rule ID under which a threshold speaks.
const thresholdRule = "monitor.threshold."

func (l *Limits) threshold(rule string) *Threshold {
	name, ok := strings.CutPrefix(rule, thresholdRule)
	for i := range l.Thresholds {
		if ok && l.Thresholds[i].Measure == name {
			return &l.Thresholds[i]
		}
	}
	return nil
}

// over lists the thresholds that are crossed.
func (l *Limits) over(p *Point) []Seen {
	var out []Seen
	for i := range l.Thresholds {
		t := &l.Thresholds[i]
		v, ok := p.Values[t.Measure]
		if !ok {
			continue
		}
		args := finding.Args{"Measure": t.Measure, "Value": Quantity(v, t.Unit)}
		s := Seen{Rule: thresholdRule + t.Measure, Severity: finding.Error, Owner: finding.OwnerServer}
		switch {
		case t.Above != nil && v > *t.Above:
			args["Limit"] = Quantity(*t.Above, t.Unit)
			s.Text = Say(finding.S("{{.Measure}} is {{.Value}}, more than {{.Limit}}", args))
		case t.Below != nil && v < *t.Below:
			args["Limit"] = Quantity(*t.Below, t.Unit)
			s.Text = Say(finding.S("{{.Measure}} is {{.Value}}, less than {{.Limit}}", args))
		default:
			continue
		}
		out = append(out, s)
	}
	return out
}

// Response is the name of the measure every kind has that waits for somebody: how long the answer took, in seconds.
const Response = "response"

// Quantity writes a value with its unit.
func Quantity(v float64, unit string) finding.Sentence {
	switch unit {
	case "s":
		return finding.S("{{.D}}", finding.Args{"D": time.Duration(v * float64(time.Second))})
	case "bytes":
		return finding.Raw(finding.Size(v))
	}
	return finding.Raw(strings.TrimSuffix(strings.TrimRight(formatFloat(v), "0"), "."))
}
