package monitor

import (
	"context"
	"errors"
	"strings"

	"github.com/mailwhy/mailwhy/internal/check/threat"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire/feed"
)

// threatKind watches whether sources of threat intelligence come to know what is ours.
func threatKind() Kind {
	type args struct {
		Subjects []string `json:"subjects"`
	}
	return define(Kind{
		Name: "threat", Title: finding.M("Threat feeds"), About: finding.M("our addresses, domains and URLs in the threat feeds that are configured"), Every: hour, FailAfter: 2,
		Fields:   []Field{{Name: "subjects", Label: finding.M("Addresses, networks, domains and URLs"), Type: "list", Required: true, Example: "192.0.2.25, mine.example"}},
		Measures: countMeasures(Measure{"known", "1", finding.M("entries of feeds that name one of them")}),
	}, func(c *args) string { return strings.Join(c.Subjects, ", ") },
		func(c *args, bad func(string, finding.Sentence)) {
			if n := len(c.Subjects); n == 0 || n > 50 {
				bad("subjects", finding.S("wants 1 to 50 addresses and domains", nil))
			}
			for _, s := range c.Subjects {
				if _, ok := feed.Parse(s); !ok {
					bad("subjects", finding.S("{{.Word}} is no address, network, domain, URL or hash", finding.Args{"Word": cut(s)}))
				}
			}
		},
		func(ctx context.Context, d *Doors, c *args) (*Result, error) {
			if d.Threat == nil {
				return nil, errors.New("no threat feeds are configured: see [threat]")
			}
			r, err := d.Threat(ctx, c.Subjects)
			if err != nil {
				return nil, err
			}
			values := counts(r)
			if f, ok := r.Facts.(*threat.Facts); ok {
				for _, a := range f.Answers {
					for _, hits := range a.Hits {
						values["known"] += float64(len(hits))
					}
				}
			}
			return &Result{Report: r, Values: values}, nil
		})
}
