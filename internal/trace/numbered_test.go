package trace

import (
	"os"
	"path/filepath"
	"testing"
)

// TestQmailOutcomes: the outcome of a delivery names its number alone, which begins anew with the software.
func TestQmailOutcomes(t *testing.T) {
	const log = `Nov 22 09:00:00 mx qmail: 1795338000.1 starting delivery 7: msg 90001 to remote old@far.example
Nov 22 09:00:01 mx qmail: 1795338001.1 delivery 7: success: 192.0.2.1_accepted_message./Remote_host_said:_250_ok/
Nov 22 10:00:00 mx qmail: 1795341600.1 new msg 12345
Nov 22 10:00:00 mx qmail: 1795341600.2 info msg 12345: bytes 1234 from <li@mine.example> qp 42 uid 89
Nov 22 10:00:00 mx qmail: 1795341600.3 starting delivery 7: msg 12345 to remote wang@partner.example
Nov 22 10:00:00 mx qmail: 1795341600.4 starting delivery 8: msg 12345 to local chen@mine.example
Nov 22 10:00:02 mx qmail: 1795341602.1 delivery 8: success: did_1+0+0/
Nov 22 10:00:03 mx qmail: 1795341603.1 delivery 7: failure: 192.0.2.9_does_not_like_recipient./Remote_host_said:_550_5.1.1_no_such_user/Giving_up_on_192.0.2.9./
Nov 22 10:00:03 mx qmail: 1795341603.2 end msg 12345
`
	name := filepath.Join(t.TempDir(), "maillog")
	if err := os.WriteFile(name, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	found := look(t, open(t, []string{name}), "li@mine.example", 2)
	n := 0
	for j := range found.Journeys(t.Context()) {
		n++
		if j.State != Partly || len(j.Recipients) != 2 {
			t.Errorf("%s, recipients %+v", j.State, j.Recipients)
			continue
		}
		for _, r := range j.Recipients {
			if r.To == "wang@partner.example" && (r.Status != "bounced" || r.Code != 550) || r.To == "chen@mine.example" && r.Status != "sent" {
				t.Errorf("%+v", r)
			}
		}
	}
	if n != 1 {
		t.Errorf("%d journeys", n)
	}
}
