# STARTTLS probes, beside prometheus-blackbox-exporter where it is installed.
.PHONY: bench-smtp
bench: bench-smtp
bench-smtp:
	$(GO) test ./internal/wire/smtp -run '^$$' -bench 'StartTLS|Blackbox' -benchtime 4000x
