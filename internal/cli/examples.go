package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

// examples are command lines for --help and the manual, by command. A test parses every one.
var examples = []struct {
	command string
	lines   []string
}{
	{"deliver", []string{"mailwhy deliver wang@partner.example", "mailwhy deliver --from li@mine.example --helo mail.mine.example wang@partner.example", "mailwhy deliver --record run.tape wang@partner.example"}},
	{"check", []string{"mailwhy check mine.example", "mailwhy check -f domains.txt --json", "mailwhy check mine.example --view google --format html > report.html"}},
	{"spf", []string{"mailwhy spf mine.example", "mailwhy spf mine.example --ip 192.0.2.25 --from li@mine.example"}},
	{"dkim", []string{"mailwhy dkim mine.example --selector 2026a"}},
	{"dmarc", []string{"mailwhy dmarc mine.example"}},
	{"mx", []string{"mailwhy mx mine.example"}},
	{"tls", []string{"mailwhy tls mail.mine.example:25", "mailwhy tls mail.mine.example:993"}},
	{"ip", []string{"mailwhy ip 192.0.2.25"}},
	{"blocklist", []string{"mailwhy blocklist 192.0.2.25 mine.example", "mailwhy blocklist --keys keys.toml -f addresses.txt"}},
	{"resolve", []string{"mailwhy resolve mine.example MX TXT", "mailwhy resolve mine.example --watch --for 1h"}},
	{"path", []string{"mailwhy path mail.partner.example:25"}},
	{"find", []string{"mailwhy find li@mine.example"}},
	{"login", []string{"mailwhy login li@mine.example --password-file secret.txt"}},
	{"server", []string{"mailwhy server mail.mine.example"}},
	{"receive", []string{"mailwhy receive li@mine.example"}},
	{"canary", []string{"mailwhy canary --from li@mine.example --to wang@partner.example --submit mail.mine.example:587"}},
	{"bounce", []string{"mailwhy bounce bounce.eml", "mailwhy bounce ~/Maildir --json"}},
	{"explain", []string{"mailwhy explain '550 5.7.26 This mail has been blocked because the sender is unauthenticated'", "mailwhy explain 4.7.25", "mailwhy explain ptr.missing"}},
	{"headers", []string{"mailwhy headers message.eml --trust mx.mine.example"}},
	{"verify", []string{"mailwhy verify message.eml"}},
	{"score", []string{"mailwhy score newsletter.eml", "mailwhy score newsletter.eml --spamassassin 127.0.0.1:783"}},
	{"reports", []string{"mailwhy reports google.com.zip reports/", "mailwhy reports --imap imaps://dmarc@mail.mine.example/INBOX --password-file secret.txt"}},
	{"trace", []string{"mailwhy trace wang@partner.example /var/log/mail.log*", "mailwhy trace 4D1A21C02B --raw /var/log/mail.log"}},
	{"sieve", []string{"mailwhy sieve filter.sieve --message message.eml"}},
	{"capture", []string{"mailwhy capture session.pcap --extract messages"}},
	{"threat", []string{"mailwhy threat 192.0.2.25 --feed drop.txt"}},
	{"inbox", []string{"mailwhy inbox --listen 0.0.0.0:25 --domain test.mine.example"}},
	{"demo", []string{"mailwhy demo", "mailwhy demo strict --lang zh", "mailwhy demo --live"}},
}

// addExamples puts the examples to their commands.
func addExamples(root *cobra.Command) {
	for _, e := range examples {
		if c := find(root, e.command); c != nil && c.Example == "" {
			c.Example = "  " + strings.Join(e.lines, "\n  ")
		}
	}
}
