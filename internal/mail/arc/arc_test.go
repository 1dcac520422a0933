package arc

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/header"
)

const message = "Authentication-Results: list.example; spf=pass smtp.mailfrom=mine.example;\r\n dkim=pass header.d=mine.example\r\nAuthentication-Results: other.example; spf=fail\r\nFrom: li@mine.example\r\nTo: list@list.example\r\nSubject: hello\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n\r\nbody  text \r\n"

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

var edKey = sync.OnceValue(func() ed25519.PrivateKey {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
})

func zone() mail.Zone {
	der, _ := x509.MarshalPKIXPublicKey(&rsaKey().PublicKey)
	return mail.Zone{Records: map[string][]mail.Record{
		"r._domainkey.list.example": {{Type: mail.TypeTXT, TXT: []string{"v=DKIM1; p=" + base64.StdEncoding.EncodeToString(der)}}},
		"e._domainkey.list.example": {{Type: mail.TypeTXT, TXT: []string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(edKey().Public().(ed25519.PublicKey))}}},
	}, Fail: map[string]error{}}
}

func signers() []*Signer {
	h := []string{"From", "To", "Subject", "Date"}
	return []*Signer{
		{Domain: "list.example", Selector: "r", Key: rsaKey(), AuthServID: "list.example", Headers: h, Now: time.Unix(1700000000, 0)},
		{Domain: "list.example", Selector: "e", Key: edKey(), AuthServID: "list.example", Headers: h, Now: time.Unix(1700000000, 0)},
	}
}

// seal adds a set to a message.
func seal(t *testing.T, s *Signer, msg string) string {
	t.Helper()
	got, err := s.Sign(context.Background(), zone(), strings.NewReader(msg))
	if err != nil {
		t.Fatal(err)
	}
	return "ARC-Seal: " + got.Seal + "\r\nARC-Message-Signature: " + got.Message + "\r\nARC-Authentication-Results: " + got.Results + "\r\n" + msg
}

func validate(t *testing.T, z mail.Resolver, msg string) *Chain {
	t.Helper()
	c, err := Validate(context.Background(), z, strings.NewReader(msg), header.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRoundTrip(t *testing.T) {
	for i, s := range signers() {
		msg := message
		for n := 1; n <= 4; n++ {
			msg = seal(t, s, msg)
			c := validate(t, zone(), msg)
			if c.Status != Pass || len(c.Sets) != n || c.Oldest != 1 {
				t.Fatalf("signer %d, set %d: %s %s at %d %s, oldest %d", i, n, c.Status, c.Reason, c.At, c.Detail, c.Oldest)
			}
			if n == 1 && c.Sets[0].Results != "list.example; spf=pass smtp.mailfrom=mine.example; dkim=pass header.d=mine.example" {
				t.Errorf("results %q", c.Sets[0].Results)
			}
			if lf := validate(t, zone(), strings.ReplaceAll(msg, "\r\n", "\n")); lf.Status != Pass {
				t.Errorf("with bare LF: %s %s", lf.Status, lf.Reason)
			}
		}
	}
}

func TestReasons(t *testing.T) {
	s := signers()[0]
	one := seal(t, s, message)
	two := seal(t, s, one)
	for _, c := range []struct {
		name, msg string
		status    Status
		reason    Reason
		at        int
	}{
		{"none", message, None, "", 0},
		{"body", strings.Replace(two, "body", "bode", 1), Fail, MessageBroken, 2},
		{"subject", strings.Replace(one, "Subject: hello", "Subject: [list] hello", 1), Fail, MessageBroken, 1},
		{"results", strings.Replace(two, "ARC-Authentication-Results: i=1; list.example; spf=pass", "ARC-Authentication-Results: i=1; list.example; spf=fail", 1), Fail, SealBroken, 2},
		{"gap", strings.ReplaceAll(one, "i=1;", "i=2;"), Fail, GapInChain, 1},
		{"no results", strings.Replace(one, "ARC-Authentication-Results", "X-Was", 1), Fail, MissingField, 1},
		{"instance", strings.Replace(one, "ARC-Authentication-Results: i=1", "ARC-Authentication-Results: i=x", 1), Fail, BadInstance, 0},
		{"twice", "ARC-Authentication-Results: i=1; a\r\n" + one, Fail, Duplicate, 1},
		{"cv", strings.Replace(one, "cv=none", "cv=pass", 1), Fail, BadChainValue, 1},
		{"sealed fail", strings.Replace(two, "cv=pass", "cv=fail", 1), Fail, SealedFail, 2},
		{"h in seal", strings.Replace(one, "cv=none", "h=from; cv=none", 1), Fail, HeadersInSeal, 1},
		{"no domain", strings.Replace(one, "; d=list.example", "", 1), Fail, BadTags, 1},
	} {
		got := validate(t, zone(), c.msg)
		if got.Status != c.status || got.Reason != c.reason || got.At != c.at {
			t.Errorf("%s: %s %s at %d (%s), want %s %s at %d", c.name, got.Status, got.Reason, got.At, got.Detail, c.status, c.reason, c.at)
		}
	}
	z := zone()
	z.Fail["r._domainkey.list.example"] = mail.ErrTemporary
	if c := validate(t, z, one); c.Status != Fail || !c.Temp {
		t.Errorf("DNS down: %s, temporary %v", c.Status, c.Temp)
	}
}

func TestOldestThatStillVerifies(t *testing.T) {
	s := signers()[0]
	msg := seal(t, s, message)
	msg = strings.Replace(msg, "Subject: hello", "Subject: [list] hello", 1) // the list edits, then seals
	c, err := s.Sign(context.Background(), zone(), strings.NewReader(msg))
	if err != nil || c.CV != Fail {
		t.Fatalf("%v %+v", err, c)
	}
	msg = strings.Replace(msg, "[list] ", "", 1)
	two := seal(t, s, msg)
	if c := validate(t, zone(), two); c.Oldest != 1 {
		t.Errorf("oldest %d", c.Oldest)
	}
}

func TestNothingIsAddedToAFailedChain(t *testing.T) {
	s := signers()[0]
	msg := strings.Replace(seal(t, s, message), "body", "other", 1)
	failed := seal(t, s, msg)
	if _, err := s.Sign(context.Background(), zone(), strings.NewReader(failed)); !errors.Is(err, ErrSealedFail) {
		t.Errorf("%v", err)
	}
}

func FuzzValidate(f *testing.F) {
	f.Add([]byte("ARC-Seal: i=1; a=rsa-sha256; cv=none; d=list.example; s=r; b=AA\r\nARC-Message-Signature: i=1; a=rsa-sha256; d=list.example; s=r; h=from; bh=AA; b=AA\r\nARC-Authentication-Results: i=1; x; arc=none\r\nFrom: a\r\n\r\nb"))
	f.Add([]byte("ARC-Seal: i=50; ;; b\r\n\r\n"))
	z := zone()
	f.Fuzz(func(t *testing.T, msg []byte) {
		c, err := Validate(context.Background(), z, bytes.NewReader(msg), header.Limits{})
		if err == nil && c.Status == Fail && c.Reason == "" {
			t.Fatal("a chain fails without a reason")
		}
	})
}
