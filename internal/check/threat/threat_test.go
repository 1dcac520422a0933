package threat

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/check"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire/feed"
)

// TestKeyIsKept holds that the key is not said to a server whose certificate nobody vouches for, and that this is "could
// not test".
func TestKeyIsKept(t *testing.T) {
	said := false
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { said = true }))
	defer srv.Close()
	env := &check.Env{Now: time.Now, Probe: check.Probe{Timeout: 30 * time.Second}}
	w, _ := feed.Parse("203.0.113.7")
	r := Survey(context.Background(), env, Door(env), []feed.Indicator{w}, Sources{MISP: []feed.MISP{{Base: srv.URL, Key: "secret-key"}}})
	if said || len(r.Findings) != 1 || r.Findings[0].Verdict() != finding.VerdictUntested || r.Headline.State != finding.StateUntested {
		t.Errorf("said %v, %+v", said, r.Findings)
	}
	for _, f := range r.Findings {
		if strings.Contains(f.Says().String(), "secret-key") {
			t.Error("the report holds the key")
		}
	}
}

func TestJudge(t *testing.T) {
	bad, _ := feed.Parse("spam.example")
	good, _ := feed.Parse("good.example")
	a := &feed.Answer{Source: "https://misp.mine.example", Stale: "HTTP 503", Hits: [][]feed.Hit{
		{{Value: "spam.example", Note: "named as a victim"}, {Value: "spam.example", Note: "wave", IDS: true, Event: "42"}}, nil}}
	fs := Judge([]feed.Indicator{bad, good}, a)
	var got []string
	for i := range fs {
		got = append(got, fs[i].Rule.ID+" "+fs[i].Verdict().String())
	}
	if s := strings.Join(got, ", "); s != "threat.stale note, threat.listed warning, threat.listed pass" {
		t.Error(s)
	}
	if fs[1].Args["Note"] != "wave" || fs[1].Evidence[1].Place != "https://misp.mine.example/events/view/42" {
		t.Errorf("%+v", fs[1])
	}
	a.Hits[0] = a.Hits[0][:1]
	if fs := Judge([]feed.Indicator{bad, good}, a); fs[1].Rule.ID != "threat.context" || fs[1].Verdict() != finding.VerdictNote {
		t.Errorf("a mention: %+v", fs[1])
	}
}
