package lab

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/rogpeppe/go-internal/txtar"
)

// Case is one file of cases/: a small world with one named fault, what to run in it, and what must come out. docs/lab.md
// tells how to write one.
type Case struct {
	Name  string // the file name without .txtar
	Title string // the text before the first file: what is wrong here, in a sentence
	Setup
	Zones    map[string]string // "good.example", or "good.example@ns2" for what only that server says → zone text
	Policies map[string]string // MTA-STS policy files by domain
	Web      map[string]string // what HTTPS hosts serve: "autoconfig.x.example/mail/config-v1.1.xml" → text
	Mail     map[string]string // mails in accounts at the start: "li@x.example/INBOX/1" → text
	Sieve    map[string]string // the active script of an account: "li@x.example" → text
	Files    map[string]string // other files, put in the folder the command runs in
}

// Setup is case.toml.
type Setup struct {
	Run     []Run             `toml:"run"`
	Host    []Host            `toml:"host"`
	Zone    []Zone            `toml:"zone"`
	Account []Account         `toml:"account"`
	Policy  map[string]Policy `toml:"policy"` // by domain; a policy file without an entry is served in order
	WebHost map[string]Web    `toml:"web"`    // by host name; one with files in web/ and no entry serves them in order
}

// Run is one command and what must come out of it.
type Run struct {
	Command  []string `toml:"command"`  // without the leading "mailwhy"
	Client   string   `toml:"client"`   // the namespace it runs in: "" or one of Clients
	Password *string  `toml:"password"` // what MAILWHY_PASSWORD holds; default: Password
	Hold     []string `toml:"hold"`     // accounts that somebody else is logged in to by IMAP meanwhile, from the same address
	Exit     int      `toml:"exit"`
	State    string   `toml:"state"`    // of the headline
	Owner    string   `toml:"owner"`    // of the headline
	Headline []string `toml:"headline"` // pieces of its sentence
	Expect   []Expect `toml:"expect"`
	Allow    []string `toml:"allow"`  // rules that may fail beside the expected ones
	Output   []string `toml:"output"` // pieces of what is printed

	turn int // its place among the runs of the case
}

// Expect is one finding that must be there. Empty fields match anything.
type Expect struct {
	Rule    string `toml:"rule"`
	Verdict string `toml:"verdict"`
	Owner   string `toml:"owner"`
	Subject string `toml:"subject"`
}

// Host is a mail server, or an address without one.
type Host struct {
	Name     string   `toml:"name"`
	Software string   `toml:"software"` // postfix, exim, opensmtpd, sink, script, dovecot, cyrus, gnutls, openssl, go, "" for nothing that listens
	Submit   string   `toml:"submit"`   // dovecot, cyrus: postfix or exim takes mail beside it at ports 25, 465 and 587
	SMTP     []string `toml:"smtp"`     // settings of that Postfix; {{addr}} is the host's address
	V4       []string `toml:"v4"`       // "" in the list: one is given; none: one is given; ["none"]: no IPv4
	V6       []string `toml:"v6"`       // the same; by default one is given
	Slow     bool     `toml:"slow"`     // addresses behind the delay
	Cert     string   `toml:"cert"`     // a pki.Kind; "none": no STARTTLS
	PTR      *string  `toml:"ptr"`      // default: Name; "": none
	Hidden   bool     `toml:"hidden"`   // no address records are published
	Options  []string `toml:"options"`  // postfix: "name=value"; exim, gnutls: a GnuTLS priority string; sink, openssl: arguments; dovecot: lines of its configuration
	Script   string   `toml:"script"`   // script: the name of one in scripts
	Filter   string   `toml:"filter"`   // port 25: drop, prohibit, reset
	Ports    []int    `toml:"ports"`    // default 25 and 587
}

// Account is a mailbox on a host that runs dovecot or cyrus. The domain of its address is delivered there.
type Account struct {
	User     string `toml:"user"` // the address
	Host     string `toml:"host"`
	Password string `toml:"password"` // default: Password
	Quota    int    `toml:"quota"`    // bytes; 0: none
	Extra    string `toml:"extra"`    // dovecot: extra fields of its password entry
	Deny     bool   `toml:"deny"`     // dovecot: listed in a passdb with deny=yes; cyrus: locked by cyr_deny
}

// Web is how the files of an HTTPS host are served.
type Web struct {
	Cert     string `toml:"cert"`     // a pki.Kind
	Redirect string `toml:"redirect"` // every request is sent there
}

// Zone holds what a zone's text cannot say.
type Zone struct {
	Name   string   `toml:"name"`
	DNSSEC string   `toml:"dnssec"` // see signing
	NS     []string `toml:"ns"`     // what the parent says; default ns1 and ns2 of dns.example
	Served []string `toml:"served"` // which servers really hold it; default: those of NS
	Parent string   `toml:"parent"` // records at the parent instead of the NS set
	Open   bool     `toml:"open"`   // zone transfer for everybody
}

// Policy is how an MTA-STS policy is served.
type Policy struct {
	Serve string `toml:"serve"` // "", redirect, huge, not-found, slow, html
	Cert  string `toml:"cert"`  // a pki.Kind
}

// ReadCases reads the case files of a directory in order of their names.
func ReadCases(dir fs.FS) ([]*Case, error) {
	names, err := fs.Glob(dir, "*.txtar")
	if err != nil {
		return nil, err
	}
	var all []*Case
	for _, name := range names {
		raw, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		c, err := ParseCase(strings.TrimSuffix(path.Base(name), ".txtar"), raw)
		if err != nil {
			return nil, fmt.Errorf("case %s: %w", name, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// ParseCase reads one case file strictly: an unknown key or folder is an error that names it.
func ParseCase(name string, raw []byte) (*Case, error) {
	a := txtar.Parse(raw)
	c := &Case{Name: name, Title: strings.TrimSpace(string(a.Comment)), Zones: map[string]string{}, Policies: map[string]string{}, Files: map[string]string{},
		Web: map[string]string{}, Mail: map[string]string{}, Sieve: map[string]string{}}
	if c.Title == "" {
		return nil, fmt.Errorf("no title: the first lines say what is wrong in this world")
	}
	for _, f := range a.Files {
		folder, file, _ := strings.Cut(f.Name, "/")
		switch {
		case f.Name == "case.toml":
			d := toml.NewDecoder(bytes.NewReader(f.Data))
			if err := d.DisallowUnknownFields().Decode(&c.Setup); err != nil {
				return nil, fmt.Errorf("case.toml: %w", err)
			}
		case folder == "zone":
			c.Zones[strings.ToLower(file)] = string(f.Data)
		case folder == "policy":
			c.Policies[file] = string(f.Data)
		case folder == "file":
			c.Files[file] = string(f.Data)
		case folder == "web":
			c.Web[file] = string(f.Data)
		case folder == "mail":
			c.Mail[file] = string(f.Data)
		case folder == "sieve":
			c.Sieve[file] = string(f.Data)
		default:
			return nil, fmt.Errorf("%s: a file of a case is case.toml or stands in zone/, policy/, web/, mail/, sieve/ or file/", f.Name)
		}
	}
	for i := range c.Run {
		c.Run[i].turn = i
	}
	for _, z := range c.Zone {
		if _, ok := c.Zones[z.Name]; !ok {
			return nil, fmt.Errorf("[[zone]] %q has no file zone/%s", z.Name, z.Name)
		}
	}
	for domain := range c.Policies {
		if c.Policy == nil {
			c.Policy = map[string]Policy{}
		}
		if _, ok := c.Policy[domain]; !ok {
			c.Policy[domain] = Policy{}
		}
	}
	return c, nil
}

// option finds what case.toml says about a zone, with the defaults filled in.
func (c *Case) option(zone string) Zone {
	z := Zone{Name: zone}
	if i := slices.IndexFunc(c.Zone, func(z Zone) bool { return z.Name == zone }); i >= 0 {
		z = c.Zone[i]
	}
	if z.NS == nil {
		z.NS = []string{"ns1.dns.example", "ns2.dns.example"}
	}
	if z.Served == nil {
		z.Served = z.NS
	}
	return z
}
