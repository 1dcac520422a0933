package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestConfigSchema holds what the schema takes against what serve takes.
func TestConfigSchema(t *testing.T) {
	name := filepath.Join(t.TempDir(), "config.schema.json")
	if err := writeConfigSchema(name); err != nil {
		t.Fatal(err)
	}
	s, err := jsonschema.NewCompiler().Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		good bool
	}{
		{"[serve]\nlisten = \":8025\"\n[defaults]\nevery = \"1m\"\nfail_after = 5\n[[monitor]]\nid = \"mx\"\nkind = \"server\"\nslower_than = \"300ms\"\n[monitor.args]\nhost = \"a.example\"\n", true},
		{"[[channel]]\nid = \"ops\"\nkind = \"feishu\"\nhook = \"env:HOOK\"\n", true},
		{"[[monitor]]\nid = \"mx\"\nkind = \"servers\"\n", false},
		{"[[monitor]]\nid = \"mx\"\nfail_affter = 3\n", false},
		{"[[monitor]]\nid = \"mx\"\nfail_after = \"three\"\n", false},
	} {
		var doc map[string]any
		if err := toml.Unmarshal([]byte(c.text), &doc); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(doc); (err == nil) != c.good {
			t.Errorf("%s: %v", c.text, err)
		}
	}
}

// Every key of the schema is one that serve reads, and every key that serve reads is in the schema.
func TestConfigSchemaKnowsEveryKey(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "config.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(raw, &schema); err != nil {
		t.Fatal(err)
	}
	keys := 0
	doc, _ := sampleOf(schema, &keys).(map[string]any)
	text, err := toml.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	d := toml.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var c Config
	if err := d.Decode(&c); err != nil {
		t.Errorf("serve does not read what the schema takes: %v\n%s", err, text)
	}
	mine := 0
	countKeys(schemaOf(reflect.TypeFor[Config]()), &mine)
	if keys != mine || keys < 100 {
		t.Errorf("the schema has %d keys, the configuration %d", keys, mine)
	}
}

// sampleOf makes a value of a schema with every key in it.
func sampleOf(s map[string]any, keys *int) any {
	switch s["type"] {
	case "object":
		out := map[string]any{}
		props, _ := s["properties"].(map[string]any)
		for name, p := range props {
			*keys++
			out[name] = sampleOf(p.(map[string]any), keys)
		}
		return out
	case "array":
		return []any{sampleOf(s["items"].(map[string]any), keys)}
	case "boolean":
		return true
	case "integer":
		return 1
	case "number":
		return 1.5
	}
	if s["format"] == "date-time" {
		return time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	}
	if all, ok := s["enum"].([]any); ok {
		return all[0]
	}
	return "1h"
}

func countKeys(s map[string]any, keys *int) {
	if items, ok := s["items"].(map[string]any); ok {
		countKeys(items, keys)
	}
	props, _ := s["properties"].(map[string]any)
	for _, p := range props {
		*keys++
		countKeys(p.(map[string]any), keys)
	}
}

// What is wrong is named with its line and key, in both languages, whichever room it belongs to.
func TestConfigErrorsHaveLineAndKey(t *testing.T) {
	for _, c := range []struct{ text, line, key, en, zh string }{
		{"[serve]\n\nlisten = \"here\"\n", "3", "serve.listen", "is no [ADDRESS]:PORT", "不是"},
		{"[serve]\ntrusted_proxies = [\"10.0.0.0/8\",\n\"proxy\"]\n", "2", "serve.trusted_proxies", "neither an address nor a network", "既不是"},
		{"[serve]\nstore = \"postgres://x\"\n", "2", "serve.store", "clickhouse://", "clickhouse://"},
		{"[serve]\nlog_level = \"loud\"\n", "2", "serve.log_level", "one of debug, info, warn and error", "debug"},
		{"[serve]\nruns_per_minute = -1\n", "2", "serve.runs_per_minute", "negative", "负"},
		{"[[oidc]]\nid = \"Work\"\nissuer = \"https://id.mine.example\"\nclient_id = \"x\"\n", "2", "oidc[1].id", "small letters", "小写字母"},
		{"[[oidc]]\nid = \"work\"\nissuer = \"id\"\nclient_id = \"x\"\n", "3", "oidc[1].issuer", "is no address", "不是"},
		{"[[oidc]]\nid = \"work\"\nissuer = \"https://id.mine.example\"\n", "1", "oidc[1].client_id", "missing", "缺少"},
		{"[[oidc]]\nid = \"work\"\nissuer = \"https://id.mine.example\"\nclient_id = \"x\"\ndefault_role = \"helpdesk\"\n", "5", "oidc[1].default_role", "limited to domains", "域名"},
		{"[[oidc]]\nid = \"work\"\nissuer = \"https://id.mine.example\"\nclient_id = \"x\"\n[oidc.roles]\nboss = [\"a\"]\n", "5", "oidc[1].roles", "no role boss", "boss"},
		{"[retention]\nruns = \"long\"\n", "2", "retention.runs", "no time to keep", "保留"},
		{"[retention]\npreset = \"7mo\"\n", "2", "retention.preset", "one of 12mo and 6mo", "12mo"},
		{"[desk]\n\npartners = [\"a b\"]\n", "3", "desk.partners", "neither an address", "既不是"},
		{"[desk]\nshared = [\"Provider\"]\n", "2", "desk.shared", "no network with the name of its holder", "网段"},
		{"[desk]\nlongest_days = -1\n", "2", "desk.longest_days", "from 0 to", "0"},
		{"[[threat.misp]]\nurl = \"misp\"\nkey_file = \"/k\"\n", "2", "threat.misp[1].url", "is no address", "不是"},
		{"[[intake]]\nkind = \"files\"\npaths = [\"/a\"]\n[[intake]]\nkind = \"flies\"\n", "4", "intake[2]", "unknown kind", "flies"},
		{"[serve]\nlissten = 1\n", "2", "serve.lissten", "unknown key", "未知"},
	} {
		name := filepath.Join(t.TempDir(), "mailwhy.toml")
		if err := os.WriteFile(name, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, l := range []struct{ lang, want string }{{"en", c.en}, {"zh", c.zh}} {
			var out, errs bytes.Buffer
			status := Run(t.Context(), []string{"config", "check", name, "--lang", l.lang}, strings.NewReader(""), &out, &errs, func(string) (string, bool) { return "", false })
			all := strings.Join(strings.Fields(out.String()+errs.String()), " ")
			if status != exitUsage || !strings.Contains(all, c.line) || !strings.Contains(all, c.key) || !strings.Contains(all, l.want) || !strings.Contains(all, "mailwhy.toml") {
				t.Errorf("%s: %s\n%d %s\nwant line %s, %s, %q", l.lang, c.text, status, all, c.line, c.key, l.want)
			}
		}
	}
}
