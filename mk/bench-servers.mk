# Needs root and the lab's servers.
.PHONY: bench-servers
bench: bench-servers
bench-servers:
	MAILWHY_LAB_ONLY='server-slow' $(GO) test ./lab -run '^$$' -bench 'Server|TLS' -benchtime 10x
