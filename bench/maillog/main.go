// Command maillog writes a made-up Postfix log of any size to standard output: submissions, filter re-injection, LMTP,
// deliveries, deferrals, bounces, rejects, failed logins, in an interleaving like that of a busy server. The same seed
// gives the same bytes. With -rate it writes so many lines a second, stamped with the time of writing.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

type writer struct {
	*bufio.Writer
	at   time.Time
	n    int64
	rng  *rand.Rand
	base int64

	rate  int // lines a second, stamped now; 0: as fast as it goes, in a time of its own
	lines int
	began time.Time
}

func main() {
	size := flag.Int64("size", 1<<30, "bytes to write")
	seed := flag.Uint64("seed", 1, "seed")
	begin := flag.String("begin", "2026-11-01", "date of the first line")
	rate := flag.Int("rate", 0, "lines a second, stamped with the time of writing; 0: as fast as it goes")
	span := flag.Duration("for", time.Minute, "with -rate: how long")
	flag.Parse()
	at, err := time.Parse(time.DateOnly, *begin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(64)
	}
	w := &writer{Writer: bufio.NewWriterSize(os.Stdout, 1<<20), at: at, rng: rand.New(rand.NewPCG(*seed, 1)), base: 0x1000000000, rate: *rate, began: time.Now()}
	if w.rate > 0 {
		*size, w.base = 1<<62, w.began.UnixMilli()<<8 // ids of no other run
	}
	for w.n < *size && (w.rate == 0 || time.Since(w.began) < *span) {
		switch r := w.rng.IntN(100); {
		case r < 45:
			w.inbound()
		case r < 75:
			w.outbound()
		case r < 92:
			w.reject()
		default:
			w.guess()
		}
	}
	if err := w.Flush(); err != nil {
		os.Exit(1)
	}
}

// line writes one line; time goes on by some tens of milliseconds, slower at night.
func (w *writer) line(program, format string, args ...any) {
	step := 20 + w.rng.IntN(60)
	if h := w.at.Hour(); h < 6 {
		step *= 4
	}
	w.at = w.at.Add(time.Duration(step) * time.Millisecond)
	stamp := w.at.Format("Jan _2 15:04:05")
	if w.rate > 0 {
		stamp = w.paced().Format("2006-01-02T15:04:05.000000-07:00")
	}
	n, _ := fmt.Fprintf(w, "%s mx1 postfix/%s[%d]: ", stamp, program, 1000+w.rng.IntN(400))
	m, _ := fmt.Fprintf(w, format+"\n", args...)
	w.n += int64(n + m)
}

// paced waits until the line is due, in steps of a hundredth of a second, and gives the time.
func (w *writer) paced() time.Time {
	w.lines++
	if step := w.rate / 100; step > 0 && w.lines%step == 0 {
		if err := w.Flush(); err != nil {
			os.Exit(1)
		}
		time.Sleep(time.Until(w.began.Add(time.Duration(w.lines) * time.Second / time.Duration(w.rate))))
	}
	return time.Now()
}

func (w *writer) id() string { w.base += int64(1 + w.rng.IntN(9)); return fmt.Sprintf("%X", w.base) }

// skewed picks small numbers often, so that some domains and users are heavy.
func (w *writer) skewed(n int) int {
	return int(float64(n) * w.rng.Float64() * w.rng.Float64() * w.rng.Float64())
}

func (w *writer) ip(net int) string {
	return fmt.Sprintf("198.%d.%d.%d", net, w.skewed(200), 1+w.rng.IntN(250))
}

func (w *writer) inbound() {
	d, u := w.skewed(5000), w.skewed(2000)
	ip := w.ip(18)
	id := w.id()
	w.line("smtpd", "connect from out%d.sender%d.example[%s]", d%7, d, ip)
	w.line("smtpd", "Anonymous TLS connection established from out%d.sender%d.example[%s]: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)", d%7, d, ip)
	w.line("smtpd", "%s: client=out%d.sender%d.example[%s]", id, d%7, d, ip)
	w.line("cleanup", "%s: message-id=<%d.%s@sender%d.example>", id, w.n, id, d)
	w.line("qmgr", "%s: from=<news%d@sender%d.example>, size=%d, nrcpt=1 (queue active)", id, u, d, 800+w.skewed(90000))
	w.line("smtpd", "disconnect from out%d.sender%d.example[%s] ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7", d%7, d, ip)
	w.line("lmtp", "%s: to=<user%d@corp.example>, relay=mail.corp.example[private/dovecot-lmtp], delay=0.%02d, delays=0.05/0/0/0.0%d, dsn=2.0.0, status=sent (250 2.0.0 <user%d@corp.example> %s Saved)", id, u, w.rng.IntN(99), w.rng.IntN(9), u, id)
	w.line("qmgr", "%s: removed", id)
}

func (w *writer) outbound() {
	u := w.skewed(2000)
	id := w.id()
	w.line("submission/smtpd", "%s: client=c%d.office.example[%s], sasl_method=PLAIN, sasl_username=user%d@corp.example", id, u, w.ip(19), u)
	w.line("cleanup", "%s: message-id=<%d@corp.example>", id, w.n)
	w.line("qmgr", "%s: from=<user%d@corp.example>, size=%d, nrcpt=2 (queue active)", id, u, 900+w.skewed(200000))
	for range 1 + w.rng.IntN(2) {
		d := w.skewed(20000)
		to, relay, ip := fmt.Sprintf("contact%d@partner%d.example", w.skewed(300), d), fmt.Sprintf("mx%d.partner%d.example", d%3, d), w.ip(51)
		switch r := w.rng.IntN(100); {
		case r < 88:
			w.line("smtp", "%s: to=<%s>, relay=%s[%s]:25, delay=%d.%d, delays=0.1/0.01/0.4/0.5, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as %s)", id, to, relay, ip, w.rng.IntN(4), w.rng.IntN(9), w.id())
		case r < 96:
			w.line("smtp", "%s: to=<%s>, relay=%s[%s]:25, delay=2.1, delays=0.1/0.01/1/1, dsn=4.2.0, status=deferred (host %s[%s] said: 450 4.2.0 <%s>: Recipient address rejected: Greylisted (in reply to RCPT TO command))", id, to, relay, ip, relay, ip, to)
		default:
			w.line("smtp", "%s: to=<%s>, relay=%s[%s]:25, delay=1.2, delays=0.1/0.01/0.5/0.6, dsn=5.1.1, status=bounced (host %s[%s] said: 550 5.1.1 <%s>: Recipient address rejected: User unknown in virtual mailbox table (in reply to RCPT TO command))", id, to, relay, ip, relay, ip, to)
		}
	}
	w.line("qmgr", "%s: removed", id)
}

func (w *writer) reject() {
	ip := w.ip(20)
	w.line("smtpd", "connect from unknown[%s]", ip)
	w.line("smtpd", "NOQUEUE: reject: RCPT from unknown[%s]: 554 5.7.1 Service unavailable; Client host [%s] blocked using zen.example; from=<spam%d@spam.example> to=<user%d@corp.example> proto=ESMTP helo=<h%d>", ip, ip, w.rng.IntN(999), w.skewed(2000), w.rng.IntN(99))
	w.line("smtpd", "lost connection after RCPT from unknown[%s]", ip)
	w.line("smtpd", "disconnect from unknown[%s] ehlo=1 mail=1 rcpt=0/1 commands=2/3", ip)
}

func (w *writer) guess() {
	ip := w.ip(21)
	w.line("submission/smtpd", "warning: unknown[%s]: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username=user%d@corp.example", ip, w.skewed(2000))
}
