package cli

import (
	"cmp"
	"context"
	"time"

	"github.com/mailwhy/mailwhy/internal/change"
)

// deskPart brings the desk of our own blocklist to the page; `mailwhy block` works on the same store.
func deskPart(_ context.Context, v *service) (*part, error) {
	d, err := v.app.deskOf(v.state, v.cfg.Serve.Data, v.cfg.Desk, v.now)
	v.web.Desk = d
	return nil, err
}

// deskOf is the desk of a service: protected is what [desk] of its configuration protects and what guard.toml in its data
// folder does, by which `mailwhy block` goes.
func (a *app) deskOf(st change.Store, data string, more change.Config, now func() time.Time) (*change.Desk, error) {
	cfg, err := a.guardFile(&blockFlags{data: data})
	if err != nil {
		return nil, err
	}
	cfg.Shared = append(cfg.Shared, more.Shared...)
	cfg.Own, cfg.Partners, cfg.Free = append(cfg.Own, more.Own...), append(cfg.Partners, more.Partners...), append(cfg.Free, more.Free...)
	cfg.Bits4, cfg.Bits6 = cmp.Or(more.Bits4, cfg.Bits4), cmp.Or(more.Bits6, cfg.Bits6)
	cfg.Longest = cmp.Or(more.Longest, cfg.Longest)
	g, err := cfg.Guard()
	if err != nil {
		return nil, err
	}
	return &change.Desk{Store: st, Guard: g, Now: now, Free: cfg.Free}, nil
}
