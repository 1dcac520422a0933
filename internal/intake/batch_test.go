package intake

import "testing"

func TestRest(t *testing.T) {
	lines := func(n int) [][]byte { return make([][]byte, n) }
	same := &Batch{From: Position{File: "a", Offset: 10}, To: Position{File: "a", Offset: 40}, Lines: lines(3), Ends: []int64{20, 30, 40}}
	next := &Batch{From: Position{File: "a", Offset: 10}, To: Position{File: "b", Offset: 20}, Lines: lines(2), Ends: []int64{10, 20}}
	first := &Batch{To: Position{File: "b", Offset: 20}, Lines: lines(2), Ends: []int64{10, 20}}
	turn := &Batch{From: Position{File: "a", Offset: 10}, To: Position{File: "b"}}
	journal := &Batch{From: Position{Offset: 5, Cursor: "c5"}, To: Position{Offset: 7, Cursor: "c7"}, Lines: lines(2), Ends: []int64{6, 7}}
	for _, c := range []struct {
		name    string
		b       *Batch
		stored  Position
		from    int
		follows bool
	}{
		{"where it begins", same, Position{File: "a", Offset: 10}, 0, true},
		{"where it ends", same, Position{File: "a", Offset: 40}, 3, true},
		{"behind it", same, Position{File: "a", Offset: 90}, 3, true},
		{"inside", same, Position{File: "a", Offset: 30}, 2, true},
		{"within a line", same, Position{File: "a", Offset: 25}, 0, false},
		{"before it", same, Position{File: "a", Offset: 5}, 0, false},
		{"another file", same, Position{File: "z", Offset: 30}, 0, false},
		{"never seen", same, Position{}, 0, false},
		{"from one file to the next", next, Position{File: "a", Offset: 10}, 0, true},
		{"inside the next", next, Position{File: "b", Offset: 10}, 1, true},
		{"at the start of the next", next, Position{File: "b"}, 0, true},
		{"an earlier place of the last file", next, Position{File: "a", Offset: 5}, 0, false},
		{"the first batch", first, Position{}, 0, true},
		{"the first batch, begun by another", first, Position{File: "b", Offset: 10}, 1, true},
		{"no lines, a new file", turn, Position{File: "a", Offset: 10}, 0, true},
		{"no lines, done", turn, Position{File: "b", Offset: 70}, 0, true},
		{"journal, inside", journal, Position{Offset: 6, Cursor: "c6"}, 1, true},
		{"journal, behind", journal, Position{Offset: 9, Cursor: "c9"}, 2, true},
	} {
		if from, follows := c.b.Rest(c.stored); follows != c.follows || follows && from != c.from {
			t.Errorf("%s: from %d, follows %v; want %d, %v", c.name, from, follows, c.from, c.follows)
		}
	}
}
