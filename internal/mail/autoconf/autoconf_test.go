package autoconf

import (
	"strings"
	"testing"
)

func TestReadWhatIsWritten(t *testing.T) {
	in := []Server{{"imap", "imap.mine.example", 993, "tls", "%EMAILADDRESS%"}, {"smtp", "smtp.mine.example", 587, "starttls", "%EMAILADDRESS%"}}
	c, err := ReadAutoconfig(WriteAutoconfig("mine.example", in))
	if err != nil || len(c.Servers) != 2 || c.Servers[0] != in[0] || c.Servers[1] != in[1] {
		t.Errorf("%+v %v", c, err)
	}
	p := string(WriteProfile("li<@mine.example", in[0], in[1]))
	if !strings.Contains(p, "<integer>993</integer>") || strings.Contains(p, "li<@") {
		t.Error(p)
	}
}

func TestAutodiscover(t *testing.T) {
	wrap := func(s string) []byte {
		return []byte(`<?xml version="1.0"?><Autodiscover xmlns="a"><Response xmlns="b">` + s + `</Response></Autodiscover>`)
	}
	c, err := ReadAutodiscover(wrap(`<Account><Protocol><Type>IMAP</Type><Server>imap.mine.example</Server><Port>993</Port><SSL>on</SSL></Protocol>` +
		`<Protocol><Type>SMTP</Type><Server>smtp.mine.example</Server><Port>587</Port><SSL>on</SSL></Protocol></Account>`))
	if err != nil || len(c.Servers) != 2 || c.Servers[0].Security != "tls" || c.Servers[1].Security != "starttls" {
		t.Errorf("%+v %v", c, err)
	}
	if c, err = ReadAutodiscover(wrap(`<Account><Action>redirectUrl</Action><RedirectUrl>https://a.example/x</RedirectUrl></Account>`)); err != nil || c.Redirect != "https://a.example/x" {
		t.Errorf("%+v %v", c, err)
	}
}

func TestHostileFiles(t *testing.T) {
	for _, s := range []string{
		"", "<html></html>", `<!DOCTYPE a [<!ENTITY x "y">]><clientConfig>&x;</clientConfig>`, strings.Repeat("<a>", 1000),
		strings.Repeat(" ", MaxBytes+1), `<clientConfig><emailProvider><incomingServer type="imap"><hostname>a b</hostname><port>99999</port></incomingServer></emailProvider></clientConfig>`,
	} {
		if c, err := ReadAutoconfig([]byte(s)); err == nil {
			t.Errorf("%.40s: %+v", s, c)
		}
		if c, err := ReadAutodiscover([]byte(s)); err == nil {
			t.Errorf("%.40s: %+v", s, c)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(WriteAutoconfig("mine.example", []Server{{"imap", "imap.mine.example", 993, "tls", ""}}))
	f.Add([]byte(`<Autodiscover><Response><Account><RedirectUrl>x</RedirectUrl></Account></Response></Autodiscover>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, read := range []func([]byte) (*Config, error){ReadAutoconfig, ReadAutodiscover} {
			if c, err := read(b); err == nil && len(c.Servers) > MaxServers {
				t.Error("more servers than the bound")
			}
		}
	})
}
