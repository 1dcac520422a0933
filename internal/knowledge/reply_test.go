package knowledge

import (
	"slices"
	"strings"
	"testing"
)

func table(t testing.TB) *replyTable {
	t.Helper()
	rt, err := Embedded().replies()
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

// spell is a text that a phrase describes.
func spell(phrase string) string {
	return strings.NewReplacer("|", "", "^", "", "*", " li ", "#", "7").Replace(phrase)
}

// contextOf is a context in which the conditions of a row hold.
func contextOf(r *replyRow) ReplyContext {
	c := ReplyContext{Command: r.Command}
	if r.Code != "" {
		c.Code = (r.Code + "50")[:3]
	}
	if r.Enhanced != "" {
		e, _, _ := strings.Cut(r.Enhanced, "-")
		if strings.HasSuffix(e, ".") {
			e += "77"
		}
		c.Enhanced = strings.Replace(e, "x", "5", 1)
	}
	if len(r.file.Hosts) > 0 {
		c.Host = "mx1." + r.file.Hosts[0]
	}
	return c
}

func TestCauseTable(t *testing.T) {
	causes, err := Embedded().Causes()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range causes.Cause {
		if seen[c.ID] {
			t.Errorf("cause %s stands twice", c.ID)
		}
		seen[c.ID] = true
		if _, ok := jobs[c.Job]; !ok {
			t.Errorf("cause %s: %q is no job", c.ID, c.Job)
		}
		if c.Coarse == "" {
			t.Errorf("cause %s has no coarse class", c.ID)
		}
		for _, x := range []Text{c.Name, c.Meaning, c.User, c.Admin} {
			if x.EN == "" || x.ZH == "" {
				t.Errorf("cause %s lacks a language: %+v", c.ID, x)
			}
		}
		if c.Next != "" && !slices.Contains([]string{"deliver", "check", "blocklist", "ip"}, c.Next) {
			t.Errorf("cause %s: next command %q", c.ID, c.Next)
		}
	}
	if len(causes.Cause) < 34 {
		t.Errorf("only %d causes", len(causes.Cause))
	}
}

func TestEnhancedTable(t *testing.T) {
	rt := table(t)
	seen := map[string]bool{}
	for _, s := range rt.enhanced.Status {
		if seen[s.Status] {
			t.Errorf("status %s stands twice", s.Status)
		}
		seen[s.Status] = true
		if s.Name.EN == "" || s.Name.ZH == "" || s.Meaning.EN == "" || s.Meaning.ZH == "" || s.Source == "" {
			t.Errorf("status %s is incomplete", s.Status)
		}
		if s.Cause != "" && rt.causes.ByID(s.Cause) == nil {
			t.Errorf("status %s: no cause %q", s.Status, s.Cause)
		}
	}
	for _, c := range rt.codes {
		key := c.Code + " " + c.Command
		if seen[key] {
			t.Errorf("code %s stands twice", key)
		}
		seen[key] = true
		if c.Meaning.EN == "" || c.Meaning.ZH == "" || c.Source == "" {
			t.Errorf("code %s is incomplete", key)
		}
		if c.Cause != "" && rt.causes.ByID(c.Cause) == nil {
			t.Errorf("code %s: no cause %q", key, c.Cause)
		}
	}
}

// TestReplyTablesLint holds every row of every dialect.
func TestReplyTablesLint(t *testing.T) {
	rt := table(t)
	if err := rt.check(); err != nil {
		t.Fatal(err)
	}
	dup := map[string]bool{}
	for _, f := range rt.files {
		if f.Checked.Year == 0 {
			t.Errorf("replies of %q: no date", f.Provider)
		}
		if f.Provider != "" && (f.Name.EN == "" || f.Name.ZH == "") {
			t.Errorf("replies of %q: the name lacks a language", f.Provider)
		}
		for i := range f.Reply {
			r := &f.Reply[i]
			lintRow(t, rt, f, r)
			for _, m := range r.Match {
				key := strings.Join([]string{f.Provider, r.Code, r.Enhanced, r.Command, m}, "\x00")
				if dup[key] {
					t.Errorf("%s: phrase %q stands twice", f.Provider, m)
				}
				dup[key] = true
			}
		}
	}
}

func lintRow(t *testing.T, rt *replyTable, f *replyFile, r *replyRow) {
	t.Helper()
	where := f.Provider + " " + r.Cause + " " + r.Match[0]
	if r.Source == "" {
		t.Errorf("%s: no source", where)
	}
	if len(r.Example) == 0 {
		t.Errorf("%s: no example", where)
	}
	for _, x := range []Text{r.Meaning, r.User, r.Admin} {
		if (x.EN == "") != (x.ZH == "") {
			t.Errorf("%s: one language only: %+v", where, x)
		}
	}
	for _, ex := range r.Example {
		c := contextOf(r)
		if code, _ := Codes(ex); code != "" {
			c.Code = ""
		}
		if _, e := Codes(ex); e != "" {
			c.Enhanced = ""
		}
		got := rt.read(ex, c)
		if !slices.Contains(r.Match, got.Matched) || got.Cause != r.Cause {
			t.Errorf("%s: example %q is read as %s by %q of %q", where, ex, got.Cause, got.Matched, got.Provider)
		}
	}
	for _, m := range r.Match {
		if m != strings.ToLower(m) {
			t.Errorf("%s: phrase %q is not lower case", where, m)
		}
		got := rt.read(spell(m), contextOf(r))
		if got.Basis != "text" {
			t.Errorf("%s: phrase %q does not match itself", where, m)
			continue
		}
		if want := rt.causes.ByID(r.Cause); got.Coarse != want.Coarse && r.Weight >= 0 {
			t.Errorf("%s: phrase %q is stolen by %q (%s)", where, m, got.Matched, got.Cause)
		}
	}
}

func TestCodes(t *testing.T) {
	for _, c := range []struct{ text, code, enhanced string }{
		{"550 5.1.1 User unknown", "550", "5.1.1"},
		{"550-5.7.26 This mail", "550", "5.7.26"},
		{"host mx.partner.example[198.51.100.7] said: 554 5.7.1 no", "554", "5.7.1"},
		{"SMTP error from remote mail server after RCPT TO:<a@b.example>: host mx [198.51.100.7]: 550 no", "550", ""},
		{"smtp;550 5.2.2 full", "550", "5.2.2"},
		{"(#5.1.1)", "", "5.1.1"},
		{"connect to 203.0.113.5 timed out after 450 seconds", "", ""},
		{"Sun, 22 Nov 2026 04:00:00 +0000", "", ""},
		{"version 5.3.12.1", "", ""},
		{"size 5500000 exceeds 5000000", "", ""},
		{"550", "550", ""},
		{"550 #5.1.0 Address rejected", "550", "5.1.0"},
		{"450 4.0.0 wait, then 4.7.1", "450", "4.7.1"},
		{"Remote host said: 552 full", "552", ""},
		{"the server returned: 421 4.7.0 busy", "421", "4.7.0"},
	} {
		if code, enh := Codes(c.text); code != c.code || enh != c.enhanced {
			t.Errorf("%q: got %q %q, want %q %q", c.text, code, enh, c.code, c.enhanced)
		}
	}
}

// TestEvidenceOrder holds which kind of evidence beats which.
func TestEvidenceOrder(t *testing.T) {
	b := Embedded()
	for _, c := range []struct {
		text  string
		ctx   ReplyContext
		cause string
		basis string
		sure  Certainty
	}{
		{"550 5.2.2 user unknown", ReplyContext{}, "user-unknown", "text", Likely},
		{"550 5.1.1 user unknown", ReplyContext{}, "user-unknown", "text", Certain},
		{"550 5.1.1 user unknown", ReplyContext{Prose: true}, "user-unknown", "text", Likely},
		{"550 5.2.2 zzz", ReplyContext{}, "mailbox-full", "enhanced", Likely},
		{"550 zzz", ReplyContext{}, "unknown", "", Unread},
		{"550 zzz", ReplyContext{Command: "RCPT"}, "user-unknown", "command", Guess},
		{"zzz", ReplyContext{}, "unknown", "", Unread},
	} {
		r := b.ReadReply(c.text, c.ctx)
		if r.Cause != c.cause || r.Basis != c.basis || r.Certainty != c.sure {
			t.Errorf("%q %+v: got %s by %q, %s", c.text, c.ctx, r.Cause, r.Basis, r.Certainty)
		}
	}
}

func FuzzReadReply(f *testing.F) {
	b := Embedded()
	f.Add("550-5.1.1 The email account\r\n550 5.1.1 that you tried", "google.com")
	f.Add("<a@b>: 4.2.2 x #|*", "")
	f.Fuzz(func(t *testing.T, text, host string) {
		r := b.ReadReply(text, ReplyContext{Host: host})
		if r.Permanent && r.Temporary {
			t.Errorf("%q is permanent and temporary", text)
		}
	})
}

func BenchmarkReadReply(b *testing.B) {
	k := Embedded()
	const text = "host gmail-smtp-in.l.google.com[192.0.2.26] said: 550-5.1.1 The email account that you tried to reach does not exist. Please try 550-5.1.1 double-checking the recipient's email address for typos or 550-5.1.1 unnecessary spaces. (in reply to RCPT TO command)"
	k.ReadReply(text, ReplyContext{})
	b.ReportAllocs()
	for b.Loop() {
		k.ReadReply(text, ReplyContext{})
	}
}
