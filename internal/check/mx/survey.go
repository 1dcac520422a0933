package mx

import (
	"context"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// Survey is the report of `mailwhy mx DOMAIN`.
func Survey(ctx context.Context, env *check.Env, domain string) *finding.Report {
	started := env.Now()
	f, _ := Look(ctx, env, domain)
	return check.NewReport(env, "mx", finding.Domain(domain), started, Judge(f), Sections(f), f)
}

// Sections shows the records and what each name server says.
func Sections(f *Facts) []finding.Section {
	var out []finding.Section
	if len(f.MX) > 0 {
		s := finding.Section{Title: finding.S("Mail servers, in the order senders try them", nil),
			Columns: []finding.Sentence{finding.S("preference", nil), finding.S("host", nil), finding.S("addresses", nil)}}
		for _, x := range f.MX {
			host, addrs := x.Host, finding.Raw(strings.Join(texts(x.Addrs), " "))
			switch {
			case x.Host == "":
				host = "."
			case x.Alias != "":
				host += " → " + x.Alias
			}
			if len(x.Addrs) == 0 && x.Host != "" {
				addrs = finding.S("none", nil)
			}
			s.Rows = append(s.Rows, finding.Cells(finding.Raw(strconv.Itoa(int(x.Pref))), finding.Raw(host), addrs))
		}
		out = append(out, s)
	}
	if len(f.Views) > 0 {
		s := finding.Section{Title: finding.S("What each name server says", nil), Folded: true,
			Columns: []finding.Sentence{finding.S("name server", nil), finding.S("answer", nil)}}
		for _, v := range f.Views {
			says := strings.Join(v.MX, ", ")
			if v.Fault != "" {
				says = v.Fault
			}
			s.Rows = append(s.Rows, finding.Cells(finding.Raw(v.Server), finding.Raw(says)))
		}
		out = append(out, s)
	}
	return out
}
