package intake

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire/mailbox"
)

// Kinds are the kinds of source, as the configuration names them.
var Kinds = []string{"files", "journald", "syslog", "stdin", "folder", "mailbox"}

// Config is one [[intake]] of the configuration. Which fields a kind takes is said at each; Validate refuses others.
type Config struct {
	Kind string `toml:"kind"`           // one of Kinds
	Host string `toml:"host,omitempty"` // the machine that logs, where its lines do not say; all kinds but mailbox

	Paths     []string `toml:"paths,omitempty"`      // files: names or globs of the files being written; rotated ones are found by themselves. folder: one folder or more
	NoHistory bool     `toml:"no_history,omitempty"` // files: leave out what was rotated before the first start. journald: begin with now

	Units       []string `toml:"units,omitempty"`       // journald: units (globs), as journalctl -u takes them
	Identifiers []string `toml:"identifiers,omitempty"` // journald: syslog identifiers, as journalctl -t takes them

	Listen      string   `toml:"listen,omitempty"`      // syslog: tcp://address:port, tls://address:port or udp://address:port
	Cert        string   `toml:"cert,omitempty"`        // syslog over TLS: file with the certificate chain
	Key         string   `toml:"key,omitempty"`         // syslog over TLS: file with its key
	ClientCA    string   `toml:"client_ca,omitempty"`   // syslog over TLS: file with the CAs that clients must show a certificate of
	Allow       []string `toml:"allow,omitempty"`       // syslog: addresses and networks that may send; none means all
	Connections int      `toml:"connections,omitempty"` // syslog: connections at once; 0 means 10,000
	PerPeer     int      `toml:"per_peer,omitempty"`    // syslog: connections at once of one address; 0 means 100
	LinesPeer   int      `toml:"lines_peer,omitempty"`  // syslog: lines per second of one address; 0 means 20,000

	URL          string `toml:"url,omitempty"`           // mailbox: imaps://user@host/folder, or imap:// for STARTTLS
	PasswordFile string `toml:"password_file,omitempty"` // mailbox: file with the password
	Every        string `toml:"every,omitempty"`         // mailbox: time between two looks, like "15m"; empty means 15 minutes
}

// Bounds of what a configuration may ask for.
const (
	maxConnections = 10_000
	maxPerPeer     = 100
	maxLinesPeer   = 20_000
	everyDefault   = 15 * time.Minute
	everyLeast     = 10 * time.Second
)

// Validate says what is wrong with the entry; nothing where all is well. It opens no file.
func (c *Config) Validate() []finding.Sentence {
	if !slices.Contains(Kinds, c.Kind) {
		return []finding.Sentence{finding.S("intake: unknown kind {{.Word}}; one of {{list .All}}", finding.Args{"Word": strconv.Quote(c.Kind), "All": Kinds})}
	}
	out := c.strangers()
	switch c.Kind {
	case "files", "folder":
		out = append(out, c.validatePaths()...)
	case "syslog":
		out = append(out, c.validateSyslog()...)
	case "mailbox":
		out = append(out, c.validateMailbox()...)
	}
	return out
}

// strangers names the fields that belong to other kinds: they would be without effect.
func (c *Config) strangers() (out []finding.Sentence) {
	syslog := []string{"syslog"}
	for _, f := range []struct {
		name  string
		set   bool
		kinds []string
	}{
		{"host", c.Host != "", []string{"files", "journald", "syslog", "stdin", "folder"}},
		{"paths", len(c.Paths) > 0, []string{"files", "folder"}},
		{"no_history", c.NoHistory, []string{"files", "journald"}},
		{"units", len(c.Units) > 0, []string{"journald"}},
		{"identifiers", len(c.Identifiers) > 0, []string{"journald"}},
		{"listen", c.Listen != "", syslog}, {"cert", c.Cert != "", syslog}, {"key", c.Key != "", syslog},
		{"client_ca", c.ClientCA != "", syslog}, {"allow", len(c.Allow) > 0, syslog}, {"connections", c.Connections != 0, syslog},
		{"per_peer", c.PerPeer != 0, syslog}, {"lines_peer", c.LinesPeer != 0, syslog},
		{"url", c.URL != "", []string{"mailbox"}}, {"password_file", c.PasswordFile != "", []string{"mailbox"}}, {"every", c.Every != "", []string{"mailbox"}},
	} {
		if f.set && !slices.Contains(f.kinds, c.Kind) {
			out = append(out, finding.S("intake of kind {{.Kind}}: {{.Field}} has no meaning there; it belongs to {{list .Kinds}}",
				finding.Args{"Kind": c.Kind, "Field": f.name, "Kinds": f.kinds}))
		}
	}
	return out
}

func (c *Config) validatePaths() (out []finding.Sentence) {
	if len(c.Paths) == 0 {
		return []finding.Sentence{finding.S("intake of kind {{.Kind}}: paths is missing", finding.Args{"Kind": c.Kind})}
	}
	for _, p := range c.Paths {
		if _, err := filepath.Match(p, ""); err != nil || p == "" {
			out = append(out, finding.S("intake of kind {{.Kind}}: {{.Path}} in paths is no file name and no glob", finding.Args{"Kind": c.Kind, "Path": strconv.Quote(p)}))
		} else if !filepath.IsAbs(p) {
			out = append(out, finding.S("intake of kind {{.Kind}}: {{.Path}} in paths is not absolute: it would depend on where mailwhy is started", finding.Args{"Kind": c.Kind, "Path": strconv.Quote(p)}))
		}
	}
	return out
}

func (c *Config) validateSyslog() (out []finding.Sentence) {
	proto, _, err := c.listen()
	switch {
	case err != nil:
		out = append(out, finding.S("intake of kind syslog: {{.Listen}} in listen is no place to listen; write it like udp://0.0.0.0:514, tcp://127.0.0.1:10514 or tls://[::]:6514",
			finding.Args{"Listen": strconv.Quote(c.Listen)}))
	case proto == "tls" && (c.Cert == "" || c.Key == ""):
		out = append(out, finding.S("intake of kind syslog: TLS needs cert and key", nil))
	case proto != "tls" && (c.Cert != "" || c.Key != "" || c.ClientCA != ""):
		out = append(out, finding.S("intake of kind syslog: cert, key and client_ca belong to tls://, and listen is {{.Listen}}", finding.Args{"Listen": c.Listen}))
	}
	for _, a := range c.Allow {
		if _, err := prefixOf(a); err != nil {
			out = append(out, finding.S("intake of kind syslog: {{.Net}} in allow is no address and no network", finding.Args{"Net": strconv.Quote(a)}))
		}
	}
	for _, n := range []struct {
		name  string
		value int
		most  int
	}{{"connections", c.Connections, maxConnections}, {"per_peer", c.PerPeer, maxConnections}, {"lines_peer", c.LinesPeer, 1_000_000}} {
		if n.value < 0 || n.value > n.most {
			out = append(out, finding.S("intake of kind syslog: {{.Field}} is {{.Value}}; it goes from 1 to {{.Most}}", finding.Args{"Field": n.name, "Value": n.value, "Most": n.most}))
		}
	}
	return out
}

func (c *Config) validateMailbox() (out []finding.Sentence) {
	if _, err := mailbox.Parse(c.URL); err != nil {
		out = append(out, finding.S("intake of kind mailbox: url wants imaps://user@host/folder (or imap:// for STARTTLS), without a password in it", nil))
	}
	if c.PasswordFile == "" {
		out = append(out, finding.S("intake of kind mailbox: password_file is missing", nil))
	}
	if d, err := c.every(); err != nil || d < everyLeast {
		out = append(out, finding.S("intake of kind mailbox: {{.Every}} in every is no time of {{.Least}} or more; write it like 15m", finding.Args{"Every": strconv.Quote(c.Every), "Least": everyLeast}))
	}
	return out
}

func (c *Config) every() (time.Duration, error) {
	if c.Every == "" {
		return everyDefault, nil
	}
	return time.ParseDuration(c.Every)
}

// listen splits "tcp://127.0.0.1:10514".
func (c *Config) listen() (proto, address string, err error) {
	u, err := url.Parse(c.Listen)
	if err != nil {
		return "", "", err
	}
	if !slices.Contains([]string{"tcp", "tls", "udp"}, u.Scheme) || u.Path != "" || u.User != nil || u.RawQuery != "" {
		return "", "", errors.New("neither tcp, tls nor udp")
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || port == 0 && u.Hostname() != "127.0.0.1" {
		return "", "", errors.New("no port") // port 0, any free one, is for tests
	}
	return u.Scheme, net.JoinHostPort(u.Hostname(), u.Port()), nil
}

// prefixOf reads a network, or an address as a network of one.
func prefixOf(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

// tlsConfig reads the files of a listener with TLS.
func (c *Config) tlsConfig() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if c.ClientCA != "" {
		pem, err := os.ReadFile(c.ClientCA)
		if err != nil {
			return nil, err
		}
		conf.ClientCAs, conf.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if !conf.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New(c.ClientCA + ": no certificate in it")
		}
	}
	return conf, nil
}

// Problem is something wrong with an entry.
type Problem struct {
	Entry int // from 0
	Says  finding.Sentence
}

// Validate says what is wrong with a list of entries: with each, and where two of them would take in the same.
func Validate(list []Config) (out []Problem) {
	seen := map[string]bool{}
	for i := range list {
		c := &list[i]
		for _, says := range c.Validate() {
			out = append(out, Problem{i, says})
		}
		for _, what := range c.subjects() {
			if seen[what] {
				out = append(out, Problem{i, finding.S("intake: {{.What}} is there twice; a source is read by one entry", finding.Args{"What": what})})
			}
			seen[what] = true
		}
	}
	return out
}

// subjects are what only one entry may read.
func (c *Config) subjects() []string {
	switch c.Kind {
	case "files", "folder":
		return c.Paths
	case "journald", "stdin":
		return []string{c.Kind}
	case "syslog":
		return []string{c.Listen}
	case "mailbox":
		return []string{c.URL}
	}
	return nil
}

// Equal tells whether two entries say the same.
func (c Config) Equal(d Config) bool { return reflect.DeepEqual(c, d) }
