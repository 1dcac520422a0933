package cli

import (
	"context"

	"github.com/mailwhy/mailwhy/internal/change"
)

// deskPart brings the desk of our own blocklist to the page; `mailwhy block` works on the same store.
func deskPart(_ context.Context, v *service) (*part, error) {
	cfg := v.cfg.Desk
	cfg.Own = append(cfg.Own[:len(cfg.Own):len(cfg.Own)], ownNetworks()...)
	g, err := cfg.Guard()
	if err != nil {
		return nil, err
	}
	v.web.Desk = &change.Desk{Store: v.state, Guard: g, Now: v.now, Free: cfg.Free}
	return nil, nil
}
