package message

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check/auth"
	"github.com/mailwhy/mailwhy/internal/check/blocklist"
	"github.com/mailwhy/mailwhy/internal/check/fields"
	"github.com/mailwhy/mailwhy/internal/check/hops"
	"github.com/mailwhy/mailwhy/internal/check/lookalike"
	"github.com/mailwhy/mailwhy/internal/check/ptr"
	"github.com/mailwhy/mailwhy/internal/check/results"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
)

func itoa(n int) string { return strconv.Itoa(n) }

var (
	ruleTooBig = &finding.Rule{
		ID: "message.header-too-big", Severity: finding.Error, Owner: finding.OwnerSender,
		Title: "Header too big to be read whole", Says: "The header goes beyond what is read ({{.Text}}); the rest was not looked at",
		Why:    "Servers limit the header (Postfix to 100 kB, Exchange to 256 kB) and refuse or cut what is longer.",
		Repair: "Find what adds the fields: a loop, or a program that copies a whole list of recipients into the header.",
		Refs:   []finding.Ref{finding.RFC(5321, "4.5.3.1")},
	}
	ruleFiltered = &finding.Rule{
		ID: "message.filtered", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title:  "A filter took the message for spam",
		Says:   "{{.Product}} says {{.Field}}={{.Value}}: {{.Means}}",
		Why:    "This is why the message went to the junk folder, to quarantine, or was marked.",
		Repair: "See which rules matched and mend those; a recipient who wants such mail puts the sender on the list of safe senders.",
	}
)

// Rules lists what this survey says itself.
var Rules = []*finding.Rule{ruleTooBig, ruleFiltered}

func judge(f *Facts, b *knowledge.Brands, s finding.Subject) []finding.Finding {
	var out []finding.Finding
	if f.TooBig != "" {
		out = append(out, ruleTooBig.Failed(s, finding.Args{"Text": f.TooBig}))
	}
	for _, m := range f.Alike {
		out = append(out, lookalike.Judge(m, whereAlike(f.Header, m), s))
	}
	if len(f.Alike) == 0 {
		out = append(out, lookalike.Clean(s))
	}
	out = append(out, judgeFilters(f, s)...)
	if f.Auth != nil {
		out = append(out, auth.Judge(f.Auth, s)...)
	}
	out = append(out, results.Judge(f.Results, s)...)
	out = append(out, judgeOrigin(&f.Origin)...)
	out = append(out, fields.Judge(f.Header, fields.Context{Arrived: arrived(f.Path), Freemail: b.Freemail}, s)...)
	return append(out, hops.Judge(f.Path, s)...)
}

// arrived is when the message came to our border, zero where that is not known.
func arrived(p *hops.Path) time.Time {
	if p.Border > 0 && p.Hops[p.Border-1].Skew == nil {
		return p.Hops[p.Border-1].Time
	}
	return time.Time{}
}

func whereAlike(h *fields.Facts, m *lookalike.Match) finding.Sentence {
	has := func(as []fields.Address) bool {
		return slices.ContainsFunc(as, func(a fields.Address) bool { return a.Domain == m.Domain })
	}
	switch {
	case has(h.From):
		return finding.S("The From domain", nil)
	case has(h.ReplyTo):
		return finding.S("The Reply-To domain", nil)
	case h.Sender != nil && h.Sender.Domain == m.Domain:
		return finding.S("The Sender domain", nil)
	}
	return finding.S("The envelope sender's domain", nil)
}

// judgeOrigin says what the DNS and the blocklists know of the address the message came in from.
func judgeOrigin(o *Origin) []finding.Finding {
	var out []finding.Finding
	if o.PTR != nil {
		out = append(out, ptr.Judge(o.PTR, "")...)
	}
	if o.Lists != nil {
		out = append(out, blocklist.Judge(o.Lists)...)
	}
	return out
}

// judgeFilters says the bad verdicts of our own filters, one for each product. A bad verdict right below the border counts
// too: filters of some servers write there, and no sender calls his own mail spam. What came further below is a claim.
func judgeFilters(f *Facts, s finding.Subject) []finding.Finding {
	var out []finding.Finding
	said := map[string]bool{}
	for _, v := range f.Vendors {
		for _, it := range v.Items {
			if it.Verdict != "bad" || !v.Believed && !v.AtBorder || said[v.Product] || it.Means == nil || minor[it.Key] {
				continue
			}
			said[v.Product] = true
			field := v.Name
			if it.Key != "" {
				field += " " + it.Key
			}
			out = append(out, ruleFiltered.Failed(s, finding.Args{
				"Product": v.Product, "Field": field, "Value": it.Value, "Means": finding.Both(it.Means.EN, it.Means.ZH),
			}).With(finding.Evidence{Source: "header", Place: v.Name, Raw: clip(v.Value)}))
		}
	}
	return out
}

// minor are parts that speak of a single trait and are no verdict.
var minor = map[string]bool{"PTR": true, "BCL": true}

// headline says what is worst, then where the message came from.
func headline(f *Facts, r *finding.Report) finding.Headline {
	h := r.Headline
	var faults []finding.Sentence
	for i := range r.Findings {
		if v := r.Findings[i].Verdict(); v <= finding.VerdictWarning {
			faults = append(faults, r.Findings[i].Says())
		}
	}
	args := finding.Args{"N": len(f.Path.Hops) + f.Path.Unseen, "Took": f.Path.Total.Round(time.Second), "IP": f.Path.Origin.String()}
	state := finding.S("The header is sound", nil)
	switch {
	case len(faults) == 1:
		state = faults[0]
	case len(faults) > 1:
		state = finding.S("{{.First}}, and {{.Others}} more {{plural .Others \"fault\" \"faults\"}}", finding.Args{"First": faults[0], "Others": len(faults) - 1})
	case h.State == finding.StateUntested:
		return h
	}
	args["State"] = state
	switch {
	case len(f.Path.Hops) == 0:
		h.Says = finding.S("{{.State}}.", args)
	case f.Path.Origin.IsValid() && f.Path.Total >= time.Second:
		h.Says = finding.S("{{.State}}. The message came in from {{.IP}} and took {{.N}} {{plural .N \"hop\" \"hops\"}} and {{.Took}}.", args)
	case f.Path.Origin.IsValid():
		h.Says = finding.S("{{.State}}. The message came in from {{.IP}} and took {{.N}} {{plural .N \"hop\" \"hops\"}}.", args)
	default:
		h.Says = finding.S("{{.State}}. The message took {{.N}} {{plural .N \"hop\" \"hops\"}}, none of which notes where it came from.", args)
	}
	return h
}

func clip(s string) string {
	if len(s) > 400 {
		s = strings.ToValidUTF8(s[:400], "") + " …"
	}
	return s
}
