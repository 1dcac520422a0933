package intake

import (
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"

	"github.com/mailwhy/mailwhy/internal/finding"
)

const wholeConfig = `
[[intake]]
kind = "files"
paths = ["/var/log/mail.log", "/srv/*/log/mainlog"]
[[intake]]
kind = "journald"
units = ["postfix@-.service"]
[[intake]]
kind = "syslog"
listen = "tls://[::]:6514"
cert = "/etc/mailwhy/cert.pem"
key = "/etc/mailwhy/key.pem"
allow = ["192.0.2.0/24", "2001:db8::1"]
[[intake]]
kind = "stdin"
host = "mx1"
[[intake]]
kind = "folder"
paths = ["/srv/exports"]
[[intake]]
kind = "mailbox"
url = "imaps://reports@imap.mine.example/INBOX"
password_file = "/etc/mailwhy/reports.password"
every = "5m"
`

func decode(t *testing.T, text string) []Config {
	t.Helper()
	var f struct {
		Intake []Config `toml:"intake"`
	}
	if err := toml.NewDecoder(strings.NewReader(text)).DisallowUnknownFields().Decode(&f); err != nil {
		t.Fatal(err)
	}
	return f.Intake
}

func TestValidate(t *testing.T) {
	if list := decode(t, wholeConfig); len(list) != len(Kinds) {
		t.Fatalf("%d entries, want one of each kind", len(list))
	} else if bad := Validate(list); len(bad) > 0 {
		t.Errorf("a good configuration: %v", bad)
	}
	for _, c := range []struct{ text, want string }{
		{`kind = "flies"`, "unknown kind"},
		{`kind = "files"`, "paths is missing"},
		{"kind = \"files\"\npaths = [\"mail.log\"]", "not absolute"},
		{"kind = \"files\"\npaths = [\"/var/log/[\"]", "no glob"},
		{"kind = \"files\"\npaths = [\"/var/log/a\"]\nlisten = \"udp://:514\"", "listen has no meaning"},
		{"kind = \"files\"\npaths = [\"/a\"]\n[[intake]]\nkind = \"files\"\npaths = [\"/a\"]", "twice"},
		{"kind = \"syslog\"\nlisten = \"514\"", "no place to listen"},
		{"kind = \"syslog\"\nlisten = \"udp://0.0.0.0:99999\"", "no place to listen"},
		{"kind = \"syslog\"\nlisten = \"tls://0.0.0.0:6514\"", "cert and key"},
		{"kind = \"syslog\"\nlisten = \"tcp://0.0.0.0:514\"\ncert = \"/c\"", "belong to tls"},
		{"kind = \"syslog\"\nlisten = \"tcp://0.0.0.0:514\"\nallow = [\"mx1\"]", "no address and no network"},
		{"kind = \"syslog\"\nlisten = \"tcp://0.0.0.0:514\"\nconnections = 20000", "from 1 to 10000"},
		{"kind = \"mailbox\"\nurl = \"imaps://li:secret@imap.mine.example\"\npassword_file = \"/p\"", "without a password"},
		{"kind = \"mailbox\"\nurl = \"imaps://li@imap.mine.example\"", "password_file"},
		{"kind = \"mailbox\"\nurl = \"imaps://li@imap.mine.example\"\npassword_file = \"/p\"\nevery = \"1s\"", "no time of 10"},
	} {
		bad := Validate(decode(t, "[[intake]]\n"+c.text))
		if len(bad) != 1 || !strings.Contains(bad[0].Says.In(finding.EN), c.want) {
			t.Errorf("%s\n%v\nwant one sentence with %q", c.text, bad, c.want)
		}
	}
}
