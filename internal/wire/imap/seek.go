package imap

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// maxSought is how many folders are looked through for a message.
const maxSought = 50

// seek looks for the plan's message in every folder until it is there or the time is over.
func (c *client) seek(ctx context.Context) {
	list := `LIST "" "*"`
	if has(c.V.Offered(), "SPECIAL-USE") && has(c.V.Offered(), "LIST-EXTENDED") {
		list = `LIST "" "*" RETURN (SPECIAL-USE)`
	}
	if _, ok := c.do("list", list, "", c.seeFolder); !ok {
		return
	}
	folders := likely(c.V.Folders)
	until := time.Now().Add(c.V.Plan.Seek.Wait)
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		steps, lines := len(c.V.Steps), len(c.V.Transcript)
		for _, f := range folders {
			found, ok := c.lookIn(f)
			if !ok || found {
				return
			}
		}
		if time.Now().Add(pause).After(until) || !c.Rest(ctx, pause) {
			return
		}
		c.V.Steps, c.V.Transcript = c.V.Steps[:steps], c.V.Transcript[:lines] // of many looks only the last is kept
	}
}

// likely puts the folders into the order in which they are looked through: the INBOX, then Junk, last what shows the
// messages of others again.
func likely(all []wire.Folder) (out []wire.Folder) {
	rank := func(f wire.Folder) int {
		switch {
		case strings.EqualFold(f.Name, "INBOX"):
			return 0
		case f.Use == "Junk":
			return 1
		case f.Use == "All" || f.Use == "Flagged" || f.Use == "Important":
			return 3
		}
		return 2
	}
	for _, f := range all {
		if !closed(&f) {
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b wire.Folder) int { return rank(a) - rank(b) })
	return out[:min(len(out), maxSought)]
}

// lookIn searches one folder; ok is false where the session is over.
func (c *client) lookIn(f wire.Folder) (found, ok bool) {
	status, ok := c.do("select", "EXAMINE "+quote(c.names[f.Name]), "", nil)
	if !ok || status != "OK" {
		return false, ok // a folder we may not open is none where the message could be read
	}
	uid := ""
	if _, ok = c.do("search", "UID SEARCH HEADER Message-ID "+quote("<"+c.V.Plan.Seek.ID+">"), "", func(line string) {
		if rest, is := cutFold(line, "SEARCH "); is {
			if w := strings.Fields(rest); len(w) > 0 && strings.Trim(w[len(w)-1], "0123456789") == "" {
				uid = w[len(w)-1]
			}
		}
	}); !ok || uid == "" {
		return false, ok
	}
	s := &wire.Sought{Folder: f.Name, Use: f.Use, UID: uid, After: c.Since()}
	if _, ok = c.do("fetch", "UID FETCH "+uid+" (FLAGS INTERNALDATE BODY.PEEK[HEADER])", "", func(line string) { seeSought(s, line) }); !ok {
		return false, false
	}
	if !strings.Contains(s.Header, c.V.Plan.Seek.ID) {
		return false, true // a server that searches badly: not our message
	}
	c.V.Sought = s
	if c.V.Plan.Seek.Remove {
		return true, c.remove(f, s)
	}
	return true, true
}

func seeSought(s *wire.Sought, line string) {
	_, rest, _ := strings.Cut(line, " ")
	rest, is := cutFold(rest, "FETCH ")
	v := parse(rest)
	if !is || len(v) == 0 {
		return
	}
	for l := v[0].list; len(l) >= 2; l = l[2:] {
		switch key := strings.ToUpper(l[0].text); {
		case key == "INTERNALDATE":
			s.Arrived = l[1].text
		case key == "FLAGS":
			var flags []string
			for _, f := range l[1].list {
				flags = append(flags, f.text)
			}
			s.Flags = strings.Join(flags, " ")
		case strings.HasPrefix(key, "BODY["):
			s.Header = l[1].text
		}
	}
}

// remove deletes the one message. Without UIDPLUS it is only marked: EXPUNGE and CLOSE would take others with it.
func (c *client) remove(f wire.Folder, s *wire.Sought) bool {
	status, ok := c.do("open", "SELECT "+quote(c.names[f.Name]), "", nil)
	if !ok || status != "OK" {
		return ok
	}
	if status, ok = c.do("delete", "UID STORE "+s.UID+` +FLAGS.SILENT (\Deleted)`, "", nil); !ok || status != "OK" {
		return ok
	}
	s.Marked = true
	if has(c.V.Offered(), "UIDPLUS") {
		status, ok = c.do("expunge", "UID EXPUNGE "+s.UID, "", nil)
		if s.Removed = ok && status == "OK"; s.Removed {
			s.Marked = false
		}
	}
	return ok
}
