package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"iter"
	"net/url"
	"runtime"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/runs"
	"github.com/mailwhy/mailwhy/internal/trace"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
)

// mcpMail is where an assistant's searches for messages go.
type mcpMail interface {
	// journeys gives what matches; q holds the words, with a Redactor where pseudonyms are to be given.
	journeys(ctx context.Context, q trace.Query, words map[string]string) iter.Seq2[*trace.Journey, error]
	clear() bool // no pseudonyms
}

// openMail chooses it, and looks whether it is there.
func (a *app) openMail(o mcpOptions, logs []string) (mcpMail, error) {
	switch {
	case o.store != "" && o.url != "":
		return nil, usage(finding.S("--store and --server are two places: give one", nil), finding.Sentence{})
	case (o.store != "" || o.url != "") && len(logs) > 0:
		return nil, usage(finding.S("log files are not looked at beside --store or --server", nil), finding.Sentence{})
	case o.url != "":
		r, err := a.openRemote(&o.remoteFlags)
		if err != nil {
			return nil, err
		}
		return &farMail{r, o.clear}, nil
	case o.store != "":
		s, err := a.openAsked(context.Background(), o.store, o.passwordFile)
		if err != nil {
			return nil, err
		}
		return &storedMail{a, o}, s.Close()
	}
	return &loggedMail{a, o, logs}, nil
}

// loggedMail is in log files.
type loggedMail struct {
	a    *app
	o    mcpOptions
	logs []string
}

func (m *loggedMail) clear() bool { return m.o.clear }

func (m *loggedMail) journeys(ctx context.Context, q trace.Query, _ map[string]string) iter.Seq2[*trace.Journey, error] {
	return func(yield func(*trace.Journey, error) bool) {
		inputs := m.a.openLogs(m.logs)
		defer closeLogs(inputs)
		redact := q.Redact
		q.Redact = nil
		found, err := trace.Scan(ctx, inputs, q, trace.Options{Dialects: dialects.All(), Local: time.Local, Workers: runtime.GOMAXPROCS(0)})
		if err != nil {
			yield(nil, err)
			return
		}
		defer found.Close()
		found.Redact = redact
		for j := range found.Journeys(ctx) {
			if !yield(j, nil) {
				return
			}
		}
	}
}

// storedMail is in a store, which is opened for each search: it may be moved or emptied in between.
type storedMail struct {
	a *app
	o mcpOptions
}

func (m *storedMail) clear() bool { return m.o.clear }

func (m *storedMail) journeys(ctx context.Context, q trace.Query, _ map[string]string) iter.Seq2[*trace.Journey, error] {
	return func(yield func(*trace.Journey, error) bool) {
		s, err := m.a.openAsked(ctx, m.o.store, m.o.passwordFile)
		if err != nil {
			yield(nil, err)
			return
		}
		defer s.Close()
		q.Newest, q.Limit, q.Sessions = true, maxTraced, maxTraced
		for j, err := range s.Journeys(ctx, q) {
			if !yield(j, err) || err != nil {
				return
			}
		}
	}
}

// farMail is in a mailwhy serve, asked over its API.
type farMail struct {
	*remote
	plain bool
}

func (m *farMail) clear() bool { return m.plain }

func (m *farMail) journeys(ctx context.Context, q trace.Query, words map[string]string) iter.Seq2[*trace.Journey, error] {
	ask := url.Values{"q": {words["what"]}}
	for _, name := range []string{"since", "until", "status", "direction"} {
		if words[name] != "" {
			ask.Set(name, words[name])
		}
	}
	return func(yield func(*trace.Journey, error) bool) {
		for j, err := range m.remote.journeys(ctx, ask, maxTraced) {
			if err == nil && q.Redact != nil {
				j = masked(j, q.Redact)
			}
			if !yield(j, err) {
				return
			}
		}
	}
}

// farTools are what a running server tells beside messages: its answers as they are, but for pseudonyms.
var farTools = []struct{ name, path, title, about string }{
	{"overview", "overview", "Is mail all right?", "Whether mail is all right, by the server that watches it: a headline with whose job it is and what is next, volume, acceptance by provider, causes of deferrals and bounces, what was found last."},
	{"queue", "queue", "What waits", "What waits in the mail queues, and why."},
	{"monitors", "monitors", "What is watched", "Every monitor with its state, since when, and what it saw last."},
	{"incidents", "incidents", "What failed", "Incidents, the newest first: what, since when, why, whose job, next command."},
}

// mcpFar adds the tools that ask a running server.
func (a *app) mcpFar(s *mcp.Server, m *farMail) {
	for _, x := range farTools {
		fields := map[string]schemaField{}
		if x.path == "overview" {
			fields["since"] = schemaField{Type: "string", Description: "so long ago, like 24h or 7d; all that is remembered where left out"}
		}
		t := &mcp.Tool{Name: x.name, Title: x.title, Description: x.about, InputSchema: inputSchema(fields, nil), Annotations: readOnly(x.title, false)}
		s.AddTool(t, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			in, l, _, err := mcpArgs(req)
			if err != nil {
				return failed(l, err), nil
			}
			ask := url.Values{}
			for k, v := range in {
				text, ok := v.(string)
				if _, known := fields[k]; !known || !ok {
					return failed(l, &runs.BadArg{Name: k, What: finding.S("{{.Kind}} takes no {{.Name}}", finding.Args{"Kind": x.name, "Name": k})}), nil
				}
				ask.Set(k, text)
			}
			raw, err := m.get(ctx, l, x.path, ask)
			if err != nil {
				return failed(l, err), nil
			}
			var v any
			if err := json.Unmarshal(raw, &v); err != nil {
				return failed(l, err), nil
			}
			if !m.plain {
				v = maskedJSON(v, &trace.Redactor{Key: []byte(rand.Text())})
			}
			if raw, err = json.MarshalIndent(v, "", " "); err != nil {
				return failed(l, err), nil
			}
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: string(raw)}}}, nil
		})
	}
}

// maskedJSON puts pseudonyms into every text but ids of rules.
func maskedJSON(v any, r *trace.Redactor) any {
	switch v := v.(type) {
	case string:
		if isRuleID(v) {
			return v
		}
		return r.Text(v)
	case []any:
		for i := range v {
			v[i] = maskedJSON(v[i], r)
		}
	case map[string]any:
		for k := range v {
			v[k] = maskedJSON(v[k], r)
		}
	}
	return v
}
