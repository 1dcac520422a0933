package sqlite

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"zombiezen.com/go/sqlite"

	"github.com/mailwhy/mailwhy/internal/notify"
)

// runtimeSchema keeps what is set up while mailwhy serves.
const runtimeSchema = `
CREATE TABLE channels (id TEXT PRIMARY KEY, channel TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE maintenance (id TEXT PRIMARY KEY, ends INTEGER, planned TEXT NOT NULL) WITHOUT ROWID;
`

// Channels is the notify.Shelf of the folder. Secrets are files of the folder "secrets", which nobody but the owner reads.
type Channels struct{ s *State }

var _ notify.Shelf = (*Channels)(nil)

// Channels gives the part that keeps channels which were made while mailwhy serves.
func (s *State) Channels() *Channels { return &Channels{s} }

// keptSecret begins a reference to a file of the folder of secrets.
const keptSecret = "kept:"

func (h *Channels) dir() string { return filepath.Join(h.s.folder, "secrets") }

// Channels lists what was made, by ID.
func (h *Channels) Channels(ctx context.Context) (out []notify.Channel, err error) {
	err = h.s.read(ctx, func(c *sqlite.Conn) (err error) { out, err = channels(c); return err })
	return out, err
}

func channels(c *sqlite.Conn) (out []notify.Channel, err error) {
	err = eachRow(c, "SELECT channel FROM channels ORDER BY id", func(st *sqlite.Stmt) error {
		var x notify.Channel
		if err := document(st, 0, &x); err != nil {
			return err
		}
		x.Made = true
		out = append(out, x)
		return nil
	})
	return out, err
}

// PutChannel stores a channel. New secrets are on the disk before the channel refers to them.
func (h *Channels) PutChannel(ctx context.Context, x *notify.Channel, secrets map[string]string) error {
	refs := x.Refs()
	for key, value := range secrets {
		if refs[key] == nil {
			return fmt.Errorf("a channel has no secret %q", key)
		}
		name, err := h.keep(value)
		if err != nil {
			return err
		}
		*refs[key] = notify.Secret(keptSecret + name)
	}
	raw, err := encoded(x)
	if err != nil {
		return err
	}
	err = h.s.write(ctx, func(c *sqlite.Conn) error {
		return exec(c, "INSERT INTO channels VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET channel = excluded.channel", x.ID, raw)
	})
	return errors.Join(err, h.sweep(ctx))
}

// keep writes a secret into a file of its own.
func (h *Channels) keep(value string) (name string, err error) {
	if err := os.MkdirAll(h.dir(), 0o700); err != nil {
		return "", err
	}
	name = rand.Text()
	f, err := os.OpenFile(filepath.Join(h.dir(), name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(value + "\n")
	return name, errors.Join(err, f.Sync(), f.Close())
}

// DropChannel forgets a channel and its secrets.
func (h *Channels) DropChannel(ctx context.Context, id string) error {
	err := h.s.write(ctx, func(c *sqlite.Conn) error { return exec(c, "DELETE FROM channels WHERE id = ?", id) })
	return errors.Join(err, h.sweep(ctx))
}

// ChannelSecret reads a secret.
func (h *Channels) ChannelSecret(ref notify.Secret) (string, error) {
	name, ok := strings.CutPrefix(string(ref), keptSecret)
	if !ok || name == "" || strings.ContainsAny(name, `/\.`) {
		return "", errors.New("this is no reference to a secret that is kept here")
	}
	raw, err := os.ReadFile(filepath.Join(h.dir(), name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("the secret is not there any more: enter it again")
	}
	return strings.TrimSuffix(string(raw), "\n"), err
}

// sweep deletes secrets that no channel refers to, also those of a change that was broken off.
func (h *Channels) sweep(ctx context.Context) error {
	entries, err := os.ReadDir(h.dir())
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	all, err := h.Channels(ctx)
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for i := range all {
		for _, ref := range all[i].Refs() {
			used[strings.TrimPrefix(string(*ref), keptSecret)] = true
		}
	}
	var errs []error
	for _, e := range entries {
		if !used[e.Name()] {
			errs = append(errs, os.Remove(filepath.Join(h.dir(), e.Name())))
		}
	}
	return errors.Join(errs...)
}
