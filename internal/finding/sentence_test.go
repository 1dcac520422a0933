package finding

import (
	"strings"
	"testing"
)

// TestSentenceThatHoldsItself ends: a bug in a rule must not hang a report.
func TestSentenceThatHoldsItself(t *testing.T) {
	args := Args{"Name": "mx1"}
	s := S("{{.Name}} {{.What}}", args)
	args["What"] = s
	for _, l := range []Lang{EN, ZH} {
		if got := s.In(l); !strings.HasPrefix(got, "mx1 mx1") || !strings.HasSuffix(got, "…") {
			t.Errorf("%s: %q", l, got)
		}
	}
}
