package tape

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/mailwhy/mailwhy/internal/wire"
)

func TestRecordThenReplay(t *testing.T) {
	var buf bytes.Buffer
	start := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	rec := NewRecorder(&buf, start, []string{"check", "example.com"})
	observe := func(tp wire.Tape, name string, live func() (int, error)) (int, error) {
		return wire.Observe(tp, "dns", map[string]string{"name": name}, live)
	}
	if n, err := observe(rec, "a", func() (int, error) { return 7, nil }); n != 7 || err != nil {
		t.Fatal(n, err)
	}
	_, _ = observe(rec, "b", func() (int, error) { return 0, &wire.Fault{Kind: wire.Refused, Text: "no"} })
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	play, err := Open(&buf)
	if err != nil {
		t.Fatal(err)
	}
	live := func() (int, error) { t.Fatal("a replay looked"); return 0, nil }
	if n, err := observe(play, "a", live); n != 7 || err != nil {
		t.Errorf("replayed %d, %v", n, err)
	}
	var f *wire.Fault
	if _, err := observe(play, "b", live); !errors.As(err, &f) || f.Kind != wire.Refused {
		t.Errorf("the recorded fault came back as %v", err)
	}
	if _, err := observe(play, "c", live); !errors.As(err, &f) || f.Kind != wire.OffTape {
		t.Errorf("what was never recorded came back as %v", err)
	}
	if !play.Started().Equal(start) || play.Args()[1] != "example.com" {
		t.Errorf("header %v %v", play.Started(), play.Args())
	}
}

func TestOpenRefusesWhatIsNoRecording(t *testing.T) {
	for _, s := range []string{"", "{}\n", "hello\n", `{"mailwhy_tape":99}` + "\n"} {
		if _, err := Open(bytes.NewBufferString(s)); err == nil {
			t.Errorf("%q was taken for a recording", s)
		}
	}
}
