package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail/received"
)

// runReceived takes the fields of both sets of Received lines apart and counts each part once.
func runReceived(dir string) ([]score, error) {
	parts, err := receivedParts(filepath.Join(dir, "received", "received.json"))
	if err != nil {
		return nil, err
	}
	relays, err := receivedRelays(filepath.Join(dir, "received", "rcvd_parser.jsonl"))
	if err != nil {
		return nil, err
	}
	return append(parts, relays...), nil
}

// plainPart makes parts comparable: case, brackets, the dot at the end, marks some samples put around literals.
func plainPart(s string) string {
	s = strings.ToLower(strings.Trim(s, ".[]!?<>"))
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().String()
	}
	return s
}

func receivedParts(file string) ([]score, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var set []struct {
		Header   string
		Expected map[string]json.RawMessage
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	fields := score{name: "received.json: fields", aim: 0.98}
	for _, s := range set {
		h := received.Parse(s.Header)
		got := map[string]string{
			"from": h.From, "from_ip": h.IP.String(), "from_iprev": h.RDNS, "by": h.By, "for_": h.For, "with": h.With, "id": h.ID, "via": h.Via,
			"helo": h.HELO, "ident": h.Ident, "tls_version": strings.ReplaceAll(h.TLSVersion, ".", "_"), "tls_cipher": h.TLSCipher,
		}
		for k, v := range s.Expected {
			switch {
			case k == "helo_cmd", string(v) == "null":
			case k == "date":
				receivedDate(&fields, s.Header, h.Time, v)
			default:
				want, have := plainPart(oneString(v)), plainPart(got[k])
				if k == "ident" { // the sample keeps the host behind the user
					want, _, _ = strings.Cut(want, "@")
					have, _, _ = strings.Cut(have, "@")
				}
				fields.add(have == want, "%s: got %q, want %q: %s", k, have, want, s.Header)
			}
		}
	}
	return []score{fields}, nil
}

// oneString is a JSON string, or the only member of an object.
func oneString(v json.RawMessage) string {
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

// receivedDate compares the moment. Expectations with parts out of range are mistakes of the sample and not counted.
func receivedDate(c *score, header string, got time.Time, v json.RawMessage) {
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
	c.add(got.Equal(want), "date: got %v, want %v: %s", got, want, header)
}

func receivedRelays(file string) ([]score, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fields := score{name: "rcvd_parser.jsonl: fields", aim: 0.98}
	relay := score{name: "rcvd_parser.jsonl: relay or not", aim: 0.98}
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		var s struct {
			Header   string
			Expected map[string]string
		}
		if err := json.Unmarshal(sc.Bytes(), &s); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		h := received.Parse(s.Header)
		relay.add(h.Relay == (s.Expected != nil), "relay %v: %s", h.Relay, s.Header)
		if s.Expected == nil {
			continue
		}
		for k, got := range map[string]string{"ip": h.IP.String(), "rdns": h.RDNS, "helo": h.HELO, "by": h.By, "ident": h.Ident, "envfrom": h.EnvelopeFrom, "id": h.ID} {
			want := s.Expected[k]
			fields.add(plainPart(got) == plainPart(want), "%s: got %q, want %q: %s", k, got, want, s.Header)
		}
		fields.add((h.Auth != "") == (s.Expected["auth"] != ""), "auth: got %q, want %q: %s", h.Auth, s.Expected["auth"], s.Header)
	}
	return []score{fields, relay}, sc.Err()
}
