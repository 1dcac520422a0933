package monitor

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

var start = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

// play steps through a script, a minute each: "." is fine, "F" fails, "G" fails with another cause beside, "?" could not
// test, "_" is a minute without a run. It gives "minute kind" of each event.
func play(r Rule, script string, acked bool) (State, []string) {
	var s State
	var out []string
	for i, c := range script {
		o := Observation{At: start.Add(time.Duration(i) * time.Minute)}
		switch c {
		case '.':
			o.Verdict = OK
		case 'F':
			o.Verdict, o.Keys = Failing, []string{"a"}
		case 'G':
			o.Verdict, o.Keys = Failing, []string{"a", "b"}
		case '?':
			o.Verdict = Unknown
		default:
			continue
		}
		var events []Event
		s, events = Step("m", r, s, o, acked)
		for _, e := range events {
			out = append(out, string(rune('0'+i/10))+string(rune('0'+i%10))+" "+string(e.Kind))
		}
	}
	return s, out
}

func TestStep(t *testing.T) {
	five := Rule{FailAfter: 5, ClearAfter: 2, BlindAfter: 3}
	flap := Rule{FailAfter: 1, ClearAfter: 1, Flap: Flap{Changes: 4, Within: 10 * time.Minute}}
	for _, c := range []struct {
		name, script, want string
		rule               Rule
		known              Verdict
	}{
		{"four failures are nothing", "..FFFF..", "", five, OK},
		{"the fifth in a row opens", "..FFFFF", "06 opened", five, Failing},
		{"it must fail from the start, too", "FFFFF", "04 opened", five, Failing},
		{"a success between begins anew", "FFFF.FFFF", "", five, OK},
		{"one success does not clear", "FFFFF.F.", "04 opened", five, Failing},
		{"two in a row clear", "FFFFF..", "04 opened, 06 resolved", five, OK},
		{"what could not be tested counts for neither", "FF?FF?F", "06 opened", five, Failing},
		{"three unknown in a row are told, and the end of it", ".???.", "03 blind, 04 sees", five, OK},
		{"after blindness the last known state counts: no new incident", "FFFFF???F", "04 opened, 07 blind, 08 sees", five, Failing},
		{"after blindness a mended thing is mended", "FFFFF???..", "04 opened, 07 blind, 08 sees, 09 resolved", five, OK},
		{"blindness from the start", "???", "02 blind", five, None},
		{"something else fails, too", "FFFFFGGGGGG", "04 opened, 09 widened", five, Failing},
		{"something else for a moment is not told", "FFFFFGGFGGF", "04 opened", five, Failing},
		{"four changes within ten minutes are held back", ".F.F.F.F.", "01 opened, 02 resolved, 03 opened, 04 flapping, 05 turned, 06 turned, 07 turned, 08 turned", flap, OK},
		{"calm after ten minutes without a change, fine", ".F.F.............", "01 opened, 02 resolved, 03 opened, 04 flapping, 15 calm", flap, OK},
		{"calm, and it stays broken", ".F.F.F___________FF", "01 opened, 02 resolved, 03 opened, 04 flapping, 05 turned, 17 calm", flap, Failing},
		{"slow changes are no flapping", ".F____.____F____.____F", "01 opened, 06 resolved, 11 opened, 16 resolved, 21 opened", flap, Failing},
		{"without flap control", ".F.F.F", "01 opened, 02 resolved, 03 opened, 04 resolved, 05 opened", Rule{FailAfter: 1, ClearAfter: 1}, Failing},
		{"reminded every three minutes", "FFFFFFFF", "00 opened, 03 reminded, 06 reminded", Rule{FailAfter: 1, ClearAfter: 1, Remind: 3 * time.Minute}, Failing},
	} {
		s, got := play(c.rule, c.script, false)
		if strings.Join(got, ", ") != c.want || s.Known != c.known {
			t.Errorf("%s: %q gave %q and %q, want %q and %q", c.name, c.script, strings.Join(got, ", "), s.Known, c.want, c.known)
		}
	}
	if _, got := play(Rule{FailAfter: 1, ClearAfter: 1, Remind: 2 * time.Minute}, "FFFFFF", true); len(got) != 1 {
		t.Errorf("an acknowledged incident was told again: %v", got)
	}
}

func TestStepIsPure(t *testing.T) {
	r := Rule{FailAfter: 1, ClearAfter: 1, Flap: Flap{3, time.Hour}}
	s, _ := play(r, ".F.", false)
	before := slices.Clone(s.Changes)
	o := Observation{At: start.Add(time.Hour), Verdict: Failing, Keys: []string{"x"}}
	s1, e1 := Step("m", r, s, o, false)
	s2, e2 := Step("m", r, s, o, false)
	if !slices.Equal(s.Changes, before) || len(e1) != 1 || e1[0].ID != e2[0].ID || s1.Incident != s2.Incident {
		t.Errorf("stepping twice from one state differs: %v %v, %v", e1, e2, s.Changes)
	}
}

func TestSinceIsTheFirstFailure(t *testing.T) {
	var s State
	var events []Event
	for i := range 5 {
		s, events = Step("m", Rule{FailAfter: 5}, s, Observation{At: start.Add(time.Duration(i) * time.Minute), Verdict: Failing}, false)
	}
	if len(events) != 1 || !events[0].Since.Equal(start) || !s.Since.Equal(start) || events[0].Count != 5 {
		t.Errorf("%+v", events)
	}
}

func point(from string, values map[string]float64, seen ...Seen) Point {
	p := Point{From: from, Values: values}
	for _, s := range seen {
		if s.Again.IsZero() {
			p.Failed = append(p.Failed, s)
		} else {
			p.Untested = append(p.Untested, s)
		}
	}
	return p
}

func TestJudge(t *testing.T) {
	bad := Seen{Rule: "tls.expired", Severity: finding.Error, Text: Said{EN: "expired 3 days ago"}, Owner: finding.OwnerServer}
	weak := Seen{Rule: "spf.soft", Severity: finding.Warning, Text: Said{EN: "soft"}}
	blind := Seen{Rule: "smtp.connect", Severity: finding.Error, Text: Said{EN: "421"}, Again: start}
	limit := 0.3
	slow := []Threshold{{Measure: Response, Above: &limit, Unit: "s"}}
	fast, late := map[string]float64{Response: 0.25}, map[string]float64{Response: 0.31}
	broke := Point{Error: Said{EN: "no route"}}
	for _, c := range []struct {
		name   string
		limits Limits
		points []Point
		want   Verdict
		text   string
	}{
		{"an error fails", Limits{FailOn: finding.Error}, []Point{point("", nil, bad, weak)}, Failing, "expired 3 days ago"},
		{"a warning does not", Limits{FailOn: finding.Error}, []Point{point("", nil, weak)}, OK, ""},
		{"a warning does where it is asked for", Limits{FailOn: finding.Warning}, []Point{point("", nil, weak)}, Failing, "soft"},
		{"what is ignored does not count", Limits{FailOn: finding.Error, Ignore: []string{"tls.*"}}, []Point{point("", nil, bad)}, OK, ""},
		{"only what is named counts", Limits{FailOn: finding.Error, Only: []string{"spf.*"}}, []Point{point("", nil, bad)}, OK, ""},
		{"could not test", Limits{FailOn: finding.Error}, []Point{point("", nil, blind)}, Unknown, "421"},
		{"a failure beside what could not be tested is a failure", Limits{FailOn: finding.Error}, []Point{point("", nil, blind, bad)}, Failing, "expired 3 days ago"},
		{"the run broke", Limits{FailOn: finding.Error}, []Point{broke}, Unknown, "no route"},
		{"310 ms is over 300 ms", Limits{FailOn: finding.Error, Thresholds: slow}, []Point{point("", late)}, Failing, "response is 310 ms, more than 300 ms"},
		{"250 ms is not", Limits{FailOn: finding.Error, Thresholds: slow}, []Point{point("", fast)}, OK, ""},
		{"no measurement, no verdict", Limits{FailOn: finding.Error, Thresholds: slow}, []Point{point("", nil)}, Unknown, "response could not be measured"},
		{"one of three is no quorum of two", Limits{FailOn: finding.Error, Quorum: 2}, []Point{point("a", nil, bad), point("b", nil), point("c", nil)}, OK, ""},
		{"two of three are", Limits{FailOn: finding.Error, Quorum: 2}, []Point{point("a", nil, bad), point("b", nil, bad), point("c", nil)}, Failing, "expired 3 days ago"},
		{"one fails and two cannot tell", Limits{FailOn: finding.Error, Quorum: 2}, []Point{point("a", nil, bad), broke, broke}, Unknown, "no route"},
		{"nobody looked", Limits{FailOn: finding.Error}, nil, Unknown, "nothing was looked at"},
	} {
		o := Judge(&c.limits, &Sample{At: start, Points: c.points})
		if o.Verdict != c.want || o.Text.EN != c.text {
			t.Errorf("%s: %q %q, want %q %q", c.name, o.Verdict, o.Text.EN, c.want, c.text)
		}
	}
}

func TestKeysIgnoreNumbers(t *testing.T) {
	a := Seen{Rule: "tls.expires", Subject: "h", Text: Said{EN: "expires in 6 days"}}
	b := a
	b.Text.EN = "expires in 5 days"
	c := a
	c.Rule = "tls.other"
	if a.Key() != b.Key() || a.Key() == c.Key() {
		t.Errorf("%q %q %q", a.Key(), b.Key(), c.Key())
	}
}
