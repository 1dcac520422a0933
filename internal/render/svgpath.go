package render

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Geometry of the picture of a way, in user units.
const (
	stepW            = 64.0 // from hop to hop
	wayLeft, wayTop  = 40.0, 24.0
	barH             = 90.0 // of the longest time
	lineY            = wayTop + barH + 26
	wayH             = lineY + 120
	maxHopsOnPicture = 64
)

// Pictures draws several ways below each other as one SVG document.
func (st Style) Pictures(ways []*finding.Chart) string {
	width := 0.0
	for _, c := range ways {
		width = max(width, wayWidth(c))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="11">`+"\n", width, wayH*float64(len(ways)))
	for i, c := range ways {
		fmt.Fprintf(&b, `<g transform="translate(0 %g)">`, wayH*float64(i))
		st.way(&b, c)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func wayWidth(c *finding.Chart) float64 {
	return wayLeft + stepW*(float64(min(len(c.Labels), maxHopsOnPicture))+1) + 40
}

// svgWay is the picture of one way as a document of its own.
func (st Style) svgWay(c *finding.Chart) template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" xmlns="http://www.w3.org/2000/svg" font-size="11" fill="currentColor">`, wayWidth(c), wayH)
	fmt.Fprintf(&b, `<title>%s</title>`, template.HTMLEscapeString(chartName(st, c)))
	st.way(&b, c)
	b.WriteString("</svg>")
	return template.HTML(b.String()) // every text in it went through HTMLEscapeString
}

// way draws the hops of a way from left to right: a node each, above it a bar as high as its time, below it its
// address. The line is red where the mail port does not come any more; a silent hop is hollow, one behind which packets
// are lost is orange, and one that only limits its own answers is pale: nothing is lost there.
func (st Style) way(b *strings.Builder, c *finding.Chart) {
	if len(c.Series) < 3 {
		return
	}
	n := min(len(c.Labels), maxHopsOnPicture)
	top := 0.0
	for i := range n {
		top = max(top, value(c.Series[0], i))
	}
	fmt.Fprintf(b, `<circle cx="%g" cy="%g" r="7" fill="#3b7dd8"/>`, wayLeft, lineY)
	for i := range n {
		st.hop(b, c, i, top)
	}
	y := wayH - 8
	fmt.Fprintf(b, `<text x="%g" y="%g" opacity=".7" fill="currentColor">%s · %s</text>`, wayLeft-8, y,
		template.HTMLEscapeString(Clean(c.Series[0].Name.In(st.Lang)+" ("+c.Unit.In(st.Lang)+")")), template.HTMLEscapeString(Clean(c.Series[1].Name.In(st.Lang))))
}

// limits tells a hop that leaves questions unanswered while those behind it answer: a router that limits its own answers
// and passes everything on.
func limits(c *finding.Chart, i int) bool {
	least, known := 100.0, false
	for k := i + 1; k < min(len(c.Labels), maxHopsOnPicture); k++ {
		if v := value(c.Series[1], k); v >= 0 {
			least, known = min(least, v), true
		}
	}
	return known && value(c.Series[1], i) > 2*least+10
}

func (st Style) hop(b *strings.Builder, c *finding.Chart, i int, top float64) {
	x := wayLeft + stepW*float64(i+1)
	took, lost, comes := value(c.Series[0], i), value(c.Series[1], i), value(c.Series[2], i) > 0
	line, dash := "#8a8f98", ""
	if !comes {
		line, dash = "#c8342b", ` stroke-dasharray="5 4"`
	}
	fmt.Fprintf(b, `<line x1="%g" x2="%g" y1="%g" y2="%g" stroke="%s" stroke-width="3"%s/>`, x-stepW+8, x-8, lineY, lineY, line, dash)
	fill, edge, what := "#2e9e6b", "", fmt.Sprintf("%d %s", i+1, Clean(c.Labels[i]))
	switch {
	case took < 0:
		fill = "none"
	case lost >= 1 && limits(c, i):
		fill, edge, what = "#d5d9de", ` stroke-dasharray="2 2"`, finding.S("{{.Hop}}: limits its own answers ({{.Loss}} % unanswered), loses nothing", finding.Args{"Hop": what, "Loss": short(lost)}).In(st.Lang)
	case lost >= 1:
		fill = "#d9822b"
	}
	fmt.Fprintf(b, `<circle cx="%g" cy="%g" r="7" fill="%s" stroke="%s" stroke-width="2"%s><title>%s</title></circle>`, x, lineY, fill, "#8a8f98", edge, template.HTMLEscapeString(what))
	if took >= 0 && top > 0 {
		h := max(barH*took/top, 1)
		fmt.Fprintf(b, `<rect x="%g" y="%.1f" width="16" height="%.1f" fill="#3b7dd8" opacity=".75"/>`, x-8, lineY-14-h, h)
		fmt.Fprintf(b, `<text x="%g" y="%.1f" text-anchor="middle" fill="currentColor">%s</text>`, x, lineY-18-h, short(took))
	}
	if !comes && (i == 0 || value(c.Series[2], i-1) > 0) {
		fmt.Fprintf(b, `<text x="%g" y="%g" text-anchor="middle" fill="#c8342b" font-size="16">✗</text>`, x-stepW/2, lineY+5)
		fmt.Fprintf(b, `<text x="%g" y="%g" text-anchor="middle" fill="#c8342b" font-size="9">TCP</text>`, x-stepW/2, lineY-8)
	}
	label := fmt.Sprintf("%d  %s", i+1, Clean(c.Labels[i]))
	if lost >= 1 && !limits(c, i) {
		label += fmt.Sprintf("  (−%s %%)", short(lost))
	}
	fmt.Fprintf(b, `<text transform="translate(%g %g) rotate(35)" fill="currentColor">%s</text>`, x-4, lineY+20, template.HTMLEscapeString(cut(label, 44)))
}
