package local

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire/local"
)

// machine is a machine out of words: what its commands print.
type machine struct {
	prints map[string]string // by command line; "!" at the start: it fails so
	disk   local.Disk
	skew   time.Duration
	tcp    string
}

func (m machine) survey(t *testing.T) map[string]finding.Verdict {
	t.Helper()
	files := fstest.MapFS{
		"proc/net/tcp":     {Data: []byte("head\n" + m.tcp)},
		"proc/loadavg":     {Data: []byte("0 1 1\n")},
		"proc/meminfo":     {Data: []byte("MemTotal: 100 kB\nMemAvailable: 50 kB\n")},
		"proc/cpuinfo":     {Data: []byte("processor : 0\n")},
		"proc/9/comm":      {Data: []byte("python3\n")},
		"proc/self/status": {},
	}
	d := Door{Files: files, Skew: func(context.Context) (time.Duration, error) { return m.skew, nil },
		Disk: func(p string) (local.Disk, error) { m.disk.Path = p; return m.disk, nil },
		Run: func(_ context.Context, name string, args ...string) ([]byte, error) {
			line := strings.Join(append([]string{name}, args...), " ")
			for k, v := range m.prints {
				if strings.HasPrefix(line, k) && (len(line) == len(k) || name == "systemctl") {
					if why, bad := strings.CutPrefix(v, "!"); bad {
						return nil, fmt.Errorf("%s: %s", name, why)
					}
					return []byte(v), nil
				}
			}
			return nil, local.ErrMissing
		}}
	env := &check.Env{Now: time.Now, Know: knowledge.Embedded()}
	r, err := Survey(context.Background(), env, d, "mail.mine.example")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]finding.Verdict{}
	for i := range r.Findings {
		f := &r.Findings[i]
		if v, had := out[f.Rule.ID]; !had || f.Verdict() < v {
			out[f.Rule.ID] = f.Verdict()
		}
		if f.Outcome == finding.Fail && len(f.Evidence) == 0 {
			t.Errorf("%s does not say where it was read", f.Rule.ID)
		}
	}
	return out
}

const listens = "   0: 00000000:0019 00000000:0000 0A 0:0 0:0 0 0 0 4711 1\n"

var roomy = local.Disk{Total: 1e12, Free: 5e11, Inodes: 1000, InodesFree: 900}

// goodPostfix is a configuration without a fault.
const goodPostfix = `mail_version = 3.7.11
myhostname = mail.mine.example
mydomain = mine.example
mydestination = $myhostname, localhost
mynetworks = 127.0.0.0/8 [::1]/128 192.0.2.0/28
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination
smtpd_recipient_restrictions =
smtpd_tls_security_level = may
smtp_tls_security_level = may
smtpd_sasl_auth_enable = yes
smtpd_tls_auth_only = yes
message_size_limit = 10240000
mailbox_size_limit = 51200000
virtual_mailbox_domains = shop.example
virtual_mailbox_limit = 51200000
soft_bounce = no
smtpd_forbid_bare_newline = normalize
smtputf8_enable = yes
queue_directory = /var/spool/postfix
`

func with(text string, changes ...string) string {
	for i := 0; i < len(changes); i += 2 {
		text = strings.Replace(text, changes[i], changes[i+1], 1)
	}
	return text
}

func TestPostfix(t *testing.T) {
	for name, c := range map[string]struct {
		conf string
		want string // "rule verdict, …" of what is not fine
	}{
		"good":                      {goodPostfix, ""},
		"all are neighbours":        {with(goodPostfix, "192.0.2.0/28", "0.0.0.0/0"), "postfix.open-relay error"},
		"nothing between":           {with(goodPostfix, ", defer_unauth_destination", ""), "postfix.open-relay error"},
		"permit first":              {with(goodPostfix, "permit_mynetworks, permit_sasl_authenticated, defer", "permit, defer"), "postfix.open-relay error"},
		"guarded by the other list": {with(goodPostfix, ", defer_unauth_destination", "", "smtpd_recipient_restrictions =", "smtpd_recipient_restrictions = reject_unauth_destination"), ""},
		"a class decides":           {with(goodPostfix, ", defer_unauth_destination", ", $my_relay_rules"), ""},
		"no TLS":                    {with(goodPostfix, "smtpd_tls_security_level = may", "smtpd_tls_security_level =", "smtp_tls_security_level = may", "smtp_tls_security_level ="), "postfix.no-tls warning, postfix.no-tls-out warning"},
		"old TLS words":             {with(goodPostfix, "smtpd_tls_security_level = may", "smtpd_tls_security_level =\nsmtpd_use_tls = yes", "smtp_tls_security_level = may", "smtp_use_tls = yes"), ""},
		"plain login":               {with(goodPostfix, "auth_only = yes", "auth_only = no"), "postfix.plain-login warning"},
		"name":                      {with(goodPostfix, "mail.mine.example", "mail.localdomain"), "postfix.myhostname warning"},
		"two classes":               {with(goodPostfix, "$myhostname, localhost", "$myhostname, shop.example"), "postfix.domain-twice error"},
		"sizes":                     {with(goodPostfix, "message_size_limit = 10240000", "message_size_limit = 90000000"), "postfix.sizes error"},
		"soft":                      {with(goodPostfix, "soft_bounce = no", "soft_bounce = yes"), "postfix.soft-bounce warning"},
		"smuggling":                 {with(goodPostfix, "= normalize", "= no", "3.7.11", "3.7.4"), "local.vulnerable warning, postfix.smuggling warning"},
		"ASCII":                     {with(goodPostfix, "smtputf8_enable = yes", "smtputf8_enable = no"), "postfix.no-smtputf8 note"},
	} {
		m := machine{prints: map[string]string{"postconf": c.conf, "postconf -n": ""}, disk: roomy, tcp: listens}
		if got := faults(m.survey(t)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func faults(v map[string]finding.Verdict) string {
	var out []string
	for id, verdict := range v {
		if verdict != finding.VerdictPass {
			out = append(out, id+" "+verdict.String())
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func TestMachine(t *testing.T) {
	full := roomy
	full.Free = 1e10
	fuller, inodes := roomy, roomy
	fuller.Free, inodes.InodesFree = 1e9, 50
	for name, c := range map[string]struct {
		m    machine
		want string
	}{
		"nothing installed":  {machine{disk: roomy}, ""},
		"nobody listens":     {machine{disk: roomy, prints: map[string]string{"postconf": goodPostfix}}, "local.nothing-listens error"},
		"loopback":           {machine{disk: roomy, tcp: "0: 0100007F:0019 0:0 0A 0 0 0 0 0 1 1\n", prints: map[string]string{"postconf": goodPostfix}}, "local.loopback-only note"},
		"disk low":           {machine{disk: full}, "local.disk error"},
		"disk lower":         {machine{disk: fuller}, "local.disk error"},
		"inodes":             {machine{disk: inodes}, "local.disk warning"},
		"clock ahead":        {machine{disk: roomy, skew: time.Minute}, "local.clock warning"},
		"clock far behind":   {machine{disk: roomy, skew: -time.Hour}, "local.clock error"},
		"clock near":         {machine{disk: roomy, skew: -time.Second}, ""},
		"service failed":     {machine{disk: roomy, prints: map[string]string{"systemctl show": "Id=dovecot.service\nLoadState=loaded\nActiveState=failed\nSubState=failed\nUnitFileState=enabled\nResult=exit-code\n\nId=exim4.service\nLoadState=not-found\nActiveState=inactive\n"}}, "local.service-failed error"},
		"not at boot":        {machine{disk: roomy, prints: map[string]string{"systemctl show": "Id=dovecot.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=disabled\nResult=success\n"}}, "local.not-enabled warning"},
		"filter":             {machine{disk: roomy, prints: map[string]string{"iptables-save": "*filter\n-A OUTPUT -p tcp --dport 25 -j DROP\n"}}, "local.firewall warning"},
		"filter not to see":  {machine{disk: roomy, prints: map[string]string{"nft -j list ruleset": "!Operation not permitted (you must be root)"}}, "local.not-read could-not-test"},
		"config not to read": {machine{disk: roomy, prints: map[string]string{"postconf": "!fatal: open /etc/postfix/main.cf"}}, "local.not-read could-not-test"},
	} {
		if name == "disk low" {
			c.m.disk.Free = 8e10
			c.want = "local.disk warning"
		}
		if got := faults(c.m.survey(t)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestEximAndDovecot(t *testing.T) {
	exim := "primary_hostname = mail.mine.example\ntls_advertise_hosts = *\ntls_certificate = /etc/exim.crt\nauth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}\nspool_directory = /var/spool/exim4\nno_message_logs\n"
	dovecot := "# 2.3.21.1\nssl = required\npassdb {\n  driver = pam\n}\nservice imap-login {\n  inet_listener imap {\n    port = 143\n  }\n}\n"
	for name, c := range map[string]struct{ exim, config, dovecot, want string }{
		"good":         {exim, "hostlist relay_from_hosts = 127.0.0.1 : ::1", dovecot, ""},
		"relay":        {exim, "hostlist relay_from_hosts = 192.0.2.0/24 : 0.0.0.0/0", dovecot, "exim.open-relay error"},
		"relay star":   {exim, "hostlist   relay_from_hosts = *", dovecot, "exim.open-relay error"},
		"no TLS":       {with(exim, "tls_certificate = /etc/exim.crt", "tls_certificate ="), "", dovecot, "exim.no-tls warning"},
		"login":        {with(exim, "${if eq{$tls_in_cipher}{}{}{*}}", "*"), "", dovecot, "exim.plain-login warning"},
		"name":         {with(exim, "mail.mine.example", "vm"), "", dovecot, "exim.primary-hostname warning"},
		"plain":        {exim, "", dovecot + "disable_plaintext_auth = no\n", "dovecot.plain-login warning"},
		"plain 2.4":    {exim, "", dovecot + "auth_allow_cleartext = yes\n", "dovecot.plain-login warning"},
		"ssl no":       {exim, "", with(dovecot, "required", "no"), "dovecot.no-tls warning"},
		"old TLS":      {exim, "", dovecot + "ssl_min_protocol = TLSv1\n", "dovecot.old-tls warning"},
		"scheme":       {exim, "", with(dovecot, "driver = pam", "driver = passwd-file\n  args = scheme=plain-md5 username_format=%u /etc/users"), "dovecot.weak-passwords warning"},
		"any password": {exim, "", with(dovecot, "driver = pam", "driver = static\n  args = nopassword=y"), "dovecot.any-password error"},
	} {
		m := machine{disk: roomy, tcp: listens, prints: map[string]string{"exim4 -bP": c.exim, "exim4 -bP config": c.config, "exim4 -bV": "Exim version 4.98.1 #2 built", "doveconf -n": c.dovecot, "dovecot --version": "2.3.21.1 (abc)"}}
		if got := faults(m.survey(t)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
