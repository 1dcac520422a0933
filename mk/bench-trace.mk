# Traces beside ripgrep in two passes, and beside the bare decompressor. LOG is a plain Postfix log (a gigabyte shows most),
# QUERIES what to look for; PACKED the same log packed.
.PHONY: bench-trace
bench-trace: build
	$(GO) run ./bench/trace -mailwhy ./mailwhy -log "$(LOG)" -packed "$(PACKED)" $(QUERIES)
