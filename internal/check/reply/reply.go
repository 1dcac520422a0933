// Package reply explains what a mail server's reply means: `mailwhy explain`.
//
// Promise: the meaning comes from the dated tables of knowledge; a text they do not know is said to be unknown, with
// the nearest known ones and how near they are. Nothing is looked up.
package reply

import (
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
)

// Facts is the answer, as docs/json.md writes it down. Texts are in the language of the run.
type Facts struct {
	Text      string              `json:"text"`
	Known     bool                `json:"known"`
	Cause     string              `json:"cause"`
	CauseName string              `json:"cause_name,omitempty"`
	Coarse    string              `json:"coarse"`
	Code      string              `json:"code,omitempty"`
	Status    string              `json:"status,omitempty"`
	CodeMeans string              `json:"code_means,omitempty"`
	StatMeans string              `json:"status_means,omitempty"`
	Meaning   string              `json:"meaning"`
	Permanent bool                `json:"permanent"`
	Temporary bool                `json:"temporary"`
	Bounce    string              `json:"bounce,omitempty"`
	Owner     string              `json:"owner"`
	Advice    Advice              `json:"advice"`
	Certainty knowledge.Certainty `json:"certainty"`
	Basis     string              `json:"basis,omitempty"`
	Provider  string              `json:"provider,omitempty"`
	Source    string              `json:"source,omitempty"`
	Nearest   []Nearest           `json:"nearest,omitempty"`
}

// Advice is what to do, for the two who may read it.
type Advice struct {
	User  string `json:"user,omitempty"`
	Admin string `json:"admin,omitempty"`
}

// Nearest is a known phrase that resembles an unknown text.
type Nearest struct {
	Phrase  string `json:"phrase"`
	Cause   string `json:"cause"`
	Name    string `json:"name"`
	Percent int    `json:"percent"`
}

// Options tell what else is known about the reply.
type Options struct {
	Host    string // the server that said it
	Command string // the command it refused
	Lang    finding.Lang
}

// Survey explains one reply.
func Survey(know *knowledge.Base, text string, opt Options, now time.Time) *finding.Report {
	text = strings.TrimSpace(text)
	if w, err := know.Reports(); err == nil && opt.Command == "" {
		opt.Command = w.CommandIn(text)
	}
	if opt.Host == "" {
		opt.Host = knowledge.HostIn(text)
	}
	r := know.ReadReply(text, knowledge.ReplyContext{Host: opt.Host, Command: opt.Command})
	f := look(know, text, &r, opt.Lang)
	return &finding.Report{Command: "explain", Target: finding.Subject{Kind: finding.KindReply, Name: shorten(text)}, Headline: headline(&r, f), Sections: sections(know, &r, f), Facts: f, Started: now}
}

func look(know *knowledge.Base, text string, r *knowledge.Reading, lang finding.Lang) *Facts {
	say := func(t knowledge.Text) string { return t.In(string(lang)) }
	codeMeans, codeSource := know.CodeMeaning(r.Code)
	statMeans, statSource := know.CodeMeaning(r.Enhanced)
	bare := bareCode(text, r) && (codeMeans.EN != "" || statMeans.EN != "")
	f := &Facts{Text: text, Known: r.Known() || bare, Cause: r.Cause, CauseName: say(r.CauseName), Coarse: r.Coarse, Code: r.Code, Status: r.Enhanced, CodeMeans: say(codeMeans), StatMeans: say(statMeans),
		Meaning: say(r.Meaning), Permanent: r.Permanent, Temporary: r.Temporary, Owner: r.Job, Advice: Advice{say(r.User), say(r.Admin)}, Certainty: r.Certainty, Basis: r.Basis,
		Provider: say(know.ProviderName(r.Provider)), Source: r.Source}
	if f.Source == "" {
		f.Source = statSource
	}
	if f.Source == "" {
		f.Source = codeSource
	}
	if bare && r.Cause == "unknown" {
		f.Meaning = say(codeMeans)
	}
	if r.Cause != "unknown" {
		f.Bounce = "soft"
		if r.Hard {
			f.Bounce = "hard"
		}
	}
	if !f.Known {
		for _, n := range know.Nearest(text, 3) {
			f.Nearest = append(f.Nearest, Nearest{n.Phrase, n.Cause, say(n.Name), int(n.Share*100 + 0.5)})
		}
	}
	return f
}

// bareCode tells that the text is nothing but a code and a status.
func bareCode(text string, r *knowledge.Reading) bool {
	rest := strings.NewReplacer(r.Enhanced, "", r.Code, "").Replace(text)
	if r.Enhanced == "" {
		rest = strings.Replace(text, r.Code, "", 1)
	}
	return r.Code+r.Enhanced != "" && strings.Trim(rest, " -#().\t\r\n") == ""
}

func headline(r *knowledge.Reading, f *Facts) finding.Headline {
	args := finding.Args{"Cause": r.CauseName.Say(), "Code": strings.TrimSpace(r.Code + " " + r.Enhanced)}
	h := finding.Headline{Owner: r.Owner, State: finding.StateWarning}
	if r.Permanent {
		h.State = finding.StateBroken
	}
	switch {
	case !f.Known && r.Basis == "":
		h.State, h.Owner = finding.StateUntested, finding.OwnerNobody
		h.Says = finding.S("This reply is not known; the nearest known ones are listed below.", nil)
		if len(f.Nearest) == 0 {
			h.Says = finding.S("This reply is not known, and nothing known resembles it.", nil)
		}
	case !f.Known:
		h.Says = finding.S("The words of this reply are not known; its code makes one guess: {{.Cause}}.", args)
	case r.Code != "" && r.Code[0] == '2':
		h.State = finding.StateOK
		h.Says = finding.S("The server accepts.", nil)
	case r.Cause == "unknown":
		h.Says = finding.S("{{.Code}} by itself tells no cause; the words behind it would.", args)
	case r.Permanent:
		h.Says = finding.S("Refused for good: {{.Cause}}.", args)
	default:
		h.Says = finding.S("Put off for now: {{.Cause}}.", args)
	}
	return h
}

func sections(know *knowledge.Base, r *knowledge.Reading, f *Facts) []finding.Section {
	s := finding.Section{}
	row := func(name finding.Sentence, value finding.Sentence) {
		if value.In(finding.EN) != "" {
			s.Rows = append(s.Rows, finding.Cells(name, value))
		}
	}
	code, _ := know.CodeMeaning(r.Code)
	stat, _ := know.CodeMeaning(r.Enhanced)
	if r.Code != "" {
		row(finding.Raw(r.Code), code.Say())
	}
	if r.Enhanced != "" {
		row(finding.Raw(r.Enhanced), stat.Say())
	}
	if r.Basis != "" {
		row(finding.S("means", nil), r.Meaning.Say())
		row(finding.S("lasting", nil), lasting(r))
		row(finding.S("certainty", nil), certainty(r))
		row(finding.S("for the writer", nil), r.User.Say())
		row(finding.S("for the mail administrator", nil), r.Admin.Say())
	}
	row(finding.S("dialect", nil), know.ProviderName(r.Provider).Say())
	row(finding.S("documented", nil), finding.Raw(f.Source))
	out := []finding.Section{s}
	if len(f.Nearest) > 0 {
		n := finding.Section{Title: finding.S("Nearest known replies", nil), Columns: []finding.Sentence{finding.S("alike", nil), finding.S("words", nil), finding.S("cause", nil)}}
		for _, x := range know.Nearest(f.Text, 3) {
			n.Rows = append(n.Rows, finding.Cells(finding.S("{{.Percent}} %", finding.Args{"Percent": int(x.Share*100 + 0.5)}), finding.Raw(strings.NewReplacer("*", " … ", "|", "", "^", "").Replace(x.Phrase)), x.Name.Say()))
		}
		out = append(out, n)
	}
	return out
}

func lasting(r *knowledge.Reading) finding.Sentence {
	switch {
	case r.Permanent && r.Hard:
		return finding.S("permanent; the address is dead (hard bounce)", nil)
	case r.Permanent:
		return finding.S("permanent until something is changed (soft bounce: the address may be good)", nil)
	case r.TryAgain == "minutes":
		return finding.S("temporary: try again in some minutes", nil)
	}
	return finding.S("temporary: the mail server tries again by itself", nil)
}

func certainty(r *knowledge.Reading) finding.Sentence {
	switch r.Certainty {
	case knowledge.Certain:
		return finding.S("certain: the server's own words or its provider's code say it", nil)
	case knowledge.Likely:
		return finding.S("likely: the words or the status nearly always mean this", nil)
	}
	return finding.S("a guess from the code or the stage alone", nil)
}

func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 90 {
		return string(r[:89]) + "…"
	}
	return s
}
