package cli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/mailwhy/mailwhy/internal/access"
	"github.com/mailwhy/mailwhy/internal/change"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/notify"
	"github.com/mailwhy/mailwhy/internal/store/clickhouse"
	"github.com/mailwhy/mailwhy/internal/web"
)

// Config is the file of `mailwhy serve --config`, TOML or YAML. Each room's part is a struct of that room; a key that nobody knows is
// an error with its line.
type Config struct {
	Serve     ServeConfig          `toml:"serve"`
	Intake    []intake.Config      `toml:"intake"`   // where logs come from
	OIDC      []SignOnConfig       `toml:"oidc"`     // sign-on services
	Defaults  monitor.Defaults     `toml:"defaults"` // of monitors
	Vantage   []monitor.Vantage    `toml:"vantage"`
	Account   []monitor.Account    `toml:"account"` // mailboxes that runs and monitors may log in to
	Monitor   []monitor.Definition `toml:"monitor"`
	Channel   []notify.Channel     `toml:"channel"`
	Update    []UpdateConfig       `toml:"dns_update"` // zones that approved proposals may change
	Queue     QueueConfig          `toml:"queue"`
	Inbox     InboxConfig          `toml:"inbox"`
	Retention RetentionConfig      `toml:"retention"`
	Desk      change.Config        `toml:"desk"`   // what our own blocklist never holds
	Threat    ThreatConfig         `toml:"threat"` // sources of threat intelligence
}

// ServeConfig is [serve].
type ServeConfig struct {
	Listen    string   `toml:"listen"`          // [ADDRESS]:PORT; "" means 127.0.0.1:8025
	BasePath  string   `toml:"base_path"`       // "/mail" where a proxy serves the page below a path
	PublicURL string   `toml:"public_url"`      // as users type it
	TLSCert   string   `toml:"tls_cert"`        // PEM files; "" means plain HTTP
	TLSKey    string   `toml:"tls_key"`         //
	Proxies   []string `toml:"trusted_proxies"` // addresses or networks whose X-Forwarded-* are believed
	Scrapers  []string `toml:"metrics_from"`    // addresses or networks that may read /metrics beside this machine
	Data      string   `toml:"data"`            // folder of everything that is remembered
	Store     string   `toml:"store"`           // clickhouse://…; "" means the data folder
	LogFormat string   `toml:"log_format"`      // "text" or "json"
	LogLevel  string   `toml:"log_level"`       // "debug", "info", "warn" or "error"

	StorePasswordFile string `toml:"store_password_file"` // its first line; "" means MAILWHY_STORE_PASSWORD, else the URL's

	Resolvers      []string `toml:"resolvers"`             // as --resolver
	Knowledge      string   `toml:"knowledge"`             // as --knowledge
	Timeout        duration `toml:"timeout"`               // as --timeout
	NTP            string   `toml:"ntp"`                   // time server that this machine's clock is compared with; "" means none
	AllowPrivate   bool     `toml:"allow_private_targets"` // probes from the page may go to private and loopback addresses
	AllowTargets   []string `toml:"allow_targets"`         // networks that may be probed although they are not public
	AllowPorts     []uint16 `toml:"allow_ports"`           // ports that may be probed beside those of mail, DNS and the web
	RunsPerUser    int      `toml:"runs_per_user"`         // at once; 0 means 3
	RunsPerMinute  int      `toml:"runs_per_minute"`       // of one user; 0 means 30
	SessionIdle    duration `toml:"session_idle"`          // 0 means 12h
	SessionLongest duration `toml:"session_longest"`       // 0 means 7 days
}

// SignOnConfig is an [[oidc]]: a sign-on service, and what its groups may do here.
type SignOnConfig struct {
	ID               string              `toml:"id"` // in addresses: the callback is …/api/v1/oidc/ID/callback
	Name             string              `toml:"name"`
	Issuer           string              `toml:"issuer"`
	ClientID         string              `toml:"client_id"`
	ClientSecret     string              `toml:"client_secret"`
	ClientSecretFile string              `toml:"client_secret_file"`
	Scopes           []string            `toml:"scopes"`       // beside openid, profile and email
	NameClaim        string              `toml:"name_claim"`   // "" means preferred_username, else email
	GroupsClaim      string              `toml:"groups_claim"` // "" means groups
	Roles            map[string][]string `toml:"roles"`        // role = groups
	DefaultRole      string              `toml:"default_role"` // "" means that those in no group are not let in
	Domains          map[string][]string `toml:"domains"`      // group = domains of a helpdesk
}

// signOns turns the configuration into what web takes.
func signOns(in []SignOnConfig) (out []web.SignOn, err error) {
	for i, c := range in {
		where := fmt.Sprintf("oidc %d", i+1)
		if c.ID == "" || strings.Trim(c.ID, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return nil, fmt.Errorf("%s: id %q: wanted small letters, digits and -", where, c.ID)
		}
		if u, err := url.Parse(c.Issuer); err != nil || u.Host == "" {
			return nil, fmt.Errorf("%s: issuer %q is no URL", where, c.Issuer)
		}
		if c.ClientID == "" {
			return nil, fmt.Errorf("%s: client_id is missing", where)
		}
		o := web.SignOn{
			ID: c.ID, Name: cmp.Or(c.Name, c.ID), Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret, Scopes: c.Scopes,
			NameClaim: c.NameClaim, GroupsClaim: c.GroupsClaim, Default: access.Role(c.DefaultRole), Roles: map[access.Role][]string{}, Domains: c.Domains,
		}
		if c.ClientSecretFile != "" {
			raw, err := os.ReadFile(c.ClientSecretFile)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", where, err)
			}
			o.ClientSecret = strings.TrimSpace(string(raw))
		}
		for word, groups := range c.Roles {
			r, ok := access.ParseRole(word)
			if !ok {
				return nil, fmt.Errorf("%s: there is no role %q", where, word)
			}
			o.Roles[r] = groups
		}
		if _, ok := access.ParseRole(c.DefaultRole); c.DefaultRole != "" && (!ok || c.DefaultRole == string(access.Helpdesk)) {
			return nil, fmt.Errorf("%s: default_role %q: a role without domains", where, c.DefaultRole)
		}
		out = append(out, o)
	}
	return out, nil
}

// duration is a time span in a configuration file: "90s", "12h", "30d".
type duration time.Duration

// UnmarshalText reads a span.
func (d *duration) UnmarshalText(b []byte) error {
	v, err := spanOf(string(b))
	*d = duration(v)
	return err
}

// maxConfig bounds a configuration file.
const maxConfig = 1 << 20

// readConfig reads a file strictly. No file gives the defaults.
func readConfig(name string) (*Config, error) {
	c := &Config{}
	if name != "" {
		raw, err := os.ReadFile(name)
		if err != nil {
			return nil, unreadable(name, err)
		}
		if len(raw) > maxConfig {
			return nil, &readError{what: finding.S("{{.File}} is larger than {{size .Max}}", finding.Args{"File": name, "Max": maxConfig})}
		}
		text, err := readText(name, raw)
		if err != nil {
			return nil, badConfig(name, nil, err)
		}
		d := toml.NewDecoder(bytes.NewReader(text.toml))
		d.DisallowUnknownFields()
		if err := d.Decode(c); err != nil {
			return nil, badConfig(name, text, err)
		}
		if bad := c.problems(); len(bad) > 0 {
			return nil, wrongConfig(name, text, bad)
		}
	}
	if err := c.Serve.check(); err != nil {
		return nil, badConfig(name, nil, err)
	}
	if bad := intake.Validate(c.Intake); len(bad) > 0 {
		return nil, usage(finding.S("{{.File}}: {{.Text}}", finding.Args{"File": name, "Text": bad[0]}), finding.Sentence{})
	}
	if err := c.Retention.check(); err != nil {
		return nil, err
	}
	if _, err := c.Desk.Guard(); err != nil {
		return nil, badConfig(name, nil, fmt.Errorf("desk.%w", err))
	}
	if err := c.Threat.problem(); err != nil {
		return nil, badConfig(name, nil, err)
	}
	if _, err := signOns(c.OIDC); err != nil {
		return nil, badConfig(name, nil, err)
	}
	return c, nil
}

// lineError is something wrong at a line of a configuration file.
type lineError struct {
	line int
	says finding.Sentence
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.says.In(finding.EN)) }

func atLine(line int, says finding.Sentence) error { return &lineError{line, says} }

// badConfig says what is wrong with a configuration file, with its line where it has one.
func badConfig(name string, from *configText, err error) error {
	var strict *toml.StrictMissingError
	var bad *toml.DecodeError
	switch {
	case errors.As(err, &strict) && len(strict.Errors) > 0:
		row, _ := strict.Errors[0].Position()
		err = atLine(from.line(row), finding.S("unknown key {{.Key}}", finding.Args{"Key": strings.Join(strict.Errors[0].Key(), ".")}))
	case errors.As(err, &bad):
		row, _ := bad.Position()
		err = atLine(from.line(row), wrongType(bad))
	}
	var at *lineError
	if errors.As(err, &at) {
		return usage(finding.S("{{.File}}: line {{.Line}}: {{.Says}}", finding.Args{"File": name, "Line": at.line, "Says": at.says}), finding.Sentence{})
	}
	return usage(finding.S("{{.File}}: {{.Text}}", finding.Args{"File": name, "Text": err.Error()}), finding.Sentence{})
}

var mistyped = regexp.MustCompile(`^cannot decode TOML (.+?) into .* of type (\S+)$`)

// wrongType says what the decoder says without words of Go.
func wrongType(e *toml.DecodeError) finding.Sentence {
	text, key := strings.TrimPrefix(e.Error(), "toml: "), strings.Join(e.Key(), ".")
	m := mistyped.FindStringSubmatch(text)
	if m == nil {
		if key == "" {
			return finding.Raw(text)
		}
		return finding.S("{{.Key}}: {{.Says}}", finding.Args{"Key": key, "Says": text})
	}
	want := finding.M("a table")
	switch {
	case strings.HasPrefix(m[2], "[]"):
		want = finding.M("a list")
	case m[2] == "bool":
		want = finding.M("true or false")
	case m[2] == "string", strings.Contains(m[2], "uration"), strings.Contains(m[2], "Span"), strings.HasSuffix(m[2], "Secret"), strings.HasSuffix(m[2], "Action"):
		want = finding.M("a text")
	case strings.Contains(m[2], "int"):
		want = finding.M("a whole number")
	case strings.Contains(m[2], "float"):
		want = finding.M("a number")
	}
	return finding.S("{{.Key}} wants {{.Want}}", finding.Args{"Key": key, "Want": want})
}

// check fills in the defaults and refuses what cannot be meant.
func (s *ServeConfig) check() error {
	if s.Listen == "" {
		s.Listen = "127.0.0.1:8025"
	}
	if _, _, err := net.SplitHostPort(s.Listen); err != nil {
		return fmt.Errorf("serve.listen: %q is no [ADDRESS]:PORT", s.Listen)
	}
	s.BasePath = strings.TrimSuffix(s.BasePath, "/")
	s.PublicURL = strings.TrimSuffix(s.PublicURL, "/")
	if u, err := url.Parse(s.PublicURL); s.PublicURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		return fmt.Errorf("serve.public_url: %q is no address like https://why.mine.example", s.PublicURL)
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		return errors.New("serve.tls_cert and serve.tls_key belong together")
	}
	if _, err := prefixes(s.Proxies); err != nil {
		return fmt.Errorf("serve.trusted_proxies: %w", err)
	}
	if _, err := prefixes(s.Scrapers); err != nil {
		return fmt.Errorf("serve.metrics_from: %w", err)
	}
	if _, err := prefixes(s.AllowTargets); err != nil {
		return fmt.Errorf("serve.allow_targets: %w", err)
	}
	if s.Store != "" && !strings.HasPrefix(s.Store, clickhouse.Prefix) {
		return fmt.Errorf("serve.store: %w", clickhouse.ErrURL)
	}
	switch s.LogFormat {
	case "", "text", "json":
	default:
		return fmt.Errorf("serve.log_format: %q is neither text nor json", s.LogFormat)
	}
	switch s.LogLevel {
	case "", "debug", "info", "warn", "error":
	default:
		return fmt.Errorf("serve.log_level: %q is none of debug, info, warn, error", s.LogLevel)
	}
	if s.RunsPerUser < 0 || s.RunsPerMinute < 0 || s.Timeout < 0 || s.SessionIdle < 0 || s.SessionLongest < 0 {
		return errors.New("serve: numbers and times cannot be negative")
	}
	return nil
}

// prefixes reads addresses and networks.
func prefixes(in []string) (out []netip.Prefix, err error) {
	for _, s := range in {
		if a, err := netip.ParseAddr(s); err == nil {
			out = append(out, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a network", s)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}
