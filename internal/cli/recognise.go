package cli

import (
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailwhy/mailwhy/internal/finding"
)

// thing is a kind of WHAT that `mailwhy WHAT` knows, and the command that handles it.
type thing struct {
	command string
	is      func(words []string) bool
}

// things are tried in order; the first that fits a command of this binary runs.
var things = []thing{
	{"explain", func(w []string) bool { return len(w) == 1 && ruleByID(w[0]) != nil }},
	{"", isFile}, // files are looked into: see fileCommand
	{"explain", isReply},
	{"deliver", func(w []string) bool { return len(w) == 1 && isAddress(w[0]) }},
	{"ip", func(w []string) bool { _, err := netip.ParseAddr(w[0]); return len(w) == 1 && err == nil }},
	{"tls", func(w []string) bool { return len(w) == 1 && isHostPort(w[0]) }},
	{"server", func(w []string) bool { return len(w) == 1 && isMailHost(w[0]) }},
	{"check", func(w []string) bool { return allDomains(w) }},
}

// recognise runs the command that fits what the user has in hand.
func (a *app) recognise(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		if a.tape != nil && a.tape.Replaying() {
			return a.replay(cmd.Context())
		}
		return cmd.Help()
	}
	for _, t := range things {
		if !t.is(args) {
			continue
		}
		name := t.command
		if name == "" {
			name = a.fileCommand(args[0])
		}
		if sub := find(cmd.Root(), name); sub != nil {
			sub.SetContext(cmd.Context())
			a.cmd = sub
			return sub.RunE(sub, args)
		}
	}
	return usage(
		finding.S("{{.What}} is nothing mailwhy recognises", finding.Args{"What": strings.Join(args, " ")}),
		finding.S("give a domain, an address, an IP, host:port, an SMTP reply, a file, or a rule ID; mailwhy --help lists the commands", nil))
}

func find(root *cobra.Command, name string) *cobra.Command {
	for _, c := range root.Commands() {
		if c.Name() == name {
			return c
		}
	}
	return nil
}

func isFile(w []string) bool {
	st, err := os.Stat(w[0])
	return err == nil && (st.Mode().IsRegular() || st.IsDir())
}

var replyStart = regexp.MustCompile(`^([245]\d\d[ -]|[245]\.\d{1,3}\.\d{1,3}\b)`)

func isReply(w []string) bool { return replyStart.MatchString(strings.Join(w, " ") + " ") }

func isAddress(s string) bool {
	at := strings.LastIndexByte(s, '@')
	return at > 0 && at < len(s)-1 && !strings.ContainsAny(s, " /")
}

var mailHost = regexp.MustCompile(`(?i)^(?:imap|pop3?|smtps?|submission|mail|mx|sieve)[0-9-]*[.][^.]+[.]`)

// isMailHost tells a name that is a mail server's and no domain of addresses.
func isMailHost(s string) bool { return mailHost.MatchString(s) && allDomains([]string{s}) }

func isHostPort(s string) bool {
	h, p, err := net.SplitHostPort(s)
	if err != nil || h == "" {
		return false
	}
	n, err := strconv.Atoi(p)
	return err == nil && n > 0 && n < 65536
}

func allDomains(w []string) bool {
	for _, s := range w {
		if !strings.Contains(strings.TrimSuffix(s, "."), ".") || strings.ContainsAny(s, " /@:") || len(s) > 254 {
			return false
		}
	}
	return true
}
