package sqlite

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/change"
)

func TestBlocks(t *testing.T) {
	ctx := context.Background()
	s, err := OpenState(ctx, t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	b := change.Entry{ID: "b", What: "203.0.113.7/32", Reason: "原因", Evidence: []string{"line"}, By: "li", At: at.Add(time.Hour), Until: at.Add(48 * time.Hour)}
	a := change.Entry{ID: "a", What: "spam.example", Reason: "r", By: "li", At: at, Until: at.Add(time.Hour)}
	for _, e := range []change.Entry{b, a} {
		if err := s.PutBlock(ctx, &e); err != nil {
			t.Fatal(err)
		}
	}
	b.Decided, b.Approved = &change.Act{By: "wang", At: at}, true
	if err := s.PutBlock(ctx, &b); err != nil {
		t.Fatal(err)
	}
	got, err := s.Blocks(ctx)
	if err != nil || !reflect.DeepEqual(got, []change.Entry{a, b}) {
		t.Errorf("%+v, %v", got, err)
	}
}
