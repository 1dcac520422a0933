package lab

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// parcel is a message of the flow and what becomes of it.
type parcel struct {
	name, via, from, to, subject string
	size                         int
	cause                        string // of the bounce that must come back, "" for none: then it lies in a mailbox
	box, folder                  string // where it ends; default: the INBOX of to
	lost                         bool   // discarded on purpose
}

var parcels = []parcel{
	{name: "plain", from: "li@a.flow.example", to: "wang@b.flow.example"},
	{name: "local", from: "li@a.flow.example", to: "wang@a.flow.example"},
	{name: "filed", from: "wang@a.flow.example", to: "li@b.flow.example", subject: "[list] minutes", folder: "Lists"},
	{name: "discarded", from: "wang@a.flow.example", to: "li@b.flow.example", subject: "throw away", lost: true},
	{name: "forwarded", from: "li@a.flow.example", to: "fwd@b.flow.example", box: "wang@a.flow.example"},
	{name: "alias", from: "wang@a.flow.example", to: "team@a.flow.example", box: "wang@b.flow.example"},
	{name: "unknown-user", from: "li@a.flow.example", to: "nobody@b.flow.example", cause: "user-unknown"},
	{name: "over-quota", from: "li@a.flow.example", to: "full@a.flow.example", size: 20000, cause: "mailbox-full"},
	{name: "over-quota-exim", from: "li@a.flow.example", to: "full@b.flow.example", size: 20000, cause: "mailbox-full"},
	{name: "too-big", from: "li@a.flow.example", to: "wang@b.flow.example", size: 200000, cause: "message-too-big"},
	{name: "blocklisted", from: "li@a.flow.example", to: "wang@listed.flow.example", cause: "dnsbl-listed"},
	{name: "greylisted", from: "li@a.flow.example", to: "wang@grey.flow.example", cause: "greylisted"},
	{name: "loop", from: "li@a.flow.example", to: "wang@loop.flow.example", cause: "mail-loop"},
	{name: "dead", from: "li@a.flow.example", to: "wang@dead.flow.example", cause: "expired"},
	{name: "no-domain", from: "li@a.flow.example", to: "wang@gone.flow.example", cause: "domain-unknown"},
	{name: "null-mx", from: "li@a.flow.example", to: "wang@nomail.flow.example", cause: "null-mx"},
	{name: "sieve-reject", from: "li@a.flow.example", to: "rej@b.flow.example", cause: "recipient-rejected"},
	{name: "exim-unknown", via: "exim", from: "li@a.flow.example", to: "nobody@a.flow.example", cause: "user-unknown"},
	{name: "exim-closed", via: "exim", from: "li@a.flow.example", to: "mustfail@b.flow.example", cause: "mailbox-disabled"},
	{name: "exim-no-domain", via: "exim", from: "li@a.flow.example", to: "wang@gone.flow.example", cause: "domain-unknown"},
}

func (p parcel) id() string { return p.name + ".1@flow.example" }

// TestFlow sends messages through Postfix, a filter, Exim and Dovecot, and wants each to end where it must.
func TestFlow(t *testing.T) {
	w := lab(t)
	f, err := w.StartFlow(w.ca)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Stop(); err != nil {
			t.Error(err)
		}
	})
	for _, p := range parcels {
		body := "a line of text\r\n" + strings.Repeat("filling, filling, filling, filling\r\n", p.size/36)
		if p.subject == "" {
			p.subject = "about " + p.name
		}
		if err := f.Submit(t.Context(), p.via, p.from, p.to, p.subject, p.id(), body); err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
	}
	found := waitForMail(t, f)
	keep := os.Getenv("MAILWHY_LAB_OUT")
	for _, p := range parcels {
		raw, ok := found[p.name]
		if !ok && !p.lost {
			t.Errorf("%s: neither message nor bounce arrived", p.name)
		}
		if keep != "" && p.cause != "" {
			_ = os.WriteFile(filepath.Join(keep, "bounce-"+p.name+".eml"), raw, 0o644)
		}
	}
	for _, l := range f.Logs() {
		raw, err := os.ReadFile(l)
		if err != nil || len(raw) == 0 {
			t.Errorf("%s: %v, %d bytes", l, err, len(raw))
		}
		if keep != "" {
			_ = os.WriteFile(filepath.Join(keep, filepath.Base(l)), raw, 0o644)
		}
	}
	bin, err := w.Build(t.Context(), "..")
	if err != nil {
		t.Fatal(err)
	}
	have, err := Commands(t.Context(), bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("trace", func(t *testing.T) { needs(t, have, "trace"); traceParcels(t, f, bin) })
	t.Run("bounce", func(t *testing.T) { needs(t, have, "bounce"); readBounces(t, w, bin, found) })
}

func needs(t *testing.T, have []string, command string) {
	t.Helper()
	for _, h := range have {
		if h == command {
			return
		}
	}
	skipOrFail(t, fmt.Sprintf("mailwhy has no command %q", command))
}

// waitForMail waits until each parcel lies in a mailbox, itself or as a bounce, and gives the raw mails by parcel.
func waitForMail(t *testing.T, f *Flow) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	deadline := time.Now().Add(40 * time.Second)
	for {
		missing := 0
		for _, p := range parcels {
			if _, ok := found[p.name]; ok || p.lost {
				continue
			}
			if raw := arrived(t, f, p); raw != nil {
				found[p.name] = raw
			} else {
				missing++
			}
		}
		if missing == 0 || time.Now().After(deadline) {
			return found
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// arrived looks for the parcel in its recipient's folder, or for its bounce in the sender's INBOX.
func arrived(t *testing.T, f *Flow, p parcel) []byte {
	t.Helper()
	box, folder := cmp.Or(p.box, p.to), p.folder
	if p.cause != "" {
		box, folder = p.from, ""
	}
	files, err := f.Mailbox(box, folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // moved from new to cur meanwhile
		}
		text := string(raw)
		if !strings.Contains(text, p.id()) || strings.Contains(text, "Action: delayed") {
			continue
		}
		if p.cause == "" || strings.Contains(text, "Subject: about "+p.name) && strings.Contains(strings.ToLower(text[:min(len(text), 4000)]), "<>") {
			return raw
		}
	}
	return nil
}

// traceParcels asks the tool for each message by its id and wants the whole way.
func traceParcels(t *testing.T, f *Flow, bin string) {
	for _, p := range parcels {
		o, err := f.w.Tool(t.Context(), bin, "", f.w.Dir, append([]string{"trace", p.id(), "--json"}, f.Logs()...)...)
		if err != nil {
			t.Fatal(err)
		}
		var rep Report
		if err := json.Unmarshal(firstLine(o.Stdout), &rep); err != nil {
			t.Errorf("%s: %v: %s", p.name, err, o.Stderr)
			continue
		}
		t.Logf("%s: %s: %s", p.name, rep.Headline.State, rep.Headline.Text)
		wantState := map[bool]string{true: "ok", false: "broken"}[p.cause == ""]
		if p.name == "discarded" {
			wantState = "warning"
		}
		if rep.Headline.State != wantState {
			t.Errorf("%s: state %q, want %q: %s", p.name, rep.Headline.State, wantState, rep.Headline.Text)
		}
		if p.via == "" && !strings.Contains(string(o.Stdout), "submission/smtpd") {
			t.Errorf("%s: the submission is not in the journey", p.name)
		}
		if strings.HasSuffix(p.to, "@b.flow.example") && p.cause == "" && !strings.Contains(string(o.Stdout), "lmtp(") {
			t.Errorf("%s: the mailbox server is not in the journey", p.name)
		}
	}
}

// readBounces lets the tool read the bounces that came back.
func readBounces(t *testing.T, w *World, bin string, found map[string][]byte) {
	for _, p := range parcels {
		if p.cause == "" || found[p.name] == nil {
			continue
		}
		file := filepath.Join(w.Dir, "bounce-"+p.name+".eml")
		if err := os.WriteFile(file, found[p.name], 0o644); err != nil {
			t.Fatal(err)
		}
		o, err := w.Tool(t.Context(), bin, "", w.Dir, "bounce", "--json", file)
		if err != nil {
			t.Fatal(err)
		}
		var rep struct {
			Kind       string
			Recipients []struct{ Recipient, Cause, Owner, Code, Status string }
		}
		if err := json.Unmarshal(firstLine(o.Stdout), &rep); err != nil {
			t.Errorf("%s: %v: %s", p.name, err, o.Stderr)
			continue
		}
		if rep.Kind != "bounce" || len(rep.Recipients) != 1 || rep.Recipients[0].Recipient != p.to || rep.Recipients[0].Cause != p.cause {
			t.Errorf("%s: want one bounce of %s with cause %s, got %s", p.name, p.to, p.cause, fmt.Sprintf("%+v", rep))
		}
	}
}
