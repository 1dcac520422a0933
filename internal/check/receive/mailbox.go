package receive

import (
	"context"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/check/server"
	"github.com/mailwhy/mailwhy/internal/check/sieve"
	"github.com/mailwhy/mailwhy/internal/finding"
)

// wholeBytes is how much of each message a filter is run over.
const wholeBytes = 64 << 10

// FilterOf runs the filter that is active for an account, or the script given in its place, over the newest messages of
// the inbox. text nil: the active one. Nothing is stored, filed or marked.
func FilterOf(ctx context.Context, env *check.Env, o server.LoginOptions, name string, text []byte) (*finding.Report, error) {
	o.Whole, o.Script, o.Protocols = wholeBytes, true, []string{"imap", "managesieve"}
	active := text == nil
	if !active {
		o.Protocols = o.Protocols[:1]
	}
	began := env.Now()
	s, fs, err := server.LookIn(ctx, env, o)
	if err != nil {
		return nil, err
	}
	box, shelf := s.Visit("imap"), s.Visit("managesieve")
	if box == nil || shelf == nil && active {
		return server.LoginReport(env, s, fs, began), nil
	}
	if active {
		for _, x := range shelf.Scripts {
			if x.Active {
				name, text = x.Name, []byte(x.Text)
			}
		}
		if name == "" {
			return sieve.NoneActive(env, o.Address, began), nil
		}
	}
	r := sieve.Read(name, text)
	if r.Script == nil {
		return r.Survey("", nil, sieve.Envelope{}, began), nil
	}
	var lines []sieve.Line
	for _, m := range box.Newest {
		lines = append(lines, r.Of("INBOX "+m.UID, m.Raw, sieve.Envelope{To: &o.Address, Size: m.Size}, began))
	}
	return r.Many(lines, began), nil
}
