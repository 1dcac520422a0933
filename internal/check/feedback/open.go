// Package feedback is the survey of reports that receivers send about a domain's mail: DMARC aggregate (RFC 7489, RFC
// 9990), failure reports (RFC 6591), TLS reports (RFC 8460) and complaints (RFC 5965), from files, archives, mails and
// mailboxes. It sums them up by domain and source and says what a stricter policy would do.
//
// Promise: memory stays flat whatever the size of a report: rows are summed as they are read, sources beyond a bound are
// summed by network. A file that cannot be read is named with the reason and the rest goes on; a report that breaks off
// half-way counts for nothing. Archives are opened with limits on depth, number, size and ratio.
package feedback

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"strings"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/mail/arf"
	"github.com/mailwhy/mailwhy/internal/mail/dmarcxml"
	"github.com/mailwhy/mailwhy/internal/mail/tlsrptjson"
)

// Limits on what is opened.
const (
	maxDepth    = 6         // archives and messages in each other
	maxEntries  = 1000      // files in an archive, parts in a message
	maxUnpacked = 4 << 30   // bytes out of one input
	maxRatio    = 300       // unpacked to packed, once more than freeRatio came out
	freeRatio   = 8 << 20   //
	maxPacked   = 256 << 20 // of a zip archive that has to be held in memory
	maxMailHead = 1 << 20   //
)

// Trouble is an input, or a part of one, that could not be read.
type Trouble struct {
	File string           `json:"file"` // with the path inside archives: "x.zip: y.xml"
	Why  finding.Sentence `json:"why"`
}

// errTold marks an error that was already noted as trouble.
var errTold = errors.New("told")

// Input is one file to read.
type Input struct {
	Name string
	R    io.Reader
	At   io.ReaderAt // where the input can be read in any order; nil otherwise
	Size int64       // with At
	Mail bool        // a message of somebody's mailbox: ordinary mail is no trouble
}

// opener walks into one input.
type opener struct {
	sum      *Sum
	unpacked int64
	found    int // reports found
}

// Read takes everything that is in an input into the sum. What cannot be read becomes Trouble.
func (s *Sum) Read(in Input) {
	o := &opener{sum: s}
	s.Files++
	before := len(s.Troubles)
	if in.Mail {
		o.takeMail(in.Name, in.R, 0, true)
		return
	}
	o.take(in.Name, in.R, in.At, in.Size, 0)
	if o.found == 0 && len(s.Troubles) == before {
		s.trouble(in.Name, finding.S("no report in it", nil))
	}
}

func (s *Sum) trouble(name string, why finding.Sentence) {
	s.Troubles = append(s.Troubles, Trouble{name, why})
}

// take looks at the first bytes and goes on from there.
func (o *opener) take(name string, r io.Reader, at io.ReaderAt, size int64, depth int) {
	if depth > maxDepth {
		o.sum.trouble(name, finding.S("archives and messages nested more than {{.N}} deep", finding.Args{"N": maxDepth}))
		return
	}
	br := bufio.NewReaderSize(r, 64<<10)
	head, err := br.Peek(4096)
	if len(head) == 0 {
		if err != nil && !errors.Is(err, io.EOF) {
			o.failed(name, err)
			return
		}
		o.sum.trouble(name, finding.S("empty", nil))
		return
	}
	switch kind(head) {
	case "gzip":
		o.gzip(name, br, depth)
	case "zip":
		o.zip(name, br, at, size, depth)
	case "xml":
		o.aggregate(name, br)
	case "json":
		o.tls(name, br)
	case "mbox":
		o.mbox(name, br, depth)
	case "mail":
		o.mail(name, br, depth)
	default:
		o.sum.trouble(name, finding.S("neither a report nor an archive, message or mailbox", nil))
	}
}

func kind(head []byte) string {
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return "gzip"
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return "zip"
	case bytes.HasPrefix(text, []byte("<")), bytes.HasPrefix(head, []byte("\xff\xfe<")), bytes.HasPrefix(head, []byte("\xfe\xff\x00<")):
		return "xml"
	case bytes.HasPrefix(text, []byte("{")):
		return "json"
	case bytes.HasPrefix(head, []byte("From ")):
		return "mbox"
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	if name, _, ok := bytes.Cut(line, []byte(":")); ok && len(name) > 0 && len(name) < 80 && !bytes.ContainsAny(name, " \t<>\"\x00") {
		return "mail"
	}
	return ""
}

// failed notes an error of reading in words.
func (o *opener) failed(name string, err error) {
	var syntax *dmarcxml.SyntaxError
	switch {
	case errors.Is(err, errTold):
	case errors.As(err, &syntax):
		o.sum.trouble(name, finding.S("broken XML in line {{.Line}}, column {{.Col}}: {{.Text}}", finding.Args{"Line": syntax.Line, "Col": syntax.Column, "Text": syntax.What}))
	case errors.Is(err, errRatio):
		o.sum.trouble(name, finding.S("unpacks to more than {{.N}} times its size: not a report but a bomb", finding.Args{"N": maxRatio}))
	case errors.Is(err, errSize):
		o.sum.trouble(name, finding.S("unpacks to more than {{size .N}}", finding.Args{"N": int64(maxUnpacked)}))
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, zip.ErrFormat), errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.Is(err, zip.ErrChecksum):
		o.sum.trouble(name, finding.S("damaged or cut off: {{.Text}}", finding.Args{"Text": err.Error()}))
	default:
		o.sum.trouble(name, finding.S("could not be read: {{.Text}}", finding.Args{"Text": err.Error()}))
	}
}

var (
	errRatio = errors.New("ratio")
	errSize  = errors.New("size")
)

// meter counts what goes into a decompressor and what comes out.
type meter struct {
	o      *opener
	packed io.Reader
	in     int64
	out    int64
	r      io.Reader
}

// countIn is the packed side.
type countIn struct{ m *meter }

func (c countIn) Read(p []byte) (int, error) {
	n, err := c.m.packed.Read(p)
	c.m.in += int64(n)
	return n, err
}

// Read is the unpacked side, with the limits.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.out += int64(n)
	m.o.unpacked += int64(n)
	switch {
	case m.o.unpacked > maxUnpacked:
		return 0, errSize
	case m.out > freeRatio && m.out > maxRatio*max(m.in, 1):
		return 0, errRatio
	}
	return n, err
}

func (o *opener) gzip(name string, r io.Reader, depth int) {
	m := &meter{o: o, packed: r}
	z, err := gzip.NewReader(countIn{m})
	if err != nil {
		o.failed(name, err)
		return
	}
	m.r = z
	o.take(strings.TrimSuffix(name, ".gz"), m, nil, 0, depth+1)
}

func (o *opener) zip(name string, r io.Reader, at io.ReaderAt, size int64, depth int) {
	if at == nil {
		b, err := io.ReadAll(io.LimitReader(r, maxPacked+1))
		if err != nil {
			o.failed(name, err)
			return
		}
		if len(b) > maxPacked {
			o.sum.trouble(name, finding.S("a zip archive of more than {{size .N}} inside another file", finding.Args{"N": int64(maxPacked)}))
			return
		}
		at, size = bytes.NewReader(b), int64(len(b))
	}
	z, err := zip.NewReader(at, size)
	if err != nil {
		o.failed(name, err)
		return
	}
	for i, f := range z.File {
		if i >= maxEntries {
			o.sum.trouble(name, finding.S("more than {{.N}} entries; the rest is not read", finding.Args{"N": maxEntries}))
			return
		}
		if f.FileInfo().IsDir() {
			continue
		}
		inner := name + ": " + f.Name
		rc, err := f.Open()
		if err != nil {
			o.failed(inner, err)
			continue
		}
		m := &meter{o: o, in: int64(f.CompressedSize64), r: rc}
		o.take(inner, m, nil, 0, depth+1)
		rc.Close()
	}
}

func (o *opener) aggregate(name string, r io.Reader) {
	one := o.sum.begin()
	rep, err := dmarcxml.Read(r, one.row)
	if err != nil {
		o.failed(name, err)
		return
	}
	o.found++
	o.sum.addAggregate(name, rep, one)
}

func (o *opener) tls(name string, r io.Reader) {
	rep, err := tlsrptjson.Read(r)
	if err != nil {
		o.failed(name, err)
		return
	}
	o.found++
	o.sum.addTLS(rep)
}

// mbox cuts at "From " lines after an empty line.
func (o *opener) mbox(name string, br *bufio.Reader, depth int) {
	n := 0
	for {
		line, err := br.ReadString('\n') // the separator
		if err != nil && line == "" {
			return
		}
		n++
		m := &mboxMessage{br: br}
		o.takeMail(fmt.Sprintf("%s: message %d", name, n), m, depth+1, true)
		if _, err := io.Copy(io.Discard, m); err != nil || m.end {
			return
		}
	}
}

// mboxMessage reads up to the next separator.
type mboxMessage struct {
	br    *bufio.Reader
	line  []byte
	blank bool
	end   bool // of the file
	done  bool
}

func (m *mboxMessage) Read(p []byte) (int, error) {
	for len(m.line) == 0 {
		if m.done {
			return 0, io.EOF
		}
		if m.blank {
			if next, _ := m.br.Peek(5); string(next) == "From " {
				m.done = true
				return 0, io.EOF
			}
		}
		line, err := m.br.ReadSlice('\n')
		if len(line) == 0 && err != nil {
			m.end, m.done = true, true
			return 0, io.EOF
		}
		m.blank = len(bytes.TrimRight(line, "\r\n")) == 0
		if q := bytes.TrimLeft(line, ">"); len(q) < len(line) && bytes.HasPrefix(q, []byte("From ")) {
			line = line[1:]
		}
		m.line = line
	}
	n := copy(p, m.line)
	m.line = m.line[n:]
	return n, nil
}

func (o *opener) mail(name string, r io.Reader, depth int) { o.takeMail(name, r, depth, false) }

// takeMail reads a message. Ordinary mail in a mailbox is no trouble: only reports are wanted.
func (o *opener) takeMail(name string, r io.Reader, depth int, quiet bool) {
	before := o.found
	br := bufio.NewReader(r)
	head, err := readHead(br)
	if err != nil {
		o.failed(name, err)
		return
	}
	h, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(head))).ReadMIMEHeader()
	if err != nil && len(h) == 0 {
		o.failed(name, err)
		return
	}
	troubles := len(o.sum.Troubles)
	parts := 0
	o.part(name, h, br, depth, &parts, false)
	if o.found == before && len(o.sum.Troubles) == troubles && !quiet {
		o.sum.trouble(name, finding.S("a message without a report", nil))
	}
}

// readHead reads up to the empty line that ends a header.
func readHead(br *bufio.Reader) ([]byte, error) {
	var head []byte
	for {
		line, err := br.ReadSlice('\n')
		if len(head)+len(line) > maxMailHead {
			return nil, fmt.Errorf("a header of more than %d bytes", maxMailHead)
		}
		head = append(head, line...)
		switch {
		case err == bufio.ErrBufferFull:
		case err == io.EOF, err == nil && len(bytes.TrimRight(line, "\r\n")) == 0:
			return append(head, "\r\n\r\n"...), nil
		case err != nil:
			return nil, err
		}
	}
}

// part takes one part of a message, or the parts in it. returned: a message in it is the one that is reported about.
func (o *opener) part(name string, h textproto.MIMEHeader, body io.Reader, depth int, parts *int, returned bool) {
	if *parts++; *parts > maxEntries || depth > maxDepth {
		return
	}
	typ, params, _ := mime.ParseMediaType(h.Get("Content-Type"))
	if strings.HasPrefix(typ, "multipart/") && params["boundary"] != "" {
		mr := multipart.NewReader(body, params["boundary"])
		for {
			p, err := mr.NextRawPart()
			if err != nil {
				return
			}
			o.part(name, p.Header, p, depth+1, parts, typ == "multipart/report")
		}
	}
	dec := decoded(h, body)
	file := params["name"]
	if _, d, err := mime.ParseMediaType(h.Get("Content-Disposition")); err == nil && d["filename"] != "" {
		file = d["filename"]
	}
	inner := name
	if file != "" {
		inner += ": " + file
	}
	switch {
	case typ == "message/feedback-report":
		o.arf(inner, dec)
	case typ == "message/rfc822" && !returned: // a report that somebody forwarded
		o.takeMail(inner, dec, depth+1, true)
	case typ == "message/rfc822", strings.HasPrefix(typ, "text/") && typ != "text/xml" && !reportName(file), typ == "" && file == "":
		// the reported message itself, or words for people
	case strings.HasPrefix(typ, "image/"), strings.HasPrefix(typ, "multipart/"):
	default:
		br := bufio.NewReaderSize(dec, 8192)
		head, _ := br.Peek(4096)
		if k := kind(head); k == "gzip" || k == "zip" || k == "xml" || k == "json" {
			o.take(inner, br, nil, 0, depth+1)
		}
	}
}

func reportName(file string) bool {
	file = strings.ToLower(file)
	for _, ext := range []string{".xml", ".gz", ".zip", ".json"} {
		if strings.HasSuffix(file, ext) {
			return true
		}
	}
	return false
}

func decoded(h textproto.MIMEHeader, r io.Reader) io.Reader {
	switch strings.ToLower(strings.TrimSpace(h.Get("Content-Transfer-Encoding"))) {
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, &base64Only{bufio.NewReader(r)})
	case "quoted-printable":
		return quotedprintable.NewReader(r)
	}
	return r
}

// base64Only drops what is no base64, as mail readers do.
type base64Only struct{ r *bufio.Reader }

func (b *base64Only) Read(p []byte) (n int, err error) {
	for n < len(p) {
		c, err := b.r.ReadByte()
		if err != nil {
			if n > 0 {
				return n, nil
			}
			return 0, err
		}
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '=' {
			p[n] = c
			n++
		}
	}
	return n, nil
}

func (o *opener) arf(name string, r io.Reader) {
	b, err := io.ReadAll(io.LimitReader(r, maxMailHead))
	if err != nil {
		o.failed(name, err)
		return
	}
	rep, err := arf.Parse(b)
	if err != nil {
		o.failed(name, err)
		return
	}
	o.found++
	o.sum.addARF(rep)
}

// Unreadable notes an input that could not even be opened.
func (s *Sum) Unreadable(name string, why finding.Sentence) {
	s.Files++
	s.trouble(name, why)
}
