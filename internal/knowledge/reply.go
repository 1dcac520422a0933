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
	if m, ok := t.best(hay, &r, ctx, status); ok {
		t.fromRow(&r, m, status, ctx)
	} else if status != nil && status.Cause != "" {
		r.Basis, r.Cause, r.Certainty, r.Source = "enhanced", status.Cause, status.certainty(), status.Source
		r.Meaning = status.Meaning
	} else {
		t.fromCode(&r, ctx)
	}
	t.complete(&r)
	return r
}

// vague tells a status that says nothing: x.0.0.
func vague(status string) bool { return strings.HasSuffix(status, ".0.0") }

func (t *replyTable) fromRow(r *Reading, m match, status *Enhanced, ctx ReplyContext) {
	row := m.row
	r.Basis, r.Matched, r.Cause, r.Certainty = "text", m.pattern, row.Cause, row.Certainty
	r.Provider, r.Source = row.provider, row.Source
	r.Meaning, r.User, r.Admin = row.Meaning, row.User, row.Admin
	r.TryAgain = row.Again
	if r.Certainty == "" {
		r.Certainty = Certain
	}
	if ctx.Prose && r.Certainty == Certain {
		r.Certainty = Likely
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
