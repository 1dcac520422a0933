package store

import (
	"bytes"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace"
	"github.com/mailwhy/mailwhy/internal/trace/digest"
)

// Messages takes out of the lines of a piece those that journeys are made of; the others are let go. Each keeps its place
// in its source, so that journeys keep their ids. The last line of each run stays whatever it is: by it a file is known
// again. zone gives the zone of times of a run that name none, layout that of a run's file.
func Messages(dialects []logs.Dialect, text []byte, runs []digest.Run, zone func(*digest.Run) *time.Location, layout func(*digest.Run) (*logs.Layout, error)) (kept []byte, out []digest.Run, err error) {
	for i := range runs {
		r := &runs[i]
		l, err := layout(r)
		if err != nil {
			return nil, nil, err
		}
		reader := logs.NewReader(logs.Clock{Local: zone(r), Latest: r.Latest}, dialects)
		reader.Layout = l
		rest, base, together := text[r.Start:r.Start+r.Len], r.Base, false
		for len(rest) > 0 {
			n := bytes.IndexByte(rest, '\n') + 1
			if n == 0 {
				n = len(rest)
			}
			if !ofMessage(reader, rest[:n], r.File, base) && n < len(rest) {
				together = false
			} else {
				if !together {
					out = append(out, digest.Run{File: r.File, Base: base, Start: len(kept), Latest: r.Latest, Zone: r.Zone})
					together = true
				}
				kept = append(kept, rest[:n]...)
				out[len(out)-1].Len += n
			}
			rest, base = rest[n:], base+int64(n)
		}
	}
	return kept, out, nil
}

func ofMessage(reader *logs.Reader, line []byte, file int32, base int64) (yes bool) {
	became := reader.Line(bytes.TrimSuffix(line, []byte("\n")), file, base, event.SinkFunc(func(e *event.Event) { yes = yes || trace.OfMessage(e) }))
	return yes || became == logs.Continued
}
