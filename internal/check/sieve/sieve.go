// Package sieve judges Sieve mail filters: what is wrong with a script, what it does with a message, and which line
// did it.
//
// Promise: everything is found by reading and by running the script over messages given; nothing is sent, filed or
// changed. The semantics are mail/sieve's (RFC 5228 and its extensions); this package holds the opinions.
package sieve

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/header"
	lang "github.com/mailwhy/mailwhy/internal/mail/sieve"
)

// Script is a script that was read, or the reason why it cannot be.
type Script struct {
	Name   string
	Script *lang.Script
	Fault  *lang.SyntaxError
}

// Facts are the facts of a report.
type Facts struct {
	File     string            `json:"file"`
	Refused  bool              `json:"refused"` // a server would not take the script
	Requires []string          `json:"requires"`
	Syntax   *SyntaxFact       `json:"syntax,omitempty"`
	Problems []lang.Problem    `json:"problems"`
	Message  string            `json:"message,omitempty"`
	Result   *lang.Result      `json:"result,omitempty"`
	Messages []Line            `json:"messages,omitempty"`
	Counts   map[lang.Kind]int `json:"outcomes,omitempty"`
}

// SyntaxFact is the fault of form.
type SyntaxFact struct {
	Code lang.SyntaxCode `json:"code"`
	Line int             `json:"line"`
	Col  int             `json:"column"`
	Word string          `json:"word,omitempty"`
}

// Line is what becomes of one message of many.
type Line struct {
	Message string        `json:"message"`
	Subject string        `json:"subject,omitempty"`
	Actions []lang.Action `json:"actions"`
	Unsure  []int         `json:"unsure,omitempty"`
}

// Read reads a script.
func Read(name string, src []byte) *Script {
	s := &Script{Name: name}
	var err error
	if s.Script, err = lang.Parse(src); err != nil {
		errors.As(err, &s.Fault)
	}
	return s
}

// Envelope is the envelope of a message as the user knows it; nil means: take it from the header.
type Envelope struct {
	From, To *string
	Size     int64 // of a message of which only the beginning is at hand, in bytes; 0: all of it is
}

// Run runs the script over a message; it must have been read without a fault of form.
func (s *Script) Run(raw []byte, env Envelope, now time.Time) (*lang.Result, *header.Block) {
	h, body, _ := header.ParseBytes(raw, header.Limits{})
	m := &lang.Message{Header: h, Body: body, Size: int64(len(raw)), From: bare(h.Get("Return-Path")), To: bare(h.Get("Delivered-To"))}
	if m.To == "" {
		m.To = bare(h.Get("X-Original-To"))
	}
	if h.First("Return-Path") == nil {
		m.From = bare(h.Get("From"))
	}
	if env.From != nil {
		m.From = bare(*env.From)
	}
	if env.To != nil {
		m.To = bare(*env.To)
	}
	m.Size = max(m.Size, env.Size)
	return s.Script.Run(m, lang.Options{Now: now}), h
}

func bare(s string) string {
	if i := strings.LastIndexByte(s, '<'); i >= 0 {
		s, _, _ = strings.Cut(s[i+1:], ">")
	}
	return strings.TrimSpace(s)
}

func (s *Script) facts() *Facts {
	f := &Facts{File: s.Name, Requires: []string{}, Problems: []lang.Problem{}}
	if s.Fault != nil {
		f.Refused, f.Syntax = true, &SyntaxFact{s.Fault.Code, s.Fault.Pos.Line, s.Fault.Pos.Col, s.Fault.Word}
		return f
	}
	f.Refused = s.Script.Refused()
	f.Requires = append(f.Requires, s.Script.Requires...)
	f.Problems = append(f.Problems, s.Script.Problems...)
	return f
}

// Survey is the report about the script alone, or about the script and one message.
func (s *Script) Survey(message string, raw []byte, env Envelope, now time.Time) *finding.Report {
	target := finding.Subject{Kind: finding.KindFile, Name: s.Name}
	facts := s.facts()
	fs := s.lint(target)
	r := &finding.Report{Command: "sieve", Target: target, Started: now, Facts: facts}
	if raw != nil && s.Script != nil {
		subject := finding.Subject{Kind: finding.KindMessage, Name: message}
		res, _ := s.Run(raw, env, now)
		facts.Message, facts.Result = message, res
		fs = append(fs, judgeResult(subject, res)...)
		r.Sections = []finding.Section{actionSection(res), stepSection(res)}
		r.Headline = resultHeadline(message, res, facts.Refused)
	}
	finding.Order(fs)
	r.Findings = fs
	if r.Headline.Says.IsZero() || facts.Syntax != nil {
		r.Headline = scriptHeadline(s, fs)
	}
	return r
}

// NoneActive is the report about an account on which no filter runs.
func NoneActive(env *check.Env, address string, began time.Time) *finding.Report {
	return &finding.Report{
		Command: "sieve", Target: finding.Subject{Kind: finding.KindAddress, Name: address}, Started: began, Took: env.Now().Sub(began),
		Headline: finding.Headline{State: finding.StateOK, Says: finding.S("No filter is active for {{.Address}}: every message stays in the inbox.", finding.Args{"Address": address})},
		Facts:    &Facts{Requires: []string{}, Problems: []lang.Problem{}},
	}
}

func state(fs []finding.Finding) finding.State {
	st := finding.StateOK
	for i := range fs {
		switch fs[i].Verdict() {
		case finding.VerdictError:
			return finding.StateBroken
		case finding.VerdictWarning:
			st = finding.StateWarning
		}
	}
	return st
}

func scriptHeadline(s *Script, fs []finding.Finding) finding.Headline {
	h := finding.Headline{State: state(fs)}
	var first *finding.Finding
	n := 0
	for i := range fs {
		if v := fs[i].Verdict(); v <= finding.VerdictWarning {
			if n++; first == nil || v < first.Verdict() {
				first = &fs[i]
			}
		}
	}
	args := finding.Args{"File": s.Name}
	if first == nil {
		h.Says = finding.S("{{.File}}: a script that servers take, and nothing in it looks wrong.", args)
		return h
	}
	args["First"], args["Others"], h.Owner = first.Says(), n-1, first.Whose()
	if h.State == finding.StateBroken {
		h.Says = finding.S("{{.File}}: servers refuse this script: {{.First}}{{if .Others}}; and {{.Others}} more {{plural .Others \"fault\" \"faults\"}}{{end}}.", args)
	} else {
		h.Says = finding.S("{{.File}}: servers take this script, but {{.First}}{{if .Others}}; and {{.Others}} more {{plural .Others \"fault\" \"faults\"}}{{end}}.", args)
	}
	return h
}

// main is the action that decides where the message is found.
func mainAction(res *lang.Result) *lang.Action {
	rank := []lang.Kind{lang.Reject, lang.Keep, lang.FileInto, lang.Redirect, lang.Discard}
	for _, k := range rank {
		for i := range res.Actions {
			if res.Actions[i].Kind == k {
				return &res.Actions[i]
			}
		}
	}
	return nil
}

func resultHeadline(message string, res *lang.Result, refused bool) finding.Headline {
	a := mainAction(res)
	args := finding.Args{"Message": message}
	if a == nil {
		return finding.Headline{}
	}
	args["Line"], args["Target"] = a.Line, a.Target
	h := finding.Headline{State: finding.StateOK, Owner: finding.OwnerNobody}
	switch {
	case refused:
		return finding.Headline{}
	case len(res.Unsure) > 0:
		args["Lines"] = lines(res.Unsure)
		h.State = finding.StateUntested
		h.Says = finding.S("{{.Message}}: what becomes of it depends on line {{.Lines}}, which cannot be run here.", args)
		return h
	}
	switch a.Kind {
	case lang.Discard:
		h.State, h.Owner = finding.StateWarning, finding.OwnerRecipient
		h.Says = finding.S("{{.Message}}: thrown away by line {{.Line}}; nobody is told.", args)
	case lang.Reject:
		h.State, h.Owner = finding.StateWarning, finding.OwnerRecipient
		h.Says = finding.S("{{.Message}}: refused by line {{.Line}}.", args)
	case lang.FileInto:
		h.Says = finding.S("{{.Message}}: filed into {{.Target}} by line {{.Line}}.", args)
	case lang.Redirect:
		h.Says = finding.S("{{.Message}}: sent on to {{.Target}} by line {{.Line}}, no copy stays.", args)
	default:
		if a.Implicit {
			h.Says = finding.S("{{.Message}}: kept in the inbox; no rule says otherwise.", args)
		} else {
			h.Says = finding.S("{{.Message}}: kept in the inbox by line {{.Line}}.", args)
		}
	}
	return h
}

func lines(ns []int) string {
	ns = slices.Compact(slices.Sorted(slices.Values(ns)))
	var out []string
	for _, n := range ns {
		out = append(out, strconv.Itoa(n))
	}
	return strings.Join(out, ", ")
}

// Many is the report about many messages: which would be thrown away, refused or put elsewhere.
func (s *Script) Many(in []Line, now time.Time) *finding.Report {
	target := finding.Subject{Kind: finding.KindFile, Name: s.Name}
	facts := s.facts()
	facts.Messages, facts.Counts = in, map[lang.Kind]int{}
	fs := s.lint(target)
	unsure := 0
	sec := finding.Section{
		Title:   finding.S("What happens to each message", nil),
		Columns: []finding.Sentence{finding.S("message", nil), finding.S("subject", nil), finding.S("action", nil), finding.S("line", nil)},
	}
	for _, l := range in {
		if len(l.Unsure) > 0 {
			unsure++
		}
		a := mainAction(&lang.Result{Actions: l.Actions})
		if a == nil {
			continue
		}
		facts.Counts[a.Kind]++
		row := finding.Cells(finding.Raw(l.Message), finding.Raw(l.Subject), actionSays(*a), lineCell(a.Line))
		row.Mark = actionMark(a.Kind)
		sec.Rows = append(sec.Rows, row)
	}
	finding.Order(fs)
	args := finding.Args{"N": len(in), "Gone": facts.Counts[lang.Discard], "Refused": facts.Counts[lang.Reject],
		"Filed": facts.Counts[lang.FileInto], "Sent": facts.Counts[lang.Redirect], "Kept": facts.Counts[lang.Keep], "Unsure": unsure}
	r := &finding.Report{Command: "sieve", Target: target, Started: now, Facts: facts, Findings: fs, Sections: []finding.Section{sec}}
	r.Headline = finding.Headline{State: state(fs), Says: finding.S(
		"Of {{.N}} {{plural .N \"message\" \"messages\"}}: {{.Gone}} thrown away, {{.Refused}} refused, {{.Filed}} filed, {{.Sent}} sent on, {{.Kept}} kept in the inbox{{if .Unsure}}; {{.Unsure}} not for certain{{end}}.", args)}
	if facts.Refused {
		r.Headline = scriptHeadline(s, fs)
	} else if facts.Counts[lang.Discard]+facts.Counts[lang.Reject] > 0 && r.Headline.State == finding.StateOK {
		r.Headline.State, r.Headline.Owner = finding.StateWarning, finding.OwnerRecipient
	}
	return r
}

// Of runs the script over one of many messages.
func (s *Script) Of(name string, raw []byte, env Envelope, now time.Time) Line {
	res, h := s.Run(raw, env, now)
	return Line{Message: name, Subject: h.Text("Subject"), Actions: res.Actions, Unsure: res.Unsure}
}

func lineCell(n int) finding.Sentence {
	if n == 0 {
		return finding.Raw("")
	}
	return finding.Raw(fmt.Sprint(n))
}
