package spf

import (
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/spf"
)

func (j *judgement) loopsAndDuplicates() {
	for _, s := range j.Tree.Loops {
		args := finding.Args{"Domain": j.Domain, "In": s.Domain, "Term": s.Term, "Pos": s.Pos + 1, "Path": slices.Concat(s.Path, []string{lastPart(s.Term)})}
		j.spot(ruleLoop, s, args)
	}
	told := map[string]bool{}
	for _, s := range j.Tree.Duplicate {
		if key := s.Domain + " " + s.Term; !told[key] {
			told[key] = true
			j.spot(ruleDuplicate, s, finding.Args{"Domain": j.Domain, "In": s.Domain, "Term": s.Term, "Pos": s.Pos + 1})
		}
	}
}

// lastPart is the name a term points to, as written.
func lastPart(term string) string {
	if i := strings.IndexAny(term, ":="); i >= 0 {
		return term[i+1:]
	}
	return term
}

// spot files a broken rule about a place in the tree.
func (j *judgement) spot(r *finding.Rule, s spf.Spot, args finding.Args) {
	f := r.Failed(j.subject, args)
	if n := find(j.root, s.Domain); n != nil && n.Record != nil {
		f = f.With(j.evidence(n, n.Record.Raw))
		if t := termAt(n.Record, s.Pos); t != nil && n == j.root {
			f = f.Mend(j.replace(edit(n.Record, t, "")))
		}
	}
	j.add(f)
}

func find(n *spf.Node, domain string) *spf.Node {
	if n.Domain == domain && n.Record != nil {
		return n
	}
	for i := range n.Terms {
		if c := n.Terms[i].Child; c != nil {
			if f := find(c, domain); f != nil {
				return f
			}
		}
	}
	return nil
}

// limits judges the counts. Where a record could not be read the count is a lower bound: enough to fail, not to pass.
func (j *judgement) limits() {
	t := j.Tree
	args := finding.Args{"Domain": j.Domain, "Lookups": t.Lookups, "Limit": spf.MaxLookups, "Least": len(t.Unknown) > 0 || t.Truncated}
	switch {
	case t.Culprit != nil:
		args["Term"], args["In"] = t.Culprit.Term, t.Culprit.Domain
		f := ruleLookups.Failed(j.subject, args).With(j.evidence(j.root, j.root.Record.Raw)).
			Saw(finding.S("{{.Lookups}} look-ups; the eleventh is {{.Term}} ({{join \" → \" .Path}})", finding.Args{"Lookups": t.Lookups, "Term": t.Culprit.Term, "Path": t.Culprit.Path}),
				finding.S("at most 10 look-ups", nil))
		if s, ok := slimmer(t); ok {
			f = f.Mend(j.replace(s))
		}
		j.add(f)
	case len(t.Unknown) > 0:
		j.add(ruleLookups.Untested(j.subject, finding.S("the record of {{.In}} could not be read in full: {{.Why}}", finding.Args{"In": t.Unknown[0].Domain, "Why": check.Why(resolverSaid(whyUnknown(j.root)))})))
	default:
		j.pass(ruleLookups, args)
		if t.Lookups >= spf.MaxLookups-1 {
			j.add(ruleNearLimit.Failed(j.subject, args))
		}
	}
	j.voids()
}

func (j *judgement) voids() {
	t := j.Tree
	args := finding.Args{"Domain": j.Domain, "Voids": t.Voids, "Limit": spf.MaxVoids}
	if t.Voids <= spf.MaxVoids {
		if len(t.Unknown) == 0 {
			j.pass(ruleVoids, args)
		}
		return
	}
	var terms []string
	s := j.root.Record.Raw
	for _, v := range t.VoidSpots {
		if !slices.Contains(terms, v.Term) {
			terms = append(terms, v.Term)
		}
	}
	args["Terms"] = terms
	f := ruleVoids.Failed(j.subject, args).With(j.evidence(j.root, s))
	var keepers []string
	for i := range j.root.Terms {
		if b := &j.root.Terms[i]; !b.Void {
			keepers = append(keepers, b.Term.Text)
		}
	}
	if len(keepers) < len(j.root.Terms) {
		f = f.Mend(j.replace("v=spf1 " + strings.Join(keepers, " ")))
	}
	j.add(f)
}

// whyUnknown gives the words of the resolver of the first look-up that failed.
func whyUnknown(n *spf.Node) string {
	if n.Error != "" {
		return n.Error
	}
	for i := range n.Terms {
		b := &n.Terms[i]
		if b.Error != "" {
			return b.Error
		}
		if b.Child != nil {
			if s := whyUnknown(b.Child); s != "" {
				return s
			}
		}
	}
	return ""
}

// end judges how the record at the root ends; behind a redirect that other record decides.
func (j *judgement) end() {
	n := j.root
	for range 10 {
		all := n.Record.All()
		switch {
		case all != nil && all.Qualifier == spf.QNeutral:
			j.fail(ruleNeutralAll, n, all, j.at(n, all), "~all")
			return
		case all != nil:
			j.pass(ruleNoAll, finding.Args{"Term": all.Text})
			return
		}
		var next *spf.Node
		for i := range n.Terms {
			if b := &n.Terms[i]; b.Term.Modifier && b.Term.Name == "redirect" {
				next = b.Child
			}
		}
		if next == nil {
			break
		}
		if next.Record == nil { // not read, or judged by another rule
			return
		}
		n = next
	}
	f := ruleNoAll.Failed(j.subject, finding.Args{"Domain": j.Domain}).With(j.evidence(n, n.Record.Raw))
	if n == j.root {
		f = f.Mend(j.replace(tidy(n.Record.Raw + " ~all")))
	}
	j.add(f)
}

func (j *judgement) length() {
	n := len(j.root.Raw[0])
	args := finding.Args{"Domain": j.Domain, "In": j.root.Domain, "Bytes": n, "Others": j.root.Others}
	if n > longRecord || n+j.root.Others > 512 && n > 255 {
		j.add(ruleLong.Failed(j.subject, args).With(j.evidence(j.root, j.root.Raw[0])))
		return
	}
	j.pass(ruleLong, args)
}

func (j *judgement) explanation() {
	e := j.Tree.Explain
	t := j.root.Record.Modifier("exp")
	if e == nil || t == nil || e.Error != "" || len(e.Texts) == 1 && !e.Bad {
		return
	}
	args := j.at(j.root, t)
	args["Target"], args["N"], args["Bad"] = e.Target, len(e.Texts), e.Bad
	j.fail(ruleExp, j.root, t, args, "")
}

func (j *judgement) type99() {
	if len(j.Tree.Type99) == 0 {
		if j.root.Status == spf.Found && !j.brief {
			j.pass(ruleType99, nil)
		}
		return
	}
	args := finding.Args{"Domain": j.Domain, "Differs": !slices.Equal(j.Tree.Type99, j.root.Raw)}
	f := ruleType99.Failed(j.subject, args)
	for _, s := range j.Tree.Type99 {
		f = f.With(finding.Evidence{Source: "dns", Place: j.Domain + " SPF", Raw: s}).
			Mend(finding.Step{Kind: finding.DNSDelete, Target: j.Domain + " SPF", Old: check.QuoteTXT(s)})
	}
	j.add(f)
}

// result judges the evaluation for a client.
func (j *judgement) result() {
	r := j.Result
	if r == nil {
		return
	}
	args := finding.Args{"Domain": r.Domain, "IP": j.Client.String(), "Sender": r.Sender, "Result": string(r.Code), "Term": r.Term}
	prove := finding.Cmd("spf", j.Domain, "--ip", j.Client.String(), "--from", r.Sender)
	var f finding.Finding
	switch r.Code {
	case spf.Pass:
		f = ruleResult.Passed(j.subject, args)
	case spf.TempError:
		f = ruleResult.Untested(j.subject, check.WhyNoDNS(r.Problem.Text))
	default:
		f = ruleResult.Failed(j.subject, args)
		if r.Explanation != "" {
			f = f.With(finding.Evidence{Source: "dns", Place: "exp=", Raw: r.Explanation})
		}
		if rec := j.root.Record; rec != nil && rec.Valid() && strings.EqualFold(r.Domain, j.Domain) && r.Problem == nil {
			f = f.Mend(j.replace(allow(rec, j.Client.Unmap().String(), j.Client.Unmap().Is4())))
		}
	}
	j.add(f.Prove(prove))
}

// allow puts an address into a record, in front of all other terms.
func allow(r *spf.Record, ip string, four bool) string {
	term := "ip6:" + ip
	if four {
		term = "ip4:" + ip
	}
	return tidy(r.Raw[:len("v=spf1")] + " " + term + r.Raw[len("v=spf1"):])
}
