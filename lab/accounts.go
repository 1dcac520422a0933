package lab

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// account is a mailbox with what it holds at the start.
type account struct {
	Account
	host  *Host
	mails map[string]string // "INBOX/1" → text
	sieve string
}

// readAccounts gathers the accounts of all cases.
func readAccounts(cases []*Case, hosts []*Host) ([]*account, error) {
	var out []*account
	for _, c := range cases {
		known := map[string]bool{}
		for _, a := range c.Account {
			i := slices.IndexFunc(hosts, func(h *Host) bool { return h.Name == a.Host })
			if i < 0 || hosts[i].Software != "dovecot" && hosts[i].Software != "cyrus" || len(hosts[i].V4) == 0 {
				return nil, fmt.Errorf("case %s: account %s: no host %q that keeps mailboxes", c.Name, a.User, a.Host)
			}
			if a.Password == "" {
				a.Password = Password
			}
			x := &account{Account: a, host: hosts[i], mails: map[string]string{}, sieve: c.Sieve[a.User]}
			for file, text := range c.Mail {
				if user, path, _ := strings.Cut(file, "/"); user == a.User {
					x.mails[path] = text
				}
			}
			known[a.User] = true
			out = append(out, x)
		}
		for file := range c.Mail {
			if user, _, _ := strings.Cut(file, "/"); !known[user] {
				return nil, fmt.Errorf("case %s: mail/%s: no account %q", c.Name, file, user)
			}
		}
		for user := range c.Sieve {
			if !known[user] {
				return nil, fmt.Errorf("case %s: sieve/%s: no such account", c.Name, user)
			}
		}
	}
	return out, nil
}

// on lists the accounts of a host.
func (f *fleet) on(h *Host) (out []*account) {
	for _, a := range f.accounts {
		if a.host == h {
			out = append(out, a)
		}
	}
	return out
}

// localParts are the left sides of all accounts.
func (f *fleet) localParts() (out []string) {
	for _, a := range f.accounts {
		name, _, _ := strings.Cut(a.User, "@")
		out = append(out, name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// delivered maps the domains that have accounts to the host that keeps them.
func (f *fleet) delivered() map[string]*Host {
	out := map[string]*Host{}
	for _, a := range f.accounts {
		_, domain, _ := strings.Cut(a.User, "@")
		out[domain] = a.host
	}
	return out
}

// submitBy lists the hosts whose mail a software takes beside the one that keeps the mailboxes.
func (f *fleet) submitBy(software string) (out []*Host) {
	for _, h := range f.hosts {
		if h.Submit == software {
			out = append(out, h)
		}
	}
	return out
}

// smtpPorts are the ports at which mail is taken.
func (h *Host) smtpPorts() []int {
	if h.Submit != "" {
		return []int{25, 465, 587}
	}
	return h.ports()
}

// submission are the settings of Postfix for one port of a host with mailboxes.
func submission(h *Host, port int) string {
	var b strings.Builder
	fmt.Fprintf(&b, " -o smtpd_tls_cert_file=/certs/%s.crt\n -o smtpd_tls_key_file=/certs/%[1]s.key\n -o smtpd_tls_auth_only=yes\n", h.Name)
	if h.Cert == "none" {
		b.WriteString(" -o smtpd_tls_security_level=none\n -o smtpd_tls_auth_only=no\n")
	}
	if port != 25 {
		fmt.Fprintf(&b, " -o smtpd_sasl_auth_enable=yes\n -o smtpd_sasl_type=dovecot\n -o smtpd_sasl_path=inet:%s:12345\n", h.V4[0])
		b.WriteString(" -o { smtpd_relay_restrictions=permit_sasl_authenticated,reject }\n")
	}
	if port == 465 {
		b.WriteString(" -o smtpd_tls_wrappermode=yes\n")
	}
	for _, o := range h.SMTP {
		fmt.Fprintf(&b, " -o { %s }\n", strings.ReplaceAll(o, "{{addr}}", h.V4[0]))
	}
	return b.String()
}

// startDovecot runs a Dovecot per host, all in one root.
func (f *fleet) startDovecot() error {
	hosts := f.of("dovecot")
	if len(hosts) == 0 {
		return nil
	}
	r, err := f.root("dovecot")
	if err != nil {
		return err
	}
	if err := f.certificates(r, hosts); err != nil {
		return err
	}
	for _, h := range hosts {
		if err := f.writeDovecot(r, h); err != nil {
			return fmt.Errorf("host %s: %w", h.Name, err)
		}
	}
	for _, h := range hosts {
		if err := f.run(r, "dovecot-"+h.Name, []string{joinPort(h.V4[0], 24), joinPort(h.V4[0], 12345)}, "env", "LAB_SPACE= ", "dovecot", "-F", "-c", "/etc/dovecot/"+h.Name+".conf"); err != nil {
			return err
		}
	}
	return nil
}

// writeDovecot puts the configuration, users, mails and filters of a host into the root.
func (f *fleet) writeDovecot(r *root, h *Host) error {
	var users, denied strings.Builder
	for _, a := range f.on(h) {
		extra := strings.ReplaceAll(a.Extra, "_", "%{env:LAB_SPACE}") // the file has no way to write a space
		if a.Quota > 0 {
			extra = strings.TrimSpace(fmt.Sprintf("%s userdb_quota_rule=*:bytes=%d", extra, a.Quota))
		}
		home := "/srv/mail/" + h.Name + "/" + a.User
		fmt.Fprintf(&users, "%s:{PLAIN}%s:8:8::%s::%s\n", a.User, a.Password, home, extra)
		if a.Deny {
			denied.WriteString(a.User + ":\n")
		}
		if err := a.fill(r, home); err != nil {
			return err
		}
	}
	files := map[string]string{
		"etc/dovecot/users-" + h.Name: users.String(),
		"etc/dovecot/deny-" + h.Name:  denied.String(),
		"etc/dovecot/" + h.Name + ".conf": strings.NewReplacer("NAME", h.Name, "LISTEN", strings.Join(h.addresses(), ", "), "ADDR", h.V4[0]).Replace(mailboxConfig) +
			strings.ReplaceAll(strings.Join(h.Options, "\n"), "{{addr}}", h.V4[0]) + "\n",
	}
	if h.Cert == "none" {
		files["etc/dovecot/"+h.Name+".conf"] += "ssl = no\n"
	}
	for path, text := range files {
		if err := r.write(path, text); err != nil {
			return err
		}
	}
	return nil
}

// fill writes the mails and the filter of an account below its home. Folder "INBOX" is the INBOX.
func (a *account) fill(r *root, home string) error {
	for _, path := range slices.Sorted(maps.Keys(a.mails)) {
		folder, name, _ := strings.Cut(path, "/")
		dir := home + "/Maildir"
		if folder != "INBOX" {
			dir += "/." + folder
		}
		for _, d := range []string{"cur", "new", "tmp"} {
			if err := os.MkdirAll(filepath.Join(r.dir, dir, d), 0o755); err != nil {
				return err
			}
		}
		if err := r.write(dir+"/new/"+name+".lab", strings.ReplaceAll(a.mails[path], "\n", "\r\n")); err != nil {
			return err
		}
	}
	if a.sieve != "" {
		if err := errors.Join(r.write(home+"/sieve/lab.sieve", a.sieve), os.Symlink("sieve/lab.sieve", filepath.Join(r.dir, home, ".dovecot.sieve"))); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(r.dir, home), 0o755); err != nil {
		return err
	}
	return filepath.WalkDir(filepath.Join(r.dir, home), func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, 8, 8)
	})
}

const mailboxConfig = `protocols = imap pop3 lmtp sieve
listen = LISTEN
import_environment = LAB_SPACE
base_dir = /run/dovecot-NAME
state_dir = /run/dovecot-NAME/state
log_path = /var/log/dovecot-NAME.log
hostname = NAME
postmaster_address = postmaster@NAME
ssl = yes
ssl_cert = </certs/NAME.crt
ssl_key = </certs/NAME.key
disable_plaintext_auth = yes
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
auth_failure_delay = 0
first_valid_uid = 1
mail_uid = 8
mail_gid = 8
mail_location = maildir:~/Maildir
mail_plugins = quota
lda_mailbox_autocreate = yes
passdb {
  driver = passwd-file
  args = username_format=%u /etc/dovecot/deny-NAME
  deny = yes
}
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u /etc/dovecot/users-NAME
}
userdb {
  driver = passwd-file
  args = username_format=%u /etc/dovecot/users-NAME
}
namespace inbox {
  inbox = yes
  mailbox Junk {
    auto = create
    special_use = \Junk
  }
  mailbox Sent {
    auto = create
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
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service quota-status {
  executable = quota-status -p postfix
  inet_listener {
    port = 12340
  }
  client_limit = 1
}
protocol lmtp {
  mail_plugins = quota sieve
}
protocol imap {
  mail_plugins = quota imap_quota
}
plugin {
  quota = maildir:User quota
  quota_status_success = DUNNO
  quota_status_overquota = "552 5.2.2 Mailbox is full"
  sieve = file:~/sieve;active=~/.dovecot.sieve
  sieve_extensions = +vacation-seconds
}
`

// startCyrus runs a Cyrus IMAP per host, each in a root of its own copy.
func (f *fleet) startCyrus() error {
	for _, h := range f.of("cyrus") {
		r, err := f.root("cyrus")
		if err != nil {
			return err
		}
		if err := f.certificates(r, []*Host{h}); err != nil {
			return err
		}
		files := map[string]string{
			"etc/imapd.conf": strings.NewReplacer("NAME", h.Name, "ADDR", h.V4[0]).Replace(cyrusConfig) + strings.Join(h.Options, "\n") + "\n",
			"etc/cyrus.conf": strings.NewReplacer("ADDR", h.V4[0]).Replace(cyrusServices),
		}
		for path, text := range files {
			if err := r.write(path, text); err != nil {
				return err
			}
		}
		for _, a := range f.on(h) {
			user, domain, _ := strings.Cut(a.User, "@")
			cmd := exec.Command("chroot", r.dir, "saslpasswd2", "-p", "-c", "-f", "/etc/sasldb2", "-u", domain, user)
			cmd.Stdin = strings.NewReader(a.Password + "\n")
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("host %s: account %s: %w: %s", h.Name, a.User, err, out)
			}
		}
		prepare := "chown -R cyrus:mail /etc/sasldb2 /var/lib/cyrus /var/spool/cyrus && mkdir -p /run/cyrus/proc /run/cyrus/lock /run/cyrus/socket && chown -R cyrus:mail /run/cyrus"
		if out, err := exec.Command("chroot", r.dir, "sh", "-c", prepare).CombinedOutput(); err != nil {
			return fmt.Errorf("host %s: %w: %s", h.Name, err, out)
		}
		for _, a := range f.on(h) {
			if a.Deny {
				cmd := exec.Command("chroot", r.dir, "su", "-s", "/bin/sh", "cyrus", "-c", "/usr/lib/cyrus/bin/cyr_deny -m 'Account suspended, call the helpdesk' '"+a.User+"'")
				if out, err := cmd.CombinedOutput(); err != nil {
					return fmt.Errorf("host %s: cyr_deny %s: %w: %s", h.Name, a.User, err, out)
				}
			}
		}
		if err := f.run(r, "cyrus-"+h.Name, []string{joinPort(h.V4[0], 993), joinPort(h.V4[0], 110)}, "/usr/lib/cyrus/bin/master", "-D"); err != nil {
			return err
		}
	}
	return nil
}

const cyrusConfig = `configdirectory: /var/lib/cyrus
proc_path: /run/cyrus/proc
mboxname_lockpath: /run/cyrus/lock
defaultpartition: default
partition-default: /var/spool/cyrus/mail
servername: NAME
virtdomains: userid
defaultdomain: localhost
unixhierarchysep: yes
admins: cyrus
autocreate_post: yes
autocreate_quota: 100
autocreate_inbox_folders: Sent | Junk
allowplaintext: no
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: /etc/sasldb2
sasl_mech_list: PLAIN LOGIN CRAM-MD5
tls_server_cert: /certs/NAME.crt
tls_server_key: /certs/NAME.key
sievedir: /var/spool/sieve
lmtpsocket: /run/cyrus/socket/lmtp
idlesocket: /run/cyrus/socket/idle
notifysocket: /run/cyrus/socket/notify
syslog_prefix: cyrus
`

const cyrusServices = `START {
  recover cmd="ctl_cyrusdb -r"
}
SERVICES {
  imap cmd="imapd -U 30" listen="ADDR:143" prefork=0
  imaps cmd="imapd -s -U 30" listen="ADDR:993" prefork=0
  pop3 cmd="pop3d -U 30" listen="ADDR:110" prefork=0
  pop3s cmd="pop3d -s -U 30" listen="ADDR:995" prefork=0
  sieve cmd="timsieved" listen="ADDR:4190" prefork=0
  lmtpunix cmd="lmtpd" listen="/run/cyrus/socket/lmtp" prefork=0
}
EVENTS {
  checkpoint cmd="ctl_cyrusdb -c" period=30
}
`

// hold logs an account in by IMAP from a client's address and stays, until stop is called.
func (w *World) hold(ctx context.Context, c *Case, client, user string) (stop func(), err error) {
	i := slices.IndexFunc(w.fleet.accounts, func(a *account) bool { return a.User == user })
	if i < 0 {
		return nil, fmt.Errorf("case %s: hold: no account %q", c.Name, user)
	}
	a := w.fleet.accounts[i]
	raw, err := w.clients[client].DialContext(ctx, "tcp", joinPort(a.host.V4[0], 993))
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true}) // the certificate is not what is tested
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := fmt.Fprintf(conn, "a LOGIN \"%s\" \"%s\"\r\n", a.User, a.Password); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	for in := bufio.NewReader(conn); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, errors.Join(fmt.Errorf("case %s: hold %s: %w", c.Name, user, err), raw.Close())
		}
		if strings.HasPrefix(line, "a OK") {
			return func() { _ = raw.Close() }, nil
		}
		if strings.HasPrefix(line, "a ") {
			return nil, errors.Join(fmt.Errorf("case %s: hold %s: %s", c.Name, user, line), raw.Close())
		}
	}
}
