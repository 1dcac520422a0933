package auth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/header"
)

const message = "From: Li <li@mine.example>\r\nTo: wang@partner.example\r\nSubject: hello\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n\r\nline one\r\nline two\r\n"

var key = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func zone() mail.Zone {
	der, _ := x509.MarshalPKIXPublicKey(&key().PublicKey)
	txt := func(s string) []mail.Record { return []mail.Record{{Type: mail.TypeTXT, TXT: []string{s}}} }
	rec := txt("v=DKIM1; p=" + base64.StdEncoding.EncodeToString(der))
	return mail.Zone{Records: map[string][]mail.Record{
		"mine.example":               txt("v=spf1 ip4:192.0.2.1 -all"),
		"_dmarc.mine.example":        txt("v=DMARC1; p=reject"),
		"r._domainkey.mine.example":  rec,
		"r._domainkey.stranger.test": rec,
		"other.example":              txt("v=spf1 ip4:192.0.2.9 -all"),
	}, Fail: map[string]error{}}
}

func signed(t *testing.T, domain string) string {
	t.Helper()
	var out bytes.Buffer
	err := dkim.Sign(&out, strings.NewReader(message), &dkim.SignOptions{Domain: domain, Selector: "r", Signer: key(),
		HeaderCanonicalization: "relaxed", BodyCanonicalization: "relaxed",
		HeaderKeys: []string{"From", "To", "Subject", "Date", "From", "Subject", "Cc", "Reply-To", "Message-ID", "Content-Type", "Content-Transfer-Encoding", "MIME-Version", "To", "Date"}})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func verdicts(fs []finding.Finding) (out []string) {
	for _, f := range fs {
		switch f.Outcome {
		case finding.Fail:
			out = append(out, f.Rule.ID)
		case finding.Unknown:
			out = append(out, "?"+f.Rule.ID)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestJudge(t *testing.T) {
	good := signed(t, "mine.example")
	down := zone()
	down.Fail["r._domainkey.mine.example"] = mail.ErrTemporary
	for _, c := range []struct {
		name, msg, ip, from string
		zone                mail.Zone
		want                string
	}{
		{"flawless", good, "192.0.2.1", "li@mine.example", zone(), ""},
		{"forwarded", good, "198.51.100.1", "li@mine.example", zone(), "auth.spf"},
		{"footer", good + "footer\r\n", "192.0.2.1", "li@mine.example", zone(), "auth.dkim"},
		{"forwarded with footer", good + "footer\r\n", "198.51.100.1", "li@mine.example", zone(), "auth.dkim auth.dmarc auth.spf"},
		{"unsigned", message, "192.0.2.1", "li@mine.example", zone(), "auth.dkim-missing"},
		{"forged", message, "192.0.2.9", "x@other.example", zone(), "auth.dkim-missing auth.dmarc"},
		{"signed by another", signed(t, "stranger.test"), "192.0.2.9", "x@other.example", zone(), "auth.dmarc"},
		{"key away", good, "198.51.100.1", "li@mine.example", down, "?auth.dkim ?auth.dmarc auth.spf"},
		{"no IP", message, "", "li@mine.example", zone(), "?auth.dmarc ?auth.spf auth.dkim-missing"},
		{"no policy", strings.Replace(message, "mine.example", "other.example", 1), "192.0.2.9", "x@other.example", zone(), "auth.dkim-missing auth.dmarc-missing"},
		{"no From", "To: a@b.example\r\n\r\n", "192.0.2.1", "li@mine.example", zone(), "?auth.dmarc auth.dkim-missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, body, err := header.ParseBytes([]byte(c.msg), header.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			in := Input{Header: b, Body: body, MailFrom: c.from, HELO: "h.example", Now: time.Now()}
			if c.ip != "" {
				in.IP = netip.MustParseAddr(c.ip)
			}
			f := Look(context.Background(), c.zone, in)
			fs := Judge(f, finding.Subject{Kind: finding.KindMessage, Name: "m.eml"})
			if got := strings.Join(verdicts(fs), " "); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			for i := range fs {
				for _, l := range []finding.Lang{finding.EN, finding.ZH} {
					if s := fs[i].Says().In(l); strings.Contains(s, "{{") || strings.Contains(s, "<no value>") {
						t.Errorf("%s says %q", fs[i].Rule.ID, s)
					}
				}
			}
			for _, s := range Sections(f) {
				for _, r := range s.Rows {
					if len(r.Cells) != len(s.Columns) {
						t.Errorf("a row of %d cells under %d heads", len(r.Cells), len(s.Columns))
					}
				}
			}
		})
	}
}

func TestFromDomain(t *testing.T) {
	for in, want := range map[string]string{
		"Li <li@Mine.Example>": "mine.example", "li@mine.example": "mine.example", "li@mine.example (Li)": "mine.example", "\"a@b\" <li@mine.example.>": "mine.example", "Li": "", "": "",
	} {
		b, _, _ := header.ParseBytes([]byte("From: "+in+"\r\n\r\n"), header.Limits{})
		if got := fromDomain(b); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
