package web_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/change"
	"github.com/mailwhy/mailwhy/internal/check/feedback"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/mail/dmarcxml"
	"github.com/mailwhy/mailwhy/internal/runs"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
	"github.com/mailwhy/mailwhy/internal/web"
)

// foreign are the words of which a helpdesk of mine.example may not learn: domains, people, hosts and addresses of others.
var foreign = []string{"other.example", "zhao", "foreign-", "203.0.113.66", "Fremdwort", "FB0000000001"}

// twoTenants is a server that has all there is, of mine.example and of others. It gives every id that stands in it, and
// the addresses and words by which somebody might ask for what is not theirs.
func twoTenants(t *testing.T) (h *house, ids, words []string) {
	t.Helper()
	h = newHouse(t)
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{Dialects: dialects.All(), Local: time.UTC, Know: knowledge.Embedded(), Now: h.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	b := &intake.Batch{Source: "file:mail.log", Host: "mx1", Modified: h.clock.now(), Read: h.clock.now()}
	b.To.File = "f"
	for _, l := range tenantLines() {
		b.Lines = append(b.Lines, []byte(l))
		b.To.Offset += int64(len(l) + 1)
		b.Ends = append(b.Ends, b.To.Offset)
	}
	if err := store.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	keepTenantReports(t, h)
	runner, _ := watch(t, h.clock.now)
	inbox := &fakeInbox{}
	queue := &finding.Report{Command: "queue", Target: finding.Domain("other.example"), Headline: finding.Headline{Says: finding.Raw("foreign-queue of other.example")}}
	h.again(func(o *web.Options) {
		o.Journeys, o.Know, o.Runner, o.Runs, o.Reports, o.Inbox = store, knowledge.Embedded(), &fakeRunner{}, h.state, h.state, inbox
		o.Monitors, o.Channels = runner, book(t, h.state)
		o.Desk = &change.Desk{Store: h.state, Now: h.clock.now}
		o.Queues = func() []web.Queue {
			return []web.Queue{{Host: "foreign-host", At: h.clock.now(), Messages: 1, Report: queue}}
		}
		o.MonitorCounts = func(context.Context) (web.MonitorCounts, error) { return web.MonitorCounts{}, nil }
		o.Rules = []*finding.Rule{{ID: "spf.none", Severity: finding.Error, Title: "no SPF record", Says: "{{.Domain}} has no SPF record"}}
	})
	ids = append(h.others(inbox), "nothing", "file", "spf.none")
	var p tracePage
	h.want(200, "operator", "GET", "/api/v1/trace?limit=500&lines=true", nil).into(t, &p)
	for _, j := range p.Items {
		ids = append(ids, j.ID)
	}
	words = []string{"", "other.example", "wang@other.example", "*@other.example", "zhao@other.example", "m1@sender.example", "203.0.113.66", "203.0.113.0/24", "FB0000000001", "subject:Fremdwort",
		"Fremdwort", "host:foreign-mx.other.example", "foreign-mx", "from:zhao@other.example", "to:wang@other.example", "sender.example", "bob@sender.example", "mx1", "mine.example", "*@*.example"}
	return h, ids, words
}

// tenantLines are messages to mine.example alone, to both, and to and from other.example alone, with logins and refusals.
func tenantLines() (out []string) {
	for n := range 6 {
		to := [][2]string{{"li@mine.example", "wang@other.example"}, {"zhao@other.example", "wang@other.example"}}[n%2]
		out = append(out, message(n, 5*n, "bob@sender.example", to[0], to[1])...)
	}
	return append(out,
		line(40, "submission/smtpd[31]", "FB0000000001: client=foreign-pc.other.example[203.0.113.66], sasl_method=PLAIN, sasl_username=zhao@other.example"),
		line(40, "cleanup[32]", "FB0000000001: message-id=<foreign-1@other.example>"),
		line(40, "cleanup[32]", "FB0000000001: info: header Subject: Fremdwort from foreign-pc.other.example[203.0.113.66]; from=<zhao@other.example> to=<bob@sender.example> proto=ESMTP helo=<pc>"),
		line(40, "qmgr[33]", "FB0000000001: from=<zhao@other.example>, size=900, nrcpt=1 (queue active)"),
		line(39, "smtpd[30]", "A00000000099: client=out.sender.example[192.0.2.5]"),
		line(39, "cleanup[30]", "A00000000099: message-id=<m99@sender.example>"),
		line(39, "cleanup[30]", `A00000000099: info: header Subject: for two from out.sender.example[192.0.2.5]; from=<bob@sender.example> to=<"zhao secret"@other.example> proto=ESMTP helo=<out>`),
		line(39, "qmgr[30]", "A00000000099: from=<bob@sender.example>, size=900, nrcpt=2 (queue active)"),
		line(39, "lmtp[30]", `A00000000099: to=<li@mine.example>, orig_to=<"zhao x"@other.example>, relay=mx1[private/lmtp], delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 <li@mine.example> Saved, copy for <"zhao y"@other.example> and \"zhao z\"@other.example)`),
		line(39, "lmtp[30]", `A00000000099: to=<"zhao secret"@other.example>, relay=mx1[private/lmtp], delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Saved)`),
		line(41, "smtp[34]", "FB0000000001: to=<bob@sender.example>, relay=foreign-mx.other.example[203.0.113.67]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (host foreign-mx.other.example said: 550 5.1.1 foreign-words)"),
		line(42, "smtpd[35]", "NOQUEUE: reject: RCPT from unknown[203.0.113.66]: 554 5.7.1 foreign-reason; from=<x@spam.example> to=<zhao@other.example> proto=ESMTP helo=<foreign-helo>"),
		line(43, "smtpd[36]", "connect from foreign-client.other.example[203.0.113.66]"),
		time.Date(2026, 11, 22, 10, 0, 44, 0, time.UTC).Format("Jan _2 15:04:05")+" mx1 dovecot: imap-login: Login: user=<zhao@other.example>, method=PLAIN, rip=203.0.113.66, lip=192.0.2.1, mpid=77, TLS, session=<foreign-session>",
	)
}

func keepTenantReports(t *testing.T, h *house) {
	t.Helper()
	begun := h.clock.now().Add(-48 * time.Hour)
	for i, domain := range []string{"mine.example", "other.example"} {
		m := feedback.NewSum()
		m.Reports, m.Begin, m.End = 1, begun.Unix(), begun.Add(time.Hour).Unix()
		m.Heads = []dmarcxml.Report{{Org: domain + "-receiver", ID: domain}}
		m.Reporters[domain+"-receiver"] = 1
		m.Domains = []*feedback.Domain{{Name: domain, Messages: 10, Aligned: 8}}
		m.Sources = []*feedback.Source{{Domain: domain, Name: []string{"192.0.2.7", "203.0.113.66"}[i], PTR: "host." + domain, Messages: 10, SPF: 8, DKIM: 3}}
		m.TLS = []*feedback.TLSDomain{{Domain: domain, Success: 5, Failure: 1, Types: map[string]uint64{"certificate-expired": 1}, Reporter: domain + "-receiver"}}
		if err := h.state.Keep(t.Context(), &intake.Report{Mailbox: domain, To: intake.Mark{Validity: 1, UID: uint32(i + 1)}, Sum: m, Read: begun}); err != nil {
			t.Fatal(err)
		}
	}
}

// others fills the server with what other people do, and gives the ids of it.
func (h *house) others(inbox *fakeInbox) (ids []string) {
	h.t.Helper()
	id := func(status int, as, method, path string, body any) string {
		var r struct{ ID, Address string }
		h.want(status, as, method, "/api/v1"+path, body).into(h.t, &r)
		ids = append(ids, r.ID+r.Address)
		return r.ID
	}
	soon := h.clock.now().Add(24 * time.Hour)
	if err := h.state.PutRun(h.t.Context(), &runs.Run{ID: "foreign-run-0000", Kind: "check", Args: map[string]string{"domain": "other.example"}, Target: finding.Domain("other.example"), State: runs.Done,
		By: "somebody", ByName: "foreign-user", Started: h.clock.now(), Says: map[finding.Lang]string{finding.EN: "foreign-result"}, Share: runs.Share{Hash: "foreign-hash", By: "foreign-user", Until: soon}}); err != nil {
		h.t.Fatal(err)
	}
	ids = append(ids, "foreign-run-0000")
	id(201, "operator", "POST", "/runs", map[string]any{"kind": "check", "args": map[string]any{"domain": "other.example"}})
	id(201, "operator", "POST", "/inbox", nil)
	inbox.mu.Lock()
	inbox.all[0].Messages = []web.TestMessage{{At: h.clock.now(), From: "zhao@other.example", Subject: "Fremdwort"}}
	inbox.mu.Unlock()
	id(201, "operator", "POST", "/monitors", map[string]any{"kind": "silence", "title": "foreign-monitor", "args": map[string]any{"domain": "other.example"}})
	id(201, "operator", "POST", "/maintenance", map[string]any{"reason": "foreign-plan", "cron": "0 3 * * 0", "for_s": 60})
	id(201, "operator", "POST", "/blocks", map[string]any{"what": "other.example", "reason": "foreign-reason", "until": soon})
	id(201, "admin", "POST", "/users", map[string]any{"name": "foreign-user", "password": "correct horse battery", "role": "helpdesk", "domains": []string{"other.example"}})
	h.want(201, "operator", "POST", "/api/v1/tokens", map[string]any{"name": "foreign-token"})
	h.want(200, "operator", "POST", "/api/v1/monitors/file/run", nil) // fails, and proposes
	var l struct{ Items []struct{ ID string } }
	for _, path := range []string{"users", "tokens", "incidents", "proposals", "channels", "maintenance", "runs", "monitors", "blocks"} {
		h.want(200, "admin", "GET", "/api/v1/"+path, nil).into(h.t, &l)
		for _, x := range l.Items {
			ids = append(ids, x.ID)
		}
	}
	return ids
}

// TestAHelpdeskLearnsNothingOfOthers calls every operation of the document as a helpdesk of mine.example, with every id
// there is and with every word that might call up what belongs to others. What is right for the request stands in a body
// only where the answer says that it is wrong.
func TestAHelpdeskLearnsNothingOfOthers(t *testing.T) {
	h, ids, words := twoTenants(t)
	asked := 0
	for _, r := range routesOf(h) {
		if r.path == "/logout" || r.path == "/setup" || r.path == "/login" {
			continue // end the session, or are tried with names of their own elsewhere
		}
		for _, path := range questions(r, ids, words) {
			var body any
			if r.op.RequestBody != nil {
				body = "{}"
			}
			a := h.do("helpdesk", r.method, path, body)
			asked++
			for _, word := range foreign {
				if strings.Contains(a.text, word) && (a.StatusCode < 400 || !strings.Contains(path, url.QueryEscape(word)) && !strings.Contains(path, url.PathEscape(word))) {
					t.Errorf("%s %s: %d tells %q: %s", r.method, path, a.StatusCode, word, cutAround(a.text, word))
				}
			}
		}
	}
	if asked < 1000 {
		t.Errorf("only %d questions", asked)
	}
	// The same words, asked by somebody who may: the test would see them.
	all := h.do("operator", "GET", "/api/v1/trace?lines=true&limit=500", nil).text + h.do("operator", "GET", "/api/v1/reports/dmarc", nil).text
	for _, word := range foreign {
		if !strings.Contains(all, word) && !strings.Contains(h.do("operator", "GET", "/api/v1/runs", nil).text, word) && !strings.Contains(h.do("operator", "GET", "/api/v1/trace?q="+url.QueryEscape(word), nil).text, word) {
			t.Errorf("nobody is told %q: the test looks for nothing", word)
		}
	}
}

// questions are the addresses by which an operation can be asked about anything there is.
func questions(r route, ids, words []string) (out []string) {
	paths := []string{"/api/v1" + r.path}
	if strings.Contains(r.path, "{") {
		paths = nil
		for _, id := range ids {
			paths = append(paths, "/api/v1"+parameter.ReplaceAllLiteralString(r.path, url.PathEscape(id)))
		}
	}
	for _, p := range paths {
		out = append(out, p, p+"?raw=true&since=1970-01-02&limit=500&lang=zh")
		for _, param := range r.op.Parameters {
			if param.In != "query" || len(paths) > 1 && param.Name != "with" {
				continue
			}
			for _, w := range append(append([]string{"true"}, words...), ids...) {
				out = append(out, p+"?"+param.Name+"="+url.QueryEscape(w))
				if param.Name == "q" {
					out = append(out, p+"?lines=true&since=1970-01-02&q="+url.QueryEscape(w))
				}
			}
		}
	}
	return out
}

// cutAround is the part of a text around a word.
func cutAround(s, word string) string {
	i := strings.Index(s, word)
	return s[max(0, i-120):min(len(s), i+120)]
}

// TestAViewerReadsNoLogLines calls every operation as a viewer, who sees how mail does and no lines of logs.
func TestAViewerReadsNoLogLines(t *testing.T) {
	h, ids, words := twoTenants(t)
	for _, r := range routesOf(h) {
		if r.method != "GET" {
			continue
		}
		for _, path := range questions(r, ids, words) {
			if a := h.do("viewer", "GET", path, nil); strings.Contains(a.text, "postfix/smtpd[") || strings.Contains(a.text, "dovecot: imap-login:") || strings.Contains(a.text, "argon2") {
				t.Errorf("%s: %d %s", path, a.StatusCode, cutAround(a.text, "["))
			}
		}
	}
}

// A token that is limited to domains nobody named sees nothing at all.
func TestALimitedTokenWithoutDomains(t *testing.T) {
	h, _, _ := twoTenants(t)
	a := h.do("operator", "POST", "/api/v1/tokens", map[string]any{"name": "desk", "role": "helpdesk"})
	if a.StatusCode != 422 || !strings.Contains(a.text, "body.role") {
		t.Errorf("a helpdesk's token for somebody without domains: %d %s", a.StatusCode, a.text)
	}
}
