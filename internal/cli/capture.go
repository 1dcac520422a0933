package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/capture"
	"github.com/mailwhy/mailwhy/internal/finding"
	wirecapture "github.com/mailwhy/mailwhy/internal/wire/capture"
)

// maxExtracted bounds the files of --extract.
const maxExtracted = 100000

func (a *app) captureCommand() *cobra.Command {
	var opt wirecapture.Options
	var extract string
	c := &cobra.Command{
		Use:   "capture FILE…",
		Short: a.say("say why mail fails from a packet capture (pcap, pcapng)"),
		Long: a.say(`Puts the SMTP, IMAP and POP3 sessions of a packet capture together again and says what went wrong: no answer to SYN, refused, reset and by whom, late or no greeting, silence after a command, refusals in words, TLS alerts, large packets that vanish, loss, a receiver that does not read.

FILE is a pcap or pcapng file, packed with gzip or not; "-" reads standard input, as from: tcpdump -U -s 0 -w - port 25 | mailwhy capture -

Passwords are masked and messages are counted, not shown. The transcripts are shown with -v.`),
		RunE: func(cmd *cobra.Command, args []string) error {
			env, err := a.env()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				args = []string{"-"}
			}
			if extract != "" {
				opt.Message = extractor(extract)
			}
			ctx := a.begin(cmd)
			for _, name := range args {
				in, err := a.input(name)
				if err != nil {
					a.unread(name, err)
					continue
				}
				r, err := capture.Survey(ctx, env, in, name, opt)
				_ = in.Close()
				switch {
				case errors.Is(err, wirecapture.ErrFormat):
					a.unread(name, &readError{what: finding.S("{{.File}} is neither pcap nor pcapng", finding.Args{"File": name})})
					continue
				case err != nil && ctx.Err() == nil:
					a.unread(name, err)
					continue
				case err != nil:
					return err
				}
				if err := a.show(r); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&opt.ShowSecrets, "show-secrets", false, a.say("show passwords as they were sent"))
	c.Flags().StringVar(&extract, "extract", "", a.say("write each message to this folder as an .eml file"))
	return c
}

// extractor opens a new file per message; a file that is there already is never written over.
func extractor(dir string) func(stream, n int) (io.WriteCloser, error) {
	count := 0
	return func(stream, n int) (io.WriteCloser, error) {
		if count == 0 {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return nil, err
			}
		}
		if count++; count > maxExtracted {
			return nil, nil
		}
		return os.OpenFile(filepath.Join(dir, fmt.Sprintf("stream-%05d-%d.eml", stream, n)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
}
