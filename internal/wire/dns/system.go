package dns

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

const resolvConf = "/etc/resolv.conf"

// SystemServers gives the resolvers of this machine in order, from /etc/resolv.conf. Systems that keep them elsewhere
// (Windows) give an error that says what to do.
func SystemServers() ([]string, error) {
	f, err := os.Open(resolvConf)
	if err != nil {
		return nil, fmt.Errorf("this system's resolvers are not known (%w): name one with --resolver", err)
	}
	defer f.Close()
	return readResolvConf(f)
}

// readResolvConf takes the nameserver lines. An address with a scope (fe80::1%eth0) is kept as it is.
func readResolvConf(r io.Reader) ([]string, error) {
	var out []string
	sc := bufio.NewScanner(io.LimitReader(r, 1<<20))
	for sc.Scan() {
		line, _, _ := strings.Cut(sc.Text(), "#")
		line, _, _ = strings.Cut(line, ";")
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "nameserver" {
			out = append(out, f[1])
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", resolvConf, err)
	}
	if len(out) == 0 {
		return nil, errors.New(resolvConf + " names no nameserver: name one with --resolver")
	}
	return out, nil
}
