.PHONY: lab lab-install

# Puts the real servers on a Debian machine; needs root. Nothing is started.
lab-install:
	lab/install

# Runs every case against the real servers; needs root.
lab:
	MAILWHY_LAB=required $(GO) test -count=1 ./lab/...
