// Package host is the survey of `mailwhy ip ADDRESS`: what a receiver sees of a sending address before the first byte of
// mail: its reverse name and whether that is confirmed, whether it looks like a customer line, and the blocklists.
package host

import (
	"context"
	"net/netip"
	"sync"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/blocklist"
	"github.com/mailwhy/mailwhy/internal/check/ptr"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// Facts are what was seen of an address; JSON: docs/json.md.
type Facts struct {
	Address netip.Addr       `json:"address"`
	PTR     *ptr.Facts       `json:"ptr"`
	Lists   *blocklist.Facts `json:"blocklists,omitempty"`
}

// Survey looks at one address.
func Survey(ctx context.Context, env *check.Env, addr netip.Addr) (*finding.Report, error) {
	start := env.Now()
	f := &Facts{Address: addr}
	var err error
	var wg sync.WaitGroup
	wg.Go(func() { f.PTR = ptr.Look(ctx, env, addr, "") })
	f.Lists, err = blocklist.Look(ctx, env, []string{addr.String()}, blocklist.Options{})
	wg.Wait()
	if err != nil {
		return nil, err
	}
	fs := append(ptr.Judge(f.PTR, ""), blocklist.Brief(f.Lists)...)
	return check.NewReport(env, "ip", finding.Subject{Kind: finding.KindIP, Name: addr.String()}, start, fs, blocklist.Sections(f.Lists), f), nil
}
