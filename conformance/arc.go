package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/mail/arc"
	"github.com/mailwhy/mailwhy/internal/mail/header"
)

// arcScenario is one document of the ARC suites.
type arcScenario struct {
	Description string
	Tests       yaml.Node // a map in which some names stand twice
	Domain      string
	Selector    string            `yaml:"sel"`
	PrivateKey  string            `yaml:"privatekey"`
	Records     map[string]string `yaml:"txt-records"`
}

type arcTest struct {
	name       string
	Message    string
	CV         string
	AS         string `yaml:"AS"`
	AMS        string `yaml:"AMS"`
	AAR        string `yaml:"AAR"`
	T          int64
	SigHeaders string `yaml:"sig-headers"`
	SrvID      string `yaml:"srv-id"`
}

func (sc *arcScenario) tests() (out []arcTest, err error) {
	for i := 0; i+1 < len(sc.Tests.Content); i += 2 {
		t := arcTest{name: sc.Tests.Content[i].Value}
		if err := sc.Tests.Content[i+1].Decode(&t); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
		out = append(out, t)
	}
	return out, nil
}

// runARC runs the validation and the signing suite; all of both must be right.
func runARC(dir string) ([]score, error) {
	valid := score{name: "validation suite", aim: 1}
	err := arcEach(filepath.Join(dir, "arc", "arc-draft-validation-tests.yml"), func(sc *arcScenario) error {
		tests, err := sc.tests()
		for _, t := range tests {
			c, err := arc.Validate(context.Background(), sc.zone(), strings.NewReader(crlf(t.Message)), header.Limits{})
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			want := strings.ToLower(t.CV)
			valid.add(string(c.Status) == want || want == "" && c.Status == arc.Fail, "%s: %s: %s (%s at %d: %s), want %q", sc.Description, t.name, c.Status, c.Reason, c.At, c.Detail, want)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	signed := score{name: "signing suite", aim: 1}
	err = arcEach(filepath.Join(dir, "arc", "arc-draft-sign-tests.yml"), func(sc *arcScenario) error { return sc.sign(&signed) })
	return []score{valid, signed}, err
}

func (sc *arcScenario) sign(out *score) error {
	block, _ := pem.Decode([]byte(sc.PrivateKey))
	if block == nil {
		return errors.New("no private key in the suite")
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		return err
	}
	tests, err := sc.tests()
	for _, t := range tests {
		s := arc.Signer{Domain: sc.Domain, Selector: sc.Selector, Key: key, AuthServID: t.SrvID, Headers: strings.Split(t.SigHeaders, ":"), Now: time.Unix(t.T, 0)}
		got, err := s.Sign(context.Background(), sc.zone(), strings.NewReader(crlf(t.Message)))
		if errors.Is(err, arc.ErrSealedFail) {
			got = &arc.Sealed{}
		} else if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		for _, f := range []struct{ name, got, want string }{{"AAR", got.Results, t.AAR}, {"AMS", got.Message, t.AMS}, {"AS", got.Seal, t.AS}} {
			out.add(bare(f.got) == bare(f.want), "%s: %s: %s\n got %s\nwant %s", sc.Description, t.name, f.name, bare(f.got), bare(f.want))
		}
	}
	return err
}

// bare takes the white space out of a field, which folding may put anywhere.
func bare(s string) string { return strings.Join(strings.Fields(s), "") }

func arcEach(file string, do func(*arcScenario) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	for d := yaml.NewDecoder(f); ; {
		var sc arcScenario
		if err := d.Decode(&sc); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := do(&sc); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
}

func (sc *arcScenario) zone() mail.Zone {
	z := mail.Zone{Records: map[string][]mail.Record{}}
	for name, txt := range sc.Records {
		z.Records[strings.ToLower(name)] = []mail.Record{{Type: mail.TypeTXT, TXT: []string{strings.TrimSpace(txt)}}}
	}
	return z
}

// crlf gives a YAML block the line ends of mail.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
