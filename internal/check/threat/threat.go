// Package threat asks sources of threat intelligence about addresses, domains, URLs and hashes (row N6): a MISP server and
// plain lists.
//
// Promise: a source that could not be asked is "could not test"; an old copy is named as such; what a source knows is its
// opinion and is shown with the source's own words, never as a fact of ours. A sighting is sent back only when the admin
// asks for it.
//
// It must not block anything: that is the desk's.
package threat

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire/feed"
	"github.com/mailwhy/mailwhy/internal/wire/http"
)

var ruleListed = &finding.Rule{
	ID: "threat.listed", Severity: finding.Warning, Owner: finding.OwnerSelf,
	Title:  "a source of threat intelligence knows it",
	Says:   "{{.What}} is known to {{.Source}}{{if ne .As .What}} (as {{.As}}){{end}}{{if .Note}}: {{.Note}}{{end}}{{if gt .N 1}}, and {{.N}} entries in all{{end}}",
	OK:     "{{.Source}} does not know {{.What}}",
	Why:    "Somebody has seen it do harm. Mail from or about it deserves a second look; sources also err, and addresses change hands.",
	Repair: "Look at the source's entry and its date. Where it fits what you see, propose a block with an end; where it is your own address, find out what was sent from it and ask the source to take the entry back.",
}

var ruleContext = &finding.Rule{
	ID: "threat.context", Severity: finding.Note, Owner: finding.OwnerNobody,
	Title: "a source mentions it, not as a sign of harm",
	Says:  "{{.Source}} mentions {{.What}}{{if .Note}}: {{.Note}}{{end}}; it is not marked for detection there",
	Why:   "Victims and well-known services are named in reports too.",
}

var ruleStale = &finding.Rule{
	ID: "threat.stale", Severity: finding.Note, Owner: finding.OwnerSelf,
	Title:  "an old copy of a source was used",
	Says:   "{{.Source}} could not be read now ({{.Text}}); the answer is from the copy of {{.At}}",
	Why:    "What has been added since is missing.",
	Repair: "See whether the source still exists and whether this machine may reach it.",
}

// Rules are all the rules of this pack.
var Rules = []*finding.Rule{ruleListed, ruleContext, ruleStale}

// Sources say whom to ask.
type Sources struct {
	Lists []string // files or URLs
	MISP  []feed.MISP
	Sight bool // send sightings back to MISP
}

// Door is the run's way to the sources, without a memory.
func Door(env *check.Env) *feed.Door {
	client := env.HTTP()
	return &feed.Door{Now: env.Now, Fetch: func(ctx context.Context, r feed.Request) (*feed.Response, error) {
		res, err := client.Get(ctx, http.Request{URL: r.URL, Method: r.Method, Body: r.Body, Header: r.Header, MaxBytes: r.MaxBytes, Redirects: r.Redirects, Trusted: r.Trusted})
		if err != nil {
			return nil, err
		}
		out := &feed.Response{Status: res.Status, Body: res.Body, Truncated: res.Truncated}
		if res.Fault != nil {
			out.Fault = res.Fault
		}
		return out, nil
	}}
}

// Facts are what the sources said.
type Facts struct {
	Indicators []string       `json:"indicators"`
	Answers    []*feed.Answer `json:"answers"`
	Faults     []string       `json:"faults,omitempty"` // "source: reason" of those that could not be asked
}

// Survey asks every source about every indicator.
func Survey(ctx context.Context, env *check.Env, door *feed.Door, want []feed.Indicator, src Sources) *finding.Report {
	started := env.Now()
	facts := &Facts{}
	for _, w := range want {
		facts.Indicators = append(facts.Indicators, w.Value)
	}
	var fs []finding.Finding
	take := func(name string, a *feed.Answer, err error) {
		if err != nil {
			facts.Faults = append(facts.Faults, name+": "+err.Error())
			f := ruleListed.Untested(Subject(want[0]), unasked(name, err))
			grave := finding.Error // who asks a source wants its answer
			f.Severity = &grave
			fs = append(fs, f)
			return
		}
		facts.Answers = append(facts.Answers, a)
		fs = append(fs, Judge(want, a)...)
	}
	for _, l := range src.Lists {
		a, err := door.List(ctx, l, want)
		take(l, a, err)
	}
	for _, m := range src.MISP {
		a, err := door.MISP(ctx, m, want, src.Sight)
		take(m.Base, a, err)
	}
	target := finding.Subject{Kind: finding.KindFile, Name: strings.Join(facts.Indicators, ", ")}
	if len(want) == 1 {
		target = Subject(want[0])
	}
	r := check.NewReport(env, "threat", target, started, fs, []finding.Section{table(want, facts)}, facts)
	for i := range fs {
		if fs[i].Verdict() == finding.VerdictWarning && (fs[i].Subject.Kind == finding.KindIP || fs[i].Subject.Kind == finding.KindDomain || fs[i].Subject.Kind == finding.KindNetwork) {
			r.Headline.Next = finding.Cmd("block", "propose", fs[i].Subject.Name, "--reason", fmt.Sprint(fs[i].Args["Source"]))
			break
		}
	}
	return r
}

// Judge says what an answer means.
func Judge(want []feed.Indicator, a *feed.Answer) (out []finding.Finding) {
	if a.Stale != "" {
		out = append(out, ruleStale.Failed(Subject(want[0]), finding.Args{"Source": a.Source, "Text": a.Stale, "At": a.Fetched}))
	}
	for i, w := range want {
		hits := a.Hits[i]
		args := finding.Args{"What": w.Value, "Source": a.Source, "N": len(hits)}
		if len(hits) == 0 {
			out = append(out, ruleListed.Passed(Subject(w), args))
			continue
		}
		rule := ruleContext
		first := slices.IndexFunc(hits, func(h feed.Hit) bool { return h.IDS })
		if first >= 0 {
			rule = ruleListed
		}
		h := hits[max(first, 0)]
		args["Note"], args["As"] = h.Note, h.Value
		f := rule.Failed(Subject(w), args)
		for _, h := range hits[:min(len(hits), 5)] {
			f.Evidence = append(f.Evidence, finding.Evidence{Source: "feed", Place: place(a.Source, h), At: h.At, Raw: strings.TrimSpace(h.Value + " " + h.Note + " " + strings.Join(h.Tags, " "))})
		}
		out = append(out, f)
	}
	return out
}

func place(source string, h feed.Hit) string {
	if h.Event != "" {
		return fmt.Sprintf("%s/events/view/%s", source, h.Event)
	}
	return source
}

// Subject is what an indicator stands for in a report.
func Subject(w feed.Indicator) finding.Subject {
	switch {
	case w.Kind == feed.Domain:
		return finding.Domain(w.Value)
	case w.Kind == feed.IP && w.Net.IsSingleIP():
		return finding.IP(w.Net.Addr())
	case w.Kind == feed.IP:
		return finding.Subject{Kind: finding.KindNetwork, Name: w.Value}
	}
	return finding.Subject{Kind: finding.KindFile, Name: w.Value}
}

func unasked(name string, err error) finding.Sentence {
	args := finding.Args{"Source": name, "Text": err.Error()}
	switch {
	case errors.Is(err, feed.ErrKey):
		return finding.S("{{.Source}} refused the key", args)
	case errors.Is(err, feed.ErrEmpty):
		return finding.S("{{.Source}} is no list: no line of it is an address, a network, a domain, a URL or a hash", args)
	case errors.Is(err, fs.ErrNotExist):
		return finding.S("there is no file {{.Source}}", args)
	}
	return finding.S("{{.Source}} could not be asked: {{.Text}}", args)
}

func table(want []feed.Indicator, facts *Facts) finding.Section {
	s := finding.Section{Title: finding.S("sources", nil), Columns: []finding.Sentence{finding.S("source", nil), finding.S("read", nil), finding.S("entries", nil), finding.S("knows", nil), finding.S("sighting", nil)}}
	for _, a := range facts.Answers {
		n, sent := 0, 0
		for i := range want {
			if len(a.Hits[i]) > 0 {
				n++
			}
			if a.Sighted != nil && a.Sighted[i] {
				sent++
			}
		}
		v := finding.VerdictPass
		if n > 0 {
			v = finding.VerdictWarning
		}
		lines, sighting := finding.Sentence{}, finding.Sentence{}
		if a.Lines > 0 {
			lines = finding.Raw(fmt.Sprint(a.Lines))
		}
		if sent > 0 {
			sighting = finding.S("sent for {{.N}}", finding.Args{"N": sent})
		}
		s.Rows = append(s.Rows, finding.Marked(v, finding.Raw(a.Source), finding.S("{{.At}}", finding.Args{"At": a.Fetched.Truncate(time.Second)}), lines,
			finding.S("{{.N}} of {{.All}}", finding.Args{"N": n, "All": len(want)}), sighting))
	}
	return s
}
