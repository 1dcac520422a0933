package knowledge

import (
	"strings"
	"testing"
)

func TestSendersTable(t *testing.T) {
	s, err := Embedded().Senders()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, x := range s.Senders {
		if x.Name == "" || len(x.PTR)+len(x.Auth) == 0 {
			t.Errorf("%+v: no name or nothing to know it by", x)
		}
		for _, p := range x.PTR {
			if p != strings.ToLower(p) || !strings.Contains(p, ".") || seen[p] != "" && seen[p] != x.Name {
				t.Errorf("%s: %s (also of %s)", x.Name, p, seen[p])
			}
			seen[p] = x.Name
		}
	}
	if x := s.ByHost("a48-90.smtp-out.amazonses.com."); x == nil || x.Name != "Amazon SES" {
		t.Error(x)
	}
	if s.ByHost("notamazonses.com") != nil || s.ByDomain("example.com") != nil {
		t.Error("a stranger was taken for a service")
	}
}
