package monitor

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/check/server"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// Account is a mailbox that runs and monitors may log in to. Who writes the configuration says where its password
// stands; who runs something gives the account's name and nothing else, so that the password goes to no server but the
// account's own.
type Account struct {
	Name     string `toml:"name" json:"name"`
	Address  string `toml:"address" json:"address"`
	User     string `toml:"user,omitempty" json:"user,omitempty"`         // "": the address
	Server   string `toml:"server,omitempty" json:"server,omitempty"`     // host; "": from the SRV records of the domain, else a guess
	Submit   string `toml:"submit,omitempty" json:"submit,omitempty"`     // host[:port] that takes mail of this account; "": Server
	Method   string `toml:"method,omitempty" json:"method,omitempty"`     // login method; "": the best offered
	Password string `toml:"password" json:"password"`                     // "file:/PATH" (its first line) or "env:NAME"
	Insecure bool   `toml:"insecure,omitempty" json:"insecure,omitempty"` // send it without TLS, or where the certificate is not believed
}

// Login is how to log in to read; the password is still to be filled in.
func (a *Account) Login() server.LoginOptions {
	return server.LoginOptions{Address: a.Address, User: a.User, Server: a.Server, Mechanism: strings.ToUpper(a.Method), Insecure: a.Insecure}
}

// Submission is how to log in to send; the password is still to be filled in.
func (a *Account) Submission() server.LoginOptions {
	o := a.Login()
	if a.Submit != "" {
		o.Server, o.Port, _ = hostAndPort(a.Submit) // checked when it was read
	}
	return o
}

// With is the way in with the password, to read or to send.
func (a *Account) With(secret string, send bool) server.LoginOptions {
	o := a.Login()
	if send {
		o = a.Submission()
	}
	o.Secret = secret
	return o
}

// hostAndPort takes host or host:port; 0 is no port.
func hostAndPort(s string) (host string, port uint16, ok bool) {
	host, p, cut := strings.Cut(s, ":")
	if !cut || strings.Contains(p, ":") { // the latter is an IPv6 address
		host, bad := hostName(s)
		return host, 0, bad.IsZero()
	}
	n, err := strconv.ParseUint(p, 10, 16)
	host, bad := hostName(host)
	return host, uint16(n), err == nil && n > 0 && bad.IsZero()
}

// check says what is wrong with an account.
func (a *Account) check(bad func(string, finding.Sentence)) {
	if !idPattern.MatchString(a.Name) {
		bad("name", badName(a.Name))
	}
	bad("address", mailAddress(a.Address))
	if a.Server != "" {
		_, s := hostName(a.Server)
		bad("server", s)
	}
	if _, _, ok := hostAndPort(a.Submit); a.Submit != "" && !ok {
		bad("submit", finding.S("{{.Name}} is no host:port", finding.Args{"Name": cut(a.Submit)}))
	}
	if a.Method != "" && !wire.Spoken(strings.ToUpper(a.Method)) {
		bad("method", finding.S("unknown login method {{.Word}}", finding.Args{"Word": cut(a.Method)}))
	}
	kind, place, _ := strings.Cut(a.Password, ":")
	if kind != "file" && kind != "env" || place == "" {
		bad("password", finding.S("a secret does not stand in the configuration: give file:/PATH or env:NAME", nil)) // and is not repeated here
	}
}

// FindAccount finds an account by name, nil for none.
func (c *Config) FindAccount(name string) *Account {
	i := slices.IndexFunc(c.Account, func(a Account) bool { return a.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Account[i]
}

// AccountNames lists the accounts in the order of the file.
func (c *Config) AccountNames() []string {
	out := []string{}
	for i := range c.Account {
		out = append(out, c.Account[i].Name)
	}
	return out
}

// Offers tells whether the page can make a monitor of this kind: one that reads this machine it cannot, nor one that
// needs an account where there is none.
func (c *Config) Offers(k *Kind) bool {
	return !k.Machine && (len(c.Account) > 0 || !slices.ContainsFunc(k.Fields, func(f Field) bool { return f.Type == AccountField && (f.Required || f.Page) }))
}

// FileOnly names the arguments that only the configuration file may give.
func (k *Kind) FileOnly(args map[string]any) (name string, found bool) {
	for _, f := range k.Fields {
		if _, ok := args[f.Name]; ok && f.File {
			return f.Name, true
		}
	}
	return "", false
}

// accounts says which accounts the arguments name that there are not.
func (v *validator) accounts(k *Kind, args map[string]any, at []any) {
	for _, f := range k.Fields {
		name, _ := args[f.Name].(string)
		if f.Type != AccountField || name == "" || v.c.FindAccount(name) != nil {
			continue
		}
		says := finding.S("there is no account {{.Name}}: none is configured", finding.Args{"Name": cut(name)})
		if all := v.c.AccountNames(); len(all) > 0 {
			says = finding.S("there is no account {{.Name}}: one of {{list .All}}", finding.Args{"Name": cut(name), "All": all})
		}
		v.add(says, append(slices.Clone(at), "args", f.Name)...)
	}
}

// instead refuses arguments that an account brings itself.
func instead(account string, bad func(string, finding.Sentence), given map[string]bool) {
	for _, name := range []string{"address", "password_file", "server", "port", "user", "method", "to", "from", "submit", "from_password_file"} {
		if given[name] && account != "" {
			bad(name, finding.S("the account {{.Name}} says this itself", finding.Args{"Name": cut(account)}))
		}
	}
}

// login gives the way into an account with its password, to read or to send.
func (d *Doors) login(name string, send bool) (server.LoginOptions, error) {
	if d.Account == nil {
		return server.LoginOptions{}, fmt.Errorf("there is no account %s here", name)
	}
	a, secret, err := d.Account(name)
	if err != nil {
		return server.LoginOptions{}, err
	}
	return a.With(secret, send), nil
}

// secretOf reads the first line of a file of this machine.
func (d *Doors) secretOf(file string) (string, error) {
	if d.Secret == nil {
		return "", fmt.Errorf("no way to read %s", cmp.Or(file, "a password"))
	}
	return d.Secret(file)
}
