package received

import (
	"bufio"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// dataDir finds the shared samples, or skips.
func dataDir(t *testing.T, sub string) string {
	t.Helper()
	root := os.Getenv("MAILWHY_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	dir := filepath.Join(root, sub)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no samples in %s (set MAILWHY_DATA)", dir)
	}
	return dir
}

type tally struct{ right, wrong int }

func (c *tally) field(t *testing.T, header, name, got, want string) {
	if got == want {
		c.right++
		return
	}
	c.wrong++
	if testing.Verbose() {
		t.Logf("%s: got %q, want %q\n    %s", name, got, want, header)
	}
}

func (c *tally) need(t *testing.T, set string, share float64) {
	got := float64(c.right) / float64(c.right+c.wrong)
	t.Logf("%s: %d of %d fields, %.1f %%", set, c.right, c.right+c.wrong, 100*got)
	if got < share {
		t.Errorf("%s: %.1f %% of the fields are right, %.0f %% wanted", set, 100*got, 100*share)
	}
}

func plain(s string) string { return strings.ToLower(strings.Trim(s, ".[]!?<>")) }

func ipOf(s string) string {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().String()
	}
	return s
}

func TestSamplesParts(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(dataDir(t, "received"), "received.json"))
	if err != nil {
		t.Fatal(err)
	}
	var set []struct {
		Header   string
		Expected map[string]json.RawMessage
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		t.Fatal(err)
	}
	var c tally
	for _, s := range set {
		h := Parse(s.Header)
		got := map[string]string{
			"from": plain(h.From), "from_ip": ipOf(h.IP.String()), "from_iprev": plain(h.RDNS), "by": plain(h.By), "for_": plain(h.For),
			"with": strings.ToLower(h.With), "id": plain(h.ID), "via": plain(h.Via), "helo": plain(h.HELO), "ident": plain(h.Ident),
			"tls_version": strings.ReplaceAll(strings.ToLower(h.TLSVersion), ".", "_"), "tls_cipher": plain(h.TLSCipher),
		}
		for k, v := range s.Expected {
			if k == "helo_cmd" || string(v) == "null" {
				continue
			}
			if k == "date" {
				dateField(t, &c, s.Header, h.Time, v)
				continue
			}
			want := plain(textOf(v))
			switch k {
			case "from_ip":
				want = ipOf(want)
			case "ident": // the sample keeps the host behind the user
				want, _, _ = strings.Cut(want, "@")
				got[k], _, _ = strings.Cut(got[k], "@")
			}
			c.field(t, s.Header, k, got[k], want)
		}
	}
	c.need(t, "received.json", 0.97)
}

func textOf(v json.RawMessage) string {
	var s string
	if json.Unmarshal(v, &s) == nil {
		return s
	}
	var m map[string]string
	_ = json.Unmarshal(v, &m)
	for _, x := range m {
		return x
	}
	return ""
}

// dateField compares the moment; expectations with parts out of range are mistakes of the sample and not counted.
func dateField(t *testing.T, c *tally, header string, got time.Time, v json.RawMessage) {
	var d struct {
		Year, Month, Day, Hour, Minute, Second int
		Before                                 bool `json:"tz_before_gmt"`
		H                                      int  `json:"tz_hour"`
		M                                      int  `json:"tz_minute"`
	}
	_ = json.Unmarshal(v, &d)
	if d.Month > 12 || d.Second > 60 || d.Year < 1970 {
		return
	}
	off := (d.H*60 + d.M) * 60
	if d.Before {
		off = -off
	}
	want := time.Date(d.Year, time.Month(d.Month), d.Day, d.Hour, d.Minute, d.Second, 0, time.FixedZone("", off))
	c.field(t, header, "date", got.UTC().Format(time.RFC3339), want.UTC().Format(time.RFC3339))
}

func TestSamplesRelays(t *testing.T) {
	f, err := os.Open(filepath.Join(dataDir(t, "received"), "rcvd_parser.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	bang := regexp.MustCompile(`^[!?](.*)[!?]$`)
	var c tally
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var s struct {
			Header   string
			Expected map[string]string
		}
		if err := json.Unmarshal(sc.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		h := Parse(s.Header)
		c.field(t, s.Header, "relay", yes(h.Relay), yes(s.Expected != nil))
		if s.Expected == nil {
			continue
		}
		for k, got := range map[string]string{
			"ip": ipOf(h.IP.String()), "rdns": h.RDNS, "helo": h.HELO, "by": h.By, "ident": h.Ident, "envfrom": h.EnvelopeFrom, "id": h.ID,
		} {
			c.field(t, s.Header, k, plain(bang.ReplaceAllString(got, "$1")), plain(ipOf(bang.ReplaceAllString(s.Expected[k], "$1"))))
		}
		c.field(t, s.Header, "auth", yes(h.Auth != ""), yes(s.Expected["auth"] != ""))
	}
	c.need(t, "rcvd_parser.jsonl", 0.98)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
