package tlsrpt

import (
	"context"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
)

func TestJudge(t *testing.T) {
	for want, texts := range map[string][]string{
		"":                   {"v=TLSRPTv1; rua=mailto:t@example.com"},
		"tlsrpt.missing":     nil,
		"tlsrpt.several":     {"v=TLSRPTv1; rua=mailto:t@example.com", "v=TLSRPTv1; rua=mailto:u@example.com"},
		"tlsrpt.syntax":      {"v=TLSRPTv1; rua=t@example.com"},
		"tlsrpt.unreachable": {"v=TLSRPTv1; rua=mailto:t@nothing.example"},
	} {
		z := mail.Zone{Records: map[string][]mail.Record{"example.com": {{Type: mail.TypeMX, Host: "mx.example.com"}}}}
		for _, s := range texts {
			z.Records["_smtp._tls.example.com"] = append(z.Records["_smtp._tls.example.com"], mail.Record{Type: mail.TypeTXT, TXT: []string{s}})
		}
		var got []string
		for _, f := range Judge(Look(context.Background(), z, "example.com")) {
			if f.Outcome != finding.Pass {
				got = append(got, f.Rule.ID)
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%q: %s, want %s", texts, s, want)
		}
	}
}
