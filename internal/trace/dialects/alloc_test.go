package dialects

import (
	"bytes"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// common are lines that each dialect meets most, by its name; those of Exchange are rows of a table.
var common = map[string][]string{
	"policyd-spf": {"Nov 22 01:45:23 mx1 policyd-spf[12]: prepend Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=192.0.2.1; helo=h.example; envelope-from=a@b.example; receiver=<UNKNOWN>"},
	"postgrey":    {"Nov 22 01:45:23 mx1 postgrey[12]: action=pass, reason=triplet found, delay=301, client_name=h.example, client_address=192.0.2.1, sender=a@b.example, recipient=li@mine.example"},
	"postfix": {
		"Nov 22 01:45:23 mx1 postfix/smtpd[28916]: connect from out24.sender.example[192.0.2.24]",
		"Nov 22 01:45:23 mx1 postfix/smtpd[28916]: 4ABCDEF1234: client=out24.sender.example[192.0.2.24], sasl_method=PLAIN, sasl_username=li@mine.example",
		"Nov 22 01:45:23 mx1 postfix/cleanup[12]: 4ABCDEF1234: message-id=<m@b.example>",
		"Nov 22 01:45:23 mx1 postfix/qmgr[13]: 4ABCDEF1234: from=<li@mine.example>, size=1200, nrcpt=1 (queue active)",
		"Nov 22 01:45:23 mx1 postfix/smtp[16]: 4ABCDEF1234: to=<wang@partner.example>, relay=mx.partner.example[192.0.2.9]:25, conn_use=2, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4ABCDEF1239)",
		"Nov 22 01:45:23 mx1 postfix/smtpd[28916]: NOQUEUE: reject: RCPT from unknown[192.0.2.217]: 550 5.1.1 <admin@mine.example>: Recipient address rejected: User unknown in virtual mailbox table; from=<a@b.example> to=<admin@mine.example> proto=ESMTP helo=<h.example>",
		"2026-11-22T01:45:23.123456+08:00 mx1 postfix/qmgr[13]: 4ABCDEF1234: removed",
		"Nov 22 01:45:23 mx1 postfix/smtpd[28916]: disconnect from unknown[192.0.2.217] ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4",
	},
	"exim": {
		"2026-11-22 01:50:59 1xUwjM-0006cA-0N <= a@b.example H=h.example [192.0.2.1] P=esmtps X=TLS1.3:TLS_AES_256_GCM_SHA384:256 CV=no S=2345 id=m@b.example",
		"2026-11-22 01:50:59 1xUwjM-0006cA-0N => x@d.example R=dnslookup T=remote_smtp H=mx.d.example [192.0.2.9] X=TLS1.2:X:256 CV=yes C=\"250 2.0.0 Ok: queued as ABC123DEF\" QT=1s DT=0s",
		"2026-11-22 01:50:59 1xUwjM-0006cA-0N Completed",
		"2026-11-22 01:50:59 H=(x) [192.0.2.7] F=<a@b.example> rejected RCPT <no@mine.example>: Unrouteable address",
	},
	"dovecot": {
		"Nov 22 01:45:23 mx1 dovecot: lmtp(li@mine.example)<29137><nPRYDTNJAmvRcQAAg+zDdQ>: sieve: msgid=<m@b.example>: stored mail into mailbox 'Junk'",
		"Nov 22 01:45:23 mx1 dovecot: imap-login: Login: user=<li@mine.example>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.2, mpid=77, TLS, session=<abcdefgh>",
	},
	"sendmail": {
		"Nov 22 01:45:23 mx1 sendmail[12]: 4AM1jN0a012345: from=<a@b.example>, size=1234, class=0, nrcpts=1, msgid=<m@b.example>, proto=ESMTP, daemon=MTA, relay=h.example [192.0.2.1]",
		"Nov 22 01:45:23 mx1 sm-mta[12]: 4AM1jN0a012345: to=<li@partner.example>, delay=00:01:02, xdelay=00:00:01, mailer=esmtp, pri=1, relay=mx.partner.example. [192.0.2.9], dsn=2.0.0, stat=Sent (4AM1jN0b098765 Message accepted for delivery)",
	},
	"exchange":      {"2026-11-22T01:45:23.123Z,192.0.2.1,h.example,192.0.2.2,EX1,,EX1\\Default,SMTP,RECEIVE,123,<m@b.example>,net-1,li@mine.example,,4321,1,,,Hello,a@b.example"},
	"opensmtpd":     {"Nov 22 01:45:23 mx1 smtpd[12]: 7a1b2c3d4e5f6071 smtp message msgid=5f7c8a1b size=1234 nrcpt=1 proto=ESMTP"},
	"haraka":        {"2026-11-22T01:45:23.123Z [NOTICE] [3A5F2B1C-1234-4F5A-9B8C-0123456789AB] [core] connect ip=192.0.2.1 port=4711 local_ip=:: local_port=25"},
	"qmail":         {"Nov 22 01:45:23 mx1 qmail: 1700000000.123456 delivery 5: success: 192.0.2.9_accepted_message./Remote_host_said:_250_ok/"},
	"rspamd":        {"2026-11-22 01:50:59 #12(normal) <a1b2c3>; task; rspamd_task_write_log: id: <m@b.example>, qid: <4ABCDEF123>, ip: 192.0.2.1, from: <a@b.example>, (default: F (no action): [1.20/15.00] [R_SPF_ALLOW(-0.2){+ip4;}]), len: 1234, time: 12.3ms"},
	"spamassassin":  {"Nov 22 01:45:23 mx1 spamd[12]: spamd: result: . 1 - BAYES_50 scantime=0.5,size=1234,user=li,uid=1,required_score=5.0,rhost=::1,raddr=::1,rport=1,mid=<m@b.example>,bayes=0.5,autolearn=no"},
	"amavis":        {"Nov 22 01:45:23 mx1 amavis[12]: (12345-01) Passed CLEAN {RelayedInbound}, [192.0.2.1]:25 [192.0.2.9] <a@b.example> -> <li@mine.example>, Queue-ID: 4ABCDEF123, Message-ID: <m@b.example>, mail_id: xyz, Hits: -1.2, size: 1234, queued_as: 5ABCDEF123, 300 ms"},
	"opendkim":      {"Nov 22 01:45:23 mx1 opendkim[1]: 4ABCDEF123: DKIM-Signature field added (s=s2026, d=mine.example)"},
	"opendmarc":     {"Nov 22 01:45:23 mx1 opendmarc[1]: 4ABCDEF123: partner.example pass"},
	"clamav-milter": {"Nov 22 01:45:23 mx1 clamav-milter[12]: Clean message from <a@b.example> to <li@mine.example>"},
	"proxmox": {
		"Nov 22 01:45:23 pmg pmg-smtp-filter[12]: A1B2C3D4E5F60: new mail message-id=<m@b.example>",
		"Nov 22 01:45:23 pmg pmg-smtp-filter[12]: A1B2C3D4E5F60: accept mail to <li@mine.example> (5ABCDEF12) (rule: default-accept)",
	},
	"policy": {"Nov 22 01:45:23 mx1 iredapd[12]: [192.0.2.1] RCPT, a@b.example -> li@mine.example, DUNNO [sasl_username=, sender=a@b.example, client_name=h.example, helo=h.example, process_time=0.0123s]"},
	"cyrus":  {"Nov 22 01:45:23 mx1 cyrus/lmtpunix[12]: Delivered: <m@b.example> to mailbox: user.li"},
	"service": {
		`{"email":"li@partner.example","timestamp":1795341600,"smtp-id":"<m@mine.example>","event":"delivered","sg_event_id":"x","sg_message_id":"14c5.filter1.0","response":"250 2.0.0 OK"}`,
		`{"eventType":"Delivery","mail":{"timestamp":"2026-11-22T10:00:00.123Z","source":"news@mine.example","messageId":"0100-abc","destination":["li@partner.example"]},"delivery":{"timestamp":"2026-11-22T10:00:02Z","recipients":["li@partner.example"],"smtpResponse":"250 2.6.0 Message received"}}`,
	},
	"zimbra": {"2026-11-22 10:00:00,242 INFO  [LmtpServer-1] [ip=192.0.2.12;] lmtp - Delivering message: size=840 bytes, nrcpts=1, sender=a@b.example, msgid=<m@b.example>"},
	"maddy":  {"Nov 22 10:00:00 mx maddy[9]: smtp: incoming message        {\"msg_id\":\"8647979a\",\"sender\":\"a@b.example\",\"src_host\":\"mail.b.example\",\"src_ip\":\"[2001:db8::20b]:39802\"}"},
	"stalwart": {
		"2026-11-22T10:00:00Z INFO Queued message for delivery (queue.queue-message) listenerId = \"smtp\", localPort = 25, remoteIp = 192.0.2.1, remotePort = 38509, queueId = 2849999723, from = \"a@b.example\", to = [\"li@mine.example\"], size = 6046",
		"2026-11-22T10:00:00Z INFO DSN success notification (delivery.dsn-success) queueId = 2849999723, from = \"a@b.example\", to = [\"li@mine.example\"], size = 6046, total = 1, to = \"li@mine.example\", hostname = \"mx\", code = 250, details = \"OK\"",
	},
	"courier":  {"Nov 22 01:45:23 mx1 imapd: LOGIN, user=li, ip=[::ffff:192.0.2.1], port=[4711], protocol=IMAP"},
	"system":   {"Nov 22 01:45:23 mx1 kernel: Out of memory: Killed process 812 (clamd) total-vm:1804132kB"},
	"fail2ban": {"2026-11-22 01:50:59,123 fail2ban.actions        [99]: NOTICE  [postfix-sasl] Ban 192.0.2.1"},
}

// TestProtocolRowsWithoutAllocation: nor do the rows of Exchange's SMTP protocol logs take one.
func TestProtocolRowsWithoutAllocation(t *testing.T) {
	head := "#Software: Microsoft Exchange Server\n#Fields: date-time,connector-id,session-id,sequence-number,local-endpoint,remote-endpoint,event,data,context\n"
	all := All()
	r := logs.NewReader(logs.Clock{}, all)
	if r.Layout = logs.LayoutOf(all, []byte(head)); r.Layout == nil {
		t.Fatal("the columns are not known")
	}
	for _, s := range []string{"+,,", `<,MAIL FROM:<a@b.example> SIZE=12,`, `>,550 5.1.1 User unknown,`, `*,,"TLS protocol SP_PROT_TLS1_2_SERVER negotiation succeeded"`} {
		b := []byte(`2026-11-22T15:59:51.400Z,EX1\Default Frontend EX1,08DEF3EC62278461,0,192.0.2.25:25,198.51.100.7:56026,` + s)
		sink := event.SinkFunc(func(*event.Event) {})
		if out := r.Line(b, 0, 0, sink); out != logs.Known {
			t.Errorf("outcome %d of %s", out, b)
		}
		if n := testing.AllocsPerRun(100, func() { r.Line(b, 0, 0, sink) }); n != 0 {
			t.Errorf("%v allocations for %s", n, b)
		}
	}
}

// header are the columns of the row above.
const header = "#Software: Microsoft Exchange Server\n#Version: 15.02.0000.000\n#Log-type: Message Tracking Log\n#Date: 2026-11-22T00:00:00.000Z\n" +
	"#Fields: date-time,client-ip,client-hostname,server-ip,server-hostname,source-context,connector-id,source,event-id,internal-message-id,message-id,network-message-id,recipient-address,recipient-status,total-bytes,recipient-count,related-recipient-address,reference,message-subject,sender-address\n"

// TestNoAllocationOnCommonLines: every dialect reads the lines it meets most without an allocation, found by the whole list.
func TestNoAllocationOnCommonLines(t *testing.T) {
	sink := event.SinkFunc(func(*event.Event) {})
	for _, d := range All() {
		name := d.Software().String()
		if len(common[name]) == 0 {
			t.Errorf("no line of %s", name)
		}
		for _, line := range common[name] {
			r := logs.NewReader(logs.Clock{Latest: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)}, All())
			if name == "exchange" {
				in, err := logs.FromReader("t", bytes.NewReader([]byte(header+line+"\n")), r.Latest)
				if err != nil {
					t.Fatal(err)
				}
				in.Sniff(All())
				if r.Layout = in.Layout; r.Layout == nil {
					t.Fatal("the columns of Exchange are not known")
				}
			}
			b := []byte(line)
			if out := r.Line(b, 0, 0, sink); out != logs.Known {
				t.Errorf("outcome %d of %s", out, line)
			}
			if n := testing.AllocsPerRun(100, func() { r.Line(b, 0, 0, sink) }); n != 0 {
				t.Errorf("%s: %v allocations for %s", name, n, line)
			}
		}
	}
}

// TestRealLogsWithoutAllocation: of a thousand lines of real servers at most one takes an allocation.
func TestRealLogsWithoutAllocation(t *testing.T) {
	sink := event.SinkFunc(func(*event.Event) {})
	for _, name := range samples(t) {
		in, err := logs.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		in.Sniff(All())
		var text []byte
		if err := in.Each(func(b []byte, _ int64) error {
			text = append(text, b...)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		in.Close()
		text = text[:bytes.LastIndexByte(text[:min(len(text), 8<<20)], '\n')+1]
		r := in.Reader(time.UTC, All())
		lines := bytes.Count(text, []byte("\n"))
		n := testing.AllocsPerRun(1, func() { r.Block(text, 0, 0, sink) })
		t.Logf("%s: %v allocations for %d lines", name, n, lines)
		if n*1000 > float64(lines) {
			t.Errorf("%s: %v allocations for %d lines", name, n, lines)
		}
	}
}
