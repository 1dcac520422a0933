package notify

import (
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Words say a message to people, in one language.
type Words struct {
	Title  string
	Blocks []Block
	Foot   string // what was left out; "" for nothing

	total, held int
}

// Block is one alert in words.
type Block struct {
	Mark, Head string // "FAIL", "mail.mine.example: port 993 does not answer"
	Status     Status
	Lines      []Line
	Evidence   []string
	Next, Link string
}

// Line is a field of a block.
type Line struct{ Name, Value string }

// maxBlocks is how many alerts of a message are said in full.
const maxBlocks = 12

// Say puts a message into words.
func (m *Message) Say() Words {
	t := func(s finding.Msg, args finding.Args) string { return finding.Sentence{Msg: s, Args: args}.In(m.Lang) }
	var w Words
	firing, resolved := 0, 0
	for i := range m.Alerts {
		switch m.Alerts[i].Status {
		case Firing:
			firing++
		case Resolved:
			resolved++
		}
		if i < maxBlocks {
			w.Blocks = append(w.Blocks, m.block(&m.Alerts[i]))
		}
	}
	switch n := len(m.Alerts); {
	case n == 1:
		w.Title = w.Blocks[0].Mark + " " + w.Blocks[0].Head
	default:
		w.Title = t(finding.M("{{.N}} alerts: {{.Failing}} failing, {{.Resolved}} fine again"), finding.Args{"N": n, "Failing": firing, "Resolved": resolved})
	}
	w.total, w.held = len(m.Alerts), m.Held
	w.Foot = w.foot(m.Lang)
	return w
}

// foot says what was left out.
func (w *Words) foot(l finding.Lang) string {
	var out []string
	if left := w.total - len(w.Blocks); left > 0 {
		out = append(out, finding.S("{{.N}} more are not shown here; mailwhy monitor list shows all.", finding.Args{"N": left}).In(l))
	}
	if w.held > 0 {
		out = append(out, finding.S("{{.N}} of them waited, because this channel had its fill of messages for the hour.", finding.Args{"N": w.held}).In(l))
	}
	return strings.Join(out, " ")
}

// drop leaves the last block out, for a service that takes no more.
func (w *Words) drop(l finding.Lang) {
	w.Blocks = w.Blocks[:len(w.Blocks)-1]
	w.Foot = w.foot(l)
}

// One alert in words stays short enough for the narrowest service, in bytes; a webhook has it whole.
const (
	longestHead = 500
	longestLine = 300
)

func (m *Message) block(a *Alert) Block {
	t := func(s finding.Msg) string { return finding.Sentence{Msg: s}.In(m.Lang) }
	b := Block{Status: a.Status, Next: shorten(oneLine(a.Next), longestLine), Link: a.Link}
	for _, e := range a.Evidence[:min(len(a.Evidence), 5)] {
		b.Evidence = append(b.Evidence, shorten(oneLine(e), longestLine))
	}
	switch {
	case a.Status == Resolved:
		b.Mark = finding.VerdictPass.Mark()
	case a.Event == "blind":
		b.Mark = finding.VerdictUntested.Mark()
	case a.Severity == finding.Error:
		b.Mark = finding.VerdictError.Mark()
	case a.Severity == finding.Warning:
		b.Mark = finding.VerdictWarning.Mark()
	default:
		b.Mark = finding.VerdictNote.Mark()
	}
	b.Head = shorten(oneLine(a.What.In(m.Lang)), longestHead)
	if name := shorten(oneLine(a.name()), longestLine); name != "" && !strings.Contains(b.Head, name) {
		b.Head = name + ": " + b.Head
	}
	add := func(name finding.Msg, value string) {
		if value = shorten(oneLine(value), longestLine); value != "" {
			b.Lines = append(b.Lines, Line{t(name), value})
		}
	}
	add(finding.M("monitor"), a.Title)
	if !a.Since.IsZero() {
		since := a.Since.Local().Format("2006-01-02 15:04:05 -0700")
		if d := a.At.Sub(a.Since); d >= time.Second {
			since = finding.S("{{.At}} ({{.For}})", finding.Args{"At": since, "For": d}).In(m.Lang)
		}
		add(finding.M("since"), since)
	}
	add(finding.M("what happened"), a.How.In(m.Lang))
	for _, w := range a.Why {
		add(finding.M("also"), w.In(m.Lang))
	}
	if a.Status != Resolved {
		add(finding.M("whose job"), a.Whose.In(m.Lang))
	}
	return b
}

// name is what an alert is about, for the first line.
func (a *Alert) name() string {
	if a.Target != "" {
		return a.Target
	}
	return a.Title
}

// oneLine keeps what a peer said from breaking a field.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 }), " ")
}

// Plain is the message as plain text.
func (w *Words) Plain(l finding.Lang) string {
	var b strings.Builder
	for i, x := range w.Blocks {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(x.Mark + " " + x.Head + "\n")
		for _, line := range x.Lines {
			b.WriteString("  " + line.Name + colon(l) + line.Value + "\n")
		}
		for _, e := range x.Evidence {
			b.WriteString("  | " + oneLine(e) + "\n")
		}
		if x.Next != "" {
			b.WriteString("  " + next(l) + colon(l) + x.Next + "\n")
		}
		if x.Link != "" {
			b.WriteString("  " + x.Link + "\n")
		}
	}
	if w.Foot != "" {
		b.WriteString("\n" + w.Foot + "\n")
	}
	return b.String()
}

func next(l finding.Lang) string { return finding.S("next", nil).In(l) }

func colon(l finding.Lang) string {
	if l == finding.ZH {
		return "："
	}
	return ": "
}

// dialect is a dialect of Markdown: the mark of bold text, and what to do to words of others so that they mean nothing in it,
// in text and between backquotes.
type dialect struct {
	bold       string
	text, code func(string) string
}

// inCode is what stands between backquotes in every dialect, with what else the dialect must not meet there.
func inCode(more ...string) func(string) string {
	r := strings.NewReplacer(append([]string{"`", "'"}, more...)...)
	return func(s string) string { return r.Replace(oneLine(s)) }
}

// markdown is the message in a dialect.
func (w *Words) markdown(l finding.Lang, d *dialect) string {
	var b strings.Builder
	for i, x := range w.Blocks {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(d.bold + d.text(x.Mark+" "+x.Head) + d.bold + "\n")
		for _, line := range x.Lines {
			b.WriteString("- " + d.text(line.Name) + colon(l) + d.text(line.Value) + "\n")
		}
		for _, e := range x.Evidence {
			b.WriteString("- `" + d.code(e) + "`\n")
		}
		if x.Next != "" {
			b.WriteString("- " + next(l) + colon(l) + "`" + d.code(x.Next) + "`\n")
		}
		if x.Link != "" {
			b.WriteString("- " + x.Link + "\n")
		}
	}
	if w.Foot != "" {
		b.WriteString("\n" + d.text(w.Foot) + "\n")
	}
	return b.String()
}

// fit leaves blocks out until what is made of the words is at most so many bytes long; one is always left.
func (w *Words) fit(l finding.Lang, most int, build func() ([]byte, error)) ([]byte, error) {
	for {
		raw, err := build()
		if err != nil || len(raw) <= most || len(w.Blocks) <= 1 {
			return raw, err
		}
		w.drop(l)
	}
}

// shorten cuts text to at most n bytes at a character.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:max(n-3, 0)], "") + "…"
}
