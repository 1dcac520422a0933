package parquet

import (
	"bytes"
	"errors"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/mailwhy/mailwhy/internal/trace"
)

func journeys() []*trace.Journey {
	from, null := "li@mine.example", ""
	at := time.Date(2026, 11, 22, 10, 0, 0, 123456000, time.UTC)
	return []*trace.Journey{
		{QueueIDs: []string{"A1", "B1"}, MessageIDs: []string{"m1@mine.example"}, Hosts: []string{"mx1", "mx2"}, From: &from, Subject: "测试", Size: 1000, State: trace.Partly, Direction: "out", Started: at, Ended: at.Add(time.Minute),
			Client: &trace.Client{IP: "192.0.2.5", User: "li"},
			Recipients: []trace.Recipient{
				{To: "wang@partner.example", Status: "sent", Attempts: 1, At: at, Delay: 1500 * time.Millisecond, Relay: "mx.partner.example", RelayIP: "198.51.100.9", Code: 250, DSN: "2.0.0", Text: "ok"},
				{To: "sun@partner.example", Status: "bounced", Attempts: 2, At: at.Add(time.Second), Code: 550, DSN: "5.1.1", Text: "User unknown"},
			},
			Steps: []trace.Step{{Line: "line one"}, {Line: "line two"}}},
		{From: &null, State: trace.RejectedS, Started: at, Rejects: []trace.Reject{{At: at, To: "nobody@mine.example", Code: 554, Text: "blocked"}}},
		{QueueIDs: []string{"C1"}, State: trace.NotKnown, Started: at},
	}
}

func each(list []*trace.Journey) iter.Seq2[*trace.Journey, error] {
	return func(yield func(*trace.Journey, error) bool) {
		for _, j := range list {
			if !yield(j, nil) {
				return
			}
		}
	}
}

func TestRoundTrip(t *testing.T) {
	var b bytes.Buffer
	n, err := Write(&b, each(journeys()))
	if err != nil || n != 4 {
		t.Fatal(n, err)
	}
	rows, err := parquet.Read[Row](bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || len(rows) != 4 {
		t.Fatal(len(rows), err)
	}
	r := rows[0]
	if r.To != "wang@partner.example" || *r.From != "li@mine.example" || r.Subject != "测试" || r.DelayMS != 1500 || r.Lines != "line one\nline two\n" || len(r.QueueIDs) != 2 || !r.Started.Equal(journeys()[0].Started) || r.Code != 250 {
		t.Errorf("%+v", r)
	}
	if rows[1].Lines != "" || rows[1].Status != "bounced" || rows[2].Status != "rejected" || *rows[2].From != "" || rows[3].From != nil || rows[3].QueueIDs[0] != "C1" {
		t.Errorf("%+v", rows[1:])
	}
	f, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	filtered := 0
	for _, g := range f.RowGroups() {
		for _, c := range g.ColumnChunks() {
			if fl := c.BloomFilter(); fl != nil {
				filtered++
				if ok, err := fl.Check(parquet.ValueOf("sun@partner.example")); c.Column() == 17 && (!ok || err != nil) {
					t.Errorf("the filter denies what is there: %v %v", ok, err)
				}
			}
		}
	}
	if filtered != 3 {
		t.Errorf("%d bloom filters", filtered)
	}
}

func TestManyGroups(t *testing.T) {
	var many []*trace.Journey
	for range 60_000 {
		many = append(many, journeys()[0])
	}
	var b bytes.Buffer
	if n, err := Write(&b, each(many)); err != nil || n != 120_000 {
		t.Fatal(n, err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || f.NumRows() != 120_000 || len(f.RowGroups()) < 2 {
		t.Errorf("%d rows in %d groups, %v", f.NumRows(), len(f.RowGroups()), err)
	}
}

func TestErrorOfTheStore(t *testing.T) {
	broken := errors.New("broken")
	var b bytes.Buffer
	if _, err := Write(&b, func(yield func(*trace.Journey, error) bool) { yield(nil, broken) }); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// TestOthersReadIt asks a reader of another house, where one is installed.
func TestOthersReadIt(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err == nil {
		err = exec.Command(python, "-c", "import pyarrow.parquet").Run()
	}
	if err != nil {
		t.Skip("no reader of another house: python3 with pyarrow is not installed")
	}
	var b bytes.Buffer
	if _, err := Write(&b, each(journeys())); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "journeys.parquet")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, "-c", "import sys, pyarrow.parquet as p; t = p.read_table(sys.argv[1]); print(t.num_rows, t.column('to').to_pylist()[1], t.column('queue_ids').to_pylist()[0], t.column('started').to_pylist()[0])", name).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "4 sun@partner.example ['A1', 'B1'] 2026-11-22 10:00:00.123456") {
		t.Errorf("%s %v", out, err)
	}
}
