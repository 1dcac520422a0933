package lab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// The ways a zone can be signed; all but the first two are faults.
const (
	signed      = "signed"
	island      = "island"       // signed, no DS at the parent
	expired     = "expired"      // the signatures ended a month ago
	notYet      = "not-yet"      // the signatures begin next month
	wrongDS     = "wrong-ds"     // the DS at the parent is of another key
	noDNSKEY    = "no-dnskey"    // a DS at the parent, an unsigned zone
	bogus       = "bogus"        // the MX set was changed after signing
	noSignature = "no-signature" // the MX set lost its signature
	noDenial    = "no-denial"    // the NSEC records are gone
)

// write puts all zone files into dir, a folder per server, and signs where asked. Children come before their parents,
// because a parent holds its children's DS. It returns the root's DNSKEY set as a trust anchor file.
func (a atlas) write(dir string) (anchor string, err error) {
	names := make([]string, 0, len(a))
	for name := range a {
		names = append(names, name)
	}
	depth := func(n string) int {
		if n == "" {
			return 0
		}
		return strings.Count(n, ".") + 1
	}
	slices.SortFunc(names, func(x, y string) int { return depth(y) - depth(x) })
	for len(names) > 0 {
		level := depth(names[0])
		n := slices.IndexFunc(names, func(s string) bool { return depth(s) != level })
		if n < 0 {
			n = len(names)
		}
		if err := a.writeLevel(dir, names[:n]); err != nil {
			return "", err
		}
		names = names[n:]
	}
	return filepath.Join(dir, "keys", "root.anchor"), nil
}

// writeLevel writes zones that do not depend on each other, a few at a time.
func (a atlas) writeLevel(dir string, names []string) error {
	ds := make([]string, len(names))
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 4)
	for i, name := range names {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ds[i], errs[i] = a[name].write(dir)
		})
	}
	wg.Wait()
	for i, name := range names {
		if errs[i] != nil {
			return fmt.Errorf("zone %q: %w", name, errs[i])
		}
		if name == "" {
			continue
		}
		_, rest, _ := strings.Cut(name, ".")
		parent := a.enclosing(rest)
		parent.subs = append(parent.subs, ds[i])
	}
	return nil
}

// file is the name of the zone's file: the root is "root".
func (z *zone) file() string {
	if z.Name == "" {
		return "root"
	}
	return z.Name
}

// write writes the zone for each of its servers and returns the DS records for the parent.
func (z *zone) write(dir string) (ds string, err error) {
	keys := filepath.Join(dir, "keys")
	if z.DNSSEC != "" {
		if ds, err = z.makeKeys(keys); err != nil {
			return "", err
		}
	}
	for _, server := range z.Served {
		folder := filepath.Join(dir, server)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return "", err
		}
		file := filepath.Join(folder, z.file())
		if err := os.WriteFile(file, []byte(z.text(server)), 0o644); err != nil {
			return "", err
		}
		if z.DNSSEC != "" && z.DNSSEC != noDNSKEY {
			if err := z.sign(keys, file); err != nil {
				return "", err
			}
		}
	}
	return ds, nil
}

// makeKeys makes a key-signing and a zone-signing key.
func (z *zone) makeKeys(dir string) (ds string, err error) {
	own := filepath.Join(dir, z.file())
	if err := os.MkdirAll(own, 0o755); err != nil {
		return "", err
	}
	var ksk *dns.DNSKEY
	for _, flag := range []string{"ZONE", "KSK"} {
		args := []string{"-q", "-K", own, "-a", "ECDSAP256SHA256", "-n", "ZONE"}
		if flag == "KSK" {
			args = append(args, "-f", "KSK")
		}
		out, err := exec.Command("dnssec-keygen", append(args, z.Name+".")...).Output()
		if err != nil {
			return "", fmt.Errorf("dnssec-keygen: %w", err)
		}
		raw, err := os.ReadFile(filepath.Join(own, strings.TrimSpace(string(out))+".key"))
		if err != nil {
			return "", err
		}
		rr, err := dns.NewRR(withoutComments(string(raw)))
		if err != nil {
			return "", err
		}
		ksk = rr.(*dns.DNSKEY)
	}
	if z.Name == "" {
		if err := os.WriteFile(filepath.Join(dir, "root.anchor"), []byte(ksk.ToDS(dns.SHA256).String()+"\n"), 0o644); err != nil {
			return "", err
		}
	}
	switch z.DNSSEC {
	case island:
		return "", nil
	case wrongDS:
		ksk.PublicKey = "AAAA" + ksk.PublicKey[4:]
	}
	return ksk.ToDS(dns.SHA256).String() + "\n", nil
}

func withoutComments(s string) string {
	return regexp.MustCompile(`(?m)^;.*$`).ReplaceAllString(s, "")
}

// sign replaces the zone file by its signed form, then breaks what the case wants broken.
func (z *zone) sign(keys, file string) error {
	from, to := -24*time.Hour, 60*24*time.Hour
	switch z.DNSSEC {
	case expired:
		from, to = -60*24*time.Hour, -30*24*time.Hour
	case notYet:
		from, to = 30*24*time.Hour, 60*24*time.Hour
	}
	stamp := func(d time.Duration) string { return time.Now().UTC().Add(d).Format("20060102150405") }
	out, err := exec.Command("dnssec-signzone", "-q", "-S", "-P", "-K", filepath.Join(keys, z.file()), "-d", filepath.Join(keys, z.file()),
		"-s", stamp(from), "-e", stamp(to), "-o", z.Name+".", "-O", "full", "-f", file+".signed", file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("dnssec-signzone: %w: %s", err, bytes.TrimSpace(out))
	}
	raw, err := os.ReadFile(file + ".signed")
	if err != nil {
		return err
	}
	if err := os.Remove(file + ".signed"); err != nil {
		return err
	}
	return os.WriteFile(file, spoil(z.DNSSEC, z.Name, raw), 0o644)
}

// spoil breaks a signed zone, a record a line.
func spoil(how, zone string, raw []byte) []byte {
	mx := regexp.MustCompile(`\sIN\s+MX\s`)
	mxSignature := regexp.MustCompile(`\sRRSIG\s+MX\s`)
	// The apex keeps its NSEC: without it BIND takes the zone for unsigned.
	denial := regexp.MustCompile(`^\S+\.` + regexp.QuoteMeta(zone) + `\.\s.*\sNSEC\s`)
	var out []string
	for _, line := range strings.Split(string(raw), "\n") {
		switch {
		case how == bogus && mx.MatchString(line):
			line = regexp.MustCompile(`MX\s+(\d+)`).ReplaceAllString(line, "MX 1${1}")
		case how == noSignature && mxSignature.MatchString(line), how == noDenial && denial.MatchString(line):
			continue
		}
		out = append(out, line)
	}
	return []byte(strings.Join(out, "\n"))
}
