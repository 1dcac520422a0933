package spamd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

const answer = "SPAMD/1.1 0 EX_OK\r\nContent-length: 10\r\nSpam: True ; 6.4 / 5.0\r\n\r\nContent analysis details:\r\n\r\n pts rule name              description\r\n---- ---------------------- -----\r\n 3.5 BAYES_99               BODY: Bayes spam probability is 99 to 100%\r\n                            [score: 1.0000]\r\n-0.1 DKIM_VALID             Message has at least one valid DKIM\r\n"

// serve answers one connection with a text and gives back what came in.
func serve(t *testing.T, text string) (addr string, got chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	got = make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		raw, _ := io.ReadAll(bufio.NewReader(c))
		got <- string(raw)
		fmt.Fprint(c, text)
	}()
	return l.Addr().String(), got
}

func TestReport(t *testing.T) {
	addr, got := serve(t, answer)
	r, err := Report(context.Background(), Options{Addr: addr, Dial: &net.Dialer{}, Timeout: 5 * time.Second}, []byte("Subject: x\r\n\r\nhello\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if !r.Spam || r.Score != 6.4 || r.Required != 5 || len(r.Rules) != 2 || r.Rules[0].Name != "BAYES_99" || !strings.HasSuffix(r.Rules[0].Text, "[score: 1.0000]") || r.Rules[1].Score != -0.1 {
		t.Errorf("%+v", r)
	}
	if s := <-got; !strings.HasPrefix(s, "REPORT SPAMC/1.5\r\nContent-length: 21\r\n\r\nSubject: x") {
		t.Errorf("sent %q", s)
	}
}

func TestNoSpamd(t *testing.T) {
	for _, text := range []string{"", "220 smtp ready\r\n", "SPAMD/1.1 74 EX_IOERR\r\n\r\n", "SPAMD/1.1 0 EX_OK\r\n\r\n", "SPAMD/1.1 0 EX_OK\r\nSpam: maybe\r\n\r\n"} {
		addr, _ := serve(t, text)
		if r, err := Report(context.Background(), Options{Addr: addr, Dial: &net.Dialer{}, Timeout: 5 * time.Second}, []byte("x")); err == nil {
			t.Errorf("%q was taken for %+v", text, r)
		}
	}
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	l.Close()
	_, err := Report(context.Background(), Options{Addr: l.Addr().String(), Dial: &net.Dialer{}}, nil)
	if f := wire.Classify("", err); f == nil || f.Kind != wire.Refused {
		t.Errorf("%v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(answer)
	f.Fuzz(func(t *testing.T, s string) { _, _ = read(strings.NewReader(s)) })
}
