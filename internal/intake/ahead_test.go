package intake

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestStreamChild is no test: it is the intake that TestStreamKilled starts and kills. Beside a syslog port it has one
// that answers each line with its text when the line counts as read.
func TestStreamChild(t *testing.T) {
	dir := os.Getenv("MAILWHY_TEST_STREAM")
	if dir == "" {
		t.Skip("runs only as the child of TestStreamKilled")
	}
	led, err := openLedger(filepath.Join(dir, "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	o := quick()
	o.Spool = filepath.Join(dir, "spool")
	in, err := New(o, []Config{listener("tcp")}, led, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	st := newStream(in.newSource("syslog", "answered", ""))
	var wg sync.WaitGroup
	ended := make(chan struct{})
	wg.Go(func() {
		if err := st.store(context.Background(), ended); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		defer close(ended)
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		for s := bufio.NewScanner(c); s.Scan(); {
			if err := st.add(ctx, s.Bytes(), true); err != nil {
				return
			}
			if _, err := fmt.Fprintln(c, s.Text()); err != nil {
				return
			}
		}
	})
	addr := filepath.Join(dir, "addr")
	if err := os.WriteFile(addr+".new", fmt.Appendf(nil, "%s %s", in.Addrs()[0], l.Addr()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(addr+".new", addr); err != nil {
		t.Fatal(err)
	}
	if err := in.Run(ctx); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
}

// streamChild starts an intake and connects with both of its ports.
func streamChild(t *testing.T, dir string) (c *exec.Cmd, syslog, answered net.Conn) {
	t.Helper()
	addr := filepath.Join(dir, "addr")
	_ = os.Remove(addr) // there is none at first
	c = exec.Command(os.Args[0], "-test.run=^TestStreamChild$")
	c.Env = append(os.Environ(), "MAILWHY_TEST_STREAM="+dir)
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var raw []byte
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) { // between two looks
		var err error
		if raw, err = os.ReadFile(addr); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the intake does not listen")
		}
	}
	where := strings.Fields(string(raw))
	for i, conn := range []*net.Conn{&syslog, &answered} {
		var err error
		if *conn, err = net.Dial("tcp", where[i]); err != nil {
			t.Fatal(err)
		}
	}
	return c, syslog, answered
}

// TestStreamKilled kills an intake of lines that nobody sends again a hundred times: what counted as read is stored
// once, and of what a connection sent nothing is missing in between.
func TestStreamKilled(t *testing.T) {
	kills := 100
	if testing.Short() {
		kills = 10
	}
	dir, seed := t.TempDir(), rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	var read []string // what was answered
	for i := range kills {
		c, syslog, answered := streamChild(t, dir)
		var wg sync.WaitGroup
		for conn, what := range map[net.Conn]string{syslog: "s", answered: "a"} {
			wg.Go(func() {
				for n := 0; ; n++ {
					pad := strings.Repeat("x", n*7919%300)
					if _, err := fmt.Fprintf(conn, "%s%s: %d-%d %s\n", stamp, what, i, n, pad); err != nil {
						return
					}
				}
			})
		}
		wg.Go(func() {
			r := bufio.NewReader(answered)
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				read = append(read, strings.TrimSuffix(line, "\n"))
			}
		})
		time.Sleep(time.Duration(rnd.IntN(20_000)) * time.Microsecond) // a random moment, and no wait for anything
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait() // killed
		syslog.Close()
		wg.Wait()
		answered.Close()
	}
	c, syslog, answered := streamChild(t, dir)
	final := fmt.Sprintf("%ss: %d-0 x", stamp, kills)
	if _, err := fmt.Fprintln(syslog, final); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(answered, stamp+"last"); err != nil {
		t.Fatal(err)
	}
	read = append(read, stamp+"last")
	if line, err := bufio.NewReader(answered).ReadString('\n'); err != nil {
		t.Fatal(line, err)
	}
	for deadline, n := time.Now().Add(2*time.Minute), 1; ; n++ { // what is in the spool goes first
		if lines := awaitLedger(t, filepath.Join(dir, "ledger"), n); slices.Contains(lines, stamp+"last") && slices.Contains(lines, final) {
			break
		} else if n = len(lines); time.Now().After(deadline) {
			t.Fatal("the last lines are not stored")
		}
	}
	answered.Close()
	syslog.Close()
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("the last intake: %v", err)
	}
	times, newest := map[string]int{}, map[string]int{}
	all := 0
	for _, line := range awaitLedger(t, filepath.Join(dir, "ledger"), 1) {
		all++
		times[line]++
		if times[line] > 1 {
			t.Fatalf("stored twice: %.60q", line)
		}
		var run, n int
		if _, err := fmt.Sscanf(strings.TrimPrefix(line, stamp)+" ", "s: %d-%d ", &run, &n); err == nil {
			if key := fmt.Sprint(run); n != newest[key] {
				t.Fatalf("connection %d: line %d stands where line %d belongs", run, n, newest[key])
			} else {
				newest[key]++
			}
		}
	}
	if len(newest) == 0 {
		t.Error("no line of the syslog port was understood")
	}
	for _, line := range read {
		if times[line] != 1 {
			t.Fatalf("read and not stored: %.60q", line)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "spool", "*", "*"+aheadSuffix))
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
	t.Logf("%d kills, %d lines stored, %d of them answered", kills, all, len(read))
}

// A disk that takes nothing holds up no line: they are stored, and it is said that a crash would lose them.
func TestAheadWithoutDisk(t *testing.T) {
	m, o := newMemory(), quick()
	o.Spool = t.TempDir()
	file := filepath.Join(o.Spool, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	in, _ := start(t, o, m, listener("tcp"))
	c := send(t, "tcp", in.Addrs()[0], stamp+"a: 0\n")
	m.wantLines(t, "syslog:tcp:127.0.0.1:0", stamp+"a: 0")
	s := in.runs[0].(*syslog).stream
	s.mu.Lock()
	s.ahead.dir = filepath.Join(file, "no folder")
	s.mu.Unlock()
	if _, err := fmt.Fprint(c, stamp+"a: 1\n"+stamp+"a: 2\n"); err != nil {
		t.Fatal(err)
	}
	m.wantLines(t, "syslog:tcp:127.0.0.1:0", stamp+"a: 0", stamp+"a: 1", stamp+"a: 2")
	if n := in.Stats().Sources[0].Notice.String(); !strings.Contains(n, "a crash would lose them") {
		t.Errorf("notice %q", n)
	}
}

// Files of an earlier run are taken in as far as they are whole and not stored, whatever their state.
func TestAheadOfAnEarlierRun(t *testing.T) {
	m, o := newMemory(), quick()
	o.Spool = t.TempDir()
	const src = "syslog:tcp:127.0.0.1:0"
	a := newAhead(o.Spool, src, "run OLD")
	for i := range 6 {
		if i == 3 {
			a.take()
		}
		if err := a.add(fmt.Appendf(nil, "%sa: %d", stamp, i+1), int64(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	name := a.f.Name()
	a.end()
	st, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, st.Size()-2); err != nil { // killed in the middle of a record
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(a.dir, "00000000000000000000-x-1"+aheadSuffix), []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.pos[src] = Position{File: "run OLD", Offset: 2}
	in, _ := start(t, o, m, listener("tcp"))
	m.wantLines(t, src, stamp+"a: 3", stamp+"a: 4", stamp+"a: 5")
	s := in.Stats().Sources[0]
	if s.Recovered != 3 || !strings.Contains(s.Notice.String(), "broken") {
		t.Errorf("%+v", s)
	}
}

func FuzzAhead(f *testing.F) {
	dir := f.TempDir()
	a := newAhead(dir, "x", "run A")
	if err := a.add([]byte("one"), 7); err != nil {
		f.Fatal(err)
	}
	raw, err := os.ReadFile(a.f.Name())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte("{\"Run\":\"r\",\"First\":1}\n\xff\xff\xff\xff"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := parseAhead(io.NopCloser(bytes.NewReader(b)))
		if err != nil {
			return
		}
		n := 0
		for _, line := range l.lines {
			n += len(line) + 8
		}
		if n > len(b) {
			t.Errorf("%d bytes of lines in %d", n, len(b))
		}
	})
}
