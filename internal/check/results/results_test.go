package results

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/mail/header"
)

func TestRead(t *testing.T) {
	b, _, err := header.ParseBytes([]byte("Authentication-Results: mx.example; dkim=fail reason=\"bad; hash\" (2048-bit) header.i=@a.example header.s=s; spf=pass smtp.mailfrom=b@a.example\r\n"+
		"Received-SPF: Softfail (mx2.example: domain does not designate) receiver=mx2.example; envelope-from=\"b@a.example\"\r\n"+
		"ARC-Authentication-Results: i=1; mx3.example; arc=none\r\nAuthentication-Results: spf=pass smtp.mailfrom=a.example; dmarc=bestguesspass action=none\r\n\r\n"), header.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	rs := Read(b, 1, "mx.example")
	if len(rs) != 4 || rs[0].Host != "mx.example" || rs[0].Results[0] != (Result{"dkim", "fail", "header.i=@a.example", "bad; hash"}) ||
		rs[1].Host != "mx2.example" || rs[1].Results[0].Result != "softfail" || rs[1].Results[0].For != "smtp.mailfrom=b@a.example" ||
		rs[2].Host != "mx3.example" || rs[3].Host != "" || len(rs[3].Results) != 2 {
		t.Errorf("%+v", rs)
	}
}

func TestBorderIsBelieved(t *testing.T) {
	b, _, _ := header.ParseBytes([]byte("Received: x\r\nAuthentication-Results: mx.partner.example; spf=fail\r\nAuthentication-Results: other.example; spf=fail\r\nReceived: y\r\nAuthentication-Results: mx.partner.example; spf=fail\r\n\r\n"), header.Limits{})
	rs := Read(b, 1, "mx2.partner.example")
	if !rs[0].Believed || rs[1].Believed || rs[2].Believed {
		t.Errorf("%+v", rs)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("mx.example; dkim=fail reason=\"x\" (c) header.d=a.example")
	f.Fuzz(func(t *testing.T, s string) {
		b, _, _ := header.ParseBytes([]byte("Authentication-Results: "+s+"\r\nReceived-SPF: "+s+"\r\n\r\n"), header.Limits{})
		Read(b, 1, "mx.example")
	})
}
