package logs

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
	"github.com/mailwhy/mailwhy/internal/trace/tally"
)

// day is a log of lines at moments, put in order.
type day struct {
	lines []string
	id    int
}

func (d *day) add(at time.Time, program, format string, args ...any) {
	d.lines = append(d.lines, at.Format("2006-01-02T15:04:05Z")+" mx1 "+program+": "+fmt.Sprintf(format, args...))
}

// message adds one: taken in, and handed to a host with the outcome; no outcome leaves it in the queue.
func (d *day) message(at time.Time, host, outcome string) {
	d.id++
	id := fmt.Sprintf("A%07X", d.id)
	domain := strings.TrimPrefix(host, "mx.")
	d.add(at, "postfix/smtpd[1]", "%s: client=out.b.example[192.0.2.1]", id)
	d.add(at, "postfix/qmgr[2]", "%s: from=<a@b.example>, size=1000, nrcpt=1 (queue active)", id)
	switch outcome {
	case "":
		return
	case "sent":
		d.add(at, "postfix/smtp[3]", "%s: to=<x@%s>, relay=%s[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok)", id, domain, host)
	case "deferred":
		d.add(at, "postfix/smtp[3]", "%s: to=<x@%s>, relay=%s[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=4.7.0, status=deferred (host %s[198.51.100.9] said: 421 4.7.0 too much mail (in reply to MAIL FROM command))", id, domain, host, host)
		return
	case "bounced":
		d.add(at, "postfix/smtp[3]", "%s: to=<x@%s>, relay=%s[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=5.7.1, status=bounced (host %s[198.51.100.9] said: 550 5.7.1 not wanted (in reply to end of DATA command))", id, domain, host, host)
	}
	d.add(at, "postfix/qmgr[2]", "%s: removed", id)
}

func (d *day) messages(n int, hour int, host, outcome string) {
	for i := range n {
		d.message(t0.Add(time.Duration(hour)*time.Hour+time.Duration(i*50)*time.Second/time.Duration(max(1, n/60))), host, outcome)
	}
}

func (d *day) failedLogin(hour, i int, ip, user string) {
	d.add(t0.Add(time.Duration(hour)*time.Hour+time.Duration(i)*time.Second), "postfix/smtpd[4]", "warning: unknown[%s]: SASL LOGIN authentication failed: authentication failure, sasl_username=%s", ip, user)
}

// submitted adds messages of a logged-in user, each from the next of the addresses.
func (d *day) submitted(n, hour int, user string, ips ...string) {
	for i := range n {
		d.id++
		d.add(t0.Add(time.Duration(hour)*time.Hour+time.Duration(i)*time.Second), "postfix/submission/smtpd[5]", "A%07X: client=unknown[%s], sasl_method=PLAIN, sasl_username=%s", d.id, ips[i%len(ips)], user)
		d.add(t0.Add(time.Duration(hour)*time.Hour+time.Duration(i)*time.Second), "postfix/qmgr[2]", "A%07X: removed", d.id)
	}
}

func (d *day) stats(t *testing.T) (*tally.Stats, []File) {
	t.Helper()
	slices.SortStableFunc(d.lines, func(a, b string) int { return strings.Compare(a[:20], b[:20]) })
	name := filepath.Join(t.TempDir(), "mail.log")
	if err := os.WriteFile(name, []byte(strings.Join(d.lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := logs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	ta := tally.New(tally.Options{})
	f := File{Name: name}
	if err := ta.Scan(t.Context(), in, in.Reader(time.UTC, dialects.All()), 0, &f.Lines); err != nil {
		t.Fatal(err)
	}
	if f.Lines.Unparsed > 0 {
		t.Errorf("%d lines not understood", f.Lines.Unparsed)
	}
	return ta.Stats(0), []File{f}
}

// ordinary is a day on which nothing happens: 30 messages an hour, all taken.
func ordinary() *day {
	d := &day{}
	for h := range 24 {
		d.messages(30, h, "mx.far.example", "sent")
	}
	return d
}

// Each insight is shown by a log that just has what it tells, and not by one that just has not.
func TestInsights(t *testing.T) {
	berlin, shanghai := "203.0.113.7", "198.51.100.7"
	for _, c := range []struct {
		rule    *finding.Rule
		enough  func(d *day)
		less    func(d *day)
		against func(d *day)
	}{
		{rule: ruleBounceBurst, enough: func(d *day) { d.messages(20, 5, "mx.far.example", "bounced") }, less: func(d *day) { d.messages(19, 5, "mx.far.example", "bounced") }},
		{rule: ruleDeferralWave, enough: func(d *day) {
			d.messages(20, 5, "mx.slow.example", "deferred")
			d.messages(10, 6, "mx.slow.example", "sent")
		},
			less: func(d *day) {
				d.messages(19, 5, "mx.slow.example", "deferred")
				d.messages(10, 6, "mx.slow.example", "sent")
			}},
		{rule: ruleDeferralWave, enough: func(d *day) {
			d.messages(20, 5, "mx.slow.example", "deferred")
			d.messages(20, 6, "mx.slow.example", "sent")
		},
			less: func(d *day) {
				d.messages(20, 5, "mx.slow.example", "deferred")
				d.messages(21, 6, "mx.slow.example", "sent")
			}},
		{rule: ruleDead, enough: func(d *day) { d.messages(20, 5, "mx.gone.example", "deferred") }, less: func(d *day) { d.messages(19, 5, "mx.gone.example", "deferred") }},
		{rule: ruleAcceptance, enough: func(d *day) {
			d.messages(26, 5, "mx.strict.example", "sent")
			d.messages(4, 6, "mx.strict.example", "bounced")
		},
			less: func(d *day) {
				d.messages(27, 5, "mx.strict.example", "sent")
				d.messages(3, 6, "mx.strict.example", "bounced")
			}},
		{rule: ruleAcceptanceDrop, against: func(d *day) { d.messages(100, 5, "mx.strict.example", "sent") },
			enough: func(d *day) {
				d.messages(90, 5, "mx.strict.example", "sent")
				d.messages(10, 6, "mx.strict.example", "bounced")
			},
			less: func(d *day) {
				d.messages(91, 5, "mx.strict.example", "sent")
				d.messages(9, 6, "mx.strict.example", "bounced")
			}},
		{rule: ruleSilent, enough: func(d *day) { d.without(7) }, less: func(d *day) { d.without(7); d.messages(1, 7, "mx.far.example", "sent") }},
		{rule: ruleQueueGrowth, enough: func(d *day) {
			for h := range 3 {
				d.messages(34, 4+h, "mx.far.example", "")
			}
		}, less: func(d *day) {
			for h := range 3 {
				d.messages(33, 4+h, "mx.far.example", "")
			}
		}},
		{rule: ruleBruteForce, enough: func(d *day) { d.failures(20, "203.0.113.9") }, less: func(d *day) { d.failures(19, "203.0.113.9") }},
		{rule: ruleBruteForceNetwork, enough: func(d *day) {
			for i := range 5 {
				d.failures(10, fmt.Sprintf("203.0.113.%d", 10+i))
			}
		}, less: func(d *day) {
			for i := range 5 {
				d.failures(9, fmt.Sprintf("203.0.113.%d", 10+i))
			}
		}},
		{rule: ruleSpraying, enough: func(d *day) { d.spray(8) }, less: func(d *day) { d.spray(7) }},
		{rule: ruleCompromised, enough: func(d *day) {
			d.submitted(50, 3, "li@mine.example", "203.0.113.1", "198.51.100.1", "192.0.2.1", "100.64.0.1")
		},
			less: func(d *day) {
				d.submitted(49, 3, "li@mine.example", "203.0.113.1", "198.51.100.1", "192.0.2.1", "100.64.0.1")
			}},
		{rule: ruleCompromised, enough: func(d *day) {
			d.submitted(60, 3, "li@mine.example", "203.0.113.1", "198.51.100.1", "192.0.2.1", "100.64.0.1")
		},
			less: func(d *day) {
				d.submitted(60, 3, "li@mine.example", "203.0.113.1", "198.51.100.1", "192.0.2.1", "192.0.3.1")
			}},
		{rule: ruleTravel, enough: func(d *day) {
			d.submitted(1, 3, "li@mine.example", berlin)
			d.submitted(1, 7, "li@mine.example", shanghai)
		},
			less: func(d *day) {
				d.submitted(1, 3, "li@mine.example", berlin)
				d.submitted(1, 18, "li@mine.example", shanghai)
			}},
		{rule: ruleRelayAttempts, enough: func(d *day) { d.relaying(10) }, less: func(d *day) { d.relaying(9) }},
		{rule: ruleTLSOld, enough: func(d *day) { d.tls(1, "TLSv1") }, less: func(d *day) { d.tls(1, "TLSv1.2") }},
		{rule: ruleTLSFailed, enough: func(d *day) { d.tls(380, "TLSv1.3"); d.noTLS(20) }, less: func(d *day) { d.tls(381, "TLSv1.3"); d.noTLS(20) }},
		{rule: ruleTLSFailed, enough: func(d *day) { d.noTLS(20) }, less: func(d *day) { d.noTLS(19) }},
		{rule: ruleTLSDrop, enough: func(d *day) { d.tlsBut(10, 2, 7) }, less: func(d *day) { d.tlsBut(10, 2, 9) }},
		{rule: ruleTLSDrop, enough: func(d *day) { d.tlsBut(2, 2, 0) }, less: func(d *day) { d.tlsBut(1, 2, 0) }},
		{rule: ruleTLSDrop, enough: func(d *day) { d.tlsBut(22, 2, 0) }, less: func(d *day) { d.tlsBut(23, 1, 0) }},
		{rule: ruleResources, enough: func(d *day) {
			d.add(t0.Add(time.Hour), "postfix/cleanup[6]", "warning: 4ABCDEF12: write queue file: No space left on device")
		}, less: func(d *day) {
			d.add(t0.Add(time.Hour), "postfix/cleanup[6]", "warning: 4ABCDEF12: queue file size limit exceeded")
		}},
		{rule: ruleResources, enough: func(d *day) {
			d.add(t0.Add(time.Hour), "kernel", "Out of memory: Killed process 812 (clamd) total-vm:1804132kB, anon-rss:1200000kB")
		}, less: func(d *day) {
			d.add(t0.Add(time.Hour), "kernel", "Out of memory: Killed process 812 (firefox) total-vm:1804132kB, anon-rss:1200000kB")
		}},
		{rule: ruleDying, enough: func(d *day) {
			d.add(t0.Add(time.Hour), "postfix/master[7]", "warning: process /usr/lib/postfix/sbin/smtpd pid 123 killed by signal 11")
		}, less: func(d *day) {
			d.add(t0.Add(time.Hour), "postfix/master[7]", "reload -- version 3.9.1, configuration /etc/postfix")
		}},
		{rule: ruleDying, enough: func(d *day) {
			d.add(t0.Add(time.Hour), "systemd[1]", "dovecot.service: Failed with result 'exit-code'.")
		}, less: func(d *day) {
			d.add(t0.Add(time.Hour), "systemd[1]", "cups.service: Failed with result 'exit-code'.")
		}},
	} {
		for name, change := range map[string]func(*day){"enough": c.enough, "just less": c.less} {
			t.Run(c.rule.ID+" "+name, func(t *testing.T) {
				d := ordinary()
				change(d)
				in := Input{Locate: func(ip netip.Addr) (Place, bool) {
					switch ip.String() {
					case berlin:
						return Place{"DE", 52.5, 13.4}, true
					case shanghai:
						return Place{"CN", 31.2, 121.5}, true
					}
					return Place{}, false
				}}
				in.Stats, in.Files = d.stats(t)
				if c.against != nil {
					before := ordinary()
					c.against(before)
					in.Against, _ = before.stats(t)
				}
				r, err := Survey(&check.Env{Now: func() time.Time { return t0 }, Know: knowledge.Embedded()}, in)
				if err != nil {
					t.Fatal(err)
				}
				var said []string
				for i := range r.Findings {
					if f := &r.Findings[i]; f.Outcome == finding.Fail {
						said = append(said, f.Rule.ID)
					}
				}
				if slices.Contains(said, c.rule.ID) != (name == "enough") {
					t.Errorf("the log says %q", said)
				}
			})
		}
	}
}

// without takes an hour out.
func (d *day) without(hour int) {
	at := t0.Add(time.Duration(hour) * time.Hour).Format("2006-01-02T15")
	d.lines = slices.DeleteFunc(d.lines, func(l string) bool { return strings.HasPrefix(l, at) })
}

func (d *day) failures(n int, ip string) {
	for i := range n {
		d.failedLogin(4, i*20, ip, "li@mine.example")
	}
}

func (d *day) spray(n int) {
	for i := range n {
		d.failedLogin(4, i, "203.0.113.9", fmt.Sprintf("user%d@mine.example", i))
	}
}

func (d *day) relaying(n int) {
	for i := range n {
		d.add(t0.Add(time.Duration(i)*time.Minute), "postfix/smtpd[8]", "NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 554 5.7.1 <x%d@far.example>: Relay access denied; from=<a@b.example> to=<x%d@far.example> proto=ESMTP helo=<x>", i, i)
	}
}

func (d *day) tls(n int, version string) {
	for i := range n {
		d.add(t0.Add(time.Duration(i)*time.Minute), "postfix/smtpd[9]", "Anonymous TLS connection established from out.b.example[192.0.2.1]: %s with cipher X (256/256 bits)", version)
	}
}

// tlsBut adds 20 connections with TLS in each hour, and only so few in some hours from one on. 30 clients hand in mail.
func (d *day) tlsBut(from, hours, few int) {
	for h := range 24 {
		for i := range 30 {
			at := t0.Add(time.Duration(h)*time.Hour + time.Duration(i)*time.Second)
			d.id++
			d.add(at, "postfix/smtpd[9]", "A%07X: client=out.c.example[192.0.3.%d]", d.id, 1+i)
			d.add(at, "postfix/qmgr[2]", "A%07X: removed", d.id)
			if n := map[bool]int{true: few, false: 20}[h >= from && h < from+hours]; i < n {
				d.add(at, "postfix/smtpd[9]", "Anonymous TLS connection established from out.c.example[192.0.3.%d]: TLSv1.3 with cipher X (256/256 bits)", 1+i)
			}
		}
	}
}

func (d *day) noTLS(n int) {
	for i := range n {
		d.add(t0.Add(time.Duration(i)*time.Minute), "postfix/smtpd[9]", "SSL_accept error from unknown[203.0.113.9]: -1")
	}
}

// TestQueueGrowthIsToldOnce: the longest, with the others as evidence.
func TestQueueGrowthIsToldOnce(t *testing.T) {
	d := ordinary()
	for _, h := range []int{2, 3, 4, 10, 11, 12, 13} {
		d.messages(40, h, "mx.far.example", "")
	}
	in := Input{}
	in.Stats, in.Files = d.stats(t)
	r, err := Survey(&check.Env{Now: func() time.Time { return t0 }, Know: knowledge.Embedded()}, in)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Rule == ruleQueueGrowth && f.Outcome == finding.Fail {
			if n++; f.Args["Hours"] != 4 || len(f.Evidence) != 2 {
				t.Errorf("%v hours, evidence %v", f.Args["Hours"], f.Evidence)
			}
		}
	}
	if n != 1 {
		t.Errorf("told %d times", n)
	}
}

// TestOddLinesAreNamed, each kind by itself.
func TestOddLinesAreNamed(t *testing.T) {
	odd := logs.Odd{Long: 1, NUL: 2, Invalid: 3, Cut: 1, Back: 4}
	in := Input{Stats: quiet(), Files: []File{{Name: "mail.log", Lines: logs.Counts{Lines: 10, Mail: 10, Odd: odd}}, {Name: "-", Lines: logs.Counts{Lines: 10, Mail: 10, Odd: logs.Odd{Back: 1, Years: 1}}}}}
	r, err := Survey(&check.Env{Now: func() time.Time { return t0 }, Know: knowledge.Embedded()}, in)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Rule == ruleOdd {
			said = append(said, f.Says().String())
		}
	}
	want := []string{"mail.log: 1 line is longer than 64 kB", "mail.log: 2 lines have NUL bytes", "mail.log: 3 lines are not UTF-8", "mail.log: the last line has no end",
		"mail.log: time goes back by more than 90 minutes several times (4)",
		"standard input: its times name no year and are of several: hours and days are told as if of one; a file given by its name is read right"}
	if !slices.Equal(said, want) {
		t.Errorf("said %q", said)
	}
}
