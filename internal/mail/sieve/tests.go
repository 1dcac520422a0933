package sieve

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail/date"
	"github.com/mailwhy/mailwhy/internal/mail/mimetree"
)

// test evaluates a test and notes the step. allof and anyof stop where the answer is known, as servers do.
func (r *run) test(t *Test) bool {
	at := len(r.res.Steps)
	r.step(t.Pos.Line, "test", t.Text, false)
	held, saw, ok := r.evaluate(t)
	if at >= len(r.res.Steps) {
		return held
	}
	st := &r.res.Steps[at]
	st.Held = held
	if !ok {
		st.Kind = "skipped"
		if len(r.res.Unsure) < 100 {
			r.res.Unsure = append(r.res.Unsure, t.Pos.Line)
		}
	}
	for i, s := range saw {
		if i == 4 {
			st.Saw = append(st.Saw, "… "+itoa(len(saw)-4))
			break
		}
		st.Saw = append(st.Saw, squeeze(s))
	}
	return held
}

// evaluate gives the answer, the values it was found by, and whether the test could be run.
func (r *run) evaluate(t *Test) (held bool, saw []string, ok bool) {
	k := t.call
	if k == nil || k.bad {
		return false, nil, false
	}
	r.depth++
	defer func() { r.depth-- }()
	switch t.Name {
	case "true":
		return true, nil, true
	case "false":
		return false, nil, true
	case "not":
		return len(t.Tests) == 1 && !r.test(t.Tests[0]), nil, len(t.Tests) == 1
	case "allof", "anyof":
		for _, sub := range t.Tests {
			if r.test(sub) == (t.Name == "anyof") {
				return t.Name == "anyof", nil, true
			}
		}
		return t.Name == "allof", nil, true
	case "size":
		limit := k.pos[0].Number
		if k.has("over") {
			return r.m.Size > limit, []string{strconv.FormatInt(r.m.Size, 10)}, true
		}
		return r.m.Size < limit, []string{strconv.FormatInt(r.m.Size, 10)}, true
	case "exists":
		for _, n := range r.expandAll(k.pos[0].Strings) {
			if r.m.Header.First(n) == nil {
				return false, nil, true
			}
		}
		return true, nil, true
	case "mailboxexists":
		return !slices.ContainsFunc(r.expandAll(k.pos[0].Strings), func(f string) bool { return !r.exists(f) }), nil, true
	}
	vals := r.valuesOf(t)
	held = r.match(k, vals, r.expandAll(k.pos[len(k.pos)-1].Strings))
	return held, vals, true
}

// valuesOf gathers what a test with keys looks at.
func (r *run) valuesOf(t *Test) []string {
	k := t.call
	var first []string
	if len(k.pos) > 1 {
		first = r.expandAll(k.pos[0].Strings)
	}
	switch t.Name {
	case "header":
		return values(r.m.Header, first)
	case "address":
		var out []string
		for _, v := range values(r.m.Header, first) {
			for _, b := range addresses(v) {
				if p, ok := b.part(k); ok {
					out = append(out, p)
				}
			}
		}
		return out
	case "envelope":
		return r.envelope(k, first)
	case "string":
		return first
	case "hasflag":
		if len(first) == 0 {
			return r.flags
		}
		var out []string
		for _, n := range first {
			out = append(out, strings.Fields(r.vars[strings.ToLower(n)])...)
		}
		return out
	case "body":
		return r.body(k)
	case "date", "currentdate":
		return r.dates(t)
	}
	return nil
}

func (r *run) envelope(k *call, parts []string) []string {
	var out []string
	for _, p := range parts {
		v := r.m.From
		switch strings.ToLower(p) {
		case "from":
		case "to":
			if v = r.m.To; v == "" {
				continue
			}
		default:
			continue
		}
		b, _ := parseMailbox(v)
		if s, ok := b.part(k); ok {
			out = append(out, s)
		}
	}
	return out
}

// body gathers what RFC 5173 section 5 lets a test look at.
func (r *run) body(k *call) []string {
	if k.has("raw") {
		return []string{string(r.m.Body)}
	}
	if r.parts == nil {
		r.parts = mimetree.Parse(r.m.Header, r.m.Body, mimetree.Limits{Total: 16 << 20})
	}
	types := []string{"text"}
	if c, ok := k.tags["content"]; ok {
		types = r.expandAll(c.Strings)
	}
	var out []string
	for _, p := range r.parts.Parts {
		if p.Multipart || !wantedType(p, types) {
			continue
		}
		if p.Text != "" {
			out = append(out, p.Text)
		} else {
			out = append(out, string(p.Data))
		}
	}
	return out
}

func wantedType(p *mimetree.Part, types []string) bool {
	main, _, _ := strings.Cut(p.Type, "/")
	return slices.ContainsFunc(types, func(t string) bool {
		t = strings.ToLower(t)
		return t == "" || t == p.Type || t == main
	})
}

func (r *run) dates(t *Test) []string {
	k := t.call
	part := strings.ToLower(r.expand(k.pos[len(k.pos)-2].Strings[0]))
	at := r.o.Now
	if t.Name == "date" {
		vs := values(r.m.Header, []string{r.expand(k.pos[0].Strings[0])})
		if len(vs) == 0 {
			return nil
		}
		text := vs[0]
		if i := strings.LastIndexByte(text, ';'); i >= 0 { // Received and its like: the date is last
			text = text[i+1:]
		}
		d, err := date.Parse(strings.TrimSpace(text))
		if err != nil {
			return nil
		}
		at = d.Time
	}
	if !k.has("originalzone") {
		if z := k.str("zone"); z != "" {
			var ok bool
			if at, ok = inZone(at, r.expand(z)); !ok {
				return nil
			}
		} else {
			at = at.In(localZone(r.o.Now))
		}
	}
	if s, ok := datePart(at, part); ok {
		return []string{s}
	}
	return nil
}

// localZone is the zone of the server, as the clock that was given has it.
func localZone(now time.Time) *time.Location { return now.Location() }

// match compares values with keys; with variables the groups of the first match that sets them are kept.
func (r *run) match(k *call, vals, keys []string) bool {
	m := newMatcher(k)
	if m.kind == "count" {
		n := strconv.Itoa(len(vals))
		num := matcher{comparator: "i;ascii-numeric"}
		return slices.ContainsFunc(keys, func(key string) bool { return holds(m.relation, num.compare(n, key)) })
	}
	for _, v := range vals {
		for _, key := range keys {
			ok, groups := m.one(v, key)
			if ok && groups != nil && r.varsOn {
				r.groups = groups
			}
			if ok {
				return true
			}
		}
	}
	return false
}
