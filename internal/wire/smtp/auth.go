package smtp

import (
	"encoding/base64"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// login does AUTH of RFC 4954 as the plan says; it tells whether we are in. A refusal says goodbye. A readable secret is
// not sent without TLS unless the plan allows it.
func (t *talker) login() bool {
	l := t.s.Plan.Login
	m := l.Pick(t.s.Offered().Auth(), false)
	t.s.Mechanism = m
	stop := func(why string) bool {
		t.stage(Auth, m, time.Now(), nil, &wire.Fault{Kind: wire.Protocol, Text: why})
		t.quit()
		return false
	}
	if m == "PASSWORD" {
		m = ""
	}
	if why := l.Withhold(m, t.s.TLS); why != "" {
		return stop(why)
	}
	s, err := wire.NewSASL(m, l)
	if err != nil {
		return stop(err.Error())
	}
	line, shown := "AUTH "+m, "AUTH "+m
	if s.First {
		out, err := s.Next(nil)
		if err != nil {
			return stop(err.Error())
		}
		initial := base64.StdEncoding.EncodeToString(out)
		if initial == "" {
			initial = "="
		}
		line, shown = line+" "+initial, shown+" "+wire.Hidden
	}
	rep := t.speak(Auth, m, line, shown)
	for rep != nil && rep.Code == 334 {
		challenge, err := wire.Challenge(rep.Text())
		if err != nil {
			return stop(err.Error())
		}
		out, err := s.Next(challenge)
		if err != nil {
			return stop(err.Error())
		}
		t.s.Stages = t.s.Stages[:len(t.s.Stages)-1] // the exchange is one stage: its last reply counts
		rep = t.speak(Auth, m, base64.StdEncoding.EncodeToString(out), wire.Hidden)
	}
	if rep == nil {
		return false
	}
	if t.s.LoggedIn = rep.Code == 235; !t.s.LoggedIn {
		t.quit()
	}
	return t.s.LoggedIn
}
