# The project's commands. `make demo` and `make test` need Go and nothing else.
GO ?= go

.PHONY: build test demo lab lab-install conformance bench generate check-generated lint fuzz cross

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o mailwhy .

test:
	$(GO) test ./...

# The pages are built where Node.js is there; the service runs without them, too. DEMO_FLAGS="--for 20s" ends it by itself.
demo: demo-ui build
	./mailwhy demo
	./mailwhy demo --live $(DEMO_FLAGS)

.PHONY: demo-ui
demo-ui:
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory ui || echo "The pages could not be built; the API runs without them."; \
	else echo "No Node.js here: the API runs without the pages."; fi

generate:
	$(GO) run . gendocs docs

check-generated: generate
	git diff --exit-code -- docs

include $(wildcard mk/*.mk)
