package intake

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func write(t *testing.T, name, text string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func gzipped(t *testing.T, name, text string) {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	write(t, name, b.String())
}

func follow(path string) Config { return Config{Kind: "files", Paths: []string{path}} }

func TestFollowFromNothing(t *testing.T) {
	p, m := filepath.Join(t.TempDir(), "mail.log"), newMemory()
	start(t, quick(), m, follow(p))
	src := "file:" + p
	write(t, p, "one\ntw")
	m.wantLines(t, src, "one")
	write(t, p, "o\r\n\x00\x00three\n\xff\xfe\x00z\n")
	m.wantLines(t, src, "one", "two", "three", "\xff\xfe\x00z")
}

func TestFollowHistoryFirst(t *testing.T) {
	dir := t.TempDir()
	p, m := filepath.Join(dir, "mail.log"), newMemory()
	gzipped(t, p+".3.gz", "a1\na2\n")
	var z bytes.Buffer
	w, err := zstd.NewWriter(&z)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("b1\nb2")); err != nil {
		t.Fatal(err)
	}
	w.Close()
	write(t, p+".2.zst", z.String())
	write(t, p+".1", "c1\n")
	write(t, p, "d1\n")
	_, stop := start(t, quick(), m, follow(p))
	m.wantLines(t, "file:"+p, "a1", "a2", "b1", "b2", "c1", "d1")
	stop()
	// What was rotated and packed while nobody looked is found again by its first bytes.
	write(t, p, "d2\n")
	gzipped(t, p+".1.gz", "d1\nd2\nd3\n")
	os.Remove(p)
	os.Remove(p + ".1")
	write(t, p, "e1\n")
	start(t, quick(), m, follow(p))
	m.wantLines(t, "file:"+p, "a1", "a2", "b1", "b2", "c1", "d1", "d2", "d3", "e1")
}

func TestFollowNoHistory(t *testing.T) {
	p, m := filepath.Join(t.TempDir(), "mail.log"), newMemory()
	write(t, p+".1", "old\n")
	write(t, p, "new\n")
	c := follow(p)
	c.NoHistory = true
	start(t, quick(), m, c)
	m.wantLines(t, "file:"+p, "new")
}

func TestFollowBrokenHistory(t *testing.T) {
	p, m := filepath.Join(t.TempDir(), "mail.log"), newMemory()
	gzipped(t, p+".3.gz", strings.Repeat("a line that will be cut\n", 10_000))
	if err := os.Truncate(p+".3.gz", 60); err != nil {
		t.Fatal(err)
	}
	write(t, p+".2.gz", "this is not gzip at all")
	write(t, p+".1", "c1\n")
	write(t, p, "d1\n")
	in, _ := start(t, quick(), m, follow(p))
	m.until(t, "the last line", func() bool {
		l := m.lines["file:"+p]
		return len(l) > 1 && l[len(l)-1] == "d1" && l[len(l)-2] == "c1"
	})
	st := in.Stats().Sources[0]
	if st.Unreadable == 0 || st.Notice.IsZero() {
		t.Errorf("nothing was said of a broken file: %+v", st)
	}
}

func TestFollowRename(t *testing.T) {
	p, m := filepath.Join(t.TempDir(), "mail.log"), newMemory()
	in, _ := start(t, quick(), m, follow(p))
	var want []string
	for i := range 5 {
		for j := range 3 {
			line := fmt.Sprintf("line %d.%d", i, j)
			want = append(want, line)
			write(t, p, line+"\n")
		}
		if i == 2 {
			m.wantLines(t, "file:"+p, want...)
		}
		for k := i; k >= 1; k-- {
			rename(t, fmt.Sprint(p, ".", k), fmt.Sprint(p, ".", k+1))
		}
		rename(t, p, p+".1")
	}
	write(t, p, "last\n")
	m.wantLines(t, "file:"+p, append(want, "last")...)
	if st := in.Stats().Sources[0]; st.Rotations != 5 {
		t.Errorf("%d rotations were seen, want 5", st.Rotations)
	}
}

func TestFollowCopyTruncate(t *testing.T) {
	p, m := filepath.Join(t.TempDir(), "mail.log"), newMemory()
	start(t, quick(), m, follow(p))
	write(t, p, "one\n")
	m.wantLines(t, "file:"+p, "one")
	write(t, p, "two\n")
	whole, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	write(t, p+".1", string(whole))
	if err := os.Truncate(p, 0); err != nil {
		t.Fatal(err)
	}
	write(t, p, "a longer third line than before\n")
	m.wantLines(t, "file:"+p, "one", "two", "a longer third line than before")
}

func TestFollowTruncatedWithoutCopy(t *testing.T) {
	p, m := filepath.Join(t.TempDir(), "mail.log"), newMemory()
	in, _ := start(t, quick(), m, follow(p))
	write(t, p, "one\n")
	m.wantLines(t, "file:"+p, "one")
	if err := os.Truncate(p, 0); err != nil {
		t.Fatal(err)
	}
	write(t, p, "\x00\x00\x00\x00two\n") // its writer kept the offset
	m.wantLines(t, "file:"+p, "one", "two")
	if st := in.Stats().Sources[0]; st.Truncated != 1 {
		t.Errorf("truncated %d times, want 1", st.Truncated)
	}
}

func TestFollowLongLine(t *testing.T) {
	p, m := filepath.Join(t.TempDir(), "mail.log"), newMemory()
	long := strings.Repeat("x", MaxLine+100)
	write(t, p, "one\n"+long+"\ntwo\n")
	in, _ := start(t, quick(), m, follow(p))
	m.wantLines(t, "file:"+p, "one", long[:MaxLine], "two")
	if st := in.Stats().Sources[0]; st.Long != 1 || !strings.Contains(st.Notice.String(), p) {
		t.Errorf("%d long lines; %s", st.Long, st.Notice)
	}
}

func TestFollowGlob(t *testing.T) {
	dir, m := t.TempDir(), newMemory()
	for n, text := range map[string]string{"a.log": "a\n", "b.log": "b\n", "b.log.1": "b0\n", "c.txt": "c\n"} {
		write(t, filepath.Join(dir, n), text)
	}
	start(t, quick(), m, follow(filepath.Join(dir, "*.log*")))
	m.wantLines(t, "file:"+filepath.Join(dir, "a.log"), "a")
	m.wantLines(t, "file:"+filepath.Join(dir, "b.log"), "b0", "b")
	write(t, filepath.Join(dir, "new.log"), "n\n")
	m.wantLines(t, "file:"+filepath.Join(dir, "new.log"), "n")
	m.until(t, "three sources", func() bool { return len(m.pos) == 3 })
}

func TestSinkAway(t *testing.T) {
	p, m := filepath.Join(t.TempDir(), "mail.log"), newMemory()
	in, _ := start(t, quick(), m, follow(p))
	write(t, p, "one\n")
	m.wantLines(t, "file:"+p, "one")
	m.setFail(errAway)
	write(t, p, "two\n")
	m.until(t, "a second try", func() bool { return m.tries > 3 })
	rename(t, p, p+".1")
	write(t, p, "three\n")
	if st := in.Stats().Sources[0]; st.SinkErrors == 0 || !strings.Contains(st.Trouble.String(), "no space left") {
		t.Errorf("a store that is away is not told: %+v", st)
	}
	m.setFail(nil)
	m.wantLines(t, "file:"+p, "one", "two", "three")
	m.until(t, "trouble over", func() bool { return in.Stats().Sources[0].Trouble.IsZero() })
}

// TestTwoIntakes lets two read the same file into the same store.
func TestTwoIntakes(t *testing.T) {
	p, m := filepath.Join(t.TempDir(), "mail.log"), newMemory()
	start(t, quick(), m, follow(p))
	start(t, quick(), m, follow(p))
	var want []string
	for i := range 300 {
		want = append(want, fmt.Sprint("line ", i))
		write(t, p, want[i]+"\n")
		if i%50 == 49 {
			rename(t, p, fmt.Sprint(p, ".", 100-i/50))
		}
	}
	write(t, p, "last\n")
	m.wantLines(t, "file:"+p, append(want, "last")...)
}

func TestTableHead(t *testing.T) {
	p, m := filepath.Join(t.TempDir(), "RECV.LOG"), newMemory()
	write(t, p, "#Software: Exchange\r\n#Fields: a,b\r\n1,2\r\n")
	start(t, quick(), m, follow(p))
	m.wantLines(t, "file:"+p, "#Software: Exchange", "#Fields: a,b", "1,2")
	write(t, p, "3,4\r\n")
	m.wantLines(t, "file:"+p, "#Software: Exchange", "#Fields: a,b", "1,2", "3,4")
	if h := m.heads["file:"+p]; h != "#Software: Exchange\r\n#Fields: a,b\r\n" {
		t.Errorf("head %q", h)
	}
}

// TestFigures moves the clock: lag is against the clock given and never negative, and a host that is ahead is seen.
func TestFigures(t *testing.T) {
	p, m := filepath.Join(t.TempDir(), "mail.log"), newMemory()
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	o := quick()
	o.Now = func() time.Time { return now }
	in, _ := start(t, o, m, follow(p))
	write(t, p, "Nov 22 07:59:50 mx1 postfix/smtpd[1]: connect from a\n")
	m.until(t, "the first line", func() bool { return len(m.lines["file:"+p]) == 1 })
	m.until(t, "the file read to its end", func() bool { return in.Stats().Sources[0].Behind == 0 })
	write(t, p, "Nov 22 08:05:00 mx2 postfix/smtpd[1]: connect from b\n")
	m.until(t, "both hosts, and the source up to the second", func() bool { st := in.Stats(); return len(st.Hosts) == 2 && st.Sources[0].Lag == 0 })
	st := in.Stats()
	if h := st.Hosts[1]; h.Name != "mx2" || h.Live && h.Skew != 5*time.Minute {
		t.Errorf("mx2: %+v", h)
	}
	if st.Hosts[0].Lag != 10*time.Second {
		t.Errorf("lag %v of mx1", st.Hosts[0].Lag)
	}
}
