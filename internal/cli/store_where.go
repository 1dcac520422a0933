package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/notify"
	"github.com/mailwhy/mailwhy/internal/store/clickhouse"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
)

// storePasswordEnv holds the password of a ClickHouse store where no file does.
const storePasswordEnv = "MAILWHY_STORE_PASSWORD"

// asked is a store that is only asked.
type asked interface {
	flowStore
	Close() error
}

// storePasswordFlag adds the flag for the file of a ClickHouse store's password.
func (a *app) storePasswordFlag(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "store-password-file", "", a.say("file whose first line is the password of the ClickHouse store (default: MAILWHY_STORE_PASSWORD)"))
}

// secretOnCommandLine refuses a password that everybody on this machine could read in the list of processes.
func secretOnCommandLine(where string) error {
	if _, secret := clickhouse.SplitPassword(where); secret == "" {
		return nil
	}
	return usage(finding.S("--store holds a password, which everybody on this machine can read in the list of processes", nil), finding.S("leave it out; give --store-password-file FILE or set MAILWHY_STORE_PASSWORD", nil))
}

// storePassword gives the password of a ClickHouse store: of the file, or of the environment. "" means that of its URL,
// or none.
func (a *app) storePassword(file string) (string, error) {
	if file == "" {
		v, _ := a.getenv(storePasswordEnv)
		return v, nil
	}
	secret, err := a.readSecret(notify.Secret("file:" + file))
	if err != nil {
		return "", unreadable(file, err)
	}
	return secret, nil
}

// openAsked opens a store for asking it: the folder of an embedded one, or the URL of one on ClickHouse servers.
func (a *app) openAsked(ctx context.Context, where, passwordFile string) (asked, error) {
	if !strings.HasPrefix(where, clickhouse.Prefix) {
		return a.openStore(ctx, where, true)
	}
	if err := secretOnCommandLine(where); err != nil {
		return nil, err
	}
	secret, err := a.storePassword(passwordFile)
	if err != nil {
		return nil, err
	}
	env, err := a.env()
	if err != nil {
		return nil, err
	}
	s, err := clickhouse.Open(ctx, where, clickhouse.Options{Dialects: dialects.All(), Local: time.Local, Know: env.Know, Now: env.Now, Password: secret, ReadOnly: true})
	if err != nil {
		return nil, notOpened(where, err)
	}
	return s, nil
}

// notOpened says why a ClickHouse store cannot be used, without its password.
func notOpened(where string, err error) error {
	where, _ = clickhouse.SplitPassword(where)
	return &readError{what: finding.S("the store {{.Where}} cannot be opened: {{.Text}}", finding.Args{"Where": shorten(where), "Text": finding.Raw(err.Error())}), err: err}
}
