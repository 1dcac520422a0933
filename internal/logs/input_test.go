package logs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/mailwhy/mailwhy/internal/event"
)

func numbered(n, width int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "%07d %s\n", i, strings.Repeat("x", i%width))
	}
	return b.Bytes()
}

func write(t *testing.T, name string, b []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// Blocks read in any order hold every line once, also a line longer than a block and a last line without end.
func TestBlocksHoldEveryLineOnce(t *testing.T) {
	text := numbered(40000, 70)
	text = append(text, bytes.Repeat([]byte("long"), BlockSize)...)
	text = append(text, '\n')
	text = append(text, numbered(9000, 200)...)
	text = append(text, "the end"...)
	in, err := Open(write(t, "a.log", text))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var got []byte
	for i := range in.Blocks() {
		b, base, err := in.Block(i, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 0 && int(base) != len(got) {
			t.Fatalf("block %d begins at %d, want %d", i, base, len(got))
		}
		got = append(got, b...)
	}
	if !bytes.Equal(got, text) {
		t.Fatalf("%d bytes in blocks, %d in the file", len(got), len(text))
	}
}

func TestPackedInputs(t *testing.T) {
	text := numbered(30000, 90)
	pack := map[string]func(io.Writer) io.WriteCloser{
		"gzip": func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"zstd": func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z },
	}
	for name, f := range pack {
		var b bytes.Buffer
		w := f(&b)
		w.Write(text)
		w.Close()
		in, err := Open(write(t, "a."+name, b.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		if err := in.Each(func(block []byte, _ int64) error { got = append(got, block...); return nil }); err != nil {
			t.Error(err)
		}
		in.Close()
		if in.Format != name || !bytes.Equal(got, text) {
			t.Errorf("%s: read as %s, %d of %d bytes", name, in.Format, len(got), len(text))
		}
		cut, err := Open(write(t, "b."+name, b.Bytes()[:b.Len()/2]))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := cut.Each(func(block []byte, _ int64) error { n += len(block); return nil }); err == nil || n == 0 {
			t.Errorf("%s cut in half: error %v after %d bytes", name, err, n)
		}
		cut.Close()
	}
}

func TestBadInputsAreNamed(t *testing.T) {
	dir := t.TempDir()
	cases := map[string]string{
		dir:                        "is a directory",
		write(t, "empty.log", nil): "is empty",
		write(t, "x.bin", bytes.Repeat([]byte{0x7f, 1, 2, 3, 0xff}, 999)): "is binary",
		write(t, "system.journal", []byte("LPKSHHRH\x00\x00\x00\x00")):    "journalctl",
		filepath.Join(dir, "none.log"):                                    "no such file",
	}
	for name, want := range cases {
		_, err := Open(name)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want %q", name, err, want)
		}
	}
}

func TestRotatedSetsInOrder(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"mail.log", "mail.log.1", "mail.log.2.gz", "mail.log.10.gz", "exim-20261101", "exim-20261108", "exim"} {
		if err := os.WriteFile(filepath.Join(dir, n), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	names, errs := Expand([]string{filepath.Join(dir, "*"), filepath.Join(dir, "none*")})
	for i := range names {
		names[i] = filepath.Base(names[i])
	}
	want := []string{"exim-20261101", "exim-20261108", "exim", "mail.log.10.gz", "mail.log.2.gz", "mail.log.1", "mail.log"}
	if !slices.Equal(names, want) {
		t.Errorf("order %v", names)
	}
	if len(errs) != 1 || !Missing(errs[0]) {
		t.Errorf("errors %v", errs)
	}
}

func TestPrefixes(t *testing.T) {
	now := time.Date(2027, 1, 2, 10, 0, 0, 0, time.UTC)
	cases := []struct{ line, when, host, program, msg string }{
		{"Nov 22 01:45:23 mx1 postfix/smtpd[12]: connect", "2026-11-22T01:45:23Z", "mx1", "postfix/smtpd", "connect"},
		{"Jan  2 09:45:23 mx1 postfix/smtpd[12]: connect", "2027-01-02T09:45:23Z", "mx1", "postfix/smtpd", "connect"},
		{"Nov 22 01:45:23.123456 mx1 dovecot: lmtp(1): x", "2026-11-22T01:45:23.123456Z", "mx1", "dovecot", "lmtp(1): x"},
		{"Nov 22 2025 01:45:23 mx1 dovecot: x", "2025-11-22T01:45:23Z", "mx1", "dovecot", "x"},
		{"Nov 22 01:45:23 postfix/smtpd[12]: connect", "2026-11-22T01:45:23Z", "", "postfix/smtpd", "connect"},
		{"Nov 22 01:45:23 mx1 sendmail[12]: [ID 801593 mail.info] abc: from=", "2026-11-22T01:45:23Z", "mx1", "sendmail", "abc: from="},
		{"2026-11-22T01:45:23.146390+02:00 vm postfix/master[1]: x", "2026-11-22T01:45:23.14639+02:00", "vm", "postfix/master", "x"},
		{"2026-11-22T01:45:23+0200 vm postfix/master[1]: x", "2026-11-22T01:45:23+02:00", "vm", "postfix/master", "x"},
		{"2026-11-22 01:45:23 vm postfix/master[1]: x", "2026-11-22T01:45:23Z", "vm", "postfix/master", "x"},
		{"<22>Nov 22 01:45:23 mx1 postfix/smtpd[12]: connect", "2026-11-22T01:45:23Z", "mx1", "postfix/smtpd", "connect"},
		{"<22>1 2026-11-22T01:45:23.1Z mx1 postfix/smtpd 12 - [a b=\"]\\\"\"] \xef\xbb\xbfconnect", "2026-11-22T01:45:23.1Z", "mx1", "postfix/smtpd", "connect"},
		{"Sun 2026-11-22 01:45:23 UTC mx1 postfix/smtpd[12]: connect", "2026-11-22T01:45:23Z", "mx1", "postfix/smtpd", "connect"},
		{"1795311923.500000 mx1 postfix/smtpd[12]: connect", "2026-11-22T01:45:23.5Z", "mx1", "postfix/smtpd", "connect"},
		{"2026-11-22 01:50:59 1xUwjM-0006c1-0L Completed", "2026-11-22T01:50:59Z", "", "exim", "1xUwjM-0006c1-0L Completed"},
		{"2026-11-22 01:50:59.123 +0100 1xUwjM-0006c1-0L Completed", "2026-11-22T01:50:59.123+01:00", "", "exim", "1xUwjM-0006c1-0L Completed"},
		{"2026-11-22 01:50:59 #12(normal) <abc>; task; x", "2026-11-22T01:50:59Z", "", "rspamd", "#12(normal) <abc>; task; x"},
		{"2026-11-22 01:50:59,123 fail2ban.actions [99]: NOTICE [postfix] Ban 192.0.2.1", "2026-11-22T01:50:59.123Z", "", "fail2ban", "fail2ban.actions [99]: NOTICE [postfix] Ban 192.0.2.1"},
		{"Sun Nov 22 01:45:23 2026 [12] info: spamd: x", "2026-11-22T01:45:23Z", "", "spamd", "spamd: x"},
		{"postfix/smtpd[12]: connect", "", "", "postfix/smtpd", "connect"},
		{"mailcow-postfix-1  | Nov 22 01:45:23 mx1 postfix/smtpd[12]: connect", "2026-11-22T01:45:23Z", "mx1", "postfix/smtpd", "connect"},
		{"\x1b[36mmail-1  |\x1b[0m 2026-11-22T01:45:23+01:00 mx1 postfix/smtpd[12]: connect", "2026-11-22T01:45:23+01:00", "mx1", "postfix/smtpd", "connect"},
		{"2026-11-22T01:45:24.123456789Z stdout F Nov 22 01:45:23 mx1 postfix/smtpd[12]: connect", "2026-11-22T01:45:23Z", "mx1", "postfix/smtpd", "connect"},
		{"2026-11-22T01:45:24.5Z stderr P postfix/smtpd[12]: connect", "2026-11-22T01:45:24.5Z", "", "postfix/smtpd", "connect"},
		{"Nov 22 01:45:23 mx1 mail.info postfix/smtpd[12]: connect", "2026-11-22T01:45:23Z", "mx1", "postfix/smtpd", "connect"},
		{"Nov 22 01:45:24 192.0.2.1 Nov 22 01:45:23 mx1 postfix/smtpd[12]: connect", "2026-11-22T01:45:24Z", "mx1", "postfix/smtpd", "connect"},
		{"2026/11/22 01:45:23 mx1 postfix/smtpd[12]: connect", "2026-11-22T01:45:23Z", "mx1", "postfix/smtpd", "connect"},
		{"2026 Nov 22 01:45:23 mx1 postfix/smtpd[12]: connect", "2026-11-22T01:45:23Z", "mx1", "postfix/smtpd", "connect"},
		{"1 2026-11-22T01:45:23.1Z mx1 postfix/smtpd 12 - - connect", "2026-11-22T01:45:23.1Z", "mx1", "postfix/smtpd", "connect"},
		{"Nov 22 01:45:23 mx1 postfix/127.0.0.1:10025/smtpd[12]: connect", "2026-11-22T01:45:23Z", "mx1", "postfix/127.0.0.1:10025/smtpd", "connect"},
	}
	c := &Clock{Latest: now}
	for _, tc := range cases {
		var o event.Origin
		if !Prefix(c, []byte(tc.line), &o) {
			t.Errorf("%s: no prefix", tc.line)
			continue
		}
		when := ""
		if o.TimeSet {
			when = o.Time().Format(time.RFC3339Nano)
		}
		if when != tc.when || string(o.Host) != tc.host || string(o.Program) != tc.program || string(o.Msg) != tc.msg {
			t.Errorf("%s\n got %s %q %q %q", tc.line, when, o.Host, o.Program, o.Msg)
		}
	}
}

func TestJournalExport(t *testing.T) {
	rec := "__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795311923146390\n_HOSTNAME=mx1\nSYSLOG_IDENTIFIER=postfix/smtpd\n_PID=12\nMESSAGE=connect from a[192.0.2.1]\n\n" +
		"__CURSOR=s=2\n__REALTIME_TIMESTAMP=1795311924000000\n_HOSTNAME=mx1\nSYSLOG_IDENTIFIER=postfix/smtpd\n_PID=12\nMESSAGE\n\x03\x00\x00\x00\x00\x00\x00\x00a\nb\n\n"
	in, err := Open(write(t, "j.export", []byte(rec)))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var got []byte
	if err := in.Each(func(b []byte, _ int64) error { got = append(got, b...); return nil }); err != nil {
		t.Fatal(err)
	}
	want := "2026-11-22T01:45:23.146390+00:00 mx1 postfix/smtpd[12]: connect from a[192.0.2.1]\n2026-11-22T01:45:24.000000+00:00 mx1 postfix/smtpd[12]: a b\n"
	if string(got) != want {
		t.Errorf("got %q", got)
	}
}

func FuzzPrefix(f *testing.F) {
	f.Add([]byte("Nov 22 01:45:23 mx1 postfix/smtpd[12]: connect"))
	f.Add([]byte("<22>1 2026-11-22T01:45:23.1Z mx1 app 12 - [a b=\"]\"] x"))
	f.Add([]byte(`{"log":"Nov 22 01:45:23 mx1 postfix/smtpd[12]: a\u003cb\n","time":"2026-11-22T01:45:23Z"}`))
	f.Add([]byte(`{"MESSAGE":[102,111],"SYSLOG_IDENTIFIER":"x","_PID":"1"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r := NewReader(Clock{Latest: time.Unix(1e9, 0)}, nil)
		r.Line(line, 0, 0, event.SinkFunc(func(*event.Event) {}))
		io.Copy(io.Discard, newExport(bufio.NewReader(bytes.NewReader(line))))
		io.Copy(io.Discard, newUTF16(bufio.NewReader(bytes.NewReader(line))))
	})
}

// TestLineBeyondAllMeasure: its rest is stepped over and told, and what stands before and behind it is given.
func TestLineBeyondAllMeasure(t *testing.T) {
	long := io.LimitReader(endless('x'), 3*MaxLine)
	in, err := FromReader("log", io.MultiReader(strings.NewReader("first\n"), long, strings.NewReader("\nlast\nend\n")), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var got []string
	err = in.Each(func(b []byte, base int64) error {
		for line := range bytes.Lines(b) {
			got = append(got, string(line))
		}
		return nil
	})
	if !errors.Is(err, ErrTooLong) || !slices.Equal(got, []string{"first\n", "last\n", "end\n"}) {
		t.Errorf("%d lines, error %v", len(got), err)
	}
}

type endless byte

func (e endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(e)
	}
	return len(b), nil
}

// TestFileThatBecameShorter: what is left of it is given, and told.
func TestFileThatBecameShorter(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(name, []byte(strings.Repeat("a line\n", BlockSize/3)), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := os.Truncate(name, 7*1000+3); err != nil {
		t.Fatal(err)
	}
	n := 0
	err = in.Each(func(b []byte, _ int64) error {
		n += bytes.Count(b, []byte("a line\n"))
		return nil
	})
	if n != 1000 || !errors.Is(err, ErrShorter) {
		t.Errorf("%d lines, error %v", n, err)
	}
}

// TestOddLines are counted and read all the same.
func TestOddLines(t *testing.T) {
	r := NewReader(Clock{Local: time.UTC}, nil)
	text := "Nov 22 10:00:00 mx1 x: fine\nNov 22 10:00:00 mx1 x: \x00\nNov 22 10:00:00 mx1 x: \xff\n" + strings.Repeat("l", LongLine+1) + "\nNov 22 10:00:00 mx1 x: cut"
	r.Block([]byte(text), 0, 0, event.SinkFunc(func(*event.Event) {}))
	if want := (Odd{Long: 1, NUL: 1, Invalid: 1, Cut: 1}); r.Odd != want || r.Lines != 5 {
		t.Errorf("%+v, %d lines", r.Odd, r.Lines)
	}
}
