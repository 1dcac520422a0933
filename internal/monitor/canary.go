package monitor

import (
	"context"
	"fmt"
	"time"

	"github.com/mailwhy/mailwhy/internal/check/canary"
	"github.com/mailwhy/mailwhy/internal/check/server"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// canaryWait is how long a monitor waits for its message where nothing else is said.
const canaryWait = time.Minute

func canaryKind() Kind {
	type args struct {
		From     string `json:"from"`
		To       string `json:"to"`
		Submit   string `json:"submit"`
		Sender   string `json:"from_password_file"`
		Mailbox  string `json:"password_file"`
		Server   string `json:"server"`
		Protocol string `json:"protocol"`
		Seconds  int    `json:"wait_seconds"`
	}
	protocols := []string{"imap", "pop3"}
	return define(Kind{
		Name: "canary", Title: finding.M("Canary"), About: finding.M("sends a marked message for real, waits for it, and deletes this one message again"), Every: 30 * time.Minute, FailAfter: 2,
		Fields: []Field{
			{Name: "from", Label: finding.M("Sender"), Type: "text", Required: true, Example: "canary@mine.example"},
			{Name: "to", Label: finding.M("Recipient"), Type: "text", Required: true, Example: "probe@mine.example"},
			{Name: "submit", Label: finding.M("Submission server; empty: straight to the MX"), Type: "text", Example: "mail.mine.example"},
			{Name: "from_password_file", Label: finding.M("File with the sender's password"), Type: "text", Example: "/etc/mailwhy/canary.secret"},
			{Name: "password_file", Label: finding.M("File with the recipient's password"), Type: "text", Required: true, Example: "/etc/mailwhy/probe.secret"},
			{Name: "server", Label: finding.M("Server of the recipient's mailbox"), Type: "text", Example: "mail.mine.example"},
			{Name: "protocol", Label: finding.M("Protocol"), Type: "choice", Choices: protocols},
			{Name: "wait_seconds", Label: finding.M("Longest wait, in seconds"), Type: "number", Example: "60"},
		},
		Measures: countMeasures(Measure{"delivery", "s", finding.M("time from handing the message over to finding it")}),
	}, func(c *args) string { return c.To },
		func(c *args, bad func(string, finding.Sentence)) {
			bad("from", mailAddress(c.From))
			bad("to", mailAddress(c.To))
			if c.Protocol != "" && c.Protocol != "imap" && c.Protocol != "pop3" {
				bad("protocol", finding.S("unknown protocol {{.Word}}: one of {{list .All}}", finding.Args{"Word": cut(c.Protocol), "All": protocols}))
			}
			if c.Seconds < 0 || c.Seconds > 3600 {
				bad("wait_seconds", finding.S("a wait from 1 to 3600 seconds is wanted", nil))
			}
			if c.Submit != "" && c.Sender == "" {
				bad("from_password_file", finding.S("submission wants the sender's password", nil))
			}
		},
		func(ctx context.Context, d *Doors, c *args) (*Result, error) {
			if d.Secret == nil {
				return nil, fmt.Errorf("no way to read %s", c.Mailbox)
			}
			o := canary.Options{From: c.From, To: c.To, Wait: canaryWait}
			if c.Seconds > 0 {
				o.Wait = time.Duration(c.Seconds) * time.Second
			}
			o.Fetch = server.LoginOptions{Address: c.To, Server: c.Server, Protocols: []string{"imap"}}
			if c.Protocol != "" {
				o.Fetch.Protocols[0] = c.Protocol
			}
			var err error
			if o.Fetch.Secret, err = d.Secret(c.Mailbox); err != nil {
				return nil, err
			}
			if c.Submit != "" {
				o.Submit = &server.LoginOptions{Address: c.From, Server: c.Submit}
				if o.Submit.Secret, err = d.Secret(c.Sender); err != nil {
					return nil, err
				}
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
