package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/mailwhy/mailwhy/lab/netns"
)

// The name all resolvers are asked for: the mail server of a case that is in order.
const courtName = "mx.to-li.example"

// A resolver of the court: a real one, with a fault of its own.
type witness struct {
	name, addr string
	// start begins it; right is the true address of courtName.
	start func(w *World, dir, addr, right string) (*Process, error)
	// prime makes it remember something before it is asked.
	prime func(ctx context.Context, w *World, dir, addr string) error
}

// unbound starts an Unbound with settings of its own.
func unbound(name string, settings ...string) func(w *World, dir, addr, right string) (*Process, error) {
	return func(w *World, dir, addr, right string) (*Process, error) {
		conf := filepath.Join(dir, name+".conf")
		text := fmt.Sprintf("server:\n interface: %s\n access-control: 0.0.0.0/0 allow\n username: \"\"\n chroot: \"\"\n directory: %q\n pidfile: \"\"\n use-syslog: no\n num-threads: 1\n do-daemonize: no\n"+
			" do-not-query-localhost: no\n module-config: \"iterator\"\n root-hints: %q\n ede: yes\n%s\n", addr, dir, filepath.Join(w.Dir, "dns", "root.hints"), strings.Join(settings, "\n"))
		if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
			return nil, err
		}
		return start(w.Servers, dir, name, "unbound", "-d", "-p", "-c", conf)
	}
}

// dnsmasq starts a dnsmasq before the lab's Unbound.
func dnsmasq(name string, args ...string) func(w *World, dir, addr, right string) (*Process, error) {
	return func(w *World, dir, addr, right string) (*Process, error) {
		return start(w.Servers, dir, name, append([]string{"dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--no-poll", "--conf-file=/dev/null", "--pid-file=",
			"--user=root", "--group=root", "--listen-address=" + addr, "--bind-interfaces", "--server=" + ResolverV4}, args...)...)
	}
}

// rewriting is BIND with a redirect zone: every name that does not exist leads to one address.
func rewriting(w *World, dir, addr, _ string) (*Process, error) {
	files := map[string]string{
		"redirect.db": "$TTL 60\n@ SOA a. b. 1 60 60 60 60\n@ NS a.\n* A 11.0.7.99\n",
		"named.conf": fmt.Sprintf("options { directory %q; pid-file none; session-keyfile none; lock-file none; listen-on { %s; }; listen-on-v6 { none; }; recursion yes; allow-query { any; }; allow-recursion { any; }; dnssec-validation no; };\n"+
			"controls { };\nzone \".\" { type hint; file %q; };\nzone \".\" { type redirect; file \"redirect.db\"; };\n", dir, addr, filepath.Join(w.Dir, "dns", "root.hints")),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return start(w.Servers, dir, "rewriting", "named", "-g", "-n", "1", "-c", filepath.Join(dir, "named.conf"))
}

// past starts a dnsmasq that gives an old address, lets the resolver learn it, and takes it away again.
func past(upstream, ttl string) func(ctx context.Context, w *World, dir, addr string) error {
	return func(ctx context.Context, w *World, dir, addr string) error {
		p, err := dnsmasq("past-"+upstream, "--address=/"+courtName+"/11.0.7.77", "--local-ttl="+ttl)(w, dir, upstream, "")
		if err != nil {
			return err
		}
		defer p.Stop()
		if err := p.ready(w.Servers, "tcp", joinPort(upstream, 53)); err != nil {
			return err
		}
		m, err := w.Query(ctx, addr, courtName+".", dns.TypeA)
		if err != nil || len(m.Answer) != 1 {
			return fmt.Errorf("%s did not learn the old address: %v %w", addr, m, err)
		}
		return nil
	}
}

// outlived is past with an answer that lives a second, and waits until the resolver itself says that it is out of date
// (EDE 3, RFC 8914).
func outlived(upstream string) func(ctx context.Context, w *World, dir, addr string) error {
	return func(ctx context.Context, w *World, dir, addr string) error {
		if err := past(upstream, "1")(ctx, w, dir, addr); err != nil {
			return err
		}
		for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(200 * time.Millisecond) {
			m, err := w.Query(ctx, addr, courtName+".", dns.TypeA)
			if err != nil || m.IsEdns0() == nil {
				continue
			}
			for _, o := range m.IsEdns0().Option {
				if e, ok := o.(*dns.EDNS0_EDE); ok && e.InfoCode == dns.ExtendedErrorCodeStaleAnswer {
					return nil
				}
			}
		}
		return fmt.Errorf("%s never said that its answer is out of date", addr)
	}
}

func forward(to string) []string {
	return []string{"forward-zone:", " name: \"" + courtName + "\"", " forward-addr: " + to}
}

var witnesses = []witness{
	{name: "sound", addr: "11.0.50.1", start: unbound("sound")},
	{name: "rewriting", addr: "11.0.50.2", start: rewriting},
	{name: "blackout", addr: "11.0.50.3", start: unbound("blackout", " local-zone: \""+courtName+"\" always_nxdomain")},
	{name: "nowhere", addr: "11.0.50.4", start: dnsmasq("nowhere", "--address=/"+courtName+"/0.0.0.0")},
	{name: "forged", addr: "11.0.50.5", start: dnsmasq("forged", "--address=/"+courtName+"/11.0.7.66")},
	{name: "inside", addr: "11.0.50.6", start: dnsmasq("inside", "--address=/"+courtName+"/10.1.2.3")},
	{name: "stale", addr: "11.0.50.7", start: unbound("stale", append([]string{" serve-expired: yes", " serve-expired-client-timeout: 0", " ede-serve-expired: yes"}, forward("11.0.50.17")...)...), prime: outlived("11.0.50.17")},
	{name: "old", addr: "11.0.50.8", start: unbound("old", forward("11.0.50.18")...), prime: past("11.0.50.18", "600")},
}

// tardiness is how long the slow resolver thinks; the tool calls more than a second slow.
const tardiness = 1500 * time.Millisecond

// tardy is a resolver that passes questions on to the lab's Unbound and lets every answer wait.
func tardy(w *World, addr string) (io.Closer, error) {
	var in net.PacketConn
	err := w.Servers.Do(func() (err error) { in, err = net.ListenPacket("udp", joinPort(addr, 53)); return err })
	if err != nil {
		return nil, err
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := in.ReadFrom(buf)
			if err != nil {
				return
			}
			question := slices.Clone(buf[:n])
			time.AfterFunc(tardiness, func() {
				out, err := w.Servers.DialContext(context.Background(), "udp", joinPort(ResolverV4, 53))
				if err != nil {
					return
				}
				defer out.Close()
				_ = out.SetDeadline(time.Now().Add(10 * time.Second))
				answer := make([]byte, 4096)
				if _, err := out.Write(question); err != nil {
					return
				}
				if n, err := out.Read(answer); err == nil {
					_, _ = in.WriteTo(answer[:n], from)
				}
			})
		}
	}()
	return in, nil
}

// courtCase is a look at the name by one machine: its resolver, its hosts file.
type courtCase struct {
	name   string
	system string // a witness, or an address
	hosts  string // a line
	args   []string
	state  string
	want   []string
	allow  []string
	client string // the machine that asks
}

var courtCases = []courtCase{
	{name: "agree", system: "sound", state: "ok", want: []string{"pass resolve.agree"}},
	{name: "rewriting", system: "rewriting", state: "broken", want: []string{"error resolve.nxdomain-rewritten: 11.0.7.99"}},
	{name: "blackout", system: "blackout", state: "broken", want: []string{"error resolve.filtered"}},
	{name: "nowhere", system: "nowhere", state: "broken", want: []string{"error resolve.filtered"}},
	{name: "forged", system: "forged", state: "broken", want: []string{"error resolve.tampered: 11.0.7.66"}},
	{name: "inside", system: "inside", args: []string{"--expect", "10.1.2.3"}, state: "ok", want: []string{"pass resolve.split-view: gives the declared answer 10.1.2.3"}},
	{name: "undeclared", system: "inside", state: "ok", want: []string{"note resolve.split-view: 10.1.2.3"}},
	{name: "stale", system: "stale", state: "broken", want: []string{"error resolve.stale"}},
	{name: "old", system: "old", state: "warning", want: []string{"warning resolve.propagation: 11.0.7.77"}},
	{name: "dead", system: deadV4, state: "broken", want: []string{"error resolve.resolver-dead"}},
	{name: "lame", system: blocklistV4, state: "broken", want: []string{"error resolve.resolver-lame"}},
	{name: "slow", system: "slow", state: "warning", want: []string{"warning resolve.resolver-slow"}},
	{name: "intercepted", client: "noptr", system: "sound", state: "broken", want: []string{"error resolve.intercepted: and offers recursion"}, allow: []string{"resolve.authority", "resolve.agree"}},
	{name: "hosts", system: "sound", hosts: "11.0.7.55 " + courtName, state: "warning", want: []string{"warning resolve.hosts-file: 11.0.7.55"}},
}

// TestCourt asks for one name from machines whose resolvers each have a fault.
func TestCourt(t *testing.T) {
	w := lab(t)
	bin, err := w.Build(t.Context(), "..")
	if err != nil {
		t.Fatal(err)
	}
	m, err := w.Query(t.Context(), ResolverV4, courtName+".", dns.TypeA)
	if err != nil || len(m.Answer) != 1 {
		t.Fatalf("%s: %v %v", courtName, m, err)
	}
	right := m.Answer[0].(*dns.A).A.String()
	dir := filepath.Join(w.Dir, "court")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	addrs := map[string]string{}
	for _, x := range witnesses {
		if err := w.Servers.Batch("addr add "+x.addr+"/32 dev lo", "addr add 11.0.50.1"+strings.TrimPrefix(x.addr, "11.0.50.")+"/32 dev lo"); err != nil {
			t.Fatal(err)
		}
		p, err := x.start(w, dir, x.addr, right)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Stop)
		if err := p.ready(w.Servers, "tcp", joinPort(x.addr, 53)); err != nil {
			t.Fatal(err)
		}
		addrs[x.name] = x.addr
	}
	for _, x := range witnesses {
		if x.prime != nil {
			if err := x.prime(t.Context(), w, dir, x.addr); err != nil {
				t.Fatalf("%s: %v", x.name, err)
			}
		}
	}
	if err := w.Servers.Batch("addr add 11.0.50.9/32 dev lo"); err != nil {
		t.Fatal(err)
	}
	slow, err := tardy(w, "11.0.50.9")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slow.Close() })
	addrs["slow"] = "11.0.50.9"
	// A box on this client's line answers every question itself, wherever it was sent.
	line := w.clients["noptr"]
	if err := line.Filter("table ip box { chain output { type nat hook output priority -100; udp dport 53 dnat to 11.0.50.1; tcp dport 53 dnat to 11.0.50.1; }; }"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := line.Filter("delete table ip box"); err != nil {
			t.Error(err)
		}
	})
	outs := make([]rowOutcome, len(courtCases))
	var wg sync.WaitGroup
	for i, c := range courtCases {
		system := c.system
		if a, ok := addrs[c.system]; ok {
			system = a
		}
		wg.Go(func() {
			outs[i] = c.run(t.Context(), w, bin, dir, system)
			// After each vain try at the dead server Unbound keeps quiet about staleness for five seconds, and a question
			// that a busy machine puts twice falls into them.
			for n := 0; n < 4 && c.name == "stale" && !strings.Contains(string(outs[i].out), `"resolve.stale","verdict":"error"`); n++ {
				time.Sleep(7 * time.Second)
				outs[i] = c.run(t.Context(), w, bin, dir, system)
			}
		})
	}
	wg.Wait()
	for i, c := range courtCases {
		t.Run(c.name, func(t *testing.T) {
			rowCase{state: c.state, want: c.want, allow: append(c.allow, "resolve.resolver-slow")}.judge(t, outs[i])
		})
	}
}

// run runs the tool with a resolv.conf and a hosts file of its own, bound over those of this machine for it alone.
func (c *courtCase) run(ctx context.Context, w *World, bin, dir, system string) rowOutcome {
	files := map[string]string{"resolv.conf": "nameserver " + system + "\noptions timeout:2 attempts:1\n", "hosts": "127.0.0.1 localhost\n" + c.hosts + "\n"}
	script := "set -e\n"
	for name, text := range files {
		file := filepath.Join(dir, c.name+"."+name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return rowOutcome{err: err}
		}
		script += fmt.Sprintf("mount --bind %s \"$(readlink -f /etc/%s)\"\n", file, name)
	}
	args := append([]string{bin, "resolve", courtName, "A", "--resolver", ResolverV4, "--root-server", rootV4, "--timeout", "20s"}, c.args...)
	keep := os.Getenv("MAILWHY_LAB_OUT")
	for _, lang := range []string{"zh", "en"} {
		if keep == "" {
			break
		}
		text, _ := netns.Output(c.command(ctx, w, script, append(slices.Clone(args), "--lang", lang)))
		_ = os.WriteFile(filepath.Join(keep, "court-"+c.name+"."+lang+".txt"), text, 0o644)
	}
	cmd := c.command(ctx, w, script, append(args, "--json", "--lang", "en"))
	out, err := netns.Output(cmd)
	if cmd.ProcessState == nil {
		return rowOutcome{out, err}
	}
	if len(out) == 0 {
		return rowOutcome{out, err}
	}
	if keep != "" {
		_ = os.WriteFile(filepath.Join(keep, "court-"+c.name+".json"), out, 0o644)
	}
	var rep json.RawMessage
	if err := json.Unmarshal(firstLine(out), &rep); err != nil {
		return rowOutcome{out, err}
	}
	return rowOutcome{out, nil}
}

func (c *courtCase) command(ctx context.Context, w *World, script string, args []string) *exec.Cmd {
	return w.clients[c.client].Command(ctx, "unshare", append([]string{"--mount", "sh", "-c", script + "exec \"$0\" \"$@\""}, args...)...)
}
