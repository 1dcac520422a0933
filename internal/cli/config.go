package cli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
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

// problems says what is wrong with a sign-on service, by key.
func (c *SignOnConfig) problems(bad func(key string, says finding.Sentence)) {
	if c.ID == "" || strings.Trim(c.ID, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		bad("id", finding.S("{{.Text}} will not do: small letters, digits and - are wanted", finding.Args{"Text": strconv.Quote(shorten(c.ID))}))
	}
	if u, err := url.Parse(c.Issuer); err != nil || u.Host == "" {
		bad("issuer", finding.S("{{.Text}} is no address like https://why.mine.example", finding.Args{"Text": strconv.Quote(shorten(c.Issuer))}))
	}
	if c.ClientID == "" {
		bad("client_id", finding.S("it is missing", nil))
	}
	for _, word := range slices.Sorted(maps.Keys(c.Roles)) {
		if _, ok := access.ParseRole(word); !ok {
			bad("roles", finding.S("there is no role {{.Name}}", finding.Args{"Name": shorten(word)}))
		}
	}
	if _, ok := access.ParseRole(c.DefaultRole); c.DefaultRole != "" && !ok {
		bad("default_role", finding.S("there is no role {{.Name}}", finding.Args{"Name": shorten(c.DefaultRole)}))
	} else if c.DefaultRole == string(access.Helpdesk) {
		bad("default_role", finding.S("a helpdesk is limited to domains, which those in no group have not: give another role", nil))
	}
}

// signOns turns a configuration that was checked into what web takes.
func signOns(in []SignOnConfig) (out []web.SignOn, err error) {
	for _, c := range in {
		o := web.SignOn{
			ID: c.ID, Name: cmp.Or(c.Name, c.ID), Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret, Scopes: c.Scopes,
			NameClaim: c.NameClaim, GroupsClaim: c.GroupsClaim, Default: access.Role(c.DefaultRole), Roles: map[access.Role][]string{}, Domains: c.Domains,
		}
		if c.ClientSecretFile != "" {
			raw, err := os.ReadFile(c.ClientSecretFile)
			if err != nil {
				return nil, unreadable(c.ClientSecretFile, err)
			}
			o.ClientSecret = strings.TrimSpace(string(raw))
		}
		for word, groups := range c.Roles {
			if r, ok := access.ParseRole(word); ok {
				o.Roles[r] = groups
			}
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
	c.Serve.complete()
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

// complete fills in the defaults.
func (s *ServeConfig) complete() {
	s.Listen = cmp.Or(s.Listen, "127.0.0.1:8025")
	s.BasePath, s.PublicURL = strings.TrimSuffix(s.BasePath, "/"), strings.TrimSuffix(s.PublicURL, "/")
}

// check completes it and gives the first thing that cannot be meant.
func (s *ServeConfig) check() (err error) {
	s.complete()
	s.problems(func(key string, says finding.Sentence) {
		if err == nil {
			err = usage(finding.S("{{.Key}}: {{.Says}}", finding.Args{"Key": "serve." + key, "Says": says}), finding.Sentence{})
		}
	})
	return err
}

// problems says what cannot be meant, by key.
func (s *ServeConfig) problems(bad func(key string, says finding.Sentence)) {
	if _, _, err := net.SplitHostPort(cmp.Or(s.Listen, ":0")); err != nil {
		bad("listen", finding.S("{{.Text}} is no [ADDRESS]:PORT", finding.Args{"Text": strconv.Quote(shorten(s.Listen))}))
	}
	if u, err := url.Parse(s.PublicURL); s.PublicURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		bad("public_url", finding.S("{{.Text}} is no address like https://why.mine.example", finding.Args{"Text": strconv.Quote(shorten(s.PublicURL))}))
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		key := map[bool]string{true: "tls_key", false: "tls_cert"}[s.TLSKey != ""]
		bad(key, finding.S("tls_cert and tls_key belong together", nil))
	}
	for _, l := range []struct {
		key   string
		words []string
	}{{"trusted_proxies", s.Proxies}, {"allow_targets", s.AllowTargets}} {
		for _, w := range l.words {
			if _, err := prefixes([]string{w}); err != nil {
				bad(l.key, finding.S("{{.Text}} is neither an address nor a network", finding.Args{"Text": strconv.Quote(shorten(w))}))
			}
		}
	}
	if s.Store != "" && !strings.HasPrefix(s.Store, clickhouse.Prefix) {
		bad("store", finding.S("a store stands at clickhouse://…; left out, it is in the data folder", nil))
	}
	for _, w := range []struct {
		key, word string
		all       []string
	}{{"log_format", s.LogFormat, []string{"text", "json"}}, {"log_level", s.LogLevel, []string{"debug", "info", "warn", "error"}}} {
		if w.word != "" && !slices.Contains(w.all, w.word) {
			bad(w.key, finding.S("unknown word {{.Word}}: one of {{list .All}}", finding.Args{"Word": shorten(w.word), "All": w.all}))
		}
	}
	for _, n := range []struct {
		key  string
		less bool
	}{{"runs_per_user", s.RunsPerUser < 0}, {"runs_per_minute", s.RunsPerMinute < 0}, {"timeout", s.Timeout < 0}, {"session_idle", s.SessionIdle < 0}, {"session_longest", s.SessionLongest < 0}} {
		if n.less {
			bad(n.key, finding.S("it cannot be negative", nil))
		}
	}
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
