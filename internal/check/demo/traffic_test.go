package demo

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
)

// TestTraffic holds that the made-up logs are understood to the last line, and that the same seed gives the same ones.
func TestTraffic(t *testing.T) {
	from := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	write := func() map[string]*bytes.Buffer {
		out := map[string]*bytes.Buffer{}
		for _, h := range Hosts {
			out[h] = &bytes.Buffer{}
		}
		tr := NewTraffic(1, from, from.Add(20*time.Hour))
		for h := 1; h <= 30; h++ {
			if err := tr.WriteUntil(from.Add(time.Duration(h)*time.Hour), 40, func(h string) io.Writer { return out[h] }); err != nil {
				t.Fatal(err)
			}
		}
		return out
	}
	first, second := write(), write()
	dir := t.TempDir()
	var inputs []*logs.Input
	for _, h := range Hosts {
		if first[h].Len() == 0 || !bytes.Equal(first[h].Bytes(), second[h].Bytes()) {
			t.Fatalf("%s: %d and %d bytes, not the same", h, first[h].Len(), second[h].Len())
		}
		name := filepath.Join(dir, h+".log")
		if err := os.WriteFile(name, first[h].Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		in, err := logs.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		inputs = append(inputs, in)
	}
	opt := trace.Options{Local: time.UTC, Dialects: dialects.All()}
	counts, errs := trace.Unparsed(context.Background(), inputs, opt, func(_ string, l []byte) { t.Errorf("not understood: %s", l) })
	if len(errs) > 0 || counts.Unparsed > 0 || counts.Mail < 1000 {
		t.Errorf("%+v, %v", counts, errs)
	}
}
