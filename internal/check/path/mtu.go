package path

import (
	"context"
	"net/netip"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire/route"
)

// MTU is what was learnt about the largest packet that passes.
type MTU struct {
	Method route.Method `json:"method,omitempty"` // of the probes
	Passes int          `json:"passes,omitempty"` // bytes of the largest IP packet that was answered
	Fails  int          `json:"fails,omitempty"`  // bytes of the smallest that vanished without a word
	Told   int          `json:"told,omitempty"`   // what a router said fits
	From   netip.Addr   `json:"from,omitzero"`    // that router
	Hop    int          `json:"hop,omitempty"`    // the first hop large packets do not come to
	AtHost bool         `json:"at_host,omitempty"`
	Tested bool         `json:"tested"`
}

// Sizes of whole packets links have: Ethernet, PPPoE, tunnels of several kinds, the least that IPv6 and old IPv4 promise.
var mtuSizes = []int{1500, 1492, 1480, 1476, 1460, 1454, 1450, 1440, 1420, 1400, 1380, 1360, 1320, 1300, 1280, 1200, 1006, 576}

// full is the size that everybody takes for granted.
const full = 1500

// prober asks whether packets of a size come through.
type prober struct {
	ask   *route.Asker
	addr  netip.Addr
	by    route.Method
	ttl   int
	round int
	tries int // packets of a size before they count as vanished
}

// lookMTU finds the path MTU: a packet of 1500 bytes first; where a router says what fits, that; where packets vanish
// without a word, the largest that passes and the hop at which larger ones vanish.
func lookMTU(ctx context.Context, ask *route.Asker, w *Way) *MTU {
	m := &MTU{}
	for _, t := range w.Traces {
		if t.reached() && t.Method != route.TCP {
			m.Method = t.Method
			break
		}
	}
	if m.Method == "" || ctx.Err() != nil {
		return m
	}
	a := *ask
	if d := w.by(m.Method); len(d.Hops) > 0 && a.Wait == 0 {
		a.Wait = min(time.Second, max(500*time.Millisecond, 4*d.Hops[len(d.Hops)-1].Worst))
	}
	end := w.by(m.Method)
	p := &prober{ask: &a, addr: w.Addr, by: m.Method, ttl: 64, round: 1000, tries: triesFor(end.Hops[len(end.Hops)-1].loss())}
	m.search(ctx, p)
	if m.Fails > 0 && m.Tested {
		m.locate(ctx, p, w.by(m.Method))
	}
	return m
}

// search follows what routers say, and falls back on trying sizes where they say nothing.
func (m *MTU) search(ctx context.Context, p *prober) {
	size := full
	for range 8 {
		a, ok := p.size(ctx, size)
		switch {
		case !ok:
			return
		case a.Kind == route.Reply:
			m.Passes, m.Tested = size, true
			return
		case a.Kind == route.TooBig:
			next := a.MTU
			if next <= 0 || next >= size {
				next = smaller(size)
			} else if a.From.IsValid() && a.From != p.addr {
				m.Told, m.From = next, a.From
			}
			if size = next; size < 68 {
				return
			}
			continue
		}
		m.Fails = size
		m.tryout(ctx, p)
		return
	}
}

// tryout halves the list of sizes until it knows the largest that passes.
func (m *MTU) tryout(ctx context.Context, p *prober) {
	low, high := 0, len(mtuSizes) // sizes[high:] is known to pass, sizes[:low] to fail
	for low < len(mtuSizes) && mtuSizes[low] >= m.Fails {
		low++
	}
	for low < high {
		mid := (low + high) / 2
		a, ok := p.size(ctx, mtuSizes[mid])
		if !ok {
			return
		}
		if a.Kind == route.Reply {
			high, m.Passes = mid, mtuSizes[mid]
		} else {
			low, m.Fails = mid+1, mtuSizes[mid]
		}
	}
	m.Tested = m.Passes > 0 // nothing passes any more: the host stopped answering, and sizes say nothing
}

func smaller(size int) int {
	for _, s := range mtuSizes {
		if s < size {
			return s
		}
	}
	return 0
}

// triesFor is how many packets of a size are sent before they count as vanished: three, and where some are lost anyway
// so many that chance alone would lose them all once in ten thousand.
func triesFor(loss float64) int {
	n, p := 0, 1.0
	for p > 1e-4 && n < 24 && loss > 0 {
		p *= loss
		n++
	}
	return max(n, 3)
}

// size asks with packets of a size; any answer counts more than silence. ok is false where nothing could be sent.
func (p *prober) size(ctx context.Context, size int) (best route.Answer, ok bool) {
	r := route.Round{Method: p.by, Target: route.Target{Addr: p.addr}, N: p.round}
	p.round++
	for range p.tries {
		r.Probes = append(r.Probes, route.Probe{TTL: p.ttl, Size: size})
	}
	answers, err := p.ask.Ask(ctx, r)
	if err != nil {
		return best, false
	}
	for _, a := range answers {
		if a.Kind == route.Reply || best.Kind == route.Silence && a.Kind != route.Silence {
			best = a
		}
	}
	return best, true
}

// locate finds the first hop that answers small packets and not large ones. A router answers a packet whose hop limit
// runs out whatever its size, if it gets it.
func (m *MTU) locate(ctx context.Context, p *prober, t *Trace) {
	got := make([]int, len(t.Hops)+1)
	for range max(2, p.tries/2) {
		r := route.Round{Method: p.by, Target: route.Target{Addr: p.addr}, N: p.round}
		p.round++
		for i := range t.Hops[:min(len(t.Hops), route.MaxProbes)] {
			r.Probes = append(r.Probes, route.Probe{TTL: i + 1, Size: m.Fails})
		}
		answers, err := p.ask.Ask(ctx, r)
		if err != nil {
			return
		}
		for i, a := range answers {
			if a.Kind != route.Silence {
				got[i]++
			}
		}
	}
	for i := len(t.Hops) - 1; i >= 0; i-- {
		if t.Hops[i].answers() == 0 {
			continue
		}
		if got[i] > 0 {
			break
		}
		m.Hop = t.Hops[i].TTL
	}
	m.AtHost = m.Hop == t.End.TTL
}
