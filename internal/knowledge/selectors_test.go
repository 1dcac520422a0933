package knowledge

import (
	"regexp"
	"testing"
)

func TestSelectors(t *testing.T) {
	s, err := Embedded().Selectors()
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	seen := map[string]bool{}
	common := 0
	for _, x := range s.Selector {
		if !name.MatchString(x.Name) || seen[x.Name] {
			t.Errorf("selector %q: not a label in lower case, or there twice", x.Name)
		}
		seen[x.Name] = true
		if x.Common {
			common++
		}
	}
	if common < 5 || common > 25 {
		t.Errorf("%d common selectors: a survey asks each of them for every domain", common)
	}
}
