package dmarc

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/dmarc"
)

// maxTargets bounds how many report domains are looked at.
const maxTargets = 20

// Facts are what the DNS says about a domain's DMARC; JSON: docs/json.md.
type Facts struct {
	Domain  string            `json:"domain"`
	Old     *dmarc.Discovery  `json:"rfc7489,omitempty"` // how a receiver of RFC 7489 finds the policy
	New     *dmarc.Discovery  `json:"rfc9989,omitempty"` // how a receiver of RFC 9989 does
	Wrong   map[string]string `json:"wrong_place,omitempty"`
	Targets []Target          `json:"report_targets,omitempty"`
	Err     error             `json:"-"` // the record could not be asked for
}

// Target is a domain that report addresses point to.
type Target struct {
	Domain    string               `json:"domain"`
	Tag       string               `json:"tag"` // "rua", "ruf"
	Auth      *dmarc.Authorisation `json:"authorisation,omitempty"`
	Reachable bool                 `json:"reachable"` // has an MX or address records
	Null      bool                 `json:"null_mx"`   // RFC 7505
	Err       error                `json:"-"`
	mxErr     error
}

// Look gathers the facts about a domain.
func Look(ctx context.Context, r mail.Resolver, domain string) *Facts {
	f := &Facts{Domain: strings.ToLower(strings.TrimSuffix(domain, "."))}
	warm(ctx, r, f.Domain)
	var oldErr, newErr error
	var wg sync.WaitGroup
	wg.Go(func() { f.Old, oldErr = dmarc.Discover(ctx, r, f.Domain, dmarc.RFC7489) })
	wg.Go(func() { f.New, newErr = dmarc.Discover(ctx, r, f.Domain, dmarc.RFC9989) })
	wg.Go(func() { f.Wrong = wrongPlaces(ctx, r, f.Domain) })
	wg.Wait()
	if f.Err = errors.Join(oldErr); f.Err == nil && newErr != nil {
		f.Err = newErr
	}
	if rec := f.Record(); rec != nil {
		f.Targets = lookTargets(ctx, r, rec)
	}
	return f
}

// warm asks everything a tree walk may need at once, so that the walk itself, one question after the other, finds the
// answers in the run's memory. Errors show when the answer is wanted.
func warm(ctx context.Context, r mail.Resolver, domain string) {
	var wg sync.WaitGroup
	for _, d := range dmarc.Walk(domain) {
		wg.Go(func() { r.Resolve(ctx, "_dmarc."+d, mail.TypeTXT) })
	}
	wg.Go(func() { r.Resolve(ctx, domain, mail.TypeA) })
	wg.Wait()
}

// Record is the record that applies to the domain by either reading, the older first.
func (f *Facts) Record() *dmarc.Record {
	for _, d := range []*dmarc.Discovery{f.Old, f.New} {
		if d != nil && d.Record != nil {
			return d.Record
		}
	}
	return nil
}

// wrongPlaces looks where records are put by mistake: at the domain itself, and under a doubled name.
func wrongPlaces(ctx context.Context, r mail.Resolver, domain string) map[string]string {
	found := map[string]string{}
	for _, name := range []string{domain, "_dmarc." + domain + "." + domain} {
		if len(name) > 253 {
			continue
		}
		a, err := r.Resolve(ctx, name, mail.TypeTXT)
		if err != nil {
			continue // the places are a courtesy: no answer is no finding
		}
		for _, t := range a.Texts() {
			if dmarc.LooksLikeRecord(t) {
				found[name] = t
			}
		}
	}
	return found
}

func lookTargets(ctx context.Context, r mail.Resolver, rec *dmarc.Record) []Target {
	var out []Target
	seen := map[string]bool{}
	for _, l := range []struct {
		tag  string
		uris []dmarc.URI
	}{{"rua", rec.RUA}, {"ruf", rec.RUF}} {
		for _, u := range l.uris {
			if u.Usable && !seen[u.Domain] && len(out) < maxTargets {
				seen[u.Domain] = true
				out = append(out, Target{Domain: u.Domain, Tag: l.tag})
			}
		}
	}
	var wg sync.WaitGroup
	for i := range out {
		t := &out[i]
		wg.Go(func() { warm(ctx, r, t.Domain); t.authorise(ctx, r, rec.Domain) })
		wg.Go(func() { r.Resolve(ctx, dmarc.ReportName(rec.Domain, t.Domain), mail.TypeTXT) })
		wg.Go(func() { t.Reachable, t.Null, t.mxErr = takesMail(ctx, r, t.Domain) })
	}
	wg.Wait()
	for i := range out {
		if out[i].Err == nil {
			out[i].Err = out[i].mxErr
		}
	}
	return out
}

func (t *Target) authorise(ctx context.Context, r mail.Resolver, domain string) {
	// RFC 9989 receivers ask the same name; only what counts as "another organization" may differ, and the stricter
	// answer of the two is the one to fulfil.
	for _, g := range dmarc.Readings {
		a, err := dmarc.Authorise(ctx, r, domain, t.Domain, g)
		if err != nil {
			t.Err = err
			return
		}
		if t.Auth == nil || a.External && !t.Auth.External {
			t.Auth = a
		}
	}
}

// takesMail tells whether a domain can be mailed to: an MX that is not null, or an address (RFC 5321 section 5.1).
func takesMail(ctx context.Context, r mail.Resolver, domain string) (ok, null bool, err error) {
	a, err := r.Resolve(ctx, domain, mail.TypeMX)
	if err != nil {
		return false, false, err
	}
	for _, m := range a.Records {
		if m.Host != "" {
			return true, false, nil
		}
		null = true
	}
	if null {
		return false, true, nil
	}
	for _, t := range []mail.Type{mail.TypeA, mail.TypeAAAA} {
		a, err := r.Resolve(ctx, domain, t)
		if err != nil {
			return false, false, err
		}
		if len(a.Records) > 0 {
			return true, false, nil
		}
	}
	return false, false, nil
}

// Check is the DMARC topic.
var Check = check.Check[string]{Name: "dmarc", Rules: Rules, Run: func(ctx context.Context, env *check.Env, domain string) ([]finding.Finding, error) {
	return Judge(Look(ctx, env.DNS, domain)), nil
}}

// Survey is the report of `mailwhy dmarc DOMAIN`.
func Survey(ctx context.Context, env *check.Env, domain string) *finding.Report {
	start := env.Now()
	f := Look(ctx, env.DNS, domain)
	return check.NewReport(env, "dmarc", finding.Domain(f.Domain), start, Judge(f), Sections(f), f)
}
