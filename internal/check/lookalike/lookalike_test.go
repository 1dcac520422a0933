package lookalike

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/knowledge"
)

func TestFind(t *testing.T) {
	b, err := knowledge.Embedded().Brands()
	if err != nil {
		t.Fatal(err)
	}
	for domain, want := range map[string]How{
		"paypal.com": "", "mail.paypal.com": "", "mine.example": "", "gmail.com": "", "163.com": "", "qq.com": "",
		"paypa1.com": Confusable, "rnicrosoft.com": Confusable, "xn--pypal-4ve.com": Confusable, "xn--80ak6aa92e.com": Confusable,
		"paypall.com": Typo, "microsfot.com": Typo, "amazom.com": Typo,
		"paypal-security.example": Embedded, "paypal.com.login.example": Embedded,
		"ups-and-downs.example": "", "chaser.example": "", "visage.com": "", "googles.example": Typo, "ali.example": "",
		"": "", "xn--": "", "...": "",
	} {
		m := Find(domain, b)
		if got := how(m); got != want {
			t.Errorf("%s: %q (%+v), want %q", domain, got, m, want)
		}
	}
}

func how(m *Match) How {
	if m == nil {
		return ""
	}
	return m.How
}

func FuzzFind(f *testing.F) {
	b, err := knowledge.Embedded().Brands()
	if err != nil {
		f.Fatal(err)
	}
	f.Add("xn--pypal-4ve.com")
	f.Fuzz(func(t *testing.T, s string) { Find(s, b) })
}
