// Package check is where facts become opinions: good or bad, why, whose job, and how to fix it. It holds the one door
// to the world (Env), the check as a value (Check), and the runner. Topic packs (spf, dkim, dmarc, tls, …) and survey
// packs (domain, delivery, host, message, …) live below it, a folder each.
//
// Promise: a check observes through Env and then judges with a pure function, so that recorded facts can be judged
// again. It never prints. "Could not test" is an outcome of its own: a fault of our resolver, a rate limit, a greylist
// is never taken for a fault of the subject.
package check

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
)

// Env is the only door to the world. One Env serves a whole run; its instruments share one bounded memory, so that two
// checks that ask the same question cost one look-up. The zero value of an optional field means "not to be had": a
// check that needs it returns "could not test".
type Env struct {
	DNS   *dns.Client     // also a mail.Resolver
	Dial  wire.Dialer     // TCP
	Allow wire.Allowance  // where what does not go through Dial may go: traces; nil: anywhere
	SMTP  *smtp.Prober    // SMTP sessions, each once per run; see Session
	Gate  *wire.Gate      // bounds connections per host; nil: no bound
	Roots *x509.CertPool  // whom TLS believes; nil: the system's roots
	Now   wire.Clock      //
	Know  *knowledge.Base // the dated tables, with the admin's overrides
	Tape  wire.Tape       // nil, or where observations are recorded or replayed
	Probe Probe           // how far probes may go
}

// Probe says how far an active check may go. It is set from flags.
type Probe struct {
	NoIPv6   bool          // do not use IPv6
	Offline  bool          // no network at all
	HELO     string        // our name in EHLO; "" means the machine's name
	From     string        // envelope sender of probes; "" means the null sender
	Timeout  time.Duration // per network operation
	Source   string        // source IP to bind, or ""
	PublicIP string        // our address as the world sees it, where the admin said so
	SkipSMTP bool          // DNS checks only
	Many     bool          // many domains in one run: leave out what costs every name server a connection of its own
}

// Check is one thing that can be looked at, as a value. Rules lists every rule Run may return. Run returns an error
// only when it could not look; whatever it found before is kept.
type Check[T any] struct {
	Name  string
	Rules []*finding.Rule
	Run   func(ctx context.Context, env *Env, target T) ([]finding.Finding, error)
}

// Run runs the checks at once and returns their findings in the order of the checks, not sorted. A check that panics
// or returns an error makes each of its rules that it did not speak of "could not test". progress, when not nil, is
// called as each check ends.
func Run[T any](ctx context.Context, env *Env, target T, subject finding.Subject, checks []Check[T], progress func(name string)) []finding.Finding {
	results := make([][]finding.Finding, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() {
			results[i] = runOne(ctx, env, target, subject, c)
			if progress != nil {
				progress(c.Name)
			}
		})
	}
	wg.Wait()
	return slices.Concat(results...)
}

func runOne[T any](ctx context.Context, env *Env, target T, subject finding.Subject, c Check[T]) (fs []finding.Finding) {
	var err error
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("mailwhy has a bug in check %s: %v", c.Name, p)
		}
		if err != nil {
			fs = append(fs, unspoken(c, subject, fs, err)...)
		}
	}()
	fs, err = c.Run(ctx, env, target)
	return fs
}

// unspoken says "could not test" for the rules of a check that broke before it came to them. One finding stands for
// all: the first rule not spoken of.
func unspoken[T any](c Check[T], subject finding.Subject, have []finding.Finding, err error) []finding.Finding {
	said := map[*finding.Rule]bool{}
	for i := range have {
		said[have[i].Rule] = true
	}
	for _, r := range c.Rules {
		if !said[r] {
			return []finding.Finding{r.Untested(subject, Why(err))}
		}
	}
	return nil
}

// WhyNoDNS says why names could not be looked up, from the words of the resolver.
func WhyNoDNS(text string) finding.Sentence {
	if strings.Contains(text, wire.OfflineText) {
		return finding.S("the network was not asked (--offline)", nil)
	}
	return finding.S("the DNS could not be asked: {{.Text}}", finding.Args{"Text": text})
}

// Why says why something could not be tested, from the error of an instrument.
func Why(err error) finding.Sentence {
	f := wire.Classify("", err)
	args := finding.Args{"Op": f.Op, "Text": f.Text}
	switch {
	case errors.Is(err, context.DeadlineExceeded), f.Kind == wire.Timeout:
		return finding.S("no answer in time: {{.Text}}", args)
	case f.Kind == wire.Canceled:
		return finding.S("stopped before it was done", args)
	case f.Kind == wire.Offline:
		return finding.S("the network was not asked (--offline)", nil)
	case f.Kind == wire.NotAllowed:
		return finding.S("this server does not probe there for its users: {{.Text}}", args)
	case f.Kind == wire.OffTape:
		return finding.S("the recording does not hold this observation: {{.Text}}", args)
	case f.Kind == wire.NoRoute:
		return finding.S("this machine has no route there: {{.Text}}", args)
	}
	return finding.S("could not look: {{.Text}}", args)
}
