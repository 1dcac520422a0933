package logs

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
)

// Program names for lines of files that name none. They are never written to.
var (
	progClamavMilter = []byte("clamav-milter")
	progSpamd        = []byte("spamd")
	progRspamd       = []byte("rspamd")
	progFail2ban     = []byte("fail2ban")
	progDovecot      = []byte("dovecot")
	progExim         = []byte("exim")
	progQmail        = []byte("qmail")
	progHaraka       = []byte("haraka")
	progZimbra       = []byte("zimbra")
	progStalwart     = []byte("stalwart")
	progMaddy        = []byte("maddy")
	progPostfix      = []byte("postfix")
)

// Prefix reads who, where and when from the start of a line, whatever syslog format it has, and leaves the rest in
// o.Msg. ok is false where the line has no prefix that is known: then Msg is the whole line.
//
// Formats: RFC 3164 as written by every syslogd (with and without host, PRI, year, fraction), RFC 3339 and RFC 5424,
// journalctl's short-iso, short-full and short-unix, TAI64N labels, and the own files of Exim, rspamd, fail2ban,
// Dovecot, SpamAssassin and ClamAV, for which Program is set to the name of the software.
func Prefix(c *Clock, line []byte, o *event.Origin) (ok bool) {
	o.Line, o.Msg = line, line
	if len(line) < 8 {
		return false
	}
	switch ch := line[0]; {
	case ch-'A' < 26:
		return bsdPrefix(c, line, o)
	case digit(ch):
		return isoPrefix(c, line, o)
	case ch == '<':
		return priPrefix(c, line, o)
	case ch == '@':
		return taiPrefix(line, o)
	case ch == '[':
		return bracketPrefix(line, o)
	}
	if line[0] == ' ' || line[0] == '\t' { // the events of a cloud's log service, printed over several lines
		var scratch []byte
		text := bytes.TrimLeft(line, " \t")
		if Has(text, `"message": "`) {
			if text, n := jsonString(text[len(`"message": `):], &scratch); n > 0 && dated(text) {
				ok = Prefix(c, bytes.TrimRight(text, "\r\n"), o)
				o.Line = line
				return ok
			}
		}
		return false
	}
	if rest := composed(line); rest != nil {
		ok = Prefix(c, rest, o)
		o.Line = line
		return ok
	}
	return plainPrefix(line, o)
}

// bsdPrefix reads "Nov 22 01:45:23 host prog[pid]: " and its relatives.
func bsdPrefix(c *Clock, b []byte, o *event.Origin) bool {
	if len(b) < 16 {
		return false
	}
	sec, z, ok := c.bsd(b)
	if !ok {
		return oddDate(c, b, o)
	}
	n := 15
	o.At, o.Zone, o.TimeSet = sec*1e9, z, true
	if b[n] == '.' {
		ns, fn := fraction(b[n:])
		o.At, n = o.At+ns, n+fn
	}
	if n >= len(b) || b[n] != ' ' {
		return n < len(b) && b[n] == ':' && hostAndTag(b[n+1:], o)
	}
	return hostAndTag(b[n+1:], o)
}

// oddDate reads dates that begin with a letter and are rare: "Nov 22 2026 01:45:23", "Sun Nov 22 01:45:23 2026" and
// "Sun 2026-11-22 01:45:23 UTC".
func oddDate(c *Clock, b []byte, o *event.Origin) bool {
	if len(b) >= 21 && month(b) != 0 && b[6] == ' ' && b[11] == ' ' && digit(b[7]) && digit(b[10]) { // year after the day
		if sec, z, ok := c.dated(b[:6], b[12:20], b[7:11]); ok && (b[20] == ' ' || b[20] == ':') {
			o.At, o.Zone, o.TimeSet = sec*1e9, z, true
			return hostAndTag(b[21:], o)
		}
	}
	if len(b) >= 25 && b[3] == ' ' && month(b[4:]) != 0 && b[10] == ' ' && b[19] == ' ' { // ctime
		if sec, z, ok := c.dated(b[4:10], b[11:19], b[20:24]); ok {
			o.At, o.Zone, o.TimeSet = sec*1e9, z, true
			return ctimeRest(b[24:], o)
		}
	}
	if len(b) >= 24 && b[3] == ' ' && digit(b[4]) && b[8] == '-' { // journalctl short-full
		at, z, zoned, n := c.iso3339(b[4:])
		if n == 0 {
			return plainPrefix(b, o)
		}
		rest := bytes.TrimPrefix(b[4+n:], []byte(" "))
		i := bytes.IndexByte(rest, ' ')
		if i < 0 {
			return false
		}
		if string(rest[:i]) == "UTC" {
			at, z, zoned = at+int64(z)*1e9, 0, true
		}
		o.At, o.Zone, o.ZoneSet, o.TimeSet = at, z, zoned, true
		return hostAndTag(rest[i+1:], o)
	}
	return plainPrefix(b, o)
}

// dated reads "Nov 22", "01:45:23" and "2026" in the local zone.
func (c *Clock) dated(md, clock, year []byte) (int64, int32, bool) {
	mo, day := month(md), two(md[4:])
	if mo == 0 || day > 31 {
		return 0, 0, false
	}
	var iso [19]byte
	copy(iso[:], year)
	iso[4], iso[5], iso[6], iso[7] = '-', '0'+byte(mo/10), '0'+byte(mo%10), '-'
	iso[8], iso[9], iso[10] = '0'+byte(day/10), '0'+byte(day%10), ' '
	copy(iso[11:], clock)
	return c.isoLocal(iso[:])
}

// ctimeRest reads what SpamAssassin ("[1234] info: spamd: …") and ClamAV ("-> …") write after a ctime date.
func ctimeRest(b []byte, o *event.Origin) bool {
	b = bytes.TrimPrefix(b, []byte(" "))
	switch {
	case bytes.HasPrefix(b, []byte("-> ")):
		o.Program, o.Msg = progClamavMilter, b[3:]
		return true
	case len(b) > 2 && b[0] == '[':
		i := bytes.Index(b, []byte("] "))
		if i < 0 {
			return false
		}
		o.PID, _ = pid(b[1:i])
		b = b[i+2:]
		if j := bytes.Index(b, []byte(": ")); j > 0 && j < 8 {
			o.Program, o.Msg = progSpamd, b[j+2:]
			return true
		}
	}
	return hostAndTag(b, o)
}

// hostAndTag reads "host prog[pid]: msg", or "prog[pid]: msg" where the host is left out.
func hostAndTag(b []byte, o *event.Origin) bool {
	i := bytes.IndexByte(b, ' ')
	if i <= 0 {
		return false
	}
	if b[0] == '<' && b[i-1] == '>' { // FreeBSD's verbose syslog: <mail.info>
		b = b[i+1:]
		if i = bytes.IndexByte(b, ' '); i <= 0 {
			return false
		}
	}
	if b[i-1] != ':' {
		o.Host, b = b[:i], b[i+1:]
	}
	return tag(b, o) || odderTag(b, o)
}

// tag reads "prog[pid]: msg".
func tag(b []byte, o *event.Origin) bool {
	i := 0
	for i < len(b) && b[i] != '[' && b[i] != ' ' && (b[i] != ':' || i+1 < len(b) && digit(b[i+1]) && bytes.IndexByte(b[:i], '/') > 0) { // postfix/127.0.0.1:10025/smtpd
		i++
	}
	if i == 0 || i >= len(b) {
		return false
	}
	prog := b[:i]
	if b[i] == '[' {
		p, n := pid(b[i+1:])
		if n == 0 {
			n = max(bytes.IndexByte(b[i+1:], ']'), 0)
		}
		o.PID, i = p, i+1+n
		if i < len(b) && b[i] == ']' {
			i++
		}
	}
	if i < len(b) && b[i] == ':' {
		i++
	} else if i >= len(b) || b[i] != ' ' || o.PID == 0 {
		return false
	}
	if i < len(b) && b[i] == ' ' {
		i++
	}
	if i+4 < len(b) && string(b[i:i+4]) == "[ID " { // Solaris
		if j := bytes.Index(b[i:], []byte("] ")); j > 0 {
			i += j + 2
		}
	}
	o.Program, o.Msg = unit(prog), b[i:]
	return true
}

// unit takes ".service" off, with what stands behind "@": journalctl -o with-unit names units in the place of programs.
func unit(prog []byte) []byte {
	if n := len(prog) - len(".service"); n > 0 && string(prog[n:]) == ".service" {
		prog = prog[:n]
		if i := bytes.IndexByte(prog, '@'); i > 0 {
			prog = prog[:i]
		}
	}
	return prog
}

// pid reads decimal digits and gives the number and how many there were.
func pid(b []byte) (p int32, n int) {
	for n < len(b) && n < 9 && digit(b[n]) {
		p = p*10 + int32(b[n]-'0')
		n++
	}
	return p, n
}

// isoPrefix reads lines that begin with a digit.
func isoPrefix(c *Clock, b []byte, o *event.Origin) bool {
	if len(b) < 20 || b[4] != '-' {
		return epochPrefix(c, b, o)
	}
	at, z, zoned, n := c.iso3339(b)
	if n == 0 || n >= len(b) || b[n] != ' ' {
		return plainPrefix(b, o)
	}
	o.At, o.Zone, o.ZoneSet, o.TimeSet = at, z, zoned, true
	rest := b[n+1:]
	if b[10] == ' ' && !zoned {
		return ownFile(rest, b[19] == ',', o)
	}
	if len(rest) > 0 && rest[0] == '[' && bracketPrefix(rest, o) {
		return true
	}
	if text := criText(rest); text != nil {
		return inner(c, text, o)
	}
	if stalwartShape(rest) {
		o.Program, o.Msg = progStalwart, rest
		return true
	}
	if maddyShape(rest) {
		o.Program, o.Msg = progMaddy, rest
		return true
	}
	return hostAndTag(rest, o) || dated(rest) && inner(c, rest, o) || columns(rest, o)
}

// dated tells a text that begins with a time: what "docker logs -t" and other collectors put their own time in front of.
func dated(b []byte) bool {
	return len(b) > 20 && (month(b) != 0 && b[3] == ' ' || digit(b[0]) && digit(b[3]) && b[4] == '-' || b[0] == '<' && digit(b[1]))
}

// columns reads what RFC 5424 has behind the time, where the priority and the version in front were left out.
func columns(b []byte, o *event.Origin) bool {
	host, rest, ok := Cut(b, " ")
	prog, rest, ok2 := Cut(rest, " ")
	proc, rest, ok3 := Cut(rest, " ")
	id, rest, ok4 := Cut(rest, " ")
	p, n := pid(proc)
	if !ok || !ok2 || !ok3 || !ok4 || len(host) == 0 || len(prog) == 0 || len(id) == 0 || n != len(proc) && string(proc) != "-" || len(rest) == 0 || rest[0] != '-' && rest[0] != '[' {
		return false
	}
	o.Host, o.Program, o.PID = host, prog, p
	o.Msg = bytes.TrimPrefix(skipStructured(rest), []byte(" "))
	return true
}

// epochPrefix reads journalctl's short-unix ("1795312260.123456 host prog[1]: ") and what else begins with digits.
func epochPrefix(c *Clock, b []byte, o *event.Origin) bool {
	if len(b) > 12 && digit(b[9]) && b[10] == '.' {
		var sec int64
		for _, ch := range b[:10] {
			if !digit(ch) {
				return plainPrefix(b, o)
			}
			sec = sec*10 + int64(ch-'0')
		}
		ns, n := fraction(b[10:])
		if n > 0 && 10+n < len(b) && b[10+n] == ' ' {
			o.At, o.ZoneSet, o.TimeSet = sec*1e9+ns, true, true
			if rest := b[11+n:]; qmailShape(rest) {
				o.Program, o.Msg = progQmail, rest
				return true
			}
			return hostAndTag(b[11+n:], o)
		}
	}
	if _, n := pid(b); n > 1 && n < 6 && len(b) > n+12 && b[n] == ' ' && b[n+1] == '<' { // octets counted, as syslog over TCP sends them
		line := o.Line
		ok := priPrefix(c, b[n+1:], o)
		o.Line = line
		return ok
	}
	switch {
	case len(b) > 22 && b[4] == '/' && b[7] == '/' && b[10] == ' ': // 2026/11/22 01:45:23
		var iso [19]byte
		copy(iso[:], b)
		iso[4], iso[7] = '-', '-'
		if sec, z, ok := c.isoLocal(iso[:]); ok && b[19] == ' ' {
			o.At, o.Zone, o.TimeSet = sec*1e9, z, true
			return hostAndTag(b[20:], o)
		}
	case len(b) > 22 && b[4] == ' ' && month(b[5:]) != 0 && b[20] == ' ': // 2026 Nov 22 01:45:23
		if sec, z, ok := c.dated(b[5:11], b[12:20], b[:4]); ok {
			o.At, o.Zone, o.TimeSet = sec*1e9, z, true
			return hostAndTag(b[21:], o)
		}
	case len(b) > 22 && b[0] == '1' && b[1] == ' ' && b[6] == '-' && b[12] == 'T': // RFC 5424 whose <PRI> was taken off
		return rfc5424(c, b[2:], o)
	}
	return plainPrefix(b, o)
}

// priPrefix reads "<22>1 2026-…" (RFC 5424) and "<22>Nov 22 …" (RFC 3164 on the wire).
func priPrefix(c *Clock, b []byte, o *event.Origin) bool {
	_, n := pid(b[1:])
	if n == 0 || n > 3 || len(b) < n+10 || b[n+1] != '>' {
		return false
	}
	rest := b[n+2:]
	if rest[0] != '1' || rest[1] != ' ' {
		line := o.Line
		ok := Prefix(c, rest, o)
		o.Line = line
		return ok
	}
	return rfc5424(c, rest[2:], o)
}

// rfc5424 reads "TIME HOST APP PROCID MSGID SD MSG".
func rfc5424(c *Clock, b []byte, o *event.Origin) bool {
	var f [5][]byte
	for i := range f {
		j := bytes.IndexByte(b, ' ')
		if j < 0 {
			return false
		}
		f[i], b = b[:j], b[j+1:]
	}
	if at, z, zoned, n := c.iso3339(f[0]); n > 0 {
		o.At, o.Zone, o.ZoneSet, o.TimeSet = at, z, zoned, true
	}
	nilValue := func(v []byte) []byte {
		if len(v) == 1 && v[0] == '-' {
			return nil
		}
		return v
	}
	o.Host, o.Program = nilValue(f[1]), nilValue(f[2])
	o.PID, _ = pid(f[3])
	b = skipStructured(b)
	o.Msg = bytes.TrimPrefix(bytes.TrimPrefix(b, []byte(" ")), []byte("\xef\xbb\xbf"))
	return o.Program != nil || tag(o.Msg, o)
}

// skipStructured steps over "-" or "[id name="value"]…" where values may hold escaped brackets and quotes.
func skipStructured(b []byte) []byte {
	if len(b) > 0 && b[0] == '-' {
		return b[1:]
	}
	for len(b) > 0 && b[0] == '[' {
		quoted, i := false, 1
		for ; i < len(b); i++ {
			switch {
			case b[i] == '\\' && quoted:
				i++
			case b[i] == '"':
				quoted = !quoted
			case b[i] == ']' && !quoted:
				goto end
			}
		}
		return nil
	end:
		b = b[i+1:]
	}
	return b
}

// taiPrefix reads multilog's "@4000000065a1b2c3…" label of 24 hexadecimal digits. Leap seconds of TAI are taken off.
func taiPrefix(b []byte, o *event.Origin) bool {
	if len(b) < 26 || b[25] != ' ' {
		return false
	}
	var sec, ns uint64
	for i, ch := range b[1:25] {
		d := hexDigit(ch)
		if d < 0 {
			return false
		}
		if i < 16 {
			sec = sec<<4 | uint64(d)
		} else {
			ns = ns<<4 | uint64(d)
		}
	}
	const labelBase, leap = 1 << 62, 10 // what multilog's labels of UTC-keeping systems add
	o.At, o.ZoneSet, o.TimeSet = int64(sec-labelBase-leap)*1e9+int64(ns), true, true
	o.Program, o.Msg = progQmail, b[26:]
	return true
}

func hexDigit(c byte) int {
	switch {
	case digit(c):
		return int(c - '0')
	case c-'a' < 6:
		return int(c-'a') + 10
	case c-'A' < 6:
		return int(c-'A') + 10
	}
	return -1
}

// bracketPrefix reads Haraka's "[NOTICE] [UUID] [core] …" and SpamAssassin's "[1234] info: spamd: …".
func bracketPrefix(b []byte, o *event.Origin) bool {
	i := bytes.Index(b, []byte("] "))
	if i < 2 {
		return false
	}
	if len(bytes.Trim(b[1:i], " .0123456789")) == 0 && bytes.IndexByte(b[1:i], '.') > 0 { // journalctl -o short-monotonic
		return hostAndTag(b[i+2:], o)
	}
	if p, n := pid(b[1:i]); n == i-1 {
		if j := bytes.Index(b[i+2:], []byte(": ")); j > 0 && j < 8 {
			o.PID, o.Program, o.Msg = p, progSpamd, b[i+2+j+2:]
			return true
		}
		return false
	}
	for _, ch := range b[1:i] {
		if ch-'A' >= 26 {
			return false
		}
	}
	if i+2 < len(b) && b[i+2] == '[' {
		o.Program, o.Msg = progHaraka, b
		return true
	}
	return false
}

// plainPrefix reads "prog[pid]: msg", as a container's standard output has it.
func plainPrefix(b []byte, o *event.Origin) bool {
	switch {
	case maddyShape(b):
		o.Program, o.Msg = progMaddy, b
		return true
	case postfixShape(b):
		o.Program, o.Msg = progPostfix, b
		return true
	}
	i := bytes.Index(b[:min(len(b), 80)], []byte(": "))
	if i <= 0 || bytes.IndexByte(b[:i], ' ') >= 0 {
		return false
	}
	return tag(b, o)
}
