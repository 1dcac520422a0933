package cli

import (
	"path/filepath"
	"testing"

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
