package knowledge

import (
	"fmt"
	"io/fs"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// replyFile is one dialect: a table replies*.toml.
type replyFile struct {
	Checked  toml.LocalDate `toml:"checked"`
	Provider string         `toml:"provider"` // "" for words everybody uses
	Name     Text           `toml:"name"`
	Source   string         `toml:"source"` // where the rows without a source of their own are documented
	Hosts    []string       `toml:"hosts"`  // suffixes of the names of the provider's servers
	Marks    []string       `toml:"marks"`  // words that only this dialect uses
	Reply    []replyRow     `toml:"reply"`
}

// replyRow is one meaning and the phrases that carry it. A phrase is lower case; "*" stands for any text of up to 300
// bytes, "#" for one digit, "|" at either end for a word boundary, "^" in front for the start of the reply's words.
type replyRow struct {
	Match     []string  `toml:"match"`
	Cause     string    `toml:"cause"`
	Code      string    `toml:"code"`     // a prefix of the basic code: "5", "550"
	Enhanced  string    `toml:"enhanced"` // "5.7.26", "5.7.", "5.7.606-649", "x.7.1"
	Command   string    `toml:"command"`  // only where this command was refused
	Only      bool      `toml:"only"`     // only in this provider's mouth: the phrase alone is too common
	Weight    int       `toml:"weight"`   // below zero for vague phrases, above for decisive ones
	Certainty Certainty `toml:"certainty"`
	Lasting   string    `toml:"lasting"` // "permanent" or "temporary" where no code says
	Again     string    `toml:"again"`
	Meaning   Text      `toml:"meaning"`
	User      Text      `toml:"user"`
	Admin     Text      `toml:"admin"`
	Source    string    `toml:"source"`
	Example   []string  `toml:"example"`

	provider string
	file     *replyFile
}

// pattern is a compiled phrase.
type pattern struct {
	row    *replyRow
	text   string
	pieces []string
	start  bool // ^
	left   bool // | in front
	right  bool // | behind
	size   int  // literal bytes
	anchor int  // piece that carries the gram
	off    int  // offset of the gram in that piece
}

// replyTable is all dialects, the causes and the codes, ready to read replies.
type replyTable struct {
	causes   *Causes
	enhanced *EnhancedTable
	codes    []BasicCode
	words    *Words
	files    []*replyFile
	patterns []pattern
	bloom    [1 << 13]uint64    // of the 4-grams in byGram
	byGram   map[uint32][]int32 // 4-gram of a phrase → phrases
	bare     []int32            // phrases too short for a gram
	marks    []markOf
}

type markOf struct {
	mark string
	file *replyFile
}

func (b *Base) replies() (*replyTable, error) {
	b.mu.Lock()
	v, ok := b.done["replies"]
	b.mu.Unlock()
	if ok {
		return v.(*replyTable), nil
	}
	t, err := b.buildReplies()
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done["replies"] = t
	return t, nil
}

func (b *Base) buildReplies() (*replyTable, error) {
	causes, err := b.Causes()
	if err != nil {
		return nil, err
	}
	enhanced, err := b.Enhanced()
	if err != nil {
		return nil, err
	}
	words, err := b.Words()
	if err != nil {
		return nil, err
	}
	t := &replyTable{causes: causes, enhanced: enhanced, codes: enhanced.Code, words: words, byGram: map[uint32][]int32{}}
	for _, name := range b.names("replies*.toml") {
		f, err := load[replyFile](b, name)
		if err != nil {
			return nil, err
		}
		t.add(f)
	}
	t.index()
	return t, nil
}

// names lists the table files that fit a glob, of all directories, sorted.
func (b *Base) names(glob string) []string {
	var out []string
	for _, d := range b.dirs {
		files, err := fs.Glob(d, glob)
		if err != nil {
			continue // the pattern is a constant
		}
		out = append(out, files...)
	}
	sort.Strings(out)
	return slices.Compact(out)
}

func (t *replyTable) add(f *replyFile) {
	t.files = append(t.files, f)
	for _, m := range f.Marks {
		t.marks = append(t.marks, markOf{m, f})
	}
	for i := range f.Reply {
		r := &f.Reply[i]
		r.file, r.provider = f, f.Provider
		if r.Source == "" {
			r.Source = f.Source
		}
		for _, m := range r.Match {
			t.patterns = append(t.patterns, compile(r, m))
		}
	}
}

func compile(r *replyRow, text string) pattern {
	p := pattern{row: r, text: text}
	s := text
	if strings.HasPrefix(s, "^") {
		p.start, s = true, s[1:]
	}
	if strings.HasPrefix(s, "|") {
		p.left, s = true, s[1:]
	}
	if strings.HasSuffix(s, "|") {
		p.right, s = true, s[:len(s)-1]
	}
	p.pieces = strings.Split(s, "*")
	for _, piece := range p.pieces {
		p.size += len(piece)
	}
	return p
}

// index picks the rarest 4-gram of each phrase as its anchor, so that few phrases are tried per reply.
func (t *replyTable) index() {
	count := map[uint32]int{}
	for i := range t.patterns {
		for _, piece := range t.patterns[i].pieces {
			for j := 0; j+4 <= len(piece); j++ {
				count[gram(piece[j:])]++
			}
		}
	}
	for i := range t.patterns {
		p := &t.patterns[i]
		best := int(^uint(0) >> 1)
		for k, piece := range p.pieces {
			for j := 0; j+4 <= len(piece); j++ {
				if strings.IndexByte(piece[j:j+4], '#') < 0 && count[gram(piece[j:])] < best {
					best, p.anchor, p.off = count[gram(piece[j:])], k, j
				}
			}
		}
		if best == int(^uint(0)>>1) {
			t.bare = append(t.bare, int32(i))
			continue
		}
		g := gram(p.pieces[p.anchor][p.off:])
		t.byGram[g] = append(t.byGram[g], int32(i))
		h := bloomHash(g)
		t.bloom[h>>6] |= 1 << (h & 63)
	}
}

func gram(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

func bloomHash(g uint32) uint32 { return g * 2654435761 >> 13 }

type match struct {
	row     *replyRow
	pattern string
	score   int
	spoken  bool // the row's provider speaks, or the row is everybody's
}

// best finds the most telling phrase in the normalised text.
func (t *replyTable) best(hay string, r *Reading, ctx ReplyContext, status *Enhanced) (match, bool) {
	q := query{t: t, hay: hay, r: r, ctx: ctx, status: status, start: wordsStart(hay)}
	for i := 0; i+4 <= len(hay); i++ {
		g := gram(hay[i:])
		if h := bloomHash(g); t.bloom[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		for _, k := range t.byGram[g] {
			q.try(&t.patterns[k])
		}
	}
	for _, k := range t.bare {
		q.try(&t.patterns[k])
	}
	return q.best, q.best.row != nil
}

// query is one search: the text and what has been found so far.
type query struct {
	t      *replyTable
	hay    string
	start  int
	r      *Reading
	ctx    ReplyContext
	status *Enhanced
	best   match
	spoken map[*replyFile]bool
}

func (q *query) try(p *pattern) {
	if p.row == nil || !q.allowed(p.row) || !p.in(q.hay, q.start) {
		return
	}
	weight, spoken := p.row.Weight, true
	score := min(p.size, 99)
	if p.row.provider != "" {
		spoken = q.speaks(p.row.file)
		switch {
		case spoken:
			score += 500
		case p.row.Only:
			return
		default: // another server may use the words by chance
			weight = min(weight, 0)
			score -= 30
		}
	}
	score += weight * 1000
	if p.row.Enhanced != "" {
		score += 300
	}
	if p.row.Code != "" || p.row.Command != "" {
		score += 100
	}
	if q.status != nil && q.status.Cause == p.row.Cause {
		score += 40
	}
	if q.best.row == nil || score > q.best.score {
		q.best = match{p.row, p.text, score, spoken}
	}
}

// speaks tells that the reply is in a provider's dialect: its server said it, or words only it uses stand there.
func (q *query) speaks(f *replyFile) bool {
	if v, ok := q.spoken[f]; ok {
		return v
	}
	v := hostOf(f, strings.ToLower(q.ctx.Host))
	for _, m := range f.Marks {
		v = v || strings.Contains(q.hay, m)
	}
	if q.spoken == nil {
		q.spoken = map[*replyFile]bool{}
	}
	q.spoken[f] = v
	return v
}

func hostOf(f *replyFile, host string) bool {
	host = strings.TrimSuffix(host, ".")
	for _, h := range f.Hosts {
		if host == h || strings.HasSuffix(host, "."+h) {
			return true
		}
	}
	return false
}

// allowed tells that the conditions of the row beside its words are met.
func (q *query) allowed(r *replyRow) bool {
	if r.Code != "" && !strings.HasPrefix(q.r.Code, r.Code) {
		return false
	}
	if r.Command != "" && !strings.EqualFold(r.Command, q.ctx.Command) {
		return false
	}
	return r.Enhanced == "" || statusFits(r.Enhanced, q.r.Enhanced)
}

// statusFits compares a status with "5.7.26", a prefix "5.7.", a range "5.7.606-649", or with x for any class.
func statusFits(want, have string) bool {
	if have == "" {
		return false
	}
	if strings.HasPrefix(want, "x") {
		want = have[:1] + want[1:]
	}
	if strings.HasSuffix(want, ".") {
		return strings.HasPrefix(have, want)
	}
	lo, hi, isRange := strings.Cut(want, "-")
	if !isRange {
		return have == want
	}
	dot := strings.LastIndexByte(lo, '.')
	if dot < 0 || !strings.HasPrefix(have, lo[:dot+1]) {
		return false
	}
	n, err := strconv.Atoi(have[dot+1:])
	a, err1 := strconv.Atoi(lo[dot+1:])
	z, err2 := strconv.Atoi(hi)
	return err == nil && err1 == nil && err2 == nil && a <= n && n <= z
}

const maxGap = 300

// in tells that the phrase stands in the text.
func (p *pattern) in(hay string, start int) bool {
	if p.start {
		return start <= len(hay) && p.rest(hay, start, 0, true) >= 0
	}
	for from := 0; from <= len(hay); {
		i := indexPiece(hay[from:], p.pieces[0])
		if i < 0 {
			return false
		}
		at := from + i
		if (!p.left || at == 0 || !wordByte(hay[at-1])) && p.rest(hay, at, 0, true) >= 0 {
			return true
		}
		from = at + 1
	}
	return false
}

// rest matches the pieces from k on, the first of them exactly at position at, and gives the end or -1.
func (p *pattern) rest(hay string, at, k int, exact bool) int {
	for ; k < len(p.pieces); k++ {
		piece := p.pieces[k]
		if exact {
			if !hasPiece(hay[at:], piece) {
				return -1
			}
			exact = false
		} else {
			window := hay[at:min(len(hay), at+maxGap+len(piece))]
			i := indexPiece(window, piece)
			if i < 0 {
				return -1
			}
			at += i
		}
		at += len(piece)
	}
	if p.right && at < len(hay) && wordByte(hay[at]) {
		return -1
	}
	return at
}

func indexPiece(s, piece string) int {
	if strings.IndexByte(piece, '#') < 0 {
		return strings.Index(s, piece)
	}
	for i := 0; i+len(piece) <= len(s); i++ {
		if hasPiece(s[i:], piece) {
			return i
		}
	}
	return -1
}

func hasPiece(s, piece string) bool {
	if len(s) < len(piece) {
		return false
	}
	for i := range len(piece) {
		if s[i] != piece[i] && !(piece[i] == '#' && isDigit(s[i])) {
			return false
		}
	}
	return true
}

func wordByte(c byte) bool { return isDigit(c) || isLetter(c) || c == '_' || c >= 0x80 }

// wordsStart is where the words of the reply begin, behind code, status and address.
func wordsStart(hay string) int {
	i := 0
	for i < len(hay) {
		rest := hay[i:]
		switch {
		case rest[0] == ' ' || rest[0] == ':' || rest[0] == '-':
			i++
		case len(rest) >= 3 && isDigit(rest[0]) && isDigit(rest[1]) && isDigit(rest[2]) && (len(rest) == 3 || !wordByte(rest[3])):
			i += 3
		case enhancedLen(rest) > 0:
			i += enhancedLen(rest)
		case rest[0] == '<' && strings.IndexByte(rest, '>') > 0:
			i += strings.IndexByte(rest, '>') + 1
		default:
			return i
		}
	}
	return i
}

// check says what is wrong with the table's own references; the linter and --knowledge use it.
func (t *replyTable) check() error {
	for _, f := range t.files {
		for i := range f.Reply {
			if r := &f.Reply[i]; t.causes.ByID(r.Cause) == nil {
				return fmt.Errorf("replies of %q: phrase %q: causes.toml has no cause %q", f.Provider, r.Match, r.Cause)
			}
		}
	}
	return nil
}
