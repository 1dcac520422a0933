package digest

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
)

const sample = `Nov 22 10:00:00 mx1 postfix/smtpd[11]: A00000000001: client=pc.mine.example[192.0.2.5], sasl_method=PLAIN, sasl_username=li@mine.example
Nov 22 10:00:00 mx1 postfix/cleanup[12]: A00000000001: message-id=<m1@mine.example>
Nov 22 10:00:00 mx1 postfix/qmgr[13]: A00000000001: from=<li@mine.example>, size=1000, nrcpt=2 (queue active)
Nov 22 10:00:02 mx1 postfix/smtp[16]: A00000000001: to=<Wang@Partner.example>, relay=mx.google.com[2001:db8:1:2::9]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (host mx.google.com[2001:db8:1:2::9] said: 550 5.1.1 The email account that you tried to reach does not exist. (in reply to RCPT TO command))
Nov 22 11:00:03 mx1 postfix/lmtp[18]: A00000000001: to=<sun@mine.example>, relay=mx1[private/dovecot-lmtp], delay=2, delays=0/0/0/0.1, dsn=2.0.0, status=sent (250 2.0.0 <sun@mine.example> SESSIONABCDEF12 Saved)
Nov 22 11:00:04 mx2 postfix/smtpd[19]: NOQUEUE: reject: RCPT from unknown[198.51.100.77]: 554 5.7.1 Service unavailable; Client host [198.51.100.77] blocked using dnsbl.example; from=<a@spam.example> to=<li@mine.example> proto=ESMTP helo=<x.example>
Nov 22 11:00:05 mx1 sshd[99]: Accepted publickey for li from 192.0.2.5
`

func digestOf(t *testing.T, text string) *Digester {
	t.Helper()
	d := New(dialects.All(), time.UTC, knowledge.Embedded())
	d.Add(1, 0, []byte(text), time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), nil)
	return d
}

func TestKeysLead(t *testing.T) {
	d := digestOf(t, sample)
	have := map[Key]bool{}
	for _, k := range d.Keys {
		if have[k] {
			t.Errorf("key %x twice", k)
		}
		have[k] = true
	}
	net := func(s string) Key { k, _ := Net(netip.MustParsePrefix(s)); return k }
	for what, k := range map[string]Key{
		"queue id": ID(Hash([]byte("A00000000001"))), "message-id": ID(Hash([]byte("m1@mine.example"))), "session": Naming(Hash([]byte("SESSIONABCDEF12"))),
		"sender": Address([]byte("li@mine.example")), "recipient in other letters": Address([]byte("wang@partner.EXAMPLE")),
		"domain of an address": Host([]byte("partner.example")), "domain above": Host([]byte("example")), "relay": Host([]byte("google.com")),
		"client": IP(netip.MustParseAddr("192.0.2.5")), "client's network": net("192.0.2.0/24"), "smaller network": net("192.0.2.4/30"), "large network": net("192.0.0.0/9"),
		"relay's address": IP(netip.MustParseAddr("2001:db8:1:2::9")), "relay's network": net("2001:db8:1::/56"), "refusal": Fate(0), "logging host": Host([]byte("mx2")),
	} {
		if !have[k] {
			t.Errorf("%s: no key", what)
		}
	}
	if have[Address([]byte("li@mine.exampl"))] || have[net("192.0.3.0/24")] {
		t.Error("a key of what is not there")
	}
	if d.From != time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC).UnixNano() || d.To != time.Date(2026, 11, 22, 11, 0, 4, 0, time.UTC).UnixNano() {
		t.Errorf("span %v to %v", time.Unix(0, d.From).UTC(), time.Unix(0, d.To).UTC())
	}
	var values []string
	for _, v := range d.Values {
		values = append(values, string(v))
	}
	if got := strings.Join(values, " "); got != "ali@mine.example aWang@Partner.example asun@mine.example aa@spam.example" {
		t.Errorf("values %q", got)
	}
}

func TestNumbers(t *testing.T) {
	d := digestOf(t, sample)
	n := d.Take()
	ten := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC).Unix() / 3600
	want := map[HourKey]Sum{
		{Hour: ten, Host: "mx1", Fate: Received}:                                                           {N: 1, Bytes: 1000},
		{Hour: ten, Host: "mx1", Fate: Bounced, Direction: Out, Provider: "google", Cause: "user-unknown"}: {N: 1, Delay: time.Second},
		{Hour: ten + 1, Host: "mx1", Fate: Delivered, Direction: In}:                                       {N: 1, Delay: 2 * time.Second},
		{Hour: ten + 1, Host: "mx2", Fate: Rejected, Cause: "dnsbl-listed"}:                                {N: 1},
	}
	for k, w := range want {
		if got := n.Hours[k]; got == nil || *got != w {
			t.Errorf("%+v: %+v, want %+v", k, got, w)
		}
	}
	if len(n.Hours) != len(want) {
		for k, v := range n.Hours {
			t.Logf("%+v %+v", k, *v)
		}
		t.Errorf("%d sums, want %d", len(n.Hours), len(want))
	}
	if len(n.Hosts) != 2 || n.Hosts["mx2"] != d.To {
		t.Errorf("hosts %v", n.Hosts)
	}
	if again := d.Take(); len(again.Hours) != 0 || len(again.Hosts) != 0 {
		t.Error("taken numbers are still there")
	}
}

func TestRunsJoin(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	d := New(dialects.All(), zone, nil)
	latest := time.Date(2026, 10, 26, 0, 0, 0, 0, time.UTC)
	line := func(at string) []byte { return []byte("Oct " + at + " mx1 postfix/qmgr[13]: A00000000001: removed\n") }
	summer, winter := line("25 01:59:00"), line("25 03:00:00")
	d.Add(7, 0, summer, latest, nil)
	d.Add(7, int64(len(summer)), summer, latest.Add(time.Minute), nil)
	d.Add(7, int64(2*len(summer)), winter, latest, nil)
	d.Add(8, 0, winter, latest, nil)
	if len(d.Runs) != 3 || d.Runs[0].Zone != 7200 || d.Runs[1].Zone != 3600 || d.Runs[0].Len != 2*len(summer) || d.Runs[1].Base != int64(2*len(summer)) {
		t.Fatalf("%+v", d.Runs)
	}
	var all []byte
	for _, r := range d.Runs {
		all = append(all, d.Text[r.Start:r.Start+r.Len]...)
	}
	if !bytes.Equal(all, d.Text) {
		t.Error("the runs are not the text")
	}
}

func TestFold(t *testing.T) {
	for c := range 256 {
		b := []byte{'x', byte(c), '@', 'y', 'z', byte(c), byte(c), 'q', byte(c), 'W'}
		if Address(b) != Address(asciiLower(b)) {
			t.Errorf("%q has another key in small letters", b)
		}
		if Hash(b) == Hash(append([]byte("x"), b...)) {
			t.Errorf("%q: two ids, one key", b)
		}
	}
}

func asciiLower(b []byte) []byte {
	out := bytes.Clone(b)
	for i, c := range out {
		if c-'A' < 26 {
			out[i] += 'a' - 'A'
		}
	}
	return out
}
