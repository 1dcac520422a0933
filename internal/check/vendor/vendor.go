// Package vendor reads the headers that filters and mailbox providers leave in a message: Exchange Online Protection,
// SpamAssassin, rspamd, Google, Yahoo, Mail.ru, Mimecast, Proofpoint, IronPort, Barracuda, NetEase, QQ, Aliyun and more.
//
// Promise: what a value means stands in the table vendor_headers; here is only how values are cut. A field the table
// does not know is left alone; a value it does not know is shown as it is. Whether a field can be believed (it may have
// come with the message) is told by its place: Below counts the Received lines above it. It must not guess meanings.
package vendor

import (
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail/header"
)

// Field is one decoded header field.
type Field struct {
	Name     string         `json:"name"`
	Product  string         `json:"product"`
	About    knowledge.Text `json:"about"`
	Value    string         `json:"value"`
	Items    []Item         `json:"items,omitempty"`
	Below    int            `json:"received_above"` // Received lines above the field
	Believed bool           `json:"believed"`       // it stands above the trust line: our own servers wrote it
	AtBorder bool           `json:"at_border"`      // it stands right below: our border may have written it
}

// Item is one part of a value.
type Item struct {
	Key     string          `json:"key"`
	Name    knowledge.Text  `json:"name,omitzero"`
	Value   string          `json:"value"`
	Means   *knowledge.Text `json:"means,omitempty"`
	Verdict string          `json:"verdict,omitempty"` // "good", "bad" or ""
}

const (
	maxFields = 200
	maxItems  = 100
	maxValue  = 4096
)

// Decode reads all known fields of a header. believed is the number of Received lines that can be believed: fields
// above the last of them are ours.
func Decode(b *header.Block, v *knowledge.VendorHeaders, believed int) []Field {
	var out []Field
	received := 0
	for i := range b.Fields {
		f := &b.Fields[i]
		if f.Is("Received") {
			received++
			continue
		}
		h := find(v, f.Name)
		if h == nil || len(out) >= maxFields {
			continue
		}
		value := f.Value()
		if len(value) > maxValue {
			value = strings.ToValidUTF8(value[:maxValue], "")
		}
		out = append(out, Field{Name: f.Name, Product: h.Product, About: h.About, Value: value, Items: items(h, value), Below: received, Believed: received < believed || received == 0, AtBorder: received == believed})
	}
	return out
}

func find(v *knowledge.VendorHeaders, name string) *knowledge.VendorHeader {
	low := strings.ToLower(name)
	for i := range v.Header {
		want := strings.ToLower(v.Header[i].Name)
		if p, ok := strings.CutSuffix(want, "*"); ok && strings.HasPrefix(low, p) || want == low {
			return &v.Header[i]
		}
	}
	return nil
}

type pair struct{ k, v string }

func items(h *knowledge.VendorHeader, value string) []Item {
	var ps []pair
	switch h.Form {
	case "colon":
		ps = split(value, ";", ":")
	case "equal":
		ps = equals(value)
	case "spamassassin":
		ps = spamAssassin(value)
	case "rspamd":
		ps = rspamd(value)
	default:
		ps = []pair{{"", strings.TrimSpace(value)}}
	}
	var out []Item
	for _, p := range ps {
		k := key(h, p.k)
		if k == nil || p.v == "" || len(out) >= maxItems {
			continue
		}
		it := Item{Key: p.k, Name: k.Name, Value: p.v}
		if m := meaning(k, p.v); m != nil {
			it.Means, it.Verdict = &m.Means, m.Verdict
		}
		out = append(out, it)
	}
	return out
}

func key(h *knowledge.VendorHeader, name string) *knowledge.VendorKey {
	for i := range h.Key {
		if strings.EqualFold(h.Key[i].Key, name) {
			return &h.Key[i]
		}
	}
	return nil
}

// meaning finds the row that fits best: the exact word, then a range, then a prefix, then the row for all.
func meaning(k *knowledge.VendorKey, v string) *knowledge.VendorValue {
	var loose *knowledge.VendorValue
	num, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
	for i := range k.Value {
		x := &k.Value[i]
		lo, hi, isRange := strings.Cut(x.Is, "..")
		prefix, isPrefix := strings.CutSuffix(x.Is, "*")
		switch {
		case strings.EqualFold(x.Is, v):
			return x
		case isRange && err == nil:
			l, e1 := strconv.ParseFloat(lo, 64)
			u, e2 := strconv.ParseFloat(hi, 64)
			if e1 == nil && e2 == nil && num >= l && num <= u {
				return x
			}
		case isPrefix && strings.HasPrefix(v, prefix) && (loose == nil || len(x.Is) > len(loose.Is)):
			loose = x
		}
	}
	return loose
}

func split(s, sep, eq string) []pair {
	var out []pair
	for _, part := range strings.Split(s, sep) {
		if k, v, ok := strings.Cut(part, eq); ok {
			out = append(out, pair{strings.TrimSpace(k), strings.TrimSpace(v)})
		}
	}
	return out
}

// equals cuts K=V parts at semicolons, else at commas, else at blanks.
func equals(s string) []pair {
	for _, sep := range []string{";", ",", " "} {
		if strings.Contains(s, sep) {
			return split(s, sep, "=")
		}
	}
	return split(s, ";", "=")
}

// spamAssassin cuts "Yes, score=5.2 required=5.0 tests=A,B autolearn=no". A list of tests may be folded, so that
// blanks stand behind its commas.
func spamAssassin(s string) []pair {
	first, rest, _ := strings.Cut(s, ",")
	out := []pair{{"verdict", strings.TrimSpace(first)}}
	if strings.Contains(first, "=") {
		rest = s
		out = nil
	}
	rest = strings.ReplaceAll(strings.ReplaceAll(rest, ", ", ","), ",\t", ",")
	for _, w := range strings.Fields(rest) {
		if k, v, ok := strings.Cut(w, "="); ok {
			out = append(out, pair{k, strings.ReplaceAll(strings.Trim(v, ","), ",", " ")})
		}
	}
	return out
}

// rspamd cuts "default: False [1.20 / 15.00]; SYM(0.10)[…]; …" and keeps the symbols that weigh.
func rspamd(s string) []pair {
	head, rest, _ := strings.Cut(s, ";")
	_, head, _ = strings.Cut(head, ":")
	verdict, nums, _ := strings.Cut(strings.TrimSpace(head), " ")
	score, limit, _ := strings.Cut(strings.Trim(nums, "[] "), "/")
	out := []pair{{"verdict", verdict}, {"score", strings.TrimSpace(score)}, {"required", strings.TrimSpace(limit)}}
	var syms []string
	for _, part := range strings.Split(rest, ";") {
		name, after, ok := strings.Cut(strings.TrimSpace(part), "(")
		weight, _, _ := strings.Cut(after, ")")
		if n, err := strconv.ParseFloat(weight, 64); ok && err == nil && n != 0 && len(syms) < 40 {
			syms = append(syms, name+"("+weight+")")
		}
	}
	return append(out, pair{"tests", strings.Join(syms, " ")})
}

// Sections draws the decoded fields: one table for each field of several parts, one for all single values.
func Sections(fs []Field, lang func(knowledge.Text) finding.Sentence) []finding.Section {
	var out []finding.Section
	single := finding.Section{
		Title:   finding.S("Single notes of filters and providers", nil),
		Columns: []finding.Sentence{finding.S("field", nil), finding.S("value", nil), finding.S("meaning", nil), finding.S("belief", nil)},
	}
	for _, f := range fs {
		belief := finding.S("a claim", nil)
		if f.Believed {
			belief = finding.S("ours", nil)
		}
		if len(f.Items) == 1 {
			single.Rows = append(single.Rows, finding.Cells(finding.Raw(f.Name), finding.Raw(clip(f.Items[0].Value)), means(f.Items[0], f, lang), belief))
			continue
		}
		s := finding.Section{
			Title:   finding.S("{{.Product}} noted in {{.Field}} ({{.Belief}})", finding.Args{"Product": f.Product, "Field": f.Name, "Belief": belief}),
			Columns: []finding.Sentence{finding.S("part", nil), finding.S("value", nil), finding.S("meaning", nil)},
		}
		for _, it := range f.Items {
			s.Rows = append(s.Rows, finding.Cells(finding.Raw(it.Key), finding.Raw(clip(it.Value)), means(it, f, lang)))
		}
		out = append(out, s)
	}
	if len(single.Rows) > 0 {
		out = append(out, single)
	}
	return out
}

// Sealed draws the fields that only their makers can read.
func Sealed(fs []Field, lang func(knowledge.Text) finding.Sentence) finding.Section {
	s := finding.Section{
		Title:   finding.S("More fields of filters and providers", nil),
		Columns: []finding.Sentence{finding.S("product", nil), finding.S("field", nil), finding.S("value", nil), finding.S("meaning", nil)},
		Folded:  true,
	}
	for _, f := range fs {
		s.Rows = append(s.Rows, finding.Cells(finding.Raw(f.Product), finding.Raw(f.Name), finding.Raw(clip(f.Value)), lang(f.About)))
	}
	return s
}

func means(it Item, f Field, lang func(knowledge.Text) finding.Sentence) finding.Sentence {
	if it.Means != nil {
		return finding.S("{{.Name}}: {{.Means}}", finding.Args{"Name": lang(it.Name), "Means": lang(*it.Means)})
	}
	return lang(it.Name)
}

func clip(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}
