package delivery

import (
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	checksmtp "github.com/mailwhy/mailwhy/internal/check/smtp"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// Headline is the answer in one sentence. fs is in reading order.
func Headline(env *check.Env, f *Facts, fs []finding.Finding) finding.Headline {
	to := finding.Args{"To": f.To}
	cause := gravest(fs)
	switch {
	case f.DNS == nil && f.badTo == nil && f.badFrom == nil:
		return finding.Headline{State: finding.StateUntested, Says: finding.S("Could not be tested: the network may not be asked.", nil)}
	case f.Result == Accepted:
		return acceptedHeadline(f, fs, to)
	case f.Result == Refused:
		return refusedHeadline(env, f, fs, to)
	case f.Result == Deferred:
		return deferredHeadline(env, f, fs, to)
	case cause != nil && cause.Verdict() == finding.VerdictError:
		to["Why"] = cause.Says()
		if root := rootOf(fs, cause); root != nil {
			return finding.Headline{State: finding.StateBroken, Says: finding.S("Not deliverable: {{.Why}}.", finding.Args{"Why": root.Says()}), Owner: root.Whose(), Next: root.Verify}
		}
		return finding.Headline{State: finding.StateBroken, Says: finding.S("Not deliverable: {{.Why}}.", with(to, "To")), Owner: cause.Whose(), Next: cause.Verify}
	}
	h := finding.Headline{State: finding.StateUntested, Says: finding.S("{{.To}} could not be tested from here.", to)}
	if cause != nil {
		h.Says = finding.S("{{.To}} could not be tested: {{.Why}}.", finding.Args{"To": f.To, "Why": cause.Says()})
	}
	return h
}

// with leaves out what a sentence does not use.
func with(a finding.Args, not string) finding.Args { delete(a, not); return a }

// gravest is the first finding of the worst verdict.
func gravest(fs []finding.Finding) *finding.Finding {
	var worst *finding.Finding
	for i := range fs {
		if v := fs[i].Verdict(); v <= finding.VerdictUntested && (worst == nil || v < worst.Verdict()) {
			worst = &fs[i]
		}
	}
	return worst
}

func acceptedHeadline(f *Facts, fs []finding.Finding, to finding.Args) finding.Headline {
	for i := range f.Attempts {
		if f.Attempts[i].Result == Accepted {
			to["Host"] = f.Attempts[i].Host
			break
		}
	}
	h := finding.Headline{State: finding.StateOK, Says: finding.S("Deliverable: {{.Host}} accepts {{.To}} (nothing was sent).", to)}
	if f.Delivered {
		h.Says = finding.S("Delivered: {{.Host}} took the message for {{.To}}.", to)
	}
	if w := gravest(fs); w != nil && w.Verdict() != finding.VerdictUntested {
		to["But"] = w.Says()
		h.State, h.Owner, h.Next = finding.StateWarning, w.Whose(), w.Verify
		h.Says = finding.S("Deliverable: {{.Host}} accepts {{.To}} (nothing was sent), but {{.But}}.", to)
		if f.Delivered {
			h.Says = finding.S("Delivered: {{.Host}} took the message for {{.To}}, but {{.But}}.", to)
		}
	}
	return h
}

func refusedHeadline(env *check.Env, f *Facts, fs []finding.Finding, to finding.Args) finding.Headline {
	for i := range fs {
		x := &fs[i]
		if x.Outcome != finding.Fail || !isRefusal(x.Rule) && x.Rule != ruleUTF8 {
			continue
		}
		if x.Rule == ruleUTF8 {
			return finding.Headline{State: finding.StateBroken, Says: finding.S("Not deliverable: {{.Why}}.", finding.Args{"Why": x.Says()}), Owner: x.Whose(), Next: x.Verify}
		}
		args := finding.Args{"Host": x.Args["Host"], "What": x.Args["What"], "Cause": x.Args["Cause"]}
		h := finding.Headline{State: finding.StateBroken, Owner: x.Whose(), Next: x.Verify}
		h.Says = finding.S("Not deliverable: {{.Host}} refuses {{.What}}: {{.Cause}}.", args)
		if root := rootOf(fs, x); root != nil {
			args["Why"] = root.Says()
			h.Says = finding.S("Not deliverable: {{.Host}} refuses {{.What}} because {{.Why}}.", args)
			h.Owner, h.Next = root.Whose(), root.Verify
		}
		return h
	}
	return finding.Headline{State: finding.StateBroken, Says: finding.S("Not deliverable: {{.To}} is refused.", to)}
}

func isRefusal(r *finding.Rule) bool {
	return r == ruleRefused || r == ruleRefusedName || r == ruleRefusedListed || r == ruleRefusedSPF
}

// rootOf is the finding that explains x, if it failed.
func rootOf(fs []finding.Finding, x *finding.Finding) *finding.Finding {
	for _, id := range x.Causes {
		for i := range fs {
			if fs[i].Rule.ID == id && fs[i].Subject == x.Subject && fs[i].Outcome == finding.Fail {
				return &fs[i]
			}
		}
	}
	return nil
}

// deferredHeadline tells a refusal that will pass from one for a lasting cause.
func deferredHeadline(env *check.Env, f *Facts, fs []finding.Finding, to finding.Args) finding.Headline {
	for i := range fs {
		if isRefusal(fs[i].Rule) && fs[i].Outcome == finding.Fail {
			return refusedHeadline(env, f, fs, to)
		}
	}
	for i := range f.Attempts {
		a := &f.Attempts[i]
		st := a.said().Failed()
		if a.Result != Deferred || st == nil || st.Reply == nil {
			continue
		}
		read := reading(env, a, st)
		args := finding.Args{"Host": a.Host, "Cause": read.CauseName.Say(), "To": f.To}
		h := finding.Headline{State: finding.StateUntested, Next: f.again(), Says: finding.S("Could not be tested now: {{.Host}} puts {{.To}} off ({{.Cause}}).", args)}
		if again := checksmtp.Again(a.said().Started, st.Reply, &read); !again.IsZero() {
			args["Again"] = again.Truncate(time.Second)
			h.Says = finding.S("Could not be tested now: {{.Host}} puts {{.To}} off ({{.Cause}}); again after {{.Again}}.", args)
		}
		return h
	}
	return finding.Headline{State: finding.StateUntested, Says: finding.S("{{.To}} could not be tested from here.", to)}
}
