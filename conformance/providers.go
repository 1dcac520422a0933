package main

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/knowledge"
)

// runProviders reads sample settings of mailbox providers. A provider is right where each service it offers with
// encryption is in the table with one of its servers, port and security included; a service that is offered in the clear
// alone is not asked for, since nobody is told to use it.
func runProviders(dir string) ([]score, error) {
	f, err := os.Open(filepath.Join(dir, "providers", "servers.jsonl"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	table, err := knowledge.Embedded().Providers()
	if err != nil {
		return nil, err
	}
	type row struct {
		File, Type, Host, Port, Socket string
		Domains                        []string
	}
	var files []string
	rows := map[string][]row{}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var r row
		if err := json.Unmarshal(sc.Bytes(), &r); err != nil {
			return nil, err
		}
		if rows[r.File] == nil {
			files = append(files, r.File)
		}
		rows[r.File] = append(rows[r.File], r)
	}
	s := score{name: "settings of a provider", aim: 0.8}
	for _, file := range files {
		domain := rows[file][0].Domains[0]
		p := table.OfDomain(domain)
		if p == nil {
			p = table.OfMX(domain)
		}
		var have []knowledge.ProviderServer
		if p != nil {
			if have, err = p.List(); err != nil {
				return nil, err
			}
		}
		wants, missing := map[string]bool{}, []string(nil)
		for _, r := range rows[file] {
			security := map[string]string{"SSL": "tls", "STARTTLS": "starttls"}[r.Socket]
			if security == "" {
				continue
			}
			host := strings.ReplaceAll(r.Host, "%EMAILDOMAIN%", domain)
			found := slices.ContainsFunc(have, func(h knowledge.ProviderServer) bool {
				return h.Type == r.Type && h.Host == host && strconv.Itoa(int(h.Port)) == r.Port && h.Security == security
			})
			wants[r.Type] = wants[r.Type] || found
		}
		for kind, ok := range wants {
			if !ok {
				missing = append(missing, kind)
			}
		}
		if len(wants) > 0 {
			s.add(len(missing) == 0, "%s: %v", domain, missing)
		}
	}
	return []score{s}, nil
}
