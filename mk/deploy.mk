# The Debian package; needs dpkg-deb. VERSION is the package's.
VERSION ?= 0.0.0+$(shell git rev-parse --short HEAD 2>/dev/null || echo local)
.PHONY: deb
deb: build
	deploy/deb ./mailwhy $(VERSION) mailwhy.deb
# The RPM package; needs rpmbuild.
.PHONY: rpm
rpm: build
	deploy/rpm ./mailwhy $(VERSION) mailwhy.rpm
