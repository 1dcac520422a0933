package content

import (
	"strings"
	"unicode"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail/mimetree"
)

// Judge says what is wrong with the content.
func Judge(f *Facts, table *knowledge.Content, s finding.Subject) []finding.Finding {
	var out []finding.Finding
	for _, part := range []func(*Facts, finding.Subject) []finding.Finding{judgeText, judgeHTML, judgeStructure, judgeLinks, judgeFiles, judgeList} {
		out = append(out, part(f, s)...)
	}
	return append(out, judgeSize(f, table, s))
}

// either fails or passes a rule.
func either(r *finding.Rule, bad bool, s finding.Subject, args finding.Args) finding.Finding {
	if bad {
		return r.Failed(s, args)
	}
	return r.Passed(s, args)
}

func judgeText(f *Facts, s finding.Subject) []finding.Finding {
	var out []finding.Finding
	out = append(out, judgePhrases(f, s)...)
	out = append(out, either(ruleCapitals, f.Capitals >= 50, s, finding.Args{"Percent": f.Capitals}))
	what := subjectFault(f.Subject)
	out = append(out, either(ruleSubject, !what.IsZero(), s, finding.Args{"What": what, "Subject": clip(f.Subject, 120)}))
	chars, images := f.Text, 0
	if f.HTML != nil {
		chars, images = max(chars, f.HTML.Chars), f.HTML.Images
	}
	for _, p := range f.Parts {
		if f.HTML == nil && strings.HasPrefix(p.Type, "image/") {
			images++
		}
	}
	switch {
	case chars == 0 && images == 0:
		out = append(out, ruleEmpty.Failed(s, nil))
	case images > 0:
		out = append(out, either(ruleImageOnly, chars < 100, s, finding.Args{"Images": images, "Chars": chars}))
	}
	return out
}

// judgePhrases makes a finding of each group; a single weak word is let go.
func judgePhrases(f *Facts, s finding.Subject) []finding.Finding {
	type group struct {
		name   knowledge.Text
		words  []string
		points float64
	}
	var order []string
	groups := map[string]*group{}
	for _, p := range f.Phrases {
		g := groups[p.Group.EN]
		if g == nil {
			g = &group{name: p.Group}
			groups[p.Group.EN] = g
			order = append(order, p.Group.EN)
		}
		g.words = append(g.words, p.Text)
		g.points += p.Points
	}
	var out []finding.Finding
	for _, k := range order {
		if g := groups[k]; g.points >= 0.6 {
			out = append(out, rulePhrases.Failed(s, finding.Args{"Group": finding.Both(g.name.EN, g.name.ZH), "Words": g.words}))
		}
	}
	if len(out) == 0 {
		out = append(out, rulePhrases.Passed(s, nil))
	}
	return out
}

func subjectFault(subject string) finding.Sentence {
	letters, upper, marks := 0, 0, 0
	for _, r := range subject {
		switch {
		case r >= 'a' && r <= 'z':
			letters++
		case r >= 'A' && r <= 'Z':
			letters++
			upper++
		case r == '!' || r == '！' || r == '$' || r == '￥':
			marks++
		case unicode.Is(unicode.Cf, r) && r != '\u200d':
			return finding.S("has invisible characters", nil)
		}
	}
	switch {
	case strings.TrimSpace(subject) == "":
		return finding.S("is empty", nil)
	case letters >= 10 && upper*10 >= letters*9:
		return finding.S("is all capitals", nil)
	case marks >= 3:
		return finding.S("has many exclamation or money marks", nil)
	}
	return finding.Sentence{}
}

func judgeHTML(f *Facts, s finding.Subject) []finding.Finding {
	h := f.HTML
	if h == nil {
		return nil
	}
	var out []finding.Finding
	add := func(r *finding.Rule, bad bool, args finding.Args) { out = append(out, either(r, bad, s, args)) }
	add(ruleNoPlain, !f.HasText, nil)
	add(ruleHidden, h.Hidden > 150 || h.Hidden > 20 && h.Hidden > h.Chars, finding.Args{"Chars": h.Hidden})
	add(ruleTiny, h.Tiny > 20, finding.Args{"Chars": h.Tiny})
	add(ruleBroken, h.Unclosed+h.Misnested+h.Stray > 3, finding.Args{"Unclosed": h.Unclosed, "Misnested": h.Misnested, "Stray": h.Stray})
	add(ruleForm, h.Forms > 0, finding.Args{"N": h.Forms})
	add(ruleScript, h.Scripts+h.Objects > 0 || h.Refresh, finding.Args{"Scripts": h.Scripts, "Objects": h.Objects, "Refresh": h.Refresh})
	if h.NoAlt > 0 {
		out = append(out, ruleAlt.Failed(s, finding.Args{"N": h.NoAlt, "Images": h.Images}))
	}
	if percent := 100 * h.Chars / max(h.Bytes, 1); percent < 5 && h.Bytes > 5000 {
		out = append(out, ruleRatio.Failed(s, finding.Args{"Percent": percent}))
	}
	return out
}

func judgeStructure(f *Facts, s finding.Subject) []finding.Finding {
	var said []finding.Sentence
	seen := map[mimetree.Fault]bool{}
	note := func(x mimetree.Fault) {
		if w := structureFault(x); !seen[x] && !w.IsZero() {
			said = append(said, w)
		}
		seen[x] = true
	}
	for _, x := range f.Faults {
		note(x)
	}
	for _, p := range f.Parts {
		for _, x := range p.Faults {
			note(x)
		}
	}
	return []finding.Finding{either(ruleStructure, len(said) > 0, s, finding.Args{"Faults": said})}
}

func structureFault(x mimetree.Fault) finding.Sentence {
	switch x {
	case mimetree.TooManyParts:
		return finding.S("too many parts, the rest was not looked at", nil)
	case mimetree.TooDeep:
		return finding.S("parts nested too deep, the rest was not looked at", nil)
	case mimetree.TooBig:
		return finding.S("too big to be decoded whole", nil)
	case mimetree.NoBoundary:
		return finding.S("a multipart without a boundary", nil)
	case mimetree.NotClosed:
		return finding.S("a multipart whose end is missing", nil)
	case mimetree.BadType:
		return finding.S("a Content-Type that cannot be read", nil)
	case mimetree.BadEncoding:
		return finding.S("a part that is not encoded as it says", nil)
	case mimetree.BadCharset:
		return finding.S("text that is not of the charset it names", nil)
	case mimetree.NulBytes:
		return finding.S("NUL bytes in a text", nil)
	case mimetree.EmptyPart:
		return finding.S("a multipart without parts", nil)
	}
	return finding.Sentence{}
}

// judgeLinks makes at most three findings of each kind.
func judgeLinks(f *Facts, s finding.Subject) []finding.Finding {
	if len(f.Links) == 0 {
		return nil
	}
	var out []finding.Finding
	said := map[*finding.Rule]int{}
	fail := func(r *finding.Rule, l Link, args finding.Args) {
		if said[r]++; said[r] <= 3 {
			out = append(out, r.Failed(s, args).With(finding.Evidence{Source: "body", Place: clip(l.Text, 60), Raw: l.URL}))
		}
	}
	short, shortHost := 0, ""
	for _, l := range f.Links {
		if l.Shown != "" {
			fail(ruleTextDiffers, l, finding.Args{"Shown": l.Shown, "Host": l.Host})
		}
		if l.Shortener {
			short, shortHost = short+1, l.Host
		}
		if l.IP {
			fail(ruleBareIP, l, finding.Args{"Host": l.Host})
		}
		if m := l.Alike; m != nil {
			fail(ruleLinkAlike, l, finding.Args{"Host": l.Host, "Shown": m.Shown, "Real": m.Real, "Brand": m.Brand})
		}
		if l.User {
			fail(ruleUser, l, finding.Args{"Host": l.Host})
		}
		if l.Scheme != "" {
			fail(ruleScheme, l, finding.Args{"Scheme": l.Scheme})
		}
	}
	if short > 0 {
		out = append(out, ruleShort.Failed(s, finding.Args{"N": short, "Host": shortHost}))
		said[ruleShort] = short
	}
	for _, r := range []*finding.Rule{ruleTextDiffers, ruleShort, ruleBareIP, ruleLinkAlike, ruleUser, ruleScheme} {
		if said[r] == 0 {
			out = append(out, r.Passed(s, nil))
		}
	}
	return out
}

// JudgeBlocked says which domains of the links are listed, and by whom.
func JudgeBlocked(listed map[string][]string, asked int, s finding.Subject) []finding.Finding {
	var out []finding.Finding
	for domain, lists := range listed {
		out = append(out, ruleBlocked.Failed(s, finding.Args{"Domain": domain, "Lists": lists}).Prove(finding.Cmd("blocklist", domain)))
	}
	if len(out) == 0 && asked > 0 {
		out = append(out, ruleBlocked.Passed(s, finding.Args{"N": asked}))
	}
	return out
}

func judgeFiles(f *Facts, s finding.Subject) []finding.Finding {
	if len(f.Files) == 0 {
		return nil
	}
	var out []finding.Finding
	said := map[*finding.Rule]bool{}
	fail := func(r *finding.Rule, args finding.Args) {
		said[r] = true
		out = append(out, r.Failed(s, args))
	}
	for _, x := range f.Files {
		args := finding.Args{"Name": x.Name}
		switch {
		case x.Double:
			fail(ruleDouble, args)
		case x.Dangerous:
			fail(ruleDangerous, args)
		}
		if x.Disguised != "" {
			what := finding.S("an archive", nil)
			if x.Disguised == "program" {
				what = finding.S("a program", nil)
			}
			fail(ruleDisguised, finding.Args{"Name": x.Name, "What": what})
		}
		if len(x.Inside) > 0 {
			fail(ruleInside, finding.Args{"Name": x.Name, "Inside": x.Inside})
		}
		if x.Macro != "" {
			fail(ruleMacro, args)
		}
		if x.Encrypted {
			fail(ruleEncrypted, args)
		}
		if x.Page {
			fail(rulePage, args)
		}
	}
	for _, r := range []*finding.Rule{ruleDangerous, ruleDouble, ruleDisguised, ruleInside, ruleMacro, ruleEncrypted, rulePage} {
		if !said[r] {
			out = append(out, r.Passed(s, nil))
		}
	}
	return out
}

func judgeList(f *Facts, s finding.Subject) []finding.Finding {
	l := f.List
	if !l.Bulk {
		return []finding.Finding{ruleUnsubscribe.NA(s)}
	}
	if l.Unsubscribe == "" {
		return []finding.Finding{ruleUnsubscribe.Failed(s, nil)}
	}
	out := []finding.Finding{ruleUnsubscribe.Passed(s, nil)}
	what := finding.Sentence{}
	switch {
	case !l.HTTPS:
		what = finding.S("it gives no https address", nil)
	case !l.OneClick:
		what = finding.S("List-Unsubscribe-Post is missing", nil)
	}
	return append(out, either(ruleOneClick, !what.IsZero(), s, finding.Args{"What": what}))
}

func judgeSize(f *Facts, table *knowledge.Content, s finding.Subject) finding.Finding {
	var over []string
	for _, l := range table.Limit {
		if f.Size > l.Bytes {
			over = append(over, l.Provider)
		}
	}
	return either(ruleSize, len(over) > 0, s, finding.Args{"Bytes": f.Size, "Providers": over})
}
