package clickhouse

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/store"
	"github.com/mailwhy/mailwhy/internal/trace"
	"github.com/mailwhy/mailwhy/internal/trace/digest"
)

// Journeys gives the journeys that match the query: see trace.Gather. What is stored meanwhile may be found or not.
func (s *Store) Journeys(ctx context.Context, q trace.Query) iter.Seq2[*trace.Journey, error] {
	return func(yield func(*trace.Journey, error) bool) {
		v := &view{s: s, places: map[place]int{}, files: map[int64]*fileView{}, zones: map[int32]*time.Location{}, whole: map[int64]*around{}, ctx: ctx}
		for j, err := range trace.Gather(ctx, v, q, trace.Options{Dialects: s.opt.Dialects, Local: s.opt.Local}) {
			if !yield(j, hidden(err, s.secret)) {
				return
			}
		}
	}
}

// Journey gives the journey of an id, with the lines of its SMTP session, for people limited to the domains (none: no
// limit). The error is trace.ErrNoJourney where there is none that they may see.
func (s *Store) Journey(ctx context.Context, id string, domains []string) (*trace.Journey, error) {
	return trace.JourneyByID(ctx, s, id, domains)
}

// place is where a piece begins: what it is called in the tables.
type place struct{ file, base int64 }

// pieceText is a piece unpacked. It is never changed.
type pieceText struct {
	text []byte
	runs []digest.Run // File is not used
	src  fileView
	mute bool // its raw lines were let go
}

// fileView is what must be known of a file to read its lines.
type fileView struct {
	name   string
	layout *logs.Layout
}

// view is the store for one search: a trace.Shelf. One goroutine uses it.
type view struct {
	s      *Store
	list   []found // by number
	places map[place]int
	next   []int // numbers not read yet, by time
	files  map[int64]*fileView
	zones  map[int32]*time.Location
	whole  map[int64]*around
	ctx    context.Context // of the search: reading around a line has none of its own
}

// found is a piece that a search came upon.
type found struct {
	place
	since, until int64
	read         bool
}

// Bounds of one question.
const (
	keysAtOnce   = 1000
	piecesAtOnce = 32
)

// Find gives the pieces that may hold one of the keys.
func (v *view) Find(ctx context.Context, keys []digest.Key) (out []trace.Piece, err error) {
	if keys == nil {
		return v.find(ctx, "SELECT file, base, min(since), max(until) FROM "+v.s.name("piece")+" WHERE bare != 1 GROUP BY file, base")
	}
	for part := range slices.Chunk(keys, keysAtOnce) {
		var list strings.Builder
		for i, k := range part {
			if i > 0 {
				list.WriteByte(',')
			}
			list.WriteString(strconv.FormatUint(uint64(k), 10))
		}
		some, err := v.find(ctx, "SELECT file, base, min(since), max(until) FROM "+v.s.name("found")+" WHERE k IN ("+list.String()+") GROUP BY file, base")
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

func (v *view) find(ctx context.Context, sql string) (out []trace.Piece, err error) {
	var more []found
	err = v.s.query(ctx, sql, func() { more = more[:0] }, func(r driver.Rows) error {
		var f found
		err := r.Scan(&f.file, &f.base, &f.since, &f.until)
		more = append(more, f)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(more, func(a, b found) int { return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.base, b.base)) })
	for _, f := range more {
		n, known := v.places[f.place]
		if !known {
			n = len(v.list)
			v.list = append(v.list, f)
			v.places[f.place] = n
			v.next = append(v.next, n)
		}
		out = append(out, trace.Piece{ID: int64(n), From: v.list[n].since, To: v.list[n].until})
	}
	return out, nil
}

// Values shows the values that contain the text.
func (v *view) Values(ctx context.Context, kind byte, part string, show func(value []byte)) error {
	sql := fmt.Sprintf("SELECT DISTINCT value FROM %s WHERE kind = %d", v.s.name("value"), kind)
	if part != "" {
		sql += " AND positionCaseInsensitive(value, " + quote(part) + ") > 0"
	}
	return v.s.query(ctx, sql, nil, func(r driver.Rows) error {
		var val string
		if err := r.Scan(&val); err != nil {
			return err
		}
		show([]byte(val))
		return nil
	})
}

// Read gives the text of a piece. One that keys lead to and that was never stored, for its writer died, has none.
func (v *view) Read(ctx context.Context, p trace.Piece) ([]trace.Stretch, error) {
	n := int(p.ID)
	at := v.list[n].place
	b := v.s.texts.get(at)
	if b == nil {
		got, err := v.fetch(ctx, n)
		if err != nil {
			return nil, err
		}
		b = got[at]
	}
	v.list[n].read = true
	if b == nil {
		return nil, nil
	}
	return v.stretches(at, b)
}

// fetch reads a piece, and with it those that are likely to be asked for next.
func (v *view) fetch(ctx context.Context, n int) (map[place]*pieceText, error) {
	v.next = slices.DeleteFunc(v.next, func(i int) bool { return v.list[i].read || i != n && v.s.texts.get(v.list[i].place) != nil })
	slices.SortFunc(v.next, func(a, b int) int { return cmp.Compare(v.list[a].since, v.list[b].since) })
	i := max(slices.Index(v.next, n), 0)
	lo := max(0, min(i-piecesAtOnce/2, len(v.next)-piecesAtOnce))
	want := []place{v.list[n].place}
	for _, m := range v.next[lo:min(len(v.next), lo+piecesAtOnce)] {
		if m != n {
			want = append(want, v.list[m].place)
		}
	}
	return v.s.fetch(ctx, want)
}

// placeList writes places as SQL does.
func placeList(places []place) string {
	var list strings.Builder
	for i, p := range places {
		if i > 0 {
			list.WriteByte(',')
		}
		fmt.Fprintf(&list, "(%d,%d)", p.file, p.base)
	}
	return list.String()
}

// fetch reads pieces by their places.
func (s *Store) fetch(ctx context.Context, want []place) (map[place]*pieceText, error) {
	got := map[place]*pieceText{}
	err := s.query(ctx, "SELECT file, base, bare, source, head, text, r_base, r_len, r_latest, r_zone FROM "+s.name("piece")+" WHERE bare != 1 AND (file, base) IN ("+placeList(want)+")", nil, func(r driver.Rows) error {
		var p place
		var bare uint8
		var source, head, text string
		var rBase, rLatest []int64
		var rLen []uint32
		var rZone []int32
		if err := r.Scan(&p.file, &p.base, &bare, &source, &head, &text, &rBase, &rLen, &rLatest, &rZone); err != nil {
			return err
		}
		if had := got[p]; had != nil && had.mute { // both are there while lines are being let go
			return nil
		}
		b := &pieceText{mute: bare == letGo, src: fileView{strings.TrimPrefix(source, "file:"), logs.LayoutOf(s.opt.Dialects, []byte(head))}}
		var err error
		if b.text, err = s.dec.DecodeAll([]byte(text), nil); err != nil {
			return fmt.Errorf("piece %d at %d of %s: %w", p.file, p.base, source, err)
		}
		start := 0
		for i := range rBase {
			n := int(rLen[i])
			if start+n > len(b.text) {
				return fmt.Errorf("piece %d at %d of %s is damaged", p.file, p.base, source)
			}
			b.runs = append(b.runs, digest.Run{Base: rBase[i], Start: start, Len: n, Latest: time.Unix(0, rLatest[i]), Zone: rZone[i]})
			start += n
		}
		got[p] = b
		s.texts.put(p, b)
		return nil
	})
	return got, err
}

func (v *view) stretches(at place, b *pieceText) ([]trace.Stretch, error) {
	f := v.files[at.file]
	if f == nil {
		f = &b.src // one layout for all pieces of a file, so that it can be compared
		v.files[at.file] = f
	}
	if v.whole[at.file] == nil {
		v.whole[at.file] = &around{v: v, file: at.file}
	}
	out := make([]trace.Stretch, 0, len(b.runs))
	for i := range b.runs {
		r := &b.runs[i]
		out = append(out, trace.Stretch{Name: f.name, Order: at.file, Base: r.Base, Text: b.text[r.Start : r.Start+r.Len], Latest: r.Latest, Local: v.zone(r.Zone), Layout: f.layout,
			Around: v.whole[at.file], Mute: b.mute})
	}
	return out, nil
}

// zone gives one *time.Location for each offset, so that equal ones can be told.
func (v *view) zone(offset int32) *time.Location {
	if offset == 0 {
		return time.UTC
	}
	if v.zones[offset] == nil {
		v.zones[offset] = time.FixedZone("", int(offset))
	}
	return v.zones[offset]
}

// around reads a whole file as far as it is stored: what never was reads as empty lines.
type around struct {
	v     *view
	file  int64
	bases []place // of all its pieces, by base; read once
	sizes []int64
}

// ReadAt reads at a place in the file.
func (a *around) ReadAt(p []byte, off int64) (n int, err error) {
	if a.bases == nil {
		if err := a.load(); err != nil {
			return 0, err
		}
	}
	return store.ReadAt(p, off, a.at)
}

// load reads which pieces the file has.
func (a *around) load() error {
	s := a.v.s
	return s.query(a.v.ctx, fmt.Sprintf("SELECT base, any(size) FROM %s WHERE file = %d AND bare != 1 GROUP BY base ORDER BY base", s.name("piece"), a.file), func() { a.bases, a.sizes = []place{}, nil }, func(r driver.Rows) error {
		var base int64
		var size uint32
		err := r.Scan(&base, &size)
		a.bases, a.sizes = append(a.bases, place{a.file, base}), append(a.sizes, int64(size))
		return err
	})
}

// at gives the stretch with the offset in it, or else the next one.
func (a *around) at(off int64) (base int64, text []byte, err error) {
	i, _ := slices.BinarySearchFunc(a.bases, off+1, func(p place, o int64) int { return cmp.Compare(p.base, o) })
	if i > 0 && a.bases[i-1].base+a.sizes[i-1] > off {
		i--
	}
	for ; i < len(a.bases); i++ {
		b, err := a.piece(i)
		if err != nil {
			return 0, nil, err
		}
		for k := range b.runs {
			if r := &b.runs[k]; r.Base+int64(r.Len) > off {
				return r.Base, b.text[r.Start : r.Start+r.Len], nil
			}
		}
	}
	return 0, nil, nil
}

// piece reads one of the file's pieces.
func (a *around) piece(i int) (*pieceText, error) {
	p := a.bases[i]
	if b := a.v.s.texts.get(p); b != nil {
		return b, nil
	}
	got, err := a.v.s.fetch(a.v.ctx, a.bases[i:min(len(a.bases), i+4)])
	if err != nil {
		return nil, err
	}
	if got[p] == nil {
		return nil, fmt.Errorf("the piece at %d of file %d is gone", p.base, p.file)
	}
	return got[p], nil
}
