package sqlite

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/monitor"
	"github.com/mailwhy/mailwhy/internal/notify"
	"github.com/mailwhy/mailwhy/internal/store/storetest"
)

func TestMonitorsKeepTheContract(t *testing.T) {
	storetest.Monitors(t, func(t *testing.T) (monitor.Store, func() monitor.Store) {
		dir := t.TempDir()
		open := func() monitor.Store {
			s, err := OpenState(context.Background(), dir, time.Now)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s.Monitors()
		}
		return open(), open
	})
}

func TestOutboxKeepsTheContract(t *testing.T) {
	storetest.Outbox(t, func(t *testing.T) notify.Outbox {
		s, err := OpenState(context.Background(), t.TempDir(), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s.Outbox()
	})
}

func TestChannelsKeepTheContract(t *testing.T) {
	storetest.Channels(t, func(t *testing.T) notify.Shelf {
		s, err := OpenState(context.Background(), t.TempDir(), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s.Channels()
	})
}

// Secrets of channels are readable by their owner alone, and in no database.
func TestSecretsAreKeptApart(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenState(t.Context(), dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	c := notify.Channel{ID: "chat", Kind: "slack"}
	if err := s.Channels().PutChannel(t.Context(), &c, map[string]string{"hook": "https://hooks.chat.example/verysecret"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(dir, "secrets"))
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", st, err)
	}
	found := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(raw, []byte("verysecret")) {
			return err
		}
		found++
		info, err := d.Info()
		if err != nil || info.Mode().Perm() != 0o600 || filepath.Base(filepath.Dir(path)) != "secrets" {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
		return err
	})
	if err != nil || found != 1 {
		t.Errorf("%d files have the secret, %v", found, err)
	}
}
