package smtp_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire/smtp"
	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

// TestMain makes the test binary a mail server of its own, so that its CPU time is not counted as ours.
func TestMain(m *testing.M) {
	if os.Getenv("MAILWHY_BENCH_SERVER") != "" {
		serveForever()
		return
	}
	os.Exit(m.Run())
}

func serveForever() {
	ca, err := wiretest.NewCA("Root", time.Now())
	if err != nil {
		panic(err)
	}
	// A cheap server, so that the prober is what is measured: ECDSA P-256 as ACME gives it, X25519, no post-quantum group.
	cert, err := ca.Issue(wiretest.Leaf{Names: []string{"mx.test"}}, time.Now())
	if err != nil {
		panic(err)
	}
	cfg := wiretest.Config(cert)
	cfg.CurvePreferences = []tls.CurveID{tls.X25519}
	s := &wiretest.SMTP{TLS: cfg}
	addr, _, err := wiretest.Listen(s.Serve)
	if err != nil {
		panic(err)
	}
	fmt.Println(addr)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the benchmark ends
}

// startServer runs the server process and gives its address.
func startServer(b *testing.B) netip.AddrPort {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "MAILWHY_BENCH_SERVER=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return netip.MustParseAddrPort(strings.TrimSpace(line))
}

// atOnce is how many probes are under way at a time.
const atOnce = 16

// inParallel does n probes and gives the rate.
func inParallel(n int, probe func() error) (perSecond float64, err error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	jobs := make(chan struct{}, n)
	for range n {
		jobs <- struct{}{}
	}
	close(jobs)
	start := time.Now()
	for range atOnce {
		wg.Go(func() {
			for range jobs {
				if e := probe(); e != nil {
					mu.Lock()
					err = e
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return float64(n) / time.Since(start).Seconds(), err
}

func cpu() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkStartTLS probes a server in a process of its own: greeting, EHLO, STARTTLS, handshake, EHLO, QUIT, 16 at once.
func BenchmarkStartTLS(b *testing.B) {
	at := startServer(b)
	d := smtp.Door{Dial: &net.Dialer{}, Now: time.Now}
	before := cpu()
	b.ResetTimer()
	rate, err := inParallel(b.N, func() error {
		s, err := smtp.Run(context.Background(), d, smtp.Plan{Host: "mx.test", Addr: at.Addr(), Port: at.Port(), HELO: "probe.test", StopAfter: smtp.Ehlo2})
		if err == nil && (s.TLS == nil || s.TLS.Fault != nil) {
			err = fmt.Errorf("no TLS: %s", s.Transcript)
		}
		return err
	})
	b.StopTimer()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(rate, "probes/s")
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/probe")
}

// BenchmarkBlackboxExporter lets prometheus-blackbox-exporter do the same, where it is installed.
func BenchmarkBlackboxExporter(b *testing.B) {
	path, err := exec.LookPath("prometheus-blackbox-exporter")
	if err != nil {
		b.Skip("prometheus-blackbox-exporter is not installed")
	}
	at := startServer(b)
	conf := filepath.Join(b.TempDir(), "blackbox.yml")
	if err := os.WriteFile(conf, []byte(blackboxConfig), 0o600); err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	web := l.Addr().String()
	_ = l.Close()
	cmd := exec.Command(path, "--config.file="+conf, "--web.listen-address="+web, "--log.level=error")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: atOnce}}
	probe := func() error {
		resp, err := client.Get("http://" + web + "/probe?module=smtp_starttls&target=" + url.QueryEscape(at.String()))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && !strings.Contains(string(body), "probe_success 1") {
			err = fmt.Errorf("probe failed: %s", body)
		}
		return err
	}
	for range 50 {
		if err = probe(); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	rate, err := inParallel(b.N, probe)
	b.StopTimer()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(rate, "probes/s")
}

const blackboxConfig = `modules:
  smtp_starttls:
    prober: tcp
    timeout: 5s
    tcp:
      tls_config:
        insecure_skip_verify: true
      query_response:
        - expect: "^220 "
        - send: "EHLO probe.test"
        - expect: "^250-STARTTLS"
        - send: "STARTTLS"
        - expect: "^220 "
        - starttls: true
        - send: "EHLO probe.test"
        - expect: "^250 "
        - send: "QUIT"
`
