package dsn

import (
	"fmt"
	"regexp"
	"strings"
)

// FormData is one home-made form of report, as a table holds it. All words are lower case and matched as substrings.
type FormData struct {
	Name     string
	Software string   // who writes it
	When     []string // alternatives; "a && b" wants both; "from:", "subject:", "mailer:", "received:", "id:", "text:", "type:" name the place
	Start    []string // the line that holds one of these opens the region of recipients; none: the whole text
	End      []string // closes it, beside FormsData.End
	Rcpt     []string // regular expressions for a line that names a recipient: group 1 the address, group 2 what follows
	Reason   []string // a line that holds one of these comes before (or holds) the reason shared by all recipients
	Skip     []string // lines that hold one of these say nothing
	Sure     bool     // its marks stand in no ordinary mail
	Returned bool     // the recipients are those of the returned message, where the text names none
	Before   bool     // a recipient's lines stand in front of the line that names it
	Kind     Kind     // where the form has one kind only
	Hint     []HintData
}

// HintData is a sentence of a form that tells the cause by itself.
type HintData struct{ Phrase, Cause string }

// FormsData is all tables that Read needs.
type FormsData struct {
	Form      []FormData
	End       []string // lines that begin the returned message, in any form
	Rcpt      []string // recipient lines of reports that no form knows
	Subject   []string // subjects of reports that no form knows
	Sender    []string // senders of reports that no form knows
	Text      []string // sentences of reports that no form knows
	AutoReply []string // subjects of automatic answers
	AutoText  []string // sentences of automatic answers
	Delay     []string // sentences that say the message is still tried
	Success   []string // subjects or sentences that say the message was delivered
}

// Forms is FormsData ready for use. It is safe for concurrent use.
type Forms struct {
	data    FormsData
	forms   []form
	generic form
}

type form struct {
	*FormData
	when [][]condition
	rcpt []*regexp.Regexp
}

type condition struct{ place, word string }

// addressPattern is what {addr} stands for in a table.
const addressPattern = `([^\s<>:;,"'\[\]()：，。；、（）“”《》【】]+@[^\s<>:;,"'\[\]()：，。；、（）“”《》【】]+)`

// NewForms compiles tables; the error names the row and the expression.
func NewForms(d FormsData) (*Forms, error) {
	f := &Forms{data: d}
	for i := range d.Form {
		one, err := compile(&d.Form[i])
		if err != nil {
			return nil, err
		}
		f.forms = append(f.forms, one)
	}
	g, err := compile(&FormData{Rcpt: d.Rcpt})
	if err != nil {
		return nil, err
	}
	f.generic = g
	return f, nil
}

func compile(d *FormData) (form, error) {
	f := form{FormData: d}
	for _, alt := range d.When {
		var all []condition
		for _, c := range strings.Split(alt, " && ") {
			place, word, ok := strings.Cut(c, ":")
			if !ok || word == "" {
				return f, fmt.Errorf("form %s: condition %q has no place", d.Name, c)
			}
			all = append(all, condition{place, word})
		}
		f.when = append(f.when, all)
	}
	for _, r := range d.Rcpt {
		re, err := regexp.Compile(strings.ReplaceAll(r, "{addr}", addressPattern))
		if err != nil {
			return f, fmt.Errorf("form %s: %w", d.Name, err)
		}
		if re.NumSubexp() < 1 {
			return f, fmt.Errorf("form %s: %q captures no address", d.Name, r)
		}
		f.rcpt = append(f.rcpt, re)
	}
	return f, nil
}

// clues are the places where a form can be recognised, lower case, taken once per message.
type clues struct{ from, subject, mailer, received, id, text, typ string }

func (c *clues) at(place string) string {
	switch place {
	case "from":
		return c.from
	case "subject":
		return c.subject
	case "mailer":
		return c.mailer
	case "received":
		return c.received
	case "id":
		return c.id
	case "type":
		return c.typ
	}
	return c.text
}

func (f *form) fits(c *clues) bool {
	for _, all := range f.when {
		ok := true
		for _, one := range all {
			if !strings.Contains(c.at(one.place), one.word) {
				ok = false
				break
			}
		}
		if ok {
			return true
		}
	}
	return false
}

func containsAny(s string, words []string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}
