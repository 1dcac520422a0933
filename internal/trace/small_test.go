package trace

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
)

// A packed log that fits into memory is found in like any other.
func TestSmallPackedLog(t *testing.T) {
	const text = "Nov 22 01:00:01 mx postfix/smtpd[100]: 4F1A2B3C4D: client=mail.sender.example[192.0.2.7]\n" +
		"Nov 22 01:00:02 mx postfix/smtpd[100]: 5F1A2B3C4D: client=mail.sender.example[192.0.2.7]\n" +
		"Nov 22 01:00:03 mx postfix/qmgr[102]: 4F1A2B3C4D: removed\n"
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write([]byte(text))
	w.Close()
	name := filepath.Join(t.TempDir(), "mail.log.gz")
	if err := os.WriteFile(name, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := logs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	f, err := Scan(context.Background(), []*logs.Input{in}, Query{Kind: ByQueue, Text: "4F1A2B3C4D"}, Options{Dialects: dialects.All(), Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for range f.RawLines(context.Background()) {
		n++
	}
	if n != 2 {
		t.Errorf("%d lines found, want 2", n)
	}
}
