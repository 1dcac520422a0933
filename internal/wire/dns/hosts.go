package dns

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// The files that answer for names on this machine before the DNS is asked.
const (
	HostsFile    = "/etc/hosts"
	NSSwitchFile = "/etc/nsswitch.conf"
)

// HostsLine is a line of the hosts file that names the name asked for.
type HostsLine struct {
	Line int        `json:"line"` // from 1
	Addr netip.Addr `json:"addr"`
	Text string     `json:"text"` // as it stands there, hostile
}

// Local is what this machine's own files say of a name.
type Local struct {
	File  string      `json:"file"`
	Lines []HostsLine `json:"lines,omitempty"`
	Order []string    `json:"order,omitempty"` // sources of the hosts line of nsswitch.conf: files, dns, resolve; empty: no such line
	Wins  bool        `json:"wins,omitempty"`  // programs that ask the system see the file before the DNS
	Fault string      `json:"fault,omitempty"`
}

// ReadLocal reads what the hosts file says of a name and whether nsswitch.conf puts it before the DNS. A file that is
// not there says nothing; one that cannot be read is a Fault in the result.
func ReadLocal(t wire.Tape, hosts, nsswitch, name string) *Local {
	name = normal(name)
	l, err := wire.Observe(t, "hosts", name, func() (*Local, error) {
		l := &Local{File: hosts}
		if err := readFile(hosts, func(r io.Reader) error { return readHosts(r, name, l) }); err != nil {
			l.Fault = err.Error()
		}
		if err := readFile(nsswitch, func(r io.Reader) error { return readNSSwitch(r, l) }); err != nil {
			l.Fault = err.Error()
		}
		l.Wins = filesFirst(l.Order)
		return l, nil
	})
	if err != nil || l == nil {
		l = &Local{File: hosts}
		if err != nil {
			l.Fault = err.Error()
		}
	}
	return l
}

func readFile(name string, read func(io.Reader) error) error {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return read(io.LimitReader(f, 16<<20))
}

// maxHostsLines bounds the lines kept for one name.
const maxHostsLines = 32

func readHosts(r io.Reader, name string, l *Local) error {
	sc := bufio.NewScanner(r)
	for n := 1; sc.Scan(); n++ {
		line, _, _ := strings.Cut(sc.Text(), "#")
		f := strings.Fields(line)
		if len(f) < 2 || !slices.ContainsFunc(f[1:], func(s string) bool { return normal(s) == name }) {
			continue
		}
		a, err := netip.ParseAddr(f[0])
		if err == nil && len(l.Lines) < maxHostsLines {
			l.Lines = append(l.Lines, HostsLine{n, a.Unmap(), strings.TrimSpace(line)})
		}
	}
	return sc.Err()
}

// readNSSwitch takes the sources of the hosts database; what is done on an answer ("[NOTFOUND=return]") is left out.
func readNSSwitch(r io.Reader, l *Local) error {
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		line, _, _ := strings.Cut(sc.Text(), "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "hosts:")
		if !ok {
			continue
		}
		l.Order = nil
		action := false
		for _, w := range strings.Fields(rest) {
			action = action || strings.HasPrefix(w, "[")
			if !action && len(l.Order) < 16 {
				l.Order = append(l.Order, w)
			}
			action = action && !strings.HasSuffix(w, "]")
		}
	}
	return sc.Err()
}

// filesFirst tells whether the hosts file is read before the DNS. systemd-resolved ("resolve") reads it as well.
func filesFirst(order []string) bool {
	for _, s := range order {
		switch s {
		case "files", "resolve":
			return true
		case "dns":
			return false
		}
	}
	return len(order) == 0
}
