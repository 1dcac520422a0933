package cli

import (
	"net"
	"net/netip"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/tls"
	"github.com/mailwhy/mailwhy/internal/finding"
)

func (a *app) tlsCommand() *cobra.Command {
	start := "auto"
	c := &cobra.Command{
		Use:   "tls HOST:PORT…",
		Short: a.say("take the inventory of a TLS port: certificate, versions, cipher suites, key exchange"),
		Long: a.say(`Takes the inventory of a TLS port: the certificate chain and whether it is believed, every protocol version from SSL 3.0 on, every cipher suite and key exchange group the server accepts.

Up to 160 connections are opened, four at once. Without a port, 25 is meant. STARTTLS is spoken on the well-known ports of SMTP, IMAP, POP3 and ManageSieve.`),
		Args: a.nArgs(1, -1, "one host:port or more"),
		RunE: func(cmd *cobra.Command, args []string) error {
			type place struct {
				host  string
				port  uint16
				start string
			}
			var places []place
			for _, s := range args {
				host, port, err := hostPort(s, 25)
				if err != nil {
					return err
				}
				p := place{host, port, start}
				switch start {
				case "auto":
					p.start = tls.StartOf(port)
				case "none":
					p.start = ""
				case "smtp", "imap", "pop3", "sieve":
				default:
					return usage(finding.S("unknown protocol {{.Word}} in --starttls", finding.Args{"Word": start}), finding.S("one of auto, none, smtp, imap, pop3, sieve", nil))
				}
				places = append(places, p)
			}
			env, err := a.env()
			if err != nil {
				return err
			}
			ctx := a.begin(cmd)
			for _, p := range places {
				r, err := tls.Report(ctx, env, p.host, p.port, p.start)
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
	c.Flags().StringVar(&start, "starttls", start, a.say("how TLS starts: auto (by port), none, smtp, imap, pop3 or sieve"))
	return c
}

// hostPort takes host:port apart. The port may be missing, the host may be an address, bracketed where it has colons.
func hostPort(s string, port uint16) (string, uint16, error) {
	bad := func() (string, uint16, error) {
		return "", 0, usage(finding.S("{{.Name}} is no host:port", finding.Args{"Name": shorten(s)}), finding.S("give it like mx.example.com:25 or [2001:db8::1]:465", nil))
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return a.String(), port, nil
	}
	host := s
	if h, p, err := net.SplitHostPort(s); err == nil {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return bad()
		}
		host, port = h, uint16(n)
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return a.String(), port, nil
	}
	name, err := domainName(host)
	if err != nil {
		return bad()
	}
	return name, port, nil
}
