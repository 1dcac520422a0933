package clickhouse

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/mailwhy/mailwhy/internal/intake"
)

// claims are the files that this process stores, each told to the cluster again and again as long as it does. Time is the
// servers' own: the clocks of those who claim need not agree.
type claims struct {
	mu   sync.Mutex
	all  map[*claim]bool
	stop func() // ends telling; nil: nothing was claimed yet
	done chan struct{}
}

func (c *claims) close() {
	c.mu.Lock()
	stop, done := c.stop, c.done
	c.mu.Unlock()
	if stop != nil {
		stop()
		<-done
	}
}

// claim is a file that is ours until so long after it was told last.
type claim struct {
	s        *Store
	node, id string

	mu   sync.Mutex
	file string
	told time.Time // by the steady clock
	over bool
}

// Held tells that nobody else can have the file: well within the lease.
func (c *claim) Held() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.over && time.Since(c.told) < c.s.opt.Lease*2/3
}

// Grow tells the file by more of its beginning from the next time on.
func (c *claim) Grow(file string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.file = file
}

// Release lets the file go, so that another need not wait for the end of the lease.
func (c *claim) Release() {
	c.s.claims.mu.Lock()
	delete(c.s.claims.all, c)
	c.s.claims.mu.Unlock()
	c.mu.Lock()
	c.over = true
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.s.tell(ctx, true, c) // else the lease ends by itself
}

// Claim asks for a file: see intake.Claimer. Who claims looks, tells, and looks again: of two that do it at once each that
// told later sees the other, and gives way.
func (s *Store) Claim(ctx context.Context, node, file string, same func(file string) bool) (intake.Claim, string, error) {
	if by, err := s.claimedBy(ctx, "", same); by != "" || err != nil {
		return nil, by, hidden(err, s.secret)
	}
	c := &claim{s: s, node: node, id: rand.Text(), file: file}
	if err := s.tell(ctx, false, c); err != nil {
		return nil, "", hidden(err, s.secret)
	}
	by, err := s.claimedBy(ctx, c.id, same)
	if by != "" || err != nil {
		c.Release()
		return nil, by, hidden(err, s.secret)
	}
	s.keepTelling(c)
	return c, "", nil
}

// claimedBy tells who else has the file, "" for nobody. Every server is asked, for one may not have copied the newest claim.
func (s *Store) claimedBy(ctx context.Context, mine string, same func(file string) bool) (by string, err error) {
	tables := []string{s.name("claim")}
	if s.cluster != "" {
		hosts, err := s.hosts(ctx)
		if err != nil {
			return "", err
		}
		tables = nil
		for _, h := range hosts {
			tables = append(tables, s.at(h, s.db, s.bare("claim")))
		}
	}
	live := map[string]string{} // node by id
	gone := map[string]bool{}
	for _, table := range tables {
		sql := fmt.Sprintf("SELECT file, node, id, max(gone), toInt64(toUInt32(now())) - toInt64(toUInt32(max(at))) FROM %s WHERE day >= today() - 1 GROUP BY file, node, id", table)
		err := s.asked(ctx, sql, func(r driver.Rows) error {
			var file, node, id string
			var let uint8
			var age int64
			err := r.Scan(&file, &node, &id, &let, &age)
			switch {
			case let == 1:
				gone[id] = true
			case id != mine && time.Duration(age)*time.Second <= s.opt.Lease && same(file):
				live[id] = node
			}
			return err
		})
		if err != nil && !(s.cluster != "" && down(err)) {
			return "", err
		}
	}
	for id, node := range live {
		if !gone[id] {
			by = max(by, node, "?") // a node without a name
		}
	}
	return by, nil
}

// tell writes claims.
func (s *Store) tell(ctx context.Context, gone bool, all ...*claim) error {
	began := time.Now()
	err := retry(ctx, func() error {
		b, err := s.insert(ctx, "claim", "day, file, node, id, gone")
		if err != nil {
			return err
		}
		defer b.Close()
		for _, c := range all {
			c.mu.Lock()
			file := c.file
			c.mu.Unlock()
			if err := b.Append(s.opt.Now(), file, c.node, c.id, bit(gone)); err != nil {
				return err
			}
		}
		return b.Send()
	})
	if err != nil {
		return err
	}
	for _, c := range all {
		c.mu.Lock()
		c.told = began
		c.mu.Unlock()
	}
	return nil
}

// keepTelling tells a claim with the others of this process.
func (s *Store) keepTelling(c *claim) {
	s.claims.mu.Lock()
	defer s.claims.mu.Unlock()
	if s.claims.all == nil {
		s.claims.all = map[*claim]bool{}
	}
	s.claims.all[c] = true
	if s.claims.stop != nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	s.claims.stop, s.claims.done = stop, make(chan struct{})
	go func() {
		defer close(s.claims.done)
		tick := time.NewTicker(s.opt.Lease / 6)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			s.claims.mu.Lock()
			var all []*claim
			for c := range s.claims.all {
				all = append(all, c)
			}
			s.claims.mu.Unlock()
			if len(all) > 0 {
				_ = s.tell(ctx, false, all...) // else they are held no more after a while, and claimed anew
			}
		}
	}()
}

// knownTail is how much text in front of the end of what is stored is shown, in bytes.
const knownTail = 4 << 10

// Known gives the files of which is says so, as far as they are stored, whoever stored them: see intake.Recogniser.
func (s *Store) Known(ctx context.Context, is func(file string) bool) ([]intake.Known, error) {
	if s.cluster != "" {
		hosts, err := s.hosts(ctx)
		if err == nil {
			err = s.complete(ctx, hosts)
		}
		if err != nil {
			return nil, hidden(err, s.secret)
		}
	}
	var last []place
	err := s.query(ctx, "SELECT name, file, max(base) FROM "+s.name("piece")+" WHERE bare != 1 GROUP BY name, file", func() { last = nil }, func(r driver.Rows) error {
		var name string
		var p place
		err := r.Scan(&name, &p.file, &p.base)
		if err == nil && is(name) {
			last = append(last, p)
		}
		return err
	})
	if err != nil || len(last) == 0 {
		return nil, hidden(err, s.secret)
	}
	got, err := s.fetch(ctx, last)
	var out []intake.Known
	for _, b := range got {
		if n := len(b.runs); n > 0 {
			r := &b.runs[n-1]
			text := b.text[r.Start : r.Start+r.Len]
			out = append(out, intake.Known{End: r.Base + int64(r.Len), Tail: text[max(0, len(text)-knownTail):]})
		}
	}
	return out, hidden(err, s.secret)
}
