package logs

import (
	"bytes"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/mailwhy/mailwhy/internal/event"
)

// jsonLine reads a line of journalctl -o json, of docker's json-file driver, or of a JSON syslog shipper.
func (r *Reader) jsonLine(line []byte, e *event.Event, sink event.Sink) Outcome {
	var f jsonFields
	r.scratch = r.scratch[:0]
	if !f.read(line, &r.scratch) {
		return Foreign
	}
	e.Line = line
	switch {
	case f.log != nil: // docker: the text may have a prefix of its own
		return r.jsonText(f.log, f, e, sink)
	case f.message != nil && (f.ident != nil || f.comm != nil):
		e.Host, e.Program, e.Msg = f.host, f.ident, bytes.TrimPrefix(f.message, []byte(" "))
		if e.Program == nil {
			e.Program = f.comm
		}
		e.PID, _ = pid(f.pid)
		if i := bytes.IndexByte(e.Program, '['); i > 0 { // rsyslog's syslogtag: "prog[12]:"
			e.PID, _ = pid(e.Program[i+1:])
			e.Program = e.Program[:i]
		}
		e.Program = bytes.TrimSuffix(e.Program, []byte(":"))
		r.journalTime(f, e)
		return r.dispatch(e, sink)
	case f.message != nil: // a shipper that left the line as it was
		return r.jsonText(f.message, f, e, sink)
	}
	for _, d := range r.dialects {
		if x, ok := d.(Recorded); ok {
			if out := x.ParseRecord(&r.Clock, line, e, sink); out != Foreign {
				return out
			}
			e.Clear()
		}
	}
	return Foreign
}

// Recorded is a dialect whose records are objects of JSON with members of its own.
type Recorded interface {
	Dialect
	// ParseRecord reads an object; Foreign where it is none of the dialect's.
	ParseRecord(c *Clock, object []byte, e *event.Event, sink event.Sink) Outcome
}

// jsonText reads a line that stands in a member of an object; the time of the object counts where the line has none.
func (r *Reader) jsonText(text []byte, f jsonFields, e *event.Event, sink event.Sink) Outcome {
	line := e.Line
	text = bytes.TrimRight(text, "\r\n")
	if len(text) == 0 {
		return Foreign
	}
	r.journalTime(f, e)
	at := e.Origin
	if !Prefix(&r.Clock, text, &e.Origin) && !hostAndTag(text, &e.Origin) {
		return Foreign
	}
	if !e.TimeSet {
		e.At, e.Zone, e.ZoneSet, e.TimeSet = at.At, at.Zone, at.ZoneSet, at.TimeSet
	}
	if e.Host == nil {
		e.Host = f.host
	}
	e.Line = line
	return r.dispatch(e, sink)
}

func (r *Reader) journalTime(f jsonFields, e *event.Event) {
	if us, err := strconv.ParseInt(string(f.realtime), 10, 64); err == nil && us > 0 && us < 1<<62/1000 {
		t := time.UnixMicro(us).In(r.loc())
		_, z := t.Zone()
		e.At, e.Zone, e.ZoneSet, e.TimeSet = us*1000, int32(z), true, true
		return
	}
	if at, z, zoned, n := r.iso3339(f.time); n > 0 {
		e.At, e.Zone, e.ZoneSet, e.TimeSet = at, z, zoned, true
	} else if ns := epoch(f.time); ns > 0 {
		e.At, e.ZoneSet, e.TimeSet = ns, true, true
	}
}

// epoch reads a number of seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size, and gives
// nanoseconds; 0 for anything else.
func epoch(b []byte) int64 {
	if len(b) < 9 {
		return 0
	}
	v, n := int64(0), 0
	for n < len(b) && n < 19 && digit(b[n]) {
		v = v*10 + int64(b[n]-'0')
		n++
	}
	frac, m := fraction(b[n:])
	if v <= 0 || n+m != len(b) {
		return 0
	}
	switch {
	case v < 1e10:
		return v*1e9 + frac
	case v < 1e14:
		return v * 1e6
	case v < 1e17:
		return v * 1e3
	}
	return v
}

type jsonFields struct {
	log, time, message, ident, comm, host, pid, realtime []byte
}

func (f *jsonFields) slot(key []byte) *[]byte {
	switch string(key) {
	case "log":
		return &f.log
	case "time", "timestamp", "@timestamp", "timereported", "date", "ISODATE", "DATE":
		return &f.time
	case "MESSAGE", "message", "msg", "full_message", "textPayload", "line":
		return &f.message
	case "short_message": // of GELF, beside full_message
		if f.message == nil {
			return &f.message
		}
	case "SYSLOG_IDENTIFIER", "program", "syslogtag", "ident", "appname", "app-name", "app_name", "programname", "tag", "PROGRAM", "application_name", "_application_name",
		"process_name", "syslog_identifier", "syslog_program", "process.name":
		return &f.ident
	case "_COMM":
		return &f.comm
	case "_HOSTNAME", "host", "hostname", "fromhost", "HOSTNAME", "HOST", "logsource", "syslog_hostname", "host.hostname", "host.name":
		return &f.host
	case "SYSLOG_PID", "procid", "pid", "PID", "process_id", "_process_id", "syslog_pid", "process.pid":
		return &f.pid
	case "_PID":
		if f.pid == nil {
			return &f.pid
		}
	case "_SOURCE_REALTIME_TIMESTAMP":
		return &f.realtime
	case "__REALTIME_TIMESTAMP":
		if f.realtime == nil {
			return &f.realtime
		}
	}
	return nil
}

// read takes the wanted members of a flat JSON object. Values are unescaped into scratch, which must not be used for
// anything else while they live. Nested values are stepped over; journald's array of bytes for a message that is no
// UTF-8 is read.
func (f *jsonFields) read(b []byte, scratch *[]byte) bool {
	if need := len(b); cap(*scratch) < need { // unescaping never grows, so slices into scratch stay valid
		*scratch = make([]byte, 0, need)
	}
	_, ok := f.object(b, "", scratch)
	return ok
}

// object reads an object and tells its length. Objects within it are read where they are known to hold what is wanted; their
// members are called by both names then ("process.name").
func (f *jsonFields) object(b []byte, within string, scratch *[]byte) (n int, ok bool) {
	i := 1
	for {
		i = space(b, i)
		if i >= len(b) || b[i] == '}' {
			return i + 1, i < len(b)
		}
		if b[i] == ',' {
			i++
			continue
		}
		key, n := jsonString(b[i:], scratch)
		if n == 0 {
			return 0, false
		}
		i = space(b, i+n)
		if i >= len(b) || b[i] != ':' {
			return 0, false
		}
		i = space(b, i+1)
		if i >= len(b) {
			return 0, false
		}
		dst := f.member(within, key)
		switch {
		case b[i] == '"':
			v, n := jsonString(b[i:], scratch)
			if n == 0 {
				return 0, false
			}
			if dst != nil {
				*dst = v
			}
			i += n
		case b[i] == '[' && dst == &f.message && dst != nil:
			v, n := jsonBytes(b[i:], scratch)
			if n == 0 {
				return 0, false
			}
			*dst = v
			i += n
		case b[i] == '{' && within == "" && holder(key) != "":
			n, ok := f.object(b[i:], holder(key), scratch)
			if !ok {
				return 0, false
			}
			i += n
		default:
			n := jsonSkip(b[i:])
			if n == 0 {
				return 0, false
			}
			if dst != nil && (digit(b[i])) {
				*dst = b[i : i+n]
			}
			i += n
		}
	}
}

// holder tells the objects whose members are read.
func holder(key []byte) string {
	switch string(key) {
	case "process":
		return "process"
	case "host":
		return "host"
	case "_source":
		return "_source"
	}
	return ""
}

// member is slot for a member of the object called within.
func (f *jsonFields) member(within string, key []byte) *[]byte {
	switch within {
	case "process":
		switch string(key) {
		case "name":
			return &f.ident
		case "pid":
			return &f.pid
		}
		return nil
	case "host":
		if s := string(key); s == "hostname" || s == "name" && f.host == nil {
			return &f.host
		}
		return nil
	}
	return f.slot(key)
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// jsonString reads a string at b[0] == '"' and gives it unescaped with the bytes read, 0 for a broken one.
func jsonString(b []byte, scratch *[]byte) (s []byte, n int) {
	if len(b) == 0 || b[0] != '"' {
		return nil, 0
	}
	i := 1
	for i < len(b) && b[i] != '"' && b[i] != '\\' {
		i++
	}
	if i < len(b) && b[i] == '"' {
		return b[1:i], i + 1
	}
	start := len(*scratch)
	out := append(*scratch, b[1:i]...)
	for i < len(b) {
		switch b[i] {
		case '"':
			*scratch = out
			return out[start:], i + 1
		case '\\':
			var m int
			out, m = jsonEscape(out, b[i:])
			if m == 0 {
				return nil, 0
			}
			i += m
		default:
			out = append(out, b[i])
			i++
		}
	}
	return nil, 0
}

func jsonEscape(out, b []byte) ([]byte, int) {
	if len(b) < 2 {
		return out, 0
	}
	switch c := b[1]; c {
	case 'n':
		return append(out, '\n'), 2
	case 't':
		return append(out, '\t'), 2
	case 'r':
		return append(out, '\r'), 2
	case 'b', 'f':
		return append(out, ' '), 2
	case 'u':
		if len(b) < 6 {
			return out, 0
		}
		r := rune(0)
		for _, h := range b[2:6] {
			d := hexDigit(h)
			if d < 0 {
				return out, 0
			}
			r = r<<4 | rune(d)
		}
		return utf8.AppendRune(out, r), 6 // at most 3 bytes for 6
	default:
		return append(out, c), 2
	}
}

// jsonBytes reads [102,111,…].
func jsonBytes(b []byte, scratch *[]byte) ([]byte, int) {
	start := len(*scratch)
	out := *scratch
	v, any := 0, false
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case digit(c):
			v, any = v*10+int(c-'0'), true
			if v > 255 {
				return nil, 0
			}
		case c == ',' || c == ']':
			if any {
				out = append(out, byte(v))
			}
			v, any = 0, false
			if c == ']' {
				*scratch = out
				return out[start:], i + 1
			}
		case c != ' ':
			return nil, 0
		}
	}
	return nil, 0
}

// jsonSkip steps over a number, a word, an object or an array; depth is counted, not recursed.
func jsonSkip(b []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted:
			if c == '\\' {
				i++
			} else if c == '"' {
				quoted = false
			}
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case c == ',' && depth == 0:
			return i
		}
	}
	return 0
}
