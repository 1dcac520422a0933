package dns

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadLocal(t *testing.T) {
	dir := t.TempDir()
	hosts := filepath.Join(dir, "hosts")
	if err := os.WriteFile(hosts, []byte("127.0.0.1 localhost\n# 192.0.2.9 mail.a.example\n192.0.2.7\tother MAIL.a.example # old\nnonsense mail.a.example\n::ffff:192.0.2.8 mail.a.example.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, wins := range map[string]bool{
		"":                                     true,
		"passwd: files\nhosts: files dns\n":    true,
		"hosts: dns [!UNAVAIL=return] files\n": false,
		"hosts: mymachines resolve [!UNAVAIL = return] files dns\n": true,
	} {
		ns := filepath.Join(dir, "nsswitch")
		if err := os.WriteFile(ns, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l := ReadLocal(nil, hosts, ns, "mail.A.example.")
		if l.Wins != wins || l.Fault != "" {
			t.Errorf("%q: wins %v, fault %q", text, l.Wins, l.Fault)
		}
		if len(l.Lines) != 2 || l.Lines[0].Line != 3 || l.Lines[0].Addr.String() != "192.0.2.7" || l.Lines[1].Addr.String() != "192.0.2.8" {
			t.Errorf("lines %+v", l.Lines)
		}
	}
	if l := ReadLocal(nil, filepath.Join(dir, "none"), filepath.Join(dir, "none"), "a.example"); l.Fault != "" || !l.Wins {
		t.Errorf("no files: %+v", l)
	}
	if l := ReadLocal(nil, dir, dir, "a.example"); l.Fault == "" {
		t.Error("a directory was read as a hosts file")
	}
}

func FuzzHosts(f *testing.F) {
	f.Add("192.0.2.1 a.example\n", "hosts: files [a b] dns")
	f.Fuzz(func(t *testing.T, hosts, ns string) {
		l := &Local{}
		for _, err := range []error{readHosts(strings.NewReader(hosts), "a.example", l), readNSSwitch(strings.NewReader(ns), l)} {
			if err != nil && err != io.EOF && !strings.Contains(err.Error(), "too long") {
				t.Fatal(err)
			}
		}
		if len(l.Lines) > maxHostsLines || len(l.Order) > 16 {
			t.Fatal("not bounded")
		}
	})
}
