package web

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/check/feedback"
)

// Reports are the stored reports of receivers about our domains.
type Reports interface {
	// EachReport hands over every stored sum of reports that end at since or later, by time.
	EachReport(ctx context.Context, since time.Time, do func(begun time.Time, sum *feedback.Sum) error) error
}

type reportQuery struct {
	Since  time.Time `query:"since" doc:"30 days ago where it is absent"`
	Until  time.Time `query:"until"`
	Domain string    `query:"domain" maxLength:"253"`
}

type passFail struct {
	Day  string `json:"day"`
	Pass uint64 `json:"pass"`
	Fail uint64 `json:"fail"`
}

type reportDomain struct {
	Domain   string `json:"domain"`
	Messages uint64 `json:"messages"`
	Pass     uint64 `json:"pass"`
	Fail     uint64 `json:"fail"`
}

type reportSource struct {
	IP          string         `json:"ip" doc:"an address, or a network where there were too many"`
	Domain      string         `json:"domain"`
	Network     string         `json:"network,omitempty"`
	Name        string         `json:"name,omitempty"`
	Class       feedback.Class `json:"class,omitempty"`
	Messages    uint64         `json:"messages"`
	SPF         uint64         `json:"spf" doc:"messages that pass, aligned"`
	DKIM        uint64         `json:"dkim" doc:"messages that pass, aligned"`
	Disposition string         `json:"disposition,omitempty" doc:"what was done with most of them"`
}

type reporterRow struct {
	Name    string `json:"name"`
	Reports int    `json:"reports"`
}

type dmarcOut struct {
	Body struct {
		Domains   []reportDomain `json:"domains"`
		Days      []passFail     `json:"days"`
		Sources   []reportSource `json:"sources"`
		Reporters []reporterRow  `json:"reporters"`
	}
}

type tlsDomain struct {
	Domain  string `json:"domain"`
	Success uint64 `json:"success"`
	Failure uint64 `json:"failure"`
}

type tlsFailure struct {
	Domain string `json:"domain"`
	Type   string `json:"type"`
	Sender string `json:"sender,omitempty"`
	Count  uint64 `json:"count"`
}

type tlsOut struct {
	Body struct {
		Domains  []tlsDomain  `json:"domains"`
		Days     []passFail   `json:"days"`
		Failures []tlsFailure `json:"failures"`
	}
}

// maxReportSources is how many sources one answer lists.
const maxReportSources = 200

func (s *Server) reportRoutes() {
	if s.o.Reports == nil {
		return
	}
	s.pages = append(s.pages, page{"reports", access.SeeReports})
	add(s, access.SeeReports, huma.Operation{Method: http.MethodGet, Path: "/reports/dmarc", Summary: "What receivers say of mail in our name (DMARC aggregate reports)"}, s.getDMARC)
	add(s, access.SeeReports, huma.Operation{Method: http.MethodGet, Path: "/reports/tls", Summary: "What senders say of TLS to our servers (TLS-RPT)"}, s.getTLSReports)
}

// eachReport hands over the sums of the time asked for; sees tells whether the visitor may know of a domain.
func (s *Server) eachReport(ctx context.Context, in *reportQuery, do func(day string, sum *feedback.Sum, sees func(domain string) bool)) error {
	since := in.Since
	if since.IsZero() {
		since = s.o.Now().AddDate(0, 0, -30)
	}
	u, want := user(ctx), strings.ToLower(strings.TrimSuffix(in.Domain, "."))
	sees := func(d string) bool { return (want == "" || d == want) && u.Sees(d) }
	return s.o.Reports.EachReport(ctx, since, func(begun time.Time, sum *feedback.Sum) error {
		if in.Until.IsZero() || begun.Before(in.Until) {
			do(begun.Format(time.DateOnly), sum, sees)
		}
		return ctx.Err()
	})
}

func (s *Server) getDMARC(ctx context.Context, in *reportQuery) (*dmarcOut, error) {
	domains, days, reporters := map[string]*reportDomain{}, map[string]*passFail{}, map[string]int{}
	sources := map[[2]string]*reportSource{}
	err := s.eachReport(ctx, in, func(day string, sum *feedback.Sum, sees func(string) bool) {
		seen := false
		for _, d := range sum.Domains {
			if !sees(d.Name) {
				continue
			}
			seen = true
			row, on := entry(domains, d.Name), entry(days, day)
			row.Domain, on.Day = d.Name, day
			row.Messages, row.Pass, row.Fail = row.Messages+d.Messages, row.Pass+d.Aligned, row.Fail+d.Messages-d.Aligned
			on.Pass, on.Fail = on.Pass+d.Aligned, on.Fail+d.Messages-d.Aligned
		}
		for _, x := range sum.Sources {
			if !sees(x.Domain) {
				continue
			}
			row := entry(sources, [2]string{x.Domain, x.Name})
			row.IP, row.Domain = x.Name, x.Domain
			row.Name, row.Network = cmp.Or(row.Name, x.Service, x.PTR), cmp.Or(row.Network, x.Network)
			row.Class, row.Disposition = cmp.Or(row.Class, x.Class), cmp.Or(row.Disposition, mostly(x.Dispositions))
			row.Messages, row.SPF, row.DKIM = row.Messages+x.Messages, row.SPF+x.SPF, row.DKIM+x.DKIM
		}
		for name, n := range sum.Reporters {
			if seen {
				reporters[name] += n
			}
		}
	})
	if err != nil {
		return nil, err
	}
	out := &dmarcOut{}
	b := &out.Body
	b.Domains = values(domains, func(x, y reportDomain) int {
		return cmp.Or(cmp.Compare(y.Messages, x.Messages), cmp.Compare(x.Domain, y.Domain))
	})
	b.Days = values(days, func(x, y passFail) int { return cmp.Compare(x.Day, y.Day) })
	b.Sources = values(sources, func(x, y reportSource) int {
		return cmp.Or(cmp.Compare(y.Messages, x.Messages), cmp.Compare(x.IP, y.IP), cmp.Compare(x.Domain, y.Domain))
	})
	b.Sources = b.Sources[:min(len(b.Sources), maxReportSources)]
	b.Reporters = []reporterRow{}
	for name, n := range reporters {
		b.Reporters = append(b.Reporters, reporterRow{name, n})
	}
	slices.SortFunc(b.Reporters, func(x, y reporterRow) int {
		return cmp.Or(cmp.Compare(y.Reports, x.Reports), cmp.Compare(x.Name, y.Name))
	})
	return out, s.looked(ctx, "see.reports", in.Domain)
}

func (s *Server) getTLSReports(ctx context.Context, in *reportQuery) (*tlsOut, error) {
	domains, days, failures := map[string]*tlsDomain{}, map[string]*passFail{}, map[[3]string]*tlsFailure{}
	err := s.eachReport(ctx, in, func(day string, sum *feedback.Sum, sees func(string) bool) {
		for _, d := range sum.TLS {
			if !sees(d.Domain) {
				continue
			}
			row, on := entry(domains, d.Domain), entry(days, day)
			row.Domain, on.Day = d.Domain, day
			row.Success, row.Failure = row.Success+d.Success, row.Failure+d.Failure
			on.Pass, on.Fail = on.Pass+d.Success, on.Fail+d.Failure
			for what, n := range d.Types {
				f := entry(failures, [3]string{d.Domain, what, d.Reporter})
				f.Domain, f.Type, f.Sender, f.Count = d.Domain, what, d.Reporter, f.Count+n
			}
		}
	})
	if err != nil {
		return nil, err
	}
	out := &tlsOut{}
	out.Body.Domains = values(domains, func(x, y tlsDomain) int { return cmp.Compare(x.Domain, y.Domain) })
	out.Body.Days = values(days, func(x, y passFail) int { return cmp.Compare(x.Day, y.Day) })
	out.Body.Failures = values(failures, func(x, y tlsFailure) int {
		return cmp.Or(cmp.Compare(y.Count, x.Count), cmp.Compare(x.Type, y.Type), cmp.Compare(x.Domain, y.Domain), cmp.Compare(x.Sender, y.Sender))
	})
	return out, s.looked(ctx, "see.reports", in.Domain)
}

// entry gives the value of a key, made where it is not there.
func entry[K comparable, V any](m map[K]*V, k K) *V {
	if m[k] == nil {
		m[k] = new(V)
	}
	return m[k]
}

// values gives the values in order, never nil.
func values[K comparable, V any](m map[K]*V, order func(x, y V) int) []V {
	out := make([]V, 0, len(m))
	for _, v := range m {
		out = append(out, *v)
	}
	slices.SortFunc(out, order)
	return out
}

// mostly says what was done with most messages.
func mostly(c feedback.Counts) string {
	word, n := "", uint64(0)
	for _, x := range []struct {
		word string
		n    uint64
	}{{"none", c.None}, {"quarantine", c.Quarantine}, {"reject", c.Reject}, {"pass", c.Pass}} {
		if x.n > n {
			word, n = x.word, x.n
		}
	}
	return word
}
