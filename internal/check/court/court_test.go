package court_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/court"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

const rootZone = `$ORIGIN .
@ 300 IN SOA a.root. host.root. 1 7200 900 1209600 300
@ NS a.root.
a.root. A 198.51.100.1
mine.example. NS ns1.mine.example.
mine.example. NS ns2.mine.example.
ns1.mine.example. A 198.51.100.11
ns2.mine.example. A 198.51.100.12
away.example. NS ns1.mine.example.
`

const mine = `$ORIGIN mine.example.
@ 300 IN SOA ns1 host 7 7200 900 1209600 300
@ NS ns1
@ NS ns2
@ A 203.0.113.25
@ MX 10 mail
mail 3600 A 203.0.113.25
alias CNAME www.away.example.
ns1 A 198.51.100.11
ns2 A 198.51.100.12
*.wild A 203.0.113.99
`

const away = `$ORIGIN away.example.
@ 300 IN SOA ns1.mine.example. host 3 7200 900 1209600 300
@ NS ns1.mine.example.
www A 203.0.113.80
`

// stage is a world with a zone on two servers, and resolvers to be made.
type stage struct {
	*wiretest.World
	t        testing.TB
	ns1, ns2 *wiretest.DNS
	env      *check.Env
	opt      court.Options
}

func newStage(t testing.TB) *stage {
	t.Helper()
	w := wiretest.NewWorld()
	w.Else = wiretest.NoRoute
	t.Cleanup(func() { w.Close() })
	s := &stage{World: w, t: t}
	s.server("198.51.100.1", rootZone)
	s.ns1, s.ns2 = s.server("198.51.100.11", mine, away), s.server("198.51.100.12", mine)
	dir := t.TempDir()
	s.opt = court.Options{Types: []mail.Type{mail.TypeA}, Hosts: filepath.Join(dir, "hosts"), NSSwitch: filepath.Join(dir, "nsswitch"),
		System: []string{}, Public: []knowledge.PublicResolver{}, Pause: time.Millisecond}
	c := dns.New(dns.Options{Servers: []string{"198.51.100.1"}, Roots: []string{"198.51.100.1"}, Dial: w, Timeout: 3 * time.Second, NoIPv6: true})
	t.Cleanup(func() { c.Close() })
	s.env = &check.Env{DNS: c, Now: time.Now, Know: knowledge.Embedded()}
	return s
}

func (s *stage) server(addr string, zones ...string) *wiretest.DNS {
	s.t.Helper()
	d, err := s.World.DNS([]string{addr}, zones...)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// resolver is a system or public resolver that knows the zones; lie may answer in its place.
func (s *stage) resolver(addr string, public bool, lie func(q *miekg.Msg) *miekg.Msg) *wiretest.DNS {
	d := s.server(addr, "$ORIGIN .\n@ 300 IN SOA a.root. host.root. 1 7200 900 1209600 300\n", mine, away)
	d.Recursive = true
	if lie != nil {
		d.Hook = func(q *miekg.Msg) *wiretest.Turn {
			if m := lie(q); m != nil {
				return &wiretest.Turn{Msg: m}
			}
			return nil
		}
	}
	s.listed(addr, public)
	return d
}

func (s *stage) listed(addr string, public bool) {
	if public {
		s.opt.Public = append(s.opt.Public, knowledge.PublicResolver{Name: "public " + addr, Server: addr})
	} else {
		s.opt.System = append(s.opt.System, addr)
	}
}

// says is a lie about one name: the records given, with a TTL that each question lowers by run.
func says(t testing.TB, name string, run uint32, ede uint16, lines ...string) func(*miekg.Msg) *miekg.Msg {
	var asked atomic.Uint32
	return func(q *miekg.Msg) *miekg.Msg {
		if name != "" && !strings.EqualFold(q.Question[0].Name, name) {
			return nil
		}
		left := 200 - run*(asked.Add(1)-1)
		m := new(miekg.Msg).SetReply(q)
		m.RecursionAvailable = true
		if ede != 0 {
			m.SetEdns0(1232, false)
			m.IsEdns0().Option = append(m.IsEdns0().Option, &miekg.EDNS0_EDE{InfoCode: ede})
		}
		for _, l := range lines {
			switch l {
			case "NXDOMAIN":
				m.Rcode = miekg.RcodeNameError
				continue
			case "REFUSED":
				m.Rcode = miekg.RcodeRefused
				continue
			case "SERVFAIL":
				m.Rcode = miekg.RcodeServerFailure
				continue
			}
			rr, err := miekg.NewRR(l)
			if err != nil {
				t.Error(err)
				return nil
			}
			rr.Header().Ttl = left
			if name == "" {
				rr.Header().Name = q.Question[0].Name
			}
			if rr.Header().Rrtype == miekg.TypeSOA {
				m.Ns = append(m.Ns, rr)
			} else {
				m.Answer = append(m.Answer, rr)
			}
		}
		return m
	}
}

func (s *stage) survey(name string) (*finding.Report, string) {
	s.t.Helper()
	r, err := court.Survey(context.Background(), s.env, name, s.opt)
	if err != nil {
		s.t.Fatal(err)
	}
	var ids []string
	for _, f := range r.Findings {
		if f.Outcome != finding.Pass {
			ids = append(ids, f.Verdict().Mark()+" "+f.Rule.ID)
		}
	}
	slices.Sort(ids)
	return r, strings.Join(ids, ", ")
}

func TestVerdicts(t *testing.T) {
	const soa = "mine.example. 300 IN SOA ns1.mine.example. host.mine.example. 6 7200 900 1209600 300"
	cases := []struct {
		name string
		ask  string // default mine.example
		set  func(s *stage)
		want string
		says string // in the text of some finding
	}{
		{name: "all agree", set: func(s *stage) { s.resolver("192.0.2.1", false, nil); s.resolver("192.0.2.2", true, nil) }},
		{name: "an alias into another zone", ask: "alias.mine.example", set: func(s *stage) { s.resolver("192.0.2.1", false, nil) }},
		{name: "a name that does not exist", ask: "none.mine.example", set: func(s *stage) { s.resolver("192.0.2.1", false, nil) }, says: "NXDOMAIN"},
		{name: "a wildcard is no rewriting", ask: "x.wild.mine.example", set: func(s *stage) { s.resolver("192.0.2.1", false, nil) }},
		{name: "propagation", set: func(s *stage) {
			s.resolver("192.0.2.1", false, says(s.t, "mine.example.", 1, 0, "mine.example. 300 IN A 203.0.113.5"))
			s.resolver("192.0.2.2", true, nil)
		}, want: "WARN resolve.propagation", says: "192.0.2.1 still gives 203.0.113.5; the authoritative servers say 203.0.113.25. It runs out in 3.3 min"},
		{name: "propagation of a new name", set: func(s *stage) {
			s.resolver("192.0.2.2", true, says(s.t, "mine.example.", 1, 0, "NXDOMAIN", soa))
		}, want: "WARN resolve.propagation", says: "still gives NXDOMAIN"},
		{name: "tampering at home", set: func(s *stage) {
			s.resolver("192.0.2.1", false, says(s.t, "mine.example.", 0, 0, "mine.example. 300 IN A 203.0.113.66"))
		}, want: "FAIL resolve.tampered", says: "TTL that does not run"},
		{name: "tampering elsewhere", set: func(s *stage) {
			s.resolver("192.0.2.2", true, says(s.t, "mine.example.", 0, 0, "mine.example. 300 IN A 203.0.113.66"))
		}, want: "WARN resolve.tampered"},
		{name: "declared view", set: func(s *stage) {
			s.resolver("192.0.2.1", false, says(s.t, "mine.example.", 0, 0, "mine.example. 300 IN A 10.0.0.25"))
			s.opt.Expect = []string{"10.0.0.25"}
		}, says: "declared answer 10.0.0.25"},
		{name: "undeclared view", set: func(s *stage) {
			s.resolver("192.0.2.1", false, says(s.t, "mine.example.", 0, 0, "mine.example. 300 IN A 10.0.0.25"))
		}, want: "NOTE resolve.split-view"},
		{name: "a declared view nobody gives", set: func(s *stage) {
			s.resolver("192.0.2.1", false, nil)
			s.opt.Expect = []string{"10.0.0.25"}
		}, want: "WARN resolve.expected"},
		{name: "rewriting", ask: "none.mine.example", set: func(s *stage) {
			s.resolver("192.0.2.1", false, says(s.t, "", 0, 0, "x.example. 300 IN A 203.0.113.200"))
		}, want: "FAIL resolve.nxdomain-rewritten", says: "which does not exist"},
		{name: "rewriting while the name itself is right", set: func(s *stage) {
			lie := says(s.t, "", 0, 0, "x.example. 300 IN A 203.0.113.200")
			s.resolver("192.0.2.2", true, func(q *miekg.Msg) *miekg.Msg {
				if q.Question[0].Name == "mine.example." {
					return nil
				}
				return lie(q)
			})
		}, want: "WARN resolve.nxdomain-rewritten"},
		{name: "an entry for a whole domain is no rewriting", set: func(s *stage) {
			lie := says(s.t, "", 0, 0, "x.example. 300 IN A 203.0.113.77")
			s.resolver("192.0.2.1", false, func(q *miekg.Msg) *miekg.Msg {
				if strings.HasSuffix(q.Question[0].Name, "mine.example.") {
					return lie(q)
				}
				return nil
			})
		}, want: "FAIL resolve.tampered"},
		{name: "sinkhole", set: func(s *stage) {
			s.resolver("192.0.2.1", false, says(s.t, "mine.example.", 0, 0, "mine.example. 300 IN A 0.0.0.0"))
		}, want: "FAIL resolve.filtered"},
		{name: "blocked and said so", set: func(s *stage) {
			s.resolver("192.0.2.1", false, says(s.t, "mine.example.", 0, 15, "NXDOMAIN"))
		}, want: "FAIL resolve.filtered", says: "Blocked"},
		{name: "a name left out by a public filter", set: func(s *stage) {
			s.resolver("192.0.2.2", true, says(s.t, "mine.example.", 0, 0, "NXDOMAIN"))
			s.opt.Public[0].Filter = knowledge.Text{EN: "malicious domains", ZH: "恶意域名"}
		}, want: "NOTE resolve.filtered", says: "it leaves out malicious domains on purpose"},
		{name: "stale and said so", set: func(s *stage) {
			s.resolver("192.0.2.1", false, says(s.t, "mine.example.", 0, 3, "mine.example. 30 IN A 203.0.113.5"))
		}, want: "FAIL resolve.stale", says: "says itself that it is stale"},
		{name: "refused at home", set: func(s *stage) { s.resolver("192.0.2.1", false, says(s.t, "", 0, 18, "REFUSED")) },
			want: "FAIL resolve.resolver-lame", says: "192.0.2.1 answers REFUSED (Prohibited)"},
		{name: "refused elsewhere", set: func(s *stage) { s.resolver("192.0.2.2", true, says(s.t, "", 0, 0, "REFUSED")) }, want: "NOTE resolve.resolver-lame"},
		{name: "SERVFAIL elsewhere", set: func(s *stage) { s.resolver("192.0.2.2", true, says(s.t, "", 0, 6, "SERVFAIL")) }, want: "WARN resolve.resolver-lame", says: "DNSSEC Bogus"},
		{name: "a dead resolver of ours", set: func(s *stage) {
			s.resolver("192.0.2.1", false, nil)
			s.listed("192.0.2.9", false)
			s.World.Set("udp", "192.0.2.9", wiretest.Drops)
		}, want: "FAIL resolve.resolver-dead"},
		{name: "a resolver of ours without a way there", set: func(s *stage) {
			s.resolver("192.0.2.1", false, nil)
			s.listed("192.0.2.8", false)
			s.World.Set("udp", "192.0.2.8", wiretest.NoRoute)
		}, want: "???? resolve.resolver-dead"},
		{name: "unreachable public resolvers make no noise", set: func(s *stage) {
			s.resolver("192.0.2.1", false, nil)
			s.listed("192.0.2.8", true)
			s.listed("192.0.2.9", true)
			s.World.Set("udp", "192.0.2.9", wiretest.Drops)
		}},
		{name: "a slow resolver of ours", set: func(s *stage) {
			d := s.resolver("192.0.2.1", false, nil)
			d.Faults["*"] = wiretest.Fault{Delay: 30 * time.Millisecond}
			s.env.Know = knowledge.Over(os.DirFS(s.slowTable()))
		}, want: "WARN resolve.resolver-slow"},
		{name: "authorities differ", set: func(s *stage) {
			if err := s.ns2.Load(strings.NewReplacer("host 7", "host 6", "@ A 203.0.113.25", "@ A 203.0.113.5").Replace(mine)); err != nil {
				s.t.Fatal(err)
			}
			s.resolver("192.0.2.1", false, nil)
		}, want: "FAIL resolve.authorities-differ", says: "[SOA 6]"},
		{name: "an address that depends on who asks", set: func(s *stage) {
			for i, a := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
				s.resolver(a, true, says(s.t, "mine.example.", 1, 0, "mine.example. 60 IN A 203.0.113.10"+string(rune('1'+i))))
			}
		}, want: "NOTE resolve.varies"},
		{name: "three entries of three resolvers", set: func(s *stage) {
			for i, a := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
				s.resolver(a, true, says(s.t, "mine.example.", 0, 0, "mine.example. 60 IN A 203.0.113.10"+string(rune('1'+i))))
			}
		}, want: "WARN resolve.tampered, WARN resolve.tampered, WARN resolve.tampered"},
		{name: "a lame authority", set: func(s *stage) {
			s.ns2.Faults["*"] = wiretest.Fault{Rcode: miekg.RcodeRefused}
			s.resolver("192.0.2.1", false, nil)
		}, want: "WARN resolve.authority", says: "answers REFUSED without authority"},
		{name: "no authority to ask, resolvers differ", set: func(s *stage) {
			s.ns1.Faults["*"], s.ns2.Faults["*"] = wiretest.Fault{Drop: true}, wiretest.Fault{Drop: true}
			s.resolver("192.0.2.1", false, nil)
			s.resolver("192.0.2.2", true, says(s.t, "mine.example.", 0, 0, "mine.example. 300 IN A 203.0.113.66"))
		}, want: "???? resolve.authority, WARN resolve.agree", says: "2 different answers"},
		{name: "nobody at all", set: func(s *stage) {
			s.World.Set("udp", "198.51.100.1", wiretest.Drops)
			s.listed("192.0.2.9", false)
		}, want: "???? resolve.agree, ???? resolve.authority, ???? resolve.resolver-dead"},
		{name: "the hosts file overrides", set: func(s *stage) {
			s.resolver("192.0.2.1", false, nil)
			s.hosts("203.0.113.7 mine.example\n")
		}, want: "WARN resolve.hosts-file", says: "line 1 says 203.0.113.7, the authoritative servers say 203.0.113.25"},
		{name: "the hosts file says the same", set: func(s *stage) {
			s.resolver("192.0.2.1", false, nil)
			s.hosts("203.0.113.25 mine.example\n")
		}, want: "NOTE resolve.hosts-file"},
		{name: "a network that answers in everybody's place", set: func(s *stage) {
			d := s.server(dns.Roots()[0], "$ORIGIN .\n@ 300 IN SOA a.root. host.root. 1 7200 900 1209600 300\n")
			d.Recursive = true
			s.resolver("192.0.2.1", false, nil)
		}, want: "FAIL resolve.intercepted", says: "offers recursion"},
		{name: "a true root server", set: func(s *stage) {
			s.server(dns.Roots()[0], "$ORIGIN .\n@ 300 IN SOA a.root. host.root. 1 7200 900 1209600 300\n")
			s.resolver("192.0.2.1", false, nil)
		}, says: "reach the servers they are sent to"},
		{name: "offline", set: func(s *stage) { s.env.Probe.Offline = true }, want: "???? resolve.agree"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			c.set(s)
			if c.ask == "" {
				c.ask = "mine.example"
			}
			r, got := s.survey(c.ask)
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			var all []string
			for _, f := range r.Findings {
				all = append(all, f.Says().In(finding.EN))
				if zh := f.Says().In(finding.ZH); strings.Contains(zh, "{{") || strings.Contains(zh, "<no value>") {
					t.Errorf("in Chinese: %s", zh)
				}
			}
			text := strings.Join(all, "\n")
			if !strings.Contains(text, c.says) || strings.Contains(text, "{{") || strings.Contains(text, "<no value>") {
				t.Errorf("wants %q in:\n%s", c.says, text)
			}
		})
	}
}

func (s *stage) hosts(text string) {
	if err := os.WriteFile(s.opt.Hosts, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) slowTable() string {
	dir := s.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "resolvers.toml"), []byte("checked = 2026-01-01\nslow_ms = 20\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return dir
}

// TestWatch holds that it ends when all agree, and that an answer that outlives the TTL it was first seen with is
// stale and no propagation.
func TestWatch(t *testing.T) {
	s := newStage(t)
	old := says(t, "mine.example.", 1, 0, "mine.example. 300 IN A 203.0.113.5")
	s.resolver("192.0.2.1", false, old)
	clock := wiretest.NewClock(time.Now())
	s.env.Now = clock.Now
	rounds, last := 0, ""
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, err := court.Watch(ctx, s.env, "mine.example", s.opt, time.Millisecond, 0, func(n int, until time.Time) {
		rounds++
		clock.Advance(10 * time.Minute)
		if rounds == 2 {
			cancel()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.Outcome == finding.Fail {
			last += f.Rule.ID + " "
		}
	}
	if rounds != 2 || !strings.Contains(last, "resolve.stale") {
		t.Errorf("%d rounds, %q", rounds, last)
	}

	s = newStage(t)
	var n atomic.Int32
	lie := says(t, "mine.example.", 1, 0, "mine.example. 300 IN A 203.0.113.5")
	s.resolver("192.0.2.1", false, func(q *miekg.Msg) *miekg.Msg {
		if q.Question[0].Name == "mine.example." {
			if n.Add(1) > 2 {
				return nil
			}
		}
		return lie(q)
	})
	r, err = court.Watch(context.Background(), s.env, "mine.example", s.opt, time.Millisecond, 0, nil)
	if err != nil || r.Headline.State != finding.StateOK {
		t.Errorf("%v %v", err, r.Headline.Says)
	}
}

// BenchmarkCourt asks 30 resolvers whose answers take 10 to 300 ms and gives the time beside the slowest single answer.
func BenchmarkCourt(b *testing.B) {
	var ratio float64
	for b.Loop() {
		b.StopTimer()
		s := newStage(b)
		for i := range 30 {
			s.resolver(fmt.Sprintf("198.51.100.%d", 100+i), i > 1, nil).Faults["*"] = wiretest.Fault{Delay: time.Duration(i+1) * 10 * time.Millisecond}
		}
		b.StartTimer()
		start := time.Now()
		f, err := court.Look(context.Background(), s.env, "mail.mine.example", s.opt)
		wall := time.Since(start)
		if err != nil {
			b.Fatal(err)
		}
		var slowest time.Duration
		for _, t := range f.Questions[0].Says {
			slowest = max(slowest, t.Took)
		}
		if slowest < 300*time.Millisecond || len(f.Questions[0].Says) != 32 {
			b.Fatalf("%d spoke, the slowest after %v", len(f.Questions[0].Says), slowest)
		}
		ratio += float64(wall) / float64(slowest)
	}
	b.ReportMetric(ratio/float64(b.N), "wall/slowest")
}
