package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"github.com/miekg/dns"

	"github.com/mailwhy/mailwhy/lab/netns"
	"github.com/mailwhy/mailwhy/lab/relay"
)

// network builds the namespaces in a row: client – edge – core – servers. Between edge and core runs a second way, the
// relay, which the slow addresses take.
func (w *World) network() error {
	var err error
	for _, n := range []struct {
		role string
		to   *netns.Space
	}{{"edge", &w.edge}, {"core", &w.core}, {"servers", &w.Servers}} {
		if *n.to, err = netns.New(n.role); err != nil {
			return err
		}
	}
	for _, c := range Clients {
		role := "client" + c
		if w.clients[c], err = netns.New(role); err != nil {
			return err
		}
	}
	for _, s := range w.spaces() {
		// No ICMP rate limit: it would eat the rejections that cases wait for.
		if err := s.Sysctl("net/ipv4/ip_forward=1", "net/ipv6/conf/all/forwarding=1", "net/ipv4/icmp_ratelimit=0", "net/ipv6/icmp/ratelimit=0",
			"net/ipv4/conf/all/rp_filter=0", "net/ipv4/conf/default/rp_filter=0", "net/ipv6/conf/all/accept_dad=0", "net/ipv6/conf/default/accept_dad=0"); err != nil {
			return err
		}
	}
	if err := w.links(); err != nil {
		return err
	}
	if w.relay, err = relay.Start("slow0", w.edge, w.core, Delay/2); err != nil {
		return err
	}
	if err := w.routes(); err != nil {
		return err
	}
	return w.filter()
}

func (w *World) links() error {
	errs := []error{
		w.edge.Link("core0", w.core, "edge0"),
		w.core.Link("servers0", w.Servers, "core0"),
	}
	for _, c := range Clients {
		errs = append(errs, w.clients[c].Link("up0", w.edge, "client"+c))
	}
	return errors.Join(errs...)
}

func (w *World) routes() error {
	errs := []error{
		w.edge.Batch("addr add 11.1.1.1/24 dev core0", "addr add 2d00:1ab:fffe::1/64 dev core0",
			"link set slow0 up", "route add default via 11.1.1.2", "route add default via 2d00:1ab:fffe::2",
			"route add 11.99.0.0/16 dev slow0", "route add 2d00:1ab:9900::/48 dev slow0"),
		w.core.Batch("addr add 11.1.1.2/24 dev edge0", "addr add 2d00:1ab:fffe::2/64 dev edge0",
			"addr add 11.1.2.1/24 dev servers0", "addr add 2d00:1ab:fffd::1/64 dev servers0",
			"link set slow0 up", "route add 11.1.0.0/16 via 11.1.1.1", "route add 2d00:1ab:ffff::/48 via 2d00:1ab:fffe::1",
			"route add 11.0.0.0/8 via 11.1.2.2", "route add 2d00:1ab::/32 via 2d00:1ab:fffd::2",
			"rule add from 11.99.0.0/16 to 11.1.0.0/16 lookup 99", "route add default dev slow0 table 99"),
		w.core.Batch6("rule add from 2d00:1ab:9900::/48 to 2d00:1ab:ffff::/48 lookup 99", "route add default dev slow0 table 99"),
		w.Servers.Batch("addr add 11.1.2.2/24 dev core0", "addr add 2d00:1ab:fffd::2/64 dev core0",
			"route add default via 11.1.2.1", "route add default via 2d00:1ab:fffd::1"),
		w.Servers.Batch(w.serverAddresses()...),
		w.clients[""].Batch("addr add "+ClientV4+"/24 dev up0", "addr add "+ClientV6+"/64 dev up0",
			"route add default via 11.1.0.1", "route add default via 2d00:1ab:ffff::1"),
		w.edge.Batch("addr add 11.1.0.1/24 dev client", "addr add 2d00:1ab:ffff::1/64 dev client"),
	}
	for c, own := range map[string]string{"blocked25": BlockedV4, "noptr": NoPTRV4} {
		gateway := own[:strings.LastIndex(own, ".")] + ".1"
		errs = append(errs, w.edge.Batch("addr add "+gateway+"/24 dev client"+c),
			w.clients[c].Batch("addr add "+own+"/24 dev up0", "route add default via "+gateway))
	}
	return errors.Join(errs...)
}

// serverAddresses puts every address of the lab on the servers' loopback.
func (w *World) serverAddresses() []string {
	addrs := []string{ResolverV4, ResolverV6, SlowResolverV4, policyV4, policyV6, blocklistV4}
	for name, list := range servers {
		if name != "dead.dns.example" {
			addrs = append(addrs, list...)
		}
	}
	for _, h := range w.Hosts {
		if h.Filter != "gone" {
			addrs = append(addrs, h.addresses()...)
		}
	}
	seen := map[string]bool{}
	var lines []string
	for _, a := range addrs {
		ip := netip.MustParseAddr(a)
		if seen[a] || ip.IsLoopback() || ip.IsPrivate() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() {
			continue // a case may publish such an address; nobody lives there
		}
		seen[a] = true
		if ip.Is4() {
			lines = append(lines, "addr add "+a+"/32 dev lo")
		} else {
			lines = append(lines, "addr add "+a+"/128 dev lo nodad")
		}
	}
	return lines
}

// filter loads the firewall of the edge: what happens to port 25 of some hosts, and the loss.
func (w *World) filter() error {
	var b strings.Builder
	fmt.Fprintf(&b, `table inet lab {
	chain forward {
		type filter hook forward priority 0;
		ip saddr %s tcp dport 25 drop
		ip daddr { %s, %s } drop
		ip daddr %s tcp dport 53 drop
		ip daddr 11.98.0.0/16 numgen random mod 100 < 20 drop
`, BlockedV4, deadV4, deadListV4, notcpV4)
	for _, h := range w.Hosts {
		for _, addr := range h.addresses() {
			family, prohibited := "ip", "icmp type admin-prohibited"
			if netip.MustParseAddr(addr).Is6() {
				family, prohibited = "ip6", "icmpv6 type admin-prohibited"
			}
			switch h.Filter {
			case "", "gone":
			case "drop":
				fmt.Fprintf(&b, "\t\t%s daddr %s tcp dport 25 drop\n", family, addr)
			case "prohibit":
				fmt.Fprintf(&b, "\t\t%s daddr %s tcp dport 25 reject with %s\n", family, addr, prohibited)
			case "reset":
				fmt.Fprintf(&b, "\t\t%s daddr %s tcp dport 25 reject with tcp reset\n", family, addr)
			default:
				return fmt.Errorf("host %s: no filter %q", h.Name, h.Filter)
			}
		}
	}
	b.WriteString("\t}\n}\n")
	return w.edge.Filter(b.String())
}

// ask sends one DNS question from the client's namespace and is content with any answer that is not a failure.
func (w *World) ask(ctx context.Context, server, name string) error {
	m, err := w.Query(ctx, server, name, dns.TypeA)
	if err == nil && m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return fmt.Errorf("%s", dns.RcodeToString[m.Rcode])
	}
	return err
}

// Query asks a server of the lab from the client's namespace.
func (w *World) Query(ctx context.Context, server, name string, kind uint16) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetQuestion(name, kind)
	m.SetEdns0(1232, true)
	conn, err := w.clients[""].DialContext(ctx, "udp", joinPort(server, 53))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	c := dns.Client{}
	r, _, err := c.ExchangeWithConnContext(ctx, m, &dns.Conn{Conn: conn})
	return r, err
}

func readAll(files ...string) ([]string, error) {
	out := make([]string, len(files))
	for i, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		out[i] = string(raw)
	}
	return out, nil
}

func sub(f fs.FS, dir string) fs.FS {
	d, err := fs.Sub(f, dir)
	if err != nil {
		panic(err) // the folder is embedded in this package
	}
	return d
}
