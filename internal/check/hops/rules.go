package hops

import (
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

var (
	ruleNone = &finding.Rule{
		ID: "received.none", Severity: finding.Note, Owner: finding.OwnerSender,
		Title: "No Received lines",
		Says:  "The header has no Received line, so the way of the message cannot be told",
		Why:   "Every server that takes a message writes one. Without them this is a draft, a copy from a Sent folder, or a header that was cut.",
		Refs:  []finding.Ref{finding.RFC(5321, "4.4")},
	}
	ruleForged = &finding.Rule{
		ID: "received.forged", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title:  "Received line that looks forged",
		Says:   "The line of {{.By}} (hop {{.N}}) looks forged: {{list .Doubts}}",
		OK:     "No Received line shows marks of forgery",
		Why:    "Lines beyond our own border are the sender's word. Spammers add some to hide where a message came from, and they seldom get every detail right.",
		Repair: "Go by the origin address of the oldest line that can be believed, and do not blame the hosts named beyond it.",
		Refs:   []finding.Ref{finding.RFC(5321, "7.1")},
	}
	ruleClock = &finding.Rule{
		ID: "received.clock-skew", Severity: finding.Note, Owner: finding.OwnerServer,
		Title:  "Clock that is wrong",
		Says:   "The clock of {{.Host}} is {{.Dir}} by at least {{.Span}}{{.Zone}}: the delay of this hop cannot be told from its stamp",
		OK:     "The clocks along the way agree",
		Why:    "A wrong clock makes delays unreadable, breaks TLS and DKIM expiry, and looks like forgery.",
		Repair: "Set up time synchronisation (chrony, systemd-timesyncd, w32time) on that host and check its time zone.",
		Refs:   []finding.Ref{finding.RFC(5321, "4.4")},
	}
	ruleSlow = &finding.Rule{
		ID: "received.slow-hop", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title:  "Slow hop",
		Says:   "The message waited {{.Span}} between {{.From}} and {{.By}} ({{.Share}} % of the way)",
		OK:     "No hop was slow",
		Why:    "The time between two stamps is spent in the queue of the earlier host: deferred (greylisting, rate limits, a dead first MX), filtered, or held.",
		Repair: "Look up the message in the log of {{.From}}: its deferrals say what {{.By}} answered before it took the message.",
	}
	ruleDate = &finding.Rule{
		ID: "received.bad-date", Severity: finding.Note, Owner: finding.OwnerServer,
		Title:  "Received line with a broken date",
		Says:   "{{.By}} (hop {{.N}}) wrote a date that is not of RFC 5322: {{.Date}}",
		Why:    "The stamp was read with liberties; the time of this hop is less certain than the others.",
		Repair: "Update or configure the software of that host so that it writes dates as \"Mon, 5 Feb 2024 10:00:00 +0800\".",
		Refs:   []finding.Ref{finding.RFC(5322, "3.3")},
	}
	ruleUnread = &finding.Rule{
		ID: "received.unreadable", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "Received line nobody can read",
		Says:  "Nothing could be read from this Received line: {{.Raw}}",
		Why:   "The hop is missing from the path; its time counts to the next one.",
		Refs:  []finding.Ref{finding.RFC(5321, "4.4")},
	}
	ruleLong = &finding.Rule{
		ID: "received.too-many", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title:  "Very long path",
		Says:   "The message has {{.N}} Received lines",
		Why:    "Servers count these lines to notice loops and refuse a message beyond 25 to 100 of them. A number like this is a loop, or close to the limit of the next host.",
		Repair: "Look for two hosts that alternate in the path: one of them sends mail for this domain back to the other.",
		Refs:   []finding.Ref{finding.RFC(5321, "6.3")},
	}
)

// Rules lists what Judge may say.
var Rules = []*finding.Rule{ruleNone, ruleForged, ruleClock, ruleSlow, ruleDate, ruleUnread, ruleLong}

// Judge says what is wrong on the way.
func Judge(p *Path, s finding.Subject) []finding.Finding {
	if len(p.Hops) == 0 {
		return []finding.Finding{ruleNone.Failed(s, nil)}
	}
	var out []finding.Finding
	out = append(out, judgeForged(p, s)...)
	out = append(out, judgeClocks(p, s)...)
	if p.Slowest > 0 {
		out = append(out, judgeSlow(p, s))
	} else {
		out = append(out, ruleSlow.Passed(s, nil))
	}
	if n := len(p.Hops) + p.Unseen; n > 25 {
		out = append(out, ruleLong.Failed(s, finding.Args{"N": n}))
	}
	return out
}

func judgeForged(p *Path, s finding.Subject) []finding.Finding {
	var out []finding.Finding
	for i := range p.Hops {
		h := &p.Hops[i]
		if h.Forged {
			f := ruleForged.Failed(s, finding.Args{"By": h.Receiver(), "N": h.N, "Doubts": h.Doubts})
			out = append(out, f.With(evidence(h)))
		}
	}
	if len(out) == 0 {
		out = append(out, ruleForged.Passed(s, nil))
	}
	return out
}

func judgeClocks(p *Path, s finding.Subject) []finding.Finding {
	var out []finding.Finding
	skewed, unread := false, 0
	for i := range p.Hops {
		h := &p.Hops[i]
		if h.Skew != nil && *h.Skew != 0 {
			skewed = true
			out = append(out, judgeSkew(h, s))
		}
		if h.Kind == "unread" && unread < 3 {
			unread++
			out = append(out, ruleUnread.Failed(s, finding.Args{"Raw": clip(h.Raw)}).With(evidence(h)))
		}
		if grave := graveDate(h); grave && h.Believed {
			out = append(out, ruleDate.Failed(s, finding.Args{"By": h.Receiver(), "N": h.N, "Date": h.DateText}).With(evidence(h)))
		}
	}
	if !skewed {
		out = append(out, ruleClock.Passed(s, nil))
	}
	return out
}

func judgeSkew(h *Hop, s finding.Subject) finding.Finding {
	dir, zone := finding.S("behind", nil), finding.Sentence{}
	if *h.Skew > 0 {
		dir = finding.S("ahead", nil)
	}
	if h.ZoneSlip {
		zone = finding.S(" (whole hours: rather a wrong time zone than a wrong clock)", nil)
	}
	span := time.Duration(*h.Skew * float64(time.Second)).Abs()
	return ruleClock.Failed(s, finding.Args{"Host": h.Receiver(), "Dir": dir, "Span": span, "Zone": zone}).With(evidence(h))
}

func judgeSlow(p *Path, s finding.Subject) finding.Finding {
	h := &p.Hops[p.Slowest-1]
	from := h.Name()
	var ev []finding.Evidence
	for i := p.Slowest - 2; i >= 0; i-- {
		if !p.Hops[i].Time.IsZero() && p.Hops[i].Skew == nil {
			from = p.Hops[i].Receiver()
			ev = append(ev, evidence(&p.Hops[i]))
			break
		}
	}
	share := 100
	if p.Total > 0 {
		share = int(100 * h.delay / p.Total)
	}
	f := ruleSlow.Failed(s, finding.Args{"Span": h.delay, "From": from, "By": h.Receiver(), "Share": share})
	return f.With(append(ev, evidence(h))...)
}

func graveDate(h *Hop) bool {
	for _, f := range h.DateFaults {
		switch f {
		case "wrong-weekday", "no-zone", "unknown-zone", "bad-zone", "short-year":
			return true
		}
	}
	return false
}

func evidence(h *Hop) finding.Evidence {
	return finding.Evidence{Source: "header", Place: "Received, line " + itoa(h.Line), At: h.Time, Raw: clip(h.Raw)}
}

func clip(s string) string {
	if len(s) > 400 {
		s = strings.ToValidUTF8(s[:400], "") + " …"
	}
	return s
}
