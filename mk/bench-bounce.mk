# Bounces per second over the sample reports, beside Debian's libsisimai-perl where it is installed.
.PHONY: bench-bounce
bench: bench-bounce
bench-bounce:
	$(GO) test ./internal/check/bounce -run '^$$' -bench 'SharedBounces|Sisimai' -benchtime 2s
	$(GO) test ./internal/knowledge -run '^$$' -bench ReadReply -benchtime 1s
