package spf

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/spf"
)

// Sections are the tree with the count at each term and, where a client was named, the trace.
func Sections(f *Facts) []finding.Section {
	var out []finding.Section
	if f.Result != nil {
		out = append(out, TraceSection(f.Result, f.Client))
	}
	if f.Tree.Root.Record != nil {
		out = append(out, treeSection(f.Tree))
	}
	return out
}

// treeRows bounds what is drawn; the JSON holds all.
const treeRows = 300

func treeSection(t *spf.Tree) finding.Section {
	s := finding.Section{
		Title:   finding.S("SPF tree of {{.Domain}}: {{.N}} of 10 DNS look-ups", finding.Args{"Domain": t.Root.Domain, "N": t.Lookups}),
		Columns: []finding.Sentence{finding.S("term", nil), finding.S("look-ups so far", nil), finding.S("what it finds", nil)},
	}
	draw(&s, t.Root, 0)
	return s
}

// shown is a verdict as a row's mark.
func shown(v finding.Verdict) *finding.Verdict { return &v }

func draw(s *finding.Section, n *spf.Node, depth int) {
	if n.Record == nil {
		return
	}
	for i := range n.Terms {
		if len(s.Rows) >= treeRows {
			return
		}
		b := &n.Terms[i]
		count := finding.Raw("")
		row := finding.Row{Depth: depth}
		switch {
		case b.Term.Bad:
			row.Mark = shown(finding.VerdictError)
		case b.Dead:
			row.Mark = shown(finding.VerdictWarning)
		case b.At > spf.MaxLookups:
			row.Mark = shown(finding.VerdictError)
		case b.Voids > 0:
			row.Mark = shown(finding.VerdictWarning)
		case b.Error != "" || b.Child != nil && b.Child.Status == spf.Unknown:
			row.Mark = shown(finding.VerdictUntested)
		case b.Child != nil && (b.Child.Status == spf.Absent || b.Child.Status == spf.Loop || b.Child.Status == spf.Multiple || b.Child.Status == spf.Invalid):
			row.Mark = shown(finding.VerdictError)
		}
		if b.At > 0 {
			count = finding.Raw(strconv.Itoa(b.At))
		}
		row.Cells = []finding.Sentence{finding.Raw(b.Term.Text), count, finds(b)}
		s.Rows = append(s.Rows, row)
		if b.Child != nil {
			draw(s, b.Child, depth+1)
		}
	}
}

// finds says in short what a term leads to.
func finds(b *spf.Branch) finding.Sentence {
	args := finding.Args{"Target": b.Target, "Error": b.Error}
	switch {
	case b.Term.Bad:
		return finding.S("mistake", nil)
	case b.Dead:
		return finding.S("never read", nil)
	case b.Dynamic:
		return finding.S("depends on the message", nil)
	case b.Error != "":
		return finding.S("could not be asked: {{.Error}}", args)
	case b.Child != nil:
		return findsRecord(b.Child)
	case b.Void:
		return finding.S("nothing: {{.Target}} does not resolve", args)
	case b.Term.Name == "ptr":
		return finding.S("reverse look-up of the client", nil)
	case len(b.Addrs) > 0:
		return finding.Raw(addresses(b.Addrs))
	}
	return finding.Raw("")
}

func findsRecord(n *spf.Node) finding.Sentence {
	args := finding.Args{"Error": n.Error, "N": n.Lookups, "Rec": len(n.Raw)}
	switch n.Status {
	case spf.Absent:
		if n.NXDomain {
			return finding.S("the name does not exist", nil)
		}
		return finding.S("no SPF record there", nil)
	case spf.Multiple:
		return finding.S("{{.Rec}} SPF records there", args)
	case spf.Unknown:
		return finding.S("could not be asked: {{.Error}}", args)
	case spf.Loop:
		return finding.S("leads back to itself", nil)
	case spf.NotRead:
		return finding.S("not followed any further", nil)
	case spf.Invalid:
		return finding.S("no name that can be asked", nil)
	case spf.Dynamic:
		return finding.S("depends on the message", nil)
	}
	if n.Lookups == 0 {
		return finding.S("no further look-ups", nil)
	}
	return finding.S("{{.N}} further {{plural .N \"look-up\" \"look-ups\"}}", args)
}

func addresses(addrs []netip.Addr) string {
	var out []string
	for i, a := range addrs {
		if i == 4 {
			out = append(out, "… ("+strconv.Itoa(len(addrs))+")")
			break
		}
		out = append(out, a.String())
	}
	return strings.Join(out, " ")
}

// TraceSection is the evaluation of check_host() step by step.
func TraceSection(r *spf.Result, client netip.Addr) finding.Section {
	s := finding.Section{
		Title:   finding.S("SPF evaluation of {{.IP}} for {{.Sender}}: {{.Result}}", finding.Args{"IP": client.String(), "Sender": r.Sender, "Result": string(r.Code)}),
		Columns: []finding.Sentence{finding.S("step", nil), finding.S("look-ups", nil), finding.S("result", nil)},
	}
	for i := range r.Trace {
		st := &r.Trace[i]
		what, result := sayStep(st)
		if what.IsZero() || len(s.Rows) >= treeRows {
			continue
		}
		row := finding.Row{Depth: st.Depth, Cells: []finding.Sentence{what, finding.Raw(strconv.Itoa(st.Lookups)), result}}
		switch {
		case st.Kind == spf.StepProblem && st.Problem.Kind == spf.DNSFailure:
			row.Mark = shown(finding.VerdictUntested)
		case st.Kind == spf.StepProblem:
			row.Mark = shown(finding.VerdictError)
		case st.Kind == spf.StepFinished && st.Result == spf.Pass:
			row.Mark = shown(finding.VerdictPass)
		case st.Kind == spf.StepFinished && st.Result != spf.TempError:
			row.Mark = shown(finding.VerdictError)
		}
		s.Rows = append(s.Rows, row)
	}
	return s
}

func sayStep(st *spf.Step) (what, result finding.Sentence) {
	args := finding.Args{"Domain": st.Domain, "Term": st.Term, "Target": st.Target, "Values": strings.Join(st.Values, " "), "Result": string(st.Result)}
	switch st.Kind {
	case spf.StepRecord:
		return finding.S("record of {{.Domain}}", args), finding.Raw(strings.Join(st.Values, " "))
	case spf.StepNone:
		return finding.S("record of {{.Domain}}", args), finding.S("none", nil)
	case spf.StepTerm:
		return finding.Raw(st.Term), sayMatch(st, args)
	case spf.StepEnter:
		return finding.Raw(st.Term), finding.S("look at {{.Target}}", args)
	case spf.StepLeave:
		if st.Match {
			return finding.Raw(st.Term), finding.S("pass there: matches", args)
		}
		return finding.Raw(st.Term), finding.S("{{.Result}} there: no match", args)
	case spf.StepAddress:
		if len(st.Values) == 0 {
			return finding.Raw(st.Target), finding.S("no address", nil)
		}
		return finding.Raw(st.Target), finding.Raw(strings.Join(st.Values, " "))
	case spf.StepDefault:
		return finding.S("end of the record of {{.Domain}}", args), finding.S("nothing matched: neutral", nil)
	case spf.StepExplain:
		return finding.Raw(st.Term), finding.Raw(strings.Join(st.Values, " "))
	case spf.StepProblem:
		return check.SPFProblem(st.Problem), finding.Raw("")
	case spf.StepFinished:
		return finding.S("result", nil), finding.Raw(string(st.Result))
	}
	return finding.Sentence{}, finding.Sentence{}
}

func sayMatch(st *spf.Step, args finding.Args) finding.Sentence {
	switch {
	case st.Match && len(st.Values) > 0:
		return finding.S("matches ({{.Values}}): {{.Result}}", args)
	case st.Match:
		return finding.S("matches: {{.Result}}", args)
	case len(st.Values) > 0:
		return finding.S("no match ({{.Values}})", args)
	}
	return finding.S("no match", nil)
}
