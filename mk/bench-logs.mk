# Log summaries beside pflogsumm; BENCH_LOGS="-size 1073741824" for a gigabyte. With EXIM=FILE, an Exim main log, beside
# eximstats too.
.PHONY: bench-logs
bench: bench-logs
bench-logs:
	$(GO) run ./bench/logs $(BENCH_LOGS)
	$(if $(EXIM),$(GO) run ./bench/logs -log "$(EXIM)" -peer eximstats -aim 10)
