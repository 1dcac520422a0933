package local

import (
	"context"
	"encoding/binary"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

func TestListeners(t *testing.T) {
	root := fstest.MapFS{
		"proc/net/tcp": {Data: []byte(head +
			"   0: 00000000:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n" +
			"   1: 0100007F:008F 00000000:0000 0A 00000000:00000000 00:00000000 00000000   100        0 4712 1 0 100 0 0 10 0\n" +
			"   2: 0100007F:0019 0100007F:9999 01 00000000:00000000 00:00000000 00000000   100        0 4713 1 0 100 0 0 10 0\n" +
			"   3: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4714 1 0 100 0 0 10 0\n garbage\n")},
		"proc/net/tcp6":    {Data: []byte(head + "   0: 00000000000000000000000001000000:03E1 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 4715 1\n")},
		"proc/20/comm":     {Data: []byte("master\n")},
		"proc/20/fd/5":     {Data: []byte("socket:[4711]"), Mode: fs.ModeSymlink},
		"proc/7/comm":      {Data: []byte("parent\n")},
		"proc/7/fd/3":      {Data: []byte("socket:[4711]"), Mode: fs.ModeSymlink},
		"proc/30/comm":     {Data: []byte("dovecot\n")},
		"proc/30/fd/9":     {Data: []byte("socket:[4712]"), Mode: fs.ModeSymlink},
		"proc/self/status": {},
	}
	got, err := Listeners(root, func(p uint16) bool { return p == 25 || p == 143 || p == 993 })
	if err != nil || len(got) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, want := range []string{"0.0.0.0:25 parent", "127.0.0.1:143 dovecot", "[::1]:993 "} {
		if s := got[i].Addr.String() + " " + got[i].Program; s != want {
			t.Errorf("%q, want %q", s, want)
		}
	}
}

// TestListenersHere looks at this very machine, where the test itself listens.
func TestListenersHere(t *testing.T) {
	if _, err := os.Stat("/proc/net/tcp"); err != nil {
		t.Skip("no /proc/net/tcp")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	got, err := Listeners(os.DirFS("/"), func(p uint16) bool { return p == port })
	if err != nil || len(got) != 1 || got[0].PID != os.Getpid() || got[0].Addr.Addr().String() != "127.0.0.1" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReadLoad(t *testing.T) {
	root := fstest.MapFS{
		"proc/loadavg":        {Data: []byte("0.5 9.25 1.0 1/200 3\n")},
		"proc/meminfo":        {Data: []byte("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 30 kB\nSwapTotal: 0 kB\n")},
		"proc/sys/fs/file-nr": {Data: []byte("990\t0\t1000\n")},
		"proc/cpuinfo":        {Data: []byte("processor\t: 0\n\nprocessor\t: 1\n")},
	}
	l, err := ReadLoad(root)
	if err != nil || l.Load5 != 9.25 || l.CPUs != 2 || l.MemFree != 30<<10 || l.Files != 990 || l.FilesMax != 1000 {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestReadNft(t *testing.T) {
	raw := `{"nftables":[{"metainfo":{"version":"1.0.6"}},{"chain":{"family":"inet","table":"filter","name":"input","handle":1,"type":"filter","hook":"input","prio":0,"policy":"drop"}},
	{"chain":{"family":"inet","table":"filter","name":"out","hook":"output","policy":"accept"}},{"chain":{"family":"inet","table":"filter","name":"side"}},
	{"rule":{"family":"inet","table":"filter","chain":"out","handle":4,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":25}},{"drop":null}]}},
	{"rule":{"family":"inet","table":"filter","chain":"out","expr":[{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":{"set":[465,{"range":[580,600]}]}}},{"reject":{"type":"tcp reset"}}]}},
	{"rule":{"family":"inet","table":"filter","chain":"out","expr":[{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"sport"}},"right":25}},{"drop":null}]}},
	{"rule":{"family":"inet","table":"filter","chain":"out","expr":[{"match":{"op":"!=","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":25}},{"drop":null}]}},
	{"rule":{"family":"inet","table":"filter","chain":"input","expr":[{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":25}},{"accept":null}]}},
	{"rule":{"family":"inet","table":"filter","chain":"side","expr":[{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":25}},{"drop":null}]}}]}`
	got, err := ReadNft([]byte(raw), []uint16{25, 465, 587})
	if err != nil || len(got) != 3 || !got[0].Policy || got[0].Outgoing {
		t.Fatalf("%+v, %v", got, err)
	}
	if !got[1].Outgoing || got[1].Verdict != "drop" || !slices.Equal(got[1].Ports, []uint16{25}) || got[2].Verdict != "reject" || !slices.Equal(got[2].Ports, []uint16{465, 587}) {
		t.Errorf("%+v", got[1:])
	}
	if _, err := ReadNft([]byte("Error: no rights"), nil); err == nil {
		t.Error("what is no JSON was taken")
	}
}

func TestReadIptables(t *testing.T) {
	raw := "*nat\n-A OUTPUT -p tcp --dport 25 -j DROP\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -p tcp -m multiport --dports 25,465:600 -j REJECT --reject-with tcp-reset\n" +
		"-A OUTPUT -p tcp -m tcp --dport 25 -j DROP\n-A OUTPUT -p tcp ! --dport 25 -j DROP\n-A INPUT -p tcp --dport 993 -j ACCEPT\nCOMMIT\n"
	got := ReadIptables([]byte(raw), []uint16{25, 587, 993}, "iptables-save")
	if len(got) != 3 || !got[0].Policy || !slices.Equal(got[1].Ports, []uint16{25, 587}) || got[1].Verdict != "reject" || !got[2].Outgoing || got[2].Verdict != "drop" {
		t.Errorf("%+v", got)
	}
}

// timeServer answers as an SNTP server whose clock is ahead of ours by the shift; edit may spoil the answer.
func timeServer(t *testing.T, shift time.Duration, edit func(b []byte)) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if n < 48 {
				continue
			}
			r := make([]byte, 48)
			r[0], r[1] = 4<<3|4, 2
			copy(r[24:32], b[40:48])
			at := time.Now().Add(shift)
			for _, off := range []int{32, 40} {
				binary.BigEndian.PutUint32(r[off:], uint32(at.Unix()+ntpEpoch))
				binary.BigEndian.PutUint32(r[off+4:], uint32(uint64(at.Nanosecond())<<32/1e9))
			}
			edit(r)
			_, _ = c.WriteTo(r, from)
		}
	}()
	return c.LocalAddr().String()
}

func TestSkew(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	addr := timeServer(t, -time.Hour, func([]byte) {})
	skew, _, err := Skew(ctx, &net.Dialer{}, addr, time.Now)
	if err != nil || skew.Round(time.Minute) != time.Hour {
		t.Errorf("%v, %v: the server is an hour behind, so we are an hour ahead", skew, err)
	}
	for name, edit := range map[string]func([]byte){"not synchronised": func(b []byte) { b[0] |= 3 << 6 }, "kiss of death": func(b []byte) { b[1] = 0 }} {
		if _, _, err := Skew(ctx, &net.Dialer{}, timeServer(t, 0, edit), time.Now); err != ErrNTP {
			t.Errorf("%s: %v", name, err)
		}
	}
	short, stop := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer stop()
	if _, _, err := Skew(short, &net.Dialer{}, timeServer(t, 0, func(b []byte) { b[24] ^= 1 }), time.Now); err == nil {
		t.Error("an answer to another question was taken")
	}
}

func FuzzFirewall(f *testing.F) {
	f.Add([]byte(`{"nftables":[{"rule":{"expr":[{"match":{"op":"==","left":{"dport":1},"right":{"set":[{"set":[]}]}}}]}}]}`))
	f.Add([]byte("*filter\n-A INPUT --dports 1:2:3,, -j DROP"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = ReadNft(b, []uint16{25})
		for _, r := range ReadIptables(b, []uint16{25}, "x") {
			if strings.Contains(r.Text, "\n") {
				t.Error("a rule over two lines")
			}
		}
		_, _, _ = listener(string(b))
	})
}
