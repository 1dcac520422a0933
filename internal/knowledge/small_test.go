package knowledge

import (
	"slices"
	"strings"
	"testing"
)

func TestMailboxes(t *testing.T) {
	m, err := Embedded().Mailboxes()
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range m.Domains {
		if d != strings.ToLower(d) || !strings.Contains(d, ".") || slices.Contains(m.Domains[:i], d) {
			t.Errorf("domain %q: want lower case, a dot, and each once", d)
		}
	}
	for bad, good := range m.Endings {
		if !strings.HasPrefix(bad, ".") || !strings.HasPrefix(good, ".") || bad == good {
			t.Errorf("ending %q → %q", bad, good)
		}
	}
	if m.Checked.Year == 0 {
		t.Error("no date")
	}
}

func TestOutbound(t *testing.T) {
	o, err := Embedded().Outbound()
	if err != nil || len(o.Hosts) < 2 || o.Checked.Year == 0 {
		t.Errorf("%+v %v: two hosts at least, or one dead one accuses us", o, err)
	}
}

func TestThresholdsAreThere(t *testing.T) {
	th, err := Embedded().Thresholds()
	if err != nil {
		t.Fatal(err)
	}
	if !(th.TLS.ExpiryNoteDays > th.TLS.ExpiryWarningDays && th.TLS.ExpiryWarningDays > th.TLS.ExpiryErrorDays) || th.SMTP.GreetingNoteSeconds >= th.SMTP.GreetingWarningSeconds {
		t.Errorf("%+v", th)
	}
}
