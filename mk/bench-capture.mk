# Packet captures: bytes per second on one core, and a million streams of one packet each.
.PHONY: bench-capture
bench: bench-capture
bench-capture:
	$(GO) test ./internal/wire/capture -run '^$$' -bench 'Read' -benchtime 1s -cpu 1 -benchmem
