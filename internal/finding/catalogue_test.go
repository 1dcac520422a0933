package finding

import "testing"

func TestCatalogueReads(t *testing.T) {
	if _, err := readCatalogue(zh); err != nil {
		t.Fatal(err)
	}
}

func TestSentences(t *testing.T) {
	s := S("{{.N}} DNS {{plural .N \"lookup\" \"lookups\"}} by {{list .Who}}", Args{"N": 1, "Who": []string{"a", "b", "c"}})
	if got, want := s.In(EN), "1 DNS lookup by a, b and c"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if b := Both("a {{.X}}", "甲"); b.In(EN) != "a {{.X}}" || b.In(ZH) != "甲" || Both("a", "").In(ZH) != "a" {
		t.Errorf("both languages: %q %q", b.In(EN), b.In(ZH))
	}
	if got := Raw("{{.X}}").In(ZH); got != "{{.X}}" {
		t.Errorf("a raw value was taken for a template: %q", got)
	}
}

func TestUntestedIsNeverGreenOrRed(t *testing.T) {
	r := &Rule{ID: "a.b", Severity: Error}
	f := Finding{Rule: r}
	if f.Verdict() != VerdictUntested {
		t.Errorf("zero finding has verdict %v", f.Verdict())
	}
}

func TestOrderLiftsCauses(t *testing.T) {
	cause := &Rule{ID: "ptr.missing", Severity: Warning}
	effect := &Rule{ID: "reply.ptr", Severity: Error, After: []string{"ptr.missing"}}
	other := &Rule{ID: "x.y", Severity: Error}
	s := Host("h")
	fs := []Finding{other.Failed(s, nil), effect.Failed(s, nil), cause.Failed(s, nil)}
	Order(fs)
	var ids []string
	for _, f := range fs {
		ids = append(ids, f.Rule.ID)
	}
	if ids[0] != "x.y" || ids[1] != "ptr.missing" || ids[2] != "reply.ptr" {
		t.Errorf("order %v", ids)
	}
	if len(fs[2].Causes) != 1 || fs[2].Causes[0] != "ptr.missing" {
		t.Errorf("causes %v", fs[2].Causes)
	}
}
