package find

import (
	"bufio"
	"context"
	"fmt"
	"net"
	nethttp "net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"crypto/tls"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail/autoconf"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

const zone = "$ORIGIN mine.test.\n@ NS ns\nns A 192.0.2.1\n@ MX 10 mail\nmail A 192.0.2.10\nold A 192.0.2.11\nautodiscover A 192.0.2.12\nautoconfig A 192.0.2.12\nlan A 10.0.0.1\n"

// survey runs the survey against a world with one mail host, an expired one, and a web server.
func survey(t *testing.T, lines string, web nethttp.HandlerFunc) (*finding.Report, *Facts) {
	t.Helper()
	w := wiretest.NewWorld()
	t.Cleanup(func() { w.Close() })
	d, err := w.DNS([]string{"192.0.2.1"}, zone+lines)
	if err != nil {
		t.Fatal(err)
	}
	d.Recursive = true
	now := time.Now()
	ca, err := wiretest.NewCA("root", now)
	if err != nil {
		t.Fatal(err)
	}
	for addr, l := range map[string]wiretest.Leaf{
		"192.0.2.10:993": {Names: []string{"mail.mine.test"}}, "192.0.2.10:465": {Names: []string{"mail.mine.test"}},
		"192.0.2.11:993": {Names: []string{"other.test"}}, "192.0.2.12:443": {Names: []string{"autodiscover.mine.test", "autoconfig.mine.test"}},
	} {
		cert, err := ca.Issue(l, now)
		if err != nil {
			t.Fatal(err)
		}
		ln, err := w.Listen(addr)
		if err != nil {
			t.Fatal(err)
		}
		tl := tls.NewListener(ln, wiretest.Config(cert))
		if addr == "192.0.2.12:443" {
			srv := &nethttp.Server{Handler: web, ReadHeaderTimeout: 30 * time.Second}
			go srv.Serve(tl)
			t.Cleanup(func() { srv.Close() })
			continue
		}
		go serve(tl, addr)
	}
	c := dns.New(dns.Options{Servers: []string{"192.0.2.1"}, Dial: w, Timeout: 30 * time.Second})
	t.Cleanup(func() { c.Close() })
	env := &check.Env{DNS: c, Dial: w, Roots: ca.Pool(), Now: time.Now, Know: knowledge.Embedded(), Probe: check.Probe{Timeout: time.Minute, NoIPv6: true}}
	r, err := Survey(context.Background(), env, "mine.test", "li@mine.test")
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Findings {
		if r.Findings[i].Says().In(finding.EN) == "" || r.Findings[i].Says().In(finding.ZH) == "" {
			t.Errorf("%s says nothing", r.Findings[i].Rule.ID)
		}
	}
	return r, r.Facts.(*Facts)
}

// serve greets as a mail server of the port does and offers PLAIN; a port of an IMAP server is 993.
func serve(l net.Listener, addr string) {
	imap := strings.HasSuffix(addr, ":993")
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			greeting := "220 mail.mine.test ESMTP"
			if imap {
				greeting = "* OK ready"
			}
			fmt.Fprintf(c, "%s\r\n", greeting)
			for in := bufio.NewScanner(c); in.Scan(); {
				tag, _, _ := strings.Cut(in.Text(), " ")
				switch {
				case imap:
					fmt.Fprintf(c, "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n%s OK\r\n", tag)
				default:
					fmt.Fprint(c, "250-mail.mine.test\r\n250 AUTH PLAIN\r\n")
				}
			}
		}()
	}
}

func failed(r *finding.Report) []string {
	var ids []string
	for i := range r.Findings {
		if r.Findings[i].Outcome == finding.Fail {
			ids = append(ids, r.Findings[i].Rule.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func none(w nethttp.ResponseWriter, _ *nethttp.Request) { w.WriteHeader(404) }

func TestSRV(t *testing.T) {
	r, f := survey(t, "_imaps._tcp SRV 0 1 993 mail\n_submissions._tcp SRV 0 1 465 mail\n_pop3._tcp SRV 0 0 0 .\n", none)
	if got := failed(r); len(got) > 0 {
		t.Errorf("failed %v", got)
	}
	if c := f.Best("imap"); c == nil || !slices.Equal(c.Auth, []string{"PLAIN"}) {
		t.Errorf("login methods of %+v", c)
	}
	if want := "li@mine.test: read with IMAP mail.mine.test port 993 (SSL/TLS), send with SMTP mail.mine.test port 465 (SSL/TLS)."; r.Headline.Says.In(finding.EN) != want {
		t.Errorf("headline %q", r.Headline.Says.In(finding.EN))
	}
	if !slices.Equal(f.Absent, []string{"pop3"}) || File(f, "mobileconfig") == nil || File(f, "autoconfig") == nil {
		t.Errorf("%+v", f)
	}
}

func TestGuess(t *testing.T) {
	_, f := survey(t, "", none)
	if c := f.Best("imap"); c == nil || c.Host != "mail.mine.test" || c.From[0] != Guess {
		t.Errorf("%+v", f.Candidates)
	}
}

func TestFaults(t *testing.T) {
	file := autoconf.WriteAutoconfig("mine.test", []autoconf.Server{{Type: "imap", Host: "old.mine.test", Port: 993, Security: "tls"}})
	r, _ := survey(t, "_imaps._tcp SRV 0 1 993 mail\n", func(w nethttp.ResponseWriter, q *nethttp.Request) {
		switch {
		case q.Method == "POST":
			nethttp.Redirect(w, q, "https://lan.mine.test/x", nethttp.StatusFound)
		default:
			w.Write(file)
		}
	})
	if got := failed(r); !slices.Equal(got, []string{"find.contradiction", "find.no-server", "find.published-broken", "find.unsafe-source"}) {
		t.Errorf("failed %v", got)
	}
}

// TestRedirects holds that a loop and a redirect to http end at once.
func TestRedirects(t *testing.T) {
	for _, to := range []string{"/autodiscover/autodiscover.xml", "http://autodiscover.mine.test/x", "https://127.0.0.1/x"} {
		r, _ := survey(t, "", func(w nethttp.ResponseWriter, q *nethttp.Request) { nethttp.Redirect(w, q, to, nethttp.StatusFound) })
		if !slices.Contains(failed(r), "find.unsafe-source") {
			t.Errorf("%s: %v", to, failed(r))
		}
	}
}

// What a provider wants instead of the account's password is told beside the settings; one that lets no mail program in is
// the one cause, and no server is missed.
func TestWhatProvidersWant(t *testing.T) {
	table, err := knowledge.Embedded().Providers()
	if err != nil {
		t.Fatal(err)
	}
	for domain, want := range map[string]string{"163.com": "authorization code", "gmail.com": "app password", "outlook.com": "OAuth", "proton.me": "Bridge", "tuta.com": "its web page", "posteo.de": "", "gmx.de": "turned on"} {
		p := table.OfDomain(domain)
		if p == nil {
			t.Errorf("%s is not known", domain)
			continue
		}
		fs := judge(&Facts{Domain: domain, provider: p})
		i := slices.IndexFunc(fs, func(f finding.Finding) bool { return f.Rule == rulePassword || f.Rule == ruleClosed })
		switch {
		case want == "" && i < 0:
		case want == "" || i < 0 || !strings.Contains(fs[i].Says().In(finding.EN), want) || fs[i].Says().In(finding.ZH) == fs[i].Says().In(finding.EN):
			t.Errorf("%s: %d of %+v", domain, i, fs)
		case (fs[i].Rule == ruleClosed) != p.Closed() || p.Closed() && len(fs) != 1:
			t.Errorf("%s: %+v", domain, fs)
		}
	}
}
