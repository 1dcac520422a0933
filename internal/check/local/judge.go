package local

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire/local"
)

// judge holds what the parts of the judgement share.
type judge struct {
	f   *Facts
	th  *knowledge.Thresholds
	me  finding.Subject
	out []finding.Finding
}

// Judge says what the facts mean.
func Judge(f *Facts, th *knowledge.Thresholds, holes *knowledge.Vulnerable) []finding.Finding {
	j := &judge{f: f, th: th, me: finding.Host(f.Host)}
	j.unread()
	j.listeners()
	j.services()
	j.firewall()
	j.disks()
	j.load()
	j.clock()
	j.versions(holes)
	j.postfix()
	j.exim()
	j.dovecot()
	return j.out
}

// say adds a finding with where the fact came from.
func (j *judge) say(r *finding.Rule, failed bool, args finding.Args, source, raw string) *finding.Finding {
	f := r.Passed(j.me, args)
	if failed {
		f = r.Failed(j.me, args)
		f.Verify = finding.Cmd("local")
	}
	if source != "" {
		f.Evidence = []finding.Evidence{{Source: "local", Place: source, Raw: raw}}
	}
	j.out = append(j.out, f)
	return &j.out[len(j.out)-1]
}

// graver raises a finding above its rule.
func graver(f *finding.Finding, s finding.Severity) { f.Severity = &s }

func (j *judge) unread() {
	names := make([]string, 0, len(j.f.Faults))
	for n := range j.f.Faults {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		f := ruleRead.Untested(j.me, finding.S("{{.What}}: {{.Why}}", finding.Args{"What": n, "Why": why(j.f, n)}))
		if n == "nftables" || strings.HasSuffix(n, "tables-save") || n == "services" || n == "clock" {
			graver(&f, finding.Warning) // the rest of the report stands without it
		}
		j.out = append(j.out, f)
	}
}

func why(f *Facts, what string) finding.Sentence {
	if err := f.errs[what]; err != nil {
		return check.Why(err)
	}
	return finding.Raw(f.Faults[what])
}

// programs are the processes that may hold a mail port.
var programs = []string{"master", "smtpd", "exim4", "exim", "sendmail", "dovecot", "imap-login", "pop3-login", "managesieve-log", "imapd", "pop3d", "couriertcpd",
	"cyrmaster", "haproxy", "nginx", "stunnel", "stunnel4", "systemd", "tcpserver", "haraka", "node", "rspamd", "docker-proxy", "rootlessport", "stalwart-mail", "maddy", "james", "java", "beam.smp", "mailwhy", "amavisd", "slirp4netns"}

func (j *judge) listeners() {
	if j.f.errs["sockets"] != nil {
		return
	}
	outside := map[uint16]bool{}
	for _, l := range j.f.Listeners {
		if !l.Addr.Addr().IsLoopback() {
			outside[l.Addr.Port()] = true
		}
	}
	said := map[uint16]bool{}
	for _, l := range j.f.Listeners {
		port := l.Addr.Port()
		args := finding.Args{"Port": port, "Program": program(l), "Addr": l.Addr.String(), "PID": l.PID}
		if l.Program != "" && !slices.Contains(programs, l.Program) {
			j.say(ruleStranger, true, args, "/proc", fmt.Sprintf("%s pid %d %s", l.Addr, l.PID, l.Command))
		}
		if !outside[port] && !said[port] {
			j.say(ruleLoopback, true, args, "/proc/net/tcp", l.Addr.String())
		}
		if port == 25 && outside[25] && !said[25] {
			j.say(ruleListens, false, args, "", "")
		}
		said[port] = true
	}
	for _, s := range j.f.Software {
		if s.Product != "dovecot" && !said[25] {
			j.say(ruleListens, true, finding.Args{"Product": s.Product}, "/proc/net/tcp, /proc/net/tcp6", "no socket in state LISTEN on port 25")
		}
	}
}

func program(l local.Listener) string {
	if l.Program == "" {
		return "uid " + l.User
	}
	return l.Program
}

func (j *judge) services() {
	for _, s := range j.f.Services {
		args := finding.Args{"Unit": s.Unit, "State": s.Active, "Result": s.Result}
		raw := fmt.Sprintf("ActiveState=%s SubState=%s Result=%s UnitFileState=%s", s.Active, s.Sub, s.Result, s.Enabled)
		switch {
		case s.Active == "failed":
			j.say(ruleService, true, args, "systemctl show "+s.Unit, raw)
		case s.Active == "active":
			j.say(ruleService, false, args, "", "")
			if s.Enabled == "disabled" {
				f := j.say(ruleBoot, true, args, "systemctl show "+s.Unit, raw)
				f.Fix = []finding.Step{{Kind: finding.Run, Target: "shell", New: "systemctl enable " + s.Unit}}
			}
		}
	}
}

func (j *judge) firewall() {
	for _, r := range j.f.Firewall {
		if r.Policy {
			continue // what the rules let through decides, and that is shown in the table
		}
		var ports []string
		for _, p := range r.Ports {
			ports = append(ports, strconv.Itoa(int(p)))
		}
		j.say(ruleFiltered, true, finding.Args{"Where": r.Where, "Verdict": r.Verdict, "Out": r.Outgoing, "Ports": ports}, r.Source, r.Text)
	}
}

func percent(part, whole int64) int64 {
	if whole <= 0 {
		return 100
	}
	return part * 100 / whole
}

func (j *judge) disks() {
	th := &j.th.Local
	said := map[[2]int64]bool{}
	for _, d := range j.f.Disks {
		if key := [2]int64{d.Total, d.Free}; said[key] {
			continue // the same file system under another path
		} else {
			said[key] = true
		}
		space, inodes := percent(d.Free, d.Total), percent(d.InodesFree, d.Inodes)
		args := finding.Args{"Path": d.Path, "Percent": space, "What": finding.S("space", nil), "Left": size(d.Free)}
		worst := space
		if d.Inodes > 0 && inodes < space {
			worst = inodes
			args["What"], args["Percent"], args["Left"] = finding.S("inodes", nil), inodes, strconv.FormatInt(d.InodesFree, 10)
		}
		low := worst < int64(th.DiskFreeWarningPercent)
		if !low {
			args["Percent"] = space
		}
		f := j.say(ruleDisk, low, args, "statfs "+d.Path, fmt.Sprintf("%d of %d bytes free, %d of %d inodes free", d.Free, d.Total, d.InodesFree, d.Inodes))
		if low && worst >= int64(th.DiskFreeErrorPercent) {
			graver(f, finding.Warning)
		}
	}
}

func (j *judge) load() {
	l, th := j.f.Load, &j.th.Local
	if l == nil {
		return
	}
	free := percent(l.MemFree, l.MemTotal)
	j.say(ruleMemory, free < int64(th.MemoryFreeWarningPercent), finding.Args{"Percent": free, "Left": size(l.MemFree)}, "/proc/meminfo", fmt.Sprintf("MemAvailable %d of %d bytes", l.MemFree, l.MemTotal))
	j.say(ruleLoad, th.LoadPerCPUWarning > 0 && l.Load5 > float64(th.LoadPerCPUWarning*l.CPUs), finding.Args{"Load": fmt.Sprintf("%.1f", l.Load5), "CPUs": l.CPUs}, "/proc/loadavg", fmt.Sprintf("%.2f", l.Load5))
	if l.FilesMax > 0 && th.FilesOpenWarningPercent > 0 && percent(l.Files, l.FilesMax) >= int64(th.FilesOpenWarningPercent) {
		j.say(ruleFiles, true, finding.Args{"Open": l.Files, "Max": l.FilesMax}, "/proc/sys/fs/file-nr", fmt.Sprintf("%d of %d", l.Files, l.FilesMax))
	}
}

func (j *judge) clock() {
	if j.f.Skew == nil {
		return
	}
	skew, th := *j.f.Skew, &j.th.Local
	away := max(skew, -skew)
	bad := away >= time.Duration(th.ClockWarningSeconds)*time.Second && th.ClockWarningSeconds > 0
	f := j.say(ruleClock, bad, finding.Args{"Skew": away.Round(time.Millisecond), "Ahead": skew > 0}, "SNTP", skew.String())
	if bad && away >= time.Duration(th.ClockErrorSeconds)*time.Second {
		graver(f, finding.Error)
	}
}

func (j *judge) versions(holes *knowledge.Vulnerable) {
	for _, s := range j.f.Software {
		args := finding.Args{"Product": s.Product, "Version": s.Version}
		found := holes.Of(s.Product, s.Version)
		if len(found) == 0 {
			j.say(ruleHole, false, args, s.Source, s.Version)
		}
		for _, h := range found {
			j.say(ruleHole, true, finding.Args{"Product": s.Product, "Version": s.Version, "CVE": h.CVE, "What": finding.Both(h.EN, h.ZH), "Fixed": strings.Join(h.Fixed, ", ")}, s.Source, s.Version)
		}
	}
}

// size writes bytes as people do.
func size(n int64) string {
	for _, u := range []struct {
		name string
		of   int64
	}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}} {
		if n >= u.of {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.of), u.name)
		}
	}
	return fmt.Sprintf("%d kB", n/1000)
}

// publicName tells whether a host name can be one of the public DNS.
func publicName(name string) bool {
	l := strings.ToLower(strings.TrimSuffix(name, "."))
	if !strings.Contains(l, ".") {
		return false
	}
	if _, err := netip.ParseAddr(l); err == nil {
		return false
	}
	for _, end := range []string{".local", ".localdomain", ".localhost", ".lan", ".internal", ".home", ".invalid", ".home.arpa", ".corp"} {
		if strings.HasSuffix(l, end) {
			return false
		}
	}
	return true
}

// everybody tells whether a list of networks holds the whole Internet, and which word does.
func everybody(list string) (word string, all bool) {
	for w := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ' ' || r == ',' || r == ';' }) {
		if w == "*" || w == "all" {
			return w, true
		}
		p, err := netip.ParsePrefix(strings.NewReplacer("[", "", "]", "").Replace(w))
		if err == nil && (p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 16) {
			return w, true
		}
	}
	return "", false
}
