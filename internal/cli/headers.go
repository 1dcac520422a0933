package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/eml"
	"github.com/mailwhy/mailwhy/internal/check/message"
	"github.com/mailwhy/mailwhy/internal/finding"
)

func (a *app) headersCommand() *cobra.Command {
	var trust []string
	c := &cobra.Command{
		Use:   "headers FILE…",
		Short: a.say("read the header of a message: the way it came, the delays, whom to believe, what filters said"),
		Long: a.say(`Reads the header of a message: the way it came, oldest hop first, with the delay of each hop; where belief ends (the trust line); what the filters on the way noted; what is wrong with its fields and names.

FILE is a saved message or a pasted header; "-" or no FILE reads standard input. Nothing named inside the message is ever fetched; only the address it came in from is looked up in the DNS, and not even that with --offline.`),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := a.begin(cmd)
			env, err := a.env()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				args = []string{"-"}
			}
			for _, name := range args {
				m, err := a.readMessage(name)
				if err != nil {
					a.unread(name, err)
					continue
				}
				r, err := message.Survey(ctx, env, m, message.Options{Trust: trust})
				if err != nil {
					return err
				}
				if err := a.show(r); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().StringSliceVar(&trust, "trust", nil, a.say("our own border: host names (and all below them), addresses, prefixes; lines inward of it are believed (default: guessed)"))
	return c
}

// readMessage reads a message from a file or standard input.
func (a *app) readMessage(name string) (*eml.Message, error) {
	f, err := a.input(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return eml.Read(f, name)
}

// unread says that an input could not be read and lets it count towards the exit status; other inputs go on.
func (a *app) unread(name string, err error) {
	var re *readError
	switch {
	case errors.As(err, &re):
		a.warn(re.what)
	case errors.Is(err, eml.ErrNoHeader):
		a.warn(finding.S("{{.File}} holds no header fields", finding.Args{"File": name}))
	default:
		a.warn(finding.S("cannot read {{.File}}: {{.Text}}", finding.Args{"File": name, "Text": because(err)}))
	}
	if a.status == exitOK {
		a.status = exitUntested
	}
}
