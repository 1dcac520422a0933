package intake

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A clock that is set a day forwards or back in the middle loses no line and stores none twice: of a file, over its
// rotation and a restart. No figure becomes negative.
func TestClockIsSetWhileLinesComeIn(t *testing.T) {
	for _, by := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			var mu sync.Mutex
			now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
			o := quick()
			o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
			p, m := filepath.Join(t.TempDir(), "mail.log"), newMemory()
			var want []string
			say := func() {
				t.Helper()
				l := fmt.Sprintf("%s mx1 postfix/qmgr[1]: line %d", o.Now().Format(time.Stamp), len(want))
				want = append(want, l)
				write(t, p, l+"\n")
			}
			say()
			in, stop := start(t, o, m, follow(p))
			m.wantLines(t, "file:"+p, want...)
			jump := func() { mu.Lock(); now = now.Add(by); mu.Unlock() }
			jump()
			say()
			m.wantLines(t, "file:"+p, want...)
			rename(t, p, p+".1")
			say()
			m.wantLines(t, "file:"+p, want...)
			jump()
			say()
			m.wantLines(t, "file:"+p, want...)
			for _, s := range in.Stats().Sources {
				if s.Lag < 0 {
					t.Errorf("a lag of %s", s.Lag)
				}
			}
			for _, h := range in.Stats().Hosts {
				if h.Lag < 0 {
					t.Errorf("%s: a lag of %s", h.Name, h.Lag)
				}
			}
			stop()
			jump()
			say()
			start(t, o, m, follow(p))
			m.wantLines(t, "file:"+p, want...)
		})
	}
}
