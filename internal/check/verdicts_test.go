package check

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/finding"
)

func TestFilterVerdict(t *testing.T) {
	for _, c := range [...]struct{ word, en, zh string }{
		{"signed", "signed", "已签名"},
		{"CLEAN", "clean", "干净"},
		{"Softfail", "softfail: likely not allowed", "softfail：很可能未获授权"},
		{"add header", "marked as spam in the header", "已在邮件头标记为垃圾邮件"},
		{"own word {x}", "own word {x}", "own word {x}"},
	} {
		s := FilterVerdict(c.word)
		if en, zh := s.In(finding.EN), s.In(finding.ZH); en != c.en || zh != c.zh {
			t.Errorf("%q: %q, %q; want %q, %q", c.word, en, zh, c.en, c.zh)
		}
	}
}
