package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/canary"
	"github.com/mailwhy/mailwhy/internal/check/receive"
	"github.com/mailwhy/mailwhy/internal/check/server"
	"github.com/mailwhy/mailwhy/internal/check/sieve"
	"github.com/mailwhy/mailwhy/internal/finding"
	sievelang "github.com/mailwhy/mailwhy/internal/mail/sieve"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/runs"
)

// The kinds that look into a mailbox or at this machine. A run names an account of the configuration: no password is
// typed into the page, none is stored, and none goes to a server that the account does not name.

func accountField(name string, label finding.Msg, required bool) runs.Field {
	return runs.Field{Name: name, Type: runs.AccountField, Label: label, Required: required}
}

// longestWait is how long a canary of the page is waited for: a run ends after five minutes.
const longestWait = 4 * time.Minute

// mailboxKinds are the kinds that need accounts, this machine, or neither but a filter.
var mailboxKinds = []runKind{
	{Kind: runs.Kind{Kind: "login", Group: "server", Kept: true, Title: finding.M("Log in to an account"), About: finding.M("Logs in to an account of the configuration by IMAP, POP3, SMTP submission and ManageSieve, and says of each refusal why. Nothing is marked or deleted, and no message is shown."),
		Fields: []runs.Field{accountField("account", finding.M("Account"), true), {Name: "protocol", Type: "choice", Label: finding.M("Protocol"), Choices: []string{"imap", "pop3", "smtp", "managesieve"}}}}, inside: runLogin},
	{Kind: runs.Kind{Kind: "canary", Group: "address", Kept: true, Title: finding.M("Send a canary"), About: finding.M("Sends one marked message from an account to another for real, waits for it, says where it fell and how long each hop took, and deletes this one message again."),
		Fields: []runs.Field{accountField("from_account", finding.M("Account that sends"), true), accountField("to_account", finding.M("Account that receives"), true),
			{Name: "by_mx", Type: "bool", Label: finding.M("Hand it to the recipient's MX, without a login")}, {Name: "protocol", Type: "choice", Label: finding.M("Protocol"), Choices: []string{"imap", "pop3"}},
			{Name: "wait_seconds", Type: "number", Label: finding.M("Longest wait, in seconds"), Placeholder: "60"}}}, inside: runCanary},
	{Kind: runs.Kind{Kind: "sieve", Group: "message", Title: finding.M("Read a Sieve filter"), About: finding.M("What is wrong with a filter, and which line does what to a message. With an account its active filter, or the one typed here, runs over the newest messages of the inbox; nothing is filed or changed."),
		Fields: []runs.Field{{Name: "script", Type: "textarea", Label: finding.M("The filter"), Instead: true}, {Name: "message", Type: "textarea", Label: finding.M("The message, or its header"), Instead: true},
			textField("from", finding.M("Envelope sender"), "wang@partner.example", false), textField("to", finding.M("Envelope recipient"), "li@mine.example", false), accountField("account", finding.M("Account"), false)}}, inside: runSieve},
	{Kind: runs.Kind{Kind: "local", Group: "server", Kept: true, Machine: true, Title: finding.M("This machine as a mail server"), About: finding.M("The machine that mailwhy serve runs on, from the inside: ports and their processes, services, firewall, space, memory, load, clock, versions, configuration. Nothing is changed.")}, inside: runLocal},
}

// account opens an account at the time of the run, so that a password that changed meanwhile is the new one.
func (r *runner) account(name string, send bool) (server.LoginOptions, error) {
	a, secret, err := r.accounts.open(name)
	if err != nil {
		return server.LoginOptions{}, err
	}
	return a.With(secret, send), nil
}

// known finds the account that an argument names, without its password.
func (r *runner) known(field, name string) (monitor.Account, error) {
	a, err := r.accounts.find(name)
	if err != nil {
		return a, &runs.BadArg{Name: field, What: finding.S("there is no account {{.Name}} in the configuration", finding.Args{"Name": shorten(name)})}
	}
	return a, nil
}

func runLogin(r *runner, args map[string]string) (finding.Subject, survey, error) {
	a, err := r.known("account", args["account"])
	return finding.Subject{Kind: finding.KindAddress, Name: a.Address}, func(ctx context.Context, env *check.Env) (*finding.Report, error) {
		o, err := r.account(a.Name, false)
		if err != nil {
			return nil, err
		}
		if p := args["protocol"]; p != "" {
			o.Protocols = []string{p}
		}
		return server.Login(ctx, env, o)
	}, err
}

func runReceive(r *runner, args map[string]string) (finding.Subject, survey, error) {
	subject, _, err := runDeliver(args)
	if err != nil {
		return subject, nil, err
	}
	name := args["account"]
	if name != "" {
		a, err := r.known("account", name)
		if err != nil {
			return subject, nil, err
		}
		if !strings.EqualFold(a.Address, subject.Name) {
			return subject, nil, &runs.BadArg{Name: "account", What: finding.S("account {{.Name}} is the mailbox of {{.Address}}, not of {{.To}}", finding.Args{"Name": name, "Address": a.Address, "To": shorten(subject.Name)})}
		}
	}
	return subject, func(ctx context.Context, env *check.Env) (*finding.Report, error) {
		o := receive.Options{To: subject.Name, From: strings.TrimSpace(args["from"])}
		if name != "" {
			l, err := r.account(name, false)
			if err != nil {
				return nil, err
			}
			o.Login = &l
		}
		return receive.Survey(ctx, env, o)
	}, nil
}

func runCanary(r *runner, args map[string]string) (finding.Subject, survey, error) {
	from, err := r.known("from_account", args["from_account"])
	if err != nil {
		return finding.Subject{}, nil, err
	}
	to, err := r.known("to_account", args["to_account"])
	if err != nil {
		return finding.Subject{}, nil, err
	}
	wait := time.Minute
	if s := strings.TrimSpace(args["wait_seconds"]); s != "" {
		n, err := strconv.Atoi(s)
		if wait = time.Duration(n) * time.Second; err != nil || n < 1 || wait > longestWait {
			return finding.Subject{}, nil, &runs.BadArg{Name: "wait_seconds", What: finding.S("wants a number from 1 to {{.Most}}", finding.Args{"Most": int(longestWait.Seconds())})}
		}
	}
	return finding.Subject{Kind: finding.KindAddress, Name: to.Address}, func(ctx context.Context, env *check.Env) (*finding.Report, error) {
		o := canary.Options{From: from.Address, To: to.Address, Wait: wait}
		var err error
		if o.Fetch, err = r.account(to.Name, false); err != nil {
			return nil, err
		}
		o.Fetch.Protocols = []string{cmp.Or(args["protocol"], "imap")}
		if args["by_mx"] != "true" {
			s, err := r.account(from.Name, true)
			if err != nil {
				return nil, err
			}
			o.Submit = &s
		}
		return canary.Survey(ctx, env, o)
	}, nil
}

// pageNewest is how many messages of an account a filter is run over.
const pageNewest = 50

func runSieve(r *runner, args map[string]string) (finding.Subject, survey, error) {
	script, message, name := args["script"], args["message"], args["account"]
	switch {
	case strings.TrimSpace(script) == "" && name == "":
		return finding.Subject{}, nil, &runs.BadArg{Name: "script", What: finding.S("{{.Name}} is needed", finding.Args{"Name": "script"})}
	case message != "" && name != "":
		return finding.Subject{}, nil, &runs.BadArg{Name: "message", What: finding.S("either a message or an account", nil)}
	case len(script) > sievelang.MaxScript:
		return finding.Subject{}, nil, &runs.BadArg{Name: "script", What: finding.S("{{.Name}} is too long or holds what no text holds", finding.Args{"Name": "script"})}
	}
	if name == "" {
		return finding.Subject{Kind: finding.KindFile, Name: "script"}, func(_ context.Context, env *check.Env) (*finding.Report, error) {
			var raw []byte
			if message != "" {
				raw = []byte(message)
			}
			return sieve.Read("script", []byte(script)).Survey(fmt.Sprintf("%d bytes", len(message)), raw, envelopeOf(args), env.Now()), nil
		}, nil
	}
	a, err := r.known("account", name)
	return finding.Subject{Kind: finding.KindAddress, Name: a.Address}, func(ctx context.Context, env *check.Env) (*finding.Report, error) {
		o, err := r.account(name, false)
		if err != nil {
			return nil, err
		}
		o.Newest = pageNewest
		var text []byte
		if strings.TrimSpace(script) != "" {
			text = []byte(script)
		}
		return receive.FilterOf(ctx, env, o, "script", text)
	}, err
}

// envelopeOf is the envelope as far as it was typed.
func envelopeOf(args map[string]string) (e sieve.Envelope) {
	if s := strings.TrimSpace(args["from"]); s != "" {
		e.From = &s
	}
	if s := strings.TrimSpace(args["to"]); s != "" {
		e.To = &s
	}
	return e
}

func runLocal(r *runner, _ map[string]string) (finding.Subject, survey, error) {
	return finding.Host(hostname()), func(ctx context.Context, env *check.Env) (*finding.Report, error) {
		return thisMachine(ctx, env, r.ntp, cmp.Or(env.Probe.Timeout, 10*time.Second))
	}, nil
}

// allRunKinds lists every kind there is.
func allRunKinds() []runKind { return slices.Concat(runKinds, mailboxKinds) }
