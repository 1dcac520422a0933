package journey

import (
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/trace"
)

// passage is a row of the story: a step, or several that differ in nothing that matters.
type passage struct {
	step  *trace.Step
	to    []string  // everybody for whom the same was logged
	again int       // so many more attempts with the same answer follow
	last  time.Time // of those the last
}

// passages leaves out what is quiet and what is said already, and puts together what is said of many recipients at once
// and attempts whose answer is that of the one before. The raw lines stay whole beside the story.
func passages(steps []trace.Step) []passage {
	var out []passage
	shown := ""
	told := map[string]bool{} // recipients of the last passage
	for i := range steps {
		st := &steps[i]
		if quiet(st) || st.EventKind() == event.Related && st.Line == shown && shown != "" {
			continue
		}
		shown = st.Line
		if n := len(out); n > 0 && sameAnswer(out[n-1].step, st) && closeBy(out[n-1].step, st) {
			if to := addressee(st); !told[to] {
				told[to] = true
				out[n-1].to = append(out[n-1].to, to)
				continue
			}
		}
		p := passage{step: st}
		clear(told)
		if to := addressee(st); to != "" {
			p.to = []string{to}
			told[to] = true
		}
		out = append(out, p)
	}
	return retries(out)
}

// sameAnswer tells two deliveries of one queue file that had the same fate at the same host with the same words.
func sameAnswer(a, b *trace.Step) bool {
	return a.EventKind() == event.Delivery && b.EventKind() == event.Delivery && a.Fate() == b.Fate() && a.Host == b.Host && a.QueueID == b.QueueID &&
		a.Relay == b.Relay && a.RelayIP == b.RelayIP && a.Socket == b.Socket && a.Text == b.Text
}

// closeBy tells deliveries of one attempt from those of the next.
func closeBy(a, b *trace.Step) bool { return b.At.Sub(a.At) < 2*time.Second }

// fewest is the number of equal attempts from which on those after the first are only counted.
const fewest = 3

// retries counts attempts that were put off as the one before instead of telling each, with the "ready to go" that
// began them.
func retries(in []passage) []passage {
	same := map[string][]int{}
	for i := range in {
		if st := in[i].step; st.EventKind() == event.Delivery && st.Fate() == event.Deferred {
			key := strings.Join(append([]string{st.Host, st.QueueID, st.Relay, st.RelayIP, st.Text}, in[i].to...), "\x00")
			same[key] = append(same[key], i)
		}
	}
	drop := make([]bool, len(in))
	for _, at := range same {
		if len(at) < fewest {
			continue
		}
		first := &in[at[0]]
		first.again, first.last = len(at)-1, in[at[len(at)-1]].step.At
		for _, i := range at[1:] {
			drop[i] = true
		}
	}
	quietStarts(in, drop)
	out := in[:0]
	for i := range in {
		if !drop[i] {
			out = append(out, in[i])
		}
	}
	return out
}

// quietStarts drops the start of an attempt of which nothing is left to tell.
func quietStarts(in []passage, drop []bool) {
	type queue struct{ host, id string }
	started := map[queue]int{} // the start whose attempt is going on
	left := map[int]bool{}     // starts of which something is told
	counted := map[int]bool{}  // starts of which something is dropped
	for i := range in {
		st := in[i].step
		q := queue{st.Host, st.QueueID}
		if st.EventKind() == event.Active {
			started[q] = i
		} else if from, ok := started[q]; ok && drop[i] {
			counted[from] = true
		} else if ok {
			left[from] = true
		}
	}
	for i := range counted {
		drop[i] = !left[i]
	}
}

// words tells the passage.
func (p *passage) words() finding.Sentence {
	says := words(p.step, p.whom())
	if p.again > 0 {
		return finding.S("{{.Says}} ({{.N}} more {{plural .N \"attempt\" \"attempts\"}} until {{.Until}} had the same answer)",
			finding.Args{"Says": says, "N": p.again, "Until": p.last.Format("2006-01-02 15:04:05")})
	}
	return says
}

// whom names up to three recipients.
func (p *passage) whom() finding.Sentence {
	if len(p.to) > 3 {
		return finding.S("{{.First}} and {{.N}} more", finding.Args{"First": strings.Join(p.to[:2], ", "), "N": len(p.to) - 2})
	}
	return finding.Raw(strings.Join(p.to, ", "))
}
