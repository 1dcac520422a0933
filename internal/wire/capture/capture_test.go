package capture_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire/capture"
)

// film builds a classic capture of one SMTP stream.
type film struct {
	bytes.Buffer
	at   time.Duration
	seq  [2]uint32
	port uint16
	ttl  byte
}

const (
	fin, syn, rst, psh, ack = 1, 2, 4, 8, 16
)

func newFilm() *film {
	f := &film{port: 40000, seq: [2]uint32{0xffffff00, 77}, ttl: 64} // the client's numbers wrap
	h := make([]byte, 24)
	binary.LittleEndian.PutUint32(h, 0xa1b2c3d4)
	binary.LittleEndian.PutUint32(h[20:], 1)
	f.Write(h)
	return f
}

// raw writes a segment as it is told.
func (f *film) raw(dir int, seq, acked uint32, flags byte, payload string) {
	b := make([]byte, 14+20+20+len(payload))
	b[12] = 8
	ip, tcp := b[14:], b[34:]
	ip[0], ip[8], ip[9] = 0x45, f.ttl, 6
	binary.BigEndian.PutUint16(ip[2:], uint16(40+len(payload)))
	copy(ip[12:], []byte{192, 0, 2, byte(1 + dir)})
	copy(ip[16:], []byte{192, 0, 2, byte(2 - dir)})
	ports := [2]uint16{f.port, 25}
	binary.BigEndian.PutUint16(tcp, ports[dir])
	binary.BigEndian.PutUint16(tcp[2:], ports[1-dir])
	binary.BigEndian.PutUint32(tcp[4:], seq)
	binary.BigEndian.PutUint32(tcp[8:], acked)
	tcp[12], tcp[13], tcp[14] = 0x50, flags, 0x20
	copy(tcp[20:], payload)
	h := make([]byte, 16)
	binary.LittleEndian.PutUint32(h, uint32(f.at/time.Second))
	binary.LittleEndian.PutUint32(h[4:], uint32(f.at%time.Second/time.Microsecond))
	binary.LittleEndian.PutUint32(h[8:], uint32(len(b)))
	binary.LittleEndian.PutUint32(h[12:], uint32(len(b)))
	f.Write(h)
	f.Write(b)
	f.at += 10 * time.Millisecond
}

func (f *film) send(dir int, flags byte, payload string) {
	f.raw(dir, f.seq[dir], f.seq[1-dir], flags, payload)
	f.seq[dir] += uint32(len(payload))
	if flags&(syn|fin) != 0 {
		f.seq[dir]++
	}
}

func (f *film) shake() {
	f.send(0, syn, "")
	f.send(1, syn|ack, "")
	f.send(0, ack, "")
}

func (f *film) dialogue(lines ...string) {
	for _, l := range lines {
		dir := 0
		if l[0] == '<' {
			dir = 1
		}
		f.send(dir, ack|psh, strings.ReplaceAll(l[1:], "\n", "\r\n")+"\r\n")
	}
}

func read(t testing.TB, b []byte, opt capture.Options) (*capture.Summary, []*capture.Stream) {
	t.Helper()
	var all []*capture.Stream
	sum, err := capture.Read(context.Background(), bytes.NewReader(b), opt, func(s *capture.Stream) { all = append(all, s) })
	if err != nil {
		t.Fatal(err)
	}
	return sum, all
}

func session() *film {
	f := newFilm()
	f.shake()
	f.dialogue("<220 mx.to.example ESMTP", ">EHLO mine.example", "<250-mx\n250 AUTH PLAIN", ">AUTH PLAIN AGxpAHNlY3JldA==", "<235 ok", ">MAIL FROM:<li@mine.example>", "<250 ok", ">RCPT TO:<wang@to.example>", "<250 ok", ">DATA", "<354 go")
	f.dialogue(">Subject: x\n\nhello\n..dot\n.", "<250 taken", ">QUIT", "<221 bye")
	f.send(0, fin|ack, "")
	f.send(1, fin|ack, "")
	return f
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func TestSession(t *testing.T) {
	var mail bytes.Buffer
	_, all := read(t, session().Bytes(), capture.Options{Message: func(int, int) (io.WriteCloser, error) { return nopCloser{&mail}, nil }})
	s := all[0]
	if len(all) != 1 || s.Protocol != "smtp" || s.Requests != 6 || s.Replies != 8 || strings.Join(s.Codes, " ") != "220 250 235 250 250 354 250 221" {
		t.Errorf("%d streams: %+v", len(all), s)
	}
	var names []string
	for _, st := range s.Stages {
		names = append(names, st.Name)
		if !st.OK {
			t.Errorf("%s is not ok", st.Name)
		}
	}
	if got := strings.Join(names, " "); got != "connect greeting ehlo auth mail rcpt data message quit" {
		t.Error(got)
	}
	if strings.Contains(s.Transcript.String(), "AGxp") || strings.Contains(s.Transcript.String(), "hello\n") || !strings.Contains(s.Transcript.String(), "> AUTH PLAIN ****") {
		t.Error(s.Transcript)
	}
	if mail.String() != "Subject: x\r\n\r\nhello\r\n.dot\r\n" || !s.Messages[0].Whole {
		t.Errorf("%q %+v", mail.String(), s.Messages)
	}
	_, all = read(t, session().Bytes(), capture.Options{ShowSecrets: true})
	if !strings.Contains(all[0].Transcript.String(), "AGxp") {
		t.Error("the secret is not shown on request")
	}
}

// TestDisorder gives segments out of order, twice and not at all.
func TestDisorder(t *testing.T) {
	f := newFilm()
	f.shake()
	f.dialogue("<220 mx.to.example ESMTP")
	at, heard := f.seq[0], f.seq[1]
	f.raw(0, at+5, heard, ack, "mine.example\r\n")
	f.raw(0, at, heard, ack, "EHLO ")
	f.raw(0, at, heard, ack, "EHLO ")
	f.seq[0] += 19
	f.dialogue("<250 mx", ">NOOP", "<250 ok")
	f.seq[1] += 20 // the capture lacks an answer
	f.dialogue("<250 later", ">QUIT", "<221 bye")
	f.send(0, ack, "")
	_, all := read(t, f.Bytes(), capture.Options{})
	s := all[0]
	if s.Stages[2].Arg != "mine.example" || s.Client.Resent != 1 || s.Client.Reordered != 1 || s.Server.Missing != 20 {
		t.Errorf("%+v\n%s", s, s.Transcript)
	}
}

func TestEndings(t *testing.T) {
	cases := map[string]struct {
		make func(f *film)
		ok   func(s *capture.Stream) bool
	}{
		"syn": {func(f *film) { f.raw(0, 1, 0, syn, ""); f.raw(0, 1, 0, syn, "") }, func(s *capture.Stream) bool { return s.Client.SYN == 2 && !s.SYNACK && s.Protocol == "smtp" }},
		"foreign reset": {func(f *film) {
			f.shake()
			f.dialogue("<220 mx ESMTP")
			f.ttl = 60
			f.send(1, rst, "")
		}, func(s *capture.Stream) bool { return s.Reset != nil && s.Reset.By == "server" && s.Reset.Foreign }},
		"silent": {func(f *film) {
			f.shake()
			f.dialogue("<220 mx ESMTP", ">EHLO x")
			f.at += time.Minute
			f.send(1, ack, "")
		}, func(s *capture.Stream) bool { return s.Waiting == "ehlo" && s.Acked && s.WaitedFor > time.Minute }},
		"large": {func(f *film) {
			f.shake()
			f.dialogue("<220 mx ESMTP", ">EHLO x", "<250 mx", ">MAIL FROM:<a@mine.example>", "<250 ok", ">DATA", "<354 go")
			for range 4 {
				f.at += time.Second
				f.raw(0, f.seq[0], f.seq[1], ack, strings.Repeat("x", 1400))
			}
		}, func(s *capture.Stream) bool { return s.Client.Stuck == 1400 && s.Client.StuckTimes == 3 }},
		"no syn": {func(f *film) { f.dialogue("<220 mx ESMTP", ">EHLO x", "<250 mx") }, func(s *capture.Stream) bool { return s.Midway && s.Requests == 1 && s.Replies == 2 }},
		"one side": {func(f *film) {
			f.send(0, syn, "")
			f.send(0, ack, "")
			f.dialogue(">EHLO x", ">MAIL FROM:<a@mine.example>", ">DATA", ">text\n.", ">QUIT")
		}, func(s *capture.Stream) bool {
			return s.OneSided == "client" && s.Requests == 4 && len(s.Messages) == 1 && s.Messages[0].Bytes == 6
		}},
	}
	for name, c := range cases {
		f := newFilm()
		c.make(f)
		_, all := read(t, f.Bytes(), capture.Options{})
		if len(all) != 1 || !c.ok(all[0]) {
			t.Errorf("%s: %+v", name, all[0])
		}
	}
}

// TestNoBodyShown wants no line of a message in a transcript, where the capture begins inside it or it came too early.
func TestNoBodyShown(t *testing.T) {
	f := newFilm()
	f.dialogue(">private words\nmore private\n.", "<250 taken", ">QUIT", "<221 bye")
	_, all := read(t, f.Bytes(), capture.Options{})
	if s := all[0]; strings.Contains(s.Transcript.String(), "private") || s.LeftOut == 0 || s.Requests != 1 {
		t.Errorf("%d requests\n%s", s.Requests, s.Transcript)
	}
	f = newFilm()
	f.shake()
	f.dialogue("<220 mx ESMTP", ">EHLO x\nMAIL FROM:<a@mine.example>\nDATA\nprivate\n.\nQUIT", "<250 mx", "<250 ok", "<354 go", "<250 taken", "<221 bye")
	_, all = read(t, f.Bytes(), capture.Options{})
	if s := all[0]; strings.Contains(s.Transcript.String(), "private") || s.Requests != 4 || s.Replies != 6 {
		t.Errorf("%d requests\n%s", s.Requests, s.Transcript)
	}
}

// TestSilenceToTheEnd counts the silence of a server up to the end of the capture, which another stream marks.
func TestSilenceToTheEnd(t *testing.T) {
	f := newFilm()
	f.shake()
	f.dialogue("<220 mx ESMTP", ">EHLO x")
	f.at, f.port = f.at+time.Minute, 41000
	f.raw(0, 1, 0, syn, "")
	_, all := read(t, f.Bytes(), capture.Options{})
	slices.SortFunc(all, func(a, b *capture.Stream) int { return a.Number - b.Number })
	if s := all[0]; s.Waiting != "ehlo" || s.WaitedFor < 59*time.Second || s.Quiet < 59*time.Second {
		t.Errorf("waiting for %s for %v, quiet for %v", s.Waiting, s.WaitedFor, s.Quiet)
	}
	if s := all[1]; s.Quiet != 0 || s.Took != 0 {
		t.Errorf("the last packet: quiet for %v", s.Quiet)
	}
}

// TestRefusedBDAT wants the command behind a BDAT that no server takes to be a command, not octets.
func TestRefusedBDAT(t *testing.T) {
	for _, c := range []string{"BDAT", "BDAT 1234 SCRAMBLE", "BDAT SCRAMBLE", "BDAT -1 LAST", "BDAT 15555555557777777777 LAST"} {
		f := newFilm()
		f.shake()
		f.dialogue("<220 mx ESMTP", ">EHLO x", "<250 mx", ">"+c, "<521 5.5.4 Syntax", ">QUIT")
		_, all := read(t, f.Bytes(), capture.Options{})
		if all[0].Requests != 3 || all[0].Replies != 3 {
			t.Errorf("%s: %d requests, %d replies", c, all[0].Requests, all[0].Replies)
		}
	}
}

func TestCutAndLying(t *testing.T) {
	b := session().Bytes()
	if sum, _ := read(t, b[:len(b)-3], capture.Options{}); !sum.Cut {
		t.Error("a cut file is not noticed")
	}
	lie := slices.Clone(b)
	binary.LittleEndian.PutUint32(lie[24+8:], 0xfffffff0)
	if sum, _ := read(t, lie, capture.Options{}); sum.Broken == "" {
		t.Error("a lying header is not noticed")
	}
	if _, err := capture.Read(context.Background(), strings.NewReader("no capture"), capture.Options{}, nil); err != capture.ErrFormat {
		t.Error(err)
	}
}

// TestManyStreams holds the bound on streams followed at a time.
func TestManyStreams(t *testing.T) {
	f := newFilm()
	for i := range 5000 {
		f.port = uint16(1024 + i)
		f.raw(0, 1, 0, syn, "")
	}
	sum, all := read(t, f.Bytes(), capture.Options{MaxOpen: 100})
	if sum.Streams != 5000 || len(all) != 5000 || sum.Evicted != 4900 {
		t.Errorf("%+v, %d given", sum, len(all))
	}
}

func FuzzRead(f *testing.F) {
	f.Add(session().Bytes())
	f.Add([]byte("\x0a\x0d\x0d\x0a\x1c\x00\x00\x00\x4d\x3c\x2b\x1a\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x1c\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		sum, err := capture.Read(context.Background(), bytes.NewReader(b), capture.Options{}, func(*capture.Stream) { n++ })
		if err == nil && n != sum.Streams {
			t.Errorf("%d streams, %d given", sum.Streams, n)
		}
	})
}

func BenchmarkReadMessages(b *testing.B) {
	f := newFilm()
	for i := range 40 {
		f.port = uint16(2000 + i)
		f.shake()
		f.dialogue("<220 mx ESMTP", ">EHLO x", "<250 mx", ">MAIL FROM:<a@mine.example>", "<250 ok", ">RCPT TO:<b@to.example>", "<250 ok", ">DATA", "<354 go")
		for range 400 {
			f.send(0, ack, strings.Repeat("The quick brown fox jumps over the lazy dog, and then again over the cat.\r\n", 19))
		}
		f.dialogue(">.", "<250 ok", ">QUIT", "<221 bye")
	}
	b.SetBytes(int64(f.Len()))
	for b.Loop() {
		read(b, f.Bytes(), capture.Options{})
	}
}

func BenchmarkReadMillionStreams(b *testing.B) {
	f := newFilm()
	for i := range 1000000 {
		f.port = uint16(i)
		f.raw(0, uint32(i), 0, syn, "")
	}
	b.SetBytes(int64(f.Len()))
	for b.Loop() {
		if _, err := capture.Read(context.Background(), bytes.NewReader(f.Bytes()), capture.Options{}, func(*capture.Stream) {}); err != nil {
			b.Fatal(err)
		}
	}
}
