package cli

import (
	"fmt"
	"slices"

	"github.com/pelletier/go-toml/v2/unstable"
)

// places are the keys of a configuration file with their lines.
type places []place

type place struct {
	path []any
	at   int
}

// line finds the line of a path, or of the nearest thing around it; a path of nothing is line 1.
func (ps places) line(path []any) int {
	best, at := -1, 1
	for _, p := range ps {
		n := 0
		for n < len(p.path) && n < len(path) && p.path[n] == path[n] {
			n++
		}
		if n == len(p.path) && n > best {
			best, at = n, p.at
		}
	}
	return at
}

// tomlPlaces walks a file that decodes.
func tomlPlaces(raw []byte) (out places) {
	var p unstable.Parser
	p.Reset(raw)
	tables := map[string]int{} // how many elements an array of tables has so far
	var prefix []any
	// resolve puts the newest index behind every array of tables on the way.
	resolve := func(key []any, newest bool) []any {
		var full []any
		for i, k := range key {
			full = append(full, k)
			if n, ok := tables[fmt.Sprint(full)]; ok && (i < len(key)-1 || newest) {
				full = append(full, n-1)
			}
		}
		return full
	}
	for p.NextExpression() {
		e := p.Expression()
		var key []any
		at := 0
		for it := e.Key(); it.Next(); {
			n := it.Node()
			key = append(key, string(n.Data))
			if at == 0 {
				at = p.Shape(n.Raw).Start.Line
			}
		}
		switch e.Kind {
		case unstable.ArrayTable:
			base := resolve(key, false)
			tables[fmt.Sprint(base)]++
			prefix = append(slices.Clone(base), tables[fmt.Sprint(base)]-1)
			out = append(out, place{prefix, at})
		case unstable.Table:
			prefix = resolve(key, true)
			out = append(out, place{prefix, at})
		case unstable.KeyValue:
			out = append(out, place{slices.Concat(prefix, key), at})
		}
	}
	return out
}
