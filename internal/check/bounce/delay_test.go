package bounce

import (
	"testing"

	"github.com/mailwhy/mailwhy/internal/mail/dsn"
)

// TestDelayIsNotGivenUp holds that nobody has given up while a notice says that the message is still tried.
func TestDelayIsNotGivenUp(t *testing.T) {
	body := "This message was created automatically by mail delivery software.\nA message that you sent has not yet been delivered to one or more of its\nrecipients after more than 24 hours on the queue on e.example.\n\nThe address to which the message has not yet been delivered is:\n\n  li@partner.example\n    host mx.partner.example [198.51.100.7]\n    Delay reason: Connection timed out\n\nNo action is required on your part.\n"
	f := reader(t).Read(mail("Mail Delivery System <Mailer-Daemon@e.example>", "Warning: message 1abcde-000001-AA delayed 24 hours", body))
	if f.Kind != dsn.Delay || len(f.Recipients) != 1 {
		t.Fatalf("%s, %d recipients", f.Kind, len(f.Recipients))
	}
	if rc := f.Recipients[0]; rc.Cause != "connection-failed" || rc.Permanent || rc.Bounce == "hard" {
		t.Errorf("%+v", rc)
	}
}
