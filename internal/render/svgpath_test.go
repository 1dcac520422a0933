package render

import (
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// wayOf is a way whose hops lose these shares; -1 is a silent hop.
func wayOf(lost ...float64) *finding.Chart {
	c := &finding.Chart{Kind: "path", Series: make([]finding.Series, 3)}
	for i, l := range lost {
		took := float64(i + 1)
		if l < 0 {
			took = -1
		}
		c.Labels = append(c.Labels, "192.0.2.1")
		for k, v := range []float64{took, l, 1} {
			c.Series[k].Values = append(c.Series[k].Values, v)
		}
	}
	return c
}

// A router that limits its own answers loses nothing: only loss that goes on behind a hop has the colour of loss.
func TestOnlyRealLossHasItsColour(t *testing.T) {
	for name, c := range map[string]struct {
		lost          []float64
		real, limited int
	}{
		"nothing":                {[]float64{0, 0, 0}, 0, 0},
		"one limits":             {[]float64{0, 80, 0, 0}, 0, 1},
		"two limit":              {[]float64{60, 80, -1, 0}, 0, 2},
		"loss to the end":        {[]float64{0, 30, 30, 30}, 3, 0},
		"loss, and one limits":   {[]float64{90, 20, 90, 20}, 2, 2},
		"the end alone":          {[]float64{0, 0, 40}, 1, 0},
		"silent behind the loss": {[]float64{0, 50, -1}, 1, 0},
	} {
		svg := Style{Lang: finding.EN}.Pictures([]*finding.Chart{wayOf(c.lost...)})
		if n := strings.Count(svg, `fill="#d9822b"`); n != c.real {
			t.Errorf("%s: %d hops have the colour of loss, want %d", name, n, c.real)
		}
		if n := strings.Count(svg, "limits its own answers"); n != c.limited || strings.Count(svg, "(−") != c.real {
			t.Errorf("%s: %d hops limit their answers, want %d\n%s", name, n, c.limited, svg)
		}
	}
}
