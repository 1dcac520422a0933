package spf

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail"
)

// Code is a result of check_host() (RFC 7208 section 2.6).
type Code string

// The results.
const (
	None      Code = "none"
	Neutral   Code = "neutral"
	Pass      Code = "pass"
	Fail      Code = "fail"
	SoftFail  Code = "softfail"
	TempError Code = "temperror"
	PermError Code = "permerror"
)

// Input is what a receiving server knows.
type Input struct {
	IP       netip.Addr // of the client
	MailFrom string     // "" for the null sender: then HELO is checked as postmaster@HELO
	HELO     string
	Receiver string    // our own name, for the macro r
	Now      time.Time // for the macro t
}

// ProblemKind names why a result is temperror, permerror or none.
type ProblemKind string

// The kinds of problem.
const (
	NoDomain        ProblemKind = "no-domain"        // the identity has no usable domain
	NoRecord        ProblemKind = "no-record"        //
	ManyRecords     ProblemKind = "many-records"     // several SPF records at one name
	Syntax          ProblemKind = "syntax"           //
	TooManyLookups  ProblemKind = "too-many-lookups" //
	TooManyVoids    ProblemKind = "too-many-voids"   //
	TooManyMX       ProblemKind = "too-many-mx"      //
	IncludeNoRecord ProblemKind = "include-none"     // include of a domain without a record
	RedirectNone    ProblemKind = "redirect-none"    // redirect to a domain without a record
	BadTarget       ProblemKind = "bad-target"       // a macro expanded to no valid name
	DNSFailure      ProblemKind = "dns"              // the DNS could not be asked
)

// Problem says why and where.
type Problem struct {
	Kind   ProblemKind `json:"kind"`
	Domain string      `json:"domain,omitempty"` // whose record
	Term   string      `json:"term,omitempty"`
	Pos    int         `json:"pos,omitempty"`
	Text   string      `json:"text,omitempty"` // the words of the resolver, the faulty characters
}

// StepKind names what happened in a step of the trace.
type StepKind string

// The kinds of step.
const (
	StepStart    StepKind = "start"    // Domain is evaluated; Values: the sender
	StepRecord   StepKind = "record"   // Values[0] is the record found at Domain
	StepNone     StepKind = "none"     // no record at Domain
	StepTerm     StepKind = "term"     // a directive was evaluated: Match tells, Values are the addresses or names seen
	StepEnter    StepKind = "enter"    // include or redirect goes to Target
	StepLeave    StepKind = "leave"    // back from an include, with Result
	StepAddress  StepKind = "address"  // a look-up within mx or ptr: Target, Values
	StepDefault  StepKind = "default"  // nothing matched and there is no redirect
	StepExplain  StepKind = "explain"  // exp= gave Values[0]
	StepProblem  StepKind = "problem"  // Problem tells
	StepFinished StepKind = "finished" // Result
)

// Step is one step of an evaluation.
type Step struct {
	Kind    StepKind `json:"kind"`
	Depth   int      `json:"depth"`
	Domain  string   `json:"domain"`           // whose record is evaluated
	Term    string   `json:"term,omitempty"`   // as written
	Pos     int      `json:"pos,omitempty"`    // of the term in the record
	Target  string   `json:"target,omitempty"` // the name asked, macros expanded
	Values  []string `json:"values,omitempty"` // what was found
	Match   bool     `json:"match,omitempty"`
	Result  Code     `json:"result,omitempty"`
	Lookups int      `json:"lookups"` // counted so far
	Voids   int      `json:"voids"`
	Problem *Problem `json:"problem,omitempty"`
}

// Result is the outcome of check_host().
type Result struct {
	Code        Code     `json:"code"`
	Identity    string   `json:"identity"` // "mailfrom" or "helo"
	Sender      string   `json:"sender"`   // the address checked
	Domain      string   `json:"domain"`
	Term        string   `json:"term,omitempty"`        // the directive that matched
	Explanation string   `json:"explanation,omitempty"` // of exp=, written by the domain: hostile text
	Lookups     int      `json:"lookups"`
	Voids       int      `json:"voids"`
	Problem     *Problem `json:"problem,omitempty"` // why the result is an error or none
	Trace       []Step   `json:"trace"`
}

// Check evaluates check_host() for a client. Look-ups that are sure to come up are asked in parallel; it returns when
// all of them have come back.
func Check(ctx context.Context, res mail.Resolver, in Input) *Result {
	in.IP = in.IP.Unmap().WithZone("")
	sender, identity := in.MailFrom, "mailfrom"
	if sender == "" {
		sender, identity = in.HELO, "helo"
	}
	local, domain := "postmaster", sender
	if i := strings.LastIndexByte(sender, '@'); i >= 0 {
		domain = sender[i+1:]
		if i > 0 {
			local = sender[:i]
		}
	}
	domain = strings.TrimSuffix(domain, ".")
	sender = local + "@" + domain
	m := newMemo(ctx, res)
	defer m.wait()
	c := &checker{ctx: ctx, m: m, in: in}
	c.v = values{sender: sender, local: local, senderDomain: domain, domain: domain, helo: in.HELO,
		ip: in.IP, receiver: in.Receiver, now: in.Now}
	c.v.validated = func() string { return c.validated(c.v.domain) }
	c.base = c.v
	r := &Result{Identity: identity, Sender: sender, Domain: domain}
	c.add(Step{Kind: StepStart, Domain: domain, Values: []string{sender}})
	if !validDomain(domain) || !strings.Contains(domain, ".") {
		c.problem(Step{Domain: domain}, Problem{Kind: NoDomain, Domain: domain})
		r.Code = None
	} else {
		h := c.host(domain, 0)
		r.Code, r.Term = h.code, h.term
		if r.Code == Fail && h.exp != nil {
			c.v.domain = h.domain
			r.Explanation = c.explain(h.exp, h.domain)
		}
	}
	if r.Code == None || r.Code == TempError || r.Code == PermError {
		r.Problem = c.why
	}
	c.add(Step{Kind: StepFinished, Domain: domain, Result: r.Code})
	r.Lookups, r.Voids, r.Trace = c.lookups, c.voids, c.trace
	return r
}

type checker struct {
	ctx     context.Context
	m       *memo
	in      Input
	v       values
	base    values // as v at the start; read by look-ups ahead
	lookups int
	voids   int
	trace   []Step
	why     *Problem
	names   *[]string // validated names of the client, once asked
}

// verdict is the outcome for one domain.
type verdict struct {
	code   Code
	term   string
	domain string // whose exp= counts
	exp    *Term
}

// maxTrace bounds the trace; RFC limits keep real ones far below.
const maxTrace = 2000

func (c *checker) add(s Step) {
	s.Lookups, s.Voids = c.lookups, c.voids
	if len(c.trace) < maxTrace {
		c.trace = append(c.trace, s)
	}
}

// problem files the reason for an error; the first one stands.
func (c *checker) problem(s Step, p Problem) {
	if c.why == nil {
		c.why = &p
	}
	s.Kind, s.Problem = StepProblem, &p
	c.add(s)
}

// records asks for the SPF records of a domain.
func (c *checker) records(domain string) (recs []string, nx bool, err error) {
	a, err := c.m.Resolve(c.ctx, domain, mail.TypeTXT)
	if err != nil {
		return nil, false, err
	}
	for _, t := range a.Texts() {
		if IsRecord(t) {
			recs = append(recs, t)
		}
	}
	return recs, a.NXDomain, nil
}

// host is check_host() for one domain at a depth of includes and redirects.
func (c *checker) host(domain string, depth int) verdict {
	recs, _, err := c.records(domain)
	at := Step{Domain: domain, Depth: depth}
	switch {
	case err != nil:
		c.problem(at, Problem{Kind: DNSFailure, Domain: domain, Text: err.Error()})
		return verdict{code: TempError}
	case len(recs) == 0:
		at.Kind = StepNone
		c.add(at)
		if c.why == nil && depth == 0 {
			c.why = &Problem{Kind: NoRecord, Domain: domain}
		}
		return verdict{code: None}
	case len(recs) > 1:
		c.problem(at, Problem{Kind: ManyRecords, Domain: domain, Text: strings.Join(recs, "\n")})
		return verdict{code: PermError}
	}
	rec := Parse(recs[0])
	at.Kind, at.Values = StepRecord, recs
	c.add(at)
	if !rec.Valid() {
		f := rec.Faults[0]
		c.problem(Step{Domain: domain, Depth: depth}, Problem{Kind: Syntax, Domain: domain, Term: f.Term, Pos: f.Pos, Text: f.Text})
		return verdict{code: PermError}
	}
	c.ahead(rec, domain, 0)
	return c.record(rec, domain, depth)
}

func (c *checker) record(rec *Record, domain string, depth int) verdict {
	for i := range rec.Terms {
		t := &rec.Terms[i]
		if t.Modifier {
			continue
		}
		c.v.domain = domain
		match, code := c.directive(t, domain, depth)
		if code != "" {
			return verdict{code: code, term: t.Text}
		}
		if match {
			return verdict{code: t.Qualifier.Code(), term: t.Text, domain: domain, exp: rec.Modifier("exp")}
		}
	}
	if t := rec.Modifier("redirect"); t != nil {
		c.v.domain = domain
		return c.redirect(t, domain, depth)
	}
	c.add(Step{Kind: StepDefault, Domain: domain, Depth: depth, Result: Neutral})
	return verdict{code: Neutral}
}

// count charges a look-up to a term; false means the limit is broken.
func (c *checker) count(t *Term, domain string, depth int) bool {
	c.lookups++
	if c.lookups <= MaxLookups {
		return true
	}
	c.problem(Step{Domain: domain, Depth: depth, Term: t.Text, Pos: t.Pos}, Problem{Kind: TooManyLookups, Domain: domain, Term: t.Text, Pos: t.Pos})
	return false
}

// target expands the domain of a term; "" means it is no name that can be asked.
func (c *checker) target(t *Term, domain string) string {
	if t.Domain == "" {
		return domain
	}
	name := fit(t.spec.expand(&c.v))
	if !validDomain(name) {
		return ""
	}
	return name
}

// directive evaluates one directive; code is set where the whole evaluation ends with an error.
func (c *checker) directive(t *Term, domain string, depth int) (match bool, code Code) {
	s := Step{Kind: StepTerm, Domain: domain, Depth: depth, Term: t.Text, Pos: t.Pos}
	if t.Asks() && !c.count(t, domain, depth) {
		return false, PermError
	}
	switch t.Name {
	case "all":
		match = true
	case "ip4", "ip6":
		match = t.Prefix.Contains(c.in.IP)
	case "include":
		return c.include(t, domain, depth)
	case "a", "exists":
		match, code = c.address(t, &s)
	case "mx":
		match, code = c.mx(t, &s)
	case "ptr":
		match = c.ptr(t, &s)
	}
	if code != "" {
		return false, code
	}
	s.Match = match
	if match {
		s.Result = t.Qualifier.Code()
	}
	c.add(s)
	return match, ""
}

func (c *checker) include(t *Term, domain string, depth int) (match bool, code Code) {
	name := c.target(t, domain)
	s := Step{Kind: StepEnter, Domain: domain, Depth: depth, Term: t.Text, Pos: t.Pos, Target: name}
	c.add(s)
	if name == "" {
		c.problem(s, Problem{Kind: BadTarget, Domain: domain, Term: t.Text, Pos: t.Pos})
		return false, PermError
	}
	in := c.host(name, depth+1)
	s.Kind, s.Result, s.Match = StepLeave, in.code, in.code == Pass
	c.add(s)
	switch in.code {
	case Pass:
		return true, ""
	case None:
		c.problem(s, Problem{Kind: IncludeNoRecord, Domain: domain, Term: t.Text, Pos: t.Pos, Text: name})
		return false, PermError
	case PermError, TempError:
		return false, in.code
	}
	return false, ""
}

func (c *checker) redirect(t *Term, domain string, depth int) verdict {
	if !c.count(t, domain, depth) {
		return verdict{code: PermError, term: t.Text}
	}
	name := c.target(t, domain)
	s := Step{Kind: StepEnter, Domain: domain, Depth: depth, Term: t.Text, Pos: t.Pos, Target: name}
	c.add(s)
	if name == "" {
		c.problem(s, Problem{Kind: BadTarget, Domain: domain, Term: t.Text, Pos: t.Pos})
		return verdict{code: PermError, term: t.Text}
	}
	v := c.host(name, depth+1)
	if v.code == None {
		c.problem(s, Problem{Kind: RedirectNone, Domain: domain, Term: t.Text, Pos: t.Pos, Text: name})
		return verdict{code: PermError, term: t.Text}
	}
	return v
}

// void counts a look-up that found nothing; false means the limit is broken.
func (c *checker) void(s *Step) bool {
	c.voids++
	if c.voids <= MaxVoids {
		return true
	}
	c.problem(Step{Domain: s.Domain, Depth: s.Depth, Term: s.Term, Pos: s.Pos, Target: s.Target},
		Problem{Kind: TooManyVoids, Domain: s.Domain, Term: s.Term, Pos: s.Pos, Text: s.Target})
	return false
}

func (c *checker) addressType() mail.Type {
	if c.in.IP.Is4() {
		return mail.TypeA
	}
	return mail.TypeAAAA
}

// failed files a DNS failure.
func (c *checker) failed(s *Step, err error) Code {
	c.problem(Step{Domain: s.Domain, Depth: s.Depth, Term: s.Term, Pos: s.Pos, Target: s.Target},
		Problem{Kind: DNSFailure, Domain: s.Domain, Term: s.Term, Pos: s.Pos, Text: err.Error()})
	return TempError
}

// address evaluates a and exists.
func (c *checker) address(t *Term, s *Step) (match bool, code Code) {
	s.Target = c.target(t, s.Domain)
	if s.Target == "" {
		return false, ""
	}
	kind := c.addressType()
	if t.Name == "exists" {
		kind = mail.TypeA
	}
	a, err := c.m.Resolve(c.ctx, s.Target, kind)
	if err != nil {
		return false, c.failed(s, err)
	}
	for _, rr := range a.Records {
		s.Values = append(s.Values, rr.IP.String())
		match = match || t.Name == "exists" || t.holds(rr.IP, c.in.IP)
	}
	if len(a.Records) == 0 && !c.void(s) {
		return false, PermError
	}
	return match, ""
}

// holds tells whether the client is in the network of the term around an address.
func (t *Term) holds(addr, client netip.Addr) bool {
	bits := t.Bits4
	if addr.Is6() {
		bits = t.Bits6
	}
	p, err := addr.Prefix(bits)
	return err == nil && p.Contains(client)
}

func (c *checker) mx(t *Term, s *Step) (match bool, code Code) {
	s.Target = c.target(t, s.Domain)
	if s.Target == "" {
		return false, ""
	}
	a, err := c.m.Resolve(c.ctx, s.Target, mail.TypeMX)
	if err != nil {
		return false, c.failed(s, err)
	}
	if len(a.Records) == 0 && !c.void(s) {
		return false, PermError
	}
	for i, rr := range a.Records {
		if i < MaxMX && rr.Host != "" {
			c.m.ahead(rr.Host, c.addressType(), nil)
		}
		s.Values = append(s.Values, rr.Host)
	}
	for i, rr := range a.Records {
		if i == MaxMX {
			c.problem(*s, Problem{Kind: TooManyMX, Domain: s.Domain, Term: s.Term, Pos: s.Pos, Text: s.Target})
			return false, PermError
		}
		if !validDomain(rr.Host) {
			continue
		}
		addrs, err := c.m.Resolve(c.ctx, rr.Host, c.addressType())
		if err != nil {
			return false, c.failed(s, err)
		}
		step := Step{Kind: StepAddress, Domain: s.Domain, Depth: s.Depth, Term: s.Term, Pos: s.Pos, Target: rr.Host}
		for _, ip := range addrs.Records {
			step.Values = append(step.Values, ip.IP.String())
			match = match || t.holds(ip.IP, c.in.IP)
		}
		c.add(step)
		if len(addrs.Records) == 0 && !c.void(s) {
			return false, PermError
		}
		if match {
			return true, ""
		}
	}
	return false, ""
}
