package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/lab/netns"
	"github.com/mailwhy/mailwhy/lab/pki"
)

// Recipients every mail server of the lab knows; all others are unknown users.
var recipients = []string{"li", "postmaster", "abuse", "hostmaster"}

// refusals are what the Postfix hosts say to some recipients, in Postfix's own framing.
var refusals = map[string]string{
	"full":    "452 4.2.2 Mailbox full",
	"quota":   "552 5.2.2 Over quota",
	"moved":   "551 5.1.6 User has moved, try new@elsewhere.example",
	"closed":  "550 5.2.1 Mailbox disabled",
	"grey":    "450 4.2.0 Greylisted, try again in 5 minutes",
	"busy":    "451 4.3.2 Please try again later",
	"policy":  "554 5.7.1 Refused by local policy",
	"spf":     "550 5.7.23 SPF validation failed",
	"ptr":     "550 5.7.25 Client host rejected: cannot find your reverse hostname",
	"starttl": "530 5.7.0 Must issue a STARTTLS command first",
}

// greylist is where postgrey answers, for hosts with the option
// smtpd_recipient_restrictions=check_policy_service inet:127.0.0.1:10023.
const greylist = "127.0.0.1:10023"

type fleet struct {
	net      netns.Space
	dir      string
	cache    string
	hosts    []*Host
	domains  []string
	accounts []*account
	pairs    map[string]*pki.Pair
	roots    map[string]*root
	running  []*Process
}

// of lists the hosts that run a software.
func (f *fleet) of(software string) []*Host {
	var out []*Host
	for _, h := range f.hosts {
		if h.Software == software {
			out = append(out, h)
		}
	}
	return out
}

// root mounts a root once.
func (f *fleet) root(name string) (*root, error) {
	if r := f.roots[name]; r != nil {
		return r, nil
	}
	r, err := mountRoot(f.cache, f.dir, name)
	if err != nil {
		return nil, err
	}
	f.roots[name] = r
	return r, r.write("etc/resolv.conf", "nameserver "+ResolverV4+"\n")
}

// run starts a process in a root and waits until it listens everywhere.
func (f *fleet) run(r *root, name string, listens []string, args ...string) error {
	p, err := start(f.net, f.dir, name, r.inside(args...)...)
	if err != nil {
		return err
	}
	f.running = append(f.running, p)
	return p.ready(f.net, "tcp", listens...)
}

// certificates copies the hosts' certificates into a root, by host name and by address.
func (f *fleet) certificates(r *root, hosts []*Host) error {
	for _, h := range hosts {
		p := f.pairs[h.Name]
		if p == nil {
			continue
		}
		text, err := readAll(p.BothFile, p.CertFile, p.KeyFile)
		if err != nil {
			return err
		}
		for i, ext := range []string{"pem", "crt", "key"} {
			if err := r.write("certs/"+h.Name+"."+ext, text[i]); err != nil {
				return err
			}
			for _, addr := range h.addresses() {
				if err := r.write("certs/ip-"+addr+"."+ext, text[i]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// listens lists every address and port of hosts.
func listens(hosts []*Host) []string {
	var out []string
	for _, h := range hosts {
		for _, addr := range h.addresses() {
			for _, port := range h.smtpPorts() {
				out = append(out, joinPort(addr, port))
			}
		}
	}
	return out
}

// startPostfix runs one Postfix with a listener per host, each with its own name, certificate and options.
func (f *fleet) startPostfix() error {
	hosts := append(f.of("postfix"), f.submitBy("postfix")...)
	if len(hosts) == 0 {
		return nil
	}
	r, err := f.root("postfix")
	if err != nil {
		return err
	}
	if err := f.certificates(r, hosts); err != nil {
		return err
	}
	var access strings.Builder
	for user, text := range refusals {
		fmt.Fprintf(&access, "%s@ %s\n", user, text)
	}
	users := slices.Clone(recipients)
	for user := range refusals {
		users = append(users, user)
	}
	users = append(users, f.localParts()...)
	slices.Sort(users)
	users = slices.Compact(users)
	var routes strings.Builder
	for domain, h := range f.delivered() {
		fmt.Fprintf(&routes, "%s lmtp:inet:[%s]:24\n", domain, h.V4[0])
	}
	files := map[string]string{
		"etc/postfix/main.cf":   postfixMain,
		"etc/postfix/master.cf": postfixMaster(hosts),
		"etc/postfix/domains":   strings.Join(append(append(names(hosts), "mx.lab.example"), f.domains...), " ok\n") + " ok\n",
		"etc/postfix/users":     strings.Join(users, " ok\n") + " ok\n",
		"etc/postfix/refuse":    access.String(),
		"etc/postfix/transport": routes.String(),
	}
	for path, text := range files {
		if err := r.write(path, text); err != nil {
			return err
		}
	}
	if err := f.run(r, "postgrey", []string{greylist}, "postgrey", "--inet="+greylist, "--delay=300", "--dbdir=/var/lib/postgrey"); err != nil {
		return err
	}
	return f.run(r, "postfix", listens(hosts), "postfix", "start-fg")
}

const postfixMain = `compatibility_level = 3.6
maillog_file = /var/log/mail.log
inet_interfaces = 127.0.0.1
inet_protocols = all
myhostname = mx.lab.example
mydestination = texthash:/etc/postfix/domains
local_recipient_maps = texthash:/etc/postfix/users
alias_maps =
local_transport = discard:
default_transport = discard:
transport_maps = texthash:/etc/postfix/transport
relay_transport = discard:
mynetworks = 127.0.0.0/8
smtpd_banner = $myhostname ESMTP
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access texthash:/etc/postfix/refuse
smtpd_tls_security_level = may
smtpd_tls_protocols = >=TLSv1.2
smtpd_tls_exclude_ciphers = aNULL
disable_vrfy_command = yes
smtpd_delay_reject = yes
smtpd_error_sleep_time = 0
smtpd_peername_lookup = yes
smtpd_client_connection_rate_limit = 0
anvil_rate_time_unit = 1s
message_size_limit = 52428800
`

func postfixMaster(hosts []*Host) string {
	var b strings.Builder
	for _, h := range hosts {
		for _, addr := range h.addresses() {
			for _, port := range h.smtpPorts() {
				fmt.Fprintf(&b, "%s inet n - n - - smtpd\n -o myhostname=%s\n", joinPort(addr, port), h.Name)
				if h.Submit != "" {
					b.WriteString(submission(h, port))
					continue
				}
				if h.Cert == "none" {
					b.WriteString(" -o smtpd_tls_security_level=none\n")
				} else {
					fmt.Fprintf(&b, " -o smtpd_tls_cert_file=/certs/%s.crt\n -o smtpd_tls_key_file=/certs/%[1]s.key\n", h.Name)
				}
				for _, o := range h.Options {
					fmt.Fprintf(&b, " -o { %s }\n", o)
				}
			}
		}
	}
	return b.String() + postfixServices
}

const postfixServices = `pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

// startExim runs one Exim for all its hosts; what differs is looked up by the address a client came to.
func (f *fleet) startExim() error {
	hosts := append(f.of("exim"), f.submitBy("exim")...)
	if len(hosts) == 0 {
		return nil
	}
	r, err := f.root("exim")
	if err != nil {
		return err
	}
	if err := f.certificates(r, hosts); err != nil {
		return err
	}
	var interfaces []string
	for _, h := range hosts {
		for _, addr := range h.addresses() {
			interfaces = append(interfaces, addr)
			priority := "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1"
			if h.Software == "exim" && len(h.Options) > 0 {
				priority = h.Options[0]
			}
			if err := errors.Join(r.write("certs/ip-"+addr+".name", h.Name), r.write("certs/ip-"+addr+".priority", priority)); err != nil {
				return err
			}
		}
	}
	if err := r.write("etc/exim4/exim4.conf", eximConfig(interfaces)); err != nil {
		return err
	}
	if err := r.write("etc/exim4/domains", strings.Join(f.domains, "\n")+"\n"); err != nil {
		return err
	}
	var routes, passwords strings.Builder
	for domain, h := range f.delivered() {
		fmt.Fprintf(&routes, "%s: %s\n", domain, h.V4[0])
	}
	for _, a := range f.accounts {
		fmt.Fprintf(&passwords, "%s: %s\n", a.User, a.Password)
	}
	for path, text := range map[string]string{
		"etc/exim4/users":     strings.Join(append(slices.Clone(recipients), f.localParts()...), "\n") + "\n",
		"etc/exim4/routes":    routes.String(),
		"etc/exim4/passwords": passwords.String(),
	} {
		if err := r.write(path, text); err != nil {
			return err
		}
	}
	return f.run(r, "exim", listens(hosts), "exim4", "-bdf", "-q1h", "-oP", "/run/exim4.pid")
}

func eximConfig(interfaces []string) string {
	return `local_interfaces = <; ` + strings.Join(interfaces, " ; ") + `
daemon_smtp_ports = 25 : 465 : 587
tls_on_connect_ports = 465
auth_advertise_hosts = ${if def:tls_in_cipher{*}{}}
primary_hostname = mx.lab.example
smtp_active_hostname = ${readfile{/certs/ip-${received_ip_address}.name}{}}
smtp_banner = ${smtp_active_hostname} ESMTP
log_file_path = /var/log/exim4/%slog
exim_user = Debian-exim
exim_group = Debian-exim
domainlist local_domains = lsearch;/etc/exim4/domains
acl_smtp_rcpt = rcpt
acl_smtp_data = accept
tls_advertise_hosts = *
tls_certificate = <; /certs/ip-${received_ip_address}.crt
tls_privatekey = <; /certs/ip-${received_ip_address}.key
tls_require_ciphers = ${if def:received_ip_address{${readfile{/certs/ip-${received_ip_address}.priority}{}}}{NORMAL}}
rfc1413_hosts =
keep_environment =
notifier_socket =
host_lookup = *
smtp_accept_max = 1000
smtp_accept_max_per_host = 1000
begin acl
rcpt:
  accept authenticated = *
  deny message = relay not permitted
       !domains = +local_domains
  deny message = Unknown user
       !local_parts = lsearch;/etc/exim4/users
  accept
begin routers
mailboxes:
  driver = manualroute
  domains = lsearch;/etc/exim4/routes
  route_data = ${lookup{$domain}lsearch{/etc/exim4/routes}}
  self = send
  transport = lmtp
all:
  driver = accept
  transport = drop
begin transports
drop:
  driver = appendfile
  file = /dev/null
  user = Debian-exim
lmtp:
  driver = smtp
  protocol = lmtp
  port = 24
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if eq{$auth3}{${lookup{$auth2}lsearch{/etc/exim4/passwords}{$value}fail}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${if eq{$auth2}{${lookup{$auth1}lsearch{/etc/exim4/passwords}{$value}fail}}}
  server_set_id = $auth1
`
}

// startOpenSMTPD runs one OpenSMTPD for all its hosts.
func (f *fleet) startOpenSMTPD() error {
	hosts := f.of("opensmtpd")
	if len(hosts) == 0 {
		return nil
	}
	r, err := f.root("opensmtpd")
	if err != nil {
		return err
	}
	if err := f.certificates(r, hosts); err != nil {
		return err
	}
	var b strings.Builder
	for _, h := range hosts {
		if h.Cert != "none" {
			// It refuses keys that others may read.
			if err := os.Chmod(filepath.Join(r.dir, "certs", h.Name+".key"), 0o600); err != nil {
				return err
			}
			fmt.Fprintf(&b, "pki %s cert \"/certs/%[1]s.crt\"\npki %[1]s key \"/certs/%[1]s.key\"\n", h.Name)
		}
	}
	fmt.Fprintf(&b, "table domains { %s }\ntable users { %s }\n", quoted(f.domains), quoted(recipientsAt(f.domains)))
	for _, h := range hosts {
		for _, addr := range h.addresses() {
			for _, port := range h.ports() {
				tls := " tls pki " + h.Name
				if h.Cert == "none" {
					tls = ""
				}
				fmt.Fprintf(&b, "listen on %s port %d%s hostname %s\n", addr, port, tls, h.Name)
			}
		}
	}
	b.WriteString("action drop relay host smtp://127.0.0.1:2525\nmatch from any for domain <domains> rcpt-to <users> action drop\n")
	if err := r.write("etc/smtpd.conf", b.String()); err != nil {
		return err
	}
	return f.run(r, "opensmtpd", listens(hosts), "smtpd", "-d", "-f", "/etc/smtpd.conf")
}

func quoted(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = `"` + w + `"`
	}
	return strings.Join(out, ", ")
}

func recipientsAt(domains []string) []string {
	var out []string
	for _, d := range domains {
		for _, u := range recipients {
			out = append(out, u+"@"+d)
		}
	}
	return out
}

// startSinks runs a smtp-sink for each address of the hosts that want one: a Postfix tool made for odd behaviour.
func (f *fleet) startSinks() error {
	hosts := f.of("sink")
	if len(hosts) == 0 {
		return nil
	}
	r, err := f.root("postfix")
	if err != nil {
		return err
	}
	for _, h := range hosts {
		for _, addr := range h.addresses() {
			if netip.MustParseAddr(addr).Is6() {
				continue // smtp-sink takes no IPv6 literal on every version
			}
			args := append([]string{"smtp-sink", "-u", "postfix", "-h", h.Name}, h.Options...)
			args = append(args, "inet:"+addr+":25", "100")
			if err := f.run(r, "sink-"+h.Name, []string{joinPort(addr, 25)}, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// stop ends the servers and takes their roots away.
func (f *fleet) stop() []error {
	for _, p := range f.running {
		p.Stop()
	}
	var errs []error
	for _, r := range f.roots {
		if err := r.unmount(); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// logs names the log file of a server in its root.
func (f *fleet) logs(root, path string) string { return filepath.Join(f.roots[root].dir, path) }

func names(hosts []*Host) []string {
	var out []string
	for _, h := range hosts {
		out = append(out, h.Name)
	}
	return out
}
