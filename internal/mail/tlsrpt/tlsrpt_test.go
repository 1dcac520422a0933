package tlsrpt

import (
	"slices"
	"testing"
)

func TestParseRecord(t *testing.T) {
	for _, c := range []struct {
		in   string
		rua  []string
		want []Code
	}{
		{"v=TLSRPTv1; rua=mailto:reports@example.com", []string{"reports@example.com"}, nil},
		{"v=TLSRPTv1; rua=mailto:a@example.com, https://r.example/v1", []string{"a@example.com", "https://r.example/v1"}, nil},
		{"v=TLSRPTv1;", nil, []Code{NoRUA}},
		{"v=TLSRPTv1; rua=reports@example.com", []string{""}, []Code{BadURI}},
		{"v=TLSRPTv1; rua=http://r.example/", []string{""}, []Code{BadURI}},
		{"v=tlsrptv1; rua=mailto:a@example.com", []string{"a@example.com"}, []Code{VersionText}},
		{"v=TLSRPTv1 rua=mailto:a@example.com", nil, []Code{VersionText, NoRUA}},
	} {
		r := ParseRecord(c.in)
		var rua []string
		for _, x := range r.RUA {
			rua = append(rua, x.Address+x.URL)
		}
		var got []Code
		for _, p := range r.Problems {
			got = append(got, p.Code)
		}
		if !slices.Equal(rua, c.rua) || !slices.Equal(got, c.want) {
			t.Errorf("%q: %q %v, want %q %v", c.in, rua, got, c.rua, c.want)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add("v=TLSRPTv1; rua=mailto:a@example.com,https://x/")
	f.Fuzz(func(t *testing.T, s string) {
		for _, x := range ParseRecord(s).RUA {
			if x.Pos+len(x.Raw) > len(s) || s[x.Pos:x.Pos+len(x.Raw)] != x.Raw {
				t.Fatalf("%q: %+v is not where it says", s, x)
			}
		}
	})
}
