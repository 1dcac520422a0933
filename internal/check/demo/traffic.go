package demo

import (
	"container/heap"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// Traffic makes up the logs of a small company: a submission server (out1), an incoming one (mx1), both Postfix, and a
// mailbox server (imap1, Dovecot). The same seed and times give the same lines. It is not safe for concurrent use.
type Traffic struct {
	rnd   *rand.Rand
	due   lines
	until time.Time // of the last line given away
	next  time.Time // when the next thing begins
	serial,
	pid int
	wave time.Time // from then on, one provider puts us off
}

// Hosts are the machines that log.
var Hosts = []string{"out1", "mx1", "imap1"}

// NewTraffic begins at a time. From wave on the largest provider answers with "come again".
func NewTraffic(seed uint64, from, wave time.Time) *Traffic {
	return &Traffic{rnd: rand.New(rand.NewPCG(seed, 8025)), next: from, until: from, pid: 1200, wave: wave}
}

type line struct {
	at   time.Time
	host string
	text string
	n    int // keeps the order of lines of one moment
}

type lines []line

func (l lines) Len() int { return len(l) }
func (l lines) Less(i, j int) bool {
	return l[i].at.Before(l[j].at) || l[i].at.Equal(l[j].at) && l[i].n < l[j].n
}
func (l lines) Swap(i, j int) { l[i], l[j] = l[j], l[i] }
func (l *lines) Push(x any)   { *l = append(*l, x.(line)) }
func (l *lines) Pop() any {
	old := *l
	x := old[len(old)-1]
	*l = old[:len(old)-1]
	return x
}

// WriteUntil writes all lines before a time, in their order, to the writer of their host. perHour is how many things
// happen in the busiest hour of a day.
func (t *Traffic) WriteUntil(end time.Time, perHour float64, to func(host string) io.Writer) error {
	for t.next.Before(end) {
		t.something(t.next)
		// Between a tenth of the rate in the small hours and all of it at noon.
		hour := float64(t.next.Hour()) + float64(t.next.Minute())/60
		rate := perHour * (0.55 - 0.45*math.Cos((hour-1)/24*2*math.Pi))
		t.next = t.next.Add(time.Duration(t.rnd.ExpFloat64() * float64(time.Hour) / rate))
	}
	for len(t.due) > 0 && t.due[0].at.Before(end) {
		l := heap.Pop(&t.due).(line)
		if _, err := fmt.Fprintf(to(l.host), "%s %s %s\n", l.at.UTC().Format("2006-01-02T15:04:05.000000+00:00"), l.host, l.text); err != nil {
			return err
		}
	}
	t.until = end
	return nil
}

func (t *Traffic) say(at time.Time, host, program, format string, args ...any) {
	t.serial++
	heap.Push(&t.due, line{at, host, fmt.Sprintf("%s[%d]: ", program, t.process()) + fmt.Sprintf(format, args...), t.serial})
}

func (t *Traffic) process() int { t.pid++; return 1000 + t.pid%30000 }

func (t *Traffic) queueID(at time.Time) string {
	return fmt.Sprintf("%05X%06X", at.Nanosecond()/1000&0xFFFFF, t.rnd.IntN(1<<24))
}

func pick[T any](t *Traffic, from []T) T { return from[t.rnd.IntN(len(from))] }

var (
	people  = []string{"li", "wang", "zhang", "chen", "sales", "info", "billing"}
	words   = []string{"offer", "invoice 2231", "minutes of Monday", "报价单", "delivery date", "会议纪要", "Re: contract", "newsletter"}
	strange = []string{"203.0.113.7", "203.0.113.66", "198.51.100.200", "203.0.113.140"}
)

// partner is a domain that gets mail from us, with what its server answers.
type partner struct {
	domain, relay, ip string
	weight            int
	fate              func(t *Traffic, at time.Time, p *partner) (status, dsn, reply string, again time.Duration)
}

func fine(*Traffic, time.Time, *partner) (string, string, string, time.Duration) {
	return "sent", "2.0.0", "250 2.0.0 Ok: queued as %ID%", 0
}

// often gives an answer in so many of a hundred cases, and otherwise takes the message.
func often(percent int, status, dsn, reply string, again time.Duration) func(*Traffic, time.Time, *partner) (string, string, string, time.Duration) {
	return func(t *Traffic, at time.Time, p *partner) (string, string, string, time.Duration) {
		if t.rnd.IntN(100) < percent {
			return status, dsn, reply, again
		}
		return fine(t, at, p)
	}
}

var partners = []partner{
	{"fine.example", "mx.fine.example", "192.0.2.10", 30, fine},
	{"club.example", "aspmx.l.google.com", "192.0.2.26", 30, func(t *Traffic, at time.Time, p *partner) (string, string, string, time.Duration) {
		if !t.wave.IsZero() && at.After(t.wave) && t.rnd.IntN(100) < 60 {
			return "deferred", "4.7.28", "421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address. To protect our users from spam, mail sent from your IP address has been temporarily rate limited. (in reply to end of DATA command)", 10 * time.Minute
		}
		return fine(t, at, p)
	}},
	{"shop.example", "shop-example.mail.protection.outlook.com", "192.0.2.40", 20, often(3, "bounced", "5.7.1", "550 5.7.1 Unfortunately, messages from [198.51.100.25] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140). (in reply to MAIL FROM command)", 0)},
	{"factory.example", "mxbiz1.qq.com", "192.0.2.60", 15, often(6, "bounced", "5.0.0", "550 Mail content denied. http://service.mail.qq.com/detail/0/92 (in reply to end of DATA command)", 0)},
	{"school.example", "163mx01.mxmail.netease.com", "192.0.2.80", 15, often(8, "bounced", "5.0.0", "554 DT:SPM 163 mx5,QMCowACXn,please see http://mail.163.com/help/help_spam_16.htm?ip=198.51.100.25 (in reply to end of DATA command)", 0)},
	{"grey.example", "mx.grey.example", "192.0.2.100", 8, func(t *Traffic, at time.Time, p *partner) (string, string, string, time.Duration) {
		return "deferred", "4.2.0", "450 4.2.0 <%TO%>: Recipient address rejected: Greylisted, come back in 300 seconds (in reply to RCPT TO command)", 6 * time.Minute
	}},
	{"nobody.example", "mx.nobody.example", "192.0.2.120", 4, often(90, "bounced", "5.1.1", "550 5.1.1 <%TO%>: Recipient address rejected: User unknown (in reply to RCPT TO command)", 0)},
	{"full.example", "mx.full.example", "192.0.2.140", 3, often(80, "deferred", "4.2.2", "452 4.2.2 <%TO%>: Mailbox full (in reply to RCPT TO command)", 30*time.Minute)},
	{"strict.example", "mx.strict.example", "192.0.2.160", 3, often(50, "deferred", "4.7.25", "450 4.7.25 Client host rejected: cannot find your hostname, [198.51.100.25] (in reply to RCPT TO command)", 20*time.Minute)},
}

func (t *Traffic) partner() *partner {
	all := 0
	for i := range partners {
		all += partners[i].weight
	}
	n := t.rnd.IntN(all)
	for i := range partners {
		if n -= partners[i].weight; n < 0 {
			return &partners[i]
		}
	}
	return &partners[0]
}

// something happens: a message goes out or comes in, somebody is refused, somebody logs in.
func (t *Traffic) something(at time.Time) {
	switch n := t.rnd.IntN(100); {
	case n < 42:
		t.outgoing(at)
	case n < 75:
		t.incoming(at)
	case n < 88:
		t.refused(at)
	case n < 97:
		t.login(at)
	default:
		t.guess(at)
	}
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// outgoing is a message of one of us to a partner.
func (t *Traffic) outgoing(at time.Time) {
	from, p := pick(t, people), t.partner()
	to := pick(t, people) + "@" + p.domain
	if p.domain == "nobody.example" {
		to = "wamg@" + p.domain
	}
	id, mid := t.queueID(at), fmt.Sprintf("%d.%x@pc7.mine.example", at.UnixMicro(), t.rnd.Uint32())
	client := fmt.Sprintf("pc%d.mine.example[192.0.2.%d]", 7, 200+t.rnd.IntN(20))
	t.say(at, "out1", "postfix/submission/smtpd", "connect from %s", client)
	t.say(at.Add(ms(20)), "out1", "postfix/submission/smtpd", "Anonymous TLS connection established from %s: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)", client)
	t.say(at.Add(ms(60)), "out1", "postfix/submission/smtpd", "%s: client=%s, sasl_method=PLAIN, sasl_username=%s@mine.example", id, client, from)
	t.say(at.Add(ms(70)), "out1", "postfix/cleanup", "%s: message-id=<%s>", id, mid)
	t.say(at.Add(ms(72)), "out1", "postfix/cleanup", "%s: info: header Subject: %s from %s; from=<%s@mine.example> to=<%s> proto=ESMTP helo=<pc7.mine.example>", id, pick(t, words), client, from, to)
	t.say(at.Add(ms(90)), "out1", "postfix/qmgr", "%s: from=<%s@mine.example>, size=%d, nrcpt=1 (queue active)", id, from, 900+t.rnd.IntN(90000))
	t.say(at.Add(ms(95)), "out1", "postfix/submission/smtpd", "disconnect from %s ehlo=2 starttls=1 auth=1 mail=1 rcpt=1 data=1 quit=1 commands=8", client)
	t.attempt(at.Add(ms(300+t.rnd.IntN(900))), at, p, id, from, to, 0)
}

// attempt is one try at the partner's server; what is put off is tried again, at last given up.
func (t *Traffic) attempt(at, since time.Time, p *partner, id, from, to string, tries int) {
	status, dsn, reply, again := p.fate(t, at, p)
	if p.domain == "grey.example" && tries > 0 {
		status, dsn, reply, _ = fine(t, at, p)
	}
	reply = strings.NewReplacer("%TO%", to, "%ID%", t.queueID(at)).Replace(reply)
	took := ms(80 + t.rnd.IntN(700))
	delay := at.Add(took).Sub(since).Seconds()
	if status != "sent" {
		reply = "host " + p.relay + "[" + p.ip + "] said: " + reply
	} else if t.rnd.IntN(100) < 96 {
		t.say(at.Add(took/2), "out1", "postfix/smtp", "Trusted TLS connection established to %s[%s]:25: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)", p.relay, p.ip)
	}
	t.say(at.Add(took), "out1", "postfix/smtp", "%s: to=<%s>, relay=%s[%s]:25, delay=%.2g, delays=%.2g/0.01/0.05/%.2g, dsn=%s, status=%s (%s)", id, to, p.relay, p.ip, delay, delay-took.Seconds(), took.Seconds(), dsn, status, reply)
	switch {
	case status == "sent":
		t.say(at.Add(took+ms(2)), "out1", "postfix/qmgr", "%s: removed", id)
	case status == "deferred" && tries < 6:
		t.say(at.Add(took+again-ms(5)), "out1", "postfix/qmgr", "%s: from=<%s@mine.example>, size=%d, nrcpt=1 (queue active)", id, from, 4000)
		t.attempt(at.Add(took+again), since, p, id, from, to, tries+1)
	default:
		back := t.queueID(at.Add(ms(77)))
		t.say(at.Add(took+ms(3)), "out1", "postfix/cleanup", "%s: message-id=<%d.%s@out1.mine.example>", back, at.Unix(), back)
		t.say(at.Add(took+ms(4)), "out1", "postfix/bounce", "%s: sender non-delivery notification: %s", id, back)
		t.say(at.Add(took+ms(5)), "out1", "postfix/qmgr", "%s: removed", id)
		t.say(at.Add(took+ms(6)), "out1", "postfix/qmgr", "%s: from=<>, size=4211, nrcpt=1 (queue active)", back)
		t.filed(at.Add(took+ms(30)), "out1", back, fmt.Sprintf("%d.%s@out1.mine.example", at.Unix(), back), from, "INBOX")
	}
}

// incoming is a message of a partner to one of us.
func (t *Traffic) incoming(at time.Time) {
	p, to := t.partner(), pick(t, people)
	from := pick(t, people) + "@" + p.domain
	id, mid := t.queueID(at), fmt.Sprintf("%x%x@%s", t.rnd.Uint64(), t.rnd.Uint32(), p.domain)
	client := p.relay + "[" + p.ip + "]"
	t.say(at, "mx1", "postfix/smtpd", "connect from %s", client)
	t.say(at.Add(ms(30)), "mx1", "postfix/smtpd", "Anonymous TLS connection established from %s: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)", client)
	t.say(at.Add(ms(90)), "mx1", "postfix/smtpd", "%s: client=%s", id, client)
	t.say(at.Add(ms(120)), "mx1", "postfix/cleanup", "%s: message-id=<%s>", id, mid)
	t.say(at.Add(ms(130)), "mx1", "opendkim", "%s: DKIM verification successful (s=a, d=%s, 2048-bit key)", id, p.domain)
	t.say(at.Add(ms(160)), "mx1", "postfix/qmgr", "%s: from=<%s>, size=%d, nrcpt=1 (queue active)", id, from, 2000+t.rnd.IntN(200000))
	t.say(at.Add(ms(170)), "mx1", "postfix/smtpd", "disconnect from %s ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7", client)
	folder := "INBOX"
	if t.rnd.IntN(8) == 0 {
		folder = "Junk"
	}
	t.filed(at.Add(ms(200)), "mx1", id, mid, to, folder)
}

// filed is the last step: Dovecot takes the message over LMTP and Sieve says where it goes.
func (t *Traffic) filed(at time.Time, host, id, mid, user, folder string) {
	session := fmt.Sprintf("%x", t.rnd.Uint64())
	t.say(at.Add(ms(40)), "imap1", "dovecot", "lmtp(%s@mine.example)<%d><%s>: sieve: msgid=<%s>: stored mail into mailbox '%s'", user, t.process(), session, mid, folder)
	t.say(at.Add(ms(60)), host, "postfix/lmtp", "%s: to=<%s@mine.example>, relay=imap1.mine.example[192.0.2.3]:24, delay=0.3, delays=0.2/0.01/0.02/0.07, dsn=2.0.0, status=sent (250 2.0.0 <%s@mine.example> %s Saved)", id, user, user, session)
	t.say(at.Add(ms(62)), host, "postfix/qmgr", "%s: removed", id)
}

// refused is a stranger at the door.
func (t *Traffic) refused(at time.Time) {
	ip, to := pick(t, strange), pick(t, people)+"@mine.example"
	from := fmt.Sprintf("offer%d@spam.example", t.rnd.IntN(40))
	why := fmt.Sprintf("554 5.7.1 Service unavailable; Client host [%s] blocked using dnsbl.lists.example; from=<%s> to=<%s> proto=ESMTP helo=<spam.example>", ip, from, to)
	if t.rnd.IntN(3) == 0 {
		to = pick(t, []string{"admin", "webmaster", "test", "wamg"}) + "@mine.example"
		why = fmt.Sprintf("550 5.1.1 <%s>: Recipient address rejected: User unknown in virtual mailbox table; from=<%s> to=<%s> proto=ESMTP helo=<spam.example>", to, from, to)
	}
	t.say(at, "mx1", "postfix/smtpd", "connect from unknown[%s]", ip)
	t.say(at.Add(ms(200)), "mx1", "postfix/smtpd", "NOQUEUE: reject: RCPT from unknown[%s]: %s", ip, why)
	t.say(at.Add(ms(230)), "mx1", "postfix/smtpd", "disconnect from unknown[%s] ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4", ip)
}

func (t *Traffic) login(at time.Time) {
	t.say(at, "imap1", "dovecot", "imap-login: Login: user=<%s@mine.example>, method=PLAIN, rip=192.0.2.%d, lip=192.0.2.3, mpid=%d, TLS, session=<%x>", pick(t, people), 200+t.rnd.IntN(20), t.process(), t.rnd.Uint64())
}

// guess is somebody who tries passwords, a few at once.
func (t *Traffic) guess(at time.Time) {
	for i := range 3 + t.rnd.IntN(12) {
		t.say(at.Add(time.Duration(i)*2*time.Second), "imap1", "dovecot", "imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<%s@mine.example>, method=PLAIN, rip=203.0.113.66, lip=192.0.2.3, TLS, session=<%x>", pick(t, people), t.rnd.Uint64())
	}
}
