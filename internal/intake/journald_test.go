package intake

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// script writes a program that stands in for journalctl. It notes its arguments, gives the entries behind the cursor or
// the time it was asked for, and stays until it is killed. An argument "--fail" in the file state/fail makes it fail once
// with a cursor.
func script(t *testing.T, dir string, entries int) string {
	t.Helper()
	p := filepath.Join(dir, "journalctl")
	text := fmt.Sprintf(`#!/bin/sh
echo "$*" >> %[1]s/args
from=0
while [ $# -gt 0 ]; do
  case $1 in
  --after-cursor)
    if [ -e %[1]s/vacuumed ]; then echo "Failed to seek to cursor" >&2; exit 1; fi
    from=${2##*i=}; from=${from%%%%;*};;
  esac
  shift
done
i=1
while [ $i -le %[2]d ]; do
  if [ $i -gt $from ]; then
    printf '{"__CURSOR":"s=a;i=%%d;t=%%x","__REALTIME_TIMESTAMP":"%%d","_HOSTNAME":"mx1","SYSLOG_IDENTIFIER":"postfix/smtpd","MESSAGE":"line %%d"}\n' $i $((1795312260000000 + i)) $((1795312260000000 + i)) $i
  fi
  i=$((i + 1))
done
echo '{"MESSAGE":"without a cursor"}'
exec sleep 1000
`, dir, entries)
	if err := os.WriteFile(p, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return p
}

func journalLines(t *testing.T, m *memory, n int) {
	t.Helper()
	m.until(t, fmt.Sprint(n, " entries"), func() bool { return len(m.lines["journald"]) >= n })
	for i, l := range m.all("journald") {
		if want := fmt.Sprintf(`"line %d"`, i+1); !strings.Contains(l, want) || len(m.all("journald")) != n {
			t.Fatalf("entry %d of %d: %s", i+1, len(m.all("journald")), l)
		}
	}
}

func TestJournal(t *testing.T) {
	dir, m, o := t.TempDir(), newMemory(), quick()
	o.Journal = script(t, dir, 5)
	c := Config{Kind: "journald", Units: []string{"postfix@-.service"}}
	in, stop := start(t, o, m, c)
	journalLines(t, m, 5)
	m.until(t, "an entry without a cursor counted", func() bool { return in.Stats().Sources[0].Dropped == 1 })
	m.until(t, "the host noted", func() bool { h := in.Stats().Hosts; return len(h) == 1 && h[0].Name == "mx1" })
	stop()
	script(t, dir, 8)
	_, stop = start(t, o, m, c)
	journalLines(t, m, 8)
	stop()
	args, err := os.ReadFile(filepath.Join(dir, "args"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(string(args), "\n"); !strings.Contains(got[0], "--no-tail -u postfix@-.service") || !strings.Contains(got[1], "--after-cursor s=a;i=5;t=") {
		t.Errorf("%q", got)
	}
	// The entry of the cursor is gone: its time tells where to go on, and nothing comes twice.
	write(t, filepath.Join(dir, "vacuumed"), "")
	script(t, dir, 10)
	start(t, o, m, c)
	journalLines(t, m, 10)
}

func TestJournalMissing(t *testing.T) {
	m, o := newMemory(), quick()
	o.Journal = filepath.Join(t.TempDir(), "journalctl")
	in, _ := start(t, o, m, Config{Kind: "journald"})
	m.until(t, "trouble", func() bool { return strings.Contains(in.Stats().Sources[0].Trouble.String(), "not on this machine") })
}

func FuzzMember(f *testing.F) {
	f.Add([]byte(`{"__CURSOR":"s=1;t=5f0c","a":"\"__CURSOR\":\"x\""}`))
	f.Add([]byte(`"__CURSOR":"`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v := member(b, "__CURSOR"); strings.ContainsAny(string(v), `"\`) {
			t.Errorf("%q", v)
		}
		cursorTime(string(b))
	})
}
