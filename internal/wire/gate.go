package wire

import (
	"context"
	"fmt"
	"sync"
)

// Gate keeps a run polite: it bounds the connections to one host at once and in all, and those of the run at once. A
// nil Gate lets everybody through. Names of hosts are whatever the callers agree on, usually the address.
type Gate struct {
	AtOnce int // connections to one host at once; 0 means 1
	Total  int // connections to one host in the run; 0 means no bound
	All    int // connections at once to all hosts; 0 means 64

	mu    sync.Mutex
	all   chan struct{}
	hosts map[string]*hostGate
}

type hostGate struct {
	slots chan struct{}
	used  int
}

// Enter waits for a turn and gives the function that ends it. The error is a *Fault: of kind limit where the host's
// total is used up, else the context's.
func (g *Gate) Enter(ctx context.Context, host string) (leave func(), err error) {
	if g == nil {
		return func() {}, nil
	}
	h, all, err := g.host(host)
	if err != nil {
		return nil, err
	}
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, Classify("wait", ctx.Err())
	}
	select {
	case all <- struct{}{}:
	case <-ctx.Done():
		<-h.slots
		return nil, Classify("wait", ctx.Err())
	}
	return func() { <-all; <-h.slots }, nil
}

func (g *Gate) host(name string) (*hostGate, chan struct{}, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all == nil {
		g.all, g.hosts = make(chan struct{}, orDefault(g.All, 64)), map[string]*hostGate{}
	}
	h := g.hosts[name]
	if h == nil {
		h = &hostGate{slots: make(chan struct{}, orDefault(g.AtOnce, 1))}
		g.hosts[name] = h
	}
	if g.Total > 0 && h.used >= g.Total {
		return nil, nil, &Fault{Kind: Limit, Op: "connect", Text: fmt.Sprintf("mailwhy opens at most %d connections to one host per run", g.Total)}
	}
	h.used++
	return h, g.all, nil
}

func orDefault(n, d int) int {
	if n <= 0 {
		return d
	}
	return n
}
