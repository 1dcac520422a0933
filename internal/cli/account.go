package cli

import (
	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/server"
)

// account is where and as whom to log in, as flags give it.
type account struct {
	server, user, passwordFile string
	insecure, ask              bool
}

// accountFlags adds the flags of an account; the address itself is an argument or a flag of the command.
func (a *app) accountFlags(c *cobra.Command, acc *account) {
	f := c.Flags()
	f.StringVar(&acc.server, "server", "", a.say("host[:port] of the server (default: from the SRV records of the domain, else a guess)"))
	f.StringVar(&acc.user, "user", "", a.say("user name (default: the address)"))
	f.StringVar(&acc.passwordFile, "password-file", "", a.say("file whose first line is the password; - is standard input"))
	f.BoolVar(&acc.insecure, "insecure", false, a.say("send the password even without TLS, or where the certificate is not believed"))
}

// hasPassword tells that a password can be had, or is to be asked for.
func (a *app) hasPassword(acc *account) bool {
	_, set := a.getenv("MAILWHY_PASSWORD")
	return acc.ask || set || acc.passwordFile != ""
}

// logInAs fills in server, user and password.
func (a *app) logInAs(acc *account, o *server.LoginOptions) (err error) {
	if o.Server, o.Port, err = serverFlag(acc.server); err != nil {
		return err
	}
	o.User, o.Insecure = acc.user, acc.insecure
	o.Secret, err = a.password(acc.passwordFile)
	return err
}

// serverFlag takes host[:port]; the port is 0 where none is given.
func serverFlag(s string) (host string, port uint16, err error) {
	if s == "" {
		return "", 0, nil
	}
	if host, port, err = hostPort(s, 1); port == 1 {
		port = 0
	}
	return host, port, err
}
