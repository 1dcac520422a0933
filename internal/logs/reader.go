package logs

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/mailwhy/mailwhy/internal/event"
)

// Counts tells what became of the lines read. Add joins the counts of several readers.
type Counts struct {
	Lines    int64 `json:"lines"`
	Bytes    int64 `json:"bytes"`
	Mail     int64 `json:"mail"`     // understood lines of mail programs
	Foreign  int64 `json:"foreign"`  // lines of other programs
	Unparsed int64 `json:"unparsed"` // mail lines nobody understood
	Odd
}

// Odd counts lines that are not as a log's should be. They are read all the same.
type Odd struct {
	Long    int64 `json:"long,omitempty"`    // longer than LongLine
	NUL     int64 `json:"nul,omitempty"`     // with NUL bytes: the log was cut while it was written, or the machine fell
	Invalid int64 `json:"invalid,omitempty"` // not UTF-8
	Cut     int64 `json:"cut,omitempty"`     // without its end: the last one of the input
	Back    int64 `json:"back,omitempty"`    // much earlier than the one before; counted by summaries
	Years   int64 `json:"years,omitempty"`   // 1 for a stream of several years that its times do not name, see Input.Unplaced
}

// LongLine is more than any mail program writes, in bytes.
const LongLine = 64 << 10

// Add sums.
func (o *Odd) Add(p Odd) {
	o.Long += p.Long
	o.NUL += p.NUL
	o.Invalid += p.Invalid
	o.Cut += p.Cut
	o.Back += p.Back
	o.Years += p.Years
}

// Add sums.
func (c *Counts) Add(d Counts) {
	c.Lines += d.Lines
	c.Bytes += d.Bytes
	c.Mail += d.Mail
	c.Foreign += d.Foreign
	c.Unparsed += d.Unparsed
	c.Odd.Add(d.Odd)
}

// Reader turns lines into events. One goroutine uses one Reader; make as many as there are goroutines with Clone.
type Reader struct {
	Clock
	Counts
	// Unread, when set, is shown every mail line that no dialect understood. The origin is valid until it returns.
	Unread func(o *event.Origin)
	// Known tells the columns of an input whose lines are rows (Exchange); nil for other inputs.
	Layout *Layout
	// Years tells when parts of the input were written, for times that name no year; nil where the Clock alone knows.
	Years *Years

	from, to int64 // offsets for which the Clock's nearby stands
	dialects []Dialect
	cache    [256]program
	ev       event.Event
	scratch  []byte
}

// Layout is what the first lines of an input tell about all others.
type Layout struct {
	Software event.Software // whose dialect reads every line
	Columns  []string       // names of the columns, as the dialect calls them
	Sep      byte           // between values
	Form     string         // which of the dialect's tables, where it has several
}

type program struct {
	name    string
	dialect Dialect // nil: foreign
}

// NewReader gives a reader that asks the dialects in their order.
func NewReader(clock Clock, dialects []Dialect) *Reader {
	return &Reader{Clock: clock, dialects: dialects}
}

// Clone gives a reader with the same settings and no counts.
func (r *Reader) Clone() *Reader {
	return &Reader{Clock: Clock{Local: r.Local, Latest: r.Latest}, Unread: r.Unread, Layout: r.Layout, Years: r.Years, dialects: r.dialects}
}

// Block reads a block of whole lines; base is the offset of its first byte. The last line may lack its end.
func (r *Reader) Block(block []byte, source int32, base int64, sink event.Sink) {
	odd := bytes.IndexByte(block, 0) >= 0 || !utf8.Valid(block)
	for off := 0; off < len(block); {
		n := bytes.IndexByte(block[off:], '\n')
		end := off + n
		if n < 0 {
			n, end = len(block)-off, len(block)
			r.Cut++
		}
		if odd || n > LongLine {
			r.Odd.look(block[off:end])
		}
		r.Line(block[off:end], source, base+int64(off), sink)
		off += n + 1
	}
}

// look counts what is odd about a line.
func (o *Odd) look(line []byte) {
	if len(line) > LongLine {
		o.Long++
	}
	if bytes.IndexByte(line, 0) >= 0 {
		o.NUL++
	}
	if !utf8.Valid(line) {
		o.Invalid++
	}
}

// Line reads one line, without its end.
func (r *Reader) Line(line []byte, source int32, offset int64, sink event.Sink) Outcome {
	r.Lines++
	r.Bytes += int64(len(line)) + 1
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	for len(line) > 0 && line[0] == 0 { // a log truncated in place while its writer kept its offset
		line = bytes.TrimLeft(line, "\x00")
	}
	if len(line) == 0 {
		r.Foreign++
		return Foreign
	}
	if r.Years != nil && (offset < r.from || offset >= r.to) {
		r.nearby, r.from, r.to = r.Years.near(offset)
		r.mon = hourMemory{}
	}
	e := &r.ev
	*e = event.Event{Origin: event.Origin{Source: source, Offset: offset}}
	out := r.parse(line, e, sink)
	switch out {
	case Foreign:
		r.Foreign++
	case Unparsed:
		r.Unparsed++
		if r.Unread != nil {
			r.Unread(&e.Origin)
		}
	default:
		r.Mail++
	}
	return out
}

func (r *Reader) parse(line []byte, e *event.Event, sink event.Sink) Outcome {
	if r.Layout != nil {
		return r.row(line, e, sink)
	}
	if line[0] == '{' {
		return r.jsonLine(line, e, sink)
	}
	if line[0] == 'd' && Has(line, "data: {") { // journalctl -o json-sse
		return r.jsonLine(line[len("data: "):], e, sink)
	}
	if !Prefix(&r.Clock, line, &e.Origin) {
		return Foreign
	}
	return r.dispatch(e, sink)
}

// dispatch hands the event to the dialect of its program.
func (r *Reader) dispatch(e *event.Event, sink event.Sink) Outcome {
	d := r.dialectOf(e.Program)
	if d == nil {
		return Foreign
	}
	if len(e.Msg) > 24 && (e.Msg[0] == 'm' || e.Msg[0] == 'l') {
		if n, msg := repeated(e.Msg); n > 0 {
			return r.repeat(d, e, n, msg, sink)
		}
	}
	e.Software = d.Software()
	return d.Parse(e, sink)
}

func (r *Reader) dialectOf(name []byte) Dialect {
	if len(name) == 0 {
		return nil
	}
	h := uint(len(name))*31 + uint(name[0]) + uint(name[len(name)-1])*7 + uint(name[len(name)/2])*13
	for i := range uint(4) { // programs that meet in one place do not push each other out
		p := &r.cache[(h+i)%uint(len(r.cache))]
		if p.name == string(name) {
			return p.dialect
		}
		if p.name == "" || i == 3 {
			*p = program{name: string(name), dialect: r.find(name)}
			return p.dialect
		}
	}
	return nil
}

func (r *Reader) find(name []byte) Dialect {
	for _, d := range r.dialects {
		if d.Mine(name) {
			return d
		}
	}
	return nil
}

// repeated reads what syslog daemons write in place of equal lines: "message repeated 3 times: [ …]". A "last message
// repeated" names no text; it gives n and no message.
func repeated(msg []byte) (n int, text []byte) {
	rest, ok := bytes.CutPrefix(msg, []byte("message repeated "))
	if !ok {
		if rest, ok = bytes.CutPrefix(msg, []byte("last message repeated ")); !ok {
			return 0, nil
		}
	}
	i := bytes.IndexByte(rest, ' ')
	if i <= 0 || i > 6 || !bytes.HasPrefix(rest[i:], []byte(" time")) {
		return 0, nil
	}
	n, err := strconv.Atoi(string(rest[:i]))
	if err != nil || n < 1 {
		return 0, nil
	}
	if j := bytes.Index(rest, []byte(": [")); j >= 0 && rest[len(rest)-1] == ']' {
		text = bytes.TrimPrefix(rest[j+3:len(rest)-1], []byte(" "))
	}
	return n, text
}

// repeat parses the repeated text once for each time it stands for, up to a bound.
func (r *Reader) repeat(d Dialect, e *event.Event, n int, text []byte, sink event.Sink) Outcome {
	if text == nil {
		return Known
	}
	out := Known
	for range min(n, 1000) {
		e.Clear()
		e.Msg, e.Software = text, d.Software()
		out = d.Parse(e, sink)
	}
	return out
}

// row hands a line of an input with a layout to its dialect.
func (r *Reader) row(line []byte, e *event.Event, sink event.Sink) Outcome {
	e.Line, e.Msg = line, line
	for _, d := range r.dialects {
		if t, ok := d.(Tabular); ok && d.Software() == r.Layout.Software {
			e.Software = d.Software()
			return t.ParseRow(&r.Clock, r.Layout, e, sink)
		}
	}
	return Foreign
}

// Tabular is a dialect whose inputs are tables.
type Tabular interface {
	Dialect
	// Columns tells whether the first lines of an input are this dialect's, and its layout.
	Columns(head []byte) *Layout
	// ParseRow reads one row; header and comment rows are Known without an event.
	ParseRow(c *Clock, l *Layout, e *event.Event, sink event.Sink) Outcome
}
