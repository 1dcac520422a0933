# Every fuzz target for a number of runs; FUZZTIME=10m for a long one. A number, because go test may report a time that
# runs out in the middle of a run as a failure.
FUZZTIME ?= 5000x

fuzz:
	$(GO) test -run TestEveryParserIsFuzzed ./internal
	@set -e; for f in $$(grep -rlE '^func Fuzz' --include='*_test.go' internal); do \
	  d=./$$(dirname $$f); \
	  for t in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' $$f); do \
	    echo "$$d $$t"; $(GO) test -run '^$$' -fuzz "^$$t\$$" -fuzztime $(FUZZTIME) $$d >/tmp/mailwhy-fuzz.$$$$ 2>&1 || { cat /tmp/mailwhy-fuzz.$$$$; exit 1; }; \
	  done; done; rm -f /tmp/mailwhy-fuzz.$$$$

# The race detector needs cgo and a C compiler; the binary itself does not.
race:
	CGO_ENABLED=1 $(GO) test -race -short ./internal/...
