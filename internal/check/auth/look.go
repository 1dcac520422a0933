package auth

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/arc"
	"github.com/mailwhy/mailwhy/internal/mail/dkim"
	"github.com/mailwhy/mailwhy/internal/mail/dmarc"
	"github.com/mailwhy/mailwhy/internal/mail/header"
	"github.com/mailwhy/mailwhy/internal/mail/spf"
)

// Input is a message and what its receiver knew.
type Input struct {
	Header   *header.Block
	Body     []byte
	IP       netip.Addr // of the client at the border; zero: not known, then SPF cannot be told
	HELO     string
	MailFrom string // "" for the null sender
	Receiver string
	Now      time.Time
}

// Facts are what came out; JSON: docs/json.md.
type Facts struct {
	IP       netip.Addr                      `json:"ip,omitzero"`
	HELO     string                          `json:"helo,omitempty"`
	MailFrom string                          `json:"mail_from"`
	From     string                          `json:"from"` // domain of the From address
	SPF      *spf.Result                     `json:"spf,omitempty"`
	DKIM     []*dkim.Verification            `json:"dkim"`
	ARC      *arc.Chain                      `json:"arc,omitempty"`
	DMARC    map[dmarc.Reading]*dmarc.Result `json:"dmarc,omitempty"` // by "rfc7489", "rfc9989"
	Err      error                           `json:"-"`               // of the DNS, about DMARC
}

// Look verifies a message.
func Look(ctx context.Context, r mail.Resolver, in Input) *Facts {
	f := &Facts{IP: in.IP, HELO: in.HELO, MailFrom: in.MailFrom, From: fromDomain(in.Header), DMARC: map[dmarc.Reading]*dmarc.Result{}}
	var wg sync.WaitGroup
	if in.IP.IsValid() {
		wg.Go(func() {
			f.SPF = spf.Check(ctx, r, spf.Input{IP: in.IP, HELO: in.HELO, MailFrom: in.MailFrom, Receiver: in.Receiver, Now: in.Now})
		})
	}
	wg.Go(func() {
		// Readers in memory do not fail.
		if rep, err := dkim.VerifyBody(ctx, r, in.Header, bytes.NewReader(in.Body), dkim.Options{Now: in.Now, Diagnose: true}); err == nil {
			f.DKIM = rep.Signatures
		}
	})
	wg.Go(func() {
		if c, err := arc.ValidateBody(ctx, r, in.Header, bytes.NewReader(in.Body)); err == nil && c.Status != arc.None {
			f.ARC = c
		}
	})
	wg.Wait()
	if f.From != "" {
		f.evaluate(ctx, r)
	}
	return f
}

// evaluate asks for DMARC by both readings.
func (f *Facts) evaluate(ctx context.Context, r mail.Resolver) {
	in := dmarc.Input{From: f.From}
	if f.SPF != nil {
		in.SPF = dmarc.Identity{Domain: f.SPF.Domain, Result: string(f.SPF.Code)}
	}
	for _, v := range f.DKIM {
		in.DKIM = append(in.DKIM, dmarc.Identity{Domain: v.Signature.Domain, Result: string(v.Status), Selector: v.Signature.Selector})
	}
	for _, g := range dmarc.Readings {
		res, err := dmarc.Evaluate(ctx, r, in, g)
		if err != nil {
			f.Err = err
			return
		}
		f.DMARC[g] = res
	}
}

// fromDomain is the domain of the address in the one From field, "" where there is no such.
func fromDomain(b *header.Block) string {
	v := b.Get("From")
	if i := strings.LastIndexByte(v, '<'); i >= 0 {
		v, _, _ = strings.Cut(v[i+1:], ">")
	}
	at := strings.LastIndexByte(v, '@')
	if at < 0 {
		return ""
	}
	d := strings.ToLower(strings.TrimSuffix(strings.TrimSpace(v[at+1:]), "."))
	if i := strings.IndexAny(d, " \t(,;>"); i >= 0 {
		d = d[:i]
	}
	return d
}
