package cli

import (
	"strings"
	"testing"
)

func TestDomainName(t *testing.T) {
	for in, want := range map[string]string{
		"example.com": "example.com", "Example.COM.": "example.com", "例子.测试": "xn--fsqu00a.xn--0zwm56d",
		"_dmarc.example.com": "_dmarc.example.com", " mine.example ": "mine.example", "com": "com",
		"": "", "a..b": "", "192.0.2.1": "", "a b.example": "", "a@b.example": "", "2001:db8::1": "",
		strings.Repeat("a", 64) + ".example": "", strings.Repeat("a.", 300) + "example": "", "a/b": "",
	} {
		got, err := domainName(in)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q %v, want %q", in, got, err, want)
		}
	}
}
