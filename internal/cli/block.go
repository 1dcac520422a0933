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

// blockFlags are the options of the desk's commands.
type blockFlags struct {
	data, guard, by, reason, until, note, state, format, out string
	evidence                                                 []string
	within                                                   time.Duration
}

func (a *app) blockCommand() *cobra.Command {
	var f blockFlags
	c := &cobra.Command{
		Use:   "block",
		Short: a.say("the desk of our own blocklist: propose, approve, list, take back, export"),
		Long: a.say(`Keeps our own blocklist of addresses, networks and domains. Every entry has a reason, somebody who asked for it, somebody who approved it, and an end. Our own networks, private ranges and partners (guard.toml in the data directory) are never blocked.

Nothing here touches a server or a firewall: export writes a file for them.`),
	}
	c.PersistentFlags().StringVar(&f.data, "data", "", a.say("directory of the store (default: for root /var/lib/mailwhy; else ~/.local/state/mailwhy)"))
	c.PersistentFlags().StringVar(&f.guard, "guard", "", a.say("TOML file of what is never blocked (default: guard.toml in the data directory)"))
	c.PersistentFlags().StringVar(&f.by, "by", "", a.say("who does this (default: the login name)"))
	c.AddCommand(a.blockPropose(&f), a.blockDecide(&f, true), a.blockDecide(&f, false), a.blockRemove(&f), a.blockList(&f), a.blockExpire(&f), a.blockExport(&f))
	return c
}

func (a *app) blockPropose(f *blockFlags) *cobra.Command {
	c := &cobra.Command{
		Use:   "propose ADDRESS|NETWORK|DOMAIN…",
		Short: a.say("ask for an entry"),
		Args:  a.nArgs(1, -1, "one address, network or domain or more"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.atDesk(cmd, f, func(d *change.Desk) (r blockReport, err error) {
				until, ok := change.ParseUntil(f.until, d.Now())
				if !ok {
					return r, usage(finding.S("{{.Word}} in --until is no time", finding.Args{"Word": shorten(f.until)}), finding.S("give it like 12h, 7d, 2w or 2027-01-31", nil))
				}
				for _, what := range args {
					e, obs, err := d.Propose(cmd.Context(), change.Proposal{What: what, Reason: f.reason, Evidence: f.evidence, By: f.by, Until: until})
					if err != nil {
						return r, err
					}
					ends := until
					if e != nil {
						ends = e.Until
					}
					r.findings = append(r.findings, d.Guard.Findings(obs, ends)...)
					if e != nil {
						r.entries = append(r.entries, *e)
					} else {
						r.refused++
					}
				}
				r.says = finding.S("{{.N}} {{plural .N \"entry waits\" \"entries wait\"}} for a decision{{if .Refused}}, {{.Refused}} not taken{{end}}.", finding.Args{"N": len(r.entries), "Refused": r.refused})
				if len(r.entries) == 0 {
					r.says = finding.S("Not taken: {{.First}}.", finding.Args{"First": r.findings[0].Says()})
				} else if r.entries[0].State(d.Now()) == change.Proposed {
					r.next = finding.Cmd("block", "approve", r.entries[0].ID)
				} else {
					r.says = finding.S("On the desk already: {{.What}} is {{.State}}.", finding.Args{"What": r.entries[0].What, "State": change.StateWord(&r.entries[0], d.Now())})
				}
				return r, nil
			})
		},
	}
	c.Flags().StringVar(&f.reason, "reason", "", a.say("what was seen; asked for"))
	c.Flags().StringVar(&f.until, "until", "30d", a.say("when the entry ends: 12h, 7d, 2w or a day"))
	c.Flags().StringArrayVar(&f.evidence, "evidence", nil, a.say("a log line or reference, kept with the entry (repeatable)"))
	return c
}

func (a *app) blockDecide(f *blockFlags, approve bool) *cobra.Command {
	use, short := "approve ID…", a.say("let proposals become active")
	if !approve {
		use, short = "refuse ID…", a.say("turn proposals down")
	}
	c := &cobra.Command{
		Use: use, Short: short,
		Args: a.nArgs(1, -1, "the id of an entry or more"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.atDesk(cmd, f, func(d *change.Desk) (r blockReport, err error) {
				for _, id := range args {
					e, obs, err := d.Decide(cmd.Context(), id, f.by, approve, f.note)
					if err != nil {
						return r, deskError(id, e, d.Now(), err)
					}
					r.findings = append(r.findings, d.Guard.Findings(obs, e.Until)...)
					if len(obs) > 0 {
						r.refused++
					}
					r.entries = append(r.entries, *e)
				}
				n := len(r.entries) - r.refused
				switch {
				case !approve:
					r.says = finding.S("{{.N}} {{plural .N \"proposal\" \"proposals\"}} refused.", finding.Args{"N": n})
				case n == 0:
					r.says = finding.S("Not taken: {{.First}}.", finding.Args{"First": r.findings[0].Says()})
				default:
					r.says = finding.S("{{.N}} {{plural .N \"entry is\" \"entries are\"}} active; servers know of it after the next export.", finding.Args{"N": n})
					r.next = finding.Cmd("block", "export", "--as", "postfix-cidr")
				}
				return r, nil
			})
		},
	}
	c.Flags().StringVar(&f.note, "note", "", a.say("a word about the decision"))
	return c
}

func (a *app) blockRemove(f *blockFlags) *cobra.Command {
	c := &cobra.Command{
		Use:   "remove ID…",
		Short: a.say("take active entries back before their time"),
		Args:  a.nArgs(1, -1, "the id of an entry or more"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.atDesk(cmd, f, func(d *change.Desk) (r blockReport, err error) {
				for _, id := range args {
					e, err := d.Remove(cmd.Context(), id, f.by, f.note)
					if err != nil {
						return r, deskError(id, e, d.Now(), err)
					}
					r.entries = append(r.entries, *e)
				}
				r.says = finding.S("{{.N}} {{plural .N \"entry\" \"entries\"}} taken back; servers know of it after the next export.", finding.Args{"N": len(r.entries)})
				r.next = finding.Cmd("block", "export", "--as", "postfix-cidr")
				return r, nil
			})
		},
	}
	c.Flags().StringVar(&f.note, "note", "", a.say("a word about the decision"))
	return c
}

func (a *app) blockList(f *blockFlags) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: a.say("show the entries, and what waits for a decision"),
		Args:  a.nArgs(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.atDesk(cmd, f, func(d *change.Desk) (r blockReport, err error) {
				switch change.State(f.state) {
				case "", change.Proposed, change.Active, change.Refused, change.Expired, change.Removed:
				default:
					return r, usage(finding.S("unknown state {{.Word}} in --state", finding.Args{"Word": shorten(f.state)}), finding.S("one of proposed, active, refused, expired, removed", nil))
				}
				if r.entries, err = d.List(cmd.Context(), change.State(f.state)); err != nil {
					return r, err
				}
				count := map[change.State]int{}
				for i := range r.entries {
					count[r.entries[i].State(d.Now())]++
				}
				r.findings = change.Waiting(r.entries, d.Now())
				r.says = finding.S("{{.Active}} {{plural .Active \"entry is\" \"entries are\"}} active{{if .Waiting}}, {{.Waiting}} {{plural .Waiting \"waits\" \"wait\"}} for a decision{{end}}.",
					finding.Args{"Active": count[change.Active], "Waiting": count[change.Proposed]})
				return r, nil
			})
		},
	}
	c.Flags().StringVar(&f.state, "state", "", a.say("only entries in this state: proposed, active, refused, expired or removed"))
	return c
}

func (a *app) blockExpire(f *blockFlags) *cobra.Command {
	c := &cobra.Command{
		Use:   "expire",
		Short: a.say("show which entries have ended by themselves and which end soon"),
		Args:  a.nArgs(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.atDesk(cmd, f, func(d *change.Desk) (r blockReport, err error) {
				now := d.Now()
				all, err := d.List(cmd.Context(), "")
				if err != nil {
					return r, err
				}
				over, soon := 0, 0
				for _, e := range all {
					switch s := e.State(now); {
					case s == change.Expired && e.Approved && now.Sub(e.Until) < f.within:
						over++
					case s == change.Active && e.Until.Sub(now) < f.within:
						soon++
					default:
						continue
					}
					r.entries = append(r.entries, e)
				}
				r.says = finding.S("{{.Over}} {{plural .Over \"entry has\" \"entries have\"}} ended within the last {{.Within}}, {{.Soon}} {{plural .Soon \"ends\" \"end\"}} within the next.",
					finding.Args{"Over": over, "Soon": soon, "Within": f.within})
				if over > 0 {
					r.next = finding.Cmd("block", "export", "--as", "postfix-cidr")
				}
				return r, nil
			})
		},
	}
	c.Flags().DurationVar(&f.within, "within", 7*24*time.Hour, a.say("how far to look back and ahead"))
	return c
}

func (a *app) blockExport(f *blockFlags) *cobra.Command {
	c := &cobra.Command{
		Use:   "export",
		Short: a.say("write the active entries as a file for Postfix, Exim, nftables or rbldnsd"),
		Long: a.say(`Writes the active entries, overlaps merged, in the form a program reads:

  postfix-cidr    check_client_access cidr:FILE (networks)
  postfix-access  check_client_access or check_sender_access hash:FILE, after postmap (networks by octets, domains)
  exim-hosts      hosts = FILE in an ACL (networks)
  exim-domains    sender_domains = FILE in an ACL (domains)
  nft             nft -f FILE: a table with two sets (networks)
  rbldnsd         a zone of the kind "combined", with the test points of RFC 5782 (all)
  plain           one a line (all)

A client that is refused reads the entry's id and nothing else.`),
		Args: a.nArgs(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			desk, done, err := a.desk(cmd, f)
			if err != nil {
				return err
			}
			defer done()
			a.ran = true
			active, err := desk.List(cmd.Context(), change.Active)
			if err != nil {
				return err
			}
			w := a.out
			if f.out != "" {
				tmp, err := os.CreateTemp(filepath.Dir(f.out), ".mailwhy-*")
				if err != nil {
					return unreadable(f.out, err)
				}
				defer os.Remove(tmp.Name())
				defer tmp.Close()
				w = tmp
			}
			left, err := change.Export(w, f.format, active, desk.Now())
			if err != nil {
				return usage(finding.S("unknown format {{.Word}}", finding.Args{"Word": shorten(f.format)}), finding.S("one of {{list .All}}", finding.Args{"All": change.Formats}))
			}
			if tmp, ok := w.(*os.File); ok && f.out != "" {
				// The reader of the file sees the old one or the new one, never a half.
				if err := errors.Join(tmp.Chmod(0o644), tmp.Sync(), os.Rename(tmp.Name(), f.out)); err != nil {
					return unreadable(f.out, err)
				}
			}
			for _, e := range change.LeftOut(left, f.format) {
				a.warn(e.Says())
			}
			return nil
		},
	}
	c.Flags().StringVar(&f.format, "as", "plain", a.say("postfix-cidr, postfix-access, exim-hosts, exim-domains, nft, rbldnsd or plain"))
	c.Flags().StringVar(&f.out, "output", "", a.say("write to this file, replaced at once (default: the terminal)"))
	return c
}

// blockReport is what a command of the desk found out.
type blockReport struct {
	says     finding.Sentence
	next     finding.Command
	entries  []change.Entry
	findings []finding.Finding
	refused  int
}

// atDesk opens the desk, does the work and shows what came of it.
func (a *app) atDesk(cmd *cobra.Command, f *blockFlags, do func(*change.Desk) (blockReport, error)) error {
	desk, done, err := a.desk(cmd, f)
	if err != nil {
		return err
	}
	defer done()
	started := desk.Now()
	r, err := do(desk)
	if err != nil {
		return err
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
