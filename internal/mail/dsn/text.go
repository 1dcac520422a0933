package dsn

import "strings"

// entry is a recipient as the human-readable text names it.
type entry struct {
	address string
	lines   []string
	evid    []Line
}

func (e *entry) text() string { return strings.TrimSpace(strings.Join(e.lines, "\n")) }

const maxEntryLines = 60

// scan reads the recipients out of the text by the rules of a form.
func (r *reader) scan(f *form, text string) []entry {
	from, to := r.region(f, text)
	s := scanner{form: f, index: map[string]int{}, current: -1}
	n := strings.Count(text[:from], "\n")
	for rest := text[from:to]; rest != ""; {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		n++
		if len(s.entries) >= MaxRecipients {
			r.limit("recipients")
			break
		}
		s.line(line, n)
	}
	s.share()
	return s.entries
}

// region is the span of the text that may name recipients: whole lines, from the line behind the first start mark (or
// the start) to the line of the first end mark behind it.
func (r *reader) region(f *form, text string) (from, to int) {
	low := r.lowered(text)
	if len(f.Start) > 0 {
		if i := firstAny(low, f.Start); i >= 0 {
			if from = strings.IndexByte(low[i:], '\n') + 1; from == 0 {
				from = len(low) - i
			}
			from += i
		}
	}
	to = len(text)
	ends := [2]int{-1, r.end}
	skip := max(from, strings.IndexByte(low, '\n')+1) // a mark on the very first line marks nothing
	if len(f.End) > 0 {
		if ends[0] = firstAny(low[skip:], f.End); ends[0] >= 0 {
			ends[0] += skip
		}
	}
	if r.end >= 0 && r.end < skip {
		if ends[1] = firstAny(low[skip:], r.forms.data.End); ends[1] >= 0 {
			ends[1] += skip
		}
	}
	for _, i := range ends {
		if i >= 0 {
			to = min(to, strings.LastIndexByte(low[:i], '\n')+1)
		}
	}
	return from, max(from, to)
}

// lowered is the text in lower case, made once, with the place of the first end mark that all forms share.
func (r *reader) lowered(text string) string {
	if r.low == "" || len(r.low) != len(text) {
		r.low = lower(text)
		skip := strings.IndexByte(r.low, '\n') + 1
		if r.end = firstAny(r.low[skip:], r.forms.data.End); r.end >= 0 {
			r.end += skip
		}
	}
	return r.low
}

// firstAny is where the first of the words stands, or -1.
func firstAny(s string, words []string) int {
	first := -1
	for _, w := range words {
		if i := strings.Index(s, w); i >= 0 {
			first = i
			s = s[:min(len(s), i+len(w))] // only an earlier one matters
		}
	}
	return first
}

// lower is ASCII lower case, so that offsets stay those of the text; other letters keep their case.
func lower(s string) string {
	if l := strings.ToLower(s); len(l) == len(s) {
		return l
	}
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

type scanner struct {
	form    *form
	entries []entry
	index   map[string]int
	current int
	blank   int
	shared  []string // the reason that all share
	inShare bool
	before  []string // text before the first recipient
}

func (s *scanner) line(raw string, n int) {
	line := strings.TrimRight(raw, " \t")
	if strings.TrimSpace(line) == "" {
		s.blank++
		if s.inShare && len(s.shared) > 0 && s.blank > 1 {
			s.inShare = false
		}
		return
	}
	low := strings.ToLower(line)
	if len(s.form.Skip) > 0 && containsAny(low, s.form.Skip) {
		return
	}
	if len(s.form.Reason) > 0 {
		for _, m := range s.form.Reason {
			if i := strings.Index(low, m); i >= 0 {
				s.inShare, s.blank = true, 0
				if len(line) == len(low) {
					s.share1(line[i+len(m):])
				}
				return
			}
		}
	}
	if a, rest := s.recipient(line); a != "" {
		s.open(a, rest, raw, n)
		s.blank = 0
		return
	}
	switch {
	case s.inShare:
		s.share1(line)
	case s.form.Before:
		if strings.HasPrefix(low, "while talking to") {
			s.before = nil
		}
		if len(s.before) < maxEntryLines {
			s.before = append(s.before, strings.TrimSpace(line))
		}
	case s.current >= 0:
		e := &s.entries[s.current]
		if len(e.lines) < maxEntryLines {
			e.lines = append(e.lines, strings.TrimSpace(line))
			e.evid = append(e.evid, Line{n, raw})
		}
	case len(s.before) < maxEntryLines:
		s.before = append(s.before, strings.TrimSpace(line))
	}
	s.blank = 0
}

func (s *scanner) share1(line string) {
	if line = strings.TrimSpace(line); line != "" && len(s.shared) < maxEntryLines {
		s.shared = append(s.shared, line)
	}
}

func (s *scanner) recipient(line string) (addr, rest string) {
	if strings.IndexByte(line, '@') < 0 && !strings.Contains(line, "to:") && !strings.HasPrefix(line, "<") {
		return "", ""
	}
	for _, re := range s.form.rcpt {
		m := re.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if len(m) > 2 {
			rest = m[2]
		}
		if a := clean(m[1]); strings.IndexByte(a, '@') > 0 || a != "" && len(s.form.rcpt) > 0 && strings.HasPrefix(line, "<") {
			return a, rest
		}
	}
	return "", ""
}

func (s *scanner) open(addr, rest, raw string, n int) {
	key := strings.ToLower(addr)
	i, ok := s.index[key]
	if !ok {
		i = len(s.entries)
		s.index[key] = i
		s.entries = append(s.entries, entry{address: addr})
	}
	s.current = i
	e := &s.entries[i]
	if rest = strings.TrimSpace(rest); rest != "" && len(e.lines) < maxEntryLines {
		e.lines = append(e.lines, rest)
	}
	e.evid = append(e.evid, Line{n, raw})
	if s.form.Before {
		e.lines = append(s.before, e.lines...)
		s.before = nil
	}
}

// share gives recipients without words of their own the reason that all share: the one a marker introduced, else the
// words behind the next recipient, else those in front of the first.
func (s *scanner) share() {
	for i := len(s.entries) - 1; i >= 0; i-- {
		e := &s.entries[i]
		if len(s.shared) > 0 {
			e.lines = append(e.lines, s.shared...)
		} else if len(e.lines) == 0 && i+1 < len(s.entries) {
			e.lines = s.entries[i+1].lines
		}
		if len(e.lines) == 0 {
			e.lines = s.before
		}
	}
}

// transcript picks the lines of an SMTP conversation that a report quotes (">>> RCPT TO:<…>", "<<< 550 …",
// "550 5.1.1 <…>... User unknown").
func transcript(text string) []string {
	var out []string
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		t := strings.TrimSpace(line)
		if strings.HasPrefix(t, ">>>") || strings.HasPrefix(t, "<<<") || strings.HasPrefix(t, "-->") || strings.HasPrefix(t, "<--") || strings.HasPrefix(t, "... while talking to") ||
			len(t) > 5 && (t[0] == '4' || t[0] == '5') && digit(t[1]) && digit(t[2]) && (t[3] == ' ' || t[3] == '-') {
			out = append(out, t)
			if len(out) >= 200 {
				break
			}
		}
	}
	return out
}

// about keeps the transcript lines of one recipient: those that hold its address, and the answers under them.
func about(lines []string, addr string) []string {
	var out []string
	low := strings.ToLower(addr)
	mine := false
	for _, l := range lines {
		holds := strings.Contains(strings.ToLower(l), low)
		switch {
		case holds:
			mine = true
			out = append(out, l)
		case strings.HasPrefix(l, "<<<") && mine, strings.HasPrefix(l, "..."):
			out = append(out, l)
		default:
			mine = mine && !strings.HasPrefix(l, ">>>")
		}
	}
	return out
}
