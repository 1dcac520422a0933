package local

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Listener is a TCP socket that waits for connections, from /proc/net/tcp and tcp6.
type Listener struct {
	Addr    netip.AddrPort `json:"addr"`              // the unspecified address: all of its family
	PID     int            `json:"pid,omitempty"`     // 0 where it may not be seen
	Program string         `json:"program,omitempty"` // name of the process, as the kernel has it
	User    string         `json:"user,omitempty"`    // user id of the socket
	Command string         `json:"command,omitempty"` // path of the program
}

// maxProc bounds every file of /proc that is read.
const maxProc = 4 << 20

func readProc(root fs.FS, name string) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(&limitReader{f, maxProc})
	return b.Bytes(), err
}

type limitReader struct {
	f    fs.File
	left int
}

func (l *limitReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fs.ErrInvalid
	}
	n, err := l.f.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// Listeners gives the listening TCP sockets whose port want tells, by port and address. root is the file system whose
// "proc" is read. Sockets of processes that may not be looked into come without PID and names.
func Listeners(root fs.FS, want func(port uint16) bool) ([]Listener, error) {
	var out []Listener
	byInode := map[string][]int{}
	for _, name := range []string{"proc/net/tcp", "proc/net/tcp6"} {
		raw, err := readProc(root, name)
		if err != nil {
			if name == "proc/net/tcp6" {
				continue // a kernel without IPv6
			}
			return nil, err
		}
		s := bufio.NewScanner(bytes.NewReader(raw))
		for s.Scan() {
			l, inode, ok := listener(s.Text())
			if ok && want(l.Addr.Port()) {
				byInode[inode] = append(byInode[inode], len(out))
				out = append(out, l)
			}
		}
	}
	if len(out) > 0 {
		findOwners(root, byInode, out)
	}
	slices.SortFunc(out, func(a, b Listener) int {
		if a.Addr.Port() != b.Addr.Port() {
			return int(a.Addr.Port()) - int(b.Addr.Port())
		}
		return a.Addr.Addr().Compare(b.Addr.Addr())
	})
	return out, nil
}

// listener reads a line: sl, local address, remote address, state (0A is LISTEN), …, uid (field 8), timeout, inode.
func listener(line string) (l Listener, inode string, ok bool) {
	f := strings.Fields(line)
	if len(f) < 10 || f[3] != "0A" {
		return l, "", false
	}
	host, port, found := strings.Cut(f[1], ":")
	raw, err := hex.DecodeString(host)
	p, err2 := strconv.ParseUint(port, 16, 16)
	if !found || err != nil || err2 != nil || len(raw) != 4 && len(raw) != 16 {
		return l, "", false
	}
	// Four bytes at a time are in the machine's order.
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	a, _ := netip.AddrFromSlice(raw)
	return Listener{Addr: netip.AddrPortFrom(a, uint16(p)), User: f[7]}, f[9], true
}

// maxProcesses bounds the walk over /proc.
const maxProcesses = 100_000

func findOwners(root fs.FS, byInode map[string][]int, out []Listener) {
	dirs, err := fs.ReadDir(root, "proc")
	if err != nil {
		return
	}
	for i, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || i > maxProcesses {
			continue
		}
		fds, err := fs.ReadDir(root, path.Join("proc", d.Name(), "fd"))
		if err != nil {
			continue
		}
		for _, fd := range fds {
			to, err := fs.ReadLink(root, path.Join("proc", d.Name(), "fd", fd.Name()))
			if err != nil {
				continue
			}
			inode, ok := strings.CutPrefix(to, "socket:[")
			for _, n := range byInode[strings.TrimSuffix(inode, "]")] {
				// Several processes share a socket; the first one, the parent, is the one to name.
				if ok && (out[n].PID == 0 || pid < out[n].PID) {
					comm, _ := readProc(root, path.Join("proc", d.Name(), "comm"))
					out[n].PID, out[n].Program = pid, strings.TrimSpace(string(comm))
					out[n].Command, _ = fs.ReadLink(root, path.Join("proc", d.Name(), "exe"))
				}
			}
		}
	}
}

// Load is how busy the machine is.
type Load struct {
	Load5     float64 `json:"load_5min"`
	CPUs      int     `json:"cpus"`
	MemTotal  int64   `json:"mem_total"`     // bytes
	MemFree   int64   `json:"mem_available"` // bytes that programs can still get
	SwapTotal int64   `json:"swap_total"`
	SwapFree  int64   `json:"swap_free"`
	Files     int64   `json:"files_open"` // file descriptors of the whole machine
	FilesMax  int64   `json:"files_max"`
}

// ReadLoad reads /proc/loadavg, meminfo, sys/fs/file-nr and cpuinfo.
func ReadLoad(root fs.FS) (Load, error) {
	var l Load
	raw, err := readProc(root, "proc/loadavg")
	if err != nil {
		return l, err
	}
	if f := strings.Fields(string(raw)); len(f) > 1 {
		l.Load5, _ = strconv.ParseFloat(f[1], 64)
	}
	raw, err = readProc(root, "proc/meminfo")
	if err != nil {
		return l, err
	}
	for line := range strings.Lines(string(raw)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kb, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "MemTotal:":
			l.MemTotal = kb << 10
		case "MemAvailable:":
			l.MemFree = kb << 10
		case "SwapTotal:":
			l.SwapTotal = kb << 10
		case "SwapFree:":
			l.SwapFree = kb << 10
		}
	}
	if raw, err = readProc(root, "proc/sys/fs/file-nr"); err == nil {
		if f := strings.Fields(string(raw)); len(f) == 3 {
			l.Files, _ = strconv.ParseInt(f[0], 10, 64)
			l.FilesMax, _ = strconv.ParseInt(f[2], 10, 64)
		}
	}
	if raw, err = readProc(root, "proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(raw)) {
			if strings.HasPrefix(line, "processor") {
				l.CPUs++
			}
		}
	}
	l.CPUs = max(l.CPUs, 1)
	return l, nil
}
