package intake

import (
	"bufio"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func frames(r io.Reader) (got []string, f *framer, err error) {
	f = &framer{r: bufio.NewReaderSize(r, 64)}
	for {
		m, err := f.next()
		if err != nil {
			return got, f, err
		}
		got = append(got, string(m))
	}
}

func TestFramer(t *testing.T) {
	long := strings.Repeat("x", MaxLine+10)
	for _, c := range []struct {
		name, in string
		want     []string
		err      error
	}{
		{"lines", "<22>a\n<22>b\r\n\n<22>c", []string{"<22>a", "<22>b", "<22>c"}, io.EOF},
		{"NUL ends", "<22>a\x00<22>b\x00", []string{"<22>a", "<22>b"}, io.EOF},
		{"counted", "5 <22>a8 <22>b\nc\n5 <22>d", []string{"<22>a", "<22>b\nc", "<22>d"}, io.EOF},
		{"both, mixed", "5 <22>a<22>b\n5 <22>c\n<22>d\n", []string{"<22>a", "<22>b", "<22>c", "<22>d"}, io.EOF},
		{"lines that begin with a number", "2026-11-22T08:00:00Z mx1 a: b\n12 monkeys\n7\n", []string{"2026-11-22T08:00:00Z mx1 a: b", "12 monkeys", "7"}, io.EOF},
		{"cut off", "50 <22>half of it", nil, io.ErrUnexpectedEOF},
		{"an impossible length", "99999999999 <22>a", nil, errFraming},
		{"long line", "<22>" + long + "\nz\n", []string{"<22>" + long[:MaxLine-4], "z"}, io.EOF},
		{"long counted", "1048590 <22>" + long + "z\n", []string{"<22>" + long[:MaxLine-4], "z"}, io.EOF},
		{"nothing", "", nil, io.EOF},
	} {
		for name, r := range map[string]io.Reader{"at once": strings.NewReader(c.in), "in halves": iotest.HalfReader(strings.NewReader(c.in))} {
			got, f, err := frames(r)
			if !slices.Equal(got, c.want) || !errors.Is(err, c.err) {
				t.Errorf("%s, %s: %.80q %v, want %.80q %v", c.name, name, got, err, c.want, c.err)
			}
			if strings.HasPrefix(c.name, "long") != (f.long == 1) {
				t.Errorf("%s: %d long", c.name, f.long)
			}
		}
	}
}

func TestSyslogLine(t *testing.T) {
	peer, now := netip.MustParseAddr("192.0.2.7"), time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct{ in, want string }{
		{"<22>Nov 22 07:59:50 mx1 postfix/smtpd[1]: connect", "<22>Nov 22 07:59:50 mx1 postfix/smtpd[1]: connect"},
		{"<22>Nov 22 07:59:50 postfix/smtpd[1]: connect", "<22>Nov 22 07:59:50 192.0.2.7 postfix/smtpd[1]: connect"},
		{"<22>postfix/smtpd[1]: connect", "<22>2026-11-22T08:00:00Z 192.0.2.7 postfix/smtpd[1]: connect"},
		{"just words", "2026-11-22T08:00:00Z 192.0.2.7 just words"},
		{"<22>1 2026-11-22T07:59:50Z mx1 postfix/smtpd 1 - - connect", "<22>1 2026-11-22T07:59:50Z mx1 postfix/smtpd 1 - - connect"},
		{"<22>1 - - postfix/smtpd 1 - - connect", "<22>1 2026-11-22T08:00:00Z 192.0.2.7 postfix/smtpd 1 - - connect"},
		{"<22>1 2026-11-22T07:59:50Z mx1 a 1 - - two\nlines", "<22>1 2026-11-22T07:59:50Z mx1 a 1 - - two lines"},
		{`{"MESSAGE":"connect"}`, `{"MESSAGE":"connect"}`},
		{"<22>", "<22>2026-11-22T08:00:00Z 192.0.2.7 "},
	} {
		if got := string(syslogLine(nil, []byte(c.in), peer, now)); got != c.want {
			t.Errorf("%q\n gave %q\n want %q", c.in, got, c.want)
		}
	}
}

func FuzzFramer(f *testing.F) {
	for _, s := range []string{"<22>a\n5 <22>b", "99999999 <22>", "0 <", "12345678901234567890", "1 <", "\x00\n 4 <2>x"} {
		f.Add([]byte(s))
	}
	peer, now := netip.MustParseAddr("2001:db8::1"), time.Unix(1795312260, 0).UTC()
	f.Fuzz(func(t *testing.T, in []byte) {
		got, _, err := frames(strings.NewReader(string(in)))
		if err == nil {
			t.Fatal("no end")
		}
		total := 0
		for _, m := range got {
			total += len(m)
			if line := syslogLine(nil, []byte(m), peer, now); strings.ContainsAny(string(line), "\r\n") || len(line) > len(m)+64 {
				t.Fatalf("%q became %q", m, line)
			}
		}
		if total > len(in) {
			t.Fatalf("%d bytes of messages in %d bytes", total, len(in))
		}
		again, _, err2 := frames(iotest.OneByteReader(strings.NewReader(string(in))))
		if !slices.Equal(got, again) || (err == io.EOF) != (err2 == io.EOF) {
			t.Fatalf("%q (%v) at once, %q (%v) byte by byte", got, err, again, err2)
		}
	})
}
