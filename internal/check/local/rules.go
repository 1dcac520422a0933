package local

import "github.com/mailwhy/mailwhy/internal/finding"

func ours(id string, sev finding.Severity, r finding.Rule) *finding.Rule {
	r.ID, r.Severity, r.Owner = id, sev, finding.OwnerSelf
	return &r
}

var (
	ruleListens = ours("local.nothing-listens", finding.Error, finding.Rule{
		Title: "nothing listens on a port of mail", Says: "{{.Product}} is installed, and nothing listens on port 25 of this machine",
		OK: "port 25 is served by {{.Program}}", Why: "No other server can deliver to this machine.",
		Repair: "Start the service, and look into its log for why it ended.", Refs: []finding.Ref{finding.RFC(5321, "4.5.4.2")}})
	ruleLoopback = ours("local.loopback-only", finding.Note, finding.Rule{
		Title: "a mail port is open to this machine only", Says: "port {{.Port}} ({{.Program}}) listens on {{.Addr}} only",
		Why: "That is right for a machine that only sends; mail from outside does not arrive that way."})
	ruleStranger = ours("local.stranger-listens", finding.Warning, finding.Rule{
		Title: "an unexpected program listens on a mail port", Says: "port {{.Port}} is held by {{.Program}} (process {{.PID}}), which is no mail program mailwhy knows",
		Why: "The mail server cannot take the port while another program holds it.", Repair: "Find out what it is, and stop one of the two."})
	ruleService = ours("local.service-failed", finding.Error, finding.Rule{
		Title: "a mail service has failed", Says: "{{.Unit}} is {{.State}} ({{.Result}})", OK: "{{.Unit}} runs",
		Why: "What it does for mail is not done.", Repair: "Read why it ended in its log, mend that, and start it again."})
	ruleBoot = ours("local.not-enabled", finding.Warning, finding.Rule{
		Title: "a mail service is not started at boot", Says: "{{.Unit}} runs, and is not enabled: it will not come back after a restart of the machine",
		Why: "The next restart ends mail service.", Repair: "Enable the unit."})
	ruleFiltered = ours("local.firewall", finding.Warning, finding.Rule{
		Title: "the packet filter stops a mail port", Says: "a rule of {{.Where}} {{if eq .Verdict \"drop\"}}drops{{else}}refuses{{end}} {{if .Out}}outgoing{{else}}incoming{{end}} traffic of port {{list .Ports}}",
		Why:    "Connections from the addresses it matches end there, though the server is fine.",
		Repair: "See whether the rule means these addresses; a rule for all of them must go where the port is to serve."})
	ruleDisk = ours("local.disk", finding.Error, finding.Rule{
		Title: "hardly any space left", Says: "{{.Path}} has {{.Percent}} % of its {{.What}} left ({{.Left}})", OK: "{{.Path}} has room: {{.Percent}} % of its space is free",
		Why: "A mail server without space refuses mail with 452 and may lose its queue files.", Repair: "Make room: old logs, a stuck queue, deleted messages that are still held."})
	ruleMemory = ours("local.memory", finding.Warning, finding.Rule{
		Title: "memory is short", Says: "{{.Percent}} % of memory can still be had ({{.Left}})", OK: "memory: {{.Percent}} % can still be had",
		Why: "The kernel ends processes when there is none, and filters are the first to go.", Repair: "See who uses it; filters such as ClamAV take a gigabyte and more."})
	ruleLoad = ours("local.load", finding.Warning, finding.Rule{
		Title: "the machine is overloaded", Says: "{{.Load}} processes want one of {{.CPUs}} {{plural .CPUs \"core\" \"cores\"}} (mean of five minutes)", OK: "load: {{.Load}} on {{.CPUs}} {{plural .CPUs \"core\" \"cores\"}}",
		Why: "Exim and Sendmail stop taking mail above a load limit, and everything times out.", Repair: "See what runs; a filter that scans one message after the other is the usual reason."})
	ruleFiles = ours("local.files", finding.Warning, finding.Rule{
		Title: "file descriptors run out", Says: "{{.Open}} of {{.Max}} file descriptors are in use", Why: "New connections fail with \"too many open files\".",
		Repair: "Find who holds them, or raise fs.file-max."})
	ruleClock = ours("local.clock", finding.Warning, finding.Rule{
		Title: "the clock is wrong", Says: "the clock of this machine is {{.Skew}} {{if .Ahead}}ahead{{else}}behind{{end}}", OK: "the clock is right to within {{.Skew}}",
		Why: "DKIM signatures, certificates, one-time passwords and log times are judged by it.", Repair: "Let chrony or systemd-timesyncd keep it.", Refs: []finding.Ref{finding.RFC(4330, "5")}})
	ruleHole = ours("local.vulnerable", finding.Warning, finding.Rule{
		Title: "a release with a known hole", Says: "{{.Product}} {{.Version}}: {{.CVE}}: {{.What}}", OK: "{{.Product}} {{.Version}} has none of the known holes",
		Why:    "The hole is public. Distributions mend holes without a new version number, so this release may be mended all the same.",
		Repair: "Look for {{.CVE}} in the change log of the package; where it is not named, bring the package up to date (first good: {{.Fixed}})."})
	ruleRelay = ours("postfix.open-relay", finding.Error, finding.Rule{
		Title: "Postfix relays for everybody", Says: "Postfix relays for strangers: {{.Setting}} = {{.Value}}", OK: "Postfix relays for its own networks and users only",
		Why: "Spammers find an open relay within hours, and every blocklist lists it within a day.", Repair: "Set mynetworks to your own networks, and keep reject_unauth_destination or defer_unauth_destination in smtpd_relay_restrictions.",
		Refs: []finding.Ref{{Title: "Postfix: smtpd_relay_restrictions", URL: "https://www.postfix.org/postconf.5.html#smtpd_relay_restrictions"}}})
	rulePfTLS = ours("postfix.no-tls", finding.Warning, finding.Rule{
		Title: "Postfix offers no TLS", Says: "Postfix offers no STARTTLS: smtpd_tls_security_level is empty", OK: "Postfix offers STARTTLS",
		Why: "Mail comes in readable on the way, and senders that want TLS (MTA-STS, DANE) do not deliver.", Repair: "Set smtpd_tls_security_level = may and a certificate.", Refs: []finding.Ref{finding.RFC(3207, "4")}})
	rulePfOut = ours("postfix.no-tls-out", finding.Warning, finding.Rule{
		Title: "Postfix sends without TLS", Says: "Postfix sends in the clear: smtp_tls_security_level is {{if .Value}}{{.Value}}{{else}}empty{{end}}", OK: "Postfix uses TLS when it sends ({{.Value}})",
		Why: "Mail goes out readable on the way, and receivers such as Gmail show a red lock.", Repair: "Set smtp_tls_security_level = may (or dane, with a validating resolver)."})
	rulePfPlain = ours("postfix.plain-login", finding.Warning, finding.Rule{
		Title: "Postfix takes passwords without encryption", Says: "Postfix offers logins without TLS: smtpd_tls_auth_only = no", OK: "Postfix takes passwords over TLS only",
		Why: "Passwords cross the network readable.", Repair: "Set smtpd_tls_auth_only = yes.", Refs: []finding.Ref{finding.RFC(8314, "4.1")}})
	rulePfName = ours("postfix.myhostname", finding.Warning, finding.Rule{
		Title: "Postfix greets with a name that is none", Says: "myhostname is {{.Value}}, which is no name of the public DNS", OK: "Postfix calls itself {{.Value}}",
		Why: "Receivers compare the name in EHLO with the DNS; one without an address costs points or is refused.", Repair: "Set myhostname to the name that the PTR record of the sending address has.", Refs: []finding.Ref{finding.RFC(5321, "4.1.4")}})
	rulePfTwice = ours("postfix.domain-twice", finding.Error, finding.Rule{
		Title: "a domain is in two classes", Says: "{{list .Domains}}: in mydestination and in {{.Other}}", Why: "Postfix looks for local users only; virtual mailboxes of that domain get \"user unknown\".",
		Repair: "Take the domain out of mydestination."})
	rulePfSize = ours("postfix.sizes", finding.Error, finding.Rule{
		Title: "size limits disagree", Says: "{{.Big}} ({{.BigValue}}) is greater than {{.Small}} ({{.SmallValue}})", OK: "the size limits agree",
		Why: "Messages between the two are taken and cannot be delivered; the sender gets a bounce hours later, or Postfix does not deliver at all.", Repair: "Raise {{.Small}}, or lower {{.Big}}."})
	rulePfSoft = ours("postfix.soft-bounce", finding.Warning, finding.Rule{
		Title: "Postfix turns refusals into delays", Says: "soft_bounce = yes: every permanent refusal is said as a temporary one", Why: "Senders try again for days, and the queue grows.", Repair: "Set soft_bounce = no when the test is over."})
	rulePfSmuggling = ours("postfix.smuggling", finding.Warning, finding.Rule{
		Title: "Postfix takes a bare line feed for a line end", Says: "smtpd_forbid_bare_newline = {{.Value}}", OK: "Postfix refuses bare line feeds ({{.Value}})",
		Why: "A message can hold a second one with a forged sender (SMTP smuggling).", Repair: "Set smtpd_forbid_bare_newline = normalize (Postfix 3.9, and the patch releases of 3.5 to 3.8).", Refs: []finding.Ref{finding.RFC(5321, "2.3.8"), {Title: "Postfix: SMTP smuggling", URL: "https://www.postfix.org/smtp-smuggling.html"}}})
	rulePfUTF8 = ours("postfix.no-smtputf8", finding.Note, finding.Rule{
		Title: "Postfix does not take addresses beyond ASCII", Says: "smtputf8_enable = {{.Value}}", Why: "Mail from and to addresses such as 用户@例子.example is refused.", Refs: []finding.Ref{finding.RFC(6531, "3.1")}})
	ruleEximRelay = ours("exim.open-relay", finding.Error, finding.Rule{
		Title: "Exim relays for everybody", Says: "Exim relays for strangers: relay_from_hosts = {{.Value}}", OK: "Exim relays for its own hosts only",
		Why: "Spammers find an open relay within hours, and every blocklist lists it within a day.", Repair: "Name your own networks in relay_from_hosts."})
	ruleEximTLS = ours("exim.no-tls", finding.Warning, finding.Rule{
		Title: "Exim offers no TLS", Says: "Exim offers no STARTTLS: {{.Setting}} is empty", OK: "Exim offers STARTTLS",
		Why: "Mail comes in readable on the way, and senders that want TLS (MTA-STS, DANE) do not deliver.", Repair: "Set tls_advertise_hosts = * with tls_certificate and tls_privatekey.", Refs: []finding.Ref{finding.RFC(3207, "4")}})
	ruleEximName = ours("exim.primary-hostname", finding.Warning, finding.Rule{
		Title: "Exim greets with a name that is none", Says: "primary_hostname is {{.Value}}, which is no name of the public DNS", OK: "Exim calls itself {{.Value}}",
		Why: "Receivers compare the name in EHLO with the DNS; one without an address costs points or is refused.", Repair: "Set primary_hostname to the name that the PTR record of the sending address has.", Refs: []finding.Ref{finding.RFC(5321, "4.1.4")}})
	ruleEximPlain = ours("exim.plain-login", finding.Warning, finding.Rule{
		Title: "Exim offers logins without encryption", Says: "auth_advertise_hosts = {{.Value}}: logins are offered before TLS", OK: "Exim offers logins over TLS only",
		Why: "Passwords cross the network readable.", Repair: "Set auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}.", Refs: []finding.Ref{finding.RFC(8314, "4.1")}})
	ruleDovePlain = ours("dovecot.plain-login", finding.Warning, finding.Rule{
		Title: "Dovecot takes passwords without encryption", Says: "Dovecot takes passwords in the clear: {{.Setting}} = {{.Value}}", OK: "Dovecot takes passwords over TLS only",
		Why: "Passwords cross the network readable.", Repair: "Set auth_allow_cleartext = no (disable_plaintext_auth = yes up to 2.3).", Refs: []finding.Ref{finding.RFC(8314, "4.1")}})
	ruleDoveTLS = ours("dovecot.no-tls", finding.Warning, finding.Rule{
		Title: "Dovecot offers no TLS", Says: "Dovecot offers no TLS: ssl = no", OK: "Dovecot offers TLS", Why: "Mailboxes are read in the clear.", Repair: "Set ssl = required and a certificate.", Refs: []finding.Ref{finding.RFC(8314, "4.1")}})
	ruleDoveOld = ours("dovecot.old-tls", finding.Warning, finding.Rule{
		Title: "Dovecot takes old TLS versions", Says: "ssl_min_protocol = {{.Value}}", Why: "TLS before 1.2 is broken and forbidden.", Repair: "Set ssl_min_protocol = TLSv1.2.", Refs: []finding.Ref{finding.RFC(8996, "")}})
	ruleDoveScheme = ours("dovecot.weak-passwords", finding.Warning, finding.Rule{
		Title: "passwords are kept in a weak form", Says: "passwords are kept as {{.Value}}", Why: "Whoever gets the file has most of the passwords within hours.", Repair: "Move to BLF-CRYPT or ARGON2ID; Dovecot can do it at each login."})
	ruleDoveAny = ours("dovecot.any-password", finding.Error, finding.Rule{
		Title: "Dovecot takes any password", Says: "passdb static with nopassword: anybody may log in as anybody", Why: "Every mailbox is open, and so is relaying for those who log in.", Repair: "Take the passdb out."})
	ruleRead = ours("local.not-read", finding.Error, finding.Rule{Title: "a part of the machine could not be read",
		Says: "a part of the machine could not be read", Why: "What was not read was not judged.", Repair: "Run it as root."})
)

// Rules are all the rules of this pack.
var Rules = []*finding.Rule{ruleListens, ruleLoopback, ruleStranger, ruleService, ruleBoot, ruleFiltered, ruleDisk, ruleMemory, ruleLoad, ruleFiles, ruleClock,
	ruleHole, ruleRelay, rulePfTLS, rulePfOut, rulePfPlain, rulePfName, rulePfTwice, rulePfSize, rulePfSoft, rulePfSmuggling, rulePfUTF8,
	ruleEximRelay, ruleEximTLS, ruleEximName, ruleEximPlain, ruleDovePlain, ruleDoveTLS, ruleDoveOld, ruleDoveScheme, ruleDoveAny, ruleRead}
