package main

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/mailwhy/mailwhy/internal/knowledge"
)

// runBanners reads sample greetings. A product is right where it is called as the sample calls it, without regard to
// case; where the sample knows none, none may be named. Both must be right for "product and version".
func runBanners(dir string) ([]score, error) {
	f, err := os.Open(filepath.Join(dir, "banners", "examples.jsonl"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	table, err := knowledge.Embedded().Banners()
	if err != nil {
		return nil, err
	}
	both := score{name: "product and version", aim: 0.95}
	vendor, host := score{name: "vendor"}, score{name: "host"}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var d struct {
			Banner   string
			Expected map[string]string
		}
		if err := json.Unmarshal(sc.Bytes(), &d); err != nil {
			return nil, err
		}
		got, e := table.Read(d.Banner), d.Expected
		product := strings.EqualFold(got.Product, e["service.product"])
		both.add(product && got.Version == e["service.version"], "%q: %q %q, want %q %q", d.Banner, got.Product, got.Version, e["service.product"], e["service.version"])
		if e["service.vendor"] != "" {
			vendor.add(strings.EqualFold(got.Vendor, e["service.vendor"]), "%q: %q, want %q", d.Banner, got.Vendor, e["service.vendor"])
		}
		if e["host.name"] != "" {
			host.add(got.Host == e["host.name"], "%q: %q, want %q", d.Banner, got.Host, e["host.name"])
		}
	}
	return []score{both, vendor, host}, nil
}
