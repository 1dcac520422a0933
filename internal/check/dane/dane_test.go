package dane

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/dane"
	"github.com/mailwhy/mailwhy/internal/wire"
)

func record(n byte) dane.TLSA {
	return dane.TLSA{Usage: 3, Selector: 1, Matching: 1, Data: append(make([]byte, 31), n)}
}

func hostWith(secure bool, codes ...dane.Code) Host {
	h := Host{Name: "mx.example.com", Found: &dane.Found{Name: "_25._tcp.mx.example.com", Secure: secure}, TLS: &wire.Handshake{}, Verdict: &dane.Verdict{}}
	for i, c := range codes {
		r := record(byte(i))
		h.Found.Records = append(h.Found.Records, r)
		h.Verdict.Each = append(h.Verdict.Each, dane.Each{TLSA: r, Code: c})
		h.Verdict.Authenticated = h.Verdict.Authenticated || c == dane.Usable
	}
	return h
}

func TestJudge(t *testing.T) {
	plain := hostWith(true, dane.NoMatch)
	plain.Plain, plain.TLS, plain.Verdict = true, nil, nil
	unseen := hostWith(true, dane.NoMatch)
	unseen.TLS, unseen.Verdict = nil, nil
	pkix := hostWith(true, dane.NoMatch)
	pkix.Found.Records[0].Usage = 1
	for _, c := range []struct {
		name  string
		hosts []Host
		want  string
	}{
		{"good", []Host{hostWith(true, dane.Usable)}, ""},
		{"none", []Host{hostWith(true)}, "dane.missing"},
		{"not signed", []Host{hostWith(false, dane.Usable)}, "dane.insecure"},
		{"mismatch", []Host{hostWith(true, dane.NoMatch)}, "dane.mismatch"},
		{"rollover", []Host{hostWith(true, dane.Usable, dane.NoMatch)}, "dane.rollover"},
		{"no STARTTLS", []Host{plain}, "dane.no-starttls"},
		{"not seen", []Host{unseen}, "!dane.mismatch"},
		{"usage", []Host{pkix}, "dane.unusable"},
		{"some", []Host{hostWith(true, dane.Usable), hostWith(true)}, "dane.missing dane.some-hosts"},
		{"dns", []Host{{Name: "mx.example.com", Err: errors.New("SERVFAIL")}}, "!dane.missing"},
	} {
		var got []string
		for _, f := range Judge(&Facts{Domain: "example.com", Hosts: c.hosts}) {
			switch f.Outcome {
			case finding.Fail:
				got = append(got, f.Rule.ID)
			case finding.Unknown:
				got = append(got, "!"+f.Rule.ID)
			}
			if s := f.Says().In(finding.ZH); strings.Contains(s, "{{") {
				t.Errorf("%s: %q", c.name, s)
			}
		}
		slices.Sort(got)
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %q, want %q", c.name, s, c.want)
		}
	}
}
