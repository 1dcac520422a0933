package sqlite

import (
	"context"
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
