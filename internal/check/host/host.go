// Package host is the survey of `mailwhy ip ADDRESS`: what a receiver sees of a sending address before the first byte of
// mail: its reverse name and whether that is confirmed, whether it looks like a customer line, the network that announces
// it, and the blocklists.
package host

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/blocklist"
	"github.com/mailwhy/mailwhy/internal/check/origin"
	"github.com/mailwhy/mailwhy/internal/check/ptr"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// Facts are what was seen of an address; JSON: docs/json.md.
type Facts struct {
	Address netip.Addr       `json:"address"`
	PTR     *ptr.Facts       `json:"ptr"`
	Network *origin.Facts    `json:"network,omitempty"`
	Lists   *blocklist.Facts `json:"blocklists,omitempty"`
}

// Survey looks at one address.
func Survey(ctx context.Context, env *check.Env, addr netip.Addr) (*finding.Report, error) {
	start := env.Now()
	f := &Facts{Address: addr}
	var err error
	var wg sync.WaitGroup
	wg.Go(func() { f.PTR = ptr.Look(ctx, env, addr, "") })
	wg.Go(func() { f.Network = origin.Look(ctx, env, addr) })
	f.Lists, err = blocklist.Look(ctx, env, []string{addr.String()}, blocklist.Options{})
	wg.Wait()
	if err != nil {
		return nil, err
	}
	fs := slices.Concat(ptr.Judge(f.PTR, ""), origin.Judge(f.Network), blocklist.Brief(f.Lists))
	sections := append(origin.Section(f.Network), blocklist.Sections(f.Lists)...)
	return check.NewReport(env, "ip", finding.Subject{Kind: finding.KindIP, Name: addr.String()}, start, fs, sections, f), nil
}
