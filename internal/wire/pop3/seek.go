package pop3

import (
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// maxSought is how many of the newest messages are looked through, and maxHead how much of a header is kept, in bytes.
const (
	maxSought = 20
	maxHead   = 64 << 10
)

// seek looks for the plan's message among the newest. A maildrop does not change while a session holds it, so that
// waiting takes a visit each time.
func (c *client) seek() bool {
	if _, ok := c.do("stat", "STAT", "", nil); !ok {
		return false
	}
	f := strings.Fields(c.V.Step("stat").Text)
	if len(f) == 0 {
		return true
	}
	c.V.Count, _ = strconv.ParseInt(f[0], 10, 64)
	for n := c.V.Count; n > max(0, c.V.Count-maxSought); n-- {
		num := strconv.FormatInt(n, 10)
		var head strings.Builder
		status, ok := c.do("top", "TOP "+num+" 0", "", func(l string) {
			if head.Len() < maxHead {
				head.WriteString(l + "\r\n")
			}
		})
		if !ok {
			return false
		}
		if status != "+OK" {
			return true // without TOP nothing can be told
		}
		if !strings.Contains(head.String(), "<"+c.V.Plan.Seek.ID+">") {
			continue
		}
		c.V.Sought = &wire.Sought{Folder: "INBOX", UID: num, Header: head.String(), After: c.Since()}
		if c.V.Plan.Seek.Remove {
			status, ok := c.do("delete", "DELE "+num, "", nil)
			c.V.Sought.Marked = status == "+OK"
			return ok
		}
		return true
	}
	return true
}
