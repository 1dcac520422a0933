// Package registry tells what the registries know (row N3): who holds a network and takes reports of abuse, whether its
// route is covered by RPKI, how old a domain is, when it ends and whether it is on hold.
//
// Promise: RDAP first, WHOIS where there is none; a server that cannot be asked or that limits us is "could not test".
// Redirects and referrals are bounded. RFCs: 9082, 9083, 9224 (RDAP), 3912 (WHOIS), 6811 (route origin validation).
//
// It must not be asked for many objects: the registries refuse those who do.
package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire/http"
	"github.com/mailwhy/mailwhy/internal/wire/rdap"
	"github.com/mailwhy/mailwhy/internal/wire/whois"
)

// Options say whom to ask in place of the table.
type Options struct {
	RDAP  string // base URL
	WHOIS string // host, or host:port
	RPKI  string // base URL of a Routinator, or a URL with {as} and {prefix}
}

// Bounds.
const (
	maxBody      = 512 << 10
	maxRedirects = 4
)

// Facts are what the registries say of one object.
type Facts struct {
	Object    string    `json:"object"`              // an address or a domain
	Source    string    `json:"source,omitempty"`    // "rdap", "whois"
	Server    string    `json:"server,omitempty"`    // URL or host that answered
	Range     string    `json:"range,omitempty"`     // of a network
	Name      string    `json:"name,omitempty"`      // of a network
	Holder    string    `json:"holder,omitempty"`    //
	Country   string    `json:"country,omitempty"`   //
	Abuse     []string  `json:"abuse,omitempty"`     //
	Registrar string    `json:"registrar,omitempty"` // of a domain
	Created   time.Time `json:"created,omitzero"`
	Expires   time.Time `json:"expires,omitzero"`
	Status    []string  `json:"status,omitempty"`
	Unknown   bool      `json:"unknown,omitempty"` // the registry knows no such object
	Fault     string    `json:"fault,omitempty"`   // why nothing is known

	why finding.Sentence
	at  time.Time
}

func (f *Facts) cannot(why finding.Sentence) { f.why, f.Fault = why, why.String() }

// LookIP asks about the network of an address.
func LookIP(ctx context.Context, env *check.Env, a netip.Addr, opt Options) *Facts {
	f := &Facts{Object: a.String(), at: env.Now()}
	return f.look(ctx, env, opt, func(t *knowledge.Registries) (string, string) {
		base := t.ForIP(a)
		if opt.RDAP != "" {
			base = opt.RDAP
		}
		if base == "" {
			return "", ""
		}
		return base, rdap.IPURL(base, a)
	})
}

// LookDomain asks about a registered domain in its ASCII form.
func LookDomain(ctx context.Context, env *check.Env, domain string, opt Options) *Facts {
	f := &Facts{Object: domain, at: env.Now()}
	return f.look(ctx, env, opt, func(t *knowledge.Registries) (string, string) {
		base := t.ForDomain(domain)
		if opt.RDAP != "" {
			base = opt.RDAP
		}
		if base == "" {
			return "", ""
		}
		return base, rdap.DomainURL(base, domain)
	})
}

// look asks by RDAP, and by WHOIS where RDAP is not to be had.
func (f *Facts) look(ctx context.Context, env *check.Env, opt Options, where func(*knowledge.Registries) (base, url string)) *Facts {
	if env.Probe.Offline {
		f.cannot(finding.S("the network may not be asked (--offline)", nil))
		return f
	}
	table, err := env.Know.Registries()
	if err != nil {
		f.cannot(finding.Raw(err.Error()))
		return f
	}
	base, url := where(table)
	if url != "" && (opt.WHOIS == "" || opt.RDAP != "") && f.rdap(ctx, env, url, base) {
		return f
	}
	switch {
	case opt.WHOIS != "":
		f.whois(ctx, env, opt.WHOIS, false)
	case opt.RDAP == "":
		f.whois(ctx, env, table.WHOISRoot, true)
	}
	return f
}

// rdap asks one server and tells whether that settled it.
func (f *Facts) rdap(ctx context.Context, env *check.Env, url, base string) bool {
	res, err := env.HTTP().Get(ctx, http.Request{URL: url, MaxBytes: maxBody, Redirects: maxRedirects, Header: map[string]string{"Accept": "application/rdap+json"}})
	switch {
	case err != nil:
		f.cannot(check.Why(err))
		return false
	case res.Fault != nil:
		f.cannot(finding.S("{{.Server}} could not be asked: {{.Why}}", finding.Args{"Server": base, "Why": check.Fault(res.Fault)}))
		return false
	case res.Status == 404:
		f.Source, f.Server, f.Unknown, f.Fault, f.why = "rdap", res.URL, true, "", finding.Sentence{}
		return true
	case res.Status == 429:
		f.cannot(finding.S("{{.Server}} limits how often we may ask", finding.Args{"Server": base}))
		return false
	case res.Status/100 == 3:
		f.cannot(finding.S("{{.Server}} redirects without end", finding.Args{"Server": base}))
		return false
	case !res.OK():
		f.cannot(finding.S("{{.Server}} answers {{.Status}}", finding.Args{"Server": base, "Status": http.StatusText(res.Status)}))
		return false
	}
	o, err := rdap.Parse(res.Body)
	if err != nil {
		f.cannot(finding.S("{{.Server}} gives no answer that can be read: {{.Text}}", finding.Args{"Server": base, "Text": err.Error()}))
		return false
	}
	f.why, f.Fault = finding.Sentence{}, ""
	f.Source, f.Server = "rdap", res.URL
	f.Name, f.Holder, f.Country, f.Abuse, f.Registrar = o.Name, o.Holder, o.Country, o.Abuse, o.Registrar
	f.Created, f.Expires, f.Status = o.Created, o.Expires, o.Status
	if o.Start != "" {
		f.Range = o.Start + " - " + o.End
	}
	return true
}

// whois follows referrals and joins what the servers say: the last one knows most. What the root of all WHOIS servers
// says itself is about the top-level domain or a registry's whole range, so only its referral counts.
func (f *Facts) whois(ctx context.Context, env *check.Env, start string, root bool) {
	o := whois.Options{Dial: env.Dial, Timeout: env.Probe.Timeout, NoIPv6: env.Probe.NoIPv6, Tape: env.Tape}
	if env.DNS != nil {
		o.Resolver = env.DNS
	}
	answers, err := whois.New(o).Follow(ctx, start, f.Object)
	if err != nil {
		f.cannot(check.Why(err))
		return
	}
	said, unknown := false, ""
	why := finding.S("no WHOIS server is known that could tell of {{.Object}}", finding.Args{"Object": f.Object})
	for i := len(answers) - 1; i >= 0; i-- {
		a := answers[i]
		r := whois.Parse(a.Text)
		switch {
		case a.Fault != nil && a.Text == "":
			why = finding.S("{{.Server}} could not be asked: {{.Why}}", finding.Args{"Server": a.Server, "Why": check.Fault(a.Fault)})
		case r.Limited:
			why = finding.S("{{.Server}} limits how often we may ask", finding.Args{"Server": a.Server})
		case i == 0 && root:
		case r.NotFound && unknown == "":
			unknown = a.Server
		case f.join(&r) && !said:
			f.Source, f.Server, said = "whois", a.Server, true
		}
	}
	switch {
	case said:
		f.why, f.Fault = finding.Sentence{}, ""
	case unknown != "":
		f.why, f.Fault, f.Source, f.Server, f.Unknown = finding.Sentence{}, "", "whois", unknown, true
	case f.Fault == "":
		f.cannot(why)
	}
}

// join adds what an answer tells and was not known yet; false where it tells nothing.
func (f *Facts) join(r *whois.Record) bool {
	had := *f
	for _, p := range []struct {
		to *string
		v  string
	}{{&f.Range, r.Range}, {&f.Name, r.Name}, {&f.Holder, r.Holder}, {&f.Country, r.Country}, {&f.Registrar, r.Registrar}} {
		if *p.to == "" {
			*p.to = p.v
		}
	}
	if len(f.Abuse) == 0 {
		f.Abuse = r.Abuse
	}
	if f.Created.IsZero() {
		f.Created = r.Created
	}
	if f.Expires.IsZero() {
		f.Expires = r.Expires
	}
	if len(f.Status) == 0 {
		f.Status = r.Status
	}
	return f.Range != had.Range || f.Name != had.Name || f.Holder != had.Holder || f.Registrar != had.Registrar || !f.Created.Equal(had.Created)
}

// RPKI is what a validator says of a route.
type RPKI struct {
	AS     uint32       `json:"as"`
	Prefix netip.Prefix `json:"prefix"`
	State  string       `json:"state,omitempty"`  // valid, invalid, not-found
	Reason string       `json:"reason,omitempty"` // of invalid: "as", "length"
	Server string       `json:"server,omitempty"`
	Fault  string       `json:"fault,omitempty"`

	why finding.Sentence
}

func (r *RPKI) cannot(why finding.Sentence) { r.why, r.Fault = why, why.String() }

// LookRPKI asks whether the route of a prefix by an AS is covered.
func LookRPKI(ctx context.Context, env *check.Env, as uint32, prefix netip.Prefix, opt Options) *RPKI {
	r := &RPKI{AS: as, Prefix: prefix}
	if env.Probe.Offline {
		r.cannot(finding.S("the network may not be asked (--offline)", nil))
		return r
	}
	pattern, form := opt.rpki(env.Know)
	if pattern == "" {
		r.cannot(finding.S("no service is known that could tell", nil))
		return r
	}
	url := strings.NewReplacer("{as}", fmt.Sprint(as), "{prefix}", prefix.String()).Replace(pattern)
	r.Server = url
	res, err := env.HTTP().Get(ctx, http.Request{URL: url, MaxBytes: maxBody, Redirects: maxRedirects})
	switch {
	case err != nil:
		r.cannot(check.Why(err))
	case res.Fault != nil:
		r.cannot(finding.S("{{.Server}} could not be asked: {{.Why}}", finding.Args{"Server": url, "Why": check.Fault(res.Fault)}))
	case !res.OK():
		r.cannot(finding.S("{{.Server}} answers {{.Status}}", finding.Args{"Server": url, "Status": http.StatusText(res.Status)}))
	default:
		if err := r.read(form, res.Body); err != nil {
			r.cannot(finding.S("{{.Server}} gives no answer that can be read: {{.Text}}", finding.Args{"Server": url, "Text": err.Error()}))
		}
	}
	return r
}

// rpki gives the pattern of the URL and the form of its answer.
func (o Options) rpki(know *knowledge.Base) (pattern, form string) {
	switch {
	case strings.Contains(o.RPKI, "{prefix}"):
		form = "routinator"
		if strings.Contains(o.RPKI, "rpki-validation") {
			form = "ripestat"
		}
		return o.RPKI, form
	case o.RPKI != "":
		return strings.TrimSuffix(o.RPKI, "/") + "/api/v1/validity/AS{as}/{prefix}", "routinator"
	}
	table, err := know.Registries()
	if err != nil || len(table.RPKI) == 0 {
		return "", ""
	}
	return table.RPKI[0].URL, table.RPKI[0].Form
}

// read reads the answer of a validator: {"validated_route":{"validity":{"state":"invalid","reason":"as"}}} or
// {"data":{"status":"invalid_asn"}}.
func (r *RPKI) read(form string, body []byte) error {
	var a struct {
		Route struct {
			Validity struct{ State, Reason string } `json:"validity"`
		} `json:"validated_route"`
		Data struct{ Status string } `json:"data"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return err
	}
	state, reason := a.Route.Validity.State, a.Route.Validity.Reason
	if form == "ripestat" {
		state, reason, _ = strings.Cut(a.Data.Status, "_")
	}
	switch strings.ToLower(state) {
	case "valid":
		r.State = "valid"
	case "invalid":
		r.State, r.Reason = "invalid", map[string]string{"asn": "as", "as": "as", "length": "length"}[strings.ToLower(reason)]
	case "unknown", "not-found", "notfound":
		r.State = "not-found"
	default:
		return fmt.Errorf("no state of a route: %.60q", state)
	}
	return nil
}
