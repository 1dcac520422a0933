package trace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What policy servers said of a client stands in the journey, before the refusal and before the queue id, and nothing that
// was said of other clients, other recipients or at other times.
func TestPolicies(t *testing.T) {
	name := filepath.Join(t.TempDir(), "mail.log")
	text := strings.Join([]string{
		"Nov 22 09:50:00 mx1 postgrey[7]: action=greylist, reason=new, client_name=out.sender.example, client_address=203.0.113.4, sender=zhao@sender.example, recipient=chen@mine.example",
		"Nov 22 10:00:00 mx1 postfix/smtpd[21]: connect from out.sender.example[203.0.113.4]",
		"Nov 22 10:00:01 mx1 policyd-spf[6]: prepend Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=203.0.113.4; helo=out.sender.example; envelope-from=zhao@sender.example; receiver=chen@mine.example",
		"Nov 22 10:00:01 mx1 postgrey[7]: action=greylist, reason=new, client_name=out.sender.example, client_address=203.0.113.4, sender=zhao@sender.example, recipient=chen@mine.example",
		"Nov 22 10:00:01 mx1 postgrey[7]: action=greylist, reason=new, client_name=out.sender.example, client_address=203.0.113.4, sender=zhao@sender.example, recipient=other@mine.example",
		"Nov 22 10:00:01 mx1 postgrey[7]: action=greylist, reason=new, client_name=out.sender.example, client_address=203.0.113.44, sender=zhao@sender.example, recipient=chen@mine.example",
		"Nov 22 10:00:01 mx1 postfix/smtpd[21]: NOQUEUE: reject: RCPT from out.sender.example[203.0.113.4]: 450 4.2.0 <chen@mine.example>: Recipient address rejected: Greylisted; from=<zhao@sender.example> to=<chen@mine.example> proto=ESMTP helo=<out.sender.example>",
		"Nov 22 10:00:02 mx1 postfix/smtpd[21]: disconnect from out.sender.example[203.0.113.4] ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4",
		"Nov 22 10:10:00 mx1 postfix/smtpd[21]: connect from out.sender.example[203.0.113.4]",
		"Nov 22 10:10:01 mx1 postgrey[7]: action=pass, reason=triplet found, delay=600, client_name=out.sender.example, client_address=203.0.113.4, sender=zhao@sender.example, recipient=chen@mine.example",
		"Nov 22 10:10:01 mx1 postfix/smtpd[21]: B00000000001: client=out.sender.example[203.0.113.4]",
		"Nov 22 10:10:01 mx1 postfix/cleanup[22]: B00000000001: message-id=<m2@sender.example>",
		"Nov 22 10:10:01 mx1 postfix/qmgr[13]: B00000000001: from=<zhao@sender.example>, size=1000, nrcpt=1 (queue active)",
		"Nov 22 10:10:02 mx1 postfix/lmtp[23]: B00000000001: to=<chen@mine.example>, relay=mx1[private/dovecot-lmtp], delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 <chen@mine.example> Saved)",
		"Nov 22 10:10:02 mx1 postfix/qmgr[13]: B00000000001: removed",
	}, "\n") + "\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f := look(t, open(t, []string{name}), "zhao@sender.example", 1)
	said := map[State][]string{}
	n := 0
	for j := range f.Journeys(t.Context()) {
		n++
		f.Session(j)
		for _, s := range j.Steps {
			if s.Filter != "" {
				said[j.State] = append(said[j.State], s.At.Format("15:04")+" "+s.Filter+" "+s.Verdict+" "+s.To)
			}
		}
		if j.State == Delivered {
			if r := j.Recipients[0]; r.Socket != "private/dovecot-lmtp" || r.RelayIP != "" || len(j.Sessions) > 0 || j.Direction != "in" {
				t.Errorf("recipient %+v, sessions %q, direction %q", r, j.Sessions, j.Direction)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d journeys: answers of policy servers are none", n)
	}
	alone := 0
	for range look(t, open(t, []string{name}), "to:other@mine.example", 1).Journeys(t.Context()) {
		alone++
	}
	if alone != 1 {
		t.Error("an answer about nothing else in these logs is lost")
	}
	want := map[State]string{
		RejectedS: "10:00 policyd-spf Pass ,10:00 postgrey greylist chen@mine.example",
		Delivered: "10:10 postgrey pass chen@mine.example",
	}
	for state, w := range want {
		if got := strings.Join(said[state], ","); got != w {
			t.Errorf("%s: got %q, want %q", state, got, w)
		}
	}
}
