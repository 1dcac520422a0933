package demo

import (
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

const usual = "@ IN MX 10 mx\nmx IN A {ip}\n@ IN TXT \"v=spf1 mx -all\"\n_dmarc IN TXT \"v=DMARC1; p=reject; rua=mailto:dmarc@mine.example\"\n"

func reply(verb, text string) func(*wiretest.SMTP) {
	return func(s *wiretest.SMTP) { s.Replies[verb] = text }
}

// Cases are the domains of the demo, in the order they are shown.
var Cases = []Case{
	{Name: "fine", About: finding.M("nothing is wrong"), To: "wang@fine.example", records: usual, server: good(func(*wiretest.SMTP) {})},
	{Name: "strict", About: finding.M("our address has no reverse name"), To: "wang@strict.example", self: selfNoPTR, records: usual,
		server: good(reply("RCPT TO:<wang@strict.example>", "450 4.7.25 Client host rejected: cannot find your hostname, ["+selfNoPTR+"]"))},
	{Name: "listed", About: finding.M("our address is on a blocklist"), To: "wang@listed.example", self: selfListed, records: usual,
		server: good(reply("RCPT TO:<wang@listed.example>", "554 5.7.1 Service unavailable; Client host ["+selfListed+"] blocked using bl.demo.example"))},
	{Name: "nobody", About: finding.M("the recipient does not exist"), To: "wamg@nobody.example", records: usual,
		server: good(reply("RCPT TO:<wamg@nobody.example>", "550 5.1.1 <wamg@nobody.example>: Recipient address rejected: User unknown in virtual mailbox table"))},
	{Name: "full", About: finding.M("the mailbox is full"), To: "wang@full.example", records: usual,
		server: good(reply("RCPT TO:<wang@full.example>", "452 4.2.2 <wang@full.example>: Mailbox full"))},
	{Name: "grey", About: finding.M("greylists strangers"), To: "wang@grey.example", records: usual,
		server: good(reply("RCPT TO:<wang@grey.example>", "450 4.2.0 <wang@grey.example>: Recipient address rejected: Greylisted, try again in 300 seconds"))},
	{Name: "dark", About: finding.M("port 25 is silent, the host lives"), To: "wang@dark.example", records: usual,
		after: func(w *World, ip string) error {
			w.net.Set("tcp", ip+":25", wiretest.Drops)
			for _, open := range []string{"192.31.196.201:25", "192.31.196.202:25"} {
				if err := w.net.SMTP(open, &wiretest.SMTP{}); err != nil {
					return err
				}
			}
			return w.net.SMTP(ip+":443", &wiretest.SMTP{})
		}},
	{Name: "locked", About: finding.M("MTA-STS enforced, certificate expired"), To: "wang@locked.example",
		records: usual + "mta-sts IN A {ip}\n_mta-sts IN TXT \"v=STSv1; id=20261101\"\n_smtp._tls IN TXT \"v=TLSRPTv1; rua=mailto:tls@mine.example\"\n",
		server:  withCert(func(w *World, l *wiretest.Leaf) { l.NotAfter = w.now.Add(-72 * time.Hour) }, func(*wiretest.SMTP) {}),
		after:   policyServer("version: STSv1\nmode: enforce\nmx: mx.locked.example\nmax_age: 604800\n")},
	{Name: "masked", About: finding.M("a firewall takes STARTTLS out"), To: "wang@masked.example", records: usual,
		server: good(func(s *wiretest.SMTP) {
			s.TLS = nil
			s.Greeting = "220 ****************************2******0*****"
			s.Caps = []string{"PIPELINING", "SIZE 52428800", "XXXXXXXA", "8BITMIME"}
		})},
	{Name: "nomail", About: finding.M("takes no mail at all"), To: "wang@nomail.example", records: "@ IN MX 0 .\n@ IN TXT \"v=spf1 -all\"\n_dmarc IN TXT \"v=DMARC1; p=reject\"\n"},
	{Name: "relay", About: finding.M("open relay, old certificate, too many lookups"), Check: true,
		records: "@ IN MX 10 mx\nmx IN A {ip}\n@ IN TXT \"v=spf1 a mx include:a.relay.example include:b.relay.example ?all\"\n" +
			"a IN TXT \"v=spf1 a:1.relay.example a:2.relay.example a:3.relay.example a:4.relay.example a:5.relay.example ~all\"\n" +
			"1 IN A {ip}\n2 IN A {ip}\n3 IN A {ip}\n4 IN A {ip}\n5 IN A {ip}\n6 IN A {ip}\n7 IN A {ip}\n@ IN A {ip}\n" +
			"b IN TXT \"v=spf1 a:6.relay.example a:7.relay.example ~all\"\n",
		server: withCert(func(w *World, l *wiretest.Leaf) {
			l.Names, l.NotAfter = []string{"www.relay.example"}, w.now.Add(50*time.Hour)
		}, func(s *wiretest.SMTP) {
			s.Greeting, s.Domain = "220 localhost ESMTP Exim 4.80", ""
			s.Caps = []string{"SIZE 1000000", "AUTH PLAIN LOGIN"}
			s.Replies = map[string]string{"VRFY": "250 Postmaster <postmaster@relay.example>"}
		})},
	{Name: "broken", About: finding.M("MX is an alias, two DMARC records"), Check: true,
		records: "@ IN MX 10 mail\nmail IN CNAME mx\nmx IN A {ip}\n@ IN TXT \"v=spf1 mx ip4:192.0.2.256 -all\"\n" +
			"_dmarc IN TXT \"v=DMARC1; p=none\"\n_dmarc IN TXT \"v=DMARC1; p=reject\"\n",
		server: good(func(s *wiretest.SMTP) {
			s.TLS = nil
			s.Caps = []string{"STARTTLS"}
			s.Replies["STARTTLS"] = "220 2.0.0 go ahead"
		})},
}
