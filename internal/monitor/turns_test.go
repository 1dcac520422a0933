package monitor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	localcheck "github.com/mailwhy/mailwhy/internal/check/local"
	logcheck "github.com/mailwhy/mailwhy/internal/check/logs"
	queuecheck "github.com/mailwhy/mailwhy/internal/check/queue"
	"github.com/mailwhy/mailwhy/internal/check/threat"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/logs/queue"
	"github.com/mailwhy/mailwhy/internal/trace/tally"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/feed"
	"github.com/mailwhy/mailwhy/internal/wire/local"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

// place is a small domain with its servers and this machine, which a test breaks and mends between runs. Servers are put
// in the place of others, never changed: nobody reads what is being written.
type place struct {
	*wiretest.World
	t     *testing.T
	clock *wiretest.Clock
	ca    *wiretest.CA
	dns   *wiretest.DNS  // resolver
	sent  *wiretest.SMTP // takes what is submitted
	ns2   *wiretest.DNS  // second authoritative server
	feed  string         // file of a threat feed
	disk  local.Disk     // of this machine
	queue int            // messages that wait for one dead domain
	stats *tally.Stats   // of the logs
	flow  int64          // messages that came
}

const (
	zoneOfMine = "$ORIGIN mine.test.\n@ 300 IN SOA ns1 host 7 7200 900 1209600 300\n@ NS ns1\n@ NS ns2\nns1 A 192.175.48.11\nns2 A 192.175.48.12\n" +
		"@ MX 10 mail\nmail A 192.175.48.7\n@ TXT \"v=spf1 mx -all\"\n_dmarc TXT \"v=DMARC1; p=reject; rua=mailto:dmarc@mine.test\"\n" +
		"_imaps._tcp SRV 0 1 993 mail\n_submissions._tcp SRV 0 1 465 mail\n"
	zoneOfReverse = "$ORIGIN 48.175.192.in-addr.arpa.\n@ NS ns1.mine.test.\n7 PTR mail.mine.test.\n"
	zoneOfRoot    = "$ORIGIN .\n@ 300 IN SOA a.root. host.root. 1 7200 900 1209600 300\n@ NS a.root.\na.root. A 192.175.48.1\nmine.test. NS ns1.mine.test.\nmine.test. NS ns2.mine.test.\nns1.mine.test. A 192.175.48.11\nns2.mine.test. A 192.175.48.12\n"
	zoneOfList    = "$ORIGIN bl.test.\n@ NS ns1.mine.test.\n2.0.0.127 A 127.0.0.2\n"
	listTable     = "checked = 2026-11-22\n\n[[list]]\nid = \"bl\"\nname = \"List\"\nzone = \"bl.test\"\nkinds = [\"v4\"]\nstatus = \"alive\"\nweight = 10\npublic = \"allowed\"\nsource = \"https://bl.test/\"\ncodes = [ { answer = \"127.0.0.2\", means = { en = \"spam\", zh = \"垃圾邮件\" } } ]\n"
)

func newPlace(t *testing.T) *place {
	w := wiretest.NewWorld()
	t.Cleanup(func() { _ = w.Close() })
	p := &place{World: w, t: t, clock: wiretest.NewClock(start), feed: filepath.Join(t.TempDir(), "feed.csv"), disk: local.Disk{Total: 1e12, Free: 5e11, Inodes: 1000, InodesFree: 900}, flow: 12}
	var err error
	if p.ca, err = wiretest.NewCA("Root", start); err != nil {
		t.Fatal(err)
	}
	p.named(&p.dns, "192.31.196.53", zoneOfMine, zoneOfReverse, zoneOfList, "$ORIGIN test.\n@ 300 IN SOA a.root. host.root. 1 7200 900 1209600 300\n")
	p.dns.Tune(func(d *wiretest.DNS) { d.Recursive = true })
	p.named(nil, "192.175.48.1", zoneOfRoot)
	p.named(nil, "192.175.48.11", zoneOfMine)
	p.named(&p.ns2, "192.175.48.12", zoneOfMine)
	p.mend()
	return p
}

func (p *place) named(at **wiretest.DNS, addr string, zones ...string) {
	d, err := p.World.DNS([]string{addr}, zones...)
	if err != nil {
		p.t.Fatal(err)
	}
	if at != nil {
		*at = d
	}
}

func (p *place) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// zone puts a zone in the place of the one of its name, as the resolver sees it.
func (p *place) zone(text string) { p.must(p.dns.Load(text)) }

// mine changes the domain's zone.
func (p *place) mine(old, fresh string) {
	p.t.Helper()
	if !strings.Contains(zoneOfMine, old) {
		p.t.Fatalf("the zone holds no %q", old)
	}
	p.zone(strings.Replace(zoneOfMine, old, fresh, 1))
}

// mail puts a mail server at a port of the host: with TLS from the start but at 25.
func (p *place) mail(port string, leaf wiretest.Leaf, replies map[string]string) {
	if leaf.Names == nil {
		leaf.Names = []string{"mail.mine.test"}
	}
	cert, err := p.ca.Issue(leaf, start)
	p.must(err)
	all := map[string]string{"AUTH": "235 2.7.0 in", "RCPT TO:<" + check.RelayProbe + ">": "554 5.7.1 Relay access denied"}
	for k, v := range replies {
		all[k] = v
	}
	s := &wiretest.SMTP{Name: "mail.mine.test", TLS: wiretest.Config(cert), Replies: all}
	if port != "25" {
		s.Implicit, s.Caps, p.sent = true, []string{"AUTH PLAIN"}, s
	}
	p.must(p.SMTP("192.175.48.7:"+port, s))
}

// box puts an IMAP server, which shows what was submitted last, and a ManageSieve server in the host's place.
func (p *place) box(login, script string) {
	sent := p.sent
	cert, err := p.ca.Issue(wiretest.Leaf{Names: []string{"mail.mine.test"}}, start)
	p.must(err)
	imap := func(line string, _ bool) string {
		tag, rest, _ := strings.Cut(line, " ")
		switch verb, _, _ := strings.Cut(rest, " "); verb {
		case "CAPABILITY":
			return "* CAPABILITY IMAP4rev1 SASL-IR UIDPLUS AUTH=PLAIN\n" + tag + " OK"
		case "AUTHENTICATE":
			return tag + " " + login
		case "LIST":
			return "* LIST () \"/\" INBOX\n" + tag + " OK"
		case "UID":
			mail := sent.Messages()
			if strings.HasPrefix(rest, "UID SEARCH") && len(mail) > 0 {
				return "* SEARCH 5\n" + tag + " OK"
			}
			if strings.HasPrefix(rest, "UID FETCH") && len(mail) > 0 {
				head, _, _ := strings.Cut(string(mail[len(mail)-1]), "\r\n\r\n")
				text := head + "\r\n\r\n"
				return fmt.Sprintf("* 1 FETCH (UID 5 BODY[HEADER] {%d}\n%s)\n%s OK", len(text), strings.ReplaceAll(text, "\r\n", "\n"), tag)
			}
		}
		return tag + " OK"
	}
	sieve := func(line string, _ bool) string {
		switch {
		case line == "STARTTLS":
			return "TLS:OK"
		case line == "LISTSCRIPTS":
			return "\"main\" ACTIVE\nOK"
		case strings.HasPrefix(line, "GETSCRIPT"):
			return fmt.Sprintf("\"%s\"\nOK", script)
		}
		return "OK"
	}
	conf := wiretest.Config(cert)
	p.must(p.Lines("192.175.48.7:993", &wiretest.Lines{Greeting: "* OK ready", TLS: conf, Implicit: true, Answer: imap}))
	p.must(p.Lines("192.175.48.7:4190", &wiretest.Lines{Greeting: "\"SASL\" \"PLAIN\"\n\"STARTTLS\"\nOK", AfterTLS: "\"SASL\" \"PLAIN\"\nOK", TLS: conf, Answer: sieve}))
}

// mend puts everything in order.
func (p *place) mend() {
	p.zone(zoneOfMine)
	p.zone(zoneOfReverse)
	p.zone(zoneOfList)
	p.must(p.ns2.Load(zoneOfMine))
	p.mail("25", wiretest.Leaf{}, nil)
	p.mail("465", wiretest.Leaf{}, nil)
	p.box("OK in", "keep;")
	p.must(os.WriteFile(p.feed, []byte("203.0.113.99\n"), 0o600))
	p.disk.Free, p.queue, p.flow = 5e11, 0, 12
	p.stats = &tally.Stats{From: start.Add(-24 * time.Hour), To: start}
	for h := range 24 {
		p.stats.Hours = append(p.stats.Hours, tally.Hour{At: p.stats.From.Add(time.Duration(h) * time.Hour), Received: 100, Delivered: 100, Bounced: 2})
	}
	p.stats.Totals = tally.Totals{Received: 2400, Delivered: 2400, Bounced: 48}
}

// ownResolver stands in for resolv.conf, whatever the machine's says.
type ownResolver struct{}

func (ownResolver) Replaying() bool { return false }

func (ownResolver) Do(door string, _, res any, live func() error) error {
	if list, ok := res.(*[]string); ok && door == "resolv.conf" {
		*list = []string{"192.31.196.53"}
		return nil
	}
	return live()
}

// doors are fresh for each run, so that no run remembers what another was answered.
func (p *place) doors(context.Context, *Vantage, bool) (*Doors, error) {
	c := dns.New(dns.Options{Servers: []string{"192.31.196.53"}, Roots: []string{"192.175.48.1"}, Dial: p, Timeout: 30 * time.Second, NoIPv6: true, Now: p.clock.Now})
	env := &check.Env{
		DNS: c, Dial: p, Roots: p.ca.Pool(), Now: p.clock.Now, Tape: ownResolver{}, Probe: check.Probe{HELO: "probe.mine.test", Timeout: 30 * time.Second, NoIPv6: true},
		Know: knowledge.Over(fstest.MapFS{"blocklists.toml": {Data: []byte(listTable)}, "resolvers.toml": {Data: []byte("checked = 2026-11-22\nslow_ms = 60000\n")}}),
	}
	env.SMTP = &smtp.Prober{Door: env.SMTPDoor()}
	account := Account{Name: "probe", Address: "probe@mine.test", Server: "mail.mine.test"}
	return &Doors{
		Env: env, Close: func() { c.Close() },
		Account: func(string) (Account, string, error) { return account, "secret", nil },
		Local: func(ctx context.Context, _ string) (*finding.Report, map[string]float64, error) {
			r, err := p.machine(ctx, env)
			return r, nil, err
		},
		Queue: func(context.Context) (*finding.Report, map[string]float64, error) { return p.waiting(env), nil, nil },
		Logs: func(context.Context, []string, time.Duration) (*finding.Report, error) {
			return logcheck.Survey(env, logcheck.Input{Stats: p.stats, Files: []logcheck.File{{Name: "mail.log", Lines: logs.Counts{Lines: 10, Mail: 10}}}, Top: 10})
		},
		Flow: func(context.Context, FlowQuery) (int64, time.Time, error) { return p.flow, p.clock.Now(), nil },
		Threat: func(ctx context.Context, what []string) (*finding.Report, error) {
			var want []feed.Indicator
			for _, w := range what {
				i, _ := feed.Parse(w)
				want = append(want, i)
			}
			return threat.Survey(ctx, env, threat.Door(env), want, threat.Sources{Lists: []string{p.feed}}), nil
		},
	}, nil
}

func (p *place) machine(ctx context.Context, env *check.Env) (*finding.Report, error) {
	files := fstest.MapFS{
		"proc/net/tcp": {Data: []byte("head\n   0: 00000000:0019 00000000:0000 0A 0:0 0:0 0 0 0 4711 1\n")}, "proc/net/tcp6": {Data: []byte("head\n")}, "proc/loadavg": {Data: []byte("0 1 1\n")},
		"proc/meminfo": {Data: []byte("MemTotal: 100 kB\nMemAvailable: 50 kB\n")}, "proc/cpuinfo": {Data: []byte("processor : 0\n")}, "proc/self/status": {},
	}
	return localcheck.Survey(ctx, env, localcheck.Door{
		Files: files, Disk: func(dir string) (local.Disk, error) { d := p.disk; d.Path = dir; return d, nil },
		Run: func(context.Context, string, ...string) ([]byte, error) { return nil, local.ErrMissing },
	}, "mail.mine.test")
}

// waiting is the queue: ten young messages, and those for a dead domain.
func (p *place) waiting(env *check.Env) *finding.Report {
	now := p.clock.Now()
	g := queuecheck.NewGatherer(now, 5*24*time.Hour)
	for i := range 10 {
		g.Entry(&queue.Entry{ID: fmt.Sprintf("A%d", i), Arrived: now.Add(-time.Minute), Size: 1000, Sender: fmt.Sprintf("u%d@mine.test", i), Recipients: []queue.Recipient{{Address: fmt.Sprintf("x@d%d.test", i)}}})
	}
	for i := range p.queue {
		g.Entry(&queue.Entry{ID: fmt.Sprintf("B%d", i), Queue: "deferred", Arrived: now.Add(-2 * time.Hour), Size: 1000, Sender: fmt.Sprintf("v%d@mine.test", i),
			Recipients: []queue.Recipient{{Address: "x@gone.test", Reason: "connect to mx.gone.test[192.0.2.9]:25: Connection timed out"}}})
	}
	return queuecheck.Survey(env, finding.Host("mail.mine.test"), g.Facts(queue.Summary{}, nil, env.Know), 10)
}

// turn is what turns a monitor of a kind red.
type turn struct {
	kind   string
	args   map[string]any
	failOn string
	breaks func(p *place)
	rule   string // that says so
	cause  string // a piece of its sentence
}

func turns() []turn {
	old := wiretest.Leaf{NotAfter: start.Add(-72 * time.Hour)}
	nobody := map[string]string{"RCPT TO:<li@mine.test>": "550 5.1.1 <li@mine.test>: User unknown"}
	return []turn{
		{"domain", map[string]any{"domain": "mine.test", "dns_only": true}, "", func(p *place) { p.mine("mx -all", "ip4:192.0.2.256 -all") }, "spf.syntax", "192.0.2.256"},
		{"server", map[string]any{"host": "mail.mine.test", "ports": []any{25}}, "", func(p *place) { p.Unmap("tcp", "192.175.48.7:25") }, "monitor.port-closed", "port 25 of mail.mine.test"},
		{"deliver", map[string]any{"to": "li@mine.test"}, "", func(p *place) { p.mail("25", wiretest.Leaf{}, nobody) }, "deliver.refused", "recipient does not exist"},
		{"receive", map[string]any{"to": "li@mine.test"}, "", func(p *place) { p.mail("25", wiretest.Leaf{}, nobody) }, "deliver.refused", "recipient does not exist"},
		{"login", map[string]any{"account": "probe"}, "", func(p *place) { p.box("NO [AUTHENTICATIONFAILED] no", "keep;") }, "login.wrong-password", "wrong user name"},
		{"canary", map[string]any{"from_account": "probe", "to_account": "probe"}, "", func(p *place) { p.mail("465", wiretest.Leaf{}, map[string]string{"RCPT": "550 5.1.1 no such user"}) }, "canary.refused", "no such user"},
		{"sieve", map[string]any{"account": "probe"}, "", func(p *place) { p.box("OK in", "if header {") }, "sieve.syntax", "ends in the middle"},
		{"find", map[string]any{"address": "li@mine.test"}, "", func(p *place) { p.Unmap("tcp", "192.175.48.7:465") }, "find.no-server", "SMTP"},
		{"certificate", map[string]any{"host": "mail.mine.test"}, "", func(p *place) { p.mail("25", old, nil) }, "tls.expired", "expired on"},
		{"tls", map[string]any{"host": "mail.mine.test"}, "", func(p *place) { p.mail("25", old, nil) }, "tls.expired", "expired on"},
		{"blocklist", map[string]any{"subjects": []any{"192.175.48.7"}}, "", func(p *place) { p.zone(zoneOfList + "7.48.175.192 A 127.0.0.2\n") }, "blocklist.listed", "192.175.48.7"},
		{"ip", map[string]any{"address": "192.175.48.7"}, "", func(p *place) { p.zone("$ORIGIN 48.175.192.in-addr.arpa.\n@ NS ns1.mine.test.\n") }, "ptr.missing", "192.175.48.7"},
		{"resolvers", map[string]any{"name": "mine.test", "types": []any{"MX"}}, "", func(p *place) {
			p.must(p.ns2.Load(strings.NewReplacer("host 7", "host 6", "MX 10 mail", "MX 10 old").Replace(zoneOfMine)))
		}, "resolve.authorities-differ", "old.mine.test"},
		{"threat", map[string]any{"subjects": []any{"192.175.48.7"}}, "warning", func(p *place) { p.must(os.WriteFile(p.feed, []byte("192.175.48.7\n"), 0o600)) }, "threat.listed", "192.175.48.7"},
		{"queue", nil, "warning", func(p *place) { p.queue = 30 }, "queue.stuck-destination", "gone.test"},
		{"logs", nil, "warning", func(p *place) { p.stats.Hours[20].Bounced = 80 }, "logs.bounce-burst", "80 bounces"},
		{"silence", map[string]any{"within": "1h", "at_least": 5}, "", func(p *place) { p.flow = 2 }, "monitor.silence", "2 messages"},
		{"local", nil, "", func(p *place) { p.disk.Free = 1e9 }, "local.disk", "0 % of its space"},
	}
}

// notTurned are the kinds that are not in the table, and the test that holds them.
var notTurned = map[string]string{"changes": "TestChangesAreToldOnce", "path": "TestWayTurns"}

// watching is a runner over a place with one monitor, two failures of which open an incident and two successes close it.
func watching(t *testing.T, p *place, kind string, args map[string]any, failOn string) (run func() (kinds string, ran *Ran)) {
	t.Helper()
	d := Definition{ID: "m", Kind: kind, Args: args, Settings: Settings{FailAfter: 2, ClearAfter: 2, FailOn: failOn}}
	c := &Config{Monitor: []Definition{d}, Account: []Account{{Name: "probe", Address: "probe@mine.test", Server: "mail.mine.test", Password: "env:X"}}}
	if bad := c.Validate(Kinds(), nil); len(bad) > 0 {
		t.Fatalf("%s: %v", bad[0].Path, bad[0].Says)
	}
	r, err := New(t.Context(), Options{Config: c, Store: newMemory(), Now: p.clock.Now, Doors: p.doors})
	if err != nil {
		t.Fatal(err)
	}
	return func() (string, *Ran) {
		ran, err := r.Run(t.Context(), "m")
		if err != nil {
			t.Fatal(err)
		}
		p.clock.Advance(time.Minute)
		var out []string
		for _, e := range ran.Events {
			out = append(out, string(e.Kind))
		}
		return strings.Join(out, " "), ran
	}
}

// Each kind of monitor is fine, turns red for the reason that was made, and clears when it is mended.
func TestEveryKindTurnsRedAndClears(t *testing.T) {
	all := turns()
	for _, k := range Kinds() {
		if !slices.ContainsFunc(all, func(x turn) bool { return x.kind == k.Name }) && notTurned[k.Name] == "" {
			t.Errorf("nothing turns a monitor of kind %s red", k.Name)
		}
	}
	for _, c := range all {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			run := watching(t, p, c.kind, c.args, c.failOn)
			step := func(verdict Verdict, events string) *Ran {
				t.Helper()
				got, ran := run()
				if ran.Observation.Verdict != verdict || got != events {
					t.Fatalf("%s %q, want %s %q: %+v", ran.Observation.Verdict, got, verdict, events, ran.Observation)
				}
				return ran
			}
			step(OK, "")
			c.breaks(p)
			step(Failing, "")
			why := step(Failing, "opened").Observation.Causes[0]
			if why.Rule != c.rule || !strings.Contains(why.Text.EN, c.cause) {
				t.Errorf("red because of %s: %s", why.Rule, why.Text.EN)
			}
			p.mend()
			step(OK, "")
			step(OK, "resolved")
		})
	}
}

func TestChangesAreToldOnce(t *testing.T) {
	p := newPlace(t)
	run := watching(t, p, "changes", map[string]any{"domain": "mine.test"}, "")
	for i, c := range []struct {
		before func()
		events string
		says   string
	}{
		{func() {}, "", ""}, {func() {}, "", ""},
		{func() { p.mine("MX 10 mail", "MX 20 mail") }, "changed", "MX changed: it was 10 mail.mine.test and is 20 mail.mine.test"},
		{func() {}, "", ""},
		{p.mend, "changed", "MX changed: it was 20 mail.mine.test and is 10 mail.mine.test"},
		{func() {}, "", ""},
	} {
		c.before()
		got, ran := run()
		if got != c.events || c.says != "" && ran.Observation.Causes[0].Text.EN != c.says {
			t.Errorf("run %d: %q: %+v", i, got, ran.Observation)
		}
	}
}

// The way to a port of this machine: somebody listens, nobody does, somebody does again.
func TestWayTurns(t *testing.T) {
	p := newPlace(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	p.must(err)
	at := l.Addr().String()
	port := int(netip.MustParseAddrPort(at).Port())
	run := watching(t, p, "path", map[string]any{"host": "127.0.0.1", "port": port}, "")
	if _, ran := run(); ran.Observation.Verdict == Unknown {
		l.Close()
		t.Skipf("the way to this machine cannot be looked at here: %s", ran.Observation.Text.EN)
	}
	p.must(l.Close())
	run()
	if got, ran := run(); got != "opened" || ran.Observation.Causes[0].Rule != "path.port-closed" {
		t.Fatalf("%q: %+v", got, ran.Observation)
	}
	l, err = net.Listen("tcp", at)
	p.must(err)
	defer l.Close()
	run()
	if got, ran := run(); got != "resolved" {
		t.Errorf("%q: %+v", got, ran.Observation)
	}
}
