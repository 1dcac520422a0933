package logs

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

func mended(t testing.TB, text string) string {
	t.Helper()
	out, err := io.ReadAll(newJSON(bufio.NewReaderSize(strings.NewReader(text), 16), []byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestJSONLinesAreMended(t *testing.T) {
	whole := `{"log":"one\n","stream":"stdout","time":"2026-11-22T01:00:00Z"}` + "\n"
	for _, c := range [...]struct{ name, in, want string }{
		{"whole", whole, whole},
		{"split", whole + `{"log":"to=\u003ca@b","stream":"stdout","time":"t1"}` + "\n" + `{"log":".exa","stream":"stdout","time":"t2"}` + "\n" + `{"log":"mple\n","stream":"stdout","time":"t3"}` + "\n",
			whole + `{"log":"to=\u003ca@b.example\n","stream":"stdout","time":"t3"}` + "\n"},
		{"two streams at once", whole + `{"log":"a","stream":"stdout","time":"t1"}` + "\n" + `{"log":"e","stream":"stderr","time":"t2"}` + "\n" + `{"log":"b\n","stream":"stdout","time":"t3"}` + "\n" + `{"log":"f\n","stream":"stderr","time":"t4"}` + "\n",
			whole + `{"log":"ab\n","stream":"stdout","time":"t3"}` + "\n" + `{"log":"ef\n","stream":"stderr","time":"t4"}` + "\n"},
		{"an escaped backslash before n", whole + `{"log":"c:\\n","stream":"stdout"}` + "\n" + `{"log":"d\n","stream":"stdout"}` + "\n", whole + `{"log":"c:\\nd\n","stream":"stdout"}` + "\n"},
		{"the last goes on", whole + `{"log":"cut","stream":"stdout"}`, whole + `{"log":"cut","stream":"stdout"}` + "\n"},
		{"not of docker", `{"log":"one","x":1}` + "\n" + `{"log":"two","x":1}` + "\n", `{"log":"one","x":1}` + "\n" + `{"log":"two","x":1}` + "\n"},
		{"array", `{"_COMM":"x","MESSAGE":[102,34,255,10,111],"_PID":"1"}` + "\n", `{"_COMM":"x","MESSAGE":"f\"` + "\uFFFD" + ` o","_PID":"1"}` + "\n"},
		{"broken array", `{"MESSAGE":[102,` + "\n", `{"MESSAGE":[102,` + "\n"},
	} {
		if got := mended(t, c.in); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

// A file that needs it is mended from wherever the first such line stands, and again on a second reading.
func TestOpenMendsJSON(t *testing.T) {
	var text strings.Builder
	for i := range 9000 {
		fmt.Fprintf(&text, `{"log":"line %d of many\n","stream":"stdout","time":"2026-11-22T01:00:00Z"}`+"\n", i)
	}
	in, err := Open(write(t, "whole.json", []byte(text.String())))
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
	if !in.Seekable() {
		t.Error("a log without split lines is read as a stream")
	}
	text.WriteString(`{"log":"first ","stream":"stdout"}` + "\n" + `{"log":"second\n","stream":"stdout"}` + "\n")
	in, err = Open(write(t, "split.json", []byte(text.String())))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var got bytes.Buffer
	if err := in.Each(func(b []byte, _ int64) error { got.Write(b); return nil }); err != nil {
		t.Fatal(err)
	}
	again, err := in.Again()
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	second, err := io.ReadAll(again)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(got.Bytes(), []byte(`"first second\n"`)) || !bytes.Equal(got.Bytes(), second) {
		t.Errorf("%d bytes, then %d; the end is %q", got.Len(), len(second), got.Bytes()[max(0, got.Len()-80):])
	}
}

func FuzzMendJSON(f *testing.F) {
	f.Add(`{"log":"a\n","stream":"stdout"}` + "\n" + `{"log":"b","stream":"stdout"}`)
	f.Add(`{"MESSAGE":[1,2,255]}`)
	f.Fuzz(func(t *testing.T, text string) {
		out := mended(t, text)
		if strings.Count(out, "\n") > strings.Count(text, "\n")+1 {
			t.Errorf("%q has more lines than %q", out, text)
		}
	})
}

// Text with line breaks stands in binary fields of journald's export; it stays one line.
func TestExportBinaryField(t *testing.T) {
	var b bytes.Buffer
	msg := "4F1A2B3C4D: reject: a\nNov 22 01:00:00 mx postfix/smtp[1]: forged \xff"
	b.WriteString("__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795311923123456\n_HOSTNAME=mx1\nSYSLOG_IDENTIFIER=postfix/smtpd\n_PID=12\nMESSAGE\n")
	b.Write([]byte{byte(len(msg)), 0, 0, 0, 0, 0, 0, 0})
	b.WriteString(msg + "\n\n__CURSOR=s=2\n__REALTIME_TIMESTAMP=1795311924000000\n_HOSTNAME=mx1\nSYSLOG_IDENTIFIER=postfix/smtpd\nMESSAGE=second\n\n")
	in, err := FromReader("journal", &b, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var got []byte
	if err := in.Each(func(b []byte, _ int64) error { got = append(got, b...); return nil }); err != nil {
		t.Fatal(err)
	}
	want := "2026-11-22T01:45:23.123456+00:00 mx1 postfix/smtpd[12]: " + strings.ReplaceAll(msg, "\n", " ") + "\n2026-11-22T01:45:24.000000+00:00 mx1 postfix/smtpd: second\n"
	if string(got) != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	// A length that promises more than there is ends the input, not the program.
	cut := "__CURSOR=s=1\nMESSAGE\n\xff\xff\xff\xff\xff\xff\xff\x7fabc"
	if in, err := FromReader("journal", strings.NewReader(cut), time.Time{}); err == nil {
		in.Each(func([]byte, int64) error { return nil })
		in.Close()
	}
}

func TestAppendJSON(t *testing.T) {
	for _, s := range []string{"plain", "a\"b\\c", "tab\tnul\x00", "\xff\xfe", "中文"} {
		var back string
		if err := json.Unmarshal(appendJSON(nil, []byte(s)), &back); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
}
