package blocklist

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

type past struct {
	spells []Spell
	broken error
}

func (p *past) Spells(_ context.Context, subject string) (out []Spell, err error) {
	for _, s := range slices.Backward(p.spells) {
		if s.Subject == subject {
			out = append(out, s)
		}
	}
	return out, p.broken
}

func (p *past) PutSpell(_ context.Context, s *Spell) error {
	for i := range p.spells {
		if o := &p.spells[i]; o.Subject == s.Subject && o.List == s.List && o.First.Equal(s.First) {
			*o = *s
			return p.broken
		}
	}
	p.spells = append(p.spells, *s)
	return p.broken
}

// A spell ends when the list says so, never because it could not be asked.
func TestHistory(t *testing.T) {
	h := &past{}
	day := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	var f *Facts
	for i, states := range [][2]State{{Clean, Untested}, {Listed, Untested}, {Listed, Listed}, {Untested, Listed}, {Listed, Listed}, {Clean, Untested}, {Clean, Untested}, {Listed, Untested}} {
		f = &Facts{Subjects: []Subject{{Name: "192.0.2.25", Entries: []Entry{{List: "a", Name: "A", State: states[0]}, {List: "b", Name: "B", State: states[1]}}}}}
		if err := remember(t.Context(), h, f, day.AddDate(0, 0, i)); err != nil {
			t.Fatal(err)
		}
	}
	at := func(n int) time.Time { return day.AddDate(0, 0, n) }
	want := []Spell{
		{"192.0.2.25", "a", "A", at(7), at(7), time.Time{}},
		{"192.0.2.25", "b", "B", at(2), at(4), time.Time{}},
		{"192.0.2.25", "a", "A", at(1), at(4), at(5)},
	}
	if got := f.Subjects[0].History; !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	s := pastSections(f)
	if len(s) != 1 || len(s[0].Rows) != 3 || *s[0].Rows[0].Mark != finding.VerdictWarning || *s[0].Rows[2].Mark != finding.VerdictPass {
		t.Errorf("%+v", s)
	}
	if h.broken = errors.New("no room"); remember(t.Context(), h, f, day) == nil {
		t.Error("a store that fails went unnoticed")
	}
}
