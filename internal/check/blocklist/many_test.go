package blocklist

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

// lists is a table of n lists, list-1.example and so on.
func lists(n int) *knowledge.Base {
	var b strings.Builder
	b.WriteString("checked = 2026-11-22\n")
	for i := range n {
		fmt.Fprintf(&b, "[[list]]\nid = \"list-%d\"\nname = \"List %d\"\nzone = \"list-%d.example\"\nkinds = [\"v4\"]\nstatus = \"alive\"\nweight = 5\ndelist = \"https://list.example/\"\npublic = \"allowed\"\nsource = \"https://list.example/\"\ncodes = [{ answer = \"127.0.0.2\", means = { en = \"spam\", zh = \"垃圾\" } }]\n", i, i, i)
	}
	return knowledge.Over(fstest.MapFS{"blocklists.toml": &fstest.MapFile{Data: []byte(b.String())}})
}

// counting is a resolver whose lists list 192.0.2.9, and that counts the questions under way.
type counting struct {
	mu             sync.Mutex
	now, most, all int
}

func (c *counting) Resolve(_ context.Context, name string, t mail.Type) (*mail.Answer, error) {
	c.mu.Lock()
	c.now++
	c.all++
	c.most = max(c.most, c.now)
	c.mu.Unlock()
	defer func() { c.mu.Lock(); c.now--; c.mu.Unlock() }()
	out := &mail.Answer{Name: name, Type: t}
	if t == mail.TypeA && (strings.HasPrefix(name, "9.2.0.192.") || strings.HasPrefix(name, "2.0.0.127.")) {
		out.Records = append(out.Records, a("127.0.0.2"))
	}
	return out, nil
}

// TestTenThousandLists holds the bound on what is under way at once, whatever the table says.
func TestTenThousandLists(t *testing.T) {
	table, err := lists(10_000).Blocklists()
	if err != nil {
		t.Fatal(err)
	}
	r := &counting{}
	e := &engine{r: r, now: time.Now}
	f := e.look(context.Background(), table, []string{"192.0.2.9"})
	if f.Subjects[0].Count(Listed) != 10_000 {
		t.Errorf("%d listed", f.Subjects[0].Count(Listed))
	}
	if r.most > 3*atOnce || r.all != 40_000 {
		t.Errorf("%d questions at once, %d in all", r.most, r.all)
	}
}

// manyWorld is a DNS server for n lists with a delay each, and the way to it.
func manyWorld(t testing.TB, n int, delay func(i int) time.Duration) *check.Env {
	w := wiretest.NewWorld()
	t.Cleanup(func() { _ = w.Close() })
	zones := []string{}
	for i := range n {
		zones = append(zones, fmt.Sprintf("$ORIGIN list-%d.example.\n@ NS ns.list.example.\n2.0.0.127 A 127.0.0.2\n9.2.0.192 A 127.0.0.2\n9.2.0.192 TXT \"seen\"\n", i))
	}
	d, err := w.DNS([]string{"192.0.2.53"}, zones...)
	if err != nil {
		t.Fatal(err)
	}
	d.Recursive = true
	for i := range n {
		for _, l := range []string{"2.0.0.127", "1.0.0.127", "9.2.0.192", "8.2.0.192"} {
			if delay != nil {
				d.Faults[fmt.Sprintf("%s.list-%d.example", l, i)] = wiretest.Fault{Delay: delay(i)}
			}
		}
	}
	c := dns.New(dns.Options{Servers: []string{"192.0.2.53"}, Dial: w, Timeout: 20 * time.Second})
	t.Cleanup(func() { _ = c.Close() })
	return &check.Env{DNS: c, Know: lists(n), Now: time.Now}
}

func TestMany(t *testing.T) {
	env := manyWorld(t, 5, nil)
	var lines []Line
	subjects := []string{"192.0.2.9", "192.0.2.8", "192.0.2.9", "192.0.2.8"}
	err := Many(context.Background(), env, slices.Values(subjects), Options{}, func(r *finding.Report) error {
		lines = append(lines, Summarise(r))
		return nil
	})
	if err != nil || len(lines) != 4 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	for i, l := range lines {
		want := finding.VerdictPass
		if subjects[i] == "192.0.2.9" {
			want = finding.VerdictError
		}
		if l.Subject != subjects[i] || l.Verdict != want || l.Tested != 5 || (len(l.Listed) == 5) != (want == finding.VerdictError) {
			t.Errorf("%d: %+v", i, l)
		}
	}
	r := Table(lines, env.Now(), env.Now())
	if r.Headline.State != finding.StateBroken || len(r.Sections[0].Rows) != 4 || !strings.HasPrefix(r.Headline.Says.String(), "2 of 4 are on a blocklist") {
		t.Errorf("%+v", r.Headline)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := Many(ctx, env, slices.Values(subjects), Options{}, func(*finding.Report) error { cancel(); return nil }); err != context.Canceled {
		t.Errorf("after the end: %v", err)
	}
}

// BenchmarkLists asks 60 lists whose answers take 5 to 300 ms and gives the time beside the slowest single answer.
func BenchmarkLists(b *testing.B) {
	var ratio float64
	for b.Loop() {
		b.StopTimer()
		env := manyWorld(b, 60, func(i int) time.Duration { return 5*time.Millisecond + time.Duration(i)*5*time.Millisecond })
		b.StartTimer()
		start := time.Now()
		f, err := Look(context.Background(), env, []string{"192.0.2.8"}, Options{})
		wall := time.Since(start)
		if err != nil || f.Subjects[0].Count(Clean) != 60 {
			b.Fatalf("%v %+v", err, f.Subjects[0])
		}
		var slowest time.Duration
		for _, e := range f.Subjects[0].Entries {
			slowest = max(slowest, e.Took)
		}
		ratio += float64(wall) / float64(slowest)
	}
	b.ReportMetric(ratio/float64(b.N), "wall/slowest")
}
