package capture

import (
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/wire"
)

const masked = "****"

// smtpStages gives the stage of a command.
func smtpStage(verb string, again bool) string {
	switch verb {
	case "EHLO":
		if again {
			return "ehlo2"
		}
		return "ehlo"
	case "HELO", "LHLO":
		return "helo"
	case "MAIL", "RCPT", "DATA", "RSET", "QUIT", "STARTTLS", "VRFY", "AUTH", "BDAT", "NOOP", "EXPN", "HELP", "ETRN", "TURN", "XCLIENT", "XFORWARD", "BURL", "SEND", "SOML", "SAML":
		return strings.ToLower(verb)
	}
	return "other"
}

func (k *talk) smtp(dir int, line string, at int64) {
	if dir == client {
		k.smtpSays(line, at)
	} else {
		k.smtpReplies(line, at)
	}
}

func (k *talk) smtpSays(line string, at int64) {
	verb, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
	verb = strings.ToUpper(verb)
	name := smtpStage(verb, k.upgraded)
	if !k.sure {
		if name == "other" || verb == "HELP" || verb == "NOOP" {
			k.stop() // FTP greets alike
			return
		}
		k.sure = true
	}
	if n := len(k.queue); name == "other" && k.lastCode != 334 && (k.blind[client] || n > 0 && k.queue[n-1].name == "data") {
		k.early = k.early || line == "."
		k.c.LeftOut++
		return // of a message, perhaps
	}
	k.blind[client] = false
	if k.auth && (name == "other" || k.lastCode == 334) || name == "other" && (k.lastCode == 334 || token(line)) {
		k.say(line, masked, at)
		k.ask("auth", "", "", at)
		return
	}
	k.auth = false
	k.c.Requests++
	shown := line
	switch verb {
	case "AUTH":
		mech, rest, more := strings.Cut(arg, " ")
		k.auth, arg = true, mech
		if more && rest != "=" {
			shown = "AUTH " + mech + " " + masked
		}
		k.password()
	case "MAIL":
		if len(k.c.MailFrom) < maxStages {
			k.c.MailFrom = append(k.c.MailFrom, strings.Clone(clip(arg)))
		}
		arg = address(arg)
	case "RCPT":
		arg = address(arg)
	case "BDAT":
		k.say(line, shown, at)
		k.bdat(arg, at)
		return
	}
	k.say(line, shown, at)
	k.ask(name, arg, "", at)
	if verb == "DATA" && k.c.Server.Packets == 0 {
		k.queue = nil
		k.begin(client)
		k.mode[client] = dotted
	}
}

// say shows a line of the client, masked unless secrets may be shown.
func (k *talk) say(line, shown string, at int64) {
	if k.t.opt.ShowSecrets {
		shown = line
	}
	k.add(wire.Sent, at, shown)
}

func (k *talk) password() {
	if k.hands == nil {
		k.c.Cleartext = true
	}
}

// token tells a word that looks like base64: an answer to a challenge whose question is not in the capture.
func token(line string) bool {
	if len(line) < 8 || strings.ContainsAny(line, " :<>@") {
		return false
	}
	for i := range len(line) {
		c := line[i]
		if c != '+' && c != '/' && c != '=' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// address takes the address out of FROM:<…> or TO:<…>.
func address(arg string) string {
	_, a, ok := strings.Cut(arg, ":")
	if !ok {
		return arg
	}
	a = strings.TrimSpace(a)
	if i := strings.IndexByte(a, '>'); strings.HasPrefix(a, "<") && i > 0 {
		return a[1:i]
	}
	a, _, _ = strings.Cut(a, " ")
	return a
}

func (k *talk) bdat(arg string, at int64) {
	size, last, _ := strings.Cut(strings.TrimSpace(arg), " ")
	n, err := strconv.ParseInt(size, 10, 64)
	k.ask("bdat", arg, "", at)
	last = strings.TrimSpace(last)
	if err != nil || n < 0 || n > 1<<40 || last != "" && !strings.EqualFold(last, "LAST") {
		return // refused for its form (RFC 3030 section 2), so that no octets follow
	}
	if k.body == nil {
		k.begin(client)
	}
	k.bdatLast = last != ""
	if n == 0 {
		k.octetsEnd(client, at)
		return
	}
	k.mode[client], k.need[client] = octets, n
}

func (k *talk) smtpReplies(line string, at int64) {
	k.add(wire.Received, at, line)
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || line[1] < '0' || line[1] > '9' || line[2] < '0' || line[2] > '9' {
		return
	}
	if len(k.reply) < 100 {
		k.reply = append(k.reply, line)
	}
	if len(line) > 3 && line[3] == '-' {
		return
	}
	code, _ := strconv.Atoi(line[:3])
	text, n := strings.Join(k.reply, "\n"), len(k.reply)
	k.reply, k.lastCode = k.reply[:0], code
	k.c.Replies++
	if len(k.c.Codes) < maxCodes {
		k.c.Codes = append(k.c.Codes, strings.Clone(line[:3]))
	}
	if code != 334 {
		k.auth = false
	}
	if !k.greeted {
		k.greeted = true
		if k.c.Client.Bytes == 0 || code == 220 && (len(k.queue) == 0 || k.queue[0].name != "starttls") {
			from := k.c.opened
			if from == 0 {
				from = at
			}
			k.answer(command{name: "greeting", stage: k.stage("greeting", "", from, 0, false)}, at, code, code < 400, text, n)
			if s := len(k.c.Stages); s > 0 {
				k.c.Stages[s-1].Took = k.c.Banner
			}
			return
		}
	}
	if len(k.queue) == 0 {
		if code >= 400 { // said without being asked: 421 and the like
			k.answer(command{name: "other", at: at, stage: k.stage("other", "", at, 0, false)}, at, code, false, text, n)
		}
		return
	}
	q := k.queue[0]
	k.queue = k.queue[1:]
	k.answer(q, at, code, code < 400, text, n)
	switch {
	case q.name == "data" && code == 354 && k.early:
		k.early = false
		k.ask("message", "", "", at)
	case q.name == "data" && code == 354:
		k.begin(client)
		k.mode[client] = dotted
		if early := k.line[client]; len(early) > 0 {
			k.line[client] = nil
			k.dots(early)
		}
	case q.name == "starttls" && code == 220:
		k.seal(false)
	}
}

func (k *talk) pop3(dir int, line string, at int64) {
	if dir == client {
		k.pop3Says(line, at)
		return
	}
	ok := strings.HasPrefix(line, "+OK")
	if k.blind[server] && !ok && !strings.HasPrefix(line, "-ERR") {
		k.c.LeftOut++
		return // of a message, perhaps
	}
	k.blind[server] = false
	k.add(wire.Received, at, line)
	switch {
	case strings.HasPrefix(line, "+ "), line == "+":
		return
	case !ok && !strings.HasPrefix(line, "-ERR"):
		return // a line of a list
	}
	k.c.Replies++
	k.auth = false
	if !k.greeted && k.c.Client.Bytes == 0 {
		k.greeted = true
		k.answer(command{name: "greeting", at: at - int64(k.c.Banner), stage: k.stage("greeting", "", at, 0, false)}, at, 0, ok, line, 1)
		return
	}
	if len(k.queue) == 0 {
		return
	}
	q := k.queue[0]
	k.queue = k.queue[1:]
	k.answer(q, at, 0, ok, line, 1)
	switch {
	case ok && (q.name == "retr" || q.name == "top"):
		k.begin(server)
		k.mode[server] = dotted
	case ok && q.name == "stls":
		k.seal(false)
	}
}

func (k *talk) pop3Says(line string, at int64) {
	verb, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
	verb = strings.ToUpper(verb)
	if k.auth && (len(verb) > 4 || arg == "" && verb != "QUIT" && verb != "STAT" && verb != "CAPA" && verb != "STLS" && verb != "LIST" && verb != "UIDL" && verb != "NOOP") {
		k.c.Requests++
		k.say(line, masked, at)
		return
	}
	k.auth = false
	k.c.Requests++
	shown := line
	switch verb {
	case "PASS":
		shown, arg = verb+" "+masked, ""
		k.password()
	case "APOP":
		name, _, _ := strings.Cut(arg, " ")
		shown, arg = verb+" "+name+" "+masked, name
	case "AUTH":
		mech, _, more := strings.Cut(arg, " ")
		if k.auth = arg != ""; k.auth {
			k.password()
		}
		if more {
			shown = verb + " " + mech + " " + masked
		}
		arg = mech
	default:
		if token(line) && len(verb) > 4 {
			shown, verb, arg = masked, "OTHER", ""
		}
	}
	k.say(line, shown, at)
	k.ask(strings.ToLower(verb), arg, "", at)
}

func (k *talk) imap(dir int, line string, at int64) {
	if dir == client {
		k.imapSays(line, at)
	} else {
		k.imapReplies(line, at)
	}
	if n, ok := literal(line); ok && k.mode[dir] == lines {
		k.literal[dir] = true
		up := strings.ToUpper(line)
		if strings.Contains(up, "BODY[]") || strings.Contains(up, "RFC822 {") || dir == client && strings.Contains(up, " APPEND ") {
			k.begin(dir)
		}
		if n > 0 {
			k.mode[dir], k.need[dir] = octets, n
		} else {
			k.octetsEnd(dir, at)
		}
	}
}

// literal reads the {n} at the end of a line.
func literal(line string) (n int64, ok bool) {
	if !strings.HasSuffix(line, "}") {
		return 0, false
	}
	i := strings.LastIndexByte(line, '{')
	if i < 0 {
		return 0, false
	}
	num := strings.TrimSuffix(line[i+1:len(line)-1], "+")
	n, err := strconv.ParseInt(num, 10, 64)
	return n, err == nil && n >= 0 && n < 1<<40
}

func (k *talk) imapSays(line string, at int64) {
	if k.literal[client] { // the rest of a command after a literal
		k.literal[client] = false
		shown := "(literal)" + line
		if k.secret {
			shown = "(literal) " + masked
		}
		k.say(line, shown, at)
		return
	}
	if k.auth {
		k.say(line, masked, at)
		return
	}
	tag, rest, _ := strings.Cut(line, " ")
	verb, arg, _ := strings.Cut(strings.TrimSpace(rest), " ")
	name := strings.ToLower(verb)
	if k.blind[client] && !imapVerb(name) {
		k.c.LeftOut++
		return // of a message or a password, perhaps
	}
	k.blind[client] = false
	if verb == "" || len(verb) > 20 {
		shown := line
		if !strings.EqualFold(line, "DONE") {
			shown = masked
		}
		k.say(line, shown, at)
		return
	}
	k.c.Requests++
	k.secret = false
	shown := line
	switch name {
	case "login":
		user, _, _ := strings.Cut(arg, " ")
		if strings.HasPrefix(arg, `"`) {
			if i := strings.Index(arg[1:], `"`); i >= 0 {
				user = arg[:i+2]
			}
		}
		if _, lit := literal(line); !lit || !strings.HasPrefix(arg, "{") {
			shown = tag + " " + verb + " " + user + " " + masked
		}
		arg, k.secret = user, true
		k.password()
	case "authenticate":
		mech, _, more := strings.Cut(arg, " ")
		if more {
			shown = tag + " " + verb + " " + mech + " " + masked
		}
		arg, k.auth, k.secret = mech, true, true
		k.password()
	}
	k.say(line, shown, at)
	k.ask(name, arg, tag, at)
}

func imapVerb(name string) bool {
	switch name {
	case "capability", "noop", "logout", "starttls", "authenticate", "login", "enable", "select", "examine", "create", "delete", "rename", "subscribe", "unsubscribe",
		"list", "lsub", "namespace", "status", "append", "idle", "close", "unselect", "expunge", "search", "fetch", "store", "copy", "move", "uid", "id", "check", "getquotaroot", "compress":
		return true
	}
	return false
}

func (k *talk) imapReplies(line string, at int64) {
	if k.literal[server] {
		k.literal[server] = false
		k.add(wire.Received, at, "(literal)"+line)
		return
	}
	tag, rest, _ := strings.Cut(line, " ")
	if k.blind[server] && tag != "*" && tag != "+" && !hasFold([]byte(rest), "OK ") && !hasFold([]byte(rest), "NO ") && !hasFold([]byte(rest), "BAD ") {
		k.c.LeftOut++
		return // of a message, perhaps
	}
	k.blind[server] = false
	k.add(wire.Received, at, line)
	if !k.greeted && tag == "*" {
		k.greeted = true
		if k.c.Client.Bytes == 0 {
			k.answer(command{name: "greeting", at: at - int64(k.c.Banner), stage: k.stage("greeting", "", at, 0, false)}, at, 0, !hasFold([]byte(rest), "BYE"), line, 1)
		}
	}
	if tag == "*" || tag == "+" {
		return
	}
	k.c.Replies++
	for i := range k.queue {
		q := k.queue[i]
		if q.tag != tag {
			continue
		}
		k.queue = append(k.queue[:i], k.queue[i+1:]...)
		ok := hasFold([]byte(rest), "OK")
		k.answer(q, at, 0, ok, line, 1)
		if q.name == "authenticate" {
			k.auth = false
		}
		if q.name == "starttls" && ok {
			k.seal(false)
		}
		return
	}
}
