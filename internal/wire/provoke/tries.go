package provoke

import (
	"bufio"
	"context"
	"strings"

	"github.com/mailwhy/mailwhy/internal/wire"
)

// inject says STARTTLS and a second command in one breath. A server that answers the second one inside TLS took
// for encrypted what anybody on the path could have written.
func (t *talk) inject(ctx context.Context) error {
	p := t.r.Plan.Protocol
	if err := t.greeted(p); err != nil {
		return err
	}
	begin := map[string][2]string{
		"smtp": {"STARTTLS\r\nNOOP\r\n", "220"}, "imap": {"m1 STARTTLS\r\nm2 NOOP\r\n", "m1 OK"},
		"pop3": {"STLS\r\nMAILWHY\r\n", "+OK"}, "managesieve": {"STARTTLS\r\nNOOP \"slipped-in\"\r\n", "OK"},
	}[p]
	if err := t.put(begin[0]); err != nil {
		return err
	}
	if l, err := t.line(t.d.Timeout); err != nil {
		return err
	} else if !strings.HasPrefix(l, begin[1]) {
		return refused(l)
	}
	if t.in.Buffered() > 0 { // the second command was answered in the clear: TLS cannot begin any more, and nobody is fooled
		t.r.Outcome = Sound
		return nil
	}
	conn, h := wire.ShakeHands(ctx, t.conn, wire.HandshakeOptions{})
	if h.Fault != nil {
		t.r.Outcome, t.r.Text = Sound, h.Fault.Text // a server that refuses to go on with both was not fooled
		return nil
	}
	t.note(wire.Happened, h.Version)
	t.conn, t.in = conn, bufio.NewReaderSize(conn, maxLine)
	return map[string]func() error{"smtp": t.afterSMTP, "imap": t.afterIMAP, "pop3": t.afterPOP3, "managesieve": t.afterSieve}[p]()
}

// greeted reads the greeting, and for SMTP says EHLO.
func (t *talk) greeted(protocol string) error {
	if protocol == "smtp" {
		if _, err := t.command("", "220"); err != nil {
			return err
		}
		_, err := t.command("EHLO "+t.r.Plan.HELO, "250")
		return err
	}
	good := map[string]string{"imap": "* OK", "pop3": "+OK", "managesieve": "OK"}[protocol]
	for {
		l, err := t.line(t.d.Timeout)
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(l, good):
			return nil
		case protocol != "managesieve" || !strings.HasPrefix(l, `"`):
			return refused(l)
		}
	}
}

func (t *talk) decide(fooled bool, text string) {
	t.r.Outcome, t.r.Text = Sound, ""
	if fooled {
		t.r.Outcome, t.r.Text = Fooled, text
	}
}

// afterSMTP says EHLO again: its reply has several lines; one line before it answers the command that was slipped in.
func (t *talk) afterSMTP() error {
	if err := t.put("EHLO " + t.r.Plan.HELO + "\r\n"); err != nil {
		return err
	}
	text, multi, err := t.reply(t.d.Timeout)
	if err != nil {
		return err
	}
	if multi {
		t.decide(false, "")
		return nil
	}
	_, _, err = t.reply(t.d.Silence)
	t.decide(err == nil, text)
	return nil
}

func (t *talk) afterIMAP() error {
	if err := t.put("m3 CAPABILITY\r\n"); err != nil {
		return err
	}
	for {
		l, err := t.line(t.d.Timeout)
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(l, "m2 "):
			t.decide(true, l)
			return nil
		case strings.HasPrefix(l, "m3 "):
			t.decide(false, "")
			return nil
		}
	}
}

// afterPOP3 asks for capabilities; -ERR before their answer is for the word that was slipped in.
func (t *talk) afterPOP3() error {
	if err := t.put("CAPA\r\n"); err != nil {
		return err
	}
	first, err := t.line(t.d.Timeout)
	if err != nil {
		return err
	}
	if strings.HasPrefix(first, "+OK") {
		t.decide(false, "")
		return nil
	}
	_, err = t.line(t.d.Silence)
	t.decide(err == nil, first)
	return nil
}

// afterSieve reads the capabilities that come by themselves; the tag of the NOOP that was slipped in must not come.
func (t *talk) afterSieve() error {
	if err := t.put("NOOP \"asked\"\r\n"); err != nil {
		return err
	}
	for ends := 0; ; {
		l, err := t.line(t.d.Timeout)
		if err != nil {
			return err
		}
		if strings.Contains(l, "slipped-in") {
			t.decide(true, l)
			return nil
		}
		if strings.HasPrefix(l, "OK") || strings.HasPrefix(l, "NO") || strings.HasPrefix(l, "BYE") {
			if ends++; ends == 2 || strings.Contains(l, "asked") { // of the capabilities, and of our NOOP
				t.decide(false, "")
				return nil
			}
		}
	}
}

// envelope goes as far as RCPT.
func (t *talk) envelope() (caps string, err error) {
	if _, err = t.command("", "220"); err != nil {
		return "", err
	}
	if caps, err = t.command("EHLO "+t.r.Plan.HELO, "250"); err != nil {
		return "", err
	}
	if _, err = t.command("MAIL FROM:<>", "250"); err != nil {
		return "", err
	}
	_, err = t.command("RCPT TO:<"+t.r.Plan.To+">", "25")
	return caps, err
}

// smuggle sends a message whose end is none. A server that answers took it for one, and would take what follows for
// commands of the next message.
func (t *talk) smuggle() error {
	if _, err := t.envelope(); err != nil {
		return err
	}
	if _, err := t.command("DATA", "354"); err != nil {
		return err
	}
	text := "From: <postmaster@" + strings.Trim(t.r.Plan.HELO, "[]") + ">\r\nTo: <" + t.r.Plan.To + ">\r\nSubject: mailwhy: false end of a message (" + t.r.Plan.Form + ")\r\n\r\n" +
		"A test of the server's own administrator. The server took a false end of the message for a true one."
	if err := t.put(text + bytesOf(t.r.Plan.Form)); err != nil {
		return err
	}
	reply, _, err := t.reply(t.d.Silence)
	switch {
	case silent(err):
		t.decide(false, "") // it waits for the true end, which never comes
	case err != nil || !strings.HasPrefix(reply, "2"):
		t.r.Outcome, t.r.Text = Sound, reply // it hangs up, or says why it refuses
	default:
		t.decide(true, reply)
	}
	return nil
}

// chunk hands over a piece of a message and forgets it again, then a whole message whose last piece is empty.
func (t *talk) chunk() error {
	caps, err := t.envelope()
	if err != nil {
		return err
	}
	if !strings.Contains(strings.ToUpper(caps), "CHUNKING") {
		return refused("CHUNKING is not offered")
	}
	if err := t.put("BDAT 6\r\nTest\r\n"); err != nil {
		return err
	}
	reply, _, err := t.reply(t.d.Timeout)
	switch {
	case err != nil:
		t.decide(true, err.Error())
		return nil
	case strings.HasPrefix(reply, "4"):
		return refused(reply)
	case !strings.HasPrefix(reply, "250"):
		t.decide(true, reply)
		return nil
	}
	t.decide(false, "")
	if _, err := t.command("RSET", "250"); err != nil {
		return err
	}
	if err := t.chunkEnd(); err != nil {
		return err
	}
	_ = t.put("QUIT\r\n")
	return nil
}
