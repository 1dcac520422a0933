package hops

import (
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/received"
)

// believe draws the trust line. The newest line was written by our own server. Each older line was written by the host
// that the line above names as its client: it can be believed as long as that client is ours.
func (p *Path) believe(o Options) {
	t := parseTrust(o.Trust)
	p.Guessed = t.empty()
	n := len(p.Hops)
	org := p.org()
	for i := n - 1; i >= 0; i-- {
		h := &p.Hops[i]
		h.Believed = true
		p.Border = h.N
		if h.Relay && h.IP.IsValid() {
			p.Origin = h.IP
		}
		older := (*Hop)(nil)
		if i > 0 {
			older = &p.Hops[i-1]
		}
		if older == nil || !t.ours(h, older, org) {
			break
		}
	}
	for i := range p.Hops {
		if h := &p.Hops[i]; !h.Believed && h.IP.IsValid() && h.Relay && global(h.IP) {
			p.Claimed = h.IP
			break
		}
	}
}

// org is the registrable domain of the newest host that has one: ours, as far as can be guessed.
func (p *Path) org() string {
	for i := len(p.Hops) - 1; i >= 0 && i >= len(p.Hops)-4; i-- {
		if d := orgOf(p.Hops[i].By); d != "" {
			return d
		}
		if p.Hops[i].IP.IsValid() && global(p.Hops[i].IP) {
			return ""
		}
	}
	return ""
}

func orgOf(host string) string {
	host = strings.ToLower(strings.Trim(host, ".[]"))
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") || len(host) > 253 {
		return ""
	}
	d, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return ""
	}
	return d
}

type trust struct {
	hosts []string
	nets  []netip.Prefix
}

func parseTrust(words []string) trust {
	var t trust
	for _, w := range words {
		w = strings.ToLower(strings.Trim(strings.TrimSpace(w), "."))
		if p, err := netip.ParsePrefix(w); err == nil {
			t.nets = append(t.nets, p)
		} else if a, err := netip.ParseAddr(strings.Trim(w, "[]")); err == nil {
			t.nets = append(t.nets, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
		} else if w != "" {
			t.hosts = append(t.hosts, w)
		}
	}
	return t
}

func (t trust) empty() bool { return len(t.hosts) == 0 && len(t.nets) == 0 }

func (t trust) address(a netip.Addr) bool {
	for _, n := range t.nets {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

func (t trust) host(name string) bool {
	name = strings.ToLower(strings.Trim(name, "."))
	for _, h := range t.hosts {
		if name == h || strings.HasSuffix(name, "."+h) {
			return true
		}
	}
	return false
}

// ours tells whether the client of h is one of our own machines, so that the older line is its honest word.
func (t trust) ours(h, older *Hop, org string) bool {
	switch {
	case h.Kind == received.Web, h.Auth != "" && h.IP.IsValid() && global(h.IP):
		return false // a user at a keyboard: what lies before is the user's word
	case h.IP.IsValid() && t.address(h.IP):
		return true
	case h.IP.IsValid() && !global(h.IP), !h.IP.IsValid() && h.Kind != received.Unread:
		return true // inside one system or one private network
	case strings.HasPrefix(h.With, "LMTP"):
		return true // RFC 2033 section 5: spoken to a mailbox server by the mail server in front of it, never across networks
	case !t.empty():
		// The reverse name is our server's own finding; a greeting counts only where the next line was written under it.
		return t.host(h.RDNS) || h.RDNS == "" && t.host(h.greeting()) && strings.EqualFold(h.greeting(), older.By)
	case org == "":
		return false
	}
	if orgOf(h.RDNS) == org && !h.MayBeForged {
		return true
	}
	// Exchange Online notes no reverse names: its hosts hand on among themselves by greeting.
	return h.Family == "Exchange" && older.Family == "Exchange" && orgOf(h.greeting()) == org && strings.EqualFold(h.greeting(), older.By)
}

// greeting is what the client called itself; over HTTP it is only named behind "from".
func (h *Hop) greeting() string {
	if h.HELO != "" {
		return h.HELO
	}
	return h.From
}

// global tells whether an address can be a stranger's: no private, loopback, link-local or shared one.
func global(a netip.Addr) bool {
	return a.IsValid() && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsUnspecified() && !shared.Contains(a)
}

var shared = netip.MustParsePrefix("100.64.0.0/10")

// doubt looks for marks of forgery in the lines beyond the trust line: a relay that a spammer writes himself tends to
// know the software's form only from afar. One weak mark alone (a date with a wrong weekday, a host that names itself by
// another name) is noted, but proves nothing.
func (p *Path) doubt() {
	for i := range p.Hops {
		h := &p.Hops[i]
		if h.Believed {
			continue
		}
		weight := 0
		add := func(w int, s finding.Sentence) {
			weight += w
			h.Doubts = append(h.Doubts, s)
		}
		if why := idDoubt(h); !why.IsZero() {
			add(2, why)
		}
		if newer := p.newerStamp(i); newer != nil && !h.Time.IsZero() {
			switch d := h.Time.Sub(newer.Time); {
			case d > 25*60*60*1e9:
				add(2, finding.S("its time lies {{.Span}} after the line above it", finding.Args{"Span": d}))
			case -d > 30*24*60*60*1e9:
				add(1, finding.S("its time lies {{.Span}} before the line above it", finding.Args{"Span": -d}))
			}
		}
		if h.Time.IsZero() && h.DateText == "" && h.Relay {
			add(1, finding.S("it has no date, though every relay writes one", nil))
		}
		for _, f := range h.DateFaults {
			if f == "wrong-weekday" || f == "bad-zone" {
				add(1, finding.S("its date is impossible: {{.Date}}", finding.Args{"Date": h.DateText}))
				break
			}
		}
		if i+1 < len(p.Hops) && !p.Hops[i+1].Believed && p.Hops[i+1].Relay && unlinked(h, &p.Hops[i+1]) {
			add(1, finding.S("the line above names another host as its client ({{.Client}}, not {{.By}})", finding.Args{"Client": p.Hops[i+1].Name(), "By": h.By}))
		}
		if border := p.border(); border != nil && orgOf(h.By) != "" && orgOf(h.By) == orgOf(border.By) && !samePlace(h, border) {
			add(2, finding.S("it claims to be written by {{.By}}, a host of the receiving side, before the message came there", finding.Args{"By": h.By}))
		}
		h.Forged = weight >= 2
	}
}

func (p *Path) border() *Hop {
	if p.Border == 0 {
		return nil
	}
	return &p.Hops[p.Border-1]
}

// samePlace tells whether the border took the message from a host of its own organisation, as at large providers.
func samePlace(h, border *Hop) bool {
	return orgOf(border.RDNS) == orgOf(h.By) || orgOf(border.greeting()) == orgOf(h.By)
}

func (p *Path) newerStamp(i int) *Hop {
	for j := i + 1; j < len(p.Hops); j++ {
		if p.Hops[j].Believed && !p.Hops[j].Time.IsZero() && p.Hops[j].Skew == nil {
			return &p.Hops[j]
		}
	}
	return nil
}

// unlinked tells whether two neighbouring lines name different hosts: the newer its client, the older its writer.
func unlinked(older, newer *Hop) bool {
	by := orgOf(older.By)
	if by == "" {
		return false
	}
	names := 0
	for _, s := range []string{newer.RDNS, newer.HELO, newer.From} {
		if d := orgOf(s); d != "" {
			names++
			if d == by {
				return false
			}
		}
	}
	return names > 0
}

// idDoubt holds the queue id against the form the claimed software writes.
func idDoubt(h *Hop) finding.Sentence {
	id := h.ID
	if id == "" {
		return finding.Sentence{}
	}
	ok := true
	switch h.Family {
	case "Postfix":
		ok = len(id) >= 6 && len(id) <= 20 && only(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
	case "Exim":
		ok = strings.Count(id, "-") == 2 && (len(id) == 16 || len(id) == 23)
	case "Sendmail":
		ok = len(id) >= 7 && len(id) <= 20 && only(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
	}
	if ok {
		return finding.Sentence{}
	}
	return finding.S("{{.Software}} writes no queue id like {{.ID}}", finding.Args{"Software": h.Family, "ID": id})
}

func only(s, set string) bool { return strings.Trim(s, set) == "" }
