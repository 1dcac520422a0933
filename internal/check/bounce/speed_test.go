package bounce

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mailwhy/mailwhy/internal/mail/dsn"
)

// BenchmarkSharedBounces reads all sample reports once per turn; mails/s is the figure that docs/benchmarks.md keeps.
func BenchmarkSharedBounces(b *testing.B) {
	dir := os.Getenv("MAILWHY_DATA")
	if dir == "" {
		dir = "../../../../shared/data"
	}
	files, err := filepath.Glob(filepath.Join(dir, "bounces", "mails", "*.eml"))
	if err != nil || len(files) == 0 {
		b.Skipf("no sample reports: looked in %s", dir)
	}
	r := reader(b)
	r.Read([]byte("From: a@b.example\n\nx"))
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		for _, f := range files {
			raw, err := os.ReadFile(f)
			if err != nil {
				b.Fatal(err)
			}
			for _, m := range dsn.Split(raw) {
				r.Read(m)
				n++
			}
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "mails/s")
}
