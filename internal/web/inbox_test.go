package web_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/web"
)

// fakeInbox gives out addresses and holds what the test puts into them.
type fakeInbox struct {
	mu   sync.Mutex
	all  []web.TestAddress
	full bool
}

func (f *fakeInbox) Open(_ context.Context, by string) (*web.TestAddress, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full {
		return nil, web.ErrInboxFull
	}
	at := time.Date(2026, 11, 22, 12, 0, len(f.all), 0, time.UTC)
	f.all = append(f.all, web.TestAddress{Address: "test-" + string(rune('a'+len(f.all)%26)) + "@why.example", By: by, Created: at, Expires: at.Add(time.Hour)})
	return &f.all[len(f.all)-1], nil
}

func (f *fakeInbox) Addresses() []web.TestAddress {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all)
}

func TestInboxShowsOnesOwn(t *testing.T) {
	h := newHouse(t)
	f := &fakeInbox{}
	h.again(func(o *web.Options) { o.Inbox = f })
	var a struct{ Address string }
	h.want(201, "helpdesk", "POST", "/api/v1/inbox", nil).into(t, &a)
	f.all[0].Messages = []web.TestMessage{
		{At: h.clock.now(), From: "li@mine.example", Report: &finding.Report{Command: "score", Headline: finding.Headline{State: finding.StateOK, Says: finding.S("the name is taken", nil)}}},
		{At: h.clock.now(), From: "li@mine.example"},
	}
	got := h.want(200, "helpdesk", "GET", "/api/v1/inbox/"+a.Address+"?lang=zh", nil).text
	if !strings.Contains(got, "该名称已被使用") || strings.Count(got, `"from":"li@mine.example"`) != 2 {
		t.Errorf("%s", got)
	}
	h.want(404, "operator", "GET", "/api/v1/inbox/"+a.Address, nil)
	h.want(200, "admin", "GET", "/api/v1/inbox/"+a.Address, nil)
	if got := h.want(200, "operator", "GET", "/api/v1/inbox", nil).text; strings.Contains(got, "test-") {
		t.Errorf("%s", got)
	}
	f.full = true
	h.want(429, "operator", "POST", "/api/v1/inbox", nil)
	f.full = false
	for range 9 {
		h.want(201, "helpdesk", "POST", "/api/v1/inbox", nil)
	}
	h.want(429, "helpdesk", "POST", "/api/v1/inbox", nil)
}
