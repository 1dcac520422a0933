package logs

import (
	"strconv"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
)

// echo is a dialect that gives every line of its program back.
type echo struct{}

func (echo) Software() event.Software { return event.Postfix }
func (echo) Mine(program []byte) bool { return Has(program, "postfix") }
func (echo) Parse(e *event.Event, sink event.Sink) Outcome {
	e.Text = e.Msg
	sink.Event(e)
	return Known
}

func TestJSONLines(t *testing.T) {
	want := "2026-11-22T01:45:23.123456Z mx1 postfix/smtpd[12] connect from <a>"
	for _, line := range []string{
		`{"__REALTIME_TIMESTAMP":"1795311923123456","_HOSTNAME":"mx1","SYSLOG_IDENTIFIER":"postfix/smtpd","_PID":"12","MESSAGE":"connect from <a>"}`,
		`{"__REALTIME_TIMESTAMP":"1795311923999999","_SOURCE_REALTIME_TIMESTAMP":"1795311923123456","_HOSTNAME":"mx1","SYSLOG_IDENTIFIER":"postfix/smtpd","SYSLOG_PID":"12","MESSAGE":[99,111,110,110,101,99,116,32,102,114,111,109,32,60,97,62]}`,
		`{"log":"2026-11-22T01:45:23.123456+00:00 mx1 postfix/smtpd[12]: connect from \u003ca\u003e\n","stream":"stdout","time":"2026-11-22T01:45:29Z"}`,
		`{"@timestamp":"2026-11-22T01:45:23.123456Z","hostname":"mx1","syslogtag":"postfix/smtpd[12]:","message":"connect from <a>"}`,
		`{"timereported":"2026-11-22T01:45:23.123456Z","host":"mx1","programname":"postfix/smtpd","procid":"12","msg":"connect from <a>","nested":{"a":[1,2]}}`,
	} {
		r := NewReader(Clock{Latest: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)}, []Dialect{echo{}})
		got := ""
		r.Line([]byte(line), 0, 0, event.SinkFunc(func(e *event.Event) {
			when := "no time"
			if e.TimeSet {
				when = e.Time().UTC().Format(time.RFC3339Nano)
			}
			got = when + " " + string(e.Host) + " " + string(e.Program) + "[" + strconv.Itoa(int(e.PID)) + "] " + string(e.Text)
		}))
		if got != want {
			t.Errorf("%s\n got %s", line, got)
		}
	}
}
