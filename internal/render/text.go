package render

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// text is the face for a terminal. Its grammar:
//
//	headline, wrapped: the answer
//	sections: a table or a verbatim block each
//	findings: MARK  rule.id  sentence                                        whose job
//	          observed, expected, evidence, why, repair, prove, explains
//	one line for all that is fine
type text struct {
	w     io.Writer
	count int
	b     strings.Builder
	Style
}

const indent = 6

func (t *text) Report(r *finding.Report) error {
	if t.count++; t.count > 1 {
		t.b.WriteString("\n")
	}
	t.headline(r)
	for i := range r.Sections {
		t.section(&r.Sections[i])
	}
	t.findings(r.Findings)
	_, err := io.WriteString(t.w, t.b.String())
	t.b.Reset()
	return err
}

func (t *text) Close() error { return nil }

func (t *text) headline(r *finding.Report) {
	color := map[finding.State]string{finding.StateOK: green, finding.StateWarning: yellow, finding.StateBroken: red, finding.StateUntested: magenta}[r.Headline.State]
	for _, l := range wrap(Clean(t.Style.headline(r.Headline)), t.Width) {
		t.line(t.paint(bold+color, l))
	}
}

const (
	bold    = "1;"
	red     = "31"
	green   = "32"
	yellow  = "33"
	magenta = "35"
	dim     = "2"
)

func (t *text) paint(code, s string) string {
	if !t.Color || s == "" {
		return s
	}
	return "\x1b[" + strings.TrimSuffix(code, ";") + "m" + s + "\x1b[0m"
}

func (t *text) mark(v finding.Verdict) string {
	code := [...]string{bold + red, bold + yellow, bold + magenta, dim, green, dim}[v]
	return t.paint(code, pad(v.Mark(), 4))
}

func (t *text) line(s string) { t.b.WriteString(strings.TrimRight(s, " ") + "\n") }

// section draws a table with columns as wide as their content; the last column takes what is left and wraps.
func (t *text) section(s *finding.Section) {
	if s.Folded && !t.Verbose {
		return
	}
	t.line("")
	if !s.Title.IsZero() {
		t.line(t.paint(bold, Clean(s.Title.In(t.Lang))))
	}
	if s.Raw != "" {
		for _, l := range strings.Split(strings.TrimRight(CleanBlock(s.Raw), "\n"), "\n") {
			t.line("  " + l)
		}
	}
	t.table(s)
}

func (t *text) table(s *finding.Section) {
	rows, marked := t.cells(s)
	if len(rows) == 0 {
		return
	}
	widths, right := columnWidths(rows, t.Width), numericColumns(rows, min(1, len(s.Columns)))
	if len(s.Columns) > 0 {
		lead := " "
		if marked {
			lead = "      "
		}
		t.row(lead, rows[0], widths, right, func(x string) string { return t.paint(dim, x) })
		rows = rows[1:]
	}
	for i, cells := range rows {
		lead := " "
		if marked {
			lead = "      "
			if m := s.Rows[i].Mark; m != nil {
				lead = t.mark(*m) + "  "
			}
		}
		t.row(lead, cells, widths, right, nil)
	}
}

// cells says all cells of a section, heads first where there are any.
func (t *text) cells(s *finding.Section) (rows [][]string, marked bool) {
	say := func(in []finding.Sentence, depth int) []string {
		out := make([]string, len(in))
		for i := range in {
			out[i] = Clean(in[i].In(t.Lang))
		}
		if depth > 0 && len(out) > 0 {
			out[0] = strings.Repeat("  ", depth) + out[0]
		}
		return out
	}
	if len(s.Columns) > 0 {
		rows = append(rows, say(s.Columns, 0))
	}
	for _, r := range s.Rows {
		rows = append(rows, say(r.Cells, r.Depth))
		marked = marked || r.Mark != nil
	}
	return rows, marked
}

// columnWidths gives each column its widest cell, capped so that one long value does not push the rest away. The last
// column gets what is left: nothing is set aside for it.
func columnWidths(rows [][]string, total int) []int {
	var w []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(w) {
				w = append(w, 0)
			}
			if i < len(r)-1 {
				w[i] = max(w[i], min(columns(c), total/2))
			}
		}
	}
	return w
}

// numericColumns tells the columns but the last that hold numbers and nothing else; heads is how many rows are heads.
func numericColumns(rows [][]string, heads int) []bool {
	var is []bool
	var seen []bool
	for n, r := range rows {
		for i, c := range r {
			if i == len(is) {
				is, seen = append(is, true), append(seen, false)
			}
			if c = strings.TrimSpace(c); n < heads || c == "" {
				continue
			}
			seen[i] = true
			is[i] = is[i] && i < len(r)-1 && number(c)
		}
	}
	for i := range is {
		is[i] = is[i] && seen[i]
	}
	return is
}

// number tells "47,518", "13.3 %", "1.4" and a dash for none.
func number(s string) bool {
	s = strings.TrimSuffix(strings.TrimSuffix(s, "%"), " ")
	return s != "" && strings.Count(s, ".") < 2 && (s == "-" || s == "–" || strings.Trim(s, "0123456789.,\u202f\u00a0") == "")
}

func (t *text) row(lead string, cells []string, widths []int, right []bool, paint func(string) string) {
	var b strings.Builder
	used := columns(lead)
	if strings.Contains(lead, "\x1b") { // a painted mark
		used = 6
	}
	for i, c := range cells {
		if paint != nil && i == len(cells)-1 {
			c = paint(c)
		}
		if i < len(cells)-1 {
			p := pad(c, widths[i])
			if right[i] {
				p = strings.Repeat(" ", max(0, widths[i]-columns(c))) + c
			}
			used += columns(p) + 2
			if paint != nil {
				p = paint(p)
			}
			b.WriteString(p + "  ")
			continue
		}
		lines := []string{c}
		if room := t.Width - used; room >= 20 && paint == nil {
			lines = wrap(c, room)
		}
		if paint == nil && len(cells) > 2 && columns(c) > t.Width-used && (len(lines) > 2 || t.Width-used < 20) { // too narrow beside: the last cell stands below
			lines = append([]string{""}, wrap(c, max(20, t.Width-8))...)
			used = 8
		}
		if lines[0] == "" && len(lines) > 1 {
			lead, lines = strings.TrimRight(lead+b.String(), " "), lines[1:]
			b.Reset()
			b.WriteString("\n" + strings.Repeat(" ", used))
		}
		b.WriteString(lines[0])
		for _, more := range lines[1:] {
			b.WriteString("\n" + strings.Repeat(" ", used) + more)
		}
	}
	t.line(lead + b.String())
}

func (t *text) findings(fs []finding.Finding) {
	var fine, na, waiting []string
	groups := group(fs)
	first := true
	blame := ""              // what kept those in waiting from being tested
	told := map[string]int{} // blocks of a rule and verdict so far
	left := map[string]int{} // those of them that are counted only
	for _, g := range groups {
		switch v := g[0].Verdict(); {
		case v == finding.VerdictPass && !t.Verbose:
			fine = append(fine, Clean(g[0].Says().In(t.Lang)))
		case v == finding.VerdictNotApplicable && !t.Verbose:
			na = append(na, g[0].Rule.ID)
		case v == finding.VerdictUntested && len(g[0].Causes) > 0 && !t.Verbose:
			waiting = append(waiting, g[0].Rule.ID)
			blame = g[0].Causes[0]
		default:
			if first {
				t.line("")
				first = false
			}
			k := g[0].Rule.ID + v.String()
			if told[k]++; told[k] > most(g) && !t.Verbose {
				left[k]++
				continue
			}
			t.block(g, fs, told[k] > inFull && !t.Verbose)
		}
	}
	t.untold(groups, left)
	if len(waiting) > 0 {
		t.hang(t.mark(finding.VerdictUntested)+"  ", finding.S("not to be tested before {{.Cause}} is mended: {{.Rules}}", finding.Args{"Cause": blame, "Rules": strings.Join(waiting, ", ")}).In(t.Lang))
	}
	t.rest(fine, len(na), first)
}

// rest says in one line what is fine.
func (t *text) rest(fine []string, na int, first bool) {
	if len(fine) == 0 {
		return
	}
	if first {
		t.line("")
	}
	s := fine[0]
	if n := len(fine) - 1; n > 0 {
		s = finding.S("{{.First}}; {{.N}} more {{plural .N \"check\" \"checks\"}} fine (-v)", finding.Args{"First": fine[0], "N": n}).In(t.Lang)
	}
	t.hang(t.mark(finding.VerdictPass)+"  ", s)
}

// group puts findings of one rule and verdict that say the same of several subjects together, in order.
func group(fs []finding.Finding) [][]finding.Finding {
	at := map[string]int{}
	var out [][]finding.Finding
	for _, f := range fs {
		k := f.Rule.ID + "\x00" + f.Verdict().String()
		if f.Verdict() != finding.VerdictPass && f.Verdict() != finding.VerdictNotApplicable {
			k += "\x00" + f.Says().String() + "\x00" + f.Observed.String()
		}
		if i, ok := at[k]; ok {
			out[i] = append(out[i], f)
			continue
		}
		at[k] = len(out)
		out = append(out, []finding.Finding{f})
	}
	return out
}

// inFull is how many findings of one rule are shown whole without -v; up to inBrief get their sentence only, the others
// are counted.
const (
	inFull  = 3
	inBrief = 10
)

// most is how many findings like these are shown one by one: what one cause explains is said once.
func most(g []finding.Finding) int {
	if len(g[0].Causes) > 0 {
		return 1
	}
	return inBrief
}

// untold says how many findings of a rule were left out.
func (t *text) untold(groups [][]finding.Finding, left map[string]int) {
	for _, g := range groups {
		k := g[0].Rule.ID + g[0].Verdict().String()
		if n := left[k]; n > 0 {
			s := finding.S("{{.N}} more of {{.Rule}} (-v)", finding.Args{"N": n, "Rule": g[0].Rule.ID}).In(t.Lang)
			t.hang(t.mark(g[0].Verdict())+"  ", s)
			left[k] = 0
		}
	}
}

// block draws the findings of one group; brief is their sentence only.
func (t *text) block(g []finding.Finding, all []finding.Finding, brief bool) {
	f := &g[0]
	v := f.Verdict()
	says := Clean(f.Says().In(t.Lang))
	if v == finding.VerdictUntested {
		title := finding.Sentence{Msg: f.Rule.Title, Args: f.Args}
		says = Clean(finding.S("{{.Title}}? Not tested: {{.Why}}", finding.Args{"Title": title, "Why": f.Says()}).In(t.Lang))
	}
	t.hang(t.mark(v)+"  ", t.paint(bold, f.Rule.ID)+"  "+says)
	brief = brief || len(f.Causes) > 0 && !t.Verbose && v != finding.VerdictUntested // folded under what explains it
	brief = brief || v == finding.VerdictPass || v == finding.VerdictNotApplicable || v == finding.VerdictNote && !t.Verbose
	if len(g) > 1 {
		t.field(finding.M("subjects"), strings.Join(subjects(g), ", "))
	}
	if brief {
		return
	}
	if v != finding.VerdictUntested && f.Whose() != finding.OwnerNobody {
		t.field(finding.M("whose job"), t.owner(f.Whose()))
	}
	t.field(finding.M("observed"), f.Observed.In(t.Lang))
	t.field(finding.M("expected"), f.Expected.In(t.Lang))
	t.evidence(g)
	if v == finding.VerdictUntested {
		if f.Cannot != nil && !f.Cannot.Again.IsZero() {
			t.field(finding.M("again after"), f.Cannot.Again.Local().Format("2006-01-02 15:04:05 -0700"))
		}
		return
	}
	t.field(finding.M("why"), finding.Sentence{Msg: f.Rule.Why, Args: f.Args}.In(t.Lang))
	t.repair(g)
	if len(f.Verify) > 0 {
		t.field(finding.M("prove"), Command(f.Verify))
	}
	if ex := explains(f, all); len(ex) > 0 {
		t.field(finding.M("explains"), strings.Join(ex, ", "))
	}
	if t.Verbose && len(f.Rule.Refs) > 0 {
		t.field(finding.M("standard"), refs(f.Rule.Refs))
	}
}

func (t *text) colon() string {
	if t.Lang == finding.ZH {
		return "："
	}
	return ": "
}

func subjects(g []finding.Finding) []string {
	var out []string
	seen := map[string]bool{}
	for _, f := range g {
		if n := Clean(f.Subject.Name); !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}

func refs(rs []finding.Ref) string {
	var out []string
	for _, r := range rs {
		s := r.String()
		if r.URL != "" {
			s += " <" + r.URL + ">"
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

// explains lists the rules that name this finding as their cause.
func explains(f *finding.Finding, all []finding.Finding) (out []string) {
	for i := range all {
		for _, id := range all[i].Causes {
			if id == f.Rule.ID && all[i].Subject == f.Subject && all[i].Verdict() != finding.VerdictUntested && !slices.Contains(out, all[i].Rule.ID) {
				out = append(out, all[i].Rule.ID)
			}
		}
	}
	return out
}

// evidence shows what was seen, a line each; without -v at most three.
func (t *text) evidence(g []finding.Finding) {
	n := 0
	for _, f := range g {
		for _, e := range f.Evidence {
			if n++; n > 3 && !t.Verbose {
				continue
			}
			s := e.Source
			if e.Place != "" {
				s += " " + e.Place
			}
			if !e.At.IsZero() {
				s += " " + e.At.Local().Format("15:04:05")
			}
			t.field(finding.M("evidence"), s+": "+cut(Clean(e.Raw), 600))
		}
	}
	if n > 3 && !t.Verbose {
		t.field(finding.M("evidence"), finding.S("and {{.N}} more (-v)", finding.Args{"N": n - 3}).In(t.Lang))
	}
}

// repair shows the words and the steps; records are on lines of their own, ready to paste.
func (t *text) repair(g []finding.Finding) {
	f := &g[0]
	t.field(finding.M("repair"), finding.Sentence{Msg: f.Rule.Repair, Args: f.Args}.In(t.Lang))
	seen := map[finding.Step]bool{}
	for _, f := range g {
		for _, s := range f.Fix {
			if !seen[s] {
				seen[s] = true
				t.step(s)
			}
		}
	}
}

func (t *text) step(s finding.Step) {
	label := t.say(stepWords[s.Kind])
	owner, typ, _ := strings.Cut(s.Target, " ")
	switch s.Kind {
	case finding.DNSAdd, finding.DNSReplace, finding.DNSDelete:
		if s.Old != "" {
			t.verbatim("- ", fmt.Sprintf("%s. %s %s", owner, typ, s.Old))
		}
		if s.New != "" {
			t.verbatim("+ ", fmt.Sprintf("%s. %s %s", owner, typ, s.New))
		}
	case finding.Run:
		t.verbatim("$ ", s.New)
	default:
		t.verbatim("> ", label+" "+s.Target+t.colon()+s.New)
	}
}

// verbatim writes a line that can be copied: never wrapped.
func (t *text) verbatim(lead, s string) {
	t.line(strings.Repeat(" ", indent+labelWidth) + lead + Clean(s))
}

const labelWidth = 11

func (t *text) field(label finding.Msg, s string) {
	if s == "" {
		return
	}
	word := pad(t.say(label), labelWidth)
	if !strings.HasSuffix(word, " ") { // as wide as the column: "again after"
		word += " "
	}
	t.hang(strings.Repeat(" ", indent)+t.paint(dim, word), Clean(s))
}

// hang writes text behind a lead, wrapped with a hanging indent as deep as fields are.
func (t *text) hang(lead, s string) {
	deep := indent + labelWidth
	if !strings.HasPrefix(lead, strings.Repeat(" ", indent)) {
		deep = indent
	}
	for i, l := range wrap(s, max(t.Width-deep, 20)) {
		if i == 0 {
			t.line(lead + l)
			continue
		}
		t.line(strings.Repeat(" ", deep) + l)
	}
}
