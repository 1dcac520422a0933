package path

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/origin"
	"github.com/mailwhy/mailwhy/internal/check/ptr"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/route"
)

// How the asking goes.
const (
	window     = 8                      // hops asked at once while the distance is unknown
	giveUp     = 8                      // silent hops in a row, and the way is taken to end there
	every      = 250 * time.Millisecond // from round to round: routers limit what they answer
	silentHops = 4                      // rounds after which a silent hop is left in peace
)

// tracer asks one way by one method.
type tracer struct {
	way   *Way
	ask   *route.Asker
	opt   Options
	trace *Trace
	round int
	worst time.Duration
}

// look traces by all methods: ICMP and UDP first, at once, since they tell how far the host is and no mail server is
// bothered by them; then TCP to the mail port.
func (w *Way) look(ctx context.Context, env *check.Env, opt Options, source netip.Addr) {
	asker := route.Asker{Tape: env.Tape, Source: source, Wait: opt.Wait}
	if source.Is4() != w.Addr.Is4() {
		asker.Source = netip.Addr{}
	}
	w.Source = asker.Local(ctx, w.Addr)
	var open []*tracer
	for _, m := range []route.Method{route.ICMP, route.UDP, route.TCP} {
		if slices.Contains(opt.Methods, m) {
			a := asker
			t := &tracer{way: w, ask: &a, opt: opt, trace: &Trace{Method: m}}
			w.Traces = append(w.Traces, t.trace)
			open = append(open, t)
		}
	}
	var wg sync.WaitGroup
	for _, t := range open {
		if t.trace.Method != route.TCP {
			wg.Go(func() { t.discover(ctx, 0) })
		}
	}
	wg.Wait()
	for _, t := range open {
		if t.trace.Method == route.TCP {
			t.discover(ctx, w.distance())
		}
	}
	main := w.main()
	for _, t := range open {
		wg.Go(func() { t.measure(ctx, env, t.trace == main) })
	}
	wg.Wait()
	for _, t := range open {
		t.trace.finish()
		w.packets += t.sent()
	}
	w.MTU = lookMTU(ctx, &asker, w)
	w.annotate(ctx, env)
}

// distance is how many hops away the host is, 0 where no method reached it.
func (w *Way) distance() int {
	for _, t := range w.Traces {
		if t.reached() {
			return t.End.TTL
		}
	}
	return 0
}

// by gives the trace of a method, or nil.
func (w *Way) by(m route.Method) *Trace {
	for _, t := range w.Traces {
		if t.Method == m {
			return t
		}
	}
	return nil
}

// main is the trace that measures: the first that reached the host, else the one that came furthest; nil where none
// could be made.
func (w *Way) main() *Trace {
	var best *Trace
	for _, t := range w.Traces {
		switch {
		case t.Fault != nil && len(t.Hops) == 0:
		case t.reached():
			return t
		case best == nil || t.last() > best.last():
			best = t
		}
	}
	return best
}

// Reached gives the best round trip to the host and the share of packets lost on the way; ok is false where no method
// reached it.
func (w *Way) Reached() (rtt time.Duration, loss float64, ok bool) {
	t := w.main()
	if !t.reached() {
		return 0, 0, false
	}
	end := &t.Hops[len(t.Hops)-1]
	return end.Best, end.loss(), true
}

// last is the distance of the last hop that answered.
func (t *Trace) last() int {
	for i := len(t.Hops) - 1; i >= 0; i-- {
		if t.Hops[i].answers() > 0 {
			return t.Hops[i].TTL
		}
	}
	return 0
}

// discover walks outwards until the host answers, somebody refuses, or nobody answers any more. known is the distance
// of the host where another method found it: TCP then bothers the mail port once.
func (t *tracer) discover(ctx context.Context, known int) {
	for from := 1; from <= t.opt.MaxHops; {
		n := window
		if t.trace.Method == route.TCP {
			if n = 3; from == 1 && known > 0 {
				n = known
			}
		}
		t.send(ctx, ttls(from, min(from+n-1, t.opt.MaxHops)))
		from += n
		if t.trace.Fault != nil || t.trace.End.Kind != route.Silence || t.trailing() >= giveUp {
			break
		}
	}
	t.trace.cut()
}

func ttls(from, to int) (out []int) {
	for i := from; i <= to; i++ {
		out = append(out, i)
	}
	return out
}

// trailing counts the silent hops at the end.
func (t *tracer) trailing() int { return len(t.trace.Hops) - t.trace.last() }

// cut drops the hops beyond the end, and of silent ones at the end all but one.
func (t *Trace) cut() {
	if t.End.Kind != route.Silence {
		t.Hops = t.Hops[:t.End.TTL]
		return
	}
	if last := t.last(); len(t.Hops) > last+1 {
		t.Hops = t.Hops[:last+1]
	}
}

// measure asks the hops again. Of the method that measures there are many rounds, and three times as many where the host
// itself did not answer each time; of the others enough to tell where they end.
func (t *tracer) measure(ctx context.Context, env *check.Env, main bool) {
	rounds := 2
	switch {
	case t.trace.Fault != nil:
		return
	case t.trace.Method == route.TCP:
		rounds = portRounds
	case main:
		rounds = t.opt.Rounds
	}
	extended := false
	for n := 1; n < rounds && ctx.Err() == nil && t.sent() < MaxPackets; n++ {
		begun := time.Now()
		t.send(ctx, t.awake(n))
		if n == rounds-1 && main && !extended && t.trace.Method != route.TCP && t.trace.reached() && t.trace.Hops[len(t.trace.Hops)-1].Lost > 0 {
			rounds, extended = min(3*rounds, maxRounds), true
		}
		if n < rounds-1 && !(env.Tape != nil && env.Tape.Replaying()) {
			_ = wire.Pause(ctx, every-time.Since(begun)) // the loop looks at the context itself
		}
	}
}

// awake lists the hops worth asking again. Where packets are lost at the end, silence may be chance: all are.
func (t *tracer) awake(round int) (out []int) {
	lossy := t.trace.reached() && t.trace.Hops[t.trace.End.TTL-1].Lost > 0
	for i := range t.trace.Hops {
		h := &t.trace.Hops[i]
		if end := h.TTL == t.trace.End.TTL; round >= silentHops && h.answers() == 0 && !end && !lossy {
			continue
		}
		out = append(out, h.TTL)
	}
	return out
}

func (t *tracer) sent() (n int) {
	for i := range t.trace.Hops {
		n += t.trace.Hops[i].Sent
	}
	return n
}

// send sends a round and notes what came back.
func (t *tracer) send(ctx context.Context, hops []int) {
	if len(hops) == 0 {
		return
	}
	r := route.Round{Method: t.trace.Method, Target: route.Target{Addr: t.way.Addr}, N: t.round}
	if t.trace.Method == route.TCP {
		r.Target.Port = t.opt.Port
	}
	for _, ttl := range hops {
		r.Probes = append(r.Probes, route.Probe{TTL: ttl})
	}
	if t.round > 0 && t.worst > 0 && t.opt.Wait == 0 { // what is not back after four times the longest answer yet is lost
		t.ask.Wait = min(time.Second, max(500*time.Millisecond, 4*t.worst))
	}
	t.round++
	t.trace.Rounds++
	answers, err := t.ask.Ask(ctx, r)
	if err != nil {
		t.trace.Fault = wire.Classify("probe", err)
	}
	for i, a := range answers {
		if i < len(hops) && (ctx.Err() == nil || a.Kind != route.Silence) {
			t.note(hops[i], a)
		}
	}
}

// note adds an answer to its hop.
func (t *tracer) note(ttl int, a route.Answer) {
	tr := t.trace
	for len(tr.Hops) < ttl {
		tr.Hops = append(tr.Hops, Hop{TTL: len(tr.Hops) + 1})
	}
	h := &tr.Hops[ttl-1]
	h.Sent++
	if a.Kind == route.Silence {
		h.Lost++
		return
	}
	h.took = append(h.took, a.Took)
	t.worst = max(t.worst, a.Took)
	if a.Left > 0 {
		h.Left = a.Left
	}
	if a.From.IsValid() && !slices.Contains(h.Addrs, a.From) && len(h.Addrs) < 8 {
		h.Addrs = append(h.Addrs, a.From)
	}
	switch a.Kind {
	case route.Reply, route.Refused, route.Unreachable, route.TooBig:
		h.Ends++
		// The nearest end counts, and a host that answers counts more than a router that says no.
		if e := &tr.End; e.Kind == route.Silence || ttl < e.TTL || ttl == e.TTL && a.Kind == route.Reply {
			*e = End{TTL: ttl, Kind: a.Kind, From: a.From, Code: a.Code}
		}
	}
}

// finish makes numbers of the answers.
func (t *Trace) finish() {
	t.cut()
	for i := range t.Hops {
		h := &t.Hops[i]
		if len(h.took) == 0 {
			continue
		}
		var sum, moved time.Duration
		h.Best = slices.Min(h.took)
		h.Worst = slices.Max(h.took)
		for k, d := range h.took {
			sum += d
			if k > 0 {
				moved += (d - h.took[k-1]).Abs()
			}
		}
		h.Avg = sum / time.Duration(len(h.took))
		if n := len(h.took) - 1; n > 0 {
			h.Jitter = moved / time.Duration(n)
		}
	}
}

// maxNodes bounds the addresses whose names and networks are asked for.
const maxNodes = 64

// annotate finds the name and the network of every address seen.
func (w *Way) annotate(ctx context.Context, env *check.Env) {
	seen := map[netip.Addr]bool{}
	add := func(a netip.Addr) {
		if a.IsValid() && !seen[a] && len(w.Nodes) < maxNodes {
			seen[a] = true
			w.Nodes = append(w.Nodes, Node{Addr: a, Kind: mail.Special(a)})
		}
	}
	for _, t := range w.Traces {
		for _, h := range t.Hops {
			for _, a := range h.Addrs {
				add(a)
			}
		}
		add(t.End.From)
	}
	if w.MTU != nil {
		add(w.MTU.From)
	}
	if env.DNS == nil {
		return
	}
	var wg sync.WaitGroup
	for i := range w.Nodes {
		wg.Go(func() { w.Nodes[i].annotate(ctx, env) })
	}
	wg.Wait()
}

func (n *Node) annotate(ctx context.Context, env *check.Env) {
	var wg sync.WaitGroup
	wg.Go(func() {
		if a, err := env.DNS.Resolve(ctx, ptr.Reverse(n.Addr), mail.TypePTR); err == nil && len(a.Records) > 0 {
			n.Name = a.Records[0].Host
		}
	})
	if n.Kind == "" {
		if o := origin.Look(ctx, env, n.Addr); len(o.Networks) > 0 {
			n.AS, n.Owner = o.Networks[0].AS, o.Networks[0].Name
		}
	}
	wg.Wait()
}

// node gives what is known of an address.
func (w *Way) node(a netip.Addr) Node {
	for _, n := range w.Nodes {
		if n.Addr == a {
			return n
		}
	}
	return Node{Addr: a, Kind: mail.Special(a)}
}
