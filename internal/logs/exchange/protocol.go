package exchange

import (
	"bytes"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
)

// Programs that the two protocol logs are told apart by: which side of the session this server was on.
var (
	progReceive = []byte("smtp-receive")
	progSend    = []byte("smtp-send")
)

// protocolRow is one line of an SMTP session: what was sent (">"), what came ("<"), the beginning ("+"), the end ("-") and
// what the server has to say about it ("*").
type protocolRow struct {
	connector, remote, data, context []byte
	event                            byte
}

// protocol is the form of the layout of SMTP protocol logs.
const protocol = "smtp"

// parseProtocol reads a row of an SMTP protocol log. Its session is what belongs together: one line knows neither the
// command that a reply is for nor the message.
func parseProtocol(c *logs.Clock, l *logs.Layout, e *event.Event, b []byte, sink event.Sink) logs.Outcome {
	var r protocolRow
	for i := 0; len(b) > 0 && i < len(l.Columns); i++ {
		var v []byte
		v, b = logs.Cell(b, l.Sep)
		if i == 0 && logs.IsHead(v, l.Columns[0]) {
			return logs.Known
		}
		switch l.Columns[i] {
		case "datetime":
			c.When(v, &e.Origin)
		case "connectorid":
			r.connector = v
		case "sessionid":
			e.Session = v
		case "remoteendpoint":
			r.remote = v
		case "event":
			if len(v) == 1 {
				r.event = v[0]
			}
		case "data":
			r.data = unquoted(v)
		case "context":
			r.context = unquoted(v)
		}
	}
	if len(e.Session) == 0 || !r.read(e) {
		return logs.Unparsed
	}
	sink.Event(e)
	return logs.Known
}

// read tells what happened. The name of a receive connector begins with that of its server; a send connector has no server.
func (r *protocolRow) read(e *event.Event) bool {
	ours := byte('<') // the side that gives commands
	if e.Program = progReceive; bytes.IndexByte(r.connector, '\\') < 0 {
		e.Program, ours = progSend, '>'
		e.RelayIP, e.RelayPort = endpoint(r.remote)
	} else {
		e.ClientIP, e.ClientPort = endpoint(r.remote)
		e.Host = upTo(r.connector, '\\')
	}
	receive := ours == '<'
	e.Kind, e.Text, e.Outbound = event.Stats, r.data, !receive
	switch r.event {
	case '+':
		if receive {
			e.Kind = event.Connect
		}
	case '-':
		if e.Text = r.context; receive {
			e.Kind = event.Disconnect
		}
	case '<', '>':
		if r.event == ours {
			command(e, r.data)
		} else {
			reply(e, r.data, receive)
		}
	case '*':
		r.remark(e, receive)
	default:
		return false
	}
	return true
}

// endpoint reads "192.0.2.1:25" and "[2001:db8::1]:25".
func endpoint(b []byte) (ip []byte, port uint16) {
	i := bytes.LastIndexByte(b, ':')
	if i < 0 {
		return upTo(b, 0), 0
	}
	if p, n := logs.Number(b[i+1:]); n > 0 && p < 1<<16 {
		port = uint16(p)
	}
	return upTo(bytes.Trim(b[:i], "[]"), 0), port
}

var (
	stageMail     = []byte("MAIL")
	stageRcpt     = []byte("RCPT")
	stageData     = []byte("DATA")
	stageEnd      = []byte("end of DATA")
	stageAuth     = []byte("AUTH")
	stageStartTLS = []byte("STARTTLS")
	stageReset    = []byte("RSET")
	stageHelo     = []byte("EHLO")
)

// command reads what the client says.
func command(e *event.Event, b []byte) {
	switch {
	case isVerb(b, "MAIL FROM:"):
		e.Kind, e.Stage = event.Related, stageMail
		var rest []byte
		if e.From, rest = path(b[len("MAIL FROM:"):]); e.From == nil {
			e.From = b[:0]
		}
		if _, size, ok := logs.Cut(rest, "SIZE="); ok {
			e.Size, _ = logs.Number(size)
		}
	case isVerb(b, "RCPT TO:"):
		e.Kind, e.Stage = event.Related, stageRcpt
		e.To, _ = path(b[len("RCPT TO:"):])
	case isVerb(b, "EHLO "), isVerb(b, "HELO "):
		e.Helo, e.Stage = b[5:], stageHelo
	case isVerb(b, "BDAT "):
		if e.Stage = stageData; bytes.HasSuffix(b, []byte("LAST")) || bytes.HasSuffix(b, []byte("last")) {
			e.Stage = stageEnd
		}
	case isVerb(b, "DATA"):
		e.Stage = stageData
	case isVerb(b, "AUTH "), isVerb(b, "X-EXPS "):
		e.Stage = stageAuth
	case isVerb(b, "STARTTLS"), isVerb(b, "X-ANONYMOUSTLS"):
		e.Stage = stageStartTLS
	case isVerb(b, "RSET"):
		e.Stage = stageReset
	}
}

func isVerb(b []byte, word string) bool {
	return len(b) >= len(word) && bytes.EqualFold(b[:len(word)], []byte(word))
}

// path reads " <a@b.example> SIZE=1", with or without brackets.
func path(b []byte) (addr, rest []byte) {
	b = bytes.TrimLeft(b, " ")
	if a, rest, ok := logs.Angle(b); ok {
		return a, rest
	}
	addr, rest, _ = logs.Cut(b, " ")
	return addr, rest
}

// reply reads an answer, ours or the other server's. Only a line of its own is one: "250-" goes on.
func reply(e *event.Event, b []byte, ours bool) {
	e.Code, e.DSN = logs.Code(b)
	if e.Code == 0 || len(b) > 3 && b[3] == '-' {
		return
	}
	switch {
	case e.Code == 535 || e.Code == 454 && bytes.Contains(b, []byte("uthentication")):
		e.Kind = event.AuthFailed
		if !ours {
			e.Kind = event.Reply
		}
	case e.Code >= 400 && ours:
		e.Kind = event.Reject
	case e.Code >= 400:
		e.Kind = event.Reply
	case ours && queued(b):
		e.Kind, e.Stage = event.Received, stageEnd
		e.Mention = mentioned(b)
	case queued(b):
		e.Kind, e.Stage = event.Reply, stageEnd
	}
}

// queued tells the answer to a whole message.
func queued(b []byte) bool {
	return bytes.Contains(b, []byte("ueued")) || bytes.Contains(b, []byte("InternalId=")) || bytes.Contains(b, []byte("STOREDRV.Deliver"))
}

// mentioned gives the first "<a@b>" of a text, a message-id.
func mentioned(b []byte) []byte {
	if i := bytes.IndexByte(b, '<'); i >= 0 {
		if id, _, ok := logs.Angle(b[i:]); ok && len(id) > 4 {
			return id
		}
	}
	return nil
}

// remark reads what the server writes about the session.
func (r *protocolRow) remark(e *event.Event, receive bool) {
	b := r.context
	if e.Text = b; len(b) == 0 {
		e.Text = r.data
		return
	}
	switch {
	case string(b) == "authenticated":
		e.User, e.Text = r.data, r.data
		if receive && len(r.data) > 0 {
			e.Kind = event.Auth
		}
	case logs.Has(b, "TLS protocol ") || logs.Has(b, "TLS negotiation "):
		e.Kind = event.TLS
		if _, name, ok := logs.Cut(b, "SP_PROT_"); ok {
			e.TLSVersion = tlsVersion(name)
		}
		if _, name, ok := logs.Cut(b, "algorithm CALG_"); ok {
			e.Cipher, _, _ = logs.Cut(name, " ")
		}
		if bytes.Contains(b, []byte("fail")) {
			e.Kind = event.TLSFailed
		}
	case logs.Has(b, "Inbound authentication failed"), logs.Has(b, "Inbound login failed"):
		e.Kind, e.Level = event.Warning, event.Warn // the refusal itself is a line of its own
	case logs.Has(b, "User Name: "):
		e.User = b[len("User Name: "):]
	case logs.Has(b, "sending message with RecordId"), logs.Has(b, "receiving message with InternetMessageId"):
		e.Kind, e.Mention = event.Related, mentioned(b)
	case !receive && (logs.Has(b, "Failed to connect") || bytes.Contains(b, []byte("insock error")) || bytes.Contains(b, []byte("onnection attempt failed"))):
		e.Kind = event.ConnectError
	}
}

var tls10, tls11, tls12, tls13, ssl3 = []byte("TLSv1"), []byte("TLSv1.1"), []byte("TLSv1.2"), []byte("TLSv1.3"), []byte("SSLv3")

// tlsVersion translates Windows' names: "TLS1_2_SERVER".
func tlsVersion(b []byte) []byte {
	switch {
	case logs.Has(b, "TLS1_3"):
		return tls13
	case logs.Has(b, "TLS1_2"):
		return tls12
	case logs.Has(b, "TLS1_1"):
		return tls11
	case logs.Has(b, "TLS1"):
		return tls10
	case logs.Has(b, "SSL3"):
		return ssl3
	}
	return nil
}
