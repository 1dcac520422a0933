package lab

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/mailwhy/mailwhy/internal/change"
)

// blocked are the entries of the desk whose exports the real programs load, and what each must say.
var blocked = []string{"203.0.113.7", "198.51.100.0/26", "2001:db8:1::/48", "spam.example"}

func exported(t *testing.T, format string) string {
	t.Helper()
	now := time.Now()
	var active []change.Entry
	for i, what := range blocked {
		w, _ := change.ParseWhat(what)
		active = append(active, change.Entry{ID: fmt.Sprintf("e%d", i), What: w, Reason: "a test; { of # everything }", At: now, Until: now.Add(time.Hour), Decided: &change.Act{By: "li", At: now}, Approved: true})
	}
	var b bytes.Buffer
	if _, err := change.Export(&b, format, active, now); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// ask runs a program in a root and gives what it prints; its exit status is no news where it says "not found".
func ask(t *testing.T, r *root, stdin string, args ...string) string {
	t.Helper()
	line := r.inside(args...)
	cmd := exec.CommandContext(t.Context(), line[0], line[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil && errs.Len() > 0 {
		t.Errorf("%v: %v: %s", args, err, errs.String())
	}
	return strings.TrimSpace(string(out))
}

func rootFor(t *testing.T, name string) *root {
	t.Helper()
	w := lab(t)
	r, err := mountRoot(w.cache, t.TempDir(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.unmount(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestBlockPostfix(t *testing.T) {
	r := rootFor(t, "postfix")
	if err := r.write("/etc/postfix/main.cf", "compatibility_level = 3.6\n"); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"postfix-cidr", "postfix-access"} {
		if err := r.write("/tmp/"+f, exported(t, f)); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range []struct{ table, key, want string }{
		{"cidr:/tmp/postfix-cidr", "203.0.113.7", "REJECT 5.7.1 Blocked by local policy, entry e0"},
		{"cidr:/tmp/postfix-cidr", "203.0.113.8", ""},
		{"cidr:/tmp/postfix-cidr", "198.51.100.63", "REJECT 5.7.1 Blocked by local policy, entry e1"},
		{"cidr:/tmp/postfix-cidr", "198.51.100.64", ""},
		{"cidr:/tmp/postfix-cidr", "2001:db8:1:ffff::1", "REJECT 5.7.1 Blocked by local policy, entry e2"},
		{"texthash:/tmp/postfix-access", "198.51.100.63", "REJECT 5.7.1 Blocked by local policy, entry e1"},
		{"texthash:/tmp/postfix-access", "198.51.100.64", ""},
		{"texthash:/tmp/postfix-access", "2001:db8:1", "REJECT 5.7.1 Blocked by local policy, entry e2"},
		{"texthash:/tmp/postfix-access", "spam.example", "REJECT 5.7.1 Blocked by local policy, entry e3"},
	} {
		if got := ask(t, r, "", "postmap", "-q", q.key, q.table); got != q.want {
			t.Errorf("postmap -q %s %s: %q, want %q", q.key, q.table, got, q.want)
		}
	}
}

func TestBlockExim(t *testing.T) {
	r := rootFor(t, "exim")
	for _, f := range []string{"exim-hosts", "exim-domains"} {
		if err := r.write("/tmp/"+f, exported(t, f)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.write("/tmp/exim.conf", "begin routers\n"); err != nil {
		t.Fatal(err)
	}
	for _, q := range []struct{ test, what, want string }{
		{"match_ip", "203.0.113.7", "yes"}, {"match_ip", "203.0.113.8", "no"}, {"match_ip", "198.51.100.63", "yes"}, {"match_ip", "198.51.100.64", "no"},
		{"match_ip", "2001:db8:1:ffff::1", "yes"}, {"match_ip", "2001:db8:2::1", "no"},
		{"match_domain", "spam.example", "yes"}, {"match_domain", "mail.spam.example", "yes"}, {"match_domain", "notspam.example", "no"},
	} {
		file := map[string]string{"match_ip": "exim-hosts", "match_domain": "exim-domains"}[q.test]
		expr := fmt.Sprintf("${if %s{%s}{/tmp/%s}{yes}{no}}", q.test, q.what, file)
		if got := ask(t, r, "", "exim4", "-C", "/tmp/exim.conf", "-be", expr); got != q.want {
			t.Errorf("exim -be '%s': %q, want %q", expr, got, q.want)
		}
	}
}

// TestBlockNft loads the file twice into a network namespace of its own: what stood in the sets before is gone.
func TestBlockNft(t *testing.T) {
	lab(t)
	dir := t.TempDir()
	text := exported(t, "nft")
	old := strings.Replace(text, "203.0.113.7", "203.0.113.99", 1)
	for name, s := range map[string]string{"old": old, "new": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "unshare", "--net", "sh", "-ec", `nft -f "$0/old"; nft -f "$0/new"; nft list table inet mailwhy`, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
	for _, want := range []string{"203.0.113.7", "198.51.100.0/26", "2001:db8:1::/48"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the sets lack %s:\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "203.0.113.99") {
		t.Errorf("an entry of the file before is still there:\n%s", out)
	}
}

func TestBlockRbldnsd(t *testing.T) {
	lab(t)
	// rbldnsd gives up root, and a folder of t.TempDir lies below one that only root may enter.
	dir, err := os.MkdirTemp("", "mailwhy-rbldnsd-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "block"), []byte(exported(t, "rbldnsd")), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := c.LocalAddr().String()
	c.Close()
	host, port, _ := net.SplitHostPort(addr)
	cmd := exec.CommandContext(t.Context(), "rbldnsd", "-n", "-b", host+"/"+port, "-w", dir, "-u", "rbldns", "block.example:combined:block")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for _, q := range []struct {
		name   string
		listed bool
	}{
		{"7.113.0.203.block.example.", true}, {"8.113.0.203.block.example.", false}, {"63.100.51.198.block.example.", true}, {"64.100.51.198.block.example.", false},
		{"spam.example.block.example.", true}, {"mail.spam.example.block.example.", true}, {"ham.example.block.example.", false},
		{"2.0.0.127.block.example.", true}, {"1.0.0.127.block.example.", false},
		{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.block.example.", true},
		{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.8.b.d.0.1.0.0.2.block.example.", false},
	} {
		m := new(dns.Msg).SetQuestion(q.name, dns.TypeA)
		var r *dns.Msg
		var err error
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
			if r, err = dns.ExchangeContext(t.Context(), m, addr); err == nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if err != nil {
			t.Fatalf("%s: %v: %s", q.name, err, said.String())
		}
		if got := len(r.Answer) > 0; got != q.listed {
			t.Errorf("%s: listed %v, want %v: %s", q.name, got, q.listed, said.String())
		}
	}
}
