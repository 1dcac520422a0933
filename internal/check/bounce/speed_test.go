package bounce

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

// BenchmarkSisimai has Debian's libsisimai-perl read the same files, for the ratio.
func BenchmarkSisimai(b *testing.B) {
	dir := os.Getenv("MAILWHY_DATA")
	if dir == "" {
		dir = "../../../../shared/data"
	}
	files, err := filepath.Glob(filepath.Join(dir, "bounces", "mails", "*.eml"))
	if err != nil || len(files) == 0 {
		b.Skipf("no sample reports: looked in %s", dir)
	}
	if exec.Command("perl", "-MSisimai", "-e", "1").Run() != nil {
		b.Skip("libsisimai-perl is not installed")
	}
	const turns = 5
	script := `use Sisimai; use Time::HiRes "time"; my $t = time; for (1..` + strconv.Itoa(turns) + `) { Sisimai->make($_) for @ARGV } print time - $t`
	n, took := 0, 0.0
	for b.Loop() {
		out, err := exec.Command("perl", append([]string{"-e", script}, files...)...).Output()
		if err != nil {
			b.Fatal(err)
		}
		s, err := strconv.ParseFloat(string(out), 64)
		if err != nil {
			b.Fatal(err)
		}
		n, took = n+turns*len(files), took+s
	}
	b.ReportMetric(float64(n)/took, "mails/s")
}
