package feedback

import (
	"context"
	"strconv"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// showTop is how many sources of a class are shown.
const showTop = 15

// Finish names, sorts and judges what was read, and makes the report of `mailwhy reports`.
func (s *Sum) Finish(ctx context.Context, env *check.Env, started time.Time, name string) *finding.Report {
	s.finish()
	s.name(ctx, env)
	s.classify()
	r := check.NewReport(env, "reports", finding.Subject{Kind: finding.KindReport, Name: name}, started, Judge(s), s.sections(), s)
	s.headline(r)
	return r
}

// headline says what the reports come to.
func (s *Sum) headline(r *finding.Report) {
	h := &r.Headline
	args := finding.Args{"Reports": s.Reports, "Messages": s.Messages, "Domains": len(s.Domains), "Days": s.Days(),
		"Share": percent(s.Aligned, s.Messages), "Broken": len(s.Troubles), "TLS": len(s.TLS), "Failures": len(s.Failures), "Complaints": len(s.Complaints)}
	var lost uint64
	for _, d := range s.Domains {
		lost += d.Lost[Failing] + d.Lost[Forwarder]
	}
	args["Lost"] = lost
	switch {
	case s.Reports+len(s.TLS)+len(s.Failures)+len(s.Complaints) == 0:
		h.State, h.Owner, h.Next = finding.StateUntested, finding.OwnerSelf, nil
		h.Says = finding.S("No report could be read from {{.Files}} {{plural .Files \"file\" \"files\"}}.", finding.Args{"Files": s.Files})
	case s.Messages > 0 && lost > 0:
		h.Says = finding.S("{{.Share}}% of {{.Messages}} messages pass DMARC; {{.Lost}} that look like your own fail and would be lost under a strict policy.", args)
	case s.Messages > 0 && h.State != finding.StateBroken && s.tlsFailures() == 0:
		h.Owner, h.Next = finding.OwnerNobody, nil
		h.Says = finding.S("{{.Share}}% of {{.Messages}} messages pass DMARC, and none that looks like your own fails.", args)
	}
}

func (s *Sum) tlsFailures() (n uint64) {
	for _, t := range s.TLS {
		n += t.Failure
	}
	return n
}

func percent(part, whole uint64) string {
	if whole == 0 {
		return "0"
	}
	return strconv.FormatFloat(100*float64(part)/float64(whole), 'f', 1, 64)
}

func num(n uint64) finding.Sentence { return finding.Raw(strconv.FormatUint(n, 10)) }

func day(unix int64) finding.Sentence {
	if unix == 0 {
		return finding.Raw("")
	}
	return finding.Raw(time.Unix(unix, 0).UTC().Format(time.DateOnly))
}

func (s *Sum) sections() []finding.Section {
	out := []finding.Section{s.overview()}
	if len(s.Domains) > 0 {
		out = append(out, s.domainTable())
	}
	for _, c := range classes {
		if sec := s.sourceTable(c); len(sec.Rows) > 0 {
			out = append(out, sec)
		}
	}
	if len(s.Domains) > 0 {
		out = append(out, s.whatIf())
	}
	if len(s.TLS) > 0 {
		out = append(out, s.tlsTable())
	}
	if len(s.Failures) > 0 {
		out = append(out, s.failureTable())
	}
	return out
}

func (s *Sum) overview() finding.Section {
	sec := finding.Section{Title: finding.S("What was read", nil)}
	row := func(what finding.Sentence, v finding.Sentence) { sec.Rows = append(sec.Rows, finding.Cells(what, v)) }
	row(finding.S("files", nil), num(uint64(s.Files)))
	row(finding.S("aggregate reports", nil), num(uint64(s.Reports)))
	if s.Duplicates > 0 {
		row(finding.S("reports that came again, not counted", nil), num(uint64(s.Duplicates)))
	}
	if s.Messages > 0 {
		row(finding.S("messages", nil), num(s.Messages))
		row(finding.S("of which pass DMARC", nil), finding.Raw(strconv.FormatUint(s.Aligned, 10)+" ("+percent(s.Aligned, s.Messages)+"%)"))
		row(finding.S("sending addresses", nil), num(uint64(s.Addresses)))
	}
	if s.BadRows > 0 {
		row(finding.S("rows without a usable address or number", nil), num(uint64(s.BadRows)))
	}
	if len(s.Failures) > 0 {
		row(finding.S("reports about single messages", nil), num(uint64(len(s.Failures))))
	}
	if len(s.Complaints) > 0 {
		row(finding.S("complaints", nil), num(uint64(len(s.Complaints))))
	}
	if s.End > 0 {
		row(finding.S("first day", nil), day(s.Begin))
		row(finding.S("last day", nil), day(s.End))
	}
	return sec
}

func (s *Sum) domainTable() finding.Section {
	sec := finding.Section{
		Title: finding.S("By domain", nil),
		Columns: []finding.Sentence{finding.S("domain", nil), finding.S("policy", nil), finding.S("messages", nil), finding.S("pass", nil),
			finding.S("let through", nil), finding.S("quarantined", nil), finding.S("turned away", nil), finding.S("first", nil), finding.S("last", nil)},
	}
	for i, d := range s.Domains {
		if i == 50 {
			break
		}
		sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(d.Name), finding.Raw("p="+d.Policy.P), num(d.Messages), finding.Raw(percent(d.Aligned, d.Messages)+"%"),
			num(d.Dispositions["none"]+d.Dispositions["pass"]), num(d.Dispositions["quarantine"]), num(d.Dispositions["reject"]), day(d.Begin), day(d.End)))
	}
	return sec
}

func (s *Sum) sourceTable(c Class) finding.Section {
	sec := finding.Section{
		Title: classTitle(c),
		Columns: []finding.Sentence{finding.S("source", nil), finding.S("domain", nil), finding.S("messages", nil), finding.S("DKIM aligned", nil),
			finding.S("SPF aligned", nil), finding.S("let through", nil), finding.S("first", nil), finding.S("last", nil)},
		Folded: c == Fine,
	}
	more := 0
	for _, src := range s.Sources {
		if src.Class != c {
			continue
		}
		if len(sec.Rows) == showTop {
			more++
			continue
		}
		v := map[Class]finding.Verdict{Fine: finding.VerdictPass, Failing: finding.VerdictWarning, Forwarder: finding.VerdictNote, Stranger: finding.VerdictNote}[c]
		sec.Rows = append(sec.Rows, finding.Marked(v, finding.Raw(src.label()), finding.Raw(src.Domain), num(src.Messages), num(src.DKIM), num(src.SPF),
			num(src.Dispositions.None+src.Dispositions.Pass), day(src.First), day(src.Last)))
	}
	if more > 0 {
		sec.Rows = append(sec.Rows, finding.Cells(finding.S("and {{.N}} more sources (--json has all)", finding.Args{"N": more}), finding.Raw(""), finding.Raw(""), finding.Raw(""), finding.Raw(""), finding.Raw(""), finding.Raw(""), finding.Raw("")))
	}
	return sec
}

func classTitle(c Class) finding.Sentence {
	switch c {
	case Fine:
		return finding.S("Own sources that pass", nil)
	case Failing:
		return finding.S("Own sources that fail: repair these", nil)
	case Forwarder:
		return finding.S("Forwarders: others pass on your mail", nil)
	}
	return finding.S("Strangers: mail in your name from elsewhere", nil)
}

// whatIf tells what a policy would have done to the mail that fails, per class.
func (s *Sum) whatIf() finding.Section {
	sec := finding.Section{
		Title: finding.S("What p=quarantine would put into spam and p=reject would refuse", nil),
		Columns: []finding.Sentence{finding.S("domain", nil), finding.S("own sources", nil), finding.S("forwarded", nil), finding.S("strangers", nil),
			finding.S("kept", nil)},
	}
	for i, d := range s.Domains {
		if i == 50 {
			break
		}
		sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(d.Name), num(d.Lost[Failing]+d.Lost[Fine]), num(d.Lost[Forwarder]), num(d.Lost[Stranger]), num(d.Aligned)))
	}
	return sec
}

func (s *Sum) tlsTable() finding.Section {
	sec := finding.Section{
		Title:   finding.S("Encryption towards your servers (TLS reports)", nil),
		Columns: []finding.Sentence{finding.S("domain", nil), finding.S("policy", nil), finding.S("good sessions", nil), finding.S("failed", nil), finding.S("how", nil)},
	}
	for i, t := range s.TLS {
		if i == 50 {
			break
		}
		how := finding.Raw("")
		if len(t.Types) > 0 {
			how = finding.S("{{list .Types}}", finding.Args{"Types": typeList(t.Types)})
		}
		sec.Rows = append(sec.Rows, finding.Cells(finding.Raw(t.Domain), finding.Raw(t.Policy), num(t.Success), num(t.Failure), how))
	}
	return sec
}

func (s *Sum) failureTable() finding.Section {
	sec := finding.Section{
		Title:   finding.S("Reports about single messages", nil),
		Columns: []finding.Sentence{finding.S("domain", nil), finding.S("source", nil), finding.S("failed", nil), finding.S("envelope sender", nil), finding.S("what was done", nil)},
	}
	for i, f := range s.Failures {
		if i == showTop {
			break
		}
		ip := ""
		if f.SourceIP.IsValid() {
			ip = f.SourceIP.String()
		}
		sec.Rows = append(sec.Rows, finding.Cells(finding.S("{{list .D}}", finding.Args{"D": f.Domains}), finding.Raw(ip), finding.Raw(f.Failure), finding.Raw(f.MailFrom), finding.Raw(f.Result)))
	}
	return sec
}
