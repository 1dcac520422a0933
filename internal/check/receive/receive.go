// Package receive answers "why does mail not reach our own mailbox?": it walks from the outside world to the INBOX, and
// names the first place where the way breaks.
//
// Promise: nothing is delivered, marked, moved or deleted. From outside the walk ends after RCPT. With a password it
// goes on behind the door: login, quota, and what the active Sieve filter would do with a sample message, which is run
// here and not on the server. It joins the surveys delivery, server and sieve, and adds no judgement of its own but the
// order of the stations.
package receive

import (
	"context"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/delivery"
	"github.com/mailwhy/mailwhy/internal/check/server"
	"github.com/mailwhy/mailwhy/internal/check/sieve"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/addr"
)

// Options say what to look at.
type Options struct {
	To       string // the address
	From     string // sender of the probe and of the sample; "" is the null sender, and a stranger for the sample
	Login    *server.LoginOptions
	Sample   []byte // the message the filter is run over; nil: a plain one made here
	SampleAs string // what it is called
}

// Facts are what was seen; docs/json.md writes them down.
type Facts struct {
	Address  string              `json:"address"`
	Stations []Station           `json:"stations"`
	Outside  *delivery.Facts     `json:"outside"`
	Login    *server.LoginSurvey `json:"login,omitempty"`
	Filter   *sieve.Facts        `json:"filter,omitempty"`
}

// Name is a station on the way.
type Name string

// The stations, in order.
const (
	Outside Name = "outside" // MX, port 25, TLS and RCPT
	Door    Name = "login"
	Room    Name = "quota"
	Filter  Name = "filter"
)

// Station is a stage of the way and how it stands.
type Station struct {
	Name    Name   `json:"station"`
	Verdict string `json:"verdict"`

	State finding.Verdict `json:"-"`

	says finding.Sentence
	head finding.Headline // what the report begins with where the way breaks here
}

// Survey walks the way.
func Survey(ctx context.Context, env *check.Env, o Options) (*finding.Report, error) {
	w := &walk{env: env, o: o, f: &Facts{Address: o.To, Stations: []Station{}}, began: env.Now(), subject: finding.Subject{Kind: finding.KindAddress, Name: o.To}}
	w.outside(ctx)
	if o.Login != nil && w.f.Outside.Result != delivery.Nowhere {
		if err := w.inside(ctx); err != nil {
			return nil, err
		}
	} else if o.Login == nil {
		w.station(Door, finding.VerdictNotApplicable, finding.S("not looked at: no password was given", nil), finding.Headline{})
	}
	r := check.NewReport(env, "receive", w.subject, w.began, w.fs, w.sections(), w.f)
	r.Headline = w.headline()
	return r, nil
}

type walk struct {
	env     *check.Env
	o       Options
	f       *Facts
	began   time.Time
	subject finding.Subject
	fs      []finding.Finding
	more    []finding.Section
}

func (w *walk) station(n Name, v finding.Verdict, says finding.Sentence, head finding.Headline) {
	w.f.Stations = append(w.f.Stations, Station{Name: n, State: v, Verdict: v.String(), says: says, head: head})
}

// outside walks up to RCPT. Where the recipient is accepted, faults of this machine as a sender say nothing about the
// mailbox and are left out.
func (w *walk) outside(ctx context.Context) {
	f := delivery.Look(ctx, w.env, delivery.Options{From: w.o.From, To: w.o.To})
	fs := delivery.Judge(w.env, f)
	w.f.Outside = f
	w.subject.Name, w.f.Address = f.To, f.To
	if f.Result == delivery.Accepted {
		kept := fs[:0]
		for _, x := range fs {
			if x.Whose() != finding.OwnerSender || x.Outcome != finding.Fail {
				kept = append(kept, x)
			}
		}
		fs = kept
	}
	for i := range fs {
		w.ours(&fs[i])
	}
	finding.Order(fs)
	head := delivery.Headline(w.env, f, fs)
	v := map[finding.State]finding.Verdict{finding.StateOK: finding.VerdictPass, finding.StateWarning: finding.VerdictWarning,
		finding.StateBroken: finding.VerdictError, finding.StateUntested: finding.VerdictUntested}[head.State]
	w.station(Outside, v, head.Says, head)
	w.fs = append(w.fs, fs...)
	w.more = append(w.more, delivery.Sections(w.env, f)...)
}

// ours corrects whose job a refusal is: whoever writes to an unknown address has to mend it, but here it is an address
// that its owner takes for good.
func (w *walk) ours(f *finding.Finding) {
	if f.Outcome != finding.Fail || f.Whose() != finding.OwnerSender {
		return
	}
	for _, e := range f.Evidence {
		if strings.Contains(e.Raw, " 5.1.") {
			owner := finding.OwnerServer
			f.Owner, f.Verify = &owner, finding.Cmd("receive", w.f.Address)
			return
		}
	}
}

// inside logs in and looks at what comes behind.
func (w *walk) inside(ctx context.Context) error {
	o := *w.o.Login
	o.Address = w.f.Address
	if a, err := addr.Parse(o.Address); err == nil && a.ASCII != "" {
		o.Address = a.SMTP()
	}
	var s *server.LoginSurvey
	for _, protocol := range []string{"imap", "pop3"} {
		o.Protocols = []string{protocol}
		more, fs, err := server.LookIn(ctx, w.env, o)
		if err != nil {
			return err
		}
		s = s.Join(more)
		if s.Spoke() || protocol == "pop3" {
			w.fs = append(w.fs, fs...)
			w.login(s, fs)
			break
		}
	}
	if len(s.Ways()) > 0 {
		o.Protocols, o.Script = []string{"managesieve"}, true
		more, fs, err := server.LookIn(ctx, w.env, o)
		if err != nil {
			return err
		}
		for i := range fs {
			if fs[i].Outcome != finding.Pass {
				fs[i].Severity = new(finding.Severity) // a note: mail arrives without it
			}
		}
		w.fs = append(w.fs, fs...)
		w.filter(more)
		s = s.Join(more)
	}
	w.f.Login = s
	w.more = append(w.more, s.Sections()...)
	return nil
}

// login makes the stations of the login and of the quota.
func (w *walk) login(s *server.LoginSurvey, fs []finding.Finding) {
	var quota, door *finding.Finding
	for i := range fs {
		f := &fs[i]
		isQuota := server.AboutQuota(f.Rule)
		switch {
		case isQuota && (quota == nil || f.Verdict() < quota.Verdict()):
			quota = f
		case !isQuota && (door == nil || f.Verdict() < door.Verdict()):
			door = f
		}
	}
	if door != nil {
		w.station(Door, door.Verdict(), door.Says(), headOf(door))
	}
	switch {
	case len(s.Ways()) == 0:
	case quota == nil:
		w.station(Room, finding.VerdictNotApplicable, finding.S("the server tells no quota", nil), finding.Headline{})
	default:
		w.station(Room, quota.Verdict(), quota.Says(), headOf(quota))
	}
}

// headOf is a headline out of one finding.
func headOf(f *finding.Finding) finding.Headline {
	h := finding.Headline{State: finding.StateOK, Says: f.Says(), Owner: f.Whose(), Next: f.Verify}
	switch f.Verdict() {
	case finding.VerdictError:
		h.State = finding.StateBroken
	case finding.VerdictWarning:
		h.State = finding.StateWarning
	case finding.VerdictUntested:
		h.State = finding.StateUntested
	}
	return h
}
