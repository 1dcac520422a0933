package feedback

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/origin"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/dmarc"
	"github.com/mailwhy/mailwhy/internal/mail/spf"
)

// Class sorts sources by what the domain's owner has to do about them.
type Class string

// The classes.
const (
	Fine      Class = "ours-fine"    // passes
	Failing   Class = "ours-failing" // ours by the look of it, but fails: to be repaired
	Forwarder Class = "forwarder"    // passes on our mail
	Stranger  Class = "stranger"     // somebody else in our name
)

var classes = []Class{Failing, Fine, Forwarder, Stranger}

// Thresholds of judgement.
const (
	mostlyPass = 0.95 // share of aligned messages from which a source is fine
	somePass   = 0.10 // share from which a failing source is taken for ours
	readyShare = 0.99 // share of our mail that must pass before a stricter policy
	readyDays  = 14
	resolveTop = 200 // sources whose names are looked up
	sayTop     = 10  // sources that get a finding of their own
)

var (
	ruleBroken = &finding.Rule{
		ID: "feedback.unreadable", Severity: finding.Error, Owner: finding.OwnerSelf,
		Title:  "report that cannot be read",
		Says:   "{{.File}} cannot be read: {{.Why}}",
		Why:    "What it reports is missing from the numbers.",
		Repair: "Ask the reporter to send it again, or look at the file.",
		Refs:   []finding.Ref{finding.RFC(7489, "7.2.1"), finding.RFC(9990, "")},
	}
	ruleFailing = &finding.Rule{
		ID: "feedback.source-failing", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title:  "own mail that fails DMARC",
		Says:   "{{.Source}} sent {{.Failed}} of {{.Messages}} messages as {{.Domain}} that fail DMARC: {{.What}}",
		Why:    "It looks like one of your own systems or services. With a stricter policy this mail is lost.",
		Repair: "Have the service sign with DKIM for your domain, or let it bounce to a domain of yours and name it in SPF.",
		Refs:   []finding.Ref{finding.RFC(9989, "4.4"), finding.RFC(7489, "3.1")},
	}
	ruleReady = &finding.Rule{
		ID: "feedback.next-step", Severity: finding.Warning, Owner: finding.OwnerDomain,
		Title:  "not ready for a stricter policy",
		Says:   "{{.Domain}} is not ready for p={{.Next}}: {{.Why}}",
		OK:     "{{.Domain}} is ready for p={{.Next}}: {{.Share}}% of its own mail passes over {{.Days}} days",
		Why:    "A stricter policy helps only when own mail passes; before that it hits yourself.",
		Repair: "Repair the failing sources named above, wait for two weeks of clean reports, then raise the policy.",
		Refs:   []finding.Ref{finding.RFC(9989, "5.1"), finding.RFC(7489, "6.7")},
	}
	ruleForged = &finding.Rule{
		ID: "feedback.forged", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "mail of strangers in the domain's name",
		Says:   "strangers sent {{.Messages}} messages as {{.Domain}}, {{.Delivered}} of them were let through",
		Why:    "Only p=quarantine or p=reject keeps them out.",
		Repair: "Raise the policy as soon as own mail passes.",
		Refs:   []finding.Ref{finding.RFC(9989, "4.7")},
	}
	ruleTLS = &finding.Rule{
		ID: "feedback.tls-failures", Severity: finding.Warning, Owner: finding.OwnerServer,
		Title:  "failing encryption reported",
		Says:   "senders report {{.Failure}} of {{.Sessions}} sessions to {{.Domain}} as failed ({{.Policy}}): {{list .Types}}",
		OK:     "senders report no failed session to {{.Domain}}",
		Why:    "In mode enforce, and with DANE, mail of these sessions was not delivered.",
		Repair: "Look at what is named: certificates, STARTTLS, the policy file, the TLSA records.",
		Refs:   []finding.Ref{finding.RFC(8460, "4.3")},
	}
	ruleComplaints = &finding.Rule{
		ID: "feedback.complaints", Severity: finding.Warning, Owner: finding.OwnerSender,
		Title:  "complaints of recipients",
		Says:   "{{.N}} {{plural .N \"complaint\" \"complaints\"}} of recipients about mail from {{list .Sources}}",
		Why:    "Providers count complaints; from about three in a thousand on they throttle and then refuse.",
		Repair: "Take the recipients off the list at once and look at how they came to be on it.",
		Refs:   []finding.Ref{finding.RFC(5965, "3")},
	}
	ruleReporter = &finding.Rule{
		ID: "feedback.reporter-error", Severity: finding.Note, Owner: finding.OwnerDomain,
		Title:  "a reporter complains about the records",
		Says:   "{{.Org}} reports: {{.Text}}",
		Why:    "The reporter could not read or apply a record as it is published.",
		Repair: "Check the DMARC record.",
		Refs:   []finding.Ref{finding.RFC(7489, "7.2"), finding.RFC(9990, "")},
	}
)

// Rules lists every rule of this package.
var Rules = []*finding.Rule{ruleBroken, ruleFailing, ruleReady, ruleForged, ruleTLS, ruleComplaints, ruleReporter}

// name looks up the names of the biggest sources and the services they belong to.
func (s *Sum) name(ctx context.Context, env *check.Env) {
	table, err := env.Know.Senders()
	if err != nil {
		table = &knowledge.Senders{}
	}
	var wg sync.WaitGroup
	for i, src := range s.Sources {
		if i >= resolveTop {
			break
		}
		if env.Probe.Offline || env.DNS == nil || !src.Net.IsValid() || !src.Net.IsSingleIP() {
			continue
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			if a, err := env.DNS.Resolve(ctx, spf.ReverseName(src.Net.Addr()), mail.TypePTR); err == nil && len(a.Records) > 0 {
				src.PTR = a.Records[0].Host
			}
			src.Network = origin.Look(ctx, env, src.Net.Addr()).Holder()
		})
	}
	wg.Wait()
	for _, src := range s.Sources {
		service(src, table)
	}
}

func service(src *Source, table *knowledge.Senders) {
	found := (*knowledge.Sender)(nil)
	if src.PTR != "" {
		found = table.ByHost(src.PTR)
	}
	for _, d := range append(slices.Clone(src.RawDKIM), src.RawSPF...) {
		if found == nil {
			found = table.ByDomain(d)
		}
	}
	if found != nil {
		src.Service, src.forward = found.Name, found.Forward
	}
}

// classify sorts the sources. Evidence that a failing source is ours: it also sends mail that passes, or it carries a
// signature of ours (even a broken one), or it passes SPF as a known service. Forwarders keep our signature while SPF
// breaks, or the reporter says so.
func (s *Sum) classify() {
	for _, d := range s.Domains {
		d.Classes, d.Lost = map[Class]uint64{}, map[Class]uint64{}
	}
	for _, src := range s.Sources {
		src.Class = classOf(src)
		if d := s.domains[src.Domain]; d != nil {
			d.Classes[src.Class] += src.Messages
			d.Lost[src.Class] += src.Messages - src.Aligned
		}
	}
}

func classOf(src *Source) Class {
	share := float64(src.Aligned) / float64(max(src.Messages, 1))
	onlyDKIM := src.DKIM > 0 && src.SPF == 0 && !passesFor(src.RawSPF, src.Domain)
	switch {
	case src.forward, 2*src.Forwarded > src.Messages:
		return Forwarder
	case share >= mostlyPass && onlyDKIM && src.Service == "" && len(src.RawSPF) == 0:
		return Forwarder // our signature survived, the envelope is not authorised: passed on
	case share >= mostlyPass:
		return Fine
	case share >= somePass, len(src.BadDKIM) > 0, passesFor(src.RawSPF, src.Domain), passesFor(src.RawDKIM, src.Domain):
		return Failing
	case src.Service != "" && len(src.RawSPF)+len(src.RawDKIM) > 0:
		return Failing
	}
	return Stranger
}

func passesFor(names []string, domain string) bool {
	for _, n := range names {
		if ownName([]byte(n), domain) {
			return true
		}
	}
	return false
}

// Judge says what to think of the sum.
func Judge(s *Sum) []finding.Finding {
	var out []finding.Finding
	for _, t := range s.Troubles {
		out = append(out, ruleBroken.Untested(finding.Subject{Kind: finding.KindFile, Name: t.File}, finding.S("{{.File}}: {{.Why}}", finding.Args{"File": t.File, "Why": t.Why})))
	}
	n := 0
	for _, src := range s.Sources {
		if src.Class == Failing && n < sayTop {
			n++
			out = append(out, failing(src))
		}
	}
	for _, d := range s.Domains {
		if f := s.nextStep(d); f != nil {
			out = append(out, *f)
		}
		if forged := d.Lost[Stranger]; forged > 0 {
			out = append(out, ruleForged.Failed(finding.Domain(d.Name), finding.Args{"Domain": d.Name, "Messages": forged, "Delivered": s.delivered(d.Name)}).Prove(finding.Cmd("dmarc", d.Name)))
		}
	}
	out = append(out, s.judgeTLS()...)
	if len(s.Complaints) > 0 {
		var from []string
		for _, c := range s.Complaints {
			if c.SourceIP.IsValid() && len(from) < 5 && !slices.Contains(from, c.SourceIP.String()) {
				from = append(from, c.SourceIP.String())
			}
		}
		out = append(out, ruleComplaints.Failed(finding.Subject{Kind: finding.KindReport, Name: "ARF"}, finding.Args{"N": len(s.Complaints), "Sources": from}))
	}
	for i := range s.Heads {
		for _, e := range s.Heads[i].Errors {
			out = append(out, ruleReporter.Failed(finding.Domain(s.Heads[i].Policy.Domain), finding.Args{"Org": s.Heads[i].Org, "Text": e}))
		}
	}
	return out
}

// delivered counts strangers' messages that failed and were let through all the same.
func (s *Sum) delivered(domain string) uint64 {
	var n uint64
	for _, src := range s.Sources {
		if src.Domain == domain && src.Class == Stranger {
			n += min(src.Dispositions.None, src.Messages-src.Aligned)
		}
	}
	return n
}

func failing(src *Source) finding.Finding {
	return ruleFailing.Failed(finding.Subject{Kind: finding.KindIP, Name: src.Name}, finding.Args{
		"Source": src.label(), "Domain": src.Domain, "Failed": src.Messages - src.Aligned, "Messages": src.Messages, "What": src.why(),
	}).Prove(finding.Cmd("dmarc", src.Domain))
}

// label names a source as people know it.
func (src *Source) label() string {
	l := src.Name
	if src.PTR != "" {
		l += " (" + src.PTR + ")"
	}
	for _, more := range []string{src.Service, src.Network} {
		if more != "" {
			l += ", " + more
		}
	}
	return l
}

// why tells what is missing for the source to pass.
func (src *Source) why() finding.Sentence {
	switch {
	case len(src.BadDKIM) > 0:
		return finding.S("its DKIM signature for {{list .D}} does not verify", finding.Args{"D": src.BadDKIM})
	case len(src.RawDKIM) > 0 && !passesFor(src.RawDKIM, src.Domain):
		return finding.S("it signs for {{list .D}} instead of {{.Domain}}", finding.Args{"D": src.RawDKIM, "Domain": src.Domain})
	case len(src.RawSPF) > 0 && !passesFor(src.RawSPF, src.Domain):
		return finding.S("SPF passes for {{list .D}}, not for {{.Domain}}, and there is no signature", finding.Args{"D": src.RawSPF, "Domain": src.Domain})
	}
	return finding.S("neither SPF nor DKIM passes for {{.Domain}}", finding.Args{"Domain": src.Domain})
}

// nextStep judges whether a domain can raise its policy; nil where there is no mail or nothing left to raise.
func (s *Sum) nextStep(d *Domain) *finding.Finding {
	next := map[string]dmarc.Policy{"none": dmarc.Quarantine, "": dmarc.Quarantine, "quarantine": dmarc.Reject}[d.Policy.P]
	own := d.Classes[Fine] + d.Classes[Failing] + d.Classes[Forwarder]
	if next == "" || own == 0 {
		return nil
	}
	lost := d.Lost[Failing] + d.Lost[Forwarder] + d.Lost[Fine]
	share := 1 - float64(lost)/float64(own)
	days := len(d.days)
	args := finding.Args{"Domain": d.Name, "Next": string(next), "Days": days, "Share": strconv.FormatFloat(100*share, 'f', 1, 64)}
	subject := finding.Domain(d.Name)
	var f finding.Finding
	switch {
	case share < readyShare:
		args["Why"] = finding.S("{{.Lost}} of {{.Own}} of its own messages fail and would be lost", finding.Args{"Lost": lost, "Own": own})
		f = ruleReady.Failed(subject, args)
	case days < readyDays:
		args["Why"] = finding.S("the reports cover {{.Days}} {{plural .Days \"day\" \"days\"}}, less than two weeks", finding.Args{"Days": days})
		f = ruleReady.Failed(subject, args)
	default:
		f = ruleReady.Passed(subject, args)
	}
	f = f.Prove(finding.Cmd("dmarc", d.Name))
	return &f
}

func (s *Sum) judgeTLS() []finding.Finding {
	var out []finding.Finding
	for _, t := range s.TLS {
		args := finding.Args{"Domain": t.Domain, "Policy": t.Policy, "Failure": t.Failure, "Sessions": t.Failure + t.Success, "Types": typeList(t.Types)}
		if t.Failure == 0 {
			out = append(out, ruleTLS.Passed(finding.Domain(t.Domain), args))
			continue
		}
		out = append(out, ruleTLS.Failed(finding.Domain(t.Domain), args).Prove(finding.Cmd("check", t.Domain)))
	}
	return out
}

func typeList(m map[string]uint64) []string {
	var out []string
	for k, n := range m {
		out = append(out, k+" "+strconv.FormatUint(n, 10))
	}
	slices.Sort(out)
	return out
}
