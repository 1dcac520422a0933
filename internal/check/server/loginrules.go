package server

import "github.com/mailwhy/mailwhy/internal/finding"

var (
	ruleLoggedIn = &finding.Rule{
		ID: "login.refused", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "login refused for a reason not known here", Says: "{{.Service}} refuses the login: {{.Text}}",
		OK:     "{{.Service}} lets {{.User}} in with {{.Method}}",
		Why:    "The words are not among those mailwhy knows, so that the log of the server has to tell the reason.",
		Repair: "Read the server's log for the moment of the test; the transcript shows what was said.",
	}
	ruleWrongPassword = &finding.Rule{
		ID: "login.wrong-password", Severity: finding.Error, Owner: finding.OwnerRecipient,
		Title: "wrong user name or password", Says: "{{.Service}} refuses the login: wrong user name or password",
		Why:    "The server was reached, the method is right and the connection was good; what it does not accept is the name or the password. Servers do not tell which of the two, and many a server says the same of a locked account.",
		Repair: "Type the password again (caps lock, spaces, an old saved one), and try the whole address as well as the part before the @ as user name (--user). The server's log tells which it is (Dovecot with auth_verbose = yes: unknown user, Password mismatch, deny passdb). Do not try often: many servers lock accounts or addresses out.",
		Refs:   []finding.Ref{finding.RFC(5530, "3"), finding.RFC(4954, "6"), finding.RFC(3206, "5")},
	}
	ruleAppPassword = &finding.Rule{
		ID: "login.app-password", Severity: finding.Error, Owner: finding.OwnerRecipient,
		Title: "a password for programs is needed", Says: "{{.Service}} wants an app password or authorization code instead of the account's password",
		Why:    "The provider keeps the account's password for its web pages; mail programs get one of their own, or OAuth.",
		Repair: "Make an app password (authorization code) in the account's settings and use it as the password. {{.Note}}",
	}
	ruleLocked = &finding.Rule{
		ID: "login.locked", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "account locked", Says: "{{.Service}} refuses the login: the account is locked or disabled",
		Why:    "No password helps as long as the account is locked; each further try may prolong it.",
		Repair: "The server's administrator has to unlock the account and to find out why it was locked: unpaid, unused, too many wrong passwords, or sending spam after its password was stolen.",
	}
	ruleDisabled = &finding.Rule{
		ID: "login.service-off", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "service turned off for the account", Says: "{{.Service}} refuses the login: the service is turned off for this account",
		Why:    "Name and password may be right; this way in is closed for the account.",
		Repair: "Turn the service on in the account's settings, or have the administrator do so, or use another protocol. {{.Note}}",
	}
	rulePasswordExpired = &finding.Rule{
		ID: "login.password-expired", Severity: finding.Error, Owner: finding.OwnerRecipient,
		Title: "password expired", Says: "{{.Service}} refuses the login: the password has expired",
		Why:    "The password was right once; the server wants a new one first.",
		Repair: "Set a new password by web mail or through the administrator, then change it in every mail program.",
		Refs:   []finding.Ref{finding.RFC(5530, "3")},
	}
	ruleTooMany = &finding.Rule{
		ID: "login.too-many", Severity: finding.Error, Owner: finding.OwnerRecipient,
		Title: "too many connections or logins", Says: "{{.Service}} refuses the login: too many connections or logins at once ({{.Text}})",
		Why:    "The limit counts per user and address: several programs and phones behind one router share it, and so do connections that hang.",
		Repair: "Close mail programs that are not needed and have the others use fewer connections; the administrator can raise the limit (mail_max_userip_connections in Dovecot, per protocol) or end hanging sessions (doveadm kick).",
		Refs:   []finding.Ref{finding.RFC(5530, "3"), finding.RFC(2449, "8.1.1")},
	}
	ruleBlocked = &finding.Rule{
		ID: "login.address-blocked", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "our IP address is blocked", Says: "{{.Service}} refuses our IP address: {{.Text}}",
		Why:    "From this network no password helps; from another one the login may work. Servers block addresses after wrong passwords, by country or by a list.",
		Repair: "Find the program that tries with an old password and stop it, then have the administrator lift the block (fail2ban-client unban, auth_penalty of Dovecot) or wait until it ends.",
	}
	ruleTLSRequired = &finding.Rule{
		ID: "login.tls-required", Severity: finding.Error, Owner: finding.OwnerRecipient,
		Title: "the server wants TLS first", Says: "{{.Service}} takes no login without encryption",
		Why:    "The server refuses readable passwords on a plain connection, rightly. The mail program is set to \"no encryption\".",
		Repair: "Set the mail program to SSL/TLS (993, 995, 465) or STARTTLS (143, 110, 587).",
		Refs:   []finding.Ref{finding.RFC(5530, "3"), finding.RFC(8314, "4.1")},
	}
	ruleWrongMethod = &finding.Rule{
		ID: "login.wrong-method", Severity: finding.Error, Owner: finding.OwnerRecipient,
		Title: "login method not accepted", Says: "{{.Service}} does not take the login method {{.Method}}{{if .Offered}}; it offers {{list .Offered}}{{end}}",
		Why:    "The password was not even looked at: the method by which it was sent is not allowed here.",
		Repair: "Choose another login method in the mail program (\"normal password\", or OAuth2). {{.Note}}",
		Refs:   []finding.Ref{finding.RFC(4954, "4"), finding.RFC(9051, "6.2.2")},
	}
	ruleClient = &finding.Rule{
		ID: "login.client-refused", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "mail program not welcome", Says: "{{.Service}} does not let this mail program in: {{.Text}}",
		Why:    "The provider lets in only programs that it knows or that name themselves.",
		Repair: "Use an authorization code and a mail program that sends the IMAP ID command. {{.Note}}",
		Refs:   []finding.Ref{finding.RFC(2971, "")},
	}
	ruleServerFault = &finding.Rule{
		ID: "login.server-fault", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "the server cannot check passwords", Says: "{{.Service}} cannot check the password: {{.Text}}",
		Why:    "Nobody can log in while this lasts; name and password were not judged. The user must not be told that the password is wrong.",
		Repair: "Look at the authentication back end (LDAP, SQL, PAM, the auth socket of Dovecot for Postfix and Exim) and at the disk; the server's log names the part that failed.",
		Refs:   []finding.Ref{finding.RFC(5530, "3"), finding.RFC(3206, "4"), finding.RFC(4954, "6")},
	}
	ruleNotSent = &finding.Rule{
		ID: "login.not-encrypted", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "no encryption for the password", Says: "{{.Service}} offers no encryption, so the password was not sent",
		Why:    "Anybody on the path could read it.",
		Repair: "Turn TLS on at the server. To try all the same on a network you trust, use --insecure.",
		Refs:   []finding.Ref{finding.RFC(8314, "4.1")},
	}
	ruleNotTrusted = &finding.Rule{
		ID: "login.certificate", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "certificate not believed", Says: "the certificate of {{.Service}} is not believed ({{.What}}), so the password was not sent",
		Why:    "Mail programs warn or refuse here; whoever clicks the warning away may hand the password to a stranger.",
		Repair: "Install a valid certificate for the name that users type as server (mailwhy tls tells what is wrong with it), or correct the server's name in the mail program. To try all the same, use --insecure.",
		Refs:   []finding.Ref{finding.RFC(8314, "4.4"), finding.RFC(9525, "6")},
		After:  []string{"tls.expired", "tls.not-yet-valid", "tls.self-signed", "tls.unknown-authority", "tls.missing-intermediate", "tls.bad-certificate", "tls.wrong-name"},
	}
	ruleBroken = &finding.Rule{
		ID: "login.broken-off", Severity: finding.Error, Owner: finding.OwnerServer,
		Title: "the conversation breaks off", Says: "{{.Service}} breaks off at step {{.Step}}: {{.What}}",
		Why:    "The login did not come to a yes or no.",
		Repair: "Read the server's log for the moment of the test.",
	}
	ruleNotOffered = &finding.Rule{
		ID: "login.not-offered", Severity: finding.Note, Owner: finding.OwnerServer,
		Title: "service not reached", Says: "{{.Service}} cannot be reached: {{.What}}",
		Why:    "A mail program that is set to this protocol finds nothing there.",
		Repair: "Start the service and open its port, or set the mail program to a protocol that is offered.",
	}
	ruleQuotaFull = &finding.Rule{
		ID: "login.quota-full", Severity: finding.Error, Owner: finding.OwnerRecipient,
		Title: "mailbox full", Says: "the mailbox is full: {{.Used}} of {{.Limit}}{{if .Biggest}}; most of it in {{list .Biggest}}{{end}}",
		OK:     "the quota has room: {{.Used}} of {{.Limit}}",
		Why:    "New mail is refused or waits at the senders, and nothing can be saved in any folder, sent mail included.",
		Repair: "Delete what is not needed, empty the trash, or have the administrator raise the quota.",
		Refs:   []finding.Ref{finding.RFC(9208, "")},
	}
	ruleQuotaNear = &finding.Rule{
		ID: "login.quota-near", Severity: finding.Warning, Owner: finding.OwnerRecipient,
		Title: "mailbox nearly full", Says: "the mailbox is nearly full: {{.Used}} of {{.Limit}}{{if .Biggest}}; most of it in {{list .Biggest}}{{end}}",
		Why:    "Once it is full, new mail is refused.",
		Repair: "Delete what is not needed, empty the trash, or have the administrator raise the quota.",
		Refs:   []finding.Ref{finding.RFC(9208, "")},
	}
)
