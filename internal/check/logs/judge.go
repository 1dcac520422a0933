package logs

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	lines "github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace/tally"
)

// judge says what the facts mean. It is pure.
func judge(subject finding.Subject, in *Input, f *Facts, lim *knowledge.LogLimits) []finding.Finding {
	j := judging{subject: subject, in: in, f: f, s: in.Stats, lim: lim}
	for _, look := range []func(*judging){
		(*judging).inputs, (*judging).compromised, (*judging).resources, (*judging).acceptance, (*judging).bounceBursts, (*judging).deferralWaves,
		(*judging).silence, (*judging).queueGrowth, (*judging).bruteForce, (*judging).networks, (*judging).travel, (*judging).relaying, (*judging).tls, (*judging).tlsDrop,
	} {
		look(&j)
	}
	return j.out
}

type judging struct {
	subject finding.Subject
	in      *Input
	f       *Facts
	s       *tally.Stats
	lim     *knowledge.LogLimits
	out     []finding.Finding
}

func (j *judging) say(f finding.Finding) { j.out = append(j.out, f) }

func (j *judging) inputs() {
	for _, file := range j.f.Files {
		s := finding.Subject{Kind: finding.KindFile, Name: file.Name}
		switch {
		case file.Error != "" && Partly(file.err):
			j.say(ruleRead.Untested(s, finding.S("{{.File}} could not be read in full: {{.Text}}", finding.Args{"File": file.Name, "Text": file.why()})))
		case file.Error != "":
			j.say(ruleRead.Untested(s, finding.S("{{.File}} could not be read: {{.Text}}", finding.Args{"File": file.Name, "Text": file.why()})))
		case file.Lines.Mail == 0:
			j.say(ruleRead.Failed(s, finding.Args{"File": file.Name}).
				Saw(finding.S("{{.N}} {{plural .N \"line\" \"lines\"}}, none of a mail program", finding.Args{"N": file.Lines.Lines}), finding.S("lines of Postfix, Exim, Sendmail, Dovecot …", nil)))
		default:
			j.say(ruleRead.Passed(s, finding.Args{"Mail": group(file.Lines.Mail)}))
		}
		j.odd(s, file.Lines.Odd)
	}
	all := j.f.Lines.Mail + j.f.Lines.Unparsed
	switch {
	case j.f.Lines.Unparsed > 0:
		j.say(ruleUnparsed.Failed(j.subject, finding.Args{"N": group(j.f.Lines.Unparsed), "All": group(all)}))
	case all > 0:
		j.say(ruleUnparsed.Passed(j.subject, nil))
	}
}

// odd names the lines of a file that are not as a log's should be.
func (j *judging) odd(s finding.Subject, o lines.Odd) {
	if o.Years > 0 {
		o.Back = 0 // that is New Year
	}
	name := finding.Raw(s.Name)
	if s.Name == "-" {
		name = finding.S("standard input", nil)
	}
	for _, kind := range []struct {
		name string
		n    int64
	}{{"long", o.Long}, {"nul", o.NUL}, {"invalid", o.Invalid}, {"cut", o.Cut}, {"back", o.Back}, {"years", o.Years}} {
		if kind.n > 0 {
			j.say(ruleOdd.Failed(s, finding.Args{"File": name, "Kind": kind.name, "N": kind.n}))
		}
	}
}

// median is the middle of the hours' values; zero for none.
func median(hours []tally.Hour, of func(tally.Hour) int64) int64 {
	v := make([]int64, 0, len(hours))
	for _, h := range hours {
		v = append(v, of(h))
	}
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[len(v)/2]
}

func (j *judging) bounceBursts() {
	if len(j.s.Hours) < 3 {
		return
	}
	med := max(median(j.s.Hours, func(h tally.Hour) int64 { return h.Bounced }), 1)
	for _, h := range j.s.Hours {
		if h.Bounced >= j.lim.BounceBurstMin && float64(h.Bounced) >= j.lim.BounceBurstFactor*float64(med) {
			j.say(ruleBounceBurst.Failed(j.subject, finding.Args{"N": h.Bounced, "At": h.At, "Times": h.Bounced / med}).
				With(j.examples("bounced", h.At, h.At.Add(time.Hour))...).
				Prove(finding.Cmd("logs", "--since", h.At.Format(time.RFC3339), "--until", h.At.Add(time.Hour).Format(time.RFC3339))))
		}
	}
}

// examples gives at most three reasons of a kind that were seen in a span.
func (j *judging) examples(kind string, from, to time.Time) (out []finding.Evidence) {
	for _, r := range j.s.Reasons {
		if r.Kind == kind && r.First.Before(to) && r.Last.After(from) && len(out) < 3 {
			out = append(out, finding.Evidence{Source: "log", At: r.First, Raw: fmt.Sprintf("%d × %s", r.Count, r.Example)})
		}
	}
	return out
}

func percent(v float64) string { return fmt.Sprintf("%.1f", v*100) }

// silence finds hours without mail between busy ones; hours without any line are missing from the list.
func (j *judging) silence() {
	flow := func(h tally.Hour) int64 { return h.Received + h.Delivered }
	med := median(j.s.Hours, flow)
	if med < j.lim.SilentMedianMin {
		return
	}
	last := time.Time{}
	for _, h := range j.s.Hours {
		if flow(h) == 0 {
			continue
		}
		if gap := h.At.Sub(last) - time.Hour; !last.IsZero() && gap >= time.Hour {
			j.say(ruleSilent.Failed(j.subject, finding.Args{"For": gap, "At": last.Add(time.Hour), "Median": med}))
		}
		last = h.At
	}
}

// queueGrowth tells the longest growth of the queue, the others as evidence.
func (j *judging) queueGrowth() {
	type growth struct {
		from  time.Time
		hours int
		n     int64
	}
	var runs []growth
	var longest growth
	run := 0
	for i := 1; i < len(j.s.Hours); i++ {
		h := j.s.Hours[i]
		if h.InQueue > j.s.Hours[i-1].InQueue {
			run++
		} else {
			run = 0
		}
		lastOfRun := i+1 == len(j.s.Hours) || j.s.Hours[i+1].InQueue <= h.InQueue
		if run >= j.lim.QueueGrowthHours && h.InQueue >= j.lim.QueueGrowthMin && lastOfRun {
			g := growth{j.s.Hours[i-run+1].At, run, h.InQueue}
			if runs = append(runs, g); g.hours > longest.hours {
				longest = g
			}
		}
	}
	if len(runs) == 0 {
		return
	}
	f := ruleQueueGrowth.Failed(j.subject, finding.Args{"Hours": longest.hours, "N": group(longest.n), "At": longest.from})
	for _, g := range runs {
		f = f.With(finding.Evidence{Source: "log", At: g.from, Raw: fmt.Sprintf("%s … %s: %d", g.from.UTC().Format(time.RFC3339), g.from.Add(time.Duration(g.hours)*time.Hour).UTC().Format(time.RFC3339), g.n)})
	}
	j.say(f.Prove(finding.Cmd("queue")))
}

func (j *judging) relaying() {
	var n int64
	var ev []finding.Evidence
	for _, c := range j.f.Causes {
		if c.Kind == "rejected" && slices.Contains(j.lim.RelayCauses, c.ID) {
			n += c.Count
			ev = append(ev, finding.Evidence{Source: "log", Raw: c.Example})
		}
	}
	if n >= j.lim.RelayAttemptsMin {
		j.say(ruleRelayAttempts.Failed(j.subject, finding.Args{"N": group(n)}).With(ev...))
	}
}

func (j *judging) tls() {
	var old, failed, all int64
	var versions []string
	for _, r := range j.s.TLS {
		all += r.Val
		switch {
		case strings.HasSuffix(r.Key, "failed"):
			failed += r.Val
		case strings.HasSuffix(r.Key, "TLSv1"), strings.HasSuffix(r.Key, "TLSv1.1"), strings.Contains(r.Key, "SSLv"):
			old += r.Val
			_, v, _ := strings.Cut(r.Key, " ")
			if !slices.Contains(versions, v) {
				versions = append(versions, v)
			}
		}
	}
	if old > 0 {
		j.say(ruleTLSOld.Failed(j.subject, finding.Args{"N": group(old), "Versions": versions}))
	}
	if share := float64(failed) / math.Max(float64(all), 1); failed >= j.lim.TLSFailedMin && share >= j.lim.TLSFailedShare {
		j.say(ruleTLSFailed.Failed(j.subject, finding.Args{"N": group(failed), "Share": percent(share)}))
	}
}

// resources reads the warnings for lack of resources and dying daemons.
func (j *judging) resources() {
	has := func(words []string, text string) bool {
		text = strings.ToLower(text)
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	var short, dying []tally.Row[int64]
	for _, w := range j.s.Words {
		kind, _, _ := strings.Cut(w.Key, " ")
		switch {
		case kind != "warning" && kind != "trouble" && kind != "error" && kind != "fatal" && kind != "panic":
		case has(j.lim.ResourceWords, w.Key):
			short = append(short, w)
		case kind == "fatal" || kind == "panic" || (kind == "trouble" || kind == "error") && has(j.lim.DyingWords, w.Key):
			dying = append(dying, w)
		}
	}
	if len(short) > 0 {
		j.say(ruleResources.Failed(j.subject, finding.Args{"N": total(short), "Example": text(short[0].Key)}).With(evidence(short)...))
	}
	if len(dying) > 0 {
		_, rest, _ := strings.Cut(dying[0].Key, " ")
		program, _, _ := strings.Cut(rest, " ")
		j.say(ruleDying.Failed(j.subject, finding.Args{"N": total(dying), "Program": program, "Example": text(dying[0].Key)}).With(evidence(dying)...))
	}
}

func total(rows []tally.Row[int64]) (n int64) {
	for _, r := range rows {
		n += r.Val
	}
	return n
}

// text is what follows "kind program ".
func text(key string) string {
	if parts := strings.SplitN(key, " ", 3); len(parts) == 3 {
		return parts[2]
	}
	return key
}

func evidence(rows []tally.Row[int64]) (out []finding.Evidence) {
	for _, r := range rows[:min(len(rows), 5)] {
		out = append(out, finding.Evidence{Source: "log", Raw: fmt.Sprintf("%d × %s", r.Val, r.Key)})
	}
	return out
}

func ipSubject(s string) finding.Subject { return finding.Subject{Kind: finding.KindIP, Name: s} }

func (j *judging) bruteForce() {
	for _, r := range j.s.Sources.Rows {
		v := r.Val
		tried := strings.Join(v.Users[:min(len(v.Users), 8)], ", ")
		ev := finding.Evidence{Source: "log", At: v.First, Raw: fmt.Sprintf("%s … %s: %d failed, %d per minute at most; %s", v.First.UTC().Format(time.RFC3339), v.Last.UTC().Format(time.RFC3339), v.Failed, v.PerMinute, tried)}
		prove := finding.Cmd("trace", r.Key)
		switch {
		case len(v.Users) >= j.lim.SprayingAccountsMin:
			j.say(ruleSpraying.Failed(ipSubject(r.Key), finding.Args{"IP": r.Key, "N": len(v.Users)}).With(ev).Prove(prove))
		case v.Failed >= j.lim.BruteForceMin:
			j.say(ruleBruteForce.Failed(ipSubject(r.Key), finding.Args{"IP": r.Key, "N": v.Failed, "OK": v.OK}).With(ev).Prove(prove))
		}
	}
}

// networks sums failures over /24 and /48, where no single address was loud.
func (j *judging) networks() {
	type sum struct {
		failed int64
		from   []string
	}
	nets := map[netip.Prefix]*sum{}
	for _, r := range j.s.Sources.Rows {
		ip, err := netip.ParseAddr(r.Key)
		if err != nil || r.Val.Failed == 0 || r.Val.Failed >= j.lim.BruteForceMin {
			continue
		}
		bits := 24
		if ip = ip.Unmap(); ip.Is6() {
			bits = 48
		}
		p, _ := ip.Prefix(bits)
		if nets[p] == nil {
			nets[p] = &sum{}
		}
		nets[p].failed += r.Val.Failed
		nets[p].from = append(nets[p].from, r.Key)
	}
	for p, n := range nets {
		if n.failed >= j.lim.BruteForceNetworkMin && len(n.from) >= 3 {
			j.say(ruleBruteForceNetwork.Failed(finding.Subject{Kind: finding.KindNetwork, Name: p.String()},
				finding.Args{"Net": p.String(), "N": n.failed, "Addresses": len(n.from)}).
				With(finding.Evidence{Source: "log", Raw: strings.Join(n.from[:min(len(n.from), 12)], ", ")}).
				Prove(finding.Cmd("trace", p.String())))
		}
	}
}

// compromised looks for many networks and then a burst.
func (j *judging) compromised() {
	for _, r := range j.s.Accounts.Rows {
		a := r.Val
		if len(a.Networks) < j.lim.CompromisedNetworks || a.PerHour < j.lim.CompromisedBurstMin {
			continue
		}
		f := ruleCompromised.Failed(finding.Subject{Kind: finding.KindAddress, Name: r.Key},
			finding.Args{"User": r.Key, "Networks": len(a.Networks), "N": a.PerHour})
		for _, p := range a.Networks[:min(len(a.Networks), 8)] {
			f = f.With(finding.Evidence{Source: "log", Place: p.Network, At: p.First, Raw: fmt.Sprintf("%d logins, last from %s", p.Count, p.IP)})
		}
		j.say(f.Prove(finding.Cmd("trace", r.Key)))
	}
}

// travel compares the places of an account's networks, where a database says where they are.
func (j *judging) travel() {
	if j.in.Locate == nil {
		return
	}
	for _, r := range j.s.Accounts.Rows {
		if f, found := j.trip(r.Key, r.Val.Networks); found {
			j.say(f)
		}
	}
}

func (j *judging) trip(user string, places []tally.Place) (finding.Finding, bool) {
	for i, a := range places {
		for _, b := range places[i+1:] {
			pa, okA := j.locate(a.IP)
			pb, okB := j.locate(b.IP)
			if !okA || !okB {
				continue
			}
			within := apart(a, b)
			km := distance(pa, pb)
			if km >= j.lim.TravelKmMin && km > j.lim.TravelKmhMax*within.Hours() {
				return ruleTravel.Failed(finding.Subject{Kind: finding.KindAddress, Name: user}, finding.Args{
					"User": user, "A": pa.Country + " (" + a.IP + ")", "B": pb.Country + " (" + b.IP + ")", "Km": int(km), "Within": within,
				}).Prove(finding.Cmd("trace", user)), true
			}
		}
	}
	return finding.Finding{}, false
}

func (j *judging) locate(ip string) (Place, bool) {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return Place{}, false
	}
	return j.in.Locate(a)
}

// apart is the shortest time between uses of two networks that the log allows: zero where their spans overlap.
func apart(a, b tally.Place) time.Duration {
	switch {
	case a.Last.Before(b.First):
		return b.First.Sub(a.Last)
	case b.Last.Before(a.First):
		return a.First.Sub(b.Last)
	}
	return 0
}

// distance is the great circle between two places in km.
func distance(a, b Place) float64 {
	const earth, deg = 6371.0, math.Pi / 180
	dLat, dLon := (b.Lat-a.Lat)*deg/2, (b.Lon-a.Lon)*deg/2
	h := math.Pow(math.Sin(dLat), 2) + math.Cos(a.Lat*deg)*math.Cos(b.Lat*deg)*math.Pow(math.Sin(dLon), 2)
	return 2 * earth * math.Asin(math.Min(1, math.Sqrt(h)))
}
