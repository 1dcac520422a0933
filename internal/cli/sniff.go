package cli

import (
	"bytes"
	"io"
	"os"
)

// sniffed is what the first bytes of a file say it is, and the command that reads it.
type sniffed struct {
	command string
	is      func(head []byte) bool
}

var sniffs = []sniffed{
	{"capture", func(h []byte) bool {
		for _, magic := range []string{"\xd4\xc3\xb2\xa1", "\xa1\xb2\xc3\xd4", "\x4d\x3c\xb2\xa1", "\xa1\xb2\x3c\x4d", "\x0a\x0d\x0d\x0a"} {
			if bytes.HasPrefix(h, []byte(magic)) {
				return true
			}
		}
		return false
	}},
	{"reports", func(h []byte) bool {
		return bytes.HasPrefix(h, []byte("PK\x03\x04")) || bytes.Contains(h, []byte("<feedback")) || bytes.Contains(h, []byte(`"organization-name"`))
	}},
	{"bounce", func(h []byte) bool {
		l := bytes.ToLower(h)
		return bytes.Contains(l, []byte("report-type=delivery-status")) || bytes.Contains(l, []byte("return-path: <>")) ||
			bytes.Contains(l, []byte("from: mailer-daemon")) || bytes.Contains(l, []byte("from: postmaster@"))
	}},
	{"headers", func(h []byte) bool {
		l := bytes.ToLower(h)
		return bytes.HasPrefix(l, []byte("received:")) || bytes.HasPrefix(l, []byte("return-path:")) || bytes.HasPrefix(l, []byte("from ")) ||
			bytes.Contains(l, []byte("\nreceived:")) || bytes.Contains(l, []byte("\nmessage-id:"))
	}},
	{"logs", func(h []byte) bool { return len(h) > 0 }},
}

// fileCommand looks into a file and names the command that reads it, "" for none. A folder is taken for bounces.
func (a *app) fileCommand(name string) string {
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.IsDir() {
		return "bounce"
	}
	head := make([]byte, 8192)
	n, _ := io.ReadFull(f, head)
	for _, s := range sniffs {
		if s.is(head[:n]) {
			return s.command
		}
	}
	return ""
}
