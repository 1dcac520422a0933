package hops

import (
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Section draws the way, oldest hop first.
func (p *Path) Section() finding.Section {
	s := finding.Section{
		Title: finding.S("The way of the message, oldest hop first (times in {{.Zone}})", finding.Args{"Zone": p.Zone}),
		Columns: []finding.Sentence{
			finding.S("hop", nil), finding.S("delay", nil), finding.S("when", nil), finding.S("from", nil), finding.S("by", nil), finding.S("protocol", nil), finding.S("belief", nil),
		},
	}
	if p.Zone == "" {
		s.Title = finding.S("The way of the message, oldest hop first", nil)
	}
	day := ""
	for i := range p.Hops {
		h := &p.Hops[i]
		when := strings.TrimSuffix(p.When(h), " "+p.Zone)
		if d, clock, ok := strings.Cut(when, " "); ok {
			if d == day {
				when = clock
			}
			day = d
		}
		s.Rows = append(s.Rows, finding.Cells(
			finding.Raw(itoa(h.N)), p.delayCell(h), finding.Raw(when), fromCell(h), finding.Raw(h.By), protocolCell(h), beliefCell(p, h)))
	}
	return s
}

func (p *Path) delayCell(h *Hop) finding.Sentence {
	switch {
	case h.Skew != nil && *h.Skew != 0:
		return finding.S("clock off by {{.Span}}", finding.Args{"Span": time.Duration(*h.Skew * float64(time.Second)).Abs()})
	case h.Delay == nil:
		return finding.Raw("")
	case round(h.delay) == 0:
		return finding.Raw("0 s")
	case p.Slowest == h.N:
		return finding.S("{{.Span}} slow", finding.Args{"Span": round(h.delay)})
	}
	return finding.S("{{.Span}}", finding.Args{"Span": round(h.delay)})
}

func round(d time.Duration) time.Duration {
	if d == 0 {
		return 0
	}
	return d.Round(time.Second)
}

func fromCell(h *Hop) finding.Sentence {
	name := h.Name()
	switch {
	case h.Kind == "local" && name == "":
		return finding.S("a program on this host", nil)
	case !h.IP.IsValid() || name == h.IP.String():
		return finding.Raw(name)
	}
	text := name + " [" + h.IP.String() + "]"
	if h.HELO != "" && h.RDNS != "" && !strings.EqualFold(h.HELO, h.RDNS) {
		return finding.S("{{.Name}}, calls itself {{.HELO}}", finding.Args{"Name": text, "HELO": h.HELO})
	}
	return finding.Raw(text)
}

func protocolCell(h *Hop) finding.Sentence {
	var parts []string
	for _, s := range []string{h.With, h.TLSVersion} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if h.TLS && h.TLSVersion == "" && !strings.HasSuffix(h.With, "S") && !strings.HasSuffix(h.With, "SA") {
		parts = append(parts, "TLS")
	}
	if h.AuthUser != "" {
		return finding.S("{{.Protocol}}, logged in as {{.User}}", finding.Args{"Protocol": strings.Join(parts, " "), "User": h.AuthUser})
	}
	return finding.Raw(strings.Join(parts, " "))
}

func beliefCell(p *Path, h *Hop) finding.Sentence {
	switch {
	case h.Forged:
		return finding.S("looks forged", nil)
	case !h.Believed:
		return finding.S("a claim", nil)
	case h.N == p.Border:
		return finding.S("ours: the border", nil)
	}
	return finding.S("ours", nil)
}

// Trust says in a sentence where belief ends.
func (p *Path) Trust() finding.Sentence {
	b := p.border()
	if b == nil {
		return finding.Sentence{}
	}
	args := finding.Args{"By": b.Receiver(), "N": b.N, "IP": p.Origin.String()}
	switch {
	case !p.Origin.IsValid() && p.Guessed:
		return finding.S("Trust line (guessed; name your border with --trust): hop {{.N}} at {{.By}} is the oldest that can be believed. It notes no client address.", args)
	case !p.Origin.IsValid():
		return finding.S("Trust line: hop {{.N}} at {{.By}} is the oldest that can be believed. It notes no client address.", args)
	case p.Guessed:
		return finding.S("Trust line (guessed; name your border with --trust): from hop {{.N}} at {{.By}} on the lines can be believed. It came in from {{.IP}}; whatever stands before that is the sender's word.", args)
	}
	return finding.S("Trust line: from hop {{.N}} at {{.By}} on the lines can be believed. It came in from {{.IP}}; whatever stands before that is the sender's word.", args)
}
