package cli

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/mailwhy/mailwhy/internal/runs"
)

// TestNoRunReachesThisMachine has every kind of run look at a port of this machine, as a user of the page might, in every
// field and by each way of writing its address: nothing connects, however the run does its work.
func TestNoRunReachesThisMachine(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	cfg := &Config{Serve: ServeConfig{Resolvers: []string{"127.0.0.1:1"}, AllowPorts: []uint16{uint16(port)}, RunsPerMinute: 1000}}
	s := quietService(t, cfg, func(o *serveOptions) { o.Env = nil }) // the real door
	var catalogue struct{ Runs []runs.Kind }
	if err := json.Unmarshal(s.want(200, "GET", "/api/v1/catalogue", nil), &catalogue); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(catalogue.Runs, func(k runs.Kind) bool { return k.Kind == "path" }) {
		t.Fatalf("no runs: %+v", catalogue)
	}
	for _, k := range catalogue.Runs {
		if k.Kind == "local" {
			continue // looks at this machine, for those who may
		}
		for _, host := range []string{"127.0.0.1", "[::ffff:127.0.0.1]", "localhost"} {
			for _, target := range []string{fmt.Sprintf("%s:%d", host, port), "li@" + host, "li@[" + strings.Trim(host, "[]") + "]", host} {
				args := map[string]any{}
				for _, f := range k.Fields {
					if f.Type == "text" || f.Type == "textarea" {
						args[f.Name] = target
					}
				}
				s.run(k.Kind, args)
			}
		}
	}
	// Whoever connected stands in the queue before us.
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if first.RemoteAddr().String() != c.LocalAddr().String() {
		t.Errorf("a run connected from %s", first.RemoteAddr())
	}
}

// run does a run and waits for its end; arguments that are refused are fine.
func (s *served) run(kind string, args map[string]any) {
	s.t.Helper()
	raw, _ := json.Marshal(map[string]any{"kind": kind, "args": args})
	res, err := s.c.Post(s.url+"/api/v1/runs", "application/json", strings.NewReader(string(raw)))
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var r struct{ ID string }
	if res.StatusCode == 422 {
		return
	}
	if err := json.NewDecoder(res.Body).Decode(&r); err != nil || res.StatusCode != 201 {
		s.t.Fatalf("%s %v: %d %v", kind, args, res.StatusCode, err)
	}
	s.want(200, "GET", "/api/v1/runs/"+r.ID+"/events", nil)
}
