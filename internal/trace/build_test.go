package trace

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/event"
)

func empty() *string { s := ""; return &s }

// TestBounceIsNoRecipient follows a bounce over two hosts into the sender's mailbox, whose log knows message-ids only:
// the sender is no recipient of the message.
func TestBounceIsNoRecipient(t *testing.T) {
	from := "li@a.example"
	j := build([]Step{
		{kind: event.Received, QueueID: "A1", From: &from, Message: "one@a.example"},
		{kind: event.Delivery, QueueID: "A1", To: "nobody@b.example", status: event.Bounced, Status: event.Bounced.String(), Text: "550 Unknown user"},
		{kind: event.Received, QueueID: "B1", From: empty(), Ref: "A1", refIs: event.Parent, Message: "bounce@b.example"},
		{kind: event.Delivery, QueueID: "B1", To: from, Ref: "C1", refIs: event.Next, status: event.Sent, Status: event.Sent.String()},
		{kind: event.Received, QueueID: "C1", From: empty(), Message: "bounce@b.example"},
		{kind: event.Delivery, QueueID: "C1", To: from, status: event.Sent, Status: event.Sent.String()},
		{kind: event.Sieve, User: from, Message: "bounce@b.example", Action: "saved", Folder: "INBOX"},
	})
	if len(j.Recipients) != 1 || j.Recipients[0].To != "nobody@b.example" || j.State != BouncedSt {
		t.Errorf("state %s, recipients %+v", j.State, j.Recipients)
	}
}

// TestSieveRejects: the mailbox server took the message and sent it back.
func TestSieveRejects(t *testing.T) {
	j := build([]Step{
		{kind: event.Delivery, QueueID: "A1", To: "li@a.example", status: event.Sent, Status: event.Sent.String(), Text: "250 2.0.0 Saved"},
		{kind: event.Sieve, User: "li@a.example", Action: "rejected", Text: "reject action: rejected message"},
	})
	if len(j.Recipients) != 1 || j.Recipients[0].status != event.Bounced || j.State != BouncedSt {
		t.Errorf("state %s, recipients %+v", j.State, j.Recipients)
	}
}
