package score

import (
	"context"
	"net"
	"syscall"
)

// deadDialer is a network in which nothing listens.
type deadDialer struct{}

func (deadDialer) DialContext(context.Context, string, string) (net.Conn, error) {
	return nil, syscall.ECONNREFUSED
}
