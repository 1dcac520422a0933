package knowledge

import (
	"regexp"
	"strings"
	"testing"
)

func TestVulnerable(t *testing.T) {
	v, err := Embedded().Vulnerable()
	if err != nil || v.Checked.Year == 0 || len(v.Holes) == 0 {
		t.Fatalf("%+v, %v", v, err)
	}
	cve := regexp.MustCompile(`^CVE-\d{4}-\d{4,}$`)
	for _, h := range v.Holes {
		if !cve.MatchString(h.CVE) || h.EN == "" || h.ZH == "" || h.Product != strings.ToLower(h.Product) || len(h.Fixed) == 0 {
			t.Errorf("%+v", h)
		}
		for _, f := range h.Fixed {
			if _, ok := numbers(f); !ok {
				t.Errorf("%s: fixed in %q", h.CVE, f)
			}
		}
	}
	for _, c := range []struct {
		product, version, want string
	}{
		{"postfix", "3.7.8", "CVE-2023-51764"}, {"postfix", "3.7.11-0+deb12u1", ""}, {"postfix", "3.9.0", ""}, {"postfix", "3.4.1", "CVE-2023-51764"},
		{"postfix", "3.8.3", "CVE-2023-51764"}, {"exim", "4.96.2", "CVE-2023-51766 CVE-2024-39929"}, {"exim", "4.98", "CVE-2025-26794"}, {"exim", "4.98.1", ""},
		{"exim", "4.86", "CVE-2023-51766 CVE-2023-42115 CVE-2020-28017 CVE-2019-15846 CVE-2024-39929"},
		{"dovecot", "2.3.19.1", "CVE-2024-23184"}, {"dovecot", "2.4.0", ""}, {"dovecot", "2.2.36.4", "CVE-2024-23184"}, {"postfix", "unknown", ""}, {"opensmtpd", "6.6.1p1", "CVE-2020-7247 CVE-2020-8794"},
	} {
		var got []string
		for _, h := range v.Of(c.product, c.version) {
			got = append(got, h.CVE)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s %s: %q, want %q", c.product, c.version, s, c.want)
		}
	}
}
