# DKIM verification of a mail of 4 kB with RSA-2048, beside emersion/go-msgauth. Compare the CPU time on a busy machine.
.PHONY: bench-dkim
bench: bench-dkim
bench-dkim:
	$(GO) test ./internal/mail/dkim -run '^$$' -bench 'Verify|Msgauth' -benchtime 15000x -cpu 1
