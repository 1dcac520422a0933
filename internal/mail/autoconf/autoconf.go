// Package autoconf reads and writes the files by which mail programs learn their settings: the autoconfig XML of
// Thunderbird, the Autodiscover POX answers of Outlook, and the configuration profile of Apple's programs (written only).
//
// Promise: pure and bounded (MaxBytes, MaxDepth, MaxServers); a document type or an entity of its own makes a file
// unreadable, so that nothing is expanded or fetched. Nothing is guessed: what a file does not say stays empty.
package autoconf

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Bounds of what is read.
const (
	MaxBytes   = 256 << 10
	MaxDepth   = 24
	MaxServers = 40
)

// Server is one server as a file names it.
type Server struct {
	Type     string `json:"type"` // imap, pop3, smtp
	Host     string `json:"host"`
	Port     uint16 `json:"port"`
	Security string `json:"security"`           // tls, starttls, plain
	User     string `json:"username,omitempty"` // verbatim, with placeholders such as %EMAILADDRESS%
}

// Config is what a file says.
type Config struct {
	Name     string   `json:"name,omitempty"`
	Servers  []Server `json:"servers"`
	Redirect string   `json:"redirect,omitempty"` // Autodiscover: another URL to ask
	Address  string   `json:"address,omitempty"`  // Autodiscover: ask again with this address
	Refusal  string   `json:"refusal,omitempty"`  // Autodiscover: the error in the server's words
}

// ErrNotConfig is wrapped by every error of reading.
var ErrNotConfig = errors.New("no mail settings")

// guard walks the tokens first: depth, document types and broken XML are found before anything is kept.
func guard(b []byte) error {
	if len(b) > MaxBytes {
		return fmt.Errorf("%w: more than %d bytes", ErrNotConfig, MaxBytes)
	}
	d := newDecoder(b)
	for depth := 0; ; {
		t, err := d.RawToken()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrNotConfig, err)
		}
		switch t.(type) {
		case xml.StartElement:
			if depth++; depth > MaxDepth {
				return fmt.Errorf("%w: nested too deep", ErrNotConfig)
			}
		case xml.EndElement:
			depth--
		case xml.Directive:
			return fmt.Errorf("%w: it brings a document type", ErrNotConfig)
		}
	}
}

func newDecoder(b []byte) *xml.Decoder {
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))))
	d.CharsetReader = func(charset string, r io.Reader) (io.Reader, error) {
		if c := strings.ToLower(charset); c == "us-ascii" || c == "iso-8859-1" {
			return r, nil // host names are ASCII
		}
		return nil, fmt.Errorf("charset %q", charset)
	}
	return d
}

type thunderbird struct {
	XMLName  xml.Name `xml:"clientConfig"`
	Provider []struct {
		Name     string     `xml:"displayName"`
		Incoming []tbServer `xml:"incomingServer"`
		Outgoing []tbServer `xml:"outgoingServer"`
	} `xml:"emailProvider"`
}

type tbServer struct {
	Type   string `xml:"type,attr"`
	Host   string `xml:"hostname"`
	Port   string `xml:"port"`
	Socket string `xml:"socketType"`
	User   string `xml:"username"`
}

// ReadAutoconfig reads Thunderbird's config-v1.1.xml.
func ReadAutoconfig(b []byte) (*Config, error) {
	if err := guard(b); err != nil {
		return nil, err
	}
	var f thunderbird
	if err := newDecoder(b).Decode(&f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotConfig, err)
	}
	c := &Config{}
	for _, p := range f.Provider {
		if c.Name == "" {
			c.Name = strings.TrimSpace(p.Name)
		}
		for _, s := range append(p.Incoming, p.Outgoing...) {
			sec := map[string]string{"ssl": "tls", "starttls": "starttls", "plain": "plain"}[strings.ToLower(strings.TrimSpace(s.Socket))]
			c.add(s.Type, s.Host, s.Port, sec, s.User)
		}
	}
	if len(c.Servers) == 0 {
		return nil, fmt.Errorf("%w: no server in it", ErrNotConfig)
	}
	return c, nil
}

func (c *Config) add(kind, host, port, security, user string) {
	kind, host = strings.ToLower(strings.TrimSpace(kind)), strings.ToLower(strings.TrimSuffix(strings.TrimSpace(host), "."))
	n, err := strconv.ParseUint(strings.TrimSpace(port), 10, 16)
	if err != nil || n == 0 || security == "" || !HostName(host) || kind != "imap" && kind != "pop3" && kind != "smtp" || len(c.Servers) >= MaxServers {
		return
	}
	c.Servers = append(c.Servers, Server{kind, host, uint16(n), security, strings.TrimSpace(user)})
}

// HostName tells whether a text can be the name of a host.
func HostName(s string) bool {
	if len(s) == 0 || len(s) > 253 || !strings.Contains(s, ".") {
		return false
	}
	for _, r := range s {
		if !(r == '-' || r == '.' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r > 127) {
			return false
		}
	}
	return !strings.Contains(s, "..") && s[0] != '.'
}

type autodiscover struct {
	XMLName  xml.Name `xml:"Autodiscover"`
	Response []struct {
		Error struct {
			Message string `xml:"Message"`
			Code    string `xml:"ErrorCode"`
		} `xml:"Error"`
		User struct {
			Name string `xml:"DisplayName"`
		} `xml:"User"`
		Account []struct {
			Action   string `xml:"Action"`
			URL      string `xml:"RedirectUrl"`
			Address  string `xml:"RedirectAddr"`
			Protocol []struct {
				Type       string `xml:"Type"`
				Server     string `xml:"Server"`
				Port       string `xml:"Port"`
				SSL        string `xml:"SSL"`
				Encryption string `xml:"Encryption"`
				Login      string `xml:"LoginName"`
			} `xml:"Protocol"`
		} `xml:"Account"`
	} `xml:"Response"`
}

// ReadAutodiscover reads the answer to a POST of Outlook's Autodiscover.
func ReadAutodiscover(b []byte) (*Config, error) {
	if err := guard(b); err != nil {
		return nil, err
	}
	var f autodiscover
	if err := newDecoder(b).Decode(&f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotConfig, err)
	}
	c := &Config{}
	for _, r := range f.Response {
		if r.Error.Code != "" || r.Error.Message != "" {
			c.Refusal = strings.TrimSpace(r.Error.Code + " " + r.Error.Message)
		}
		for _, a := range r.Account {
			c.Redirect, c.Address = strings.TrimSpace(a.URL), strings.TrimSpace(a.Address)
			for _, p := range a.Protocol {
				sec := map[string]string{"ssl": "tls", "tls": "starttls", "none": "plain"}[strings.ToLower(p.Encryption)]
				if sec == "" {
					sec = "tls" // the schema's default for SSL is on
					if strings.EqualFold(p.SSL, "off") {
						sec = "plain"
					}
				}
				if sec == "tls" && (p.Port == "587" || p.Port == "143" || p.Port == "110" || p.Port == "25") {
					sec = "starttls" // Outlook writes SSL on for these ports and means STARTTLS
				}
				c.add(p.Type, p.Server, p.Port, sec, p.Login)
			}
		}
	}
	if len(c.Servers) == 0 && c.Redirect == "" && c.Address == "" && c.Refusal == "" {
		return nil, fmt.Errorf("%w: no server in it", ErrNotConfig)
	}
	return c, nil
}

// Request is the body of an Autodiscover POST about an address.
func Request(address string) []byte {
	return []byte(xml.Header + `<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request><EMailAddress>` +
		escape(address) + `</EMailAddress><AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema></Request></Autodiscover>`)
}

func escape(s string) string {
	var b bytes.Buffer
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		return ""
	}
	return b.String()
}
