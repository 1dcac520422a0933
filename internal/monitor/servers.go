package monitor

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/mailwhy/mailwhy/internal/check/find"
	"github.com/mailwhy/mailwhy/internal/check/tls"
	"github.com/mailwhy/mailwhy/internal/finding"
)

func findKind() Kind {
	type args struct {
		Address string `json:"address"`
	}
	return define(Kind{
		Name: "find", Title: finding.M("Settings of a mail program"), About: finding.M("what mail programs find out by themselves about a domain: SRV records, autoconfig, Autodiscover, and whether each server that they name answers"), Every: hour, FailAfter: 2,
		Fields:   []Field{{Name: "address", Label: finding.M("Address or domain"), Type: "text", Required: true, Example: "li@mine.example"}},
		Measures: countMeasures(),
	}, func(c *args) string { return c.Address },
		func(c *args, bad func(string, finding.Sentence)) {
			_, d, whole := strings.Cut(c.Address, "@")
			if !whole {
				d = c.Address
			} else {
				bad("address", mailAddress(c.Address))
			}
			_, s := domainName(d)
			bad("address", s)
		},
		func(ctx context.Context, d *Doors, c *args) (*Result, error) {
			_, name, whole := strings.Cut(c.Address, "@")
			address := c.Address
			if !whole {
				name, address = c.Address, ""
			}
			name, _ = domainName(name)
			return counted(find.Survey(ctx, d.Env, name, address))
		})
}

// startWords are the ways in which TLS may begin.
func startWords() []string { return []string{"auto", "none", "smtp", "imap", "pop3", "sieve"} }

// startOf brings a word into the form in which package tls takes it.
func startOf(word string, port uint16) string {
	switch word {
	case "", "auto":
		return tls.StartOf(port)
	case "none":
		return ""
	}
	return word
}

// portArgs name a port that speaks TLS.
type portArgs struct {
	Host     string `json:"host"`
	Port     uint16 `json:"port"`
	StartTLS string `json:"starttls"`
}

func portFields() []Field {
	return []Field{
		{Name: "host", Label: finding.M("Host"), Type: "text", Required: true, Example: "mail.mine.example"},
		{Name: "port", Label: finding.M("Port"), Type: "number", Example: "25"},
		{Name: "starttls", Label: finding.M("How TLS starts"), Type: "choice", Choices: startWords()},
	}
}

func (c *portArgs) target() string {
	return net.JoinHostPort(c.Host, strconv.Itoa(int(max(c.Port, 25))))
}

func (c *portArgs) check(bad func(string, finding.Sentence)) {
	_, s := hostName(c.Host)
	bad("host", s)
	bad("starttls", badStart(c.StartTLS))
}

// start gives what package tls takes.
func (c *portArgs) start() (host string, port uint16, startTLS string) {
	host, _ = hostName(c.Host)
	port = c.Port
	if port == 0 {
		port = 25
	}
	return host, port, startOf(c.StartTLS, port)
}

func tlsKind() Kind {
	return define(Kind{
		Name: "tls", Title: finding.M("TLS of a port"), About: finding.M("the whole inventory of a port: certificate, versions from TLS 1.0 on, cipher suites, key exchange; it makes dozens of connections"), Every: 24 * hour, FailAfter: 1,
		Fields:   portFields(),
		Measures: countMeasures(),
	}, (*portArgs).target, (*portArgs).check,
		func(ctx context.Context, d *Doors, c *portArgs) (*Result, error) {
			name, port, start := c.start()
			return counted(tls.Report(ctx, d.Env, name, port, start))
		})
}

func localKind() Kind {
	type args struct {
		NTP string `json:"ntp"`
	}
	return define(Kind{
		Name: "local", Machine: true, Title: finding.M("This machine as a mail server"), About: finding.M("ports and their processes, services, firewall, space, memory, load, clock, versions and configuration of the mail server on this machine"), Every: hour / 4, FailAfter: 2,
		Fields:   []Field{{Name: "ntp", Label: finding.M("Time server to compare the clock with"), Type: "text", Example: "ntp.mine.example"}},
		Measures: countMeasures(Measure{"free", "1", finding.M("free share of the fullest file system that mail needs, 0 to 1")}, Measure{"skew", "s", finding.M("how far the clock is off")}),
	}, func(*args) string { return "" },
		func(c *args, bad func(string, finding.Sentence)) {
			if _, _, ok := hostAndPort(c.NTP); c.NTP != "" && !ok {
				bad("ntp", finding.S("{{.Name}} is no host:port", finding.Args{"Name": cut(c.NTP)}))
			}
		},
		func(ctx context.Context, d *Doors, c *args) (*Result, error) {
			if d.Local == nil {
				return nil, fmt.Errorf("this machine cannot be looked at here")
			}
			r, values, err := d.Local(ctx, c.NTP)
			if err != nil {
				return nil, err
			}
			all := counts(r)
			for k, v := range values {
				all[k] = v
			}
			return &Result{Report: r, Values: all}, nil
		})
}

func badStart(word string) finding.Sentence {
	for _, w := range append(startWords(), "") {
		if w == word {
			return finding.Sentence{}
		}
	}
	return finding.S("unknown word {{.Word}}: one of {{list .All}}", finding.Args{"Word": cut(word), "All": startWords()})
}
