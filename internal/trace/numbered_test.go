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

// TestQmailBounce: a bounce and the message that tells of it have only the process in common that wrote it, whose number is
// used again.
func TestQmailBounce(t *testing.T) {
	const log = `Nov 22 10:00:00 mx qmail: 1795341600.1 new msg 12345
Nov 22 10:00:00 mx qmail: 1795341600.2 info msg 12345: bytes 1234 from <li@mine.example> qp 4242 uid 89
Nov 22 10:00:00 mx qmail: 1795341600.3 starting delivery 7: msg 12345 to remote wang@partner.example
Nov 22 10:00:03 mx qmail: 1795341603.1 delivery 7: failure: 192.0.2.9_does_not_like_recipient./Remote_host_said:_550_5.1.1_no_such_user/Giving_up_on_192.0.2.9./
Nov 22 10:00:03 mx qmail: 1795341603.2 bounce msg 12345 qp 4250
Nov 22 10:00:03 mx qmail: 1795341603.2 end msg 12345
Nov 22 10:00:03 mx qmail: 1795341603.3 new msg 12346
Nov 22 10:00:03 mx qmail: 1795341603.4 info msg 12346: bytes 1734 from <> qp 4250 uid 0
Nov 22 10:00:03 mx qmail: 1795341603.5 starting delivery 8: msg 12346 to local mine.example-li@mine.example
Nov 22 10:00:04 mx qmail: 1795341604.1 delivery 8: success: did_1+0+0/
Nov 22 10:00:04 mx qmail: 1795341604.2 end msg 12346
Nov 22 13:00:03 mx qmail: 1795352403.3 new msg 12346
Nov 22 13:00:03 mx qmail: 1795352403.4 info msg 12346: bytes 1734 from <> qp 4250 uid 0
Nov 22 13:00:03 mx qmail: 1795352403.5 starting delivery 9: msg 12346 to local mine.example-chen@mine.example
Nov 22 13:00:04 mx qmail: 1795352404.1 delivery 9: success: did_1+0+0/
Nov 22 13:00:04 mx qmail: 1795352404.2 end msg 12346
`
	name := filepath.Join(t.TempDir(), "maillog")
	if err := os.WriteFile(name, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	n := 0
	for j := range look(t, open(t, []string{name}), "wang@partner.example", 1).Journeys(t.Context()) {
		n++
		if j.State != BouncedSt || len(j.Recipients) != 1 || j.Recipients[0].RelayIP != "192.0.2.9" {
			t.Errorf("%s, recipients %+v", j.State, j.Recipients)
		}
		if len(j.Notices) != 1 || j.Notices[0].QueueID != "12346" || j.Notices[0].To != "li@mine.example" || len(j.QueueIDs) != 2 {
			t.Errorf("queue ids %v, notices %+v", j.QueueIDs, j.Notices)
		}
	}
	for j := range look(t, open(t, []string{name}), "chen@mine.example", 1).Journeys(t.Context()) {
		n++
		if j.State != Delivered || len(j.QueueIDs) != 1 || len(j.Recipients) != 1 || j.Recipients[0].To != "chen@mine.example" {
			t.Errorf("the message that uses the number again: %s %v %+v", j.State, j.QueueIDs, j.Recipients)
		}
	}
	if n != 2 {
		t.Errorf("%d journeys", n)
	}
}

// TestHarakaRecipients: a delivery of Haraka names the domain alone; whom it is for the session told.
func TestHarakaRecipients(t *testing.T) {
	const id = "[3A5F2B1C-1234-4F5A-9B8C-0123456789AB.1"
	const log = `2026-11-22T01:45:20.200Z [NOTICE] ` + id + `] [core] sender <li@mine.example> code=CONT msg=""
2026-11-22T01:45:20.300Z [NOTICE] ` + id + `] [core] recipient <wang@partner.example> code=OK msg="" sender="li@mine.example"
2026-11-22T01:45:20.310Z [NOTICE] ` + id + `] [core] recipient <zhao@partner.example> code=OK msg="" sender="li@mine.example"
2026-11-22T01:45:20.350Z [NOTICE] ` + id + `] [core] recipient <chen@slow.example> code=OK msg="" sender="li@mine.example"
2026-11-22T01:45:20.400Z [NOTICE] ` + id + `] [core] message mid="m@mine.example" size=1234 rcpts=3/0/0 delay=0.1 code=CONT msg=""
2026-11-22T01:45:21.400Z [NOTICE] ` + id + `.1] [outbound] recipient <zhao@partner.example> rejected: 550 5.1.1 no such user
2026-11-22T01:45:21.500Z [NOTICE] ` + id + `.1] [outbound] delivered file=1_2_3 domain=partner.example host=mx.partner.example ip=203.0.113.9 port=25 mode=SMTP tls=Y auth=N response="Ok: queued as 4ABCDEF12" delay=1.2 fails=0 rcpts=1/0/1
2026-11-22T01:45:22.500Z [INFO] ` + id + `.2] [outbound] Temp failing 1_2_4 for 64 seconds: Tried all MXs
`
	name := filepath.Join(t.TempDir(), "haraka.log")
	if err := os.WriteFile(name, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	n := 0
	for j := range look(t, open(t, []string{name}), "wang@partner.example", 1).Journeys(t.Context()) {
		n++
		got := map[string]string{}
		for _, r := range j.Recipients {
			got[r.To] = r.Status
		}
		if len(got) != 3 || got["wang@partner.example"] != "sent" || got["zhao@partner.example"] != "bounced" || got["chen@slow.example"] != "deferred" {
			t.Errorf("%v", got)
		}
	}
	if n != 1 {
		t.Errorf("%d journeys", n)
	}
}
