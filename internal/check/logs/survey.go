package logs

import (
	"fmt"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/trace/tally"
)

// Survey judges the numbers of a log and lays them out: one screen, or everything with Full.
func Survey(env *check.Env, in Input) (*finding.Report, error) {
	started := env.Now()
	lim, err := env.Know.LogLimits()
	if err != nil {
		return nil, err
	}
	if in.Top == 0 {
		in.Top = 10
	}
	facts, err := gather(&in, env.Know, lim)
	if err != nil {
		return nil, err
	}
	subject := finding.Subject{Kind: finding.KindLog, Name: names(in.Files)}
	fs := judge(subject, &in, facts, lim)
	r := check.NewReport(env, "logs", subject, started, fs, nil, facts)
	r.Headline = headline(r, facts)
	r.Sections = sections(&in, facts)
	trim(in.Stats, in.Top, in.Full)
	return r, nil
}

func names(files []File) string {
	var out []string
	for _, f := range files {
		out = append(out, f.Name)
	}
	if len(out) > 3 {
		return fmt.Sprintf("%s … (%d)", strings.Join(out[:3], ", "), len(out))
	}
	return strings.Join(out, ", ")
}

// headline says how mail flowed and what is the gravest thing.
func headline(r *finding.Report, f *Facts) finding.Headline {
	t := f.Stats.Totals
	if t.Received+t.Delivered+t.Rejected+t.LoginsOK+t.LoginsFailed == 0 {
		return r.Headline
	}
	args := finding.Args{"Received": group(t.Received), "Delivered": group(t.Delivered), "Bounced": group(t.Bounced), "Queue": group(t.InQueue)}
	says := finding.S("Mail flows: {{.Received}} {{plural .Received \"message\" \"messages\"}} in, {{.Delivered}} {{plural .Delivered \"delivery\" \"deliveries\"}}, {{.Bounced}} bounced, {{.Queue}} still in the queue.", args)
	h := finding.Headline{State: finding.StateOK, Says: says}
	var first *finding.Finding
	n := 0
	for i := range r.Findings {
		v := r.Findings[i].Verdict()
		if v <= finding.VerdictWarning {
			n++
		}
		if v <= finding.VerdictUntested && (first == nil || v < first.Verdict()) {
			first = &r.Findings[i]
		}
	}
	if first == nil {
		return h
	}
	args["First"], args["Others"] = first.Says(), n-1
	h.Owner, h.Next = first.Whose(), first.Verify
	switch first.Verdict() {
	case finding.VerdictError:
		h.State = finding.StateBroken
	case finding.VerdictWarning:
		h.State = finding.StateWarning
	default:
		h.State, h.Owner = finding.StateUntested, finding.OwnerNobody
	}
	if n > 1 {
		h.Says = finding.S("{{.First}}, and {{.Others}} more {{plural .Others \"thing\" \"things\"}} to look at. {{.Received}} {{plural .Received \"message\" \"messages\"}} in, {{.Delivered}} {{plural .Delivered \"delivery\" \"deliveries\"}}, {{.Bounced}} bounced, {{.Queue}} still in the queue.", args)
	} else {
		h.Says = finding.S("{{.First}}. {{.Received}} {{plural .Received \"message\" \"messages\"}} in, {{.Delivered}} {{plural .Delivered \"delivery\" \"deliveries\"}}, {{.Bounced}} bounced, {{.Queue}} still in the queue.", args)
	}
	return h
}

// trim cuts the tables of the facts to what is shown, so that JSON stays readable; Full keeps them whole.
func trim(s *tally.Stats, top int, full bool) {
	if full {
		return
	}
	cutTo(&s.Senders, top)
	cutTo(&s.SenderDomains, top)
	cutTo(&s.Recipients, top)
	cutTo(&s.RecipientDomains, top)
	cutTo(&s.Clients, top)
	cutTo(&s.Relays, top)
	cutTo(&s.Accounts, top)
	cutTo(&s.Sources, top)
	s.Reasons = s.Reasons[:min(len(s.Reasons), top)]
	s.Words = s.Words[:min(len(s.Words), top)]
}

func cutTo[T any](t *tally.Table[T], top int) { t.Rows = t.Rows[:min(len(t.Rows), top)] }

func num(n int64) finding.Sentence { return finding.Raw(group(n)) }

// group writes a number with thin groups of three: 11,696.
func group(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// rounded leaves three digits of an estimate.
func rounded(n int64, exact bool) int64 {
	for unit := int64(1); !exact; unit *= 10 {
		if n < 1000*unit {
			return (n + unit/2) / unit * unit
		}
	}
	return n
}

// about writes a number that may be an estimate.
func about(n int64, exact bool) string {
	if exact {
		return group(n)
	}
	return "≈ " + group(rounded(n, false))
}

func size(n int64) finding.Sentence { return finding.Raw(finding.Size(n)) }

func span(d time.Duration) finding.Sentence {
	return finding.Sentence{Msg: durationMsg, Args: finding.Args{"D": d}}
}

// durationMsg is a span and nothing else: the same in every language but for its unit.
const durationMsg finding.Msg = "{{.D}}"
