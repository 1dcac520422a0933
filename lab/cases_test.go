package lab

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// atOnce bounds the runs under way. Nearly all of their time is waiting: for a silent server, a slow answer, a dropped
// packet. More of them at once would not make the longest shorter.
const atOnce = 24

// slow is what a run may take before the test speaks of it.
const slow = 10 * time.Second

// TestCases runs every case against the real servers.
func TestCases(t *testing.T) {
	w := lab(t)
	bin, err := w.Build(t.Context(), "..")
	if err != nil {
		t.Fatal(err)
	}
	have, err := Commands(t.Context(), bin)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := Rules(t.Context(), bin)
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		out *Outcome
		err error
	}
	results := map[*Case][]result{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, c := range w.Cases {
		results[c] = make([]result, len(c.Run))
		for i, r := range c.Run {
			if !slices.Contains(have, r.Command[0]) {
				continue
			}
			wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				out, err := w.RunCase(t.Context(), bin, c, r)
				mu.Lock()
				results[c][i] = result{out, err}
				mu.Unlock()
			})
		}
	}
	wg.Wait()
	for _, c := range w.Cases {
		t.Run(c.Name, func(t *testing.T) {
			if len(c.Run) == 0 {
				t.Fatal("a case runs something")
			}
			for i, r := range c.Run {
				t.Run(r.Command[0], func(t *testing.T) {
					if !slices.Contains(have, r.Command[0]) {
						skipOrFail(t, fmt.Sprintf("mailwhy has no command %q", r.Command[0]))
					}
					for _, e := range r.Expect {
						if !rules[e.Rule] {
							skipOrFail(t, "mailwhy has no rule "+e.Rule)
						}
					}
					res := results[c][i]
					if res.err != nil {
						t.Fatal(res.err)
					}
					bad := r.Compare(res.out)
					for _, b := range bad {
						t.Error(b)
					}
					if res.out.Took > slow {
						t.Logf("took %v", res.out.Took.Round(time.Millisecond))
					}
					if len(bad) > 0 {
						t.Logf("%s (%v): mailwhy %s\n%s", c.Title, res.out.Took, strings.Join(r.Command, " "), res.out.Stderr)
					}
				})
			}
		})
	}
}

// skipOrFail skips a test for what is missing, or fails it where the lab is required.
func skipOrFail(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("MAILWHY_LAB") == "required" {
		t.Fatal("MAILWHY_LAB=required, but: " + what)
	}
	t.Skip(what)
}

// TestOneFaultEach keeps the promise of the case files: thirty or more broken worlds, one that is flawless.
func TestOneFaultEach(t *testing.T) {
	cases, err := Cases()
	if err != nil {
		t.Fatal(err)
	}
	broken, fine := 0, 0
	for _, c := range cases {
		for _, r := range c.Run {
			if len(r.Expect) > 0 {
				broken++
			} else if r.State == "ok" {
				fine++
			}
		}
	}
	if broken < 30 || fine < 1 {
		t.Errorf("%d broken and %d flawless worlds", broken, fine)
	}
}
