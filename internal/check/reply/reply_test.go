package reply

import (
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
)

func TestExplain(t *testing.T) {
	k := knowledge.Embedded()
	for _, c := range []struct {
		text, cause, provider string
		known, permanent      bool
	}{
		{"550 5.1.1 <li@mine.example>: Recipient address rejected: User unknown in virtual mailbox table", "user-unknown", "", true, true},
		{"421 4.7.28 Our system has detected an unusual rate of unsolicited mail. gsmtp", "rate-limited", "Google (Gmail, Workspace)", true, false},
		{"451 4.7.500 Server busy. Please try again later from [192.0.2.25]. (AS77712) [x.protection.outlook.com]", "rate-limited", "Microsoft 365 and Outlook.com", true, false},
		{"553 5.7.2 [TSS09] All messages from 192.0.2.25 will be permanently deferred", "ip-blocked", "Yahoo and AOL", true, true},
		{"550 DT:SPM 163 mx5", "spam", "NetEase (163, 126, yeah.net)", true, true},
		{"550 Ip frequency limited", "rate-limited", "Tencent (QQ Mail, Exmail)", true, true},
		{"554 Reject by behaviour spam at Rcpt State", "bad-reputation", "Alibaba Mail", true, true},
		{"收件人邮箱空间不足", "mailbox-full", "", true, false},
		{"to=<li@ezweb.ne.jp>, relay=lsean.ezweb.ne.jp[198.51.100.7]:25, dsn=5.0.0, status=bounced (host lsean.ezweb.ne.jp[198.51.100.7] said: 550 : User unknown (in reply to end of DATA command))", "recipient-rejected", "Japanese mobile carriers (KDDI au, docomo, SoftBank)", true, true},
		{"450", "unknown", "", true, false},
		{"5.2.2", "mailbox-full", "", true, true},
		{"550 xyzzy plugh", "unknown", "", false, true},
		{"250 2.0.0 Ok: queued as 4D1A21C02B", "delivered", "", true, false},
	} {
		r := Survey(k, c.text, Options{Lang: finding.EN}, time.Time{})
		f := r.Facts.(*Facts)
		if f.Cause != c.cause || f.Known != c.known || f.Permanent != c.permanent || f.Provider != c.provider {
			t.Errorf("%q: cause %s known %v permanent %v provider %q", c.text, f.Cause, f.Known, f.Permanent, f.Provider)
		}
		if r.Headline.Says.In(finding.ZH) == "" {
			t.Errorf("%q: no headline", c.text)
		}
	}
}

func TestUnknownNamesTheNearest(t *testing.T) {
	f := Survey(knowledge.Embedded(), "550 the maiilbox iss fulll", Options{Lang: finding.EN}, time.Time{}).Facts.(*Facts)
	if f.Known || len(f.Nearest) == 0 || !strings.Contains(f.Nearest[0].Phrase, "mailbox") || f.Nearest[0].Percent >= 100 {
		t.Errorf("%+v", f)
	}
}
