# Thirty resolvers, and sixty blocklists, asked at once: the time beside the slowest single answer.
.PHONY: bench-network
bench: bench-network
bench-network:
	$(GO) test ./internal/check/court -run '^$$' -bench Court -benchtime 5x
	$(GO) test ./internal/check/blocklist -run '^$$' -bench Lists -benchtime 5x
