package message

import (
	"strings"

	"github.com/mailwhy/mailwhy/internal/mail/header"
)

// AuthResults is one Authentication-Results or Received-SPF field.
type AuthResults struct {
	Field    string   `json:"field"`
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

// authResults reads the fields in which servers noted what they checked (RFC 8601, RFC 7208 section 9.1, RFC 8617
// section 4.1.1). A field stands above the Received line of the host that wrote it, so those above our oldest line are
// ours.
func authResults(b *header.Block, believed int) []AuthResults {
	var out []AuthResults
	received := 0
	for i := range b.Fields {
		f := &b.Fields[i]
		if f.Is("Received") {
			received++
		}
		if len(out) >= 50 {
			break
		}
		r := AuthResults{Field: f.Name, Believed: received < believed}
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
		if f.Is("ARC-Authentication-Results") {
			r.Believed = false
		}
		if len(r.Results) > 0 {
			out = append(out, r)
		}
	}
	return out
}

func (r *AuthResults) parse() {
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
func (r *AuthResults) receivedSPF() {
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
