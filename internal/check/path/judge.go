package path

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/route"
)

// Thresholds, each with its reason.
const (
	badLoss    = 0.2                    // TCP hardly moves any more
	minLost    = 2                      // one lost packet is nobody's fault
	longStep   = 40 * time.Millisecond  // longer than a country is wide, and
	stepShare  = 0.5                    // of the whole way
	hugeStep   = 500 * time.Millisecond // a satellite, or a full queue
	bigJitter  = 50 * time.Millisecond
	detour     = 4 // hops more or less on the way back; equal paths differ by one or two
	nearHops   = 3 // our own network and the provider's first router
	elsewhere  = 2 // hops before the host, where a connection that is taken is not taken by the host
	minPassing = 68
)

// Judge makes findings of facts.
func Judge(f *Facts) []finding.Finding {
	host := finding.Host(f.Host)
	prove := finding.Cmd("path", f.Host)
	if f.Port != 25 {
		prove = finding.Cmd("path", net.JoinHostPort(f.Host, strconv.Itoa(int(f.Port))))
	}
	var out []finding.Finding
	switch {
	case len(f.Ways) == 0 && f.Fault != "":
		why := f.why
		if why.IsZero() {
			why = finding.Raw(f.Fault)
		}
		return []finding.Finding{ruleReach.Untested(host, why)}
	case len(f.Ways) == 0:
		return []finding.Finding{ruleAddress.Failed(host, finding.Args{"Host": f.Host}).Prove(finding.Cmd("resolve", f.Host, "A", "AAAA"))}
	}
	if len(f.Mail) > 0 {
		out = append(out, ruleMail.Failed(host, finding.Args{"Host": f.Host, "MX": f.Mail}).Prove(finding.Cmd("path", f.Mail[0])))
	}
	for _, w := range f.Ways {
		j := &judge{w: w, port: f.Port, at: finding.IP(w.Addr), main: w.main()}
		j.way()
		for i := range j.out {
			if v := j.out[i].Verdict(); v <= finding.VerdictUntested {
				j.out[i] = j.out[i].Prove(prove)
			}
		}
		out = append(out, j.out...)
	}
	return out
}

// judge judges one way.
type judge struct {
	w    *Way
	port uint16
	at   finding.Subject
	main *Trace
	out  []finding.Finding
}

func (j *judge) add(f finding.Finding) { j.out = append(j.out, f) }

func (j *judge) way() {
	if j.main == nil {
		j.add(ruleReach.Untested(j.at, j.why()))
		return
	}
	if icmp := j.w.by(route.ICMP); icmp != nil && icmp.Fault != nil && len(icmp.Hops) == 0 {
		j.add(rulePing.Untested(j.at, whyNot(icmp.Fault)))
	}
	reached := j.reach()
	j.port25()
	j.translation()
	j.limits()
	if !reached {
		return
	}
	j.loss()
	j.latency()
	j.mtu()
	j.asymmetry()
}

// why says why no trace could be made.
func (j *judge) why() finding.Sentence {
	for _, t := range j.w.Traces {
		if t.Fault != nil {
			return whyNot(t.Fault)
		}
	}
	return finding.S("no way of asking was given", nil)
}

func whyNot(f *wire.Fault) finding.Sentence {
	if f.Kind == wire.NotPermitted {
		return finding.S("could not test (needs CAP_NET_RAW): {{.Text}}", finding.Args{"Text": f.Text})
	}
	return check.Why(f)
}

// place names a hop: its reverse name and address.
func (j *judge) place(a netip.Addr) string {
	n := j.w.node(a)
	switch {
	case !a.IsValid():
		return "?"
	case n.Name != "":
		return n.Name + " " + a.String()
	}
	return a.String()
}

// holder names the network of a hop.
func (j *judge) holder(a netip.Addr) string {
	n := j.w.node(a)
	switch {
	case n.AS > 0:
		return strings.TrimSpace(fmt.Sprintf("AS%d %s", n.AS, n.Owner))
	case n.Kind != "":
		return n.Kind
	}
	return a.String()
}

func said(code string) finding.Sentence {
	switch code {
	case route.CodeNet:
		return finding.S("network unreachable", nil)
	case route.CodeHost:
		return finding.S("host unreachable", nil)
	case route.CodeProhibited:
		return finding.S("administratively prohibited", nil)
	case route.CodePort:
		return finding.S("port unreachable", nil)
	case route.CodeProtocol:
		return finding.S("protocol unreachable", nil)
	}
	return finding.S("unreachable", nil)
}

// reach judges whether the host is there at all, and tells.
func (j *judge) reach() bool {
	t := j.main
	if t.reached() || t.End.Kind == route.Refused && t.End.From == j.w.Addr {
		end := &t.Hops[len(t.Hops)-1]
		j.add(ruleReach.Passed(j.at, finding.Args{"Addr": j.w.Addr, "Hops": t.End.TTL, "Method": strings.ToUpper(string(t.Method)), "RTT": end.Best}))
		if icmp := j.w.by(route.ICMP); icmp != nil && icmp.Fault == nil {
			if icmp.reached() {
				j.add(rulePing.Passed(j.at, finding.Args{"Addr": j.w.Addr}))
			} else if j.w.by(route.TCP).reached() {
				j.add(rulePing.Failed(j.at, finding.Args{"Addr": j.w.Addr, "Port": j.port}))
			}
		}
		return t.reached()
	}
	if router, hops := t.circle(); len(hops) > 0 {
		j.add(ruleLoop.Failed(j.at, finding.Args{"Addr": j.w.Addr, "Router": j.place(router), "Hops": hops, "Owner": j.holder(router)}))
		return false
	}
	last := t.last()
	args := finding.Args{"Addr": j.w.Addr, "Hop": last, "From": "", "Said": "", "Last": "", "Owner": ""}
	if last > 0 {
		a := t.Hops[last-1].addr()
		args["Last"], args["Owner"] = j.place(a), j.holder(a)
	}
	if t.End.Kind == route.Unreachable {
		args["Said"], args["From"], args["Hop"] = said(t.End.Code), j.place(t.End.From), j.hopOf(t.End)
		args["Last"], args["Owner"] = j.place(t.End.From), j.holder(t.End.From)
	}
	j.add(ruleReach.Failed(j.at, args))
	return false
}

// circle finds a router that comes up again after others.
func (t *Trace) circle() (netip.Addr, []string) {
	at := map[netip.Addr][]int{}
	for i := range t.Hops {
		if a := t.Hops[i].addr(); a.IsValid() {
			at[a] = append(at[a], t.Hops[i].TTL)
		}
	}
	for i := range t.Hops {
		a := t.Hops[i].addr()
		if hops := at[a]; len(hops) >= 3 && hops[1]-hops[0] >= 2 {
			var words []string
			for _, h := range hops[:min(len(hops), 5)] {
				words = append(words, strconv.Itoa(h))
			}
			return a, words
		}
	}
	return netip.Addr{}, nil
}

// other is a trace without the port that reached the host, or nil.
func (j *judge) other() *Trace {
	for _, t := range j.w.Traces {
		if t.Method != route.TCP && t.reached() {
			return t
		}
	}
	return nil
}

// port25 holds TCP to the mail port against what reached the host otherwise.
func (j *judge) port25() {
	tcp, other := j.w.by(route.TCP), j.other()
	if tcp == nil {
		return
	}
	if tcp.Fault != nil && len(tcp.Hops) == 0 {
		j.add(rulePort.Untested(j.at, whyNot(tcp.Fault)))
		return
	}
	args := finding.Args{"Addr": j.w.Addr, "Port": j.port, "Hop": tcp.End.TTL, "From": "", "Said": "", "Reset": false, "Last": "", "Owner": "", "Near": false, "Far": false, "Distance": 0, "Method": ""}
	if other != nil {
		args["Distance"], args["Method"] = other.End.TTL, strings.ToUpper(string(other.Method))
	}
	early := other != nil && j.tooNear(tcp, other)
	if early && tcp.End.TTL > 0 && tcp.End.TTL <= len(other.Hops) { // who is there, by the other method
		a := other.Hops[tcp.End.TTL-1].addr()
		args["Last"], args["Owner"] = j.place(a), j.holder(a)
	}
	switch end := tcp.End; {
	case end.Kind == route.Reply && early:
		j.add(ruleIntercepted.Failed(j.at, args))
	case end.Kind == route.Reply:
		j.add(rulePort.Passed(j.at, args))
	case end.Kind == route.Refused && early:
		args["Reset"], args["Near"] = true, end.TTL <= nearHops
		j.add(rulePort.Failed(j.at, args))
	case end.Kind == route.Refused, end.Kind == route.Unreachable && end.From == j.w.Addr:
		args["Said"] = ""
		if end.Kind == route.Unreachable {
			args["Said"] = said(end.Code)
		}
		j.add(ruleClosed.Failed(j.at, args))
	case other == nil:
		// nothing else comes through either: path.unreachable has said it
	default:
		j.blocked(tcp, other, args)
	}
}

// hopOf tells how far away the router that ended a way is: it may say no to what would only have expired behind it.
func (j *judge) hopOf(e End) int {
	for _, t := range j.w.Traces {
		for i := range t.Hops {
			if slices.Contains(t.Hops[i].Addrs, e.From) {
				return t.Hops[i].TTL
			}
		}
	}
	return e.TTL
}

// tooNear tells that TCP was answered before it can have come to the host. Ways to one host differ by a hop at times;
// one hop counts when every connection ended there.
func (j *judge) tooNear(tcp, other *Trace) bool {
	switch d := other.End.TTL - tcp.End.TTL; {
	case tcp.End.TTL == 0 || d <= 0:
		return false
	case d >= elsewhere:
		return true
	}
	h := &tcp.Hops[tcp.End.TTL-1]
	return h.Ends >= portRounds && h.Ends == h.answers()
}

// blocked judges a port that stops on the way.
func (j *judge) blocked(tcp, other *Trace, args finding.Args) {
	hop := tcp.last()
	last := netip.Addr{}
	if hop > 0 {
		last = tcp.Hops[hop-1].addr()
	}
	far := hop >= other.End.TTL-1
	if tcp.End.Kind == route.Unreachable {
		hop, last = j.hopOf(tcp.End), tcp.End.From
		args["Said"], args["From"] = said(tcp.End.Code), j.place(last)
	}
	near := hop <= nearHops && !far
	args["Hop"], args["Last"], args["Owner"], args["Near"], args["Far"] = hop, j.place(last), j.holder(last), near, far
	f := rulePort.Failed(j.at, args)
	if far {
		owner := finding.OwnerServer
		f.Owner = &owner
	}
	j.add(f)
}

// loss judges packets lost at the end, and finds where that begins.
func (j *judge) loss() {
	end := &j.main.Hops[len(j.main.Hops)-1]
	if end.Lost < minLost {
		j.add(ruleLoss.Passed(j.at, finding.Args{"Addr": j.w.Addr, "Sent": end.Sent}))
		return
	}
	// Every hop behind the place of the loss shows it, within what chance allows; one that loses far more limits its
	// own answers on top and tells nothing.
	first := end
	for i := len(j.main.Hops) - 1; i >= 0; i-- {
		h := &j.main.Hops[i]
		if h.answers() == 0 || h.Sent < end.Sent/2 {
			continue
		}
		if h.loss() < end.loss()/4 {
			break
		}
		if h.loss() < 2*end.loss()+0.1 {
			first = h
		}
	}
	f := ruleLoss.Failed(j.at, finding.Args{"Addr": j.w.Addr, "Loss": percent(end.loss()), "Hop": first.TTL, "Last": j.place(first.addr()), "Owner": j.holder(first.addr())})
	if end.loss() >= badLoss {
		bad := finding.Error
		f.Severity = &bad
	}
	j.add(f)
}

func percent(share float64) int { return int(share*100 + 0.5) }

// limits finds hops that answer less than those behind them.
func (j *judge) limits() {
	hops := j.main.Hops
	least := 1.0 // of the loss behind
	var words []string
	worst := 0.0
	for i := len(hops) - 1; i >= 0; i-- {
		h := &hops[i]
		if h.answers() == 0 {
			continue
		}
		if i < len(hops)-1 && h.Lost >= minLost && h.loss() > 2*least+0.1 {
			words = append(words, strconv.Itoa(h.TTL))
			worst = max(worst, h.loss())
		}
		least = min(least, h.loss())
	}
	if len(words) > 0 {
		slices.Reverse(words)
		j.add(ruleLimit.Failed(j.at, finding.Args{"N": len(words), "Hops": words, "Loss": percent(worst)}))
	}
}

// latency finds the longest stretch, and routers that are slow to answer only.
func (j *judge) latency() {
	hops := j.main.Hops
	floor := make([]time.Duration, len(hops)) // the fastest answer from here on
	low := time.Duration(-1)
	for i := len(hops) - 1; i >= 0; i-- {
		if hops[i].answers() > 0 && (low < 0 || hops[i].Best < low) {
			low = hops[i].Best
		}
		floor[i] = low
	}
	end := &hops[len(hops)-1]
	at, step, from := -1, time.Duration(0), 0
	before := time.Duration(0)
	lastHop := 0
	for i := range hops {
		if hops[i].answers() == 0 {
			continue
		}
		if d := floor[i] - before; d > step {
			at, step, from = i, d, lastHop
		}
		before, lastHop = floor[i], hops[i].TTL
		if hops[i].Best > floor[i]+longStep {
			a := hops[i].addr()
			j.add(ruleSlow.Failed(j.at, finding.Args{"Hop": hops[i].TTL, "Last": j.place(a), "RTT": hops[i].Best, "Later": floor[i]}))
		}
	}
	if at >= 0 && step >= longStep && float64(step) >= stepShare*float64(end.Best) {
		a := hops[at].addr()
		f := ruleStep.Failed(j.at, finding.Args{"Before": from, "Hop": hops[at].TTL, "Last": j.place(a), "Owner": j.holder(a), "Step": step, "RTT": end.Best})
		if step >= hugeStep {
			worse := finding.Warning
			f.Severity = &worse
		}
		j.add(f)
	}
	if end.Jitter >= bigJitter && end.Jitter > end.Best/2 {
		j.add(ruleJitter.Failed(j.at, finding.Args{"Addr": j.w.Addr, "Best": end.Best, "Worst": end.Worst, "Jitter": end.Jitter}))
	}
}

// translation judges private and shared addresses on the way.
func (j *judge) translation() {
	if mail.Special(j.w.Addr) != "" {
		return // the host itself is inside
	}
	public := 0 // distance of the first public router
	var inside []string
	var cgnat *Hop
	for i := range j.main.Hops {
		h := &j.main.Hops[i]
		a := h.addr()
		if !a.IsValid() {
			continue
		}
		switch kind := mail.Special(a); {
		case kind == "shared" && cgnat == nil:
			cgnat = h
		case kind == "" && public == 0:
			public = h.TTL
		case kind == "private" && public > 0:
			inside = append(inside, strconv.Itoa(h.TTL))
		}
	}
	if cgnat != nil {
		j.add(ruleCGNAT.Failed(j.at, finding.Args{"Hop": cgnat.TTL, "Last": j.place(cgnat.addr())}))
	}
	if s := mail.Special(j.w.Source); (s == "private" || s == "shared") && public > 0 {
		a := j.main.Hops[public-1].addr()
		j.add(ruleNAT.Failed(j.at, finding.Args{"Source": j.w.Source, "Hop": public, "Last": j.place(a)}))
	}
	if len(inside) > 0 {
		j.add(rulePrivate.Failed(j.at, finding.Args{"N": len(inside), "Hops": inside}))
	}
}

// mtu judges the size of packets.
func (j *judge) mtu() {
	m := j.w.MTU
	switch {
	case m == nil:
	case !m.Tested || m.Passes < minPassing:
		j.add(ruleHole.Untested(j.at, finding.S("nothing but TCP comes back from {{.Addr}}, so packet sizes could not be tried", finding.Args{"Addr": j.w.Addr})))
	case m.Fails > 0:
		last := netip.Addr{}
		if m.Hop > 0 && m.Hop <= len(j.w.by(m.Method).Hops) {
			last = j.w.by(m.Method).Hops[m.Hop-1].addr()
		}
		mss := m.Passes - 40
		if j.w.Addr.Is6() {
			mss -= 20
		}
		f := ruleHole.Failed(j.at, finding.Args{"Addr": j.w.Addr, "Fails": m.Fails, "Passes": m.Passes, "Hop": m.Hop, "Last": j.place(last), "AtHost": m.AtHost, "MSS": mss})
		if m.AtHost { // some hosts drop large pings on purpose
			mild := finding.Warning
			f.Severity = &mild
		}
		j.add(f)
	default:
		j.add(ruleHole.Passed(j.at, finding.Args{"Addr": j.w.Addr, "Passes": m.Passes}))
		if m.Passes < full {
			from := ""
			if m.From.IsValid() {
				from = j.place(m.From)
			}
			j.add(ruleSmall.Failed(j.at, finding.Args{"Addr": j.w.Addr, "Passes": m.Passes, "From": from}))
		}
	}
}

// asymmetry compares the way out with the way back of the last hop that tells.
func (j *judge) asymmetry() {
	for i := len(j.main.Hops) - 1; i >= 0; i-- {
		h := &j.main.Hops[i]
		if h.Left == 0 {
			continue
		}
		back := waysBack(h.Left)
		if d := back - h.TTL; d >= detour || -d >= detour {
			j.add(ruleAsymmetric.Failed(j.at, finding.Args{"Out": h.TTL, "Back": back, "Last": j.place(h.addr())}))
		}
		return
	}
}

// waysBack guesses the hops an answer took from the hop limit it arrived with: systems start at 64, 128 or 255.
func waysBack(left int) int {
	for _, start := range []int{64, 128, 255} {
		if left <= start {
			return start - left + 1
		}
	}
	return 1
}
