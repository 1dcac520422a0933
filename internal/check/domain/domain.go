package domain

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/idna"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/bimi"
	"github.com/mailwhy/mailwhy/internal/check/blocklist"
	"github.com/mailwhy/mailwhy/internal/check/caa"
	"github.com/mailwhy/mailwhy/internal/check/dane"
	"github.com/mailwhy/mailwhy/internal/check/dkim"
	"github.com/mailwhy/mailwhy/internal/check/dmarc"
	"github.com/mailwhy/mailwhy/internal/check/dnssec"
	"github.com/mailwhy/mailwhy/internal/check/mtasts"
	"github.com/mailwhy/mailwhy/internal/check/mx"
	"github.com/mailwhy/mailwhy/internal/check/nameserver"
	"github.com/mailwhy/mailwhy/internal/check/ptr"
	"github.com/mailwhy/mailwhy/internal/check/smtp"
	"github.com/mailwhy/mailwhy/internal/check/spf"
	"github.com/mailwhy/mailwhy/internal/check/tls"
	"github.com/mailwhy/mailwhy/internal/check/tlsrpt"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
)

// topics are what is looked at for a domain by DNS and HTTP, beside the MX records, which lead to the servers, and what
// Facts.own adds.
var topics = slices.Concat([]check.Check[string]{spf.Check, dkim.Check, dmarc.Check}, tlsrpt.Checks, caa.Checks, bimi.Checks)

// serverTopics are what is looked at for its mail servers as soon as they are known.
var serverTopics = slices.Concat([]check.Check[check.Servers]{ptr.Check}, mtasts.Checks, dane.Checks)

// probes are the server topics that connect; they are left out with Probe.SkipSMTP.
var probes = slices.Concat(smtp.Checks, tls.Checks)

// withoutMail lists the topics that say nothing of a domain that takes no mail, and those that say nothing of one that
// sends none either.
var (
	withoutReceiving = []string{"mtasts", "tlsrpt", "dane", "smtp", "tls", "ptr"}
	withoutSending   = []string{"dkim", "bimi"}
)

// wantsReports is the one rule of DMARC that a domain without mail need not keep: there is nothing to report.
const wantsReports = "dmarc.rua-missing"

// Options say how a survey is run.
type Options struct {
	Progress func(check string) // called as each topic ends; may be nil
}

// Facts are what the survey knows; JSON: docs/json.md.
type Facts struct {
	Domain      string             `json:"domain"`
	Unicode     string             `json:"unicode,omitempty"` // where it differs
	NameServers *nameserver.Facts  `json:"name_servers,omitempty"`
	DNSSEC      *dnssec.Facts      `json:"dnssec,omitempty"`
	MX          *mx.Facts          `json:"mx"`
	Servers     []check.MailServer `json:"servers"` // in the order senders try them
	Sends       bool               `json:"sends"`   // false: SPF says that nobody sends for it
	Takes       bool               `json:"takes"`   // false: nothing to deliver to
	DMARC       string             `json:"dmarc,omitempty"`
	SPF         string             `json:"spf,omitempty"`
}

// NoMail tells whether the domain neither sends nor takes mail. A domain that takes none and says nothing about sending
// counts too.
func (f *Facts) NoMail() bool { return f.MX.Known() && !f.Takes && (!f.Sends || f.SPF == "") }

// Survey looks at everything and gives one report. domain is lower case, in A-labels, without the trailing dot.
func Survey(ctx context.Context, env *check.Env, domain string, opt Options) *finding.Report {
	started := env.Now()
	s := finding.Domain(domain)
	f := &Facts{Domain: domain}
	if u, err := idna.Display.ToUnicode(domain); err == nil && u != domain {
		f.Unicode = u
	}
	var byTopic, byServer, ofMX []finding.Finding
	var wg sync.WaitGroup
	wg.Go(func() { byTopic = check.Run(ctx, env, domain, s, slices.Concat(f.own(), topics), opt.Progress) })
	wg.Go(func() { prefetch(ctx, env, domain) })
	wg.Go(func() {
		f.SPF, f.DMARC = policies(ctx, env, domain)
		prefetchReports(ctx, env, domain, f.DMARC)
	})
	var views []mx.View
	wg.Go(func() { views = mx.Views(ctx, env, domain) })
	f.MX = mx.LookHosts(ctx, env, domain)
	f.Takes, f.Sends = f.MX.TakesMail(), !f.MX.Silent
	servers := f.MX.Servers()
	f.Servers = servers.Hosts
	if f.Takes && f.MX.Known() {
		byServer = check.Run(ctx, env, *servers, s, serverChecks(env), opt.Progress)
	}
	wg.Wait()
	f.MX.Views = views
	ofMX = mx.Judge(f.MX)
	all := slices.Concat(ofMX, byTopic, byServer)
	if f.MX.Known() && !f.MX.NXDomain {
		all = f.judgeNoMail(all, s)
	}
	if f.MX.NXDomain {
		all = onlyMX(all) // nothing else can be said of a domain that does not exist
	}
	blameSignatures(all, s)
	r := check.NewReport(env, "check", s, started, all, f.sections(), f)
	f.headline(r)
	return r
}

// own are the topics whose facts the survey keeps to show them.
func (f *Facts) own() []check.Check[string] {
	return []check.Check[string]{
		{Name: "nameserver", Rules: nameserver.Rules, Run: func(ctx context.Context, env *check.Env, domain string) ([]finding.Finding, error) {
			f.NameServers = nameserver.Look(ctx, env, domain)
			return nameserver.Judge(f.NameServers), nil
		}},
		{Name: "dnssec", Rules: dnssec.Rules, Run: func(ctx context.Context, env *check.Env, domain string) ([]finding.Finding, error) {
			f.DNSSEC = dnssec.Look(ctx, env, domain)
			return dnssec.Judge(f.DNSSEC, dnssec.WarnDays(env)), nil
		}},
	}
}

// sections shows the mail servers, the name servers and the chain of signatures.
func (f *Facts) sections() []finding.Section {
	out := mx.Sections(f.MX)
	if f.NameServers != nil {
		out = append(out, nameserver.Sections(f.NameServers)...)
	}
	if f.DNSSEC != nil {
		out = append(out, dnssec.Sections(f.DNSSEC)...)
	}
	return out
}

// serverChecks leaves out what connects where nothing may be probed, and the blocklists, a hundred questions each, where
// many domains are checked.
func serverChecks(env *check.Env) []check.Check[check.Servers] {
	all := serverTopics
	if !env.Probe.Many {
		all = slices.Concat(all, blocklist.Checks)
	}
	if env.Probe.SkipSMTP || env.Probe.Offline {
		return all
	}
	return slices.Concat(all, probes)
}

// policies gives the SPF and DMARC records as they stand, "" where there is none or more than one.
func policies(ctx context.Context, env *check.Env, domain string) (spf, dmarc string) {
	var wg sync.WaitGroup
	wg.Go(func() { dmarc = only(ctx, env, "_dmarc."+domain, "v=DMARC1") })
	spf = only(ctx, env, domain, "v=spf1")
	wg.Wait()
	return spf, dmarc
}

func only(ctx context.Context, env *check.Env, name, version string) string {
	a, err := env.DNS.Resolve(ctx, name, mail.TypeTXT)
	if err != nil {
		return ""
	}
	found := ""
	for _, t := range a.Texts() {
		if len(t) >= len(version) && strings.EqualFold(t[:len(version)], version) {
			if found != "" {
				return ""
			}
			found = t
		}
	}
	return found
}

// judgeNoMail makes topics that do not apply to a domain without mail say so, and looks at what does.
func (f *Facts) judgeNoMail(all []finding.Finding, s finding.Subject) []finding.Finding {
	if f.Takes {
		return all
	}
	for i := range all {
		topic := all[i].Rule.Topic()
		if slices.Contains(withoutReceiving, topic) || f.NoMail() && (slices.Contains(withoutSending, topic) || all[i].Rule.ID == wantsReports) {
			all[i] = all[i].Rule.NA(all[i].Subject)
		}
	}
	if !f.NoMail() {
		return all
	}
	all = append(all, ruleParked.Failed(s, finding.Args{"Domain": f.Domain}))
	noSPF, noDMARC := f.Sends, !strings.Contains(strings.ReplaceAll(strings.ToLower(f.DMARC), " ", ""), "p=reject")
	if !noSPF && !noDMARC {
		return append(all, ruleForgeable.Passed(s, finding.Args{"Domain": f.Domain}))
	}
	w := ruleForgeable.Failed(s, finding.Args{"Domain": f.Domain, "NoSPF": noSPF, "NoDMARC": noDMARC, "Both": noSPF && noDMARC}).Prove(finding.Cmd("check", f.Domain))
	if noSPF {
		w = w.Mend(finding.Step{Kind: finding.DNSAdd, Target: f.Domain + " TXT", New: `"v=spf1 -all"`})
	}
	if noDMARC && f.DMARC == "" {
		w = w.Mend(finding.Step{Kind: finding.DNSAdd, Target: "_dmarc." + f.Domain + " TXT", New: `"v=DMARC1; p=reject"`})
	}
	return append(all, w)
}

func onlyMX(all []finding.Finding) []finding.Finding {
	return slices.DeleteFunc(all, func(f finding.Finding) bool { return f.Rule.Topic() != "mx" })
}

// blameSignatures names broken DNSSEC as the cause of what the resolver therefore would not answer: one fault, and not one
// more "could not test" for each topic.
func blameSignatures(all []finding.Finding, s finding.Subject) {
	broken := slices.IndexFunc(all, func(f finding.Finding) bool {
		return f.Rule.Topic() == "dnssec" && f.Verdict() == finding.VerdictError && f.Subject == s
	})
	if broken < 0 {
		return
	}
	for i := range all {
		f := &all[i]
		if f.Verdict() == finding.VerdictUntested && f.Subject == s && f.Cannot != nil && strings.Contains(f.Cannot.Why.String(), "SERVFAIL") {
			f.Causes = append(f.Causes, all[broken].Rule.ID)
		}
	}
}

// headline replaces the general sentence where the survey knows a better one.
func (f *Facts) headline(r *finding.Report) {
	h := &r.Headline
	switch {
	case f.MX.NXDomain:
		h.Says = finding.S("{{.Domain}} does not exist: no such name in the DNS.", finding.Args{"Domain": f.Domain})
	case h.State == finding.StateOK && f.NoMail():
		h.Says = finding.S("{{.Domain}} neither sends nor takes mail, and nobody can send in its name.", finding.Args{"Domain": f.Domain})
	}
}

// Summary is one line of a run over many domains.
type Summary struct {
	Domain                     string
	State                      finding.State
	Says                       finding.Sentence
	Errors, Warnings, Untested int
	Took                       time.Duration
}

// Summarise keeps of a report what the table at the end needs, and nothing that holds the report in memory.
func Summarise(r *finding.Report) Summary {
	s := Summary{Domain: r.Target.Name, State: r.Headline.State, Took: r.Took, Errors: r.Count(finding.VerdictError),
		Warnings: r.Count(finding.VerdictWarning), Untested: r.Count(finding.VerdictUntested)}
	for i := range r.Findings {
		if v := r.Findings[i].Verdict(); v <= finding.VerdictUntested {
			s.Says = r.Findings[i].Says()
			break
		}
	}
	return s
}
