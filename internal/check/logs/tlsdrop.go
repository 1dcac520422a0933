package logs

import (
	"slices"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// tlsHour is how much of an hour's mail from other machines came with TLS. What went out cannot be judged so: one connection,
// and one line of TLS, stands for many deliveries.
type tlsHour struct {
	at       time.Time
	tls, all int64
}

func (h tlsHour) share() float64 { return min(1, float64(h.tls)/float64(h.all)) }

// tlsDrop looks for hours in which less came with TLS than in those before, and tells the first of them, up to the hour in which
// the share is back.
func (j *judging) tlsDrop() {
	var hours []tlsHour
	for _, h := range j.s.Hours {
		if h.Clients >= j.lim.TLSDropMin {
			hours = append(hours, tlsHour{h.At, h.TLS, h.Clients})
		}
	}
	var before []float64 // sorted
	for i := range hours {
		if len(before) >= j.lim.TLSDropHours {
			usual := before[len(before)/2]
			n := lowFrom(hours[i:], usual*j.lim.TLSDropTo)
			if usual >= j.lim.TLSDropFrom && n >= j.lim.TLSDropHours {
				j.say(ruleTLSDrop.Failed(j.subject, finding.Args{"At": hours[i].at, "Hours": n, "Now": percent(shareOf(hours[i : i+n])), "Before": percent(usual)}).
					Prove(finding.Cmd("logs", "--since", hours[i].at.Format(time.RFC3339))))
				return
			}
		}
		at, _ := slices.BinarySearch(before, hours[i].share())
		before = slices.Insert(before, at, hours[i].share())
	}
}

// lowFrom counts the hours from the first on whose share is at most so much.
func lowFrom(hours []tlsHour, most float64) int {
	for i, h := range hours {
		if h.share() > most {
			return i
		}
	}
	return len(hours)
}

func shareOf(hours []tlsHour) float64 {
	var sum tlsHour
	for _, h := range hours {
		sum.tls, sum.all = sum.tls+h.tls, sum.all+h.all
	}
	return sum.share()
}
