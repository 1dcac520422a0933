package domain_test

import (
	"context"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check/domain"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// BenchmarkOneDomain is one domain, all DNS checks, each answer 20 ms away: the time is a multiple of round trips.
func BenchmarkOneDomain(b *testing.B) {
	const delay = 20 * time.Millisecond
	for b.Loop() {
		b.StopTimer()
		env, _ := world(b, delay)
		b.StartTimer()
		domain.Survey(context.Background(), env, "mine.test", domain.Options{})
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(delay), "round-trips")
}

// BenchmarkManyDomains is a list, DNS checks only, 100 at once, against a server in the same process.
func BenchmarkManyDomains(b *testing.B) {
	env, _ := world(b, 0)
	env.Probe.Many = true
	b.ResetTimer()
	if err := domain.Many(context.Background(), env, names(b.N), 100, func(*finding.Report) error { return nil }); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "domains/s")
}
