package knowledge

import (
	"slices"
	"testing"
)

func TestLogins(t *testing.T) {
	l, err := Embedded().Logins()
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for i, r := range l.Refusal {
		if !slices.Contains(LoginCauses(), r.Cause) || len(r.Match) == 0 {
			t.Errorf("row %d: cause %q, %d patterns", i+1, r.Cause, len(r.Match))
		}
		if r.Note != nil && (r.Note.EN == "" || r.Note.ZH == "") {
			t.Errorf("row %d: a note needs both languages", i+1)
		}
		used[r.Cause] = true
		for j, p := range r.Match {
			if l.patterns[i][j].MatchString("") {
				t.Errorf("row %d: %q matches nothing said", i+1, p)
			}
		}
	}
	for _, c := range LoginCauses() {
		if !used[c] {
			t.Errorf("no row for %s", c)
		}
	}
	for reply, want := range map[string]string{
		"NO [AUTHENTICATIONFAILED] Authentication failed.":                                                                                                  "wrong-password",
		"NO [UNAVAILABLE] Temporary authentication failure. [mail:2026-11-22 05:00:00]":                                                                     "server-fault",
		"NO [PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.":                                                     "tls-required",
		"-ERR [AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.":                                                              "tls-required",
		"NO [ALERT] Application-specific password required: https://support.google.com/accounts/answer/185833 (Failure)":                                    "app-password",
		"535 5.7.8 Username and Password not accepted. For more information, go to 535 5.7.8  https://support.google.com/mail/?p=BadCredentials a1 - gsmtp": "app-password",
		"535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6":                                                                                              "wrong-password",
		"535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.":                                                     "wrong-method",
		"NO [LIMIT] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)":                                                   "too-many",
		"-ERR [IN-USE] Couldn't open INBOX: mailbox is locked":                                                                                              "too-many",
		"NO [AUTHENTICATIONFAILED] Account is locked.":                                                                                                      "locked",
		"NO [AUTHORIZATIONFAILED] Account disabled.":                                                                                                        "locked",
		"NO Login fail. Account is abnormal, service is not open, password is incorrect, login frequency limited, or system is busy.":                       "app-password",
		"535 Error: authentication failed, system busy":                                                                                                     "server-fault",
		"NO EXAMINE Unsafe Login. Please contact kefu@188.com for help":                                                                                     "client-refused",
		"535 Incorrect authentication data":                                                                                                                 "wrong-password",
		"454 4.7.0 Temporary authentication failure: Connection lost to authentication server":                                                              "server-fault",
		"504 5.5.4 Unrecognized authentication type":                                                                                                        "wrong-method",
		"530 5.7.0 Must issue a STARTTLS command first":                                                                                                     "tls-required",
		"-ERR POP3 access is disabled for your account":                                                                                                     "disabled",
		"NO IMAP is disabled for your domain.":                                                                                                              "disabled",
		"421 4.7.0 Too many login failures, your IP 198.51.100.9 is blocked":                                                                                "ip-blocked",
		"-ERR [LOGIN-DELAY] minimum time between mail checks violation":                                                                                     "too-many",
		"NO [EXPIRED] Password expired":                                                                                                                     "password-expired",
		"NO [CONTACTADMIN] Login disabled for this user":                                                                                                    "locked",
		"-ERR [AUTH] Login disabled for this user":                                                                                                          "locked",
		"550 User has no permission":                                                                                                                        "",
	} {
		got := ""
		if r := l.Read(reply); r != nil {
			got = r.Cause
		}
		if got != want {
			t.Errorf("%s: %q, want %q", reply, got, want)
		}
	}
}
