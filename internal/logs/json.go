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
		text := bytes.TrimRight(f.log, "\r\n")
		if at, z, _, n := r.iso3339(f.time); n > 0 {
			e.At, e.Zone, e.ZoneSet, e.TimeSet = at, z, true, true
		}
		if len(text) == 0 {
			return Foreign
		}
		at := e.Origin
		if !Prefix(&r.Clock, text, &e.Origin) {
			return Foreign
		}
		if !e.TimeSet {
			e.At, e.Zone, e.ZoneSet, e.TimeSet = at.At, at.Zone, at.ZoneSet, at.TimeSet
		}
		e.Line = line
		return r.dispatch(e, sink)
	case f.message != nil && (f.ident != nil || f.comm != nil):
		e.Host, e.Program, e.Msg = f.host, f.ident, f.message
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
	}
	return Foreign
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
	}
}

type jsonFields struct {
	log, time, message, ident, comm, host, pid, realtime []byte
}

func (f *jsonFields) slot(key []byte) *[]byte {
	switch string(key) {
	case "log":
		return &f.log
	case "time", "timestamp", "@timestamp", "timereported", "date":
		return &f.time
	case "MESSAGE", "message", "msg":
		return &f.message
	case "SYSLOG_IDENTIFIER", "program", "syslogtag", "ident", "appname", "app-name", "app_name", "programname", "tag":
		return &f.ident
	case "_COMM":
		return &f.comm
	case "_HOSTNAME", "host", "hostname", "fromhost":
		return &f.host
	case "SYSLOG_PID", "procid", "pid":
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
	i := 1
	if need := len(b); cap(*scratch) < need { // unescaping never grows, so slices into scratch stay valid
		*scratch = make([]byte, 0, need)
	}
	for {
		i = space(b, i)
		if i >= len(b) || b[i] == '}' {
			return i < len(b)
		}
		if b[i] == ',' {
			i++
			continue
		}
		key, n := jsonString(b[i:], scratch)
		if n == 0 {
			return false
		}
		i = space(b, i+n)
		if i >= len(b) || b[i] != ':' {
			return false
		}
		i = space(b, i+1)
		if i >= len(b) {
			return false
		}
		dst := f.slot(key)
		switch {
		case b[i] == '"':
			v, n := jsonString(b[i:], scratch)
			if n == 0 {
				return false
			}
			if dst != nil {
				*dst = v
			}
			i += n
		case b[i] == '[' && dst == &f.message && dst != nil:
			v, n := jsonBytes(b[i:], scratch)
			if n == 0 {
				return false
			}
			*dst = v
			i += n
		default:
			n := jsonSkip(b[i:])
			if n == 0 {
				return false
			}
			if dst != nil && (digit(b[i])) {
				*dst = b[i : i+n]
			}
			i += n
		}
	}
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
