package cli

import (
	"bufio"
	"encoding/json"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/trace"
)

func (a *app) storeExport() *cobra.Command {
	var to, since, until string
	c := &cobra.Command{Use: "export", Short: a.say("write every message of the store as JSON, one a line, the newest first"), Args: cobra.NoArgs}
	folder := a.storeFolder(c)
	c.Flags().StringVarP(&to, "output", "o", "", a.say("write to this file instead of standard output"))
	c.Flags().StringVar(&since, "since", "", a.say("from this time on: 2026-11-22, \"2026-11-22 14:00\", RFC 3339, or so long ago (90m, 24h, 7d)"))
	c.Flags().StringVar(&until, "until", "", a.say("until this time"))
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		q := trace.Query{Kind: trace.ByFate, Newest: true}
		var err error
		if q.Since, err = a.when(since, time.Now()); err != nil {
			return err
		}
		if q.Until, err = a.when(until, time.Now()); err != nil {
			return err
		}
		ctx := a.begin(cmd)
		s, err := a.openStore(ctx, folder(), true)
		if err != nil {
			return err
		}
		defer s.Close()
		w := bufio.NewWriterSize(a.out, 1<<16)
		if to != "" {
			f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return unreadable(to, err)
			}
			defer f.Close()
			w = bufio.NewWriterSize(f, 1<<16)
		}
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		for j, err := range s.Journeys(ctx, q) {
			if err == nil {
				err = enc.Encode(exported{j.ID(), j})
			}
			if err != nil {
				return err
			}
		}
		return w.Flush()
	}
	return c
}

// exported is a line of `mailwhy store export`.
type exported struct {
	ID string `json:"id"`
	*trace.Journey
}
