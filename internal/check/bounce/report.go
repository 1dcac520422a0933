package bounce

import (
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail/dsn"
)

// Survey is the report about one message that may be a bounce. name is the input's name.
func (r *Reader) Survey(name string, msg []byte, now time.Time) *finding.Report {
	facts := r.Read(msg)
	facts.File = name
	subject := finding.Subject{Kind: finding.KindMessage, Name: name}
	rep := &finding.Report{Command: "bounce", Target: subject, Facts: facts, Started: now, Findings: r.findings(facts, subject)}
	rep.Headline = headline(facts)
	rep.Sections = r.sections(facts)
	return rep
}

func (r *Reader) findings(f *Facts, subject finding.Subject) []finding.Finding {
	var out []finding.Finding
	for i := range f.Recipients {
		rc := &f.Recipients[i]
		rule := ruleOf(rc.owner)
		switch {
		case f.Kind == dsn.Complaint:
			rule = ruleComplaint
		case f.Kind == dsn.Delay || rc.Action == "delayed":
			rule = ruleDelayed
		case f.Kind != dsn.Bounce || rc.Cause == "delivered":
			continue
		}
		who := who(rc)
		one := rule.Failed(subject, finding.Args{"Recipient": who, "Cause": rc.causeName.Say(), "Advice": rc.adminAdvice.Say()}).Prove(rc.next)
		for _, e := range rc.Evidence {
			one = one.With(finding.Evidence{Source: "report", Place: place(f), Raw: e})
		}
		out = append(out, one)
		if rc.Disagree != "" {
			if c, err := r.know.Cause(rc.Disagree); err == nil {
				out = append(out, ruleDisagree.Failed(subject, finding.Args{"Recipient": who, "Said": rc.causeName.Say(), "Prose": c.Name.Say()}))
			}
		}
	}
	return out
}

func who(rc *Recipient) string {
	if rc.Recipient == "" {
		return "?"
	}
	return rc.Recipient
}

func place(f *Facts) string {
	if f.ReportingMTA != "" {
		return f.ReportingMTA
	}
	return f.Software
}

func headline(f *Facts) finding.Headline {
	args := finding.Args{"N": len(f.Recipients)}
	var first *Recipient
	if len(f.Recipients) > 0 {
		first = &f.Recipients[0]
		args["Recipient"], args["Cause"], args["Others"] = who(first), first.causeName.Say(), len(f.Recipients)-1
	}
	h := finding.Headline{State: finding.StateOK}
	switch f.Kind {
	case dsn.NotABounce:
		h.Says = finding.S("Not a bounce: ordinary mail.", nil)
		return h
	case dsn.AutoReply:
		h.Says = finding.S("Not a bounce: an automatic answer; the message arrived.", nil)
		return h
	case dsn.Success:
		h.Says = finding.S("Delivered: a notice of success for {{.N}} {{plural .N \"recipient\" \"recipients\"}}.", args)
		return h
	}
	if first == nil {
		h.State = finding.StateUntested
		h.Says = finding.S("A delivery report, but it names no recipient.", nil)
		return h
	}
	h.Owner, h.Next = first.owner, first.next
	switch {
	case f.Kind == dsn.Complaint:
		h.State = finding.StateWarning
		h.Says = finding.S("A complaint: {{.Recipient}} reported the message as unwanted.", args)
	case f.Kind == dsn.Delay:
		h.State = finding.StateWarning
		h.Says = finding.S("Delayed, not lost: {{.Recipient}}: {{.Cause}}.", args)
	case len(f.Recipients) > 1:
		h.State = finding.StateBroken
		h.Says = finding.S("Not delivered to {{.Recipient}}: {{.Cause}}; {{.Others}} more {{plural .Others \"recipient\" \"recipients\"}} below.", args)
	default:
		h.State = finding.StateBroken
		h.Says = finding.S("Not delivered to {{.Recipient}}: {{.Cause}}.", args)
	}
	return h
}

// sections is the report in a table per recipient.
func (r *Reader) sections(f *Facts) []finding.Section {
	var out []finding.Section
	about := finding.Section{}
	row := func(s *finding.Section, name, value finding.Sentence) {
		if value.In(finding.EN) != "" {
			s.Rows = append(s.Rows, finding.Cells(name, value))
		}
	}
	if f.Kind != dsn.NotABounce {
		row(&about, finding.S("written by", nil), finding.Raw(strings.TrimSpace(join(f.Software, f.ReportingMTA))))
	}
	row(&about, finding.S("about the message", nil), finding.Raw(f.Original.Subject))
	row(&about, finding.S("from", nil), finding.Raw(f.Original.From))
	if f.Forwarded {
		row(&about, finding.S("remark", nil), finding.S("the report was found inside a forwarded message", nil))
	}
	if len(about.Rows) > 0 {
		out = append(out, about)
	}
	for i := range f.Recipients {
		rc := &f.Recipients[i]
		if rc.Cause == "auto-reply" || rc.Cause == "complaint" {
			continue
		}
		s := finding.Section{Title: finding.Raw(who(rc))}
		row(&s, finding.S("refused by", nil), finding.Raw(rc.RemoteHost))
		row(&s, finding.S("at the command", nil), finding.Raw(rc.Command))
		row(&s, finding.S("code and status", nil), finding.Raw(strings.TrimSpace(rc.Code+" "+rc.Status)))
		row(&s, finding.S("said", nil), finding.Raw(knowledge.Flow(rc.Diagnostic)))
		row(&s, finding.S("means", nil), rc.meaning.Say())
		row(&s, finding.S("lasting", nil), lasting(f, rc))
		row(&s, finding.S("certainty", nil), certainty(rc))
		row(&s, finding.S("for the writer", nil), rc.userAdvice.Say())
		row(&s, finding.S("for the mail administrator", nil), rc.adminAdvice.Say())
		row(&s, finding.S("dialect", nil), r.know.ProviderName(rc.Provider).Say())
		row(&s, finding.S("documented", nil), finding.Raw(rc.Source))
		if !rc.Named {
			row(&s, finding.S("remark", nil), finding.S("the report does not name the recipient; this one stands in the returned message", nil))
		}
		out = append(out, s)
	}
	return out
}

func join(a, b string) string {
	if a != "" && b != "" {
		return a + ", " + b
	}
	return a + b
}

func lasting(f *Facts, rc *Recipient) finding.Sentence {
	switch {
	case rc.Cause == "delivered":
		return finding.Sentence{}
	case f.Kind == dsn.Delay:
		return finding.S("temporary: the mail server tries again by itself", nil)
	case rc.Permanent && rc.Bounce == "hard":
		return finding.S("permanent; the address is dead (hard bounce)", nil)
	case rc.Permanent:
		return finding.S("permanent until something is changed (soft bounce: the address may be good)", nil)
	}
	return finding.S("temporary, but the sending server has given up (soft bounce)", nil)
}

func certainty(rc *Recipient) finding.Sentence {
	switch rc.Certainty {
	case knowledge.Certain:
		return finding.S("certain: the server's own words or its provider's code say it", nil)
	case knowledge.Likely:
		return finding.S("likely: the words or the status nearly always mean this", nil)
	case knowledge.Guess:
		return finding.S("a guess from the code or the stage alone", nil)
	}
	return finding.S("unknown: nothing in the report tells a cause that is known", nil)
}

// Summary is one line of the table over many messages.
type Summary struct {
	File  string
	Facts *Facts
}

// Table is the report over many messages: a line per recipient, and the number of messages of each kind.
func Table(lines []Summary, now time.Time) *finding.Report {
	s := finding.Section{Title: finding.S("Messages", nil), Columns: []finding.Sentence{finding.S("input", nil), finding.S("kind", nil), finding.S("recipient address", nil), finding.S("cause", nil), finding.S("bounce", nil), finding.S("whose job", nil)}}
	bounced, failed := 0, 0
	for _, l := range lines {
		if l.Facts.Kind == dsn.Bounce {
			bounced++
		}
		if len(l.Facts.Recipients) == 0 {
			s.Rows = append(s.Rows, finding.Cells(finding.Raw(l.File), finding.Raw(string(l.Facts.Kind))))
		}
		for i := range l.Facts.Recipients {
			rc := &l.Facts.Recipients[i]
			if l.Facts.Kind == dsn.Bounce {
				failed++
			}
			s.Rows = append(s.Rows, finding.Cells(finding.Raw(l.File), finding.Raw(string(l.Facts.Kind)), finding.Raw(rc.Recipient), rc.causeName.Say(), finding.Raw(rc.Bounce), finding.Raw(rc.Owner)))
		}
	}
	h := finding.Headline{State: finding.StateOK, Says: finding.S("{{.N}} {{plural .N \"message\" \"messages\"}} read: {{.Bounced}} {{plural .Bounced \"bounce\" \"bounces\"}} for {{.Failed}} {{plural .Failed \"recipient\" \"recipients\"}}.", finding.Args{"N": len(lines), "Bounced": bounced, "Failed": failed})}
	if bounced > 0 {
		h.State = finding.StateBroken
	}
	return &finding.Report{Command: "bounce", Target: finding.Subject{Kind: finding.KindFile, Name: ""}, Headline: h, Sections: []finding.Section{s}, Started: now}
}
