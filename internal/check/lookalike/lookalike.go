// Package lookalike notices domains that imitate a known name: other letters that look the same (also in IDN), one
// keystroke beside, or the name put into a foreign domain.
//
// Promise: pure functions over the table of brands; a brand's own domains are never suspected. RFC 5890 to 5892 for
// IDN, Unicode TR 39 for the idea of a skeleton. It looks nothing up.
package lookalike

import (
	"slices"
	"sort"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
)

// How says in which way a domain imitates.
type How string

// The ways.
const (
	Confusable How = "confusable" // letters that look alike
	Typo       How = "typo"       // one keystroke beside
	Embedded   How = "embedded"   // the name inside a foreign domain
	Mixed      How = "mixed"      // letters of several scripts in one label; no brand is known
)

// Match is a domain that imitates.
type Match struct {
	Domain string `json:"domain"`          // as written
	Shown  string `json:"shown,omitempty"` // as an address bar shows it, where it is an IDN
	Brand  string `json:"brand,omitempty"` // whose name
	Real   string `json:"real,omitempty"`  // the domain it looks like
	How    How    `json:"how"`
}

// Find holds a domain against the brands; nil where nothing is to be said.
func Find(domain string, b *knowledge.Brands) *Match {
	domain = strings.ToLower(strings.Trim(domain, ". "))
	if domain == "" || len(domain) > 253 || b == nil {
		return nil
	}
	shown, err := idna.Punycode.ToUnicode(domain)
	if err != nil {
		shown = domain
	}
	org, rest := split(shown)
	ascii, _ := split(domain)
	for _, x := range b.Brand {
		if slices.Contains(x.Domains, ascii) || slices.Contains(x.Domains, org) {
			return nil
		}
	}
	m := Match{Domain: domain}
	if shown != domain {
		m.Shown = shown
	}
	label, _, _ := strings.Cut(org, ".")
	looks := replacer(b.Confusable)
	skeleton := looks.Replace(label)
	for _, x := range b.Brand {
		for _, d := range x.Domains {
			name, _, _ := strings.Cut(d, ".")
			if how := resembles(label, skeleton, name, rest, looks); how != "" {
				m.Brand, m.Real, m.How = x.Name, d, how
				return &m
			}
		}
	}
	if mixedScripts(label) {
		m.How = Mixed
		return &m
	}
	return nil
}

// resembles compares the registrable label, and the labels before it, with a brand's.
func resembles(label, skeleton, name, rest string, looks *strings.Replacer) How {
	switch {
	case len(name) < 4:
		return embedded(label, name, rest)
	case label != name && skeleton == looks.Replace(name):
		return Confusable
	case len(name) >= 6 && label != name && distance(label, name) == 1 && !plainDigits(name):
		return Typo
	}
	return embedded(label, name, rest)
}

// embedded finds the name as a whole word of the labels: paypal-login.example, paypal.com.example.
func embedded(label, name, rest string) How {
	if len(name) < 5 || plainDigits(name) {
		return ""
	}
	for _, part := range strings.Split(label, "-") {
		if part == name && part != label {
			return Embedded
		}
	}
	if slices.Contains(strings.Split(rest, "."), name) && rest != "" && strings.Contains(rest, name+".") {
		return Embedded
	}
	return ""
}

func plainDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// split gives the registrable domain and the labels before it.
func split(domain string) (org, rest string) {
	org, err := publicsuffix.EffectiveTLDPlusOne(domain)
	if err != nil {
		return domain, ""
	}
	return org, strings.TrimSuffix(strings.TrimSuffix(domain, org), ".")
}

// replacer writes a label as it looks, by the table of confusables: longest groups first.
func replacer(confusable map[string]string) *strings.Replacer {
	keys := make([]string, 0, len(confusable))
	for k := range confusable {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		return len(keys[i]) > len(keys[j]) || len(keys[i]) == len(keys[j]) && keys[i] < keys[j]
	})
	pairs := make([]string, 0, 2*len(keys))
	for _, k := range keys {
		pairs = append(pairs, k, confusable[k])
	}
	return strings.NewReplacer(pairs...)
}

// distance is the number of single-letter edits between two labels, a swap of neighbours counting one; beyond two it
// stops counting.
func distance(a, b string) int {
	ra, rb := []rune(a), []rune(b)
	if d := len(ra) - len(rb); d > 1 || d < -1 || len(ra) > 64 {
		return 9
	}
	prev2, prev, cur := make([]int, len(rb)+1), make([]int, len(rb)+1), make([]int, len(rb)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(ra); i++ {
		cur[0] = i
		for j := 1; j <= len(rb); j++ {
			cost := 1
			if ra[i-1] == rb[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && ra[i-1] == rb[j-2] && ra[i-2] == rb[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(rb)]
}

// mixedScripts tells whether a label mixes Latin with Cyrillic or Greek.
func mixedScripts(label string) bool {
	var latin, other bool
	for _, r := range label {
		latin = latin || unicode.Is(unicode.Latin, r)
		other = other || unicode.Is(unicode.Cyrillic, r) || unicode.Is(unicode.Greek, r)
	}
	return latin && other
}

var ruleLookalike = &finding.Rule{
	ID: "lookalike.domain", Severity: finding.Warning, Owner: finding.OwnerSender,
	Title:  "Look-alike domain",
	Says:   "{{.Where}} {{.Domain}} {{.How}}",
	OK:     "No look-alike domain among the addresses",
	Why:    "Readers take such a name for the real one. SPF, DKIM and DMARC do not help: they prove that the mail is from the look-alike.",
	Repair: "Do not follow what the message asks; ask the real organisation by a way that the message does not name, and report the domain to its registrar.",
	Refs:   []finding.Ref{{Title: "Unicode Technical Standard 39: Unicode security mechanisms", URL: "https://www.unicode.org/reports/tr39/"}},
}

// Rules lists what Judge may say.
var Rules = []*finding.Rule{ruleLookalike}

// Judge says that a domain imitates; where tells its place in words ("The From domain").
func Judge(m *Match, where finding.Sentence, s finding.Subject) finding.Finding {
	args := finding.Args{"Brand": m.Brand, "Real": m.Real, "Shown": m.Shown}
	var how finding.Sentence
	switch {
	case m.How == Mixed:
		how = finding.S("mixes letters of several scripts in one name ({{.Shown}})", args)
	case m.How == Confusable && m.Shown != "":
		how = finding.S("is shown as {{.Shown}} and looks like {{.Real}} of {{.Brand}}, but is another domain", args)
	case m.How == Confusable:
		how = finding.S("looks like {{.Real}} of {{.Brand}}, but is another domain", args)
	case m.How == Typo:
		how = finding.S("is one keystroke beside {{.Real}} of {{.Brand}}", args)
	default:
		how = finding.S("carries the name of {{.Brand}}, but does not belong to {{.Real}}", args)
	}
	return ruleLookalike.Failed(s, finding.Args{"Where": where, "Domain": m.Domain, "How": how})
}

// Clean says that no look-alike was found.
func Clean(s finding.Subject) finding.Finding { return ruleLookalike.Passed(s, nil) }
