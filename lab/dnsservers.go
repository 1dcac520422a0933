package lab

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/lab/netns"
)

// startBIND starts one named with a view per name server: each of the lab's name servers is an address that holds its
// own zones.
func startBIND(s netns.Space, dir string, a atlas) (*Process, error) {
	conf := filepath.Join(dir, "named.conf")
	if err := os.WriteFile(conf, []byte(bindConfig(dir, a)), 0o644); err != nil {
		return nil, err
	}
	return start(s, dir, "named", "named", "-g", "-n", "2", "-c", conf)
}

func bindConfig(dir string, a atlas) string {
	var v4, v6 []string
	var views strings.Builder
	for _, server := range slices.Sorted(maps.Keys(servers)) {
		if server == "dead.dns.example" {
			continue
		}
		for _, addr := range servers[server] {
			if netip.MustParseAddr(addr).Is4() {
				v4 = append(v4, addr)
			} else {
				v6 = append(v6, addr)
			}
		}
		views.WriteString(bindView(dir, server, a))
	}
	return fmt.Sprintf(`options {
	directory %q; pid-file none; session-keyfile none; lock-file none;
	listen-on { %s; }; listen-on-v6 { %s; };
	recursion no; dnssec-validation no; empty-zones-enable no; allow-transfer { none; }; notify no; version none;
	minimal-responses no; tcp-clients 500;
	check-names primary ignore; check-mx ignore; check-mx-cname ignore; check-srv-cname ignore;
	check-integrity no; check-sibling no; check-spf ignore; check-dup-records ignore; check-wildcard no;
};
controls { };
%s`, dir, strings.Join(v4, "; "), strings.Join(v6, "; "), views.String())
}

func bindView(dir, server string, a atlas) string {
	var b strings.Builder
	fmt.Fprintf(&b, "view %q {\n\tmatch-destinations { %s; };\n", server, strings.Join(servers[server], "; "))
	if server == "open.dns.example" {
		hints := filepath.Join(dir, "root.hints")
		fmt.Fprintf(&b, "\trecursion yes; allow-recursion { any; }; allow-query-cache { any; };\n\tzone \".\" { type hint; file %q; };\n", hints)
	}
	for _, name := range slices.Sorted(maps.Keys(a)) {
		z := a[name]
		if !slices.Contains(z.Served, server) {
			continue
		}
		transfer := "none"
		if z.Open {
			transfer = "any"
		}
		fmt.Fprintf(&b, "\tzone \"%s.\" { type primary; file %q; allow-transfer { %s; }; };\n", name, filepath.Join(dir, server, z.file()), transfer)
	}
	return b.String() + "};\n"
}

// startUnbound starts the validating resolver of the lab.
func startUnbound(s netns.Space, dir, anchor string) (*Process, error) {
	conf := filepath.Join(dir, "unbound.conf")
	text := fmt.Sprintf(`server:
	interface: %s
	interface: %s
	interface: %s
	access-control: 0.0.0.0/0 allow
	access-control: ::/0 allow
	username: ""
	chroot: ""
	directory: %q
	pidfile: ""
	use-syslog: no
	log-time-ascii: yes
	num-threads: 1
	outgoing-range: 512
	so-reuseport: no
	do-daemonize: no
	do-not-query-localhost: no
	module-config: "validator iterator"
	root-hints: %q
	trust-anchor-file: %q
	val-log-level: 1
	infra-host-ttl: 5
	infra-keep-probing: yes
	ede: yes
remote-control:
	control-enable: no
`, ResolverV4, ResolverV6, SlowResolverV4, dir, filepath.Join(dir, "root.hints"), anchor)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, err
	}
	return start(s, dir, "unbound", "unbound", "-d", "-p", "-c", conf)
}

func rootHints() string {
	return fmt.Sprintf(". 3600000 NS a.root.example.\na.root.example. 3600000 A %s\na.root.example. 3600000 AAAA %s\n", rootV4, rootV6)
}

// blocklists are the rbldnsd zones by name below lists.example.
var blocklists = map[string]struct{ kind, data string }{
	// Alive, and lists one network.
	"good.lists.example": {"ip4set", ":127.0.0.2:Listed, see https://lists.example/$\n127.0.0.2\n11.0.66.0/24\n" + NoPTRV4 + "\n"},
	// Alive by its test points, and lists nobody.
	"clean.lists.example": {"ip4set", ":127.0.0.2:test\n127.0.0.2\n"},
	// Answers everybody with an error code: a public resolver, or a blocked one.
	"error.lists.example": {"ip4trie", ":127.255.255.254:query via public resolver\n0.0.0.0/0\n"},
	// A domain that ended and answers everything.
	"wild.lists.example": {"ip4trie", ":127.0.0.2:everything\n0.0.0.0/0\n"},
	// A parking page's address for every name.
	"parked.lists.example": {"ip4trie", ":11.0.7.80:for sale\n0.0.0.0/0\n"},
	// Domains.
	"domains.lists.example": {"dnset", ":127.0.1.2:bad domain\ntest\nlisted-domain.example\n.spammy.example\n"},
}

// startBlocklists starts rbldnsd.
func startBlocklists(s netns.Space, dir string) (*Process, error) {
	args := []string{"rbldnsd", "-n", "-b", blocklistV4, "-r", dir, "-w", "/", "-u", "rbldns"}
	for _, name := range slices.Sorted(maps.Keys(blocklists)) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("$TTL 60\n"+blocklists[name].data), 0o644); err != nil {
			return nil, err
		}
		args = append(args, name+":"+blocklists[name].kind+":"+name)
	}
	return start(s, dir, "rbldnsd", args...)
}
