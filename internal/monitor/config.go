package monitor

import (
	"cmp"
	"encoding/json"
	"math"
	"path"
	"regexp"
	"slices"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Config is the part of the configuration file that speaks of monitors.
type Config struct {
	Defaults Defaults     `toml:"defaults,omitempty" json:"defaults,omitzero"`
	Vantage  []Vantage    `toml:"vantage,omitempty" json:"vantage,omitempty"`
	Account  []Account    `toml:"account,omitempty" json:"account,omitempty"`
	Monitor  []Definition `toml:"monitor,omitempty" json:"monitor,omitempty"`
}

// Defaults hold for every monitor that says nothing else.
type Defaults struct {
	Settings
	AtOnce        int  `toml:"at_once,omitempty" json:"at_once,omitempty"`              // runs at the same moment; 0: 8
	KeepSamples   Span `toml:"keep_samples,omitempty" json:"keep_samples,omitzero"`     // 0: 90 days
	KeepIncidents Span `toml:"keep_incidents,omitempty" json:"keep_incidents,omitzero"` // 0: 400 days
}

// Vantage is a place to look from: resolvers to ask and an address of this machine to connect from.
type Vantage struct {
	Name      string   `toml:"name" json:"name"`
	Resolvers []string `toml:"resolvers,omitempty" json:"resolvers,omitempty"` // as --resolver takes them
	Source    string   `toml:"source,omitempty" json:"source,omitempty"`       // an IP address of this machine
}

// Settings are what a monitor and the defaults have in common. Zero values mean: not said here.
type Settings struct {
	Every       Span     `toml:"every,omitempty" json:"every,omitzero"`
	Jitter      Span     `toml:"jitter,omitempty" json:"jitter,omitzero"`              // 0: a tenth of every
	Timeout     Span     `toml:"timeout,omitempty" json:"timeout,omitzero"`            // of one run; 0: 5m
	FailOn      string   `toml:"fail_on,omitempty" json:"fail_on,omitempty"`           // note, warning or error
	FailAfter   int      `toml:"fail_after,omitempty" json:"fail_after,omitempty"`     // failures in a row; 0: what the kind says, else 5
	ClearAfter  int      `toml:"clear_after,omitempty" json:"clear_after,omitempty"`   // 0: 2
	BlindAfter  int      `toml:"blind_after,omitempty" json:"blind_after,omitempty"`   // runs that could not test; 0: 10
	FlapChanges *int     `toml:"flap_changes,omitempty" json:"flap_changes,omitempty"` // confirmed changes; absent: 6, 0: no flap control
	FlapWithin  Span     `toml:"flap_within,omitempty" json:"flap_within,omitzero"`    // 0: twelve times every, at least an hour
	Remind      Span     `toml:"remind,omitempty" json:"remind,omitzero"`              // 0: 24h
	Channels    []string `toml:"channels,omitempty" json:"channels,omitempty"`         // absent: all that take what they are told
	Maintenance []Window `toml:"maintenance,omitempty" json:"maintenance,omitempty"`   // beside those of the defaults
}

// Definition is one monitor.
type Definition struct {
	ID    string         `toml:"id" json:"id"`
	Kind  string         `toml:"kind" json:"kind"`
	Title string         `toml:"title,omitempty" json:"title,omitempty"`
	Args  map[string]any `toml:"args,omitempty" json:"args,omitempty"`   // what the kind asks for
	Armed *bool          `toml:"armed,omitempty" json:"armed,omitempty"` // false: it runs and keeps samples, and tells nothing
	Settings
	SlowerThan Span     `toml:"slower_than,omitempty" json:"slower_than,omitzero"` // short for a threshold of the response
	Thresholds []Bound  `toml:"threshold,omitempty" json:"threshold,omitempty"`
	Only       []string `toml:"only,omitempty" json:"only,omitempty"`     // patterns of rule IDs
	Ignore     []string `toml:"ignore,omitempty" json:"ignore,omitempty"` // patterns of rule IDs
	From       []string `toml:"from,omitempty" json:"from,omitempty"`     // vantage points; none: this machine
	Quorum     int      `toml:"quorum,omitempty" json:"quorum,omitempty"` // vantage points that must agree that it fails; 0: more than half
	Propose    *Propose `toml:"propose,omitempty" json:"propose,omitempty"`
}

// Bound is a threshold as it is configured.
type Bound struct {
	Measure string   `toml:"measure" json:"measure"`
	Above   *float64 `toml:"above,omitempty" json:"above,omitempty"`
	Below   *float64 `toml:"below,omitempty" json:"below,omitempty"`
}

// Problem is something wrong with a configuration. Path leads to the place: "monitor", 2, "every".
type Problem struct {
	Path []any
	Says finding.Sentence
}

var idPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// Validate lists everything that is wrong. channels are the names that Channels may speak of.
func (c *Config) Validate(kinds []Kind, channels []string) []Problem {
	v := &validator{c: c, kinds: kinds, channels: channels}
	v.settings([]any{"defaults"}, &c.Defaults.Settings)
	if n := c.Defaults.AtOnce; n < 0 || n > 1000 {
		v.add(finding.S("wants a number from 1 to 1000", nil), "defaults", "at_once")
	}
	seen := map[string]bool{}
	for i := range c.Vantage {
		name := c.Vantage[i].Name
		switch {
		case !idPattern.MatchString(name):
			v.add(badName(name), "vantage", i, "name")
		case seen[name]:
			v.add(finding.S("{{.Name}} is there twice", finding.Args{"Name": name}), "vantage", i, "name")
		}
		seen[name] = true
	}
	names := map[string]bool{}
	for i := range c.Account {
		a := &c.Account[i]
		a.check(func(key string, says finding.Sentence) { v.add(says, "account", i, key) })
		if names[a.Name] {
			v.add(finding.S("{{.Name}} is there twice", finding.Args{"Name": a.Name}), "account", i, "name")
		}
		names[a.Name] = true
	}
	ids := map[string]bool{}
	for i := range c.Monitor {
		d := &c.Monitor[i]
		if d.ID != "" && ids[d.ID] {
			v.add(finding.S("{{.Name}} is there twice", finding.Args{"Name": d.ID}), "monitor", i, "id")
		}
		ids[d.ID] = true
		v.definition(d, "monitor", i)
	}
	return v.out
}

// Check lists what is wrong with one definition against this configuration; paths begin at the definition.
func (c *Config) Check(d *Definition, kinds []Kind, channels []string) []Problem {
	v := &validator{c: c, kinds: kinds, channels: channels}
	v.definition(d)
	return v.out
}

type validator struct {
	c        *Config
	kinds    []Kind
	channels []string
	out      []Problem
}

func (v *validator) add(s finding.Sentence, at ...any) {
	if !s.IsZero() {
		v.out = append(v.out, Problem{at, s})
	}
}

func badName(name string) finding.Sentence {
	return finding.S("{{.Name}} is no name: lower-case letters, digits, dots and dashes, at most 63", finding.Args{"Name": name})
}

func (v *validator) definition(d *Definition, at ...any) {
	sub := func(more ...any) []any { return slices.Concat(at, more) }
	if !idPattern.MatchString(d.ID) {
		v.add(badName(d.ID), sub("id")...)
	}
	k := FindKind(v.kinds, d.Kind)
	if k == nil {
		var names []string
		for i := range v.kinds {
			names = append(names, v.kinds[i].Name)
		}
		v.add(finding.S("there is no kind {{.Name}}: one of {{list .All}}", finding.Args{"Name": d.Kind, "All": names}), sub("kind")...)
	} else {
		for _, p := range k.check(d.Args) {
			v.add(p.Says, sub(append([]any{"args"}, p.Path...)...)...)
		}
		v.accounts(k, d.Args, at)
		for i, t := range d.Thresholds {
			v.threshold(k, &t, sub("threshold", i))
		}
		if d.SlowerThan > 0 && k.unit(Response) == "" {
			v.add(finding.S("{{.Kind}} measures no response time", finding.Args{"Kind": k.Name}), sub("slower_than")...)
		}
	}
	v.settings(at, &d.Settings)
	for i, name := range d.From {
		if !slices.ContainsFunc(v.c.Vantage, func(p Vantage) bool { return p.Name == name }) {
			v.add(finding.S("there is no vantage {{.Name}}", finding.Args{"Name": name}), sub("from", i)...)
		}
	}
	if d.Quorum < 0 || d.Quorum > max(len(d.From), 1) {
		v.add(finding.S("a quorum of {{.N}} needs as many vantage points in from", finding.Args{"N": d.Quorum}), sub("quorum")...)
	}
	for _, list := range []struct {
		key      string
		patterns []string
	}{{"only", d.Only}, {"ignore", d.Ignore}} {
		for i, p := range list.patterns {
			if _, err := path.Match(p, ""); err != nil {
				v.add(finding.S("{{.Name}} is no pattern of rule IDs", finding.Args{"Name": p}), sub(list.key, i)...)
			}
		}
	}
	if d.Propose != nil {
		v.add(d.Propose.check(), sub("propose")...)
	}
}

func (v *validator) threshold(k *Kind, t *Bound, at []any) {
	if k.unit(t.Measure) == "" {
		var names []string
		for _, m := range k.Measures {
			names = append(names, m.Name)
		}
		v.add(finding.S("{{.Kind}} does not measure {{.Name}}; it measures {{list .All}}", finding.Args{"Kind": k.Name, "Name": t.Measure, "All": names}),
			append(at, "measure")...)
	}
	if t.Above == nil && t.Below == nil {
		v.add(finding.S("a threshold wants above or below", nil), at...)
	}
	for _, f := range []*float64{t.Above, t.Below} {
		if f != nil && (math.IsNaN(*f) || math.IsInf(*f, 0)) {
			v.add(finding.S("a threshold is a number", nil), at...)
		}
	}
}

// Bounds of a schedule.
const (
	shortest = time.Second
	longer   = 31 * 24 * time.Hour
)

func (v *validator) settings(at []any, s *Settings) {
	sub := func(more ...any) []any { return slices.Concat(at, more) }
	if e := s.Every.D(); e != 0 && (e < shortest || e > longer) {
		v.add(finding.S("every wants a span from 1s to 31d", nil), sub("every")...)
	}
	if t := s.Timeout.D(); t != 0 && (t < shortest || t > time.Hour) {
		v.add(finding.S("timeout wants a span from 1s to 1h", nil), sub("timeout")...)
	}
	if _, ok := finding.ParseSeverity(s.FailOn); s.FailOn != "" && !ok {
		v.add(finding.S("{{.Word}} is no severity: one of note, warning, error", finding.Args{"Word": s.FailOn}), sub("fail_on")...)
	}
	for _, n := range []struct {
		key string
		n   int
	}{{"fail_after", s.FailAfter}, {"clear_after", s.ClearAfter}, {"blind_after", s.BlindAfter}} {
		if n.n < 0 || n.n > 1000 {
			v.add(finding.S("wants a number from 1 to 1000", nil), sub(n.key)...)
		}
	}
	if f := s.FlapChanges; f != nil && (*f < 0 || *f == 1 || *f > 1000) {
		v.add(finding.S("wants a number from 2 to 1000, or 0 for no flap control", nil), sub("flap_changes")...)
	}
	for i, name := range s.Channels {
		if !slices.Contains(v.channels, name) {
			v.add(finding.S("there is no channel {{.Name}}", finding.Args{"Name": name}), sub("channels", i)...)
		}
	}
	for i := range s.Maintenance {
		v.add(s.Maintenance[i].check(), sub("maintenance", i)...)
	}
}

// Complete fills in what a definition leaves to the defaults, to its kind, and to us.
func (c *Config) Complete(d Definition, kinds []Kind) Definition {
	k := FindKind(kinds, d.Kind)
	if k == nil {
		k = &Kind{}
	}
	def := &c.Defaults.Settings
	d.Every = cmp.Or(d.Every, def.Every, Span(k.Every), Span(time.Minute))
	d.Jitter = cmp.Or(d.Jitter, def.Jitter, d.Every/10)
	d.Timeout = cmp.Or(d.Timeout, def.Timeout, Span(5*time.Minute))
	d.FailOn = cmp.Or(d.FailOn, def.FailOn, "error")
	d.FailAfter = cmp.Or(d.FailAfter, def.FailAfter, k.FailAfter, 5)
	d.ClearAfter = cmp.Or(d.ClearAfter, def.ClearAfter, k.ClearAfter, 2)
	d.BlindAfter = cmp.Or(d.BlindAfter, def.BlindAfter, 10)
	if d.FlapChanges == nil {
		d.FlapChanges = def.FlapChanges
	}
	if d.FlapChanges == nil {
		six := 6
		d.FlapChanges = &six
	}
	d.FlapWithin = cmp.Or(d.FlapWithin, def.FlapWithin, max(12*d.Every, Span(time.Hour)))
	d.Remind = cmp.Or(d.Remind, def.Remind, Span(24*time.Hour))
	if d.Channels == nil {
		d.Channels = def.Channels
	}
	d.Maintenance = slices.Concat(def.Maintenance, d.Maintenance)
	if d.Quorum == 0 {
		d.Quorum = len(d.From)/2 + 1
	}
	if d.Title == "" {
		d.Title = d.ID
	}
	return d
}

// IsArmed tells whether it tells what it notices.
func (d *Definition) IsArmed() bool { return d.Armed == nil || *d.Armed }

// Rule is what a complete definition says of counting.
func (d *Definition) Rule() Rule {
	r := Rule{FailAfter: max(d.FailAfter, 1), ClearAfter: max(d.ClearAfter, 1), BlindAfter: d.BlindAfter, Remind: d.Remind.D()}
	if d.FlapChanges != nil {
		r.Flap = Flap{*d.FlapChanges, d.FlapWithin.D()}
	}
	return r
}

// Limits is what a complete definition says of judging.
func (d *Definition) Limits(k *Kind) Limits {
	l := Limits{Only: d.Only, Ignore: d.Ignore, Quorum: d.Quorum}
	l.FailOn, _ = finding.ParseSeverity(cmp.Or(d.FailOn, "error"))
	if d.SlowerThan > 0 {
		above := d.SlowerThan.D().Seconds()
		l.Thresholds = append(l.Thresholds, Threshold{Measure: Response, Above: &above, Unit: "s"})
	}
	for _, t := range d.Thresholds {
		l.Thresholds = append(l.Thresholds, Threshold{t.Measure, t.Above, t.Below, k.unit(t.Measure)})
	}
	return l
}

// InMaintenance tells whether a window is open.
func (d *Definition) InMaintenance(at time.Time) bool {
	return slices.ContainsFunc(d.Maintenance, func(w Window) bool { return w.Covers(at) })
}

// decode reads the arguments of a kind strictly.
func decode[C any](args map[string]any) (C, error) {
	var c C
	raw, err := json.Marshal(args)
	if err != nil {
		return c, err
	}
	if args == nil {
		raw = []byte("{}")
	}
	return c, strictJSON(raw, &c)
}
