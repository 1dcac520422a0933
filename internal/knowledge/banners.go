package knowledge

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

// maxBanner is how many bytes of a greeting are looked at.
const maxBanner = 1024

// Software is what a greeting tells about who speaks; fields that it does not tell are empty.
type Software struct {
	Vendor    string `json:"vendor,omitempty"`
	Product   string `json:"product,omitempty"`
	Version   string `json:"version,omitempty"`
	OS        string `json:"os,omitempty"`
	OSVersion string `json:"os_version,omitempty"`
	Host      string `json:"host,omitempty"` // the name the server gives itself
}

// Name is vendor, product and version as people say them, without saying a word twice; empty where nothing is known.
func (s *Software) Name() string {
	name := s.Product
	if s.Vendor != "" && !strings.Contains(strings.ToLower(s.Product), strings.ToLower(s.Vendor)) && len(s.Vendor) <= 12 {
		name = strings.TrimSpace(s.Vendor + " " + s.Product)
	}
	return strings.TrimSpace(name + " " + s.Version)
}

// BannerProduct is a row of the table: patterns that tell a product.
type BannerProduct struct {
	Vendor  string   `toml:"vendor"`
	Product string   `toml:"product"`
	OS      string   `toml:"os"`
	Match   []string `toml:"match"`
}

// BannerSystem is a row of the table: patterns that tell an operating system.
type BannerSystem struct {
	Name  string   `toml:"name"`
	Match []string `toml:"match"`
}

// Banners is the table of greetings. Read compiles its patterns at first use.
type Banners struct {
	Checked toml.LocalDate  `toml:"checked"`
	Product []BannerProduct `toml:"product"`
	System  []BannerSystem  `toml:"system"`

	once     sync.Once
	err      error
	products [][]*regexp.Regexp
	systems  [][]*regexp.Regexp
}

// Banners reads banners.toml. A pattern that does not compile is an error that names it.
func (b *Base) Banners() (*Banners, error) {
	t, err := load[Banners](b, "banners.toml")
	if err != nil {
		return nil, err
	}
	t.once.Do(t.compile)
	if t.err != nil {
		return nil, fmt.Errorf("knowledge table banners.toml: %w", t.err)
	}
	return t, nil
}

func (t *Banners) compile() {
	all := func(patterns []string) (out []*regexp.Regexp) {
		for _, p := range patterns {
			re, err := regexp.Compile("(?i)" + p)
			if err != nil {
				t.err = err
				return nil
			}
			out = append(out, re)
		}
		return out
	}
	for i := range t.Product {
		t.products = append(t.products, all(t.Product[i].Match))
	}
	for i := range t.System {
		t.systems = append(t.systems, all(t.System[i].Match))
	}
}

var (
	greetingStatus = regexp.MustCompile(`^(?:220[ -]|\* (?:OK|PREAUTH|BYE) ?|\+OK ?|OK )`)
	capabilityCode = regexp.MustCompile(`(?i)^\s*\[CAPABILITY[^\]]*\]\s*`)
	hostAtFront    = regexp.MustCompile(`^\s*((?:[A-Za-z0-9_-]+\.)+[A-Za-z0-9-]+)\.?(?:[\s,:]|$)`)
	hostElsewhere  = regexp.MustCompile(`(?i)(?:<\d[^@>\s]*@|\bat |\bserver |version [\d.]+ \()((?:[a-z0-9-]+\.)+[a-z][a-z0-9-]*)`)
)

// Read tells what a greeting says about the software. The status (220, * OK, +OK) may stand before it or not; the lines
// of a long greeting may be joined by line ends.
func (t *Banners) Read(banner string) Software {
	if len(banner) > maxBanner {
		banner = banner[:maxBanner]
	}
	banner = greetingStatus.ReplaceAllString(strings.TrimSpace(banner), "")
	banner = capabilityCode.ReplaceAllString(banner, "")
	host, rest := "", banner
	if m := hostAtFront.FindStringSubmatchIndex(banner); m != nil {
		host, rest = banner[m[2]:m[3]], banner[m[3]:]
	} else if m := hostElsewhere.FindStringSubmatch(banner); m != nil {
		host = m[1]
	}
	s, ok := t.product(rest) // a host called postfix.example says nothing about its software
	if !ok {
		s, _ = t.product(banner)
	}
	if len(host) <= 255 {
		s.Host = host
	}
	for i := range t.systems {
		if m, version := firstMatch(t.systems[i], banner); m {
			s.OS, s.OSVersion = t.System[i].Name, version
			break
		}
	}
	return s
}

func (t *Banners) product(text string) (Software, bool) {
	for i := range t.products {
		if ok, version := firstMatch(t.products[i], text); ok {
			p := &t.Product[i]
			return Software{Vendor: p.Vendor, Product: p.Product, OS: p.OS, Version: version}, true
		}
	}
	return Software{}, false
}

func firstMatch(patterns []*regexp.Regexp, text string) (ok bool, version string) {
	for _, re := range patterns {
		m := re.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		if i := re.SubexpIndex("version"); i >= 0 {
			version = strings.TrimRight(m[i], ".,;-")
		}
		return true, version
	}
	return false, ""
}
