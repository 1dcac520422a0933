package knowledge

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Words is words.toml: kinds of words, and what they mean together. It reads sentences that no phrase describes, in the
// wording of servers nobody has met yet.
type Words struct {
	Checked toml.LocalDate      `toml:"checked"`
	Kind    map[string][]string `toml:"kind"`
	Meaning []WordMeaning       `toml:"meaning"`
}

// WordMeaning is the cause that a clause names when it has a word of every kind.
type WordMeaning struct {
	Cause   string   `toml:"cause"`
	All     []string `toml:"all"`  // "box person" is one of either kind
	None    []string `toml:"none"` // kinds of which the clause may have no word
	Code    string   `toml:"code"` // a prefix of the basic code
	Again   string   `toml:"again"`
	Example []string `toml:"example"`
}

// Words reads words.toml.
func (b *Base) Words() (*Words, error) { return load[Words](b, "words.toml") }

const (
	maxClauses = 12  // a server's reply has few; a longer text is prose
	maxClause  = 300 // bytes: words further apart do not belong together
)

// Read finds what a reply says by its words: the meaning and the words that decided, or nil.
func (w *Words) Read(text, code string) (*WordMeaning, string) {
	clauses := clausesOf(text)
	has := make([]map[string]string, len(clauses))
	for i := range has {
		has[i] = map[string]string{}
	}
	for i := range w.Meaning {
		m := &w.Meaning[i]
		if m.Code != "" && !strings.HasPrefix(code, m.Code) {
			continue
		}
		for k, clause := range clauses {
			if words := w.holds(m, clause, has[k]); words != "" {
				return m, words
			}
		}
	}
	return nil, ""
}

// holds gives the words of the clause that carry the meaning, or "".
func (w *Words) holds(m *WordMeaning, clause string, seen map[string]string) string {
	if slices.ContainsFunc(m.None, func(kinds string) bool { return w.one(kinds, clause, seen) != "" }) {
		return ""
	}
	var words []string
	for _, kinds := range m.All {
		word := w.one(kinds, clause, seen)
		if word == "" {
			return ""
		}
		words = append(words, word)
	}
	return strings.Join(words, " + ")
}

// one finds a word of one of the kinds in the clause, or "". What was found is kept in seen.
func (w *Words) one(kinds, clause string, seen map[string]string) string {
	for _, kind := range strings.Fields(kinds) {
		word, ok := seen[kind]
		if !ok {
			if i := slices.IndexFunc(w.Kind[kind], func(x string) bool { return hasWord(clause, x) }); i >= 0 {
				word = strings.TrimSuffix(w.Kind[kind][i], "|")
			}
			seen[kind] = word
		}
		if word != "" {
			return word
		}
	}
	return ""
}

// hasWord tells that a word of the clause begins with the given one, or is it where that ends in "|".
func hasWord(clause, word string) bool {
	whole := strings.HasSuffix(word, "|")
	word = strings.TrimSuffix(word, "|")
	for from := 0; from < len(clause); {
		i := strings.Index(clause[from:], word)
		if i < 0 {
			return false
		}
		at := from + i
		end := at + len(word)
		from = at + 1
		if latin := word[0] < 0x80 && isLetter(word[0]); latin && at > 0 && clause[at-1] < 0x80 && wordByte(clause[at-1]) {
			continue
		}
		if !whole || end == len(clause) || !wordByte(clause[end]) {
			return true
		}
	}
	return false
}

// clausesOf cuts a reply into its sentences, without addresses, links and names of hosts: their parts are no
// words. An IP address becomes the word "ip-number".
func clausesOf(text string) []string {
	words := strings.Fields(strings.ToLower(text))
	kept := words[:0]
	for _, word := range words {
		if _, err := netip.ParseAddr(strings.Trim(word, ".,;:!?()[]<>'\"")); err == nil {
			kept = append(kept, "ip-number")
			continue
		}
		if bare := strings.Trim(word, ".,;:!?()[]<>'\""); strings.Contains(bare, "://") || strings.Contains(bare, "@") || strings.Count(bare, ".") > 1 || strings.Count(bare, ".") == 1 && !strings.HasPrefix(bare, ".") && len(bare) > 8 && bare[0] < 0x80 {
			if strings.HasSuffix(word, ".") || strings.HasSuffix(word, ";") {
				kept = append(kept, word[len(word)-1:])
			}
			continue
		}
		kept = append(kept, word)
	}
	flat := strings.NewReplacer("。", "\n", "；", "\n", "！", "\n", "？", "\n", ". ", "\n", "; ", "\n", "! ", "\n", "? ", "\n", "’", "'").Replace(strings.Join(kept, " "))
	var out []string
	for _, c := range strings.SplitN(flat, "\n", maxClauses+1) {
		if c = strings.TrimSpace(c); c == "" || len(out) == maxClauses {
			continue
		}
		if len(c) > maxClause {
			c = strings.ToValidUTF8(c[:maxClause], "")
		}
		out = append(out, c)
	}
	return out
}
