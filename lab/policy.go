package lab

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/lab/netns"
	"github.com/mailwhy/mailwhy/lab/pki"
)

// policies serves MTA-STS policy files, autoconfig and Autodiscover over HTTPS, each host with its own certificate.
type policies struct {
	server *http.Server
}

type served struct {
	Policy
	Web
	text  string
	files map[string]string // of a host that is none of MTA-STS, by path
	cert  tls.Certificate
}

func startPolicies(s netns.Space, dir string, ca *pki.Authority, cases []*Case, now time.Time) (*policies, error) {
	all := map[string]*served{}
	for _, c := range cases {
		for domain, p := range c.Policy {
			kind := pki.Kind(p.Cert)
			if kind == "" {
				kind = pki.Good
			}
			pair, err := ca.Issue(dir, kind, now, "mta-sts."+domain)
			if err != nil {
				return nil, fmt.Errorf("policy of %s: %w", domain, err)
			}
			cert, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
			if err != nil {
				return nil, err
			}
			all["mta-sts."+domain] = &served{Policy: p, text: strings.ReplaceAll(c.Policies[domain], "\n", "\r\n"), cert: cert}
		}
		if err := addWeb(all, dir, ca, c, now); err != nil {
			return nil, err
		}
	}
	p := &policies{&http.Server{
		ReadHeaderTimeout: 5 * time.Second, ErrorLog: quiet(),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			host, _, _ := strings.Cut(r.Host, ":")
			if d := all[host]; d != nil && d.files != nil {
				d.page(w, r)
				return
			}
			if d := all[host]; d != nil && (r.URL.Path == "/.well-known/mta-sts.txt" || strings.HasPrefix(r.URL.Path, "/hop/")) {
				d.answer(w, r)
				return
			}
			http.NotFound(w, r)
		}),
		TLSConfig: &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if d := all[h.ServerName]; d != nil {
				return &d.cert, nil
			}
			return nil, fmt.Errorf("no certificate for %q", h.ServerName)
		}},
	}}
	for _, addr := range []string{policyV4, policyV6} {
		l, err := s.Listen(net.JoinHostPort(addr, "443"))
		if err != nil {
			return nil, err
		}
		go func() { _ = p.server.ServeTLS(l, "", "") }() // ends with Close
	}
	return p, nil
}

// addWeb adds the hosts of a case that serve files of its folder web/.
func addWeb(all map[string]*served, dir string, ca *pki.Authority, c *Case, now time.Time) error {
	hosts := map[string]map[string]string{}
	for host := range c.WebHost {
		hosts[host] = map[string]string{}
	}
	for file, text := range c.Web {
		host, path, _ := strings.Cut(file, "/")
		if hosts[host] == nil {
			hosts[host] = map[string]string{}
		}
		hosts[host]["/"+path] = text
	}
	for host, files := range hosts {
		web := c.WebHost[host]
		kind := pki.Kind(web.Cert)
		if kind == "" {
			kind = pki.Good
		}
		pair, err := ca.Issue(dir, kind, now, host)
		if err != nil {
			return fmt.Errorf("web host %s: %w", host, err)
		}
		cert, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
		if err != nil {
			return err
		}
		all[host] = &served{Web: web, files: files, cert: cert}
	}
	return nil
}

// page serves a file, or the redirect of the host.
func (d *served) page(w http.ResponseWriter, r *http.Request) {
	if d.Redirect != "" {
		http.Redirect(w, r, d.Redirect, http.StatusFound)
		return
	}
	text, ok := d.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	_, _ = w.Write([]byte(text))
}

func (d *served) answer(w http.ResponseWriter, r *http.Request) {
	switch d.Serve {
	case "redirect":
		http.Redirect(w, r, "/hop/"+fmt.Sprint(len(r.URL.Path)), http.StatusFound)
	case "huge":
		w.Header().Set("Content-Type", "text/plain")
		block := bytes.Repeat([]byte("mx: mx.hosting.example\r\n"), 4096)
		for range 10000 { // a gigabyte: whoever reads it all has no bound
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	case "not-found":
		http.NotFound(w, r)
	case "slow":
		select {
		case <-r.Context().Done():
		case <-time.After(time.Minute):
		}
	case "html":
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(d.text))
	default:
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte(d.text))
	}
}

func (p *policies) stop() { _ = p.server.Close() }
