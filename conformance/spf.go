package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/spf"
)

// spfScenario is one document of the openspf suites.
type spfScenario struct {
	Description string
	Tests       map[string]struct {
		HELO        string
		Host        string
		MailFrom    string `yaml:"mailfrom"`
		Result      yaml.Node
		Explanation string
	}
	ZoneData map[string][]yaml.Node `yaml:"zonedata"`
}

// runSPF runs the suite of RFC 7208, all of which must be right, and that of RFC 4408, whose rules differ in places.
func runSPF(dir string) ([]score, error) {
	now, err := spfSuite(filepath.Join(dir, "spf", "rfc7208-tests.yml"), "RFC 7208 suite", 1)
	if err != nil {
		return nil, err
	}
	old, err := spfSuite(filepath.Join(dir, "spf", "rfc4408-tests.yml"), "RFC 4408 suite (judged by RFC 7208)", 0)
	if err != nil {
		return nil, err
	}
	return append(now, old...), nil
}

func spfSuite(file, name string, aim float64) ([]score, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	results := score{name: name + ": results", aim: aim}
	texts := score{name: name + ": explanations", aim: aim}
	for d := yaml.NewDecoder(f); ; {
		var sc spfScenario
		if err := d.Decode(&sc); errors.Is(err, io.EOF) {
			return []score{results, texts}, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if err := sc.run(&results, &texts); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", file, sc.Description, err)
		}
	}
}

func (sc *spfScenario) run(results, texts *score) error {
	zone, err := spfZone(sc.ZoneData)
	if err != nil {
		return err
	}
	for name, t := range sc.Tests {
		ip, err := netip.ParseAddr(t.Host)
		if err != nil {
			return err
		}
		var want []string
		if t.Result.Kind == yaml.SequenceNode {
			err = t.Result.Decode(&want)
		} else {
			want = []string{t.Result.Value}
		}
		if err != nil {
			return err
		}
		r := spf.Check(context.Background(), zone, spf.Input{IP: ip, MailFrom: t.MailFrom, HELO: t.HELO, Receiver: "receiver.example", Now: time.Unix(1700000000, 0)})
		results.add(slices.Contains(want, string(r.Code)), "%s: %s: %s, want %s (%v)", sc.Description, name, r.Code, want, r.Problem)
		if t.Explanation != "" {
			got := r.Explanation
			if got == "" {
				got = "DEFAULT"
			}
			texts.add(got == t.Explanation, "%s: %s: explanation %q, want %q", sc.Description, name, got, t.Explanation)
		}
	}
	return nil
}

// spfNames is the suite's zone: a mail.Zone whose names may time out for types they do not hold.
type spfNames struct {
	mail.Zone
	slow map[string]bool
}

// Resolve implements mail.Resolver.
func (z spfNames) Resolve(ctx context.Context, name string, t mail.Type) (*mail.Answer, error) {
	a, err := z.Zone.Resolve(ctx, name, t)
	if err == nil && len(a.Records) == 0 && z.slow[a.Final] {
		return nil, fmt.Errorf("%s: time-out: %w", name, mail.ErrTemporary)
	}
	return a, err
}

// spfZone reads zone data. Records of type SPF stand for TXT too, unless the name has a TXT of its own (or TXT: NONE).
func spfZone(data map[string][]yaml.Node) (spfNames, error) {
	z := spfNames{mail.Zone{Records: map[string][]mail.Record{}}, map[string]bool{}}
	for owner, rrs := range data {
		owner = strings.ToLower(strings.TrimSuffix(owner, "."))
		z.Records[owner] = nil
		hasTXT := false
		var twins []mail.Record
		for _, n := range rrs {
			if n.Kind == yaml.ScalarNode {
				z.slow[owner] = z.slow[owner] || n.Value == "TIMEOUT"
				continue
			}
			var m map[string]yaml.Node
			if err := n.Decode(&m); err != nil {
				return z, err
			}
			for kind, v := range m {
				hasTXT = hasTXT || kind == "TXT"
				if kind == "TXT" && v.Value == "NONE" {
					continue
				}
				rr, err := spfRecord(kind, &v)
				if err != nil {
					return z, fmt.Errorf("%s %s: %w", owner, kind, err)
				}
				rr.Name = owner
				z.Records[owner] = append(z.Records[owner], rr)
				if kind == "SPF" {
					rr.Type = mail.TypeTXT
					twins = append(twins, rr)
				}
			}
		}
		if !hasTXT {
			z.Records[owner] = append(z.Records[owner], twins...)
		}
	}
	return z, nil
}

func spfRecord(kind string, v *yaml.Node) (rr mail.Record, err error) {
	trim := func(s string) string { return strings.ToLower(strings.TrimSuffix(s, ".")) }
	switch kind {
	case "TXT", "SPF":
		rr.Type = map[string]mail.Type{"TXT": mail.TypeTXT, "SPF": mail.TypeSPF}[kind]
		if v.Kind == yaml.SequenceNode {
			return rr, v.Decode(&rr.TXT)
		}
		rr.TXT = []string{v.Value}
	case "A", "AAAA":
		rr.Type = map[string]mail.Type{"A": mail.TypeA, "AAAA": mail.TypeAAAA}[kind]
		rr.IP, err = netip.ParseAddr(v.Value)
	case "MX":
		rr.Type = mail.TypeMX
		var parts []yaml.Node
		if err = v.Decode(&parts); err == nil && len(parts) == 2 {
			err = parts[0].Decode(&rr.Pref)
			rr.Host = trim(parts[1].Value)
		}
	case "PTR":
		rr.Type, rr.Host = mail.TypePTR, trim(v.Value)
	case "CNAME":
		rr.Type, rr.Host = mail.TypeCNAME, trim(v.Value)
	default:
		err = fmt.Errorf("unknown type")
	}
	return rr, err
}
