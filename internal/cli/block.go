package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/change"
	"github.com/mailwhy/mailwhy/internal/finding"
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

// deskWork is what a command does at the desk with its arguments.
type deskWork func(ctx context.Context, d *change.Desk, args []string) (blockReport, error)

// deskCommand completes a command of the desk: it opens the desk, does the work and shows what came of it.
func (a *app) deskCommand(c *cobra.Command, f *blockFlags, do deskWork) *cobra.Command {
	c.RunE = func(cmd *cobra.Command, args []string) error { return a.atDesk(cmd, f, args, do) }
	return c
}

func (a *app) blockPropose(f *blockFlags) *cobra.Command {
	c := a.deskCommand(&cobra.Command{
		Use:   "propose ADDRESS|NETWORK|DOMAIN…",
		Short: a.say("ask for an entry"),
		Args:  a.nArgs(1, -1, "one address, network or domain or more"),
	}, f, f.propose)
	c.Flags().StringVar(&f.reason, "reason", "", a.say("what was seen; asked for"))
	f.untilFlag(a, c)
	c.Flags().StringArrayVar(&f.evidence, "evidence", nil, a.say("a log line or reference, kept with the entry (repeatable)"))
	return c
}

func (f *blockFlags) untilFlag(a *app, c *cobra.Command) {
	c.Flags().StringVar(&f.until, "until", "30d", a.say("when the entry ends: 12h, 7d, 2w or a day"))
}

func (f *blockFlags) propose(ctx context.Context, d *change.Desk, args []string) (blockReport, error) {
	var wanted []change.Proposal
	for _, what := range args {
		wanted = append(wanted, change.Proposal{What: what, Reason: f.reason, Evidence: f.evidence})
	}
	return f.proposeAll(ctx, d, wanted)
}

// proposeAll puts proposals on the desk; who asks and until when is in the flags.
func (f *blockFlags) proposeAll(ctx context.Context, d *change.Desk, wanted []change.Proposal) (r blockReport, err error) {
	until, ok := change.ParseUntil(f.until, d.Now())
	if !ok {
		return r, usage(finding.S("{{.Word}} in --until is no time", finding.Args{"Word": shorten(f.until)}), finding.S("give it like 12h, 7d, 2w or 2027-01-31", nil))
	}
	r.did = "block.propose"
	for _, p := range wanted {
		p.By, p.Until = f.by, until
		e, obs, err := d.Propose(ctx, p)
		if err != nil {
			return r, err
		}
		if e == nil {
			r.refused++
			r.findings = append(r.findings, d.Guard.Findings(obs, until)...)
			continue
		}
		r.findings = append(r.findings, d.Guard.Findings(obs, e.Until)...)
		r.entries = append(r.entries, *e)
	}
	switch {
	case len(r.entries) == 0 && r.refused > 0:
		r.says = finding.S("Not taken: {{.First}}.", finding.Args{"First": r.findings[0].Says()})
	case len(r.entries) > 0 && r.entries[0].State(d.Now()) != change.Proposed:
		r.says = finding.S("On the desk already: {{.What}} is {{.State}}.", finding.Args{"What": r.entries[0].What, "State": change.StateWord(&r.entries[0], d.Now())})
	default:
		r.says = finding.S("{{.N}} {{plural .N \"entry waits\" \"entries wait\"}} for a decision{{if .Refused}}, {{.Refused}} not taken{{end}}.", finding.Args{"N": len(r.entries), "Refused": r.refused})
		if len(r.entries) > 0 {
			r.next = finding.Cmd("block", "approve", r.entries[0].ID)
		}
	}
	return r, nil
}

func (a *app) blockDecide(f *blockFlags, approve bool) *cobra.Command {
	use, short := "approve ID…", a.say("let proposals become active")
	if !approve {
		use, short = "refuse ID…", a.say("turn proposals down")
	}
	c := a.deskCommand(&cobra.Command{Use: use, Short: short, Args: a.nArgs(1, -1, "the id of an entry or more")}, f,
		func(ctx context.Context, d *change.Desk, ids []string) (blockReport, error) {
			return f.decide(ctx, d, ids, approve)
		})
	f.noteFlag(a, c)
	return c
}

func (f *blockFlags) noteFlag(a *app, c *cobra.Command) {
	c.Flags().StringVar(&f.note, "note", "", a.say("a word about the decision"))
}

func (f *blockFlags) decide(ctx context.Context, d *change.Desk, ids []string, approve bool) (r blockReport, err error) {
	if r.did = "block.refuse"; approve {
		r.did = "block.approve"
	}
	for _, id := range ids {
		e, obs, err := d.Decide(ctx, id, f.by, approve, f.note)
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
		r.next = nextExport()
	}
	return r, nil
}

func nextExport() finding.Command { return finding.Cmd("block", "export", "--as", "postfix-cidr") }

func (a *app) blockRemove(f *blockFlags) *cobra.Command {
	c := a.deskCommand(&cobra.Command{
		Use:   "remove ID…",
		Short: a.say("take active entries back before their time"),
		Args:  a.nArgs(1, -1, "the id of an entry or more"),
	}, f, f.remove)
	f.noteFlag(a, c)
	return c
}

func (f *blockFlags) remove(ctx context.Context, d *change.Desk, ids []string) (r blockReport, err error) {
	r.did = "block.remove"
	for _, id := range ids {
		e, err := d.Remove(ctx, id, f.by, f.note)
		if err != nil {
			return r, deskError(id, e, d.Now(), err)
		}
		r.entries = append(r.entries, *e)
	}
	r.says = finding.S("{{.N}} {{plural .N \"entry\" \"entries\"}} taken back; servers know of it after the next export.", finding.Args{"N": len(r.entries)})
	r.next = nextExport()
	return r, nil
}

func (a *app) blockList(f *blockFlags) *cobra.Command {
	c := a.deskCommand(&cobra.Command{
		Use:   "list",
		Short: a.say("show the entries, and what waits for a decision"),
		Args:  a.nArgs(0, 0, "no argument"),
	}, f, f.list)
	c.Flags().StringVar(&f.state, "state", "", a.say("only entries in this state: proposed, active, refused, expired or removed"))
	return c
}

func (f *blockFlags) list(ctx context.Context, d *change.Desk, _ []string) (r blockReport, err error) {
	switch change.State(f.state) {
	case "", change.Proposed, change.Active, change.Refused, change.Expired, change.Removed:
	default:
		return r, usage(finding.S("unknown state {{.Word}} in --state", finding.Args{"Word": shorten(f.state)}), finding.S("one of proposed, active, refused, expired, removed", nil))
	}
	if r.entries, err = d.List(ctx, change.State(f.state)); err != nil {
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
}

func (a *app) blockExpire(f *blockFlags) *cobra.Command {
	c := a.deskCommand(&cobra.Command{
		Use:   "expire",
		Short: a.say("show which entries have ended by themselves and which end soon"),
		Args:  a.nArgs(0, 0, "no argument"),
	}, f, f.expire)
	c.Flags().DurationVar(&f.within, "within", 7*24*time.Hour, a.say("how far to look back and ahead"))
	return c
}

func (f *blockFlags) expire(ctx context.Context, d *change.Desk, _ []string) (r blockReport, err error) {
	now := d.Now()
	all, err := d.List(ctx, "")
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
		r.next = nextExport()
	}
	return r, nil
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
			left, err := a.exportTo(f, active, desk.Now())
			if err != nil {
				return err
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

// exportTo writes the entries to the file of the flags or the terminal.
func (a *app) exportTo(f *blockFlags, active []change.Entry, now time.Time) ([]change.Entry, error) {
	write := func(w io.Writer) ([]change.Entry, error) {
		left, err := change.Export(w, f.format, active, now)
		if err != nil {
			return nil, usage(finding.S("unknown format {{.Word}}", finding.Args{"Word": shorten(f.format)}), finding.S("one of {{list .All}}", finding.Args{"All": change.Formats}))
		}
		return left, nil
	}
	if f.out == "" {
		return write(a.out)
	}
	tmp, err := os.CreateTemp(filepath.Dir(f.out), ".mailwhy-*")
	if err != nil {
		return nil, unreadable(f.out, err)
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	left, err := write(tmp)
	if err != nil {
		return nil, err
	}
	// The reader of the file sees the old one or the new one, never a half.
	if err := errors.Join(tmp.Chmod(0o644), tmp.Sync(), os.Rename(tmp.Name(), f.out)); err != nil {
		return nil, unreadable(f.out, err)
	}
	return left, nil
}
