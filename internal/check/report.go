package check

import (
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire/http"
)

// NewReport makes the report of a command about one target: findings in reading order, the headline from the gravest
// of them. Surveys with a better sentence of their own replace the headline.
func NewReport(env *Env, command string, target finding.Subject, started time.Time, fs []finding.Finding, sections []finding.Section, facts any) *finding.Report {
	finding.Order(fs)
	return &finding.Report{
		Command: command, Target: target, Headline: Headline(target, fs), Findings: fs, Sections: sections, Facts: facts,
		Started: started, Took: env.Now().Sub(started),
	}
}

// Headline says the state of a target in one sentence: the gravest finding, how many more there are, whose job. fs is
// in reading order.
func Headline(target finding.Subject, fs []finding.Finding) finding.Headline {
	count := map[finding.Verdict]int{}
	var first *finding.Finding
	for i := range fs {
		v := fs[i].Verdict()
		count[v]++
		if v <= finding.VerdictUntested && (first == nil || v < first.Verdict()) {
			first = &fs[i]
		}
	}
	if first != nil && first.Verdict() == finding.VerdictUntested {
		first = gravestUntested(fs, count[finding.VerdictPass])
	}
	args := finding.Args{"Target": target.Name, "Checks": count[finding.VerdictPass], "Untested": count[finding.VerdictUntested]}
	if first == nil {
		if count[finding.VerdictPass] == 0 {
			return finding.Headline{State: finding.StateOK, Says: finding.S("{{.Target}}: nothing to find fault with.", args)}
		}
		return finding.Headline{State: finding.StateOK, Says: finding.S("{{.Target}} is fine: {{.Checks}} {{plural .Checks \"check\" \"checks\"}} passed{{if .Untested}}, {{.Untested}} could not be done{{end}}.", args)}
	}
	h := finding.Headline{Owner: first.Whose(), Next: first.Verify}
	args["First"] = first.Says()
	args["Others"] = faults(fs) - 1
	switch first.Verdict() {
	case finding.VerdictError:
		h.State = finding.StateBroken
	case finding.VerdictWarning:
		h.State = finding.StateWarning
	default:
		h.State, h.Owner = finding.StateUntested, finding.OwnerNobody
		h.Says = finding.S("{{.Target}} could not be tested: {{.First}}.", args)
		return h
	}
	switch named := strings.HasPrefix(first.Says().String(), target.Name); { // do not name the target twice
	case named && args["Others"] == 0:
		h.Says = finding.S("{{.First}}.", args)
	case named:
		h.Says = finding.S("{{.First}}, and {{.Others}} more {{plural .Others \"fault\" \"faults\"}}.", args)
	case args["Others"] == 0:
		h.Says = finding.S("{{.Target}}: {{.First}}.", args)
	default:
		h.Says = finding.S("{{.Target}}: {{.First}}, and {{.Others}} more {{plural .Others \"fault\" \"faults\"}}.", args)
	}
	return h
}

// faults counts what is broken: a fault seen at several addresses counts once, and what another fault explains does not
// count. At least the first is one.
func faults(fs []finding.Finding) int {
	told := map[string]bool{}
	for i := range fs {
		if f := &fs[i]; f.Verdict() <= finding.VerdictWarning && len(f.Causes) == 0 {
			told[f.Rule.ID+"\x00"+f.Subject.Name+"\x00"+f.Says().String()] = true
		}
	}
	return max(len(told), 1)
}

// gravestUntested is the finding of error severity that could not be tested. Where there is none, what could not be
// tested is no headline as long as something passed.
func gravestUntested(fs []finding.Finding, passed int) *finding.Finding {
	var any *finding.Finding
	for i := range fs {
		if f := &fs[i]; f.Verdict() == finding.VerdictUntested {
			if f.Level() == finding.Error {
				return f
			}
			if any == nil {
				any = f
			}
		}
	}
	if passed > 0 {
		return nil
	}
	return any
}

// txtEscapes are what RFC 1035 section 5.1 wants before a quote or a backslash; a Replacer is safe for concurrent use.
var txtEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// QuoteTXT writes a TXT value as it stands in a zone file: quoted, in strings of at most 255 bytes.
func QuoteTXT(value string) string {
	var b strings.Builder
	for first := true; first || value != ""; first = false {
		n := min(len(value), 255)
		if !first {
			b.WriteByte(' ')
		}
		b.WriteByte('"')
		b.WriteString(txtEscapes.Replace(value[:n]))
		b.WriteByte('"')
		value = value[n:]
	}
	return b.String()
}

// HTTP is the run's door to web servers.
func (e *Env) HTTP() *http.Client {
	o := http.Options{Dial: e.Dial, Timeout: e.Probe.Timeout, Roots: e.Roots, NoIPv6: e.Probe.NoIPv6, Now: e.Now, Tape: e.Tape}
	if e.DNS != nil {
		o.Resolver = e.DNS
	}
	return http.New(o)
}
