package render

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Plot geometry in user units.
const (
	plotW, plotH         = 720.0, 200.0
	plotLeft, plotBottom = 52.0, 24.0
	plotTop, plotRight   = 8.0, 8.0
	ticksY               = 4
	labelBytes           = 14 // of a label that are shown
	glyphW, labelGap     = 6.2, 12.0
)

var seriesColors = []string{"#3b7dd8", "#d9822b", "#2e9e6b", "#b0448f", "#7a6ff0", "#8a8f98"}

// SVG draws a chart without scripts. Text in it is escaped; it takes its ink from the page, so it fits light and dark.
func (st Style) SVG(c *finding.Chart) template.HTML {
	if len(c.Labels) == 0 || len(c.Series) == 0 {
		return ""
	}
	if c.Kind == "path" {
		return st.svgWay(c)
	}
	top := chartTop(c)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" xmlns="http://www.w3.org/2000/svg" font-size="11" fill="currentColor">`, plotW, plotH+plotBottom+18)
	fmt.Fprintf(&b, `<title>%s</title>`, template.HTMLEscapeString(chartName(st, c)))
	axes(&b, st, c, top)
	if c.Kind == "lines" {
		lines(&b, c, top)
	} else {
		bars(&b, c, top)
	}
	legend(&b, st, c)
	b.WriteString("</svg>")
	return template.HTML(b.String()) // every text above went through HTMLEscapeString
}

func chartName(st Style, c *finding.Chart) string {
	var names []string
	for _, s := range c.Series {
		names = append(names, s.Name.In(st.Lang))
	}
	return Clean(strings.Join(names, ", ") + " (" + c.Unit.In(st.Lang) + ")")
}

// chartTop is the largest value the y axis must hold.
func chartTop(c *finding.Chart) float64 {
	top := 0.0
	for i := range c.Labels {
		sum := 0.0
		for _, s := range c.Series {
			v := value(s, i)
			if c.Kind == "stacked" {
				sum += v
			} else {
				sum = max(sum, v)
			}
		}
		top = max(top, sum)
	}
	if top == 0 {
		return 1
	}
	return nice(top)
}

// nice rounds up to a number whose quarters read well.
func nice(v float64) float64 {
	p := 1.0
	for p*10 < v {
		p *= 10
	}
	for p > v {
		p /= 10
	}
	for _, m := range []float64{1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10} {
		if m*p >= v {
			return m * p
		}
	}
	return v
}

func value(s finding.Series, i int) float64 {
	if i < len(s.Values) {
		return s.Values[i]
	}
	return 0
}

func yAt(v, top float64) float64 { return plotTop + (plotH-plotTop)*(1-v/top) }

func axes(b *strings.Builder, st Style, c *finding.Chart, top float64) {
	for i := 0; i <= ticksY; i++ {
		v := top * float64(i) / ticksY
		y := yAt(v, top)
		fmt.Fprintf(b, `<line x1="%g" x2="%g" y1="%.1f" y2="%.1f" stroke="currentColor" stroke-opacity=".15"/>`, plotLeft, plotW-plotRight, y, y)
		fmt.Fprintf(b, `<text x="%g" y="%.1f" text-anchor="end" opacity=".7">%s</text>`, plotLeft-6, y+4, short(v))
	}
	step := labelStep(c.Labels)
	w := (plotW - plotLeft - plotRight) / float64(len(c.Labels))
	for i := 0; i < len(c.Labels); i += step {
		x := plotLeft + w*(float64(i)+.5)
		fmt.Fprintf(b, `<text x="%.1f" y="%g" text-anchor="middle" opacity=".7">%s</text>`, x, plotH+16, template.HTMLEscapeString(label(c.Labels[i])))
	}
}

func label(s string) string { return cut(Clean(s), labelBytes) }

// labelStep is of how many labels one is shown, so that none touches the next.
func labelStep(labels []string) int {
	widest := 0
	for _, l := range labels {
		widest = max(widest, columns(label(l)))
	}
	fit := max(1, int((plotW-plotLeft-plotRight)/(float64(widest)*glyphW+labelGap)))
	return (len(labels) + fit - 1) / fit
}

func short(v float64) string {
	for _, u := range []struct {
		at   float64
		unit string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= u.at {
			return strconv.FormatFloat(v/u.at, 'g', 3, 64) + u.unit
		}
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func bars(b *strings.Builder, c *finding.Chart, top float64) {
	slot := (plotW - plotLeft - plotRight) / float64(len(c.Labels))
	n := 1.0
	if c.Kind != "stacked" {
		n = float64(len(c.Series))
	}
	w := slot * .8 / n
	for i := range c.Labels {
		base := 0.0
		for k, s := range c.Series {
			v := value(s, i)
			x := plotLeft + slot*(float64(i)+.1)
			if c.Kind != "stacked" {
				x += w * float64(k)
				base = 0
			}
			y, y0 := yAt(base+v, top), yAt(base, top)
			fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s: %s</title></rect>`,
				x, y, w, max(y0-y, 0), seriesColors[k%len(seriesColors)], template.HTMLEscapeString(Clean(c.Labels[i])), short(v))
			base += v
		}
	}
}

func lines(b *strings.Builder, c *finding.Chart, top float64) {
	slot := (plotW - plotLeft - plotRight) / float64(len(c.Labels))
	for k, s := range c.Series {
		var pts []string
		for i := range c.Labels {
			pts = append(pts, fmt.Sprintf("%.1f,%.1f", plotLeft+slot*(float64(i)+.5), yAt(value(s, i), top)))
		}
		fmt.Fprintf(b, `<polyline fill="none" stroke-width="2" stroke="%s" points="%s"/>`, seriesColors[k%len(seriesColors)], strings.Join(pts, " "))
	}
}

func legend(b *strings.Builder, st Style, c *finding.Chart) {
	x := plotLeft
	for k, s := range c.Series {
		name := Clean(s.Name.In(st.Lang))
		fmt.Fprintf(b, `<rect x="%.1f" y="%g" width="10" height="10" fill="%s"/><text x="%.1f" y="%g">%s</text>`,
			x, plotH+26, seriesColors[k%len(seriesColors)], x+14, plotH+35, template.HTMLEscapeString(name))
		x += 14 + float64(columns(name))*6.5 + 18
	}
}
