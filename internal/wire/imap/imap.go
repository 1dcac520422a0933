// Package imap is a client of our own that walks through one IMAP session step by step and keeps everything: greeting,
// capabilities before and after STARTTLS, the login and what came of it, folders, quota, the newest messages.
//
// Promise: a visit is plain data that can be recorded and judged again; nothing here judges. Time, lines, bytes,
// literals and nesting are bounded whatever the server sends, and the password stands in no transcript. The INBOX is
// opened with EXAMINE and read with BODY.PEEK: nothing is marked, moved or deleted, but for the one message that Seek
// with Remove names. RFCs: 3501 and 9051 (IMAP), 2595
// and 8314 (TLS), 4959 (SASL-IR), 2971 (ID), 6154 (special use), 9208 (quota), 5530 (response codes).
package imap

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// maxFolders is how many folders of an account are kept.
const maxFolders = 1000

// Run walks through the plan. Whatever the peer does ends up in the Visit.
func Run(ctx context.Context, d wire.VisitDoor, p wire.VisitPlan) (*wire.Visit, error) {
	return wire.Pay(ctx, d, "imap", p, func(ctx context.Context, t *wire.Talk) {
		c := &client{Talk: t}
		c.walk(ctx)
	})
}

type client struct {
	*wire.Talk
	tag   int
	names map[string]string // folder names as the server writes them, by their decoded form
	exact bool              // literals are message text: their bytes stay as they are
}

func (c *client) walk(ctx context.Context) {
	status, ok := c.greeting()
	if !ok || status == "BYE" {
		return
	}
	if !c.capability(&c.V.Caps) {
		return
	}
	c.V.ClearLogin = !c.Secure() && takesPassword(c.V.Caps)
	if has(c.V.Caps, "STARTTLS") && !c.Secure() && c.V.Plan.Security != wire.Plain {
		if !c.startTLS(ctx) {
			return
		}
	}
	c.V.Auth = methods(c.V.Offered())
	if has(c.V.Offered(), "ID") && !c.id() {
		return
	}
	if c.V.Plan.Login != nil && status != "PREAUTH" {
		if !c.login() {
			c.logout()
			return
		}
		if c.V.Plan.Seek != nil {
			c.seek(ctx)
		} else if !c.inside() {
			return
		}
	}
	c.logout()
}

func has(caps []string, name string) bool {
	for _, c := range caps {
		if c == name {
			return true
		}
	}
	return false
}

func methods(caps []string) (out []string) {
	for _, c := range caps {
		if m, ok := strings.CutPrefix(c, "AUTH="); ok {
			out = append(out, m)
		}
	}
	return out
}

// takesPassword tells that a readable password would be taken with these capabilities.
func takesPassword(caps []string) bool {
	return !has(caps, "LOGINDISABLED") || has(caps, "AUTH=PLAIN") || has(caps, "AUTH=LOGIN")
}

func (c *client) greeting() (status string, ok bool) {
	c.Wait()
	line, err := c.Line()
	if err != nil {
		return "", c.Done("greeting", "", "", "", err)
	}
	rest, star := strings.CutPrefix(line, "* ")
	status, text, _ := strings.Cut(rest, " ")
	status = strings.ToUpper(status)
	if !star || status != "OK" && status != "PREAUTH" && status != "BYE" {
		return "", c.Done("greeting", "", "", line, &wire.Fault{Kind: wire.Protocol, Text: fmt.Sprintf("not an IMAP greeting: %.80q", line)})
	}
	c.V.Greeting = text
	code, text := textCode(text)
	return status, c.Done("greeting", status, firstWord(code), text, nil)
}

func firstWord(s string) string { w, _, _ := strings.Cut(s, " "); return strings.ToUpper(w) }

// do sends a command and reads up to its tagged answer; each untagged answer goes to see. ok is false where the session
// is over.
func (c *client) do(step, command, shown string, see func(string)) (status string, ok bool) {
	tag := c.next()
	if shown != "" {
		shown = tag + " " + shown
	}
	if err := c.Say(tag+" "+command, shown); err != nil {
		return "", c.Done(step, "", "", "", err)
	}
	return c.finish(step, tag, see, nil)
}

func (c *client) next() string { c.tag++; return "m" + strconv.Itoa(c.tag) }

// finish reads up to the tagged answer. A continuation goes to more, whose answer is sent.
func (c *client) finish(step, tag string, see func(string), more func(string) (string, error)) (status string, ok bool) {
	var bye string
	for {
		c.Wait()
		line, err := c.logical()
		if err != nil {
			if bye != "" { // the server said why
				code, text := textCode(bye)
				return "BYE", c.Done(step, "BYE", firstWord(code), text, err)
			}
			return "", c.Done(step, "", "", "", err)
		}
		switch {
		case strings.HasPrefix(line, "* "):
			if b, is := strings.CutPrefix(line, "* BYE"); is {
				bye = b
			}
			if see != nil {
				see(line[2:])
			}
		case strings.HasPrefix(line, "+") && more != nil:
			out, err := more(strings.TrimPrefix(line, "+"))
			if err == nil {
				err = c.Say(out, wire.Hidden)
			}
			if err != nil {
				return "", c.Done(step, "", "", "", err)
			}
		case strings.HasPrefix(line, tag+" "):
			status, text, _ := strings.Cut(line[len(tag)+1:], " ")
			code, text := textCode(text)
			status = strings.ToUpper(status)
			if c.Done(step, status, firstWord(code), text, nil); status == "OK" && strings.HasPrefix(strings.ToUpper(code), "CAPABILITY ") && see != nil {
				see(code)
			}
			return status, true
		default:
			return "", c.Done(step, "", "", line, &wire.Fault{Kind: wire.Protocol, Text: fmt.Sprintf("not an IMAP answer: %.80q", line)})
		}
	}
}

// logical reads a line with the literals in it, each written as parse wants them.
func (c *client) logical() (string, error) {
	var b strings.Builder
	for range 200 {
		line, err := c.Line()
		if err != nil {
			return "", err
		}
		line = strings.ReplaceAll(line, "\x00", " ")
		n, head, ok := literalAt(line)
		if !ok {
			b.WriteString(line)
			return b.String(), nil
		}
		lit, err := c.literal(n)
		if err != nil {
			return "", err
		}
		b.WriteString(head + "\x00" + strconv.Itoa(len(lit)) + "\x00" + lit)
	}
	return "", &wire.Fault{Kind: wire.Limit, Text: "more than 200 literals in one answer"}
}

func (c *client) literal(n int64) (string, error) {
	if !c.exact {
		return c.Literal(n)
	}
	raw, err := c.Block(n)
	return string(raw), err
}

// literalAt finds "{123}" or "{123+}" at the end of a line. A number beyond 63 bits counts as the largest.
func literalAt(line string) (n int64, head string, ok bool) {
	open := strings.LastIndexByte(line, '{')
	if open < 0 || !strings.HasSuffix(line, "}") {
		return 0, "", false
	}
	digits := strings.TrimSuffix(line[open+1:len(line)-1], "+")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, "", false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		n = 1<<63 - 1
	}
	return n, line[:open], true
}

func (c *client) capability(into *[]string) bool {
	caps := []string{}
	status, ok := c.do("capability", "CAPABILITY", "", func(line string) {
		if rest, is := cutFold(line, "CAPABILITY "); is {
			caps = strings.Fields(strings.ToUpper(rest))
		}
	})
	*into = caps[:min(len(caps), 200)]
	return ok && status == "OK"
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// startTLS upgrades. A refusal ends no session that is not to log in: what is offered in the clear is told already.
func (c *client) startTLS(ctx context.Context) bool {
	status, ok := c.do("starttls", "STARTTLS", "", nil)
	if !ok {
		return false
	}
	if status != "OK" {
		return true
	}
	return c.Shake(ctx) && c.capability(&c.V.SecureCaps)
}

// id tells our name and asks the server's: some answer more to a client that has named itself.
func (c *client) id() bool {
	_, ok := c.do("id", `ID ("name" "mailwhy")`, "", func(line string) {
		rest, is := cutFold(line, "ID ")
		if !is {
			return
		}
		for _, n := range parse(rest) {
			for i := 0; i+1 < len(n.list) && i < 60; i += 2 {
				if n.list[i+1].text != "" && !strings.EqualFold(n.list[i+1].text, "NIL") {
					if c.V.ID == nil {
						c.V.ID = map[string]string{}
					}
					c.V.ID[strings.ToLower(n.list[i].text)] = n.list[i+1].text
				}
			}
		}
	})
	return ok
}

// login tries the plan's login; it tells whether we are in.
func (c *client) login() bool {
	caps := c.V.Offered()
	s := c.Begin(c.V.Auth, !has(caps, "LOGINDISABLED"))
	if s == nil {
		return false
	}
	l := c.V.Plan.Login
	see := func(line string) {
		if rest, is := cutFold(line, "CAPABILITY "); is {
			c.keepCaps(rest)
		}
	}
	var status string
	var ok bool
	if s.Mechanism == "PASSWORD" {
		status, ok = c.do("login", "LOGIN "+quote(l.User)+" "+quote(l.Secret), "LOGIN "+quote(l.User)+" "+wire.Hidden, see)
	} else {
		status, ok = c.sasl(s, has(caps, "SASL-IR"), see)
	}
	c.V.LoggedIn = ok && status == "OK"
	return c.V.LoggedIn
}

// keepCaps takes in the capabilities told with a login: there are more behind it.
func (c *client) keepCaps(rest string) {
	caps := strings.Fields(strings.ToUpper(rest))
	caps = caps[:min(len(caps), 200)]
	if c.V.SecureCaps != nil {
		c.V.SecureCaps = caps
	} else {
		c.V.Caps = caps
	}
}

func (c *client) sasl(s *wire.SASL, initial bool, see func(string)) (status string, ok bool) {
	tag := c.next()
	line, shown := tag+" AUTHENTICATE "+s.Mechanism, tag+" AUTHENTICATE "+s.Mechanism
	var first string
	text, begins, err := c.Initial(s)
	if err != nil {
		return "", c.Done("login", "", "", "", err)
	}
	if begins {
		if initial {
			line, shown = line+" "+text, shown+" "+wire.Hidden
		} else if first = text; first == "=" {
			first = ""
		}
	}
	if err := c.Say(line, shown); err != nil {
		return "", c.Done("login", "", "", "", err)
	}
	pending := begins && !initial
	return c.finish("login", tag, see, func(challenge string) (string, error) {
		if pending {
			pending = false
			return first, nil
		}
		return c.Answer(s, challenge)
	})
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// inside looks around after a login: capabilities, folders, quota, the newest messages. What is refused is a step that
// failed, and the walk goes on.
func (c *client) inside() bool {
	if !has(c.V.Offered(), "ID") || c.V.ID != nil {
		// nothing more to ask
	} else if !c.id() {
		return false
	}
	list := `LIST "" "*"`
	if has(c.V.Offered(), "SPECIAL-USE") && has(c.V.Offered(), "LIST-EXTENDED") {
		list = `LIST "" "*" RETURN (SPECIAL-USE)`
	}
	if _, ok := c.do("list", list, "", c.seeFolder); !ok {
		return false
	}
	if has(c.V.Offered(), "QUOTA") {
		if _, ok := c.do("quota", "GETQUOTAROOT INBOX", "", c.seeQuota); !ok {
			return false
		}
	}
	if c.nearlyFull() && !c.sizes() {
		return false
	}
	status, ok := c.do("select", "EXAMINE INBOX", "", func(line string) {
		if n, is := strings.CutSuffix(strings.ToUpper(line), " EXISTS"); is {
			c.V.Count, _ = strconv.ParseInt(n, 10, 64)
		}
	})
	if !ok || status != "OK" || c.V.Count <= 0 || c.V.Plan.Newest <= 0 {
		return ok
	}
	newest := min(c.V.Plan.Newest, maxNewest)
	from := max(1, c.V.Count-int64(newest)+1)
	items := "UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (FROM SUBJECT DATE)]"
	if c.V.Plan.Whole > 0 {
		items += fmt.Sprintf(" BODY.PEEK[]<0.%d>", min(c.V.Plan.Whole, maxWhole/newest))
		c.exact = true
		defer func() { c.exact = false }()
	}
	_, ok = c.do("fetch", fmt.Sprintf("FETCH %d:* (%s)", from, items), "", c.seeMessage)
	return ok
}

// Bounds on the newest messages: how many, and how many bytes of all together.
const (
	maxNewest = 100
	maxWhole  = 1 << 20
)

func (c *client) seeFolder(line string) {
	rest, is := cutFold(line, "LIST ")
	if !is || len(c.V.Folders) >= maxFolders {
		return
	}
	v := parse(rest)
	if len(v) < 3 {
		return
	}
	f := wire.Folder{Name: decodeName(v[2].text)}
	if c.names == nil {
		c.names = map[string]string{}
	}
	c.names[f.Name] = v[2].text
	for _, n := range v[0].list {
		f.Flags = append(f.Flags, n.text)
		switch strings.ToLower(n.text) {
		case `\sent`, `\trash`, `\junk`, `\drafts`, `\archive`, `\all`, `\flagged`, `\important`:
			f.Use = n.text[1:]
		}
	}
	c.V.Folders = append(c.V.Folders, f)
}

func (c *client) seeQuota(line string) {
	rest, is := cutFold(line, "QUOTA ")
	if !is || len(c.V.Quota) >= 50 {
		return
	}
	v := parse(rest)
	if len(v) < 2 {
		return
	}
	for l := v[1].list; len(l) >= 3; l = l[3:] {
		q := wire.Quota{Root: v[0].text, Resource: strings.ToUpper(l[0].text)}
		q.Used, _ = strconv.ParseInt(l[1].text, 10, 64)
		q.Limit, _ = strconv.ParseInt(l[2].text, 10, 64)
		if q.Resource == "STORAGE" && q.Used < 1<<50 && q.Limit < 1<<50 { // units of 1024 bytes
			q.Used, q.Limit = q.Used*1024, q.Limit*1024
		}
		c.V.Quota = append(c.V.Quota, q)
	}
}

func (c *client) seeMessage(line string) {
	num, rest, ok := strings.Cut(line, " ")
	if _, err := strconv.Atoi(num); err != nil || !ok || len(c.V.Newest) >= maxNewest {
		return
	}
	rest, is := cutFold(rest, "FETCH ")
	v := parse(rest)
	if !is || len(v) == 0 {
		return
	}
	var b wire.Brief
	for l := v[0].list; len(l) >= 2; l = l[2:] {
		switch key := strings.ToUpper(l[0].text); {
		case key == "UID":
			b.UID = l[1].text
		case key == "RFC822.SIZE":
			b.Size, _ = strconv.ParseInt(l[1].text, 10, 64)
		case key == "INTERNALDATE":
			b.Arrived = l[1].text
		case key == "FLAGS":
			var flags []string
			for _, f := range l[1].list {
				flags = append(flags, f.text)
			}
			b.Flags = strings.Join(flags, " ")
		case strings.HasPrefix(key, "BODY[]"):
			b.Raw = []byte(l[1].text)
		case strings.HasPrefix(key, "BODY["):
			wire.HeaderInto(&b, l[1].text)
		}
	}
	c.V.Newest = append([]wire.Brief{b}, c.V.Newest...)
}

func (c *client) logout() {
	fault := c.V.Fault
	c.do("logout", "LOGOUT", "", nil)
	c.V.Fault = fault // whether a server waits for our goodbye says nothing
}
