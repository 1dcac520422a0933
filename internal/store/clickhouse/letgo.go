package clickhouse

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/store"
	"github.com/mailwhy/mailwhy/internal/trace/digest"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// letGo is what column bare says of a piece whose raw lines were let go.
const letGo = 2

const linesPrefix = "lines of "

// LetGo ends the term of raw lines: of the weeks (of storing) whose lines are all older than is to be kept, every line that
// is no part of a message goes, and what is left is not given out any more: journeys stay and their lines do not. Each piece
// gets one of the same name that takes its place, then the old ones are deleted on every replica, so that a run that is broken off is
// done again. The keys of lines that went stay until their week goes; they are hashes.
func (s *Store) LetGo(ctx context.Context, r store.Retention) (gone, held []store.Deletion, err error) {
	if s.opt.ReadOnly && !r.DryRun {
		return nil, nil, ErrReadOnly
	}
	all, err := s.weeks(ctx, " AND bare = 0")
	if err != nil {
		return nil, nil, hidden(err, s.secret)
	}
	old := slices.DeleteFunc(all, func(d store.Deletion) bool { return !d.Until.Before(r.Before) })
	weeks := map[string]string{}
	for i := range old {
		monday := week(old[i])
		old[i].Part = linesPrefix + old[i].Part
		weeks[old[i].Part] = monday
	}
	gone, held = r.Split(old)
	gone, err = r.Each(gone, func(d store.Deletion) error { return s.letWeekGo(ctx, weeks[d.Part]) })
	return gone, held, hidden(err, s.secret)
}

// piecesTogether is how many pieces are rewritten in one insert.
const piecesTogether = 200

func (s *Store) letWeekGo(ctx context.Context, monday string) error {
	day, err := time.Parse(time.DateOnly, monday)
	if err != nil {
		return err
	}
	places, err := s.placesOf(ctx, monday)
	if err != nil {
		return err
	}
	if err := s.alter(ctx, "value", "DROP PARTITION "+quote(monday)); err != nil {
		return err
	}
	d := digest.New(s.opt.Dialects, s.opt.Local, nil)
	for some := range slices.Chunk(places, piecesTogether) {
		all, values, err := s.muted(ctx, d, some)
		if err != nil {
			return err
		}
		if err := retry(ctx, func() error { return s.putValues(ctx, day, values) }); err != nil {
			return err
		}
		if err := retry(ctx, func() error { return s.w.pieces(ctx, s.opt.Now(), all) }); err != nil {
			return err
		}
	}
	if err := s.alter(ctx, "piece", "DELETE WHERE toMonday(day) = toDate("+quote(monday)+") AND bare = 0"); err != nil {
		return err
	}
	s.texts.clear()
	return s.untilDeleted(ctx, monday)
}

// placesOf lists the pieces of a week whose lines are all there.
func (s *Store) placesOf(ctx context.Context, monday string) (out []place, err error) {
	err = s.query(ctx, fmt.Sprintf("SELECT DISTINCT file, base FROM %s WHERE toMonday(day) = toDate(%s) AND bare = 0", s.name("piece"), quote(monday)), func() { out = nil }, func(r driver.Rows) error {
		var p place
		err := r.Scan(&p.file, &p.base)
		out = append(out, p)
		return err
	})
	slices.SortFunc(out, func(a, b place) int { return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.base, b.base)) })
	return out, err
}

// muted reads pieces and gives those that take their places, and what they can be searched by a part.
func (s *Store) muted(ctx context.Context, d *digest.Digester, places []place) (all []*piece, values [][]byte, err error) {
	sql := "SELECT " + pieceColumns + " FROM " + s.name("piece") + " WHERE bare = 0 AND (file, base) IN (" + placeList(places) + ") LIMIT 1 BY file, base"
	err = s.query(ctx, sql, func() { all = nil }, func(r driver.Rows) error {
		p, err := scanPiece(r)
		all = append(all, p)
		return err
	})
	seen := map[string]bool{}
	for _, p := range all {
		if err == nil {
			err = s.mute(d, p)
		}
		for _, v := range d.Values {
			if !seen[string(v)] {
				seen[string(v)] = true
				values = append(values, v)
			}
		}
	}
	return all, values, err
}

// mute takes what is no part of a message out of a piece. Its size stays that of its place in the file.
func (s *Store) mute(d *digest.Digester, p *piece) error {
	text, err := s.dec.DecodeAll(p.text, nil)
	if err != nil {
		return fmt.Errorf("piece %d at %d of %s: %w", p.file, p.base, p.source, err)
	}
	layout := logs.LayoutOf(s.opt.Dialects, p.head)
	zone := func(r *digest.Run) *time.Location { return time.FixedZone("", int(r.Zone)) }
	kept, runs, err := store.Messages(s.opt.Dialects, text, p.runs, zone, func(*digest.Run) (*logs.Layout, error) { return layout, nil })
	if err != nil {
		return err
	}
	d.Reset()
	for i := range runs {
		r := &runs[i]
		d.Add(0, r.Base, kept[r.Start:r.Start+r.Len], r.Latest, layout)
	}
	d.Take() // the numbers of charts stay as they are
	p.text, p.runs = s.w.enc.EncodeAll(kept, nil), runs
	return nil
}

// scanPiece reads a row of pieceColumns.
func scanPiece(r driver.Rows) (*piece, error) {
	p := &piece{old: &written{}}
	n := &p.old.numbers
	var bare, ends uint8
	var size uint32
	var head, text string
	var rBase, rLatest []int64
	var rLen []uint32
	var rZone []int32
	err := r.Scan(&p.old.day, &p.source, &p.host, &p.name, &p.file, &p.base, &bare, &size, &p.since, &p.until, &head, &text, &rBase, &rLen, &rLatest, &rZone,
		&ends, &p.seq, &p.to.Offset, &p.to.Cursor, &p.old.at, &p.read,
		&n.hour, &n.host, &n.fate, &n.way, &n.provider, &n.cause, &n.n, &n.bytes, &n.delay, &n.names, &n.last)
	p.ends, p.size, p.head, p.text = ends == 1, int(size), []byte(head), []byte(text)
	start := 0
	for i := range rBase {
		p.runs = append(p.runs, digest.Run{Base: rBase[i], Start: start, Len: int(rLen[i]), Latest: time.Unix(0, rLatest[i]), Zone: rZone[i]})
		start += int(rLen[i])
	}
	return p, err
}

// longestDeletion is how long a deletion is waited for; the servers go on with it by themselves.
const longestDeletion = 2 * time.Minute

// untilDeleted waits until the servers that are up have deleted the lines of a week.
func (s *Store) untilDeleted(ctx context.Context, monday string) error {
	for end := time.Now().Add(longestDeletion); time.Now().Before(end); {
		left, err := s.placesOf(ctx, monday)
		if err != nil || len(left) == 0 {
			return err
		}
		if err := wire.Pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}
