// Command dns measures the DNS part of mailwhy against a local authoritative server and prints the rows of
// docs/benchmarks.md: domains per second, memory, and one domain with every answer 20 ms away.
//
// It uses Debian's nsd as server where that is installed, else a server in this process (then both share the CPU and
// the figures are lower), and dnsperf, where installed, for the limit to compare with.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

func main() {
	n := flag.Int("n", 20_000, "domains")
	far := flag.Int("far", 2_000, "domains with 20 ms per answer")
	port := flag.Int("port", 53, "port of the server on 127.0.0.9 (53 lets mailwhy ask the name servers directly as well)")
	flag.Parse()
	if err := run(*n, *far, *port); err != nil {
		fmt.Fprintln(os.Stderr, "bench/dns:", err)
		os.Exit(1)
	}
}

func run(n, far, port int) error {
	dir, err := os.MkdirTemp("", "mailwhy-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "mailwhy")
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, ".").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	text := zone(n)
	list := filepath.Join(dir, "list")
	if err := os.WriteFile(list, []byte(names(n)), 0o600); err != nil {
		return err
	}
	server, stop, what, err := serve(dir, text, port)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Printf("%d CPUs, %s, server: %s\n\n| what | figure | ratio |\n|---|---|---|\n", runtime.NumCPU(), runtime.Version(), what)
	limit := dnsperf(dir, server, n)
	many, err := measure(bin, "check", "-f", list, "--dns-only", "--json", "--resolver", server)
	if err != nil {
		return err
	}
	row(fmt.Sprintf("%d domains, DNS only", n), "%.0f domains/s, %d MB, %.2f ms CPU each", "%s", float64(n)/many.took.Seconds(), many.rss>>20,
		many.cpu.Seconds()*1000/float64(n), ratio(limit, float64(n)/many.took.Seconds()))
	relay, err := delay(server, 20*time.Millisecond)
	if err != nil {
		return err
	}
	var ones []time.Duration
	for range 5 {
		one, err := measure(bin, "check", "d7.bench", "--dns-only", "--json", "--resolver", relay)
		if err != nil {
			return err
		}
		ones = append(ones, one.took)
	}
	slices.Sort(ones)
	row("one domain, 20 ms per answer (median of 5, start of the program included)", "%.3f s", "%.1f round trips", ones[2].Seconds(), ones[2].Seconds()/0.02)
	short := filepath.Join(dir, "short")
	if err := os.WriteFile(short, []byte(names(far)), 0o600); err != nil {
		return err
	}
	slow, err := measure(bin, "check", "-f", short, "--dns-only", "--json", "--resolver", relay)
	if err != nil {
		return err
	}
	row(fmt.Sprintf("%d domains, 20 ms per answer, 100 at once", far), "%.0f domains/s, %d MB", "", float64(far)/slow.took.Seconds(), slow.rss>>20)
	return nil
}

func row(what, figure, ratio string, args ...any) {
	k := strings.Count(figure, "%")
	fmt.Printf("| %s | %s | %s |\n", what, fmt.Sprintf(figure, args[:k]...), fmt.Sprintf(ratio, args[k:]...))
}

func ratio(limit, domains float64) string {
	if limit == 0 {
		return "dnsperf not installed"
	}
	return fmt.Sprintf("dnsperf %.0f queries/s = %.0f per domain of ours", limit, limit/domains)
}

// zone is n domains as an ordinary company has them: two MX, SPF three includes deep, DMARC.
func zone(n int) string {
	var b strings.Builder
	b.WriteString("$ORIGIN bench.\n$TTL 300\n@ SOA ns1 hostmaster 1 7200 900 1209600 300\n@ NS ns1\n@ NS ns2\nns1 A 127.0.0.9\nns2 A 127.0.0.9\n")
	for i := range n {
		ip := fmt.Sprintf("%d.%d.%d", i>>16&255, i>>8&255, i&255)
		fmt.Fprintf(&b, "d%d MX 10 mx1.d%d\nd%d MX 20 mx2.d%d\nd%d TXT \"v=spf1 mx include:i1.d%d.bench -all\"\nd%d A 11.%s\n", i, i, i, i, i, i, i, ip)
		fmt.Fprintf(&b, "i1.d%d TXT \"v=spf1 include:i2.d%d.bench -all\"\ni2.d%d TXT \"v=spf1 include:i3.d%d.bench -all\"\ni3.d%d TXT \"v=spf1 ip4:11.0.0.0/24 -all\"\n", i, i, i, i, i)
		fmt.Fprintf(&b, "mx1.d%d A 11.%s\nmx2.d%d A 12.%s\n_dmarc.d%d TXT \"v=DMARC1; p=reject; rua=mailto:r@d%d.bench\"\n", i, ip, i, ip, i, i)
	}
	return b.String()
}

func names(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "d%d.bench\n", i)
	}
	return b.String()
}

// serve starts nsd, or a server in this process.
func serve(dir, text string, port int) (addr string, stop func(), what string, err error) {
	nsd, err := exec.LookPath("nsd")
	if err != nil {
		d, err := wiretest.NewDNS(text)
		if err != nil {
			return "", nil, "", err
		}
		return d.Addr(), d.Close, "in this process (install nsd for the real figures)", nil
	}
	conf := fmt.Sprintf("server:\n ip-address: 127.0.0.9@%d\n username: \"\"\n zonesdir: %q\n database: \"\"\n pidfile: %q\n xfrdfile: %q\n zonelistfile: %q\n server-count: 1\n rrl-ratelimit: 0\nremote-control:\n control-enable: no\nzone:\n name: bench\n zonefile: bench.zone\n",
		port, dir, dir+"/pid", dir+"/xfrd", dir+"/list.nsd")
	if err := os.WriteFile(filepath.Join(dir, "bench.zone"), []byte(text), 0o600); err != nil {
		return "", nil, "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "nsd.conf"), []byte(conf), 0o600); err != nil {
		return "", nil, "", err
	}
	cmd := exec.Command(nsd, "-d", "-c", filepath.Join(dir, "nsd.conf"))
	if err := cmd.Start(); err != nil {
		return "", nil, "", err
	}
	addr = net.JoinHostPort("127.0.0.9", strconv.Itoa(port))
	for range 100 {
		if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			c.Close()
			time.Sleep(time.Second) // the zone is read after the port is open
			return addr, func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() }, "nsd", nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	cmd.Process.Kill()
	return "", nil, "", fmt.Errorf("nsd does not answer on %s (ports below 1024 need root: try -port 5399)", addr)
}

// dnsperf gives the server's own limit in queries per second, 0 where the tool is not installed.
func dnsperf(dir, server string, n int) float64 {
	tool, err := exec.LookPath("dnsperf")
	if err != nil {
		return 0
	}
	var q strings.Builder
	for i := range n {
		fmt.Fprintf(&q, "d%d.bench MX\n", i)
	}
	file := filepath.Join(dir, "queries")
	if os.WriteFile(file, []byte(q.String()), 0o600) != nil {
		return 0
	}
	host, port, _ := net.SplitHostPort(server)
	out, err := exec.Command(tool, "-s", host, "-p", port, "-d", file, "-l", "5").Output()
	m := regexp.MustCompile(`Queries per second:\s+([0-9.]+)`).FindSubmatch(out)
	if err != nil || m == nil {
		return 0
	}
	v, _ := strconv.ParseFloat(string(m[1]), 64)
	return v
}

type result struct {
	took, cpu time.Duration
	rss       int64
}

// measure runs mailwhy; findings make its exit status 1 or 2, which is no failure of the run.
func measure(bin string, args ...string) (result, error) {
	var errs bytes.Buffer
	cmd := exec.Command(bin, args...)
	cmd.Stderr = &errs
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	if code := cmd.ProcessState.ExitCode(); code > 2 || code < 0 {
		return result{}, fmt.Errorf("%v: %w\n%s", cmd.Args, err, errs.String())
	}
	ru := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return result{took, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), ru.Maxrss << 10}, nil
}

// delay is a relay in front of a server that hands every UDP answer on after d.
func delay(server string, d time.Duration) (string, error) {
	front, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		front.(*net.UDPConn).SetReadBuffer(4 << 20) // as far as the system allows
		back := map[string]net.Conn{}
		buf := make([]byte, 64<<10)
		for {
			n, from, err := front.ReadFrom(buf)
			if err != nil {
				return
			}
			c := back[from.String()]
			if c == nil {
				if c, err = net.Dial("udp", server); err != nil {
					continue
				}
				back[from.String()] = c
				go func() {
					b := make([]byte, 64<<10)
					for {
						n, err := c.Read(b)
						if err != nil {
							return
						}
						msg := bytes.Clone(b[:n])
						time.AfterFunc(d, func() { front.WriteTo(msg, from) })
					}
				}()
			}
			c.Write(buf[:n])
		}
	}()
	return front.LocalAddr().String(), nil
}
