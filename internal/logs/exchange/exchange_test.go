package exchange

import (
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

const tracking = "#Software: Microsoft Exchange Server\r\n#Version: 15.02.0000.000\r\n#Log-type: Message Tracking Log\r\n#Date: 2026-11-22T00:00:00.000Z\r\n" +
	"#Fields: date-time,client-ip,client-hostname,server-ip,server-hostname,source-context,connector-id,source,event-id,internal-message-id,message-id,network-message-id,recipient-address,recipient-status,total-bytes,recipient-count,related-recipient-address,reference,message-subject,sender-address,return-path,message-info,directionality\r\n"

// read gives the events of a table.
func read(t testing.TB, text string) (out []string, unparsed int64) {
	t.Helper()
	r := logs.NewReader(logs.Clock{Latest: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)}, []logs.Dialect{Dialect{}})
	r.Layout = Dialect{}.Columns([]byte(text))
	if r.Layout == nil {
		t.Fatal("no table found")
	}
	r.Block([]byte(text), 0, 0, event.SinkFunc(func(e *event.Event) {
		s := logstest.Short(e)
		if e.TimeSet {
			s = e.Time().Format("15:04:05") + " " + s
		}
		out = append(out, s)
	}))
	return out, r.Unparsed
}

func TestTables(t *testing.T) {
	cases := []struct {
		name, text string
		want       []string
	}{
		{"tracking", tracking +
			"2026-11-22T01:45:23.123Z,192.0.2.1,h.example,192.0.2.2,EX1,,EX1\\Default,SMTP,RECEIVE,123,<m@b.example>,net-1,li@mine.example;x@mine.example,,4321,2,,,\"a, \"\"b\"\" DELIVER\",a@b.example,a@b.example,,Incoming\r\n" +
			"2026-11-22T01:45:24.123Z,,,,EX1,,,STOREDRIVER,DELIVER,123,<m@b.example>,net-1,li@mine.example,,4321,1,,,s,a@b.example,a@b.example,,Incoming\r\n" +
			"2026-11-22T01:45:25.123Z,,,192.0.2.9,EX1,,out,SMTP,FAIL,123,<m@b.example>,net-1,x@mine.example,'550 5.1.1 RESOLVER.ADR.RecipNotFound; not found',4321,1,,,s,a@b.example,a@b.example,,Incoming\r\n" +
			"2026-11-22T01:45:26.123Z,,,,EX1,,,DSN,DSN,124,<dsn@mine.example>,net-2,a@b.example,,100,1,,<m@b.example>,Undeliverable,<>,<>,,Originating\r\n",
			[]string{
				"01:45:23 received session=net-1 mid=m@b.example from=a@b.example to=li@mine.example ip=192.0.2.1 relay=EX1\\Default action=RECEIVE subject=a, \"b\" DELIVER size=4321",
				"01:45:23 related session=net-1 mid=m@b.example from=a@b.example to=x@mine.example ip=192.0.2.1 relay=EX1\\Default action=RECEIVE subject=a, \"b\" DELIVER size=4321",
				"01:45:24 delivery session=net-1 mid=m@b.example from=a@b.example to=li@mine.example status=sent action=DELIVER subject=s size=4321",
				"01:45:25 delivery session=net-1 mid=m@b.example from=a@b.example to=x@mine.example status=failed code=550 dsn=5.1.1 relay=out action=FAIL subject=s size=4321",
				"01:45:26 received parent=m@b.example session=net-2 mid=dsn@mine.example from= to=a@b.example action=DSN subject=Undeliverable size=100",
			}},
		{"message trace", "\xef\xbb\xbfReceived,SenderAddress,RecipientAddress,Subject,Status,ToIP,FromIP,Size,MessageId,MessageTraceId\n" +
			"\"11/22/2026 1:45:23 AM\",\"a@b.example\",\"li@mine.example\",\"s\",\"Delivered\",,192.0.2.1,4321,<m@b.example>,t-1\n" +
			"\"11/22/2026 1:45:23 AM\",\"a@b.example\",\"x@mine.example\",\"s\",\"Failed\",,192.0.2.1,4321,<m@b.example>,t-1\n",
			[]string{
				"01:45:23 delivery session=t-1 mid=m@b.example from=a@b.example to=li@mine.example ip=192.0.2.1 status=sent subject=s size=4321",
				"01:45:23 delivery session=t-1 mid=m@b.example from=a@b.example to=x@mine.example ip=192.0.2.1 status=failed subject=s size=4321",
			}},
		{"outgoing: hosts, the reply and the error from the context", tracking +
			"2026-11-22T01:45:23.123Z,10.0.0.5,EX1,192.0.2.9,mx.partner.example,\"08DA;250 2.6.0 <m@b.example> [InternalId=1, Hostname=MX] Queued mail for delivery;ClientSubmitTime:\",out,SMTP,SEND,123,<m@b.example>,net-1,x@partner.example,,4321,1,,,s,a@b.example,a@b.example,,Originating\r\n" +
			"2026-11-22T01:45:24.123Z,10.0.0.5,EX1,192.0.2.8,,\"[{LRT=22.11.2026};{LED=441 4.4.1 Error encountered while communicating};{FQDN=mx.slow.example};{IP=192.0.2.8}]\",out,SMTP,DEFER,123,<m@b.example>,net-1,y@slow.example,,4321,1,,,s,a@b.example,a@b.example,,Originating\r\n",
			[]string{
				"01:45:23 delivery session=net-1 mid=m@b.example from=a@b.example to=x@partner.example ip=10.0.0.5 status=sent code=250 dsn=2.6.0 relay=mx.partner.example action=SEND subject=s size=4321",
				"01:45:24 delivery session=net-1 mid=m@b.example from=a@b.example to=y@slow.example ip=10.0.0.5 status=deferred code=441 dsn=4.4.1 relay=mx.slow.example action=DEFER subject=s size=4321",
			}},
		{"extended report, underscores", "date_time_utc,client_ip,source,event_id,message_id,recipient_address,recipient_status,sender_address\n" +
			"2026-11-22T01:45:23.123Z,192.0.2.1,STOREDRIVER,DELIVER,<m@b.example>,li@mine.example,,a@b.example\n",
			[]string{"01:45:23 delivery mid=m@b.example from=a@b.example to=li@mine.example ip=192.0.2.1 status=sent action=DELIVER"}},
		{"semicolons, spaces in the head, day first", "\xef\xbb\xbf\"Received\";\"Sender Address\";\"Recipient Address\";\"Status\";\"Message ID\"\n\"22.11.2026 01:45:23\";\"a@b.example\";\"li@mine.example\";\"Failed\";\"<m@b.example>\"\n",
			[]string{"01:45:23 delivery mid=m@b.example from=a@b.example to=li@mine.example status=failed"}},
		{"historical search", "origin_timestamp_utc,sender_address,recipient_status,message_subject,total_bytes,message_id,network_message_id,original_client_ip,directionality,connector_id\n" +
			"2026-11-22T01:45:23.0000000Z,a@b.example,li@mine.example##Receive, Deliver;x@mine.example##Receive, Fail,s,4321,<m@b.example>,n-1,192.0.2.1,Incoming,\n", nil},
	}
	for _, c := range cases {
		got, unparsed := read(t, c.text)
		if unparsed != 0 {
			t.Errorf("%s: %d rows not understood", c.name, unparsed)
		}
		if c.want != nil && strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s: got\n%s", c.name, strings.Join(got, "\n"))
		}
	}
}

func TestRecipientStatusList(t *testing.T) {
	got, _ := read(t, "origin_timestamp_utc,sender_address,recipient_status,message_subject,message_id\n"+
		"2026-11-22T01:45:23Z,a@b.example,\"li@mine.example##Receive, Deliver;x@mine.example##Receive, Fail\",s,<m@b.example>\n")
	want := "01:45:23 delivery mid=m@b.example from=a@b.example to=li@mine.example status=sent subject=s\n01:45:23 delivery mid=m@b.example from=a@b.example to=x@mine.example status=failed subject=s"
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func FuzzRow(f *testing.F) {
	f.Add(tracking, "2026-11-22T01:45:23.123Z,192.0.2.1,h,,,,,SMTP,RECEIVE,1,<m>,n,a;b,,1,2,,,\"x\"\"\",f,f,,I")
	f.Add("Received,SenderAddress,RecipientAddress,Status\n", "1/1/2026 1:00:00 AM,a,b,Delivered")
	f.Add("#Fields: ,event-id", "0") // a first column without a name
	f.Add(smtpHead, `2026-11-22T15:59:51.400Z,EX1\Default,08DE01,0,192.0.2.25:25,198.51.100.7:56026,<,MAIL FROM:<a@b.example> SIZE=1,`)
	f.Add(smtpHead, `2026-11-22T15:59:51.400Z,Internet,08DE01,0,192.0.2.25:25,[::1]:25,<,250 2.6.0 <m> queued,`)
	f.Fuzz(func(t *testing.T, head, line string) {
		l := Dialect{}.Columns([]byte(head))
		if l == nil {
			return
		}
		r := logs.NewReader(logs.Clock{}, []logs.Dialect{Dialect{}})
		r.Layout = l
		r.Line([]byte(line), 0, 0, event.SinkFunc(func(*event.Event) {}))
	})
}

// What ConvertTo-Json writes of a message trace, an object a line.
func TestTraceAsJSON(t *testing.T) {
	logstest.Run(t, Dialect{}, []logstest.Case{
		{`{"Organization":"mine.example","MessageId":"<m@b.example>","Received":"2026-11-22T01:45:23.123","SenderAddress":"a@b.example","RecipientAddress":"li@mine.example","Subject":"say \"hi\"","Status":"Delivered","ToIP":null,"FromIP":"192.0.2.1","Size":4321,"MessageTraceId":"t-1"}`,
			`delivery session=t-1 mid=m@b.example from=a@b.example to=li@mine.example ip=192.0.2.1 status=sent subject=say "hi" size=4321`},
		{`{"Timestamp":"2026-11-22T01:45:23.123Z","EventId":"FAIL","Source":"SMTP","Sender":"a@b.example","Recipients":["x@mine.example"],"RecipientStatus":["550 5.1.1 not found"],"MessageSubject":"s","MessageId":"<m@b.example>","TotalBytes":4321}`,
			`delivery mid=m@b.example from=a@b.example to=x@mine.example status=failed code=550 dsn=5.1.1 action=FAIL subject=s size=4321`},
		{`{"Sender":"a@b.example","Text":"hello"}`, `outcome 0`},
	})
}
