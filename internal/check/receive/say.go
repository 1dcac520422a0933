package receive

import "github.com/mailwhy/mailwhy/internal/finding"

// headline names the first break: an error anywhere goes before a warning, and of two errors the one that a message
// meets first.
func (w *walk) headline() finding.Headline {
	for _, v := range []finding.Verdict{finding.VerdictError, finding.VerdictUntested, finding.VerdictWarning} {
		for _, s := range w.f.Stations {
			if s.State == v {
				h := s.head
				h.Says = finding.S("{{.Station}}: {{.Why}}", finding.Args{"Station": s.Name.says(), "Why": ended(h.Says, s.Name == Outside || s.Name == Filter && s.State != finding.VerdictError)})
				return h
			}
		}
	}
	args := finding.Args{"To": w.f.Address}
	h := finding.Headline{State: finding.StateOK, Says: finding.S("Mail for {{.To}} reaches the inbox: the server takes it, and nothing behind stands in its way.", args)}
	switch {
	case w.o.Login == nil:
		h.Says = finding.S("Mail for {{.To}} is taken by the server; what happens to it behind was not looked at, for want of a password.", args)
		h.Next = finding.Cmd("receive", w.f.Address, "--login")
	case !w.f.inbox():
		h.Says = finding.S("Mail for {{.To}} is taken by the server, but the filter does not leave it in the inbox.", args)
	}
	return h
}

// ended gives a sentence its full stop where it has none.
func ended(s finding.Sentence, has bool) finding.Sentence {
	if has {
		return s
	}
	return finding.S("{{.What}}.", finding.Args{"What": s})
}

func (n Name) says() finding.Sentence {
	switch n {
	case Outside:
		return finding.S("from outside", nil)
	case Door:
		return finding.S("login", nil)
	case Room:
		return finding.S("quota", nil)
	}
	return finding.S("filter", nil)
}

// sections begins with the stations.
func (w *walk) sections() []finding.Section {
	sec := finding.Section{Title: finding.S("the way to the inbox", nil)}
	for _, s := range w.f.Stations {
		sec.Rows = append(sec.Rows, finding.Marked(s.State, s.Name.says(), s.says))
	}
	return append([]finding.Section{sec}, w.more...)
}
