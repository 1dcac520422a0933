package find

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
)

var ruleNone = &finding.Rule{
	ID: "find.no-server", Severity: finding.Error, Owner: finding.OwnerServer,
	Title:  "No server to read or send mail",
	Says:   "no server for {{.Kind}} was found that works{{if .Tried}}; tried: {{list .Tried}}{{end}}",
	OK:     "{{.Kind}}: {{.Server}} works",
	Why:    "A mail program cannot be set up.",
	Repair: "Ask whoever runs the mail of the domain for the names of the servers; publish them as SRV records and as an autoconfig file.",
	Refs:   []finding.Ref{finding.RFC(6186, "3"), finding.RFC(8314, "5.1")},
}

var ruleBroken = &finding.Rule{
	ID: "find.published-broken", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "Published server that does not work",
	Says:   "{{.Server}} is named by {{.Source}}, and {{.What}}",
	Why:    "Mail programs that believe this source fail, or warn their users.",
	Repair: "Mend the server, or take it out of the source that names it.",
}

var ruleContradiction = &finding.Rule{
	ID: "find.contradiction", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "Sources that contradict each other",
	Says:   "for {{.Kind}}, {{.A}} names {{list .ServersA}} but {{.B}} names {{list .ServersB}}",
	Why:    "Which server a user gets depends on the mail program.",
	Repair: "Publish the same servers everywhere.",
}

var ruleUnsafe = &finding.Rule{
	ID: "find.unsafe-source", Severity: finding.Warning, Owner: finding.OwnerDomain,
	Title:  "Source that must not be believed",
	Says:   "{{.Where}} was not believed: {{.Text}}",
	Why:    "Settings over a connection that anybody can forge send passwords to anybody.",
	Repair: "Serve the file over https with a certificate that holds for its name.",
	Refs:   []finding.Ref{finding.RFC(8314, "5.1")},
}

var ruleDead = &finding.Rule{
	ID: "find.address-dead", Severity: finding.Warning, Owner: finding.OwnerServer,
	Title:  "Server of which one address does not answer",
	Says:   "{{.Server}}: {{list .Dead}} {{plural .N \"does\" \"do\"}} not answer, while another address of the host does",
	Why:    "Mail programs take one of the addresses; those that take the dead one hang now and then.",
	Repair: "Mend the service behind the address, or take the address out of the DNS.",
}

var ruleClosed = &finding.Rule{
	ID: "find.closed-provider", Severity: finding.Error, Owner: finding.OwnerRecipient,
	Title:  "Provider that lets no mail program in",
	Says:   "{{.Provider}} lets no mail program in over the network: {{.How}}",
	Why:    "There is no server to type in. Mail programs that ask for one cannot be set up, whatever is typed.",
	Repair: "Use the way that the provider names, or move the mailbox to one that offers IMAP.",
}

var rulePassword = &finding.Rule{
	ID: "find.password-kind", Severity: finding.Note, Owner: finding.OwnerRecipient,
	Title:  "Another password than the account's",
	Says:   "{{.Provider}}: {{.How}}",
	Why:    "With the account's own password the login is refused, although everything else is right.",
	Repair: "Make it before the mail program is set up, and type it where the program asks for the password.",
}

// Rules lists every rule of this package.
var Rules = []*finding.Rule{ruleClosed, ruleNone, ruleDead, ruleBroken, ruleContradiction, ruleUnsafe, rulePassword}

// passwordSays says what a provider wants of a mail program.
func passwordSays(k knowledge.PasswordKind) finding.Sentence {
	switch k {
	case knowledge.ByCode:
		return finding.S("mail programs log in with an authorization code, not with the account's password; it is made in the settings of the web mail, where IMAP, POP3 and SMTP are turned on, too", nil)
	case knowledge.ByApp:
		return finding.S("mail programs log in with an app password, not with the account's; it is made in the account's settings", nil)
	case knowledge.ByApp2FA:
		return finding.S("where two-step verification is on, mail programs log in with an app password of the account's settings", nil)
	case knowledge.ByClient:
		return finding.S("mail programs may have to be allowed by the administrator; where a password for mail programs is turned on, they log in with that one", nil)
	case knowledge.Enable:
		return finding.S("IMAP and POP3 have to be turned on in the settings of the web mail first", nil)
	case knowledge.ByOAuth:
		return finding.S("mail programs log in by OAuth (the provider's own page opens); passwords are not taken any more", nil)
	case knowledge.ByBridge:
		return finding.S("its program on the same computer (Bridge) decrypts the mail and offers IMAP and SMTP there", nil)
	case knowledge.NoWay:
		return finding.S("its web page and its own programs are the only ways", nil)
	}
	return finding.Sentence{}
}

// Survey finds the settings of a domain, or of an address in it.
func Survey(ctx context.Context, env *check.Env, domain, address string) (*finding.Report, error) {
	started := env.Now()
	f, err := look(ctx, env, domain, address)
	if err != nil {
		return nil, err
	}
	fs := judge(f)
	r := check.NewReport(env, "find", subject(f), started, fs, sections(f), f)
	if in, out := incoming(f), f.Best("smtp"); in != nil && out != nil {
		r.Headline.Says = finding.S("{{.Target}}: read with {{.In}}, send with {{.Out}}.", finding.Args{"Target": r.Target.Name, "In": setting(in), "Out": setting(out)})
		if p := f.provider; p != nil && p.Password != "" && !p.Closed() {
			r.Headline.Says = finding.S("{{.Target}}: read with {{.In}}, send with {{.Out}}; {{.How}}.", finding.Args{"Target": r.Target.Name, "In": setting(in), "Out": setting(out), "How": passwordSays(p.Password)})
		}
	}
	return r, nil
}

// sections are the settings to type, where there are any, and where it was looked.
func sections(f *Facts) []finding.Section {
	if s := settings(f); len(s.Rows) > 0 {
		return []finding.Section{s, sources(f)}
	}
	return []finding.Section{sources(f)}
}

func incoming(f *Facts) *Candidate {
	if c := f.Best("imap"); c != nil {
		return c
	}
	return f.Best("pop3")
}

func setting(c *Candidate) finding.Sentence {
	return finding.S("{{.Kind}} {{.Host}} port {{.Port}} ({{.Security}})", finding.Args{"Kind": strings.ToUpper(c.Type), "Host": c.Host, "Port": int(c.Port), "Security": securitySays(c.Security)})
}

func securitySays(s string) finding.Sentence {
	switch s {
	case "tls":
		return finding.S("SSL/TLS", nil)
	case "starttls":
		return finding.S("STARTTLS", nil)
	}
	return finding.S("not encrypted", nil)
}

func sourceSays(s Source) finding.Sentence {
	switch s {
	case SRV:
		return finding.S("SRV records", nil)
	case Autoconfig:
		return finding.S("autoconfig file", nil)
	case Autodiscover:
		return finding.S("Autodiscover", nil)
	case ByDomain:
		return finding.S("known provider", nil)
	case ByMX:
		return finding.S("provider of the MX", nil)
	}
	return finding.S("guess", nil)
}

func judge(f *Facts) []finding.Finding {
	var out []finding.Finding
	s := subject(f)
	if f.dnsFault != nil {
		return append(out, ruleNone.Untested(s, check.Why(f.dnsFault)))
	}
	if p := f.provider; p != nil && p.Closed() {
		return append(out, ruleClosed.Failed(s, finding.Args{"Provider": p.Name.Say(), "How": passwordSays(p.Password)}))
	}
	out = append(out, judgeKind(f, s, "imap", "pop3"), judgeKind(f, s, "smtp"))
	if p := f.provider; p != nil && p.Password != "" {
		out = append(out, rulePassword.Failed(s, finding.Args{"Provider": p.Name.Say(), "How": passwordSays(p.Password)}))
	}
	for i := range f.Candidates {
		c := &f.Candidates[i]
		if len(c.Dead) > 0 {
			out = append(out, ruleDead.Failed(s, finding.Args{"Server": setting(c), "Dead": c.Dead, "N": len(c.Dead)}).Prove(finding.Cmd("server", c.Host)))
		}
		if c.From[0] == Guess || c.State != Absent && c.State != Silent && c.State != Distrust {
			continue
		}
		out = append(out, ruleBroken.Failed(s, finding.Args{"Server": setting(c), "Source": sourceSays(c.From[0]), "What": stateSays(c)}))
	}
	out = append(out, contradictions(f, s)...)
	for _, a := range f.Asked {
		if a.Result == "unsafe" {
			out = append(out, ruleUnsafe.Failed(s, finding.Args{"Where": a.Where, "Text": a.Text}))
		}
	}
	return out
}

// judgeKind tells whether one of the kinds works. A server that could not be tried makes it "could not test".
func judgeKind(f *Facts, s finding.Subject, kinds ...string) finding.Finding {
	args := finding.Args{"Kind": strings.ToUpper(strings.Join(kinds, "/"))}
	var tried []string
	for i := range f.Candidates {
		c := &f.Candidates[i]
		if !slices.Contains(kinds, c.Type) {
			continue
		}
		if best := f.Best(c.Type); best != nil {
			args["Server"] = setting(best)
			return ruleNone.Passed(s, args)
		}
		if c.State == NotTried && c.Security != "plain" {
			return ruleNone.Untested(s, finding.S("{{.Server}} could not be tried: {{.Text}}", finding.Args{"Server": setting(c), "Text": c.Text}))
		}
		if c.State != Absent {
			tried = append(tried, c.Host)
		}
	}
	args["Tried"] = slices.Compact(tried)
	return ruleNone.Failed(s, args)
}

// contradictions compares what the domain itself publishes, source by source.
func contradictions(f *Facts, s finding.Subject) []finding.Finding {
	var out []finding.Finding
	published := []Source{SRV, Autoconfig, Autodiscover}
	for _, kind := range []string{"imap", "pop3", "smtp"} {
		by := map[Source][]string{}
		for _, c := range f.Candidates {
			for _, src := range c.From {
				if c.Type == kind && !slices.Contains(by[src], c.Host) {
					by[src] = append(by[src], c.Host)
				}
			}
		}
		for i, a := range published {
			for _, b := range published[i+1:] {
				if len(by[a]) > 0 && len(by[b]) > 0 && !slices.ContainsFunc(by[a], func(h string) bool { return slices.Contains(by[b], h) }) {
					out = append(out, ruleContradiction.Failed(s, finding.Args{"Kind": strings.ToUpper(kind), "A": sourceSays(a), "B": sourceSays(b), "ServersA": by[a], "ServersB": by[b]}))
				}
			}
		}
	}
	return out
}

func stateSays(c *Candidate) finding.Sentence {
	switch c.State {
	case Works:
		return finding.S("works", nil)
	case Distrust:
		return finding.S("its certificate is not believed ({{.Text}})", finding.Args{"Text": c.Trust})
	case Absent:
		return finding.S("the host does not exist", nil)
	case Silent:
		return finding.S("it does not answer as it should ({{.Text}})", finding.Args{"Text": c.Text})
	}
	return finding.S("not tried", nil)
}

// settings is the table to type from.
func settings(f *Facts) finding.Section {
	sec := finding.Section{
		Title: finding.S("Settings to type, best first", nil),
		Columns: []finding.Sentence{finding.S("for", nil), finding.S("server", nil), finding.S("port", nil), finding.S("security", nil),
			finding.S("tried", nil), finding.S("login method", nil), finding.S("named by", nil)},
	}
	for i := range f.Candidates {
		c := &f.Candidates[i]
		if c.From[0] == Guess && c.State == Absent {
			continue
		}
		var from []finding.Sentence
		for _, s := range c.From {
			from = append(from, sourceSays(s))
		}
		v := map[State]finding.Verdict{Works: finding.VerdictPass, Distrust: finding.VerdictWarning, Absent: finding.VerdictWarning, Silent: finding.VerdictWarning, NotTried: finding.VerdictUntested}[c.State]
		sec.Rows = append(sec.Rows, finding.Marked(v, finding.Raw(strings.ToUpper(c.Type)), finding.Raw(c.Host), lineOf(int(c.Port)), securitySays(c.Security), stateSays(c), methodsSay(c.Auth), from[0]))
	}
	return sec
}

// methodsSay says in a mail program's words which of its login methods fit.
func methodsSay(auth []string) finding.Sentence {
	has := func(names ...string) bool {
		return slices.ContainsFunc(auth, func(m string) bool { return slices.Contains(names, m) })
	}
	token, readable := has("XOAUTH2", "OAUTHBEARER"), has("PLAIN", "LOGIN")
	switch {
	case token && readable:
		return finding.S("password, OAuth2", nil)
	case token:
		return finding.S("OAuth2", nil)
	case readable:
		return finding.S("password", nil)
	case has("CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "DIGEST-MD5"):
		return finding.S("encrypted password", nil)
	}
	return finding.Raw(strings.Join(auth, " "))
}

func sources(f *Facts) finding.Section {
	sec := finding.Section{
		Title:   finding.S("Where it was looked", nil),
		Columns: []finding.Sentence{finding.S("source", nil), finding.S("place", nil), finding.S("answer", nil)},
		Folded:  true,
	}
	if f.family != nil && len(f.MX) > 0 {
		sec.Rows = append(sec.Rows, finding.Cells(sourceSays(ByMX), finding.Raw(f.MX[0]), f.family.Name.Say()))
	}
	for _, a := range f.Asked {
		sec.Rows = append(sec.Rows, finding.Cells(sourceSays(a.Source), finding.Raw(a.Where), answerSays(a)))
	}
	return sec
}

func answerSays(a Asked) finding.Sentence {
	args := finding.Args{"N": a.Servers, "Text": a.Text}
	switch a.Result {
	case "found":
		return finding.S("{{.N}} {{plural .N \"server\" \"servers\"}}", args)
	case "refused":
		return finding.S("refuses: {{.Text}}", args)
	case "broken":
		return finding.S("cannot be read: {{.Text}}", args)
	case "unsafe":
		return finding.S("not believed: {{.Text}}", args)
	case "failed":
		return finding.S("could not be asked: {{.Text}}", args)
	}
	return finding.S("nothing there{{if .Text}} ({{.Text}}){{end}}", args)
}

func lineOf(n int) finding.Sentence { return finding.Raw(strconv.Itoa(n)) }
