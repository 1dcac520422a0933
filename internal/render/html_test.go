package render

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Columns of numbers stand right-aligned, and behind a screenful of rows a link leads to the findings.
func TestLongTablesInHTML(t *testing.T) {
	for _, rows := range []int{screenful - 2, screenful - 1} {
		sec := finding.Section{Columns: []finding.Sentence{finding.Raw("who"), finding.Raw("count"), finding.Raw("cause")}}
		for i := range rows {
			sec.Rows = append(sec.Rows, finding.Cells(finding.Raw("mx"), finding.Raw(fmt.Sprint(i)), finding.Raw("why")))
		}
		rule := &finding.Rule{ID: "a.b", Severity: finding.Warning, Title: "t", Says: "x"}
		r := &finding.Report{Command: "logs", Sections: []finding.Section{sec, {Rows: []finding.Row{{}, finding.Cells(finding.Raw("–"), finding.Raw("more cells than the row above"))}}},
			Findings: []finding.Finding{rule.Failed(finding.Subject{}, nil)}}
		var b bytes.Buffer
		if err := HTML(&b, Style{Lang: finding.EN}, []*finding.Report{r}); err != nil {
			t.Fatal(err)
		}
		page := b.String()
		if n := strings.Count(page, `<td class="n r">`); n != rows+1 {
			t.Errorf("%d cells are right-aligned, not %d and a dash", n, rows)
		}
		if !strings.Contains(page, `<th scope="col" class="r">count</th>`) || !strings.Contains(page, `<th scope="col">cause</th>`) {
			t.Error("the heads do not stand as their columns")
		}
		if strings.Contains(page, `href="#findings-0"`) != (rows+2 > screenful) || !strings.Contains(page, `id="findings-0"`) {
			t.Errorf("%d rows: the link to the findings", rows)
		}
	}
}
