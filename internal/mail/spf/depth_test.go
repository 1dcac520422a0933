package spf

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail"
)

// waves is a resolver that answers only when nothing else can begin: each release of all waiting questions is one round
// trip.
type waves struct {
	mail.Zone
	mu      sync.Mutex
	waiting []chan struct{}
	come    chan struct{}
}

func (w *waves) Resolve(ctx context.Context, name string, t mail.Type) (*mail.Answer, error) {
	c := make(chan struct{})
	w.mu.Lock()
	w.waiting = append(w.waiting, c)
	w.mu.Unlock()
	w.come <- struct{}{}
	<-c
	return w.Zone.Resolve(ctx, name, t)
}

// TestRoundTrips counts how many questions must wait for another one: the questions of one depth go out together.
func TestRoundTrips(t *testing.T) {
	z := mail.Zone{Records: map[string][]mail.Record{
		"mine.example": txt("v=spf1 include:a1.example include:a2.example -all"),
		"a1.example":   txt("v=spf1 include:b1.example include:b2.example -all"),
		"a2.example":   txt("v=spf1 include:b3.example -all"),
		"b1.example":   txt("v=spf1 include:c1.example -all"),
		"b2.example":   txt("v=spf1 ip4:192.0.2.1 -all"),
		"b3.example":   txt("v=spf1 ip4:192.0.2.2 -all"),
		"c1.example":   txt("v=spf1 ip4:192.0.2.3 -all"),
	}}
	// Questions per round trip: the root, a1 a2, b1 b2 b3, c1.
	for name, c := range map[string]struct {
		run    func(mail.Resolver)
		rounds []int
	}{
		"tree": {func(r mail.Resolver) { Expand(context.Background(), r, "mine.example") }, []int{1, 2, 3, 1}},
		"check": {func(r mail.Resolver) {
			Check(context.Background(), r, Input{IP: netip.MustParseAddr("192.0.2.9"), MailFrom: "li@mine.example"})
		}, []int{1, 2, 3, 1}},
	} {
		w := &waves{Zone: z, come: make(chan struct{})}
		done := make(chan struct{})
		go func() { c.run(w); close(done) }()
		for i, n := range c.rounds {
			for range n {
				select {
				case <-w.come:
				case <-time.After(time.Minute):
					t.Fatalf("%s: fewer questions than %d in round %d", name, n, i+1)
				}
			}
			w.mu.Lock()
			if len(w.waiting) != n {
				t.Errorf("%s, round trip %d: %d questions, want %d", name, i+1, len(w.waiting), n)
			}
			for _, q := range w.waiting {
				close(q)
			}
			w.waiting = nil
			w.mu.Unlock()
		}
		<-done
	}
}
