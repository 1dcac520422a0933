package receive_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/receive"
	"github.com/mailwhy/mailwhy/internal/check/server"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire/dns"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

const zone = `$ORIGIN mine.test.
@ NS ns
ns A 192.0.2.1
@ MX 10 mail
mail A 198.51.100.7
_imaps._tcp SRV 0 1 993 mail
_sieve._tcp SRV 0 1 4190 mail
`

// walk looks at li@mine.test; rcpt is the MX's answer, quota and login those of IMAP, script the active filter.
func walk(t *testing.T, rcpt, login, quota, script string, password bool) (*finding.Report, *receive.Facts) {
	t.Helper()
	w := wiretest.NewWorld()
	t.Cleanup(func() { _ = w.Close() })
	d, err := w.DNS([]string{"192.0.2.1"}, zone)
	if err != nil {
		t.Fatal(err)
	}
	d.Recursive = true
	now := time.Now()
	ca, err := wiretest.NewCA("root", now)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(wiretest.Leaf{Names: []string{"mail.mine.test"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	conf := wiretest.Config(cert)
	imap := func(line string, _ bool) string {
		tag, rest, _ := strings.Cut(line, " ")
		switch verb, _, _ := strings.Cut(rest, " "); verb {
		case "CAPABILITY":
			return "* CAPABILITY IMAP4rev1 SASL-IR QUOTA AUTH=PLAIN\n" + tag + " OK"
		case "AUTHENTICATE":
			return tag + " " + login
		case "GETQUOTAROOT":
			return "* QUOTA \"\" (STORAGE " + quota + ")\n" + tag + " OK"
		}
		return tag + " OK"
	}
	sieve := func(line string, _ bool) string {
		switch {
		case line == "STARTTLS":
			return "TLS:OK"
		case line == "LISTSCRIPTS" && script != "":
			return "\"main\" ACTIVE\nOK"
		case strings.HasPrefix(line, "GETSCRIPT"):
			return `"` + strings.ReplaceAll(script, `"`, `\"`) + "\"\nOK"
		}
		return "OK"
	}
	for _, err := range []error{
		w.SMTP("198.51.100.7:25", &wiretest.SMTP{Name: "mail.mine.test", TLS: conf, Replies: map[string]string{"RCPT": rcpt}}),
		w.Lines("198.51.100.7:993", &wiretest.Lines{Greeting: "* OK ready", TLS: conf, Implicit: true, Answer: imap}),
		w.Lines("198.51.100.7:4190", &wiretest.Lines{Greeting: "\"SASL\" \"PLAIN\"\n\"STARTTLS\"\nOK", AfterTLS: "\"SASL\" \"PLAIN\"\nOK", TLS: conf, Answer: sieve}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	c := dns.New(dns.Options{Servers: []string{"192.0.2.1"}, Dial: w, Timeout: 30 * time.Second})
	t.Cleanup(func() { _ = c.Close() })
	env := &check.Env{DNS: c, Dial: w, Roots: ca.Pool(), Now: time.Now, Know: knowledge.Embedded(), Probe: check.Probe{HELO: "probe.test", Timeout: time.Minute, NoIPv6: true}}
	o := receive.Options{To: "li@mine.test"}
	if password {
		o.Login = &server.LoginOptions{Secret: "geheim"}
	}
	r, err := receive.Survey(context.Background(), env, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []finding.Lang{finding.EN, finding.ZH} {
		if r.Headline.Says.In(l) == "" {
			t.Errorf("no headline in %v", l)
		}
	}
	return r, r.Facts.(*receive.Facts)
}

func TestFirstBreak(t *testing.T) {
	for _, c := range []struct {
		name, rcpt, login, quota, script string
		password                         bool
		state                            finding.State
		station                          string // that the headline begins with
		stations                         string
	}{
		{"all is well", "250 ok", "OK", "1 100", "", true, finding.StateOK, "Mail for li@mine.test reaches", "outside:pass login:pass quota:pass filter:pass"},
		{"without a password", "250 ok", "OK", "1 100", "", false, finding.StateOK, "Mail for li@mine.test is taken", "outside:pass login:not-applicable"},
		{"unknown", "550 5.1.1 User unknown", "NO [AUTHENTICATIONFAILED] no", "", "", true, finding.StateBroken, "from outside:", "outside:error login:error"},
		{"locked", "250 ok", "NO Account is locked", "", "", true, finding.StateBroken, "login:", "outside:pass login:error"},
		{"full", "250 ok", "OK", "100 100", "discard;", true, finding.StateBroken, "quota:", "outside:pass login:pass quota:error filter:error"},
		{"filter eats it", "250 ok", "OK", "1 100", "discard;", true, finding.StateBroken, "filter:", "outside:pass login:pass quota:pass filter:error"},
		{"filter files it", "250 ok", "OK", "1 100", `require "fileinto"; fileinto "Archive";`, true, finding.StateOK, "Mail for li@mine.test is taken", "outside:pass login:pass quota:pass filter:pass"},
		{"broken filter", "250 ok", "OK", "1 100", "if {", true, finding.StateBroken, "filter:", "outside:pass login:pass quota:pass filter:error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, f := walk(t, c.rcpt, c.login, c.quota, c.script, c.password)
			if says := r.Headline.Says.In(finding.EN); r.Headline.State != c.state || !strings.HasPrefix(says, c.station) {
				t.Errorf("%s: %s", r.Headline.State, says)
			}
			var got []string
			for _, s := range f.Stations {
				got = append(got, string(s.Name)+":"+strings.Replace(s.Verdict, "warning", "pass", 1)) // the MX of this test has faults of its own
			}
			if strings.Join(got, " ") != c.stations {
				t.Errorf("stations %v, want %s", got, c.stations)
			}
		})
	}
}
