package knowledge

import (
	"strings"
	"testing"
)

func TestFamilies(t *testing.T) {
	f, err := Embedded().Families()
	if err != nil {
		t.Fatal(err)
	}
	seen, ids := map[string]string{}, map[string]bool{}
	for _, fam := range f.Family {
		if fam.ID == "" || ids[fam.ID] {
			t.Errorf("family %q: empty or twice", fam.ID)
		}
		ids[fam.ID] = true
		if fam.Kind != "mailbox" && fam.Kind != "gateway" {
			t.Errorf("%s: kind %q", fam.ID, fam.Kind)
		}
		if fam.Name.EN == "" || fam.Name.ZH == "" || len(fam.Hosts) == 0 {
			t.Errorf("%s: both names and a host are needed", fam.ID)
		}
		for _, h := range fam.Hosts {
			if h != strings.ToLower(h) || !strings.Contains(h, ".") || strings.HasPrefix(h, ".") {
				t.Errorf("%s: host %q: lower case, at least two labels", fam.ID, h)
			}
			if was := seen[h]; was != "" {
				t.Errorf("%s stands under %s and %s", h, was, fam.ID)
			}
			seen[h] = fam.ID
		}
	}
	for host, want := range map[string]string{
		"example-com.mail.protection.outlook.com.": "microsoft", "gmail-smtp-in.l.google.com": "google", "mx3.qq.com": "tencent",
		"notgoogle.com": "", "163mx01.mxmail.netease.com": "netease",
	} {
		got := ""
		if fam := f.OfHost(host); fam != nil {
			got = fam.ID
		}
		if got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}
