package web_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/runs"
	"github.com/mailwhy/mailwhy/internal/web"
)

var ruleTest = &finding.Rule{ID: "test.rule", Severity: finding.Error, Title: "a rule", Says: "{{.What}} is broken", OK: "fine"}

// fakeRunner runs "check" (a domain, kept) and "text" (not kept). A run of "check" waits for hold, where that is set.
type fakeRunner struct {
	mu       sync.Mutex
	findings []finding.Finding // of the next report
	hold     chan struct{}
}

func (f *fakeRunner) Kinds() []runs.Kind {
	return []runs.Kind{
		{Kind: "check", Group: "domain", Kept: true, Title: "Check a domain", Fields: []runs.Field{{Name: "domain", Type: "text", Label: "Domain", Required: true}, {Name: "how", Type: "choice", Choices: []string{"fast", "slow"}}}},
		{Kind: "text", Group: "message", Title: "Read a bounce", Fields: []runs.Field{{Name: "text", Type: "textarea", Required: true}}},
		{Kind: "box", Kept: true, Fields: []runs.Field{{Name: "domain", Type: "text"}, {Name: "account", Type: runs.AccountField, Choices: []string{"probe"}, Required: true}}},
		{Kind: "inbound", Kept: true, Fields: []runs.Field{{Name: "domain", Type: "text"}, {Name: "account", Type: runs.AccountField, Choices: []string{"probe"}}}},
		{Kind: "machine", Kept: true, Machine: true, Fields: []runs.Field{{Name: "domain", Type: "text"}}},
	}
}

func (f *fakeRunner) Prepare(kind string, args map[string]string) (*runs.Job, error) {
	if strings.Contains(args["domain"], " ") {
		return nil, &runs.BadArg{Name: "domain", What: finding.Raw("no domain")}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	found, hold := f.findings, f.hold
	target := finding.Domain(args["domain"])
	if kind == "text" {
		target = finding.Subject{Kind: finding.KindMessage, Name: "text"}
	}
	return &runs.Job{Target: target, Run: func(ctx context.Context, step func(name, text string)) (map[finding.Lang]*finding.Report, error) {
		step("dns", target.Name)
		if hold != nil {
			select {
			case <-hold:
			case <-ctx.Done():
			}
		}
		switch target.Name {
		case "error.example":
			return nil, errors.New("it broke")
		case "panic.example":
			panic("a bug")
		}
		step("smtp", "mx."+target.Name)
		r := &finding.Report{Command: kind, Target: target, Findings: found, Headline: finding.Headline{State: finding.StateWarning, Says: finding.S("the name is taken", nil)}}
		return map[finding.Lang]*finding.Report{finding.EN: r, finding.ZH: r}, nil
	}}, nil
}

// runHouse is a house with a runner.
func runHouse(t *testing.T) (*house, *fakeRunner) {
	t.Helper()
	f := &fakeRunner{}
	h := newHouse(t)
	h.again(func(o *web.Options) { o.Runner, o.Runs = f, h.state })
	return h, f
}

type runView struct {
	ID, Kind, State, Result, Target, By, Problem string
	Args                                         map[string]string
	Report                                       struct {
		Headline struct{ Text string }
		Lang     string
	}
}

// start runs and waits for the end.
func (h *house) start(as, kind string, args map[string]any) runView {
	h.t.Helper()
	var r runView
	h.want(201, as, "POST", "/api/v1/runs", map[string]any{"kind": kind, "args": args}).into(h.t, &r)
	if a := h.want(200, as, "GET", "/api/v1/runs/"+r.ID+"/events", nil); !strings.Contains(a.text, "event: done") && !strings.Contains(a.text, "event: problem") {
		h.t.Fatalf("events of %s: %s", r.ID, a.text)
	}
	h.want(200, as, "GET", "/api/v1/runs/"+r.ID, nil).into(h.t, &r)
	return r
}

func TestRunIsStoredInBothLanguages(t *testing.T) {
	h, _ := runHouse(t)
	r := h.start("operator", "check", map[string]any{"domain": "mine.example"})
	if r.State != "done" || r.Result != "warning" || r.Target != "mine.example" || r.By != "operator" || r.Report.Headline.Text != "the name is taken" {
		t.Errorf("%+v", r)
	}
	h.want(200, "viewer", "GET", "/api/v1/runs/"+r.ID+"?lang=zh", nil).into(t, &r)
	if r.Report.Lang != "zh" || r.Report.Headline.Text != "该名称已被使用" {
		t.Errorf("%+v", r)
	}
	if a := h.want(200, "viewer", "GET", "/api/v1/runs?lang=zh", nil); !strings.Contains(a.text, `"headline":{"state":"warning","text":"该名称已被使用"}`) || strings.Contains(a.text, `"report"`) {
		t.Errorf("%s", a.text)
	}
	stored, err := h.state.Run(t.Context(), r.ID)
	if err != nil || stored.State != runs.Done || len(stored.Reports) != 2 {
		t.Errorf("%+v %v", stored, err)
	}
	a := h.want(200, "operator", "GET", "/api/v1/runs/"+r.ID+"/events", nil)
	if ct := a.Header.Get("Content-Type"); ct != "text/event-stream" || !strings.Contains(a.text, `"id":"`+r.ID) {
		t.Errorf("%s: %s", ct, a.text)
	}
}

func TestRunTellsItsStepsAsTheyCome(t *testing.T) {
	h, f := runHouse(t)
	f.hold = make(chan struct{})
	srv := httptest.NewServer(h)
	defer srv.Close()
	var r runView
	h.want(201, "operator", "POST", "/api/v1/runs", map[string]any{"kind": "check", "args": map[string]any{"domain": "mine.example"}}).into(t, &r)
	ctx, cancel := context.WithCancel(t.Context())
	lines := func(ctx context.Context) *bufio.Scanner {
		req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL+"/api/v1/runs/"+r.ID+"/events", nil)
		req.AddCookie(h.signIn("operator"))
		res, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return bufio.NewScanner(res.Body)
	}
	until := func(sc *bufio.Scanner, want string) {
		t.Helper()
		for sc.Scan() {
			if strings.Contains(sc.Text(), want) {
				return
			}
		}
		t.Fatalf("the stream ended before %q: %v", want, sc.Err())
	}
	gone := lines(ctx)
	until(gone, `"name":"dns"`)
	cancel() // a listener that goes away does not end the run
	stays := lines(t.Context())
	until(stays, `"name":"dns"`)
	close(f.hold)
	until(stays, `"name":"smtp"`)
	until(stays, "event: done")
}

func TestRunThatFails(t *testing.T) {
	h, _ := runHouse(t)
	for domain, why := range map[string]string{"error.example": "it broke", "panic.example": "a bug"} {
		if r := h.start("operator", "check", map[string]any{"domain": domain}); r.State != "failed" || !strings.Contains(r.Problem, why) {
			t.Errorf("%s: %+v", domain, r)
		}
	}
}

func TestRunRefusesBadArguments(t *testing.T) {
	h, _ := runHouse(t)
	for _, c := range []struct {
		kind  string
		args  map[string]any
		field string
	}{
		{"nothing", map[string]any{}, "body.kind"},
		{"check", map[string]any{}, "body.args.domain"},
		{"check", map[string]any{"domain": "  "}, "body.args.domain"},
		{"check", map[string]any{"domain": []string{"a"}}, "body.args.domain"},
		{"check", map[string]any{"domain": "a b"}, "body.args.domain"},
		{"check", map[string]any{"domain": strings.Repeat("x", 3000)}, "body.args.domain"},
		{"check", map[string]any{"domain": "mine.example", "sudo": "1"}, "body.args.sudo"},
		{"check", map[string]any{"domain": "mine.example", "how": "later"}, "body.args.how"},
	} {
		a := h.want(422, "operator", "POST", "/api/v1/runs", map[string]any{"kind": c.kind, "args": c.args})
		if !strings.Contains(a.text, `"location":"`+c.field+`"`) {
			t.Errorf("%v: %s", c, a.text)
		}
	}
}

func TestMessageContentIsNotStored(t *testing.T) {
	h, _ := runHouse(t)
	r := h.start("operator", "text", map[string]any{"text": "From: wang@partner.example\n\nsecret"})
	if r.State != "done" || r.Args["text"] != "(34 bytes)" {
		t.Errorf("%+v", r)
	}
	if _, err := h.state.Run(t.Context(), r.ID); !errors.Is(err, runs.ErrNone) {
		t.Errorf("a run with a message in it was stored: %v", err)
	}
	h.clock.move(3 * time.Hour)
	h.start("operator", "text", map[string]any{"text": "another"})
	h.want(404, "operator", "GET", "/api/v1/runs/"+r.ID, nil)
}

func TestHelpdeskSeesItsDomainsOnly(t *testing.T) {
	h, _ := runHouse(t)
	mine := h.start("operator", "check", map[string]any{"domain": "mine.example"})
	other := h.start("operator", "check", map[string]any{"domain": "other.example"})
	text := h.start("operator", "text", map[string]any{"text": "x"})
	own := h.start("helpdesk", "check", map[string]any{"domain": "other.example"})
	for id, status := range map[string]int{mine.ID: 200, other.ID: 404, text.ID: 404, own.ID: 200} {
		for _, path := range []string{"", "/events", "/diff"} {
			if a := h.do("helpdesk", "GET", "/api/v1/runs/"+id+path, nil); a.StatusCode != status {
				t.Errorf("%s%s: %d, want %d", id, path, a.StatusCode, status)
			}
		}
		if status == 404 {
			h.want(404, "helpdesk", "POST", "/api/v1/runs/"+id+"/share", nil)
			h.want(404, "helpdesk", "GET", "/api/v1/runs/"+own.ID+"/diff?with="+id, nil)
		}
	}
	var page struct{ Items []runView }
	h.want(200, "helpdesk", "GET", "/api/v1/runs", nil).into(t, &page)
	if len(page.Items) != 2 {
		t.Errorf("%+v", page)
	}
	h.want(200, "operator", "GET", "/api/v1/runs", nil).into(t, &page)
	if len(page.Items) != 4 {
		t.Errorf("%+v", page)
	}
}

func TestRunsByPage(t *testing.T) {
	h, _ := runHouse(t)
	want := map[string]bool{}
	for i := range 7 {
		if i%2 == 0 {
			h.clock.move(time.Second) // some of the same time
		}
		h.clock.move(10 * time.Second)
		want[h.start("operator", "check", map[string]any{"domain": fmt.Sprintf("d%d.example", i%2)}).ID] = true
	}
	cursor := ""
	for {
		var page struct {
			Items []runView
			Next  string
		}
		h.want(200, "operator", "GET", "/api/v1/runs?limit=3&cursor="+cursor, nil).into(t, &page)
		for _, r := range page.Items {
			if !want[r.ID] {
				t.Errorf("%s twice, or unknown", r.ID)
			}
			delete(want, r.ID)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
		cursor = strings.ReplaceAll(cursor, "+", "%2B")
	}
	if len(want) != 0 {
		t.Errorf("left out: %v", want)
	}
	var page struct{ Items []runView }
	h.want(200, "operator", "GET", "/api/v1/runs?target=d1.example&kind=check&mine=true", nil).into(t, &page)
	if len(page.Items) != 3 {
		t.Errorf("%d", len(page.Items))
	}
}

func TestShareLinkShowsOneRun(t *testing.T) {
	h, _ := runHouse(t)
	for _, kind := range []string{"check", "text"} {
		r := h.start("operator", kind, map[string]any{map[string]string{"check": "domain", "text": "text"}[kind]: "mine.example"})
		var link struct{ URL string }
		h.want(200, "operator", "POST", "/api/v1/runs/"+r.ID+"/share", nil).into(t, &link)
		token, ok := strings.CutPrefix(link.URL, "http://why.example/#/shared/")
		if !ok {
			t.Fatalf("%q", link.URL)
		}
		var got runView
		h.want(200, "", "GET", "/api/v1/shared/"+token, nil).into(t, &got)
		if got.ID != r.ID || got.By != "" || got.Report.Headline.Text == "" {
			t.Errorf("%+v", got)
		}
	}
	h.want(404, "", "GET", "/api/v1/shared/guess", nil)
}

func TestShareLinksEnd(t *testing.T) {
	h, _ := runHouse(t)
	for _, kind := range []string{"check", "text"} { // one is stored, one is in memory only
		r := h.start("operator", kind, map[string]any{map[string]string{"check": "domain", "text": "text"}[kind]: "mine.example"})
		share := func(body any) (token string, until time.Time) {
			var link struct {
				URL   string
				Until time.Time
			}
			h.want(200, "operator", "POST", "/api/v1/runs/"+r.ID+"/share", body).into(t, &link)
			return link.URL[strings.LastIndex(link.URL, "/")+1:], link.Until
		}
		listed := func(as string) string { return h.want(200, as, "GET", "/api/v1/shares", nil).text }
		token, until := share(nil)
		if !until.Equal(h.clock.now().AddDate(0, 0, 7)) || !strings.Contains(listed("approver"), r.ID) {
			t.Errorf("%v, %s", until, listed("approver"))
		}
		short, _ := share(map[string]int{"days": 1})
		h.want(404, "", "GET", "/api/v1/shared/"+token, nil) // the newer took its place
		h.want(200, "", "GET", "/api/v1/shared/"+short, nil)
		h.clock.move(24*time.Hour + time.Second)
		clear(h.jars) // sessions ended, too
		if kind == "check" {
			if a := h.want(410, "", "GET", "/api/v1/shared/"+short+"?lang=zh", nil); !strings.Contains(a.text, "2026-11-23") {
				t.Errorf("%s", a.text)
			}
			if strings.Contains(listed("operator"), r.ID) {
				t.Error("a link that ended is listed")
			}
			again, _ := share(map[string]int{"days": 30})
			h.want(200, "", "GET", "/api/v1/shared/"+again, nil)
		}
	}
}

func TestShareLinksAreTakenBack(t *testing.T) {
	h, _ := runHouse(t)
	r := h.start("operator", "check", map[string]any{"domain": "other.example"})
	var link struct{ URL string }
	h.want(200, "operator", "POST", "/api/v1/runs/"+r.ID+"/share", map[string]int{"days": 30}).into(t, &link)
	token := link.URL[strings.LastIndex(link.URL, "/")+1:]
	if a := h.want(200, "helpdesk", "GET", "/api/v1/shares", nil); strings.Contains(a.text, "other.example") {
		t.Errorf("a helpdesk sees what its domains do not cover: %s", a.text)
	}
	h.want(404, "helpdesk", "DELETE", "/api/v1/runs/"+r.ID+"/share", nil)
	h.want(403, "viewer", "DELETE", "/api/v1/runs/"+r.ID+"/share", nil)
	h.want(204, "approver", "DELETE", "/api/v1/runs/"+r.ID+"/share", nil)
	h.want(404, "", "GET", "/api/v1/shared/"+token, nil)
	h.want(404, "approver", "DELETE", "/api/v1/runs/"+r.ID+"/share", nil)
	h.want(422, "operator", "POST", "/api/v1/runs/"+r.ID+"/share", map[string]int{"days": 366})
	var log struct {
		Items []struct{ Who, What, Target, Detail string }
	}
	h.want(200, "admin", "GET", "/api/v1/audit?what=run.", nil).into(t, &log)
	if len(log.Items) < 3 || log.Items[0].What != "run.unshare" || log.Items[0].Who != "approver" || log.Items[1].What != "run.share" || !strings.HasSuffix(log.Items[1].Detail, "for 30 days") {
		t.Errorf("%+v", log.Items)
	}
}

func TestDiffToTheRunBefore(t *testing.T) {
	h, f := runHouse(t)
	fail := func(subject, what string) finding.Finding {
		return ruleTest.Failed(finding.Host(subject), finding.Args{"What": what})
	}
	f.findings = []finding.Finding{fail("a", "x"), fail("b", "x"), ruleTest.Passed(finding.Host("c"), nil), ruleTest.Passed(finding.Host("d"), nil), fail("e", "1"), fail("e", "2")}
	first := h.start("operator", "check", map[string]any{"domain": "mine.example"})
	h.clock.move(time.Hour)
	f.findings = []finding.Finding{fail("e", "2"), fail("a", "x"), fail("c", "x"), fail("n", "x"), fail("e", "3"), ruleTest.Passed(finding.Host("p"), nil)}
	second := h.start("operator", "check", map[string]any{"domain": "mine.example"})
	type one struct {
		Subject struct{ Name string }
		Text    string
	}
	var d struct {
		With           string
		Appeared, Gone []one
		Changed        []struct{ Before, After one }
	}
	h.want(200, "viewer", "GET", "/api/v1/runs/"+second.ID+"/diff", nil).into(t, &d)
	got := fmt.Sprintf("%v %v %v", d.Appeared, d.Gone, d.Changed)
	if d.With != first.ID || got != "[{{n} x is broken}] [{{b} x is broken}] [{{{c} fine} {{c} x is broken}} {{{e} 1 is broken} {{e} 3 is broken}}]" {
		t.Errorf("%s", got)
	}
	a := h.want(200, "viewer", "GET", "/api/v1/runs/"+first.ID+"/diff", nil)
	if !strings.Contains(a.text, `"appeared":[],"gone":[],"changed":[]`) && !strings.Contains(a.text, `"appeared":[]`) {
		t.Errorf("%s", a.text)
	}
	h.want(200, "viewer", "GET", "/api/v1/runs/"+first.ID+"/diff?with="+second.ID, nil).into(t, &d)
	if len(d.Appeared) != 1 || d.Appeared[0].Subject.Name != "b" {
		t.Errorf("%+v", d)
	}
}

func TestRunsAreLimitedPerUser(t *testing.T) {
	h, f := runHouse(t)
	f.hold = make(chan struct{})
	body := map[string]any{"kind": "check", "args": map[string]any{"domain": "mine.example"}}
	for range 3 {
		h.want(201, "operator", "POST", "/api/v1/runs", body)
	}
	if a := h.want(429, "operator", "POST", "/api/v1/runs", body); a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	h.want(201, "approver", "POST", "/api/v1/runs", body)
	close(f.hold)
	f.mu.Lock()
	f.hold = nil
	f.mu.Unlock()
	h.Server.Close() // waits for them
	h.again(func(o *web.Options) { o.Runner = f })
	for range 30 {
		h.start("operator", "check", map[string]any{"domain": "mine.example"})
	}
	h.want(429, "operator", "POST", "/api/v1/runs", body)
	h.clock.move(61 * time.Second)
	h.start("operator", "check", map[string]any{"domain": "mine.example"})
}

// Runs that log in to an account or look at this machine are for operators: a helpdesk can neither start nor see them, and
// is offered neither the kind nor the field; a viewer does not see what came of them.
func TestAccountsAndTheMachineAreForOperators(t *testing.T) {
	h, _ := runHouse(t)
	var ids []string
	for _, c := range []struct {
		kind string
		args map[string]any
		free bool // for a helpdesk too
	}{
		{"box", map[string]any{"domain": "mine.example", "account": "probe"}, false},
		{"inbound", map[string]any{"domain": "mine.example", "account": "probe"}, false},
		{"inbound", map[string]any{"domain": "mine.example"}, true},
		{"machine", map[string]any{"domain": "mine.example"}, false},
	} {
		body := map[string]any{"kind": c.kind, "args": c.args}
		if a := h.do("helpdesk", "POST", "/api/v1/runs", body); (a.StatusCode == 201) != c.free || !c.free && a.StatusCode != 403 {
			t.Errorf("%s %v as helpdesk: %d %s", c.kind, c.args, a.StatusCode, a.text)
		}
		var r runView
		if a := h.do("operator", "POST", "/api/v1/runs", body); a.StatusCode != 201 {
			t.Fatalf("%s as operator: %d %s", c.kind, a.StatusCode, a.text)
		} else {
			a.into(t, &r)
		}
		h.do("operator", "GET", "/api/v1/runs/"+r.ID+"/events", nil) // until it is done
		if c.free {
			continue
		}
		ids = append(ids, r.ID)
		for _, who := range []string{"viewer", "helpdesk"} {
			if a := h.do(who, "GET", "/api/v1/runs/"+r.ID, nil); a.StatusCode != 404 {
				t.Errorf("%s of %s: %d", who, c.kind, a.StatusCode)
			}
		}
	}
	list := h.do("viewer", "GET", "/api/v1/runs", nil).text
	for _, id := range ids {
		if strings.Contains(list, id) {
			t.Errorf("a viewer's list shows %s", id)
		}
	}
	for who, want := range map[string]string{"operator": "box inbound+account machine", "helpdesk": "inbound"} {
		var c struct {
			Runs []struct {
				Kind   string
				Fields []struct{ Name, Type string }
			}
		}
		h.do(who, "GET", "/api/v1/catalogue", nil).into(t, &c)
		var got []string
		for _, k := range c.Runs {
			name := k.Kind
			for _, f := range k.Fields {
				if f.Type == runs.AccountField {
					t.Errorf("%s: a form does not know the type of %s", k.Kind, f.Name)
				}
				if f.Name == "account" && k.Kind == "inbound" {
					name += "+account"
				}
			}
			if k.Kind != "check" && k.Kind != "text" {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s is offered %q, want %q", who, got, want)
		}
	}
}
