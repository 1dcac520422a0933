// Package managesieve is a client of our own that walks through one ManageSieve session step by step and keeps
// everything: capabilities before and after STARTTLS, the login and what came of it, the list of scripts.
//
// Promise: a visit is plain data that can be recorded and judged again; nothing here judges. Time, lines, bytes and
// literals are bounded whatever the server sends, and the password stands in no transcript. Scripts are listed, never
// changed. RFC: 5804.
package managesieve

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// Run walks through the plan. Whatever the peer does ends up in the Visit.
func Run(ctx context.Context, d wire.VisitDoor, p wire.VisitPlan) (*wire.Visit, error) {
	return wire.Pay(ctx, d, "managesieve", p, func(ctx context.Context, t *wire.Talk) {
		c := &client{t}
		c.walk(ctx)
	})
}

type client struct{ *wire.Talk }

func (c *client) walk(ctx context.Context) {
	if !c.capabilities("greeting", &c.V.Caps) {
		return
	}
	c.V.ClearLogin = !c.Secure() && readable(wire.SASLMethods(c.V.Caps))
	if wire.HasCap(c.V.Caps, "STARTTLS") && !c.Secure() && c.V.Plan.Security != wire.Plain {
		status, ok := c.do("starttls", "STARTTLS", nil)
		// After TLS the server tells its capabilities again by itself.
		if !ok || status == "OK" && !(c.Shake(ctx) && c.capabilities("capability", &c.V.SecureCaps)) {
			return
		}
	}
	c.V.Auth = wire.SASLMethods(c.V.Offered())
	if c.V.Plan.Login != nil && c.login() {
		if _, ok := c.do("scripts", "LISTSCRIPTS", func(v []string) {
			if len(v) > 0 && len(c.V.Scripts) < 1000 {
				c.V.Scripts = append(c.V.Scripts, wire.Script{Name: v[0], Active: len(v) > 1 && strings.EqualFold(v[1], "ACTIVE")})
			}
		}); !ok || c.V.Plan.Script && !c.active() {
			return
		}
	}
	if c.V.Fault == nil {
		c.do("logout", "LOGOUT", nil)
		c.V.Fault = nil
	}
}

// active reads the script that runs.
func (c *client) active() bool {
	for i := range c.V.Scripts {
		x := &c.V.Scripts[i]
		if !x.Active {
			continue
		}
		_, ok := c.do("script", "GETSCRIPT "+quote(x.Name), func(v []string) {
			if len(v) > 0 {
				x.Text = v[0]
			}
		})
		return ok
	}
	return true
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func readable(methods []string) bool {
	for _, m := range methods {
		if wire.Readable(m) {
			return true
		}
	}
	return false
}

// capabilities reads the listing that stands in for a greeting.
func (c *client) capabilities(step string, into *[]string) bool {
	caps := []string{}
	status, ok := c.answer(step, func(v []string) {
		if len(v) == 0 || len(caps) >= 100 {
			return
		}
		name := strings.ToUpper(v[0])
		caps = append(caps, strings.TrimSpace(name+" "+strings.Join(v[1:], " ")))
		if name == "IMPLEMENTATION" && len(v) > 1 {
			c.V.Greeting, c.V.ID = v[1], map[string]string{"implementation": v[1]}
		}
	})
	*into = caps
	return ok && status == "OK"
}

func (c *client) do(step, command string, see func([]string)) (status string, ok bool) {
	if err := c.Say(command, ""); err != nil {
		return "", c.Done(step, "", "", "", err)
	}
	return c.answer(step, see)
}

// answer reads lines up to OK, NO or BYE; the others go to see, their strings decoded.
func (c *client) answer(step string, see func([]string)) (status string, ok bool) {
	for {
		c.Wait()
		v, err := c.line()
		if err != nil {
			return "", c.Done(step, "", "", "", err)
		}
		if len(v) > 0 && !v[0].str {
			return c.end(step, v)
		}
		if see != nil {
			see(texts(v))
		}
	}
}

// end takes a line of OK, NO or BYE as the end of a step.
func (c *client) end(step string, v []word) (status string, ok bool) {
	status = strings.ToUpper(v[0].text)
	if status != "OK" && status != "NO" && status != "BYE" {
		return "", c.Done(step, "", "", v[0].text, &wire.Fault{Kind: wire.Protocol, Text: fmt.Sprintf("not a ManageSieve answer: %.80q", v[0].text)})
	}
	code, text := "", ""
	for _, w := range v[1:] {
		switch {
		case w.str:
			text = w.text
		case strings.HasPrefix(w.text, "("):
			code, _, _ = strings.Cut(strings.ToUpper(strings.Trim(w.text, "()")), " ")
		}
	}
	return status, c.Done(step, status, code, text, nil)
}

// word is an atom (with a code in parentheses as one) or a string.
type word struct {
	text string
	str  bool
}

func texts(v []word) (out []string) {
	for _, w := range v {
		out = append(out, w.text)
	}
	return out
}

// line reads a line with the literals in it.
func (c *client) line() ([]word, error) {
	var out []word
	for range 20 {
		text, err := c.Line()
		if err != nil {
			return nil, err
		}
		words, literal := split(text)
		out = append(out, words...)
		if literal < 0 {
			return out, nil
		}
		lit, err := c.Literal(literal)
		if err != nil {
			return nil, err
		}
		out = append(out, word{lit, true})
	}
	return nil, &wire.Fault{Kind: wire.Limit, Text: "more than 20 literals in one line"}
}

// split takes a line apart; literal is the size of one announced at its end, else -1.
func split(s string) (out []word, literal int64) {
	for s = strings.TrimLeft(s, " "); s != ""; s = strings.TrimLeft(s, " ") {
		switch {
		case s[0] == '"':
			text, rest := quoted(s[1:])
			out, s = append(out, word{text, true}), rest
		case s[0] == '(':
			code, rest, _ := strings.Cut(s, ")")
			out, s = append(out, word{code + ")", false}), rest
		case s[0] == '{' && strings.HasSuffix(s, "}") && strings.Trim(s, "{+}0123456789") == "":
			n, err := strconv.ParseInt(strings.Trim(s, "{+}"), 10, 64)
			if err != nil {
				n = 1<<63 - 1
			}
			return out, n
		default:
			atom, rest, _ := strings.Cut(s, " ")
			out, s = append(out, word{atom, false}), rest
		}
	}
	return out, -1
}

func quoted(s string) (text, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:]
		case '\\':
			if i+1 < len(s) {
				i++
			}
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}

func (c *client) login() bool {
	s := c.Begin(c.V.Auth, false)
	if s == nil {
		return false
	}
	line, shown := `AUTHENTICATE "`+s.Mechanism+`"`, `AUTHENTICATE "`+s.Mechanism+`"`
	text, begins, err := c.Initial(s)
	if err != nil {
		return c.Done("login", "", "", "", err)
	}
	if begins {
		line, shown = line+` "`+strings.TrimPrefix(text, "=")+`"`, shown+" "+wire.Hidden
	}
	if err := c.Say(line, shown); err != nil {
		return c.Done("login", "", "", "", err)
	}
	for {
		c.Wait()
		v, err := c.line()
		if err != nil {
			return c.Done("login", "", "", "", err)
		}
		if len(v) == 0 {
			continue
		}
		if !v[0].str {
			c.finalWord(s, v)
			status, ok := c.end("login", v)
			c.V.LoggedIn = ok && status == "OK"
			return c.V.LoggedIn
		}
		out, err := c.Answer(s, v[0].text)
		if err == nil {
			err = c.Say(`"`+out+`"`, wire.Hidden)
		}
		if err != nil {
			return c.Done("login", "", "", "", err)
		}
	}
}

// finalWord hands the server's last word of SCRAM, which stands in the code of the OK, to the exchange; a wrong one is
// noted.
func (c *client) finalWord(s *wire.SASL, v []word) {
	for _, w := range v[1:] {
		if !strings.HasPrefix(w.text, "(SASL ") {
			continue
		}
		if raw, err := base64.StdEncoding.DecodeString(strings.Trim(w.text[6:], `") `)); err == nil {
			if _, err := s.Next(raw); err != nil {
				c.Note(wire.Happened, err.Error())
			}
		}
	}
}
