package capture

import (
	"bytes"
	"strconv"
	"strings"
)

// Wireshark is what Wireshark shows of the same stream: its filters smtp.req.command, smtp.response.code, pop.request and
// imap.request match packets, not commands. Commands sent together count once, a reply that came in two packets twice,
// and what follows a BDAT whose size no server takes is held to be a message. Requests and Replies of the Stream count
// what was said; these serve whoever compares the two.
type Wireshark struct {
	Requests int      `json:"requests"` // packets with a command
	Replies  int      `json:"replies"`  // packets with a reply code
	Codes    []string `json:"codes,omitempty"`
	MailFrom []string `json:"mail_from,omitempty"`
}

// packets reads a stream packet by packet, with no memory of the one before but the state a dissector keeps.
type packets struct {
	seen      Wireshark
	part      [2][]byte // a first line that is not whole yet
	message   bool      // the client sends one
	anyData   bool
	crlf      bool   // the last packet of the message ended a line
	want, got uint32 // octets of BDAT, of all chunks
	login     login
	sealing   bool // STARTTLS waits for its answer
	sealed    bool
}

type login uint8

const (
	noLogin login = iota
	loginBegun
	loginAsked // for the name, or for all of PLAIN
	loginNamed
	passwordAsked
	loginOver
)

// feed takes the payload of a packet. Of POP3 and IMAP only the requests are counted.
func (p *packets) feed(protocol string, dir int, b []byte) {
	if p.sealed || len(b) == 0 {
		return
	}
	if held := p.part[dir]; held != nil {
		b = append(held, b...)
		p.part[dir] = nil
	}
	if protocol != "pop3" && bytes.IndexByte(b, '\n') < 0 && (bytes.IndexByte(b, '\r') < 0 || b[len(b)-1] == '\r') && len(b) < maxLine {
		p.part[dir] = append([]byte(nil), b...)
		return
	}
	switch {
	case protocol != "smtp":
		p.line(protocol, dir, b)
	case dir == client:
		p.says(b)
	default:
		p.replies(b)
	}
}

// line counts a packet of POP3 or IMAP.
func (p *packets) line(protocol string, dir int, b []byte) {
	up := strings.ToUpper(string(b[:min(len(b), 64)]))
	if dir == client {
		if len(bytes.TrimSpace(b)) > 0 {
			p.seen.Requests++
		}
		p.sealing = protocol == "pop3" && strings.HasPrefix(up, "STLS") || protocol == "imap" && strings.Contains(up, " STARTTLS")
		return
	}
	p.sealed = p.sealing && (strings.HasPrefix(up, "+OK") || protocol == "imap" && strings.Contains(up, " OK"))
}

// cutLine takes a line off: up to LF, CRLF or a CR alone.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexAny(b, "\r\n")
	switch {
	case i < 0:
		return b, nil
	case b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n':
		return b[:i], b[i+2:]
	}
	return b[:i], b[i+1:]
}

// says counts a packet of an SMTP client. What stands last in it decides what the packet is.
func (p *packets) says(b []byte) {
	isCommand, isLogin, from := true, false, []string(nil)
	for len(b) > 0 {
		if p.message {
			p.body(b)
			return
		}
		var line []byte
		line, b = cutLine(b)
		switch verb, arg, _ := strings.Cut(string(line), " "); {
		case commandWord(verb):
			isCommand = true
			p.command(strings.ToUpper(verb), arg)
			if strings.EqualFold(verb, "MAIL") {
				from = append(from, clip(arg))
			}
		case p.login == loginAsked || p.login == passwordAsked:
			isLogin = true
			p.login++
		default:
			isCommand = !p.anyData
		}
	}
	if isCommand && !isLogin {
		p.seen.Requests++
		if len(p.seen.MailFrom) < maxStages {
			p.seen.MailFrom = append(p.seen.MailFrom, from...)
		}
	}
}

// body takes a packet of a message; whatever follows the message in it is not looked at.
func (p *packets) body(b []byte) {
	over := p.crlf && bytes.HasPrefix(b, []byte(".\r\n")) || bytes.HasPrefix(b, []byte("\r\n.\r\n")) || bytes.Contains(b, []byte("\n.\r\n"))
	p.crlf = bytes.HasSuffix(b, []byte("\r\n"))
	if over {
		p.message = false
	} else if p.want > 0 {
		p.got += uint32(len(b))
		p.message = p.got != p.want
	}
}

func (p *packets) command(verb, arg string) {
	switch verb {
	case "DATA":
		p.message, p.anyData = true, true
	case "BDAT":
		size, _, _ := strings.Cut(strings.TrimSpace(arg), " ")
		n, err := strconv.ParseInt(size, 10, 64)
		switch {
		case err != nil && (arg == "" || size != "" && (size[0] == '-' || size[0] >= '0' && size[0] <= '9')):
			n = 1<<32 - 1 // no number, or one too large
		case err != nil:
			n = 0
		}
		p.anyData = true
		p.want += uint32(n)
		p.message = uint32(n) != 0
	case "AUTH":
		switch mech, rest, _ := strings.Cut(strings.ToUpper(arg), " "); {
		case mech == "LOGIN" && rest == "", mech == "PLAIN" && rest == "":
			p.login = loginBegun
		case mech == "LOGIN":
			p.login = loginNamed
		}
	case "STARTTLS":
		p.sealing = true
	}
}

// commandWord tells what Wireshark takes for a command of SMTP.
func commandWord(s string) bool {
	switch strings.ToUpper(s) {
	case "STARTTLS", "X-EXPS", "X-LINK2STATE", "XEXCH50":
		return true
	}
	return len(s) == 4 && strings.IndexFunc(s, func(r rune) bool { return r|0x20 < 'a' || r|0x20 > 'z' }) < 0
}

// replies counts a packet of an SMTP server; the lines of one reply count once, in each packet anew.
func (p *packets) replies(b []byte) {
	any, more := false, false
	for len(b) > 0 {
		var line []byte
		line, b = cutLine(b)
		if len(line) < 3 || !digits(line[:3]) {
			continue
		}
		if !more {
			any = true
			if len(p.seen.Codes) < maxCodes {
				p.seen.Codes = append(p.seen.Codes, string(line[:3]))
			}
		}
		more = len(line) > 3 && line[3] == '-'
		code := string(line[:3])
		switch {
		case p.sealing:
			p.sealing, p.sealed = false, code == "220"
		case code == "334" && (p.login == loginBegun || p.login == loginNamed):
			p.login++
		}
	}
	if any {
		p.seen.Replies++
	}
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
