package cli

import (
	"strings"
	"testing"
)

func TestRecordedCommandLine(t *testing.T) {
	for in, want := range map[string]string{
		"check mine.example --record a.tape":                   "check mine.example",
		"--record=a.tape deliver li@mine.example":              "deliver li@mine.example",
		"--lang en --resolver 192.0.2.1 -v check mine.example": "check --resolver 192.0.2.1 -v mine.example",
		"check --lang=en --json mine.example --record a -v":    "check --json mine.example -v",
		"--record a.tape": "",
		"":                "",
		"deliver --timeout 1s --record a.tape -- li@mine.example": "deliver --timeout 1s -- li@mine.example",
	} {
		if got := strings.Join(recorded(strings.Fields(in), true), " "); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}
