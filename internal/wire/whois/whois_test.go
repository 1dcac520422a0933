package whois

import (
	"context"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

// serve answers every connection at an invented address with what answer writes.
func serve(t *testing.T, w *wiretest.World, at string, answer func(query string, to net.Conn)) {
	t.Helper()
	l, err := w.Listen(at)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				b := make([]byte, 400)
				n, _ := c.Read(b)
				answer(strings.TrimSpace(string(b[:n])), c)
			}()
		}
	}()
}

func say(text string) func(string, net.Conn) {
	return func(_ string, to net.Conn) { _, _ = io.WriteString(to, text) }
}

func TestFollow(t *testing.T) {
	w := wiretest.NewWorld()
	defer w.Close()
	serve(t, w, "192.0.2.43:43", say("refer:        192.0.3.43\r\nstatus: ACTIVE\r\n"))
	serve(t, w, "192.0.3.43:43", func(q string, to net.Conn) { fmt.Fprintf(to, "inetnum: 11.0.0.0 - 11.0.0.255\nnetname: ASKED-%s\n", q) })
	serve(t, w, "192.0.4.43:43", say("refer: 11.0.5.43\n"))
	serve(t, w, "11.0.5.43:43", say("ReferralServer: whois://192.0.4.43\n"))
	for i := range 10 { // a chain without end
		serve(t, w, fmt.Sprintf("11.0.6.%d:43", i+1), say(fmt.Sprintf("whois: 11.0.6.%d\n", i+2)))
	}
	c := New(Options{Dial: w, Timeout: 30 * time.Second})
	for start, want := range map[string]int{"192.0.2.43": 2, "192.0.4.43": 2, "11.0.6.1": MaxReferrals, "11.0.7.1": 1} {
		as, err := c.Follow(context.Background(), start, "11.0.0.25")
		if err != nil || len(as) != want {
			t.Errorf("%s: %d answers, %v", start, len(as), err)
		}
		if start == "192.0.2.43" && !strings.Contains(as[len(as)-1].Text, "ASKED-11.0.0.25") {
			t.Errorf("%+v", as[len(as)-1])
		}
		if start == "11.0.7.1" && (as[0].Fault == nil || as[0].Fault.Kind != wire.Refused) {
			t.Errorf("%+v", as[0])
		}
	}
	if _, err := c.Ask(context.Background(), "192.0.2.43", "a\r\nb"); err == nil {
		t.Error("two lines were sent as one query")
	}
}

// TestHostileServers drips, floods and stays silent; each ends with what came until then.
func TestHostileServers(t *testing.T) {
	w := wiretest.NewWorld()
	defer w.Close()
	done := make(chan struct{})
	defer close(done)
	serve(t, w, "192.0.2.1:43", func(_ string, to net.Conn) { // drips for ever
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			if _, err := io.WriteString(to, "x"); err != nil {
				return
			}
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	serve(t, w, "192.0.2.2:43", func(_ string, to net.Conn) { // never ends
		for range 100_000 {
			if _, err := io.WriteString(to, strings.Repeat("netname: A\n", 100)); err != nil {
				return
			}
		}
	})
	serve(t, w, "192.0.2.3:43", func(string, net.Conn) { <-done })
	short := New(Options{Dial: w, Timeout: 200 * time.Millisecond})
	for _, server := range []string{"192.0.2.1", "192.0.2.3"} {
		a, err := short.Ask(context.Background(), server, "x.example")
		if err != nil || a.Fault == nil || a.Fault.Kind != wire.Timeout {
			t.Errorf("%s: %+v %v", server, a.Fault, err)
		}
	}
	a, err := New(Options{Dial: w, Timeout: time.Minute}).Ask(context.Background(), "192.0.2.2", "x.example")
	if err != nil || !a.Truncated || len(a.Text) != MaxAnswer {
		t.Errorf("%d bytes, %v %v", len(a.Text), a.Truncated, err)
	}
}

func day(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC) }

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want Record
	}{
		"RIPE style": {"% Note\n% Abuse contact for '11.0.0.0 - 11.0.0.255' is 'abuse@isp.example'\n\ninetnum: 11.0.0.0 - 11.0.0.255\nnetname: MINE-NET\ncountry: de\norg-name: Mine GmbH\ncreated: 2015-03-01T10:00:00Z\n",
			Record{Range: "11.0.0.0 - 11.0.0.255", Name: "MINE-NET", Holder: "Mine GmbH", Country: "DE", Abuse: []string{"abuse@isp.example"}, Created: time.Date(2015, 3, 1, 10, 0, 0, 0, time.UTC)}},
		"ARIN style": {"# comment\nNetRange:       11.0.0.0 - 11.0.0.255\nCIDR:           11.0.0.0/24\nNetName:        MINE\nOrgName:        Mine Inc.\nRegDate:        2001-05-06\nOrgAbuseEmail:  abuse@mine.example\nReferralServer:  rwhois://rwhois.mine.example:4321\n",
			Record{Range: "11.0.0.0 - 11.0.0.255", Name: "MINE", Holder: "Mine Inc.", Abuse: []string{"abuse@mine.example"}, Created: day(2001, 5, 6)}},
		"gTLD": {"Domain Name: MINE.EXAMPLE\nRegistrar WHOIS Server: whois.registrar.example\nRegistrar: Registrar Ltd.\nCreation Date: 2026-11-01T00:00:00Z\nRegistry Expiry Date: 2027-11-01T00:00:00Z\nDomain Status: clientHold https://icann.org/epp#clientHold\nDomain Status: ok https://icann.org/epp#ok\nRegistrar Abuse Contact Email: abuse@registrar.example\n",
			Record{Refer: "whois.registrar.example", Registrar: "Registrar Ltd.", Created: day(2026, 11, 1), Expires: day(2027, 11, 1), Status: []string{"clientHold", "ok"}, Abuse: []string{"abuse@registrar.example"}}},
		"CNNIC style": {"Domain Name: mine.example\nRegistrant: 某某公司\nSponsoring Registrar: 某注册商\nRegistration Time: 2003-03-17 12:20:05\nExpiration Time: 2028-03-17 12:48:36\nDomain Status: ok\n",
			Record{Holder: "某某公司", Registrar: "某注册商", Created: time.Date(2003, 3, 17, 12, 20, 5, 0, time.UTC), Expires: time.Date(2028, 3, 17, 12, 48, 36, 0, time.UTC), Status: []string{"ok"}}},
		"JPRS style":   {"[Domain Name]                   MINE.EXAMPLE\n[Registrant]                    Mine K.K.\n[Created on]                    2001/03/22\n[Expires on]                    2027/03/31\n", Record{Holder: "Mine K.K.", Created: day(2001, 3, 22), Expires: day(2027, 3, 31)}},
		"IANA":         {"refer:        whois.isp.example\n\ndomain:       COM\n", Record{Refer: "whois.isp.example"}},
		"not found":    {"No match for domain \"MINE.EXAMPLE\".\n", Record{NotFound: true}},
		"free":         {"Domain: mine.example\nStatus: free\n", Record{NotFound: true, Status: []string{"free"}}},
		"limited":      {"% Query rate limit exceeded, try again later\n", Record{Limited: true}},
		"into our net": {"refer: 10.0.0.1\n", Record{}},
		"no host":      {"whois: localhost\nrefer: a b\n", Record{}},
	} {
		if got := Parse(c.text); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, c.want)
		}
	}
}

func TestQueryFor(t *testing.T) {
	for _, c := range [][3]string{{"whois.arin.net", "11.0.0.1", "n + 11.0.0.1"}, {"whois.arin.net:43", "11.0.0.1", "n + 11.0.0.1"}, {"whois.denic.de", "mine.example", "-T dn,ace mine.example"}, {"whois.isp.example", "mine.example", "mine.example"}} {
		if got := QueryFor(c[0], c[1]); got != c[2] {
			t.Errorf("%v: %q", c, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("inetnum: 11.0.0.0\n% Abuse contact for 'a' is 'b@c.example'\nrefer: whois://x.example:43/\ncreated: 2001-02-03\n")
	f.Add("refer: .: 0\n")
	f.Add("[Status] free\n: \nDomain Status: \n")
	f.Fuzz(func(t *testing.T, s string) {
		r := Parse(s)
		if len(r.Abuse) > maxMany || len(r.Status) > maxMany || len(r.Holder) > maxValue || strings.ContainsAny(r.Refer, " \r\n") || !r.Created.IsZero() && r.Created.Year() < 1980 {
			t.Fatalf("%q: %+v", s, r)
		}
	})
}
