// Package pop3 is a client of our own that walks through one POP3 session step by step and keeps everything: greeting,
// capabilities before and after STLS, the login and what came of it, STAT, LIST, UIDL, and the header of the newest
// messages.
//
// Promise: a visit is plain data that can be recorded and judged again; nothing here judges. Time, lines and bytes are
// bounded whatever the server sends, and the password stands in no transcript. RETR is never said, and DELE only for the
// one message that Seek with Remove names. RFCs:
// 1939 (POP3), 2449 (CAPA, response codes), 2595 (STLS), 5034 (SASL), 3206 (SYS and AUTH codes).
package pop3

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// Run walks through the plan. Whatever the peer does ends up in the Visit.
func Run(ctx context.Context, d wire.VisitDoor, p wire.VisitPlan) (*wire.Visit, error) {
	return wire.Pay(ctx, d, "pop3", p, func(ctx context.Context, t *wire.Talk) {
		c := &client{t}
		c.walk(ctx)
	})
}

type client struct{ *wire.Talk }

func (c *client) walk(ctx context.Context) {
	status, ok := c.answer("greeting", nil)
	if !ok {
		return
	}
	if s := c.V.Step("greeting"); s != nil {
		c.V.Greeting = s.Text
	}
	if status != "+OK" || !c.capa(&c.V.Caps) {
		return
	}
	c.V.ClearLogin = !c.Secure() && takesPassword(c.V.Caps)
	if wire.HasCap(c.V.Caps, "STLS") && !c.Secure() && c.V.Plan.Security != wire.Plain {
		status, ok := c.do("starttls", "STLS", "", nil)
		if !ok || status == "+OK" && !(c.Shake(ctx) && c.capa(&c.V.SecureCaps)) {
			return
		}
	}
	c.V.Auth = wire.SASLMethods(c.V.Offered())
	for _, l := range c.V.Offered() {
		if text, is := strings.CutPrefix(l, "IMPLEMENTATION "); is {
			c.V.ID = map[string]string{"implementation": text}
		}
	}
	look := c.inside
	if c.V.Plan.Seek != nil {
		look = c.seek
	}
	if c.V.Plan.Login != nil && c.login() && !look() {
		return
	}
	if c.V.Fault == nil {
		status, _ := c.do("logout", "QUIT", "", nil)
		c.V.Fault = nil
		if s := c.V.Sought; s != nil && s.Marked { // it is QUIT that deletes
			s.Removed = status == "+OK"
			s.Marked = !s.Removed
		}
	}
}

// takesPassword tells that a readable password would be taken: USER, or a readable SASL method. A server without CAPA
// takes USER.
func takesPassword(caps []string) bool {
	if caps == nil || wire.HasCap(caps, "USER") {
		return true
	}
	for _, m := range wire.SASLMethods(caps) {
		if wire.Readable(m) {
			return true
		}
	}
	return false
}

// do sends a command and reads its answer, with the lines of a listing where see is set.
func (c *client) do(step, command, shown string, see func(string)) (status string, ok bool) {
	if err := c.Say(command, shown); err != nil {
		return "", c.Done(step, "", "", "", err)
	}
	return c.answer(step, see)
}

func (c *client) answer(step string, see func(string)) (status string, ok bool) {
	c.Wait()
	line, err := c.Line()
	if err != nil {
		return "", c.Done(step, "", "", "", err)
	}
	status, code, text, good := cutStatus(line)
	if !good {
		return "", c.Done(step, "", "", line, &wire.Fault{Kind: wire.Protocol, Text: fmt.Sprintf("not a POP3 answer: %.80q", line)})
	}
	if status == "+OK" && see != nil {
		for {
			c.Wait()
			l, err := c.Line()
			if err != nil {
				return "", c.Done(step, status, code, text, err)
			}
			if l == "." {
				break
			}
			see(strings.TrimPrefix(l, "."))
		}
	}
	return status, c.Done(step, status, code, text, nil)
}

// cutStatus takes "-ERR [AUTH] text" apart.
func cutStatus(line string) (status, code, text string, ok bool) {
	word, text, _ := strings.Cut(line, " ")
	status = strings.ToUpper(word)
	if status != "+OK" && status != "-ERR" {
		return "", "", "", false
	}
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "[") {
		if c, rest, cut := strings.Cut(text[1:], "]"); cut {
			code, text = strings.ToUpper(c), strings.TrimSpace(rest)
		}
	}
	return status, code, text, true
}

// capa asks for capabilities; a server that does not know CAPA is none the worse, its list stays nil.
func (c *client) capa(into *[]string) bool {
	var caps []string
	status, ok := c.do("capability", "CAPA", "", func(l string) {
		if len(caps) < 100 {
			word, arg, _ := strings.Cut(l, " ")
			caps = append(caps, strings.TrimSpace(strings.ToUpper(word)+" "+arg))
		}
	})
	if status == "+OK" && caps == nil {
		caps = []string{}
	}
	*into = caps
	return ok
}

func (c *client) login() bool {
	s := c.Begin(c.V.Auth, true)
	if s == nil {
		return false
	}
	var status string
	var ok bool
	if s.Mechanism == "PASSWORD" {
		status, ok = c.do("user", "USER "+c.V.Plan.Login.User, "", nil)
		if ok && status == "+OK" {
			status, ok = c.do("login", "PASS "+c.V.Plan.Login.Secret, "PASS "+wire.Hidden, nil)
		}
	} else {
		status, ok = c.sasl(s)
	}
	c.V.LoggedIn = ok && status == "+OK"
	return c.V.LoggedIn
}

func (c *client) sasl(s *wire.SASL) (status string, ok bool) {
	if err := c.Say("AUTH "+s.Mechanism, ""); err != nil {
		return "", c.Done("login", "", "", "", err)
	}
	first, begins, err := c.Initial(s)
	if err != nil {
		return "", c.Done("login", "", "", "", err)
	}
	for {
		c.Wait()
		line, err := c.Line()
		if err != nil {
			return "", c.Done("login", "", "", "", err)
		}
		challenge, more := strings.CutPrefix(line, "+ ")
		if !more && line != "+" {
			status, code, text, good := cutStatus(line)
			if !good {
				return "", c.Done("login", "", "", line, &wire.Fault{Kind: wire.Protocol, Text: fmt.Sprintf("not a POP3 answer: %.80q", line)})
			}
			return status, c.Done("login", status, code, text, nil)
		}
		out := strings.TrimPrefix(first, "=")
		if !begins {
			if out, err = c.Answer(s, strings.TrimPrefix(challenge, "+")); err != nil {
				return "", c.Done("login", "", "", "", err)
			}
		}
		begins = false
		if err := c.Say(out, wire.Hidden); err != nil {
			return "", c.Done("login", "", "", "", err)
		}
	}
}

// inside looks around after a login. The newest messages are the last of the list.
func (c *client) inside() bool {
	if _, ok := c.do("stat", "STAT", "", nil); !ok {
		return false
	}
	if f := strings.Fields(c.V.Step("stat").Text); len(f) >= 2 {
		c.V.Count, _ = strconv.ParseInt(f[0], 10, 64)
		c.V.Bytes, _ = strconv.ParseInt(f[1], 10, 64)
	}
	const most = 10_000
	if c.V.Count <= 0 || c.V.Count > most {
		return true // a list that long is not worth the server's time
	}
	sizes, ids := map[string]int64{}, map[string]string{}
	if _, ok := c.do("list", "LIST", "", func(l string) {
		if n, size, ok := strings.Cut(l, " "); ok && len(sizes) <= most {
			sizes[n], _ = strconv.ParseInt(strings.TrimSpace(size), 10, 64)
		}
	}); !ok {
		return false
	}
	if _, ok := c.do("uidl", "UIDL", "", func(l string) {
		if n, id, ok := strings.Cut(l, " "); ok && len(ids) <= most {
			ids[n] = id
		}
	}); !ok {
		return false
	}
	for n := c.V.Count; n > max(0, c.V.Count-int64(min(c.V.Plan.Newest, 10))); n-- {
		num := strconv.FormatInt(n, 10)
		var head strings.Builder
		status, ok := c.do("top", "TOP "+num+" 0", "", func(l string) {
			if head.Len() < 64<<10 {
				head.WriteString(l + "\n")
			}
		})
		if !ok {
			return false
		}
		b := wire.Brief{UID: ids[num], Size: sizes[num]}
		wire.HeaderInto(&b, head.String())
		c.V.Newest = append(c.V.Newest, b)
		if status != "+OK" {
			break // TOP is optional
		}
	}
	return true
}
