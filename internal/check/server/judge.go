package server

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/tls"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/wire"
)

// Judge says what is good and bad about a server as it was seen.
func Judge(s *Survey, subject finding.Subject, th *knowledge.Thresholds) []finding.Finding {
	var open []*Port
	for i := range s.Ports {
		if s.Ports[i].open() {
			open = append(open, &s.Ports[i])
		}
	}
	if len(open) == 0 {
		return []finding.Finding{s.dead(subject)}
	}
	names := labels(open)
	fs := []finding.Finding{ruleNoPort.Passed(subject, finding.Args{"N": len(names), "Ports": names})}
	var spoken []*Port
	for _, p := range open {
		if f, bad := p.welcome(subject); bad {
			fs = append(fs, f)
		} else {
			spoken = append(spoken, p)
		}
	}
	fs = append(fs, inClear(subject, spoken)...)
	fs = append(fs, encryption(s, subject, open, th)...)
	fs = append(fs, implicit(s, subject)...)
	if f, told := versions(subject, spoken); told {
		fs = append(fs, f)
	}
	return fs
}

// dead judges a host of which no port opens. Where this machine has no way there, nothing is said of the host.
func (s *Survey) dead(subject finding.Subject) finding.Finding {
	var first *wire.Fault
	for i := range s.Ports {
		f := s.Ports[i].fault()
		if check.Ours(f) {
			return ruleNoPort.Untested(subject, check.Fault(f))
		}
		if first == nil || f != nil && f.Kind == wire.Refused {
			first = f
		}
	}
	f := ruleNoPort.Failed(subject, finding.Args{"Host": s.Host, "What": check.Fault(first)})
	for i := range s.Ports[:min(len(s.Ports), len(services()))] {
		if p := &s.Ports[i]; p.fault() != nil {
			f = f.With(finding.Evidence{Source: "tcp", Place: p.place(), Raw: p.fault().Text})
		}
	}
	return f
}

// welcome judges how a port greets; bad is false where a conversation came about.
func (p *Port) welcome(subject finding.Subject) (f finding.Finding, bad bool) {
	label := finding.Raw(p.label())
	ev := finding.Evidence{Source: p.Protocol, Place: p.place()}
	if text := p.refusal(); text != "" {
		ev.Raw = text
		if strings.HasPrefix(text, "4") {
			return ruleTurnedAway.Untested(subject, finding.S("{{.Port}} wants us to come again later: {{.Text}}", finding.Args{"Port": label, "Text": finding.Raw(text)})).With(ev), true
		}
		return ruleTurnedAway.Failed(subject, finding.Args{"Port": label, "Text": finding.Raw(text)}).With(ev), true
	}
	fault := p.fault()
	if fault == nil || fault.Op == "tls" {
		return f, false
	}
	ev.Raw = fault.Text
	switch {
	case check.Ours(fault):
		return ruleMute.Untested(subject, check.Fault(fault)).With(ev), true
	case fault.Kind == wire.Protocol:
		return ruleOtherProtocol.Failed(subject, finding.Args{"Port": label, "Text": finding.Raw(fault.Text)}).With(ev), true
	}
	return ruleMute.Failed(subject, finding.Args{"Port": label, "What": check.Fault(fault)}).With(ev), true
}

// inClear judges passwords without TLS and ports without any.
func inClear(subject finding.Subject, ports []*Port) []finding.Finding {
	var clear, bare []*Port
	for _, p := range ports {
		if p.Implicit {
			continue
		}
		if p.clearLogin() {
			clear = append(clear, p)
		}
		if !p.startTLS() {
			bare = append(bare, p)
		}
	}
	var fs []finding.Finding
	for _, x := range []struct {
		rule  *finding.Rule
		ports []*Port
	}{{ruleClearLogin, clear}, {ruleNoTLS, bare}} {
		if len(x.ports) == 0 {
			fs = append(fs, x.rule.Passed(subject, nil))
			continue
		}
		names := labels(x.ports)
		f := x.rule.Failed(subject, finding.Args{"Ports": names, "N": len(names)})
		for _, p := range x.ports {
			f = f.With(finding.Evidence{Source: p.Protocol, Place: p.place(), Raw: p.capsLine()})
		}
		fs = append(fs, f)
	}
	return fs
}

// capsLine is what a port offers before TLS, on one line.
func (p *Port) capsLine() string {
	if p.Session != nil {
		return strings.Join(p.Session.Caps.List(), " ")
	}
	return strings.Join(p.Visit.Caps, " ")
}

// labels names ports, each once: two addresses may show the same.
func labels(ports []*Port) (out []string) {
	for _, p := range ports {
		if !slices.Contains(out, p.label()) {
			out = append(out, p.label())
		}
	}
	return out
}

// encryption judges the TLS of every port; what several ports have in common is said once, with the places as evidence.
func encryption(s *Survey, subject finding.Subject, ports []*Port, th *knowledge.Thresholds) []finding.Finding {
	var fs []finding.Finding
	for _, p := range ports {
		if h := p.tls(); h != nil {
			f := p.hellos
			f.Subject, f.Place, f.Handshake, f.Verify = subject, tls.Place(s.Host, p.Addr, p.Port), h, finding.Cmd("tls", p.where(s.Host))
			if h.Name == "" && h.Fault == nil { // an address was asked: no name can be right
				nameless := *h
				nameless.NameOK = true
				f.Handshake = &nameless
			}
			fs = join(fs, tls.Judge(f, th))
			if n := p.earlyBytes(); n > 0 {
				fs = append(fs, ruleEarly.Failed(subject, finding.Args{"Port": finding.Raw(p.label()), "N": n}))
			}
		}
	}
	return append(fs, sameCertificate(subject, ports)...)
}

// join adds findings to those of other ports: one that says the same keeps its words and gets the evidence.
func join(fs, more []finding.Finding) []finding.Finding {
	for _, m := range more {
		i := slices.IndexFunc(fs, func(f finding.Finding) bool {
			return f.Rule == m.Rule && f.Outcome == m.Outcome && (f.Outcome != finding.Fail || f.Says().String() == m.Says().String())
		})
		if i < 0 {
			fs = append(fs, m)
			continue
		}
		if m.Outcome == finding.Fail {
			fs[i].Evidence = append(fs[i].Evidence, m.Evidence...)
		}
	}
	return fs
}

// sameCertificate compares the leaves of all ports.
func sameCertificate(subject finding.Subject, ports []*Port) []finding.Finding {
	type group struct {
		print [32]byte
		text  string
		ports []*Port
	}
	var groups []group
	for _, p := range ports {
		h := p.tls()
		if h == nil || len(h.Chain) == 0 {
			continue
		}
		print := sha256.Sum256(h.Chain[0])
		i := slices.IndexFunc(groups, func(g group) bool { return g.print == print })
		if i < 0 {
			text := fmt.Sprintf("SHA-256 %x", print[:8])
			if c := h.Leaf(); c != nil {
				text = fmt.Sprintf("%s (%s – %s)", c.Subject.CommonName, c.NotBefore.UTC().Format("2006-01-02"), c.NotAfter.UTC().Format("2006-01-02"))
			}
			groups, i = append(groups, group{print: print, text: text}), len(groups)
		}
		groups[i].ports = append(groups[i].ports, p)
	}
	switch len(groups) {
	case 0:
		return nil
	case 1:
		return []finding.Finding{ruleCertDiffers.Passed(subject, nil)}
	}
	var says []string
	for _, g := range groups {
		says = append(says, strings.Join(labels(g.ports), ", ")+": "+g.text)
	}
	return []finding.Finding{ruleCertDiffers.Failed(subject, finding.Args{"N": len(groups), "Groups": says})}
}

// implicit looks for services of mail programs that have no port with TLS from the start.
func implicit(s *Survey, subject finding.Subject) []finding.Finding {
	isOpen := func(port uint16) bool {
		return slices.ContainsFunc(s.Ports, func(p Port) bool { return p.Port == port && p.open() })
	}
	var missing, open []string
	any := false
	for _, pair := range []struct {
		name       string
		plain, tls uint16
	}{{"SMTP", 587, 465}, {"IMAP", 143, 993}, {"POP3", 110, 995}} {
		any = any || isOpen(pair.tls)
		if isOpen(pair.plain) && !isOpen(pair.tls) {
			missing, open = append(missing, fmt.Sprintf("%s %d", pair.name, pair.tls)), append(open, fmt.Sprintf("%s %d", pair.name, pair.plain))
		}
	}
	switch {
	case len(missing) > 0:
		return []finding.Finding{ruleNoImplicit.Failed(subject, finding.Args{"Missing": missing, "Open": open, "N": len(missing)})}
	case any:
		return []finding.Finding{ruleNoImplicit.Passed(subject, nil)}
	}
	return nil
}

// versions tells which greetings tell a version. What a server says only when asked (IMAP ID) is not counted.
func versions(subject finding.Subject, ports []*Port) (finding.Finding, bool) {
	var names []string
	f := finding.Finding{}
	var ev []finding.Evidence
	for _, p := range ports {
		if v := p.Software.Version; v == "" || !strings.Contains(p.greeting(), v) {
			continue
		}
		if n := p.Software.Name(); !slices.Contains(names, n) {
			names = append(names, n)
		}
		ev = append(ev, finding.Evidence{Source: p.Protocol, Place: p.place(), Raw: p.greeting()})
	}
	if len(names) == 0 {
		return f, false
	}
	return ruleVersion.Failed(subject, finding.Args{"Names": names}).With(ev...), true
}
