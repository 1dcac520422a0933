package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Errors about who may write.
var (
	ErrInUse    = errors.New("another mailwhy is writing to this store")
	ErrReadOnly = errors.New("the store was opened for reading only")
	ErrClosed   = errors.New("the store is closed")
	ErrNoStore  = errors.New("is no store of mailwhy")
)

// Options say how a store is used. The zero value of a field is good, but for Dialects.
type Options struct {
	Dialects []logs.Dialect  // who reads the lines
	Local    *time.Location  // zone of times that name none; nil: UTC
	Know     *knowledge.Base // tells causes and providers for the numbers; nil: none are told
	Now      func() time.Time
	ReadOnly bool        // another process may be writing
	Segment  int64       // text of one segment in bytes before it is sealed; 0: 512 MB
	Trouble  func(error) // told what goes wrong in the background; nil: nobody
}

// Store is the journeys of a folder. Its methods are safe for concurrent use.
type Store struct {
	folder  string
	opt     Options
	lock    *sqlite.Conn // held as long as this process is the one that writes
	dec     *zstd.Decoder
	gate    chan struct{} // bounds the searches at once
	texts   texts
	zones   zones
	filters atomic.Int64 // bytes of filters in memory

	mu     sync.RWMutex
	segs   []*segment // by number
	closed bool

	w          writer
	seal       chan sealing
	background sync.WaitGroup
}

// Open opens the store in the folder and makes it where there is none, unless it is to be read only.
func Open(ctx context.Context, folder string, opt Options) (*Store, error) {
	if opt.Local == nil {
		opt.Local = time.UTC
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Segment == 0 {
		opt.Segment = 512 << 20
	}
	if opt.Trouble == nil {
		opt.Trouble = func(error) {}
	}
	s := &Store{folder: folder, opt: opt, dec: newDecoder(), gate: make(chan struct{}, 4*runtime.GOMAXPROCS(0)), seal: make(chan sealing, 1<<16)}
	s.texts.limit = 64 << 20
	if opt.ReadOnly {
		if st, err := os.Stat(filepath.Join(folder, "journeys")); err != nil || !st.IsDir() {
			return nil, fmt.Errorf("%s %w", folder, ErrNoStore)
		}
		return s, s.refresh()
	}
	if err := os.MkdirAll(filepath.Join(folder, "journeys"), 0o750); err != nil {
		return nil, fmt.Errorf("store %s: %w", folder, err)
	}
	if err := s.takeLock(); err != nil {
		return nil, err
	}
	if err := s.refresh(); err != nil {
		s.lock.Close()
		return nil, err
	}
	if err := s.w.open(s); err != nil {
		s.lock.Close()
		return nil, err
	}
	s.background.Go(s.sealer)
	return s, nil
}

// takeLock makes this process the only one that writes. The lock is the database's own: it is let go when the process
// ends, however it does.
func (s *Store) takeLock() error {
	c, err := sqlite.OpenConn(filepath.Join(s.folder, "lock.db"), sqlite.OpenReadWrite, sqlite.OpenCreate)
	if err != nil {
		return fmt.Errorf("store %s: %w", s.folder, err)
	}
	c.SetBusyTimeout(2 * time.Second)
	if err := sqlitex.ExecuteTransient(c, "BEGIN EXCLUSIVE", nil); err != nil {
		c.Close()
		if sqlite.ErrCode(err).ToPrimary() == sqlite.ResultBusy {
			err = ErrInUse
		}
		return fmt.Errorf("store %s: %w", s.folder, err)
	}
	s.lock = c
	return nil
}

// refresh takes in the segments of the folder.
func (s *Store) refresh() error {
	numbers, err := listSegments(s.folder)
	if err != nil {
		return fmt.Errorf("store %s: %w", s.folder, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	had := map[int]*segment{}
	for _, g := range s.segs {
		had[g.number] = g
	}
	s.segs = s.segs[:0:0]
	for _, n := range numbers {
		g := had[n]
		if g == nil {
			g = newSegment(s.folder, n)
		}
		delete(had, n)
		s.segs = append(s.segs, g)
	}
	for _, g := range had {
		g.close()
	}
	return nil
}

// segments gives the segments as they are now.
func (s *Store) segments() ([]*segment, error) {
	if s.opt.ReadOnly {
		if err := s.refresh(); err != nil {
			return nil, err
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, ErrClosed
	}
	return slices.Clone(s.segs), nil
}

// Close ends the work in the background and closes the files. What Commit stored is stored.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	segs := s.segs
	s.mu.Unlock()
	var err error
	if !s.opt.ReadOnly {
		close(s.seal)
		s.background.Wait()
		err = s.w.close()
	}
	for _, g := range segs {
		g.close()
	}
	s.dec.Close()
	if s.lock != nil {
		s.lock.Close()
	}
	return err
}

// toSeal hands a segment to the sealer, unless the store is being closed: then it is sealed when it is opened again.
func (s *Store) toSeal(g *segment) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.closed {
		s.seal <- sealing{seg: g}
	}
}

// enter waits until there is room for one more search.
func (s *Store) enter(ctx context.Context) error {
	select {
	case s.gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) leave() { <-s.gate }

// zones gives one *time.Location for each offset, so that equal ones can be told.
type zones struct {
	mu  sync.Mutex
	all map[int32]*time.Location
}

func (z *zones) of(offset int32) *time.Location {
	if offset == 0 {
		return time.UTC
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.all == nil {
		z.all = map[int32]*time.Location{}
	}
	if z.all[offset] == nil {
		z.all[offset] = time.FixedZone("", int(offset))
	}
	return z.all[offset]
}
