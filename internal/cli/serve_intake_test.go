package cli

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/store/sqlite"
	"github.com/mailwhy/mailwhy/internal/trace"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
)

// stored counts the journeys of an address in the folder of a service, which may be running.
func stored(t *testing.T, data, address string) (n int) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), data, sqlite.Options{Dialects: dialects.All(), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	q, err := trace.ParseQuery(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range s.Journeys(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func untilStored(t *testing.T, data, address string, want int) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) { // between two looks
		n := stored(t, data, address)
		if n == want {
			return
		}
		if n > want || time.Now().After(deadline) {
			t.Fatalf("%d journeys of %s, want %d", n, address, want)
		}
	}
}

func TestServeTakesLogsIn(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.log"), filepath.Join(dir, "two.log")
	line := func(name, id, to string) {
		t.Helper()
		f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = f.WriteString("Nov 22 10:00:02 mx1 postfix/smtp[16]: " + id + ": to=<" + to + ">, relay=mx.partner.example[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)\n")
		}
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	line(one, "A00000000001", "sun@partner.example")
	cfg := &Config{Intake: []intake.Config{{Kind: "files", Paths: []string{one}}}}
	hup := make(chan os.Signal)
	s := quietService(t, cfg, func(o *serveOptions) {
		o.Reload = hup
		o.Load = func() (*Config, error) {
			c := *cfg
			c.Intake = append(c.Intake[:1:1], intake.Config{Kind: "files", Paths: []string{two}})
			return &c, nil
		}
	})
	data := cfg.Serve.Data
	untilStored(t, data, "sun@partner.example", 1)
	line(two, "A00000000002", "wang@partner.example")
	hup <- os.Interrupt
	untilStored(t, data, "wang@partner.example", 1)
	line(one, "A00000000003", "sun@partner.example")
	untilStored(t, data, "sun@partner.example", 2)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if n := stored(t, data, "partner.example"); n != 3 {
		t.Errorf("%d journeys after the end, want 3", n)
	}
}

// TestServePollsAMailbox holds that a mailbox in the configuration gets a network to be asked by.
func TestServePollsAMailbox(t *testing.T) {
	asked := make(chan struct{}, 8)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
			asked <- struct{}{}
		}
	}()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	quietService(t, &Config{Intake: []intake.Config{{Kind: "mailbox", URL: "imap://li@" + l.Addr().String() + "/Reports", PasswordFile: secret}}})
	select {
	case <-asked:
	case <-time.After(time.Minute):
		t.Error("the mail server was not asked")
	}
}
