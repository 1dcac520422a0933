package cli

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/wire/dnsupdate"
)

func TestRecordsBecome(t *testing.T) {
	old := &dnsupdate.Set{Owner: "mine.example.", Type: "MX", TTL: 3600, Values: []string{"10 mx1.mine.example.", "20 mx2.mine.example."}}
	for _, c := range []struct {
		name   string
		action monitor.Action
		old    string
		new    string
		want   string // "" for a refusal
	}{
		{"lower", monitor.LowerTTL, "3600", "300", "300 10 mx1.mine.example. 20 mx2.mine.example."},
		{"another TTL than was said", monitor.LowerTTL, "7200", "300", ""},
		{"preference", monitor.MXPreference, "10 MX1.mine.example", "30 mx1.mine.example", "3600 30 mx1.mine.example. 20 mx2.mine.example."},
		{"a record that is gone", monitor.MXPreference, "10 mx9.mine.example", "30 mx9.mine.example", ""},
	} {
		got, err := changed(old, c.action, &finding.Step{Kind: finding.DNSReplace, Target: "mine.example MX", Old: c.old, New: c.new})
		if c.want == "" {
			if !errors.Is(err, errMovedOn) {
				t.Errorf("%s: %+v, %v", c.name, got, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if text := strings.TrimSpace(strings.Join(append([]string{strconv.Itoa(int(got.TTL))}, got.Values...), " ")); text != c.want {
			t.Errorf("%s: %s", c.name, text)
		}
	}
	if old.Values[0] != "10 mx1.mine.example." || old.TTL != 3600 {
		t.Errorf("the old records were touched: %+v", old)
	}
}

func TestHandsKnowTheirZones(t *testing.T) {
	h := &hands{updates: []UpdateConfig{{Zone: "mine.example"}, {Zone: "sub.mine.example."}}}
	for target, zone := range map[string]string{
		"mine.example MX": "mine.example", "a.sub.Mine.example A": "sub.mine.example.", "notmine.example MX": "", "example MX": "", "other.example": "",
	} {
		p := &monitor.Proposal{Action: monitor.LowerTTL, Steps: []finding.Step{{Kind: finding.DNSReplace, Target: target, Old: "2", New: "1"}}}
		got := ""
		if z := h.zoneOf(p); z != nil {
			got = z.Zone
		}
		if got != zone || h.Does(p) != (zone != "") {
			t.Errorf("%s: %q, want %q", target, got, zone)
		}
	}
	if !h.Does(&monitor.Proposal{Action: monitor.BlockAddress}) {
		t.Error("the desk blocks addresses")
	}
}

func TestUpdateConfig(t *testing.T) {
	for text, want := range map[string]string{
		"[[dns_update]]\nzone = \"mine.example\"\nserver = \"192.0.2.53\"\nkey_file = \"/etc/mailwhy/ddns.key\"\n":                                                                                                                               "",
		"[[dns_update]]\nzone = \"mine.example\"\nserver = \"[2001:db8::53]:5353\"\nkey_file = \"k\"\n":                                                                                                                                          "",
		"[[dns_update]]\nzone = \"mine.example\"\nserver = \"192.0.2.53\"\n":                                                                                                                                                                     "dns_update[1].key_file",
		"[[dns_update]]\nzone = \"mine example\"\nserver = \"192.0.2.53\"\nkey_file = \"k\"\n":                                                                                                                                                   "line 2, dns_update[1].zone",
		"[[dns_update]]\nzone = \"mine.example\"\nserver = \"192.0.2.53:x\"\nkey_file = \"k\"\n":                                                                                                                                                 "line 3, dns_update[1].server",
		"[[monitor]]\nid = \"a\"\nkind = \"domain\"\nargs = { domain = \"mine.example\" }\npropose = { action = \"lower-ttl\", target = \"mine.example MX\", old = \"300\", new = \"3600\", for = \"1h\" }\n":                                    "lower-ttl wants",
		"[[monitor]]\nid = \"a\"\nkind = \"domain\"\nargs = { domain = \"mine.example\" }\npropose = { action = \"mx-preference\", target = \"mine.example\", old = \"mx1.mine.example\", new = \"20 mx1.mine.example\", for = \"1h\" }\n":       "mx-preference wants",
		"[[monitor]]\nid = \"a\"\nkind = \"domain\"\nargs = { domain = \"mine.example\" }\npropose = { action = \"mx-preference\", target = \"mine.example MX\", old = \"10 mx1.mine.example\", new = \"20 mx1.mine.example\", for = \"1h\" }\n": "",
	} {
		_, err := configOf(t, "a.toml", text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
