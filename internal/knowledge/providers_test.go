package knowledge

import (
	"slices"
	"testing"
)

func TestProviders(t *testing.T) {
	p, err := Embedded().Providers()
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Provider) < 60 {
		t.Errorf("only %d providers", len(p.Provider))
	}
	ids, names := map[string]bool{}, map[string]string{}
	for i := range p.Provider {
		r := &p.Provider[i]
		list, err := r.List()
		if err != nil {
			t.Error(err)
		}
		if ids[r.ID] || r.Name.EN == "" || r.Name.ZH == "" || len(r.Domains)+len(r.MX) == 0 || (len(list) == 0) != r.Closed() {
			t.Errorf("%s: twice, or without name, domain or server", r.ID)
		}
		if !slices.Contains(PasswordKinds(), r.Password) {
			t.Errorf("%s: password %q", r.ID, r.Password)
		}
		ids[r.ID] = true
		for _, n := range slices.Concat(r.Domains, r.MX) {
			if was := names[n]; was != "" && was != r.ID {
				t.Errorf("%s stands with %s and with %s", n, was, r.ID)
			}
			names[n] = r.ID
		}
		for _, s := range list {
			if !slices.Contains([]string{"imap", "pop3", "smtp"}, s.Type) || !slices.Contains([]string{"tls", "starttls"}, s.Security) {
				t.Errorf("%s: %+v", r.ID, s)
			}
		}
	}
	if r := p.OfMX("mxbiz1.qq.com."); r == nil || r.ID != "exmail" {
		t.Errorf("mxbiz1.qq.com is %+v", r)
	}
	for domain, want := range map[string]PasswordKind{"163.com": ByCode, "foxmail.com": ByCode, "189.cn": ByCode, "gmail.com": ByApp, "icloud.com": ByApp, "hotmail.com": ByOAuth, "proton.me": ByBridge, "tuta.com": NoWay, "posteo.de": ""} {
		if r := p.OfDomain(domain); r == nil || r.Password != want {
			t.Errorf("%s: %+v", domain, r)
		}
	}
	if r := p.OfDomain("yeah.net"); r == nil || r.ID != "yeah" {
		t.Errorf("yeah.net is %+v", r)
	}
}
