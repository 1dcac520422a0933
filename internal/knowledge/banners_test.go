package knowledge

import (
	"strings"
	"testing"
)

func TestBannersTable(t *testing.T) {
	b, err := Embedded().Banners()
	if err != nil {
		t.Fatal(err)
	}
	if b.Checked.Year < 2026 {
		t.Error("no date of the last check")
	}
	seen := map[string]string{}
	for i, p := range b.Product {
		name := p.Vendor + "/" + p.Product
		if p.Product == "" && p.OS == "" || len(p.Match) == 0 {
			t.Errorf("row %d (%s): a product or a system, and a pattern are needed", i+1, name)
		}
		for j, m := range p.Match {
			if was := seen[m]; was != "" {
				t.Errorf("%s: pattern %q stands under %s as well", name, m, was)
			}
			seen[m] = name
			if b.products[i][j].MatchString("") {
				t.Errorf("%s: pattern %q matches an empty greeting", name, m)
			}
			if b.products[i][j].MatchString("mx1.example.org ESMTP ready") {
				t.Errorf("%s: pattern %q matches a greeting that says nothing", name, m)
			}
		}
	}
	for i, s := range b.System {
		if s.Name == "" || len(s.Match) == 0 {
			t.Errorf("system %d: a name and a pattern are needed", i+1)
		}
	}
}

func TestBanners(t *testing.T) {
	b, err := Embedded().Banners()
	if err != nil {
		t.Fatal(err)
	}
	for banner, want := range map[string]Software{
		"220 mx.example.org ESMTP Postfix (Debian/GNU)":                              {Vendor: "Postfix", Product: "Postfix", OS: "Debian", Host: "mx.example.org"},
		"220 postfix.example.org ESMTP Exim 4.98 Sun, 22 Nov 2026 05:00:00 +0000":    {Vendor: "Exim", Product: "Exim", Version: "4.98", Host: "postfix.example.org"},
		"* OK [CAPABILITY IMAP4rev1 SASL-IR] Dovecot (Ubuntu) ready.":                {Vendor: "Dovecot", Product: "Dovecot", OS: "Ubuntu"},
		"+OK Dovecot ready. <1d3c.1.6563.abc@mail.example.org>":                      {Vendor: "Dovecot", Product: "Dovecot", Host: "mail.example.org"},
		"220 mail.example.org ESMTP":                                                 {Host: "mail.example.org"},
		"220 mail.example.org ESMTP OpenSMTPD":                                       {Vendor: "OpenBSD", Product: "OpenSMTPD", Host: "mail.example.org"},
		"* OK imap.example.org Cyrus IMAP 3.6.1-Debian-3.6.1-4+deb12u3 server ready": {Vendor: "Carnegie Mellon University", Product: "Cyrus IMAP", Version: "3.6.1-Debian-3.6.1-4+deb12u3", OS: "Debian", Host: "imap.example.org"},
		"":                         {},
		strings.Repeat("a.", 5000): {},
	} {
		if got := b.Read(banner); got != want {
			t.Errorf("%.80q:\n got %+v\nwant %+v", banner, got, want)
		}
	}
}

func TestSoftwareName(t *testing.T) {
	for want, s := range map[string]Software{
		"Exim 4.98":                 {Vendor: "Exim", Product: "Exim", Version: "4.98"},
		"ArGoSoft Mail Server":      {Vendor: "ArGoSoft", Product: "Mail Server"},
		"Cyrus IMAP 3.6.1":          {Vendor: "Carnegie Mellon University", Product: "Cyrus IMAP", Version: "3.6.1"},
		"":                          {},
		"Microsoft Exchange Server": {Vendor: "Microsoft", Product: "Exchange Server"},
	} {
		if got := s.Name(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func FuzzBanner(f *testing.F) {
	f.Add("220 mx.example.org ESMTP Postfix")
	f.Add("* OK [CAPABILITY IMAP4rev1] Dovecot ready.")
	t, err := Embedded().Banners()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(_ *testing.T, s string) { t.Read(s) })
}

// Products that share words, or say little, are told apart.
func TestBannerFamilies(t *testing.T) {
	b, err := Embedded().Banners()
	if err != nil {
		t.Fatal(err)
	}
	for banner, want := range map[string]string{
		"220 newxmesmtplogicsvrszc2-0.qq.com XMail Esmtp QQ Mail Server.":   "QQ Mail",
		"+OK XMail POP3 Server v1.0 Service Ready(XMail v1.0)":              "QQ Mail",
		"220 <1@x> [XMail 1.27 ESMTP Server] service ready":                 "XMail 1.27",
		"220 smtp.aliyun-inc.com MX AliMail Server(10.147.40.44)":           "Alimail",
		"220 163.com Anti-spam GT for Coremail System (163com[20141201])":   "Coremail 20141201",
		"+OK Welcome to coremail Mail Pop3 Server (163coms[10774b260cc7s])": "Coremail",
		"220 mail.mine.example Magic Winmail Server 6.5 ESMTP":              "Winmail Server 6.5",
		"* OK IMAPrev1":    "hMailServer",
		"* OK IMAP4 ready": "nginx mail proxy",
		"* OK IMAP4 Ready mail.mine.example 0001d7a3":       "Perdition",
		"220 mail.mine.example ESMTP Smtpd; Sun, 22 Nov":    "FortiMail",
		"220 server-5.tower-123.messagelabs.com ESMTP":      "Email Security.cloud",
		"220 mx0a-001b2d01.pphosted.com ESMTP mfa-m0183168": "Email Protection",
		"220 us-smtp-1.mimecast.com ESMTP [abcDEF123.us1]":  "Mimecast",
		"220 mail.mine.example KumoMTA":                     "KumoMTA",
		"220 mail.mine.example ESMTP mox 0.0.8":             "mox 0.0.8",
		"220 mail.mine.example ESMTP ready":                 "",
	} {
		s := b.Read(banner)
		if got := strings.TrimSpace(s.Product + " " + s.Version); got != want {
			t.Errorf("%s: %q, want %q", banner, got, want)
		}
	}
}
