package sieve

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailwhy/mailwhy/internal/mail/header"
	"github.com/mailwhy/mailwhy/internal/mail/mimetree"
)

// Message is what a script is run over.
type Message struct {
	Header *header.Block
	Body   []byte
	Size   int64  // bytes of the whole message
	From   string // envelope sender, "" for the null sender
	To     string // envelope recipient, "" where it is not known
}

// Options are what a server knows beside the message.
type Options struct {
	Now       time.Time
	Mailboxes []string // folders that exist; nil: not known, all are taken to exist
}

// Kind says what an action does.
type Kind string

// The actions.
const (
	Keep     Kind = "keep"
	FileInto Kind = "fileinto"
	Redirect Kind = "redirect"
	Discard  Kind = "discard"
	Reject   Kind = "reject"
	Vacation Kind = "vacation"
)

// Action is something the script would have the server do.
type Action struct {
	Kind     Kind     `json:"kind"`
	Line     int      `json:"line,omitempty"`     // 0 for the keep nobody wrote
	Because  []int    `json:"because,omitempty"`  // lines of the conditions that held, outermost first
	Target   string   `json:"target,omitempty"`   // folder or address
	Reason   string   `json:"reason,omitempty"`   // text of a refusal or of an answer
	Flags    []string `json:"flags,omitempty"`    //
	Copy     bool     `json:"copy,omitempty"`     // the keep nobody wrote goes on
	Create   bool     `json:"create,omitempty"`   // the folder is made where it lacks
	Implicit bool     `json:"implicit,omitempty"` // RFC 5228 section 2.10.2
	Withheld string   `json:"withheld,omitempty"` // why an answer is not sent: a header, "null-sender", "not-addressed"
}

// Step is a step of a run.
type Step struct {
	Line  int      `json:"line"`
	Depth int      `json:"depth"`
	Kind  string   `json:"kind"` // "test", "branch", "action", "stop", "set", "skipped"
	Text  string   `json:"text"` // the source
	Held  bool     `json:"held"` // of tests and branches
	Saw   []string `json:"saw,omitempty"`
}

// Result is what a script does with a message.
type Result struct {
	Actions []Action `json:"actions"`
	Steps   []Step   `json:"steps"`
	Stopped int      `json:"stopped,omitempty"` // line of the stop that ended the run
	Unsure  []int    `json:"unsure,omitempty"`  // lines that were not run, because their words belong to what is not run here
	Missing string   `json:"missing,omitempty"` // a folder that does not exist and would not be made
	Cut     bool     `json:"cut,omitempty"`     // the trace goes on beyond MaxSteps
}

// run is one run of a script.
type run struct {
	m        *Message
	o        Options
	res      *Result
	vars     map[string]string
	groups   []string
	varsOn   bool
	encoded  bool
	flags    []string
	because  []int
	cancel   bool // the implicit keep
	parts    *mimetree.Tree
	depth    int
	vacation bool
}

// Run runs the script over a message. It never fails: what cannot be run is told in the result.
func (s *Script) Run(m *Message, o Options) *Result {
	r := &run{m: m, o: o, res: &Result{}, vars: map[string]string{}}
	r.varsOn = slices.Contains(s.Requires, "variables")
	r.encoded = slices.Contains(s.Requires, "encoded-character")
	r.block(s.Commands)
	if !r.cancel {
		r.add(Action{Kind: Keep, Implicit: true, Flags: slices.Clone(r.flags)})
	}
	return r.res
}

func (r *run) step(line int, kind, text string, held bool, saw ...string) {
	if len(r.res.Steps) >= MaxSteps {
		r.res.Cut = true
		return
	}
	for i, s := range saw {
		saw[i] = squeeze(s)
	}
	if len(saw) > 4 {
		saw = append(slices.Clone(saw[:4]), "… "+itoa(len(saw)-4))
	}
	r.res.Steps = append(r.res.Steps, Step{line, r.depth, kind, text, held, saw})
}

// block runs commands; it gives true where the script is stopped.
func (r *run) block(cmds []*Command) bool {
	taken := false // a branch of the current if was taken
	for _, c := range cmds {
		switch c.Name {
		case "if", "elsif", "else":
			if c.Name == "if" {
				taken = false
			}
			if taken {
				continue
			}
			held := c.Name == "else"
			if !held && len(c.Tests) == 1 {
				held = r.condition(c)
			}
			if !held {
				continue
			}
			taken = true
			if r.branch(c) {
				return true
			}
		case "stop":
			r.step(c.Pos.Line, "stop", c.Text, true)
			r.res.Stopped = c.Pos.Line
			return true
		case "require":
		default:
			r.command(c)
		}
	}
	return false
}

func (r *run) condition(c *Command) bool {
	at := len(r.res.Steps)
	r.step(c.Pos.Line, "branch", c.Name, false)
	r.depth++
	held := r.test(c.Tests[0])
	r.depth--
	if at < len(r.res.Steps) {
		r.res.Steps[at].Held = held
	}
	return held
}

func (r *run) branch(c *Command) bool {
	if c.Name == "else" {
		r.step(c.Pos.Line, "branch", c.Name, true)
	}
	r.because = append(r.because, c.Pos.Line)
	r.depth++
	stopped := r.block(c.Block)
	r.depth--
	r.because = r.because[:len(r.because)-1]
	return stopped
}

func (r *run) unsure(line int, text string) {
	r.step(line, "skipped", text, false)
	if len(r.res.Unsure) < 100 {
		r.res.Unsure = append(r.res.Unsure, line)
	}
}

func (r *run) command(c *Command) {
	k := c.call
	if k == nil || k.bad {
		r.unsure(c.Pos.Line, c.Text)
		return
	}
	a := Action{Line: c.Pos.Line, Because: slices.Clone(r.because), Copy: k.has("copy"), Create: k.has("create")}
	switch c.Name {
	case "keep":
		a.Kind, a.Flags = Keep, r.flagsFor(k)
	case "discard":
		a.Kind = Discard
	case "fileinto":
		a.Kind, a.Target, a.Flags = FileInto, r.expand(k.pos[0].Strings[0]), r.flagsFor(k)
		if !r.exists(a.Target) && !a.Create {
			r.res.Missing = a.Target
		}
	case "redirect":
		a.Kind, a.Target = Redirect, r.expand(k.pos[0].Strings[0])
	case "reject", "ereject":
		a.Kind, a.Reason = Reject, r.expand(k.pos[0].Strings[0])
	case "vacation":
		a.Kind, a.Reason, a.Target = Vacation, r.expand(k.pos[0].Strings[0]), r.m.From
		a.Withheld = r.withheld(k)
	case "set":
		r.set(c)
		return
	case "setflag", "addflag", "removeflag":
		r.setFlags(c)
		return
	}
	r.step(c.Pos.Line, "action", c.Text, true)
	if a.Kind == Vacation && r.vacation {
		return // only the first counts: a second is an error on most servers
	}
	r.vacation = r.vacation || a.Kind == Vacation
	if a.Kind != Vacation && !a.Copy {
		r.cancel = true
	}
	r.add(a)
}

// add keeps an action; the same delivery twice is one (RFC 5228 section 2.10.3).
func (r *run) add(a Action) {
	for i := range r.res.Actions {
		b := &r.res.Actions[i]
		if b.Kind == a.Kind && b.Target == a.Target && a.Kind != Vacation {
			return
		}
	}
	if len(r.res.Actions) < 1000 {
		r.res.Actions = append(r.res.Actions, a)
	}
}

func (r *run) exists(folder string) bool {
	if r.o.Mailboxes == nil || strings.EqualFold(folder, "INBOX") {
		return true
	}
	return slices.Contains(r.o.Mailboxes, folder)
}

func (r *run) flagsFor(k *call) []string {
	if f, ok := k.tags["flags"]; ok {
		return splitFlags(r.expandAll(f.Strings))
	}
	return slices.Clone(r.flags)
}

// splitFlags takes lists of flags apart; each flag stands once, in any case (RFC 5232 section 2).
func splitFlags(list []string) []string {
	var out []string
	for _, s := range list {
		for _, f := range strings.Fields(s) {
			if !slices.ContainsFunc(out, func(x string) bool { return strings.EqualFold(x, f) }) && len(out) < 100 {
				out = append(out, f)
			}
		}
	}
	return out
}

func (r *run) setFlags(c *Command) {
	k := c.call
	have := r.flags
	name := ""
	if len(k.pos[0].Strings) > 0 {
		name = strings.ToLower(k.pos[0].Strings[0])
		have = strings.Fields(r.vars[name])
	}
	given := splitFlags(r.expandAll(k.pos[1].Strings))
	switch c.Name {
	case "setflag":
		have = given
	case "addflag":
		have = splitFlags(append(slices.Clone(have), given...))
	default:
		have = slices.DeleteFunc(slices.Clone(have), func(f string) bool {
			return slices.ContainsFunc(given, func(g string) bool { return strings.EqualFold(f, g) })
		})
	}
	if name != "" {
		r.keep(name, strings.Join(have, " "))
	} else {
		r.flags = have
	}
	r.step(c.Pos.Line, "set", c.Text, true, strings.Join(have, " "))
}

// withheld says why no answer is sent (RFC 5230 sections 4.5 and 4.6), or "".
func (r *run) withheld(k *call) string {
	h := r.m.Header
	from := strings.ToLower(r.m.From)
	local, _, _ := strings.Cut(from, "@")
	switch {
	case from == "":
		return "null-sender"
	case strings.HasPrefix(local, "owner-") || strings.HasSuffix(local, "-request") || slices.Contains([]string{"mailer-daemon", "listserv", "majordomo"}, local):
		return "sender"
	}
	if v := strings.TrimSpace(h.Get("Auto-Submitted")); v != "" && !strings.EqualFold(v, "no") {
		return "Auto-Submitted"
	}
	for i := range h.Fields {
		if strings.HasPrefix(strings.ToLower(h.Fields[i].Name), "list-") {
			return h.Fields[i].Name
		}
	}
	if slices.Contains([]string{"bulk", "list", "junk"}, strings.ToLower(h.Get("Precedence"))) {
		return "Precedence"
	}
	own := []string{r.m.To}
	if a, ok := k.tags["addresses"]; ok {
		own = append(own, r.expandAll(a.Strings)...)
	}
	if r.m.To == "" && len(own) == 1 {
		return ""
	}
	for _, v := range values(h, []string{"To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc"}) {
		for _, b := range addresses(v) {
			if slices.ContainsFunc(own, func(o string) bool { return strings.EqualFold(o, b.all) }) {
				return ""
			}
		}
	}
	return "not-addressed"
}

// set runs RFC 5229 section 4: modifiers of higher precedence first.
func (r *run) set(c *Command) {
	k := c.call
	v := r.expand(k.pos[1].Strings[0])
	for _, m := range []string{"lower", "upper", "lowerfirst", "upperfirst", "quotewildcard", "quoteregex", "length"} {
		if !k.has(m) {
			continue
		}
		switch m {
		case "lower":
			v = strings.ToLower(v)
		case "upper":
			v = strings.ToUpper(v)
		case "lowerfirst":
			v = mapFirst(v, strings.ToLower)
		case "upperfirst":
			v = mapFirst(v, strings.ToUpper)
		case "quotewildcard":
			v = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`).Replace(v)
		case "quoteregex":
			v = quoteRegex(v)
		case "length":
			v = strconv.Itoa(len([]rune(v)))
		}
	}
	r.keep(strings.ToLower(k.pos[0].Strings[0]), v)
	r.step(c.Pos.Line, "set", c.Text, true, v)
}

func mapFirst(s string, f func(string) string) string {
	rs := []rune(s)
	if len(rs) == 0 {
		return s
	}
	return f(string(rs[0])) + string(rs[1:])
}

func quoteRegex(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune(`\.+*?()|[]{}^$`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (r *run) keep(name, v string) {
	if len(v) > MaxValue {
		v = strings.ToValidUTF8(v[:MaxValue], "")
	}
	if _, again := r.vars[name]; again || len(r.vars) < 256 {
		r.vars[name] = v
	}
}
