package cli

import (
	"errors"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/change"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
)

// blockReport is what a command of the desk found out.
type blockReport struct {
	says     finding.Sentence
	next     finding.Command
	entries  []change.Entry
	findings []finding.Finding
	refused  int
	did      string // to the entries, as the audit log calls it; "" for nothing
}

// atDesk opens the desk, does the work and shows what came of it.
func (a *app) atDesk(cmd *cobra.Command, f *blockFlags, args []string, do deskWork) error {
	desk, done, err := a.desk(cmd, f)
	if err != nil {
		return err
	}
	defer done()
	started := desk.Now()
	r, err := do(cmd.Context(), desk, args)
	if err != nil {
		return err
	}
	for i := range r.entries {
		if e := &r.entries[i]; r.did != "" {
			a.notedLate(noteDown(f.data, f.by, r.did, e.What, e.ID, desk.Now))
		}
	}
	rep := &finding.Report{
		Command: "block", Target: finding.Subject{Kind: finding.KindFile, Name: f.data}, Findings: r.findings, Started: started, Took: desk.Now().Sub(started),
		Headline: finding.Headline{State: finding.StateOK, Says: r.says, Next: r.next},
		Facts: struct {
			Entries []change.Entry `json:"entries"`
		}{r.entries},
	}
	if r.refused > 0 {
		rep.Headline.State, rep.Headline.Owner = finding.StateBroken, finding.OwnerSelf
	}
	if len(r.entries) > 0 {
		rep.Sections = append(rep.Sections, change.Table(r.entries, desk.Now()))
	}
	return a.show(rep)
}

// desk opens the store and reads the guard.
func (a *app) desk(cmd *cobra.Command, f *blockFlags) (*change.Desk, func(), error) {
	if f.data == "" {
		f.data = a.dataFolder()
	}
	if f.by == "" {
		if u, err := user.Current(); err == nil {
			f.by = u.Username
		}
	}
	cfg, err := a.guardFile(f)
	if err != nil {
		return nil, nil, err
	}
	g, err := cfg.Guard()
	if err != nil {
		return nil, nil, unreadable(f.guard, err)
	}
	env, err := a.env()
	if err != nil {
		return nil, nil, err
	}
	st, err := sqlite.OpenState(cmd.Context(), f.data, env.Now)
	if err != nil {
		return nil, nil, unreadable(f.data, err)
	}
	return &change.Desk{Store: st, Guard: g, Now: env.Now, Free: cfg.Free}, func() { st.Close() }, nil
}

// guardFile reads what is never blocked. Where no file was named there may be none: the networks of this machine are
// protected all the same.
func (a *app) guardFile(f *blockFlags) (cfg change.Config, err error) {
	name := f.guard
	if name == "" {
		f.guard = filepath.Join(f.data, "guard.toml")
	}
	file, err := os.Open(f.guard)
	if errors.Is(err, os.ErrNotExist) && name == "" {
		cfg.Own = ownNetworks()
		return cfg, nil
	}
	if err != nil {
		return cfg, unreadable(f.guard, err)
	}
	defer file.Close()
	if err := toml.NewDecoder(file).DisallowUnknownFields().Decode(&cfg); err != nil {
		return cfg, unreadable(f.guard, err)
	}
	cfg.Own = append(cfg.Own, ownNetworks()...)
	return cfg, nil
}

// deskError says why an entry could not be worked on.
func deskError(id string, e *change.Entry, now time.Time, err error) error {
	switch {
	case errors.Is(err, change.ErrNoEntry):
		return usage(finding.S("there is no entry {{.ID}}", finding.Args{"ID": shorten(id)}), finding.S("mailwhy block list shows the ids; the first three characters do where only one entry has them", nil))
	case errors.Is(err, change.ErrState):
		return usage(finding.S("entry {{.ID}} ({{.What}}) is {{.State}}", finding.Args{"ID": e.ID, "What": e.What, "State": change.StateWord(e, now)}), finding.S("proposals are approved or refused, active entries are taken back", nil))
	}
	return err
}

// dataFolder is where the store is when nobody says otherwise. systemd names the folder of a unit's state.
func (a *app) dataFolder() string {
	if dir, ok := a.getenv("STATE_DIRECTORY"); ok && dir != "" {
		return filepath.SplitList(dir)[0]
	}
	if os.Geteuid() == 0 {
		return "/var/lib/mailwhy"
	}
	if dir := a.stateFile(""); dir != "" {
		return dir
	}
	return "mailwhy-data"
}

// ownNetworks are the addresses of this machine.
func ownNetworks() (out []string) {
	for _, p := range interfaceAddrs() {
		if a := p.Addr(); a.IsGlobalUnicast() && !a.IsPrivate() {
			out = append(out, netip.PrefixFrom(a, a.BitLen()).String())
		}
	}
	return out
}
