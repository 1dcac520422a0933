package spf

import (
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/spf"
)

// longRecord is the size RFC 7208 section 3.4 gives, so that an answer fits 512 bytes with some room.
const longRecord = 450

type judgement struct {
	*Facts
	subject finding.Subject
	root    *spf.Node
	out     []finding.Finding
}

// Judge says what to think of the facts.
func Judge(f *Facts) []finding.Finding {
	j := &judgement{Facts: f, subject: finding.Domain(f.Domain), root: f.Tree.Root}
	switch j.root.Status {
	case spf.Unknown:
		j.out = append(j.out, ruleMissing.Untested(j.subject, check.Why(resolverSaid(j.root.Error))))
	case spf.Absent, spf.Invalid:
		j.absent()
	default:
		j.record()
	}
	j.type99()
	j.result()
	for i := range j.out {
		if j.out[i].Verify == nil {
			j.out[i].Verify = finding.Cmd("spf", f.Domain)
		}
	}
	return j.out
}

func (j *judgement) add(f finding.Finding) { j.out = append(j.out, f) }

func (j *judgement) pass(r *finding.Rule, args finding.Args) {
	if args == nil {
		args = finding.Args{}
	}
	args["Domain"] = j.Domain
	j.add(r.Passed(j.subject, args))
}

func (j *judgement) absent() {
	f := ruleMissing.Failed(j.subject, finding.Args{"Domain": j.Domain})
	if len(j.root.Near) == 0 {
		f = f.Mend(finding.Step{Kind: finding.DNSAdd, Target: j.Domain + " TXT", New: check.QuoteTXT("v=spf1 mx ~all")})
	}
	j.add(f.Saw(finding.S("no TXT record that begins with v=spf1", nil), finding.S("one TXT record that begins with v=spf1", nil)))
	for _, near := range j.root.Near {
		j.add(ruleInvisible.Failed(j.subject, finding.Args{"Domain": j.Domain}).With(j.evidence(j.root, near)).
			Mend(finding.Step{Kind: finding.DNSReplace, Target: j.Domain + " TXT", Old: check.QuoteTXT(near), New: check.QuoteTXT(mendVersion(near))}))
	}
}

// mendVersion puts the right beginning before a record that was meant to be SPF.
func mendVersion(near string) string {
	s := strings.Trim(near, " \t\"'\u201c\u201d\u00a0\ufeff\\")
	if _, rest, ok := strings.Cut(s, " "); ok {
		return "v=spf1 " + strings.TrimLeft(strings.TrimPrefix(rest, "= spf1"), " ")
	}
	return "v=spf1"
}

func (j *judgement) evidence(n *spf.Node, raw string) finding.Evidence {
	return finding.Evidence{Source: "dns", Place: strings.TrimSpace(n.Domain + " TXT " + n.Server), Raw: raw}
}

// record judges the record at the root and everything below it.
func (j *judgement) record() {
	j.pass(ruleMissing, nil)
	if j.root.Status == spf.Multiple {
		f := ruleSeveral.Failed(j.subject, finding.Args{"Domain": j.Domain, "N": len(j.root.Raw)})
		merged := check.QuoteTXT(merge(j.root.Raw))
		f = f.Mend(finding.Step{Kind: finding.DNSReplace, Target: j.Domain + " TXT", Old: check.QuoteTXT(j.root.Raw[0]), New: merged})
		for i, raw := range j.root.Raw {
			f = f.With(j.evidence(j.root, raw))
			if i > 0 {
				f = f.Mend(finding.Step{Kind: finding.DNSDelete, Target: j.Domain + " TXT", Old: check.QuoteTXT(raw)})
			}
		}
		j.add(f)
	} else {
		j.pass(ruleSeveral, nil)
	}
	for _, near := range j.root.Near {
		j.add(ruleInvisible.Failed(j.subject, finding.Args{"Domain": j.Domain}).With(j.evidence(j.root, near)).
			Mend(finding.Step{Kind: finding.DNSDelete, Target: j.Domain + " TXT", Old: check.QuoteTXT(near)}))
	}
	before := len(j.out)
	seen := map[string]bool{}
	j.node(j.root, seen)
	for _, r := range []*finding.Rule{ruleSyntax, ruleLoop, ruleIncludeNone, ruleDuplicate, rulePTR, rulePassAll, ruleAfterAll} {
		if !slices.ContainsFunc(j.out[before:], func(f finding.Finding) bool { return f.Rule == r }) && !j.spots(r) {
			j.pass(r, nil)
		}
	}
	j.loopsAndDuplicates()
	j.limits()
	j.end()
	j.length()
	j.explanation()
}

// spots tells whether loopsAndDuplicates will speak of the rule.
func (j *judgement) spots(r *finding.Rule) bool {
	return r == ruleLoop && len(j.Tree.Loops) > 0 || r == ruleDuplicate && len(j.Tree.Duplicate) > 0
}

// node judges one record of the tree; each domain is judged once.
func (j *judgement) node(n *spf.Node, seen map[string]bool) {
	if n.Record == nil || seen[n.Domain] {
		return
	}
	seen[n.Domain] = true
	j.faults(n)
	j.terms(n)
	for i := range n.Terms {
		if b := &n.Terms[i]; b.Child != nil {
			j.child(n, b)
			j.node(b.Child, seen)
		}
	}
}

// at are the arguments that name a term.
func (j *judgement) at(n *spf.Node, t *spf.Term) finding.Args {
	return finding.Args{"Domain": j.Domain, "In": n.Domain, "Term": t.Text, "Pos": t.Pos + 1}
}

// fail files a broken rule about a term, with the record as evidence and, where the record is ours to edit, the record
// with the term replaced ("" removes it; keep leaves the repair out).
func (j *judgement) fail(r *finding.Rule, n *spf.Node, t *spf.Term, args finding.Args, replace string) {
	f := r.Failed(j.subject, args).With(j.evidence(n, n.Record.Raw))
	if replace != keep && n == j.root {
		f = f.Mend(j.replace(edit(n.Record, t, replace)))
	}
	j.add(f)
}

const keep = "\x00"

// replace is the step that publishes another record at the root.
func (j *judgement) replace(record string) finding.Step {
	return finding.Step{Kind: finding.DNSReplace, Target: j.Domain + " TXT", Old: check.QuoteTXT(j.root.Raw[0]), New: check.QuoteTXT(record)}
}

// edit gives the record with one term replaced, or removed.
func edit(r *spf.Record, t *spf.Term, with string) string {
	s := r.Raw[:t.Pos] + with + r.Raw[t.End:]
	return tidy(s)
}

func tidy(s string) string { return strings.Join(strings.Fields(s), " ") }

func (j *judgement) faults(n *spf.Node) {
	for i, x := range n.Record.Faults {
		if i == 5 {
			break // the first ones suffice
		}
		if b := boundary(n, x); b >= 0 {
			args := finding.Args{"Domain": j.Domain, "In": n.Domain, "Pos": b + 1, "Around": around(n.Record.Raw, b)}
			f := ruleJoined.Failed(j.subject, args).With(j.evidence(n, n.Record.Raw))
			if n == j.root {
				f = f.Mend(j.replace(tidy(n.Record.Raw[:b] + " " + n.Record.Raw[b:])))
			}
			j.add(f)
			continue
		}
		args := finding.Args{"Domain": j.Domain, "In": n.Domain, "Pos": x.Pos + 1, "What": sayFault(x)}
		f := ruleSyntax.Failed(j.subject, args).With(j.evidence(n, n.Record.Raw)).
			Saw(finding.Raw(around(n.Record.Raw, x.Pos)), expected(x))
		if fixed, ok := mendFault(n.Record, x); ok && n == j.root {
			f = f.Mend(j.replace(fixed))
		}
		j.add(f)
	}
}

// boundary gives the place in the faulty term where two character-strings of the TXT record meet and a term would
// begin, or -1.
func boundary(n *spf.Node, x spf.Fault) int {
	pos := 0
	for _, l := range n.Strings[:max(len(n.Strings)-1, 0)] {
		pos += l
		t := termAt(n.Record, x.Pos)
		if t == nil || pos <= t.Pos || pos >= t.End {
			continue
		}
		left, right := spf.Parse("v=spf1 "+n.Record.Raw[t.Pos:pos]), spf.Parse("v=spf1 "+n.Record.Raw[pos:t.End])
		if left.Valid() && right.Valid() {
			return pos
		}
	}
	return -1
}

func termAt(r *spf.Record, pos int) *spf.Term {
	for i := range r.Terms {
		if t := &r.Terms[i]; pos >= t.Pos && pos < t.End {
			return t
		}
	}
	return nil
}

func around(raw string, pos int) string {
	from, to := max(pos-20, 0), min(pos+30, len(raw))
	s := strings.ToValidUTF8(raw[from:to], "\uFFFD")
	if from > 0 {
		s = "…" + s
	}
	if to < len(raw) {
		s += "…"
	}
	return s
}

// mendFault gives the record with a fault repaired, where what was meant is plain.
func mendFault(r *spf.Record, x spf.Fault) (string, bool) {
	t := termAt(r, x.Pos)
	if t == nil {
		return "", false
	}
	if x.Kind == spf.BadCharacter {
		s := r.Raw[:x.Pos] + " " + r.Raw[x.End:]
		return tidy(s), spf.Parse(tidy(s)).Valid()
	}
	if x.Hint == "" {
		if x.Kind == spf.DuplicateModifier || x.Kind == spf.MissingValue && t.Name != "redirect" {
			s := edit(r, t, "")
			return s, spf.Parse(s).Valid()
		}
		return "", false
	}
	q := ""
	if !t.Modifier && t.Qualifier != 0 && strings.IndexByte("+-~?", t.Text[0]) >= 0 {
		q = t.Text[:1]
	}
	repl := q + x.Hint
	switch x.Kind {
	case spf.BadDomain:
		if !strings.HasPrefix(x.Hint, "ip4:") && !strings.HasPrefix(x.Hint, "ip6:") {
			repl = q + t.Name + ":" + x.Hint
		}
	case spf.BadModifierName:
		repl = x.Hint + "=" + t.Domain
	}
	s := edit(r, t, repl)
	return s, spf.Parse(s).Valid()
}

// terms judges what is right in syntax but wrong in sense.
func (j *judgement) terms(n *spf.Node) {
	var dead []string
	seen := map[string]int{}
	for i := range n.Terms {
		b := &n.Terms[i]
		t := &b.Term
		if t.Bad {
			continue
		}
		if b.Dead {
			if t.Modifier {
				j.fail(ruleRedirectAll, n, t, j.at(n, t), "")
			} else {
				dead = append(dead, t.Text)
			}
			continue
		}
		key := strings.ToLower(t.Text)
		if seen[key]++; seen[key] == 2 && t.Name != "include" {
			f := ruleRepeated.Failed(j.subject, j.at(n, t)).With(j.evidence(n, n.Record.Raw))
			if n == j.root {
				f = f.Mend(j.replace(merge([]string{n.Record.Raw})))
			}
			j.add(f)
		}
		j.term(n, b)
	}
	if len(dead) > 0 {
		f := ruleAfterAll.Failed(j.subject, finding.Args{"Domain": j.Domain, "In": n.Domain, "Terms": dead}).With(j.evidence(n, n.Record.Raw))
		if n == j.root {
			f = f.Mend(j.replace(allLast(n.Record)))
		}
		j.add(f)
	}
}

// allLast moves the first all to the end and drops any other.
func allLast(r *spf.Record) string {
	out := []string{"v=spf1"}
	all := r.All()
	for i := range r.Terms {
		if t := &r.Terms[i]; t.Name != "all" || t.Modifier {
			out = append(out, t.Text)
		}
	}
	return strings.Join(append(out, all.Text), " ")
}

func (j *judgement) term(n *spf.Node, b *spf.Branch) {
	t := &b.Term
	args := j.at(n, t)
	if strings.Contains(strings.ToLower(t.Domain), "%{p") {
		j.fail(ruleMacroP, n, t, args, keep)
	}
	switch {
	case t.Modifier && t.Name != "redirect" && t.Name != "exp":
		j.fail(ruleModifier, n, t, args, "")
	case t.Modifier:
	case t.Name == "ptr":
		j.fail(rulePTR, n, t, args, "")
	case t.Name == "all" && t.Qualifier == spf.QPass:
		j.fail(rulePassAll, n, t, args, "~all")
	case t.Prefix.IsValid():
		j.network(n, t, args)
	case t.Name == "mx" && len(b.Hosts) > spf.MaxMX:
		args["N"], args["Limit"] = len(b.Hosts), spf.MaxMX
		j.fail(ruleMX, n, t, args, keep)
	}
	if b.Void && j.Tree.Voids <= spf.MaxVoids && t.Name != "exists" {
		args["Target"], args["Type"] = b.Target, "A, AAAA"
		if t.Name == "mx" {
			args["Type"] = "MX"
		}
		j.fail(ruleVoid, n, t, args, "")
	}
}

func (j *judgement) network(n *spf.Node, t *spf.Term, args finding.Args) {
	if t.Qualifier != spf.QPass {
		return
	}
	p := t.Prefix
	wide := p.Addr().Is4() && p.Bits() < 16 || p.Addr().Is6() && p.Bits() < 24
	switch {
	case p.Bits() <= 1:
		j.fail(rulePassAll, n, t, args, "")
	case p.Addr().IsPrivate() || p.Addr().IsLoopback() || p.Addr().IsLinkLocalUnicast():
		j.fail(rulePrivate, n, t, args, "")
	case wide && n == j.root: // inside an include it is the provider's business
		args["Size"] = sizeOf(p)
		j.fail(ruleWide, n, t, args, keep)
	}
}

// sizeOf is the number of addresses in a network, as a power of two where it is long.
func sizeOf(p netip.Prefix) string {
	bits := p.Addr().BitLen() - p.Bits()
	if bits > 40 {
		return fmt.Sprintf("2^%d", bits)
	}
	return new(big.Int).Lsh(big.NewInt(1), uint(bits)).String()
}

// child judges what stands behind an include or redirect.
func (j *judgement) child(n *spf.Node, b *spf.Branch) {
	args := j.at(n, &b.Term)
	args["Target"] = b.Child.Domain
	switch b.Child.Status {
	case spf.Absent, spf.Invalid:
		args["NX"] = b.Child.NXDomain
		j.fail(ruleIncludeNone, n, &b.Term, args, removal(n, b))
	case spf.Multiple:
		f := ruleIncludeBroken.Failed(j.subject, args)
		for _, raw := range b.Child.Raw {
			f = f.With(j.evidence(b.Child, raw))
		}
		j.add(f)
	}
}

// removal is what to put for a dead include: nothing, or ~all for a redirect, which ended the record.
func removal(n *spf.Node, b *spf.Branch) string {
	if b.Term.Modifier && n.Record.All() == nil {
		return "~all"
	}
	return ""
}
