package tls

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire"
	wiretls "github.com/mailwhy/mailwhy/internal/wire/tls"
)

// Survey is what `mailwhy tls HOST:PORT` finds out; it is the report's Facts.
type Survey struct {
	Host        string               `json:"host"`
	Port        uint16               `json:"port"`
	Start       string               `json:"starttls,omitempty"` // the protocol whose STARTTLS goes first
	Inventories []*wiretls.Inventory `json:"inventories"`        // one per address
	Extras      []*wiretls.Extras    `json:"extras,omitempty"`   // the same
}

// StartOf tells how TLS starts on a well-known port: the protocol of STARTTLS, or "" for TLS at once.
func StartOf(port uint16) string {
	switch port {
	case 25, 587, 2525:
		return "smtp"
	case 143:
		return "imap"
	case 110:
		return "pop3"
	case 4190:
		return "sieve"
	}
	return ""
}

// alpnOf is the name that a protocol has in ALPN (RFC 7301, RFC 7817 and the IANA registry), "" for none.
func alpnOf(port uint16, start string) string {
	switch {
	case start == "imap" || port == 993:
		return "imap"
	case start == "pop3" || port == 995:
		return "pop3"
	case start == "sieve":
		return "managesieve"
	}
	return ""
}

// Report takes the inventory of a port on each address of a host and judges it. host may be an address; start is the
// protocol of STARTTLS, "" for none.
func Report(ctx context.Context, env *check.Env, host string, port uint16, start string) (*finding.Report, error) {
	began := env.Now()
	where := net.JoinHostPort(host, strconv.Itoa(int(port)))
	subject := finding.Subject{Kind: finding.KindService, Name: where}
	th, err := env.Know.Thresholds()
	if err != nil {
		return nil, err
	}
	s := &Survey{Host: host, Port: port, Start: start}
	addrs, err := check.Addresses(ctx, env, host)
	if len(addrs) == 0 {
		why := finding.S("{{.Host}} has no address in the DNS", finding.Args{"Host": host})
		if err != nil {
			why = check.Why(err)
		}
		f := ruleHandshake.Untested(subject, why)
		return check.NewReport(env, "tls", subject, began, []finding.Finding{f}, nil, s), nil
	}
	door := Door(env)
	door.Gate = nil // the inventory has bounds of its own
	name := host
	if _, err := netip.ParseAddr(host); err == nil {
		name = ""
	}
	var fs []finding.Finding
	for _, a := range addrs {
		target := wiretls.Target{Host: name, Addr: a, Port: port, Start: start}
		var extras *wiretls.Extras
		var wg sync.WaitGroup
		wg.Go(func() { extras, _ = wiretls.Extra(ctx, door, target, alpnOf(port, start)) }) // a recording may lack it
		inv, err := wiretls.Take(ctx, door, target)
		wg.Wait()
		if err != nil {
			fs = append(fs, ruleHandshake.Untested(subject, check.Why(err)))
			continue
		}
		s.Inventories, s.Extras = append(s.Inventories, inv), append(s.Extras, extras)
		fs = append(fs, judgeOne(subject, inv, Facts{
			Subject: subject, Place: Place(host, a, port), Handshake: inv.Handshake, NoSNI: inv.NoSNI, Inventory: inv,
			Verify: finding.Cmd("tls", where),
		}, th)...)
	}
	return check.NewReport(env, "tls", subject, began, fs, sections(s), s), nil
}

// judgeOne judges an inventory; a port that could not be reached is no fault of its TLS.
func judgeOne(subject finding.Subject, inv *wiretls.Inventory, f Facts, th *knowledge.Thresholds) []finding.Finding {
	h := inv.Handshake
	if h.Fault != nil && h.Fault.Op != "tls" && h.Fault.Kind != wire.Protocol {
		x := ruleHandshake.Untested(subject, check.Fault(h.Fault))
		return []finding.Finding{x.With(finding.Evidence{Source: "tcp", Place: f.Place, Raw: h.Fault.Text})}
	}
	return Judge(f, th)
}

// sections draws versions and suites, groups, and certificates. Addresses that show the same share a section.
func sections(s *Survey) []finding.Section {
	var out []finding.Section
	var drawn []string
	for i, inv := range s.Inventories {
		if len(inv.Versions) == 0 {
			continue
		}
		v, c := versionSection(inv), ChainSection(inv.Handshake)
		key := fmt.Sprint(v.Rows, c.Rows)
		if slices.Contains(drawn, key) {
			continue
		}
		drawn = append(drawn, key)
		if len(s.Inventories) > 1 {
			v.Title = finding.S("{{.Addr}}: versions and cipher suites, as the server picks them", finding.Args{"Addr": inv.Target.Addr})
		}
		c.Folded = len(drawn) > 1
		out = append(out, v, c, moreSection(inv.Handshake, s.Extras[i]))
	}
	return out
}

func versionSection(inv *wiretls.Inventory) finding.Section {
	s := finding.Section{Title: finding.S("versions and cipher suites, as the server picks them", nil)}
	for i, v := range inv.Versions {
		state := finding.S("refused ({{.How}})", finding.Args{"How": v.Refusal})
		mark := finding.VerdictPass
		switch {
		case v.Supported && v.Version < wiretls.TLS12:
			mark, state = finding.VerdictNote, finding.S("accepted", nil)
		case v.Supported:
			state = finding.S("accepted", nil)
		case v.Fault != nil:
			mark, state = finding.VerdictUntested, check.Fault(v.Fault)
		case v.Version >= wiretls.TLS12:
			mark = finding.VerdictNote
		}
		if v.Supported && v.Fault != nil {
			state = finding.S("accepted; the list is not whole: {{.What}}", finding.Args{"What": check.Fault(v.Fault)})
		}
		if v.Supported && i > 0 && within(v.Suites, inv.Versions[i-1].Suites) {
			n := len(v.Suites)
			s.Rows = append(s.Rows, finding.Marked(mark, finding.Raw(v.Version.String()), state, finding.S("with {{.N}} {{plural .N \"suite\" \"suites\"}} of those above", finding.Args{"N": n})))
			continue
		}
		s.Rows = append(s.Rows, finding.Marked(mark, finding.Raw(v.Version.String()), state))
		for _, x := range v.Suites {
			s.Rows = append(s.Rows, suiteRow(x))
		}
	}
	if len(inv.Groups) > 0 {
		var names []string
		for _, g := range inv.Groups {
			names = append(names, g.String())
		}
		s.Rows = append(s.Rows, finding.Cells(finding.S("key exchange of TLS 1.3", nil), finding.Raw(strings.Join(names, " "))))
	}
	return s
}

// within tells that all suites are among those of the newer version.
func within(older, newer []wiretls.SuiteSeen) bool {
	for _, o := range older {
		if !slices.ContainsFunc(newer, func(n wiretls.SuiteSeen) bool { return n.Suite == o.Suite }) {
			return false
		}
	}
	return len(older) > 0
}

func suiteRow(x wiretls.SuiteSeen) finding.Row {
	detail := ""
	switch {
	case x.DHBits > 0:
		detail = fmt.Sprintf("DH %d", x.DHBits)
	case x.Group != 0:
		detail = x.Group.String()
	}
	row := finding.Cells(finding.Raw(x.Suite.String()), finding.Raw(detail))
	var why []finding.Sentence
	if bad := matches(x.Suite, broken); len(bad) > 0 {
		v := finding.VerdictWarning
		row.Mark, why = &v, appendNew(nil, bad)
	} else if old := matches(x.Suite, ageing); len(old) > 0 {
		v := finding.VerdictNote
		row.Mark, why = &v, appendNew(nil, old)
	}
	if len(why) > 0 {
		row.Cells = append(row.Cells, finding.S("{{list .Reasons}}", finding.Args{"Reasons": why}))
	}
	row.Depth = 1
	return row
}
