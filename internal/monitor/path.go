package monitor

import (
	"context"

	"github.com/mailwhy/mailwhy/internal/check/path"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// pathKind follows the way to a mail server. It asks a hop a few times, so it is not run often.
func pathKind() Kind {
	type args struct {
		Host string `json:"host"`
		Port int    `json:"port"`
	}
	return define(Kind{
		Name: "path", Title: finding.M("Way to a server"), About: finding.M("the way to a mail server: loss, delay, filters, packet size"), Every: hour, FailAfter: 2,
		Fields: []Field{
			{Name: "host", Label: finding.M("Host"), Type: "text", Required: true, Example: "mx.partner.example"},
			{Name: "port", Label: finding.M("Port"), Type: "number", Example: "25"},
		},
		Measures: countMeasures(Measure{Response, "s", finding.M("longest of the best round trips to the host")}, Measure{"loss", "1", finding.M("share of packets lost on the way, at worst")}),
	}, func(c *args) string { return c.Host },
		func(c *args, bad func(string, finding.Sentence)) {
			_, s := hostName(c.Host)
			bad("host", s)
			if c.Port < 0 || c.Port > 65535 {
				bad("port", finding.S("give a number from 1 to 65535", nil))
			}
		},
		func(ctx context.Context, d *Doors, c *args) (*Result, error) {
			h, _ := hostName(c.Host)
			r, err := path.Survey(ctx, d.Env, path.Options{Host: h, Port: uint16(c.Port)})
			if err != nil {
				return nil, err
			}
			values := counts(r)
			if f, ok := r.Facts.(*path.Facts); ok {
				for _, w := range f.Ways {
					if rtt, loss, ok := w.Reached(); ok {
						values[Response], values["loss"] = max(values[Response], rtt.Seconds()), max(values["loss"], loss)
					}
				}
			}
			return &Result{Report: r, Values: values}, nil
		})
}
