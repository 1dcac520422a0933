package web_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/knowledge"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
	"github.com/mailwhy/mailwhy/internal/web"
)

// line writes one line of Postfix at a second of the test's day.
func line(second int, program, rest string) string {
	return time.Date(2026, 11, 22, 10, 0, second, 0, time.UTC).Format("Jan _2 15:04:05") + " mx1 postfix/" + program + ": " + rest
}

// message is what Postfix logs of a message from outside to two recipients of which the second bounces.
func message(n, second int, from, good, bad string) []string {
	id := fmt.Sprintf("A%011X", n)
	return []string{
		line(second, "smtpd[11]", id+": client=out.sender.example[192.0.2.5]"),
		line(second, "cleanup[12]", id+": message-id=<m"+fmt.Sprint(n)+"@sender.example>"),
		line(second, "qmgr[13]", id+": from=<"+from+">, size=1000, nrcpt=2 (queue active)"),
		line(second+1, "lmtp[16]", id+": to=<"+good+">, relay=mx1[private/dovecot-lmtp], delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 <"+good+"> Saved)"),
		line(second+1, "smtp[16]", id+": to=<"+bad+">, relay=mx.partner.example[198.51.100.7]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (host mx.partner.example[198.51.100.7] said: 550 5.1.1 <"+bad+"> User unknown (in reply to RCPT TO command))"),
		line(second+1, "qmgr[13]", id+": removed"),
	}
}

// traceHouse has a store with 12 messages: 6 to both mine.example and other.example, 6 to other.example alone; and further
// lines.
func traceHouse(t *testing.T, further ...string) *house {
	t.Helper()
	h := newHouse(t)
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{Dialects: dialects.All(), Local: time.UTC, Know: knowledge.Embedded(), Now: h.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	b := &intake.Batch{Source: "file:mail.log", Host: "mx1", Modified: h.clock.now(), Read: h.clock.now()}
	add := func(lines []string) {
		for _, l := range lines {
			b.Lines = append(b.Lines, []byte(l))
			b.To.Offset += int64(len(l) + 1)
			b.Ends = append(b.Ends, b.To.Offset)
		}
	}
	for n := range 12 {
		good, bad := "li@mine.example", "wang@other.example"
		if n%2 == 1 {
			good, bad = "zhao@other.example", "wang@other.example"
		}
		add(message(n, 3*n, "bob@sender.example", good, bad))
	}
	add(further)
	b.To.File = "f"
	if err := store.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	h.again(func(o *web.Options) { o.Journeys, o.Know = store, knowledge.Embedded() })
	return h
}

type journeyView struct {
	ID, State, Sentence, Cause, Owner string
	From                              *string
	Recipients                        []struct{ To, Status, Text string }
}

type tracePage struct {
	Items []journeyView
	Next  string
}

func TestTraceFindsAndPages(t *testing.T) {
	h := traceHouse(t)
	var p tracePage
	h.want(200, "viewer", "GET", "/api/v1/trace?q=m3@sender.example", nil).into(t, &p)
	if len(p.Items) != 1 || p.Items[0].State != "partly" && p.Items[0].State != "bounced" || p.Items[0].Cause == "" || p.Items[0].Sentence == "" || *p.Items[0].From != "bob@sender.example" {
		t.Fatalf("%+v", p)
	}
	var seen []string
	cursor := ""
	for range 10 {
		p = tracePage{}
		h.want(200, "viewer", "GET", "/api/v1/trace?limit=5&cursor="+url.QueryEscape(cursor), nil).into(t, &p)
		for _, j := range p.Items {
			seen = append(seen, j.ID)
		}
		if cursor = p.Next; cursor == "" {
			break
		}
	}
	if len(seen) != 12 {
		t.Errorf("%d journeys over the pages", len(seen))
	}
	first := map[string]bool{}
	for _, id := range seen {
		if first[id] {
			t.Errorf("%s twice", id)
		}
		first[id] = true
	}
	h.want(200, "viewer", "GET", "/api/v1/trace?status=deferred", nil).into(t, &p)
	if len(p.Items) != 0 {
		t.Errorf("deferred: %+v", p)
	}
	h.want(200, "viewer", "GET", "/api/v1/trace?q=mine.example&lang=zh", nil).into(t, &p)
	if len(p.Items) != 6 || !strings.ContainsAny(p.Items[0].Sentence, "投递收件") {
		t.Errorf("%+v", p)
	}
}

func TestTraceStreams(t *testing.T) {
	h := traceHouse(t)
	a := h.want(200, "viewer", "GET", "/api/v1/trace/stream?q=sender.example&limit=500", nil)
	if n := strings.Count(a.text, "event: journey\n"); n != 12 || !strings.Contains(a.text, `event: done`+"\n"+`data: {"count":12,`) {
		t.Errorf("%d journeys: %s", n, a.text)
	}
	h.want(422, "viewer", "GET", "/api/v1/trace/stream?q=x", nil)
}

func TestJourneyShowsLinesToThoseWhoMay(t *testing.T) {
	h := traceHouse(t)
	var p tracePage
	h.want(200, "operator", "GET", "/api/v1/trace?q=m2@sender.example", nil).into(t, &p)
	at := "/api/v1/journeys/" + p.Items[0].ID
	for _, who := range []string{"viewer", "operator", "helpdesk"} {
		a := h.want(200, who, "GET", at, nil)
		if strings.Contains(a.text, "cleanup[12]") || strings.Contains(a.text, `"lines"`) || !strings.Contains(a.text, `"journey":{`) || !strings.Contains(a.text, `"headline"`) {
			t.Errorf("%s without lines: %s", who, a.text)
		}
	}
	h.want(403, "viewer", "GET", at+"?raw=1", nil)
	a := h.want(200, "operator", "GET", at+"?raw=true", nil)
	if !strings.Contains(a.text, "postfix/cleanup[12]") || !strings.Contains(a.text, "wang@other.example") {
		t.Errorf("%s", a.text)
	}
	rs, err := h.audit.Page(-1, 1, nil)
	if err != nil || rs[0].What != "see.raw" || rs[0].Target != "<m2@sender.example>" || rs[0].Who != "operator" {
		t.Errorf("%+v %v", rs, err)
	}
	h.want(404, "operator", "GET", "/api/v1/journeys/nothing", nil)
}

// What a helpdesk's domains do not cover does not exist for it, whichever way it asks.
func TestHelpdeskFindsItsDomainsOnly(t *testing.T) {
	h := traceHouse(t)
	var all, p tracePage
	h.want(200, "operator", "GET", "/api/v1/trace", nil).into(t, &all)
	h.want(200, "helpdesk", "GET", "/api/v1/trace?limit=500", nil).into(t, &p)
	mine := map[string]bool{}
	for _, j := range p.Items {
		mine[j.ID] = true
	}
	if len(all.Items) != 12 || len(mine) != 6 {
		t.Fatalf("operator %d, helpdesk %d", len(all.Items), len(mine))
	}
	for _, j := range all.Items {
		other := true
		for _, r := range j.Recipients {
			other = other && r.To != "li@mine.example"
		}
		if other {
			h.want(404, "helpdesk", "GET", "/api/v1/journeys/"+j.ID, nil)
			h.want(404, "helpdesk", "GET", "/api/v1/journeys/"+j.ID+"?raw=true", nil)
		}
	}
	var texts []string
	for _, q := range []string{"", "?q=bob@sender.example", "?q=wang@other.example", "?q=other.example", "?q=192.0.2.5", "?q=198.51.100.7", "?q=m2@sender.example", "?q=m3@sender.example", "?q=A00000000003", "?status=bounced", "?q=from:*@sender.example"} {
		texts = append(texts, h.want(200, "helpdesk", "GET", "/api/v1/trace"+q, nil).text, h.want(200, "helpdesk", "GET", "/api/v1/trace/stream"+q, nil).text)
	}
	for id := range mine {
		texts = append(texts, h.want(200, "helpdesk", "GET", "/api/v1/journeys/"+id+"?raw=true", nil).text)
	}
	texts = append(texts, h.want(200, "helpdesk", "GET", "/api/v1/bounces", nil).text)
	for _, s := range texts {
		for _, hidden := range []string{"wang@", "zhao@", "other.example"} {
			if strings.Contains(s, hidden) {
				t.Fatalf("%s is told to the helpdesk: %s", hidden, s)
			}
		}
	}
	h.want(403, "helpdesk", "GET", "/api/v1/overview", nil)
}

func TestOverviewAndBounces(t *testing.T) {
	h := traceHouse(t)
	var o struct {
		Totals    struct{ Received, Delivered, Bounced int64 }
		Hours     []struct{ At time.Time }
		Providers []struct{ Name string }
		Causes    []struct {
			Cause, Title, Owner string
			Count               int64
		}
		Hosts []struct{ Name string }
	}
	h.want(200, "viewer", "GET", "/api/v1/overview?lang=zh", nil).into(t, &o)
	if o.Totals.Received != 12 || o.Totals.Bounced != 12 || len(o.Hours) != 1 || len(o.Hosts) != 1 || o.Hosts[0].Name != "mx1" || len(o.Causes) != 1 || o.Causes[0].Count != 12 || o.Causes[0].Owner == "" || !strings.Contains(o.Causes[0].Title, "收件人") {
		t.Errorf("%+v", o)
	}
	h.want(200, "viewer", "GET", "/api/v1/overview?since=2026-11-23", nil).into(t, &o)
	if o.Totals.Received != 0 {
		t.Errorf("%+v", o.Totals)
	}
	var b struct {
		Causes []struct{ Count int64 }
		Recent []journeyView
	}
	h.want(200, "viewer", "GET", "/api/v1/bounces", nil).into(t, &b)
	if len(b.Recent) != 12 || len(b.Causes) != 1 || b.Causes[0].Count != 12 {
		t.Errorf("%+v", b)
	}
	for _, q := range []string{"?since=soon", "?since=99999-01-01T00:00:00Z", "?since=-5h", "?until=0001-01-01"} {
		h.want(422, "viewer", "GET", "/api/v1/overview"+q, nil)
	}
}

func TestQueuePage(t *testing.T) {
	h := newHouse(t)
	at := h.clock.now()
	h.again(func(o *web.Options) {
		o.Queues = func() []web.Queue {
			return []web.Queue{{Host: "mx1", At: at, Messages: 3, Deferred: 2, Oldest: at.Add(-time.Hour), Report: &finding.Report{Command: "queue", Target: finding.Host("mx1"), Headline: finding.Headline{State: finding.StateOK, Says: finding.Raw("fine")}}}}
		}
	})
	a := h.want(200, "viewer", "GET", "/api/v1/queue", nil)
	if !strings.Contains(a.text, `"host":"mx1"`) || !strings.Contains(a.text, `"text":"fine"`) {
		t.Errorf("%s", a.text)
	}
}

// What belongs to no message is told where it is asked for, in a sentence of its own; who was turned away is told with the
// recipient that was wanted.
func TestTraceTellsMessagesFirst(t *testing.T) {
	h := traceHouse(t, line(50, "smtpd[21]", "connect from pc7.mine.example[192.0.2.77]"), line(51, "smtpd[21]", "disconnect from pc7.mine.example[192.0.2.77] ehlo=1 quit=1 commands=2"),
		line(52, "smtpd[22]", "NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 554 5.7.1 Service unavailable; from=<offer@spam.example> to=<li@mine.example> proto=ESMTP helo=<x>"))
	var p tracePage
	h.want(200, "viewer", "GET", "/api/v1/trace?q=pc7.mine.example", nil).into(t, &p)
	if len(p.Items) != 0 {
		t.Errorf("lines without a message: %+v", p.Items)
	}
	h.want(200, "viewer", "GET", "/api/v1/trace?q=pc7.mine.example&lines=true", nil).into(t, &p)
	if len(p.Items) == 0 || p.Items[0].Sentence != "A connection of pc7.mine.example [192.0.2.77] without a message." {
		t.Errorf("with lines: %+v", p.Items)
	}
	h.want(200, "viewer", "GET", "/api/v1/trace?q=203.0.113.9", nil).into(t, &p)
	if len(p.Items) != 1 || p.Items[0].State != "rejected" || len(p.Items[0].Recipients) != 1 || p.Items[0].Recipients[0].To != "li@mine.example" || p.Items[0].Recipients[0].Status != "rejected" {
		t.Errorf("refused: %+v", p.Items)
	}
}
