// Package knowledge is what experience teaches, as dated tables that an admin can override: what an SMTP reply means
// and whose job it is, which blocklists live, which thresholds are sensible, which provider runs an MX.
//
// Promise: data, not code. Each table is a TOML file in tables/, embedded, with the date it was last checked; a linter
// (a test) holds every row. A directory given with --knowledge replaces tables of the same file name. Nothing here
// looks anything up.
package knowledge

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/pelletier/go-toml/v2"

	"github.com/mailwhy/mailwhy/internal/finding"
)

//go:embed tables/*.toml
var embedded embed.FS

// Text is a sentence of a table in both languages.
type Text struct {
	EN string `toml:"en" json:"en"`
	ZH string `toml:"zh" json:"zh"`
}

// In gives the sentence in "en" or "zh".
func (t Text) In(lang string) string {
	if lang == "zh" && t.ZH != "" {
		return t.ZH
	}
	return t.EN
}

// Say makes the text a sentence of a finding.
func (t Text) Say() finding.Sentence { return finding.Both(t.EN, t.ZH) }

// Base is the set of tables of a run. Tables are parsed at first use.
type Base struct {
	dirs []fs.FS
	mu   sync.Mutex
	done map[string]any
}

// Embedded is the Base of the tables in the binary.
func Embedded() *Base { return &Base{dirs: []fs.FS{sub(embedded)}} }

// Open is the Base of the tables in the binary with those of dir in front: a file there replaces the embedded file of
// the same name. An unreadable directory is an error that names it.
func Open(dir string) (*Base, error) {
	if st, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("knowledge directory: %w", err)
	} else if !st.IsDir() {
		return nil, fmt.Errorf("knowledge directory %s: not a directory", dir)
	}
	return &Base{dirs: []fs.FS{os.DirFS(dir), sub(embedded)}}, nil
}

// Over is the Base of the tables in the binary with those of dir in front, where dir is any file system: a test's or a
// demo's.
func Over(dir fs.FS) *Base { return &Base{dirs: []fs.FS{dir, sub(embedded)}} }

func sub(f embed.FS) fs.FS {
	d, err := fs.Sub(f, "tables")
	if err != nil {
		panic(err) // the directory is embedded above
	}
	return d
}

// load decodes a table strictly: an unknown key is an error that names it.
func load[T any](b *Base, file string) (*T, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if v, ok := b.done[file]; ok {
		return v.(*T), nil
	}
	raw, err := b.read(file)
	if err != nil {
		return nil, err
	}
	v := new(T)
	if err := decode(raw, v); err != nil {
		return nil, fmt.Errorf("knowledge table %s: %w", file, err)
	}
	if b.done == nil {
		b.done = map[string]any{}
	}
	b.done[file] = v
	return v, nil
}

func (b *Base) read(file string) ([]byte, error) {
	for _, d := range b.dirs {
		if raw, err := fs.ReadFile(d, file); err == nil {
			return raw, nil
		}
	}
	return nil, fmt.Errorf("knowledge table %s: not found", file)
}

func decode(raw []byte, v any) error {
	d := toml.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(v)
}
