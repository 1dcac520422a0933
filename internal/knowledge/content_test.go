package knowledge

import (
	"slices"
	"strings"
	"testing"
)

func TestContentTable(t *testing.T) {
	c, err := Embedded().Content()
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]string{c.Shorteners, c.Dangerous, c.Macro, c.Harmless, c.Page, c.Archive} {
		if len(list) == 0 {
			t.Error("an empty list")
		}
		sorted := slices.Clone(list)
		slices.Sort(sorted)
		if len(slices.Compact(sorted)) != len(list) {
			t.Errorf("a word stands twice in %v", list)
		}
	}
	for _, p := range c.Phrases {
		if p.Group.EN == "" || p.Group.ZH == "" || p.Points <= 0 || len(p.Words) == 0 || p.Lang != "en" && p.Lang != "zh" {
			t.Errorf("phrases %v: group, points, language or words are missing", p.Group)
		}
		for _, w := range p.Words {
			if w != strings.ToLower(w) || strings.TrimSpace(w) != w || w == "" {
				t.Errorf("phrase %q: want lower case without blanks around", w)
			}
		}
	}
	if !slices.IsSortedFunc(c.Limit, func(a, b SizeLimit) int { return a.Bytes - b.Bytes }) {
		t.Error("limits must stand smallest first")
	}
}

func TestScoreTable(t *testing.T) {
	s, err := Embedded().Score()
	if err != nil {
		t.Fatal(err)
	}
	sum, seen := 0.0, map[string]bool{}
	for _, x := range s.Section {
		sum += x.Max
		if x.Name.EN == "" || x.Name.ZH == "" || x.Max <= 0 {
			t.Errorf("section %s: name or max is missing", x.ID)
		}
		for _, topic := range x.Topics {
			if seen[topic] {
				t.Errorf("topic %s is in two sections", topic)
			}
			seen[topic] = true
		}
	}
	if sum < 9.99 || sum > 10.01 {
		t.Errorf("the sections add up to %.2f, not 10", sum)
	}
	for id := range s.Points {
		topic, _, _ := strings.Cut(id, ".")
		if !seen[topic] {
			t.Errorf("points for %s, but no section has the topic %s", id, topic)
		}
	}
}
