package dkim

import (
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/dkim"
)

type judgement struct {
	*Facts
	subject finding.Subject
	out     []finding.Finding
}

// Judge says what to think of the facts.
func Judge(f *Facts) []finding.Finding {
	j := &judgement{Facts: f, subject: finding.Domain(f.Domain)}
	if len(f.Wildcard) > 0 {
		fd := ruleWildcard.Failed(j.subject, finding.Args{"Domain": f.Domain, "Key": dkim.ParseKey(f.Wildcard[0]).Usable()})
		for _, w := range f.Wildcard {
			fd = fd.With(finding.Evidence{Source: "dns", Place: dkim.KeyName(nobody, f.Domain) + " TXT", Raw: w})
		}
		j.add(fd.Mend(finding.Step{Kind: finding.DNSDelete, Target: "*._domainkey." + f.Domain + " TXT", Old: check.QuoteTXT(f.Wildcard[0])}))
	}
	var found []string
	for i := range f.Selectors {
		if s := &f.Selectors[i]; j.selector(s) {
			found = append(found, s.Name)
		}
	}
	j.presence(found)
	j.across()
	for i := range j.out {
		if j.out[i].Verify == nil {
			j.out[i].Verify = j.prove()
		}
	}
	return j.out
}

func (j *judgement) add(f finding.Finding) { j.out = append(j.out, f) }

// prove is the command that looks again, at the same selectors.
func (j *judgement) prove() finding.Command {
	c := finding.Cmd("dkim", j.Domain)
	for _, s := range j.Selectors {
		if s.Given {
			c = append(c, "--selector", s.Name)
		}
	}
	return c
}

// presence judges whether there is any key at all. That no known selector answers proves nothing.
func (j *judgement) presence(found []string) {
	args := finding.Args{"Domain": j.Domain, "Selectors": found, "N": len(found)}
	switch {
	case len(found) > 0:
		j.add(ruleNone.Passed(j.subject, args))
		for _, r := range []*finding.Rule{ruleSyntax, ruleTest, ruleShort} {
			if !j.said(r) && (r != ruleShort || !j.said(ruleTooShort)) {
				j.add(r.Passed(j.subject, args))
			}
		}
	case j.Err != nil:
		j.add(ruleNone.Untested(j.subject, check.Why(j.Err)))
	case !j.Below:
		j.add(ruleNone.Failed(j.subject, args).Saw(finding.S("NXDOMAIN for _domainkey.{{.Domain}}", args), finding.S("at least one key", nil)))
	case len(j.Selectors) == 0:
		j.add(ruleNone.Untested(j.subject, finding.S("there are names below _domainkey.{{.Domain}}, but none of the {{.N}} selectors tried; name yours with --selector (it stands as s= in a DKIM-Signature of the domain)", finding.Args{"Domain": j.Domain, "N": j.Tried})))
	}
}

func (j *judgement) said(r *finding.Rule) bool {
	for i := range j.out {
		if j.out[i].Rule == r {
			return true
		}
	}
	return false
}

func (j *judgement) evidence(s *Selector, k *dkim.Key) finding.Evidence {
	return finding.Evidence{Source: "dns", Place: strings.TrimSpace(dkim.KeyName(s.Name, j.Domain) + " TXT " + s.Server), Raw: k.Raw}
}

// selector judges one selector; it tells whether there is a key in force.
func (j *judgement) selector(s *Selector) bool {
	name := dkim.KeyName(s.Name, j.Domain)
	args := finding.Args{"Domain": j.Domain, "Name": name}
	switch {
	case s.Err != nil:
		j.add(ruleSelector.Untested(j.subject, check.Why(s.Err)))
		return false
	case len(s.Keys) == 0 && (s.Given || s.Alias != ""):
		args["NX"], args["Target"] = s.NX, s.Alias
		f := ruleSelector.Failed(j.subject, args)
		if j.Own != nil {
			f = f.Mend(finding.Step{Kind: finding.DNSAdd, Target: name + " TXT", New: check.QuoteTXT(j.Own.Record)})
		}
		if !s.Given { // an alias of a service that is no longer used, or not yet
			note := finding.Note
			f.Severity = &note
		}
		j.add(f)
		return false
	case len(s.Keys) > 1:
		j.several(s, name)
	}
	k := s.Keys[0]
	for _, x := range s.Keys {
		if x.Usable() {
			k = x
			break
		}
	}
	j.key(s, k, name)
	return k.Usable()
}

func (j *judgement) several(s *Selector, name string) {
	f := ruleSeveral.Failed(j.subject, finding.Args{"Name": name, "N": len(s.Keys)})
	kept := false
	for _, k := range s.Keys {
		f = f.With(j.evidence(s, k))
		if !kept && k.Usable() {
			kept = true
			continue
		}
		f = f.Mend(finding.Step{Kind: finding.DNSDelete, Target: name + " TXT", Old: check.QuoteTXT(k.Raw)})
	}
	j.add(f)
}

func (j *judgement) key(s *Selector, k *dkim.Key, name string) {
	args := func() finding.Args {
		return finding.Args{"Domain": j.Domain, "Name": name, "Bits": k.Bits, "Hashes": strings.Join(k.Hashes, ", ")}
	}
	file := func(r *finding.Rule, a finding.Args, mended string) {
		f := r.Failed(j.subject, a).With(j.evidence(s, k))
		if mended != "" {
			f = f.Mend(finding.Step{Kind: finding.DNSReplace, Target: name + " TXT", Old: check.QuoteTXT(k.Raw), New: check.QuoteTXT(mended)})
		}
		j.add(f)
	}
	for _, x := range k.Faults {
		a := args()
		a["What"], a["Pos"] = sayFault(x), x.Pos+1
		if x.Kind == dkim.KeyMissing || x.Kind == dkim.KeyLikeOther {
			a["Pos"] = 0
		}
		switch {
		case x.Kind == dkim.KeyHash:
			file(ruleHash, a, without(k, "h"))
		case x.Kind == dkim.KeyPrivate:
			j.add(rulePrivate.Failed(j.subject, a)) // no evidence: it would be the key
		case x.Kind.Fatal():
			file(ruleSyntax, a, mend(k, x))
		default:
			file(ruleTag, a, "")
		}
	}
	if k.Revoked {
		file(ruleRevoked, args(), "")
		return
	}
	switch {
	case k.Type != "rsa" || k.Bits == 0:
	case k.Bits < 1024:
		file(ruleTooShort, args(), "")
	case k.Bits < 2048:
		file(ruleShort, args(), "")
	}
	if k.Test {
		mended := without(k, "t")
		if k.Strict {
			mended = strings.Replace(mended, "; p=", "; t=s; p=", 1)
		}
		file(ruleTest, args(), mended)
	}
	if j.Own != nil && (s.Given || len(j.Selectors) == 1) {
		a := args()
		a["File"] = j.Own.File
		if j.Own.fits(k) {
			j.add(ruleMatch.Passed(j.subject, a))
		} else {
			file(ruleMatch, a, j.Own.Record)
		}
	}
}

// without gives the record with a tag left out.
func without(k *dkim.Key, drop string) string {
	var parts []string
	for _, t := range k.Tags {
		if !strings.EqualFold(t.Name, drop) {
			parts = append(parts, t.Name+"="+strings.Join(strings.Fields(t.Value), ""))
		}
	}
	return strings.Join(parts, "; ")
}

// mend gives the record repaired where what was meant is plain; "" where only the signer can tell.
func mend(k *dkim.Key, x dkim.KeyFault) string {
	fixed := ""
	switch x.Kind {
	case dkim.KeyVersion:
		fixed = "v=DKIM1; " + without(k, "v")
	case dkim.KeyNoSpaceFix:
		fixed = without(dkim.ParseKey(strings.NewReplacer("\\", "", "\"", "", " ", "").Replace(k.Raw)), "")
	case dkim.KeyWrongType:
		fixed = without(k, "k")
	case dkim.KeyService:
		fixed = without(k, "s")
	}
	if fixed == "" || !dkim.ParseKey(fixed).Usable() {
		return ""
	}
	return fixed
}

// across judges the selectors together.
func (j *judgement) across() {
	byKey := map[string]string{}
	rsaSeen, edSeen := false, false
	for _, s := range j.Selectors {
		for _, k := range s.Keys {
			if !k.Usable() {
				continue
			}
			rsaSeen, edSeen = rsaSeen || k.Type == "rsa", edSeen || k.Type == "ed25519"
			p := ""
			for _, t := range k.Tags {
				if strings.EqualFold(t.Name, "p") {
					p = strings.Join(strings.Fields(t.Value), "")
				}
			}
			if first, ok := byKey[p]; ok && first != s.Name {
				j.add(ruleDuplicate.Failed(j.subject, finding.Args{"A": first, "B": s.Name}))
				continue
			}
			byKey[p] = s.Name
		}
	}
	if edSeen && !rsaSeen {
		j.add(ruleEd25519.Failed(j.subject, nil))
	}
}

// sayFault puts a fault of a key record into words.
func sayFault(x dkim.KeyFault) finding.Sentence {
	args := finding.Args{"Text": x.Text}
	switch x.Kind {
	case dkim.KeyVersion:
		return finding.S("v must be DKIM1 and stand first", args)
	case dkim.KeyType:
		return finding.S("{{.Text}} is no type of key; rsa and ed25519 are", args)
	case dkim.KeyMissing:
		return finding.S("it has no p, the key itself", nil)
	case dkim.KeyBase64:
		return finding.S("p is not base64; often a character got lost or a line was cut", nil)
	case dkim.KeyDER:
		return finding.S("p is no public key; often its end is missing", nil)
	case dkim.KeyWrongType:
		return finding.S("k says {{.Text}}, but the key is of another type", args)
	case dkim.KeyService:
		return finding.S("s={{.Text}} does not allow email", args)
	case dkim.KeyLikeOther:
		return finding.S("it is no key record at all", nil)
	case dkim.KeyNoSpaceFix:
		return finding.S("quotes or backslashes of a zone file got into the value", nil)
	case dkim.KeyPKCS1:
		return finding.S("p is a bare RSA key without the wrapping that RFC 6376 wants", nil)
	}
	return finding.S("the part {{.Text}} is no tag=value, or stands twice", args)
}

// Sections are the selectors found, a row each.
func Sections(f *Facts) []finding.Section {
	if len(f.Selectors) == 0 {
		return nil
	}
	s := finding.Section{
		Title:   finding.S("DKIM keys of {{.Domain}} ({{.N}} selectors tried)", finding.Args{"Domain": f.Domain, "N": f.Tried}),
		Columns: []finding.Sentence{finding.S("selector", nil), finding.S("key", nil), finding.S("size", nil), finding.S("flags", nil), finding.S("used by", nil)},
	}
	for i := range f.Selectors {
		x := &f.Selectors[i]
		by := finding.Raw(x.By)
		if x.Alias != "" {
			by = finding.Raw(strings.TrimSpace(x.By + " → " + x.Alias))
		}
		if len(x.Keys) == 0 {
			s.Rows = append(s.Rows, finding.Marked(finding.VerdictError, finding.Raw(x.Name), finding.S("none", nil), finding.Raw(""), finding.Raw(""), by))
			continue
		}
		for _, k := range x.Keys {
			row := finding.Cells(finding.Raw(x.Name), finding.Raw(k.Type), finding.Raw(strconv.Itoa(k.Bits)), flags(k), by)
			switch {
			case k.Revoked:
				v := finding.VerdictNote
				row.Mark = &v
				row.Cells[1], row.Cells[2] = finding.S("revoked", nil), finding.Raw("")
			case !k.Usable():
				v := finding.VerdictError
				row.Mark = &v
				row.Cells[1], row.Cells[2] = finding.S("cannot be used", nil), finding.Raw("")
			}
			s.Rows = append(s.Rows, row)
		}
	}
	return []finding.Section{s}
}

func flags(k *dkim.Key) finding.Sentence {
	switch {
	case k.Test && k.Strict:
		return finding.Raw("t=y:s")
	case k.Test:
		return finding.S("t=y (test)", nil)
	case k.Strict:
		return finding.Raw("t=s")
	}
	return finding.Raw("")
}
