package trace

import (
	"context"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Unparsed reads all inputs whole and shows every mail line that no dialect understands. It gives the counts of all
// lines and the errors of inputs that could not be read to their end.
func Unparsed(ctx context.Context, inputs []*logs.Input, opt Options, show func(file string, line []byte)) (logs.Counts, []error) {
	var sum logs.Counts
	var errs []error
	for _, in := range inputs {
		in.Sniff(opt.Dialects)
		r := in.Reader(opt.Local, opt.Dialects)
		r.Unread = func(o *event.Origin) { show(in.Name, o.Line) }
		nothing := event.SinkFunc(func(*event.Event) {})
		err := in.Each(func(b []byte, base int64) error {
			r.Block(b, 0, base, nothing)
			return ctx.Err()
		})
		if err != nil {
			errs = append(errs, err)
		}
		sum.Add(r.Counts)
	}
	return sum, errs
}
