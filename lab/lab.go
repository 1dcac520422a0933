// Package lab is the test bed: real servers in network namespaces, with broken domains for them, all of it described
// by the files in cases/ and hosts.toml.
//
// Promise: World.Start builds everything in seconds and World.Stop takes everything away; what a crashed run left is
// removed by the next one. Nothing outside the lab's own namespaces and folders is touched, no packet leaves the
// machine, and no server outlives the process that started it. It is tooling for tests: the binary never imports it.
package lab

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/mailwhy/mailwhy/lab/netns"
	"github.com/mailwhy/mailwhy/lab/pki"
	"github.com/mailwhy/mailwhy/lab/relay"
)

//go:embed hosts.toml
var sharedHosts []byte

//go:embed cases/*.txtar
var caseFiles embed.FS

// tables replace the tool's tables of the same name.
//
//go:embed knowledge/*.toml
var tables embed.FS

// runFolder holds what running labs need, a folder per process.
const runFolder = "/run/mailwhy-lab"

// Delay is what the slow addresses add to a round trip: half of it each way.
const Delay = 20 * time.Millisecond

// Clients are the namespaces commands run in.
var Clients = []string{"", "blocked25", "noptr"}

// World is a running lab.
type World struct {
	Dir       string // scratch; removed by Stop
	Anchor    string // file with the root's DS record, for --trust-anchor
	CAFile    string // for SSL_CERT_FILE
	Knowledge string // folder of tables, for --knowledge
	Cases     []*Case
	Hosts     []*Host

	ca       *pki.Authority
	cache    string
	clients  map[string]netns.Space
	edge     netns.Space
	core     netns.Space
	Servers  netns.Space // where all servers live
	fleet    *fleet
	scripted scripted
	policies *policies
	relay    *relay.Relay
	running  []*Process
}

// Missing says why the lab cannot run here, or "".
func Missing(ctx context.Context) string {
	if os.Getuid() != 0 {
		return "the lab needs root: it makes network namespaces"
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return "the lab needs /dev/net/tun: " + err.Error()
	}
	if out, err := exec.CommandContext(ctx, installScript(), "--check").CombinedOutput(); err != nil {
		return "run `make lab-install` as root: " + strings.TrimSpace(string(out))
	}
	return ""
}

// installScript is found from the folder of this package, where its tests run, or from the project's root.
func installScript() string {
	for _, p := range []string{"./install", "../install", "lab/install"} {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	return "lab/install"
}

// Cases reads the case files of the lab.
func Cases() ([]*Case, error) {
	all, err := ReadCases(sub(caseFiles, "cases"))
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("no cases")
	}
	return all, nil
}

// Start builds the lab for the cases. On an error everything is taken away again.
func Start(ctx context.Context, cases []*Case) (*World, error) {
	w := &World{Cases: cases, clients: map[string]netns.Space{}, cache: os.Getenv("MAILWHY_LAB_CACHE")}
	if w.cache == "" {
		w.cache = "/var/cache/mailwhy-lab"
	}
	if err := w.build(ctx); err != nil {
		return nil, errors.Join(err, w.Stop())
	}
	return w, nil
}

func (w *World) build(ctx context.Context) error {
	if err := sweep(); err != nil {
		return err
	}
	w.Dir = filepath.Join(runFolder, fmt.Sprint(os.Getpid()))
	if err := os.MkdirAll(w.Dir, 0o755); err != nil {
		return err
	}
	hosts, err := readHosts(w.Cases)
	if err != nil {
		return err
	}
	w.Hosts = hosts
	w.Knowledge = filepath.Join(w.Dir, "knowledge")
	if err := os.CopyFS(w.Knowledge, sub(tables, "knowledge")); err != nil {
		return err
	}
	steps := []func() error{
		w.network,
		w.certificatesAndZones,
		w.dns,
		w.mail,
		func() error { return w.waitForDNS(ctx) },
	}
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes what crashed labs left.
func sweep() error {
	if _, err := netns.Sweep(); err != nil {
		return err
	}
	entries, err := os.ReadDir(runFolder)
	if err != nil {
		return nil // there never was a lab
	}
	for _, e := range entries {
		if netns.Alive(e.Name()) {
			continue
		}
		if err := removeScratch(filepath.Join(runFolder, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// removeScratch unmounts whatever is mounted below dir, then removes it: never the other way round, since /dev of the
// machine is bound there.
func removeScratch(dir string) error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	lines := strings.Split(string(mounts), "\n")
	slices.Reverse(lines)
	for _, l := range lines {
		f := strings.Fields(l)
		if len(f) > 1 && strings.HasPrefix(f[1], dir+"/") {
			if out, err := exec.Command("umount", "--lazy", f[1]).CombinedOutput(); err != nil {
				return fmt.Errorf("umount %s: %w: %s", f[1], err, out)
			}
		}
	}
	mounts, err = os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	if strings.Contains(string(mounts), " "+dir+"/") {
		return fmt.Errorf("%s: something is still mounted below it", dir)
	}
	return os.RemoveAll(dir)
}

// readHosts joins the shared hosts with those of the cases and gives them addresses.
func readHosts(cases []*Case) ([]*Host, error) {
	var shared struct{ Host []*Host }
	d := toml.NewDecoder(strings.NewReader(string(sharedHosts)))
	if err := d.DisallowUnknownFields().Decode(&shared); err != nil {
		return nil, fmt.Errorf("hosts.toml: %w", err)
	}
	all := shared.Host
	for _, c := range cases {
		for i := range c.Host {
			all = append(all, &c.Host[i])
		}
	}
	seen := map[string]bool{}
	for _, h := range all {
		if h.Ports == nil && (h.Software == "gnutls" || h.Software == "openssl" || h.Software == "go") {
			h.Ports = []int{993}
		}
		if seen[h.Name] {
			return nil, fmt.Errorf("host %s is there twice", h.Name)
		}
		seen[h.Name] = true
	}
	return all, place(all)
}

// certificatesAndZones makes the authority, a certificate per host, and all zone files.
func (w *World) certificatesAndZones() error {
	now := time.Now()
	ca, err := pki.New(now)
	if err != nil {
		return err
	}
	w.ca = ca
	w.CAFile = filepath.Join(w.Dir, "ca.pem")
	if err := os.WriteFile(w.CAFile, ca.RootPEM(), 0o644); err != nil {
		return err
	}
	certs := filepath.Join(w.Dir, "certs")
	if err := os.MkdirAll(certs, 0o755); err != nil {
		return err
	}
	pairs := map[string]*pki.Pair{}
	for _, h := range w.Hosts {
		if h.Cert == "none" && h.Software != "dovecot" || h.Software == "" || h.Software == "sink" || h.Software == "script" {
			continue
		}
		kind := pki.Kind(h.Cert)
		if kind == "" || kind == "none" {
			kind = pki.Good
		}
		if pairs[h.Name], err = ca.Issue(certs, kind, now, h.Name); err != nil {
			return fmt.Errorf("host %s: %w", h.Name, err)
		}
	}
	w.fleet = &fleet{net: w.Servers, dir: w.Dir, cache: w.cache, hosts: w.Hosts, domains: mailDomains(w.Cases), pairs: pairs, roots: map[string]*root{}}
	if w.fleet.accounts, err = readAccounts(w.Cases, w.Hosts); err != nil {
		return err
	}
	if w.policies, err = startPolicies(w.Servers, certs, ca, w.Cases, now); err != nil {
		return err
	}
	a, err := draw(w.Cases, w.Hosts, pairs)
	if err != nil {
		return err
	}
	zones := filepath.Join(w.Dir, "dns")
	if err := os.MkdirAll(zones, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(zones, "root.hints"), []byte(rootHints()), 0o644); err != nil {
		return err
	}
	if w.Anchor, err = a.write(zones); err != nil {
		return err
	}
	p, err := startBIND(w.Servers, zones, a)
	if err != nil {
		return err
	}
	w.running = append(w.running, p)
	return nil
}

// mailDomains are the domains the mail servers take mail for: every zone of a case.
func mailDomains(cases []*Case) []string {
	out := []string{"grey.flow.example"}
	for _, c := range cases {
		for name := range c.Zones {
			name, _, _ = strings.Cut(name, "@")
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// dns starts the resolver and the blocklists.
func (w *World) dns() error {
	zones := filepath.Join(w.Dir, "dns")
	unbound, err := startUnbound(w.Servers, zones, w.Anchor)
	if err != nil {
		return err
	}
	w.running = append(w.running, unbound)
	lists := filepath.Join(w.Dir, "lists")
	if err := os.MkdirAll(lists, 0o755); err != nil {
		return err
	}
	rbl, err := startBlocklists(w.Servers, lists)
	if err != nil {
		return err
	}
	w.running = append(w.running, rbl)
	return nil
}

// mail starts the mail servers at once.
func (w *World) mail() error {
	// Postfix asks Dovecot for its login methods when a client comes, and rests for a minute where nobody answers.
	if err := w.fleet.startDovecot(); err != nil {
		return err
	}
	errs := make(chan error, 3)
	go func() { errs <- errors.Join(w.fleet.startPostfix(), w.fleet.startSinks()) }()
	go func() { errs <- w.startScripts() }()
	err := errors.Join(<-errs, <-errs)
	return errors.Join(err, w.fleet.startExim(), w.fleet.startOpenSMTPD(), w.fleet.startCyrus(), w.startTLSServers())
}

func (w *World) startScripts() error {
	for _, h := range w.fleet.of("script") {
		for _, addr := range h.addresses() {
			l, err := w.Servers.Listen(joinPort(addr, 25))
			if err != nil {
				return fmt.Errorf("host %s: %w", h.Name, err)
			}
			if err := w.scripted.serve(l, h); err != nil {
				return err
			}
		}
	}
	return nil
}

// waitForDNS waits until the servers answer.
func (w *World) waitForDNS(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for _, q := range [][2]string{{rootV4, "."}, {ns1V4, "hosting.example."}, {blocklistV4, "2.0.0.127.good.lists.example."}, {ResolverV4, clientName + "."}} {
		for {
			if err := w.ask(ctx, q[0], q[1]); err == nil {
				break
			} else if ctx.Err() != nil {
				var said strings.Builder
				for _, p := range w.running {
					fmt.Fprintf(&said, "\n%s: %s", p.Name, p.said())
				}
				return fmt.Errorf("%s does not answer for %s: %w%s", q[0], q[1], err, said.String())
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return nil
}

// Stop ends every server and removes every trace.
func (w *World) Stop() error {
	var errs []error
	w.scripted.stop()
	if w.policies != nil {
		w.policies.stop()
	}
	if w.fleet != nil {
		errs = append(errs, w.fleet.stop()...)
	}
	for _, p := range w.running {
		p.Stop()
	}
	if w.relay != nil {
		errs = append(errs, w.relay.Close())
	}
	for _, s := range w.spaces() {
		if s.Name != "" {
			errs = append(errs, s.Close())
		}
	}
	if w.Dir != "" {
		errs = append(errs, removeScratch(w.Dir))
	}
	return errors.Join(errs...)
}

func (w *World) spaces() []netns.Space {
	out := []netns.Space{w.edge, w.core, w.Servers}
	for _, s := range w.clients {
		out = append(out, s)
	}
	return out
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
