.PHONY: ui ui-deps ui-install ui-test ui-types

# Builds the pages into internal/web/dist, from where the next `make build` takes them. Needs Node.js 20.19 or later.
ui: ui-deps
	cd ui && npm run --silent types && npm run --silent build

ui-deps: ui/node_modules/.package-lock.json

ui/node_modules/.package-lock.json: ui/package.json ui/package-lock.json
	cd ui && npm ci --silent --no-audit --no-fund
	touch $@

# Makes the shapes of the API anew from docs/openapi.json and holds the pages against them; part of `make ui`.
ui-types: ui-deps
	cd ui && npm run --silent types

# Drives the pages in Chromium (Debian's, or the one that CHROMIUM names). Run `make ui build` before.
ui-test: ui-deps
	cd ui && npm test --silent

# What the pages are built and tested with, on a Debian machine; needs root.
ui-install:
	command -v chromium >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium
	node -e 'const [a, b] = process.versions.node.split(".").map(Number); if (a < 20 || (a === 20 && b < 19)) { console.error("Node.js " + process.version + " is too old: 20.19 or later builds the pages"); process.exit(1) }'
