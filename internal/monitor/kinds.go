package monitor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/blocklist"
	"github.com/mailwhy/mailwhy/internal/check/court"
	"github.com/mailwhy/mailwhy/internal/check/delivery"
	"github.com/mailwhy/mailwhy/internal/check/domain"
	"github.com/mailwhy/mailwhy/internal/check/host"
	"github.com/mailwhy/mailwhy/internal/check/server"
	"github.com/mailwhy/mailwhy/internal/check/tls"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
)

// hour is what slow things are asked in.
const hour = time.Hour

func domainName(s string) (string, finding.Sentence) {
	bad := finding.S("{{.Name}} is not a domain", finding.Args{"Name": cut(s)})
	d := strings.TrimSuffix(strings.TrimSpace(s), ".")
	if _, err := netip.ParseAddr(d); err == nil || d == "" {
		return "", bad
	}
	p, err := idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false)).ToASCII(d)
	if err != nil || len(p) > 253 || strings.ContainsAny(p, " /@:\\\"'`()<>,;*?") || strings.Contains(p, "..") {
		return "", bad
	}
	return strings.ToLower(p), finding.Sentence{}
}

// hostName takes a host or an address.
func hostName(s string) (string, finding.Sentence) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().String(), finding.Sentence{}
	}
	return domainName(s)
}

func mailAddress(s string) finding.Sentence {
	if at := strings.LastIndexByte(s, '@'); at < 1 || at == len(s)-1 || strings.ContainsAny(s, " \r\n<>") {
		return finding.S("{{.Name}} is not a mail address", finding.Args{"Name": cut(s)})
	}
	return finding.Sentence{}
}

// counts are the measures of a kind that measures nothing else.
func counts(r *finding.Report) map[string]float64 {
	return map[string]float64{
		"errors": float64(r.Count(finding.VerdictError)), "warnings": float64(r.Count(finding.VerdictWarning)), "untested": float64(r.Count(finding.VerdictUntested)),
	}
}

// counted is the result of a survey that measures nothing else.
func counted(r *finding.Report, err error) (*Result, error) {
	if err != nil {
		return nil, err
	}
	return &Result{Report: r, Values: counts(r)}, nil
}

func countMeasures(more ...Measure) []Measure {
	return append(more,
		Measure{"errors", "1", finding.M("findings of severity error")}, Measure{"warnings", "1", finding.M("findings of severity warning")}, Measure{"untested", "1", finding.M("findings that could not be tested")})
}

func domainKind() Kind {
	type args struct {
		Domain  string `json:"domain"`
		DNSOnly bool   `json:"dns_only"`
	}
	return define(Kind{
		Name: "domain", Title: finding.M("Domain"), About: finding.M("everything mailwhy check looks at"), Every: hour, FailAfter: 2,
		Fields: []Field{
			{Name: "domain", Label: finding.M("Domain"), Type: "text", Required: true, Example: "mine.example"},
			{Name: "dns_only", Label: finding.M("DNS only, leave the mail servers alone"), Type: "bool"},
		},
		Measures: countMeasures(),
	}, func(c *args) string { return c.Domain },
		func(c *args, bad func(string, finding.Sentence)) { _, s := domainName(c.Domain); bad("domain", s) },
		func(ctx context.Context, d *Doors, c *args) (*Result, error) {
			name, _ := domainName(c.Domain)
			d.Env.Probe.SkipSMTP = d.Env.Probe.SkipSMTP || c.DNSOnly
			r := domain.Survey(ctx, d.Env, name, domain.Options{})
			return &Result{Report: r, Values: counts(r)}, nil
		})
}

func serverKind() Kind {
	type args struct {
		Host  string   `json:"host"`
		Ports []uint16 `json:"ports"`
	}
	return define(Kind{
		Name: "server", Title: finding.M("Mail server"), About: finding.M("SMTP, IMAP, POP3 and ManageSieve on their ports: greeting, encryption, certificate"),
		Fields: []Field{
			{Name: "host", Label: finding.M("Host"), Type: "text", Required: true, Example: "mail.mine.example"},
			{Name: "ports", Label: finding.M("Ports that must be open"), Type: "list", Example: "25, 587, 993", Numbers: true},
		},
		Measures: countMeasures(Measure{Response, "s", finding.M("time to the greeting of the slowest port")}),
	}, func(c *args) string { return c.Host },
		func(c *args, bad func(string, finding.Sentence)) {
			_, s := hostName(c.Host)
			bad("host", s)
			for _, p := range c.Ports {
				if !slices.Contains(serverPorts(), p) {
					bad("ports", finding.S("port {{.Port}} is none of {{list .All}}", finding.Args{"Port": int(p), "All": words(serverPorts())}))
				}
			}
		},
		func(ctx context.Context, d *Doors, c *args) (*Result, error) {
			name, _ := hostName(c.Host)
			r, err := server.Report(ctx, d.Env, name, server.Options{})
			if err != nil {
				return nil, err
			}
			f, ok := r.Facts.(*server.Survey)
			if !ok {
				return nil, fmt.Errorf("server: facts of type %T", r.Facts)
			}
			r.Findings = append(r.Findings, ports(name, f, c.Ports)...)
			r = check.NewReport(d.Env, r.Command, r.Target, r.Started, r.Findings, r.Sections, r.Facts)
			values := counts(r)
			if slowest, ok := greeted(f, c.Ports); ok {
				values[Response] = slowest.Seconds()
			}
			return &Result{Report: r, Values: values}, nil
		})
}

func serverPorts() []uint16 { return []uint16{25, 587, 465, 143, 993, 110, 995, 4190} }

func words(ports []uint16) []string {
	var out []string
	for _, p := range ports {
		out = append(out, strconv.Itoa(int(p)))
	}
	return out
}

// ports judges the ports that must be open: each address of the host must answer there. Where it is our own way that is
// broken, it could not be tested.
func ports(name string, f *server.Survey, wanted []uint16) []finding.Finding {
	var out []finding.Finding
	for _, port := range wanted {
		s := finding.Subject{Kind: finding.KindService, Name: net.JoinHostPort(name, strconv.Itoa(int(port)))}
		args := finding.Args{"Port": int(port), "Host": name}
		var bad, ours *wire.Fault
		answered := 0
		for i := range f.Ports {
			p := &f.Ports[i]
			if p.Port != port {
				continue
			}
			switch fault := early(p); {
			case fault == nil:
				answered++
			case check.Ours(fault):
				ours = fault
			default:
				bad = fault
			}
		}
		switch {
		case bad != nil:
			args["Why"] = check.Fault(bad)
			out = append(out, rulePort.Failed(s, args).Prove(finding.Cmd("server", name)))
		case answered > 0:
			out = append(out, rulePort.Passed(s, args))
		case ours != nil:
			out = append(out, rulePort.Untested(s, check.Fault(ours)))
		default:
			out = append(out, rulePort.Untested(s, finding.S("nothing was looked at", nil)))
		}
	}
	return out
}

// early is what kept a port from greeting, nil when it greeted.
func early(p *server.Port) *wire.Fault {
	if p.Session != nil {
		for _, name := range []smtp.StageName{smtp.Connect, smtp.TLS, smtp.Greeting} {
			if st := p.Session.Stage(name); st != nil && st.Fault != nil {
				return st.Fault
			}
		}
		if p.Session.Stage(smtp.Greeting) == nil && p.Session.Fault != nil {
			return p.Session.Fault
		}
		return nil
	}
	if p.Visit == nil {
		return &wire.Fault{Kind: wire.Canceled}
	}
	if p.Visit.Greeting == "" && p.Visit.Fault != nil {
		return p.Visit.Fault
	}
	return nil
}

// greeted is how long the slowest of the ports took to greet, connecting included. Where ports are named, only those count.
func greeted(f *server.Survey, wanted []uint16) (slowest time.Duration, ok bool) {
	for i := range f.Ports {
		p := &f.Ports[i]
		if len(wanted) > 0 && !slices.Contains(wanted, p.Port) || early(p) != nil {
			continue
		}
		var took time.Duration
		if p.Session != nil {
			for _, st := range p.Session.Stages {
				took += st.Took
				if st.Name == smtp.Greeting {
					break
				}
			}
		} else {
			for _, st := range p.Visit.Steps {
				took += st.Took
				if st.Name == "greeting" {
					break
				}
			}
		}
		slowest, ok = max(slowest, took), true
	}
	return slowest, ok
}

func deliverKind() Kind {
	type args struct {
		To   string `json:"to"`
		From string `json:"from"`
	}
	return define(Kind{
		Name: "deliver", Title: finding.M("Delivery"), About: finding.M("the way of a message to an address, up to RCPT; nothing is sent"), Every: 10 * time.Minute, FailAfter: 3,
		Fields: []Field{
			{Name: "to", Label: finding.M("Recipient"), Type: "text", Required: true, Example: "li@partner.example"},
			{Name: "from", Label: finding.M("Sender"), Type: "text", Example: "postmaster@mine.example"},
		},
		Measures: countMeasures(Measure{Response, "s", finding.M("time of the first server from connecting to the answer to RCPT")}),
	}, func(c *args) string { return c.To },
		func(c *args, bad func(string, finding.Sentence)) {
			bad("to", mailAddress(c.To))
			if c.From != "" {
				bad("from", mailAddress(c.From))
			}
		},
		func(ctx context.Context, d *Doors, c *args) (*Result, error) {
			d.Env.Gate = &wire.Gate{AtOnce: 1}
			d.Env.SMTP = &smtp.Prober{Door: d.Env.SMTPDoor()}
			r := delivery.Survey(ctx, d.Env, delivery.Options{To: c.To, From: c.From})
			values := counts(r)
			if f, ok := r.Facts.(*delivery.Facts); ok {
				for i := range f.Attempts {
					if s := f.Attempts[i].Session; s != nil && s.Connected() {
						values[Response] = upTo(s, smtp.RcptTo).Seconds()
						break
					}
				}
			}
			return &Result{Report: r, Values: values}, nil
		})
}

func upTo(s *smtp.Session, last smtp.StageName) (took time.Duration) {
	for _, st := range s.Stages {
		took += st.Took
		if st.Name == last {
			break
		}
	}
	return took
}

func certificateKind() Kind {
	return define(Kind{
		Name: "certificate", Title: finding.M("Certificate"), About: finding.M("the certificate of a port: trust, name, expiry, key"), Every: 6 * hour, FailAfter: 2,
		Fields:   portFields(),
		Measures: countMeasures(Measure{"remaining", "s", finding.M("time until the certificate expires")}, Measure{Response, "s", finding.M("time of the slowest handshake")}),
	}, (*portArgs).target, (*portArgs).check,
		func(ctx context.Context, d *Doors, c *portArgs) (*Result, error) {
			name, port, start := c.start()
			r, g, err := tls.Quick(ctx, d.Env, name, port, start)
			if err != nil {
				return nil, err
			}
			values := counts(r)
			if !g.Expires.IsZero() {
				values["remaining"], values[Response] = g.Expires.Sub(d.Env.Now()).Seconds(), g.Took.Seconds()
			}
			return &Result{Report: r, Values: values}, nil
		})
}

func blocklistKind() Kind {
	type args struct {
		Subjects []string `json:"subjects"`
		Lists    []string `json:"lists"`
	}
	return define(Kind{
		Name: "blocklist", Title: finding.M("Blocklists"), About: finding.M("addresses and domains on all lists that pass their own test; every new listing is told"), Every: hour, FailAfter: 2, ClearAfter: 2,
		Fields: []Field{
			{Name: "subjects", Label: finding.M("Addresses and domains"), Type: "list", Required: true, Example: "192.0.2.25, mine.example"},
			{Name: "lists", Label: finding.M("Only these lists"), Type: "list"},
		},
		Measures: countMeasures(Measure{"listings", "1", finding.M("lists that list one of them")}),
	}, func(c *args) string { return strings.Join(c.Subjects, ", ") },
		func(c *args, bad func(string, finding.Sentence)) {
			if n := len(c.Subjects); n == 0 || n > 50 {
				bad("subjects", finding.S("wants 1 to 50 addresses and domains", nil))
			}
			for _, s := range c.Subjects {
				_, problem := hostName(s)
				bad("subjects", problem)
			}
		},
		func(ctx context.Context, d *Doors, c *args) (*Result, error) {
			var subjects []string
			for _, s := range c.Subjects {
				name, _ := hostName(s)
				subjects = append(subjects, name)
			}
			r, err := blocklist.Survey(ctx, d.Env, subjects, blocklist.Options{Only: c.Lists, History: d.Listings})
			if err != nil {
				return nil, err
			}
			values := counts(r)
			if f, ok := r.Facts.(*blocklist.Facts); ok {
				for i := range f.Subjects {
					values["listings"] += float64(f.Subjects[i].Count(blocklist.Listed))
				}
			}
			return &Result{Report: r, Values: values}, nil
		})
}

func ipKind() Kind {
	type args struct {
		Address string `json:"address"`
	}
	return define(Kind{
		Name: "ip", Title: finding.M("Sending address"), About: finding.M("what receivers see of an IP address: reverse name, network, blocklists"), Every: hour, FailAfter: 2,
		Fields:   []Field{{Name: "address", Label: finding.M("IP address"), Type: "text", Required: true, Example: "192.0.2.25"}},
		Measures: countMeasures(),
	}, func(c *args) string { return c.Address },
		func(c *args, bad func(string, finding.Sentence)) {
			if _, err := netip.ParseAddr(c.Address); err != nil {
				bad("address", finding.S("{{.Name}} is not an IP address", finding.Args{"Name": cut(c.Address)}))
			}
		},
		func(ctx context.Context, d *Doors, c *args) (*Result, error) {
			ip, err := netip.ParseAddr(c.Address)
			if err != nil {
				return nil, err
			}
			return counted(host.Survey(ctx, d.Env, ip.Unmap().WithZone(""), host.Options{}))
		})
}

func courtKind() Kind {
	type args struct {
		Name   string   `json:"name"`
		Types  []string `json:"types"`
		Expect []string `json:"expect"`
	}
	return define(Kind{
		Name: "resolvers", Title: finding.M("Resolver court"), About: finding.M("the authoritative servers, this machine and public resolvers asked the same question"), Every: 10 * time.Minute, FailAfter: 3,
		Fields: []Field{
			{Name: "name", Label: finding.M("Name"), Type: "text", Required: true, Example: "mine.example"},
			{Name: "types", Label: finding.M("Record types"), Type: "list", Example: "A, MX"},
			{Name: "expect", Label: finding.M("Answers that are right inside"), Type: "list"},
		},
		Measures: countMeasures(Measure{Response, "s", finding.M("time of the slowest answer of this machine's resolvers")}),
	}, func(c *args) string { return c.Name },
		func(c *args, bad func(string, finding.Sentence)) {
			_, s := domainName(c.Name)
			bad("name", s)
			for _, t := range c.Types {
				if _, ok := dns.ParseType(t); !ok {
					bad("types", finding.S("{{.Word}} is no record type", finding.Args{"Word": cut(t)}))
				}
			}
		},
		func(ctx context.Context, d *Doors, c *args) (*Result, error) {
			name, _ := domainName(c.Name)
			opt := court.Options{Expect: c.Expect}
			for _, s := range c.Types {
				t, _ := dns.ParseType(s)
				opt.Types = append(opt.Types, t)
			}
			r, err := court.Survey(ctx, d.Env, name, opt)
			if err != nil {
				return nil, err
			}
			values := counts(r)
			if f, ok := r.Facts.(*court.Facts); ok {
				for i := range f.Questions {
					for _, t := range f.Questions[i].Says {
						if t.Role == court.System && t.Fault == "" {
							values[Response] = max(values[Response], t.Took.Seconds())
						}
					}
				}
			}
			return &Result{Report: r, Values: values}, nil
		})
}

func queueKind() Kind {
	type args struct{}
	return define(Kind{
		Name: "queue", Machine: true, Title: finding.M("Mail queue"), About: finding.M("the mail queue of this machine: what waits, what will expire, whether it grows"), Every: 5 * time.Minute, FailAfter: 2,
		Measures: countMeasures(Measure{"messages", "1", finding.M("messages that wait")}, Measure{"oldest", "s", finding.M("age of the oldest message")}),
	}, func(*args) string { return "" }, nil,
		func(ctx context.Context, d *Doors, _ *args) (*Result, error) {
			if d.Queue == nil {
				return nil, fmt.Errorf("no mail queue to read here")
			}
			r, values, err := d.Queue(ctx)
			if err != nil {
				return nil, err
			}
			all := counts(r)
			for k, v := range values {
				all[k] = v
			}
			return &Result{Report: r, Values: all}, nil
		})
}

func logsKind() Kind {
	type args struct {
		Files []string `json:"files"`
		Since Span     `json:"since"`
	}
	return define(Kind{
		Name: "logs", Machine: true, Title: finding.M("Log insight"), About: finding.M("what is alarming in the logs of the last hour: bounce bursts, guessed passwords, providers that refuse"), Every: 15 * time.Minute, FailAfter: 1, ClearAfter: 1,
		Fields: []Field{
			{Name: "files", Label: finding.M("Log files"), Type: "list", Example: "/var/log/mail.log"},
			{Name: "since", Label: finding.M("Look back"), Type: "span", Example: "1h"},
		},
		Measures: countMeasures(),
	}, func(c *args) string { return strings.Join(c.Files, ", ") },
		func(c *args, bad func(string, finding.Sentence)) {
			if s := c.Since.D(); s != 0 && (s < time.Minute || s > 31*24*hour) {
				bad("since", finding.S("wants a span from 1m to 31d", nil))
			}
		},
		func(ctx context.Context, d *Doors, c *args) (*Result, error) {
			if d.Logs == nil {
				return nil, fmt.Errorf("no logs to read here")
			}
			since := c.Since.D()
			if since == 0 {
				since = hour
			}
			return counted(d.Logs(ctx, c.Files, since))
		})
}
