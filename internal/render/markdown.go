package render

import (
	"io"
	"strings"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// markdown is the face for tickets and wikis (CommonMark with tables).
type markdown struct {
	w io.Writer
	b strings.Builder
	Style
}

func (m *markdown) Close() error { return nil }

func (m *markdown) Report(r *finding.Report) error {
	m.b.Reset()
	m.b.WriteString("# " + mdText(m.Style.headline(r.Headline)) + "\n")
	for i := range r.Sections {
		m.section(&r.Sections[i])
	}
	m.b.WriteString("\n## " + m.say("Findings") + "\n\n")
	for _, g := range group(r.Findings) {
		if v := g[0].Verdict(); v == finding.VerdictPass || v == finding.VerdictNotApplicable {
			if !m.Verbose {
				continue
			}
		}
		m.finding(g)
	}
	_, err := io.WriteString(m.w, m.b.String())
	return err
}

func (m *markdown) section(s *finding.Section) {
	if s.Folded && !m.Verbose {
		return
	}
	if !s.Title.IsZero() {
		m.b.WriteString("\n## " + mdText(s.Title.In(m.Lang)) + "\n")
	}
	if s.Raw != "" {
		m.fence(s.Raw)
	}
	if len(s.Rows) == 0 {
		return
	}
	n := len(s.Columns)
	for _, r := range s.Rows {
		n = max(n, len(r.Cells))
	}
	row := func(mark string, cells []finding.Sentence) {
		m.b.WriteString("| " + mark + " |")
		for i := range n {
			c := ""
			if i < len(cells) {
				c = strings.ReplaceAll(mdText(cells[i].In(m.Lang)), "|", `\|`)
			}
			m.b.WriteString(" " + c + " |")
		}
		m.b.WriteString("\n")
	}
	m.b.WriteString("\n")
	row("", s.Columns)
	m.b.WriteString("|---|" + strings.Repeat("---|", n) + "\n")
	for _, r := range s.Rows {
		mark := strings.Repeat("·", r.Depth)
		if r.Mark != nil {
			mark = r.Mark.Mark()
		}
		row(mark, r.Cells)
	}
}

func (m *markdown) finding(g []finding.Finding) {
	f := &g[0]
	v := f.Verdict()
	m.b.WriteString("- **" + v.Mark() + "** `" + f.Rule.ID + "` " + mdText(f.Says().In(m.Lang)) + "\n")
	item := func(label finding.Msg, s string) {
		if s != "" {
			m.b.WriteString("  - " + m.say(label) + ": " + s + "\n")
		}
	}
	if len(g) > 1 {
		item(finding.M("subjects"), mdText(strings.Join(subjects(g), ", ")))
	}
	item(finding.M("observed"), mdText(f.Observed.In(m.Lang)))
	item(finding.M("expected"), mdText(f.Expected.In(m.Lang)))
	if f.Outcome != finding.Fail {
		return
	}
	item(finding.M("whose job"), mdText(m.owner(f.Whose())))
	item(finding.M("why"), mdText(finding.Sentence{Msg: f.Rule.Why, Args: f.Args}.In(m.Lang)))
	item(finding.M("repair"), mdText(finding.Sentence{Msg: f.Rule.Repair, Args: f.Args}.In(m.Lang)))
	for _, s := range stepsOf(g) {
		m.b.WriteString("\n    ```diff\n")
		if s.Old != "" {
			m.b.WriteString("    - " + record(s, s.Old) + "\n")
		}
		if s.New != "" {
			m.b.WriteString("    + " + record(s, s.New) + "\n")
		}
		m.b.WriteString("    ```\n\n")
	}
	if len(f.Verify) > 0 {
		item(finding.M("prove"), "`"+Command(f.Verify)+"`")
	}
}

// fence writes a verbatim block whose fence is longer than any run of backticks in it.
func (m *markdown) fence(raw string) {
	raw = CleanBlock(raw)
	f := "```"
	for strings.Contains(raw, f) {
		f += "`"
	}
	m.b.WriteString("\n" + f + "\n" + strings.TrimRight(raw, "\n") + "\n" + f + "\n")
}

var mdEscapes = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "#", `\#`)

// mdText makes text safe for Markdown: no markup and no HTML from outside.
func mdText(s string) string { return mdEscapes.Replace(Clean(s)) }
