package dmarc

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/dmarc"
)

// judgement is one Judge under way.
type judgement struct {
	*Facts
	subject finding.Subject
	rec     *dmarc.Record
	out     []finding.Finding
}

// Judge says what to think of the facts.
func Judge(f *Facts) []finding.Finding {
	j := &judgement{Facts: f, subject: finding.Domain(f.Domain), rec: f.Record()}
	if f.Err != nil {
		return []finding.Finding{ruleMissing.Untested(j.subject, check.Why(f.Err)).Prove(j.prove())}
	}
	j.places()
	if j.rec == nil {
		return j.out
	}
	j.policy()
	j.readings()
	j.reports()
	j.problems()
	for i := range j.out {
		if j.out[i].Outcome == finding.Fail && len(j.out[i].Evidence) == 0 {
			j.out[i] = j.out[i].With(j.evidence())
		}
	}
	return j.out
}

func (j *judgement) say(f finding.Finding) { j.out = append(j.out, f) }

func (j *judgement) fail(r *finding.Rule, args finding.Args) finding.Finding {
	return r.Failed(j.subject, args).Prove(j.prove())
}

func (j *judgement) prove() finding.Command { return finding.Cmd("dmarc", j.Domain) }

func (j *judgement) evidence() finding.Evidence {
	return finding.Evidence{Source: "dns", Place: "_dmarc." + j.rec.Domain + " TXT", Raw: j.rec.Raw}
}

// replace is the step that turns the record's text into another.
func (j *judgement) replace(text string) finding.Step {
	return finding.Step{Kind: finding.DNSReplace, Target: "_dmarc." + j.rec.Domain + " TXT", Old: check.QuoteTXT(j.rec.Raw), New: check.QuoteTXT(text)}
}

// places judges whether receivers find one record.
func (j *judgement) places() {
	asked := append(slices.Clone(j.Old.Asked), j.New.Asked...)
	seen := map[string]bool{}
	for _, q := range asked {
		if seen[q.Domain] {
			continue
		}
		seen[q.Domain] = true
		name := "_dmarc." + q.Domain
		if q.Several {
			f := j.fail(ruleSeveral, finding.Args{"Where": q.Domain, "N": len(q.Texts)})
			stays := keep(q.Texts)
			for i, t := range q.Texts {
				f = f.With(finding.Evidence{Source: "dns", Place: name + " TXT", Raw: t})
				if i != stays {
					f = f.Mend(finding.Step{Kind: finding.DNSDelete, Target: name + " TXT", Old: check.QuoteTXT(t)})
				}
			}
			j.say(f)
		}
		for _, t := range q.Near {
			j.say(j.fail(ruleInvisible, finding.Args{"Where": q.Domain}).
				With(finding.Evidence{Source: "dns", Place: name + " TXT", Raw: t}).
				Mend(finding.Step{Kind: finding.DNSReplace, Target: name + " TXT", Old: check.QuoteTXT(t), New: check.QuoteTXT(corrected(t))}))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(j.Wrong)) {
		t := j.Wrong[name]
		f := j.fail(ruleWrongPlace, finding.Args{"Where": name, "Domain": j.Domain}).
			With(finding.Evidence{Source: "dns", Place: name + " TXT", Raw: t}).
			Mend(finding.Step{Kind: finding.DNSDelete, Target: name + " TXT", Old: check.QuoteTXT(t)})
		if j.rec == nil {
			f = f.Mend(finding.Step{Kind: finding.DNSAdd, Target: "_dmarc." + j.Domain + " TXT", New: check.QuoteTXT(corrected(t))})
		}
		j.say(f)
	}
	switch {
	case j.rec != nil:
		j.say(ruleMissing.Passed(j.subject, finding.Args{"Where": j.rec.Domain, "Domain": j.Domain}))
	case !slices.ContainsFunc(j.out, func(f finding.Finding) bool { return f.Rule == ruleSeveral || f.Rule == ruleInvisible }):
		text := "v=DMARC1; p=none; rua=mailto:dmarc-reports@" + j.Domain
		j.say(j.fail(ruleMissing, finding.Args{"Domain": j.Domain}).
			Saw(finding.S("no record that begins with v=DMARC1 at _dmarc.{{.Domain}}", finding.Args{"Domain": j.Domain}), finding.Raw(text)).
			Mend(finding.Step{Kind: finding.DNSAdd, Target: "_dmarc." + j.Domain + " TXT", New: check.QuoteTXT(text)}))
	}
}

// keep picks the record that stays of several: one without mistakes, that asks for reports, and whose policy is the most
// cautious, since receivers apply none of them now. Of equal ones it is the first by the alphabet: name servers shuffle
// their answers.
func keep(texts []string) int {
	caution := map[dmarc.Policy]int{"none": 0, "quarantine": 1, "reject": 2}
	rank := func(t string) []int {
		r := dmarc.Parse(t)
		n, ok := caution[r.P]
		if !ok {
			n = len(caution)
		}
		return []int{len(r.Problems), -min(1, len(r.RUA)), n}
	}
	best := 0
	for i, t := range texts[1:] {
		if cmp.Or(slices.Compare(rank(t), rank(texts[best])), cmp.Compare(t, texts[best])) < 0 {
			best = i + 1
		}
	}
	return best
}

// corrected writes the version as receivers want it and keeps the rest.
func corrected(t string) string {
	t = strings.Trim(strings.TrimSpace(t), `"'`)
	r := dmarc.Parse(t)
	parts := []string{"v=DMARC1"}
	for _, g := range r.Tags {
		if !strings.EqualFold(g.Name, "v") && !strings.HasPrefix(strings.ToLower(g.Name), "dmarc") {
			parts = append(parts, g.Name+"="+g.Value)
		}
	}
	return strings.Join(parts, "; ")
}

// problems speaks of the faults of the record's text.
func (j *judgement) problems() {
	clean := true
	var historic []string
	for _, p := range j.rec.Problems {
		args := finding.Args{"Pos": p.Pos + 1, "Tag": p.Tag, "What": what(p)}
		switch p.Code {
		case dmarc.UnknownTag:
			j.say(j.fail(ruleUnknownTag, finding.Args{"Tag": p.Text, "Pos": p.Pos + 1}).Mend(j.replace(j.rec.With(p.Text, ""))))
		case dmarc.PNotSecond:
			j.say(j.fail(rulePNotSecond, nil).Mend(j.replace(reordered(j.rec))))
		case dmarc.BadURI, dmarc.NoMailto, dmarc.OtherScheme:
			f := j.fail(ruleURI, args)
			if p.Code == dmarc.NoMailto {
				f = f.Mend(j.replace(strings.Replace(j.rec.Raw, p.Text, "mailto:"+p.Text, 1)))
			}
			j.say(f)
		case dmarc.URISize:
			addr, size, _ := strings.Cut(p.Text, "!")
			j.say(j.fail(ruleURISize, finding.Args{"Size": size, "Address": strings.TrimPrefix(addr, "mailto:")}).Mend(j.replace(strings.Replace(j.rec.Raw, p.Text, addr, 1))))
		case dmarc.FOWithoutRUF:
			j.say(j.fail(ruleFO, finding.Args{"Value": strings.Join(j.rec.FO, ":")}).Mend(j.replace(j.rec.With("fo", ""))))
		case dmarc.HistoricTag:
			if p.Tag != "pct" || j.rec.Pct == 100 {
				historic = append(historic, p.Text)
			}
		case dmarc.NewerTag, dmarc.PMissing, dmarc.BadVersion:
		case dmarc.BadValue:
			if p.Tag == "p" || p.Tag == "sp" || p.Tag == "np" {
				continue // the policy is judged as a whole
			}
			fallthrough
		default:
			clean = false
			j.say(j.fail(ruleSyntax, args))
		}
	}
	if clean {
		j.say(ruleSyntax.Passed(j.subject, nil))
	}
	if len(historic) > 0 {
		text := j.rec
		for _, h := range historic {
			name, _, _ := strings.Cut(h, "=")
			text = dmarc.Parse(text.With(name, ""))
		}
		j.say(j.fail(ruleHistoric, finding.Args{"Tags": historic, "N": len(historic)}).Mend(j.replace(text.Raw)))
	}
}

// reordered puts p behind v.
func reordered(r *dmarc.Record) string {
	p := string(r.P)
	return dmarc.Parse(r.With("p", "")).With("p", p)
}

func what(p dmarc.Problem) finding.Sentence {
	args := finding.Args{"Text": p.Text, "Tag": p.Tag}
	switch p.Code {
	case dmarc.Repeated:
		return finding.S("the tag {{.Text}} is given twice; the first one counts", args)
	case dmarc.BadByte:
		return finding.S("a character outside plain ASCII, often a typographic quote or dash, in {{.Text}}", args)
	case dmarc.NoSemicolon:
		return finding.S("two tags without a semicolon between them: {{.Text}}", args)
	case dmarc.NoMailto:
		return finding.S("{{.Text}} lacks mailto: in front", args)
	case dmarc.OtherScheme:
		return finding.S("{{.Text}} is not a mailto: address, the only kind receivers must support", args)
	case dmarc.BadURI:
		return finding.S("{{.Text}} is no mail address", args)
	case dmarc.BadValue:
		return finding.S("{{.Tag}} cannot have the value {{.Text}}", args)
	}
	return finding.S("{{.Text}} is no tag=value", args)
}

// policy speaks of how strong the record is.
func (j *judgement) policy() {
	r := j.rec
	for _, p := range []struct {
		tag   string
		value dmarc.Policy
	}{{"p", r.P}, {"sp", r.SP}, {"np", r.NP}} {
		if p.value.Strength() < 0 && (p.tag == "p" || p.value != "") {
			m := r.Meaning(dmarc.RFC9989)
			j.say(j.fail(ruleNoPolicy, finding.Args{"Tag": p.tag, "Value": string(p.value), "Applies": m.Applies}).Mend(j.replace(r.With(p.tag, "none"))))
			return
		}
	}
	d := j.New
	if !d.Applies() {
		d = j.Old
	}
	pol := d.Policy
	if pol == dmarc.None {
		f := j.fail(rulePolicyNone, finding.Args{"Domain": j.Domain, "Policy": string(pol)}).Saw(finding.Raw(d.Tag+"=none"), finding.S("quarantine, in the end reject", nil))
		if d.Tag == "p" {
			f = f.Mend(j.replace(r.With("p", "quarantine")))
		}
		j.say(f)
	} else {
		j.say(rulePolicyNone.Passed(j.subject, finding.Args{"Domain": j.Domain, "Policy": string(pol)}))
	}
	if r.SP != "" && r.SP.Strength() < r.P.Strength() {
		j.say(j.fail(ruleSubdomainsWeaker, finding.Args{"Domain": r.Domain, "Tag": "sp", "Sub": string(r.SP), "Policy": string(r.P)}).Mend(j.replace(r.With("sp", ""))))
	}
	if r.NP != "" && r.NP.Strength() < r.P.Strength() {
		j.say(j.fail(ruleSubdomainsWeaker, finding.Args{"Domain": r.Domain, "Tag": "np", "Sub": string(r.NP), "Policy": string(r.P)}).Mend(j.replace(r.With("np", "reject"))))
	}
	if m := r.Meaning(dmarc.RFC9989); r.NP == "" && m.NP != dmarc.Reject {
		j.say(j.fail(ruleNPMissing, finding.Args{"Domain": r.Domain, "Policy": string(m.NP)}).Mend(j.replace(r.With("np", "reject"))))
	}
	j.modes(pol)
}

// modes speaks of the tags that change what a policy does.
func (j *judgement) modes(pol dmarc.Policy) {
	r := j.rec
	if r.Pct < 100 {
		j.say(j.fail(rulePct, finding.Args{"Pct": r.Pct, "Policy": string(pol)}).Mend(j.replace(r.With("pct", ""))))
	}
	if r.T && pol != dmarc.None {
		j.say(j.fail(ruleTest, finding.Args{"Policy": string(pol), "Lower": string(pol.Lower())}).Mend(j.replace(r.With("t", ""))))
	}
	var strict []string
	if r.ADKIM == "s" {
		strict = append(strict, "adkim=s")
	}
	if r.ASPF == "s" {
		strict = append(strict, "aspf=s")
	}
	if len(strict) > 0 {
		j.say(j.fail(ruleStrict, finding.Args{"Tags": strict}))
	}
	if r.PSD == "y" && dmarc.PublicSuffixOrg("x."+r.Domain) != "x."+r.Domain {
		j.say(j.fail(rulePSD, finding.Args{"Domain": r.Domain}).Mend(j.replace(r.With("psd", ""))))
	}
}

// readings compares what the two kinds of receiver do.
func (j *judgement) readings() {
	o, n := j.Old, j.New
	var diff []string
	add := func(what, a, b string) {
		if a != b {
			diff = append(diff, what+" "+dash(a)+" / "+dash(b))
		}
	}
	add("p", string(o.Effective), string(n.Effective))
	if o.Applies() && n.Applies() {
		add("sp", string(o.Meaning.SP), string(testOf(n, n.Meaning.SP)))
		if o.Record.Domain != n.Record.Domain {
			add("_dmarc.", o.Record.Domain, n.Record.Domain)
		}
	}
	add("organization", o.Org, n.Org)
	if o.Meaning.Pct < 100 && o.Policy != dmarc.None && o.Policy != "" {
		diff = append(diff, "pct")
	}
	if len(diff) == 0 {
		j.say(ruleReadings.Passed(j.subject, nil))
		return
	}
	if !slices.ContainsFunc(diff, func(s string) bool { return !strings.HasPrefix(s, "organization") }) && o.Record != nil && o.Record.Domain == j.Domain {
		j.say(ruleReadings.Passed(j.subject, nil)) // alignment alone may differ; the table shows the organizations
		return
	}
	j.say(j.fail(ruleReadings, finding.Args{"Domain": j.Domain, "What": diff}))
}

func testOf(d *dmarc.Discovery, p dmarc.Policy) dmarc.Policy {
	if d.Meaning.Test {
		return p.Lower()
	}
	return p
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// reports speaks of the addresses reports go to.
func (j *judgement) reports() {
	if len(j.rec.RUA) == 0 {
		j.say(j.fail(ruleRUAMissing, nil).Mend(j.replace(j.rec.With("rua", "mailto:dmarc-reports@"+j.rec.Domain))))
	} else {
		var to []string
		for _, u := range j.rec.RUA {
			if u.Usable {
				to = append(to, u.Address)
			}
		}
		if len(to) > 0 {
			j.say(ruleRUAMissing.Passed(j.subject, finding.Args{"Targets": to}))
		}
	}
	for _, t := range j.Targets {
		args := finding.Args{"Target": t.Domain, "Domain": j.rec.Domain, "Tag": t.Tag, "Null": t.Null}
		if t.Err != nil {
			j.say(ruleUnauthorised.Untested(j.subject, check.Why(t.Err)).Prove(j.prove()))
			continue
		}
		args["Name"] = t.Auth.Name
		switch {
		case !t.Auth.External:
		case t.Auth.Agreed:
			j.say(ruleUnauthorised.Passed(j.subject, args))
		default:
			j.say(j.fail(ruleUnauthorised, args).
				Mend(finding.Step{Kind: finding.Ask, Target: t.Domain, New: t.Auth.Name + ". TXT " + check.QuoteTXT("v=DMARC1")}))
		}
		if t.Reachable {
			j.say(ruleUnreachable.Passed(j.subject, args))
		} else {
			j.say(j.fail(ruleUnreachable, args))
		}
	}
}
