package sqlite

import (
	"reflect"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check/blocklist"
)

func TestListings(t *testing.T) {
	ctx := t.Context()
	s, err := OpenState(ctx, t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	old := blocklist.Spell{Subject: "192.0.2.25", List: "a", Name: "A", First: at.AddDate(0, 0, -9), Seen: at.AddDate(0, 0, -8), Gone: at.AddDate(0, 0, -7)}
	now := blocklist.Spell{Subject: "192.0.2.25", List: "a", Name: "A", First: at, Seen: at}
	other := blocklist.Spell{Subject: "mine.example", List: "a", Name: "A", First: at, Seen: at}
	longer := now
	longer.Seen = at.Add(time.Hour)
	for _, x := range []blocklist.Spell{old, now, other, longer} {
		if err := s.PutSpell(ctx, &x); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Spells(ctx, "192.0.2.25")
	if err != nil || !reflect.DeepEqual(got, []blocklist.Spell{longer, old}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := s.Spells(ctx, "192.0.2.26"); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}
