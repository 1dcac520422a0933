// Package bounce says why a message came back: it joins who wrote the report, who refused, and what the refusal means.
//
// Promise: the words of the server that refused rule; the report's own prose is used where they are missing, and where
// both speak and disagree the report says so. Codes are those that stand in the report. Nothing is looked up.
package bounce

import (
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail/dsn"
)

// Facts is what a message says about the fate of another, as docs/json.md writes it down.
type Facts struct {
	File         string      `json:"file,omitempty"`
	Kind         dsn.Kind    `json:"kind"`
	Form         string      `json:"form,omitempty"`
	Software     string      `json:"software,omitempty"`
	ReportingMTA string      `json:"reporting_host,omitempty"`
	Forwarded    bool        `json:"forwarded,omitempty"`
	Subject      string      `json:"subject,omitempty"`
	From         string      `json:"from,omitempty"`
	Original     Original    `json:"original"`
	Recipients   []Recipient `json:"recipients"`
	Limits       []string    `json:"limits,omitempty"`
}

// Original identifies the message the report is about.
type Original struct {
	From      string `json:"from,omitempty"`
	To        string `json:"to,omitempty"`
	Subject   string `json:"subject,omitempty"`
	MessageID string `json:"message_id,omitempty"`
}

// Recipient is the answer for one recipient.
type Recipient struct {
	Recipient     string              `json:"recipient"`
	Alias         string              `json:"alias,omitempty"`
	Action        string              `json:"action,omitempty"`
	Status        string              `json:"status"`
	Code          string              `json:"code"`
	Diagnostic    string              `json:"diagnostic"`
	RemoteHost    string              `json:"remote_host"`
	ReportingHost string              `json:"reporting_host"`
	Command       string              `json:"command"`
	Cause         string              `json:"cause"`
	CauseName     string              `json:"cause_name"`
	Coarse        string              `json:"coarse"`
	Bounce        string              `json:"bounce"` // hard, soft, or "" where it is no bounce
	Permanent     bool                `json:"permanent"`
	Certainty     knowledge.Certainty `json:"certainty"`
	Owner         string              `json:"owner"`
	Evidence      []string            `json:"evidence"`
	Meaning       string              `json:"meaning"`
	Advice        Advice              `json:"advice"`
	Next          string              `json:"next"`
	Provider      string              `json:"provider,omitempty"`
	Source        string              `json:"source,omitempty"`
	Disagree      string              `json:"disagree,omitempty"` // the cause that the report's prose names, where the server's words name another
	Named         bool                `json:"named"`              // the report names the recipient; else it comes from the returned message

	what                                        string // the kind of the next command
	owner                                       finding.Owner
	next                                        finding.Command
	causeName, meaning, userAdvice, adminAdvice knowledge.Text
}

// Advice is what to do, for the two who may read it.
type Advice struct {
	User  string `json:"user"`
	Admin string `json:"admin"`
}

// Reader reads reports with the tables of a knowledge base. It is safe for concurrent use.
type Reader struct {
	lang  string
	know  *knowledge.Base
	words *knowledge.Reports
	forms *dsn.Forms
	form  map[string]*knowledge.ReportForm // by software: a standard report keeps its writer's habits
}

// NewReader compiles the tables. The texts among the facts are in lang.
func NewReader(k *knowledge.Base, lang finding.Lang) (*Reader, error) {
	w, err := k.Reports()
	if err != nil {
		return nil, err
	}
	d := dsn.FormsData{End: w.End, Rcpt: w.Rcpt, Subject: w.Subject, Sender: w.Sender, Text: w.Text, AutoReply: w.AutoReply, AutoText: w.AutoText, Delay: w.Delay, Success: w.Success}
	bySoftware := map[string]*knowledge.ReportForm{}
	for i := range w.Form {
		f := &w.Form[i]
		bySoftware[f.Software] = f
		one := dsn.FormData{Name: f.Name, Software: f.Software, When: f.When, Start: f.Start, End: f.End, Rcpt: f.Rcpt, Reason: f.Reason, Skip: f.Skip, Sure: f.Sure, Returned: f.Returned, Before: f.Before, Kind: dsn.Kind(f.Kind)}
		for _, h := range f.Hint {
			one.Hint = append(one.Hint, dsn.HintData{Phrase: h.Phrase, Cause: h.Cause})
		}
		d.Form = append(d.Form, one)
	}
	forms, err := dsn.NewForms(d)
	if err != nil {
		return nil, err
	}
	return &Reader{lang: string(lang), know: k, words: w, forms: forms, form: bySoftware}, nil
}

// Read says what a message tells about the fate of another.
func (r *Reader) Read(msg []byte) *Facts {
	rep := dsn.Read(msg, r.forms)
	f := &Facts{Kind: rep.Kind, Form: rep.Form, Software: rep.Software, ReportingMTA: rep.ReportingMTA, Forwarded: rep.Forwarded, Subject: rep.Subject, From: rep.From, Limits: rep.Limits,
		Original:   Original{From: rep.Original.From, To: rep.Original.To, Subject: rep.Original.Subject, MessageID: rep.Original.MessageID},
		Recipients: []Recipient{}}
	for i := range rep.Recipients {
		rc := r.judge(rep, &rep.Recipients[i])
		rc.CauseName, rc.Meaning, rc.Advice = rc.causeName.In(r.lang), rc.meaning.In(r.lang), Advice{rc.userAdvice.In(r.lang), rc.adminAdvice.In(r.lang)}
		f.Recipients = append(f.Recipients, rc)
	}
	return f
}
