package path

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire/route"
)

// headline says the state of the way in one sentence where nothing is wrong; faults speak for themselves.
func headline(f *Facts, fs []finding.Finding) (h finding.Headline, ok bool) {
	var ways []finding.Sentence
	for _, w := range f.Ways {
		t := w.main()
		if !t.reached() {
			return h, false
		}
		end := &t.Hops[len(t.Hops)-1]
		ways = append(ways, finding.S("{{.Addr}} in {{.Hops}} {{plural .Hops \"hop\" \"hops\"}} and {{.RTT}}", finding.Args{"Addr": w.Addr, "Hops": t.End.TTL, "RTT": end.Best}))
	}
	for i := range fs {
		if v := fs[i].Verdict(); v <= finding.VerdictWarning {
			return h, false
		}
	}
	if len(ways) == 0 {
		return h, false
	}
	untested := 0
	for i := range fs {
		if fs[i].Verdict() == finding.VerdictUntested {
			untested++
		}
	}
	return finding.Headline{State: finding.StateOK, Says: finding.S("The way to {{.Host}} is clear up to port {{.Port}}: {{range $i, $w := .Ways}}{{if $i}}, {{end}}{{$w}}{{end}}{{if .Untested}}; {{.Untested}} could not be tested{{end}}.",
		finding.Args{"Host": f.Host, "Port": f.Port, "Ways": ways, "Untested": untested})}, true
}

func sections(f *Facts) []finding.Section {
	var out []finding.Section
	for _, w := range f.Ways {
		if s, ok := w.section(f.Port); ok {
			out = append(out, s)
		}
	}
	return out
}

// section is the table of one way, which is also its picture: a line downwards, a bar for the time to each hop.
func (w *Way) section(port uint16) (s finding.Section, ok bool) {
	main := w.main()
	if main == nil {
		return s, false
	}
	s.Title = finding.S("The way to {{.Addr}}, measured by {{.Method}} in {{.Rounds}} {{plural .Rounds \"round\" \"rounds\"}}", finding.Args{"Addr": w.Addr, "Method": strings.ToUpper(string(main.Method)), "Rounds": main.Rounds})
	s.Columns = []finding.Sentence{finding.S("hop", nil), finding.Raw(""), finding.S("address", nil), finding.S("lost", nil), finding.S("best/avg/worst ±, ms", nil)}
	var beside []*Trace
	for _, t := range w.Traces {
		if t == main || t.Method == route.UDP && main.reached() && t.reached() {
			continue // UDP is of interest where it fares otherwise
		}
		beside = append(beside, t)
		head := finding.Raw(strings.ToUpper(string(t.Method)))
		if t.Method == route.TCP {
			head = finding.Raw("TCP " + strconv.Itoa(int(port)))
		}
		s.Columns = append(s.Columns, head)
	}
	s.Columns = append(s.Columns, finding.S("name and network", nil))
	longest := 0
	for _, t := range w.Traces {
		longest = max(longest, len(t.Hops))
	}
	top := main.slowest()
	if _, hops := main.circle(); len(hops) > 2 { // three times round is enough
		longest, _ = strconv.Atoi(hops[2])
	}
	for i := range longest {
		s.Rows = append(s.Rows, w.row(main, beside, i, top))
	}
	s.Chart = w.chart(main, port)
	return s, true
}

func (t *Trace) slowest() (d time.Duration) {
	for i := range t.Hops {
		d = max(d, t.Hops[i].Avg)
	}
	return d
}

// row is one hop. What the measuring method does not know there, the others may.
func (w *Way) row(main *Trace, beside []*Trace, i int, top time.Duration) finding.Row {
	h := Hop{TTL: i + 1}
	if i < len(main.Hops) {
		h = main.Hops[i]
	}
	addr := h.addr()
	for _, t := range beside {
		if !addr.IsValid() && i < len(t.Hops) {
			addr = t.Hops[i].addr()
		}
	}
	name := finding.S("no answer", nil)
	where := "*"
	if addr.IsValid() {
		where = addr.String()
		if n := len(h.Addrs) - 1; n > 0 {
			where += fmt.Sprintf(" (+%d)", n)
		}
		name = finding.Raw(w.node(addr).label())
		if k := w.node(addr).Kind; k != "" {
			name = finding.S("{{.Kind}} address {{.Name}}", finding.Args{"Kind": kindName(k), "Name": w.node(addr).Name})
		}
	}
	cells := []finding.Sentence{finding.Raw(strconv.Itoa(i + 1)), finding.Raw(bar(h, main, top)), finding.Raw(where), finding.Raw(lossCell(&h)), finding.Raw(times(&h))}
	for _, t := range beside {
		cells = append(cells, t.cell(i))
	}
	return finding.Cells(append(cells, name)...)
}

func kindName(kind string) finding.Sentence {
	switch kind {
	case "private":
		return finding.S("private", nil)
	case "shared":
		return finding.S("carrier-grade NAT", nil)
	}
	return finding.Raw(kind)
}

func (n Node) label() string {
	label := n.Name
	if n.AS > 0 {
		if label != "" {
			label += ", "
		}
		label += strings.TrimSpace(fmt.Sprintf("AS%d %s", n.AS, n.Owner))
	}
	return label
}

// width of the longest bar.
const width = 8

// bar is the hop in the picture: the line down, a mark, and a bar as long as the average time.
func bar(h Hop, main *Trace, top time.Duration) string {
	mark := "●"
	switch {
	case h.answers() <= 0 || h.Sent == 0:
		return "○"
	case h.TTL == main.End.TTL && main.reached():
		mark = "◎"
	case main.End.Kind == route.Unreachable && h.TTL == main.End.TTL:
		mark = "✗"
	case h.Lost >= minLost:
		mark = "◐"
	}
	n := 0
	if top > 0 {
		n = int(int64(h.Avg) * width / int64(top))
	}
	return mark + strings.Repeat("━", max(n, 1))
}

func lossCell(h *Hop) string {
	if h.answers() <= 0 || h.Sent == 0 {
		return ""
	}
	return strconv.Itoa(percent(h.loss())) + " %"
}

func ms(d time.Duration) string {
	v := float64(d) / float64(time.Millisecond)
	if v < 10 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

func times(h *Hop) string {
	if h.answers() <= 0 || h.Sent == 0 {
		return ""
	}
	return ms(h.Best) + "/" + ms(h.Avg) + "/" + ms(h.Worst) + " ±" + ms(h.Jitter)
}

// cell says what another method got from the hop.
func (t *Trace) cell(i int) finding.Sentence {
	switch {
	case t.Fault != nil && len(t.Hops) == 0:
		if i == 0 {
			return finding.S("not tested", nil)
		}
		return finding.Raw("")
	case i+1 == t.End.TTL && t.End.Kind == route.Reply:
		return finding.S("arrives", nil)
	case i+1 == t.End.TTL && t.End.Kind == route.Refused:
		return finding.S("refused", nil)
	case i+1 == t.End.TTL && t.End.Kind == route.Unreachable:
		return said(t.End.Code)
	case i >= len(t.Hops) && t.End.Kind == route.Silence && i+1 == t.last()+1, i < len(t.Hops) && i+1 == t.last()+1 && t.End.Kind == route.Silence:
		return finding.S("✗ stops", nil)
	case i >= len(t.Hops):
		return finding.Raw("")
	case t.Hops[i].answers() > 0:
		return finding.Raw("✓")
	}
	return finding.Raw("·")
}

// Picture gives the pictures of a report's ways, for a file of their own.
func Picture(f *Facts) []*finding.Chart {
	var out []*finding.Chart
	for _, w := range f.Ways {
		if m := w.main(); m != nil {
			out = append(out, w.chart(m, f.Port))
		}
	}
	return out
}

// chart is the picture of the way: a node per hop, with its time, its loss and whether the mail port comes so far.
func (w *Way) chart(main *Trace, port uint16) *finding.Chart {
	c := &finding.Chart{Kind: "path", Unit: finding.Raw("ms"), Series: []finding.Series{
		{Name: finding.S("round trip", nil)}, {Name: finding.S("lost, %", nil)}, {Name: finding.S("TCP {{.Port}} comes so far", finding.Args{"Port": port})}}}
	tcp := w.by(route.TCP)
	for i := range main.Hops {
		h := &main.Hops[i]
		label := "*"
		if a := h.addr(); a.IsValid() {
			label = a.String()
		}
		so := 1.0
		if tcp != nil && (tcp.Fault == nil || len(tcp.Hops) > 0) && tcp.End.Kind != route.Reply && h.TTL > tcp.last() {
			so = 0
		}
		c.Labels = append(c.Labels, label)
		for k, v := range []float64{float64(h.Avg) / float64(time.Millisecond), h.loss() * 100, so} {
			if h.answers() == 0 && k < 2 {
				v = -1
			}
			c.Series[k].Values = append(c.Series[k].Values, v)
		}
	}
	return c
}
