package queue

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

var now = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

func read(t *testing.T, text string) ([]Entry, Summary) {
	t.Helper()
	var out []Entry
	s, err := Read(strings.NewReader(text), now, func(e *Entry) { out = append(out, *e) })
	if err != nil {
		t.Fatal(err)
	}
	return out, s
}

const postfixText = `-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------
4F2B1986D2A*    1234 Sun Nov 22 01:45:23  li@mine.example
                                         a@partner.example

4F2B1986D2B!     999 Sat Nov 21 01:45:23  MAILER-DAEMON
(host mx.partner.example[192.0.2.1] said: 450 4.2.1 busy (in reply to RCPT TO command))
                                         b@partner.example
                                         c@partner.example
              (connect to mx.gone.example[192.0.2.9]:25: Connection timed out)
                                         d@gone.example

-- 3 Kbytes in 2 Requests.
`

func TestPostfix(t *testing.T) {
	es, s := read(t, postfixText)
	if s.Format != PostfixText || len(es) != 2 || s.Strange != 0 {
		t.Fatalf("%+v %+v", s, es)
	}
	if e := es[0]; e.ID != "4F2B1986D2A" || e.Queue != "active" || e.Size != 1234 || e.Sender != "li@mine.example" || e.Arrived != time.Date(2026, 11, 22, 1, 45, 23, 0, time.UTC) {
		t.Errorf("%+v", e)
	}
	e := es[1]
	if e.Queue != "hold" || e.Sender != "" || len(e.Recipients) != 3 || !strings.HasPrefix(e.Recipients[1].Reason, "host mx.partner") || !strings.HasPrefix(e.Recipients[2].Reason, "connect to") {
		t.Errorf("%+v", e)
	}
	es, s = read(t, `{"queue_name":"deferred","queue_id":"A1","arrival_time":1795315200,"message_size":10,"forced_expire":false,"sender":"","recipients":[{"address":"x@y.example","delay_reason":"no"}]}`+"\n{broken\n")
	if len(es) != 1 || s.Format != PostfixJSON || s.Strange != 1 || es[0].Recipients[0].Reason != "no" {
		t.Errorf("%+v %+v", s, es)
	}
	if es, _ := read(t, "Mail queue is empty\n"); len(es) != 0 {
		t.Error(es)
	}
}

func TestExim(t *testing.T) {
	es, s := read(t, `25m  2.9K 0t5C6f-0000c8-00 <alice@a.example>
          red@looking.example
        D white@looking.example

 4d   12M 1vM8Ab-00000001Xyz-2aBc <> *** frozen ***
          x@y.example
`)
	if s.Format != EximText || len(es) != 2 || s.Strange != 0 {
		t.Fatalf("%+v %+v", s, es)
	}
	if e := es[0]; len(e.Recipients) != 1 || e.Arrived != now.Add(-25*time.Minute) || e.Size != 2969 {
		t.Errorf("%+v", e)
	}
	if e := es[1]; e.Queue != "frozen" || e.Sender != "" {
		t.Errorf("%+v", e)
	}
}

func TestEximSpool(t *testing.T) {
	dir := fstest.MapFS{
		"input/1vM8Ab-000001-2a-H": {Data: []byte("1vM8Ab-000001-2a-H\nexim 101 101\n<li@mine.example>\n1795315200 0\n-received_time_usec .1\n-frozen 1795315300\nYN a@done.example\nNN b@done.example\n3\na@done.example\nb@done.example\nc@wait.example\n\n037  Received: x\n")},
		"input/1vM8Ab-000001-2a-D": {Data: []byte("1vM8Ab-000001-2a-D\nhello\n")},
		"input/broken-H":           {Data: []byte("nonsense")},
		"msglog/1vM8Ab-000001-2a":  {Data: []byte("2026-11-22 01:51:00 Received from li@mine.example\n2026-11-22 01:51:02 c@wait.example R=dnslookup T=remote_smtp defer (111): Connection refused\n")},
	}
	var out []Entry
	s, err := ReadSpool(dir, func(e *Entry) { out = append(out, *e) })
	if err != nil || s.Entries != 1 || s.Strange != 1 {
		t.Fatalf("%+v %v", s, err)
	}
	e := out[0]
	if e.Sender != "li@mine.example" || e.Queue != "frozen" || len(e.Recipients) != 1 || e.Recipients[0] != (Recipient{"c@wait.example", "Connection refused"}) {
		t.Errorf("%+v", e)
	}
	if _, err := ReadSpool(fstest.MapFS{"x.txt": {}}, func(*Entry) {}); !errors.Is(err, ErrUnknown) {
		t.Errorf("a folder that is no spool: %v", err)
	}
}

func TestSendmail(t *testing.T) {
	es, s := read(t, `		/var/spool/mqueue (1 request)
-----Q-ID----- --Size-- -----Q-Time----- ------------Sender/Recipient-----------
xAM1aBcD012345     1234 Sun Nov 22 01:45 <li@mine.example>
                 (Deferred: Connection timed out with mx.gone.example.)
					 <a@gone.example>
		Total requests: 1
`)
	if s.Format != Sendmail || len(es) != 1 || es[0].Recipients[0] != (Recipient{"a@gone.example", "Deferred: Connection timed out with mx.gone.example."}) {
		t.Errorf("%+v %+v", s, es)
	}
}

func TestWhatIsNoListing(t *testing.T) {
	for text, want := range map[string]error{"": ErrEmpty, "\n \n": ErrEmpty, "hello world\n": ErrUnknown, "Nov 22 01:00:00 mx postfix/smtpd[1]: connect": ErrUnknown} {
		if _, err := Read(strings.NewReader(text), now, func(*Entry) {}); !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(postfixText)
	f.Add("25m  2.9K 0t5C6f-0000c8-00 <a@b>\n     x@y\n")
	f.Add(`{"queue_id":"A"}`)
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = Read(strings.NewReader(text), now, func(e *Entry) {
			if e.ID == "" {
				t.Error("an entry without an id")
			}
		})
		_, _ = spoolHeader(strings.NewReader(text), "x")
	})
}

// Several queues, complaints, a message held by the administrator, and a listing told verbosely.
func TestSendmailForms(t *testing.T) {
	es, s := read(t, `WARNING: local host name (mx) is not qualified; see cf/README: WHO AM I?
MSP Queue status...
/var/spool/mqueue-client is empty
		Total requests: 0
MTA Queue status...
		/var/spool/mqueue/q1 (2 requests)
-----Q-ID----- --Size-- -----Q-Time----- ------------Sender/Recipient-----------
xAM1aBcD012345*    1234 Sun Nov 22 01:45 <li@mine.example>
                 8BITMIME   (Deferred: Connection timed out with mx.gone.example.)
					 <a@gone.example>
xAM1aBcD012346?     999 Sat Nov 21 01:45 MAILER-DAEMON
     QUARANTINE: held by the administrator
					 <b@partner.example>
		/var/spool/mqueue/q2 (1 request, only 1 printed)
-----Q-ID----- --Size-- -----Q-Time----- ------------Sender/Recipient-----------
xAM1aBcD012347X     99 Sun Nov  1 01:45 <chen@mine.example>
					 d@slow.example
xAM1aBcD012348      (job completed)
/var/spool/mqueue/q3 is empty
		Total requests: 3
`)
	if s.Format != Sendmail || s.Strange != 0 || len(es) != 3 {
		t.Fatalf("%+v %+v", s, es)
	}
	if e := es[0]; e.Queue != "active" || len(e.Recipients) != 1 || e.Recipients[0] != (Recipient{"a@gone.example", "Deferred: Connection timed out with mx.gone.example."}) {
		t.Errorf("%+v", e)
	}
	if e := es[1]; e.Queue != "hold" || e.Sender != "" || len(e.Recipients) != 1 || e.Recipients[0] != (Recipient{"b@partner.example", "held by the administrator"}) {
		t.Errorf("%+v", e)
	}
	if e := es[2]; e.ID != "xAM1aBcD012347" || e.Sender != "chen@mine.example" || e.Arrived.Day() != 1 || e.Recipients[0].Reason != "" {
		t.Errorf("%+v", e)
	}
	es, s = read(t, `		/var/spool/mqueue (2 requests)
-----Q-ID----- --Size-- -Priority- ---Q-Time--- --------Sender/Recipient--------
xAM1aBcD012345*    1234      30345+Nov 22 01:45 <li@mine.example>
					 <a@gone.example>
					(---<root>---)
					 <e@gone.example>
xAM1aBcD012346      999     120345 Nov 21 01:45 <>
					 <b@partner.example>
		Total requests: 2
`)
	if s.Strange != 0 || len(es) != 2 || len(es[0].Recipients) != 2 || es[0].Sender != "li@mine.example" || es[0].Arrived.Hour() != 1 || es[1].Sender != "" || es[1].Arrived.Day() != 21 {
		t.Errorf("%+v %+v", s, es)
	}
	if es, s := read(t, "MSP Queue status...\n/var/spool/mqueue-client is empty\n\t\tTotal requests: 0\n"); len(es) != 0 || s.Strange != 0 {
		t.Errorf("%+v %+v", s, es)
	}
}
