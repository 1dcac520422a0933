//go:build !linux

package route

import (
	"context"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// send is for Linux only: elsewhere a socket does not tell who sent an ICMP error.
func (a *Asker) send(context.Context, Round) ([]Answer, error) {
	return nil, &wire.Fault{Kind: wire.NotPermitted, Op: "probe", Text: "tracing a path works on Linux only"}
}
