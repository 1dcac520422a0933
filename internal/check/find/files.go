package find

import (
	"context"
	"net/netip"
	"net/url"
	"slices"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/autoconf"
	"github.com/mailwhy/mailwhy/internal/wire/http"
)

// autoconfig asks both places where a domain may keep its file.
func (l *looker) autoconfig(ctx context.Context) {
	d := l.f.Domain
	for _, u := range []string{"https://autoconfig." + d + "/mail/config-v1.1.xml", "https://" + d + "/.well-known/autoconfig/mail/config-v1.1.xml"} {
		a, r := l.fetch(ctx, Autoconfig, u, nil)
		if r == nil {
			l.note(a)
			continue
		}
		c, err := autoconf.ReadAutoconfig(r.Body)
		if err != nil {
			a.Result, a.Text = "broken", err.Error()
			l.note(a)
			continue
		}
		a.Result = "found"
		l.note(a, c.Servers...)
		return
	}
}

// autodiscover asks the two usual URLs and the SRV record, and goes where answers point, never to an unsafe place.
func (l *looker) autodiscover(ctx context.Context) {
	d := l.f.Domain
	urls := []string{"https://autodiscover." + d + "/autodiscover/autodiscover.xml", "https://" + d + "/autodiscover/autodiscover.xml"}
	if ans, err := l.env.DNS.Resolve(ctx, "_autodiscover._tcp."+d, mail.TypeSRV); err == nil {
		for _, r := range ans.Records {
			if r.Host != "" && r.Port == 443 {
				urls = append(urls, "https://"+r.Host+"/autodiscover/autodiscover.xml")
				break
			}
		}
	}
	address := l.f.Address
	if address == "" {
		address = "postmaster@" + d
	}
	for _, u := range urls {
		if l.follow(ctx, u, autoconf.Request(address)) {
			return
		}
	}
}

// follow asks a URL and goes where its answers point; it tells whether servers were found.
func (l *looker) follow(ctx context.Context, u string, body []byte) bool {
	var seen []string
	for range maxRedirects + 1 {
		if slices.Contains(seen, u) {
			l.note(Asked{Source: Autodiscover, Where: u, Result: "unsafe", Text: "redirect loop"})
			return false
		}
		if len(seen) > 0 {
			if why := l.unsafe(ctx, u); why != "" {
				l.note(Asked{Source: Autodiscover, Where: u, Result: "unsafe", Text: why})
				return false
			}
		}
		seen = append(seen, u)
		a, r := l.fetch(ctx, Autodiscover, u, body)
		if r == nil {
			l.note(a)
			return false
		}
		next := ""
		if r.Status >= 300 && r.Status < 400 {
			next = r.Location
		} else {
			c, err := autoconf.ReadAutodiscover(r.Body)
			switch {
			case err != nil:
				a.Result, a.Text = "broken", err.Error()
			case len(c.Servers) > 0:
				a.Result = "found"
				l.note(a, c.Servers...)
				return true
			case c.Redirect != "":
				next = c.Redirect
			default:
				a.Result, a.Text = "refused", c.Refusal
			}
		}
		base, err := url.Parse(u)
		to, err2 := url.Parse(next)
		if next == "" || err != nil || err2 != nil {
			l.note(a)
			return false
		}
		u = base.ResolveReference(to).String()
	}
	l.note(Asked{Source: Autodiscover, Where: u, Result: "unsafe", Text: "too many redirects"})
	return false
}

// unsafe says why a place somebody else named is not asked: no https, or an address inside this network.
func (l *looker) unsafe(ctx context.Context, raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return "not https"
	}
	var addrs []netip.Addr
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		addrs = append(addrs, ip)
	}
	for _, t := range []mail.Type{mail.TypeA, mail.TypeAAAA} {
		if ans, err := l.env.DNS.Resolve(ctx, u.Hostname(), t); err == nil && len(addrs) < 20 {
			for _, r := range ans.Records {
				addrs = append(addrs, r.IP)
			}
		}
	}
	for _, a := range addrs {
		switch s := mail.Special(a); s {
		case "loopback", "private", "shared", "link-local", "unspecified", "multicast":
			return s + " address " + a.String()
		}
	}
	return ""
}

// fetch gets a file over verified TLS. Where there is none the response is nil and the note says why.
func (l *looker) fetch(ctx context.Context, s Source, u string, body []byte) (Asked, *http.Response) {
	a := Asked{Source: s, Where: u, Result: "none"}
	req := http.Request{URL: u, MaxBytes: autoconf.MaxBytes, Body: body}
	if body != nil {
		req.Method, req.Header = "POST", map[string]string{"Content-Type": "text/xml"}
	}
	r, err := l.env.HTTP().Get(ctx, req)
	switch {
	case err != nil:
		a.Result, a.Text = "failed", err.Error()
	case r.NoAddress:
	case r.Fault != nil:
		a.Text = r.Fault.Error()
	case r.TLS == nil || !r.TLS.Trusted():
		a.Result, a.Text = "unsafe", "certificate"
		if r.TLS != nil && r.TLS.TrustText != "" {
			a.Text += ": " + r.TLS.TrustText
		}
	case r.Status >= 300 && r.Status < 400 && s == Autodiscover, r.OK() && !r.Truncated:
		return a, r
	default:
		a.Text = http.StatusText(r.Status)
	}
	return a, nil
}
