# The page under load: 200 users search while 20,000 lines a second come in. LOAD_FLAGS="-before 10000000000" stores ten
# million deliveries first, "-users 50 -for 10s" changes the rest.
.PHONY: bench-load
bench: bench-load
bench-load: build
	$(GO) build -o bench/tmp/maillog ./bench/maillog
	$(GO) run ./bench/load -mailwhy ./mailwhy -maillog bench/tmp/maillog $(LOAD_FLAGS)
