package monitor

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

func aShot(records map[string]string, faults []string, doubt ...string) *shot {
	s := &shot{snapshot{Records: records, Faults: map[string]Seen{}}, map[string]bool{}}
	for _, rule := range faults {
		seen := Seen{Rule: rule, Text: Said{EN: rule + " is broken"}}
		s.Faults[seen.Key()] = seen
	}
	for _, d := range doubt {
		s.doubt[d] = true
	}
	return s
}

func TestCompare(t *testing.T) {
	day1 := map[string]string{"MX": "10 mx.mine.example", "SPF": "v=spf1 -all", "mx.mine.example": "192.0.2.1"}
	for _, c := range []struct {
		name string
		now  *shot
		want string
	}{
		{"nothing", aShot(map[string]string{"MX": "10 mx.mine.example", "SPF": "v=spf1 -all", "mx.mine.example": "192.0.2.1"}, []string{"dmarc.missing"}), ""},
		{"a record", aShot(map[string]string{"MX": "10 mx.mine.example", "SPF": "v=spf1 ~all", "mx.mine.example": "192.0.2.1"}, []string{"dmarc.missing"}),
			"SPF changed: it was v=spf1 -all and is v=spf1 ~all"},
		{"a record gone", aShot(map[string]string{"MX": "10 mx.mine.example", "SPF": "", "mx.mine.example": "192.0.2.1"}, []string{"dmarc.missing"}), "SPF is gone; it was: v=spf1 -all"},
		{"not answered is not gone", aShot(map[string]string{"MX": "", "SPF": ""}, []string{"dmarc.missing"}, "MX", "SPF", "mx", "spf"), ""},
		{"a new server and a new fault", aShot(map[string]string{"MX": "10 mx.mine.example", "SPF": "v=spf1 -all", "mx.mine.example": "192.0.2.1", "mx2.mine.example": "192.0.2.2"}, []string{"dmarc.missing", "tls.expired"}),
			"mx2.mine.example is new: 192.0.2.2; new fault: tls.expired is broken"},
		{"a fault gone", aShot(map[string]string{"MX": "10 mx.mine.example", "SPF": "v=spf1 -all", "mx.mine.example": "192.0.2.1"}, nil), "no fault any more: dmarc.missing is broken"},
		{"a fault in doubt", aShot(map[string]string{"MX": "10 mx.mine.example", "SPF": "v=spf1 -all", "mx.mine.example": "192.0.2.1"}, nil, "dmarc"), ""},
	} {
		before := aShot(day1, []string{"dmarc.missing"}).snapshot
		var got []string
		for _, s := range compare(&before, c.now) {
			got = append(got, s.String())
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%s: %q, want %q", c.name, strings.Join(got, "; "), c.want)
		}
	}
	if got := compare(nil, aShot(day1, nil)); len(got) != 0 {
		t.Errorf("the first run differs from nothing: %v", got)
	}
}

// TestDoubtIsCarried says that an answer that was missing for a day is compared with the last one known.
func TestDoubtIsCarried(t *testing.T) {
	before := aShot(map[string]string{"SPF": "v=spf1 -all"}, []string{"spf.x"}).snapshot
	missing := aShot(map[string]string{"SPF": ""}, nil, "SPF", "spf")
	if got := compare(&before, missing); len(got) != 0 {
		t.Fatalf("%v", got)
	}
	raw, err := json.Marshal(missing.snapshot)
	if err != nil {
		t.Fatal(err)
	}
	var kept snapshot
	if err := json.Unmarshal(raw, &kept); err != nil {
		t.Fatal(err)
	}
	got := compare(&kept, aShot(map[string]string{"SPF": "v=spf1 +all"}, []string{"spf.x"}))
	if len(got) != 1 || got[0].String() != "SPF changed: it was v=spf1 -all and is v=spf1 +all" {
		t.Errorf("%v", got)
	}
}

func TestSilence(t *testing.T) {
	q := FlowQuery{Direction: "received", Since: start.Add(-time.Hour), Until: start}
	s := finding.Domain("mine.example")
	for _, c := range []struct {
		n      int64
		newest time.Time
		want   finding.Outcome
	}{{0, start, finding.Fail}, {2, start, finding.Fail}, {3, start, finding.Pass}, {0, start.Add(-2 * time.Hour), finding.Unknown}, {0, time.Time{}, finding.Unknown}} {
		if got := silence(s, q, c.n, 3, c.newest); got.Outcome != c.want {
			t.Errorf("%d messages, newest %s: %s", c.n, c.newest, got.Outcome)
		}
	}
}
