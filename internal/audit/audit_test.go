package audit_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/audit"
)

func now() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

// written makes a log of n records and gives its bytes and head.
func written(t *testing.T, n int) (name string, raw []byte, head audit.Head) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "audit.log")
	l, err := audit.Open(name, now)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		write := l.Append
		if i%3 == 1 {
			write = l.Look
		}
		if head, err = write(audit.Record{Who: "li", What: "run", Target: strconv.Itoa(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err = os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return name, raw, head
}

func TestWholeLogVerifies(t *testing.T) {
	_, raw, head := written(t, 20)
	n := 0
	got, err := audit.Verify(bytes.NewReader(raw), audit.Head{}, func(r *audit.Record) {
		if r.Target != strconv.Itoa(n) || r.Who != "li" || !r.At.Equal(now()) {
			t.Errorf("record %d: %+v", n, r)
		}
		n++
	})
	if err != nil || got != head || n != 20 || head.Count != 20 {
		t.Errorf("%v %v %d %v", got, head, n, err)
	}
}

func TestTamperingIsFound(t *testing.T) {
	_, raw, _ := written(t, 9)
	lines := strings.SplitAfter(string(raw), "\n")
	join := func(parts ...[]string) string {
		all := ""
		for _, p := range parts {
			all += strings.Join(p, "")
		}
		return all
	}
	for what, c := range map[string]struct {
		text string
		line int64
	}{
		"changed":  {strings.Replace(string(raw), `"target":"4"`, `"target":"5"`, 1), 6},
		"taken":    {join(lines[:4], lines[5:]), 5},
		"put in":   {join(lines[:4], lines[3:]), 5},
		"swapped":  {join(lines[:3], lines[4:5], lines[3:4], lines[5:]), 4},
		"first":    {join(lines[1:]), 1},
		"nonsense": {join(lines[:2], []string{"nonsense\n"}), 3},
		"field":    {strings.Replace(string(raw), `"who"`, `"whom"`, 1), 1},
		"long":     {join(lines[:2], []string{strings.Repeat("x", 100<<10)}), 3},
	} {
		_, err := audit.Verify(strings.NewReader(c.text), audit.Head{}, nil)
		var broken *audit.Broken
		if !errors.As(err, &broken) || broken.Line != c.line {
			t.Errorf("%s: %v, want line %d", what, err, c.line)
		}
		name := filepath.Join(t.TempDir(), "audit.log")
		if err := os.WriteFile(name, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if l, err := audit.Open(name, now); err == nil {
			l.Close()
			t.Errorf("%s: the log was opened", what)
		}
	}
}

func TestKeptHeadTellsOfWhatIsMissing(t *testing.T) {
	_, raw, head := written(t, 9)
	lines := strings.SplitAfter(string(raw), "\n")
	if _, err := audit.Verify(strings.NewReader(strings.Join(lines[:6], "")), head, nil); !errors.Is(err, audit.ErrCut) {
		t.Errorf("cut off: %v", err)
	}
	early, err := audit.Verify(strings.NewReader(strings.Join(lines[:6], "")), audit.Head{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Verify(bytes.NewReader(raw), early, nil); err != nil {
		t.Errorf("an earlier head: %v", err)
	}
	// A log written anew holds in itself; the head tells.
	l, err := audit.Open(filepath.Join(t.TempDir(), "audit.log"), now)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var forged audit.Head
	for range 9 {
		if forged, err = l.Append(audit.Record{What: "nothing"}); err != nil {
			t.Fatal(err)
		}
	}
	if forged == head {
		t.Fatal("two logs have one head")
	}
	var broken *audit.Broken
	if _, err := audit.Verify(bytes.NewReader(raw), forged, nil); !errors.As(err, &broken) || broken.Line != 9 {
		t.Errorf("%v", err)
	}
	if h, err := audit.ParseHead(head.String()); err != nil || h != head {
		t.Errorf("%v %v", h, err)
	}
	for _, s := range []string{"", "1", "0:" + head.Hash, "x:y", "3:short"} {
		if _, err := audit.ParseHead(s); err == nil {
			t.Errorf("%q was taken for a head", s)
		}
	}
}

func TestTornLineIsCutAndSaid(t *testing.T) {
	name, raw, head := written(t, 5)
	if err := os.WriteFile(name, append(raw, `{"n":5,"at":"20`...), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(name, now)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	rs, err := l.Page(-1, 10, nil)
	if err != nil || len(rs) != 6 || rs[0].What != "audit.recovered" || rs[0].Prev != head.Hash {
		t.Errorf("%+v %v", rs, err)
	}
}

func TestPages(t *testing.T) {
	name, _, _ := written(t, 25)
	l, err := audit.Open(name, now)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	rs, err := l.Page(-1, 10, nil)
	if err != nil || len(rs) != 10 || rs[0].N != 24 || rs[9].N != 15 {
		t.Fatalf("%+v %v", rs, err)
	}
	rs, err = l.Page(rs[9].N, 10, func(r *audit.Record) bool { return r.N%2 == 0 })
	if err != nil || len(rs) != 8 || rs[0].N != 14 || rs[7].N != 0 {
		t.Errorf("%+v %v", rs, err)
	}
}

func TestProofs(t *testing.T) {
	_, raw, _ := written(t, 13)
	for n := range int64(13) {
		p, err := audit.Prove(bytes.NewReader(raw), n)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Check(); err != nil {
			t.Errorf("record %d: %v", n, err)
		}
		p.Record = strings.Replace(p.Record, "li", "wu", 1)
		if p.Check() == nil {
			t.Errorf("record %d: a changed record was proved", n)
		}
	}
	if _, err := audit.Prove(bytes.NewReader(raw), 13); err == nil {
		t.Error("a record that is not there was proved")
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte(`{"n":0,"at":"2026-11-22T12:00:00Z","who":"li","what":"run","prev":""}` + "\n"))
	f.Add([]byte("\n\n{}"))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		_, _ = audit.Verify(bytes.NewReader(raw), audit.Head{}, nil)
	})
}

// Two processes write to one log: the chain holds, also when one of them deletes the oldest records in between.
func TestSharedLog(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "audit.log")
	var mu sync.Mutex
	lock := func() (func(), error) { mu.Lock(); return mu.Unlock, nil }
	at := now()
	open := func() *audit.Log {
		l, err := audit.OpenShared(name, func() time.Time { return at }, lock)
		if err != nil {
			t.Fatal(err)
		}
		k, err := audit.OpenKey(dir)
		if err != nil {
			t.Fatal(err)
		}
		l.SignWith(k)
		t.Cleanup(func() { l.Close() })
		return l
	}
	a, b := open(), open()
	var wg sync.WaitGroup
	for _, l := range []*audit.Log{a, b} {
		wg.Go(func() {
			for range 30 {
				if _, err := l.Append(audit.Record{Who: "li", What: "run"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	at = at.AddDate(1, 0, 0)
	if n, err := a.Forget(at.AddDate(0, -1, 0), "li"); err != nil || n != 60 {
		t.Fatalf("%d records deleted, %v", n, err)
	}
	for _, l := range []*audit.Log{b, a, b} {
		if _, err := l.Append(audit.Record{Who: "li", What: "run"}); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	head, err := audit.Verify(bytes.NewReader(raw), audit.Head{}, func(*audit.Record) { n++ })
	if err != nil || n != 4 || head != b.Head() || head.Count != 64 {
		t.Errorf("%d records, head %v, %v", n, head, err)
	}
}
