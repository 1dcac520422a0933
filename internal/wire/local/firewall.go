package local

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// FirewallRule is a rule or a policy of this machine's packet filter that drops or refuses traffic of a port.
type FirewallRule struct {
	Outgoing bool     `json:"outgoing"`        // output; otherwise input
	Ports    []uint16 `json:"ports,omitempty"` // those asked for that it hits; empty for a policy: all that no rule lets through
	Verdict  string   `json:"verdict"`         // "drop", "reject"
	Policy   bool     `json:"policy,omitempty"`
	Where    string   `json:"where"`  // "inet filter input"
	Text     string   `json:"text"`   // the rule as the tool prints it, or a short form of its JSON
	Source   string   `json:"source"` // the command it came from
}

// nftDoc is the part of `nft -j list ruleset` that is read (libnftables-json(5)).
type nftDoc struct {
	Nftables []struct {
		Chain *struct {
			Family, Table, Name, Hook, Policy string
		}
		Rule *struct {
			Family, Table, Chain string
			Expr                 []json.RawMessage
		}
	}
}

// ReadNft finds what drops or refuses the ports in the output of `nft -j list ruleset`. Chains that hang on another hook
// than input and output are left out, and so are rules of chains that are only jumped to: who jumps decides.
func ReadNft(raw []byte, ports []uint16) ([]FirewallRule, error) {
	var doc nftDoc
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	var out []FirewallRule
	hooks := map[string]bool{}
	for _, o := range doc.Nftables {
		if c := o.Chain; c != nil && (c.Hook == "input" || c.Hook == "output") {
			where := c.Family + " " + c.Table + " " + c.Name
			hooks[where] = c.Hook == "output"
			if c.Policy == "drop" {
				out = append(out, FirewallRule{Outgoing: c.Hook == "output", Verdict: "drop", Policy: true, Where: where, Text: "policy drop", Source: "nft -j list ruleset"})
			}
		}
	}
	for _, o := range doc.Nftables {
		r := o.Rule
		if r == nil {
			continue
		}
		where := r.Family + " " + r.Table + " " + r.Chain
		outgoing, hooked := hooks[where]
		hit, verdict, text := nftRule(r.Expr, ports)
		if hooked && verdict != "" && len(hit) > 0 {
			out = append(out, FirewallRule{Outgoing: outgoing, Ports: hit, Verdict: verdict, Where: where, Text: text, Source: "nft -j list ruleset"})
		}
	}
	return out, nil
}

// nftRule tells which ports a rule matches by destination and what it does with them; "" for accept and the rest.
func nftRule(expr []json.RawMessage, ports []uint16) (hit []uint16, verdict, text string) {
	var words []string
	for _, e := range expr {
		var x struct {
			Match *struct {
				Op    string
				Left  json.RawMessage
				Right json.RawMessage
			}
			Drop   *json.RawMessage
			Reject *json.RawMessage
		}
		if json.Unmarshal(e, &x) != nil {
			continue
		}
		switch m := x.Match; {
		case m != nil:
			if strings.Contains(string(m.Left), `"dport"`) && m.Op == "==" {
				for _, p := range ports {
					if nftHas(m.Right, p) {
						hit = append(hit, p)
					}
				}
			}
			words = append(words, string(m.Left)+" "+m.Op+" "+string(m.Right))
		case strings.Contains(string(e), `"drop"`):
			verdict = "drop"
		case strings.Contains(string(e), `"reject"`):
			verdict = "reject"
		}
	}
	text = strings.Join(words, ", ") + " " + verdict
	if len(text) > 300 {
		text = text[:300] + "…"
	}
	return hit, verdict, text
}

// nftHas tells whether a right side (a number, a set, a range) holds the port.
func nftHas(raw json.RawMessage, port uint16) bool {
	var n uint64
	if json.Unmarshal(raw, &n) == nil {
		return n == uint64(port)
	}
	var x struct {
		Set   []json.RawMessage
		Range []uint64
	}
	if json.Unmarshal(raw, &x) != nil {
		return false
	}
	if len(x.Range) == 2 {
		return x.Range[0] <= uint64(port) && uint64(port) <= x.Range[1]
	}
	return slices.ContainsFunc(x.Set, func(r json.RawMessage) bool { return !strings.Contains(string(r), `"set"`) && nftHas(r, port) })
}

// ReadIptables finds the same in the output of iptables-save or ip6tables-save.
func ReadIptables(raw []byte, ports []uint16, source string) (out []FirewallRule) {
	table := ""
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "*") {
			table = line[1:]
			continue
		}
		if table != "filter" {
			continue
		}
		f := strings.Fields(line)
		if len(f) >= 2 && (f[0] == ":INPUT" || f[0] == ":OUTPUT") && f[1] == "DROP" {
			out = append(out, FirewallRule{Outgoing: f[0] == ":OUTPUT", Verdict: "drop", Policy: true, Where: "filter " + f[0][1:], Text: line, Source: source})
		}
		if len(f) < 4 || f[0] != "-A" || f[1] != "INPUT" && f[1] != "OUTPUT" {
			continue
		}
		r := FirewallRule{Outgoing: f[1] == "OUTPUT", Where: "filter " + f[1], Text: line, Source: source}
		for i := 2; i+1 < len(f); i++ {
			switch f[i] {
			case "--dport", "--dports":
				if f[i-1] != "!" {
					r.Ports = portsIn(f[i+1], ports)
				}
			case "-j":
				r.Verdict = map[string]string{"DROP": "drop", "REJECT": "reject"}[f[i+1]]
			}
		}
		if r.Verdict != "" && len(r.Ports) > 0 {
			out = append(out, r)
		}
	}
	return out
}

// portsIn gives those of the ports that "25,465,587:600" names.
func portsIn(list string, ports []uint16) (hit []uint16) {
	for part := range strings.SplitSeq(list, ",") {
		lo, hi, isRange := strings.Cut(part, ":")
		if !isRange {
			hi = lo
		}
		from, err1 := strconv.ParseUint(lo, 10, 16)
		to, err2 := strconv.ParseUint(hi, 10, 16)
		if err1 != nil || err2 != nil {
			continue
		}
		for _, p := range ports {
			if from <= uint64(p) && uint64(p) <= to && !slices.Contains(hit, p) {
				hit = append(hit, p)
			}
		}
	}
	return hit
}

// String is the rule in one line.
func (r FirewallRule) String() string { return fmt.Sprintf("%s: %s", r.Where, r.Text) }
