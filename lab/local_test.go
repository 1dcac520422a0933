package lab

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestLocal runs mailwhy local inside the roots of real servers, beside their own postconf, exim and doveconf, in a
// network namespace of its own with a rule that drops outgoing mail.
func TestLocal(t *testing.T) {
	w := lab(t)
	bin, err := w.Build(t.Context(), "..")
	if err != nil {
		t.Fatal(err)
	}
	tool, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		root, file, text string
		want, not        []string // rule and verdict
	}{
		{"postfix", "etc/postfix/main.cf", "compatibility_level = 3.6\nmyhostname = mail.mine.example\nmynetworks = 0.0.0.0/0\nmessage_size_limit = 90000000\nsmtpd_tls_security_level = may\nsoft_bounce = yes\n",
			[]string{"postfix.open-relay error", "postfix.sizes error", "postfix.soft-bounce warning", "postfix.no-tls-out warning", "local.nothing-listens error", "local.firewall warning", "postfix.no-tls pass", "postfix.myhostname pass"},
			[]string{"postfix.plain-login"}},
		{"postfix", "etc/postfix/main.cf", "compatibility_level = 3.6\nmyhostname = mail.localdomain\nsmtpd_sasl_auth_enable = yes\n",
			[]string{"postfix.open-relay pass", "postfix.myhostname warning", "postfix.plain-login warning", "postfix.no-tls warning", "postfix.sizes pass"}, nil},
		{"exim", "etc/exim4/exim4.conf", "primary_hostname = mail.mine.example\nhostlist relay_from_hosts = *\nauth_advertise_hosts = *\ntls_advertise_hosts =\nbegin routers\n",
			[]string{"exim.open-relay error", "exim.no-tls warning", "exim.primary-hostname pass"}, []string{"postfix.no-tls"}},
		{"dovecot", "etc/dovecot/dovecot.conf", "ssl = no\ndisable_plaintext_auth = no\nmail_location = maildir:/var/vmail/%u\npassdb {\n  driver = static\n  args = nopassword=y\n}\nuserdb {\n  driver = passwd\n}\n",
			[]string{"dovecot.no-tls warning", "dovecot.plain-login warning", "dovecot.any-password error"}, nil},
	} {
		r := rootFor(t, c.root)
		if err := r.write(c.file, c.text); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(r.dir, "tmp/mailwhy"), tool, 0o755); err != nil {
			t.Fatal(err)
		}
		out := ask(t, r, "", "unshare", "--net", "sh", "-c",
			"ip link set lo up && nft add table inet f && nft 'add chain inet f out { type filter hook output priority 0; }' && nft add rule inet f out tcp dport 25 drop && exec /tmp/mailwhy local --json --fail-on never")
		var rep struct {
			Findings []struct{ ID, Verdict string }
			Faults   map[string]string
		}
		if err := json.Unmarshal([]byte(out), &rep); err != nil {
			t.Fatalf("%s: %v: %s", c.root, err, out)
		}
		var got []string
		for _, f := range rep.Findings {
			got = append(got, f.ID+" "+f.Verdict)
		}
		for _, want := range c.want {
			if !slices.Contains(got, want) {
				t.Errorf("%s: no %q among %s; not read: %v", c.root, want, strings.Join(got, ", "), rep.Faults)
			}
		}
		for _, not := range c.not {
			if strings.Contains(strings.Join(got, ", "), not) {
				t.Errorf("%s: %q among %s", c.root, not, strings.Join(got, ", "))
			}
		}
	}
}
