package knowledge

import (
	"slices"
	"strings"
	"testing"
)

func TestVendorHeadersTable(t *testing.T) {
	v, err := Embedded().VendorHeaders()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, h := range v.Header {
		low := strings.ToLower(h.Name)
		if seen[low] || h.Name == "" || h.Product == "" || h.About.EN == "" || h.About.ZH == "" {
			t.Errorf("%s: twice, or without product or text in both languages", h.Name)
		}
		seen[low] = true
		if !slices.Contains([]string{"colon", "equal", "spamassassin", "rspamd", "whole"}, h.Form) {
			t.Errorf("%s: form %q", h.Name, h.Form)
		}
		for _, k := range h.Key {
			if k.Name.EN == "" || k.Name.ZH == "" || (k.Key == "") != (h.Form == "whole") {
				t.Errorf("%s: key %q has no name in both languages, or does not fit the form", h.Name, k.Key)
			}
			for _, x := range k.Value {
				if x.Is == "" || x.Means.EN == "" || x.Means.ZH == "" || !slices.Contains([]string{"", "good", "bad"}, x.Verdict) {
					t.Errorf("%s %s: value %q", h.Name, k.Key, x.Is)
				}
			}
		}
	}
}
