package trace

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// cutter reads single lines out of the sources.
type cutter struct {
	f       *Found
	readers []*logs.Reader
	block   []byte
	src     int32
	base    int64
}

func (f *Found) cutter() *cutter {
	return &cutter{f: f, readers: make([]*logs.Reader, len(f.sources)), src: -1}
}

// line reads the line at an offset, nil where it cannot be read any more.
func (c *cutter) line(src int32, off int64) []byte {
	if c.src == src && off >= c.base && off < c.base+int64(len(c.block)) {
		if i := bytes.IndexByte(c.block[off-c.base:], '\n'); i >= 0 {
			return c.block[off-c.base : off-c.base+int64(i)]
		}
	}
	for size := 32 << 10; ; size *= 8 {
		if cap(c.block) < size {
			c.block = make([]byte, size)
		}
		n, err := c.f.sources[src].text.ReadAt(c.block[:min(size, cap(c.block))], off)
		c.block, c.src, c.base = c.block[:n], src, off
		if n == 0 {
			return nil
		}
		if i := bytes.IndexByte(c.block, '\n'); i >= 0 {
			return c.block[:i]
		}
		if err == io.EOF || size > logs.MaxLine {
			return c.block
		}
	}
}

func (c *cutter) reader(src int32) *logs.Reader {
	if c.readers[src] == nil {
		c.readers[src] = c.f.sources[src].reader(&c.f.opt)
	}
	return c.readers[src]
}

// redacted puts pseudonyms into a line; its parser tells the subject.
func (c *cutter) redacted(src int32, off int64, line []byte) []byte {
	var subject []byte
	c.reader(src).Line(line, src, off, event.SinkFunc(func(e *event.Event) {
		if s := subjectOf(e); len(s) > 0 {
			subject = bytes.Clone(s)
		}
	}))
	return c.f.Redact.Line(line, subject)
}

func (c *cutter) when(src int32, off int64, line []byte) (at int64) {
	c.reader(src).Line(line, src, off, event.SinkFunc(func(e *event.Event) {
		if e.TimeSet && at == 0 {
			at = e.At
		}
	}))
	return at
}

// steps parses the lines of one journey.
func (c *cutter) steps(refs []lineRef) []Step {
	var out []Step
	for _, r := range refs {
		line := c.line(r.src, r.off)
		name := c.f.sources[r.src].in.Name
		asked := false
		if c.f.Redact != nil {
			c.reader(r.src).Line(line, r.src, r.off, event.SinkFunc(func(e *event.Event) { asked = asked || c.f.asked(e) }))
			line = c.redacted(r.src, r.off, line)
		}
		c.reader(r.src).Line(line, r.src, r.off, event.SinkFunc(func(e *event.Event) {
			out = append(out, c.step(e, name, asked || c.f.asked(e)))
		}))
	}
	sortSteps(out)
	return numbered(out)
}

// step makes a step of an event of a source.
func (c *cutter) step(e *event.Event, name string, match bool) Step {
	s := newStep(e, name, match)
	if c.f.sources[e.Source].mute {
		s.Line = ""
	}
	if s.rank = int64(e.Source); c.f.sources[e.Source].around != nil {
		s.rank = c.f.sources[e.Source].order
	}
	return s
}

// asked tells whether the event is what the query looks for, in the time it names.
func (f *Found) asked(e *event.Event) bool { return f.query.Match(e) && f.query.seedTime(e) }

func sortSteps(s []Step) {
	for i := range s {
		s[i].order = i
	}
	slices.SortStableFunc(s, func(a, b Step) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.rank, b.rank), cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.order, b.order))
	})
}

// Journeys gives what was found as journeys, in the order of their first line, built by all workers a little ahead of the one that
// is looked at. Those that --status and --direction exclude are left out. What policy servers said is told in the journey
// it is about (see policies): it is given by itself, in the end, only where there is nothing else.
func (f *Found) Journeys(ctx context.Context) iter.Seq[*Journey] {
	return func(yield func(*Journey) bool) {
		var asides []*Journey
		told := false
		for j := range f.all(ctx) {
			if j.aside() {
				if len(asides) < wholeAsides {
					asides = append(asides, j)
				}
				continue
			}
			if told = true; !yield(j) {
				return
			}
		}
		for _, j := range asides {
			if told || !yield(j) {
				return
			}
		}
	}
}

// wholeAsides is how many answers of policy servers are given where there is nothing else.
const wholeAsides = 1000

// aside tells lines of policy servers alone, which belong to no message.
func (j *Journey) aside() bool {
	return j.State == NotKnown && !slices.ContainsFunc(j.Steps, func(s Step) bool { return s.kind != event.Policy || s.Filter == "" || s.QueueID != "" })
}

// all gives the journeys, what policy servers said among them.
func (f *Found) all(ctx context.Context) iter.Seq[*Journey] {
	return func(yield func(*Journey) bool) {
		c := f.cutter()
		groups := f.groups(c)
		if f.opt.Workers > 1 && !f.shelved {
			f.built(ctx, groups)(yield)
			return
		}
		for g := range groups {
			for _, j := range c.journeys(ctx, g, nil) {
				if ctx.Err() != nil || !yield(j) {
					return
				}
			}
		}
	}
}

func itoa(n int) string {
	if n == 0 {
		return "0"
	}
	var b [12]byte
	i := len(b)
	for ; n > 0; n /= 10 {
		i--
		b[i] = byte('0' + n%10)
	}
	return string(b[i:])
}

// keeps tells whether the journey is one of those asked for.
func (q *Query) keeps(j *Journey) bool {
	if q.Direction != "" && j.Direction != q.Direction || q.Messages && j.State == NotKnown {
		return false
	}
	if q.Rejected {
		return len(j.Rejects) > 0
	}
	if q.Status == event.NoStatus {
		return true
	}
	return slices.ContainsFunc(j.Recipients, func(r Recipient) bool {
		return r.status == q.Status || q.Status == event.Sent && r.status == event.Relayed
	})
}

// generations splits the steps where a queue id was used again for another message: a queue id that was removed and
// then begins anew is another one. Only those parts are kept that the query asked for, or all where it asked for none.
func generations(steps []Step) [][]Step {
	gen, removed := map[string]int{}, map[string]bool{}
	node := make([]int, len(steps))
	names := map[string]int{}
	var parent []int
	id := func(name string) int {
		if n, ok := names[name]; ok {
			return n
		}
		names[name] = len(parent)
		parent = append(parent, len(parent))
		return len(parent) - 1
	}
	find := func(n int) int {
		for parent[n] != n {
			n = parent[n]
		}
		return n
	}
	reused := false
	for i := range steps {
		s := &steps[i]
		if q := s.Host + "\x00" + s.QueueID; s.QueueID != "" {
			if removed[q] && s.begins() {
				gen[q]++
				removed[q], reused = false, true
			}
			if s.kind == event.Removed {
				removed[q] = true
			}
		}
	}
	if !reused {
		return [][]Step{steps}
	}
	clear(gen)
	clear(removed)
	latest := map[string]int{} // queue id on any host → node of its generation in force
	for i := range steps {
		s := &steps[i]
		node[i] = -1
		join := func(n int) {
			if node[i] < 0 {
				node[i] = n
			} else {
				parent[find(n)] = find(node[i])
			}
		}
		if s.QueueID != "" {
			q := s.Host + "\x00" + s.QueueID
			if removed[q] && s.begins() {
				gen[q]++
				removed[q] = false
			}
			if s.kind == event.Removed {
				removed[q] = true
			}
			n := id(q + "\x00" + itoa(gen[q]))
			latest[s.QueueID] = n
			join(n)
		}
		if s.Message != "" {
			join(id("<" + s.Message))
		}
		if s.Ref != "" {
			if n, ok := latest[s.Ref]; ok {
				join(n)
			}
		}
		if node[i] < 0 && s.Session != "" {
			join(id("s" + s.Session))
		}
	}
	groups := map[int][]Step{}
	var order []int
	wanted := map[int]bool{}
	for i := range steps {
		g := -1
		if node[i] >= 0 {
			g = find(node[i])
		}
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], steps[i])
		wanted[g] = wanted[g] || steps[i].match
	}
	var out [][]Step
	for _, g := range order {
		if wanted[g] {
			out = append(out, groups[g])
		}
	}
	if out == nil {
		return [][]Step{steps}
	}
	return out
}

// begins tells a line with which a message begins to use a queue id.
func (s *Step) begins() bool {
	return s.kind == event.Received || s.kind == event.MessageID || s.kind == event.Related && s.Action == "new"
}

// addOnce appends a word that is not there yet.
func addOnce(list []string, w string) []string {
	if w == "" || slices.Contains(list, w) {
		return list
	}
	return append(list, w)
}

func sameAddress(a, b string) bool { return strings.EqualFold(a, b) }
