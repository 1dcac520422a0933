package vendor

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail/header"
)

func decode(t testing.TB, head string) []Field {
	t.Helper()
	v, err := knowledge.Embedded().VendorHeaders()
	if err != nil {
		t.Fatal(err)
	}
	b, _, _ := header.ParseBytes([]byte(head+"\r\n\r\n"), header.Limits{})
	return Decode(b, v, 1)
}

func TestDecode(t *testing.T) {
	for _, c := range []struct{ head, key, value, means, verdict string }{
		{"X-Forefront-Antispam-Report: CIP:192.0.2.1;CTRY:DE;LANG:en;SCL:5;SRV:;IPV:NLI;SFV:SPM;H:mail.mine.example;PTR:InfoDomainNonexistent;CAT:SPM;DIR:INB;", "SCL", "5", "spam: goes to the junk folder by default", "bad"},
		{"X-Forefront-Antispam-Report: SCL:-1;SFV:SKA;CAT:NONE", "SFV", "SKA", "sender or domain on the allow list of the policy, not filtered", "good"},
		{"X-Microsoft-Antispam: BCL:0;ARA:1230040", "BCL", "0", "not from a bulk sender", "good"},
		{"X-Spam-Status: Yes, score=7.4 required=5.0 tests=BAYES_99,\r\n\tHTML_MESSAGE autolearn=no", "tests", "BAYES_99 HTML_MESSAGE", "", ""},
		{"X-Spam-Status: No, hits=0.0", "verdict", "No", "not spam", "good"},
		{"X-Spamd-Result: default: False [3.20 / 15.00]; BAYES_SPAM(2.50)[99%]; ARC_NA(0.00)[]", "score", "3.20", "", ""},
		{"X-Spamd-Result: default: False [3.20 / 15.00]; BAYES_SPAM(2.50)[99%]; ARC_NA(0.00)[]", "tests", "BAYES_SPAM(2.50)", "", ""},
		{"X-Rspamd-Action: add header", "", "add header", "mark as spam", "bad"},
		{"X-Alimail-AntiSpam: AC=CONTINUE;BC=0.06|-1;CH=green", "AC", "CONTINUE", "let through", "good"},
		{"X-SBRS: -4.2", "", "-4.2", "bad", "bad"},
	} {
		fs := decode(t, c.head)
		if len(fs) != 1 {
			t.Errorf("%s: %d fields", c.head, len(fs))
			continue
		}
		found := false
		for _, it := range fs[0].Items {
			if it.Key != c.key {
				continue
			}
			found = true
			means := ""
			if it.Means != nil {
				means = it.Means.EN
			}
			if it.Value != c.value || means != c.means || it.Verdict != c.verdict {
				t.Errorf("%s: got %q %q %q", c.head, it.Value, means, it.Verdict)
			}
		}
		if !found {
			t.Errorf("%s: no %s among %+v", c.head, c.key, fs[0].Items)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("X-Spamd-Result: default: False [3.20 / 15.00]; A(2.50)[99%]")
	f.Fuzz(func(t *testing.T, s string) { decode(t, s) })
}
