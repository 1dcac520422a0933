package dns

import (
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/mailwhy/mailwhy/internal/mail"
)

// FuzzDecode feeds answers to everything that reads them: the decoder, the folding into an answer, the denial proofs.
func FuzzDecode(f *testing.F) {
	m := new(miekg.Msg)
	m.SetQuestion("a.test.", miekg.TypeMX)
	m.Response = true
	for _, s := range []string{"a.test. 60 IN MX 10 mx.a.test.", "a.test. CNAME b.test.", `a.test. TXT "a\"b" "\000\255"`, "a.test. TLSA 3 1 1 00ff",
		"a.test. RRSIG MX 13 2 60 20261201000000 20261101000000 1 test. AAAA", "a.test. NSEC b.test. MX RRSIG", "a.test. CAA 0 issue \"x\"",
		"4v3d0kbp9p4b2m0g4q9b1l0a4ra2e1jc.test. NSEC3 1 1 5 - 4v3d0kbp9p4b2m0g4q9b1l0a4ra2e1jd MX"} {
		rr, err := miekg.NewRR(s)
		if err != nil {
			f.Fatal(err)
		}
		m.Answer, m.Ns = append(m.Answer, rr), append(m.Ns, rr)
	}
	m.SetEdns0(1232, true)
	b, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:len(b)/2])
	now := time.Unix(1_790_000_000, 0)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err != nil {
			return
		}
		for _, ty := range []mail.Type{mail.TypeMX, mail.TypeTXT, mail.TypeDS} {
			a, _ := answer(m, "a.test", ty)
			if a.TTL < 0 || len(a.Chain) > maxChain+1 {
				t.Fatalf("answer %+v", a)
			}
		}
		records(m.Ns)
		edeOf(m)
		deny(m, "a.test", miekg.TypeDS, "test", nil, now)
		d := newDenial(m, "test", nil, now)
		for _, rr := range m.Ns { // as if the signatures were good
			switch v := rr.(type) {
			case *miekg.NSEC:
				d.nsec = append(d.nsec, v)
			case *miekg.NSEC3:
				if v.Iterations <= maxIterations {
					d.nsec3 = append(d.nsec3, v)
				}
			}
		}
		d.absent("x.a.test", miekg.TypeMX, true)
		d.absent("x.a.test", miekg.TypeMX, false)
		reply(m, &packet{}).Referral()
	})
}

// FuzzName holds that a name either is refused or survives the way out and back.
func FuzzName(f *testing.F) {
	for _, s := range []string{"a.test", "a.test.", `a\.b.test`, `\000\255.x`, "", ".", "a..b", strings.Repeat("a", 64), `\`, `a\`, `\1`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q := Question{Name: s, Type: mail.TypeMX}
		b, err := q.pack()
		if err != nil {
			return
		}
		m := new(miekg.Msg)
		if err := m.Unpack(b); err != nil || len(m.Question) != 1 {
			t.Fatalf("%q packs into what cannot be read: %v", s, err)
		}
		again := Question{Name: m.Question[0].Name, Type: mail.TypeMX}
		b2, err := again.pack()
		if err != nil || string(questionOf(b2)) != string(questionOf(b)) {
			t.Fatalf("%q comes back as %q: %v", s, again.Name, err)
		}
		if b[2] |= 0x80; !answers(b, b) {
			t.Fatalf("%q: the echo does not answer the question", s)
		}
	})
}

func FuzzResolvConf(f *testing.F) {
	f.Add("nameserver 192.0.2.1\n# nameserver 192.0.2.2\nnameserver ::1 ; x\nsearch a\n")
	f.Fuzz(func(t *testing.T, s string) {
		servers, err := readResolvConf(strings.NewReader(s))
		if err == nil && len(servers) == 0 {
			t.Fatal("neither servers nor an error")
		}
		for _, x := range servers {
			newServer(x)
		}
	})
}
