package lab

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// program finds a program of Debian or skips; in CI it must be there.
func program(t *testing.T, name string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("MAILWHY_LAB") == "required" {
			t.Fatalf("MAILWHY_LAB=required, but: no %s", name)
		}
		t.Skipf("no %s on this machine", name)
	}
	return p
}

func do(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// built gives a binary of this tree.
func built(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "mailwhy")
	c := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, "..")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// systemd has nothing to say against the unit. The binary it names is put where it may look for it.
func TestUnitVerifies(t *testing.T) {
	verify := program(t, "systemd-analyze")
	raw, err := os.ReadFile("../deploy/systemd/mailwhy.service")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	there, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(dir, "mailwhy.service")
	if err := os.WriteFile(unit, bytes.ReplaceAll(raw, []byte("/usr/bin/mailwhy"), []byte(there)), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), verify, "verify", "--man=no", unit)
	out, err := c.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "mailwhy.service") {
			t.Error(strings.TrimSpace(line))
		}
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	c = exec.CommandContext(t.Context(), verify, "security", "--offline=yes", "--threshold=30", unit) // 3.0 of 10 and better
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// needRoot skips a test that installs a package where it may not, unless the lab is required.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("MAILWHY_LAB") == "required" {
		t.Fatal("MAILWHY_LAB=required, but: not root")
	}
	t.Skip("installing a package needs root")
}

// The Debian package installs into an empty root, runs there, and goes away again without a trace but its configuration,
// and that with a purge.
func TestDebianPackage(t *testing.T) {
	dpkg := program(t, "dpkg")
	program(t, "dpkg-deb")
	needRoot(t)
	deb := filepath.Join(t.TempDir(), "mailwhy.deb")
	t.Setenv("DEB_COMPRESSOR", "none") // the test is about what is in it
	do(t, "../deploy/deb", built(t), "0.1.0", deb)
	root := t.TempDir()
	for _, d := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	in := func(args ...string) string {
		t.Helper()
		return do(t, dpkg, append([]string{"--root=" + root, "--force-script-chrootless", "--log=" + filepath.Join(root, "log")}, args...)...)
	}
	in("--install", deb)
	if v := do(t, filepath.Join(root, "usr/bin/mailwhy"), "version"); !strings.Contains(v, "mailwhy") {
		t.Errorf("%s", v)
	}
	data := filepath.Join(root, "var/lib/mailwhy")
	do(t, filepath.Join(root, "usr/bin/mailwhy"), "config", "check", filepath.Join(root, "etc/mailwhy/mailwhy.toml"))
	if err := os.MkdirAll(data, 0o750); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"usr/lib/systemd/system/mailwhy.service", "usr/share/man/man1/mailwhy.1.gz", "usr/share/man/man1/mailwhy-serve.1.gz", "usr/share/bash-completion/completions/mailwhy", "usr/share/doc/mailwhy/copyright"} {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Error(err)
		}
	}
	in("--remove", "mailwhy")
	if _, err := os.Stat(filepath.Join(root, "usr/bin/mailwhy")); err == nil {
		t.Error("the program is still there")
	}
	for _, name := range []string{"etc/mailwhy/mailwhy.toml", "var/lib/mailwhy"} {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Errorf("removed, not purged: %v", err)
		}
	}
	in("--purge", "mailwhy")
	for _, name := range []string{"etc/mailwhy", "var/lib/mailwhy"} {
		if _, err := os.Stat(filepath.Join(root, name)); err == nil {
			t.Errorf("%s is still there after a purge", name)
		}
	}
}

// The RPM package holds what the Debian one does, keeps the configuration apart, installs into an empty root, runs there, and
// goes away again.
func TestRPMPackage(t *testing.T) {
	rpm := program(t, "rpm")
	program(t, "rpmbuild")
	needRoot(t)
	name := filepath.Join(t.TempDir(), "mailwhy.rpm")
	t.Setenv("RPM_COMPRESSOR", "w1.gzdio") // the test is about what is in it
	do(t, "../deploy/rpm", built(t), "0.1.0-rc1", name)
	files := do(t, rpm, "-qpl", name)
	for _, want := range []string{"/usr/bin/mailwhy", "/etc/mailwhy/mailwhy.toml", "/usr/lib/systemd/system/mailwhy.service", "/usr/share/man/man1/mailwhy.1.gz", "/usr/share/man/man1/mailwhy-serve.1.gz", "/usr/share/bash-completion/completions/mailwhy", "/usr/share/licenses/mailwhy/LICENSE"} {
		if !strings.Contains(files, want+"\n") {
			t.Errorf("no %s in\n%s", want, files)
		}
	}
	if kept := do(t, rpm, "-qpc", name); strings.TrimSpace(kept) != "/etc/mailwhy/mailwhy.toml" {
		t.Errorf("configuration files: %q", kept)
	}
	if version := do(t, rpm, "-qp", "--qf", "%{VERSION}", name); version != "0.1.0~rc1" {
		t.Errorf("version %q", version)
	}
	if needs := do(t, rpm, "-qpR", name); strings.Contains(needs, "libc") {
		t.Errorf("it needs %s", needs)
	}
	scripts := do(t, rpm, "-qp", "--scripts", name)
	for _, want := range []string{"postinstall", "preuninstall", "postuninstall", "disable --now mailwhy.service", "try-restart mailwhy.service"} {
		if !strings.Contains(scripts, want) {
			t.Errorf("no %s in\n%s", want, scripts)
		}
	}
	root := t.TempDir()
	in := func(args ...string) string {
		t.Helper()
		return do(t, rpm, append([]string{"--root", root, "--nodeps", "--noscripts"}, args...)...)
	}
	in("-i", name)
	if v := do(t, filepath.Join(root, "usr/bin/mailwhy"), "version"); !strings.Contains(v, "mailwhy") {
		t.Errorf("%s", v)
	}
	do(t, filepath.Join(root, "usr/bin/mailwhy"), "config", "check", filepath.Join(root, "etc/mailwhy/mailwhy.toml"))
	in("-e", "mailwhy")
	for _, gone := range []string{"usr/bin/mailwhy", "usr/lib/systemd/system/mailwhy.service"} {
		if _, err := os.Stat(filepath.Join(root, gone)); err == nil {
			t.Errorf("%s is still there", gone)
		}
	}
}
