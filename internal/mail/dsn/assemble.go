package dsn

import (
	"strings"

	"github.com/mailwhy/mailwhy/internal/mail/header"
)

// assemble joins what the parts told and says what the message is.
func (r *reader) assemble() {
	text := strings.Join(r.plain, "\n")
	if html := strings.Join(r.html, "\n"); strings.TrimSpace(text) == "" || !strings.Contains(text, "@") && strings.Contains(html, "@") {
		text = html
	}
	if len(text) > MaxText {
		text = text[:MaxText]
		r.limit("text")
	}
	r.rep.Text = text
	if strings.HasPrefix(strings.TrimSpace(text), "{") && r.notification(text) {
		return
	}
	if r.arf != "" || contentOf(r.head.Get("Content-Type"), "").report == "feedback-report" {
		r.complaint()
		return
	}
	c := r.clues(text)
	for _, s := range r.status {
		r.statusPart(s)
	}
	if len(r.status) == 0 {
		if i := statusInText(text); i >= 0 {
			r.statusPart(text[i:])
		}
	}
	standard := len(r.rep.Recipients) > 0
	f := r.choose(c, standard)
	if f == nil {
		r.rep.Kind = r.unreported(c)
		return
	}
	r.rep.Form, r.rep.Software = f.Name, f.Software
	if standard {
		r.rep.Form = "dsn"
	}
	r.merge(f, text, standard)
	r.fallback(f, standard)
	r.classify(f, c)
	if f.Kind == Complaint {
		rep := r.rep
		rep.Recipients = nil
		r.answered()
	}
}

// clues takes the places where forms are recognised.
func (r *reader) clues(text string) *clues {
	lowText := r.lowered(text)
	if len(lowText) > 8<<10 {
		lowText = lowText[:8<<10]
	}
	c := &clues{from: strings.ToLower(r.rep.From), subject: strings.ToLower(r.rep.Subject), text: lowText, id: strings.ToLower(r.head.Get("Message-ID")), typ: strings.ToLower(r.head.Get("Content-Type"))}
	var rec, mailer strings.Builder
	for i := range r.head.Fields {
		f := &r.head.Fields[i]
		switch {
		case f.Is("Received") && rec.Len() < 8<<10:
			rec.WriteString(strings.ToLower(f.Value()))
			rec.WriteByte('\n')
		case f.Is("X-Mailer"), f.Is("User-Agent"), f.Is("X-MimeOLE"), f.Is("Content-Language"), f.Is("Thread-Index"), f.Is("X-Failed-Recipients"), f.Is("X-MS-Embedded-Report"), f.Is("X-SEF-Processed"),
			f.Is("X-Aol-Ip"), f.Is("X-AMAZON-MAIL-RELAY-TYPE"), f.Is("X-Gm-Message-State"), f.Is("X-Zoho-Dkim"), f.Is("X-ZohoMail"), f.Is("X-MLServer"), f.Is("X-AhMailID"), f.Is("X-NAI-Header"), f.Is("X-GMX-Antispam"), f.Is("X-MXL-NoteHash"), f.Is("X-Yandex-Front"), f.Is("X-Yandex-Uniq"):
			mailer.WriteString(strings.ToLower(f.Name + ":" + f.Value()))
			mailer.WriteByte('\n')
		}
	}
	c.received, c.mailer = rec.String(), mailer.String()
	return c
}

// choose finds the form of the report, or nil where the message is none. A form is believed only where something beside
// its marks speaks for a report: many marks (a provider's name) stand in ordinary mail too.
func (r *reader) choose(c *clues, standard bool) *form {
	d := &r.forms.data
	failed := strings.Contains(c.mailer, "x-failed-recipients:")
	for i := range r.forms.forms {
		if f := &r.forms.forms[i]; f.Kind != "" && f.fits(c) {
			return f
		}
	}
	if !standard && !failed && r.answers(c) {
		return nil
	}
	sender := containsAny(c.from, d.Sender) || c.from == "" || c.from == "<>"
	subject, said := containsAny(c.subject, d.Subject), containsAny(c.text, d.Text)
	empty := strings.TrimSpace(r.head.Get("Return-Path")) == "<>"
	machine := standard || failed || sender || empty
	for i := range r.forms.forms {
		f := &r.forms.forms[i]
		if f.fits(c) && (machine || f.Sure || subject && said) {
			return f
		}
	}
	auto := r.head.Get("Auto-Submitted") != ""
	if standard || failed || sender && (subject || said) || subject && said && (empty || auto) {
		return &r.forms.generic
	}
	return nil
}

// answers tells an automatic answer by its header.
func (r *reader) answers(c *clues) bool {
	auto := strings.ToLower(r.head.Get("Auto-Submitted"))
	if strings.HasPrefix(auto, "auto-replied") || r.head.First("X-Autoreply") != nil || r.head.First("X-Autorespond") != nil || r.head.First("X-Auto-Reply") != nil {
		return !containsAny(c.from, r.forms.data.Sender)
	}
	p := strings.ToLower(r.head.Get("Precedence"))
	return p == "auto_reply" || p == "auto-reply" || containsAny(c.subject, r.forms.data.AutoReply) && !containsAny(c.from, r.forms.data.Sender)
}

// unreported says what a message without a report is.
func (r *reader) unreported(c *clues) Kind {
	if r.mdn || r.answers(c) || strings.Contains(c.typ, "disposition-notification") {
		r.rep.Recipients = nil
		r.answered()
		return AutoReply
	}
	if s := strings.ToLower(r.head.Get("Auto-Submitted")); s != "" && s != "no" && containsAny(c.text, r.forms.data.AutoText) {
		r.answered()
		return AutoReply
	}
	return NotABounce
}

// answered names the one who answered automatically.
func (r *reader) answered() {
	a := addressIn(r.head.Get("From"))
	if a == "" {
		a = addressIn(r.head.Get("Return-Path"))
	}
	if a != "" {
		text := strings.TrimSpace(r.rep.Text)
		if len(text) > 600 {
			text = text[:600]
		}
		r.add(Recipient{Address: a, Text: strings.ToValidUTF8(text, ""), Named: true})
	}
}

// statusInText finds delivery-status fields in plain text.
func statusInText(text string) int {
	low := text
	for _, w := range []string{"Reporting-MTA:", "Final-Recipient:", "Original-Recipient:"} {
		for at := 0; ; {
			i := strings.Index(low[at:], w)
			if i < 0 {
				break
			}
			i += at
			if i == 0 || low[i-1] == '\n' || low[i-1] == ' ' || low[i-1] == '>' {
				if strings.Contains(low[i:], "Final-Recipient:") || strings.Contains(low[i:], "Action:") {
					return i
				}
			}
			at = i + len(w)
		}
	}
	return -1
}

// merge scans the text and lays its words beside the recipients of the standard part, or takes the recipients from it.
func (r *reader) merge(f *form, text string, standard bool) {
	entries := r.scan(f, text)
	if standard && len(f.rcpt) == 0 || len(entries) == 0 && f != &r.forms.generic {
		if more := r.scan(&r.forms.generic, text); len(more) > 0 && (standard || !f.Returned) {
			entries = more
		}
	}
	talk := transcript(text)
	if !standard {
		for _, e := range entries {
			r.add(Recipient{Address: e.address, Text: e.text(), Evidence: e.evid, Named: true})
		}
	}
	single := len(r.rep.Recipients) == 1
	for i := range r.rep.Recipients {
		rc := &r.rep.Recipients[i]
		if standard {
			r.lay(rc, entries, single)
		}
		lines := talk
		if !single && rc.Address != "" {
			lines = about(talk, rc.Address)
			if len(lines) == 0 && rc.Original != "" {
				lines = about(talk, rc.Original)
			}
		}
		rc.Transcript = strings.Join(lines, "\n")
		rc.Hint = hintOf(f, rc.Text, r.rep.Text, single)
	}
}

// lay gives a recipient of the standard part the words that the text has about it.
func (r *reader) lay(rc *Recipient, entries []entry, single bool) {
	for _, e := range entries {
		if strings.EqualFold(e.address, rc.Address) || rc.Original != "" && strings.EqualFold(e.address, rc.Original) || single && len(entries) == 1 {
			rc.Text = e.text()
			rc.Evidence = append(rc.Evidence, e.evid...)
			if rc.Address == "" {
				rc.Address = e.address
			}
			return
		}
	}
}

func hintOf(f *form, own, all string, single bool) string {
	if len(f.Hint) == 0 {
		return ""
	}
	text := strings.ToLower(own)
	if single {
		text = strings.ToLower(all)
	}
	text = strings.Join(strings.Fields(text), " ")
	for _, h := range f.Hint {
		if strings.Contains(text, h.Phrase) {
			return h.Cause
		}
	}
	return ""
}

// fallback takes recipients from X-Failed-Recipients and from the returned message where the report names none.
func (r *reader) fallback(f *form, standard bool) {
	rep := r.rep
	if n := len(rep.Recipients); n == 1 && rep.Recipients[0].Address == "" || n == 0 {
		var base Recipient
		if n == 1 {
			base = rep.Recipients[0]
			rep.Recipients = nil
		}
		for _, f := range r.head.All("X-Failed-Recipients") {
			for _, a := range strings.Split(f.Value(), ",") {
				if a = addressIn(a); a != "" {
					one := base
					one.Address, one.Named = a, true
					r.add(one)
				}
			}
		}
		if len(rep.Recipients) == 0 {
			base.Address, base.Named = r.returnedTo(), false
			if base.Address != "" || n == 1 {
				rep.Recipients = append(rep.Recipients, base)
			}
		}
	}
	for i := range rep.Recipients {
		rc := &rep.Recipients[i]
		if rc.Text == "" && len(rc.Diagnostic) < 8 && (len(rep.Recipients) == 1 || !standard) {
			rc.Text = r.words(f)
			if rc.Transcript == "" {
				rc.Transcript = strings.Join(transcript(rep.Text), "\n")
			}
			rc.Hint = hintOf(f, rc.Text, rep.Text, true)
		}
	}
}

// words is the text without the returned message.
func (r *reader) words(f *form) string {
	from, to := r.region(f, r.rep.Text)
	var out []string
	for _, l := range strings.Split(r.rep.Text[from:to], "\n") {
		if l = strings.TrimSpace(l); l != "" && len(out) < maxEntryLines && !containsAny(strings.ToLower(l), f.Skip) {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}

// returnedTo is the recipient of the returned message.
func (r *reader) returnedTo() string {
	o := &r.rep.Original
	if o.To == "" && len(o.To2) == 0 {
		r.originalInText()
	}
	if a := addressIn(o.To); a != "" && !strings.EqualFold(a, addressIn(r.rep.From)) {
		return a
	}
	for _, a := range o.To2 {
		return a
	}
	return addressIn(o.To)
}

// originalInText reads the returned message where it stands in the text, behind the line that announces it.
func (r *reader) originalInText() {
	text := r.rep.Text
	r.lowered(text)
	i := r.end
	if i < 0 {
		return
	}
	if _, rest, ok := strings.Cut(text[i:], "\n"); ok {
		r.orig = false
		r.original([]byte(strings.TrimLeft(rest, "\n \t")))
	}
}

// add keeps a recipient; the same one twice is kept once, with the more telling words.
func (r *reader) add(rc Recipient) {
	rep := r.rep
	for i := range rep.Recipients {
		old := &rep.Recipients[i]
		if rc.Address != "" && strings.EqualFold(old.Address, rc.Address) && old.Action == rc.Action {
			if len(rc.Diagnostic) > len(old.Diagnostic) {
				old.Diagnostic, old.DiagType = rc.Diagnostic, rc.DiagType
			}
			if old.Status == "" {
				old.Status = rc.Status
			}
			return
		}
	}
	if len(rep.Recipients) >= MaxRecipients {
		r.limit("recipients")
		return
	}
	rep.Recipients = append(rep.Recipients, rc)
}

// classify tells failure, delay and success apart.
func (r *reader) classify(f *form, c *clues) {
	rep := r.rep
	if len(rep.Recipients) == 0 && r.orig {
		rep.Recipients = append(rep.Recipients, Recipient{})
	}
	if !r.orig {
		r.originalInText()
	}
	if f.Kind != "" {
		rep.Kind = f.Kind
		return
	}
	failed, delayed, done := 0, 0, 0
	for i := range rep.Recipients {
		switch rep.Recipients[i].Action {
		case "failed":
			failed++
		case "delayed":
			delayed++
		case "delivered", "relayed", "expanded":
			done++
		default:
			switch {
			case strings.HasPrefix(rep.Recipients[i].Status, "2."):
				done++
			case containsAny(c.subject, r.forms.data.Delay) || containsAny(c.text, r.forms.data.Delay):
				delayed++
			case containsAny(c.subject, r.forms.data.Success):
				done++
			default:
				failed++
			}
		}
	}
	switch {
	case failed > 0 || len(rep.Recipients) == 0:
		rep.Kind = Bounce
	case delayed > 0:
		rep.Kind = Delay
	default:
		rep.Kind = Success
	}
}

// complaint reads the fields of an abuse report that tell who complained about what (RFC 5965 section 3).
func (r *reader) complaint() {
	rep := r.rep
	rep.Kind, rep.Form, rep.Complaint = Complaint, "arf", map[string]string{}
	var who []string
	for _, line := range strings.Split(r.arf, "\n") {
		name, value, ok := cutField(strings.TrimSpace(line))
		if !ok {
			continue
		}
		if len(rep.Complaint) < 50 {
			rep.Complaint[name] = value
		}
		switch name {
		case "original-rcpt-to", "removal-recipient", "redacted-address":
			if a := addressIn(value); a != "" {
				who = append(who, a)
			} else if value != "" && name == "original-rcpt-to" {
				who = append(who, value)
			}
		case "reporting-mta":
			rep.ReportingMTA = hostIn(afterType(value))
		}
	}
	rep.Software = rep.Complaint["user-agent"]
	if len(who) == 0 {
		if a := r.returnedTo(); a != "" {
			who = append(who, a)
		}
	}
	for _, a := range who {
		r.add(Recipient{Address: a, Named: true, Diagnostic: rep.Complaint["feedback-type"]})
	}
	if len(rep.Recipients) == 0 {
		rep.Recipients = append(rep.Recipients, Recipient{Diagnostic: rep.Complaint["feedback-type"]})
	}
}

// AddressIn takes the first address out of a header value or a sentence, or "".
func AddressIn(s string) string { return addressIn(header.Unfold([]byte(s))) }
