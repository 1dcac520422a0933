package cli

import (
	"encoding"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/notify"
)

// writeConfigSchema writes the JSON schema of the configuration file out of its Go types, for editors and for
// configurations made by programs. mailwhy config check knows more: what each kind asks for.
func writeConfigSchema(name string) error {
	s := schemaOf(reflect.TypeFor[Config]())
	s["$schema"], s["$id"], s["title"] = "https://json-schema.org/draft/2020-12/schema", "config.schema.json", "Configuration of mailwhy serve"
	var kinds, channels []any
	for _, k := range monitor.Kinds() {
		kinds = append(kinds, k.Name)
	}
	for _, k := range notify.Kinds() {
		channels = append(channels, k.Name)
	}
	narrow(s, []string{"monitor", "kind"}, kinds)
	narrow(s, []string{"channel", "kind"}, channels)
	raw, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(raw, '\n'), 0o644)
}

// narrow sets the words that a key of a list of tables may have.
func narrow(s map[string]any, path []string, words []any) {
	list, _ := s["properties"].(map[string]any)[path[0]].(map[string]any)
	items, _ := list["items"].(map[string]any)
	props, _ := items["properties"].(map[string]any)
	if key, ok := props[path[1]].(map[string]any); ok {
		key["enum"] = words
	}
}

var (
	textType = reflect.TypeFor[encoding.TextUnmarshaler]()
	timeType = reflect.TypeFor[time.Time]()
)

// schemaOf says a type of the configuration as JSON schema.
func schemaOf(t reflect.Type) map[string]any {
	switch {
	case t.Kind() == reflect.Pointer:
		return schemaOf(t.Elem())
	case t == timeType:
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.PointerTo(t).Implements(textType):
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Struct:
		props := map[string]any{}
		addFields(t, props)
		return map[string]any{"type": "object", "properties": props, "additionalProperties": false}
	case reflect.Slice, reflect.Array:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer"}
	}
	return map[string]any{}
}

// addFields takes the keys of a struct; those of an embedded one stand beside its own.
func addFields(t reflect.Type, props map[string]any) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
		switch {
		case f.Anonymous && name == "":
			addFields(f.Type, props)
		case !f.IsExported() || name == "-":
		default:
			if name == "" {
				name = strings.ToLower(f.Name)
			}
			props[name] = schemaOf(f.Type)
		}
	}
}
