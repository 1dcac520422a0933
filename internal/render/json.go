package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
	"unicode"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// jsonLines writes one object per report and line, as docs/json.md says.
type jsonLines struct {
	w io.Writer
	Style
}

// The JSON shapes of a report. Field order is the order of the document.
type jsonReport struct {
	Version  int            `json:"version"`
	Tool     jsonTool       `json:"tool"`
	Lang     finding.Lang   `json:"lang"`
	Command  string         `json:"command"`
	Target   jsonSubject    `json:"target"`
	Headline jsonHeadline   `json:"headline"`
	Counts   map[string]int `json:"counts"`
	Findings []jsonFinding  `json:"findings"`
	Sections []jsonSection  `json:"sections,omitempty"`
	Started  time.Time      `json:"started,omitzero"`
	TookMS   float64        `json:"took_ms"`
}

type jsonTool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type jsonSubject = finding.Subject

type jsonHeadline struct {
	State finding.State `json:"state"`
	Text  string        `json:"text"`
	Owner finding.Owner `json:"owner"`
	Next  string        `json:"next,omitempty"`
}

type jsonFinding struct {
	ID       string             `json:"id"`
	Verdict  finding.Verdict    `json:"verdict"`
	Outcome  finding.Outcome    `json:"outcome"`
	Severity finding.Severity   `json:"severity"`
	Owner    finding.Owner      `json:"owner"`
	Subject  jsonSubject        `json:"subject"`
	Title    string             `json:"title"`
	Text     string             `json:"text"`
	Observed string             `json:"observed,omitempty"`
	Expected string             `json:"expected,omitempty"`
	Evidence []finding.Evidence `json:"evidence,omitempty"`
	Why      string             `json:"why,omitempty"`
	Repair   string             `json:"repair,omitempty"`
	Fix      []finding.Step     `json:"fix,omitempty"`
	Verify   string             `json:"verify,omitempty"`
	Cannot   *jsonCannot        `json:"cannot,omitempty"`
	Causes   []string           `json:"causes,omitempty"`
	Refs     []finding.Ref      `json:"refs,omitempty"`
	Args     map[string]any     `json:"args,omitempty"`
}

type jsonCannot struct {
	Why   string    `json:"why"`
	Again time.Time `json:"again,omitzero"`
}

type jsonSection struct {
	Title   string     `json:"title,omitempty"`
	Columns []string   `json:"columns,omitempty"`
	Rows    []jsonRow  `json:"rows,omitempty"`
	Raw     string     `json:"raw,omitempty"`
	Chart   *jsonChart `json:"chart,omitempty"`
	Folded  bool       `json:"folded,omitempty"`
}

type jsonChart struct {
	Kind   string       `json:"kind"`
	Labels []string     `json:"labels"`
	Series []jsonSeries `json:"series"`
	Unit   string       `json:"unit,omitempty"`
}

type jsonSeries struct {
	Name   string    `json:"name"`
	Values []float64 `json:"values"`
}

type jsonRow struct {
	Verdict string   `json:"verdict,omitempty"`
	Depth   int      `json:"depth,omitempty"`
	Cells   []string `json:"cells"`
}

func (j *jsonLines) Report(r *finding.Report) error {
	b, err := JSON(r, j.Style)
	if err != nil {
		return err
	}
	_, err = j.w.Write(append(b, '\n'))
	return err
}

func (j *jsonLines) Close() error { return nil }

// JSON is the JSON form of one report, on one line. The keys of the survey's facts stand beside those of the report;
// facts that are no JSON object stand under "facts".
func JSON(r *finding.Report, st Style) ([]byte, error) {
	doc := jsonReport{
		Version: finding.ReportVersion, Tool: jsonTool{"mailwhy", st.Version}, Lang: st.Lang, Command: r.Command, Target: r.Target,
		Headline: jsonHeadline{r.Headline.State, st.headlineText(r), r.Headline.Owner, Command(r.Headline.Next)},
		Counts:   map[string]int{}, Findings: make([]jsonFinding, 0, len(r.Findings)),
		Started: r.Started, TookMS: float64(r.Took.Microseconds()) / 1000,
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		doc.Counts[f.Verdict().String()]++
		doc.Findings = append(doc.Findings, st.jsonFinding(f))
	}
	for i := range r.Sections {
		doc.Sections = append(doc.Sections, st.jsonSection(&r.Sections[i]))
	}
	b, err := encode(doc)
	if err != nil || r.Facts == nil {
		return b, err
	}
	return inline(b, r.Facts)
}

func (st Style) headlineText(r *finding.Report) string { return r.Headline.Says.In(st.Lang) }

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return escapeInvisible(bytes.TrimRight(b.Bytes(), "\n")), nil
}

// escapeInvisible writes characters that a terminal or a reader would not show (C1 controls, bidirectional overrides,
// zero-width marks) in the \u form; inside JSON strings that changes nothing for a program.
func escapeInvisible(b []byte) []byte {
	if isPlain(b) || bytes.IndexFunc(b, invisible) < 0 {
		return b
	}
	var out bytes.Buffer
	out.Grow(len(b) + 16)
	for _, r := range string(b) {
		if invisible(r) {
			fmt.Fprintf(&out, `\u%04x`, r)
			continue
		}
		out.WriteRune(r)
	}
	return out.Bytes()
}

func invisible(r rune) bool {
	return r >= 0x7f && r < 0x10000 && !unicode.IsPrint(r) && r != '\u3000'
}

// inline puts the keys of the facts behind those of the document. A key both have is a bug and an error.
func inline(doc []byte, facts any) ([]byte, error) {
	fb, err := encode(facts)
	if err != nil {
		return nil, err
	}
	if len(fb) < 2 || fb[0] != '{' {
		return append(append(append(doc[:len(doc)-1], `,"facts":`...), fb...), '}'), nil
	}
	have, more := topKeys(doc), topKeys(fb)
	for _, k := range more {
		if slices.Contains(have, k) {
			return nil, fmt.Errorf("facts use the key %s, which belongs to every report", k)
		}
	}
	if len(more) == 0 {
		return doc, nil
	}
	return append(append(doc[:len(doc)-1], ','), fb[1:]...), nil
}

// topKeys lists the keys of a JSON object as this package's encoder writes it, quoted, without decoding their values:
// reports of thousands of domains are written by one goroutine.
func topKeys(b []byte) []string {
	var out []string
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			start := i
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			if depth == 1 && i+1 < len(b) && b[i+1] == ':' {
				out = append(out, string(b[start:i+1]))
			}
		}
	}
	return out
}

func (st Style) jsonFinding(f *finding.Finding) jsonFinding {
	say := func(m finding.Msg) string { return finding.Sentence{Msg: m, Args: f.Args}.In(st.Lang) }
	out := jsonFinding{
		ID: f.Rule.ID, Verdict: f.Verdict(), Outcome: f.Outcome, Severity: f.Level(), Owner: f.Whose(), Subject: f.Subject,
		Title: st.title(f.Rule), Text: f.Says().In(st.Lang),
		Observed: f.Observed.In(st.Lang), Expected: f.Expected.In(st.Lang), Evidence: f.Evidence,
		Fix: f.Fix, Verify: Command(f.Verify), Causes: f.Causes, Args: st.jsonArgs(f.Args),
	}
	if f.Outcome == finding.Fail {
		out.Why, out.Repair, out.Refs = say(f.Rule.Why), say(f.Rule.Repair), f.Rule.Refs
	}
	if f.Cannot != nil {
		out.Cannot = &jsonCannot{f.Cannot.Why.In(st.Lang), f.Cannot.Again}
	}
	return out
}

// title says the rule's title, which has no particulars.
func (st Style) title(r *finding.Rule) string { return finding.Sentence{Msg: r.Title}.In(st.Lang) }

func (st Style) jsonArgs(a finding.Args) map[string]any {
	if len(a) == 0 {
		return nil
	}
	out := make(map[string]any, len(a))
	for k, v := range a {
		switch v := v.(type) {
		case finding.Sentence:
			out[k] = v.In(st.Lang)
		case finding.Msg:
			out[k] = st.say(v)
		case time.Duration:
			out[k+"_ms"] = float64(v.Microseconds()) / 1000
		default:
			out[k] = v
		}
	}
	return out
}

func (st Style) jsonSection(s *finding.Section) jsonSection {
	say := func(in []finding.Sentence) []string {
		out := make([]string, len(in))
		for i := range in {
			out[i] = in[i].In(st.Lang)
		}
		return out
	}
	js := jsonSection{Title: s.Title.In(st.Lang), Columns: say(s.Columns), Raw: s.Raw, Folded: s.Folded, Chart: st.jsonChart(s.Chart)}
	for _, r := range s.Rows {
		row := jsonRow{Depth: r.Depth, Cells: say(r.Cells)}
		if r.Mark != nil {
			row.Verdict = r.Mark.String()
		}
		js.Rows = append(js.Rows, row)
	}
	return js
}

func (st Style) jsonChart(c *finding.Chart) *jsonChart {
	if c == nil {
		return nil
	}
	out := &jsonChart{Kind: c.Kind, Labels: append([]string{}, c.Labels...), Series: make([]jsonSeries, 0, len(c.Series)), Unit: c.Unit.In(st.Lang)}
	for _, s := range c.Series {
		out.Series = append(out.Series, jsonSeries{Name: s.Name.In(st.Lang), Values: append([]float64{}, s.Values...)})
	}
	return out
}
