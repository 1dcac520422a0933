# Log summaries beside pflogsumm; BENCH_LOGS="-size 1073741824" for a gigabyte.
.PHONY: bench-logs
bench: bench-logs
bench-logs:
	$(GO) run ./bench/logs $(BENCH_LOGS)
