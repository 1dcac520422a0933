package monitor

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/domain"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// snapshot is what the runs of the kind "changes" are compared by.
type snapshot struct {
	At      time.Time         `json:"at"`
	Records map[string]string `json:"records"` // "MX", "SPF": the values in one line, sorted where order means nothing
	Faults  map[string]Seen   `json:"faults"`  // by Seen.Key
}

// shot is one run before it is a snapshot: what could not be tested is in doubt.
type shot struct {
	snapshot
	doubt map[string]bool // topics of rules that could not be tested, and keys of Records that are not known
}

// changesKind is the daily difference of a domain.
func changesKind() Kind {
	type args struct {
		Domain string `json:"domain"`
	}
	return define(Kind{
		Name: "changes", Title: finding.M("Changes of a domain"), About: finding.M("what is not as it was the day before: records, servers, faults that came and went"), Every: 24 * hour, FailAfter: 1, Once: true,
		Fields:   []Field{{Name: "domain", Label: finding.M("Domain"), Type: "text", Required: true, Example: "mine.example"}},
		Measures: []Measure{{"changes", "1", finding.M("things that changed")}},
	}, func(c *args) string { return c.Domain },
		func(c *args, bad func(string, finding.Sentence)) { _, s := domainName(c.Domain); bad("domain", s) },
		func(ctx context.Context, d *Doors, c *args) (*Result, error) {
			name, _ := domainName(c.Domain)
			began := d.Env.Now()
			r := domain.Survey(ctx, d.Env, name, domain.Options{})
			f, ok := r.Facts.(*domain.Facts)
			if !ok {
				return nil, fmt.Errorf("check: facts of type %T", r.Facts)
			}
			var before *snapshot
			if len(d.Before) > 0 {
				before = &snapshot{}
				if err := json.Unmarshal(d.Before, before); err != nil {
					return nil, fmt.Errorf("what the run before left: %w", err)
				}
			}
			now := take(r, f)
			said := compare(before, now)
			subject := finding.Domain(name)
			var fs []finding.Finding
			for _, s := range said {
				fs = append(fs, ruleChanged.Failed(subject, finding.Args{"What": s}).Prove(finding.Cmd("check", name)))
			}
			if len(fs) == 0 {
				fs = append(fs, ruleChanged.Passed(subject, nil))
			}
			raw, err := json.Marshal(now.snapshot)
			if err != nil {
				return nil, err
			}
			out := check.NewReport(d.Env, "check", subject, began, fs, r.Sections, r.Facts)
			return &Result{Report: out, Values: map[string]float64{"changes": float64(len(said))}, Snapshot: raw}, nil
		})
}

// take makes a shot of a survey.
func take(r *finding.Report, f *domain.Facts) *shot {
	s := &shot{snapshot{At: r.Started, Records: map[string]string{}, Faults: map[string]Seen{}}, map[string]bool{}}
	for i := range r.Findings {
		switch x := &r.Findings[i]; {
		case x.Outcome == finding.Unknown:
			s.doubt[x.Rule.Topic()] = true
		case x.Outcome == finding.Fail && x.Level() > finding.Note:
			seen := condense(x)
			s.Faults[seen.Key()] = seen
		}
	}
	set := func(name, topic string, known bool, values ...string) {
		s.Records[name] = strings.Join(values, ", ")
		if !known || s.doubt[topic] && len(values) == 0 {
			s.doubt[name] = true
		}
	}
	var mx []string
	for _, e := range f.MX.MX {
		mx = append(mx, fmt.Sprintf("%d %s", e.Pref, e.Host))
	}
	set("MX", "mx", f.MX.Known(), slices.Sorted(slices.Values(mx))...)
	for _, h := range f.Servers {
		var addrs []string
		for _, a := range h.Addrs {
			addrs = append(addrs, a.String())
		}
		set(h.Name, "mx", len(addrs) > 0, slices.Sorted(slices.Values(addrs))...)
	}
	set("SPF", "spf", true, notEmpty(f.SPF)...)
	set("DMARC", "dmarc", true, notEmpty(f.DMARC)...)
	if f.NameServers != nil {
		var ns []string
		if f.NameServers.Known() {
			for _, n := range f.NameServers.Delegation.ChildNS {
				ns = append(ns, n.Host)
			}
		}
		set("NS", "nameserver", len(ns) > 0, slices.Sorted(slices.Values(ns))...)
	}
	return s
}

func notEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// compare says what changed, and carries into the new snapshot what is in doubt: a resolver that did not answer is no
// change, neither now nor when it answers again. before is nil for the first run.
func compare(before *snapshot, now *shot) []finding.Sentence {
	if before == nil {
		for name := range now.doubt {
			delete(now.Records, name)
		}
		return nil
	}
	var out []finding.Sentence
	names := maps.Clone(before.Records)
	maps.Copy(names, now.Records)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, had := before.Records[name]
		is, has := now.Records[name]
		switch {
		case now.doubt[name] && had:
			now.Records[name] = was
		case now.doubt[name]:
			delete(now.Records, name)
		case !has && (now.doubt["mx"] || now.doubt["MX"]):
			now.Records[name] = was
		case was == is && had && has:
		case !had || was == "":
			if is != "" {
				out = append(out, finding.S("{{.Name}} is new: {{.New}}", finding.Args{"Name": name, "New": cut(is)}))
			}
		case !has || is == "":
			out = append(out, finding.S("{{.Name}} is gone; it was: {{.Old}}", finding.Args{"Name": name, "Old": cut(was)}))
		default:
			out = append(out, finding.S("{{.Name}} changed: it was {{.Old}} and is {{.New}}", finding.Args{"Name": name, "Old": cut(was), "New": cut(is)}))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(now.Faults)) {
		if _, had := before.Faults[key]; !had {
			f := now.Faults[key]
			out = append(out, finding.S("new fault: {{.Text}}", finding.Args{"Text": f.Text.Sentence()}))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(before.Faults)) {
		f := before.Faults[key]
		topic, _, _ := strings.Cut(f.Rule, ".")
		switch _, has := now.Faults[key]; {
		case has:
		case now.doubt[topic]:
			now.Faults[key] = f
		default:
			out = append(out, finding.S("no fault any more: {{.Text}}", finding.Args{"Text": f.Text.Sentence()}))
		}
	}
	return out
}
