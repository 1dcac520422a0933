# Aggregate reports: our tokenizer beside encoding/xml on the same bytes, and a whole summary with its memory.
.PHONY: bench-reports
bench: bench-reports
bench-reports:
	$(GO) test ./internal/mail/dmarcxml -run '^$$' -bench 'Read|EncodingXML' -benchtime 2s
	$(GO) test ./internal/check/feedback -run '^$$' -bench . -benchtime 2x
