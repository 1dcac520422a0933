package logs

import (
	"fmt"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/trace/tally"
)

func sections(in *Input, f *Facts) []finding.Section {
	s := f.Stats
	if s.From.IsZero() {
		return nil
	}
	out := []finding.Section{totals(s), flow(s), causeSection(f, in), providerSection(f, in)}
	if len(f.Changes) > 0 {
		out = append(out, changeSection(f))
	}
	if in.Full {
		out = append(out, hourSection(s), daySection(s),
			addressSection(finding.S("Recipient domains", nil), s.RecipientDomains, in.Top, true),
			addressSection(finding.S("Sender domains", nil), s.SenderDomains, in.Top, false),
			addressSection(finding.S("Recipients", nil), s.Recipients, in.Top, true),
			addressSection(finding.S("Senders", nil), s.Senders, in.Top, false),
			clientSection(s, in.Top), wordSection(s, in.Top))
	}
	out = append(out, loginSection(f, in), tlsSection(s))
	if len(in.Unread) > 0 {
		out = append(out, finding.Section{Title: finding.S("Mail lines that were not understood", nil), Raw: strings.Join(in.Unread, "\n")})
	}
	kept := out[:0]
	for _, sec := range out {
		if len(sec.Rows) > 0 || sec.Raw != "" {
			kept = append(kept, sec)
		}
	}
	return kept
}

func totals(s *tally.Stats) finding.Section {
	t := s.Totals
	row := func(label finding.Sentence, v finding.Sentence, more finding.Sentence) finding.Row {
		return finding.Cells(label, v, more)
	}
	none := finding.Sentence{}
	rows := []finding.Row{
		row(finding.S("received", nil), num(t.Received), finding.S("{{.Size}} from {{.N}} {{plural .N \"sender\" \"senders\"}} in {{.D}} {{plural .D \"domain\" \"domains\"}}",
			finding.Args{"Size": finding.Size(t.BytesReceived), "N": about(t.Senders, s.Senders.Exact), "D": about(t.SenderDomains, s.SenderDomains.Exact)})),
		row(finding.S("delivered", nil), num(t.Delivered), finding.S("{{.Size}} to {{.N}} {{plural .N \"recipient\" \"recipients\"}} in {{.D}} {{plural .D \"domain\" \"domains\"}}; {{.Local}} of them within this machine",
			finding.Args{"Size": finding.Size(t.BytesDelivered), "N": about(t.Recipients, s.Recipients.Exact), "D": about(t.RecipientDoms, s.RecipientDomains.Exact), "Local": group(t.Local)})),
		row(finding.S("deferred", nil), num(t.Deferred), finding.S("{{.N}} {{plural .N \"deferral\" \"deferrals\"}}", finding.Args{"N": group(t.Deferrals)})),
		row(finding.S("bounced", nil), num(t.Bounced), finding.S("{{.N}} {{plural .N \"message\" \"messages\"}} expired", finding.Args{"N": group(t.Expired)})),
		row(finding.S("rejected", nil), num(t.Rejected), share(t.Rejected, t.Rejected+t.Delivered+t.Discarded)),
	}
	optional := []struct {
		label finding.Sentence
		n     int64
	}{
		{finding.S("re-injected by a filter", nil), t.Reinjected}, {finding.S("forwarded", nil), t.Forwarded}, {finding.S("warned, not rejected", nil), t.RejectWarnings},
		{finding.S("held", nil), t.Held}, {finding.S("discarded", nil), t.Discarded}, {finding.S("connections", nil), t.Connections},
		{finding.S("in the queue at the end", nil), t.InQueue},
	}
	for _, o := range optional {
		if o.n > 0 {
			rows = append(rows, row(o.label, num(o.n), none))
		}
	}
	return finding.Section{Title: finding.S("{{.From}} to {{.To}}", finding.Args{"From": s.From, "To": s.To}), Rows: rows}
}

func share(n, of int64) finding.Sentence {
	if of == 0 {
		return finding.Sentence{}
	}
	return finding.S("{{.Share}} %", finding.Args{"Share": percent(float64(n) / float64(of))})
}

// flow draws the hours: a chart for faces that can, sparklines for a terminal.
func flow(s *tally.Stats) finding.Section {
	sec := finding.Section{Title: finding.S("By hour", nil)}
	if len(s.Hours) < 2 {
		return sec
	}
	series := []struct {
		name finding.Sentence
		of   func(tally.Hour) int64
	}{
		{finding.S("received", nil), func(h tally.Hour) int64 { return h.Received }},
		{finding.S("delivered", nil), func(h tally.Hour) int64 { return h.Delivered }},
		{finding.S("deferred", nil), func(h tally.Hour) int64 { return h.Deferred }},
		{finding.S("bounced", nil), func(h tally.Hour) int64 { return h.Bounced }},
		{finding.S("rejected", nil), func(h tally.Hour) int64 { return h.Rejected }},
	}
	hours := filled(s.Hours)
	chart := &finding.Chart{Kind: "lines", Unit: finding.S("per hour", nil)}
	for _, h := range hours {
		chart.Labels = append(chart.Labels, h.At.Local().Format("01-02 15:04"))
	}
	for _, x := range series {
		values := make([]float64, len(hours))
		for i, h := range hours {
			values[i] = float64(x.of(h))
		}
		chart.Series = append(chart.Series, finding.Series{Name: x.name, Values: values})
		peak, at := top(values)
		sec.Rows = append(sec.Rows, finding.Cells(x.name, finding.Raw(spark(values, 48)),
			finding.S("at most {{.N}} from {{.At}}", finding.Args{"N": group(int64(peak)), "At": hours[at].At.Local().Format("01-02 15:04")})))
	}
	sec.Chart = chart
	return sec
}

// filled puts in the hours without lines, at most a year of them.
func filled(hours []tally.Hour) []tally.Hour {
	var out []tally.Hour
	for i, h := range hours {
		if i > 0 {
			for at := hours[i-1].At.Add(time.Hour); at.Before(h.At) && len(out) < 9000; at = at.Add(time.Hour) {
				out = append(out, tally.Hour{At: at})
			}
		}
		out = append(out, h)
	}
	return out
}

func top(values []float64) (peak float64, at int) {
	for i, v := range values {
		if v > peak {
			peak, at = v, i
		}
	}
	return peak, at
}

// spark draws values as blocks; more values than columns are added up.
func spark(values []float64, width int) string {
	if len(values) > width {
		folded := make([]float64, width)
		for i, v := range values {
			folded[i*width/len(values)] += v
		}
		values = folded
	}
	peak, _ := top(values)
	var b strings.Builder
	for _, v := range values {
		switch {
		case v == 0:
			b.WriteRune('·')
		default:
			b.WriteRune([]rune("▁▂▃▄▅▆▇█")[min(int(v/peak*8), 7)])
		}
	}
	return b.String()
}

func causeSection(f *Facts, in *Input) finding.Section {
	sec := finding.Section{Title: finding.S("Why mail did not go through", nil), Columns: []finding.Sentence{
		finding.S("count", nil), finding.S("what", nil), finding.S("cause", nil), finding.S("whose job", nil), finding.S("example", nil)}}
	for i, c := range f.Causes {
		if i >= in.Top && !in.Full {
			break
		}
		v := finding.VerdictWarning
		switch {
		case c.Kind == "bounced":
			v = finding.VerdictError
		case c.Kind != "deferred":
			v = finding.VerdictNote
		}
		sec.Rows = append(sec.Rows, finding.Marked(v, num(c.Count), kindWord(c.Kind), c.name.Say(), ownerWord(c.Owner), finding.Raw(shorten(knowledge.SaidIn(c.Example), 76))))
	}
	return sec
}

func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

func kindWord(k string) finding.Sentence {
	switch k {
	case "deferred":
		return finding.S("deferred", nil)
	case "bounced":
		return finding.S("bounced", nil)
	case "rejected":
		return finding.S("rejected", nil)
	case "reject-warning":
		return finding.S("warned, not rejected", nil)
	case "held":
		return finding.S("held", nil)
	}
	return finding.S("discarded", nil)
}

// ownerWord is the owner in one or two words, for tables.
func ownerWord(o finding.Owner) finding.Sentence {
	switch o {
	case finding.OwnerDomain:
		return finding.S("domain", nil)
	case finding.OwnerServer:
		return finding.S("server", nil)
	case finding.OwnerNetwork:
		return finding.S("network", nil)
	case finding.OwnerRecipient:
		return finding.S("recipient", nil)
	case finding.OwnerListOperator:
		return finding.S("blocklist operator", nil)
	case finding.OwnerSender:
		return finding.S("sender", nil)
	case finding.OwnerResolver:
		return finding.S("resolver", nil)
	case finding.OwnerSelf:
		return finding.S("us", nil)
	}
	return finding.S("nobody", nil)
}

func providerSection(f *Facts, in *Input) finding.Section {
	sec := finding.Section{Title: finding.S("Acceptance by provider", nil), Columns: []finding.Sentence{
		finding.S("provider", nil), finding.S("sent", nil), finding.S("deferred", nil), finding.S("bounced", nil), finding.S("accepted", nil), finding.S("mean delay", nil), finding.S("most frequent cause", nil)}}
	for i, p := range f.Providers {
		if i >= in.Top && !in.Full {
			break
		}
		delay := finding.Sentence{}
		if p.delay > 0 { // Exim tells it only when asked to
			delay = span(p.delay / time.Duration(p.Sent))
		}
		accepted := finding.Raw("–")
		if p.Sent+p.Bounced > 0 {
			accepted = finding.Raw(percent(p.Acceptance) + " %")
		}
		sec.Rows = append(sec.Rows, finding.Cells(p.name, num(p.Sent), num(p.Deferred), num(p.Bounced), accepted, delay, p.foremost()))
	}
	return sec
}

// foremost is the cause that stopped most of the mail to the provider, with how often.
func (p *Provider) foremost() finding.Sentence {
	main, known := p.main("")
	if !known {
		return finding.Sentence{}
	}
	return finding.S("{{.Cause}} ({{.N}})", finding.Args{"Cause": main.name, "N": main.Count})
}

func changeSection(f *Facts) finding.Section {
	sec := finding.Section{Title: finding.S("Compared with the other period", nil), Columns: []finding.Sentence{
		finding.S("what", nil), finding.S("now", nil), finding.S("before", nil), finding.S("change", nil)}}
	for _, c := range f.Changes {
		show := func(v float64) finding.Sentence {
			if c.share {
				return finding.Raw(percent(v) + " %")
			}
			return finding.Raw(fmt.Sprintf("%.1f", v))
		}
		change := finding.Raw("–")
		switch {
		case c.share:
			change = finding.Raw(fmt.Sprintf("%+.1f", (c.Now-c.Before)*100))
		case c.Before > 0:
			change = finding.Raw(fmt.Sprintf("%+.0f %%", (c.Now/c.Before-1)*100))
		}
		sec.Rows = append(sec.Rows, finding.Cells(c.says, show(c.Now), show(c.Before), change))
	}
	return sec
}

func hourColumns(first finding.Sentence) []finding.Sentence {
	return []finding.Sentence{first, finding.S("received", nil), finding.S("delivered", nil), finding.S("deferred", nil), finding.S("bounced", nil),
		finding.S("rejected", nil), finding.S("connections", nil), finding.S("in queue", nil)}
}

func hourRow(label string, h tally.Hour) finding.Row {
	return finding.Cells(finding.Raw(label), num(h.Received), num(h.Delivered), num(h.Deferred), num(h.Bounced), num(h.Rejected), num(h.Connections), num(h.InQueue))
}

func hourSection(s *tally.Stats) finding.Section {
	sec := finding.Section{Title: finding.S("Each hour", nil), Columns: hourColumns(finding.S("hour", nil))}
	for _, h := range s.Hours {
		sec.Rows = append(sec.Rows, hourRow(h.At.Local().Format("2006-01-02 15:04"), h))
	}
	return sec
}

func daySection(s *tally.Stats) finding.Section {
	sec := finding.Section{Title: finding.S("Each day", nil), Columns: hourColumns(finding.S("day", nil))}
	var day tally.Hour
	label := ""
	flush := func() {
		if label != "" {
			sec.Rows = append(sec.Rows, hourRow(label, day))
		}
	}
	for _, h := range s.Hours {
		if l := h.At.Local().Format("2006-01-02"); l != label {
			flush()
			label, day = l, tally.Hour{}
		}
		day.Received += h.Received
		day.Delivered += h.Delivered
		day.Deferred += h.Deferred
		day.Bounced += h.Bounced
		day.Rejected += h.Rejected
		day.Connections += h.Connections
		day.InQueue = h.InQueue
	}
	flush()
	return sec
}

func addressSection(title finding.Sentence, t tally.Table[tally.Address], n int, delivery bool) finding.Section {
	sec := finding.Section{Title: tableTitle(title, t.Distinct, t.Exact), Columns: []finding.Sentence{finding.S("who", nil), finding.S("messages", nil), finding.S("size", nil)}}
	if delivery {
		sec.Columns = append(sec.Columns, finding.S("deferrals", nil), finding.S("bounced", nil), finding.S("mean delay", nil), finding.S("longest delay", nil))
	}
	for _, r := range t.Rows[:min(n, len(t.Rows))] {
		cells := []finding.Sentence{finding.Raw(r.Key), num(r.Val.Messages), size(r.Val.Bytes)}
		if delivery {
			mean := finding.Raw("–")
			if r.Val.Messages > 0 {
				mean = span(r.Val.DelaySum / time.Duration(r.Val.Messages))
			}
			cells = append(cells, num(r.Val.Deferrals), num(r.Val.Bounces), mean, span(r.Val.DelayMax))
		}
		sec.Rows = append(sec.Rows, finding.Cells(cells...))
	}
	return sec
}

func tableTitle(title finding.Sentence, n int64, exact bool) finding.Sentence {
	args := finding.Args{"Title": title, "N": group(rounded(n, exact))}
	if exact {
		return finding.S("{{.Title}} ({{.N}})", args)
	}
	return finding.S("{{.Title}} (about {{.N}}, rare ones not listed)", args)
}

func clientSection(s *tally.Stats, n int) finding.Section {
	sec := finding.Section{Title: tableTitle(finding.S("Clients", nil), s.Clients.Distinct, s.Clients.Exact), Columns: []finding.Sentence{
		finding.S("address", nil), finding.S("connections", nil), finding.S("messages", nil), finding.S("rejected", nil)}}
	for _, r := range s.Clients.Rows[:min(n, len(s.Clients.Rows))] {
		sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(r.Key), num(r.Val.Connections), num(r.Val.Messages), num(r.Val.Rejected)))
	}
	return sec
}

func wordSection(s *tally.Stats, n int) finding.Section {
	sec := finding.Section{Title: finding.S("Warnings, faults and what filters said", nil), Columns: []finding.Sentence{finding.S("count", nil), finding.S("what", nil), finding.S("words of the log", nil)}}
	for _, r := range s.Words[:min(n, len(s.Words))] {
		kind, text, _ := strings.Cut(r.Key, " ")
		sec.Rows = append(sec.Rows, finding.Cells(num(r.Val), wordKind(kind), loggedWords(kind, text)))
	}
	return sec
}

// wordKind names the kind of a line that is about no message's fate.
func wordKind(kind string) finding.Sentence {
	switch kind {
	case "filter":
		return finding.S("content filter", nil)
	case "policy":
		return finding.S("policy service", nil)
	case "screen":
		return finding.S("postscreen", nil)
	case "sieve":
		return finding.S("sieve", nil)
	case "warning":
		return finding.S("warning", nil)
	case "trouble", "error":
		return finding.S("trouble", nil)
	case "fatal":
		return finding.S("fatal fault", nil)
	case "panic":
		return finding.S("panic", nil)
	case "lost":
		return finding.S("connection lost", nil)
	case "connect-error":
		return finding.S("no connection", nil)
	case "tls-failed":
		return finding.S("TLS failed", nil)
	case "started":
		return finding.S("start and stop", nil)
	}
	return finding.Raw(kind)
}

// loggedWords gives the words of a line, those of filters from a closed set in the reader's language.
func loggedWords(kind, text string) finding.Sentence {
	name, verdict, ok := strings.Cut(text, " ")
	if !ok || kind != "filter" && kind != "policy" {
		return finding.Raw(shorten(text, 200))
	}
	for _, action := range [...]string{"Passed", "Blocked", "reject"} { // what amavis and the SPF policy servers did
		if v, ok := strings.CutSuffix(verdict, " "+action); ok {
			return finding.S("{{.Filter}}: {{.Verdict}} ({{.Action}})", finding.Args{"Filter": name, "Verdict": check.FilterVerdict(v), "Action": check.FilterVerdict(action)})
		}
	}
	return finding.S("{{.Filter}}: {{.Verdict}}", finding.Args{"Filter": name, "Verdict": check.FilterVerdict(shorten(verdict, 200))})
}

func loginSection(f *Facts, in *Input) finding.Section {
	t := f.Stats.Totals
	sec := finding.Section{Title: finding.S("Logins", nil)}
	if t.LoginsOK+t.LoginsFailed == 0 {
		return sec
	}
	sec.Rows = append(sec.Rows, finding.Cells(finding.S("{{.OK}} worked, {{.Failed}} failed", finding.Args{"OK": group(t.LoginsOK), "Failed": group(t.LoginsFailed)})))
	if !in.Full {
		return sec
	}
	sec.Columns = []finding.Sentence{finding.S("account or address", nil), finding.S("worked", nil), finding.S("failed", nil), finding.S("networks", nil)}
	sec.Rows = nil
	for _, r := range f.Stats.Accounts.Rows[:min(in.Top, len(f.Stats.Accounts.Rows))] {
		sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(r.Key), num(r.Val.OK), num(r.Val.Failed), num(int64(len(r.Val.Networks)))))
	}
	for _, r := range f.Stats.Sources.Rows[:min(in.Top, len(f.Stats.Sources.Rows))] {
		sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(r.Key), num(r.Val.OK), num(r.Val.Failed), finding.Sentence{}))
	}
	for _, c := range f.Countries {
		sec.Rows = append(sec.Rows, finding.Cells(finding.S("from {{.Country}}", finding.Args{"Country": c.Code}), num(c.OK), finding.Sentence{}, finding.Sentence{}))
	}
	return sec
}

func tlsSection(s *tally.Stats) finding.Section {
	sec := finding.Section{Title: finding.S("TLS", nil)}
	var in, out int64
	for _, r := range s.TLS {
		if strings.HasPrefix(r.Key, "in ") {
			in += r.Val
		} else {
			out += r.Val
		}
	}
	for _, r := range s.TLS {
		dir, version, _ := strings.Cut(r.Key, " ")
		of, label := in, finding.S("incoming {{.V}}", finding.Args{"V": version})
		if dir == "out" {
			of, label = out, finding.S("outgoing {{.V}}", finding.Args{"V": version})
		}
		sec.Rows = append(sec.Rows, finding.Cells(label, num(r.Val), share(r.Val, of)))
	}
	return sec
}
