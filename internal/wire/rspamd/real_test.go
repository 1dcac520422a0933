package rspamd

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestRealRspamd asks Debian's rspamd, started with its own configuration on a port of ours. It takes ten seconds to
// start, so it runs only where MAILWHY_LAB is set; with MAILWHY_LAB=required its absence is a failure.
func TestRealRspamd(t *testing.T) {
	lab := os.Getenv("MAILWHY_LAB")
	bin, err := exec.LookPath("rspamd")
	switch {
	case err != nil && lab == "required":
		t.Fatal("rspamd is not installed")
	case err != nil:
		t.Skip("rspamd is not installed")
	case lab == "":
		t.Skip("rspamd is here, but MAILWHY_LAB is not set: not started")
	}
	port := freePort(t)
	dir, err := os.MkdirTemp("", "rspamd") // rspamd drops its privileges: its folders must be open to it
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	conf := filepath.Join(dir, "etc")
	if err := os.CopyFS(conf, os.DirFS("/etc/rspamd")); err != nil {
		t.Skipf("the configuration of rspamd cannot be copied: %v", err)
	}
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(conf, "local.d", "worker-normal.inc"), "bind_socket = \"127.0.0.1:"+port+"\";\n")
	for _, w := range []string{"controller", "proxy", "fuzzy"} {
		write(filepath.Join(conf, "local.d", "worker-"+w+".inc"), "enabled = false;\n")
	}
	args := []string{"-f", "-i", "-c", filepath.Join(conf, "rspamd.conf"), "--var=CONFDIR=" + conf, "--var=LOCAL_CONFDIR=" + conf}
	for _, v := range []string{"DB", "LOG", "RUN"} {
		d := filepath.Join(dir, v)
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--var="+v+"DIR="+d)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Signal(os.Interrupt); _ = cmd.Wait() }()
	msg := []byte("From: a@b.example\r\nTo: c@d.example\r\nSubject: x\r\nDate: Mon, 5 Feb 2024 10:00:00 +0800\r\nMessage-ID: <1@b.example>\r\n\r\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n")
	var r *Result
	for ctx.Err() == nil {
		if r, err = Check(ctx, Options{URL: "http://127.0.0.1:" + port, Dial: &net.Dialer{}, Timeout: 20 * time.Second}, msg); err == nil {
			break
		}
		time.Sleep(300 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	if r.Action != "reject" {
		t.Errorf("the test mark was not refused: %+v", r)
	}
}

// freePort gives a port nobody listens on at this moment.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
