package mailbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
)

func TestSince(t *testing.T) {
	user, place, o := serve(t, false)
	var got []string
	var last Message
	each := func(m Message) error {
		b, err := io.ReadAll(m.R)
		got, last = append(got, fmt.Sprint(m.UID, string(b[:12]))), m
		return err
	}
	read := func() string {
		t.Helper()
		got = nil
		if err := Since(t.Context(), &place, o, last.Validity, last.UID, each); err != nil {
			t.Fatal(err)
		}
		return strings.Join(got, "|")
	}
	if s := read(); s != "1Subject: one|2Subject: two" || last.Validity == 0 {
		t.Fatalf("%q, validity %d", s, last.Validity)
	}
	if s := read(); s != "" {
		t.Errorf("read again: %q", s)
	}
	if _, err := user.Append("INBOX", literal{bytes.NewReader([]byte("Subject: three\r\n\r\nx\r\n"))}, &imap.AppendOptions{}); err != nil {
		t.Fatal(err)
	}
	if s := read(); s != "3Subject: thr" {
		t.Errorf("after one came: %q", s)
	}
	last.Validity++ // the server numbers anew
	if s := read(); strings.Count(s, "|") != 2 {
		t.Errorf("with another validity: %q", s)
	}
	stop := errors.New("enough")
	n := 0
	if err := Since(t.Context(), &place, o, 0, 0, func(Message) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("%d messages, %v", n, err)
	}
	if k := unseen(t, user); k != 3 {
		t.Errorf("%d unseen, want 3", k)
	}
}
