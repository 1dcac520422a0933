package intake

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire/wiretest"
)

func listener(proto string) Config { return Config{Kind: "syslog", Listen: proto + "://127.0.0.1:0"} }

func send(t *testing.T, network string, addr net.Addr, text ...string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	for _, s := range text {
		if _, err := c.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

const stamp = "<22>Nov 22 08:00:00 mx1 "

func TestSyslogTCP(t *testing.T) {
	m := newMemory()
	in, _ := start(t, quick(), m, listener("tcp"))
	c := send(t, "tcp", in.Addrs()[0], stamp+"a: one\n", "26 "+stamp+"b:\n", stamp, "c: three\n")
	m.wantLines(t, "syslog:tcp:127.0.0.1:0", stamp+"a: one", stamp+"b:", stamp+"c: three")
	if _, err := c.Write([]byte("100 <22>never whole")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	m.until(t, "the message that was cut off counted", func() bool { return in.Stats().Sources[0].Dropped == 1 })
}

func TestSyslogUDP(t *testing.T) {
	m := newMemory()
	in, _ := start(t, quick(), m, listener("udp"))
	src := "syslog:udp:127.0.0.1:0"
	for i := range 5 { // one by one: UDP promises no order
		send(t, "udp", in.Addrs()[0], fmt.Sprintf("%sa: %d\n", stamp, i))
		m.until(t, "a datagram", func() bool { return len(m.lines[src]) == i+1 })
	}
}

func TestSyslogTLS(t *testing.T) {
	now := time.Now()
	ca, err := wiretest.NewCA("root", now)
	if err != nil {
		t.Fatal(err)
	}
	dir, m := t.TempDir(), newMemory()
	cert, err := ca.Issue(wiretest.Leaf{Names: []string{"logs.mine.example"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	c := listener("tls")
	c.Cert, c.Key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, cert, c.Cert, c.Key)
	in, _ := start(t, quick(), m, c)
	conn, err := tls.Dial("tcp", in.Addrs()[0].String(), &tls.Config{RootCAs: ca.Pool(), ServerName: "logs.mine.example"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("29 " + stamp + "a: one")); err != nil {
		t.Fatal(err)
	}
	m.until(t, "a line over TLS", func() bool { return len(m.lines["syslog:tls:127.0.0.1:0"]) == 1 })
	send(t, "tcp", in.Addrs()[0], "no TLS at all\n")
	m.until(t, "a refusal", func() bool { return in.Stats().Sources[0].Refused == 1 })
}

func writePair(t *testing.T, c tls.Certificate, cert, key string) {
	t.Helper()
	var chain []byte
	for _, der := range c.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	der, err := marshalKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{cert: chain, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSyslogLimits(t *testing.T) {
	m := newMemory()
	c := listener("tcp")
	c.PerPeer = 2
	closed := listener("tcp")
	closed.Listen = "tcp://127.0.0.1:0"
	closed.Allow = []string{"192.0.2.0/24"}
	in, _ := start(t, quick(), m, c)
	addr := in.Addrs()[0]
	for i := range 2 {
		send(t, "tcp", addr, fmt.Sprintf("%sa: %d\n", stamp, i))
	}
	m.until(t, "two connections", func() bool { return in.Stats().Sources[0].Peers == 2 })
	third := send(t, "tcp", addr)
	if n, err := third.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("a third connection of one address was kept")
	}
	in2, _ := start(t, quick(), m, closed)
	stranger := send(t, "tcp", in2.Addrs()[0])
	if n, err := stranger.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("a stranger was let in")
	}
	if a, b := in.Stats().Sources[0].Refused, in2.Stats().Sources[0].Refused; a != 1 || b != 1 {
		t.Errorf("%d and %d refused, want 1 each", a, b)
	}
}

// TestSyslogCrowd is ten thousand connections at once, or as many as this machine has descriptors for.
func TestSyslogCrowd(t *testing.T) {
	n := min(maxConnections, descriptors()/2-100)
	if testing.Short() {
		n = min(n, 500)
	}
	if n < 100 {
		t.Skipf("only %d descriptors", descriptors())
	}
	m := newMemory()
	c := listener("tcp")
	c.Connections, c.PerPeer = n, n
	in, _ := start(t, quick(), m, c)
	addr := in.Addrs()[0]
	conns := make([]net.Conn, n)
	for i := range conns {
		conns[i] = send(t, "tcp", addr)
	}
	m.until(t, "everybody in", func() bool { return in.Stats().Sources[0].Peers == n })
	if k, err := send(t, "tcp", addr).Read(make([]byte, 1)); k != 0 || err == nil {
		t.Error("one more was kept")
	}
	var wg sync.WaitGroup
	for part := range slices.Chunk(conns, 1000) {
		wg.Go(func() {
			for i, c := range part {
				if _, err := fmt.Fprintf(c, "%sa: hello %d\n", stamp, i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	m.until(t, "a line of each", func() bool { return len(m.lines["syslog:tcp:127.0.0.1:0"]) == n })
	t.Logf("%d connections", n)
}

// TestSpool takes the store away while lines come that nobody sends again.
func TestSpool(t *testing.T) {
	m, o := newMemory(), quick()
	o.Spool = t.TempDir()
	in, stop := start(t, o, m, listener("tcp"))
	src, addr := "syslog:tcp:127.0.0.1:0", in.Addrs()[0]
	c := send(t, "tcp", addr, stamp+"a: 0\n")
	want := []string{stamp + "a: 0"}
	m.wantLines(t, src, want...)
	m.setFail(errAway)
	for range 5 {
		n := in.Stats().Sources[0].Spooled
		for range 40 {
			line := fmt.Sprintf("%sa: %d", stamp, len(want))
			want = append(want, line)
			if _, err := fmt.Fprintln(c, line); err != nil {
				t.Fatal(err)
			}
		}
		m.until(t, "more in the spool", func() bool { return in.Stats().Sources[0].Spooled > n })
	}
	m.until(t, "everything read", func() bool {
		s := in.runs[0].(*syslog).stream
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.seq == int64(len(want))
	})
	stop() // what is in the spool outlives the program
	in, _ = start(t, o, m, listener("tcp"))
	send(t, "tcp", in.Addrs()[0], stamp+"a: last\n")
	m.setFail(nil)
	m.wantLines(t, src, append(want, stamp+"a: last")...)
	m.until(t, "the spool empty", func() bool {
		left, err := filepath.Glob(filepath.Join(o.Spool, "*", "*"))
		return err == nil && len(left) == 0 && in.Stats().Sources[0].Spooled == 0
	})
}

// TestSpoolFull holds that those who can wait do.
func TestSpoolFull(t *testing.T) {
	m, o := newMemory(), quick()
	o.Spool, o.SpoolMax = t.TempDir(), 100_000
	m.setFail(errAway)
	in, _ := start(t, o, m, listener("tcp"))
	var want []string
	var text strings.Builder
	for i := range 20_000 {
		want = append(want, fmt.Sprintf("%sa: %d %s", stamp, i, strings.Repeat("x", 1000)))
		text.WriteString(want[i] + "\n")
	}
	c := send(t, "tcp", in.Addrs()[0])
	go func() {
		_, _ = c.Write([]byte(text.String())) // waits for the reader
		c.Close()
	}()
	s := in.runs[0].(*syslog).stream
	m.until(t, "a sender that waits", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.room != nil
	})
	if n := in.Stats().Sources[0].Spooled; n > o.SpoolMax {
		t.Errorf("%d bytes in a spool of %d", n, o.SpoolMax)
	}
	m.setFail(nil)
	m.wantLines(t, "syslog:tcp:127.0.0.1:0", want...)
}

func TestSpoolBroken(t *testing.T) {
	dir := t.TempDir()
	sp, err := openSpool(dir, "syslog:x", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(3) {
		b := &Batch{From: Position{File: "r", Offset: i}, To: Position{File: "r", Offset: i + 1}, Lines: [][]byte{[]byte("x")}, Ends: []int64{i + 1}}
		if err := sp.append(b); err != nil {
			t.Fatal(err)
		}
	}
	size := sp.segs[0].size
	sp.closeWriter()
	if err := os.Truncate(sp.name(1), size-3); err != nil { // the machine went down
		t.Fatal(err)
	}
	sp, err = openSpool(dir, "syslog:x", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := sp.last("syslog:x"); !ok || p.Offset != 2 {
		t.Errorf("last %+v %v", p, ok)
	}
	for i := range int64(2) {
		b, n, ok, err := sp.first("syslog:x")
		if err != nil || !ok || b.To.Offset != i+1 {
			t.Fatalf("record %d: %+v %v %v", i, b, ok, err)
		}
		sp.pop(n)
	}
	if _, _, _, err := sp.first("syslog:x"); err == nil {
		t.Error("a broken record was passed over in silence")
	}
	if _, _, ok, err := sp.first("syslog:x"); ok || err != nil || !sp.empty() {
		t.Errorf("%v %v after the broken one", ok, err)
	}
}

func FuzzSpool(f *testing.F) {
	dir := f.TempDir()
	sp, err := openSpool(dir, "x", 1<<20)
	if err == nil {
		err = sp.append(&Batch{Lines: [][]byte{[]byte("one")}, Ends: []int64{1}})
	}
	if err != nil {
		f.Fatal(err)
	}
	raw, err := os.ReadFile(sp.name(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte("\x00\x00\x00\x01\x00\x00\x00\x00x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, n, err := readRecord(strings.NewReader(string(b)))
		if err == nil && (n > int64(len(b)) || len(r.Ends) != len(r.Lines)) {
			t.Errorf("%d bytes of %d, %d lines", n, len(b), len(r.Lines))
		}
	})
}
