package caa

import (
	"context"
	"testing"

	"github.com/mailwhy/mailwhy/internal/mail"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		tag, value, issuer, bad string
	}{
		{"issue", "letsencrypt.org", "letsencrypt.org", ""},
		{"ISSUE", "ca.example; accounturi=https://ca.example/1", "ca.example", ""},
		{"issue", ";", "", ""},
		{"issuemail", "CA.Example", "ca.example", ""},
		{"issue", "https://letsencrypt.org", "https://letsencrypt.org", "https://letsencrypt.org"},
		{"issue", "ca.example; nonsense", "ca.example", "nonsense"},
		{"iodef", "mailto:security@example.com", "", ""},
		{"iodef", "security@example.com", "", "security@example.com"},
	} {
		p := Parse(0, c.tag, c.value)
		if p.Issuer != c.issuer || p.Bad != c.bad {
			t.Errorf("%s %q: %+v", c.tag, c.value, p)
		}
	}
	if p := Parse(128, "tbs", "x"); !p.Critical || p.Known() {
		t.Errorf("%+v", p)
	}
}

func TestLookupClimbs(t *testing.T) {
	z := mail.Zone{Records: map[string][]mail.Record{"example.com": {{Type: mail.TypeCAA, Tag: "issue", Data: []byte("ca.example"), Text: `128 issue "ca.example"`}}}}
	f, err := Lookup(context.Background(), z, "mx.mail.example.com.")
	if err != nil || f.At != "example.com" || !f.Has("issue") || f.Has("issuemail") || !f.Properties[0].Critical {
		t.Errorf("%+v %v", f, err)
	}
	if f, err := Lookup(context.Background(), z, "other.example"); err != nil || f.At != "" {
		t.Errorf("%+v %v", f, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(uint8(128), "issue", "ca.example; a=b; c")
	f.Fuzz(func(t *testing.T, flags uint8, tag, value string) { Parse(flags, tag, value) })
}
