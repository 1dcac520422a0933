package knowledge

import (
	"cmp"
	"slices"
	"strings"
)

// Near is a known phrase that resembles a text.
type Near struct {
	Phrase   string // as the table holds it
	Cause    string
	Name     Text
	Provider string
	Share    float64 // of the phrase's three-letter groups that the text holds too, weighted by how much of the text they cover; 0 to 1
}

// Nearest lists the known phrases that resemble a text most, at most n, best first. Phrases that have too little in
// common with it are left out.
func (b *Base) Nearest(text string, n int) []Near {
	t, err := b.replies()
	if err != nil {
		return nil
	}
	hay := normalize(text)
	if len(hay) > 2000 {
		hay = hay[:2000]
	}
	hay = hay[min(wordsStart(hay), len(hay)):]
	have := trigrams(hay)
	var out []Near
	for i := range t.patterns {
		p := &t.patterns[i]
		if p.size < 8 {
			continue
		}
		want := trigrams(strings.NewReplacer("*", " ", "|", "", "^", "").Replace(p.text))
		hit := 0
		for g := range want {
			if have[g] {
				hit++
			}
		}
		share := float64(2*hit) / float64(len(want)+min(len(have), 3*len(want)))
		if share >= 0.3 {
			c := t.causes.ByID(p.row.Cause)
			out = append(out, Near{Phrase: p.text, Cause: c.ID, Name: c.Name, Provider: p.row.provider, Share: share})
		}
	}
	slices.SortStableFunc(out, func(a, b Near) int { return cmp.Compare(b.Share, a.Share) })
	var kept []Near
	for _, x := range out {
		if len(kept) < n && !slices.ContainsFunc(kept, func(k Near) bool { return k.Cause == x.Cause && k.Share-x.Share < 0.2 }) {
			kept = append(kept, x)
		}
	}
	return kept
}

func trigrams(s string) map[string]bool {
	out := map[string]bool{}
	for i := 0; i+3 <= len(s); i++ {
		if g := s[i : i+3]; strings.TrimSpace(g) == g && !isDigit(g[0]) {
			out[g] = true
		}
	}
	return out
}

// ProviderName is the name of a dialect's provider in both languages; empty for an unknown id.
func (b *Base) ProviderName(id string) Text {
	t, err := b.replies()
	if err != nil || id == "" {
		return Text{}
	}
	for _, f := range t.files {
		if f.Provider == id {
			return f.Name
		}
	}
	return Text{}
}

// CodeMeaning says what a basic code or an enhanced status means by itself; empty where no registry knows it.
func (b *Base) CodeMeaning(code string) (meaning Text, source string) {
	t, err := b.Enhanced()
	if err != nil {
		return Text{}, ""
	}
	if e := t.lookup(code); e != nil {
		return e.Meaning, e.Source
	}
	for i := range t.Code {
		if t.Code[i].Code == code && t.Code[i].Command == "" {
			return t.Code[i].Meaning, t.Code[i].Source
		}
	}
	return Text{}, ""
}
