// Package capture says why mail fails from a packet capture: `mailwhy capture`.
//
// Promise: facts come from wire/capture alone, nothing is looked up and nothing is sent. A stream whose other direction
// is not in the capture is never said to be unanswered. What is kept grows with the number of different faults and of
// streams shown, not with the size of the file. RFCs: 9293 (TCP), 5321 (SMTP), 8446 (TLS), 1191 (path MTU).
package capture

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/capture"
)

// Bounds of a report.
const (
	maxStreams  = 200  // streams shown, those with faults first
	maxFindings = 1000 // different faults
)

// Facts are what docs/json.md writes down.
type Facts struct {
	File     string            `json:"file"`
	Summary  *capture.Summary  `json:"summary"`
	Requests map[string]int    `json:"requests"` // by protocol
	Replies  map[string]int    `json:"replies"`
	Packets  Packets           `json:"wireshark"`
	Messages int               `json:"messages"`
	Streams  []*capture.Stream `json:"streams"` // mail streams, at most 200, those with faults first
	LeftOut  int               `json:"streams_left_out,omitempty"`

	faulty map[int]finding.Verdict
}

// Packets counts as the filters of Wireshark do: packets that carry requests or reply codes, by protocol.
type Packets struct {
	Requests map[string]int `json:"requests"`
	Replies  map[string]int `json:"replies"`
}

// Survey reads a capture and judges each stream.
func Survey(ctx context.Context, env *check.Env, r io.Reader, name string, opt capture.Options) (*finding.Report, error) {
	start := env.Now()
	j := &judge{know: env.Know, seen: map[string]int{}}
	f := &Facts{File: name, Requests: map[string]int{}, Replies: map[string]int{}, Packets: Packets{map[string]int{}, map[string]int{}}, faulty: map[int]finding.Verdict{}}
	sum, err := capture.Read(ctx, r, opt, func(s *capture.Stream) {
		if s.Protocol == "" {
			return
		}
		f.Requests[s.Protocol] += s.Requests
		f.Replies[s.Protocol] += s.Replies
		if w := s.Wireshark; w != nil {
			f.Packets.Requests[s.Protocol] += w.Requests
			f.Packets.Replies[s.Protocol] += w.Replies
		}
		f.Messages += len(s.Messages)
		f.keep(s, j.stream(s))
	})
	if err != nil {
		return nil, err
	}
	f.Summary = sum
	subject := finding.Subject{Kind: finding.KindFile, Name: name}
	j.file(subject, sum)
	slices.SortStableFunc(f.Streams, func(a, b *capture.Stream) int { return a.Number - b.Number })
	rep := check.NewReport(env, "capture", subject, start, j.found, f.sections(), f)
	rep.Headline = headline(f, rep)
	return rep, nil
}

// keep holds on to a stream; where there are too many, one without faults goes.
func (f *Facts) keep(s *capture.Stream, worst finding.Verdict) {
	if len(f.Streams) >= maxStreams {
		f.LeftOut++
		if worst > finding.VerdictWarning {
			return
		}
		i := slices.IndexFunc(f.Streams, func(o *capture.Stream) bool { return f.faulty[o.Number] > worst })
		if i < 0 {
			return
		}
		delete(f.faulty, f.Streams[i].Number)
		f.Streams = slices.Delete(f.Streams, i, i+1)
	}
	f.faulty[s.Number] = worst
	f.Streams = append(f.Streams, s)
}

func headline(f *Facts, r *finding.Report) finding.Headline {
	n := 0
	for _, m := range f.Summary.Mail {
		n += m
	}
	args := finding.Args{"Streams": n, "Messages": f.Messages}
	if n == 0 {
		h := finding.Headline{State: finding.StateUntested, Says: finding.S("No mail in this capture: no SMTP, IMAP or POP3 stream was found.", nil)}
		return h
	}
	var worst *finding.Finding
	for i := range r.Findings {
		x := &r.Findings[i]
		if x.Verdict() <= finding.VerdictWarning && (worst == nil || x.Verdict() < worst.Verdict()) {
			worst = x
		}
	}
	if worst == nil {
		return finding.Headline{State: finding.StateOK, Says: finding.S("Nothing wrong in {{.Streams}} mail {{plural .Streams \"stream\" \"streams\"}} with {{.Messages}} {{plural .Messages \"message\" \"messages\"}}.", args)}
	}
	h := check.Headline(r.Target, r.Findings)
	others := r.Count(finding.VerdictError) + r.Count(finding.VerdictWarning) - 1
	h.Owner, h.Next = worst.Whose(), worst.Verify
	h.Says = finding.S("{{.Why}}{{if .Others}}; {{.Others}} more {{plural .Others \"fault\" \"faults\"}}{{end}}.", finding.Args{"Why": worst.Says(), "Others": others})
	return h
}

func (f *Facts) sections() []finding.Section {
	t := finding.Section{Title: finding.S("Mail streams", nil), Columns: []finding.Sentence{finding.S("no.", nil), finding.S("protocol", nil), finding.S("client", nil), finding.S("server", nil), finding.S("time", nil), finding.S("last stage", nil), finding.S("how it ended", nil)}}
	var out []finding.Section
	for _, s := range f.Streams {
		mark := f.faulty[s.Number]
		proto := strings.ToUpper(s.Protocol)
		if s.TLS != nil {
			proto += " TLS"
		}
		t.Rows = append(t.Rows, finding.Marked(mark, finding.Raw(fmt.Sprint(s.Number)), finding.Raw(proto), finding.Raw(s.Client.Addr.String()), finding.Raw(s.Server.Addr.String()),
			finding.S("{{.T}}", finding.Args{"T": s.Took}), finding.Raw(lastStage(s)), ending(s)))
	}
	out = append(out, t)
	for _, s := range f.Streams {
		if len(s.Transcript) == 0 {
			continue
		}
		out = append(out, transcript(s))
	}
	return out
}

func lastStage(s *capture.Stream) string {
	if s.Waiting != "" {
		return s.Waiting
	}
	if s.TLS != nil {
		return "tls"
	}
	if n := len(s.Stages); n > 0 {
		return strings.TrimSpace(fmt.Sprintf("%s %s", s.Stages[n-1].Name, firstWord(s.Stages[n-1].Reply)))
	}
	return "connect"
}

func firstWord(s string) string {
	w, _, _ := strings.Cut(s, " ")
	w, _, _ = strings.Cut(w, "-")
	if len(w) > 3 {
		return ""
	}
	return w
}

func ending(s *capture.Stream) finding.Sentence {
	switch {
	case s.Reset != nil && s.Reset.By == "server":
		return finding.S("reset by the server", nil)
	case s.Reset != nil:
		return finding.S("reset by the client", nil)
	case s.ClosedBy == "server":
		return finding.S("closed by the server", nil)
	case s.ClosedBy == "client":
		return finding.S("closed by the client", nil)
	}
	return finding.S("open at the end of the capture", nil)
}

// judge turns streams into findings, one per rule, server and cause.
type judge struct {
	know  *knowledge.Base
	found []finding.Finding
	seen  map[string]int // index in found
	worst finding.Verdict
}

func (j *judge) file(subject finding.Subject, sum *capture.Summary) {
	if sum.Cut || sum.Broken != "" || sum.Damaged > 0 {
		j.found = append(j.found, ruleFile.Failed(subject, finding.Args{"Broken": sum.Broken, "Cut": sum.Cut, "Damaged": sum.Damaged}))
	}
	n := 0
	for _, m := range sum.Mail {
		n += m
	}
	if n == 0 {
		j.found = append(j.found, ruleNoMail.Failed(subject, finding.Args{"Streams": sum.Streams, "Packets": sum.Packets}))
	}
}

// add notes a fault of a stream; more of the same are counted.
func (j *judge) add(s *capture.Stream, r *finding.Rule, key string, args finding.Args, change func(*finding.Finding)) {
	subject := finding.Subject{Kind: finding.KindService, Name: s.Server.Addr.String()}
	id := r.ID + " " + subject.Name + " " + key
	args["Server"], args["N"] = subject.Name, 1
	fresh := r.Failed(subject, args).With(evidence(s))
	if change != nil {
		change(&fresh)
	}
	j.worst = min(j.worst, fresh.Verdict())
	if i, ok := j.seen[id]; ok {
		old := &j.found[i]
		n := old.Args["N"].(int) + 1
		before, _ := old.Args["Waited"].(time.Duration)
		if now, _ := args["Waited"].(time.Duration); now > before {
			old.Args = args
		}
		old.Args["N"] = n
		return
	}
	if len(j.found) < maxFindings {
		j.seen[id] = len(j.found)
		j.found = append(j.found, fresh)
	}
}

func evidence(s *capture.Stream) finding.Evidence {
	var b strings.Builder
	said := slices.DeleteFunc(slices.Clone(s.Transcript), func(l wire.Line) bool { return l.Dir == wire.Happened }) // the finding tells what happened
	for _, l := range said[max(0, len(said)-4):] {
		fmt.Fprintf(&b, "%s %s\n", l.Dir, l.Text)
	}
	return finding.Evidence{Source: "capture", Place: fmt.Sprintf("stream %d", s.Number), At: s.Start, Raw: strings.TrimSpace(b.String())}
}
