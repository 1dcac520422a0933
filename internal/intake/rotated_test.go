package intake

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestRotation(t *testing.T) {
	for _, c := range []struct {
		name, base string
		ok         bool
	}{
		{"mail.log.1", "mail.log", true}, {"mail.log.12.gz", "mail.log", true}, {"mainlog.01", "mainlog", true},
		{"mail.log-20261101", "mail.log", true}, {"mail.log-20261101.zst", "mail.log", true}, {"mail.log-2026-11-01", "mail.log", true},
		{"mail.log-20261101-1793491200.gz", "mail.log", true}, {"mail2-20261101", "mail2", true},
		{"mail.log", "", false}, {"mail.log.gz", "", false}, {"mail.err", "", false}, {"mail.log.1.tmp", "", false}, {"mail.log.", "", false}, {"2", "", false}, {"", "", false},
	} {
		base, _, ok := rotation(c.name)
		if ok != c.ok || ok && base != c.base {
			t.Errorf("%s: %q %v, want %q %v", c.name, base, ok, c.base, c.ok)
		}
	}
}

func TestScanOrder(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"m.log", "m.log.1", "m.log.1.gz", "m.log.2.gz", "m.log.10.gz", "m.log.old", "m.log2", "m.log.1.gz.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, n), []byte("x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := scan(filepath.Join(dir, "m.log"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range list {
		got = append(got, filepath.Base(r.name))
	}
	if want := []string{"m.log.10.gz", "m.log.2.gz", "m.log.1", "m.log"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func FuzzRotation(f *testing.F) {
	for _, s := range []string{"mail.log.1.gz", "mail.log-20261101", "2.1", "-", ".gz", "a-T:_"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		base, r, ok := rotation(name)
		if ok && (len(base) >= len(name) || r.number < 0) {
			t.Errorf("%q: base %q, number %d", name, base, r.number)
		}
	})
}

func TestIdentity(t *testing.T) {
	if _, ok := identify([]byte("half a li"), false); ok {
		t.Error("half a line made an identity")
	}
	id, ok := identify([]byte("one\ntwo\nthr"), false)
	if !ok || id.n != 8 {
		t.Fatalf("%+v %v", id, ok)
	}
	id.dev, id.ino, id.closed = 7, 9, 1795312260
	back, ok := parseIdentity(id.String())
	if !ok || back != id || !back.begins([]byte("one\ntwo\nthree\n")) || back.begins([]byte("one\nTWO\n")) || back.begins([]byte("one\n")) {
		t.Errorf("%q gave %+v %v", id, back, ok)
	}
	for _, bad := range []string{"", "a-b", "x-y-z-w", "1-2-0-abc", "1-2-99999-abc"} {
		if _, ok := parseIdentity(bad); ok {
			t.Errorf("%q was read", bad)
		}
	}
}
