package runs

import (
	"encoding/json"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Change is a finding that says something else now.
type Change struct {
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
}

// Difference is what changed between two reports; findings are as the reports have them. No list is nil.
type Difference struct {
	Appeared []json.RawMessage `json:"appeared"`
	Gone     []json.RawMessage `json:"gone"`
	Changed  []Change          `json:"changed"`
}

// Diff compares two reports in their JSON form.
func Diff(before, after json.RawMessage) (*Difference, error) {
	was, err := findingsOf(before)
	if err != nil {
		return nil, err
	}
	is, err := findingsOf(after)
	if err != nil {
		return nil, err
	}
	d := &Difference{[]json.RawMessage{}, []json.RawMessage{}, []Change{}}
	compare(was, is, func(a, c *seenFinding) {
		switch {
		case a == nil:
			d.Appeared = append(d.Appeared, c.raw)
		case c == nil:
			d.Gone = append(d.Gone, a.raw)
		default:
			d.Changed = append(d.Changed, Change{a.raw, c.raw})
		}
	})
	return d, nil
}

// seenFinding is what a diff needs of a finding of a stored report; the rest goes through as it is.
type seenFinding struct {
	ID      string          `json:"id"`
	Verdict string          `json:"verdict"`
	Subject finding.Subject `json:"subject"`
	Text    string          `json:"text"`
	raw     json.RawMessage
}

func findingsOf(report json.RawMessage) ([]*seenFinding, error) {
	var doc struct {
		Findings []json.RawMessage `json:"findings"`
	}
	if len(report) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(report, &doc); err != nil {
		return nil, err
	}
	var out []*seenFinding
	for _, raw := range doc.Findings {
		f := &seenFinding{raw: raw}
		if err := json.Unmarshal(raw, f); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// fine tells a verdict nobody wants to hear of.
func (f *seenFinding) fine() bool { return f.Verdict == "pass" || f.Verdict == "not-applicable" }

// compare pairs the findings of one rule about one subject, first those that say the same, then the others in their
// order, and tells what appeared (before is nil), went away (after is nil) or changed. What is fine on both sides, and
// what was fine and is not spoken of any more, is no news.
func compare(was, is []*seenFinding, tell func(before, after *seenFinding)) {
	type key struct {
		id      string
		subject finding.Subject
	}
	left := map[key][]*seenFinding{}
	for _, f := range was {
		k := key{f.ID, f.Subject}
		left[k] = append(left[k], f)
	}
	take := func(f *seenFinding, same bool) *seenFinding {
		k := key{f.ID, f.Subject}
		for i, o := range left[k] {
			if !same || o.Text == f.Text && o.Verdict == f.Verdict {
				left[k] = append(left[k][:i:i], left[k][i+1:]...)
				return o
			}
		}
		return nil
	}
	var rest []*seenFinding
	for _, f := range is {
		if take(f, true) == nil {
			rest = append(rest, f)
		}
	}
	for _, f := range rest {
		switch o := take(f, false); {
		case o == nil && !f.fine():
			tell(nil, f)
		case o != nil && !(o.fine() && f.fine()):
			tell(o, f)
		}
	}
	for _, f := range was {
		for i, o := range left[key{f.ID, f.Subject}] {
			if o == f {
				left[key{f.ID, f.Subject}] = append(left[key{f.ID, f.Subject}][:i:i], left[key{f.ID, f.Subject}][i+1:]...)
				if !f.fine() {
					tell(f, nil)
				}
				break
			}
		}
	}
}
