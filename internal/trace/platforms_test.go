package trace

import (
	"os"
	"path/filepath"
	"testing"
)

// TestRescheduledMessage: software that says of the whole message that it will be tried again means those recipients that
// are not done yet, and the reason is what was logged before.
func TestRescheduledMessage(t *testing.T) {
	const span = `queueId = 333028896586428416, from = "li@mine.example", to = ["wang@partner.example", "chen@mine.example"], size = 189, total = 2`
	const log = `2026-11-22T10:00:00Z INFO Queued message submission for delivery (queue.queue-message-authenticated) listenerId = "submissions", remoteIp = 192.0.2.7, queueId = 333028896586428416, from = "li@mine.example", to = ["wang@partner.example", "chen@mine.example"], size = 189
2026-11-22T10:00:00Z INFO Delivery attempt started (delivery.attempt-start) ` + span + `
2026-11-22T10:00:00Z INFO DSN success notification (delivery.dsn-success) ` + span + `, to = "chen@mine.example", hostname = "localhost", code = 250, details = "OK"
2026-11-22T10:00:01Z INFO SMTP RCPT TO rejected (delivery.rcpt-to-rejected) ` + span + `, hostname = "mx.partner.example", to = "wang@partner.example", code = 451, details = "come back later", elapsed = 0ms
2026-11-22T10:00:01Z INFO Message rescheduled for delivery (queue.rescheduled) ` + span + `, nextRetry = 2026-11-22T10:02:00Z
`
	name := filepath.Join(t.TempDir(), "stalwart.log")
	if err := os.WriteFile(name, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	n := 0
	for j := range look(t, open(t, []string{name}), "li@mine.example", 1).Journeys(t.Context()) {
		n++
		if j.State != Partly || len(j.Recipients) != 2 {
			t.Fatalf("%s, %+v", j.State, j.Recipients)
		}
		for _, r := range j.Recipients {
			switch {
			case r.To == "chen@mine.example" && (r.Status != "sent" || r.Attempts != 1),
				r.To == "wang@partner.example" && (r.Status != "deferred" || r.Code != 451 || r.Text != "come back later" || r.Relay != "mx.partner.example"):
				t.Errorf("%+v", r)
			}
		}
	}
	if n != 1 {
		t.Errorf("%d journeys", n)
	}
}
