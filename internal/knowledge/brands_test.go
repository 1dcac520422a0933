package knowledge

import (
	"strings"
	"testing"
)

func TestBrandsTable(t *testing.T) {
	b, err := Embedded().Brands()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, x := range b.Brand {
		if x.Name == "" || len(x.Domains) == 0 {
			t.Errorf("brand %q has no name or no domain", x.Name)
		}
		for _, d := range x.Domains {
			if d != strings.ToLower(d) || !strings.Contains(d, ".") || seen[d] != "" {
				t.Errorf("%s: domain %q is no lower-case domain or also of %s", x.Name, d, seen[d])
			}
			seen[d] = x.Name
		}
	}
	for from, to := range b.Confusable {
		if from == to || to == "" || strings.Trim(to, "abcdefghijklmnopqrstuvwxyz") != "" {
			t.Errorf("confusable %q = %q: the right side must be plain lower-case letters", from, to)
		}
	}
}
