package check

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// MaxAddrs is how many addresses of one host are looked at.
const MaxAddrs = 4

// Addresses resolves a host to at most MaxAddrs addresses, IPv4 first; err is of a look-up that failed.
func Addresses(ctx context.Context, env *Env, host string) (out []netip.Addr, err error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if strings.EqualFold(host, "localhost") {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	if env.DNS == nil {
		return nil, &wire.Fault{Kind: wire.OtherFault, Op: "dns", Text: "no resolver to look up " + host}
	}
	types := []mail.Type{mail.TypeA, mail.TypeAAAA}
	if env.Probe.NoIPv6 {
		types = types[:1]
	}
	for _, t := range types {
		a, aerr := env.DNS.Resolve(ctx, host, t)
		if aerr != nil {
			err = aerr
			continue
		}
		for i := range a.Records {
			out = append(out, a.Records[i].IP)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out[:min(len(out), MaxAddrs)], err
}
