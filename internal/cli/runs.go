package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/blocklist"
	"github.com/mailwhy/mailwhy/internal/check/bounce"
	"github.com/mailwhy/mailwhy/internal/check/capture"
	"github.com/mailwhy/mailwhy/internal/check/court"
	"github.com/mailwhy/mailwhy/internal/check/delivery"
	"github.com/mailwhy/mailwhy/internal/check/dkim"
	"github.com/mailwhy/mailwhy/internal/check/dmarc"
	"github.com/mailwhy/mailwhy/internal/check/domain"
	"github.com/mailwhy/mailwhy/internal/check/eml"
	findcheck "github.com/mailwhy/mailwhy/internal/check/find"
	"github.com/mailwhy/mailwhy/internal/check/host"
	"github.com/mailwhy/mailwhy/internal/check/message"
	"github.com/mailwhy/mailwhy/internal/check/mx"
	"github.com/mailwhy/mailwhy/internal/check/path"
	"github.com/mailwhy/mailwhy/internal/check/reply"
	"github.com/mailwhy/mailwhy/internal/check/score"
	"github.com/mailwhy/mailwhy/internal/check/server"
	"github.com/mailwhy/mailwhy/internal/check/spf"
	"github.com/mailwhy/mailwhy/internal/check/tls"
	"github.com/mailwhy/mailwhy/internal/check/verify"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/addr"
	"github.com/mailwhy/mailwhy/internal/runs"
	"github.com/mailwhy/mailwhy/internal/wire"
	wirecapture "github.com/mailwhy/mailwhy/internal/wire/capture"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
)

// survey is what a kind of run does with a door to the world.
type survey func(ctx context.Context, env *check.Env) (*finding.Report, error)

// runKind is a command of this binary as something that can be run from the page, by a monitor or by an assistant. prepare
// checks the arguments with the very functions the command uses.
type runKind struct {
	runs.Kind
	prepare func(args map[string]string) (finding.Subject, survey, error)
	inside  func(r *runner, args map[string]string) (finding.Subject, survey, error) // instead, where it takes an account or this machine
	spoken  func(args map[string]string, l finding.Lang) survey                      // the survey, where the language goes into the report
}

func textField(name string, label finding.Msg, placeholder string, required bool) runs.Field {
	return runs.Field{Name: name, Type: "text", Label: label, Placeholder: placeholder, Required: required}
}

func textArea(label finding.Msg) runs.Field {
	return runs.Field{Name: "text", Type: "textarea", Label: label, Required: true}
}

var domainField = textField("domain", finding.M("Domain"), "mine.example", true)

// runKinds are the surveys of the network and of texts; mailboxKinds are those that log in or look at this machine.
var runKinds = []runKind{
	{Kind: runs.Kind{Kind: "check", Group: "domain", Kept: true, Title: finding.M("Check a domain"), About: finding.M("Everything about a domain's mail: MX, SPF, DKIM, DMARC, transport security, DNSSEC, name servers, mail servers."),
		Fields: []runs.Field{domainField, {Name: "dns_only", Type: "bool", Label: finding.M("DNS only: leave the mail servers alone")}}}, prepare: runCheck},
	{Kind: runs.Kind{Kind: "deliver", Group: "address", Kept: true, Title: finding.M("Try a delivery"), About: finding.M("Walks the way of a message to an address, stage by stage, up to RCPT TO. Nothing is sent."),
		Fields: []runs.Field{textField("to", finding.M("Recipient"), "wang@partner.example", true), textField("from", finding.M("Sender"), "li@mine.example", false)}}, prepare: runDeliver},
	{Kind: runs.Kind{Kind: "receive", Group: "address", Kept: true, Title: finding.M("Receive at an address of ours"), About: finding.M("Walks from the outside world to one of our own mailboxes; with its account of the configuration through the login, the quota and the filter to the inbox. Nothing is sent."),
		Fields: []runs.Field{textField("to", finding.M("Recipient"), "li@mine.example", true), accountField("account", finding.M("Account"), false), textField("from", finding.M("Sender"), "wang@partner.example", false)}}, inside: runReceive},
	domainKind("mx", finding.M("MX records"), finding.M("MX records and what they lead to."), mx.Survey),
	{Kind: runs.Kind{Kind: "spf", Group: "domain", Kept: true, Title: finding.M("SPF"), About: finding.M("The SPF record with everything it includes, and whether a server may send for the domain."),
		Fields: []runs.Field{domainField, textField("ip", finding.M("Address of the sending server"), "192.0.2.25", false), textField("from", finding.M("Sender"), "li@mine.example", false), textField("helo", finding.M("HELO name"), "mail.mine.example", false)}}, prepare: runSPF},
	{Kind: runs.Kind{Kind: "dkim", Group: "domain", Kept: true, Title: finding.M("DKIM"), About: finding.M("The DKIM keys of a domain, as far as selectors are known."),
		Fields: []runs.Field{domainField, textField("selectors", finding.M("Selectors, separated by blanks"), "s1 s2", false)}}, prepare: runDKIM},
	domainKind("dmarc", finding.M("DMARC"), finding.M("The DMARC record as old and new receivers read it, and whether reports arrive."), dmarc.Survey),
	{Kind: runs.Kind{Kind: "server", Group: "server", Kept: true, Title: finding.M("Check a server"), About: finding.M("A mail server as mail programs see it: SMTP, IMAP, POP3 and ManageSieve on their ports."),
		Fields: []runs.Field{textField("host", finding.M("Host"), "mail.mine.example", true)}}, prepare: runServer},
	{Kind: runs.Kind{Kind: "tls", Group: "server", Kept: true, Title: finding.M("TLS of a port"), About: finding.M("Certificate, versions, cipher suites and key exchange of a port."),
		Fields: []runs.Field{textField("target", finding.M("Host and port"), "mail.mine.example:25", true)}}, prepare: runTLS},
	{Kind: runs.Kind{Kind: "ip", Group: "server", Kept: true, Title: finding.M("A sending address"), About: finding.M("What receivers see of an address: reverse name, network, blocklists."),
		Fields: []runs.Field{textField("ip", finding.M("IP address"), "192.0.2.25", true)}}, prepare: runIP},
	{Kind: runs.Kind{Kind: "blocklist", Group: "server", Kept: true, Title: finding.M("Blocklists"), About: finding.M("DNS blocklists about an address or domain; only lists that pass their own test are believed."),
		Fields: []runs.Field{textField("subject", finding.M("IP address or domain"), "192.0.2.25", true)}}, prepare: runBlocklist},
	{Kind: runs.Kind{Kind: "resolve", Group: "domain", Kept: true, Title: finding.M("Compare resolvers"), About: finding.M("Asks the authoritative servers, this machine and public resolvers the same question, and says who is right."),
		Fields: []runs.Field{textField("name", finding.M("Name"), "mine.example", true), textField("types", finding.M("Record types, separated by blanks"), "A MX", false)}}, prepare: runResolve},
	{Kind: runs.Kind{Kind: "path", Group: "server", Kept: true, Title: finding.M("The way to a server"), About: finding.M("Traces the way to a mail server: loss, delay, the hop that filters the mail port, packet sizes."),
		Fields: []runs.Field{textField("target", finding.M("Host, or host and port"), "mx.partner.example", true)}}, prepare: runPath},
	{Kind: runs.Kind{Kind: "capture", Group: "server", Title: finding.M("Packet capture"), About: finding.M("Puts the mail sessions of a packet capture together again and says what went wrong. Passwords are masked; the file is not kept."),
		Fields: []runs.Field{{Name: "file", Type: "file", Required: true, Label: finding.M("Capture file (pcap or pcapng, packed with gzip or not)")}}}, prepare: runCapture},
	{Kind: runs.Kind{Kind: "find", Group: "address", Kept: true, Title: finding.M("Settings of a mail program"), About: finding.M("What to type into a mail program for an address or a domain."),
		Fields: []runs.Field{textField("address", finding.M("Address or domain"), "li@mine.example", true)}}, prepare: runFind},
	{Kind: runs.Kind{Kind: "explain", Group: "message", Kept: true, Title: finding.M("Explain a reply"), About: finding.M("What an SMTP reply, a status code or a line of a log or bounce means."),
		Fields: []runs.Field{textArea(finding.M("Reply")), textField("host", finding.M("Server that said it"), "mx.partner.example", false)}}, prepare: runText(finding.KindReply), spoken: runExplain},
	{Kind: runs.Kind{Kind: "bounce", Group: "message", Title: finding.M("Read a bounce"), About: finding.M("Who refused, why, whose job it is, what to do."),
		Fields: []runs.Field{textArea(finding.M("The bounce with its header"))}}, prepare: runText(finding.KindMessage), spoken: runBounce},
	{Kind: runs.Kind{Kind: "headers", Group: "message", Title: finding.M("Read a header"), About: finding.M("The way a message came, the delays, whom to believe, what filters said."),
		Fields: []runs.Field{textArea(finding.M("The message, or its header"))}}, prepare: ofMessage(func(ctx context.Context, env *check.Env, m *eml.Message) (*finding.Report, error) {
		return message.Survey(ctx, env, m, message.Options{})
	})},
	{Kind: runs.Kind{Kind: "verify", Group: "message", Title: finding.M("Verify a message"), About: finding.M("SPF, DKIM, ARC and DMARC of a message, verified again."),
		Fields: []runs.Field{textArea(finding.M("The whole message"))}}, prepare: ofMessage(func(ctx context.Context, env *check.Env, m *eml.Message) (*finding.Report, error) {
		return verify.Survey(ctx, env, m, verify.Options{}), nil
	})},
	{Kind: runs.Kind{Kind: "score", Group: "message", Title: finding.M("Score a message"), About: finding.M("A score from 0 to 10 with the reason for every point lost."),
		Fields: []runs.Field{textArea(finding.M("The whole message"))}}, prepare: ofMessage(func(ctx context.Context, env *check.Env, m *eml.Message) (*finding.Report, error) {
		return score.Survey(ctx, env, m, score.Options{})
	})},
}

// domainKind is a kind that wants a domain and nothing else.
func domainKind(name string, title, about finding.Msg, do func(context.Context, *check.Env, string) *finding.Report) runKind {
	return runKind{Kind: runs.Kind{Kind: name, Group: "domain", Kept: true, Title: title, About: about, Fields: []runs.Field{domainField}},
		prepare: func(args map[string]string) (finding.Subject, survey, error) {
			d, err := domainName(args["domain"])
			return finding.Domain(d), func(ctx context.Context, env *check.Env) (*finding.Report, error) { return do(ctx, env, d), nil }, badArg("domain", err)
		}}
}

// badArg turns the complaint of a command about an argument into one about a field.
func badArg(name string, err error) error {
	var u *usageError
	if errors.As(err, &u) {
		what := u.what
		if !u.hint.IsZero() {
			what = finding.S("{{.What}}: {{.Hint}}", finding.Args{"What": u.what, "Hint": u.hint})
		}
		return &runs.BadArg{Name: name, What: what}
	}
	return err
}

func runCheck(args map[string]string) (finding.Subject, survey, error) {
	d, err := domainName(args["domain"])
	return finding.Domain(d), func(ctx context.Context, env *check.Env) (*finding.Report, error) {
		env.Probe.SkipSMTP = args["dns_only"] == "true"
		return domain.Survey(ctx, env, d, domain.Options{}), nil
	}, badArg("domain", err)
}

func runPath(args map[string]string) (finding.Subject, survey, error) {
	h, port, err := hostAndPort(strings.TrimSpace(args["target"]))
	return finding.Host(h), func(ctx context.Context, env *check.Env) (*finding.Report, error) {
		return path.Survey(ctx, env, path.Options{Host: h, Port: port})
	}, badArg("target", err)
}

// maxUpload bounds a capture that comes from the page; base64 makes a third more of it.
const maxUpload = 18 << 20

func runCapture(args map[string]string) (finding.Subject, survey, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(args["file"]))
	target := finding.Subject{Kind: finding.KindFile, Name: fmt.Sprintf("%d bytes", len(raw))}
	switch {
	case err != nil:
		return target, nil, &runs.BadArg{Name: "file", What: finding.S("the file has to come as base64", nil)}
	case len(raw) > maxUpload:
		return target, nil, &runs.BadArg{Name: "file", What: finding.S("{{.File}} is larger than {{size .Max}}", finding.Args{"File": "file", "Max": maxUpload})}
	case !wirecapture.Is(raw):
		return target, nil, &runs.BadArg{Name: "file", What: finding.S("{{.File}} is neither pcap nor pcapng", finding.Args{"File": "file"})}
	}
	return target, func(ctx context.Context, env *check.Env) (*finding.Report, error) {
		return capture.Survey(ctx, env, bytes.NewReader(raw), target.Name, wirecapture.Options{})
	}, nil
}

func runDeliver(args map[string]string) (finding.Subject, survey, error) {
	opt := delivery.Options{From: strings.TrimSpace(args["from"]), To: strings.TrimSpace(args["to"])}
	for _, name := range []string{"to", "from"} {
		if s := strings.TrimSpace(args[name]); s != "" {
			if _, err := addr.Parse(s); err != nil {
				return finding.Subject{}, nil, &runs.BadArg{Name: name, What: finding.S("{{.Text}} is no mail address", finding.Args{"Text": shorten(s)})}
			}
		}
	}
	return finding.Subject{Kind: finding.KindAddress, Name: opt.To}, func(ctx context.Context, env *check.Env) (*finding.Report, error) {
		env.Gate = &wire.Gate{AtOnce: 1}
		env.SMTP = &smtp.Prober{Door: env.SMTPDoor()}
		return delivery.Survey(ctx, env, opt), nil
	}, nil
}

func runSPF(args map[string]string) (finding.Subject, survey, error) {
	d, err := domainName(args["domain"])
	if err != nil {
		return finding.Subject{}, nil, badArg("domain", err)
	}
	q := spf.Question{From: strings.TrimSpace(args["from"]), HELO: strings.TrimSpace(args["helo"])}
	if q.IP, err = ipFlag("ip", strings.TrimSpace(args["ip"])); err != nil {
		return finding.Subject{}, nil, badArg("ip", err)
	}
	if !q.IP.IsValid() && (q.From != "" || q.HELO != "") {
		return finding.Subject{}, nil, &runs.BadArg{Name: "ip", What: finding.S("a sender or HELO name needs the address of the sending server", nil)}
	}
	return finding.Domain(d), func(ctx context.Context, env *check.Env) (*finding.Report, error) {
		return spf.Survey(ctx, env, d, q), nil
	}, nil
}

func runDKIM(args map[string]string) (finding.Subject, survey, error) {
	d, err := domainName(args["domain"])
	if err != nil {
		return finding.Subject{}, nil, badArg("domain", err)
	}
	q := dkim.Question{}
	for _, s := range strings.Fields(args["selectors"]) {
		name, err := domainName(s)
		if err != nil || len(q.Selectors) >= 50 {
			return finding.Subject{}, nil, &runs.BadArg{Name: "selectors", What: finding.S("{{.Name}} is no selector", finding.Args{"Name": shorten(s)})}
		}
		q.Selectors = append(q.Selectors, name)
	}
	return finding.Domain(d), func(ctx context.Context, env *check.Env) (*finding.Report, error) { return dkim.Survey(ctx, env, d, q) }, nil
}

func runServer(args map[string]string) (finding.Subject, survey, error) {
	h, err := hostName(strings.TrimSpace(args["host"]))
	return finding.Host(h), func(ctx context.Context, env *check.Env) (*finding.Report, error) {
		return server.Report(ctx, env, h, server.Options{Abuse: true})
	}, badArg("host", err)
}

func runTLS(args map[string]string) (finding.Subject, survey, error) {
	h, port, err := hostPort(strings.TrimSpace(args["target"]), 25)
	return finding.Subject{Kind: finding.KindService, Name: h + ":" + strconv.Itoa(int(port))}, func(ctx context.Context, env *check.Env) (*finding.Report, error) {
		return tls.Report(ctx, env, h, port, tls.StartOf(port))
	}, badArg("target", err)
}

func runIP(args map[string]string) (finding.Subject, survey, error) {
	ip, err := ipFlag("ip", strings.TrimSpace(args["ip"]))
	ip = ip.WithZone("")
	return finding.IP(ip), func(ctx context.Context, env *check.Env) (*finding.Report, error) {
		return host.Survey(ctx, env, ip, host.Options{})
	}, badArg("ip", err)
}

func runBlocklist(args map[string]string) (finding.Subject, survey, error) {
	return runBlocklistWith(nil, args)
}

// runBlocklistWith shows what was seen before as well.
func runBlocklistWith(past blocklist.History, args map[string]string) (finding.Subject, survey, error) {
	s := strings.TrimSpace(args["subject"])
	target := finding.Subject{}
	if ip, err := netip.ParseAddr(s); err == nil {
		target = finding.IP(ip.Unmap().WithZone(""))
	} else {
		d, err := domainName(s)
		if err != nil {
			return target, nil, badArg("subject", err)
		}
		target = finding.Domain(d)
	}
	return target, func(ctx context.Context, env *check.Env) (*finding.Report, error) {
		return blocklist.Survey(ctx, env, []string{target.Name}, blocklist.Options{History: past})
	}, nil
}

func runResolve(args map[string]string) (finding.Subject, survey, error) {
	d, err := domainName(args["name"])
	if err != nil {
		return finding.Subject{}, nil, badArg("name", err)
	}
	opt := court.Options{}
	for _, s := range strings.Fields(args["types"]) {
		t, ok := dns.ParseType(s)
		if !ok || t == mail.Type(255) || t == mail.Type(252) || len(opt.Types) >= 16 {
			return finding.Subject{}, nil, &runs.BadArg{Name: "types", What: finding.S("{{.Word}} is no record type", finding.Args{"Word": shorten(s)})}
		}
		opt.Types = append(opt.Types, t)
	}
	return finding.Domain(d), func(ctx context.Context, env *check.Env) (*finding.Report, error) {
		return court.Survey(ctx, env, d, opt)
	}, nil
}

func runFind(args map[string]string) (finding.Subject, survey, error) {
	s := strings.TrimSpace(args["address"])
	whole, address := s, ""
	if !strings.Contains(s, "@") {
		whole = "postmaster@" + s
	}
	p, err := addr.Parse(whole)
	if err != nil || p.ASCII == "" {
		return finding.Subject{}, nil, &runs.BadArg{Name: "address", What: finding.S("{{.Text}} is neither an address nor a domain", finding.Args{"Text": shorten(s)})}
	}
	target := finding.Domain(p.ASCII)
	if strings.Contains(s, "@") {
		address = p.SMTP()
		target = finding.Subject{Kind: finding.KindAddress, Name: address}
	}
	return target, func(ctx context.Context, env *check.Env) (*finding.Report, error) {
		return findcheck.Survey(ctx, env, p.ASCII, address)
	}, nil
}

// runText names a text by its first line.
func runText(kind finding.Kind) func(map[string]string) (finding.Subject, survey, error) {
	return func(args map[string]string) (finding.Subject, survey, error) {
		if kind == finding.KindReply && len(args["text"]) > maxExplain {
			return finding.Subject{}, nil, &runs.BadArg{Name: "text", What: finding.S("{{.Name}} is too long or holds what no text holds", finding.Args{"Name": "text"})}
		}
		if kind == finding.KindMessage {
			return finding.Subject{Kind: kind, Name: fmt.Sprintf("%d bytes", len(args["text"]))}, nil, nil
		}
		line, _, _ := strings.Cut(strings.TrimSpace(args["text"]), "\n")
		return finding.Subject{Kind: kind, Name: shorten(line)}, nil, nil
	}
}

func runExplain(args map[string]string, l finding.Lang) survey {
	return func(_ context.Context, env *check.Env) (*finding.Report, error) {
		return reply.Survey(env.Know, args["text"], reply.Options{Host: strings.TrimSpace(args["host"]), Lang: l}, env.Now()), nil
	}
}

func runBounce(args map[string]string, l finding.Lang) survey {
	return func(_ context.Context, env *check.Env) (*finding.Report, error) {
		r, err := bounce.NewReader(env.Know, l)
		if err != nil {
			return nil, err
		}
		return r.Survey(fmt.Sprintf("%d bytes", len(args["text"])), []byte(args["text"]), env.Now()), nil
	}
}

// ofMessage prepares a survey of a message that was pasted.
func ofMessage(do func(context.Context, *check.Env, *eml.Message) (*finding.Report, error)) func(map[string]string) (finding.Subject, survey, error) {
	return func(args map[string]string) (finding.Subject, survey, error) {
		name := fmt.Sprintf("%d bytes", len(args["text"]))
		m, err := eml.Read(bytes.NewReader([]byte(args["text"])), name)
		if err != nil {
			return finding.Subject{}, nil, &runs.BadArg{Name: "text", What: finding.S("there are no header fields in it", nil)}
		}
		return finding.Subject{Kind: finding.KindMessage, Name: name}, func(ctx context.Context, env *check.Env) (*finding.Report, error) { return do(ctx, env, m) }, nil
	}
}

// newEnv makes the door to the world of one run, and what closes it. What the instruments do goes through the tape, which
// may be nil.
type newEnv func(tape wire.Tape) (*check.Env, func(), error)

// runner runs the kinds for the page.
type runner struct {
	newEnv   newEnv
	accounts *accounts // nil: there are none
	ntp      string    // time server for a look at this machine
	more     []runKind // beside runKinds: what this server alone has
}

// kinds are all there are with those of this server, which take the place of one of the same name.
func (r *runner) kinds() []runKind {
	out := allRunKinds()
	for _, k := range r.more {
		if i := slices.IndexFunc(out, func(o runKind) bool { return o.Kind.Kind == k.Kind.Kind }); i >= 0 {
			out[i] = k
			continue
		}
		out = append(out, k)
	}
	return out
}

// Kinds lists what can be run.
func (r *runner) Kinds() []runs.Kind {
	names := r.accounts.names()
	var out []runs.Kind
	for _, k := range r.kinds() {
		k.Fields = slices.Clone(k.Fields)
		for i := range k.Fields {
			if k.Fields[i].Type == runs.AccountField {
				k.Fields[i].Choices = names
			}
		}
		out = append(out, k.Kind)
	}
	return out
}

// Prepare checks the arguments.
func (r *runner) Prepare(kind string, args map[string]string) (*runs.Job, error) {
	for _, k := range r.kinds() {
		if k.Kind.Kind != kind {
			continue
		}
		prepare := k.prepare
		if k.inside != nil {
			prepare = func(args map[string]string) (finding.Subject, survey, error) { return k.inside(r, args) }
		}
		target, do, err := prepare(args)
		if err != nil {
			return nil, err
		}
		return &runs.Job{Target: target, Run: func(ctx context.Context, step func(name, text string)) (map[finding.Lang]*finding.Report, error) {
			if k.spoken == nil {
				rep, err := r.run(ctx, do, step)
				return map[finding.Lang]*finding.Report{finding.EN: rep, finding.ZH: rep}, err
			}
			out := map[finding.Lang]*finding.Report{}
			for _, l := range []finding.Lang{finding.EN, finding.ZH} {
				if out[l], err = r.run(ctx, k.spoken(args, l), step); err != nil {
					return nil, err
				}
			}
			return out, nil
		}}, nil
	}
	return nil, &runs.BadArg{Name: "kind", What: finding.S("there is no kind {{.Kind}}", finding.Args{"Kind": kind})}
}

func (r *runner) run(ctx context.Context, do survey, step func(name, text string)) (*finding.Report, error) {
	var tape wire.Tape
	if step != nil {
		tape = teller(step)
	}
	env, done, err := r.newEnv(tape)
	if err != nil {
		return nil, err
	}
	defer done()
	rep, err := do(ctx, env)
	if err == nil {
		finding.Order(rep.Findings)
	}
	return rep, err
}

// teller is a tape that records nothing and tells what the instruments do as they do it.
type teller func(name, text string)

// Do tells and goes on.
func (t teller) Do(door string, req, _ any, live func() error) error {
	t(door, shortly(req))
	return live()
}

// Replaying says no.
func (teller) Replaying() bool { return false }

// shortly names what a request asks, out of the fields by which instruments call it.
func shortly(req any) string {
	raw, err := json.Marshal(req)
	if err != nil {
		return ""
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return shorten(one)
	}
	var m map[string]any
	if json.Unmarshal(raw, &m) != nil {
		return ""
	}
	var out []string
	for _, k := range []string{"name", "Name", "type", "Type", "url", "URL", "host", "Host", "addr", "Addr", "port", "Port", "server", "Spec", "spec"} {
		if v, ok := m[k]; ok && v != nil && v != "" {
			out = append(out, fmt.Sprint(v))
		}
	}
	return shorten(strings.Join(out, " "))
}

// door makes the Env of one run for users of the page: fresh answers, and nowhere but where the policy lets it.
func (v *service) door(tape wire.Tape) (*check.Env, func(), error) {
	s := &v.cfg.Serve
	policy := s.policy()
	timeout := time.Duration(s.Timeout)
	if timeout <= 0 {
		timeout = 10 * time.Second
	}
	e := &check.Env{Now: v.now, Know: v.know, Dial: policy.Dialer(timeout), Allow: policy.Check, Tape: tape, Probe: check.Probe{Timeout: timeout}}
	// The resolvers are this machine's own business, wherever they are.
	open := dns.New(dns.Options{Servers: s.Resolvers})
	if servers, err := open.Servers(); err == nil {
		for _, spec := range servers {
			policy.Places = append(policy.Places, placeOf(spec))
		}
	}
	open.Close()
	e.DNS = dns.New(dns.Options{Servers: s.Resolvers, Timeout: min(timeout, 5*time.Second), Dial: e.Dial, Now: v.now, Tape: tape})
	v.app.introduce(e)
	return e, func() { e.DNS.Close() }, nil
}

// policy says where what users of the page set up may go.
func (s *ServeConfig) policy() *wire.Policy {
	p := &wire.Policy{Private: s.AllowPrivate, Ports: s.AllowPorts}
	p.Networks, _ = prefixes(s.AllowTargets) // checked when it was read
	return p
}

// placeOf is the address:port of a resolver as dns.Client.Servers names it.
func placeOf(spec string) string {
	rest, port := spec, "53"
	if r, ok := strings.CutPrefix(spec, "tls://"); ok {
		rest, port = r, "853"
	}
	if r, ok := strings.CutPrefix(spec, "https://"); ok {
		rest, _, _ = strings.Cut(r, "/")
		port = "443"
	}
	rest, _, _ = strings.Cut(rest, "#")
	if at, err := netip.ParseAddrPort(rest); err == nil {
		return at.String()
	}
	if a, err := netip.ParseAddr(strings.Trim(rest, "[]")); err == nil {
		return netip.AddrPortFrom(a, mustPort(port)).String()
	}
	return rest
}

func mustPort(s string) uint16 {
	n, _ := strconv.ParseUint(s, 10, 16)
	return uint16(n)
}
