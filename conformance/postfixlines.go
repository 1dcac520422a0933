package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
)

// postfixLine is one line of a Postfix daemon and the fields it holds.
type postfixLine struct {
	Pattern string         `yaml:"pattern"`
	Data    string         `yaml:"data"`
	Results map[string]any `yaml:"results"`
}

// runPostfixLines reads each line as its daemon wrote it and compares every field; then it counts what is not
// understood in the logs of real servers.
func runPostfixLines(dir string) ([]score, error) {
	files, _ := filepath.Glob(filepath.Join(dir, "postfix-lines", "*.yaml"))
	if len(files) == 0 {
		return nil, fmt.Errorf("postfix-lines: %w", fs.ErrNotExist)
	}
	lines, fields := score{name: "lines with every field right", aim: 1}, score{name: "fields", aim: 1}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var l postfixLine
		if err := yaml.Unmarshal(raw, &l); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		wrong := l.check(&fields, filepath.Base(name))
		lines.add(len(wrong) == 0, "%s: %s", filepath.Base(name), strings.Join(wrong, ", "))
	}
	return append([]score{lines, fields}, realLogs(dir)...), nil
}

// check compares the fields of one line and names those that differ.
func (l *postfixLine) check(fields *score, file string) (wrong []string) {
	front, back := "", ""
	daemon := strings.ToLower(strings.Trim(l.Pattern, "^$%{}"))
	daemon = strings.TrimPrefix(daemon, "postfix_")
	switch daemon {
	case "command_counter_data": // a part of a line: the rest is put around it
		daemon, front = "smtpd", "disconnect from mx.example[192.0.2.1] "
	case "tls_features":
		daemon, front, back = "smtp", "4ABCDEF12: to=<a@b.example>, relay=mx.example[192.0.2.1]:25, delay=1, delays=0/0/0/1, tls=", ", dsn=2.0.0, status=sent (250 ok)"
	case "trivial_rewrite":
		daemon = "trivial-rewrite"
	}
	var got *event.Event
	r := logs.NewReader(logs.Clock{}, dialects.All())
	// Line breaks in the samples stand for the escapes Postfix writes.
	data := strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(strings.TrimSuffix(l.Data, "\n"))
	r.Line([]byte("Nov 22 01:45:23 mx1 postfix/"+daemon+"[1]: "+front+data+back), 0, 0, event.SinkFunc(func(e *event.Event) { c := *e; got = &c }))
	for key, want := range l.Results {
		w := fmt.Sprint(want)
		ok := got != nil && fieldHolds(got, strings.TrimPrefix(key, "postfix_"), w)
		fields.add(ok, "%s: %s=%s", file, key, w)
		if !ok {
			wrong = append(wrong, key)
		}
	}
	slices.Sort(wrong)
	return wrong
}

// fieldHolds tells whether the event has the value. Fields for which events have no place of their own must stand in
// the text that is kept.
func fieldHolds(e *event.Event, key, want string) bool {
	is := func(b []byte) bool { return string(b) == want }
	switch key {
	case "queueid":
		return is(e.QueueID) || want == "NOQUEUE" && e.QueueID == nil
	case "message-id":
		return e.MessageID != nil && is(e.MessageID)
	case "message_level":
		return e.Level.String() == want || is(e.Action)
	case "action":
		return is(e.Action) || want == string(e.Action)
	case "client_hostname":
		return is(e.ClientName)
	case "client_ip":
		return is(e.ClientIP)
	case "client_ip_unknown":
		return e.ClientIP == nil
	case "client_port":
		return strconv.Itoa(int(e.ClientPort)) == want
	case "relay_hostname":
		return is(e.Relay)
	case "relay_ip":
		return is(e.RelayIP)
	case "relay_port":
		return strconv.Itoa(int(e.RelayPort)) == want
	case "smtp_stage", "proxy_smtp_stage":
		return strings.TrimSuffix(string(e.Stage), " command") == want || strings.Contains(string(e.Text), want)
	case "status_code", "proxy_status_code":
		return strconv.Itoa(int(e.Code)) == want
	case "status_code_enhanced", "proxy_status_code_enhanced":
		return is(e.DSN)
	case "status":
		return e.Status.String() == want
	case "tls_trustlevel":
		return is(e.Trust)
	case "tls_version":
		return is(e.TLSVersion)
	case "tls_cipher":
		return is(e.Cipher)
	case "keyvalue_data":
		return keyValues(e, want)
	case "postscreen_access":
		return is(e.Verdict)
	}
	return strings.Contains(string(e.Text), want) || strings.Contains(string(e.Line), want)
}

// keyValues compares "from=<a> to=<b> proto=ESMTP …" key by key.
func keyValues(e *event.Event, want string) bool {
	b := []byte(want)
	for len(b) > 0 {
		sep := " "
		if strings.Contains(want, ", ") {
			sep = ", "
		}
		key, v, rest, ok := logs.Pair(b, sep)
		if !ok {
			return false
		}
		v = []byte(strings.TrimSuffix(string(v), ","))
		if !pairHolds(e, string(key), string(v)) {
			return false
		}
		b = rest
	}
	return true
}

func pairHolds(e *event.Event, key, v string) bool {
	switch key {
	case "from":
		return e.From != nil && string(e.From) == v
	case "to":
		return string(e.To) == v
	case "orig_to":
		return string(e.OrigTo) == v
	case "proto":
		return string(e.Proto) == v
	case "helo":
		return string(e.Helo) == v
	case "client":
		return v == string(e.ClientName)+"["+string(e.ClientIP)+"]"
	case "sasl_method":
		return string(e.Method) == v
	case "sasl_username":
		return string(e.User) == v
	case "size":
		return strconv.FormatInt(e.Size, 10) == v
	case "nrcpt":
		return strconv.Itoa(int(e.NRcpt)) == strings.Fields(v + " ")[0]
	case "dsn":
		return string(e.DSN) == v
	case "delay":
		d, _ := logs.Seconds([]byte(v))
		return e.Delay == d
	case "delays":
		return e.Delays.Set
	case "relay":
		return strings.HasPrefix(v, string(e.Relay))
	}
	return strings.Contains(string(e.Line), key+"="+v)
}

// realLogs counts the mail lines of real servers' logs that are understood.
func realLogs(dir string) (out []score) {
	files, _ := filepath.Glob(filepath.Join(dir, "logs", "*.gz"))
	for _, name := range files {
		s := score{name: filepath.Base(name) + ": mail lines understood", aim: 0.9999}
		in, err := logs.Open(name)
		if err != nil {
			s.add(false, "%v", err)
			out = append(out, s)
			continue
		}
		all := dialects.All()
		in.Sniff(all)
		r := in.Reader(nil, all)
		r.Unread = func(o *event.Origin) {
			if len(s.wrong) < 20 {
				s.wrong = append(s.wrong, string(o.Line))
			}
		}
		err = in.Each(func(b []byte, base int64) error {
			r.Block(b, 0, base, event.SinkFunc(func(*event.Event) {}))
			return nil
		})
		if err != nil {
			s.wrong = append(s.wrong, err.Error())
		}
		in.Close()
		s.right, s.total = int(r.Mail), int(r.Mail+r.Unparsed)
		out = append(out, s)
	}
	return out
}
