package finding

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"time"
)

// Msg is an English sentence a user can read, as a text/template over Args. It is also the key under which the Chinese
// catalogue (zh/*.json) holds the sentence, so changing the English makes the translation stale and a test says so.
// Write it as a constant, M("…") or as a field of a Rule: a test reads the source to find them all.
//
// Functions in templates: list (joins "a, b and c"), plural N "one" "many" (English only), dur, size, join SEP.
type Msg string

// M marks a literal as a sentence for the catalogue.
func M(s Msg) Msg { return s }

// Args are the particulars of a sentence. Values are strings, numbers, time.Duration, time.Time, netip.Addr, []string,
// Sentence (said in the same language) or Msg.
type Args map[string]any

// Sentence is a message with its particulars. The zero Sentence is empty.
type Sentence struct {
	Msg  Msg
	Args Args
}

// S builds a sentence: S("{{.Host}} refuses", Args{"Host": h}). The literal is a key of the catalogue.
func S(m Msg, args Args) Sentence { return Sentence{m, args} }

// Raw is a sentence that is the same in every language: a value, a host, a reply.
func Raw(s string) Sentence { return Sentence{rawMsg, Args{"": s}} }

// Both is a sentence that brings both languages along, as the tables of knowledge do: it is no key of the catalogue and
// no template. Where zh is empty the English is said.
func Both(en, zh string) Sentence {
	if zh == "" {
		zh = en
	}
	return Sentence{bothMsg, Args{string(EN): en, string(ZH): zh}}
}

const (
	rawMsg  Msg = "\x00raw"
	bothMsg Msg = "\x00both"
)

// IsZero tells an empty sentence.
func (s Sentence) IsZero() bool { return s.Msg == "" }

// Lang is a language of the user interface.
type Lang string

// The languages.
const (
	EN Lang = "en"
	ZH Lang = "zh"
)

// In says the sentence in a language. A sentence the catalogue lacks is said in English; a template that cannot be
// executed is shown as it is written, so that nothing is lost.
func (s Sentence) In(l Lang) string { return s.in(l, 0) }

// deepest bounds sentences within sentences: one that holds itself would never end.
const deepest = 16

func (s Sentence) in(l Lang, depth int) string {
	if depth > deepest {
		return "…"
	}
	if s.Msg == rawMsg {
		str, _ := s.Args[""].(string)
		return str
	}
	if s.Msg == bothMsg {
		str, _ := s.Args[string(l)].(string)
		return str
	}
	text := string(s.Msg)
	if l == ZH {
		if zh, ok := Chinese()[s.Msg]; ok {
			text = zh
		}
	}
	if !strings.Contains(text, "{{") {
		return text
	}
	t, err := compiled(l, text)
	if err != nil {
		return text
	}
	var b strings.Builder
	if err := t.Execute(&b, s.Args.in(l, depth)); err != nil {
		return text
	}
	return b.String()
}

// String says the sentence in English.
func (s Sentence) String() string { return s.In(EN) }

// MarshalJSON writes the English text; faces that speak another language render before they marshal.
func (s Sentence) MarshalJSON() ([]byte, error) { return json.Marshal(s.In(EN)) }

// UnmarshalJSON reads back a rendered sentence as raw text.
func (s *Sentence) UnmarshalJSON(b []byte) error {
	var t string
	if err := json.Unmarshal(b, &t); err != nil {
		return err
	}
	*s = Sentence{}
	if t != "" {
		*s = Raw(t)
	}
	return nil
}

// in gives a copy in which nested sentences are said in the language and durations are rounded for reading.
func (a Args) in(l Lang, depth int) map[string]any {
	m := make(map[string]any, len(a))
	for k, v := range a {
		m[k] = sayValue(l, v, depth+1)
	}
	return m
}

func sayValue(l Lang, v any, depth int) any {
	switch v := v.(type) {
	case Sentence:
		return v.in(l, depth)
	case Msg:
		return Sentence{Msg: v}.in(l, depth)
	case time.Duration:
		return Duration(l, v)
	case time.Time:
		return v.Local().Format("2006-01-02 15:04:05 -0700")
	case netip.Addr:
		return v.String()
	case []string:
		return v
	case []Sentence:
		out := make([]string, len(v))
		for i := range v {
			out[i] = v[i].in(l, depth)
		}
		return out
	}
	return v
}

var templates sync.Map // Lang+text → *template.Template; texts come from the program's own sources, so it is bounded

func compiled(l Lang, text string) (*template.Template, error) {
	key := string(l) + text
	if t, ok := templates.Load(key); ok {
		return t.(*template.Template), nil
	}
	t, err := template.New("").Option("missingkey=error").Funcs(funcs(l)).Parse(text)
	if err == nil {
		templates.Store(key, t)
	}
	return t, err
}

func funcs(l Lang) template.FuncMap {
	return template.FuncMap{
		"list":   func(v any) string { return list(l, v) },
		"join":   func(sep string, v []string) string { return strings.Join(v, sep) },
		"plural": plural,
		"dur":    func(d time.Duration) string { return Duration(l, d) },
		"size":   Size,
	}
}

func plural(n any, one, many string) string {
	if fmt.Sprint(n) == "1" {
		return one
	}
	return many
}

func list(l Lang, v any) string {
	items, ok := v.([]string)
	if !ok {
		return fmt.Sprint(v)
	}
	sep, last := ", ", " and "
	if l == ZH {
		sep, last = "、", "和"
	}
	switch len(items) {
	case 0:
		return ""
	case 1:
		return items[0]
	}
	before, after := items[len(items)-2], items[len(items)-1]
	if l == ZH { // Latin letters stand off from Chinese characters
		if before != "" && before[len(before)-1] < 0x80 {
			last = " " + last
		}
		if after != "" && after[0] < 0x80 {
			last += " "
		}
	}
	return strings.Join(items[:len(items)-1], sep) + last + after
}

// Duration writes a span with the unit a reader expects: "18 ms", "2.5 s", "3 min", "5 h", "61 days"; in Chinese
// "18 毫秒" and so on.
func Duration(l Lang, d time.Duration) string {
	unit := func(en, zh string) string {
		if l == ZH {
			return " " + zh
		}
		return " " + en
	}
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	num := func(v float64) string {
		if v < 10 && v != float64(int(v)) {
			return strconv.FormatFloat(v, 'f', 1, 64)
		}
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	switch {
	case d == 0:
		return "0" + unit("s", "秒")
	case d < time.Millisecond:
		return sign + num(float64(d.Microseconds())) + unit("µs", "微秒")
	case d < time.Second:
		return sign + num(float64(d.Milliseconds())) + unit("ms", "毫秒")
	case d < 2*time.Minute:
		return sign + num(d.Seconds()) + unit("s", "秒")
	case d < 2*time.Hour:
		return sign + num(d.Minutes()) + unit("min", "分钟")
	case d < 48*time.Hour:
		return sign + num(d.Hours()) + unit("h", "小时")
	}
	return sign + num(float64(int(d.Hours()/24))) + unit("days", "天")
}

// Size writes a number of bytes with a decimal unit: "512 B", "4.2 kB", "52 MB".
func Size(n any) string {
	f, err := strconv.ParseFloat(fmt.Sprint(n), 64)
	if err != nil {
		return fmt.Sprint(n)
	}
	for _, u := range []string{"B", "kB", "MB", "GB"} {
		if f < 1000 {
			return strconv.FormatFloat(f, 'f', map[bool]int{true: 1, false: 0}[f < 10 && u != "B"], 64) + " " + u
		}
		f /= 1000
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + " TB"
}
