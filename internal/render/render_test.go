package render

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/mailwhy/mailwhy/internal/finding"
)

const hostile = "<script>alert(1)</script>\x1b[31m\x00\x9b2J\u202eevil|`*_[x](y)\r\n=cmd()"

var (
	ruleCause = &finding.Rule{ID: "ptr.missing", Severity: finding.Error, Owner: finding.OwnerNetwork, Title: "no PTR record", Says: "{{.IP}} has no PTR record",
		Why: "providers refuse", Repair: "ask the holder", Refs: []finding.Ref{finding.RFC(1912, "2.1")}}
	ruleEffect = &finding.Rule{ID: "reply.refused", Severity: finding.Error, Owner: finding.OwnerServer, Title: "refused", Says: "{{.Host}} said {{.Reply}}",
		Why: "mail bounces", Repair: "mend the cause", After: []string{"ptr.missing"}}
	ruleFine = &finding.Rule{ID: "spf.present", Title: "SPF record", Says: "no SPF record", OK: "SPF is there", Why: "w", Repair: "r"}
)

func sample() *finding.Report {
	ip := finding.Subject{Kind: finding.KindIP, Name: "192.0.2.25"}
	r := &finding.Report{
		Command: "deliver", Target: finding.Subject{Kind: finding.KindAddress, Name: hostile},
		Headline: finding.Headline{State: finding.StateBroken, Says: finding.Raw("Not deliverable: " + hostile), Owner: finding.OwnerNetwork, Next: finding.Cmd("ip", "192.0.2.25", "a b'c")},
		Findings: []finding.Finding{
			ruleFine.Passed(finding.Domain("example.com"), nil),
			ruleEffect.Failed(ip, finding.Args{"Host": "mx", "Reply": hostile}),
			ruleCause.Failed(ip, finding.Args{"IP": "192.0.2.25", "Took": 20 * time.Millisecond}).
				Saw(finding.Raw(hostile), finding.Raw("a name")).With(finding.Evidence{Source: "dns", Place: "x", Raw: hostile}).
				Mend(finding.Step{Kind: finding.DNSReplace, Target: "25.2.0.192.in-addr.arpa PTR", Old: hostile, New: "mail.example."}).
				Prove(finding.Cmd("ip", "192.0.2.25")),
			ruleEffect.Untested(finding.Host("mx2"), finding.Raw("421 "+hostile)),
			ruleFine.NA(finding.Domain("y")),
		},
		Sections: []finding.Section{
			{Title: finding.Raw("stages"), Columns: []finding.Sentence{finding.Raw("stage"), finding.Raw("result")},
				Rows:  []finding.Row{finding.Marked(finding.VerdictError, finding.Raw("connect"), finding.Raw(hostile)), {Depth: 1, Cells: []finding.Sentence{finding.Raw("x"), finding.Raw("y")}}},
				Chart: &finding.Chart{Kind: "stacked", Labels: []string{hostile, "b"}, Series: []finding.Series{{Name: finding.Raw(hostile), Values: []float64{1, 2}}}, Unit: finding.Raw("mails")}},
			{Title: finding.Raw("transcript"), Raw: hostile},
		},
		Facts: map[string]any{"stages": []int{1}},
	}
	finding.Order(r.Findings)
	return r
}

func print(t *testing.T, format string, st Style, rs ...*finding.Report) string {
	t.Helper()
	var b bytes.Buffer
	p, err := New(format, &b, st)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		if err := p.Report(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var fenced = regexp.MustCompile("(?s)```+.*?```+")

// No face may let a control character, markup or a formula through.
func TestHostileTextIsEscapedByEveryFace(t *testing.T) {
	for _, format := range Formats {
		for _, l := range []finding.Lang{finding.EN, finding.ZH} {
			out := print(t, format, Style{Lang: l, Verbose: true}, sample(), sample())
			for _, r := range out {
				if r < 0x20 && r != '\n' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u202e' {
					t.Errorf("%s: control character %q in the output", format, r)
					break
				}
			}
			if format == "markdown" {
				out = fenced.ReplaceAllString(out, "") // markup in a code block is text
			}
			if format == "html" || format == "junit" || format == "markdown" {
				if strings.Contains(out, "<script>alert") {
					t.Errorf("%s: markup from outside came through", format)
				}
			}
		}
	}
}

func TestJSONKeepsTheContract(t *testing.T) {
	c := jsonschema.NewCompiler()
	sch, err := c.Compile("../../docs/report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(print(t, "json", Style{Lang: finding.EN}, sample(), sample())), "\n") {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := sch.Validate(v); err != nil {
			t.Error(err)
		}
		if _, ok := v.(map[string]any)["stages"]; !ok {
			t.Error("the facts do not stand beside the report's keys")
		}
	}
	clash := sample()
	clash.Facts = map[string]any{"findings": 1}
	if _, err := JSON(clash, Style{Lang: finding.EN}); err == nil {
		t.Error("facts that overwrite a report's key were taken")
	}
}

func TestMachineFormatsParse(t *testing.T) {
	var v any
	if err := json.Unmarshal([]byte(print(t, "sarif", Style{Lang: finding.EN}, sample())), &v); err != nil {
		t.Error("sarif:", err)
	}
	if err := xml.Unmarshal([]byte(print(t, "junit", Style{Lang: finding.EN}, sample())), new(struct {
		XMLName xml.Name `xml:"testsuites"`
	})); err != nil {
		t.Error("junit:", err)
	}
	rows, err := csv.NewReader(strings.NewReader(print(t, "csv", Style{Lang: finding.EN}, sample()))).ReadAll()
	if err != nil || len(rows) != 6 {
		t.Errorf("csv: %d rows, %v", len(rows), err)
	}
	for _, r := range rows {
		for _, c := range r {
			if strings.HasPrefix(c, "=") {
				t.Errorf("csv: a formula came through: %q", c)
			}
		}
	}
}

func TestTextFirstLineIsTheAnswer(t *testing.T) {
	out := print(t, "text", Style{Lang: finding.EN}, sample())
	if !strings.HasPrefix(out, "Not deliverable:") {
		t.Errorf("first line: %q", out)
	}
	cause, effect := strings.Index(out, "FAIL  ptr.missing"), strings.Index(out, "FAIL  reply.refused")
	if cause < 0 || effect < cause {
		t.Errorf("the root cause does not come first:\n%s", out)
	}
	for _, want := range []string{"explains   reply.refused", "+ 25.2.0.192.in-addr.arpa. PTR mail.example.", "mailwhy ip 192.0.2.25", "????  reply.refused", "OK    SPF is there"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("escape codes without colour")
	}
}

// A label as wide as its column still stands apart from its value.
func TestLabelStandsApart(t *testing.T) {
	r := sample()
	for i := range r.Findings {
		if c := r.Findings[i].Cannot; c != nil {
			c.Again = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
		}
	}
	if out := print(t, "text", Style{Lang: finding.EN}, r); !strings.Contains(out, "again after 2026-11-2") {
		t.Errorf("no space behind the label:\n%s", out)
	}
}

func TestWidths(t *testing.T) {
	if got := columns("退信 ok"); got != 7 {
		t.Errorf("columns: %d", got)
	}
	for _, l := range wrap("收件人不存在，由收件方管理员处理。下一步：mailwhy explain reply.unknown-user", 20) {
		if w := columns(l); w > 30 || strings.HasPrefix(l, "，") || strings.HasPrefix(l, "。") {
			t.Errorf("line %q: %d columns", l, w)
		}
	}
	if got := cut("abcdef", 4); got != "abc…" {
		t.Errorf("cut: %q", got)
	}
}

func TestCommandsAreQuoted(t *testing.T) {
	if got, want := Command(finding.Cmd("explain", "550 it's")), `mailwhy explain '550 it'\''s'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzClean(f *testing.F) {
	f.Add(hostile)
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range Clean(s) {
			if r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 {
				t.Fatalf("%q leaves %q", s, r)
			}
		}
		wrap(Clean(s), 20)
	})
}

func TestChartInJSONSpeaksTheLanguageOfTheRun(t *testing.T) {
	r := &finding.Report{Command: "logs", Sections: []finding.Section{{Chart: &finding.Chart{
		Kind: "lines", Labels: []string{"09"}, Series: []finding.Series{{Name: finding.S("Findings", nil), Values: []float64{3}}}, Unit: finding.Raw("1/h"),
	}}}}
	b, err := JSON(r, Style{Lang: finding.ZH})
	if err != nil {
		t.Fatal(err)
	}
	const want = `"chart":{"kind":"lines","labels":["09"],"series":[{"name":"检查结果","values":[3]}],"unit":"1/h"}`
	if !strings.Contains(string(b), want) {
		t.Errorf("got %s, want in it %s", b, want)
	}
}

// TestChartLabelsDoNotTouch: of long ones fewer are shown; and the axis ends close above what is drawn.
func TestChartLabelsDoNotTouch(t *testing.T) {
	var labels []string
	for i := range 48 {
		labels = append(labels, fmt.Sprintf("11-22 %02d:00", i))
	}
	step := labelStep(labels)
	if room := (plotW - plotLeft - plotRight) / 48 * float64(step); room < 11*glyphW {
		t.Errorf("every %dth label has %.0f units for 11 letters", step, room)
	}
	if labelStep([]string{"1", "2", "3"}) != 1 {
		t.Error("short labels are left out")
	}
	for v, want := range map[float64]float64{27_003: 30_000, 1: 1, 0.9: 1, 101: 120, 5.1: 6} {
		if got := nice(v); got < want-1e-9 || got > want+1e-9 {
			t.Errorf("nice(%g) is %g, want %g", v, got, want)
		}
	}
}
