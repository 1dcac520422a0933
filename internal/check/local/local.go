// Package local looks at the mail server from the inside (row S7): which mail ports listen and whose they are, what the
// service manager and the packet filter say, space, memory, load and clock, and what in the configuration of Postfix, Exim
// and Dovecot is worth naming.
//
// Promise: read-only. Every fact names the file or the command it came from; what could not be read, for want of rights or
// of the program, is "could not test". RFCs: 5321, 8314, 4330.
//
// It must not change anything, and it must not connect to anything but a time server.
package local

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire/local"
)

// Door is the way to the machine.
type Door struct {
	Run   func(ctx context.Context, name string, args ...string) ([]byte, error) // commands that only read
	Files fs.FS                                                                  // the root of the file system
	Disk  func(path string) (local.Disk, error)
	Skew  func(ctx context.Context) (time.Duration, error) // nil: the clock is not compared
}

// Ports are those of mail.
var Ports = []uint16{25, 110, 143, 465, 587, 993, 995, 4190}

// Facts are what the machine told.
type Facts struct {
	Host      string               `json:"host"`
	Listeners []local.Listener     `json:"listeners,omitempty"`
	Services  []Service            `json:"services,omitempty"`
	Firewall  []local.FirewallRule `json:"firewall,omitempty"`
	Disks     []local.Disk         `json:"disks,omitempty"`
	Load      *local.Load          `json:"load,omitempty"`
	Skew      *time.Duration       `json:"clock_skew_ns,omitempty"` // ours minus the time server's
	Software  []Software           `json:"software,omitempty"`
	Settings  map[string]Settings  `json:"settings,omitempty"` // by product
	Commands  []string             `json:"commands"`           // every command and file that was read
	Faults    map[string]string    `json:"faults,omitempty"`   // by what could not be read

	errs map[string]error
}

// Service is a unit of the service manager.
type Service struct {
	Unit    string `json:"unit"`
	Active  string `json:"active"`            // "active", "failed", "inactive"
	Sub     string `json:"sub,omitempty"`     // "running", "exited"
	Enabled string `json:"enabled,omitempty"` // "enabled", "disabled"
	Result  string `json:"result,omitempty"`  // "success", "exit-code", "oom-kill"
}

// Software is a mail program with its version.
type Software struct {
	Product string `json:"product"`
	Version string `json:"version"`
	Source  string `json:"source"`
}

// Settings are the values of a configuration by name, as the program itself prints them.
type Settings map[string]string

// on tells a switch that is on.
func (s Settings) on(name string) bool {
	v := strings.ToLower(s[name])
	return v == "yes" || v == "true" || v == "1"
}

// Survey looks and judges.
func Survey(ctx context.Context, env *check.Env, door Door, host string) (*finding.Report, error) {
	started := env.Now()
	th, err := env.Know.Thresholds()
	if err != nil {
		return nil, err
	}
	holes, err := env.Know.Vulnerable()
	if err != nil {
		return nil, err
	}
	f := look(ctx, door, host)
	return check.NewReport(env, "local", finding.Host(host), started, Judge(f, th, holes), sections(f), f), nil
}

func look(ctx context.Context, d Door, host string) *Facts {
	f := &Facts{Host: host, Settings: map[string]Settings{}, Faults: map[string]string{}, errs: map[string]error{}}
	ls, err := local.Listeners(d.Files, func(p uint16) bool { return slices.Contains(Ports, p) })
	f.Listeners = ls
	f.did("/proc/net/tcp, /proc/net/tcp6", "sockets", err)
	f.services(ctx, d)
	f.firewall(ctx, d)
	f.postfix(ctx, d)
	f.exim(ctx, d)
	f.dovecot(ctx, d)
	for _, dir := range f.folders() {
		disk, err := d.Disk(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		f.did("statfs "+dir, "disk "+dir, err)
		if err == nil {
			f.Disks = append(f.Disks, disk)
		}
	}
	l, err := local.ReadLoad(d.Files)
	f.did("/proc/meminfo, /proc/loadavg, /proc/sys/fs/file-nr", "load", err)
	if err == nil {
		f.Load = &l
	}
	if d.Skew != nil {
		skew, err := d.Skew(ctx)
		f.did("SNTP", "clock", err)
		if err == nil {
			f.Skew = &skew
		}
	}
	return f
}

// did notes what was read, and why it could not be.
func (f *Facts) did(source, what string, err error) {
	f.Commands = append(f.Commands, source)
	if err != nil {
		f.Faults[what], f.errs[what] = err.Error(), err
	}
}

// run runs a command; a program that is not on this machine is no fault, the caller gets ok false.
func (f *Facts) run(ctx context.Context, d Door, what, name string, args ...string) (out []byte, ok bool) {
	out, err := d.Run(ctx, name, args...)
	if errors.Is(err, local.ErrMissing) || name == "systemctl" && err != nil && strings.Contains(err.Error(), "not been booted with systemd") {
		return nil, false
	}
	f.did(strings.Join(append([]string{name}, args...), " "), what, err)
	return out, err == nil
}

// units are those that mail servers have in the common distributions.
var units = []string{"postfix.service", "postfix@-.service", "exim4.service", "exim.service", "sendmail.service", "opensmtpd.service", "dovecot.service",
	"cyrus-imapd.service", "rspamd.service", "spamassassin.service", "spamd.service", "amavis.service", "opendkim.service", "opendmarc.service", "clamav-daemon.service"}

func (f *Facts) services(ctx context.Context, d Door) {
	out, ok := f.run(ctx, d, "services", "systemctl", append([]string{"show", "--property=Id,LoadState,ActiveState,SubState,UnitFileState,Result"}, units...)...)
	if !ok {
		return
	}
	for block := range strings.SplitSeq(string(out), "\n\n") {
		v := pairs(block, "=")
		if v["LoadState"] == "loaded" {
			f.Services = append(f.Services, Service{Unit: v["Id"], Active: v["ActiveState"], Sub: v["SubState"], Enabled: v["UnitFileState"], Result: v["Result"]})
		}
	}
}

func (f *Facts) firewall(ctx context.Context, d Door) {
	if out, ok := f.run(ctx, d, "nftables", "nft", "-j", "list", "ruleset"); ok {
		rules, err := local.ReadNft(out, Ports)
		if err != nil {
			f.Faults["nftables"], f.errs["nftables"] = err.Error(), err
		}
		f.Firewall = append(f.Firewall, rules...)
	}
	for _, name := range []string{"iptables-save", "ip6tables-save"} {
		if out, ok := f.run(ctx, d, name, name); ok {
			f.Firewall = append(f.Firewall, local.ReadIptables(out, Ports, name)...)
		}
	}
}

// pairs reads lines of name, separator, value; blanks around both are cut off. Lines without the separator name a switch:
// "no_x" is x = no, "x" is x = yes (exim -bP).
func pairs(text, sep string) Settings {
	v := Settings{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), sep)
		name = strings.TrimSpace(name)
		switch {
		case name == "" || strings.HasPrefix(name, "#"):
		case ok:
			v[name] = strings.TrimSpace(value)
		case strings.HasPrefix(name, "no_"):
			v[name[3:]] = "no"
		case !strings.ContainsAny(name, " {}"):
			v[name] = "yes"
		}
	}
	return v
}

func (f *Facts) postfix(ctx context.Context, d Door) {
	out, ok := f.run(ctx, d, "postfix", "postconf")
	if !ok {
		return
	}
	s := pairs(string(out), "=")
	if set, ok := f.run(ctx, d, "postfix", "postconf", "-n"); ok {
		for k := range pairs(string(set), "=") {
			s["set:"+k] = "yes"
		}
	}
	f.Settings["postfix"] = s
	if s["mail_version"] != "" {
		f.Software = append(f.Software, Software{"postfix", s["mail_version"], "postconf"})
	}
}

func (f *Facts) exim(ctx context.Context, d Door) {
	for _, name := range []string{"exim4", "exim"} {
		out, ok := f.run(ctx, d, "exim", name, "-bP")
		if !ok {
			if f.errs["exim"] != nil {
				return
			}
			continue
		}
		f.Settings["exim"] = pairs(string(out), "=")
		if cfg, ok := f.run(ctx, d, "exim", name, "-bP", "config"); ok {
			for line := range strings.Lines(string(cfg)) {
				if list, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "hostlist "), "="); ok && strings.TrimSpace(list) == "relay_from_hosts" {
					f.Settings["exim"]["hostlist relay_from_hosts"] = strings.TrimSpace(value)
				}
			}
		}
		if v, ok := f.run(ctx, d, "exim", name, "-bV"); ok {
			if w := strings.Fields(string(v)); len(w) > 2 && w[0] == "Exim" && w[1] == "version" {
				f.Software = append(f.Software, Software{"exim", w[2], name + " -bV"})
			}
		}
		return
	}
}

func (f *Facts) dovecot(ctx context.Context, d Door) {
	out, ok := f.run(ctx, d, "dovecot", "doveconf", "-n")
	if !ok {
		return
	}
	f.Settings["dovecot"] = doveconf(string(out))
	if v, ok := f.run(ctx, d, "dovecot", "dovecot", "--version"); ok {
		if w := strings.Fields(string(v)); len(w) > 0 {
			f.Software = append(f.Software, Software{"dovecot", w[0], "dovecot --version"})
		}
	}
}

// doveconf reads doveconf -n: nested blocks become names with slashes ("passdb/driver"); of several blocks of one name
// the values are joined by a blank.
func doveconf(text string) Settings {
	v := Settings{}
	var in []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#':
		case line == "}":
			in = in[:max(len(in)-1, 0)]
		case strings.HasSuffix(line, "{"):
			if len(in) < 20 {
				in = append(in, strings.TrimSpace(strings.TrimSuffix(line, "{")))
			}
		case ok:
			key := strings.Join(append(in[:len(in):len(in)], strings.TrimSpace(name)), "/")
			v[key] = strings.TrimSpace(v[key] + " " + strings.TrimSpace(value))
		}
	}
	return v
}

// folders are where mail lies on this machine.
func (f *Facts) folders() []string {
	out := []string{"/var/spool", "/var/mail", "/var/log", "/tmp"}
	add := func(dir string) {
		if strings.HasPrefix(dir, "/") && !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	if p := f.Settings["postfix"]; p != nil {
		add(p["queue_directory"])
		add(p["virtual_mailbox_base"])
	}
	if e := f.Settings["exim"]; e != nil {
		add(e["spool_directory"])
	}
	if d := f.Settings["dovecot"]; d != nil {
		for _, name := range []string{"mail_location", "mail_home", "mail_path"} {
			dir := d[name]
			if _, after, ok := strings.Cut(dir, ":"); ok {
				dir = after
			}
			dir, _, _ = strings.Cut(dir, "%") // up to the part that differs by user
			dir, _, _ = strings.Cut(dir, "~")
			add(strings.TrimSuffix(dir, "/"))
		}
	}
	return out
}
