package change

import (
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
)

var ruleNotBlockable = &finding.Rule{
	ID: "block.not-blockable", Severity: finding.Error, Owner: finding.OwnerSelf,
	Title:  "neither an address nor a network nor a domain",
	Says:   "{{.What}} is neither an IP address nor a network nor a domain name",
	Why:    "An entry that no mail server understands would block nothing, or break the file it stands in.",
	Repair: "Give it like 203.0.113.7, 203.0.113.0/24, 2001:db8::/48 or partner.example.",
}

var ruleNoReason = &finding.Rule{
	ID: "block.no-reason", Severity: finding.Error, Owner: finding.OwnerSelf,
	Title:  "an entry without a reason",
	Says:   "{{.What}} was proposed without a reason",
	Why:    "Whoever is asked in half a year why a customer's mail is refused has only this line.",
	Repair: "Say with --reason what was seen.",
}

var ruleProtected = &finding.Rule{
	ID: "block.protected", Severity: finding.Error, Owner: finding.OwnerSelf,
	Title: "a network that must never be blocked",
	Says: "{{.What}} {{if eq .Kind \"own\"}}touches {{.By}}, which is ours{{else if eq .Kind \"partner\"}}touches {{.By}}, a partner that is never blocked" +
		"{{else}}touches {{.By}}, a range that no stranger on the Internet has{{end}}",
	OK:     "{{.What}} touches nothing that is protected",
	Why:    "An entry here cuts off our own users, machines or partners.",
	Repair: "Name a narrower network, or, where the list of what is ours is wrong, mend guard.toml.",
	Refs:   []finding.Ref{finding.RFC(6890, "2.2.2")},
}

var ruleTooWide = &finding.Rule{
	ID: "block.too-wide", Severity: finding.Error, Owner: finding.OwnerSelf,
	Title:  "a network too wide for one entry",
	Says:   "{{.What}} is wider than one entry may be (/{{.Bits}})",
	Why:    "The wider the entry, the more strangers pay for one of them.",
	Repair: "Block the addresses that were seen, or raise the bound in guard.toml.",
}

var ruleEnded = &finding.Rule{
	ID: "block.ended", Severity: finding.Error, Owner: finding.OwnerSelf,
	Title:  "an entry that has ended already",
	Says:   "the entry for {{.What}} would end before it begins",
	Why:    "It would never block anything.",
	Repair: "Give --until a time to come, such as 7d or 2027-01-31.",
}

var ruleShared = &finding.Rule{
	ID: "block.shared", Severity: finding.Warning, Owner: finding.OwnerSelf,
	Title:  "a network from which a mailbox provider sends",
	Says:   "{{.What}} belongs to the outgoing servers of {{.By}}",
	Why:    "Many people with nothing to do with the cause send from there; their mail is refused as well.",
	Repair: "Report the sender to the provider and block the sender's address or domain instead.",
}

var ruleTooLong = &finding.Rule{
	ID: "block.too-long", Severity: finding.Note, Owner: finding.OwnerSelf,
	Title: "the entry ends earlier than asked",
	Says:  "the entry for {{.What}} ends {{.Until}}: none may last longer",
	Why:   "Addresses change hands; an entry that nobody looks at again hits somebody else in the end.",
}

var ruleCovered = &finding.Rule{
	ID: "block.covered", Severity: finding.Note, Owner: finding.OwnerNobody,
	Title: "another entry does that already",
	Says:  "{{.What}} is on the desk already: entry {{.ID}} ({{.By}})",
	Why:   "A second entry for the same would only make the list longer.",
}

var ruleWaits = &finding.Rule{
	ID: "block.waits", Severity: finding.Note, Owner: finding.OwnerSelf,
	Title: "a proposal waits for a decision",
	Says:  "entry {{.ID}} ({{.What}}) waits since {{.At}}: {{.Reason}}",
	Why:   "Nothing is blocked before somebody decides.",
}

var ruleLeft = &finding.Rule{
	ID: "block.left-out", Severity: finding.Warning, Owner: finding.OwnerSelf,
	Title:  "the format has no words for an entry",
	Says:   "entry {{.ID}} ({{.What}}) cannot be said in the format {{.Format}} and was left out",
	Why:    "The server that reads this file does not block it.",
	Repair: "Export the rest in a format that fits: networks as postfix-cidr or exim-hosts, domains as postfix-access or exim-domains, both as rbldnsd.",
}

// Rules are all the rules of the desk.
var Rules = []*finding.Rule{ruleNotBlockable, ruleNoReason, ruleProtected, ruleTooWide, ruleEnded, ruleShared, ruleTooLong, ruleCovered, ruleWaits, ruleLeft}

var byKind = map[ObjectionKind]*finding.Rule{NotBlockable: ruleNotBlockable, NoReason: ruleNoReason, Private: ruleProtected, Own: ruleProtected,
	Partner: ruleProtected, TooWide: ruleTooWide, Ended: ruleEnded, Shared: ruleShared, TooLong: ruleTooLong, Covered: ruleCovered}

// Findings say objections in words. until is the end of the entry.
func (g *Guard) Findings(obs []Objection, until time.Time) (out []finding.Finding) {
	for _, o := range obs {
		bits := orDefault(g.Bits4, 16)
		if e := (&Entry{What: o.What}); !is4(e) {
			bits = orDefault(g.Bits6, 32)
		}
		f := byKind[o.Kind].Failed(Subject(o.What), finding.Args{"What": bare(&Entry{What: o.What}), "By": bare(&Entry{What: o.By}), "Kind": string(o.Kind), "ID": o.ID, "Bits": bits, "Until": until})
		out = append(out, f)
	}
	return out
}

func is4(e *Entry) bool {
	p, ok := e.Network()
	return ok && p.Addr().Is4()
}

// Subject is the entry's network or domain.
func Subject(what string) finding.Subject {
	e := Entry{What: what}
	if p, ok := e.Network(); !ok {
		return finding.Domain(what)
	} else if p.IsSingleIP() {
		return finding.IP(p.Addr())
	}
	return finding.Subject{Kind: finding.KindNetwork, Name: what}
}

// Waiting says which proposals wait for a decision.
func Waiting(entries []Entry, now time.Time) (out []finding.Finding) {
	for i := range entries {
		if e := &entries[i]; e.State(now) == Proposed {
			f := ruleWaits.Failed(Subject(e.What), finding.Args{"ID": e.ID, "What": bare(e), "At": e.At, "Reason": e.Reason})
			for _, line := range e.Evidence {
				f.Evidence = append(f.Evidence, finding.Evidence{Source: "desk", Place: e.ID, Raw: line})
			}
			f.Verify = finding.Cmd("block", "approve", e.ID)
			out = append(out, f)
		}
	}
	return out
}

// LeftOut says which entries an export had no words for.
func LeftOut(left []Entry, format string) (out []finding.Finding) {
	for i := range left {
		out = append(out, ruleLeft.Failed(Subject(left[i].What), finding.Args{"ID": left[i].ID, "What": bare(&left[i]), "Format": format}))
	}
	return out
}

// Table shows entries as a section.
func Table(entries []Entry, now time.Time) finding.Section {
	s := finding.Section{Columns: []finding.Sentence{finding.S("entry", nil), finding.S("who is blocked", nil), finding.S("state", nil), finding.S("until", nil), finding.S("asked for, decided", nil), finding.S("reason", nil)}}
	for i := range entries {
		e := &entries[i]
		until, by := e.Until, e.By
		if e.Ended != nil {
			until = e.Ended.At
		}
		if e.Decided != nil && e.Decided.By != by {
			by += ", " + e.Decided.By
		}
		s.Rows = append(s.Rows, finding.Cells(finding.Raw(e.ID), finding.Raw(bare(e)), stateWords[e.State(now)],
			finding.S("{{.At}}", finding.Args{"At": until}), finding.Raw(by), finding.Raw(e.Reason)))
	}
	return s
}

var stateWords = map[State]finding.Sentence{
	Proposed: finding.S("proposed", nil), Active: finding.S("active", nil), Refused: finding.S("refused", nil),
	Expired: finding.S("expired", nil), Removed: finding.S("taken back", nil),
}

// StateWord says the state of an entry.
func StateWord(e *Entry, now time.Time) finding.Sentence { return stateWords[e.State(now)] }
