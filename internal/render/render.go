// Package render turns reports into text, HTML, JSON, Markdown, CSV, JUnit and SARIF.
//
// Promise: no opinion and no looking: a face draws what the report holds. Everything that came from outside is escaped
// for the face it goes to: control characters never reach a terminal, markup never reaches HTML, a formula never
// reaches a spreadsheet.
package render

import (
	"fmt"
	"io"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Style is what a face needs to know about its reader.
type Style struct {
	Lang    finding.Lang
	Width   int  // columns of a terminal; 0 means 100
	Color   bool //
	Verbose bool // what is fine, folded sections, evidence in full
	Version string
}

// Printer prints the reports of one run. Close writes what comes after the last one.
type Printer interface {
	Report(*finding.Report) error
	Close() error
}

// Formats are the names New takes.
var Formats = []string{"text", "json", "html", "markdown", "junit", "sarif", "csv"}

// New makes the printer of a format. An unknown format is an error.
func New(format string, w io.Writer, st Style) (Printer, error) {
	if st.Width == 0 {
		st.Width = 100
	}
	switch format {
	case "text":
		return &text{w: w, Style: st}, nil
	case "json":
		return &jsonLines{w: w, Style: st}, nil
	case "html":
		return &html{w: w, Style: st}, nil
	case "markdown":
		return &markdown{w: w, Style: st}, nil
	case "junit":
		return &junit{w: w, Style: st}, nil
	case "sarif":
		return &sarif{w: w, Style: st}, nil
	case "csv":
		return newCSV(w, st), nil
	}
	return nil, fmt.Errorf("unknown format %q", format)
}

// Words every face needs, said once.
func (st Style) say(m finding.Msg) string { return finding.Sentence{Msg: m}.In(st.Lang) }

var ownerWords = map[finding.Owner]finding.Msg{
	finding.OwnerNobody:       finding.M("nobody"),
	finding.OwnerDomain:       finding.M("domain (whoever edits its DNS)"),
	finding.OwnerServer:       finding.M("server (whoever runs it)"),
	finding.OwnerNetwork:      finding.M("network (whoever holds the address or the path)"),
	finding.OwnerRecipient:    finding.M("recipient (or the recipient's administrator)"),
	finding.OwnerListOperator: finding.M("blocklist operator"),
	finding.OwnerSender:       finding.M("sender (whoever wrote or sent the message)"),
	finding.OwnerResolver:     finding.M("resolver (whoever runs it)"),
	finding.OwnerSelf:         finding.M("us (the administrator of this machine)"),
}

// Owner says whose job it is, in the style's language.
// OwnerWord says whose job something is.
func OwnerWord(o finding.Owner) finding.Msg { return ownerWords[o] }

func (st Style) owner(o finding.Owner) string { return st.say(ownerWords[o]) }

var verdictWords = map[finding.Verdict]finding.Msg{
	finding.VerdictError:         finding.M("error"),
	finding.VerdictWarning:       finding.M("warning"),
	finding.VerdictUntested:      finding.M("could not test"),
	finding.VerdictNote:          finding.M("note"),
	finding.VerdictPass:          finding.M("ok"),
	finding.VerdictNotApplicable: finding.M("not applicable"),
}

func (st Style) verdict(v finding.Verdict) string { return st.say(verdictWords[v]) }

var stepWords = map[finding.StepKind]finding.Msg{
	finding.DNSAdd:     finding.M("publish in DNS"),
	finding.DNSReplace: finding.M("replace in DNS"),
	finding.DNSDelete:  finding.M("remove from DNS"),
	finding.Configure:  finding.M("set"),
	finding.Ask:        finding.M("ask"),
	finding.Publish:    finding.M("serve"),
	finding.Run:        finding.M("run"),
}

// headline is the first line of a report: the answer, whose job, and the next command.
func (st Style) headline(h finding.Headline) string {
	s := h.Says.In(st.Lang)
	if h.Owner != finding.OwnerNobody {
		s += st.sentenceGap() + finding.S("Whose job: {{.Owner}}.", finding.Args{"Owner": st.owner(h.Owner)}).In(st.Lang)
	}
	if len(h.Next) > 0 {
		s += st.sentenceGap() + finding.S("Next: {{.Cmd}}", finding.Args{"Cmd": Command(h.Next)}).In(st.Lang)
	}
	return s
}

// sentenceGap is what stands between two sentences: nothing after a Chinese full stop.
func (st Style) sentenceGap() string {
	if st.Lang == finding.ZH {
		return ""
	}
	return " "
}
