package lab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/lab/pki"
)

// The addresses of the mail flow: a message is submitted to Postfix, goes through a content filter and back into
// Postfix, on to Exim, and by LMTP to Dovecot, where Sieve files it.
const (
	flowPostfix = "11.0.20.25" // out.a.flow.example: submission, outgoing mail, and MX of a.flow.example
	flowListed  = "11.0.66.20" // the address it sends to listed.flow.example from: on a blocklist
	flowExim    = "11.0.21.25" // mx.b.flow.example
	flowDovecot = "11.0.22.24" // imap.flow.example: LMTP, IMAP, POP3, ManageSieve, SASL for Postfix
)

// Password is that of every mailbox of the flow.
const Password = "open sesame"

// flowZone is the zone of the flow; it is in every world.
const flowZone = `a MX 10 out.a
out.a A 11.0.20.25
b MX 10 mx.b
listed MX 10 mx.b
mx.b A 11.0.21.25
imap A 11.0.22.24
grey MX 10 mx.grey.hosting.example.
loop MX 10 out.a
dead MX 10 mx.dead
mx.dead A 11.0.24.25
nomail MX 0 .
a TXT "v=spf1 a:out.a.flow.example -all"
b TXT "v=spf1 a:mx.b.flow.example -all"
`

// mailboxes of both domains; quota in bytes, 0 for none.
var mailboxes = map[string]int{"li": 0, "wang": 0, "fwd": 0, "rej": 0, "full": 4096}

var sieves = map[string]string{
	"li":  "require [\"fileinto\", \"mailbox\"];\nif header :contains \"subject\" \"[list]\" { fileinto :create \"Lists\"; stop; }\nif header :contains \"subject\" \"throw away\" { discard; stop; }\n",
	"fwd": "redirect \"wang@a.flow.example\";\n",
	"rej": "require [\"reject\"];\nreject \"No mail here, thank you.\";\n",
}

// Flow is the running mail flow.
type Flow struct {
	w     *World
	fleet *fleet
	roots *x509.CertPool
}

// StartFlow starts the servers of the flow beside the others.
func (w *World) StartFlow(ca *pki.Authority) (*Flow, error) {
	f := &Flow{w: w, roots: x509.NewCertPool()}
	f.roots.AppendCertsFromPEM(ca.RootPEM())
	dir := filepath.Join(w.Dir, "flow")
	certs := filepath.Join(dir, "certs")
	if err := os.MkdirAll(certs, 0o755); err != nil {
		return nil, err
	}
	f.fleet = &fleet{net: w.Servers, dir: dir, cache: w.cache, pairs: map[string]*pki.Pair{}, roots: map[string]*root{}}
	var addrs []string
	hosts := map[string]string{"out.a.flow.example": flowPostfix, "mx.b.flow.example": flowExim, "imap.flow.example": flowDovecot}
	for name, addr := range hosts {
		pair, err := ca.Issue(certs, pki.Good, time.Now(), name)
		if err != nil {
			return nil, err
		}
		f.fleet.pairs[name] = pair
		f.fleet.hosts = append(f.fleet.hosts, &Host{Name: name, V4: []string{addr}})
		addrs = append(addrs, "addr add "+addr+"/32 dev lo")
	}
	addrs = append(addrs, "addr add "+flowListed+"/32 dev lo")
	if err := w.Servers.Batch(addrs...); err != nil {
		return nil, err
	}
	for _, start := range []func() error{f.startDovecot, f.startPostfix, f.startExim} {
		if err := start(); err != nil {
			return nil, errors.Join(append(f.fleet.stop(), err)...)
		}
	}
	return f, nil
}

// Stop ends the servers of the flow.
func (f *Flow) Stop() error { return errors.Join(f.fleet.stop()...) }

// Logs are the log files of the flow, in the order a message passes.
func (f *Flow) Logs() []string {
	return []string{f.fleet.logs("postfix", "var/log/mail.log"), f.fleet.logs("exim", "var/log/exim4/mainlog"), f.fleet.logs("dovecot", "var/log/dovecot.log")}
}

func (f *Flow) startDovecot() error {
	r, err := f.fleet.root("dovecot")
	if err != nil {
		return err
	}
	if err := f.fleet.certificates(r, f.fleet.hosts); err != nil {
		return err
	}
	var users strings.Builder
	for name, quota := range mailboxes {
		rule := ""
		if quota > 0 {
			rule = fmt.Sprintf("userdb_quota_rule=*:bytes=%d", quota)
		}
		for _, domain := range []string{"a", "b"} {
			fmt.Fprintf(&users, "%s@%s.flow.example:{PLAIN}%s:8:8::/srv/mail/%[2]s/%[1]s::%[4]s\n", name, domain, Password, rule)
		}
	}
	// A locked user: right password, no way in.
	fmt.Fprintf(&users, "locked@a.flow.example:{PLAIN}%s:8:8::/srv/mail/a/locked::nologin=y reason=Account_locked\n", Password)
	if err := r.write("etc/dovecot/users", users.String()); err != nil {
		return err
	}
	for name, script := range sieves {
		if err := r.write("srv/sieve/"+name+".sieve", script); err != nil {
			return err
		}
	}
	if err := r.write("etc/dovecot/lab.conf", dovecotConfig); err != nil {
		return err
	}
	for _, d := range []string{"srv/mail/a", "srv/mail/b", "srv/sieve"} {
		if err := os.MkdirAll(filepath.Join(r.dir, d), 0o755); err != nil {
			return err
		}
		if err := os.Chown(filepath.Join(r.dir, d), 8, 8); err != nil {
			return err
		}
	}
	return f.fleet.run(r, "dovecot", []string{flowDovecot + ":24", flowDovecot + ":143", flowDovecot + ":993", flowDovecot + ":4190", flowDovecot + ":12345"},
		"dovecot", "-F", "-c", "/etc/dovecot/lab.conf")
}

const dovecotConfig = `protocols = imap pop3 lmtp sieve
listen = 11.0.22.24
base_dir = /run/dovecot
log_path = /var/log/dovecot.log
hostname = imap.flow.example
submission_host = 11.0.21.25:25
postmaster_address = postmaster@a.flow.example
ssl = yes
ssl_cert = </certs/imap.flow.example.crt
ssl_key = </certs/imap.flow.example.key
disable_plaintext_auth = yes
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
auth_failure_delay = 1 secs
first_valid_uid = 1
mail_uid = 8
mail_gid = 8
mail_location = maildir:~/Maildir
mail_plugins = quota
lmtp_save_to_detail_mailbox = no
lda_mailbox_autocreate = yes
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u /etc/dovecot/users
}
userdb {
  driver = passwd-file
  args = username_format=%u /etc/dovecot/users
}
namespace inbox {
  inbox = yes
  mailbox Junk {
    special_use = \Junk
  }
  mailbox Sent {
    special_use = \Sent
  }
}
service lmtp {
  inet_listener lmtp {
    port = 24
  }
}
service auth {
  inet_listener {
    port = 12345
  }
}
protocol lmtp {
  mail_plugins = quota sieve
}
protocol imap {
  mail_plugins = quota imap_quota
}
plugin {
  quota = maildir:User quota
  sieve = file:~/sieve;active=/srv/sieve/%n.sieve
}
`

func (f *Flow) startPostfix() error {
	r, err := f.fleet.root("postfix")
	if err != nil {
		return err
	}
	if err := f.fleet.certificates(r, f.fleet.hosts); err != nil {
		return err
	}
	files := map[string]string{
		"etc/postfix/main.cf":   flowMain,
		"etc/postfix/master.cf": flowMaster + postfixServices,
		"etc/postfix/transport": "listed.flow.example listed:\n",
		"etc/postfix/users":     mailboxList("a.flow.example"),
		"etc/postfix/virtual":   "team@a.flow.example li@a.flow.example, wang@b.flow.example\n",
	}
	for path, text := range files {
		if err := r.write(path, text); err != nil {
			return err
		}
	}
	return f.fleet.run(r, "postfix", []string{flowPostfix + ":25", flowPostfix + ":587"}, "postfix", "start-fg")
}

func mailboxList(domain string) string {
	var b strings.Builder
	for name := range mailboxes {
		b.WriteString(name + "@" + domain + " ok\n")
	}
	return b.String()
}

// Waiting is short, so that a message that cannot be delivered comes back while a test looks on.
const flowMain = `compatibility_level = 3.6
maillog_file = /var/log/mail.log
inet_interfaces = 11.0.20.25, 127.0.0.1
inet_protocols = ipv4
smtp_bind_address = 11.0.20.25
myhostname = out.a.flow.example
mydestination = localhost
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = a.flow.example
virtual_mailbox_maps = texthash:/etc/postfix/users
virtual_alias_maps = texthash:/etc/postfix/virtual
virtual_transport = lmtp:inet:11.0.22.24:24
transport_maps = texthash:/etc/postfix/transport
relay_domains =
alias_maps =
message_size_limit = 52428800
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
smtpd_tls_security_level = may
smtpd_tls_cert_file = /certs/out.a.flow.example.crt
smtpd_tls_key_file = /certs/out.a.flow.example.key
smtpd_tls_loglevel = 1
smtp_tls_loglevel = 1
smtp_tls_security_level = may
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:11.0.22.24:12345
smtp_connect_timeout = 3s
queue_run_delay = 2s
minimal_backoff_time = 2s
maximal_backoff_time = 2s
maximal_queue_lifetime = 8s
bounce_queue_lifetime = 8s
delay_warning_time = 3s
smtpd_error_sleep_time = 0
`

const flowMaster = `11.0.20.25:25 inet n - n - - smtpd
11.0.20.25:587 inet n - n - - smtpd
 -o syslog_name=postfix/submission
 -o smtpd_tls_security_level=encrypt
 -o smtpd_sasl_auth_enable=yes
 -o content_filter=scan:[127.0.0.1]:10026
127.0.0.1:10026 inet n - n - - smtpd
 -o syslog_name=postfix/reinject
 -o content_filter=
 -o smtpd_authorized_xforward_hosts=127.0.0.0/8
listed unix - - n - - smtp
 -o smtp_bind_address=11.0.66.20
scan unix - - n - - smtp
 -o smtp_bind_address=127.0.0.1
 -o smtp_tls_security_level=none
 -o smtp_send_xforward_command=yes
`

func (f *Flow) startExim() error {
	r, err := f.fleet.root("exim")
	if err != nil {
		return err
	}
	if err := f.fleet.certificates(r, f.fleet.hosts); err != nil {
		return err
	}
	if err := r.write("etc/exim4/exim4.conf", flowEximConfig); err != nil {
		return err
	}
	users := ""
	for name := range mailboxes {
		users += name + "\n"
	}
	if err := r.write("etc/exim4/users", users); err != nil {
		return err
	}
	return f.fleet.run(r, "exim", []string{flowExim + ":25", flowExim + ":587"}, "exim4", "-bdf", "-q2s", "-oP", "/run/exim4.pid")
}

const flowEximConfig = `local_interfaces = 11.0.21.25
daemon_smtp_ports = 25 : 587
primary_hostname = mx.b.flow.example
log_file_path = /var/log/exim4/%slog
log_selector = +smtp_confirmation +queue_time +deliver_time +subject +received_recipients +tls_certificate_verified
exim_user = Debian-exim
exim_group = Debian-exim
domainlist local_domains = b.flow.example : listed.flow.example
acl_smtp_rcpt = rcpt
acl_smtp_data = accept
message_size_limit = 100K
tls_advertise_hosts = *
tls_certificate = /certs/mx.b.flow.example.crt
tls_privatekey = /certs/mx.b.flow.example.key
rfc1413_hosts =
keep_environment =
notifier_socket =
host_lookup = *
ignore_bounce_errors_after = 1s
begin acl
rcpt:
  deny dnslists = good.lists.example
       message = $sender_host_address is listed at $dnslist_domain: $dnslist_text
  accept hosts = 11.1.0.0/16 : 11.0.21.25 : 11.0.22.24
  deny message = relay not permitted
       !domains = +local_domains
  deny message = Unknown user
       !local_parts = lsearch;/etc/exim4/users : mustfail
  accept
begin routers
forward:
  driver = redirect
  domains = +local_domains
  data = ${if eq{$local_part}{mustfail}{:fail: The mailbox was closed in May}}
  allow_fail
users:
  driver = accept
  domains = +local_domains
  local_parts = lsearch;/etc/exim4/users
  transport = dovecot
remote:
  driver = dnslookup
  domains = !+local_domains
  transport = remote_smtp
  no_more
begin transports
dovecot:
  driver = smtp
  protocol = lmtp
  hosts = 11.0.22.24
  hosts_override
  port = 24
remote_smtp:
  driver = smtp
  interface = 11.0.21.25
begin retry
* * F,6s,2s
`

// Submit sends a message as a mailbox of a.flow.example by Postfix's submission port, or without a login by Exim's,
// where via is "exim".
func (f *Flow) Submit(ctx context.Context, via, from, to, subject, id, body string) error {
	addr, name := flowPostfix, "out.a.flow.example"
	if via == "exim" {
		addr, name = flowExim, "mx.b.flow.example"
	}
	conn, err := f.w.clients[""].DialContext(ctx, "tcp", net.JoinHostPort(addr, "587"))
	if err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	c, err := smtp.NewClient(conn, name)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	defer func() { _ = c.Close() }()
	if err := c.Hello(clientName); err != nil {
		return err
	}
	if err := c.StartTLS(&tls.Config{ServerName: name, RootCAs: f.roots}); err != nil {
		return err
	}
	if via != "exim" {
		if err := c.Auth(smtp.PlainAuth("", from, Password, name)); err != nil {
			return err
		}
	}
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	data, err := c.Data()
	if err != nil {
		return err
	}
	text := fmt.Sprintf("From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nMessage-ID: <%s>\r\nDate: %s\r\n\r\n%s\r\n", from, to, subject, id, time.Now().Format(time.RFC1123Z), body)
	if _, err := data.Write([]byte(text)); err != nil {
		return err
	}
	if err := data.Close(); err != nil {
		return err
	}
	return c.Quit()
}

// Mailbox lists the files of a mailbox's folder ("" is the INBOX), oldest first.
func (f *Flow) Mailbox(address, folder string) ([]string, error) {
	user, domain, _ := strings.Cut(address, "@")
	sub := "Maildir"
	if folder != "" {
		sub += "/." + folder
	}
	base := filepath.Join(f.fleet.roots["dovecot"].dir, "srv/mail", strings.TrimSuffix(domain, ".flow.example"), user, sub)
	var all []string
	for _, d := range []string{"new", "cur"} {
		files, err := filepath.Glob(filepath.Join(base, d, "*"))
		if err != nil {
			return nil, err
		}
		all = append(all, files...)
	}
	slices.Sort(all)
	return all, nil
}
