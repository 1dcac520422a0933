package auth

import (
	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/arc"
	"github.com/mailwhy/mailwhy/internal/mail/dkim"
	"github.com/mailwhy/mailwhy/internal/mail/dmarc"
	"github.com/mailwhy/mailwhy/internal/mail/spf"
)

// Judge says what to think of a verified message.
func Judge(f *Facts, s finding.Subject) []finding.Finding {
	j := &judgement{Facts: f, subject: s}
	j.spf()
	if len(f.DKIM) == 0 {
		j.add(ruleUnsigned.Failed(s, nil))
	}
	for _, v := range f.DKIM {
		j.signature(v)
	}
	j.arc()
	j.dmarc()
	return j.out
}

type judgement struct {
	*Facts
	subject finding.Subject
	out     []finding.Finding
}

func (j *judgement) add(f finding.Finding) { j.out = append(j.out, f) }

func (j *judgement) spf() {
	r := j.SPF
	if r == nil {
		j.add(ruleSPF.Untested(j.subject, finding.S("the address the message came from is not known; give it with --ip", nil)))
		return
	}
	args := finding.Args{"Result": string(r.Code), "IP": j.IP.String(), "Sender": r.Sender, "Term": r.Term, "Why": ""}
	if p := r.Problem; p != nil {
		args["Why"] = check.SPFProblem(p)
	}
	prove := finding.Cmd("spf", r.Domain, "--ip", j.IP.String(), "--from", r.Sender)
	switch r.Code {
	case spf.Pass:
		j.add(ruleSPF.Passed(j.subject, args))
	case spf.TempError:
		j.add(ruleSPF.Untested(j.subject, check.WhyNoDNS(r.Problem.Text)).Prove(prove))
	default:
		j.add(ruleSPF.Failed(j.subject, args).Prove(prove))
	}
}

func (j *judgement) signature(v *dkim.Verification) {
	s := v.Signature
	args := func() finding.Args {
		return finding.Args{"Domain": orUnknown(s.Domain), "Selector": orUnknown(s.Selector), "Result": string(v.Status), "Reason": SayReason(v)}
	}
	ev := finding.Evidence{Source: "header", Place: s.Field.Name, Raw: s.Field.Value()}
	prove := finding.Command(nil)
	if s.Domain != "" && s.Selector != "" {
		prove = finding.Cmd("dkim", s.Domain, "--selector", s.Selector)
	}
	switch v.Status {
	case dkim.Pass:
		j.add(ruleDKIM.Passed(j.subject, args()))
	case dkim.TempError, dkim.Neutral:
		j.add(ruleDKIM.Untested(j.subject, SayReason(v)).Prove(prove))
		return
	default:
		f := ruleDKIM.Failed(j.subject, args()).With(ev).Prove(prove)
		if v.Computed != "" && v.Claimed != v.Computed {
			f = f.Saw(finding.S("body hash {{.Hash}}", finding.Args{"Hash": v.Computed}), finding.S("body hash {{.Hash}}", finding.Args{"Hash": v.Claimed}))
		}
		if v.Changed != "" && v.Was != "" {
			f = f.Saw(finding.Sentence{}, finding.Raw(v.Changed+": "+v.Was))
		}
		j.add(f)
		return
	}
	if v.Unsigned > 0 {
		a := args()
		a["Signed"], a["Unsigned"] = s.Length, v.Unsigned
		j.add(ruleLength.Failed(j.subject, a).With(ev))
	}
	if len(v.Addable) > 0 {
		a := args()
		a["Fields"] = v.Addable
		j.add(ruleAddable.Failed(j.subject, a))
	}
	if v.Key != nil && v.Key.Type == "rsa" && v.Key.Bits < 2048 {
		a := args()
		a["Bits"] = v.Key.Bits
		j.add(ruleKey.Failed(j.subject, a).Prove(prove))
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "?"
	}
	return s
}

func (j *judgement) arc() {
	c := j.ARC
	if c == nil {
		return
	}
	var sealers []string
	for _, s := range c.Sets {
		if s.Seal != nil {
			sealers = append(sealers, s.Seal.Domain)
		}
	}
	args := finding.Args{"N": len(c.Sets), "Sealers": sealers, "At": c.At, "Reason": sayChain(c)}
	switch {
	case c.Status == arc.Pass:
		j.add(ruleARC.Passed(j.subject, args))
	case c.Temp:
		j.add(ruleARC.Untested(j.subject, finding.S("a key of the chain could not be asked for", nil)))
	default:
		j.add(ruleARC.Failed(j.subject, args))
	}
}

func (j *judgement) dmarc() {
	old, now := j.DMARC[dmarc.RFC7489], j.DMARC[dmarc.RFC9989]
	args := finding.Args{"From": j.From}
	switch {
	case j.From == "":
		j.add(ruleDMARC.Untested(j.subject, finding.S("the message has no From address whose domain could be asked", nil)))
		return
	case j.Err != nil:
		j.add(ruleDMARC.Untested(j.subject, check.Why(j.Err)))
		return
	case !old.Applies && !now.Applies:
		j.add(ruleNoPolicy.Failed(j.subject, args).Prove(finding.Cmd("dmarc", j.From)))
		return
	}
	prove := finding.Cmd("dmarc", j.From)
	chosen := now
	if !now.Applies || old.Applies && !old.Pass && now.Pass {
		chosen = old // the graver of the two
	}
	args["Reason"] = sayDMARC(chosen)
	if chosen.Pass {
		j.add(ruleDMARC.Passed(j.subject, args))
		return
	}
	if j.temporary() {
		j.add(ruleDMARC.Untested(j.subject, finding.S("a look-up for SPF or DKIM failed, so DMARC cannot be told", nil)))
		return
	}
	args["Policy"], args["Other"] = string(chosen.Disposition), ""
	if chosen == now && old.Applies && old.Disposition != now.Disposition {
		args["Other"] = string(old.Disposition)
	}
	f := ruleDMARC.Failed(j.subject, args).Prove(prove)
	if chosen.Disposition == dmarc.None {
		w := finding.Warning
		f.Severity = &w
	}
	j.add(f)
}

// temporary tells whether a failing look-up may have cost a pass; SPF that could not be told counts too.
func (j *judgement) temporary() bool {
	if j.SPF == nil || j.SPF.Code == spf.TempError {
		return true
	}
	for _, v := range j.DKIM {
		if v.Status == dkim.TempError {
			return true
		}
	}
	return false
}

// sayDMARC says which identity carries the message, or why none does.
func sayDMARC(r *dmarc.Result) finding.Sentence {
	if r.SPF.Pass {
		return finding.S("SPF passes for {{.D}}, which is aligned", finding.Args{"D": r.SPF.Domain})
	}
	for _, d := range r.DKIM {
		if d.Pass {
			return finding.S("DKIM passes for {{.D}}, which is aligned", finding.Args{"D": d.Domain})
		}
	}
	var strangers []string
	if r.SPF.Result == "pass" {
		strangers = append(strangers, "SPF "+r.SPF.Domain)
	}
	for _, d := range r.DKIM {
		if d.Result == "pass" {
			strangers = append(strangers, "DKIM "+d.Domain)
		}
	}
	if len(strangers) > 0 {
		return finding.S("what passes belongs to another domain ({{list .Who}})", finding.Args{"Who": strangers})
	}
	return finding.S("neither SPF nor DKIM passes", nil)
}
