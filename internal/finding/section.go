package finding

// Section is a part of a report that is no finding: the stages of a delivery, the tree of an SPF record, a journey, a
// table of numbers. Surveys fill sections from their facts; faces draw them; neither knows the other.
type Section struct {
	Title   Sentence
	Columns []Sentence // heads; empty for none
	Rows    []Row
	Raw     string // a verbatim block instead of rows: a transcript, log lines. Hostile text
	Chart   *Chart // drawn by faces that can, beside the rows
	Folded  bool   // shown in a terminal with -v only, folded on a page
}

// Row is a line of a section. Depth indents it, so that rows form a tree.
type Row struct {
	Mark  *Verdict // nil: no mark
	Depth int
	Cells []Sentence
}

// Marked gives a row with a verdict's mark.
func Marked(v Verdict, cells ...Sentence) Row { return Row{Mark: &v, Cells: cells} }

// Cells gives a row without a mark.
func Cells(cells ...Sentence) Row { return Row{Cells: cells} }

// Chart is a small picture: bars or lines over labels. All series have as many values as there are labels. A "path" is
// the way to a host: a label is a hop; the series are its time (-1: no answer), its loss in percent, and 1 where what is
// being followed comes so far, else 0.
type Chart struct {
	Kind   string // "bars", "stacked", "lines", "path"
	Labels []string
	Series []Series
	Unit   Sentence
}

// Series is one row of values of a chart.
type Series struct {
	Name   Sentence
	Values []float64
}
