package cli

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/intake"
)

// freePort gives an address of loopback on which nothing listened a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Many users search while lines come in by syslog: every answer is a whole one and right. What was in the store before the
// search began is found, each message once, and nothing is found that was not asked for. (How long it takes is measured
// by make bench-load.)
func TestSearchesAreRightWhileLinesComeIn(t *testing.T) {
	const rounds, each, users = 40, 50, 20
	at := freePort(t)
	cfg := &Config{Intake: []intake.Config{{Kind: "syslog", Listen: "tcp://" + at}}}
	s := quietService(t, cfg)
	var inStore atomic.Int64 // rounds that are known to be stored
	begin, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		first := sync.OnceFunc(func() { close(begin) })
		defer first()
		feedRounds(t, at, rounds, each, func(n int) {
			untilStored(t, cfg.Serve.Data, fmt.Sprintf("round%d@partner.example", n), each)
			inStore.Store(int64(n + 1))
			first()
		})
	}()
	<-begin
	var wg sync.WaitGroup
	for user := range users {
		wg.Go(func() {
			for asked, after := 0, 0; after < 2 && !t.Failed(); asked++ { // and everybody looks twice when all is there
				select {
				case <-done:
					after++
				default:
				}
				if sure := int(inStore.Load()); sure > 0 {
					s.searchRound(t, (user+asked)%sure, each)
				}
			}
		})
	}
	wg.Wait()
	<-done
	if n := inStore.Load(); n != rounds {
		t.Errorf("%d rounds stored, want %d", n, rounds)
	}
}

// feedRounds sends the lines of messages, a round of each many at a time, and calls stored, which comes back when the round is
// stored, after every tenth.
func feedRounds(t *testing.T, to string, rounds, each int, stored func(n int)) {
	c, err := net.DialTimeout("tcp", to, time.Minute)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	for n := range rounds {
		var b strings.Builder
		for i := range each {
			id := fmt.Sprintf("%05X%07X", n, i)
			line := func(program, text string) {
				fmt.Fprintf(&b, "<22>%s mx1 postfix/%s[77]: %s: %s\n", time.Now().Format("2006-01-02T15:04:05.000000-07:00"), program, id, text)
			}
			line("cleanup", fmt.Sprintf("message-id=<%d.%d@mine.example>", n, i))
			line("qmgr", "from=<li@mine.example>, size=900, nrcpt=1 (queue active)")
			line("smtp", fmt.Sprintf("to=<round%d@partner.example>, relay=mx.partner.example[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)", n))
			line("qmgr", "removed")
		}
		if _, err := c.Write([]byte(b.String())); err != nil {
			t.Error(err)
			return
		}
		if n%10 == 9 || n == rounds-1 {
			stored(n)
		}
	}
}

// searchRound wants all messages of a round by recipient, and one of them by its message-id.
func (s *served) searchRound(t *testing.T, n, each int) {
	var list struct {
		Items []struct {
			Recipients []struct{ To, Status string }
			MessageIDs []string `json:"message_ids"`
		}
		Next string
		Cut  bool
	}
	to := fmt.Sprintf("round%d@partner.example", n)
	if err := json.Unmarshal(s.want(200, "GET", "/api/v1/trace?limit=100&q="+url.QueryEscape(to), nil), &list); err != nil {
		t.Error(err)
	}
	var ids []string
	for _, j := range list.Items {
		if len(j.MessageIDs) != 1 || len(j.Recipients) != 1 || j.Recipients[0].To != to || j.Recipients[0].Status != "sent" {
			t.Errorf("%s: %+v", to, j)
			continue
		}
		ids = append(ids, j.MessageIDs[0])
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) != each || len(list.Items) != each || list.Next != "" && list.Cut {
		t.Errorf("%s: %d messages in %d rows, want %d (cut: %v)", to, len(ids), len(list.Items), each, list.Cut)
		return
	}
	list.Items = nil
	id := "<" + ids[each/2] + ">"
	if err := json.Unmarshal(s.want(200, "GET", "/api/v1/trace?q="+url.QueryEscape(id), nil), &list); err != nil || len(list.Items) != 1 {
		t.Errorf("%s: %d messages, want 1 (%v)", id, len(list.Items), err)
	}
}
