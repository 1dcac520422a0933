package dkim

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	mrand "math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	oracle "github.com/emersion/go-msgauth/dkim"

	"github.com/mailwhy/mailwhy/internal/mail"
)

var now = time.Now() // go-msgauth signs with the time of the run

const message = "From: Li Wei <li@mine.example>\r\nTo: wang@partner.example\r\nSubject:  two  words\r\n folded\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <1@mine.example>\r\n\r\nHello  there \r\n\r\nsecond line\r\n\r\n\r\n"

type keys struct {
	rsa   *rsa.PrivateKey
	small *rsa.PrivateKey
	ed    ed25519.PrivateKey
}

var testKeys = sync.OnceValue(func() keys {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	s, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		panic(err)
	}
	_, e, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return keys{r, s, e}
})

func record(pub crypto.PublicKey) string {
	if e, ok := pub.(ed25519.PublicKey); ok {
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(e)
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		panic(err)
	}
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
}

func zone(txt ...string) mail.Zone {
	z := mail.Zone{Records: map[string][]mail.Record{}, Fail: map[string]error{}}
	for i := 0; i < len(txt); i += 2 {
		z.Records[txt[i]] = append(z.Records[txt[i]], mail.Record{Type: mail.TypeTXT, TXT: []string{txt[i+1]}})
	}
	return z
}

func keyZone() mail.Zone {
	k := testKeys()
	return zone("r._domainkey.mine.example", record(&k.rsa.PublicKey), "e._domainkey.mine.example", record(k.ed.Public()), "s._domainkey.mine.example", record(&k.small.PublicKey))
}

func sign(t testing.TB, msg string, tune func(*oracle.SignOptions)) string {
	t.Helper()
	o := &oracle.SignOptions{Domain: "mine.example", Selector: "r", Signer: testKeys().rsa,
		HeaderCanonicalization: oracle.CanonicalizationRelaxed, BodyCanonicalization: oracle.CanonicalizationRelaxed,
		HeaderKeys: []string{"From", "To", "Subject", "Date", "Message-ID"}}
	if tune != nil {
		tune(o)
	}
	var out bytes.Buffer
	if err := oracle.Sign(&out, strings.NewReader(msg), o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func verify(t testing.TB, z mail.Resolver, msg string) *Report {
	t.Helper()
	r, err := Verify(context.Background(), z, strings.NewReader(msg), Options{Now: now, Diagnose: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPass(t *testing.T) {
	k := testKeys()
	for _, signer := range []struct {
		sel string
		key crypto.Signer
	}{{"r", k.rsa}, {"e", k.ed}, {"s", k.small}} {
		for _, hc := range []oracle.Canonicalization{"simple", "relaxed"} {
			for _, bc := range []oracle.Canonicalization{"simple", "relaxed"} {
				for _, body := range []string{message, strings.TrimRight(message, "\r\n"), "From: a@mine.example\r\nTo: b@c.example\r\nSubject: x\r\nDate: d\r\nMessage-ID: <2>\r\n\r\n"} {
					msg := sign(t, body, func(o *oracle.SignOptions) {
						o.Selector, o.Signer, o.HeaderCanonicalization, o.BodyCanonicalization = signer.sel, signer.key, hc, bc
					})
					v := verify(t, keyZone(), msg).Signatures[0]
					if v.Status != Pass || v.Signature.Selector != signer.sel || v.Key.Bits == 0 {
						t.Errorf("%s %s/%s: %s %s %s", signer.sel, hc, bc, v.Status, v.Reason, v.Detail)
					}
					lf := strings.ReplaceAll(msg, "\r\n", "\n")
					if v := verify(t, keyZone(), lf).Signatures[0]; v.Status != Pass {
						t.Errorf("%s %s/%s with bare LF: %s %s", signer.sel, hc, bc, v.Status, v.Reason)
					}
				}
			}
		}
	}
}

func TestReasons(t *testing.T) {
	k := testKeys()
	rec := record(&k.rsa.PublicKey)
	good := sign(t, message, nil)
	name := "r._domainkey.mine.example"
	edit := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("no %q in\n%s", old, good)
		}
		return strings.Replace(good, old, with, 1)
	}
	for _, c := range []struct {
		name   string
		msg    string
		zone   mail.Zone
		status Status
		reason Reason
		more   string // Changed, or Detail
	}{
		{"body", edit("second line", "second  lime"), keyZone(), Fail, BodyChanged, ""},
		{"footer", good + "--\r\nlist footer\r\n", keyZone(), Fail, BodyAppended, ""},
		{"subject tag", edit("Subject:  two", "Subject: [list] two"), keyZone(), Fail, HeaderChanged, "Subject"},
		{"spam mark", edit("Subject:  two", "Subject: ***SPAM*** two"), keyZone(), Fail, HeaderChanged, "Subject"},
		{"from", edit("Li Wei <li@", "Li Wei via List <li@"), keyZone(), Fail, HeaderChanged, "From"},
		{"to", edit("To: wang@partner.example", "To: zhao@partner.example"), keyZone(), Fail, HeaderChanged, ""},
		{"other key", good, zone(name, record(&k.small.PublicKey)), Fail, WrongKey, ""},
		{"no key", good, zone(), PermError, NoKey, "NXDOMAIN"},
		{"no TXT", good, zone("x."+name, "x"), PermError, NoKey, ""},
		{"revoked", good, zone(name, "v=DKIM1; p="), PermError, KeyRevoked, ""},
		{"hash denied", good, zone(name, "v=DKIM1; h=sha1; "+rec[9:]), PermError, KeyHashDenied, "sha1"},
		{"broken key", good, zone(name, "v=DKIM1; p=AAAA"), PermError, KeyBroken, "der"},
		{"not a key", good, zone(name, "v=spf1 -all"), PermError, KeyBroken, "not-a-key"},
		{"second record good", good, zone(name, "v=spf1 -all", name, rec), Pass, "", ""},
		{"other type", good, zone(name, record(k.ed.Public())), PermError, KeyMismatch, "ed25519"},
		{"not for mail", good, zone(name, "v=DKIM1; s=tlsrpt; "+rec[9:]), PermError, KeyBroken, "service"},
		{"test", good, zone(name, "v=DKIM1; t=y; "+rec[9:]), Pass, "", ""},
		{"dns down", good, mail.Zone{Fail: map[string]error{name: mail.ErrTemporary}}, TempError, KeyUnavailable, mail.ErrTemporary.Error()},
		{"identity", sign(t, message, func(o *oracle.SignOptions) { o.Identifier = "@other.example" }), keyZone(), PermError, BadIdentity, "@other.example"},
		{"strict", sign(t, message, func(o *oracle.SignOptions) { o.Identifier = "li@sub.mine.example" }), zone(name, "v=DKIM1; t=s; "+rec[9:]), PermError, KeyStrict, "li@sub.mine.example"},
		{"expired", sign(t, message, func(o *oracle.SignOptions) { o.Expiration = now.Add(-time.Hour) }), keyZone(), Fail, Expired, ""},
		{"no selector", strings.Replace(good, "s=r;", "", 1), keyZone(), PermError, MissingTag, "s"},
		{"version", strings.Replace(good, "v=1", "v=2", 1), keyZone(), PermError, BadVersion, "2"},
		{"algorithm", strings.Replace(good, "a=rsa-sha256", "a=rsa-md5", 1), keyZone(), PermError, BadAlgorithm, "rsa-md5"},
		{"twice", strings.Replace(good, "v=1;", "v=1; v=1;", 1), keyZone(), PermError, DuplicateTag, "v"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := verify(t, c.zone, c.msg).Signatures[0]
			more := v.Detail
			if v.Changed != "" {
				more = v.Changed
			}
			if v.Status != c.status || v.Reason != c.reason || more != c.more {
				t.Errorf("%s %s %q, want %s %s %q", v.Status, v.Reason, more, c.status, c.reason, c.more)
			}
		})
	}
}

func TestFooterLineIsNamed(t *testing.T) {
	v := verify(t, keyZone(), sign(t, message, nil)+"--\r\nfooter\r\n").Signatures[0]
	if v.Appended < 4 || v.Appended > 6 {
		t.Errorf("appended at line %d", v.Appended)
	}
}

func TestCopiedHeadersNameTheChange(t *testing.T) {
	msg := sign(t, message, nil)
	msg = strings.Replace(msg, "Subject:  two  words", "Subject: quite another", 1)
	// z= is part of the signed field, so this is only about reading it.
	s := "Subject:two=20words"
	if got := unquote(s); got != "Subject:two words" {
		t.Errorf("%q", got)
	}
	if v := verify(t, keyZone(), msg).Signatures[0]; v.Reason != HeaderChanged {
		t.Errorf("%s", v.Reason)
	}
}

func TestOversigning(t *testing.T) {
	v := verify(t, keyZone(), sign(t, message, func(o *oracle.SignOptions) {
		o.HeaderKeys = []string{"From", "From", "Subject", "Reply-To", "Date"}
	})).Signatures[0]
	if v.Status != Pass || strings.Join(v.Oversigned, " ") != "From Reply-To" || strings.Join(v.Addable, " ") != "To Message-ID" {
		t.Errorf("%s over %v addable %v", v.Status, v.Oversigned, v.Addable)
	}
}

// TestBodyLength builds an l= signature by hand, since the oracle signs none.
func TestBodyLength(t *testing.T) {
	for _, n := range []int64{0, 5, 12, 1000} {
		h := NewBodyHash(crypto.SHA256.New(), Simple, n)
		_, _ = h.Write([]byte("Hello\r\nworld\r\nmore\r\n"))
		_, total := h.Sum()
		if total != 20 {
			t.Errorf("l=%d: %d bytes", n, total)
		}
	}
	short := NewBodyHash(crypto.SHA256.New(), Simple, 7)
	_, _ = short.Write([]byte("Hello\r\nworld\r\n"))
	a, _ := short.Sum()
	want := crypto.SHA256.New()
	want.Write([]byte("Hello\r\n"))
	if !bytes.Equal(a, want.Sum(nil)) {
		t.Error("l=7 does not hash the first seven bytes")
	}
}

// TestAgainstOracle changes messages at random places and wants the same answer as go-msgauth.
func TestAgainstOracle(t *testing.T) {
	rnd := mrand.New(mrand.NewPCG(1, 2))
	z := keyZone()
	lookup := func(name string) ([]string, error) {
		a, err := z.Resolve(context.Background(), name, mail.TypeTXT)
		return a.Texts(), err
	}
	for i := range 400 {
		canon := []oracle.Canonicalization{"simple", "relaxed"}
		msg := []byte(sign(t, message, func(o *oracle.SignOptions) {
			o.HeaderCanonicalization, o.BodyCanonicalization = canon[rnd.IntN(2)], canon[rnd.IntN(2)]
		}))
		from := bytes.Index(msg, []byte("From: ")) // leave the signature field alone: its faults are named differently
		at := from + rnd.IntN(len(msg)-from)
		if c := msg[at]; c == '\r' || c == '\n' || c == ':' || at > 0 && msg[at-1] == '\n' {
			continue
		}
		msg[at] = " x\t"[rnd.IntN(3)]
		theirs, err := oracle.VerifyWithOptions(bytes.NewReader(msg), &oracle.VerifyOptions{LookupTXT: lookup})
		if err != nil || len(theirs) != 1 {
			t.Fatal(err)
		}
		ours := verify(t, z, string(msg)).Signatures[0]
		if (theirs[0].Err == nil) != (ours.Status == Pass) {
			t.Fatalf("case %d: we say %s %s, go-msgauth says %v\n%s", i, ours.Status, ours.Reason, theirs[0].Err, msg)
		}
	}
}

func TestManySignatures(t *testing.T) {
	msg := message
	for range 25 {
		msg = sign(t, msg, nil)
	}
	r := verify(t, keyZone(), msg)
	if len(r.Signatures) != 25 || r.Signatures[0].Status != Pass || r.Signatures[24].Reason != TooMany {
		t.Errorf("%d signatures, last %s", len(r.Signatures), r.Signatures[24].Reason)
	}
}

func TestParseKey(t *testing.T) {
	k := testKeys()
	rec := record(&k.rsa.PublicKey)
	p := rec[strings.Index(rec, "p=")+2:]
	for _, c := range []struct {
		txt  string
		want KeyFaultKind
	}{
		{rec, ""}, {"p=" + p, ""}, {"k=rsa; p=" + p, ""},
		{"v=DKIM2; p=" + p, KeyVersion}, {"p=" + p + "; v=DKIM1", KeyVersion},
		{"v=DKIM1; k=dsa; p=" + p, KeyType}, {"v=DKIM1; k=rsa", KeyMissing}, {"v=DKIM1; p=!!", KeyBase64}, {"v=DKIM1; p=AAAA", KeyDER},
		{"v=DKIM1; k=ed25519; p=" + p, KeyWrongType}, {"v=DKIM1; h=md5; p=" + p, KeyHash}, {"v=DKIM1; s=web; p=" + p, KeyService},
		{"v=DKIM1; p=" + base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(k.small)), KeyPrivate},
		{"v=DKIM1; p=" + base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey)), KeyPKCS1},
		{"hello", KeyLikeOther}, {`v=DKIM1\; k=rsa; p="` + p + `"`, KeyNoSpaceFix},
	} {
		key := ParseKey(c.txt)
		has := c.want == ""
		for _, f := range key.Faults {
			has = has || f.Kind == c.want
		}
		if !has || c.want == "" && (len(key.Faults) > 0 || key.Bits != 2048 || !key.Usable()) {
			t.Errorf("%.40q: faults %v, want %q", c.txt, key.Faults, c.want)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte(message))
	f.Add([]byte("DKIM-Signature: v=1; a=rsa-sha256; d=mine.example; s=r; h=from; b=AA; bh=AA; l=3; z=a=20|b; x=1; t=2\r\nFrom: a\r\n\r\nbody"))
	z := keyZone()
	f.Fuzz(func(t *testing.T, msg []byte) {
		r, err := Verify(context.Background(), z, bytes.NewReader(msg), Options{Now: now, Diagnose: true})
		if err != nil {
			return
		}
		for _, v := range r.Signatures {
			if v.Status == "" {
				t.Fatalf("no status for %q", v.Signature.Field.Raw)
			}
		}
	})
}

func FuzzParseKey(f *testing.F) {
	f.Add("v=DKIM1; k=rsa; h=sha256; t=y:s; s=*; n=x; p=AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		if k := ParseKey(s); k.Usable() && k.Bits == 0 {
			t.Fatalf("%q: a usable key without size", s)
		}
	})
}

func bigMessage() string {
	return strings.Replace(message, "Hello", strings.Repeat("A line of some sixty characters, as they come in real mail.\r\n", 64), 1)
}

func BenchmarkVerify(b *testing.B) {
	msg := sign(b, bigMessage(), nil)
	z := keyZone()
	b.SetBytes(int64(len(msg)))
	for b.Loop() {
		r, err := Verify(context.Background(), z, strings.NewReader(msg), Options{Now: now})
		if err != nil || r.Signatures[0].Status != Pass {
			b.Fatal(err, r.Signatures[0])
		}
	}
}

func BenchmarkMsgauth(b *testing.B) {
	msg := sign(b, bigMessage(), nil)
	z := keyZone()
	lookup := func(name string) ([]string, error) {
		a, err := z.Resolve(context.Background(), name, mail.TypeTXT)
		return a.Texts(), err
	}
	b.SetBytes(int64(len(msg)))
	for b.Loop() {
		v, err := oracle.VerifyWithOptions(strings.NewReader(msg), &oracle.VerifyOptions{LookupTXT: lookup})
		if err != nil || v[0].Err != nil {
			b.Fatal(err, fmt.Sprint(v[0].Err))
		}
	}
}
