package mailbox

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// Message is one message of a folder. R is nil where it is larger than MaxBytes.
type Message struct {
	Validity uint32 // of the folder's UIDs (RFC 9051 section 2.3.1.1)
	UID      uint32
	Size     int64
	R        io.Reader // lent until each returns
}

// Since logs in and hands over what came after uid, oldest first, at most MaxMessages; with another validity than the
// folder's own, everything. An error of each ends it and is returned.
func Since(ctx context.Context, p *Place, o Options, validity, uid uint32, each func(Message) error) error {
	return visit(ctx, p, o, func(c *imapclient.Client, box *imap.SelectData) error {
		if box.UIDValidity != validity {
			uid = 0
		}
		if box.NumMessages == 0 || uid == 1<<32-1 {
			return nil
		}
		list, err := sizes(c, uid)
		if err != nil {
			return err
		}
		for _, m := range list {
			m.Validity = box.UIDValidity
			if err := fetchOne(c, m, !o.MarkSeen, each); err != nil {
				return err
			}
		}
		return nil
	})
}

// sizes lists what came after uid.
func sizes(c *imapclient.Client, uid uint32) (list []Message, err error) {
	var set imap.UIDSet
	set.AddRange(imap.UID(uid+1), 0)
	cmd := c.Fetch(set, &imap.FetchOptions{UID: true, RFC822Size: true})
	for m := cmd.Next(); m != nil; m = cmd.Next() {
		buf, err := m.Collect()
		if err != nil {
			return nil, err
		}
		if uint32(buf.UID) > uid && len(list) < MaxMessages { // "7:*" names the last message even where its number is smaller
			list = append(list, Message{UID: uint32(buf.UID), Size: buf.RFC822Size})
		}
	}
	slices.SortFunc(list, func(a, b Message) int { return int(int64(a.UID) - int64(b.UID)) })
	return list, cmd.Close()
}

// fetchOne hands one message over. One that was deleted meanwhile is passed over.
func fetchOne(c *imapclient.Client, m Message, peek bool, each func(Message) error) error {
	if m.Size > MaxBytes {
		return each(m)
	}
	cmd := c.Fetch(imap.UIDSetNum(imap.UID(m.UID)), &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{{Peek: peek}}})
	for f := cmd.Next(); f != nil; f = cmd.Next() {
		for it := f.Next(); it != nil; it = f.Next() {
			b, ok := it.(imapclient.FetchItemDataBodySection)
			if !ok || b.Literal == nil {
				continue
			}
			if b.Literal.Size() > MaxBytes {
				c.Close()
				return fmt.Errorf("message with UID %d: %d bytes after it said %d", m.UID, b.Literal.Size(), m.Size)
			}
			m.R = b.Literal
			err := each(m)
			if _, cerr := io.Copy(io.Discard, b.Literal); err == nil {
				err = cerr
			}
			if err != nil {
				c.Close()
				return err
			}
		}
	}
	return cmd.Close()
}
