package canary

import (
	"regexp"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check/hops"
	"github.com/mailwhy/mailwhy/internal/check/results"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
)

var ruleArrived = &finding.Rule{
	ID: "canary.not-arrived", Severity: finding.Error, Owner: finding.OwnerServer,
	Title:  "Test message that never arrives",
	Says:   "{{.Server}} took the message, and after {{.Wait}} it is in no folder of {{.To}}",
	OK:     "the message arrived after {{.Took}}",
	Why:    "A server said yes to the message and is answerable for it: it lies in a queue, was sent on elsewhere, was thrown away by a filter, or bounced to the sender.",
	Repair: "Look for the Message-ID {{.ID}} in the logs (mailwhy trace), in the queue (mailwhy queue) and for a bounce in the sender's mailbox; let mailwhy receive run the filter over a sample.",
	Refs:   []finding.Ref{finding.RFC(5321, "6.1")},
}

var ruleRefused = &finding.Rule{
	ID: "canary.refused", Severity: finding.Error, Owner: finding.OwnerServer,
	Title: "Test message that is not taken", Says: "{{.Server}} does not take the message: {{.Text}}",
	OK:     "{{.Server}} took the message",
	Why:    "The way ends at its first server.",
	Repair: "Have the reply explained (mailwhy explain), and mend what it names.",
}

var ruleJunk = &finding.Rule{
	ID: "canary.junk", Severity: finding.Warning, Owner: finding.OwnerServer,
	Title: "Test message filed as junk", Says: "the message fell into {{.Folder}}",
	OK:     "the message lies in {{.Folder}}",
	Why:    "The recipient does not see it; so it may be with other mail of this sender.",
	Repair: "Look at what the filter wrote into the header (X-Spam-Status, Authentication-Results), at the blocklists that name the sending address, and at the recipient's own filter (mailwhy receive).",
}

var ruleElsewhere = &finding.Rule{
	ID: "canary.other-folder", Severity: finding.Note, Owner: finding.OwnerRecipient,
	Title: "Test message outside the inbox", Says: "the message lies in {{.Folder}}, not in the inbox",
	Why: "A filter of the recipient's put it there.",
}

var ruleLeft = &finding.Rule{
	ID: "canary.left-behind", Severity: finding.Note, Owner: finding.OwnerRecipient,
	Title: "Test message that was not deleted", Says: "the message could not be deleted{{if .Marked}}, only marked as deleted: the server cannot remove one message alone{{end}}",
	OK:     "the message was deleted again, and no other",
	Why:    "It stays in {{.Folder}} until somebody deletes it.",
	Repair: "Delete the message with the subject \"mailwhy canary\" by hand.",
	Refs:   []finding.Ref{finding.RFC(4315, "2.1")},
}

// Rules are what this pack may say.
var Rules = []*finding.Rule{ruleArrived, ruleRefused, ruleJunk, ruleElsewhere, ruleLeft}

var junkName = regexp.MustCompile(`(?i)(?:^|[./])(?:junk|spam|bulk|junk e?-?mail|垃圾邮件|垃圾箱)(?:$|[./ -])`)

// taker is the server that took or refused the message.
func (f *Facts) taker() string {
	if f.Session == nil {
		return f.To
	}
	if f.Session.Plan.Host != "" {
		return f.Session.Plan.Host
	}
	return f.Session.Plan.Addr.String()
}

// refused judges a submission that ended before the message was taken.
func (w *walk) refused() {
	args := finding.Args{"Server": w.f.taker(), "Text": finding.Raw("")}
	f := ruleRefused.Failed(w.subject, args)
	if st := w.f.Session.Failed(); st != nil {
		text := st.Reply.String()
		if st.Fault != nil {
			text = st.Fault.Error()
		} else {
			f.Verify = finding.Cmd("explain", text)
		}
		args["Text"] = finding.Raw(text)
		f = f.With(finding.Evidence{Source: "smtp", Place: string(st.Name) + " " + st.Arg, At: w.f.Session.Started, Raw: text})
		if st.Reply != nil && st.Reply.Code >= 400 && st.Reply.Code < 500 {
			f = ruleRefused.Untested(w.subject, finding.S("{{.Server}} puts the message off: {{.Text}}", args))
		}
	}
	w.fs = append(w.fs, f)
}

// undone says of a delivery to the MX that the message was not taken; why, the findings of the delivery say.
func (w *walk) undone() {
	for i := range w.fs {
		if w.fs[i].Outcome == finding.Fail && w.fs[i].Level() == finding.Error || w.fs[i].Outcome == finding.Unknown {
			return
		}
	}
	if w.f.Session != nil && w.f.Session.Reply(smtp.Message) == nil {
		w.refused()
	}
}

// judge judges what was found at the far end.
func (w *walk) judge() {
	f := w.f
	args := finding.Args{"Server": f.taker(), "To": f.To, "Wait": f.wait, "ID": f.ID, "Took": f.Took.Round(100 * time.Millisecond), "Folder": f.Folder}
	w.fs = append(w.fs, ruleRefused.Passed(w.subject, args))
	if !f.Arrived {
		if !w.failed() {
			w.fs = append(w.fs, ruleArrived.Failed(w.subject, args).Prove(finding.Cmd("receive", f.To)))
		}
		return
	}
	w.fs = append(w.fs, ruleArrived.Passed(w.subject, args))
	switch s := f.sought; {
	case s.Use == "Junk" || junkName.MatchString(s.Folder):
		w.fs = append(w.fs, ruleJunk.Failed(w.subject, args).With(w.marks()...).Prove(finding.Cmd("receive", f.To)))
	case !strings.EqualFold(s.Folder, "INBOX"):
		w.fs = append(w.fs, ruleElsewhere.Failed(w.subject, args).Prove(finding.Cmd("receive", f.To)))
	default:
		w.fs = append(w.fs, ruleJunk.Passed(w.subject, args))
	}
	if !f.keep {
		if args["Marked"] = f.sought.Marked; f.Removed {
			w.fs = append(w.fs, ruleLeft.Passed(w.subject, args))
		} else {
			w.fs = append(w.fs, ruleLeft.Failed(w.subject, args))
		}
	}
	message := finding.Subject{Kind: finding.KindMessage, Name: f.ID}
	w.fs = append(w.fs, hops.Judge(f.Path, message)...)
	w.fs = append(w.fs, results.Judge(f.Results, message)...)
}

func (w *walk) failed() bool {
	for i := range w.fs {
		if w.fs[i].Outcome == finding.Fail && w.fs[i].Level() == finding.Error {
			return true
		}
	}
	return false
}

// marks are the header fields in which filters say what they think.
func (w *walk) marks() (out []finding.Evidence) {
	for line := range strings.Lines(w.f.sought.Header) {
		name, _, _ := strings.Cut(strings.ToLower(line), ":")
		if strings.HasPrefix(name, "x-spam") || strings.HasPrefix(name, "x-rspamd") || name == "authentication-results" {
			out = append(out, finding.Evidence{Source: "header", Place: w.f.Folder, Raw: strings.TrimRight(line, "\r\n")})
		}
	}
	return out[:min(len(out), 5)]
}

// headline says where the message is.
func (w *walk) headline(r *finding.Report) {
	f := w.f
	if !f.Arrived || r.Headline.State == finding.StateBroken {
		return
	}
	r.Headline.Says = finding.S("The message to {{.To}} arrived after {{.Took}}, in {{.Folder}}{{if .Removed}}, and was deleted again{{end}}.",
		finding.Args{"To": f.To, "Took": f.Took.Round(100 * time.Millisecond), "Folder": f.Folder, "Removed": f.Removed})
}

// sections draws the way of the message, what the far end noted, and the transcripts.
func (w *walk) sections() []finding.Section {
	f := w.f
	var out []finding.Section
	if f.Path != nil && len(f.Path.Hops) > 0 {
		out = append(out, f.Path.Section())
	}
	if len(f.Results) > 0 {
		out = append(out, results.Section(f.Results))
	}
	out = append(out, w.more...)
	if f.sought != nil {
		out = append(out, finding.Section{Title: finding.S("header of the message as it arrived", nil), Raw: f.sought.Header, Folded: true})
	}
	for i := range f.Visits {
		if v := f.Visits[i].Visit; v != nil {
			out = append(out, finding.Section{Title: finding.S("looking for the message", nil), Raw: v.Transcript.String(), Folded: true})
		}
	}
	return out
}
