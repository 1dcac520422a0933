package cli

import (
	"io"
	"net"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/delivery"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/wire"
	"github.com/mailwhy/mailwhy/internal/wire/smtp"
)

// maxMessage bounds the file of --send: 50 MB.
const maxMessage = 50 << 20

func (a *app) deliverCommand() *cobra.Command {
	var from, send, helo, source, via, public string
	c := &cobra.Command{
		Use:   "deliver ADDRESS…",
		Short: a.say("find out why mail does or does not reach an address"),
		Long: a.say(`Walks the way of a message to an address, stage by stage, as a mail server would: address, DNS, every mail server and address, greeting, EHLO, STARTTLS with MTA-STS and DANE, MAIL FROM, RCPT TO. Nothing is sent unless --send is given. Our own side is looked at too: address, reverse name, blocklists, SPF and DMARC of the sender.

The transcripts are shown with -v.`),
		Args: a.nArgs(1, -1, "one address or more"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opt := delivery.Options{From: from, HELO: helo}
			var err error
			if via != "" {
				if opt.Via, opt.ViaPort, err = hostPort(via, 25); err != nil {
					return err
				}
			}
			if opt.PublicIP, err = ipFlag("--public-ip", public); err != nil {
				return err
			}
			if send != "" {
				if opt.Message, err = a.message(send); err != nil {
					return err
				}
			}
			env, err := a.env()
			if err != nil {
				return err
			}
			src, err := ipFlag("--ip", source)
			if err != nil {
				return err
			}
			if src.IsValid() {
				env.Probe.NoIPv6 = env.Probe.NoIPv6 || src.Is4() // the other family cannot be reached from there
				env.Dial = &net.Dialer{Timeout: a.opt.timeout, LocalAddr: &net.TCPAddr{IP: src.AsSlice()}}
			}
			env.Gate = &wire.Gate{AtOnce: 1}
			env.SMTP = &smtp.Prober{Door: env.SMTPDoor()}
			ctx := a.begin(cmd)
			for _, to := range args {
				opt.To = to
				if err := a.show(delivery.Survey(ctx, env, opt)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&from, "from", "", a.say("sender of the envelope (default: the null sender)"))
	f.StringVar(&send, "send", "", a.say("really send this message file after RCPT (- is standard input)"))
	f.StringVar(&helo, "helo", "", a.say("our name in EHLO (default: this machine's)"))
	f.StringVar(&source, "ip", "", a.say("connect from this address of this machine"))
	f.StringVar(&via, "via", "", a.say("go through this smarthost, HOST[:PORT], instead of the recipient's servers"))
	f.StringVar(&public, "public-ip", "", a.say("our address as the world sees it, where a NAT hides it"))
	return c
}

// message reads a message file whole, at most maxMessage.
func (a *app) message(name string) ([]byte, error) {
	r, err := a.input(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxMessage+1))
	switch {
	case err != nil:
		return nil, unreadable(name, err)
	case len(b) > maxMessage:
		return nil, &readError{what: finding.S("{{.File}} is larger than {{size .Max}}", finding.Args{"File": name, "Max": maxMessage})}
	case len(b) == 0:
		return nil, &readError{what: finding.S("{{.File}} is empty: there is nothing to send", finding.Args{"File": name})}
	}
	return b, nil
}

// ipFlag reads the address of a flag; an empty one is the invalid address.
func ipFlag(flag, s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return ip, usage(finding.S("{{.Word}} in {{.Flag}} is no IP address", finding.Args{"Word": shorten(s), "Flag": flag}), finding.Sentence{})
	}
	return ip.Unmap(), nil
}
