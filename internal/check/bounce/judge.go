package bounce

import (
	"net/netip"
	"strings"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail/dsn"
)

// judge reads one recipient: first the server's words, then the report's.
func (r *Reader) judge(rep *dsn.Report, rc *dsn.Recipient) Recipient {
	out := Recipient{Recipient: rc.Address, Alias: rc.Original, Action: rc.Action, Status: rc.Status, ReportingHost: rep.ReportingMTA, RemoteHost: rc.RemoteMTA, Named: rc.Named}
	if strings.EqualFold(out.Alias, out.Recipient) {
		out.Alias = ""
	}
	switch rep.Kind {
	case dsn.AutoReply, dsn.Complaint:
		return r.settled(out, rc, string(rep.Kind))
	case dsn.Success:
		return r.settled(out, rc, "delivered")
	}
	if rc.Action == "delivered" || rc.Action == "relayed" || rc.Action == "expanded" {
		return r.settled(out, rc, "delivered")
	}
	said, prose := r.sides(rc)
	out.Command = r.words.CommandIn(said + "\n" + prose + "\n" + rc.Transcript)
	if out.Command == "" {
		out.Command = r.words.CommandIn(lines(rc.Evidence))
	}
	if out.RemoteHost == "" {
		out.RemoteHost = knowledge.HostIn(rc.Text + "\n" + rc.Diagnostic)
	}
	ctx := knowledge.ReplyContext{Host: out.RemoteHost, Command: out.Command, Enhanced: rc.Status}
	read := r.know.ReadReply(said, ctx)
	ctx.Prose, ctx.Code, ctx.Enhanced = true, read.Code, read.Enhanced
	var words knowledge.Reading
	if prose != "" {
		words = r.know.ReadReply(prose, ctx)
	}
	read, out.Disagree = r.weigh(read, words, rep, rc)
	read = r.lastResort(read, rep, rc)
	if rep.Kind == dsn.Delay || rc.Action == "delayed" {
		read = r.stillTried(read)
	}
	read = r.doubt(read, firstOf(said, prose), rep, rc)
	out.fill(read)
	out.Code, out.Status = read.Code, bestStatus(rc.Status, said, prose, read.Code)
	out.Diagnostic = firstOf(said, rc.Diagnostic, prose)
	out.Evidence = evidence(rc, out.Diagnostic)
	out.finish(rep, rc)
	return out
}

// settled is a recipient whose fate needs no reading.
func (r *Reader) settled(out Recipient, rc *dsn.Recipient, cause string) Recipient {
	c, err := r.know.Cause(cause)
	if err != nil {
		return out
	}
	out.Cause, out.causeName, out.Coarse, out.Owner, out.owner = c.ID, c.Name, c.Coarse, c.Job, c.Owner()
	out.meaning, out.userAdvice, out.adminAdvice, out.Certainty = c.Meaning, c.User, c.Admin, knowledge.Certain
	out.Diagnostic = firstOf(rc.Diagnostic, rc.Text)
	out.Code, out.Status = knowledge.Codes(rc.Diagnostic)
	if rc.Status != "" {
		out.Status = rc.Status
	}
	out.Evidence = evidence(rc, out.Diagnostic)
	return out
}

// sides parts the words of the refusing server from those of the report.
func (r *Reader) sides(rc *dsn.Recipient) (said, prose string) {
	prose = rc.Text
	for i, s := range []string{rc.Diagnostic, rc.Text, rc.Transcript} {
		cand := knowledge.ReplyIn(s, r.words.Stop)
		if i > 0 && strings.Contains(s, "<<< ") {
			cand = firstOf(quoted(s), cand)
		}
		if code, _ := knowledge.Codes(cand); i > 0 && code == "" {
			continue // a status in the prose is no server's reply
		}
		if cand != "" && (said == "" || thin(said) && !thin(cand)) {
			said = cand
		}
	}
	if rc.Diagnostic != "" && (said == "" || thin(said)) {
		if knowledge.ReplyIn(rc.Diagnostic, r.words.Stop) == "" && !thin(rc.Diagnostic) && said == "" {
			said = rc.Diagnostic
		} else if !strings.Contains(said, rc.Diagnostic) && !thin(rc.Diagnostic) {
			prose = rc.Diagnostic + "\n" + prose
		}
	}
	if said == "" {
		prose = knowledge.BeforeStop(prose, r.words.Stop)
	}
	if said != "" {
		prose = strings.Replace(prose, said, " ", 1)
	}
	return strings.TrimSpace(said), strings.TrimSpace(prose)
}

// quoted is the first refusal among the lines that a report quotes of the other server ("<<< 550 …").
func quoted(text string) string {
	var out []string
	for _, l := range strings.Split(text, "\n") {
		said, ok := strings.CutPrefix(strings.TrimSpace(l), "<<< ")
		if ok && len(said) > 3 && (said[0] == '4' || said[0] == '5') {
			out = append(out, said)
		} else if len(out) > 0 {
			break
		}
	}
	return strings.Join(out, " ")
}

func lines(list []dsn.Line) string {
	var b strings.Builder
	for _, l := range list {
		b.WriteString(l.Text)
		b.WriteByte('\n')
	}
	return b.String()
}

// thin tells a reply that holds codes and no words.
func thin(s string) bool {
	letters := 0
	for i := range len(s) {
		if c := s[i] | 0x20; c >= 'a' && c <= 'z' || s[i] >= 0x80 {
			letters++
		}
	}
	return letters < 4
}

// weigh lets the server's words rule, and tells when the prose names another cause.
func (r *Reader) weigh(read, words knowledge.Reading, rep *dsn.Report, rc *dsn.Recipient) (knowledge.Reading, string) {
	f := r.form[rep.Software]
	if rc.Hint != "" && (!strong(read) || f != nil && f.Own && (read.Enhanced == "" || strings.HasSuffix(read.Enhanced, ".0.0"))) {
		if c, err := r.know.Cause(rc.Hint); err == nil {
			h := r.know.ReadCause(c, read)
			return h, ""
		}
	}
	switch {
	case words.Basis != "text":
		return read, ""
	case read.Basis == "text" && (strong(read) || words.Certainty == knowledge.Guess):
		if words.Coarse != read.Coarse && words.Certainty != knowledge.Guess {
			return read, words.Cause
		}
		return read, ""
	case read.Basis == "enhanced" && read.Certainty == knowledge.Likely:
		if words.Coarse != read.Coarse && words.Certainty != knowledge.Guess {
			return read, words.Cause
		}
		return read, ""
	}
	if read.Basis == "text" && words.Certainty != knowledge.Certain && words.Certainty != knowledge.Likely {
		return read, ""
	}
	words.Code, words.Enhanced = read.Code, read.Enhanced
	return words, ""
}

// doubt lowers the certainty of "no such user" where nothing but those words tells it: neither the status nor the
// command says that the address itself was refused, and filters like to use the same words.
func (r *Reader) doubt(read knowledge.Reading, said string, rep *dsn.Report, rc *dsn.Recipient) knowledge.Reading {
	if read.Certainty == knowledge.Guess && domainOnly(said) {
		if c, err := r.know.Cause("domain-unknown"); err == nil {
			return r.know.ReadCause(c, read)
		}
	}
	if read.Cause != "user-unknown" || len(read.Enhanced) > 3 && read.Enhanced[1:4] == ".1." {
		return read
	}
	if r.words.CommandIn(rc.Text+"\n"+rc.Diagnostic+"\n"+rc.Transcript) == "RCPT" {
		return read
	}
	if strings.HasSuffix(read.Enhanced, ".2.0") || strings.HasSuffix(read.Enhanced, ".2.1") || strings.HasSuffix(read.Enhanced, ".7.1") {
		if c, err := r.know.Cause("recipient-rejected"); err == nil {
			return r.know.ReadCause(c, read)
		}
	}
	if f := r.form[rep.Software]; f != nil && f.Late && strings.HasPrefix(firstOf(read.Code, "5"), "5") {
		if c, err := r.know.Cause("user-unknown-unproven"); err == nil {
			return r.know.ReadCause(c, read)
		}
	}
	if read.Certainty == knowledge.Certain {
		read.Certainty = knowledge.Likely
	}
	return read
}

// domainOnly tells words that say of a host name, not of an address, that it does not exist.
func domainOnly(said string) bool {
	words := strings.Fields(strings.ToLower(said))
	for i, w := range words {
		rest := strings.Join(words[i+1:min(len(words), i+4)], " ")
		if i > 0 && strings.HasPrefix(rest, "does not exist") || strings.HasPrefix(rest, "doesn't exist") {
			return strings.Contains(strings.Trim(w, "."), ".") && !strings.ContainsAny(w, "@<>:;,/()") && knowledge.HostIn("host "+w) != ""
		}
	}
	return false
}

func strong(r knowledge.Reading) bool {
	return r.Basis == "text" && r.Certainty != knowledge.Guess || r.Basis == "enhanced" && r.Certainty == knowledge.Likely
}

// stillTried corrects "gave up" in a notice that nobody has given up yet: what the words say of then is the connection.
func (r *Reader) stillTried(read knowledge.Reading) knowledge.Reading {
	if read.Cause != "expired" {
		return read
	}
	id := "delayed"
	if read.Basis == "text" && !strings.Contains(read.Matched, "expired") {
		id = "connection-failed"
	}
	if c, err := r.know.Cause(id); err == nil {
		return r.know.ReadCause(c, read)
	}
	return read
}

// lastResort reads the action and the subject of the report where no words tell.
func (r *Reader) lastResort(read knowledge.Reading, rep *dsn.Report, rc *dsn.Recipient) knowledge.Reading {
	if !strong(read) && strings.Contains(strings.ToLower(strings.Join(strings.Fields(rep.Text), " ")), "> was automatically rejected:") { // a recipient's Sieve script, RFC 5429 section 2.1
		if c, err := r.know.Cause("recipient-rejected"); err == nil {
			return r.know.ReadCause(c, read)
		}
	}
	if !strong(read) && strings.Contains(strings.ToLower(strings.Join(strings.Fields(rc.Text), " ")), "been in the queue too long") {
		if c, err := r.know.Cause("expired"); err == nil {
			return r.know.ReadCause(c, read)
		}
	}
	if read.Known() && (read.Basis == "text" || read.Certainty == knowledge.Likely) {
		return read
	}
	if rep.Kind == dsn.Delay {
		if c, err := r.know.Cause("delayed"); err == nil {
			return r.know.ReadCause(c, read)
		}
	}
	if read.Basis == "enhanced" || read.Basis == "command" {
		return read
	}
	if s := r.know.ReadReply(rep.Subject, knowledge.ReplyContext{Prose: true, Code: read.Code, Enhanced: read.Enhanced}); s.Basis == "text" && s.Certainty == knowledge.Likely {
		return s
	}
	return read
}

func (o *Recipient) fill(read knowledge.Reading) {
	o.Cause, o.causeName, o.Coarse, o.Permanent, o.Certainty = read.Cause, read.CauseName, read.Coarse, read.Permanent, read.Certainty
	o.Owner, o.owner, o.meaning, o.userAdvice, o.adminAdvice = read.Job, read.Owner, read.Meaning, read.User, read.Admin
	o.Provider, o.Source = read.Provider, read.Source
	o.Bounce = "soft"
	if read.Hard {
		o.Bounce = "hard"
	}
	o.what = read.Next
}

// finish lets the report's action overrule what only the codes said.
func (o *Recipient) finish(rep *dsn.Report, rc *dsn.Recipient) {
	if rep.Kind == dsn.Delay || rc.Action == "delayed" {
		o.Permanent, o.Bounce = false, "soft"
	}
	o.next = nextCommand(o.what, o, rep)
	if o.next != nil {
		o.Next = "mailwhy " + strings.Join(o.next, " ")
	}
}

// nextCommand is the command that looks closer: at the recipient's side, at our own domain, or at our address.
func nextCommand(what string, o *Recipient, rep *dsn.Report) finding.Command {
	_, theirs, ok := strings.Cut(o.Recipient, "@")
	_, ours, mine := strings.Cut(firstOf(dsn.AddressIn(rep.Original.ReturnPath), dsn.AddressIn(rep.Original.From)), "@")
	switch {
	case what == "blocklist":
		if ip := addressOfOurs(o.Diagnostic); ip != "" {
			return finding.Cmd("blocklist", ip)
		}
	case what == "deliver" && ok:
		return finding.Cmd("deliver", o.Recipient)
	case what == "check" && o.Owner == "sender-admin" && mine:
		return finding.Cmd("check", ours)
	case what == "check" && ok && o.Owner != "sender-admin":
		return finding.Cmd("check", theirs)
	}
	return nil
}

// addressOfOurs finds the IP address that a refusing server names: ours.
func addressOfOurs(said string) string {
	for _, w := range strings.FieldsFunc(said, func(r rune) bool { return strings.ContainsRune(" []()<>;,=\"'", r) }) {
		if ip, err := netip.ParseAddr(strings.Trim(w, ".:")); err == nil && ip.IsGlobalUnicast() && !ip.IsPrivate() {
			return ip.String()
		}
	}
	return ""
}

// bestStatus chooses the status: the field, unless it says nothing or contradicts the class of the code and the words
// hold a better one. Nothing is invented.
func bestStatus(field, said, prose, code string) string {
	_, inSaid := knowledge.Codes(said)
	if codeSaid, _ := knowledge.Codes(said); codeSaid != "" && inSaid != "" && !strings.HasSuffix(inSaid, ".0.0") {
		return inSaid // the server's own words rule
	}
	if field == "" || strings.HasSuffix(field, ".0.0") || code != "" && inSaid != "" && field[0] != code[0] && inSaid[0] == code[0] {
		if inSaid != "" && (field == "" || !strings.HasSuffix(inSaid, ".0.0")) {
			return inSaid
		}
		if field == "" {
			_, e := knowledge.Codes(prose)
			return e
		}
	}
	if strings.HasSuffix(field, ".4.7") && inSaid != "" && !strings.HasSuffix(inSaid, ".0.0") {
		return inSaid // "expired" is the report's own word; the last reply tells more
	}
	return field
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s = strings.Join(strings.Fields(s), " "); s != "" {
			return s
		}
	}
	return ""
}

// evidence are the very lines, without repetition.
func evidence(rc *dsn.Recipient, diagnostic string) []string {
	out := []string{}
	seen := map[string]bool{}
	add := func(s string) {
		s = strings.TrimSpace(s)
		if s != "" && !seen[s] && len(out) < 12 {
			seen[s] = true
			out = append(out, s)
		}
	}
	for _, e := range rc.Evidence { // the most telling lines first
		if code, status := knowledge.Codes(e.Text); code > "4" || status > "4" && strings.Contains(e.Text, "iagnostic") {
			add(e.Text)
		}
	}
	for _, e := range rc.Evidence {
		add(e.Text)
	}
	for _, l := range strings.Split(rc.Transcript, "\n") {
		add(l)
	}
	if len(out) == 0 {
		add(diagnostic)
	}
	return out
}
