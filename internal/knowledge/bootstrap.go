package knowledge

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// maxBootstrap bounds a bootstrap file; IANA's largest has some 80 kB.
const maxBootstrap = 4 << 20

// bootstrapFile is a file as IANA publishes it (RFC 9224, section 3): each service is a list of what it answers for and a
// list of its base URLs.
type bootstrapFile struct {
	Version     string       `json:"version"`
	Publication string       `json:"publication"`
	Services    [][][]string `json:"services"`
}

// bootstrap puts IANA's own files in the place of the table's rows, where the admin's folder holds them: ipv4.json,
// ipv6.json and dns.json.
func (r *Registries) bootstrap(b *Base) error {
	for name, put := range map[string]func(*RDAPBase, []string){
		"ipv4.json": func(s *RDAPBase, what []string) { s.V4 = what },
		"ipv6.json": func(s *RDAPBase, what []string) { s.V6 = what },
		"dns.json":  func(s *RDAPBase, what []string) { s.TLDs = what },
	} {
		raw, err := b.read(name)
		if err != nil {
			continue // there is none in the binary
		}
		services, err := readBootstrap(name, raw)
		if err != nil {
			return fmt.Errorf("knowledge file %s: %w", name, err)
		}
		for i := range r.RDAP {
			put(&r.RDAP[i], nil)
		}
		for _, s := range services {
			one := RDAPBase{Base: s.base}
			put(&one, s.what)
			r.RDAP = append(r.RDAP, one)
		}
	}
	return nil
}

type service struct {
	what []string
	base string
}

func readBootstrap(name string, raw []byte) (out []service, err error) {
	var f bootstrapFile
	if len(raw) > maxBootstrap {
		return nil, fmt.Errorf("larger than %d bytes", maxBootstrap)
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	if f.Version != "1.0" || len(f.Services) == 0 {
		return nil, fmt.Errorf("no bootstrap file of version 1.0 (RFC 9224): version %q, %d services", f.Version, len(f.Services))
	}
	for i, x := range f.Services {
		if len(x) < 2 {
			return nil, fmt.Errorf("service %d has no list of URLs", i)
		}
		base := secureBase(x[len(x)-1])
		if base == "" {
			continue // plain HTTP only: a server we would not ask
		}
		s := service{base: base}
		for _, w := range x[len(x)-2] {
			if name != "dns.json" {
				if _, err := netip.ParsePrefix(w); err != nil {
					return nil, fmt.Errorf("service %d: %q is no network", i, w)
				}
			}
			s.what = append(s.what, strings.ToLower(strings.TrimSuffix(w, ".")))
		}
		out = append(out, s)
	}
	return out, nil
}

// secureBase is the first URL over TLS, with a slash at its end.
func secureBase(urls []string) string {
	for _, u := range urls {
		if p, err := url.Parse(u); err == nil && p.Scheme == "https" && p.Host != "" {
			return strings.TrimSuffix(u, "/") + "/"
		}
	}
	return ""
}
