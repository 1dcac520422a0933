package server

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
)

// LoginOptions say whom to log in, where and how.
type LoginOptions struct {
	Address   string   // the mail address
	User      string   // the user name; empty means Address
	Server    string   // host; empty: looked for under the address's domain
	Port      uint16   // 0 means the standard ports
	Protocols []string // of imap, pop3, smtp, managesieve, in the order in which they are tried; empty means all
	Mechanism string   // empty: the best offered
	Secret    string   // password or token
	Insecure  bool     // send it even without TLS, or where the certificate is not believed
	Newest    int      // how many messages to show
	Whole     int      // how many bytes of each of them to read; 0: their headers only
	Script    bool     // read the active Sieve script

	Seek *wire.Seek // by IMAP or POP3: look for this message instead of looking around
	Send *Parcel    // by SMTP: hand this message over after the login. It is delivered
}

// Parcel is a message to be sent.
type Parcel struct {
	From, To string // of the envelope
	Message  []byte
}

// LoginSurvey is what `mailwhy login` finds out; it is the report's Facts.
type LoginSurvey struct {
	Address string `json:"address"`
	User    string `json:"user"`
	Ports   []Port `json:"ports"`             // one per protocol that was tried, in order
	Servers []Way  `json:"servers"`           // where each protocol was looked for
	Stopped string `json:"stopped,omitempty"` // why protocols were left out: the rule that ended the tries
}

// Way is a server of one protocol and where its name comes from.
type Way struct {
	Protocol string `json:"protocol"`
	Host     string `json:"host"`
	Port     uint16 `json:"port,omitempty"`
	Source   string `json:"source"` // given, srv, guess
}

// Login tries to log in by each protocol in turn and says what came of it. After a refusal that further tries would make
// worse (wrong password, lock, block) the other protocols are left alone.
func Login(ctx context.Context, env *check.Env, o LoginOptions) (*finding.Report, error) {
	began := env.Now()
	s, fs, err := LookIn(ctx, env, o)
	if err != nil {
		return nil, err
	}
	return LoginReport(env, s, fs, began), nil
}

// LoginReport is the report of a survey that began then.
func LoginReport(env *check.Env, s *LoginSurvey, fs []finding.Finding, began time.Time) *finding.Report {
	subject := finding.Subject{Kind: finding.KindAddress, Name: s.Address}
	r := check.NewReport(env, "login", subject, began, fs, s.sections(), s)
	if r.Headline.State == finding.StateOK {
		r.Headline.Says = finding.S("{{.Address}} can log in: {{list .How}}.", finding.Args{"Address": s.Address, "How": s.ways()})
	}
	return r
}

// LookIn is Login without the report, for surveys that hold more than the login.
func LookIn(ctx context.Context, env *check.Env, o LoginOptions) (*LoginSurvey, []finding.Finding, error) {
	subject := finding.Subject{Kind: finding.KindAddress, Name: o.Address}
	if o.User == "" {
		o.User = o.Address
	}
	if len(o.Protocols) == 0 {
		o.Protocols = []string{"imap", "pop3", "smtp", "managesieve"}
	}
	judge, err := newJudge(env, subject, o)
	if err != nil {
		return nil, nil, err
	}
	s := &LoginSurvey{Address: o.Address, User: o.User}
	var fs []finding.Finding
	for _, protocol := range o.Protocols {
		w := findWay(ctx, env, &o, protocol)
		s.Servers = append(s.Servers, w)
		addrs, err := check.Addresses(ctx, env, w.Host)
		if len(addrs) == 0 {
			fs = append(fs, judge.unreached(w, noAddress(w.Host, err), err != nil))
			continue
		}
		p := reach(ctx, env, w, addrs[0], &o)
		p.Software = read(judge.banners, p)
		s.Ports = append(s.Ports, *p)
		f := judge.port(w, p)
		fs = append(fs, f...)
		if id := stops(f); id != "" {
			s.Stopped = id
			break
		}
	}
	return s, judge.whole(fs, s), nil
}

// Visit gives the session of a protocol that let us in, or nil.
func (s *LoginSurvey) Visit(protocol string) *wire.Visit {
	for i := range s.Ports {
		if p := &s.Ports[i]; p.Protocol == protocol && p.Visit != nil && p.Visit.LoggedIn {
			return p.Visit
		}
	}
	return nil
}

// Join adds what another survey of the same account saw.
func (s *LoginSurvey) Join(o *LoginSurvey) *LoginSurvey {
	if s == nil {
		return o
	}
	s.Ports, s.Servers = append(s.Ports, o.Ports...), append(s.Servers, o.Servers...)
	if s.Stopped == "" {
		s.Stopped = o.Stopped
	}
	return s
}

// Spoke tells that a server took a connection.
func (s *LoginSurvey) Spoke() bool {
	return slices.ContainsFunc(s.Ports, func(p Port) bool { return p.open() })
}

// AboutQuota tells a rule about room in the mailbox.
func AboutQuota(r *finding.Rule) bool { return r == ruleQuotaFull || r == ruleQuotaNear }

// Sections draws what was tried and seen.
func (s *LoginSurvey) Sections() []finding.Section { return s.sections() }

// Ways names the protocols that let us in: "IMAP 993".
func (s *LoginSurvey) Ways() []string { return s.ways() }

// stops gives the refusal after which no other protocol is tried, "" for none.
func stops(fs []finding.Finding) string {
	for i := range fs {
		switch fs[i].Rule {
		case ruleWrongPassword, ruleAppPassword, ruleLocked, rulePasswordExpired, ruleBlocked, ruleServerFault:
			if fs[i].Outcome == finding.Fail {
				return fs[i].Rule.ID
			}
		}
	}
	return ""
}

// ways names the protocols that let us in.
func (s *LoginSurvey) ways() (out []string) {
	for i := range s.Ports {
		if p := &s.Ports[i]; p.loggedIn() {
			out = append(out, p.label())
		}
	}
	return out
}

func (p *Port) loggedIn() bool {
	return p.Session != nil && p.Session.LoggedIn || p.Visit != nil && p.Visit.LoggedIn
}

// ports are the ports of a protocol for mail programs, TLS from the start first.
func ports(protocol string, given uint16) []service {
	var out []service
	for _, s := range services() {
		if s.protocol == protocol && (given == s.port || given == 0 && s.port != 25) {
			out = append(out, s)
		}
	}
	if out == nil && given != 0 {
		out = []service{{protocol, given, false}}
	}
	slices.SortStableFunc(out, func(a, b service) int {
		if a.implicit == b.implicit {
			return 0
		}
		if a.implicit {
			return -1
		}
		return 1
	})
	return out
}

// reach logs in on the first port of the protocol that opens.
func reach(ctx context.Context, env *check.Env, w Way, addr netip.Addr, o *LoginOptions) *Port {
	var p *Port
	for _, s := range ports(w.Protocol, w.Port) {
		next := &Port{Protocol: s.protocol, Addr: addr, Port: s.port, Implicit: s.implicit}
		login := &wire.Login{User: o.User, Mechanism: o.Mechanism, InClear: o.Insecure, Secret: o.Secret}
		next.visit(ctx, env, w.Host, wire.VisitPlan{Login: login, Newest: o.Newest, Whole: o.Whole, Script: o.Script, Seek: o.Seek}, o.Send)
		if next.open() {
			return next
		}
		if p == nil {
			p = next
		}
	}
	return p
}

// findWay names the server of a protocol: the one given, that of the SRV records of RFC 6186 and RFC 8314, or a guess
// that has an address.
func findWay(ctx context.Context, env *check.Env, o *LoginOptions, protocol string) Way {
	if o.Server != "" {
		return Way{Protocol: protocol, Host: o.Server, Port: o.Port, Source: "given"}
	}
	_, domain, _ := strings.Cut(o.Address, "@")
	labels := map[string][]string{"imap": {"_imaps", "_imap"}, "pop3": {"_pop3s", "_pop3"}, "smtp": {"_submissions", "_submission"}, "managesieve": {"_sieve"}}
	if env.DNS != nil {
		for _, l := range labels[protocol] {
			a, err := env.DNS.Resolve(ctx, l+"._tcp."+domain, mail.TypeSRV)
			if err == nil && len(a.Records) > 0 && a.Records[0].Host != "" {
				return Way{Protocol: protocol, Host: a.Records[0].Host, Port: a.Records[0].Port, Source: "srv"}
			}
		}
	}
	prefixes := map[string][]string{"imap": {"imap.", "mail.", ""}, "pop3": {"pop.", "pop3.", "mail.", ""}, "smtp": {"smtp.", "mail.", ""}, "managesieve": {"mail.", "imap.", ""}}[protocol]
	for _, prefix := range prefixes {
		if addrs, _ := check.Addresses(ctx, env, prefix+domain); len(addrs) > 0 {
			return Way{Protocol: protocol, Host: prefix + domain, Source: "guess"}
		}
	}
	return Way{Protocol: protocol, Host: prefixes[0] + domain, Source: "guess"}
}

// step is the step or stage where the login was decided, in one form for all protocols.
func (p *Port) decision() (reply, code string, fault *wire.Fault) {
	if p.Session != nil {
		for i := len(p.Session.Stages) - 1; i >= 0; i-- {
			if st := &p.Session.Stages[i]; st.Name == smtp.Auth {
				if st.Reply != nil {
					reply = st.Reply.String()
				}
				return reply, notSent(st.Fault), st.Fault
			}
		}
		return "", "", p.Session.Fault
	}
	for _, name := range []string{"login", "user"} {
		if st := p.Visit.Step(name); st != nil {
			if st.Status != "" {
				reply = st.Status
				if st.Code != "" {
					reply += " [" + st.Code + "]"
				}
				reply += " " + st.Text
			}
			return reply, notSent(st.Fault), st.Fault
		}
	}
	return "", "", p.Visit.Fault
}

// notSent tells why we ourselves did not go on, "" where we did.
func notSent(f *wire.Fault) string {
	switch {
	case f == nil:
		return ""
	case f.Text == wire.WhyNotEncrypted:
		return "not-encrypted"
	case f.Text == wire.WhyNotTrusted:
		return "not-trusted"
	case f.Text == wire.WhyNoMethod:
		return "no-method"
	}
	return ""
}

func (p *Port) mechanism() string {
	if p.Session != nil {
		return p.Session.Mechanism
	}
	return p.Visit.Mechanism
}

// service names a port with its server: "IMAP (imap.mine.example 993)".
func (w Way) service(port uint16) string {
	if port == 0 {
		return title(w.Protocol) + " (" + w.Host + ")"
	}
	return title(w.Protocol) + " (" + w.Host + " " + strconv.Itoa(int(port)) + ")"
}
