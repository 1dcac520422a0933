package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/lab/netns"
	"github.com/mailwhy/mailwhy/lab/relay"
)

// Row is a row of namespaces for paths: here – r1 – r2 – r3 – r4 – r5 – host. What happens to packets depends on where
// they go: the host has an address for each fault.
type Row struct {
	Here      netns.Space
	routers   []netns.Space
	host      netns.Space
	relay     *relay.Relay
	resolver  *Process
	listeners []net.Listener
	gone      chan struct{} // closed by Stop
}

// Routers is how many stand between us and the host.
const Routers = 5

// slowLink is the link of the odd row that is slow: the one between r3 and r4.
const slowLink = 3

// StepDelay is what it costs each way.
const StepDelay = 60 * time.Millisecond

// Link names the networks of the row by their first three numbers: link i lies before router i+1, the last before the
// host. IPv6 has one network per link.
type Link [Routers + 1]string

// PlainRow has public addresses throughout; OddRow begins with a private network behind address translation, goes
// through carrier-grade NAT, and has private addresses and a slow link in the middle.
var (
	PlainRow = Link{"11.2.1", "11.2.2", "11.2.3", "11.2.4", "11.2.5", "11.2.6"}
	OddRow   = Link{"10.9.1", "100.64.2", "11.3.3", "10.7.4", "11.3.5", "11.3.6"}
)

// rowFaults are the addresses of the host (the last number) and what happens on the way there.
var rowFaults = map[string]int{
	"fine": 25, "drop": 31, "prohibit": 32, "reset": 33, "intercept": 34, "closed": 35, "host-drop": 36,
	"silent": 41, "no-route": 42, "loop": 43, "loss": 44, "lossy": 45, "detour": 46, "cut": 47, "hole": 51, "tunnel": 52, "no-ping": 53,
}

// Address gives the address of the host for a fault.
func (l Link) Address(fault string) string { return fmt.Sprintf("%s.%d", l[Routers], rowFaults[fault]) }

// Address6 is the IPv6 address of the flawless way.
func (l Link) Address6() string { return l.v6(Routers) + "25" }

func (l Link) v6(i int) string {
	odd := 0
	if l != PlainRow {
		odd = 1
	}
	return fmt.Sprintf("2d00:1ab:b%d0%d::", odd, i)
}

// StartRow builds a row. On an error everything is taken away again.
func StartRow(name, dir string, l Link) (*Row, error) {
	r := &Row{gone: make(chan struct{})}
	if err := r.build(name, dir, l); err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	return r, nil
}

func (r *Row) build(name, dir string, l Link) error {
	var err error
	if r.Here, err = netns.New(name + "-here"); err != nil {
		return err
	}
	for i := range Routers {
		s, err := netns.New(fmt.Sprintf("%s-r%d", name, i+1))
		if err != nil {
			return err
		}
		r.routers = append(r.routers, s)
	}
	if r.host, err = netns.New(name + "-host"); err != nil {
		return err
	}
	for i, s := range r.all() {
		limit := []string{"net/ipv4/icmp_ratemask=0", "net/ipv4/icmp_ratelimit=0", "net/ipv6/icmp/ratelimit=0"} // the mask also lifts the limit for all together
		if l == OddRow && i == 2 {
			limit = []string{"net/ipv4/icmp_ratelimit=5000"} // r2 answers six times and then once in five seconds
		}
		if err := s.Sysctl(append(limit, "net/ipv4/ip_forward=1", "net/ipv6/conf/all/forwarding=1",
			"net/ipv4/conf/all/rp_filter=0", "net/ipv4/conf/default/rp_filter=0", "net/ipv6/conf/all/accept_dad=0", "net/ipv6/conf/default/accept_dad=0")...); err != nil {
			return err
		}
	}
	for _, step := range []func(Link) error{r.lay, r.route, r.filters, r.listen} {
		if err := step(l); err != nil {
			return err
		}
	}
	return r.startNames(name, dir, l)
}

func (r *Row) all() []netns.Space {
	return append(append([]netns.Space{r.Here}, r.routers...), r.host)
}

// lay makes the links and gives each end its address.
func (r *Row) lay(l Link) error {
	all := r.all()
	var errs []error
	for i := range l {
		left, right := "right0", "left0" // the device at either end
		if l == OddRow && i == slowLink {
			left, right = "slow0", "slow0"
			var err error
			if r.relay, err = relay.Start(left, all[i], all[i+1], StepDelay); err != nil {
				return err
			}
			errs = append(errs, all[i].Batch("link set slow0 up"), all[i+1].Batch("link set slow0 up"))
		} else {
			errs = append(errs, all[i].Link(left, all[i+1], right))
		}
		errs = append(errs, all[i].Batch("addr add "+l[i]+".1/24 dev "+left, "addr add "+l.v6(i)+"1/64 dev "+left+" nodad"),
			all[i+1].Batch("addr add "+l[i]+".2/24 dev "+right, "addr add "+l.v6(i)+"2/64 dev "+right+" nodad"))
	}
	for _, n := range rowFaults {
		errs = append(errs, r.host.Batch(fmt.Sprintf("addr add %s.%d/32 dev lo", l[Routers], n)))
	}
	errs = append(errs, r.host.Batch("addr add "+l.Address6()+"/128 dev lo nodad"))
	return errors.Join(errs...)
}

// route sends everything for the host to the right and everything else to the left, but for the faults.
func (r *Row) route(l Link) error {
	all := r.all()
	last := l[Routers]
	var errs []error
	for i := range all {
		if i > 0 {
			errs = append(errs, all[i].Batch("route add default via "+l[i-1]+".1", "route add default via "+l.v6(i-1)+"1"))
		}
		if i == 0 {
			errs = append(errs, all[i].Batch("route add default via "+l[0]+".2", "route add default via "+l.v6(0)+"2"))
			continue
		}
		if i == len(all)-1 {
			continue
		}
		via, via6 := " via "+l[i]+".2", " via "+l.v6(i)+"2"
		for k := i + 1; k <= Routers; k++ {
			if k < Routers {
				errs = append(errs, all[i].Batch("route add "+l[k]+".0/24"+via, "route add "+l.v6(k)+"/64"+via6))
				continue
			}
			errs = append(errs, all[i].Batch("route add "+last+".0/24"+via, "route add "+l.v6(k)+"/64"+via6))
		}
	}
	// The host's addresses are on its loopback: the last router must send them there one by one.
	for _, n := range rowFaults {
		errs = append(errs, r.routers[Routers-1].Batch(fmt.Sprintf("route add %s.%d via %s.2", last, n, last)))
	}
	errs = append(errs, r.routers[Routers-1].Batch("route add "+l.Address6()+" via "+l.v6(Routers)+"2"))
	return errors.Join(append(errs, r.routeFaults(l))...)
}

func (r *Row) routeFaults(l Link) error {
	r3, r4 := r.routers[2], r.routers[3]
	return errors.Join(
		r3.Batch("route add blackhole "+l.Address("silent"), "route add unreachable "+l.Address("no-route"), "route add "+l.Address("loop")+" via "+l[2]+".1"),
		// r4 knows a smaller size for two of them, and for one its word is filtered.
		r4.Batch("route add "+l.Address("hole")+" via "+l[4]+".2 mtu lock 1400", "route add "+l.Address("tunnel")+" via "+l[4]+".2 mtu lock 1400"))
}

// filters are what stands in the way of single addresses.
func (r *Row) filters(l Link) error {
	to := func(fault string) string { return "ip daddr " + l.Address(fault) }
	table := func(chains ...string) string { return "table inet row {\n" + strings.Join(chains, "\n") + "\n}\n" }
	forward := func(rules ...string) string {
		return "chain forward { type filter hook forward priority 0;\n" + strings.Join(rules, "\n") + "\n}"
	}
	output := func(rules ...string) string {
		return "chain output { type filter hook output priority 0;\n" + strings.Join(rules, "\n") + "\n}"
	}
	input := func(rules ...string) string {
		return "chain input { type filter hook input priority 0;\n" + strings.Join(rules, "\n") + "\n}"
	}
	r1 := []string{forward("ip saddr " + l.Address("detour") + " icmp type echo-reply ip ttl set 40")}
	if l == OddRow {
		r1 = append(r1, "chain nat { type nat hook postrouting priority 100; oifname right0 ip saddr "+l[0]+".0/24 masquerade; }")
	}
	errs := []error{
		r.routers[0].Filter(table(r1...)),
		r.routers[1].Filter(table(forward(to("loss")+" numgen random mod 100 < 50 drop", to("lossy")+" numgen random mod 100 < 15 drop"),
			"chain nat { type nat hook prerouting priority -100; "+to("intercept")+" tcp dport 25 redirect to :25; }")),
		r.routers[3].Filter(table(
			forward(to("drop")+" tcp dport 25 drop", to("prohibit")+" tcp dport 25 reject with icmp type admin-prohibited", to("reset")+" tcp dport 25 reject with tcp reset",
				to("cut")+" tcp flags & psh == psh reject with tcp reset"), // the first data, in the name of the host
			output("icmp type destination-unreachable icmp code 4 @th,192,32 "+hex(l.Address("hole"))+" drop"))),
		r.host.Filter(table(input(to("host-drop")+" tcp dport 25 drop", to("no-ping")+" icmp type echo-request drop", to("no-ping")+" udp dport 33000-34000 drop"))),
	}
	return errors.Join(errs...)
}

// hex writes an IPv4 address as nft compares it.
func hex(addr string) string {
	ip := net.ParseIP(addr).To4()
	return fmt.Sprintf("0x%02x%02x%02x%02x", ip[0], ip[1], ip[2], ip[3])
}

// listen takes connections at port 25 of all addresses but one, and at r2, which intercepts; at port 2525 of all
// addresses a mail server listens.
func (r *Row) listen(l Link) error {
	hangUp := func(net.Conn) {}
	errs := []error{r.take(r.host, joinPort(l.Address6(), 25), hangUp), r.take(r.routers[1], "0.0.0.0:25", hangUp), r.take(r.host, "0.0.0.0:2525", r.swallow)}
	for fault, n := range rowFaults {
		if fault != "closed" {
			errs = append(errs, r.take(r.host, fmt.Sprintf("%s.%d:25", l[Routers], n), hangUp))
		}
	}
	return errors.Join(errs...)
}

// take gives each connection to f and then hangs up.
func (r *Row) take(s netns.Space, addr string, f func(net.Conn)) error {
	ln, err := s.Listen(addr)
	if err != nil {
		return err
	}
	r.listeners = append(r.listeners, ln)
	go func() { // ends when the listener is closed
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { f(c); _ = c.Close() }()
		}
	}()
	return nil
}

// swallow is a mail server that takes everything. Its faults are chosen by the client's name: "hang" never answers RCPT,
// "mute" never answers the message, "noread" stops reading at DATA.
func (r *Row) swallow(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetReadBuffer(8 << 10)
	}
	say(c, "220 row ESMTP\r\n")
	in, mode, message := bufio.NewReader(c), "", false
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		verb, arg, _ := strings.Cut(line, " ")
		switch {
		case message && line == "." && mode == "mute", verb == "RCPT" && mode == "hang", verb == "DATA" && mode == "noread":
			if verb == "DATA" {
				say(c, "354 go on\r\n")
			}
			<-r.gone
			return
		case message && line != ".":
		case verb == "EHLO":
			mode = arg
			say(c, "250 row\r\n")
		case verb == "DATA":
			message = true
			say(c, "354 go on\r\n")
		case verb == "QUIT":
			say(c, "221 bye\r\n")
			return
		default:
			message = false
			say(c, "250 ok\r\n")
		}
	}
}

// startNames starts a dnsmasq that knows the routers' names and their networks.
func (r *Row) startNames(name, dir string, l Link) error {
	args := []string{"dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--no-poll", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--group=root",
		"--listen-address=127.0.0.1", "--bind-interfaces", "--local=/#/", "--host-record=mx.row.example," + l.Address("fine") + "," + l.Address6(),
		"--mx-host=row.example,mx.row.example,10", "--host-record=row.example," + l.Address("tunnel"),
		"--txt-record=8.8.8.8.origin.asn.cymru.com,15169 | 8.8.8.0/24 | US | arin | 2023-12-28", "--txt-record=AS64500.asn.cymru.com,64500 | DE | ripencc | 2001-01-01 | ROW-AS"}
	for i, n := range l {
		b := strings.Split(n, ".")
		args = append(args, fmt.Sprintf("--ptr-record=2.%s.%s.%s.in-addr.arpa,r%d.row.example", b[2], b[1], b[0], i+1),
			fmt.Sprintf("--txt-record=2.%s.%s.%s.origin.asn.cymru.com,64500 | %s.0/24 | DE | ripencc | 2001-01-01", b[2], b[1], b[0], n))
	}
	var err error
	if r.resolver, err = start(r.Here, dir, name+"-dnsmasq", args...); err != nil {
		return err
	}
	return r.resolver.ready(r.Here, "tcp", "127.0.0.1:53")
}

// Tool runs the tool at the near end of the row.
func (r *Row) Tool(ctx context.Context, command ...string) ([]byte, int, error) {
	cmd := r.Here.Command(ctx, command[0], append(command[1:], "--resolver", "127.0.0.1", "--timeout", "5s")...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=" + filepath.Dir(command[0])}
	out, err := netns.Output(cmd)
	if cmd.ProcessState == nil {
		return out, -1, err
	}
	return out, cmd.ProcessState.ExitCode(), nil
}

// Stop takes the row away.
func (r *Row) Stop() error {
	var errs []error
	close(r.gone)
	for _, l := range r.listeners {
		errs = append(errs, l.Close())
	}
	if r.resolver != nil {
		r.resolver.Stop()
	}
	if r.relay != nil {
		errs = append(errs, r.relay.Close())
	}
	for _, s := range r.all() {
		if s.Name != "" {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}
