package service

import (
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/logs/logstest"
)

const sesMailObject = `"mail":{"timestamp":"2026-11-22T10:00:00.123Z","source":"News <news@mine.example>","messageId":"0100-abc","destination":["li@partner.example","wang@partner.example"],"headersTruncated":false,"commonHeaders":{"from":["news@mine.example"],"messageId":"<m@mine.example>","subject":"Caf\u00e9 \"x\""}}`

func TestRecords(t *testing.T) {
	logstest.Run(t, Dialect{}, []logstest.Case{
		{`{"eventType":"Send",` + sesMailObject + `,"send":{}}`,
			`received id=0100-abc mid=m@mine.example from=news@mine.example to=li@partner.example subject=Café "x" | related id=0100-abc mid=m@mine.example from=news@mine.example to=wang@partner.example subject=Café "x"`},
		{`{"eventType":"Delivery",` + sesMailObject + `,"delivery":{"timestamp":"2026-11-22T10:00:02Z","processingTimeMillis":12,"recipients":["li@partner.example"],"smtpResponse":"250 2.6.0 Message received","reportingMTA":"mta.example"}}`,
			`delivery id=0100-abc mid=m@mine.example from=news@mine.example to=li@partner.example status=sent code=250 dsn=2.6.0 subject=Café "x"`},
		{`{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","bouncedRecipients":[{"emailAddress":"li@partner.example","action":"failed","status":"5.1.1","diagnosticCode":"smtp; 550 5.1.1 user unknown"},{"emailAddress":"wang@partner.example"}],"timestamp":"2026-11-22T10:00:02Z"},` + sesMailObject + `}`,
			`delivery id=0100-abc mid=m@mine.example from=news@mine.example to=li@partner.example status=bounced code=550 dsn=5.1.1 subject=Café "x" | delivery id=0100-abc mid=m@mine.example from=news@mine.example to=wang@partner.example status=bounced subject=Café "x"`},
		{`{"Type":"Notification","Message":"{\"eventType\":\"DeliveryDelay\",\"mail\":{\"messageId\":\"0100-abc\",\"source\":\"news@mine.example\",\"destination\":[\"li@partner.example\"]},\"deliveryDelay\":{\"delayType\":\"TransientCommunicationFailure\",\"delayedRecipients\":[{\"emailAddress\":\"li@partner.example\",\"status\":\"4.4.1\",\"diagnosticCode\":\"smtp; 421 4.4.1 busy\"}]}}"}`,
			`delivery id=0100-abc from=news@mine.example to=li@partner.example status=deferred code=421 dsn=4.4.1`},
		{`{"email":"li@partner.example","timestamp":1795341600,"smtp-id":"<m@mine.example>","event":"delivered","sg_event_id":"x","sg_message_id":"14c5.filter1.0","response":"250 2.0.0 OK"}`,
			`delivery session=14c5.filter1.0 mid=m@mine.example to=li@partner.example status=sent code=250 dsn=2.0.0`},
		{`{"email":"li@partner.example","timestamp":1795341600,"event":"bounce","reason":"550 5.1.1 no such user","status":"5.1.1","type":"bounce","sg_event_id":"x","sg_message_id":"14c5.filter1.0"}`,
			`delivery session=14c5.filter1.0 to=li@partner.example status=bounced code=550 dsn=5.1.1`},
		{`{"RecordType":"Delivery","ServerID":23,"MessageID":"883953f4-6105","Recipient":"li@partner.example","DeliveredAt":"2026-11-22T10:00:00Z","Details":"smtp;250 2.0.0 ok"}`,
			`delivery id=883953f4-6105 to=li@partner.example status=sent code=250 dsn=2.0.0`},
		{`{"RecordType":"Bounce","ID":42,"Type":"HardBounce","MessageID":"883953f4-6105","Description":"unknown user","Details":"smtp;550 5.1.1 no","Email":"li@partner.example","From":"news@mine.example","BouncedAt":"2026-11-22T10:00:00Z","Subject":"Hello"}`,
			`delivery id=883953f4-6105 from=news@mine.example to=li@partner.example status=bounced code=550 dsn=5.1.1 subject=Hello`},
		{`{"type":"Delivery","id":"1d98076abbbc11ed","sender":"news@mine.example","recipient":"li@partner.example","queue":"partner.example","site":"x","size":1047,"response":{"code":250,"enhanced_code":{"class":2,"subject":0,"detail":0},"content":"OK ids=8a54","command":"."},"peer_address":{"name":"mx.partner.example.","addr":"203.0.113.9"},"timestamp":1795341600,"num_attempts":0}`,
			`delivery id=1d98076abbbc11ed from=news@mine.example to=li@partner.example status=sent code=250 relay=mx.partner.example. size=1047`},
		// a subject is no record of its own
		{`{"RecordType":"Open","MessageID":"883953f4-6105","Email":"li@partner.example","Subject":"\",\"RecordType\":\"Delivery\",\"Recipient\":\"x@y.example"}`,
			`stats id=883953f4-6105 to=li@partner.example subject=","RecordType":"Delivery","Recipient":"x@y.example`},
		{`{"type":"order","id":"7","status":"paid"}`, `outcome 0`},
	})
}

func TestEmailLogSearch(t *testing.T) {
	const head = "Message ID,Start date,End date,Sender,Message size,Subject,Direction,Attachments,Recipient address,Event target,Event date,Event status,Event target IP address,Has encryption,Event SMTP reply,Event description\n"
	cases := [][2]string{
		{"<m@b.example>,2026/11/22 10:00:00 UTC,2026/11/22 10:00:03 UTC,a@b.example,2345,\"Hello, you\",Received,0,li@mine.example,SMTP_IN,2026/11/22 10:00:00 UTC,Received,192.0.2.1,TRUE,250,",
			"10:00:00 received mid=m@b.example from=a@b.example to=li@mine.example ip=192.0.2.1 code=250 subject=Hello, you size=2345"},
		{"<m@b.example>,2026/11/22 10:00:00 UTC,2026/11/22 10:00:03 UTC,a@b.example,2345,Hello,Received,0,li@mine.example,GMAIL_INBOX,2026/11/22 10:00:02 UTC,Delivered,,,,",
			"10:00:02 delivery mid=m@b.example from=a@b.example to=li@mine.example status=sent relay=GMAIL_INBOX folder=Inbox subject=Hello size=2345"},
		{"<s@mine.example>,2026/11/22 10:00:00 UTC,,li@mine.example,99,Hi,Sent,0,no@partner.example,SMTP_OUT,2026/11/22 10:00:02 UTC,Bounced,203.0.113.9,TRUE,550,No such user",
			"10:00:02 delivery mid=s@mine.example from=li@mine.example to=no@partner.example status=bounced code=550 relay=SMTP_OUT subject=Hi size=99"},
		{"SMTPIN_ADDED_REJECT_SESSION_1,2026/11/22 10:00:00 UTC,,a@b.example,0,N/A,Received,0,no@mine.example,SMTP_IN,2026/11/22 10:00:00 UTC,Rejected,192.0.2.1,,550,",
			"10:00:00 reject from=a@b.example to=no@mine.example ip=192.0.2.1 code=550"},
	}
	for _, c := range cases {
		r := logs.NewReader(logs.Clock{Local: time.UTC}, []logs.Dialect{Dialect{}})
		if r.Layout = (Dialect{}).Columns([]byte(head)); r.Layout == nil {
			t.Fatal("no table found")
		}
		var got []string
		r.Block([]byte(head+c[0]+"\n"), 0, 0, event.SinkFunc(func(e *event.Event) { got = append(got, e.Time().Format("15:04:05 ")+logstest.Short(e)) }))
		if s := strings.Join(got, " | "); s != c[1] || r.Unparsed != 0 {
			t.Errorf("%s\n got %s (%d not understood)\nwant %s", c[0], s, r.Unparsed, c[1])
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"eventType":"Send",` + sesMailObject + `,"send":{}}`)
	f.Add(`{"Message":"{\"eventType\":\"Bounce\",\"mail\":{},\"bounce\":{\"bouncedRecipients\":[{}]}}"}`)
	f.Add(`{"type":"Reception","id":"1","sender":"a","recipient":"b","response":{},"peer_address":{"addr":"1:2"},"headers":{"Subject":"x"}}`)
	f.Fuzz(func(t *testing.T, object string) {
		e := &event.Event{}
		out := Dialect{}.ParseRecord(&logs.Clock{}, []byte(object), e, event.SinkFunc(func(e *event.Event) {
			if e.Kind == event.None {
				t.Error("an event without a kind")
			}
		}))
		if out != logs.Known && out != logs.Foreign {
			t.Errorf("outcome %d", out)
		}
		r := logs.NewReader(logs.Clock{}, []logs.Dialect{Dialect{}})
		if r.Layout = (Dialect{}).Columns([]byte("Message ID,Sender,Event target,Event status,Event SMTP reply\n")); r.Layout != nil {
			r.Line([]byte(object), 0, 0, event.SinkFunc(func(*event.Event) {}))
		}
	})
}
