package cli

import (
	"context"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check"
	localcheck "github.com/mailwhy/mailwhy/internal/check/local"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/local"
)

// localOutput bounds what one command of this machine may print.
const localOutput = 8 << 20

func (a *app) localCommand() *cobra.Command {
	var ntp string
	c := &cobra.Command{
		Use:   "local",
		Short: a.say("look at the mail server of this machine from the inside"),
		Long: a.say(`Looks at this machine: which mail ports listen and whose they are, what the service manager and the packet filter say, space, memory, load and clock, the versions, and what in the configuration of Postfix, Exim and Dovecot is worth naming.

Nothing is changed. Every fact names the file or the command it came from; run it as root, or it cannot see whose a socket is and what the packet filter does.`),
		Args: a.nArgs(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			env, err := a.env()
			if err != nil {
				return err
			}
			r, err := thisMachine(a.begin(cmd), env, ntp, a.opt.timeout)
			if err != nil {
				return err
			}
			return a.show(r)
		},
	}
	c.Flags().StringVar(&ntp, "ntp", "", a.say("time server to compare the clock with, host or host:port (default: the clock is not compared)"))
	return c
}

// thisMachine looks at this machine. ntp is a time server, "" for none; timeout is that of each command.
func thisMachine(ctx context.Context, env *check.Env, ntp string, timeout time.Duration) (*finding.Report, error) {
	door := localcheck.Door{
		Files: os.DirFS("/"), Disk: local.ReadDisk,
		Run: func(ctx context.Context, name string, args ...string) ([]byte, error) {
			return local.Output(ctx, timeout, localOutput, name, args...)
		},
	}
	if ntp != "" && !env.Probe.Offline {
		if _, _, err := net.SplitHostPort(ntp); err != nil {
			ntp = net.JoinHostPort(ntp, "123")
		}
		door.Skew = func(ctx context.Context) (time.Duration, error) {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			var dial wire.Dialer = &net.Dialer{}
			skew, _, err := local.Skew(ctx, dial, ntp, time.Now)
			return skew, err
		}
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, unreadable("hostname", err)
	}
	r, err := localcheck.Survey(ctx, env, door, host)
	if err != nil {
		return nil, err
	}
	if r.Headline.State == finding.StateOK && len(r.Facts.(*localcheck.Facts).Software) == 0 {
		r.Headline.Says = finding.S("No mail server that mailwhy knows is installed on {{.Host}}; what else was looked at is fine.", finding.Args{"Host": host})
	}
	return r, nil
}

// localValues are what a monitor measures of this machine.
func localValues(r *finding.Report) map[string]float64 {
	out := map[string]float64{}
	f, ok := r.Facts.(*localcheck.Facts)
	if !ok {
		return out
	}
	for _, d := range f.Disks {
		if d.Total == 0 {
			continue
		}
		free := float64(d.Free) / float64(d.Total)
		if least, seen := out["free"]; !seen || free < least {
			out["free"] = free
		}
	}
	if f.Skew != nil {
		out["skew"] = f.Skew.Abs().Seconds()
	}
	return out
}
