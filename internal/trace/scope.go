package trace

import (
	"slices"
	"strings"
)

// shown gives what the people who ask may see of a journey, nil where that is nothing, or not what they asked for.
func (q *Query) shown(j *Journey) *Journey {
	if j = q.scoped(j); j == nil || !q.keeps(j) {
		return nil
	}
	return j
}

// scoped shows of a journey what people limited to some mail domains may see of it: all of a message their own users
// sent, and of any other one only what befell their own recipients. Other recipients, their lines, and their addresses
// within the remaining lines are taken out. It gives nil where nothing is left, or nothing that the query asked for, so
// that searching for a hidden recipient finds nothing. This is the one place where the limit is enforced.
func (q *Query) scoped(j *Journey) *Journey {
	if len(q.Domains) == 0 {
		return j
	}
	ours := func(a string) bool { return q.ours(a) }
	if j.From != nil && ours(*j.From) || j.Client != nil && ours(j.Client.User) {
		return j
	}
	var steps []Step
	touched := false
	for i := range j.Steps {
		s := j.Steps[i]
		mine := ours(s.To) || ours(s.OrigTo) || ours(s.User)
		if !mine && (s.To != "" || s.OrigTo != "" || s.User != "") {
			continue
		}
		touched = touched || mine
		steps = append(steps, s)
	}
	if !touched {
		return nil
	}
	keep := map[string]bool{}
	for _, m := range j.MessageIDs {
		keep[m] = true
	}
	if j.From != nil {
		keep[*j.From] = true
	}
	asked := false
	for i := range steps {
		s := &steps[i]
		asked = asked || s.match && !q.matchesHidden(s)
		s.Line, s.Text = q.mask(s.Line, keep), q.mask(s.Text, keep)
		if s.OrigTo != "" && !ours(s.OrigTo) {
			s.OrigTo = ""
		}
		if s.To != "" && !ours(s.To) {
			s.To = s.OrigTo
		}
	}
	if !asked {
		return nil
	}
	out := build(steps)
	out.id = j.ID()
	return out
}

// matchesHidden tells whether the query found a step by an address that is hidden, and by nothing else of it.
func (q *Query) matchesHidden(s *Step) bool {
	hidden, seen := false, false
	for _, a := range []string{s.To, s.OrigTo} {
		if a != "" && q.names(a) {
			hidden, seen = hidden || !q.ours(a), seen || q.ours(a)
		}
	}
	return hidden && !seen && !(s.From != nil && q.names(*s.From)) && !q.names(s.User)
}

// names tells whether the address is what the query looks for.
func (q *Query) names(address string) bool {
	switch a := []byte(address); q.Kind {
	case ByAny, ByAddress:
		return q.address(a)
	case BySender, ByRcpt, ByGlob:
		return q.glob(a)
	case ByHost:
		return q.domain(a)
	}
	return false
}

// ours tells whether the address is of one of the domains of the limit, or of a domain below it.
func (q *Query) ours(address string) bool {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return false
	}
	d := strings.ToLower(address[i+1:])
	return slices.ContainsFunc(q.Domains, func(own string) bool {
		own = strings.ToLower(own)
		return d == own || strings.HasSuffix(d, "."+own)
	})
}

// mask puts … in the place of every address that is neither of our domains nor among those to keep.
func (q *Query) mask(s string, keep map[string]bool) string {
	if strings.IndexByte(s, '@') < 0 {
		return s
	}
	var out strings.Builder
	for {
		at := strings.IndexByte(s, '@')
		if at < 0 {
			out.WriteString(s)
			return out.String()
		}
		from, to := at, at+1
		if from > 0 && s[from-1] == '"' { // a quoted local part has anything in it
			if open := strings.LastIndexByte(s[:from-1], '"'); open >= 0 {
				from = open
			}
		}
		for from > 0 && s[from] != '"' && localByte(s[from-1]) {
			from--
		}
		for to < len(s) && (domainByte(s[to]) || s[to] == '_') {
			to++
		}
		word := s[from:to]
		bare := strings.TrimRight(word, ".")
		if i := strings.LastIndexByte(word[:at-from], '='); i >= 0 { // a field's name: "to=li@mine.example"
			bare = bare[i+1:]
		}
		out.WriteString(s[:from])
		if q.ours(bare) || keep[bare] || keep[strings.TrimRight(word, ".")] {
			out.WriteString(word)
		} else {
			out.WriteString("…")
		}
		s = s[to:]
	}
}
