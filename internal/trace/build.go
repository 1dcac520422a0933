package trace

import (
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/event"
)

// build tells the story of the steps, which are in order of time.
func build(steps []Step) *Journey {
	j := &Journey{Steps: steps}
	notice := noticeIDs(steps)
	own := map[string]bool{}
	for i := range steps {
		if s := &steps[i]; s.QueueID != "" {
			own[s.QueueID] = true
		}
	}
	about := noticeMessages(steps, notice)
	left := map[string]bool{} // queue ids that were removed
	for i := range steps {
		s := &steps[i]
		j.QueueIDs = addOnce(j.QueueIDs, s.QueueID)
		j.MessageIDs = addOnce(j.MessageIDs, s.Message)
		j.Sessions = addOnce(j.Sessions, s.Session)
		j.Hosts = addOnce(j.Hosts, s.Host)
		if !s.At.IsZero() {
			if j.Started.IsZero() {
				j.Started = s.At
			}
			j.Ended = s.At
		}
		if s.kind == event.Removed {
			left[s.QueueID] = true
		}
		q := s.QueueID
		if q == "" {
			q = about[s.Message]
		}
		if kind := notice[q]; kind != "" {
			j.noteNotice(s, q, kind)
			continue
		}
		j.note(s, own)
	}
	j.Removed = len(j.QueueIDs) > 0 && !slices.ContainsFunc(j.QueueIDs, func(q string) bool { return !left[q] })
	j.conclude()
	return j
}

// noticeIDs gives the queue ids of messages about the message, and what they are.
func noticeIDs(steps []Step) map[string]string {
	out := map[string]string{}
	for i := range steps {
		s := &steps[i]
		switch {
		case s.kind == event.Notification:
			out[s.Ref] = s.RefIs
		case s.refIs == event.Parent && s.From != nil && *s.From == "":
			out[s.QueueID] = "bounce"
		}
	}
	for i := range steps { // a bounce whose cause is not among the lines is the message itself
		s := &steps[i]
		if s.kind == event.Notification && out[s.QueueID] != "" {
			delete(out, s.QueueID)
		}
	}
	others := false
	for i := range steps {
		if q := steps[i].QueueID; q != "" && out[q] == "" {
			others = true
		}
	}
	if !others {
		return nil
	}
	follow(steps, out)
	return out
}

// follow marks the queues that a notice was handed on to ("queued as"), over all hosts.
func follow(steps []Step, notice map[string]string) {
	for again := true; again; {
		again = false
		for i := range steps {
			s := &steps[i]
			if kind := notice[s.QueueID]; kind != "" && s.refIs == event.Next && s.Ref != "" && notice[s.Ref] == "" {
				notice[s.Ref], again = kind, true
			}
		}
	}
}

// noticeMessages gives for message-ids that only notices have the queue id of the notice: a mailbox server names no
// queue id.
func noticeMessages(steps []Step, notice map[string]string) map[string]string {
	out := map[string]string{}
	for i := range steps {
		if s := &steps[i]; s.Message != "" && s.QueueID != "" {
			if had, ok := out[s.Message]; !ok || notice[had] != "" {
				out[s.Message] = s.QueueID
			}
		}
	}
	return out
}

func (j *Journey) noteNotice(s *Step, q, kind string) {
	i := slices.IndexFunc(j.Notices, func(n Notice) bool { return n.QueueID == q })
	if i < 0 {
		i = len(j.Notices)
		j.Notices = append(j.Notices, Notice{Kind: kind, QueueID: q})
	}
	if s.kind == event.Delivery {
		n := &j.Notices[i]
		n.To, n.Status, n.Text = s.To, s.Status, s.Text
	} else if s.kind == event.Received && s.To != "" && j.Notices[i].To == "" {
		j.Notices[i].To = s.To
	}
}

// note takes one step into the story.
func (j *Journey) note(s *Step, own map[string]bool) {
	if s.From != nil && j.From == nil && s.kind != event.Reject {
		j.From = s.From
	}
	if j.Subject == "" {
		j.Subject = s.Subject
	}
	if j.Size == 0 && s.kind != event.Delivery {
		j.Size = s.Size
	}
	switch s.kind {
	case event.Connect, event.TLS, event.Auth, event.Received:
		j.noteClient(s)
	case event.Reject:
		if s.Action == "discard" || s.Action == "milter-discard" { // taken, and thrown away
			if j.dropped = true; j.From == nil {
				j.From = s.From
			}
			if s.To != "" {
				j.Recipients = append(j.Recipients, Recipient{To: s.To, Status: event.Discarded.String(), At: s.At, Text: s.Text, Line: s.Line, status: event.Discarded})
			}
			return
		}
		j.Rejects = append(j.Rejects, Reject{At: s.At, Stage: s.Stage, From: s.From, To: s.To, Code: s.Code, DSN: s.DSN, Text: s.Text, Line: s.Line})
		if j.From == nil {
			j.From = s.From
		}
		if j.Client == nil && s.ClientIP != "" {
			j.Client = &Client{Name: s.Client, IP: s.ClientIP, Helo: s.Helo}
		} else if c := j.Client; c != nil && c.IP == s.ClientIP && c.Helo == "" {
			c.Helo = s.Helo
		}
	case event.Hold:
		j.Held = s.Text
	case event.Operator:
		switch word, _, _ := strings.Cut(s.Action, " "); word {
		case "placed": // Postfix: "placed on hold"
			j.Held = s.Text
		case "released", "Unfrozen", "thawed", "requeued":
			j.Held = ""
		case "removed", "cancelled": // Exim: "removed by root"
			j.dropped = true
		}
	case event.Removed:
		if strings.HasSuffix(s.Program, "postsuper") || s.Text == "discarded" {
			j.dropped = true
		}
	case event.Reply, event.ConnectError, event.TLSFailed:
		if s.Relay+s.RelayIP != "" {
			j.trouble = s
		}
	case event.Delivery:
		j.attempt(s, s.Ref != "" && own[s.Ref] && s.Ref != s.QueueID)
	case event.Sieve:
		j.filed(s)
	}
}

func (j *Journey) noteClient(s *Step) {
	if s.kind == event.TLS && s.ClientIP == "" {
		return
	}
	if j.Client == nil {
		if s.ClientIP == "" && s.User == "" {
			return
		}
		j.Client = &Client{Name: s.Client, IP: s.ClientIP, Helo: s.Helo, User: s.User, TLS: s.TLS}
		return
	}
	if c := j.Client; c.IP == s.ClientIP {
		if c.User == "" {
			c.User = s.User
		}
		if c.TLS == "" {
			c.TLS = s.TLS
		}
		if c.Helo == "" {
			c.Helo = s.Helo
		}
	}
}

// attempt notes the fate of a recipient. hop: the message went on under another queue id of this journey, so that the
// fate is told there.
func (j *Journey) attempt(s *Step, hop bool) {
	if s.To == "" { // Postfix: the whole message expired
		for i := range j.Recipients {
			if r := &j.Recipients[i]; r.status == event.Deferred {
				r.status, r.Status = s.status, s.Status
			}
		}
		if len(j.Recipients) > 0 {
			return
		}
	}
	i := slices.IndexFunc(j.Recipients, func(r Recipient) bool { return sameAddress(r.To, s.To) || hop && sameAddress(r.OrigTo, s.To) })
	if i >= 0 && hop {
		return
	}
	if i < 0 && s.OrigTo != "" { // an alias: the address before expansion was noted at the hop in front
		i = slices.IndexFunc(j.Recipients, func(r Recipient) bool { return r.status == event.Filtered && sameAddress(r.To, s.OrigTo) })
	}
	if i < 0 {
		i = len(j.Recipients)
		j.Recipients = append(j.Recipients, Recipient{To: s.To})
	}
	r := &j.Recipients[i]
	if s.status == event.Sent && thrownAway(s.Text) {
		told := *s
		told.status, told.Status = event.Discarded, event.Discarded.String()
		s = &told
	}
	if s.status == event.Deferred && s.Text == "" && s.Relay+s.RelayIP == "" { // of the whole message: why and for whom the lines before tell
		if r.Attempts > 0 && r.status != event.Deferred {
			return
		}
		if t := j.trouble; t != nil {
			told := *s
			told.Relay, told.RelayIP, told.Port, told.Code, told.DSN, told.Stage, told.Text = t.Relay, t.RelayIP, t.Port, t.Code, t.DSN, t.Stage, t.Text
			s = &told
		}
	}
	folder := r.Folder
	attempts := r.Attempts + 1
	orig := s.OrigTo
	if orig == "" {
		orig = r.OrigTo
	}
	*r = Recipient{To: s.To, OrigTo: orig, Status: s.Status, Attempts: attempts, At: s.At, Delay: s.Delay, Relay: s.Relay, RelayIP: s.RelayIP, Socket: s.Socket, Port: s.Port, Code: s.Code, DSN: s.DSN,
		Stage: s.Stage, Text: s.Text, Folder: folder, Line: s.Line, status: s.status}
	if hop {
		r.status, r.Status, r.Attempts = event.Filtered, event.Filtered.String(), 0
	}
}

// thrownAway tells answers of content filters that took a message only to throw it away: "250 2.7.0 Ok, discarded, id=…".
func thrownAway(text string) bool {
	return strings.HasPrefix(text, "250 2.7.0 Ok, discarded, ") || strings.HasPrefix(text, "250 2.7.1 Ok, discarded, ") || strings.HasPrefix(text, "250 2.5.0 Ok, ") && strings.Contains(text, "DISCARD(")
}

// filed notes what the mailbox server did.
func (j *Journey) filed(s *Step) {
	switch s.Action {
	case "", "vacation", "duplicate": // nothing became of the message itself
		return
	}
	for i := range j.Recipients {
		if r := &j.Recipients[i]; sameAddress(r.To, s.User) || sameAddress(localPart(r.To), s.User) || r.Text != "" && s.Session != "" && strings.Contains(r.Text, s.Session) {
			if s.Folder != "" {
				r.Folder = s.Folder
			}
			switch s.Action {
			case "discarded":
				r.status, r.Status = event.Discarded, event.Discarded.String()
			case "rejected": // taken over LMTP, then sent back by a filter of the mailbox
				r.status, r.Status, r.Text, r.Line, r.Code = event.Bounced, event.Bounced.String(), s.Text, s.Line, 0
			}
			return
		}
	}
	st := event.Sent
	if s.Action == "discarded" {
		st = event.Discarded
	}
	j.Recipients = append(j.Recipients, Recipient{To: s.User, Status: st.String(), At: s.At, Folder: s.Folder, Text: s.Text, Line: s.Line, status: st})
}

func localPart(a string) string {
	if i := strings.LastIndexByte(a, '@'); i >= 0 {
		return a[:i]
	}
	return a
}

// conclude tells the state and the direction from the fates.
func (j *Journey) conclude() {
	var sent, waiting, failed, discarded, hop int
	if j.dropped { // by an operator or a filter: who did not have it by then never will
		j.Held = ""
		for i := range j.Recipients {
			if r := &j.Recipients[i]; r.status == event.Deferred {
				r.status, r.Status = event.Discarded, event.Discarded.String()
			}
		}
	}
	for i := range j.Recipients {
		switch j.Recipients[i].status {
		case event.Sent, event.Relayed, event.Deliverable:
			sent++
		case event.Deferred:
			waiting++
		case event.Bounced, event.Expired, event.Failed, event.Undeliverable:
			failed++
		case event.Discarded:
			discarded++
		case event.Filtered, event.Expanded:
			hop++
		case event.Quarantined:
			j.Held = j.Recipients[i].Text + " "
		}
	}
	all := sent + waiting + failed + discarded
	switch {
	case all == 0 && hop > 0 && len(j.Rejects) > 0 && j.Held == "": // refused for some, taken for others
		j.State = InQueue
	case all == 0 && len(j.Rejects) > 0 && j.Held == "":
		j.State = RejectedS
	case j.Held != "" && sent == 0:
		j.State = HeldState
	case all == 0 && len(j.Rejects) > 0:
		j.State = RejectedS
	case all == 0 && j.dropped:
		j.State = DiscardSt
	case all == 0 && (hop > 0 || len(j.QueueIDs) > 0):
		j.State = InQueue
	case all == 0:
		j.State = NotKnown
	case sent == all:
		j.State = Delivered
	case waiting > 0 && sent == 0 && failed == 0:
		j.State = Waiting
	case failed > 0 && sent == 0 && waiting == 0:
		j.State = BouncedSt
	case discarded == all:
		j.State = DiscardSt
	default:
		j.State = Partly
	}
	j.direction()
}

// direction tells mail that comes in to our mailboxes from mail that leaves: where it was put by a local agent it came
// in; where a logged-in user or a local program handed it in and another host took it, it went out.
func (j *Journey) direction() {
	submitted := j.Client != nil && j.Client.User != ""
	local, remote := false, false
	for i := range j.Recipients {
		r := &j.Recipients[i]
		switch {
		case r.Socket != "", r.Folder != "", r.Relay == "local", r.Relay == "virtual", r.Relay == "dovecot", strings.Contains(r.Relay, "local_"):
			local = true
		case r.Relay != "" && r.RelayIP != "":
			remote = true
		}
	}
	switch {
	case submitted, remote && !local:
		j.Direction = "out"
	case local, len(j.Rejects) > 0:
		j.Direction = "in"
	}
}
