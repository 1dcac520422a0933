package spamd

import (
	"context"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// daemon finds a program of the system, or skips; with MAILWHY_LAB=required its absence is a failure. Without MAILWHY_LAB
// the test is skipped, since the daemon takes seconds to start.
func daemon(t *testing.T, names ...string) string {
	t.Helper()
	lab := os.Getenv("MAILWHY_LAB")
	for _, n := range names {
		if p, err := exec.LookPath(n); err == nil {
			if lab == "" {
				t.Skipf("%s is here, but MAILWHY_LAB is not set: not started", p)
			}
			return p
		}
	}
	if lab == "required" {
		t.Fatalf("none of %v is installed", names)
	}
	t.Skipf("none of %v is installed", names)
	return ""
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

// TestRealSpamd asks Debian's SpamAssassin.
func TestRealSpamd(t *testing.T) {
	bin := daemon(t, "spamd", "/usr/sbin/spamd")
	port := freePort(t)
	args := []string{"--listen", "127.0.0.1:" + port, "--local", "--max-children", "1", "--nouser-config", "-x", "-s", "stderr"}
	if os.Geteuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Dir = t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	msg := []byte("From: a@b.example\r\nTo: c@d.example\r\nSubject: x\r\nDate: Mon, 5 Feb 2024 10:00:00 +0800\r\nMessage-ID: <1@b.example>\r\n\r\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n")
	var r *Result
	var err error
	for ctx.Err() == nil {
		if r, err = Report(ctx, Options{Addr: "127.0.0.1:" + port, Dial: &net.Dialer{}, Timeout: 20 * time.Second}, msg); err == nil {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !r.Spam || r.Score < 100 || len(r.Rules) == 0 || r.Rules[0].Name == "" {
		t.Errorf("the test mark was not taken for spam: %+v", r)
	}
}
