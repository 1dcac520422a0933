package journey

import (
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/trace"
)

// words tells a step in words; to is for whom it is told.
func words(st *trace.Step, to finding.Sentence) finding.Sentence {
	args := finding.Args{"To": to, "Text": st.Text, "Where": where(st.Relay, st.RelayIP+st.Socket, st.Port), "Delay": st.Delay, "Ref": st.Ref, "User": st.User, "TLS": st.TLS, "Filter": st.Filter,
		"Verdict": st.Verdict, "Folder": st.Folder, "Size": st.Size, "N": st.NRcpt, "Stage": st.Stage, "Message": st.Message, "Subject": st.Subject,
		"Who": client(&trace.Client{Name: st.Client, IP: st.ClientIP, User: st.User})}
	if st.From != nil {
		args["From"] = "<" + *st.From + ">"
	}
	switch st.EventKind() {
	case event.Connect, event.Disconnect, event.Lost, event.TLS, event.TLSFailed, event.Auth, event.AuthFailed, event.Login, event.LoginFailed, event.Screen:
		return sessionWords(st, args)
	case event.Received:
		return receivedWords(st, args)
	case event.MessageID:
		return finding.S("message-id {{.Message}}", args)
	case event.Active:
		return finding.S("ready to go: from {{.From}}, {{size .Size}}, {{.N}} {{plural .N \"recipient\" \"recipients\"}}", args)
	case event.Delivery:
		return deliveryWords(st, args)
	case event.Notification:
		return noticeWords(st, args)
	case event.Reject:
		return rejectWords(st, args)
	case event.Filter:
		return filterWords(st, args)
	case event.Policy:
		if st.Filter != "" {
			return policyWords(st, args)
		}
	case event.Sieve:
		return sieveWords(st, args)
	case event.Hold, event.Removed, event.Operator, event.Related, event.Subject, event.Reply, event.ConnectError, event.Warning, event.Trouble:
		if s := queueWords(st, args); s.Msg != "" {
			return s
		}
	}
	if st.Text != "" {
		return finding.Raw(st.Text)
	}
	return finding.Raw(st.Line)
}

// sessionWords tells what a client did, or a session in which we are the client.
func sessionWords(st *trace.Step, args finding.Args) finding.Sentence {
	peer := st.ClientIP == "" && st.Client == "" && (st.Relay != "" || st.RelayIP != "")
	switch st.EventKind() {
	case event.Connect:
		return finding.S("{{.Who}} connected", args)
	case event.Disconnect:
		if args["Who"] == "" {
			return finding.S("the connection ended", args)
		}
		return finding.S("{{.Who}} left", args)
	case event.Lost:
		if args["Who"] == "" {
			break
		}
		if st.Stage != "" {
			return finding.S("the connection of {{.Who}} ended early, after {{.Stage}}", args)
		}
		return finding.S("{{.Who}} broke off: {{.Text}}", args)
	case event.TLS:
		if peer {
			return finding.S("TLS with {{.Where}}: {{.TLS}}", args)
		}
		return finding.S("TLS: {{.TLS}}", args)
	case event.TLSFailed:
		if peer {
			return finding.S("TLS with {{.Where}} failed: {{.Text}}", args)
		}
		return finding.S("TLS with {{.Who}} failed: {{.Text}}", args)
	case event.Screen:
		return finding.S("postscreen about {{.Who}}: {{.Verdict}}", args)
	case event.Auth, event.Login:
		return finding.S("logged in as {{.User}}", args)
	}
	if st.EventKind() == event.Lost {
		return finding.Raw(st.Text)
	}
	if st.User != "" {
		return finding.S("could not log in as {{.User}}: {{.Text}}", args)
	}
	return finding.S("could not log in: {{.Text}}", args)
}

// queueWords tells what happened to a message in the queue. It is empty where the software's own text says it best.
func queueWords(st *trace.Step, args finding.Args) (s finding.Sentence) {
	switch st.EventKind() {
	case event.Hold:
		return finding.S("put on hold: {{.Text}}", args)
	case event.Removed:
		if strings.HasSuffix(st.Program, "postsuper") {
			return finding.S("deleted from the queue by an administrator", args)
		}
		return finding.S("done, left the queue", args)
	case event.Operator:
		return operatorWords(st, args)
	case event.Related:
		return relatedWords(st, args)
	case event.Subject:
		if st.Subject != "" {
			return finding.S("subject: {{.Subject}}", args)
		}
	case event.Reply:
		if st.Relay+st.RelayIP != "" {
			return finding.S("{{.Where}} answered: {{.Text}}", args)
		}
	case event.ConnectError:
		return finding.S("could not connect to {{.Where}}: {{.Text}}", args)
	case event.Warning, event.Trouble:
		return finding.S("the software warns: {{.Text}}", args)
	}
	return s
}

// operatorWords tells what a person did to a message.
func operatorWords(st *trace.Step, args finding.Args) (s finding.Sentence) {
	switch word, _, _ := strings.Cut(strings.ToLower(st.Action), " "); word {
	case "placed":
		return finding.S("put on hold by an administrator", args)
	case "released", "unfrozen", "thawed":
		return finding.S("released from hold", args)
	case "requeued":
		return finding.S("put through the queue once more by an administrator", args)
	case "expired", "force-expired":
		return finding.S("made to expire by an administrator", args)
	case "removed", "cancelled":
		return finding.S("deleted from the queue: {{.Text}}", args)
	}
	return s
}

func relatedWords(st *trace.Step, args finding.Args) (s finding.Sentence) {
	switch {
	case st.Action == "new":
		return finding.S("a new message in the queue", args)
	case st.Ref == "" && st.To != "":
		return finding.S("for {{.To}}", args)
	case st.Ref == "" && st.From != nil:
		return finding.S("from {{.From}}", args)
	case st.RefIs == event.Forward.String():
		return finding.S("went on as {{.Ref}}", args)
	}
	return s
}

// rejectWords tells a refusal at our door.
func rejectWords(st *trace.Step, args finding.Args) finding.Sentence {
	if st.To != "" && !strings.Contains(st.Text, st.To) {
		args["Text"] = st.To + ": " + st.Text
	}
	later := st.Code/100 == 4 || st.Code == 0 && strings.HasPrefix(st.DSN, "4.") || st.Action == "tempreject"
	switch {
	case st.Action == "discard" || st.Action == "milter-discard":
		return finding.S("thrown away: {{.Text}}", args)
	case st.Stage == "" && later:
		return finding.S("told to come back later: {{.Text}}", args)
	case st.Stage == "":
		return finding.S("refused: {{.Text}}", args)
	case later:
		return finding.S("told at {{.Stage}} to come back later: {{.Text}}", args)
	}
	return finding.S("refused at {{.Stage}}: {{.Text}}", args)
}

// policyWords tells what a policy server answered: greylisting, SPF, limits.
func policyWords(st *trace.Step, args finding.Args) finding.Sentence {
	args["Verdict"] = check.FilterVerdict(st.Verdict)
	if st.Text != "" && st.Text != st.Verdict && len(st.Text) < 80 && !strings.Contains(st.Text, "; ") {
		return finding.S("{{.Filter}}: {{.Verdict}} ({{.Text}})", args)
	}
	return finding.S("{{.Filter}}: {{.Verdict}}", args)
}

func filterWords(st *trace.Step, args finding.Args) finding.Sentence {
	word := st.Verdict
	if word == "" {
		word = st.Action
	}
	args["Verdict"] = check.FilterVerdict(word)
	if st.Score != 0 {
		args["Score"] = strconv.FormatFloat(st.Score, 'f', -1, 64)
		return finding.S("{{.Filter}}: {{.Verdict}}, score {{.Score}}", args)
	}
	return finding.S("{{.Filter}}: {{.Verdict}}", args)
}

func receivedWords(st *trace.Step, args finding.Args) finding.Sentence {
	switch {
	case st.RefIs == event.Parent.String() && st.Ref != "" && st.From != nil && *st.From == "":
		return finding.S("a bounce, made because of {{.Ref}}", args)
	case st.RefIs == event.Parent.String() && st.Ref != "":
		return finding.S("made because of {{.Ref}}", args)
	case st.User != "" && st.ClientIP != "":
		return finding.S("taken in from {{.Who}}, logged in as {{.User}}", args)
	case st.ClientIP == "" && st.Client != "":
		return finding.S("taken in from {{.Name}}", finding.Args{"Name": st.Client})
	case st.ClientIP == "" && st.User == "":
		return finding.S("taken in", args)
	case st.ClientIP == "":
		return finding.S("taken in from a local program, user {{.User}}", args)
	}
	return finding.S("taken in from {{.Who}}", args)
}

// inHouse tells a transport of this machine by its name.
func inHouse(st *trace.Step) bool {
	if st.RelayIP != "" || st.Port != 0 {
		return false
	}
	return st.Socket != "" || st.Relay == "local" || st.Relay == "virtual" || strings.Contains(st.Relay, "local") || strings.Contains(st.Relay, "dovecot") || strings.Contains(st.Relay, "maildir") || strings.Contains(st.Relay, "lmtp")
}

// addressee is the recipient, with the address it was before aliases and forwards.
func addressee(st *trace.Step) string {
	if st.OrigTo != "" && !strings.EqualFold(st.OrigTo, st.To) {
		return st.OrigTo + " → " + st.To
	}
	return st.To
}

func deliveryWords(st *trace.Step, args finding.Args) finding.Sentence {
	args["Reached"] = reached(st.Relay, st.RelayIP+st.Socket)
	switch st.Fate() {
	case event.Sent, event.Relayed:
		return sentWords(st, args)
	case event.Deferred:
		if st.Text == "" && st.Relay == "" {
			return finding.S("it will be tried again", args)
		}
		return finding.S("{{.To}} put off{{if .Reached}} by {{.Where}}{{end}}: {{.Text}}", args)
	case event.Bounced, event.Failed:
		return finding.S("{{.To}} {{if .Reached}}refused by {{.Where}}{{else}}failed{{end}}: {{.Text}}", args)
	case event.Expired:
		if st.To == "" {
			return finding.S("waited too long and was given up: {{.Text}}", args)
		}
		return finding.S("{{.To}} waited too long and was given up: {{.Text}}", args)
	case event.Discarded:
		return finding.S("{{.To}} thrown away: {{.Text}}", args)
	case event.Filtered:
		if st.Relay+st.RelayIP == "" {
			return finding.S("accepted for {{.To}}: {{.Text}}", args)
		}
		return finding.S("{{.To}} handed to {{.Where}}, which passes it on: {{.Text}}", args)
	case event.Expanded:
		return finding.S("{{.To}} became other addresses", args)
	case event.Quarantined:
		return finding.S("{{.To}} put into quarantine: {{.Text}}", args)
	case event.Deliverable:
		return finding.S("address test: {{.Where}} would take {{.To}}", args)
	case event.Undeliverable:
		return finding.S("address test: {{.Where}} would not take {{.To}}: {{.Text}}", args)
	}
	return finding.S("{{.To}} at {{.Where}}: {{.Text}}", args)
}

func sentWords(st *trace.Step, args finding.Args) finding.Sentence {
	switch slow := st.Delays != nil && st.Delay > time.Second && st.Delays.Before+st.Delays.Queue > 0; {
	case slow:
		args["Parts"] = delayParts(st.Delays)
		return finding.S("{{.To}} sent to {{.Where}} after {{.Delay}} ({{list .Parts}}): {{.Text}}", args)
	case args["Reached"] == false:
		return finding.S("{{.To}} delivered: {{.Text}}", args)
	case inHouse(st) && st.Text == "":
		return finding.S("{{.To}} delivered on this machine by {{.Where}}", args)
	case inHouse(st):
		return finding.S("{{.To}} delivered on this machine by {{.Where}}: {{.Text}}", args)
	case st.Text == "":
		return finding.S("{{.To}} sent to {{.Where}}", args)
	}
	return finding.S("{{.To}} sent to {{.Where}}: {{.Text}}", args)
}

// delayParts are the parts of a delay that took any time.
func delayParts(d *trace.Split) (parts []finding.Sentence) {
	part := func(s finding.Sentence, took time.Duration) {
		if took > 0 {
			s.Args = finding.Args{"D": took}
			parts = append(parts, s)
		}
	}
	part(finding.S("{{.D}} before the queue", nil), d.Before)
	part(finding.S("{{.D}} waiting", nil), d.Queue)
	part(finding.S("{{.D}} connecting", nil), d.Connect)
	part(finding.S("{{.D}} sending", nil), d.Transfer)
	return parts
}

func noticeWords(st *trace.Step, args finding.Args) finding.Sentence {
	switch st.RefIs {
	case "delay":
		return finding.S("a delay warning goes to the sender as {{.Ref}}", args)
	case "success":
		return finding.S("a success report goes to the sender as {{.Ref}}", args)
	}
	if st.Ref == "" {
		return finding.S("a bounce goes to the sender", args)
	}
	return finding.S("a bounce goes to the sender as {{.Ref}}", args)
}

func sieveWords(st *trace.Step, args finding.Args) finding.Sentence {
	switch {
	case st.Action == "discarded":
		return finding.S("{{.User}}: thrown away by a filter rule", args)
	case st.Action == "forwarded":
		return finding.S("{{.User}}: forwarded by a filter rule: {{.Text}}", args)
	case st.Action == "rejected":
		return finding.S("{{.User}}: sent back by a filter rule: {{.Text}}", args)
	case st.Action == "vacation" && st.Text == "":
		return finding.S("{{.User}}: an automatic answer goes to the sender", args)
	case st.Folder != "":
		return finding.S("{{.User}}: saved in folder {{.Folder}}", args)
	}
	return finding.S("{{.User}}: {{.Text}}", args)
}
