package logs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
)

// What journalctl prints over several lines is read like any other log.
func TestRecords(t *testing.T) {
	texts := map[string]string{
		"journal-verbose": `Sun 2026-11-22 11:00:00.123456 CET [s=0a1b;i=12;b=3c4d;m=5e6f;t=660da8a536a40;x=7a8b]
    PRIORITY=6
    _HOSTNAME=mx1
    SYSLOG_IDENTIFIER=postfix/qmgr
    SYSLOG_PID=12
    MESSAGE=4ABCDEF12: removed
    _SOURCE_REALTIME_TIMESTAMP=1795341600123400
Sun 2026-11-22 11:00:01.123456 CET [s=0a1b;i=13;b=3c4d;m=5e70;t=660da8a62ac80;x=7a8c]
    _HOSTNAME=mx1
    SYSLOG_IDENTIFIER=postfix/qmgr
    _PID=12
    MESSAGE=4ABCDEF13: removed
`,
		"json-pretty": `{
	"_HOSTNAME" : "mx1",
	"SYSLOG_IDENTIFIER" : "postfix/qmgr",
	"__REALTIME_TIMESTAMP" : "1795341600000000",
	"MESSAGE" : "4ABCDEF12: removed"
}
{
	"_HOSTNAME" : "mx1",
	"SYSLOG_IDENTIFIER" : "postfix/qmgr",
	"__REALTIME_TIMESTAMP" : "1795341601000000",
	"MESSAGE" : "4ABCDEF13: removed"
}
`,
	}
	for format, text := range texts {
		name := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		in := open(t, name)
		if in.Format != format {
			t.Errorf("%s is taken for %s", format, in.Format)
		}
		var got []string
		r := in.Reader(time.UTC, []Dialect{anyone{}})
		err := in.Each(func(b []byte, base int64) error {
			r.Block(b, 0, base, event.SinkFunc(func(e *event.Event) {
				got = append(got, e.Time().Format("2006-01-02")+" "+string(e.Host)+" "+string(e.Program)+" "+string(e.Msg))
			}))
			return nil
		})
		if err != nil || len(got) != 2 || got[1] != "2026-11-22 mx1 postfix/qmgr 4ABCDEF13: removed" {
			t.Errorf("%s: %v %q", format, err, got)
		}
	}
}

// A list of objects is given an object a line, over however many lines it is printed.
func TestListOfObjects(t *testing.T) {
	for _, text := range []string{
		`[{"a":1},{"b":"x ] } \" y","c":{"d":[1,{}]}}]`,
		"[\n    {\n        \"a\":  1\n    },\n    {\n        \"b\":  \"x ] } \\\" y\",\n        \"c\":  {\"d\": [1, {}]}\n    }\n]\n",
	} {
		in, err := FromReader("t", strings.NewReader(text), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		if err := in.Each(func(b []byte, _ int64) error {
			lines = append(lines, strings.Split(strings.TrimSpace(string(b)), "\n")...)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if in.Format != "json-list" || len(lines) != 2 || !strings.Contains(lines[0], `"a":`) || !strings.HasSuffix(lines[1], `{}]}}`) && !strings.HasSuffix(strings.ReplaceAll(lines[1], " ", ""), `{}]}}`) {
			t.Errorf("%s: %q", in.Format, lines)
		}
	}
}
