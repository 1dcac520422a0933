package cli

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/knowledge"
)

// TestViewsPointAtRules holds the table of views against the rules there are.
func TestViewsPointAtRules(t *testing.T) {
	v, err := knowledge.Embedded().Views()
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Views) < 4 {
		t.Errorf("%d views", len(v.Views))
	}
	for _, x := range v.Views {
		if x.Name.EN == "" || x.Name.ZH == "" || x.Source == "" || len(x.Rows) == 0 {
			t.Errorf("view %s: name, source or rows", x.ID)
		}
		for _, r := range x.Rows {
			if r.Title.EN == "" || r.Title.ZH == "" || r.Need != "all" && r.Need != "bulk" && r.Need != "good" || len(r.Rules) == 0 && (r.How.EN == "" || r.How.ZH == "") {
				t.Errorf("view %s: row %+v", x.ID, r)
			}
			for _, id := range r.Rules {
				if ruleByID(id) == nil {
					t.Errorf("view %s, %s: there is no rule %s", x.ID, r.Title.EN, id)
				}
			}
		}
	}
}
