# How long each page takes to be drawn in Chromium, over the data folder DATA of a mailwhy serve that is stopped (bench-load
# makes one with LOAD_FLAGS="-dir FOLDER -before 10000000000", in FOLDER/data). Its users are made anew.
.PHONY: bench-page
bench-page: ui-deps
	cd ui && node test/speed.mjs "$(abspath $(DATA))"
