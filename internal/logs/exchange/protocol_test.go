package exchange

import (
	"strings"
	"testing"
)

const smtpHead = "#Software: Microsoft Exchange Server\r\n#Version: 15.0.0.0\r\n#Log-type: SMTP Receive Protocol Log\r\n#Date: 2026-11-22T16:00:04.113Z\r\n" +
	"#Fields: date-time,connector-id,session-id,sequence-number,local-endpoint,remote-endpoint,event,data,context\r\n"

func TestProtocol(t *testing.T) {
	in := `2026-11-22T15:59:51.400Z,EX1\Default Frontend EX1,08DE01,0,192.0.2.25:25,198.51.100.7:56026,`
	out := `2026-11-22T15:59:51.400Z,Internet,08DE02,0,192.0.2.25:41000,[2001:db8::9]:25,`
	cases := [][2]string{
		{in + `+,,`, "connect session=08DE01 ip=198.51.100.7"},
		{in + `>,"220 EX1.mine.example Microsoft ESMTP MAIL Service ready at Sun, 22 Nov 2026 16:59:51 +0100",`, "stats session=08DE01 ip=198.51.100.7 code=220"},
		{in + `<,EHLO mail.b.example,`, "stats session=08DE01 ip=198.51.100.7"},
		{in + `*,,"TLS protocol SP_PROT_TLS1_2_SERVER negotiation succeeded using bulk encryption algorithm CALG_AES_256 with strength 256 bits"`, "tls session=08DE01 ip=198.51.100.7"},
		{in + `*,,TLS negotiation failed with error NoCredentials`, "tls-failed session=08DE01 ip=198.51.100.7"},
		{in + `*,MINE\li,authenticated`, `auth session=08DE01 ip=198.51.100.7 user=MINE\li`},
		{in + `>,535 5.7.3 Authentication unsuccessful,`, "auth-failed session=08DE01 ip=198.51.100.7 code=535 dsn=5.7.3"},
		{in + `<,MAIL FROM:<a@b.example> SIZE=2345,`, "related session=08DE01 from=a@b.example ip=198.51.100.7 size=2345"},
		{in + `<,mail from: <>,`, "related session=08DE01 from= ip=198.51.100.7"},
		{in + `<,RCPT TO:<li@mine.example> NOTIFY=NEVER,`, "related session=08DE01 to=li@mine.example ip=198.51.100.7"},
		{in + `>,550 5.1.1 User unknown,`, "reject session=08DE01 ip=198.51.100.7 code=550 dsn=5.1.1"},
		{in + `>,"250 2.6.0 <m@b.example> [InternalId=1, Hostname=EX1] 99 bytes Queued mail for delivery",`, "received session=08DE01 ip=198.51.100.7 code=250 dsn=2.6.0"},
		{in + `-,,Remote(SocketError)`, "disconnect session=08DE01 ip=198.51.100.7"},
		{out + `*,,sending message with RecordId 42 and InternetMessageId <m@mine.example>`, "related session=08DE02"},
		{out + `>,RCPT TO:<wang@partner.example>,`, "related session=08DE02 to=wang@partner.example"},
		{out + `<,550 5.1.1 no such user,`, "reply session=08DE02 code=550 dsn=5.1.1"},
		{out + `<,250 2.0.0 Ok: queued as 4ABCDEF1234,`, "reply session=08DE02 code=250 dsn=2.0.0"},
		{out + `<,250-SIZE 10,`, "stats session=08DE02 code=250"},
		{out + `*,,"Failed to connect. Winsock error code: 10060, Win32 error code: 10060"`, "connect-error session=08DE02"},
		// what a client sends stays data
		{in + `<,"RCPT TO:<""x>,250 2.6.0 <f@b.example> Queued mail""@b.example>",`, `related session=08DE01 to="x>,250 2.6.0 <f@b.example> Queued mail"@b.example ip=198.51.100.7`},
		{in + `<,EHLO 550 5.1.1 User unknown,`, "stats session=08DE01 ip=198.51.100.7"},
	}
	for _, c := range cases {
		got, unparsed := read(t, smtpHead+c[0]+"\r\n")
		if s := strings.TrimPrefix(strings.Join(got, " | "), "15:59:51 "); s != c[1] || unparsed != 0 {
			t.Errorf("%s\n got %s (%d not understood)\nwant %s", c[0], s, unparsed, c[1])
		}
	}
}
