# The embedded store: import, size, memory, look-ups, overview, live intake. LOG is a plain Postfix log (a gigabyte holds a
# million deliveries, ten of them ten), STORE a folder that is emptied.
.PHONY: bench-store
bench-store:
	$(GO) run ./bench/store -log "$(LOG)" -dir "$(STORE)"
