package dkim

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail"
)

var table = []knowledge.Selector{{Name: "default", Common: true}, {Name: "s1", By: "Sender", Common: true}, {Name: "rare"}}

func zone(txt ...string) mail.Zone {
	z := mail.Zone{Records: map[string][]mail.Record{}, Fail: map[string]error{}}
	for i := 0; i < len(txt); i += 2 {
		rr := mail.Record{Type: mail.TypeTXT, TXT: []string{txt[i+1]}}
		if host, ok := strings.CutPrefix(txt[i+1], "CNAME "); ok {
			rr = mail.Record{Type: mail.TypeCNAME, Host: host}
		}
		name := txt[i] + "._domainkey.mine.example"
		z.Records[name] = append(z.Records[name], rr)
	}
	return z
}

// wildcard answers every unknown name below _domainkey.
type wildcard struct {
	mail.Zone
	txt string
}

func (w wildcard) Resolve(ctx context.Context, name string, t mail.Type) (*mail.Answer, error) {
	a, err := w.Zone.Resolve(ctx, name, t)
	if err == nil && len(a.Records) == 0 && t == mail.TypeTXT {
		a.NXDomain = false
		if strings.HasSuffix(name, "._domainkey.mine.example") {
			a.Records = []mail.Record{{Type: mail.TypeTXT, TXT: []string{w.txt}}}
		}
	}
	return a, err
}

type pair struct{ pub, pem string }

var pairs = sync.OnceValue(func() map[string]pair {
	out := map[string]pair{}
	for name, bits := range map[string]int{"2048": 2048, "other": 2048, "1024": 1024} {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		der, _ := x509.MarshalPKIXPublicKey(&k.PublicKey)
		out[name] = pair{base64.StdEncoding.EncodeToString(der), string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}))}
	}
	p, k, _ := ed25519.GenerateKey(rand.Reader)
	der, _ := x509.MarshalPKCS8PrivateKey(k)
	out["ed"] = pair{base64.StdEncoding.EncodeToString(p), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))}
	return out
})

func failed(fs []finding.Finding) (out []string) {
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
	p := pairs()["2048"].pub
	good := "v=DKIM1; k=rsa; p=" + p
	for _, c := range []struct {
		name  string
		zone  mail.Resolver
		given []string
		want  string
	}{
		{"flawless", zone("default", good), nil, ""},
		{"given", zone("own", good), []string{"own"}, ""},
		{"none", zone(), nil, "dkim.none"},
		{"unknown selector", zone("hidden", good), nil, "?dkim.none"},
		{"rare is tried by the command", zone("rare", good), nil, ""},
		{"missing", zone("default", good), []string{"own"}, "dkim.selector-missing"},
		{"dangling", zone("default", good, "s1", "CNAME s1.gone.example"), nil, "dkim.selector-missing"},
		{"cut", zone("default", "v=DKIM1; k=rsa; p="+p[:100]), nil, "dkim.syntax"},
		{"version", zone("default", "k=rsa; v=DKIM1; p="+p), nil, "dkim.syntax"},
		{"quotes", zone("default", `v=DKIM1\; k=rsa\; p="`+p+`"`), nil, "dkim.syntax"},
		{"not a key", zone("default", "hello"), nil, "dkim.syntax dkim.tag"},
		{"several", zone("default", good, "default", "v=DKIM1; p="), nil, "dkim.several"},
		{"1024", zone("default", "v=DKIM1; p="+pairs()["1024"].pub), nil, "dkim.short-key"},
		{"test", zone("default", "v=DKIM1; t=y; p="+p), nil, "dkim.test-mode"},
		{"test and strict", zone("default", "v=DKIM1; t=y:s; p="+p), nil, "dkim.test-mode"},
		{"revoked", zone("default", good, "s1", "v=DKIM1; p="), nil, "dkim.revoked"},
		{"hash", zone("default", "v=DKIM1; h=sha1; p="+p), nil, "dkim.hash-limit"},
		{"same", zone("default", good, "s1", good), nil, "dkim.duplicate-key"},
		{"ed25519", zone("default", "v=DKIM1; k=ed25519; p="+pairs()["ed"].pub), nil, "dkim.ed25519-only"},
		{"wildcard", wildcard{zone("default", good), "v=spf1 -all"}, nil, "dkim.wildcard"},
		{"dns down", mail.Zone{Fail: map[string]error{"_domainkey.mine.example": mail.ErrTemporary}}, nil, "?dkim.none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := Look(context.Background(), c.zone, table, "mine.example", Question{Selectors: c.given, All: true})
			fs := Judge(f)
			if got := strings.Join(failed(fs), " "); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			for i := range fs {
				for _, l := range []finding.Lang{finding.EN, finding.ZH} {
					if s := fs[i].Says().In(l); strings.Contains(s, "{{") || strings.Contains(s, "<no value>") {
						t.Errorf("%s says %q", fs[i].Rule.ID, s)
					}
				}
				heals(t, &fs[i])
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

// heals publishes a proposed record and judges again: the finding must be gone.
func heals(t *testing.T, f *finding.Finding) {
	t.Helper()
	if f.Outcome != finding.Fail || len(f.Fix) == 0 || f.Fix[0].Kind != finding.DNSReplace {
		return
	}
	text := strings.ReplaceAll(strings.Trim(f.Fix[0].New, `"`), `" "`, "")
	if again := failed(Judge(Look(context.Background(), zone("default", text), table, "mine.example", Question{}))); slices.Contains(again, f.Rule.ID) {
		t.Errorf("%s: the repair %q leaves %v", f.Rule.ID, text, again)
	}
}

func TestPrivateKey(t *testing.T) {
	z := zone("rsa", "v=DKIM1; p="+pairs()["2048"].pub, "ed", "v=DKIM1; k=ed25519; p="+pairs()["ed"].pub)
	for _, c := range []struct{ sel, key, want string }{
		{"rsa", "2048", ""}, {"rsa", "other", "dkim.key-mismatch"}, {"ed", "ed", "dkim.ed25519-only"}, {"ed", "2048", "dkim.ed25519-only dkim.key-mismatch"},
	} {
		own, err := ReadPrivateKey("key.pem", []byte(pairs()[c.key].pem))
		if err != nil {
			t.Fatal(err)
		}
		f := Look(context.Background(), z, nil, "mine.example", Question{Selectors: []string{c.sel}, Own: own})
		if got := strings.Join(failed(Judge(f)), " "); got != c.want {
			t.Errorf("%s with key %s: %s, want %s", c.sel, c.key, got, c.want)
		}
	}
	for _, bad := range []string{"", "hello", "-----BEGIN X-----\nAAAA\n-----END X-----\n"} {
		if _, err := ReadPrivateKey("x", []byte(bad)); err == nil {
			t.Errorf("%q taken for a key", bad)
		}
	}
}

func TestPrivateKeyInTheDNSIsNotShown(t *testing.T) {
	block, _ := pem.Decode([]byte(pairs()["1024"].pem))
	secret := base64.StdEncoding.EncodeToString(block.Bytes)
	fs := Judge(Look(context.Background(), zone("default", "v=DKIM1; p="+secret), table, "mine.example", Question{}))
	if !slices.Contains(failed(fs), "dkim.private-key-published") {
		t.Fatal(failed(fs))
	}
	for _, f := range fs {
		for _, e := range f.Evidence {
			if strings.Contains(e.Raw, secret) {
				t.Errorf("%s shows the key", f.Rule.ID)
			}
		}
	}
}
