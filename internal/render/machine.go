package render

import (
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// csvPrinter writes a row per finding. Cells that a spreadsheet would take for a formula get a leading apostrophe.
type csvPrinter struct {
	w     *csv.Writer
	heads bool
	Style
}

func newCSV(w io.Writer, st Style) *csvPrinter { return &csvPrinter{w: csv.NewWriter(w), Style: st} }

func (c *csvPrinter) Report(r *finding.Report) error {
	if !c.heads {
		c.heads = true
		c.row("command", "target", "state", "verdict", "rule", "subject", "owner", "text", "observed", "expected", "verify")
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		c.row(r.Command, r.Target.Name, string(r.Headline.State), f.Verdict().String(), f.Rule.ID, f.Subject.Name, f.Whose().String(),
			f.Says().In(c.Lang), f.Observed.In(c.Lang), f.Expected.In(c.Lang), Command(f.Verify))
	}
	c.w.Flush()
	return c.w.Error()
}

func (c *csvPrinter) row(cells ...string) {
	for i, s := range cells {
		s = Clean(s)
		if s != "" && strings.ContainsRune("=+-@\t", rune(s[0])) {
			s = "'" + s
		}
		cells[i] = s
	}
	_ = c.w.Write(cells) // an error stays in the writer and is returned by Report
}

func (c *csvPrinter) Close() error { c.w.Flush(); return c.w.Error() }

// junit writes a test suite per report, so that a CI shows findings as tests.
type junit struct {
	w      io.Writer
	suites []junitSuite
	Style
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Failure *junitMessage `xml:"failure,omitempty"`
	Skipped *junitMessage `xml:"skipped,omitempty"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

func (j *junit) Report(r *finding.Report) error {
	s := junitSuite{Name: Clean("mailwhy " + r.Command + " " + r.Target.Name)}
	for i := range r.Findings {
		f := &r.Findings[i]
		c := junitCase{Name: Clean(f.Rule.ID + " " + f.Subject.Name), Class: "mailwhy." + r.Command}
		says := Clean(f.Says().In(j.Lang))
		switch f.Verdict() {
		case finding.VerdictError, finding.VerdictWarning:
			s.Failures++
			c.Failure = &junitMessage{says, f.Level().String(), Clean(finding.Sentence{Msg: f.Rule.Repair, Args: f.Args}.In(j.Lang))}
		case finding.VerdictUntested, finding.VerdictNotApplicable:
			s.Skipped++
			c.Skipped = &junitMessage{Message: j.verdict(f.Verdict()) + ": " + says}
		default:
			c.Out = says
		}
		s.Cases = append(s.Cases, c)
	}
	s.Tests = len(s.Cases)
	j.suites = append(j.suites, s)
	return nil
}

func (j *junit) Close() error {
	if len(j.suites) == 0 {
		return nil
	}
	if _, err := io.WriteString(j.w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(j.w)
	e.Indent("", "  ")
	err := e.Encode(struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}{Suites: j.suites})
	if err == nil {
		_, err = io.WriteString(j.w, "\n")
	}
	return err
}

// sarif writes SARIF 2.1.0: rules with help, and a result per broken rule.
type sarif struct {
	w       io.Writer
	reports []*finding.Report
	Style
}

func (s *sarif) Report(r *finding.Report) error { s.reports = append(s.reports, r); return nil }

type sarifText struct {
	Text string `json:"text"`
}

type sarifRule struct {
	ID      string    `json:"id"`
	Short   sarifText `json:"shortDescription"`
	Full    sarifText `json:"fullDescription"`
	Help    sarifText `json:"help"`
	Default struct {
		Level string `json:"level"`
	} `json:"defaultConfiguration"`
}

type sarifResult struct {
	RuleID    string          `json:"ruleId"`
	Level     string          `json:"level"`
	Kind      string          `json:"kind"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations"`
}

type sarifLocation struct {
	Logical []sarifLogical `json:"logicalLocations"`
}

type sarifLogical struct {
	Name string `json:"fullyQualifiedName"`
	Kind string `json:"kind"`
}

func (s *sarif) Close() error {
	if len(s.reports) == 0 {
		return nil
	}
	rules, results := []sarifRule{}, []sarifResult{}
	seen := map[string]bool{}
	for _, r := range s.reports {
		for i := range r.Findings {
			f := &r.Findings[i]
			if !seen[f.Rule.ID] {
				seen[f.Rule.ID] = true
				rules = append(rules, s.rule(f.Rule))
			}
			if res, ok := s.result(f); ok {
				results = append(results, res)
			}
		}
	}
	e := json.NewEncoder(s.w)
	e.SetIndent("", "  ")
	return e.Encode(map[string]any{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json",
		"version": "2.1.0",
		"runs": []any{map[string]any{
			"tool":    map[string]any{"driver": map[string]any{"name": "mailwhy", "version": s.Version, "rules": rules}},
			"results": results,
		}},
	})
}

var sarifLevels = [...]string{"note", "warning", "error"}

func (s *sarif) rule(r *finding.Rule) sarifRule {
	say := func(m finding.Msg) string { return finding.Sentence{Msg: m}.In(s.Lang) }
	out := sarifRule{ID: r.ID, Short: sarifText{say(r.Title)}, Full: sarifText{say(r.Why)}, Help: sarifText{say(r.Repair)}}
	out.Default.Level = sarifLevels[r.Severity]
	return out
}

// result is nil for what holds or does not apply. What could not be tested is of kind "review": not a failure.
func (s *sarif) result(f *finding.Finding) (sarifResult, bool) {
	r := sarifResult{
		RuleID: f.Rule.ID, Level: sarifLevels[f.Level()], Kind: "fail", Message: sarifText{Clean(f.Says().In(s.Lang))},
		Locations: []sarifLocation{{[]sarifLogical{{Clean(f.Subject.Name), "resource"}}}},
	}
	switch f.Outcome {
	case finding.Fail:
		return r, true
	case finding.Unknown:
		r.Kind, r.Level = "review", "none"
		return r, true
	}
	return r, false
}
