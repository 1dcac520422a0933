package lab

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/miekg/dns"

	"github.com/mailwhy/mailwhy/lab/pki"
)

// zone is one zone as the servers hold it.
type zone struct {
	Zone
	texts map[string]string // by server name; "" for all that have none of their own
	subs  []string          // records other zones need here: delegations, glue, host addresses
}

// servers are the name servers a zone may be put on, by the name a case uses.
var servers = map[string][]string{
	"root": {rootV4, rootV6}, "tld": {tldV4, tldV6},
	"ns1.dns.example": {ns1V4, ns1V6}, "ns2.dns.example": {ns2V4, ns2V6},
	"open.dns.example": {openV4}, "dead.dns.example": {deadV4}, "notcp.dns.example": {notcpV4},
	"lame.dns.example": {lameV4}, "slow.dns.example": {slowNSV4},
}

// atlas is all zones of the lab by name; "" is the root.
type atlas map[string]*zone

// draw makes the zones: those of the cases, and around them the root, the top-level domains, the reverse zones and the
// lab's own hosts.
func draw(cases []*Case, hosts []*Host, pairs map[string]*pki.Pair) (atlas, error) {
	a := atlas{}
	a.infrastructure()
	for _, c := range cases {
		if err := a.addCase(c, hosts, pairs); err != nil {
			return nil, fmt.Errorf("case %s: %w", c.Name, err)
		}
	}
	a.topLevel()
	for _, h := range hosts {
		if err := a.addHost(h); err != nil {
			return nil, fmt.Errorf("host %s: %w", h.Name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if name != "" {
			a.delegate(a[name])
		}
	}
	return a, nil
}

// infrastructure adds the zones every world has.
func (a atlas) infrastructure() {
	both := []string{"ns1.dns.example", "ns2.dns.example"}
	a[""] = &zone{Zone: Zone{DNSSEC: "signed", Served: []string{"root"}}, texts: map[string]string{"": "@ NS a.root.example.\n"}}
	var ns strings.Builder
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		for _, addr := range servers[name] {
			if strings.HasSuffix(name, ".dns.example") {
				ns.WriteString(addressRecord(name, addr))
			}
		}
	}
	a["dns.example"] = &zone{Zone: Zone{Name: "dns.example", NS: both, Served: append(slices.Clone(both), "slow.dns.example", "notcp.dns.example")}, texts: map[string]string{"": ns.String()}}
	records, err := soundRecords("hosting.example", []string{"mx", "dkim", "dmarc"})
	if err != nil {
		panic(err) // the topics are keys of sound
	}
	own := records + "@ TXT \"v=spf1 ip4:11.1.0.0/16 ip6:2d00:1ab:ffff::/48 -all\"\n" + addressRecord(clientName, ClientV4) + addressRecord(clientName, ClientV6) + addressRecord("blocked25.hosting.example", BlockedV4)
	own += addressRecord("policy.hosting.example", policyV4) + addressRecord("policy.hosting.example", policyV6)
	a["hosting.example"] = &zone{Zone: Zone{Name: "hosting.example", NS: both, Served: both}, texts: map[string]string{"": own}}
	a["flow.example"] = &zone{Zone: Zone{Name: "flow.example", NS: both, Served: both}, texts: map[string]string{"": flowZone}}
	a["lists.example"] = &zone{Zone: Zone{Name: "lists.example", NS: both, Served: both}, texts: map[string]string{"": delegatedLists()}}
	for _, name := range []string{v4Reverse, v6Reverse} {
		a[name] = &zone{Zone: Zone{Name: name, NS: both, Served: both}, texts: map[string]string{"": ""}}
	}
	for addr, name := range map[string]string{ClientV4: clientName, ClientV6: clientName, BlockedV4: "blocked25.hosting.example",
		flowPostfix: "out.a.flow.example", flowExim: "mx.b.flow.example"} {
		a.point(addr, name)
	}
}

// delegatedLists hands the blocklists to rbldnsd, and one to a server that is no more.
func delegatedLists() string {
	var b strings.Builder
	b.WriteString(addressRecord("bl.lists.example", blocklistV4) + addressRecord("gone.lists.example", deadListV4))
	for _, name := range slices.Sorted(maps.Keys(blocklists)) {
		fmt.Fprintf(&b, "%s. NS bl.lists.example.\n", name)
	}
	b.WriteString("dead.lists.example. NS gone.lists.example.\n")
	return b.String()
}

// addCase adds the zones of a case, with the places in their texts filled in.
func (a atlas) addCase(c *Case, hosts []*Host, pairs map[string]*pki.Pair) error {
	for _, key := range slices.Sorted(maps.Keys(c.Zones)) {
		name, server, _ := strings.Cut(key, "@")
		text, err := fill(name, c.Zones[key], hosts, pairs)
		if err != nil {
			return fmt.Errorf("zone/%s: %w", key, err)
		}
		z := a[name]
		if z == nil {
			opt := c.option(name)
			if opt.Parent, err = fill(name, opt.Parent, hosts, pairs); err != nil {
				return fmt.Errorf("parent of %s: %w", name, err)
			}
			z = &zone{Zone: opt, texts: map[string]string{}}
			a[name] = z
		}
		if _, ok := z.texts[fullServer(server)]; ok {
			return fmt.Errorf("zone %s is already in another case", key)
		}
		z.texts[fullServer(server)] = text
	}
	return nil
}

func fullServer(short string) string {
	if short == "" {
		return ""
	}
	return short + ".dns.example"
}

// sound are the records of a topic as they should be, for {{sound "mx" "spf"}} in a zone's text; docs/lab.md lists them.
var sound = map[string]string{
	"mx":     "@ MX 10 mx1.hosting.example.\n@ MX 20 mx2.hosting.example.\n",
	"spf":    "@ TXT \"v=spf1 mx -all\"\n",
	"dkim":   "default._domainkey TXT \"v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA51xyB2Cvofk+Ma/8BtpAEmZGv3ZYzPdvgCzm9s70nvv8qXr2tlpxoIWtji7kXkSECl1bpqwTAm8JesmLP43fhoXwgiQMlWMh+600mKjEqvS16cQqlanf83Wg62llK/MtScafuyMjqFZ4DA9WBZJW54UchjvH\" \"AHWpIGmBPmA5ysDYIugH4KMKKHBWug/nCJ+RLLlkhxbf2IBEDUWMbov5f08nUqIr83yGUVW/wQcqo2Ahhu/H+tJlxGFpN+ZXWVMtJdkFkrsHhw2yJggdcop4zMVt5vlXMf15PsYkitg4xMseEIPUO1c47zv/6YubC7CmVHJbXiVDqF5j4g0jCe+4OwIDAQAB\"\n",
	"dmarc":  "_dmarc TXT \"v=DMARC1; p=reject; rua=mailto:dmarc@DOMAIN\"\n",
	"sts":    "_mta-sts TXT \"v=STSv1; id=20260101\"\nmta-sts A " + policyV4 + "\nmta-sts AAAA " + policyV6 + "\n",
	"tlsrpt": "_smtp._tls TXT \"v=TLSRPTv1; rua=mailto:tlsrpt@DOMAIN\"\n",
	"caa":    "@ CAA 0 issue \"ca.example\"\n",
}

// soundRecords joins the records of the topics for a domain.
func soundRecords(domain string, topics []string) (string, error) {
	var b strings.Builder
	for _, topic := range topics {
		text, ok := sound[topic]
		if !ok {
			return "", fmt.Errorf("sound %q: only %q", topic, slices.Sorted(maps.Keys(sound)))
		}
		b.WriteString(strings.ReplaceAll(text, "DOMAIN", domain))
	}
	return b.String(), nil
}

// fill replaces {{v4 "host"}}, {{v6 "host"}}, {{tlsa "host" 3 1 1}}, {{sound "mx" "spf"}} and a few more in a zone's text.
func fill(domain, text string, hosts []*Host, pairs map[string]*pki.Pair) (string, error) {
	find := func(name string) (*Host, error) {
		i := slices.IndexFunc(hosts, func(h *Host) bool { return h.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no host %q", name)
		}
		return hosts[i], nil
	}
	t, err := template.New("zone").Funcs(template.FuncMap{
		"v4": func(name string) (string, error) {
			h, err := find(name)
			if err != nil || len(h.V4) == 0 {
				return "", fmt.Errorf("no IPv4 address of %q", name)
			}
			return h.V4[0], nil
		},
		"v6": func(name string) (string, error) {
			h, err := find(name)
			if err != nil || len(h.V6) == 0 {
				return "", fmt.Errorf("no IPv6 address of %q", name)
			}
			return h.V6[0], nil
		},
		"tlsa": func(name string, usage, selector, matching int) (string, error) {
			if pairs[name] == nil {
				return "", fmt.Errorf("no certificate of %q", name)
			}
			return pairs[name].TLSA(usage, selector, matching), nil
		},
		"sound":    func(topics ...string) (string, error) { return soundRecords(domain, topics) },
		"policyV4": func() string { return policyV4 },
		"policyV6": func() string { return policyV6 },
		"client":   func() string { return ClientV4 },
		"repeat":   strings.Repeat,
	}).Parse(text)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = t.Execute(&out, nil)
	return out.String(), err
}

// topLevel adds the top-level domains that the zones need.
func (a atlas) topLevel() {
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if i := strings.LastIndex(name, "."); i >= 0 {
			tld := name[i+1:]
			if a[tld] == nil {
				a[tld] = &zone{Zone: Zone{Name: tld, DNSSEC: "signed", NS: []string{"a.nic." + tld}, Served: []string{"tld"}},
					texts: map[string]string{"": "@ NS a.nic\na.nic A " + tldV4 + "\na.nic AAAA " + tldV6 + "\n"}}
			}
		}
	}
	a[""].subs = append(a[""].subs, "a.root.example. A "+rootV4+"\na.root.example. AAAA "+rootV6+"\n")
	a["example"].subs = append(a["example"].subs, "a.root A "+rootV4+"\na.root AAAA "+rootV6+"\n")
}

// addHost publishes a host's addresses and their names.
func (a atlas) addHost(h *Host) error {
	z := a.enclosing(h.Name)
	if z == nil || z.Name == "" {
		return fmt.Errorf("no zone holds the name")
	}
	for _, addr := range h.addresses() {
		if !h.Hidden {
			z.subs = append(z.subs, addressRecord(h.Name, addr))
		}
		if p := h.pointer(); p != "" {
			a.point(addr, p)
		}
	}
	return nil
}

// point adds a PTR record.
func (a atlas) point(addr, name string) {
	rev, err := dns.ReverseAddr(addr)
	if err != nil {
		return // addresses are parsed before
	}
	if z := a[v4Reverse]; strings.HasSuffix(rev, v4Reverse+".") {
		z.subs = append(z.subs, rev+" PTR "+name+".\n")
	} else if z := a[v6Reverse]; strings.HasSuffix(rev, v6Reverse+".") {
		z.subs = append(z.subs, rev+" PTR "+name+".\n")
	}
}

func addressRecord(name, addr string) string {
	kind := "A"
	if netip.MustParseAddr(addr).Is6() {
		kind = "AAAA"
	}
	return fmt.Sprintf("%s. %s %s\n", name, kind, addr)
}

// enclosing is the deepest zone that holds a name.
func (a atlas) enclosing(name string) *zone {
	for {
		if z := a[name]; z != nil {
			return z
		}
		_, rest, ok := strings.Cut(name, ".")
		if !ok {
			return a[""]
		}
		name = rest
	}
}

// delegate writes the parent's side of a zone: name servers, and glue for those below the zone.
func (a atlas) delegate(z *zone) {
	_, rest, _ := strings.Cut(z.Name, ".")
	parent := a.enclosing(rest)
	if z.Parent != "" {
		parent.subs = append(parent.subs, z.Parent+"\n")
		return
	}
	for _, ns := range z.NS {
		parent.subs = append(parent.subs, fmt.Sprintf("%s. NS %s.\n", z.Name, ns))
		if !dns.IsSubDomain(z.Name, ns) {
			continue
		}
		addrs := servers[ns]
		if strings.HasPrefix(ns, "a.nic.") {
			addrs = servers["tld"]
		}
		for _, addr := range addrs {
			parent.subs = append(parent.subs, addressRecord(ns, addr))
		}
	}
}

var (
	hasSOA = regexp.MustCompile(`(?m)^@\s.*\bSOA\b`)
	hasNS  = regexp.MustCompile(`(?m)^@\s.*\bNS\b`)
)

// text is the zone file for a server. SOA and NS are added where the case has none of its own.
func (z *zone) text(server string) string {
	body, ok := z.texts[server]
	if !ok {
		body = z.texts[""]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "$ORIGIN %s.\n$TTL 3600\n", z.Name)
	if !hasSOA.MatchString(body) {
		fmt.Fprintf(&b, "@ SOA ns1.dns.example. hostmaster.dns.example. 2026010101 7200 3600 1209600 3600\n")
	}
	if !hasNS.MatchString(body) {
		for _, ns := range z.NS {
			fmt.Fprintf(&b, "@ NS %s.\n", ns)
		}
	}
	b.WriteString(strings.TrimRight(body, "\n") + "\n")
	b.WriteString(strings.Join(z.subs, ""))
	return b.String()
}
