package intake

import "bytes"

// MaxLine is the longest line kept whole, in bytes. Of a longer one the beginning is kept, and it is counted.
const MaxLine = 1 << 20

// cutter cuts a text into lines as its bytes come. A line half written waits for its end.
type cutter struct {
	taken int64 // offset behind the last whole line
	seen  int64 // offset behind the last byte that was fed
	part  []byte
	over  bool // the line has more than MaxLine bytes
	long  int64
	emit  func(line []byte, end int64) error
}

// feed takes the next bytes. The line given to emit is valid until emit returns.
func (c *cutter) feed(b []byte) error {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			c.keep(b)
			c.seen += int64(len(b))
			return nil
		}
		line := b[:i]
		c.seen += int64(i) + 1
		b = b[i+1:]
		if len(c.part) > 0 || c.over || len(line) > MaxLine {
			c.keep(line)
			line = c.part
		}
		if err := c.give(line); err != nil {
			return err
		}
	}
	return nil
}

// keep appends to the line that is not whole yet. NULs at its start, which a file truncated under its writer has by the
// gigabyte, are left out.
func (c *cutter) keep(b []byte) {
	if len(c.part) == 0 {
		b = bytes.TrimLeft(b, "\x00")
	}
	room := MaxLine - len(c.part)
	if len(b) > room {
		c.over, b = true, b[:room]
	}
	c.part = append(c.part, b...)
}

func (c *cutter) give(line []byte) error {
	if c.over {
		c.long++
	}
	c.over = false
	c.taken = c.seen
	line = bytes.TrimLeft(bytes.TrimSuffix(line, []byte("\r")), "\x00")
	err := c.emit(line, c.taken)
	if cap(c.part) > 64<<10 {
		c.part = nil
	}
	c.part = c.part[:0]
	return err
}

// finish gives the last line of a text that ended without a line end.
func (c *cutter) finish() error {
	if c.seen == c.taken {
		return nil
	}
	return c.give(c.part)
}
