package auth

import (
	"strconv"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/arc"
	"github.com/mailwhy/mailwhy/internal/mail/dkim"
	"github.com/mailwhy/mailwhy/internal/mail/dmarc"
)

// SayReason puts the reason of a verification into words.
func SayReason(v *dkim.Verification) finding.Sentence {
	if v.Status == dkim.Pass && v.Reason == "" {
		return finding.Sentence{}
	}
	return sayDKIM(v.Reason, finding.Args{"Detail": v.Detail, "Field": v.Changed, "Line": v.Appended})
}

func sayDKIM(r dkim.Reason, args finding.Args) finding.Sentence {
	switch r {
	case dkim.BodyAppended:
		return finding.S("text was added to the body after signing, from its line {{.Line}} on: typical of a mailing-list footer or a disclaimer", args)
	case dkim.BodyChanged:
		return finding.S("the body was changed after signing: typical of a gateway that rewrites links or attachments, or of a list", args)
	case dkim.BodyShort:
		return finding.S("the body is shorter than what was signed: its end is missing", args)
	case dkim.HeaderChanged:
		if args["Field"] == nil || args["Field"] == "" {
			return finding.S("a signed header field was changed after signing", args)
		}
		return finding.S("the field {{.Field}} was changed after signing", args)
	case dkim.WrongKey:
		return finding.S("the signature was made with another key than the one published", args)
	case dkim.SignatureBroken:
		return finding.S("the signature does not fit the header: a signed field or the signature itself was changed", args)
	case dkim.Expired:
		return finding.S("the signature has expired", args)
	case dkim.Future:
		return finding.S("the signature is dated in the future", args)
	case dkim.NoKey:
		return finding.S("there is no key at the selector", args)
	case dkim.KeyUnavailable:
		return finding.S("the key could not be asked for: {{.Detail}}", args)
	case dkim.KeyRevoked:
		return finding.S("the key was revoked", args)
	case dkim.KeyTooShort:
		return finding.S("the key is shorter than 1024 bits", args)
	case dkim.KeyBroken, dkim.KeyMismatch, dkim.KeyHashDenied, dkim.KeyStrict:
		return finding.S("the key record does not allow this signature", args)
	case dkim.OldAlgorithm:
		return finding.S("rsa-sha1 must not be accepted any more", args)
	case dkim.FromNotSigned:
		return finding.S("the From field is not signed", args)
	case dkim.BadIdentity:
		return finding.S("i does not lie within d", args)
	case dkim.MissingTag, dkim.BadTag, dkim.DuplicateTag, dkim.BadVersion, dkim.BadAlgorithm, dkim.BadQuery:
		return finding.S("the signature field is malformed ({{.Detail}})", args)
	}
	return finding.S("not looked at: too many signatures", args)
}

func sayChain(c *arc.Chain) finding.Sentence {
	args := finding.Args{"Detail": c.Detail}
	switch c.Reason {
	case arc.MessageBroken:
		return finding.S("its message signature does not hold: {{.Why}}", finding.Args{"Why": sayDKIM(dkim.Reason(c.Detail), finding.Args{"Detail": ""})})
	case arc.SealBroken:
		return finding.S("its seal does not hold: {{.Why}}", finding.Args{"Why": sayDKIM(dkim.Reason(c.Detail), finding.Args{"Detail": ""})})
	case arc.SealedFail:
		return finding.S("it was broken before and is sealed as such", args)
	case arc.GapInChain:
		return finding.S("a set is missing", args)
	case arc.MissingField:
		return finding.S("{{.Detail}} is missing", args)
	case arc.Duplicate:
		return finding.S("{{.Detail}} stands there twice", args)
	case arc.BadInstance, arc.BadTags, arc.BadChainValue, arc.HeadersInSeal, arc.SealInHeaders:
		return finding.S("a field is malformed ({{.Detail}})", args)
	}
	return finding.S("it has more than 50 sets", args)
}

// Sections are the outcome per method, and the signatures one by one.
func Sections(f *Facts) []finding.Section {
	s := finding.Section{
		Title:   finding.S("Verified again", nil),
		Columns: []finding.Sentence{finding.S("method", nil), finding.S("identity", nil), finding.S("result", nil), finding.S("details", nil)},
	}
	row := func(ok, bad bool, cells ...finding.Sentence) {
		r := finding.Cells(cells...)
		switch {
		case ok:
			v := finding.VerdictPass
			r.Mark = &v
		case bad:
			v := finding.VerdictWarning
			r.Mark = &v
		}
		s.Rows = append(s.Rows, r)
	}
	if r := f.SPF; r != nil {
		row(r.Code == "pass", true, finding.Raw("SPF"), finding.Raw(r.Sender), finding.Raw(string(r.Code)), finding.Raw(f.IP.String()+" "+r.Term))
	}
	for _, v := range f.DKIM {
		sig := v.Signature
		detail := finding.Raw("s=" + sig.Selector + " " + sig.Algorithm + " " + bits(v.Key) + " c=" + sig.Header.String() + "/" + sig.Body.String())
		if v.Status != dkim.Pass {
			detail = finding.S("{{.What}}: {{.Why}}", finding.Args{"What": "s=" + sig.Selector, "Why": SayReason(v)})
		}
		row(v.Status == dkim.Pass, true, finding.Raw("DKIM"), finding.Raw(sig.Domain), finding.Raw(string(v.Status)), detail)
	}
	if c := f.ARC; c != nil {
		for _, set := range c.Sets {
			by := ""
			if set.Seal != nil {
				by = set.Seal.Domain
			}
			row(set.SealOK, true, finding.Raw("ARC "+strconv.Itoa(set.Instance)), finding.Raw(by), finding.Raw("cv="+set.CV), finding.Raw(set.Results))
		}
	}
	for _, g := range dmarc.Readings {
		r := f.DMARC[g]
		if r == nil {
			continue
		}
		result := finding.S("fail", nil)
		switch {
		case !r.Applies:
			result = finding.S("none", nil)
		case r.Pass:
			result = finding.S("pass", nil)
		}
		row(r.Pass, r.Applies, finding.Raw("DMARC "+string(g)), finding.Raw(f.From), result, finding.S("what the domain asks for: {{.P}}", finding.Args{"P": string(r.Disposition)}))
	}
	return []finding.Section{s}
}

func bits(k *dkim.Key) string {
	if k == nil {
		return ""
	}
	return strconv.Itoa(k.Bits)
}
