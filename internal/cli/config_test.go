package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// example gives a file of deploy with every key in it that is commented out, or as it stands.
func example(t *testing.T, file string, everything bool) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "deploy", file))
	if err != nil {
		t.Fatal(err)
	}
	if !everything {
		return string(raw)
	}
	text := regexp.MustCompile(`(?m)^# (\[|[a-z_]+ = )`).ReplaceAllString(string(raw), "$1")
	if filepath.Ext(file) == ".yaml" {
		_, body, _ := strings.Cut(string(raw), "serve:\n") // what stands before is prose
		text = "serve:\n" + regexp.MustCompile(`(?m)^( *)# ( *)`).ReplaceAllString(body, "$1$2")
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(text, "/etc/mailwhy/oidc-secret", secret)
}

// configOf reads a text as the file of that name.
func configOf(t *testing.T, name, text string) (*Config, error) {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return readConfig(name)
}

// The examples in deploy are right as they stand and with every key that is commented out, say the same in both forms, and
// are what the published schema describes.
func TestExampleConfigurations(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join("..", "..", "docs", "config.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, everything := range []bool{false, true} {
		var read []*Config
		for _, file := range []string{"mailwhy.toml", "mailwhy.yaml"} {
			text := example(t, file, everything)
			c, err := configOf(t, file, text)
			if err != nil {
				t.Fatalf("%s, everything %v: %v", file, everything, err)
			}
			read = append(read, c)
			from, err := readText(file, []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			var doc map[string]any
			if err := toml.Unmarshal(from.toml, &doc); err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(doc); err != nil {
				t.Errorf("%s, everything %v: %v", file, everything, err)
			}
		}
		c := read[0]
		if len(c.Intake) == 0 || everything && (len(c.OIDC) != 1 || c.Inbox.Domain == "" || c.Serve.RunsPerUser != 3 || len(c.Monitor) != 2 || len(c.Channel) != 1 || c.Retention.Journeys == "") {
			t.Errorf("%+v", c)
		}
		if everything { // each has a secret in a folder of its own
			read[0].OIDC[0].ClientSecretFile, read[1].OIDC[0].ClientSecretFile = "", ""
		}
		if !reflect.DeepEqual(read[0], read[1]) {
			t.Errorf("everything %v: the two forms differ:\n%+v\n%+v", everything, read[0], read[1])
		}
	}
}

// Every value that the file can hold is the same in both forms.
func TestYAMLSaysTheSame(t *testing.T) {
	a, err := configOf(t, "a.toml", `
[serve]
listen = ":8025"
allow_private_targets = true
allow_ports = [2526, 8080]
[defaults]
fail_after = 5
[[defaults.maintenance]]
from = 2026-11-22T02:00:00+08:00
to = 2026-11-22T04:00:00+08:00
reason = "move: part \"one\""
[[vantage]]
name = "public"
resolvers = ["9.9.9.9"]
[[channel]]
id = "ops"
kind = "webhook"
url = "https://pager.mine.example/x?y=1#z"
[[monitor]]
id = "lists"
kind = "blocklist"
armed = false
from = ["public"]
flap_changes = 0
[monitor.args]
subjects = ["192.0.2.25", "mine.example"]
[[monitor.threshold]]
measure = "listings"
above = 2
below = 0.5
[[monitor]]
id = "bad"
kind = "silence"
args = { within = "2h", at_least = 3 }
[monitor.propose]
action = "block-address"
target = "198.51.100.9"
for = "1d"
`)
	if err != nil {
		t.Fatal(err)
	}
	b, err := configOf(t, "a.yml", `
serve: {listen: ":8025", allow_private_targets: true, allow_ports: [2526, 8080]}
defaults:
  fail_after: 5
  maintenance:
  - from: 2026-11-22T02:00:00+08:00
    to: "2026-11-22T04:00:00+08:00"
    reason: 'move: part "one"'
  remind: ~
vantage: [{name: public, resolvers: [9.9.9.9]}]
channel:
- {id: ops, kind: webhook, url: "https://pager.mine.example/x?y=1#z"}
monitor:
- id: lists
  kind: blocklist
  armed: false
  from: [public]
  flap_changes: 0
  args: {subjects: [192.0.2.25, mine.example]}
  threshold: [{measure: listings, above: 2, below: 0.5}]
- id: bad
  kind: silence
  args:
    within: 2h
    at_least: 3
  propose:
    action: block-address
    target: 198.51.100.9
    for: 1d
`)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b.Defaults.Maintenance { // a time of TOML and one of text differ in their pointers
		for _, at := range []struct{ a, b any }{{a.Defaults.Maintenance[i].From.UTC(), b.Defaults.Maintenance[i].From.UTC()}, {a.Defaults.Maintenance[i].To.UTC(), b.Defaults.Maintenance[i].To.UTC()}} {
			if !reflect.DeepEqual(at.a, at.b) {
				t.Errorf("%v and %v", at.a, at.b)
			}
		}
	}
	a.Defaults.Maintenance, b.Defaults.Maintenance = nil, nil
	if !reflect.DeepEqual(a, b) {
		t.Errorf("\n%+v\n%+v", a, b)
	}
}

// Anchors and merge keys save typing.
func TestYAMLAnchors(t *testing.T) {
	c, err := configOf(t, "a.yaml", `
monitor:
- &mx
  id: mx1
  kind: server
  fail_after: 3
  args: &args {host: mx1.mine.example, ports: &ports [25]}
- <<: *mx
  id: mx2
  args: {<<: [*args], host: mx2.mine.example, ports: *ports}
`)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Monitor) != 2 || c.Monitor[1].ID != "mx2" || c.Monitor[1].FailAfter != 3 || fmt.Sprint(c.Monitor[1].Args["host"], c.Monitor[1].Args["ports"]) != "mx2.mine.example[25]" {
		t.Errorf("%+v", c.Monitor)
	}
}

func TestYAMLIsStrict(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [*a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d]\n", i, i, i-1)
	}
	merges := "a: &a {" + strings.Repeat("k: 1, ", 0)
	for i := range 2000 {
		merges += fmt.Sprintf("k%d: 1, ", i)
	}
	merges += "z: 1}\nb: {<<: [" + strings.Repeat("*a, ", 2000) + "*a]}\n"
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"comments only", "# nothing\n", ""},
		{"a null", "---\n~\n", ""},
		{"unknown key", "serve:\n  listen: :8025\n  lissten: x\n", "line 3: unknown key serve.lissten"},
		{"unknown table", "serve:\n  listen: :8025\nsserve:\n  listen: x\n", "line 3: unknown key sserve"},
		{"unknown key of a list", "monitor:\n- id: a\n  kind: queue\n- id: b\n  kind: queue\n  fail_affter: 3\n", "line 6: unknown key monitor.fail_affter"},
		{"a number for a text", "serve:\n  data: x\n  listen: 25\n", "line 3"},
		{"a text for a number", "defaults:\n  every: 1m\n  fail_after: three\n", "line 3"},
		{"a list for a table", "serve:\n- listen\n", "line"},
		{"a span that is none", "serve:\n  data: x\n  session_idle: soon\n", "line 3"},
		{"twice", "serve:\n  data: x\n  data: y\n", "line 3: data is there twice"},
		{"a second document", "serve:\n  data: x\n---\nserve:\n  data: y\n", "second document"},
		{"a word", "serve\n", "line 1: keys and values are wanted"},
		{"a list", "- serve\n", "line 1: keys and values are wanted"},
		{"an empty value in a list", "serve:\n  resolvers: [~]\n", "line 2"},
		{"a key that is no word", "? [a, b]\n: c\n", "line 1: a key is a word"},
		{"a tag", "serve:\n  data: !mine x\n", "line 2"},
		{"a great number", "serve:\n  runs_per_user: 99999999999999999999999\n", "line 2"},
		{"not YAML", "serve: [\n", "line"},
		{"a tab", "serve:\n\tlisten: x\n", "line"},
		{"not UTF-8", "serve:\n  data: \xff\n", ""},
		{"itself", "serve: &a {data: *a}\n", ""},
		{"a bomb", bomb, "more than 100000 values"},
		{"a bomb of merges", merges, "too much is merged"},
		{"too deep", "a: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), "nested deeper"},
		{"what a monitor lacks", "monitor:\n- id: a\n  kind: queue\n-\n  id: mx\n  kind: server\n  args:\n    ports: [25]\n", "line 7, monitor[2].args"},
		{"what a channel lacks", "channel:\n  - id: ops\n    kind: slack\n    hook: https://hooks.chat.example/x\n", "line 4, channel[1].hook"},
	} {
		_, err := configOf(t, "mailwhy.yaml", c.text)
		must := c.want != "" || c.name == "not UTF-8" || c.name == "itself"
		if (err != nil) != must || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func FuzzYAML(f *testing.F) {
	for _, s := range []string{"serve:\n  listen: :8025\n", "a: &a [*a]\n", "monitor:\n- <<: {id: a}\n  kind: queue\n", "a: 1e400\nb: 0o17\nc: .nan\nd: 2026-11-22\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		from, err := readText("a.yaml", []byte(s[:min(len(s), 10_000)]))
		if err != nil {
			return
		}
		var doc map[string]any
		if err := toml.Unmarshal(from.toml, &doc); err != nil {
			t.Errorf("what was made of it is no TOML: %v\n%s", err, from.toml)
		}
		from.where().line([]any{"serve", "listen"})
	})
}
