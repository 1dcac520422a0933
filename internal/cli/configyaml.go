package cli

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v4"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// configText is a configuration file as it is decoded: always as TOML, so that both forms mean the same by construction,
// with the places of its keys in the file that the admin wrote.
type configText struct {
	toml   []byte
	places places // of the file
	yaml   bool
}

// readText takes the text of a file; its name says which form it has.
func readText(name string, raw []byte) (*configText, error) {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml":
		return fromYAML(raw)
	}
	return &configText{toml: raw}, nil
}

// where finds the places of the keys; the text must decode.
func (t *configText) where() places {
	if !t.yaml && t.places == nil {
		t.places = tomlPlaces(t.toml)
	}
	return t.places
}

// line is the line of the file for a row of the TOML.
func (t *configText) line(row int) int {
	if !t.yaml {
		return row
	}
	var path []any
	for _, p := range tomlPlaces(t.toml) {
		if p.at <= row {
			path = p.path
		}
	}
	return t.places.line(path)
}

// Bounds of a YAML file: what aliases multiply is counted as often as it is used.
const (
	maxYAMLNodes = 100_000
	maxYAMLDepth = 32
)

// fromYAML turns YAML into TOML. Anchors, aliases and merge keys are followed within bounds; a key that is there twice, a
// second document and a tag of somebody's own are refused.
func fromYAML(raw []byte) (*configText, error) {
	d := yaml.NewDecoder(bytes.NewReader(raw))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return &configText{yaml: true}, nil
	case err != nil:
		return nil, yamlError(err)
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, yamlError(err)
		}
		return nil, atLine(more.Line, finding.S("a second document: one is wanted", nil))
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].ShortTag() == "!!null" {
		return &configText{yaml: true}, nil
	}
	w := &yamlWalk{}
	v, err := w.value(doc.Content[0], nil, 0)
	if err != nil {
		return nil, err
	}
	if _, ok := v.(map[string]any); !ok {
		return nil, atLine(doc.Content[0].Line, finding.S("keys and values are wanted, such as serve:", nil))
	}
	text, err := toml.Marshal(v)
	return &configText{toml: text, places: w.places, yaml: true}, err
}

// yamlError is what the parser says, in our form.
func yamlError(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	return errors.New(strings.TrimPrefix(text, "while "))
}

// yamlWalk turns nodes into what TOML can say.
type yamlWalk struct {
	nodes  int
	places places
}

// value turns a node. A null gives nil: the key is as good as absent.
func (w *yamlWalk) value(n *yaml.Node, path []any, depth int) (any, error) {
	if w.nodes++; w.nodes > maxYAMLNodes {
		return nil, atLine(n.Line, finding.S("more than {{.N}} values, aliases counted as often as they are used", finding.Args{"N": maxYAMLNodes}))
	}
	if depth > maxYAMLDepth {
		return nil, atLine(n.Line, finding.S("nested deeper than {{.N}}", finding.Args{"N": maxYAMLDepth}))
	}
	switch n.Kind {
	case yaml.AliasNode:
		return w.value(n.Alias, path, depth+1)
	case yaml.MappingNode:
		out := map[string]any{}
		return out, w.mapping(n, path, depth, out, false)
	case yaml.SequenceNode:
		out := []any{}
		for i, x := range n.Content {
			at := append(slices.Clone(path), i)
			w.places = append(w.places, place{at, x.Line})
			v, err := w.value(x, at, depth+1)
			if err != nil {
				return nil, err
			}
			if v == nil {
				return nil, atLine(x.Line, finding.S("a list has no empty value", nil))
			}
			out = append(out, v)
		}
		return out, nil
	}
	return scalar(n)
}

// mapping reads keys into out; what is merged never replaces what is there.
func (w *yamlWalk) mapping(n *yaml.Node, path []any, depth int, out map[string]any, merging bool) error {
	var merged []*yaml.Node
	here := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, x := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" {
			merged = append(merged, x)
			continue
		}
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!null" {
			return atLine(key.Line, finding.S("a key is a word", nil))
		}
		if here[key.Value] {
			return atLine(key.Line, finding.S("{{.Name}} is there twice", finding.Args{"Name": shorten(key.Value)}))
		}
		here[key.Value] = true
		if _, ok := out[key.Value]; ok && merging {
			w.nodes++
			continue
		}
		at := append(slices.Clone(path), key.Value)
		w.places = append(w.places, place{at, key.Line})
		v, err := w.value(x, at, depth+1)
		if err != nil {
			return err
		}
		if v != nil {
			out[key.Value] = v
		}
	}
	for _, x := range merged {
		if err := w.merge(x, path, depth+1, out); err != nil {
			return err
		}
	}
	return nil
}

// merge takes over the keys of one mapping or of a list of them.
func (w *yamlWalk) merge(n *yaml.Node, path []any, depth int, out map[string]any) error {
	if w.nodes++; w.nodes > maxYAMLNodes || depth > maxYAMLDepth {
		return atLine(n.Line, finding.S("too much is merged", nil))
	}
	switch n.Kind {
	case yaml.AliasNode:
		return w.merge(n.Alias, path, depth+1, out)
	case yaml.MappingNode:
		return w.mapping(n, path, depth, out, true)
	case yaml.SequenceNode:
		for _, x := range n.Content {
			if err := w.merge(x, path, depth+1, out); err != nil {
				return err
			}
		}
		return nil
	}
	return atLine(n.Line, finding.S("<< wants keys and values", nil))
}

// scalar turns a single value.
func scalar(n *yaml.Node) (any, error) {
	var err error
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!str":
		return n.Value, nil
	case "!!timestamp":
		if at, err := time.Parse(time.RFC3339, n.Value); err == nil {
			return at, nil
		}
		return n.Value, nil
	case "!!int":
		var v int64
		if err = n.Decode(&v); err == nil {
			return v, nil
		}
	case "!!float":
		var v float64
		if err = n.Decode(&v); err == nil {
			return v, nil
		}
	case "!!bool":
		var v bool
		if err = n.Decode(&v); err == nil {
			return v, nil
		}
	}
	return nil, atLine(n.Line, finding.S("{{.Name}} is no value for a configuration", finding.Args{"Name": shorten(n.Value)}))
}
