package imap

import (
	"slices"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// Bounds on asking how big the folders are.
const (
	maxSized  = 100    // folders asked
	maxSummed = 10_000 // messages whose sizes are added up, where the server does not tell the size of a folder
)

// nearlyFull tells that a quota for storage is used up by nine tenths or more.
func (c *client) nearlyFull() bool {
	return slices.ContainsFunc(c.V.Quota, func(q wire.Quota) bool { return q.Limit > 0 && q.Used >= q.Limit/10*9 })
}

// sizes asks each folder for its size: by STATUS=SIZE (RFC 8438), else by adding up the sizes of its messages.
func (c *client) sizes() bool {
	items := "MESSAGES"
	told := has(c.V.Offered(), "STATUS=SIZE")
	if told {
		items += " SIZE"
	}
	var order []*wire.Folder
	for i := range c.V.Folders {
		f := &c.V.Folders[i]
		if len(order) == maxSized || f.Use == "All" || closed(f) {
			continue
		}
		if _, ok := c.do("status", "STATUS "+quote(c.names[f.Name])+" ("+items+")", "", func(line string) { seeStatus(f, line) }); !ok {
			return false
		}
		order = append(order, f)
	}
	if told {
		return true
	}
	slices.SortStableFunc(order, func(a, b *wire.Folder) int { return int(b.Messages - a.Messages) })
	left := int64(maxSummed)
	for _, f := range order {
		if left -= f.Messages; left < 0 || f.Messages <= 0 {
			break
		}
		if status, ok := c.do("select", "EXAMINE "+quote(c.names[f.Name]), "", nil); !ok {
			return false
		} else if status != "OK" {
			continue
		}
		if _, ok := c.do("sizes", "FETCH 1:* (RFC822.SIZE)", "", func(line string) { f.Bytes += sizeIn(line) }); !ok {
			return false
		}
	}
	return true
}

// closed tells a folder that holds no messages and cannot be opened.
func closed(f *wire.Folder) bool {
	return slices.ContainsFunc(f.Flags, func(s string) bool {
		return strings.EqualFold(s, `\Noselect`) || strings.EqualFold(s, `\NonExistent`)
	})
}

// seeStatus reads "STATUS name (MESSAGES 3 SIZE 900)".
func seeStatus(f *wire.Folder, line string) {
	rest, is := cutFold(line, "STATUS ")
	v := parse(rest)
	if !is || len(v) < 2 {
		return
	}
	for l := v[len(v)-1].list; len(l) >= 2; l = l[2:] {
		n, err := strconv.ParseInt(l[1].text, 10, 64)
		if err != nil || n < 0 {
			continue
		}
		switch strings.ToUpper(l[0].text) {
		case "MESSAGES":
			f.Messages = n
		case "SIZE":
			f.Bytes = n
		}
	}
}

// sizeIn reads the size out of "3 FETCH (RFC822.SIZE 900)".
func sizeIn(line string) int64 {
	_, rest, _ := strings.Cut(line, " ")
	rest, is := cutFold(rest, "FETCH ")
	v := parse(rest)
	if !is || len(v) == 0 {
		return 0
	}
	for l := v[0].list; len(l) >= 2; l = l[2:] {
		if strings.EqualFold(l[0].text, "RFC822.SIZE") {
			if n, err := strconv.ParseInt(l[1].text, 10, 64); err == nil && n > 0 && n < 1<<40 {
				return n
			}
		}
	}
	return 0
}
