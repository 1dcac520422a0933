package dmarc

import "testing"

func TestKeep(t *testing.T) {
	for _, c := range []struct {
		texts []string
		want  int
	}{
		{[]string{"v=DMARC1; p=reject", "v=DMARC1; p=none"}, 1},
		{[]string{"v=DMARC1; p=none", "v=DMARC1; p=reject; rua=mailto:d@mine.example"}, 1},
		{[]string{"v=DMARC1; p=none; rua=mailto:d@mine.example", "v=DMARC1; p=reject; rua=mailto:d@mine.example"}, 0},
		{[]string{"v=DMARC1; p=nonsense", "v=DMARC1; p=reject"}, 1},
		{[]string{"v=DMARC1; p=none; rua=mailto:b@mine.example", "v=DMARC1; p=none; rua=mailto:a@mine.example"}, 1},
	} {
		if got := keep(c.texts); got != c.want {
			t.Errorf("%q: %d stays, want %d", c.texts, got, c.want)
		}
	}
}
