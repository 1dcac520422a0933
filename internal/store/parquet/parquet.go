// Package parquet writes journeys as Apache Parquet, for archives and for the tools of others: DuckDB, pandas, Spark,
// ClickHouse read it.
//
// Promise: a row for each recipient of a message, and for each refusal at the door; columns are typed, packed with zstd,
// and have bloom filters where people look things up. Memory is bounded by a row group. Column names are never reused.
package parquet

import (
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/mailwhy/mailwhy/internal/trace"
)

// Row is one recipient of one message. Times are UTC microseconds; an optional column is null where the logs do not tell.
type Row struct {
	Journey    string    `parquet:"journey"` // as mailwhy names it
	Started    time.Time `parquet:"started,timestamp(microsecond)"`
	Ended      time.Time `parquet:"ended,timestamp(microsecond)"`
	State      string    `parquet:"state,dict"`     // of the message: delivered, bounced …
	Direction  string    `parquet:"direction,dict"` // in, out or empty
	Hosts      []string  `parquet:"hosts,list"`
	QueueIDs   []string  `parquet:"queue_ids,list"`
	MessageID  string    `parquet:"message_id"`
	From       *string   `parquet:"from,optional"` // empty is the null sender
	Subject    string    `parquet:"subject"`
	Size       int64     `parquet:"size"` // bytes
	ClientIP   string    `parquet:"client_ip,dict"`
	ClientUser string    `parquet:"client_user,dict"`
	To         string    `parquet:"to"`
	Status     string    `parquet:"status,dict"` // of the recipient: sent, deferred, bounced, expired, rejected …
	At         time.Time `parquet:"at,timestamp(microsecond)"`
	Attempts   int32     `parquet:"attempts"`
	DelayMS    int64     `parquet:"delay_ms"`
	Relay      string    `parquet:"relay,dict"`
	RelayIP    string    `parquet:"relay_ip,dict"`
	Code       int32     `parquet:"code"`
	DSN        string    `parquet:"dsn,dict"`
	Text       string    `parquet:"text"`  // the reply
	Lines      string    `parquet:"lines"` // the log lines of the message, in the row of its first recipient
}

// groupRows is how many rows a group has at most: what is held in memory.
const groupRows = 50_000

// Write writes journeys, and gives how many rows they made.
func Write(w io.Writer, journeys iter.Seq2[*trace.Journey, error]) (rows int64, err error) {
	out := parquet.NewGenericWriter[Row](w, parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault}), parquet.CreatedBy("mailwhy", "", ""),
		parquet.BloomFilters(parquet.SplitBlockFilter(10, "message_id"), parquet.SplitBlockFilter(10, "to"), parquet.SplitBlockFilter(10, "from")))
	inGroup := 0
	for j, err := range journeys {
		if err != nil {
			return rows, err
		}
		all := Rows(j)
		if _, err := out.Write(all); err != nil {
			return rows, err
		}
		rows += int64(len(all))
		if inGroup += len(all); inGroup >= groupRows {
			if err := out.Flush(); err != nil {
				return rows, err
			}
			inGroup = 0
		}
	}
	if err := out.Close(); err != nil {
		return rows, fmt.Errorf("end of the Parquet file: %w", err)
	}
	return rows, nil
}

// Rows are the rows of a journey: one for each recipient and each refusal, and one where there is neither.
func Rows(j *trace.Journey) (out []Row) {
	base := Row{Journey: j.ID(), Started: j.Started.UTC(), Ended: j.Ended.UTC(), State: string(j.State), Direction: j.Direction, Hosts: j.Hosts, QueueIDs: j.QueueIDs,
		From: j.From, Subject: j.Subject, Size: j.Size}
	if len(j.MessageIDs) > 0 {
		base.MessageID = j.MessageIDs[0]
	}
	if j.Client != nil {
		base.ClientIP, base.ClientUser = j.Client.IP, j.Client.User
	}
	for i := range j.Recipients {
		r := &j.Recipients[i]
		row := base
		row.To, row.Status, row.At, row.Attempts, row.DelayMS = r.To, r.Status, r.At.UTC(), int32(r.Attempts), r.Delay.Milliseconds()
		row.Relay, row.RelayIP, row.Code, row.DSN, row.Text = r.Relay, r.RelayIP, int32(r.Code), r.DSN, r.Text
		out = append(out, row)
	}
	for i := range j.Rejects {
		r := &j.Rejects[i]
		row := base
		row.To, row.Status, row.At, row.Code, row.DSN, row.Text = r.To, "rejected", r.At.UTC(), int32(r.Code), r.DSN, r.Text
		if r.From != nil {
			row.From = r.From
		}
		out = append(out, row)
	}
	if len(out) == 0 {
		out = append(out, base)
	}
	var lines strings.Builder
	for i := range j.Steps {
		if l := j.Steps[i].Line; l != "" { // else its term is over
			lines.WriteString(l)
			lines.WriteByte('\n')
		}
	}
	out[0].Lines = lines.String()
	return out
}
