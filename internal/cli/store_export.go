package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"iter"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/store/parquet"
	"github.com/mailwhy/mailwhy/internal/trace"
)

// exportFlags are the flags of `mailwhy store export`.
type exportFlags struct {
	to, since, until, format, store, passwordFile string
}

func (a *app) storeExport() *cobra.Command {
	var f exportFlags
	c := &cobra.Command{Use: "export", Short: a.say("write every message of the store as JSON, one a line, or as Parquet, the newest first"), Args: cobra.NoArgs}
	folder := a.storeFolder(c)
	fl := c.Flags()
	fl.StringVarP(&f.to, "output", "o", "", a.say("write to this file instead of standard output"))
	fl.StringVar(&f.format, "format", "json", a.say("json, or parquet: a row for each recipient, for DuckDB, pandas, Spark and the like"))
	fl.StringVar(&f.since, "since", "", a.say("from this time on: 2026-11-22, \"2026-11-22 14:00\", RFC 3339, or so long ago (90m, 24h, 7d)"))
	fl.StringVar(&f.until, "until", "", a.say("until this time"))
	fl.StringVar(&f.store, "store", "", a.say("a ClickHouse store instead of the folder: clickhouse://user@host:9000,…/database?cluster=name"))
	a.storePasswordFlag(c, &f.passwordFile)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		q := trace.Query{Kind: trace.ByFate, Newest: true}
		var err error
		if q.Since, err = a.when(f.since, time.Now()); err != nil {
			return err
		}
		if q.Until, err = a.when(f.until, time.Now()); err != nil {
			return err
		}
		write, ok := exporters[f.format]
		if !ok {
			return usage(finding.S("unknown format {{.Word}}", finding.Args{"Word": shorten(f.format)}), finding.S("one of {{list .All}}", finding.Args{"All": []string{"json", "parquet"}}))
		}
		ctx := a.begin(cmd)
		where := f.store
		if where == "" {
			where = folder()
		}
		s, err := a.openAsked(ctx, where, f.passwordFile)
		if err != nil {
			return err
		}
		defer s.Close()
		return a.writeExport(ctx, f.to, func(w io.Writer) error { return write(w, s.Journeys(ctx, q)) })
	}
	return c
}

// exporters write journeys in a format.
var exporters = map[string]func(io.Writer, iter.Seq2[*trace.Journey, error]) error{
	"json": exportJSON,
	"parquet": func(w io.Writer, all iter.Seq2[*trace.Journey, error]) error {
		_, err := parquet.Write(w, all)
		return err
	},
}

// writeExport writes to a new file, which is removed again where that fails, or to standard output.
func (a *app) writeExport(ctx context.Context, name string, write func(io.Writer) error) error {
	if name == "" {
		w := bufio.NewWriterSize(a.out, 1<<16)
		if err := write(w); err != nil {
			return err
		}
		return w.Flush()
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return unreadable(name, err)
	}
	w := bufio.NewWriterSize(f, 1<<16)
	if err = write(w); err == nil {
		err = w.Flush()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = os.Remove(name) // half a file is worse than none
		return notDone(ctx, name, err)
	}
	return nil
}

// exportJSON writes a line of JSON for each journey.
func exportJSON(w io.Writer, all iter.Seq2[*trace.Journey, error]) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for j, err := range all {
		if err == nil {
			err = enc.Encode(exported{j.ID(), j})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// exported is a line of `mailwhy store export`.
type exported struct {
	ID string `json:"id"`
	*trace.Journey
}
