package notify

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// shelf is a Shelf for these tests; the contract is held by store/storetest.
type shelf struct {
	channels map[string]Channel
	secrets  map[Secret]string
}

func newShelf() *shelf { return &shelf{map[string]Channel{}, map[Secret]string{}} }

func (s *shelf) Channels(context.Context) ([]Channel, error) {
	out := slices.Collect(maps.Values(s.channels))
	slices.SortFunc(out, func(a, b Channel) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}
func (s *shelf) PutChannel(_ context.Context, c *Channel, secrets map[string]string) error {
	for key, value := range secrets {
		ref := Secret(kept + c.ID + "." + key)
		s.secrets[ref], *c.Refs()[key] = value, ref
	}
	s.channels[c.ID] = *c
	return nil
}
func (s *shelf) DropChannel(_ context.Context, id string) error { delete(s.channels, id); return nil }
func (s *shelf) ChannelSecret(ref Secret) (string, error) {
	if v, ok := s.secrets[ref]; ok {
		return v, nil
	}
	return "", errors.New("gone")
}

// A channel is made, sends, is changed without its secret being said again, and goes.
func TestBook(t *testing.T) {
	ctx, stub, other := t.Context(), newStub(t, "ok"), newStub(t, "ok")
	file := &Config{Channel: []Channel{{ID: "pager", Kind: "webhook", Hook: "env:HOOK"}}}
	d := NewDispatcher(&memory{by: map[string]string{}}, &Doors{Secret: func(Secret) (string, error) { return stub.URL + "/file", nil }}, file, nil)
	b, err := NewBook(ctx, newShelf(), d, &Doors{HTTP: http.DefaultClient}, file)
	if err != nil {
		t.Fatal(err)
	}
	right := func(bad []Problem, err error) {
		t.Helper()
		if err != nil || len(bad) > 0 {
			t.Fatalf("%+v, %v", bad, err)
		}
	}
	right(b.Add(ctx, Channel{ID: "chat", Kind: "slack"}, map[string]string{"hook": stub.URL + "/services/T0/B0/verysecret"}))
	list := b.List()
	if len(list) != 2 || list[0].Editable || !slices.Equal(list[0].Secrets, []string{"hook"}) || list[0].Channel.Hook != "" || !list[1].Editable ||
		!slices.Equal(list[1].Secrets, []string{"hook"}) || list[1].Channel.Hook != "" {
		t.Fatalf("%+v", list)
	}
	for _, id := range []string{"pager", "chat"} {
		if err := b.Test(ctx, id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	if len(stub.requests) != 2 || stub.requests[0].URL.Path != "/file" || stub.requests[1].URL.Path != "/services/T0/B0/verysecret" {
		t.Fatalf("%d requests", len(stub.requests))
	}
	right(b.Change(ctx, Channel{ID: "chat", Kind: "slack", Lang: "zh"}, nil)) // the secret stays
	if err := b.Test(ctx, "chat"); err != nil || len(stub.requests) != 3 {
		t.Errorf("%v, %d", err, len(stub.requests))
	}
	right(b.Change(ctx, Channel{ID: "chat", Kind: "mattermost"}, map[string]string{"hook": other.URL + "/hooks/x"}))
	if err := b.Test(ctx, "chat"); err != nil || len(other.requests) != 1 {
		t.Errorf("%v, %d", err, len(other.requests))
	}
	alert := failing()
	if err := d.Take(ctx, &alert, []string{"chat"}); err != nil { // the dispatcher knows it, too
		t.Error(err)
	}
	if ds, _ := d.box.PendingDeliveries(ctx, 10); len(ds) != 1 || ds[0].Channel != "chat" {
		t.Errorf("%+v", ds)
	}
	if err := b.Remove(ctx, "chat"); err != nil || len(d.Channels()) != 1 {
		t.Errorf("%v, %+v", err, d.Channels())
	}
	if err := b.Remove(ctx, "chat"); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	if err := b.Test(ctx, "chat"); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
}

func TestBookRefuses(t *testing.T) {
	ctx := t.Context()
	file := &Config{Channel: []Channel{{ID: "pager", Kind: "webhook", URL: "https://pager.mine.example"}}}
	shelf := newShelf()
	shelf.channels["pager"] = Channel{ID: "pager", Kind: "slack"} // the file came later, and wins
	b, err := NewBook(ctx, shelf, NewDispatcher(&memory{by: map[string]string{}}, &Doors{}, file, nil), &Doors{}, file)
	if err != nil || len(b.List()) != 1 {
		t.Fatalf("%v, %+v", err, b.List())
	}
	if _, err := b.Add(ctx, Channel{ID: "pager", Kind: "slack"}, nil); !errors.Is(err, ErrTaken) {
		t.Error(err)
	}
	if _, err := b.Change(ctx, Channel{ID: "pager", Kind: "slack"}, nil); !errors.Is(err, ErrFile) {
		t.Error(err)
	}
	if err := b.Remove(ctx, "pager"); !errors.Is(err, ErrFile) {
		t.Error(err)
	}
	if _, err := b.Change(ctx, Channel{ID: "none", Kind: "slack"}, nil); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	hook := map[string]string{"hook": "https://hooks.chat.example/x"}
	for _, c := range []struct {
		name    string
		c       Channel
		secrets map[string]string
		key     string
	}{
		{"no id", Channel{Kind: "slack"}, hook, "id"},
		{"no hook", Channel{ID: "a", Kind: "slack"}, nil, "hook"},
		{"a file of this machine", Channel{ID: "a", Kind: "telegram", Chat: "1", Secret: "file:/etc/shadow"}, nil, "secret"},
		{"somebody else's secret", Channel{ID: "a", Kind: "slack", Hook: "kept:other"}, nil, "hook"},
		{"no address", Channel{ID: "a", Kind: "slack"}, map[string]string{"hook": "file:/etc/passwd"}, "hook"},
		{"two lines", Channel{ID: "a", Kind: "telegram", Chat: "1"}, map[string]string{"secret": "one\ntwo"}, "secret"},
		{"too long", Channel{ID: "a", Kind: "telegram", Chat: "1"}, map[string]string{"secret": strings.Repeat("x", 5000)}, "secret"},
		{"no such secret", Channel{ID: "a", Kind: "slack"}, map[string]string{"hook": hook["hook"], "pin": "1"}, "pin"},
		{"no use for it", Channel{ID: "a", Kind: "slack", Chat: "1"}, hook, "chat"},
	} {
		bad, err := b.Add(ctx, c.c, c.secrets)
		if err != nil || len(bad) == 0 || bad[0].Path[0] != c.key {
			t.Errorf("%s: %+v, %v", c.name, bad, err)
		}
		for _, p := range bad {
			if strings.Contains(p.Says.In("en"), "passwd") {
				t.Errorf("%s: repeats the secret: %s", c.name, p.Says.In("en"))
			}
		}
	}
	if len(shelf.channels) != 1 {
		t.Errorf("%+v", shelf.channels)
	}
}
