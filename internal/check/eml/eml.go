// Package eml reads a message, or a header alone, as it lies in a file.
//
// Promise: what people save is read: an mbox separator, a byte order mark, blank lines before the first field are no
// obstacle. Bounded: the header by mail/header's limit, the body by MaxBody; what was cut is told. RFC 5322.
package eml

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/mailwhy/mailwhy/internal/mail/header"
)

// Message is a message as it lies in a file: the header parsed, the body in memory up to a limit.
type Message struct {
	Name   string // the file's name, for the reader
	Header *header.Block
	Raw    []byte // from the first byte of the header on; an mbox "From " line and a byte order mark are left out
	Body   []byte // the part of Raw behind the header
	Cut    bool   // the body goes on beyond the limit
	TooBig error  // the header goes beyond its limit; what was read is in Header
	Bytes  int    // read in all
}

// ErrNoHeader tells that a file holds nothing that looks like a header.
var ErrNoHeader = errors.New("no header fields in it")

// MaxBody is how many bytes of a message are read: beyond what any server lets through.
const MaxBody = 64 << 20

// Read reads a message or a header alone. The error is that of the reader, or ErrNoHeader.
func Read(r io.Reader, name string) (*Message, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	skipPreamble(br)
	raw, err := io.ReadAll(io.LimitReader(br, MaxBody+1))
	if err != nil {
		return nil, err
	}
	m := &Message{Name: name, Bytes: len(raw)}
	if len(raw) > MaxBody {
		raw, m.Cut = raw[:MaxBody], true
	}
	m.Raw = raw
	m.Header, m.Body, err = header.ParseBytes(raw, header.Limits{})
	if errors.Is(err, header.ErrTooBig) {
		m.TooBig, err = err, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range m.Header.Fields {
		if m.Header.Fields[i].Name != "" {
			return m, nil
		}
	}
	return nil, ErrNoHeader
}

// skipPreamble drops what stands before the first field in files as people save them: a byte order mark, blank lines,
// an mbox separator.
func skipPreamble(br *bufio.Reader) {
	if b, _ := br.Peek(3); bytes.Equal(b, []byte("\xef\xbb\xbf")) {
		_, _ = br.Discard(3)
	}
	for range 20 {
		b, _ := br.Peek(6)
		switch {
		case len(b) > 0 && (b[0] == '\n' || b[0] == '\r'):
			_, _ = br.Discard(1)
		case strings.HasPrefix(string(b), "From ") || strings.HasPrefix(string(b), ">From "):
			if _, err := br.ReadSlice('\n'); err != nil {
				return
			}
		default:
			return
		}
	}
}
