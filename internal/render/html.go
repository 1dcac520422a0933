package render

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/mailwhy/mailwhy/internal/finding"
)

//go:embed report.html.tmpl report.css
var htmlFiles embed.FS

// html is the face for a browser: one file without scripts, without requests to anywhere, for light and dark.
type html struct {
	w    io.Writer
	done []*finding.Report
	Style
}

func (h *html) Report(r *finding.Report) error {
	h.done = append(h.done, r)
	return nil
}

func (h *html) Close() error {
	if len(h.done) == 0 {
		return nil
	}
	return HTML(h.w, h.Style, h.done)
}

// HTML writes a page with the reports. The template escapes; hostile control characters are made visible first.
func HTML(w io.Writer, st Style, reports []*finding.Report) error {
	css, err := htmlFiles.ReadFile("report.css")
	if err != nil {
		return err
	}
	t, err := template.New("report.html.tmpl").Funcs(st.htmlFuncs()).ParseFS(htmlFiles, "report.html.tmpl")
	if err != nil {
		return err
	}
	return t.Execute(w, map[string]any{"CSS": template.CSS(css), "Reports": reports, "Lang": st.htmlLang(), "Version": st.Version})
}

func (st Style) htmlLang() string {
	if st.Lang == finding.ZH {
		return "zh-CN"
	}
	return "en"
}

func (st Style) htmlFuncs() template.FuncMap {
	return template.FuncMap{
		"t":   func(s string) string { return st.say(finding.Msg(s)) },
		"say": func(s finding.Sentence) string { return CleanBlock(s.In(st.Lang)) },
		"msg": func(f finding.Finding, m finding.Msg) string {
			return finding.Sentence{Msg: m, Args: f.Args}.In(st.Lang)
		},
		"title":    func(f finding.Finding) string { return st.title(f.Rule) },
		"headline": func(h finding.Headline) string { return Clean(st.headline(h)) },
		"clean":    Clean,
		"verbatim": CleanBlock,
		"cmd":      Command,
		"owner":    st.owner,
		"mark":     func(v finding.Verdict) string { return v.Mark() },
		"markp":    func(v *finding.Verdict) finding.Verdict { return *v },
		"word":     st.verdict,
		"groups":   group,
		"subjects": subjects,
		"fixed":    func(g []finding.Finding) []finding.Step { return stepsOf(g) },
		"record":   record,
		"label":    func(k finding.StepKind) string { return st.say(stepWords[k]) },
		"refs":     refs,
		"explains": explains,
		"pad":      func(n int) string { return fmt.Sprintf("%dem", n) },
		"shown":    func(v finding.Verdict) bool { return v < finding.VerdictNote },
		"svg":      st.SVG,
		"short":    func(s string) bool { return columns(s) <= 16 }, // not worth a line break
		"numbers":  st.numbers,
		"long":     func(r *finding.Report) bool { return rowsOf(r) > screenful },
		"tally":    tally,
	}
}

// screenful is the number of rows behind which the findings are out of sight.
const screenful = 25

// rowsOf counts the rows that stand above the findings.
func rowsOf(r *finding.Report) (n int) {
	for i := range r.Sections {
		if s := &r.Sections[i]; !s.Folded {
			n += len(s.Rows)
		}
	}
	return n
}

// tally counts the findings by mark, the worst first: "WARN 3 · NOTE 2 · OK 4".
func tally(r *finding.Report) string {
	var parts []string
	for v := finding.VerdictError; v <= finding.VerdictPass; v++ {
		if n := r.Count(v); n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", v.Mark(), n))
		}
	}
	return strings.Join(parts, " · ")
}

// numbers tells the columns of a table that hold numbers only.
func (st Style) numbers(s *finding.Section) []bool {
	rows := make([][]string, len(s.Rows))
	widest := 0
	for i, r := range s.Rows {
		for _, c := range r.Cells {
			rows[i] = append(rows[i], c.In(st.Lang))
		}
		widest = max(widest, len(r.Cells))
	}
	return append(numericColumns(rows, 0), make([]bool, max(widest, len(s.Columns)))...)
}

// stepsOf lists the steps of a group of findings, each once.
func stepsOf(g []finding.Finding) (out []finding.Step) {
	seen := map[finding.Step]bool{}
	for _, f := range g {
		for _, s := range f.Fix {
			if !seen[s] {
				seen[s] = true
				out = append(out, s)
			}
		}
	}
	return out
}

// record is a step of a DNS kind as a zone file line of the old or new value.
func record(s finding.Step, value string) string {
	owner, typ, _ := strings.Cut(s.Target, " ")
	return Clean(owner + ". " + typ + " " + value)
}
