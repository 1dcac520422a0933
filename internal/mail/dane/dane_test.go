package dane

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail"
)

var day = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

type maker struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func ca(t *testing.T, from, to time.Time) maker {
	return issue(maker{t: t}, &x509.Certificate{Subject: pkix.Name{CommonName: "test CA"}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
}

func issue(by maker, tpl *x509.Certificate) maker {
	by.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		by.t.Fatal(err)
	}
	tpl.SerialNumber = big.NewInt(int64(len(tpl.DNSNames)) + 7)
	parent, sign := tpl, key
	if by.cert != nil {
		parent, sign = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, parent, &key.PublicKey, sign)
	if err != nil {
		by.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		by.t.Fatal(err)
	}
	return maker{by.t, c, key}
}

func leaf(by maker, name string, from, to time.Time) maker {
	return issue(by, &x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: from, NotAfter: to})
}

func TestVerify(t *testing.T) {
	y := 365 * 24 * time.Hour
	root := ca(t, day.Add(-y), day.Add(y))
	other := ca(t, day.Add(-y), day.Add(y))
	good := leaf(root, "mx.example.com", day.Add(-y/2), day.Add(y/2))
	old := leaf(root, "mx.example.com", day.Add(-y/2), day.Add(-y/4))
	chain := []*x509.Certificate{good.cert, root.cert}
	rec := func(c *x509.Certificate, u, s, m uint8) TLSA { return TLSA{u, s, m, Digest(c, s, m)} }
	names := []string{"mx.example.com", "example.com"}
	for _, c := range []struct {
		name  string
		tlsa  TLSA
		chain []*x509.Certificate
		names []string
		want  Code
	}{
		{"3 1 1", rec(good.cert, 3, 1, 1), chain, names, Usable},
		{"3 0 1", rec(good.cert, 3, 0, 1), chain, names, Usable},
		{"3 1 2", rec(good.cert, 3, 1, 2), chain, names, Usable},
		{"3 1 0", rec(good.cert, 3, 1, 0), chain, names, Usable},
		{"3 ignores names", rec(good.cert, 3, 1, 1), chain, []string{"else.example"}, Usable},
		{"3 ignores dates", rec(old.cert, 3, 1, 1), []*x509.Certificate{old.cert}, names, Usable},
		{"3 of another", rec(other.cert, 3, 1, 1), chain, names, NoMatch},
		{"2 0 1", rec(root.cert, 2, 0, 1), chain, names, Usable},
		{"2 checks names", rec(root.cert, 2, 0, 1), chain, []string{"else.example"}, WrongName},
		{"2 checks dates", rec(root.cert, 2, 0, 1), []*x509.Certificate{old.cert, root.cert}, names, OutOfDate},
		{"2 0 0 not sent", rec(root.cert, 2, 0, 0), chain[:1], names, Usable},
		{"2 0 1 not sent", rec(root.cert, 2, 0, 1), chain[:1], names, NoMatch},
		{"2 sent but not above", rec(other.cert, 2, 0, 1), []*x509.Certificate{good.cert, other.cert}, names, BrokenChain},
		{"2 is the leaf", rec(good.cert, 2, 0, 1), chain, names, Usable},
		{"0", rec(root.cert, 0, 0, 1), chain, names, PKIXUsage},
		{"length", TLSA{3, 1, 1, []byte{1}}, chain, names, BadLength},
		{"selector", TLSA{3, 2, 1, make([]byte, 32)}, chain, names, BadSelector},
		{"matching", TLSA{3, 1, 3, make([]byte, 32)}, chain, names, BadMatching},
		{"usage", TLSA{4, 1, 1, make([]byte, 32)}, chain, names, BadUsage},
		{"data", TLSA{3, 1, 0, []byte("no key")}, chain, names, BadData},
		{"nothing shown", rec(good.cert, 3, 1, 1), nil, names, NoCertificate},
	} {
		v := Verify([]TLSA{c.tlsa}, c.chain, c.names, day)
		if got := v.Each[0].Code; got != c.want || v.Authenticated != (c.want == Usable) {
			t.Errorf("%s: %q, want %q (%+v)", c.name, got, c.want, v)
		}
	}
	if got := For(good.cert); !Verify([]TLSA{got}, chain, nil, day).Authenticated {
		t.Errorf("For gives %v, which does not match", got)
	}
}

func TestLookupFollowsSecureCNAME(t *testing.T) {
	r := mail.Func(func(_ context.Context, name string, ty mail.Type) (*mail.Answer, error) {
		a := &mail.Answer{Name: name, Type: ty, Final: name, Secure: true}
		switch {
		case name == "mx.example.com" && ty == mail.TypeA:
			a.Final, a.Chain = "real.example.net", []string{"real.example.net"}
			a.Records = []mail.Record{{}}
		case name == "_25._tcp.mx.example.com":
			a.Records = []mail.Record{{Usage: 3, Selector: 1, Matching: 1, Data: make([]byte, 32)}}
		}
		return a, nil
	})
	f, err := Lookup(context.Background(), r, "MX.example.com.", 25)
	if err != nil || f.Base != "mx.example.com" || len(f.Records) != 1 || !f.HostSecure {
		t.Fatalf("%+v %v", f, err)
	}
}

func FuzzProblem(f *testing.F) {
	f.Add(uint8(3), uint8(1), uint8(0), []byte("x"))
	f.Fuzz(func(t *testing.T, u, s, m uint8, d []byte) {
		Verify([]TLSA{{u, s, m, d}}, nil, nil, day)
		_ = TLSA{u, s, m, d}.String()
	})
}
