# Traces beside ripgrep in two passes, and beside the bare decompressor. LOG is a plain Postfix log (a gigabyte shows most),
# QUERIES what to look for; PACKED the same log packed. With EXIM=FILE, an Exim main log, and EXIM_QUERIES beside exigrep.
.PHONY: bench-trace
bench-trace: build
	$(if $(LOG),$(GO) run ./bench/trace -mailwhy ./mailwhy -log "$(LOG)" -packed "$(PACKED)" $(QUERIES))
	$(if $(EXIM),$(GO) run ./bench/trace -mailwhy ./mailwhy -exim -log "$(EXIM)" $(EXIM_QUERIES))
