package cli

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/notify"
)

// accounts are the mailboxes of the configuration that runs and monitors may log in to. nil: there are none.
type accounts struct {
	list   atomic.Pointer[[]monitor.Account] // replaced when the configuration is read again
	secret func(ref notify.Secret) (string, error)
}

// newAccounts keeps the accounts of a configuration.
func (a *app) newAccounts(list []monitor.Account) *accounts {
	b := &accounts{secret: a.readSecret}
	b.list.Store(&list)
	return b
}

// names lists them in the order of the file.
func (b *accounts) names() []string {
	if b == nil {
		return nil
	}
	return (&monitor.Config{Account: *b.list.Load()}).AccountNames()
}

// open gives an account with its password, which is read at this moment.
func (b *accounts) open(name string) (monitor.Account, string, error) {
	a, err := b.find(name)
	if err != nil {
		return a, "", err
	}
	secret, err := b.secret(notify.Secret(a.Password))
	if err != nil {
		return a, "", fmt.Errorf("the password of account %s: %w", name, err)
	}
	return a, secret, nil
}

// find gives an account.
func (b *accounts) find(name string) (monitor.Account, error) {
	if b != nil {
		list := *b.list.Load()
		if i := slices.IndexFunc(list, func(a monitor.Account) bool { return a.Name == name }); i >= 0 {
			return list[i], nil
		}
	}
	return monitor.Account{}, fmt.Errorf("there is no account %s in the configuration", name)
}
