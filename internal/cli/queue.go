package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check"
	queuecheck "github.com/mailwhy/mailwhy/internal/check/queue"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/logs/queue"
	"github.com/mailwhy/mailwhy/internal/wire/local"
)

type queueOptions struct {
	top             int
	lifetime, watch time.Duration
}

func (a *app) queueCommand() *cobra.Command {
	var o queueOptions
	c := &cobra.Command{
		Use:   "queue [FILE|SPOOL]",
		Short: a.say("what waits in the mail queue, why, and what will expire"),
		Long: a.say(`Reads the mail queue of this machine (Postfix, Exim, Sendmail) or a saved listing (postqueue -j, postqueue -p, exim -bp, mailq, an Exim spool folder, - for standard input) and says what waits, for whom, how long, why, whose job that is, and what will expire. Called again it says how the queue grew.

Commands that retry, hold or remove are printed, never run.`),
		Example: "  mailwhy queue\n  mailwhy queue --watch 1m\n  postqueue -j | mailwhy queue -\n  mailwhy queue /var/spool/exim4",
		Args:    a.nArgs(0, 1, "at most one listing"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.queue(cmd, args, &o) },
	}
	f := c.Flags()
	f.IntVar(&o.top, "top", 10, a.say("rows per table"))
	f.DurationVar(&o.lifetime, "lifetime", 0, a.say("how long the server keeps trying (default: asked of the server, else 5 days)"))
	f.DurationVar(&o.watch, "watch", 0, a.say("look again after this time, until interrupted"))
	return c
}

// usualLifetime is Postfix's and Sendmail's default; Exim's example configuration gives up after four days.
const usualLifetime = 5 * 24 * time.Hour

func (a *app) queue(cmd *cobra.Command, args []string, o *queueOptions) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	ctx := a.begin(cmd)
	name := ""
	if len(args) == 1 {
		name = args[0]
	}
	var before *queuecheck.Snapshot
	for {
		before, err = a.oneQueue(ctx, env, name, o, before)
		if err != nil || o.watch <= 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(o.watch):
		}
	}
}

// oneQueue reads, judges and shows one listing.
func (a *app) oneQueue(ctx context.Context, env *check.Env, name string, o *queueOptions, before *queuecheck.Snapshot) (*queuecheck.Snapshot, error) {
	now := env.Now()
	lifetime := o.lifetime
	if lifetime <= 0 {
		lifetime = usualLifetime
		if name == "" {
			lifetime = liveLifetime(ctx)
		}
	}
	g := queuecheck.NewGatherer(now, lifetime)
	sum, err := a.readQueue(ctx, name, now, g.Entry)
	if err != nil {
		if name == "" {
			name = "queue"
		}
		return nil, unreadable(name, err)
	}
	state := ""
	if name == "" {
		state = a.stateFile("queue.json")
		if before == nil {
			before = readSnapshot(state)
		}
	}
	f := g.Facts(sum, before, env.Know)
	subject := finding.Subject{Kind: finding.KindFile, Name: name}
	if name == "" {
		subject = finding.Host(hostname())
	}
	snap := &queuecheck.Snapshot{At: now, Messages: f.Messages}
	if state != "" {
		writeSnapshot(state, snap)
	}
	return snap, a.show(queuecheck.Survey(env, subject, f, o.top))
}

// maxListing bounds the output of a queue listing program: a million messages fit.
const maxListing = 1 << 30

// readQueue reads a file, a spool folder, standard input, or the queue of this machine.
func (a *app) readQueue(ctx context.Context, name string, now time.Time, sink func(*queue.Entry)) (queue.Summary, error) {
	if name != "" {
		if st, err := os.Stat(name); err == nil && st.IsDir() {
			return queue.ReadSpool(os.DirFS(name), sink)
		}
		r, err := a.input(name)
		if err != nil {
			return queue.Summary{}, err
		}
		defer r.Close()
		return queue.Read(r, now, sink)
	}
	var missing error
	for _, p := range []struct {
		format queue.Format
		argv   []string
	}{
		{queue.PostfixJSON, []string{"postqueue", "-j"}}, {queue.EximText, []string{"exim", "-bp"}}, {queue.EximText, []string{"exim4", "-bp"}}, {queue.Sendmail, []string{"mailq"}},
	} {
		out, err := local.Output(ctx, 2*time.Minute, maxListing, p.argv[0], p.argv[1:]...)
		switch {
		case errors.Is(err, local.ErrMissing):
			missing = err
		case err != nil:
			return queue.Summary{}, err
		case len(bytes.TrimSpace(out)) == 0:
			return queue.Summary{Format: p.format}, nil
		default:
			return queue.Read(bytes.NewReader(out), now, sink)
		}
	}
	return queue.Summary{}, missing
}

// liveLifetime asks Postfix how long it keeps trying.
func liveLifetime(ctx context.Context) time.Duration {
	out, err := local.Output(ctx, 5*time.Second, 1000, "postconf", "-h", "maximal_queue_lifetime")
	if err != nil {
		return usualLifetime
	}
	word := string(bytes.TrimSpace(out))
	if d, err := spanOf(word); err == nil {
		return d
	}
	return usualLifetime
}

func hostname() string {
	h, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return h
}

// stateFile is where small things are remembered between runs, "" where there is no such place.
func (a *app) stateFile(name string) string {
	dir, ok := a.getenv("XDG_STATE_HOME")
	if !ok || dir == "" {
		home, ok := a.getenv("HOME")
		if !ok || home == "" {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "mailwhy", name)
}

func readSnapshot(name string) *queuecheck.Snapshot {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	var s queuecheck.Snapshot
	if json.Unmarshal(raw, &s) != nil || s.At.IsZero() {
		return nil
	}
	return &s
}

// writeSnapshot keeps the snapshot; a machine where that cannot be done loses the comparison and nothing else.
func writeSnapshot(name string, s *queuecheck.Snapshot) {
	raw, err := json.Marshal(s)
	if err != nil || os.MkdirAll(filepath.Dir(name), 0o700) != nil {
		return
	}
	_ = os.WriteFile(name, raw, 0o600)
}
