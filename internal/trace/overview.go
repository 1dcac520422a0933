package trace

import "time"

// OverviewQuery asks for the numbers of a span. The zero value asks for everything that is remembered.
type OverviewQuery struct {
	Since, Until time.Time
	Hosts        []string // names of machines that logged; none: all
}

// Overview is how mail went in a span, summed from hourly numbers: every attempt and refusal counts once, where its line
// stands. Hours are whole hours of UTC.
type Overview struct {
	Since     time.Time       `json:"since,omitzero"` // of the first hour with mail
	Until     time.Time       `json:"until,omitzero"` // end of the last
	Totals    Totals          `json:"totals"`
	Hours     []HourTotals    `json:"hours"`     // by time; hours without mail are left out
	Providers []ProviderTotal `json:"providers"` // outgoing, by volume
	Causes    []CauseTotal    `json:"causes"`    // of deferrals, bounces and refusals, by count
	Hosts     []HostSeen      `json:"hosts"`     // by name
	Lag       time.Duration   `json:"-"`         // of the host that is most behind
}

// Totals are counts of events. Deferred counts attempts, the others fates of recipients; Received counts messages.
type Totals struct {
	Received  int64         `json:"received"`
	Delivered int64         `json:"delivered"`
	Deferred  int64         `json:"deferred"`
	Bounced   int64         `json:"bounced"`
	Rejected  int64         `json:"rejected"`
	Discarded int64         `json:"discarded"`
	Bytes     int64         `json:"bytes"` // of messages received, where their size was logged beside
	Delay     time.Duration `json:"-"`     // sum over the deliveries
	In        int64         `json:"in"`    // delivered to mailboxes of our own
	Out       int64         `json:"out"`   // delivered to other servers
}

// Add sums.
func (t *Totals) Add(o *Totals) {
	t.Received += o.Received
	t.Delivered += o.Delivered
	t.Deferred += o.Deferred
	t.Bounced += o.Bounced
	t.Rejected += o.Rejected
	t.Discarded += o.Discarded
	t.Bytes += o.Bytes
	t.Delay += o.Delay
	t.In += o.In
	t.Out += o.Out
}

// HourTotals are the counts of one hour.
type HourTotals struct {
	At time.Time `json:"at"` // its start
	Totals
}

// ProviderTotal is how a receiving provider took our mail.
type ProviderTotal struct {
	Provider   string  `json:"provider"` // id in the table of families; "" for all others together
	Name       string  `json:"name"`     // filled by the face, in the reader's language
	Delivered  int64   `json:"delivered"`
	Deferred   int64   `json:"deferred"`
	Bounced    int64   `json:"bounced"`
	Acceptance float64 `json:"acceptance"` // delivered of all attempts, 0 to 1
}

// CauseTotal is how often mail did not get on because of one cause.
type CauseTotal struct {
	Cause    string `json:"cause"` // id in the table of causes
	Count    int64  `json:"count"`
	Deferred int64  `json:"deferred"`
	Bounced  int64  `json:"bounced"`
	Rejected int64  `json:"rejected"`
}

// HostSeen is a machine whose lines came in.
type HostSeen struct {
	Name     string        `json:"name"`
	LastSeen time.Time     `json:"last_seen"` // time of its latest line
	Stored   time.Time     `json:"stored"`    // when that line was stored
	Lag      time.Duration `json:"-"`         // between the two; it holds the difference of the clocks as well
	Skew     time.Duration `json:"-"`         // how far its clock runs ahead, where a line came before it was written
}
