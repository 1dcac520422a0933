package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/notify"
)

// Outbox is the contract of notify.Outbox. open gives an empty one.
func Outbox(t *testing.T, open func(t *testing.T) notify.Outbox) {
	ctx, box := context.Background(), open(t)
	at := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	put := func(id, channel string, minute int) {
		t.Helper()
		when := at.Add(time.Duration(minute) * time.Minute)
		must(box.PutDeliveries(ctx, []notify.Delivery{{ID: id, Channel: channel, Created: when, Due: when, State: notify.Waiting, Alert: notify.Alert{ID: id, What: notify.Text{EN: "down", ZH: "停机"}}}}))
	}
	pending := func() (out []string) {
		t.Helper()
		ds, err := box.PendingDeliveries(ctx, 100)
		must(err)
		for _, d := range ds {
			out = append(out, d.ID)
		}
		return out
	}
	put("a", "ops", 0)
	put("b", "ops", 1)
	put("c", "boss", 2)
	put("a", "ops", 9) // again: stays as it is
	if got := pending(); len(got) != 3 || got[0] != "a" || got[2] != "c" {
		t.Fatalf("%v", got)
	}
	must(box.PutAttempt(ctx, []string{"a"}, notify.Attempt{At: at, State: notify.Waiting, Due: at.Add(time.Hour), Text: "503 busy"}))
	ds, err := box.PendingDeliveries(ctx, 1)
	must(err)
	if len(ds) != 1 || ds[0].Tries != 1 || !ds[0].Due.Equal(at.Add(time.Hour)) || ds[0].Text != "503 busy" || !ds[0].Done.IsZero() || ds[0].Alert.What.ZH != "停机" {
		t.Errorf("%+v", ds)
	}
	must(box.PutAttempt(ctx, []string{"a", "b"}, notify.Attempt{At: at.Add(time.Minute), State: notify.Sent, Message: "a"}))
	must(box.PutAttempt(ctx, []string{"c"}, notify.Attempt{At: at, State: notify.Folded}))
	if got := pending(); len(got) != 0 {
		t.Errorf("%v", got)
	}
	for _, c := range []struct {
		channel string
		since   time.Time
		want    int
	}{{"ops", at, 1}, {"ops", at.Add(2 * time.Minute), 0}, {"boss", at.Add(-time.Hour), 0}} {
		if n, err := box.SentSince(ctx, c.channel, c.since); err != nil || n != c.want {
			t.Errorf("%s since %s: %d messages, want %d, %v", c.channel, c.since, n, c.want, err)
		}
	}
	if ds, err := box.Deliveries(ctx, "ops", 10); err != nil || len(ds) != 2 || ds[0].ID != "b" || ds[0].State != notify.Sent {
		t.Errorf("%+v, %v", ds, err)
	}
	if ds, err := box.Deliveries(ctx, "", 10); err != nil || len(ds) != 3 {
		t.Errorf("%+v, %v", ds, err)
	}
	put("e", "ops", 3)
	must(box.PutAttempt(ctx, []string{"e"}, notify.Attempt{At: at, State: notify.Waiting, Text: "503 busy"}))
	must(box.PutAttempt(ctx, []string{"e"}, notify.Attempt{At: at, State: notify.GivenUp}))
	if ds, err := box.Deliveries(ctx, "ops", 1); err != nil || len(ds) != 1 || ds[0].State != notify.GivenUp || ds[0].Text != "503 busy" {
		t.Errorf("what was given up lost its reason: %+v, %v", ds, err)
	}
	for id, want := range map[string]error{"a": notify.ErrNone, "nobody": notify.ErrNone, "e": nil} {
		if err := box.Renew(ctx, id, at.Add(time.Hour)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", id, err, want)
		}
	}
	if ds, err := box.PendingDeliveries(ctx, 10); err != nil || len(ds) != 1 || ds[0].ID != "e" || ds[0].Tries != 0 || !ds[0].Created.Equal(at.Add(time.Hour)) {
		t.Errorf("%+v, %v", ds, err)
	}
	must(box.PutAttempt(ctx, []string{"e"}, notify.Attempt{At: at, State: notify.Sent, Message: "e"}))
	put("d", "ops", 0)
	if n, err := box.PruneDeliveries(ctx, at.Add(90*time.Second)); err != nil || n != 2 {
		t.Errorf("pruned %d, %v", n, err)
	}
	if got := pending(); len(got) != 1 || got[0] != "d" {
		t.Errorf("what waits was forgotten: %v", got)
	}
}

// Channels is the contract of notify.Shelf. open gives an empty one.
func Channels(t *testing.T, open func(t *testing.T) notify.Shelf) {
	ctx, s := context.Background(), open(t)
	put := func(c notify.Channel, secrets map[string]string) notify.Channel {
		t.Helper()
		if err := s.PutChannel(ctx, &c, secrets); err != nil {
			t.Fatal(err)
		}
		return c
	}
	chat := put(notify.Channel{ID: "chat", Kind: "feishu", Lang: "zh"}, map[string]string{"hook": "https://chat.example/x", "secret": "s3cret"})
	put(notify.Channel{ID: "aa", Kind: "webhook", URL: "https://a.example"}, nil)
	all, err := s.Channels(ctx)
	if err != nil || len(all) != 2 || all[0].ID != "aa" || all[1].Lang != "zh" || all[1].Hook != chat.Hook || all[1].Secret == all[1].Hook || !all[1].Made {
		t.Fatalf("%+v, %v", all, err)
	}
	for ref, want := range map[notify.Secret]string{chat.Hook: "https://chat.example/x", chat.Secret: "s3cret"} {
		if got, err := s.ChannelSecret(ref); err != nil || got != want {
			t.Errorf("%s: %q, %v", ref, got, err)
		}
	}
	next := put(chat, map[string]string{"secret": "other"})
	if got, err := s.ChannelSecret(next.Hook); err != nil || got != "https://chat.example/x" {
		t.Errorf("a secret that was not changed: %q, %v", got, err)
	}
	if got, err := s.ChannelSecret(next.Secret); err != nil || got != "other" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := s.ChannelSecret(chat.Secret); err == nil {
		t.Error("the old secret can still be read")
	}
	for _, ref := range []notify.Secret{"file:/etc/passwd", "kept:../state.db", "kept:", "x"} {
		if got, err := s.ChannelSecret(ref); err == nil {
			t.Errorf("%s: %q", ref, got)
		}
	}
	if err := s.DropChannel(ctx, "chat"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ChannelSecret(next.Hook); err == nil {
		t.Error("the secret of a channel that is gone can still be read")
	}
	if all, err := s.Channels(ctx); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}
