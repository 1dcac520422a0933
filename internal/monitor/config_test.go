package monitor

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
)

const good = `
[defaults]
every = "10m"
remind = "12h"
at_once = 4

[[defaults.maintenance]]
cron = "0 2 * * 0"
for = "2h"

[[vantage]]
name = "google"
resolvers = ["8.8.8.8"]

[[vantage]]
name = "here"

[[monitor]]
id = "mx"
kind = "server"
every = "1m"
fail_after = 3
slower_than = "300ms"
from = ["google", "here"]
[monitor.args]
host = "mail.mine.example"
ports = [25, 993]

[[monitor]]
id = "cert"
kind = "certificate"
args = { host = "mail.mine.example", port = 993 }
[[monitor.threshold]]
measure = "remaining"
below = 604800.0
[[monitor.maintenance]]
from = 2026-11-22T02:00:00Z
to = 2026-11-22T04:00:00Z

[[monitor]]
id = "lists"
kind = "blocklist"
args = { subjects = ["192.0.2.25"] }
flap_changes = 0
`

func parse(t *testing.T, text string) *Config {
	t.Helper()
	var c Config
	d := toml.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return &c
}

func TestConfig(t *testing.T) {
	c := parse(t, good)
	if bad := c.Validate(Kinds(), nil); len(bad) > 0 {
		t.Fatalf("%+v", bad)
	}
	mx := c.Complete(c.Monitor[0], Kinds())
	if mx.Every.D() != time.Minute || mx.FailAfter != 3 || mx.ClearAfter != 2 || mx.Quorum != 2 || mx.Remind.D() != 12*time.Hour || len(mx.Maintenance) != 1 || mx.Title != "mx" || *mx.FlapChanges != 6 {
		t.Errorf("%+v", mx)
	}
	limits := mx.Limits(FindKind(Kinds(), "server"))
	if len(limits.Thresholds) != 1 || *limits.Thresholds[0].Above != 0.3 || limits.Thresholds[0].Unit != "s" {
		t.Errorf("%+v", limits)
	}
	lists := c.Complete(c.Monitor[2], Kinds())
	if lists.Every.D() != 10*time.Minute || lists.FailAfter != 2 || *lists.FlapChanges != 0 {
		t.Errorf("the defaults of the file go before those of the kind: %+v", lists)
	}
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ change, to, path, says string }{
		{`kind = "server"`, `kind = "servers"`, "monitor 0 kind", "there is no kind servers: one of domain, "},
		{`id = "cert"`, `id = "mx"`, "monitor 1 id", "mx is there twice"},
		{`id = "cert"`, `id = "My Cert"`, "monitor 1 id", "My Cert is no name"},
		{`every = "1m"`, `every = "1ms"`, "monitor 0 every", "every wants a span"},
		{`host = "mail.mine.example"
ports`, `hosts = "x"
host = "mail.mine.example"
ports`, "monitor 0 args hosts", "server knows no hosts; it knows host and ports"},
		{`ports = [25, 993]`, `ports = [25, 80]`, "monitor 0 args ports", "port 80 is none of"},
		{`ports = [25, 993]`, `ports = "all"`, "monitor 0 args ports", "wants"},
		{`host = "mail.mine.example"
ports`, `ports`, "monitor 0 args host", "server wants host"},
		{`"192.0.2.25"`, `"not a host"`, "monitor 2 args subjects", "not a host is not a domain"},
		{`measure = "remaining"`, `measure = "response_time"`, "monitor 1 threshold 0 measure", "certificate does not measure response_time; it measures"},
		{`below = 604800.0`, ``, "monitor 1 threshold 0", "a threshold wants above or below"},
		{`from = ["google", "here"]`, `from = ["google", "there"]`, "monitor 0 from 1", "there is no vantage there"},
		{`from = ["google", "here"]`, "quorum = 3\nfrom = [\"google\", \"here\"]", "monitor 0 quorum", "a quorum of 3"},
		{`cron = "0 2 * * 0"`, `cron = "sunday"`, "defaults maintenance 0", "sunday is no cron expression"},
		{`fail_after = 3`, `channels = ["ops"]`, "monitor 0 channels 0", "there is no channel ops"},
		{`fail_after = 3`, `fail_on = "fatal"`, "monitor 0 fail_on", "fatal is no severity"},
		{`fail_after = 3`, `fail_after = -1`, "monitor 0 fail_after", "wants a number"},
		{`flap_changes = 0`, `flap_changes = 1`, "monitor 2 flap_changes", "wants a number from 2"},
		{`fail_after = 3`, `propose = { action = "block-address", target = "192.0.2.1" }`, "monitor 0 propose", "a proposal wants an end"},
		{`fail_after = 3`, `propose = { action = "reboot", target = "x", for = "1h" }`, "monitor 0 propose", "unknown action reboot"},
	} {
		text := strings.Replace(good, c.change, c.to, 1)
		if text == good {
			t.Fatalf("%q is not in the file", c.change)
		}
		found := false
		bad := parse(t, text).Validate(Kinds(), nil)
		for _, p := range bad {
			var words []string
			for _, x := range p.Path {
				words = append(words, fmt.Sprint(x))
			}
			path := strings.Join(words, " ")
			found = found || path == c.path && strings.HasPrefix(p.Says.String(), c.says)
		}
		if !found || len(bad) > 2 {
			t.Errorf("%s → %s: %+v", c.change, c.to, bad)
		}
	}
}

func TestAccountsOfTheConfiguration(t *testing.T) {
	const accounts = `
[[account]]
name = "probe"
address = "probe@mine.example"
server = "mail.mine.example"
submit = "mail.mine.example:587"
password = "env:PROBE"

[[monitor]]
id = "in"
kind = "login"
args = { account = "probe" }
`
	c := parse(t, accounts)
	if bad := c.Validate(Kinds(), nil); len(bad) > 0 {
		t.Fatalf("%+v", bad)
	}
	send := c.FindAccount("probe").Submission()
	if read := c.FindAccount("probe").Login(); read.Server != "mail.mine.example" || read.Port != 0 || read.Secret != "" || send.Port != 587 || send.Address != "probe@mine.example" {
		t.Errorf("%+v %+v", read, send)
	}
	for _, x := range []struct{ change, to, path, says string }{
		{`env:PROBE`, `swordfish`, "account 0 password", "a secret does not stand in the configuration"},
		{`env:PROBE`, `file:`, "account 0 password", "a secret does not stand in the configuration"},
		{`"probe@mine.example"`, `"probe"`, "account 0 address", "probe is not a mail address"},
		{`"mail.mine.example"`, `"a b"`, "account 0 server", "a b is not a domain"},
		{`mail.mine.example:587`, `mail.mine.example:x`, "account 0 submit", "mail.mine.example:x is no host:port"},
		{`name = "probe"`, `name = "Pro be"`, "account 0 name", "Pro be is no name"},
		{`account = "probe" }`, `account = "robe" }`, "monitor 0 args account", "there is no account robe: one of probe"},
		{`account = "probe" }`, `account = "probe", server = "other.example" }`, "monitor 0 args server", "the account probe says this itself"},
		{`account = "probe" }`, `address = "probe@mine.example" }`, "monitor 0 args account", "an account is wanted, or in the configuration file address and password_file"},
		{`kind = "login"`, `kind = "canary"`, "monitor 0 args account", "canary knows no account"},
		{`kind = "login"
args = { account = "probe" }`, `kind = "canary"
args = { from_account = "probe", to_account = "probe", submit = "x.example" }`, "monitor 0 args submit", "the account probe says this itself"},
		{`kind = "login"
args = { account = "probe" }`, `kind = "receive"
args = { account = "probe", to = "li@mine.example" }`, "monitor 0 args to", "either a recipient or an account"},
		{`kind = "login"
args = { account = "probe" }`, `kind = "sieve"
args = { account = "probe", newest = 1000 }`, "monitor 0 args newest", "wants a number from 1 to 100"},
	} {
		text := strings.Replace(accounts, x.change, x.to, 1)
		if text == accounts {
			t.Fatalf("%q is not in the file", x.change)
		}
		found := false
		bad := parse(t, text).Validate(Kinds(), nil)
		for _, p := range bad {
			path := strings.Trim(fmt.Sprint(p.Path), "[]")
			found = found || path == x.path && strings.HasPrefix(p.Says.String(), x.says)
			if strings.Contains(p.Says.String(), "swordfish") {
				t.Errorf("a password is repeated: %s", p.Says)
			}
		}
		if !found {
			t.Errorf("%s → %s: %+v", x.change, x.to, bad)
		}
	}
	for _, k := range Kinds() {
		if with, without := c.Offers(&k), (&Config{}).Offers(&k); with == k.Machine || without && (k.Name == "login" || k.Name == "canary" || k.Name == "sieve") {
			t.Errorf("%s: offered %v with accounts, %v without", k.Name, with, without)
		}
	}
}

func TestEveryKindIsSound(t *testing.T) {
	for _, k := range Kinds() {
		if k.Name == "" || k.Title == "" || k.About == "" || len(k.Measures) == 0 {
			t.Errorf("%s: name, title, about and measures must be there", k.Name)
		}
		args := map[string]any{}
		for _, f := range k.Fields {
			if f.Label == "" || f.Type == "" {
				t.Errorf("%s.%s: no label or type", k.Name, f.Name)
			}
			switch f.Type {
			case "list", "bool", "number":
			case "choice":
				args[f.Name] = f.Choices[0]
			case "span":
				args[f.Name] = f.Example
			default:
				args[f.Name] = f.Example
			}
			if f.Type == "list" && f.Required {
				args[f.Name] = strings.Split(f.Example, ", ")
			}
			if f.File && slices.ContainsFunc(k.Fields, func(f Field) bool { return f.Type == AccountField }) { // an account says it itself
				delete(args, f.Name)
			}
		}
		if k.Name == "receive" { // a recipient or an account
			delete(args, "account")
		}
		if bad := k.check(args); len(bad) > 0 {
			t.Errorf("%s: its own examples are refused: %+v", k.Name, bad)
		}
	}
}
