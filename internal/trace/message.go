package trace

import "github.com/mailwhy/mailwhy/internal/event"

// OfMessage tells an event of which journeys are made from one of a connection, a login or the software itself. Where only
// such events are kept, every journey of a message is what it was, but for the SMTP session around it (Found.Session).
func OfMessage(e *event.Event) bool {
	switch e.Kind {
	case event.Login, event.LoginFailed, event.Logout, event.Ban:
		return false
	case event.Connect, event.Disconnect, event.Lost, event.TLS, event.TLSFailed, event.Auth, event.AuthFailed, event.Screen, event.Policy, event.Started, event.Warning, event.Trouble, event.Stats:
		return len(e.QueueID) > 0 || len(e.MessageID) > 0 || len(e.Mention) > 0 || len(e.Ref) > 0 || len(e.Session) > 0
	}
	return e.Kind != event.None
}
