package lab

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// exchange sends texts as they stand, each in one write, and after each waits for a line that begins with what follows it.
func (d *dialogue) exchange(pairs ...string) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		if _, err := io.WriteString(d, pairs[i]); err != nil {
			return err
		}
		for pairs[i+1] != "" {
			line, err := d.in.ReadString('\n')
			if err != nil {
				return fmt.Errorf("waiting for %q: %w", pairs[i+1], err)
			}
			if strings.HasPrefix(line, pairs[i+1]) {
				break
			}
		}
	}
	return nil
}

const shortMail = "Subject: a film\r\nFrom: li@hosting.example\r\n\r\nQUIT\r\n250 is no reply here\r\n.. nor an end\r\n"

// shots are sessions that are hard to count right.
var shots = []struct {
	name, host string
	port       int
	v6         bool
	pairs      []string
}{
	{name: "plain", host: "mx1.hosting.example", port: 25, pairs: []string{"", "220 ", "HELO out.hosting.example\r\n", "250 ", "NOOP\r\n", "250 ", "RSET\r\n", "250 ", "VRFY nobody\r\n", "", "", "5", "QUIT\r\n", "221 "}},
	{name: "pipelined", host: "mx1.hosting.example", port: 25, pairs: []string{"", "220 ", "EHLO out.hosting.example\r\n", "250 ",
		"MAIL FROM:<li@hosting.example>\r\nRCPT TO:<li@spf-two.example>\r\nDATA\r\n", "354", shortMail + ".\r\n", "250 ", "MAIL FROM:<>\r\nRCPT TO:<li@spf-two.example>\r\nRSET\r\nQUIT\r\n", "221 "}},
	{name: "body in pieces", host: "mx1.hosting.example", port: 25, pairs: []string{"", "220 ", "EHLO out.hosting.example\r\n", "250 ", "MAIL FROM:<li@hosting.example>\r\n", "250 ", "RCPT TO:<li@spf-two.example>\r\n", "250 ",
		"DATA\r\n", "354", shortMail, "", strings.Repeat("MAIL FROM:<no@command.example>\r\n", 500), "", ".\r\n", "250 ", "QUIT\r\n", "221 "}},
	{name: "refused", host: "mx1.hosting.example", port: 25, pairs: []string{"", "220 ", "EHLO out.hosting.example\r\n", "250 ", "MAIL FROM:<li@hosting.example>\r\n", "250 ", "RCPT TO:<nobody@spf-two.example>\r\n", "5", "DATA\r\n", "5", "BOGUS\r\n", "5", "QUIT\r\n", "221 "}},
	{name: "chunks", host: "mx2.hosting.example", port: 25, pairs: []string{"", "220 ", "EHLO out.hosting.example\r\n", "250 ", "MAIL FROM:<li@hosting.example>\r\n", "250 ", "RCPT TO:<li@spf-two.example>\r\n", "250 ",
		fmt.Sprintf("BDAT %d\r\n", len(shortMail)), "", shortMail, "250", "BDAT 0 LAST\r\n", "250", "QUIT\r\n", "221 "}},
	{name: "chunks at Postfix", host: "mx1.hosting.example", port: 25, pairs: []string{"", "220 ", "EHLO out.hosting.example\r\n", "250 ", "MAIL FROM:<li@hosting.example>\r\n", "250 ", "RCPT TO:<li@spf-two.example>\r\n", "250 ",
		fmt.Sprintf("BDAT %d LAST\r\n", len(shortMail)), "", shortMail, "250", "QUIT\r\n", "221 "}},
	{name: "IPv6", v6: true, host: "mx2.hosting.example", port: 25, pairs: []string{"", "220 ", "EHLO out.hosting.example\r\n", "250 ", "MAIL FROM:<li@hosting.example> SIZE=100\r\n", "250 ", "RCPT TO:<li@spf-two.example>\r\n", "250 ", "DATA\r\n", "354", shortMail + ".\r\n", "250 ", "QUIT\r\n", "221 "}},
	{name: "STARTTLS", host: "mx1.hosting.example", port: 25, pairs: []string{"", "220 ", "EHLO out.hosting.example\r\n", "250 ", "STARTTLS\r\n", "220 "}},
	{name: "AUTH LOGIN", host: "mail.login-no-tls.example", port: 587, pairs: []string{"", "220 ", "EHLO out.hosting.example\r\n", "250 ", "AUTH LOGIN\r\n", "334", "bGlAbG9naW4tbm8tdGxzLmV4YW1wbGU=\r\n", "334", "d3Jvbmc=\r\n", "535", "QUIT\r\n", "221 "}},
	{name: "AUTH PLAIN", host: "mail.login-no-tls.example", port: 587, pairs: []string{"", "220 ", "EHLO out.hosting.example\r\n", "250 ", "AUTH PLAIN AGxpAHdyb25n\r\n", "535", "AUTH LOGIN *\r\n", "5", "QUIT\r\n", "221 "}},
	{name: "POP3", host: "mail.login-no-tls.example", port: 110, pairs: []string{"", "+OK", "CAPA\r\n", ".", "USER li@login-no-tls.example\r\n", "+OK", "PASS " + Password + "\r\n", "+OK", "STAT\r\n", "+OK", "LIST\r\n", ".", "UIDL\r\n", ".", "RETR 77\r\n", "-ERR", "QUIT\r\n", "+OK"}},
	{name: "IMAP", host: "mail.login-no-tls.example", port: 143, pairs: []string{"", "* OK", "a CAPABILITY\r\n", "a OK", "b LOGIN {23}\r\n", "+ ", "li@login-no-tls.example {5}\r\n", "+ ", "wrong\r\n", "b NO",
		"c LOGIN li@login-no-tls.example \"" + Password + "\"\r\n", "c OK", "d SELECT INBOX\r\n", "d OK", "e IDLE\r\n", "+ ", "DONE\r\n", "e OK", "f LIST \"\" *\r\ng STATUS INBOX (MESSAGES)\r\n", "g OK", "h LOGOUT\r\n", "h OK"}},
	{name: "IMAP append", host: "mail.login-no-tls.example", port: 143, pairs: []string{"", "* OK", "a LOGIN li@login-no-tls.example \"" + Password + "\"\r\n", "a OK", "b APPEND INBOX {" + strconv.Itoa(len(shortMail)) + "}\r\n", "+ ", shortMail, "", "\r\n", "b OK",
		"c SELECT INBOX\r\n", "c OK", "d FETCH 1 BODY[]\r\n", "d OK", "e STORE 1 +FLAGS (\\Deleted)\r\n", "e OK", "f EXPUNGE\r\n", "f OK", "g LOGOUT\r\n", "g OK"}},
}

// counts are what a reader of captures finds.
type counts struct {
	SMTP, POP, IMAP int // packets with requests
	Replies         int // packets with reply codes
	Codes           map[string]int
}

func (c *counts) equal(d *counts) bool {
	return c.SMTP == d.SMTP && c.POP == d.POP && c.IMAP == d.IMAP && c.Replies == d.Replies && maps.Equal(c.Codes, d.Codes)
}

// TestTshark films sessions with real servers, in many kinds of file, and holds what the tool counts against tshark.
func TestTshark(t *testing.T) {
	w := lab(t)
	bin, err := w.Build(t.Context(), "..")
	if err != nil {
		t.Fatal(err)
	}
	dir := os.Getenv("MAILWHY_LAB_OUT")
	if dir == "" {
		dir = t.TempDir()
	}
	film := filepath.Join(dir, "shots.pcap")
	rec, err := Record(t.Context(), w.clients[""], "up0", film)
	if err != nil {
		t.Fatal(err)
	}
	var playing sync.WaitGroup
	for _, s := range shots {
		n := slices.IndexFunc(w.Hosts, func(h *Host) bool { return h.Name == s.host })
		if n < 0 {
			t.Fatalf("%s: no host %s", s.name, s.host)
		}
		addr := w.Hosts[n].V4[0]
		if s.v6 {
			addr = w.Hosts[n].V6[0]
		}
		playing.Go(func() {
			d, err := dial(t.Context(), w.clients[""], joinPort(addr, s.port))
			if err == nil {
				err = errors.Join(d.exchange(s.pairs...), d.Close())
			}
			if err != nil {
				t.Errorf("%s: %v", s.name, err)
			}
		})
	}
	playing.Wait()
	if err := rec.Stop(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(film)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"as recorded": film}
	for name, change := range rewrites {
		files[name] = filepath.Join(dir, "shots-"+name+".pcap")
		if err := os.WriteFile(files[name], rewrite(raw, change), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, args := range map[string][]string{"pcapng": {"-F", "pcapng"}, "nanoseconds": {"-F", "nsecpcap"}, "copies": {"-F", "pcap", "-D", "1"}} {
		files[name] = filepath.Join(dir, "shots-"+name)
		edit(t, "editcap", append(args, film, files[name])...)
	}
	files["two interfaces"] = filepath.Join(dir, "shots-two.pcapng")
	edit(t, "mergecap", "-I", "none", "-F", "pcapng", "-w", files["two interfaces"], files["raw"], files["half"])
	for _, name := range slices.Sorted(maps.Keys(files)) {
		t.Run(name, func(t *testing.T) {
			theirs, err := byTshark(t.Context(), files[name])
			if err != nil {
				t.Fatal(err)
			}
			o, err := w.Tool(t.Context(), bin, "", w.Dir, "capture", files[name], "--json")
			if err != nil {
				t.Fatal(err)
			}
			ours, err := byUs(o.Stdout)
			if err != nil {
				t.Fatalf("%v: %s", err, o.Stderr)
			}
			if theirs.SMTP == 0 || !ours.equal(theirs) {
				t.Errorf("tshark reads %+v, mailwhy %+v", *theirs, *ours)
			}
		})
	}
}

func edit(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", program, err, out)
	}
}

// byTshark counts packets by the filters of Wireshark.
func byTshark(ctx context.Context, file string) (*counts, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	c := &counts{Codes: map[string]int{}}
	for filter, n := range map[string]*int{"smtp.req.command": &c.SMTP, "smtp.response.code": &c.Replies, "pop.request": &c.POP, "imap.request": &c.IMAP} {
		out, err := exec.CommandContext(ctx, "tshark", "-r", file, "-Y", filter, "-T", "fields", "-e", "smtp.response.code").Output()
		if err != nil {
			return nil, fmt.Errorf("tshark: %w", err)
		}
		*n = strings.Count(string(out), "\n")
		for _, code := range strings.FieldsFunc(string(out), func(r rune) bool { return r == ',' || r == '\n' }) {
			c.Codes[code]++
		}
	}
	return c, nil
}

func byUs(out []byte) (*counts, error) {
	var r struct {
		Streams []struct {
			Protocol  string
			Wireshark struct {
				Requests, Replies int
				Codes             []string
			}
		}
	}
	if err := json.Unmarshal(firstLine(out), &r); err != nil {
		return nil, err
	}
	c := &counts{Codes: map[string]int{}}
	for _, s := range r.Streams {
		switch s.Protocol {
		case "smtp":
			c.SMTP += s.Wireshark.Requests
		case "pop3":
			c.POP += s.Wireshark.Requests
		case "imap":
			c.IMAP += s.Wireshark.Requests
		}
		c.Replies += s.Wireshark.Replies
		for _, code := range s.Wireshark.Codes {
			c.Codes[code]++
		}
	}
	return c, nil
}

// packetChange gives the packets that stand for one, each with its Ethernet header taken off, and the link type of the file.
type packetChange struct {
	link  uint32
	order binary.AppendByteOrder
	as    func(kind uint16, ip []byte) [][]byte
}

func headed(head ...byte) func(uint16, []byte) [][]byte {
	return func(kind uint16, ip []byte) [][]byte {
		return [][]byte{append(binary.BigEndian.AppendUint16(bytes.Clone(head), kind), ip...)}
	}
}

var rewrites = map[string]packetChange{
	"raw": {101, binary.LittleEndian, func(_ uint16, ip []byte) [][]byte { return [][]byte{ip} }},
	"null": {0, binary.LittleEndian, func(kind uint16, ip []byte) [][]byte {
		family := map[uint16]uint32{0x0800: 2, 0x86dd: 24}[kind]
		return [][]byte{append(binary.LittleEndian.AppendUint32(nil, family), ip...)}
	}},
	"big-endian": {1, binary.BigEndian, headed(make([]byte, 12)...)},
	"vlan":       {1, binary.LittleEndian, headed(append(make([]byte, 12), 0x81, 0, 0, 7)...)},
	"two vlans":  {1, binary.LittleEndian, headed(append(make([]byte, 12), 0x88, 0xa8, 0, 9, 0x81, 0, 0, 7)...)},
	"cooked":     {113, binary.LittleEndian, headed(make([]byte, 14)...)},
	"cooked 2": {276, binary.LittleEndian, func(kind uint16, ip []byte) [][]byte {
		return [][]byte{append(append(binary.BigEndian.AppendUint16(nil, kind), make([]byte, 18)...), ip...)}
	}},
	"fragments": {101, binary.LittleEndian, fragmented},
	"half": {101, binary.LittleEndian, func(_ uint16, ip []byte) [][]byte { // only what IPv6 carries
		if ip[0]>>4 == 6 {
			return [][]byte{ip}
		}
		return nil
	}},
}

// fragmented cuts an IPv4 packet in two where it is long enough, the second half first.
func fragmented(_ uint16, ip []byte) [][]byte {
	hl := int(ip[0]&15) * 4
	cut := hl + (len(ip)-hl)/2&^7
	if ip[0]>>4 != 4 || cut < hl+24 {
		return [][]byte{ip}
	}
	part := func(body []byte, flags uint16) []byte {
		p := append(bytes.Clone(ip[:hl]), body...)
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		binary.BigEndian.PutUint16(p[6:], flags)
		return p
	}
	total := int(binary.BigEndian.Uint16(ip[2:]))
	return [][]byte{part(ip[cut:total], uint16(cut-hl)/8), part(ip[hl:cut], 0x2000)}
}

// rewrite changes the packets of a capture of an Ethernet device.
func rewrite(pcap []byte, c packetChange) []byte {
	from := binary.LittleEndian
	out := c.order.AppendUint32(nil, 0xa1b2c3d4)
	out = c.order.AppendUint16(out, 2)
	out = c.order.AppendUint16(out, 4)
	for _, v := range []uint32{0, 0, 262144, c.link} {
		out = c.order.AppendUint32(out, v)
	}
	for b := pcap[24:]; len(b) >= 16; {
		n := int(from.Uint32(b[8:]))
		frame := b[16 : 16+n]
		for _, p := range c.as(binary.BigEndian.Uint16(frame[12:]), frame[14:]) {
			for _, v := range []uint32{from.Uint32(b), from.Uint32(b[4:]), uint32(len(p)), uint32(len(p))} {
				out = c.order.AppendUint32(out, v)
			}
			out = append(out, p...)
		}
		b = b[16+n:]
	}
	return out
}
