// Package results reads what the servers on the way noted about authentication: Authentication-Results,
// ARC-Authentication-Results and Received-SPF, side by side.
//
// Promise: it reads, it does not verify. Only fields above our own oldest Received line are believed; a sender can write
// the others. RFC 8601, RFC 7208 section 9.1, RFC 8617 section 4.1.1.
package results

import (
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/header"
)

// Field is one Authentication-Results or Received-SPF field.
type Field struct {
	Name     string   `json:"field"`
	Host     string   `json:"host"` // who checked (authserv-id)
	Results  []Result `json:"results"`
	Believed bool     `json:"believed"` // our own servers wrote it
	Raw      string   `json:"raw"`
}

// Result is the outcome of one method.
type Result struct {
	Method string `json:"method"`
	Result string `json:"result"`
	For    string `json:"for,omitempty"` // the identity that was checked: "smtp.mailfrom=mine.example"
	Reason string `json:"reason,omitempty"`
}

// Read reads the fields in which servers noted what they checked (RFC 8601, RFC 7208 section 9.1, RFC 8617
// section 4.1.1). Those above the oldest Received line that can be believed are ours. Those right below it are ours when
// they bear the name of the border, or of its domain: servers of both habits exist, and a border has to strip what comes
// in under its own name (RFC 8601 section 5). border is that host's name.
func Read(b *header.Block, believed int, border string) []Field {
	var out []Field
	received := 0
	for i := range b.Fields {
		f := &b.Fields[i]
		if f.Is("Received") {
			received++
		}
		if len(out) >= 50 {
			break
		}
		r := Field{Name: f.Name, Believed: received < believed}
		switch {
		case f.Is("Authentication-Results"), f.Is("ARC-Authentication-Results"), f.Is("X-Authentication-Results"):
			r.Raw = f.Value()
			r.parse()
		case f.Is("Received-SPF"):
			r.Raw = f.Value()
			r.receivedSPF()
		default:
			continue
		}
		if received == believed && border != "" && akin(r.Host, border) {
			r.Believed = true
		}
		if f.Is("ARC-Authentication-Results") {
			r.Believed = false
		}
		if len(r.Results) > 0 {
			out = append(out, r)
		}
	}
	return out
}

// akin tells whether two hosts are the same or of one registrable domain.
func akin(a, b string) bool {
	a, b = strings.ToLower(strings.Trim(a, ".")), strings.ToLower(strings.Trim(b, "."))
	if a == "" || b == "" {
		return false
	}
	da, e1 := publicsuffix.EffectiveTLDPlusOne(a)
	db, e2 := publicsuffix.EffectiveTLDPlusOne(b)
	return a == b || e1 == nil && e2 == nil && da == db
}

func (r *Field) parse() {
	parts := splitOutside(r.Raw, ';')
	if len(parts) > 0 && strings.HasPrefix(strings.TrimSpace(parts[0]), "i=") {
		parts = parts[1:] // ARC instance
	}
	if len(parts) == 0 {
		return
	}
	if !strings.Contains(firstWord(parts[0]), "=") { // Exchange leaves the host out
		r.Host = firstWord(parts[0])
		parts = parts[1:]
	}
	for _, p := range parts {
		if x, ok := result(p); ok && len(r.Results) < 40 {
			r.Results = append(r.Results, x)
		}
	}
}

func result(s string) (Result, bool) {
	words := splitOutside(strings.TrimSpace(s), ' ')
	var x Result
	for i, w := range words {
		w = strings.TrimSpace(w)
		switch {
		case w == "":
		case strings.HasPrefix(w, "("):
			if x.Reason == "" && x.Method != "" {
				x.Reason = strings.Trim(w, "()")
			}
		default:
			k, v, ok := strings.Cut(w, "=")
			v = strings.Trim(v, "\"")
			switch {
			case i == 0 && !ok:
				return x, false
			case x.Method == "":
				x.Method, _, _ = strings.Cut(strings.ToLower(k), "/")
				x.Result = strings.ToLower(v)
			case strings.EqualFold(k, "reason"):
				x.Reason = v
			case x.For == "" && strings.Contains(k, ".") && k != "policy.dmarc" && ok:
				x.For = k + "=" + v
			}
		}
	}
	return x, x.Method != "" && x.Result != ""
}

// receivedSPF reads "pass (host: reason) receiver=…; identity=mailfrom; envelope-from=…".
func (r *Field) receivedSPF() {
	word := strings.ToLower(firstWord(r.Raw))
	x := Result{Method: "spf", Result: word}
	if o := strings.IndexByte(r.Raw, '('); o >= 0 {
		x.Reason, _, _ = strings.Cut(r.Raw[o+1:], ")")
		if host, why, ok := strings.Cut(x.Reason, ": "); ok && !strings.Contains(host, " ") {
			r.Host, x.Reason = host, why
		}
	}
	for _, p := range strings.FieldsFunc(r.Raw, func(c rune) bool { return c == ';' || c == ' ' }) {
		k, v, ok := strings.Cut(p, "=")
		v = strings.Trim(v, "\"<>")
		switch {
		case !ok:
		case strings.EqualFold(k, "receiver"):
			r.Host = v
		case strings.EqualFold(k, "envelope-from"):
			x.For = "smtp.mailfrom=" + v
		}
	}
	r.Results = []Result{x}
}

func firstWord(s string) string {
	if f := strings.Fields(s); len(f) > 0 {
		return f[0]
	}
	return ""
}

// splitOutside splits at a byte outside quotes and comments.
func splitOutside(s string, sep byte) []string {
	var out []string
	start, depth, quoted := 0, 0, false
	for i := 0; i < len(s) && len(out) < 200; i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth = max(depth-1, 0)
		case c == sep && depth == 0:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}

var ruleFailed = &finding.Rule{
	ID: "authres.failed", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "A server on the way found authentication failing",
	Says:   "{{.Host}} found {{.Method}}={{.Result}}{{.Detail}}",
	OK:     "The authentication results of our own servers show no failure",
	Why:    "What fails SPF, DKIM and DMARC is refused, junked, or loses the reputation of its domain.",
	Repair: "Verify the message again to see which check fails now and why.",
	Refs:   []finding.Ref{finding.RFC(8601, "2.7")},
}

// Rules lists what Judge may say.
var Rules = []*finding.Rule{ruleFailed}

var bad = map[string]bool{"fail": true, "softfail": true, "permerror": true, "hardfail": true}

// Judge says which results of our own servers are failures; nothing where they noted none.
func Judge(fs []Field, s finding.Subject) []finding.Finding {
	var out []finding.Finding
	any := false
	for _, r := range fs {
		any = any || r.Believed
		for _, x := range r.Results {
			if !r.Believed || !bad[x.Result] {
				continue
			}
			detail := finding.Sentence{}
			if x.Reason != "" {
				detail = finding.S(" ({{.Reason}})", finding.Args{"Reason": x.Reason})
			}
			out = append(out, ruleFailed.Failed(s, finding.Args{"Host": r.Host, "Method": x.Method, "Result": x.Result, "Detail": detail}).
				With(finding.Evidence{Source: "header", Place: r.Name, Raw: clip(r.Raw)}))
		}
	}
	if any && len(out) == 0 {
		out = append(out, ruleFailed.Passed(s, nil))
	}
	return out
}

// Section shows the results of every hop side by side, ours first.
func Section(fs []Field) finding.Section {
	s := finding.Section{
		Title:   finding.S("Authentication results, as the servers on the way noted them", nil),
		Columns: []finding.Sentence{finding.S("server", nil), finding.S("method", nil), finding.S("result", nil), finding.S("for", nil), finding.S("belief", nil)},
	}
	for _, r := range fs {
		belief := finding.S("a claim", nil)
		if r.Believed {
			belief = finding.S("ours", nil)
		}
		for _, x := range r.Results {
			text := x.Result
			if x.Reason != "" {
				text += " (" + clip(x.Reason) + ")"
			}
			s.Rows = append(s.Rows, finding.Cells(finding.Raw(r.Host), finding.Raw(x.Method), finding.Raw(text), finding.Raw(x.For), belief))
		}
	}
	return s
}

func clip(s string) string {
	if len(s) > 400 {
		s = strings.ToValidUTF8(s[:400], "") + " …"
	}
	return s
}
