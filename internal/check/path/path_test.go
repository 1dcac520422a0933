package path

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/route"
)

var target = netip.MustParseAddr("11.0.9.25")

// hop is a router with its answers; times in milliseconds, lost out of sent.
func hop(ttl, sent, lost int, addr string, best, worst int) Hop {
	h := Hop{TTL: ttl, Sent: sent, Lost: lost, Best: time.Duration(best) * time.Millisecond, Worst: time.Duration(worst) * time.Millisecond, Left: 64 - ttl + 1}
	if addr != "" {
		h.Addrs = []netip.Addr{netip.MustParseAddr(addr)}
	}
	return h
}

// traced is a way of five hops that is in order; change makes it otherwise.
func traced(change func(w *Way, icmp, tcp *Trace)) *Way {
	mk := func(m route.Method, n int) *Trace {
		t := &Trace{Method: m, Rounds: n, End: End{TTL: 5, Kind: route.Reply, From: target}}
		for i, a := range []string{"11.0.1.1", "11.0.2.1", "11.0.3.1", "11.0.4.1", "11.0.9.25"} {
			t.Hops = append(t.Hops, hop(i+1, n, 0, a, 1+i, 2+i))
		}
		return t
	}
	icmp, tcp := mk(route.ICMP, 10), mk(route.TCP, 3)
	w := &Way{Addr: target, Source: netip.MustParseAddr("11.0.1.2"), Traces: []*Trace{icmp, tcp}, MTU: &MTU{Method: route.ICMP, Passes: 1500, Tested: true}}
	if change != nil {
		change(w, icmp, tcp)
	}
	return w
}

// loud are the findings that are neither passed nor not applicable, as "MARK rule: text".
func loud(w *Way) []string {
	var out []string
	for _, f := range Judge(&Facts{Host: "11.0.9.25", Port: 25, Ways: []*Way{w}}) {
		if f.Outcome != finding.Pass {
			out = append(out, f.Verdict().Mark()+" "+f.Rule.ID+": "+f.Says().String())
		}
		for _, l := range []finding.Lang{finding.EN, finding.ZH} {
			for _, m := range []finding.Msg{f.Rule.Why, f.Rule.Repair} {
				if s := finding.S(m, f.Args).In(l); f.Outcome == finding.Fail && strings.Contains(s, "{{") {
					out = append(out, "not said: "+s)
				}
			}
		}
	}
	return out
}

func TestVerdicts(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *Way, icmp, tcp *Trace)
		want   []string // pieces of the findings, all of them
	}{
		"fine":        {nil, nil},
		"one lost":    {func(_ *Way, i, _ *Trace) { i.Hops[4].Lost = 1 }, nil},
		"one hop":     {func(_ *Way, i, _ *Trace) { i.Hops[2].Lost = 8 }, []string{"NOTE path.rate-limited: hop 3 left 80 %"}},
		"two hops":    {func(_ *Way, i, _ *Trace) { i.Hops[1].Lost, i.Hops[2].Lost = 5, 8 }, []string{"NOTE path.rate-limited: hops 2 and 3 left 80 %"}},
		"silent hop":  {func(_ *Way, i, _ *Trace) { i.Hops[2].Lost, i.Hops[2].Addrs = 10, nil }, nil},
		"stays":       {func(_ *Way, i, _ *Trace) { i.Hops[2].Lost, i.Hops[3].Lost, i.Hops[4].Lost = 3, 2, 3 }, []string{"FAIL path.loss: 30 % of the packets to 11.0.9.25 are lost, from hop 3 (11.0.3.1) on"}},
		"stays mild":  {func(_ *Way, i, _ *Trace) { i.Hops[4].Sent, i.Hops[4].Lost = 30, 3 }, []string{"WARN path.loss: 10 %"}},
		"both":        {func(_ *Way, i, _ *Trace) { i.Hops[1].Lost, i.Hops[3].Lost, i.Hops[4].Lost = 9, 3, 3 }, []string{"NOTE path.rate-limited: hop 2", "FAIL path.loss: 30 % of the packets to 11.0.9.25 are lost, from hop 4"}},
		"before real": {func(_ *Way, i, _ *Trace) { i.Hops[2].Lost, i.Hops[3].Lost, i.Hops[4].Lost = 9, 2, 2 }, []string{"NOTE path.rate-limited: hop 3", "FAIL path.loss: 20 % of the packets to 11.0.9.25 are lost, from hop 4"}},
		"ocean": {func(_ *Way, i, _ *Trace) { i.Hops[3].Best, i.Hops[4].Best = 150*time.Millisecond, 151*time.Millisecond },
			[]string{"NOTE path.latency-step: from hop 3 to hop 4 (11.0.4.1) the round trip grows by 147 ms"}},
		"satellite": {func(_ *Way, i, _ *Trace) {
			for k := range i.Hops {
				i.Hops[k].Best = 600 * time.Millisecond
			}
		}, []string{"WARN path.latency-step: from hop 1 (11.0.1.1)"}},
		"slow router": {func(_ *Way, i, _ *Trace) { i.Hops[2].Best = 90 * time.Millisecond }, []string{"NOTE path.slow-router: hop 3 (11.0.3.1) takes 90 ms to answer, but hosts behind it answer in 4 ms"}},
		"jitter": {func(_ *Way, i, _ *Trace) {
			i.Hops[4].Jitter, i.Hops[4].Worst = 80*time.Millisecond, 300*time.Millisecond
		}, []string{"NOTE path.jitter"}},
		"stops": {func(_ *Way, _, tcp *Trace) {
			tcp.Hops, tcp.End = tcp.Hops[:3], End{}
			tcp.Hops[2].Lost, tcp.Hops[2].Addrs = 3, nil
		},
			[]string{"FAIL path.port-blocked: TCP to port 25 of 11.0.9.25 stops behind hop 2 (11.0.2.1), while ICMP goes on"}},
		"prohibited": {func(_ *Way, _, tcp *Trace) {
			tcp.End = End{TTL: 4, Kind: route.Unreachable, Code: route.CodeProhibited, From: netip.MustParseAddr("11.0.3.1")}
		},
			[]string{"FAIL path.port-blocked: TCP to port 25 of 11.0.9.25 is turned away by 11.0.3.1 (hop 3): administratively prohibited"}},
		"host rejects": {func(_ *Way, _, tcp *Trace) {
			tcp.End = End{TTL: 5, Kind: route.Unreachable, Code: route.CodePort, From: target}
		},
			[]string{"FAIL path.port-closed: 11.0.9.25 itself refuses TCP to port 25: port unreachable"}},
		"closed": {func(_ *Way, _, tcp *Trace) { tcp.End.Kind = route.Refused }, []string{"FAIL path.port-closed"}},
		"proxy":  {func(_ *Way, _, tcp *Trace) { tcp.End.TTL = 2 }, []string{"WARN path.intercepted: a connection to port 25 of 11.0.9.25 is taken 2 hops away"}},
		"ECMP":   {func(_ *Way, _, tcp *Trace) { tcp.End.TTL, tcp.Hops[3].Ends = 4, 1 }, nil},
		"near RST": {func(_ *Way, _, tcp *Trace) {
			tcp.End = End{TTL: 4, Kind: route.Refused, From: target}
			tcp.Hops[3].Ends = 3
		}, []string{"FAIL path.port-blocked: TCP to port 25 of 11.0.9.25 is reset at hop 4"}},
		"gone": {func(w *Way, i, tcp *Trace) { i.Hops, i.End, tcp.Hops, tcp.End = i.Hops[:3], End{}, tcp.Hops[:3], End{} }, []string{"FAIL path.unreachable: 11.0.9.25 is not reached: behind hop 3, 11.0.3.1, nobody answers any more"}},
		"loop": {func(w *Way, i, tcp *Trace) {
			i.End, w.Traces = End{}, []*Trace{i}
			i.Hops[3].Addrs, i.Hops[4].Addrs = i.Hops[1].Addrs, i.Hops[2].Addrs
			i.Hops = append(i.Hops, hop(6, 10, 0, "11.0.2.1", 1, 1))
		}, []string{"FAIL path.loop: on the way to 11.0.9.25 packets come past 11.0.2.1 again and again (hops 2, 4 and 6)"}},
		"hole": {func(w *Way, _, _ *Trace) {
			w.MTU = &MTU{Method: route.ICMP, Tested: true, Passes: 1400, Fails: 1420, Hop: 3}
		}, []string{"FAIL path.mtu-black-hole: packets of 1420 bytes to 11.0.9.25 vanish without a word before hop 3 (11.0.3.1); 1400 bytes pass"}},
		"host hole": {func(w *Way, _, _ *Trace) {
			w.MTU = &MTU{Method: route.ICMP, Tested: true, Passes: 1400, Fails: 1420, Hop: 5, AtHost: true}
		}, []string{"WARN path.mtu-black-hole"}},
		"small":     {func(w *Way, _, _ *Trace) { w.MTU.Passes, w.MTU.From = 1492, netip.MustParseAddr("11.0.1.1") }, []string{"NOTE path.mtu-small: 11.0.1.1 says that 1492 bytes fit"}},
		"own small": {func(w *Way, _, _ *Trace) { w.MTU.Passes = 1280 }, []string{"NOTE path.mtu-small: our own link says that 1280 bytes fit"}},
		"detour":    {func(_ *Way, i, _ *Trace) { i.Hops[4].Left = 40 }, []string{"NOTE path.asymmetric: it is 5 hops to 11.0.9.25, but its answers come over about 25"}},
		"cgnat":     {func(_ *Way, i, _ *Trace) { i.Hops[1].Addrs[0] = netip.MustParseAddr("100.64.3.1") }, []string{"WARN path.cgnat: hop 2 (100.64.3.1)"}},
		"nat": {func(w *Way, i, _ *Trace) {
			w.Source = netip.MustParseAddr("192.168.1.9")
			i.Hops[0].Addrs[0] = netip.MustParseAddr("192.168.1.1")
		}, []string{"NOTE path.nat: our address 192.168.1.9 is not public; it is translated (NAT) by hop 2"}},
		"inside":  {func(_ *Way, i, _ *Trace) { i.Hops[2].Addrs[0] = netip.MustParseAddr("10.1.1.1") }, []string{"NOTE path.private-inside: hop 3 behind"}},
		"no ping": {func(w *Way, i, _ *Trace) { i.End, i.Hops = End{}, i.Hops[:4]; w.MTU = &MTU{} }, []string{"NOTE path.no-ping", "???? path.mtu-black-hole"}},
		"no rights": {func(w *Way, i, _ *Trace) {
			i.Hops, i.End, i.Fault = nil, End{}, &wire.Fault{Kind: wire.NotPermitted, Text: "no"}
			w.MTU = nil
		}, []string{"???? path.no-ping: could not test (needs CAP_NET_RAW)"}},
		"nothing": {func(w *Way, _, _ *Trace) {
			w.Traces = []*Trace{{Method: route.ICMP, Fault: &wire.Fault{Kind: wire.NoRoute, Text: "no"}}}
		}, []string{"???? path.unreachable: this machine has no route"}},
		"no hop yet": {func(w *Way, i, _ *Trace) { i.Hops, i.End, w.Traces = nil, End{}, []*Trace{i} }, []string{"FAIL path.unreachable: 11.0.9.25 is not reached: not even the first router answers"}},
	} {
		got := loud(traced(c.change))
		ok := len(got) == len(c.want)
		for i := range got {
			ok = ok && strings.HasPrefix(got[i], c.want[i])
		}
		if !ok {
			t.Errorf("%s:\n got %s\nwant %s", name, strings.Join(got, "\n     "), strings.Join(c.want, "\n     "))
		}
	}
}

// TestSectionsAreDrawn draws every kind of way without falling over.
func TestSectionsAreDrawn(t *testing.T) {
	gone := traced(func(_ *Way, i, tcp *Trace) { i.Hops, i.End, tcp.Hops, tcp.End = i.Hops[:2], End{}, nil, End{} })
	for name, w := range map[string]*Way{"fine": traced(nil), "gone": gone} {
		s := sections(&Facts{Port: 25, Ways: []*Way{w}})
		if len(s) != 1 || len(s[0].Rows) != len(w.main().Hops) || s[0].Chart == nil || len(s[0].Chart.Labels) != len(w.main().Hops) {
			t.Errorf("%s: %+v", name, s)
		}
		for _, r := range s[0].Rows {
			if len(r.Cells) != len(s[0].Columns) {
				t.Errorf("%s: %d cells under %d heads", name, len(r.Cells), len(s[0].Columns))
			}
		}
	}
}

// canned answers rounds from a table instead of a network.
type canned func(r route.Round) []route.Answer

func (c canned) Replaying() bool { return true }

func (c canned) Do(door string, req, res any, _ func() error) error {
	if r, ok := req.(route.Round); ok {
		*(res.(*[]route.Answer)) = c(r)
		return nil
	}
	return &wire.Fault{Kind: wire.OffTape, Op: door, Text: "not asked"}
}

// TestLookIsPolite traces a host nine hops away and wants few packets, of them few connections at its mail port.
func TestLookIsPolite(t *testing.T) {
	const distance = 9
	connections, all := 0, 0
	var mu sync.Mutex
	env := &check.Env{Now: time.Now, Tape: canned(func(r route.Round) []route.Answer {
		mu.Lock()
		defer mu.Unlock()
		out := make([]route.Answer, len(r.Probes))
		for i, p := range r.Probes {
			all++
			out[i] = route.Answer{Kind: route.Expired, From: netip.AddrFrom4([4]byte{11, 0, byte(p.TTL), 1}), Took: time.Millisecond}
			if p.TTL >= distance {
				out[i] = route.Answer{Kind: route.Reply, From: target, Took: time.Millisecond}
				if r.Method == route.TCP {
					connections++
				}
			}
		}
		return out
	})}
	f := Look(context.Background(), env, Options{Host: target.String()})
	w := f.Ways[0]
	if w.distance() != distance || len(w.main().Hops) != distance || !w.MTU.Tested || w.MTU.Passes != full {
		t.Errorf("%+v", w)
	}
	if connections > portRounds || all > 200 {
		t.Errorf("%d connections to the mail port, %d packets in all", connections, all)
	}
}

func TestOffline(t *testing.T) {
	fs := Judge(Look(context.Background(), &check.Env{Probe: check.Probe{Offline: true}}, Options{Host: "mx.example"}))
	if len(fs) != 1 || fs[0].Outcome != finding.Unknown {
		t.Errorf("%+v", fs)
	}
}

func TestTries(t *testing.T) {
	for loss, want := range map[float64]int{0: 3, 0.01: 3, 0.5: 14, 0.9: 24} {
		if got := triesFor(loss); got != want {
			t.Errorf("%v: %d, want %d", loss, got, want)
		}
	}
}
