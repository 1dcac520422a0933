package finding

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"sync"
)

// zh holds the Simplified Chinese catalogue: a file per room or topic, each a flat JSON object from the English
// sentence to the Chinese one.
//
//go:embed zh/*.json
var zh embed.FS

// Chinese is the whole Chinese catalogue. It is read at first use, so that English runs do not pay for it.
var Chinese = sync.OnceValue(func() map[Msg]string {
	m, err := readCatalogue(zh)
	if err != nil {
		return nil // a test reads the same files and fails with the reason
	}
	return m
})

// readCatalogue joins all files of a catalogue. Two files may hold the same sentence only with the same translation.
func readCatalogue(dir fs.FS) (map[Msg]string, error) {
	files, err := fs.Glob(dir, "zh/*.json")
	if err != nil {
		return nil, err
	}
	all := map[Msg]string{}
	for _, name := range files {
		raw, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		var one map[Msg]string
		if err := json.Unmarshal(raw, &one); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for k, v := range one {
			if was, ok := all[k]; ok && was != v {
				return nil, fmt.Errorf("%s: %q is also translated as %q", name, k, was)
			}
			all[k] = v
		}
	}
	return all, nil
}
