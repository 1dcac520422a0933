// Package verify is the survey of `mailwhy verify`: it works out from the header where a message came in, and has SPF,
// DKIM, ARC and DMARC verified again from there.
//
// Promise: the address at the border is the last one that can be believed (see check/hops); what the user names goes
// before it. Nothing named inside the message is fetched but DNS records.
package verify

import (
	"context"
	"net/netip"
	"strings"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/auth"
	"github.com/mailwhy/mailwhy/internal/check/eml"
	"github.com/mailwhy/mailwhy/internal/check/hops"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// Options say what the user knows better than the header.
type Options struct {
	Trust []string   // our border: hosts, addresses, prefixes; empty: guessed
	IP    netip.Addr // of the client; zero: from the header
	HELO  string
	From  *string // MAIL FROM; nil: from Return-Path
}

// Survey verifies a message.
func Survey(ctx context.Context, env *check.Env, m *eml.Message, o Options) *finding.Report {
	started := env.Now()
	in := auth.Input{Header: m.Header, Body: m.Body, IP: o.IP, HELO: o.HELO, Receiver: env.Probe.HELO, Now: started}
	path := hops.Read(m.Header.All("Received"), hops.Options{Trust: o.Trust})
	if !in.IP.IsValid() && path.Origin.IsValid() {
		in.IP = path.Origin
		if in.HELO == "" && path.Border > 0 {
			in.HELO = path.Hops[path.Border-1].HELO
		}
	}
	if o.From != nil {
		in.MailFrom = *o.From
	} else {
		in.MailFrom = strings.Trim(m.Header.Get("Return-Path"), "<> ")
	}
	f := auth.Look(ctx, env.DNS, in)
	target := finding.Subject{Kind: finding.KindMessage, Name: m.Name}
	fs := auth.Judge(f, target)
	for i := range fs {
		if fs[i].Verify == nil {
			fs[i].Verify = finding.Cmd("verify", m.Name)
		}
	}
	return check.NewReport(env, "verify", target, started, fs, auth.Sections(f), f)
}
