package monitor

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check/canary"
	"github.com/mailwhy/mailwhy/internal/check/receive"
	"github.com/mailwhy/mailwhy/internal/check/server"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// The kinds that look into a mailbox. Each takes the name of an account of the configuration; those that are older than
// accounts take an address and the file of its password as well.

func accountField(name string, label finding.Msg, page bool) Field {
	return Field{Name: name, Label: label, Type: AccountField, Page: page, Example: "probe"}
}

func loginKind() Kind {
	type args struct {
		Account      string   `json:"account"`
		Address      string   `json:"address"`
		PasswordFile string   `json:"password_file"`
		Server       string   `json:"server"`
		Port         uint16   `json:"port"`
		User         string   `json:"user"`
		Protocols    []string `json:"protocols"`
		Method       string   `json:"method"`
	}
	all := []string{"imap", "pop3", "smtp", "managesieve"}
	return define(Kind{
		Name: "login", Title: finding.M("Login"), About: finding.M("a login by IMAP, POP3, SMTP submission or ManageSieve; nothing is marked or deleted"), Every: 10 * time.Minute, FailAfter: 3,
		Fields: []Field{
			accountField("account", finding.M("Account"), true),
			{Name: "address", Label: finding.M("Mail address"), Type: "text", Example: "probe@mine.example", File: true},
			{Name: "password_file", Label: finding.M("File with the password"), Type: "text", Example: "/etc/mailwhy/probe.secret", File: true},
			{Name: "server", Label: finding.M("Server"), Type: "text", Example: "mail.mine.example", File: true},
			{Name: "port", Label: finding.M("Port"), Type: "number", File: true},
			{Name: "user", Label: finding.M("User name"), Type: "text", File: true},
			{Name: "protocols", Label: finding.M("Protocols"), Type: "list", Choices: all},
			{Name: "method", Label: finding.M("Login method"), Type: "text", File: true},
		},
		Measures: countMeasures(Measure{Response, "s", finding.M("time of the slowest session")}),
	}, func(c *args) string { return cmp.Or(c.Address, c.Account) },
		func(c *args, bad func(string, finding.Sentence)) {
			switch {
			case c.Account != "":
				instead(c.Account, bad, map[string]bool{"address": c.Address != "", "password_file": c.PasswordFile != "", "server": c.Server != "", "port": c.Port != 0, "user": c.User != "", "method": c.Method != ""})
			case c.Address == "" || c.PasswordFile == "":
				bad("account", accountWanted("address", "password_file"))
			default:
				bad("address", mailAddress(c.Address))
			}
			for _, p := range c.Protocols {
				if !slices.Contains(all, p) {
					bad("protocols", finding.S("unknown protocol {{.Word}}: one of {{list .All}}", finding.Args{"Word": cut(p), "All": all}))
				}
			}
			if c.Method != "" && !wire.Spoken(strings.ToUpper(c.Method)) {
				bad("method", finding.S("unknown login method {{.Word}}", finding.Args{"Word": cut(c.Method)}))
			}
		},
		func(ctx context.Context, d *Doors, c *args) (*Result, error) {
			o := server.LoginOptions{Address: c.Address, User: c.User, Server: c.Server, Port: c.Port, Mechanism: strings.ToUpper(c.Method)}
			var err error
			if c.Account != "" {
				o, err = d.login(c.Account, false)
			} else {
				o.Secret, err = d.secretOf(c.PasswordFile)
			}
			if err != nil {
				return nil, err
			}
			if o.Protocols = c.Protocols; len(o.Protocols) == 0 {
				o.Protocols = []string{"imap"}
			}
			r, err := server.Login(ctx, d.Env, o)
			if err != nil {
				return nil, err
			}
			values := counts(r)
			if f, ok := r.Facts.(*server.LoginSurvey); ok {
				for i := range f.Ports {
					switch p := &f.Ports[i]; {
					case p.Session != nil:
						values[Response] = max(values[Response], p.Session.Took.Seconds())
					case p.Visit != nil:
						values[Response] = max(values[Response], p.Visit.Took.Seconds())
					}
				}
			}
			return &Result{Report: r, Values: values}, nil
		})
}

// accountWanted says that an account is wanted, or what the configuration file may give in its place.
func accountWanted(instead ...string) finding.Sentence {
	return finding.S("an account is wanted, or in the configuration file {{list .Instead}}", finding.Args{"Instead": instead})
}

func receiveKind() Kind {
	type args struct {
		To      string `json:"to"`
		From    string `json:"from"`
		Account string `json:"account"`
	}
	return define(Kind{
		Name: "receive", Title: finding.M("Receive at an address of ours"), About: finding.M("the way of mail from outside to a mailbox of ours: MX, TLS, the recipient; with an account the login, the quota and the filter too"), Every: 10 * time.Minute, FailAfter: 3,
		Fields: []Field{
			{Name: "to", Label: finding.M("Recipient"), Type: "text", Example: "li@mine.example"},
			accountField("account", finding.M("Account"), false),
			{Name: "from", Label: finding.M("Sender"), Type: "text", Example: "wang@partner.example"},
		},
		Measures: countMeasures(),
	}, func(c *args) string { return cmp.Or(c.To, c.Account) },
		func(c *args, bad func(string, finding.Sentence)) {
			switch {
			case (c.To == "") == (c.Account == ""):
				bad("to", finding.S("either a recipient or an account is wanted", nil))
			case c.To != "":
				bad("to", mailAddress(c.To))
			}
			if c.From != "" {
				bad("from", mailAddress(c.From))
			}
		},
		func(ctx context.Context, d *Doors, c *args) (*Result, error) {
			o := receive.Options{To: c.To, From: c.From}
			if c.Account != "" {
				l, err := d.login(c.Account, false)
				if err != nil {
					return nil, err
				}
				o.To, o.Login = l.Address, &l
			}
			return counted(receive.Survey(ctx, d.Env, o))
		})
}

// newestOf is how many messages of a mailbox a filter is run over where nothing else is said; mostNewest is the most.
const newestOf, mostNewest = 50, 100

func sieveKind() Kind {
	type args struct {
		Account string `json:"account"`
		Newest  int    `json:"newest"`
	}
	return define(Kind{
		Name: "sieve", Title: finding.M("Sieve filter of a mailbox"), About: finding.M("the active filter of an account: its faults, and which of the newest messages it would throw away, refuse or file"), Every: hour, FailAfter: 2,
		Fields: []Field{
			{Name: "account", Label: finding.M("Account"), Type: AccountField, Required: true, Example: "probe"},
			{Name: "newest", Label: finding.M("Newest messages to run it over"), Type: "number", Example: "50"},
		},
		Measures: countMeasures(),
	}, func(c *args) string { return c.Account },
		func(c *args, bad func(string, finding.Sentence)) {
			if c.Newest < 0 || c.Newest > mostNewest {
				bad("newest", finding.S("wants a number from 1 to {{.Most}}", finding.Args{"Most": mostNewest}))
			}
		},
		func(ctx context.Context, d *Doors, c *args) (*Result, error) {
			o, err := d.login(c.Account, false)
			if err != nil {
				return nil, err
			}
			o.Newest = cmp.Or(c.Newest, newestOf)
			return counted(receive.FilterOf(ctx, d.Env, o, "", nil))
		})
}

// canaryWait is how long a monitor waits for its message where nothing else is said.
const canaryWait = time.Minute

type canaryArgs struct {
	Sends    string `json:"from_account"`
	Takes    string `json:"to_account"`
	ByMX     bool   `json:"by_mx"`
	From     string `json:"from"`
	To       string `json:"to"`
	Submit   string `json:"submit"`
	Sender   string `json:"from_password_file"`
	Mailbox  string `json:"password_file"`
	Server   string `json:"server"`
	Protocol string `json:"protocol"`
	Seconds  int    `json:"wait_seconds"`
}

func canaryKind() Kind {
	protocols := []string{"imap", "pop3"}
	return define(Kind{
		Name: "canary", Title: finding.M("Canary"), About: finding.M("sends a marked message for real, waits for it, and deletes this one message again"), Every: 30 * time.Minute, FailAfter: 2,
		Fields: []Field{
			accountField("from_account", finding.M("Account that sends"), true),
			accountField("to_account", finding.M("Account that receives"), true),
			{Name: "by_mx", Label: finding.M("Hand it to the recipient's MX, without a login"), Type: "bool"},
			{Name: "from", Label: finding.M("Sender"), Type: "text", Example: "canary@mine.example", File: true},
			{Name: "to", Label: finding.M("Recipient"), Type: "text", Example: "probe@mine.example", File: true},
			{Name: "submit", Label: finding.M("Submission server; empty: straight to the MX"), Type: "text", Example: "mail.mine.example", File: true},
			{Name: "from_password_file", Label: finding.M("File with the sender's password"), Type: "text", Example: "/etc/mailwhy/canary.secret", File: true},
			{Name: "password_file", Label: finding.M("File with the recipient's password"), Type: "text", Example: "/etc/mailwhy/probe.secret", File: true},
			{Name: "server", Label: finding.M("Server of the recipient's mailbox"), Type: "text", Example: "mail.mine.example", File: true},
			{Name: "protocol", Label: finding.M("Protocol"), Type: "choice", Choices: protocols},
			{Name: "wait_seconds", Label: finding.M("Longest wait, in seconds"), Type: "number", Example: "60"},
		},
		Measures: countMeasures(Measure{"delivery", "s", finding.M("time from handing the message over to finding it")}),
	}, func(c *canaryArgs) string { return cmp.Or(c.To, c.Takes) },
		func(c *canaryArgs, bad func(string, finding.Sentence)) {
			c.check(bad)
			if c.Protocol != "" && !slices.Contains(protocols, c.Protocol) {
				bad("protocol", finding.S("unknown protocol {{.Word}}: one of {{list .All}}", finding.Args{"Word": cut(c.Protocol), "All": protocols}))
			}
			if c.Seconds < 0 || c.Seconds > 3600 {
				bad("wait_seconds", finding.S("a wait from 1 to 3600 seconds is wanted", nil))
			}
		},
		func(ctx context.Context, d *Doors, c *canaryArgs) (*Result, error) {
			o, err := c.options(d)
			if err != nil {
				return nil, err
			}
			r, err := canary.Survey(ctx, d.Env, o)
			if err != nil {
				return nil, err
			}
			values := counts(r)
			if f, ok := r.Facts.(*canary.Facts); ok && f.Arrived {
				values["delivery"] = f.Took.Seconds()
			}
			return &Result{Report: r, Values: values}, nil
		})
}

// check looks at both ends: each is an account, or an address with the file of its password.
func (c *canaryArgs) check(bad func(string, finding.Sentence)) {
	instead(c.Takes, bad, map[string]bool{"to": c.To != "", "password_file": c.Mailbox != "", "server": c.Server != ""})
	instead(c.Sends, bad, map[string]bool{"from": c.From != "", "submit": c.Submit != "", "from_password_file": c.Sender != ""})
	switch {
	case c.Takes != "":
	case c.To == "" || c.Mailbox == "":
		bad("to_account", accountWanted("to", "password_file"))
	default:
		bad("to", mailAddress(c.To))
	}
	switch {
	case c.Sends != "":
	case c.From == "":
		bad("from_account", accountWanted("from"))
	default:
		bad("from", mailAddress(c.From))
	}
	if c.Submit != "" && c.Sender == "" {
		bad("from_password_file", finding.S("submission wants the sender's password", nil))
	}
	if c.Submit != "" && c.ByMX {
		bad("by_mx", finding.S("either submission or the MX", nil))
	}
}

func (c *canaryArgs) options(d *Doors) (o canary.Options, err error) {
	o = canary.Options{From: c.From, To: c.To, Wait: canaryWait, Fetch: server.LoginOptions{Address: c.To, Server: c.Server}}
	if c.Seconds > 0 {
		o.Wait = time.Duration(c.Seconds) * time.Second
	}
	if c.Takes != "" {
		if o.Fetch, err = d.login(c.Takes, false); err != nil {
			return o, err
		}
		o.To = o.Fetch.Address
	} else if o.Fetch.Secret, err = d.secretOf(c.Mailbox); err != nil {
		return o, err
	}
	o.Fetch.Protocols = []string{cmp.Or(c.Protocol, "imap")}
	switch {
	case c.Sends != "":
		s, err := d.login(c.Sends, true)
		if err != nil {
			return o, err
		}
		if o.From = s.Address; !c.ByMX {
			o.Submit = &s
		}
	case c.Submit != "":
		o.Submit = &server.LoginOptions{Address: c.From, Server: c.Submit}
		o.Submit.Secret, err = d.secretOf(c.Sender)
	}
	return o, err
}
