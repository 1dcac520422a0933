# Scores over samples with known answers; the samples are looked for in MAILWHY_DATA (default ../shared/data).
conformance:
	$(GO) run ./conformance $(CONFORMANCE)
