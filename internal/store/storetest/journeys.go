package storetest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/mailwhy/mailwhy/internal/event"
	"github.com/mailwhy/mailwhy/internal/intake"
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/trace"
	"github.com/mailwhy/mailwhy/internal/trace/dialects"
)

// Store is what the suite asks of an implementation.
type Store interface {
	trace.Store
	intake.Sink
	Overview(ctx context.Context, q trace.OverviewQuery) (*trace.Overview, error)
	Journey(ctx context.Context, id string, domains []string) (*trace.Journey, error)
	Close() error
}

// Open opens the store of a folder, which is new or was used before; block is about how much text it should keep
// together, where it has a choice: small numbers make borders frequent.
type Open func(t *testing.T, folder string) Store

// Now is the moment at which the lines of the suite were written.
func Now() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

// Journeys is the contract of a store of journeys. Its measure is the search through plain files (trace.Scan): what was
// stored is found as the same journeys, to the last byte of their JSON, however the lines came in. data is the folder of real
// logs; what needs them is skipped without. sizes are how many lines a batch has at most; none means 3, 40 and 5000.
func Journeys(t *testing.T, data string, open Open, sizes ...int) {
	if len(sizes) == 0 {
		sizes = []int{3, 40, 5000}
	}
	t.Run("same as files", func(t *testing.T) { sameAsFiles(t, open, sizes) })
	t.Run("same as files, real logs", func(t *testing.T) { realLogs(t, data, open) })
	t.Run("positions", func(t *testing.T) { positions(t, open) })
	t.Run("paging", func(t *testing.T) { paging(t, open) })
	t.Run("one journey", func(t *testing.T) { oneJourney(t, open) })
	t.Run("limited to domains", func(t *testing.T) { limited(t, open) })
	t.Run("table", func(t *testing.T) { table(t, open) })
	t.Run("overview", func(t *testing.T) { overview(t, open) })
}

// File is a log of the suite.
type File struct {
	Name string
	Text []byte
}

// Feed commits the files in batches of up to n lines, taken from the files in turns.
func Feed(t *testing.T, s intake.Sink, rnd *rand.Rand, n int, files []File) {
	t.Helper()
	at := make([]int, len(files))
	for more := true; more; {
		more = false
		for i, f := range files {
			if at[i] >= len(f.Text) {
				continue
			}
			more = true
			b := BatchOf(f, at[i], 1+rnd.IntN(n))
			if err := s.Commit(context.Background(), b); err != nil {
				t.Fatalf("commit of %s at %d: %v", f.Name, at[i], err)
			}
			at[i] = int(b.To.Offset)
		}
	}
}

// BatchOf makes a batch of the next lines of a file.
func BatchOf(f File, at, lines int) *intake.Batch {
	id := "id of " + f.Name
	b := &intake.Batch{Source: "file:" + f.Name, From: intake.Position{File: id, Offset: int64(at)}, Modified: Now(), Read: Now()}
	if at == 0 {
		b.From = intake.Position{}
	}
	if f.Text[0] == '#' {
		b.Head = f.Text[:min(len(f.Text), 4096)]
	}
	for range lines {
		if at >= len(f.Text) {
			break
		}
		n := bytes.IndexByte(f.Text[at:], '\n')
		b.Lines = append(b.Lines, f.Text[at:at+n])
		at += n + 1
		b.Ends = append(b.Ends, int64(at))
	}
	b.To = intake.Position{File: id, Offset: int64(at)}
	return b
}

// fromFiles gives the journeys a search of the files finds, as JSON, in order of their ids.
func fromFiles(t *testing.T, files []File, q trace.Query) []string {
	t.Helper()
	var inputs []*logs.Input
	for _, f := range files {
		in, err := logs.FromReader(f.Name, bytes.NewReader(f.Text), Now())
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		inputs = append(inputs, in)
	}
	scan, err := trace.Scan(context.Background(), inputs, q, trace.Options{Dialects: dialects.All(), Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer scan.Close()
	var out []*trace.Journey
	for j := range scan.Journeys(context.Background()) {
		if len(out) < q.Sessions {
			scan.Session(j)
		}
		out = append(out, j)
	}
	return asJSON(t, out)
}

// fromStore gives what the store finds in the same form.
func fromStore(t *testing.T, s trace.Store, q trace.Query) []string {
	t.Helper()
	return asJSON(t, found(t, s, q))
}

// found gives what the store finds.
func found(t *testing.T, s trace.Store, q trace.Query) (out []*trace.Journey) {
	t.Helper()
	for j, err := range s.Journeys(context.Background(), q) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, j)
	}
	return out
}

func asJSON(t *testing.T, js []*trace.Journey) (out []string) {
	t.Helper()
	slices.SortFunc(js, func(a, b *trace.Journey) int { return cmp.Or(strings.Compare(a.ID(), b.ID())) })
	for _, j := range js {
		b, err := json.Marshal(j)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	return out
}

// Ask parses a query.
func Ask(t *testing.T, what string) trace.Query {
	t.Helper()
	q, err := trace.ParseQuery(what)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// Compare holds the store against the files, and gives the number of journeys.
func Compare(t *testing.T, s trace.Store, files []File, q trace.Query) int {
	t.Helper()
	want, got := fromFiles(t, files, q), fromStore(t, s, q)
	if !slices.Equal(want, got) {
		t.Errorf("%q: %d journeys, the files have %d", q.What, len(got), len(want))
		for i := range max(len(want), len(got)) {
			w, g := "", ""
			if i < len(want) {
				w = want[i]
			}
			if i < len(got) {
				g = got[i]
			}
			if w != g {
				at := 0
				for at < min(len(w), len(g)) && w[at] == g[at] {
					at++
				}
				at = max(0, at-300)
				t.Fatalf("journey %d\nstore …%.1000s\nfiles …%.1000s", i, g[at:], w[at:])
			}
		}
	}
	return len(want)
}

// World is a small set of logs of two hosts: mail that is submitted, filtered, refused, bounced, passed on, filed,
// rejected at the door, and lines of other programs.
func World() []File {
	var mx1, mx2 []byte
	for i := range 60 {
		at := fmt.Sprintf("Nov 22 10:%02d:", i)
		numbers := strings.NewReplacer("NN", fmt.Sprintf("%02d", i), "N#", strconv.Itoa(i))
		for _, l := range []string{
			`00 mx1 postfix/submission/smtpd[11NN]: connect from pc.mine.example[192.0.2.5]`,
			`00 mx1 postfix/submission/smtpd[11NN]: Anonymous TLS connection established from pc.mine.example[192.0.2.5]: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)`,
			`00 mx1 postfix/submission/smtpd[11NN]: A000000000NN: client=pc.mine.example[192.0.2.5], sasl_method=PLAIN, sasl_username=li@mine.example`,
			`00 mx1 postfix/cleanup[12]: A000000000NN: message-id=<mN#@mine.example>`,
			`00 mx1 postfix/cleanup[12]: A000000000NN: warning: header Subject: Offer number N# from pc.mine.example[192.0.2.5]; from=<li@mine.example> to=<wangN#@partner.example> proto=ESMTP helo=<pc>`,
			`00 mx1 postfix/qmgr[13]: A000000000NN: from=<li@mine.example>, size=1000, nrcpt=1 (queue active)`,
			`01 mx1 postfix/submission/smtpd[11NN]: disconnect from pc.mine.example[192.0.2.5] ehlo=2 mail=1 rcpt=1 data=1 quit=1 commands=6`,
			`02 mx1 postfix/smtp[16]: A000000000NN: to=<wangN#@partner.example>, relay=mx.partner.example[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (host mx.partner.example[198.51.100.9] said: 550 5.1.1 <wangN#@partner.example>: Recipient address rejected: User unknown (in reply to RCPT TO command))`,
			`02 mx1 postfix/cleanup[12]: B000000000NN: message-id=<20261122.B000000000NN@mx1.mine.example>`,
			`02 mx1 postfix/bounce[17]: A000000000NN: sender non-delivery notification: B000000000NN`,
			`02 mx1 postfix/qmgr[13]: B000000000NN: from=<>, size=3000, nrcpt=1 (queue active)`,
			`02 mx1 postfix/qmgr[13]: A000000000NN: removed`,
			`03 mx1 postfix/smtp[18]: B000000000NN: to=<li@mine.example>, relay=mx2.mine.example[192.0.2.7]:25, delay=0.1, delays=0/0/0/0.1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as C000000000NN)`,
			`03 mx1 postfix/qmgr[13]: B000000000NN: removed`,
			`04 mx1 postfix/smtpd[21]: NOQUEUE: reject: RCPT from unknown[203.0.113.N#]: 554 5.7.1 Service unavailable; Client host [203.0.113.N#] blocked using list.example; from=<spamN#@evil.example> to=<li@mine.example> proto=ESMTP helo=<evil.example>`,
			`05 mx1 sshd[99]: Accepted publickey for li from 192.0.2.5`,
		} {
			mx1 = append(mx1, at...)
			mx1 = append(append(mx1, numbers.Replace(l)...), '\n')
		}
		for _, l := range []string{
			`03 mx2 postfix/smtpd[31]: C000000000NN: client=mx1.mine.example[192.0.2.6]`,
			`03 mx2 postfix/cleanup[32]: C000000000NN: message-id=<20261122.B000000000NN@mx1.mine.example>`,
			`03 mx2 postfix/qmgr[33]: C000000000NN: from=<>, size=3100, nrcpt=1 (queue active)`,
			`04 mx2 postfix/lmtp[34]: C000000000NN: to=<li@mine.example>, relay=mx2[private/dovecot-lmtp], delay=0.1, delays=0/0/0/0.1, dsn=2.0.0, status=sent (250 2.0.0 <li@mine.example> SESSIONABCDEFNN Saved)`,
			`04 mx2 dovecot: lmtp(li@mine.example)<35><SESSIONABCDEFNN>: sieve: msgid=<20261122.B000000000NN@mx1.mine.example>: stored mail into mailbox 'INBOX'`,
			`04 mx2 postfix/qmgr[33]: C000000000NN: removed`,
		} {
			mx2 = append(mx2, at...)
			mx2 = append(append(mx2, numbers.Replace(l)...), '\n')
		}
	}
	return []File{{"mx1.log", mx1}, {"mx2.log", mx2}}
}

// Questions are asked of the world.
func Questions() []string {
	return []string{"A00000000007", "B00000000007", "C00000000059", "m7@mine.example", "20261122.B00000000011@mx1.mine.example", "SESSIONABCDEF33", "li@mine.example", "LI@Mine.example", "to:wang3@partner.example",
		"from:spam5@evil.example", "*@partner.example", "to:partner.example", "wang1*@*", "*ang5?@partner.example", "ip:203.0.113.9", "203.0.113.0/28", "203.0.113.0/24", "198.51.0.0/15", "host:mx2.mine.example", "partner.example", "host:mx1",
		"subject:number 12", "subject:OFFER", "nobody@nowhere.example", "A00000000099", "*@nowhere.example", "subject:nothing"}
}

// sameAsFiles holds every question against the files, with the lines coming in in pieces of several sizes, and again
// after the store was opened anew.
func sameAsFiles(t *testing.T, open Open, sizes []int) {
	files := World()
	for _, n := range sizes {
		t.Run(fmt.Sprintf("%d lines", n), func(t *testing.T) {
			folder := t.TempDir()
			s := open(t, folder)
			Feed(t, s, rand.New(rand.NewPCG(1, uint64(n))), n, files)
			for again := range 2 {
				for _, what := range Questions() {
					q := Ask(t, what)
					q.Sessions = 1 << 20
					Compare(t, s, files, q)
				}
				q := trace.Query{Kind: trace.ByFate, Status: event.Bounced}
				if n := Compare(t, s, files, q); n != 60 {
					t.Errorf("%d bounced journeys, want 60", n)
				}
				Compare(t, s, files, trace.Query{Kind: trace.ByFate, Rejected: true})
				Compare(t, s, files, trace.Query{Kind: trace.ByFate})
				q = Ask(t, "li@mine.example")
				q.Since, q.Until = Now().Add(-100*time.Minute), Now().Add(-90*time.Minute)
				if n := Compare(t, s, files, q); n == 0 || n > 30 {
					t.Errorf("%d journeys in ten minutes", n)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if again == 0 {
					s = open(t, folder)
				}
			}
		})
	}
}

// realLogs does so with the beginnings of logs of real servers.
func realLogs(t *testing.T, data string, open Open) {
	for _, f := range realFiles(t, data) {
		t.Run(f.Name, func(t *testing.T) {
			s := open(t, t.TempDir())
			defer s.Close()
			Feed(t, s, rand.New(rand.NewPCG(2, 2)), 3000, []File{f})
			asked := 0
			for _, what := range words(f.Text) {
				if q, err := trace.ParseQuery(what); err == nil {
					q.Sessions = 1 << 20
					if n := Compare(t, s, []File{f}, q); n > 0 {
						asked++
					}
				}
			}
			if asked < 5 {
				t.Errorf("only %d questions had an answer: the log is not what the test takes it for", asked)
			}
		})
	}
}

// realFiles are the beginnings of logs of real servers.
func realFiles(t *testing.T, data string) (out []File) {
	names, _ := filepath.Glob(filepath.Join(data, "logs", "*.gz"))
	if len(names) == 0 {
		t.Skipf("no logs under %s/logs: set MAILWHY_DATA", data)
	}
	for _, name := range names {
		out = append(out, File{filepath.Base(name), beginning(t, name, 1<<20)})
	}
	return out
}

func beginning(t *testing.T, name string, size int) []byte {
	t.Helper()
	raw, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	z, err := gzip.NewReader(raw)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	n := 0
	for n < size {
		m, err := z.Read(b[n:])
		n += m
		if err != nil {
			break
		}
	}
	return b[:bytes.LastIndexByte(b[:n], '\n')+1]
}

// words takes some addresses, ids and the like out of a text.
func words(text []byte) (out []string) {
	rnd := rand.New(rand.NewPCG(3, 3))
	for len(out) < 25 {
		i := rnd.IntN(len(text) - 200)
		for _, mark := range []string{"to=<", "from=<", "message-id=<", "msgid=<", "]: ", " => ", "client=", " H="} {
			if j := bytes.Index(text[i:min(len(text), i+4000)], []byte(mark)); j >= 0 {
				w := text[i+j+len(mark):]
				n := bytes.IndexAny(w, ">:, \n()[]")
				if w := string(w[:max(n, 0)]); len(w) > 6 && !slices.Contains(out, w) {
					out = append(out, w)
				}
			}
		}
	}
	return out
}

// positions holds what a source may do: come back, send again, be read twice, and move on to another file.
func positions(t *testing.T, open Open) {
	ctx := context.Background()
	folder := t.TempDir()
	s := open(t, folder)
	f := World()[0]
	if p, err := s.Position(ctx, "file:"+f.Name); err != nil || !p.IsZero() {
		t.Fatalf("position of a source never seen: %+v, %v", p, err)
	}
	commit := func(b *intake.Batch, want error) {
		t.Helper()
		if err := s.Commit(ctx, b); !errors.Is(err, want) {
			t.Fatalf("commit: %v, want %v", err, want)
		}
	}
	first := BatchOf(f, 0, 10)
	commit(first, nil)
	commit(first, nil) // the same again
	second := BatchOf(f, int(first.To.Offset), 10)
	third := BatchOf(f, int(second.To.Offset), 12)
	commit(third, intake.ErrMoved) // what lies between is not there
	commit(second, nil)
	overlap := BatchOf(f, int(first.To.Offset), 22) // half of it is stored
	commit(overlap, nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, folder)
	defer s.Close()
	p, err := s.Position(ctx, "file:"+f.Name)
	if err != nil || !p.Same(third.To) || p.At.IsZero() {
		t.Fatalf("position %+v, want %+v; %v", p, third.To, err)
	}
	Compare(t, s, []File{{f.Name, f.Text[:third.To.Offset]}}, Ask(t, "A00000000001"))
	Compare(t, s, []File{{f.Name, f.Text[:third.To.Offset]}}, Ask(t, "*@partner.example"))
	next := BatchOf(File{f.Name, f.Text}, 0, 3) // the file was rotated: the same name, another file
	next.From = p
	next.To.File = "another file"
	commit(next, nil)
	if p, err = s.Position(ctx, "file:"+f.Name); err != nil || !p.Same(next.To) {
		t.Errorf("position %+v after rotation, want %+v; %v", p, next.To, err)
	}
	stream := &intake.Batch{Source: "syslog:1", To: intake.Position{Offset: 2, Cursor: "c2"}, Lines: bytes.SplitN(World()[1].Text, []byte("\n"), 3)[:2], Ends: []int64{1, 2}, Modified: Now()}
	commit(stream, nil)
	again := &intake.Batch{Source: "syslog:1", From: stream.To, To: intake.Position{Offset: 3, Cursor: "c3"}, Lines: [][]byte{bytes.SplitN(World()[1].Text, []byte("\n"), 4)[2]}, Ends: []int64{3}, Modified: Now()}
	commit(again, nil)
	j := found(t, s, Ask(t, "C00000000000"))
	if len(j) != 1 || len(slices.DeleteFunc(j[0].Steps, func(s trace.Step) bool { return s.Host != "mx2" })) != 3 {
		t.Errorf("a stream that counts lines: %s", asJSON(t, j))
	}
	empty := &intake.Batch{Source: "syslog:1", From: again.To, To: intake.Position{File: "run 2", Offset: 0}}
	commit(empty, nil)
	if p, err = s.Position(ctx, "syslog:1"); err != nil || !p.Same(empty.To) {
		t.Errorf("position %+v after a batch without lines; %v", p, err)
	}
}

// paging walks through pages of the newest journeys.
func paging(t *testing.T, open Open) {
	s := open(t, t.TempDir())
	defer s.Close()
	Feed(t, s, rand.New(rand.NewPCG(4, 4)), 50, World())
	for _, what := range []string{"li@mine.example", "*@partner.example", "203.0.113.0/24"} {
		q := Ask(t, what)
		all := found(t, s, q)
		for i := 1; i < len(all); i++ {
			if all[i].Started.Before(all[i-1].Started) {
				t.Fatalf("%s: journey %d begins before the one in front of it", what, i)
			}
		}
		q.Newest, q.Limit = true, 7
		var ids []string
		for {
			page := found(t, s, q)
			if len(page) > q.Limit {
				t.Fatalf("a page of %d", len(page))
			}
			for _, j := range page {
				if !q.After.Started.IsZero() && j.Started.After(q.After.Started) {
					t.Fatalf("%s: %v comes behind %v", what, j.Started, q.After.Started)
				}
				q.After = trace.Place{Started: j.Started, ID: j.ID()}
				ids = append(ids, j.ID())
			}
			if len(page) < q.Limit {
				break
			}
		}
		slices.Sort(ids)
		if n := len(slices.Compact(ids)); n != len(all) || n != len(ids) {
			t.Errorf("%s: %d journeys on pages, %d of them different, %d in all", what, len(ids), n, len(all))
		}
	}
}

// oneJourney finds every journey by its id.
func oneJourney(t *testing.T, open Open) {
	ctx := context.Background()
	s := open(t, t.TempDir())
	defer s.Close()
	Feed(t, s, rand.New(rand.NewPCG(5, 5)), 50, World())
	n := 0
	for j, err := range s.Journeys(ctx, trace.Query{Kind: trace.ByFate}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		got, err := s.Journey(ctx, j.ID(), nil)
		if err != nil || got.ID() != j.ID() || len(got.Recipients) != len(j.Recipients) || len(got.Rejects) != len(j.Rejects) {
			t.Fatalf("journey %s of %v: %v", j.ID(), j.Started, err)
		}
		if _, err := s.Journey(ctx, j.ID(), []string{"elsewhere.example"}); !errors.Is(err, trace.ErrNoJourney) {
			t.Fatalf("shown to people of another domain: %v", err)
		}
	}
	if n < 120 {
		t.Errorf("%d journeys", n)
	}
	if _, err := s.Journey(ctx, "nonsense", nil); !errors.Is(err, trace.ErrID) {
		t.Errorf("nonsense: %v", err)
	}
}

// limited asks for people who may see some domains only.
func limited(t *testing.T, open Open) {
	s := open(t, t.TempDir())
	defer s.Close()
	Feed(t, s, rand.New(rand.NewPCG(6, 6)), 50, World())
	q := Ask(t, "li@mine.example")
	q.Domains = []string{"partner.example"}
	for _, j := range found(t, s, q) {
		for _, r := range j.Recipients {
			if !strings.HasSuffix(r.To, "@partner.example") {
				t.Errorf("recipient %s is shown", r.To)
			}
		}
	}
	q = Ask(t, "203.0.113.0/24")
	q.Domains = []string{"partner.example"}
	if n := len(found(t, s, q)); n != 0 {
		t.Errorf("%d refusals for other people are shown", n)
	}
	q.Domains = []string{"mine.example"}
	if n := len(found(t, s, q)); n != 60 {
		t.Errorf("%d refusals, want 60", n)
	}
}

// table reads a log whose columns are named by its first lines, in batches that do not hold them.
func table(t *testing.T, open Open) {
	text := "#Software: Microsoft Exchange Server\n#Version: 15.02.1118.007\n#Log-type: Message Tracking Log\n#Date: 2026-11-22T10:00:00.000Z\n" +
		"#Fields: date-time,client-ip,client-hostname,server-ip,server-hostname,source-context,connector-id,source,event-id,internal-message-id,message-id,network-message-id,recipient-address,recipient-status,total-bytes,recipient-count,related-recipient-address,reference,message-subject,sender-address,return-path,message-info,directionality,tenant-id,original-client-ip,original-server-ip,custom-data,transport-traffic-type,log-id,schema-version\n"
	for i := range 5 {
		text += fmt.Sprintf("2026-11-22T10:00:0%d.000Z,192.0.2.5,pc,192.0.2.6,EX1,,,SMTP,RECEIVE,%d,<x%d@mine.example>,n%d,sun@mine.example,,100,1,,,Hello %d,li@mine.example,li@mine.example,,Originating,,,,,Email,l%d,15.02.1118.007\n", i, i, i, i, i, i)
	}
	f := []File{{"MSGTRK.LOG", []byte(text)}}
	folder := t.TempDir()
	s := open(t, folder)
	Feed(t, s, rand.New(rand.NewPCG(7, 7)), 2, []File{{"MSGTRK.LOG", f[0].Text[:len(text)*3/4+bytes.IndexByte(f[0].Text[len(text)*3/4:], '\n')+1]}})
	s.Close()
	s = open(t, folder)
	defer s.Close()
	at, _ := s.Position(context.Background(), "file:MSGTRK.LOG")
	if err := s.Commit(context.Background(), BatchOf(f[0], int(at.Offset), 10)); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"x0@mine.example", "x4@mine.example", "subject:Hello", "li@mine.example"} {
		if Compare(t, s, f, Ask(t, what)) == 0 {
			t.Errorf("%s: nothing", what)
		}
	}
}

// overview adds up.
func overview(t *testing.T, open Open) {
	ctx := context.Background()
	folder := t.TempDir()
	s := open(t, folder)
	Feed(t, s, rand.New(rand.NewPCG(8, 8)), 33, World())
	check := func(s Store) {
		t.Helper()
		o, err := s.Overview(ctx, trace.OverviewQuery{})
		if err != nil {
			t.Fatal(err)
		}
		want := trace.Totals{Received: 120, Delivered: 120, Bounced: 60, Rejected: 60, Bytes: o.Totals.Bytes, Delay: o.Totals.Delay, In: 60, Out: 60}
		if o.Totals != want {
			t.Errorf("totals %+v, want %+v", o.Totals, want)
		}
		if len(o.Hours) != 1 || !o.Hours[0].At.Equal(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)) {
			t.Errorf("hours %+v", o.Hours)
		}
		if len(o.Causes) != 2 || o.Causes[0].Count != 60 || o.Causes[0].Cause == "unknown" {
			t.Errorf("causes %+v", o.Causes)
		}
		if len(o.Providers) != 1 || o.Providers[0].Bounced != 60 || o.Providers[0].Delivered != 60 || o.Providers[0].Acceptance != 0.5 {
			t.Errorf("providers %+v", o.Providers)
		}
		if len(o.Hosts) != 2 || o.Hosts[0].Name != "mx1" || !o.Hosts[0].LastSeen.Equal(time.Date(2026, 11, 22, 10, 59, 4, 0, time.UTC)) {
			t.Errorf("hosts %+v", o.Hosts)
		}
		if o, err = s.Overview(ctx, trace.OverviewQuery{Hosts: []string{"mx2"}}); err != nil || o.Totals.Rejected != 0 || o.Totals.In != 60 {
			t.Errorf("one host: %+v, %v", o, err)
		}
		if o, err = s.Overview(ctx, trace.OverviewQuery{Since: Now()}); err != nil || o.Totals != (trace.Totals{}) {
			t.Errorf("later: %+v, %v", o, err)
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, folder)
	defer s.Close()
	check(s)
}
