# The project's commands. `make demo` and `make test` need Go and nothing else.
GO ?= go

.PHONY: build test demo lab lab-install conformance bench generate check-generated lint fuzz cross

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o mailwhy .

test:
	$(GO) test ./...

demo: build
	./mailwhy demo

generate:
	$(GO) run . gendocs docs

check-generated: generate
	git diff --exit-code -- docs

include $(wildcard mk/*.mk)
