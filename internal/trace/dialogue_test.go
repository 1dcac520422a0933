package trace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const protocolHead = "#Software: Microsoft Exchange Server\n#Log-type: SMTP Receive Protocol Log\n#Fields: date-time,connector-id,session-id,sequence-number,local-endpoint,remote-endpoint,event,data,context\n"

// session writes a session of an Exchange protocol log, a line for each "event,data,context".
func session(connector, id string, lines ...string) string {
	var b strings.Builder
	for i, l := range lines {
		b.WriteString("2026-11-22T16:00:0" + itoa(i/10) + "." + itoa(100+i) + "Z," + connector + "," + id + "," + itoa(i) + ",192.0.2.25:25,198.51.100.7:4711," + l + "\n")
	}
	return b.String()
}

func protocolLogs(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	in := session(`EX1\Default`, "08DEF3EC62278461", "+,,", ">,220 EX1 ready,", "<,EHLO mail.b.example,", ">,250  EX1 Hello,",
		"<,MAIL FROM:<a@b.example> SIZE=2345,", ">,250 2.1.0 Sender OK,", "<,RCPT TO:<li@mine.example>,", ">,250 2.1.5 Recipient OK,",
		"<,RCPT TO:<nobody@mine.example>,", ">,550 5.1.1 User unknown,", "<,DATA,", ">,354 Start mail input,",
		`>,"250 2.6.0 <m1@b.example> [InternalId=1, Hostname=EX1] Queued mail for delivery",`,
		"<,MAIL FROM:<c@b.example>,", ">,250 2.1.0 Sender OK,", "<,RCPT TO:<x@far.example>,", ">,550 5.7.54 Unable to relay,", "<,QUIT,", ">,221 2.0.0 bye,", "-,,Local")
	out := session("Internet", "08DEF3EC62278470", "*,,attempting to connect", "+,,", "<,220 mx.partner.example ESMTP,", ">,EHLO mx1.mine.example,", "<,250-mx.partner.example,", "<,250 PIPELINING,",
		"*,,sending message with RecordId 42 and InternetMessageId <m2@mine.example>", ">,MAIL FROM:<li@mine.example>,", ">,RCPT TO:<wang@partner.example>,", ">,RCPT TO:<no@partner.example>,",
		"<,250 2.1.0 Ok,", "<,250 2.1.5 Ok,", "<,450 4.2.0 later,", ">,BDAT 2048 LAST,", "<,250 2.0.0 Ok: queued as 4ABCDEF1234,", ">,QUIT,", "<,221 2.0.0 Bye,", "-,,Local")
	var names []string
	for name, text := range map[string]string{"RECV.LOG": in, "SEND.LOG": out} {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(protocolHead+text), 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// TestProtocolSession: a session logged word by word becomes one journey for each message asked for.
func TestProtocolSession(t *testing.T) {
	cases := []struct {
		query, state, message, rejected string
		fates                           string
	}{
		{"li@mine.example", "queued", "m1@b.example", "nobody@mine.example", "li@mine.example filtered"},
		{"m1@b.example", "queued", "m1@b.example", "nobody@mine.example", "li@mine.example filtered"},
		{"x@far.example", "rejected", "", "x@far.example", ""},
		{"wang@partner.example", "partly", "m2@mine.example", "", "no@partner.example deferred, wang@partner.example sent"},
		{"m2@mine.example", "partly", "m2@mine.example", "", "no@partner.example deferred, wang@partner.example sent"},
	}
	for _, c := range cases {
		found := look(t, open(t, protocolLogs(t)), c.query, 2)
		n := 0
		for j := range found.Journeys(t.Context()) {
			if c.query == "li@mine.example" && j.Client == nil { // the one it sent
				continue
			}
			n++
			var fates []string
			for _, r := range j.Recipients {
				fates = append(fates, r.To+" "+r.Status)
			}
			if string(j.State) != c.state || strings.Join(j.MessageIDs, " ") != c.message || strings.Join(fates, ", ") != c.fates {
				t.Errorf("%s: %s, %v, %v", c.query, j.State, j.MessageIDs, fates)
			}
			if c.rejected != "" && (len(j.Rejects) != 1 || j.Rejects[0].To != c.rejected || j.Client.Helo != "mail.b.example") {
				t.Errorf("%s: refused %+v for %+v", c.query, j.Rejects, j.Client)
			}
			if last := &j.Steps[len(j.Steps)-1]; !strings.HasSuffix(last.Line, "-,,Local") {
				t.Errorf("%s: ends with %s", c.query, last.Line)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d journeys", c.query, n)
		}
	}
}
