package wire_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

func TestPolicy(t *testing.T) {
	var public wire.Policy
	wide := wire.Policy{Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, Ports: []uint16{2526}, Places: []string{"127.0.0.53:53"}}
	for place, want := range map[string][2]bool{ // allowed by public, by wide
		"8.8.8.8:25":              {true, true},
		"8.8.8.8:2526":            {false, true},
		"8.8.8.8:22":              {false, false},
		"127.0.0.1:25":            {false, false},
		"127.0.0.53:53":           {false, true},
		"10.1.2.3:25":             {false, true},
		"10.2.2.3:25":             {false, false},
		"192.168.1.1:443":         {false, false},
		"172.16.0.1:443":          {false, false},
		"169.254.169.254:80":      {false, false}, // metadata services of clouds
		"100.64.0.1:25":           {false, false},
		"0.0.0.0:25":              {false, false},
		"224.0.0.1:25":            {false, false},
		"255.255.255.255:25":      {false, false},
		"[::1]:25":                {false, false},
		"[::]:25":                 {false, false},
		"[fe80::1%eth0]:25":       {false, false},
		"[fc00::1]:25":            {false, false},
		"[::ffff:127.0.0.1]:25":   {false, false},
		"[::ffff:10.1.2.3]:25":    {false, true},
		"[::7f00:1]:25":           {false, false},
		"[64:ff9b::7f00:1]:25":    {false, false},
		"[64:ff9b::808:808]:25":   {true, true},
		"[2002:7f00:1::]:25":      {false, false},
		"[2606:4700::1111]:853":   {true, true},
		"[fec0::1]:25":            {false, false},
		"[2001::7f00:1]:25":       {false, false},
		"192.0.0.8:25":            {false, false},
		"[::ffff:100.64.0.1]:25":  {false, false},
		"[::ffff:169.254.1.1]:80": {false, false},
		"mx.partner.example:25":   {false, false},
		"localhost:25":            {false, false},
		"8.8.8.8":                 {false, false},
		"":                        {false, false},
		"[2606:4700::1111]:5432":  {false, false},
	} {
		for i, p := range []*wire.Policy{&public, &wide} {
			err := p.Check(place)
			if (err == nil) != want[i] {
				t.Errorf("%s by policy %d: %v", place, i, err)
			}
			if f := wire.Classify("", err); err != nil && f.Kind != wire.NotAllowed {
				t.Errorf("%s: kind %s", place, f.Kind)
			}
		}
	}
}

// A name that resolves to this machine is refused as the address is: what counts is where the kernel would connect to.
func TestPolicyHoldsAfterResolution(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	number := uint16(l.Addr().(*net.TCPAddr).Port)
	strict := (&wire.Policy{Ports: []uint16{number}}).Dialer(30 * time.Second)
	for _, host := range []string{"127.0.0.1", "localhost"} {
		c, err := strict.DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
		var f *wire.Fault
		if err == nil {
			c.Close()
			t.Errorf("%s was dialled", host)
		} else if !errors.As(err, &f) || f.Kind != wire.NotAllowed {
			t.Errorf("%s: %v", host, err)
		}
	}
	open := (&wire.Policy{Private: true, Ports: []uint16{number}}).Dialer(30 * time.Second)
	c, err := open.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
