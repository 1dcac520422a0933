package cli

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/check/path"
	"github.com/mailwhy/mailwhy/internal/finding"
	"github.com/mailwhy/mailwhy/internal/render"
	"github.com/mailwhy/mailwhy/internal/wire/route"
)

func (a *app) pathCommand() *cobra.Command {
	var opt path.Options
	var source, svg string
	var methods []string
	c := &cobra.Command{
		Use:   "path HOST[:PORT]",
		Short: a.say("trace the way to a mail server and say what is wrong on it: loss, delay, filters, packet size"),
		Long: a.say(`Traces the way to a host by ICMP echo, by UDP and by TCP to the mail port (25 if none is given), over IPv4 and IPv6, several rounds, and names the network of each hop. Tells real loss from a router that answers sparingly, a delay that stays from a slow router, and finds where the mail port is filtered although the host is there, who answers in its place, private and shared addresses on the way, and packets too large for it.

ICMP needs root or CAP_NET_RAW; without it UDP and TCP still trace, on Linux. The mail port gets a handful of connections, which are given up at once; nothing is said to the server.`),
		Args: a.nArgs(1, 1, "one host, or host:port"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if opt.Host, opt.Port, err = hostAndPort(args[0]); err != nil {
				return err
			}
			if opt.Rounds < 1 || opt.Rounds > 100 {
				return usage(finding.S("--rounds wants a number from 1 to 100", nil), finding.Sentence{})
			}
			if opt.MaxHops < 1 || opt.MaxHops > 64 {
				return usage(finding.S("--max-hops wants a number from 1 to 64", nil), finding.Sentence{})
			}
			if opt.Wait < 0 || opt.Wait > time.Minute {
				return usage(finding.S("--wait wants a time of up to a minute, such as 2s", nil), finding.Sentence{})
			}
			for _, m := range methods {
				switch m := route.Method(m); m {
				case route.ICMP, route.UDP, route.TCP:
					opt.Methods = append(opt.Methods, m)
				default:
					return usage(finding.S("{{.Word}} in --by is no way of asking", finding.Args{"Word": shorten(string(m))}), finding.S("one of icmp, udp, tcp", nil))
				}
			}
			env, err := a.env()
			if err != nil {
				return err
			}
			if source != "" {
				ip, err := netip.ParseAddr(source)
				if err != nil {
					return usage(finding.S("{{.Name}} is not an IP address", finding.Args{"Name": shorten(source)}), finding.Sentence{})
				}
				env.Probe.Source = ip.Unmap().String()
			}
			r, err := path.Survey(a.begin(cmd), env, opt)
			if err != nil {
				return err
			}
			if svg != "" {
				if err := a.writePicture(svg, r); err != nil {
					return err
				}
			}
			return a.show(r)
		},
	}
	c.Flags().IntVar(&opt.Rounds, "rounds", 10, a.say("how often each hop is asked; three times as often where packets are lost"))
	c.Flags().IntVar(&opt.MaxHops, "max-hops", 30, a.say("how far to go"))
	c.Flags().DurationVar(&opt.Wait, "wait", 0, a.say("longest wait for an answer (default: 1 s, and less where the way is quick)"))
	c.Flags().StringSliceVar(&methods, "by", nil, a.say("ask by icmp, udp or tcp only (repeatable)"))
	c.Flags().StringVar(&source, "ip", "", a.say("send from this address of ours"))
	c.Flags().StringVar(&svg, "svg", "", a.say("write a picture of the way to this file"))
	return c
}

// hostAndPort reads HOST, ADDRESS, HOST:PORT or [ADDRESS]:PORT; the port is 0 where none is given.
func hostAndPort(s string) (host string, port uint16, err error) {
	if ip, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return ip.Unmap().String(), 0, nil
	}
	host = s
	if h, p, err := net.SplitHostPort(s); err == nil {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return "", 0, usage(finding.S("{{.Port}} is no port", finding.Args{"Port": shorten(p)}), finding.S("give a number from 1 to 65535, as in mx.example.com:587", nil))
		}
		host, port = h, uint16(n)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().String(), port, nil
	}
	host, err = domainName(host)
	return host, port, err
}

// writePicture writes the ways of a report as one SVG file.
func (a *app) writePicture(name string, r *finding.Report) error {
	f, ok := r.Facts.(*path.Facts)
	if !ok {
		return nil
	}
	st := render.Style{Lang: a.lang}
	if err := os.WriteFile(name, []byte(st.Pictures(path.Picture(f))), 0o644); err != nil {
		return unreadable(name, err)
	}
	return nil
}
