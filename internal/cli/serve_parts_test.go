package cli

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/inbox"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/web"
)

func quietParts(t *testing.T) *service {
	t.Helper()
	a := newApp(strings.NewReader(""), io.Discard, io.Discard, func(string) (string, bool) { return "", false })
	return &service{app: a, cfg: &Config{}, log: slog.New(slog.DiscardHandler), now: time.Now, newEnv: offlineEnv, know: knowledge.Embedded()}
}

func TestInboxScoresWhatArrives(t *testing.T) {
	v := quietParts(t)
	v.cfg.Inbox = InboxConfig{Listen: "127.0.0.1:0", Domain: "why.mine.example"}
	p, err := inboxPart(t.Context(), v)
	if err != nil || p == nil {
		t.Fatal(p, err)
	}
	box := v.web.Inbox.(*testInbox)
	a, err := box.Open(t.Context(), "u1")
	if err != nil || !strings.HasSuffix(a.Address, "@why.mine.example") {
		t.Fatal(a, err)
	}
	raw := "Return-Path: <wang@partner.example>\r\nReceived: from a.partner.example ([192.0.2.7]) by why.mine.example; Sun, 22 Nov 2026 10:00:00 +0000\r\nFrom: wang@partner.example\r\nTo: " + a.Address + "\r\nSubject: =?utf-8?B?5rWL6K+V?=\r\n\r\nhello\r\n"
	box.arrived(inbox.Message{Address: a.Address, Client: netip.MustParseAddr("192.0.2.7"), From: "wang@partner.example", At: time.Now(), Raw: []byte(raw)})
	box.arrived(inbox.Message{Address: "test-other@why.mine.example", Raw: []byte(raw)})
	all := box.Addresses()
	if len(all) != 1 || len(all[0].Messages) != 1 || all[0].Messages[0].Report == nil || all[0].Messages[0].Subject != "测试" {
		t.Errorf("%+v", all)
	}
}

func TestQueueIsLookedAt(t *testing.T) {
	v := quietParts(t)
	v.cfg.Queue.Listing = filepath.Join(t.TempDir(), "queue.json")
	arrived := time.Now().Add(-2 * time.Hour).Unix()
	line, _ := json.Marshal(map[string]any{
		"queue_name": "deferred", "queue_id": "A00000000001", "arrival_time": arrived, "message_size": 1000, "sender": "li@mine.example",
		"recipients": []any{map[string]string{"address": "wang@partner.example", "delay_reason": "connect to mx.partner.example[192.0.2.9]:25: Connection timed out"}},
	})
	if err := os.WriteFile(v.cfg.Queue.Listing, append(line, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	q := &queueLooker{v: v, c: QueueConfig{Listing: v.cfg.Queue.Listing, Top: 10}}
	if err := q.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := q.queues()
	if len(got) != 1 || got[0].Messages != 1 || got[0].Deferred != 1 || got[0].Oldest.Unix() != arrived || got[0].Report == nil {
		t.Errorf("%+v", got)
	}
	if err := os.Remove(v.cfg.Queue.Listing); err != nil {
		t.Fatal(err)
	}
	if err := q.look(t.Context()); err == nil {
		t.Error("a listing that is gone was read")
	}
	if len(q.queues()) != 1 {
		t.Error("the last look is forgotten")
	}
	v.cfg.Queue.Off = true
	if p, err := queuePart(t.Context(), v); p != nil || err != nil {
		t.Errorf("%v %v", p, err)
	}
}

var _ web.Inbox = (*testInbox)(nil)
