package knowledge

import (
	"strings"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// Certainty tells how far a reading can be trusted.
type Certainty string

// The certainties.
const (
	Certain Certainty = "certain" // the server's own words or its published code say it
	Likely  Certainty = "likely"  // a status code, or words that nearly always mean this
	Guess   Certainty = "guess"   // a basic code or the stage of the conversation
	Unread  Certainty = "unknown" // nothing is known
)

// ReplyContext is what is known about a reply beside its text. All fields are optional.
type ReplyContext struct {
	Code     string // basic code, where it does not stand in the text: "550"
	Enhanced string // enhanced status, where it does not stand in the text: "5.1.1"
	Host     string // the server that said it: selects the provider's dialect
	Command  string // the command refused: "CONN", "EHLO", "MAIL", "RCPT", "DATA", "BDAT", "AUTH", "STARTTLS", "QUIT"
	Prose    bool   // the text is a report's human prose, not the words of the server that refused
}

// Reading is what a reply means.
type Reading struct {
	Cause     string        // id in causes.toml; "unknown" where nothing is known
	CauseName Text          // a short noun phrase
	Coarse    string        // coarse class of the cause
	Code      string        // basic code, "" where none was given
	Enhanced  string        // enhanced status, "" where none was given
	Permanent bool          // the server will not change its mind by itself
	Temporary bool          // trying again may work. Neither is set where nothing tells
	Hard      bool          // the address is dead
	TryAgain  string        // a hint of when: "minutes", "hours", "after repair", ""
	Owner     finding.Owner //
	Job       string        // finer than Owner: sender, sender-admin, recipient, recipient-admin, list-operator, network, domain, nobody
	Meaning   Text          //
	User      Text          // advice for the writer of the message
	Admin     Text          // advice for the sender's mail administrator
	Certainty Certainty     //
	Source    string        // where the meaning is documented: a URL or an RFC
	Provider  string        // whose dialect it is, "" for words everybody uses
	Basis     string        // what decided: "text", "enhanced", "code", "command", "" for nothing
	Matched   string        // the pattern that matched, where Basis is "text"
	Next      string        // the next command: "deliver", "check", "blocklist", "ip" or ""
}

// Known tells that the reading says more than the basic code.
func (r *Reading) Known() bool { return r.Basis == "text" || r.Basis == "enhanced" }

// ReadReply says what a server's reply (or a fragment of a log line or report that holds one) means. Evidence ranks:
// the server's words and its provider's codes, then the enhanced status, then the basic code and the command. A table
// that cannot be read gives a Reading of cause "unknown".
func (b *Base) ReadReply(text string, ctx ReplyContext) Reading {
	t, err := b.replies()
	if err != nil {
		return Reading{Cause: unknownCause, Certainty: Unread}
	}
	return t.read(text, ctx)
}

const (
	unknownCause = "unknown"
	maxReplyText = 16 << 10 // longer texts are cut: no server's reply is that long
)

func (t *replyTable) read(text string, ctx ReplyContext) Reading {
	if len(text) > maxReplyText {
		text = text[:maxReplyText]
	}
	r := Reading{Cause: unknownCause, Certainty: Unread}
	r.Code, r.Enhanced = Codes(text)
	if ctx.Code != "" {
		r.Code = ctx.Code
	}
	if ctx.Enhanced != "" && (r.Enhanced == "" || vague(r.Enhanced)) {
		r.Enhanced = ctx.Enhanced
	}
	hay := normalize(text)
	status := t.enhanced.lookup(r.Enhanced)
	m, ok := t.best(hay, &r, ctx, status)
	ok = ok && (!yes(hay) || m.row.Code != "")
	if ok && m.row.Weight < 0 && status != nil && status.Firm && !status.Broad && m.row.Enhanced == "" || ok && m.row.Weight < -1 && status != nil && status.Cause != "" && (!status.Broad || m.row.Weight < -2) {
		ok = false // vague words do not beat a telling status
	}
	if meaning, words := t.byWords(text, &r, m, ok, status); meaning != nil {
		r.Basis, r.Matched, r.Cause, r.Certainty, r.TryAgain = "text", words, meaning.Cause, Likely, meaning.Again
		if ctx.Prose {
			r.Certainty = Guess
		}
	} else if ok {
		t.fromRow(&r, m, status, ctx)
	} else if status != nil && status.Cause != "" {
		r.Basis, r.Cause, r.Certainty, r.Source = "enhanced", status.Cause, status.certainty(), status.Source
		r.Meaning = status.Meaning
	} else {
		t.fromCode(&r, ctx)
	}
	t.stage(&r, ctx)
	t.complete(&r)
	return r
}

// byWords reads the sentence by its words where no phrase is known or only a vague one, unless a status that means one
// thing speaks of another matter.
func (t *replyTable) byWords(text string, r *Reading, m match, ok bool, status *Enhanced) (*WordMeaning, string) {
	if ok && !vaguePhrase(m.row) || yes(text) {
		return nil, ""
	}
	meaning, words := t.words.Read(text, r.Code)
	if meaning == nil {
		return nil, ""
	}
	if status != nil && status.Firm && !status.Broad && status.Cause != "" {
		a, b := t.causes.ByID(meaning.Cause), t.causes.ByID(status.Cause)
		if a == nil || b == nil || a.Coarse != b.Coarse {
			return nil, ""
		}
	}
	return meaning, words
}

// yes tells a reply that refuses nothing: 2xx or 3xx (RFC 5321 section 4.2.1). Greetings warn of what would be refused.
func yes(reply string) bool {
	reply = strings.TrimSpace(reply)
	return len(reply) > 3 && (reply[0] == '2' || reply[0] == '3') && isDigit(reply[1]) && isDigit(reply[2]) && (reply[3] == ' ' || reply[3] == '-')
}

// vaguePhrase tells that a sentence's words may say more than the phrase: it says who was refused, or that there is
// trouble, but not why.
func vaguePhrase(r *replyRow) bool {
	return r.Certainty == Guess || r.Weight < -1 || r.Weight < 0 && r.Cause == "system-error"
}

// stage corrects what the words alone would say by the command that was refused: at MAIL the sender is judged, and an
// address that was good enough at RCPT is not unknown at DATA.
func (t *replyTable) stage(r *Reading, ctx ReplyContext) {
	move := func(cause string) {
		r.Cause, r.Meaning, r.User, r.Admin = cause, Text{}, Text{}, Text{}
		if r.Certainty == Certain {
			r.Certainty = Likely
		}
	}
	switch strings.ToUpper(ctx.Command) {
	case "MAIL":
		switch {
		case r.Cause == "domain-unknown", r.Enhanced == "5.1.8" && r.Cause == "user-unknown":
			move("sender-domain-bad")
		case r.Cause == "user-unknown", r.Cause == "policy" && r.Certainty == Guess:
			move("sender-rejected")
		}
	case "DATA", "BDAT":
		if r.Cause == "user-unknown" && (len(r.Enhanced) < 4 || r.Enhanced[1:4] != ".1.") {
			move("recipient-rejected")
		}
	case "CONN", "EHLO", "HELO":
		if r.Cause == "policy" && r.Certainty != Certain || r.Cause == "system-error" && strings.HasPrefix(r.Code, "5") || r.Cause == "system-error" && r.Code == "421" && (r.Enhanced == "" || vague(r.Enhanced)) {
			move("ip-blocked")
			r.Certainty = Guess
		}
	}
}

// vague tells a status that says nothing: x.0.0.
func vague(status string) bool { return strings.HasSuffix(status, ".0.0") }

func (t *replyTable) fromRow(r *Reading, m match, status *Enhanced, ctx ReplyContext) {
	row := m.row
	r.Basis, r.Matched, r.Cause, r.Certainty = "text", m.pattern, row.Cause, row.Certainty
	if m.spoken {
		r.Provider, r.Source = row.provider, row.Source
		r.Meaning, r.User, r.Admin = row.Meaning, row.User, row.Admin
	}
	r.TryAgain = row.Again
	if r.Certainty == "" {
		r.Certainty = Certain
	}
	if (ctx.Prose || !m.spoken) && r.Certainty == Certain {
		r.Certainty = Likely
	}
	if ctx.Prose && row.Weight < 0 {
		r.Certainty = Guess
	}
	if r.Certainty == Certain && t.contradicts(row, status) {
		r.Certainty = Likely
	}
	if row.Lasting != "" && r.Code == "" && r.Enhanced == "" {
		r.Permanent, r.Temporary = row.Lasting == "permanent", row.Lasting == "temporary"
	}
}

// contradicts tells that a specific enhanced status names another coarse class than the words do.
func (t *replyTable) contradicts(row *replyRow, status *Enhanced) bool {
	if status == nil || status.Cause == "" || status.Broad || row.Enhanced != "" {
		return false
	}
	a, b := t.causes.ByID(row.Cause), t.causes.ByID(status.Cause)
	return a != nil && b != nil && a.Coarse != b.Coarse
}

// complete fills what follows from the cause and the codes.
func (t *replyTable) complete(r *Reading) {
	c := t.causes.ByID(r.Cause)
	if c == nil {
		return
	}
	r.CauseName, r.Coarse, r.Job, r.Owner, r.Hard, r.Next = c.Name, c.Coarse, c.Job, c.Owner(), c.Hard, c.Next
	fill(&r.Meaning, c.Meaning)
	fill(&r.User, c.User)
	fill(&r.Admin, c.Admin)
	switch lasting(r.Code, r.Enhanced) {
	case '5':
		r.Permanent, r.Temporary = true, false
	case '4':
		r.Permanent, r.Temporary = false, true
	default:
		if r.Cause != unknownCause && !r.Permanent && !r.Temporary {
			r.Permanent, r.Temporary = c.Permanent, !c.Permanent
		}
	}
	if r.Temporary {
		r.Hard = false
		if r.TryAgain == "" {
			r.TryAgain = "hours"
		}
	}
}

// lasting is the class digit that decides. The basic code rules, because it is what the sending server acts upon.
func lasting(code, enhanced string) byte {
	if code != "" && (code[0] == '4' || code[0] == '5') {
		return code[0]
	}
	if enhanced != "" && (enhanced[0] == '4' || enhanced[0] == '5') {
		return enhanced[0]
	}
	return 0
}

func fill(dst *Text, from Text) {
	if dst.EN == "" {
		*dst = from
	}
}

// fromCode reads the basic code and the stage of the conversation: a guess at best.
func (t *replyTable) fromCode(r *Reading, ctx ReplyContext) {
	for i := range t.codes {
		c := &t.codes[i]
		if c.Code == r.Code && (c.Command == "" || strings.EqualFold(c.Command, ctx.Command)) {
			r.Meaning, r.Source = c.Meaning, c.Source
			if c.Cause != "" {
				r.Basis, r.Cause, r.Certainty = "code", c.Cause, Guess
				if c.Command != "" {
					r.Basis = "command"
				}
				if c.Certain {
					r.Certainty = Likely
				}
			}
			return
		}
	}
}

// ReadCause is a reading whose cause is known from elsewhere; the codes of base are kept.
func (b *Base) ReadCause(c *Cause, base Reading) Reading {
	t, err := b.replies()
	if err != nil {
		return base
	}
	r := Reading{Cause: c.ID, Code: base.Code, Enhanced: base.Enhanced, Certainty: Likely, Basis: "text"}
	t.complete(&r)
	return r
}

// ReplyIn cuts the words of a server out of a longer text: from the reply code on, or from the enhanced status where
// there is no code, to the first stop word. "" where the text holds neither.
func ReplyIn(text string, stop []string) string {
	if len(text) > maxReplyText {
		text = text[:maxReplyText]
	}
	i := codeAt(text)
	if i < 0 {
		if i = enhancedAt(text); i < 0 {
			return ""
		}
	}
	s := text[i:]
	if k := innerReply(s); k > 0 {
		s = s[k:]
	}
	low := strings.ToLower(s)
	if len(low) == len(s) {
		end := len(s)
		for _, w := range stop {
			if k := strings.Index(low, w); k > 3 && k < end {
				end = k
			}
		}
		s = s[:end]
	}
	return strings.TrimSpace(s)
}

// innerReply finds the reply of another server that the first one quotes in angle brackets: "554 4.4.7 expired.<421 …>".
func innerReply(s string) int {
	for at := 0; ; {
		i := strings.IndexByte(s[at:], '<')
		if i < 0 || at+i+6 > len(s) {
			return -1
		}
		at += i + 1
		if c := s[at]; (c == '4' || c == '5') && isDigit(s[at+1]) && isDigit(s[at+2]) && s[at+3] == ' ' && strings.IndexByte(s[at:], '>') > 0 {
			return at
		}
	}
}

// BeforeStop is the text up to the first stop word; the whole text where that leaves nothing.
func BeforeStop(text string, stop []string) string {
	low := strings.ToLower(text)
	if len(low) != len(text) {
		return text
	}
	end := len(text)
	for _, w := range stop {
		if k := strings.Index(low, w); k > 3 && k < end {
			end = k
		}
	}
	if s := strings.TrimSpace(text[:end]); len(s) > 8 {
		return s
	}
	return text
}
