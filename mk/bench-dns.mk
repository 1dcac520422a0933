.PHONY: bench-dns

# Domains per second and round trips, against nsd where it is installed; BENCH_DNS="-port 5399" without root.
bench: bench-dns

bench-dns:
	$(GO) run ./bench/dns $(BENCH_DNS)
	$(GO) test -run '^$$' -bench 'OneDomain|ManyDomains' -benchtime 20x ./internal/check/domain
