package cli

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
)

func (a *app) storeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "store",
		Short: a.say("take logs into a store, and look after it"),
		Long: a.say(`Looks after the folder in which mailwhy serve remembers what the logs told.

"import" takes whole logs in, as fast as the machine allows; "mailwhy trace --store" asks them. "check" reads everything and tells damage. "retain" deletes what is older than is to be kept, but for what a legal hold covers.`),
		Args: a.nArgs(0, 0, "a subcommand"),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(a.storeImport(), a.storeStats(), a.storeCheck(), a.storeCompact(), a.storeExport(), a.storeRetain(), a.storeHold())
	return c
}

// storeFolder adds the flag for the folder of the store and gives where it is.
func (a *app) storeFolder(c *cobra.Command) func() string {
	data := ""
	c.Flags().StringVar(&data, "data", "", a.say("folder of everything that is remembered"))
	return func() string {
		if data == "" {
			return a.dataFolder()
		}
		return data
	}
}

// storeJob makes a subcommand that works with the store of a folder and shows what came of it.
func (a *app) storeJob(c *cobra.Command, readOnly bool, do func(ctx context.Context, s *sqlite.Store, folder string) (*finding.Report, error)) *cobra.Command {
	c.Args = cobra.NoArgs
	folder := a.storeFolder(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := a.begin(cmd)
		s, err := a.openStore(ctx, folder(), readOnly)
		if err != nil {
			return err
		}
		defer s.Close()
		rep, err := do(ctx, s, folder())
		if err != nil {
			return notDone(ctx, folder(), err)
		}
		return a.show(rep)
	}
	return c
}

// notDone says what failed about the folder of a store, where the error does not say it for people already.
func notDone(ctx context.Context, folder string, err error) error {
	var read *readError
	var wrong *usageError
	if ctx.Err() != nil || errors.As(err, &read) || errors.As(err, &wrong) {
		return err
	}
	return unreadable(folder, err)
}

// openStore opens the store of a folder.
func (a *app) openStore(ctx context.Context, folder string, readOnly bool) (*sqlite.Store, error) {
	if rest, ok := strings.CutPrefix(folder, "file:"); ok {
		folder = strings.TrimPrefix(rest, "//")
	} else if i := strings.Index(folder, "://"); i > 0 {
		return nil, usage(finding.S("{{.URL}} is no store that mailwhy can open", finding.Args{"URL": folder[:i+3] + "…"}), finding.S("give the folder of a store", nil))
	}
	env, err := a.env()
	if err != nil {
		return nil, err
	}
	s, err := sqlite.Open(ctx, folder, sqlite.Options{Dialects: dialects.All(), Local: time.Local, Know: env.Know, Now: env.Now, ReadOnly: readOnly,
		Trouble: func(err error) { a.notRead(err) }})
	switch {
	case errors.Is(err, sqlite.ErrInUse):
		return nil, &readError{finding.S("{{.Folder}} is in use by another mailwhy", finding.Args{"Folder": folder}), finding.S("stop mailwhy serve first, or let it do this", nil), err}
	case errors.Is(err, sqlite.ErrNoStore):
		return nil, &readError{finding.S("{{.Folder}} holds no store", finding.Args{"Folder": folder}), finding.S("mailwhy store import makes one", nil), err}
	case err != nil:
		return nil, unreadable(folder, err)
	}
	return s, nil
}

// storeReport is a report about the folder of a store.
func storeReport(folder string, facts any, says finding.Sentence) *finding.Report {
	return &finding.Report{Command: "store", Target: finding.Subject{Kind: finding.KindFile, Name: folder}, Headline: finding.Headline{State: finding.StateOK, Says: says}, Facts: facts}
}
