package fields

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/header"
)

// Context is what other parts of a survey know of the message.
type Context struct {
	Arrived  time.Time // at our border; zero: not known
	Freemail []string  // domains where anybody can open a mailbox
}

// once lists the fields that may stand at most once (RFC 5322 section 3.6).
var once = []string{"From", "Date", "Subject", "To", "Cc", "Bcc", "Message-ID", "Reply-To", "Sender", "In-Reply-To", "References", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"}

var messageID = regexp.MustCompile(`^<[^<>@\s]+@[^<>@\s]+>$`)

// Judge says what is wrong with the header.
func Judge(f *Facts, c Context, s finding.Subject) []finding.Finding {
	var out []finding.Finding
	add := func(x ...finding.Finding) { out = append(out, x...) }
	switch {
	case f.Counts["from"] == 0:
		add(ruleFromMissing.Failed(s, nil))
	case len(f.From) == 0 || f.From[0].Domain == "":
		add(ruleFromBad.Failed(s, finding.Args{"Raw": clip(f.fromRaw)}).With(ev("From", f.fromRaw)))
	default:
		add(ruleFromMissing.Passed(s, nil))
	}
	add(f.judgeDate(c, s)...)
	switch {
	case f.MessageID == "":
		add(ruleIDMissing.Failed(s, nil))
	case !messageID.MatchString(f.MessageID):
		add(ruleIDBad.Failed(s, finding.Args{"ID": clip(f.MessageID)}).With(ev("Message-ID", f.MessageID)))
	default:
		add(ruleIDMissing.Passed(s, nil))
	}
	n := len(out)
	for _, name := range once {
		if k := f.Counts[strings.ToLower(name)]; k > 1 {
			add(ruleDuplicate.Failed(s, finding.Args{"Field": name, "N": k}))
		}
	}
	if len(out) == n {
		add(ruleDuplicate.Passed(s, nil))
	}
	add(f.judgeForm(s)...)
	add(f.judgeNames(c, s)...)
	return out
}

func (f *Facts) judgeDate(c Context, s finding.Subject) []finding.Finding {
	switch {
	case f.Counts["date"] == 0:
		return []finding.Finding{ruleDateMissing.Failed(s, nil)}
	case f.dateErr != nil:
		return []finding.Finding{ruleDateBad.Failed(s, finding.Args{"Faults": []finding.Sentence{finding.S("it cannot be read at all", nil)}, "Date": clip(f.DateText)}).With(ev("Date", f.DateText))}
	}
	out := []finding.Finding{ruleDateMissing.Passed(s, nil)}
	if faults := dateFaults(f.DateFaults); len(faults) > 0 {
		out = append(out, ruleDateBad.Failed(s, finding.Args{"Faults": faults, "Date": clip(f.DateText)}).With(ev("Date", f.DateText)))
	}
	if off := f.Date.Sub(c.Arrived); !c.Arrived.IsZero() && off.Abs() > 24*time.Hour {
		dir := finding.S("earlier than", nil)
		if off > 0 {
			dir = finding.S("later than", nil)
		}
		out = append(out, ruleDateOff.Failed(s, finding.Args{"Span": off.Abs(), "Dir": dir}).With(ev("Date", f.DateText)))
	}
	return out
}

// dateFaults says the faults that count; a zone's name where a number is wanted is obsolete, but harmless.
func dateFaults(faults []string) []finding.Sentence {
	var out []finding.Sentence
	for _, x := range faults {
		switch x {
		case "short-year":
			out = append(out, finding.S("the year has not four digits", nil))
		case "layout":
			out = append(out, finding.S("its parts stand in another order or form", nil))
		case "wrong-weekday":
			out = append(out, finding.S("the day of the week does not fit the date", nil))
		case "no-zone":
			out = append(out, finding.S("it has no time zone", nil))
		case "unknown-zone":
			out = append(out, finding.S("its time zone is unknown", nil))
		case "bad-zone":
			out = append(out, finding.S("its time zone is impossible", nil))
		case "trailing-text":
			out = append(out, finding.S("text stands behind it", nil))
		}
	}
	return out
}

// judgeForm says the faults of form, each kind once.
func (f *Facts) judgeForm(s finding.Subject) []finding.Finding {
	var out []finding.Finding
	said := map[header.FaultKind]bool{}
	bits, form := false, false
	for _, x := range f.Faults {
		if said[x.Kind] {
			continue
		}
		said[x.Kind] = true
		if x.Kind == header.RawEightBit || x.Kind == header.RawUTF8 && !f.EAI {
			bits = true
			what := finding.S("UTF-8 text", nil)
			if x.Kind == header.RawEightBit {
				what = finding.S("text of an unnamed charset", nil)
			}
			out = append(out, ruleEightBit.Failed(s, finding.Args{"What": what, "Line": x.Line}))
			continue
		}
		if what := formFault(x.Kind); !what.IsZero() {
			form = true
			out = append(out, ruleForm.Failed(s, finding.Args{"What": what, "Line": x.Line}))
		}
	}
	if !bits {
		out = append(out, ruleEightBit.Passed(s, nil))
	}
	if !form {
		out = append(out, ruleForm.Passed(s, nil))
	}
	return out
}

func formFault(k header.FaultKind) finding.Sentence {
	switch k {
	case header.NotAField:
		return finding.S("A line of the header is no field", nil)
	case header.SpaceInName:
		return finding.S("A blank stands before the colon of a field", nil)
	case header.NoBlankLine:
		return finding.S("No empty line parts the header from the body", nil)
	case header.LineTooLong:
		return finding.S("A line of the header is longer than 998 bytes", nil)
	case header.NulByte:
		return finding.S("The header holds a NUL byte", nil)
	case header.BareCR:
		return finding.S("A CR without LF stands in the header", nil)
	case header.MixedLineEnds:
		return finding.S("Line ends of two kinds are mixed in the header", nil)
	case header.OrphanFolding:
		return finding.S("The header begins with a folded line", nil)
	}
	return finding.Sentence{}
}

func (f *Facts) judgeNames(c Context, s finding.Subject) []finding.Finding {
	if len(f.From) == 0 || f.From[0].Domain == "" {
		return nil
	}
	var out []finding.Finding
	from := f.From[0]
	if shown := addressIn(from.Name); shown.Domain != "" && Org(shown.Domain) != Org(from.Domain) {
		out = append(out, ruleDisplay.Failed(s, finding.Args{"Shown": clip(from.Name), "From": from.Address}).With(ev("From", f.fromRaw)))
	}
	for _, r := range f.ReplyTo {
		if r.Domain == "" || Org(r.Domain) == Org(from.Domain) || f.List {
			continue
		}
		rule := ruleReplyTo
		if slices.Contains(c.Freemail, r.Domain) && !slices.Contains(c.Freemail, from.Domain) {
			rule = ruleReplyFree
		}
		out = append(out, rule.Failed(s, finding.Args{"ReplyTo": r.Address, "From": from.Address}))
		break
	}
	if rp := f.ReturnPath; rp != nil && rp.Domain != "" && Org(rp.Domain) != Org(from.Domain) {
		out = append(out, ruleReturn.Failed(s, finding.Args{"ReturnPath": rp.Address, "From": from.Address, "Domain": rp.Domain}))
	}
	return out
}

var inName = regexp.MustCompile(`[^\s<>"'(),;:@]+@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)`)

func addressIn(name string) Address {
	m := inName.FindStringSubmatch(name)
	if m == nil {
		return Address{}
	}
	return address("", m[0])
}

func ev(field, raw string) finding.Evidence {
	return finding.Evidence{Source: "header", Place: field, Raw: clip(raw)}
}

func clip(s string) string {
	if len(s) > 300 {
		return strings.ToValidUTF8(s[:300], "") + " … (" + strconv.Itoa(len(s)) + " B)"
	}
	return s
}
