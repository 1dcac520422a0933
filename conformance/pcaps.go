package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/wire/capture"
)

// corrected are the answers of the sample that its source got wrong, each with the reason. Everything else must agree.
var corrected = map[string]struct {
	smtp  int      // requests; 0: as in the sample
	codes []string // nil: as in the sample
	from  []string
	why   string
}{
	"smtp/rfc3030-bdat-nonascii.pcap": {codes: []string{"220", "250", "250", "250", "250", "250", "250", "221"},
		why: "the reply to EHLO came as one line in each of two packets and was counted twice"},
	"smtp/smtp-bdat-cmd-chunk-size-overflow.pcap": {smtp: 5, why: "BDAT with a size no server takes, and the QUIT behind it, were taken for octets of a message"},
	"smtp/smtp-bdat-cmd-negative-chunk-size.pcap": {smtp: 5, why: "BDAT -1 and the QUIT behind it were taken for octets of a message"},
	"smtp/smtp-bdat-cmd-invalid.pcapng":           {smtp: 15, why: "two of three QUIT behind a refused BDAT were taken for octets of a message"},
	"smtp/smtp-bdat-pipeline-8bitmime.pcap": {smtp: 8, from: []string{"From:<linux-kernel-owner@vger.kernel.org> BODY=8BITMIME SIZE=4333", "From:<linux-kernel-owner@vger.kernel.org> BODY=8BITMIME SIZE=8546"},
		why: "MAIL, RCPT and BDAT in one packet, twice, were taken for octets of a message"},
}

// runPcaps reads the sample captures and holds them against what another reader saw in them.
func runPcaps(dir string) ([]score, error) {
	f, err := os.Open(filepath.Join(dir, "pcaps", "expected.jsonl"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	streams, requests, codes, from := score{name: "mail streams", aim: 1}, score{name: "requests", aim: 1}, score{name: "reply codes", aim: 1}, score{name: "MAIL FROM", aim: 1}
	for s := bufio.NewScanner(f); s.Scan(); {
		var want struct {
			File    string
			Streams int
			SMTP    int      `json:"smtp_reqs"`
			POP     int      `json:"pop_reqs"`
			IMAP    int      `json:"imap_reqs"`
			From    []string `json:"mail_from"`
			Codes   []string
		}
		if err := json.Unmarshal(s.Bytes(), &want); err != nil {
			return nil, err
		}
		if c, ok := corrected[want.File]; ok {
			want.SMTP = cmp.Or(c.smtp, want.SMTP)
			if c.codes != nil {
				want.Codes = c.codes
			}
			if c.from != nil {
				want.From = c.from
			}
		}
		in, err := os.Open(filepath.Join(dir, "pcaps", want.File))
		if err != nil {
			return nil, err
		}
		n, reqs, gotFrom, gotCodes := 0, map[string]int{}, []string(nil), []string(nil)
		_, err = capture.Read(context.Background(), in, capture.Options{}, func(s *capture.Stream) {
			if s.Requests+s.Replies > 0 {
				n++
			}
			reqs[s.Protocol] += s.Requests
			gotFrom, gotCodes = append(gotFrom, s.MailFrom...), append(gotCodes, s.Codes...)
		})
		_ = in.Close()
		if err != nil {
			return nil, err
		}
		wantCodes := strings.Split(strings.Join(want.Codes, ","), ",")
		if len(want.Codes) == 0 {
			wantCodes = nil
		}
		if len(want.Codes) >= 80 { // the list of the sample is cut there
			gotCodes = gotCodes[:min(len(gotCodes), len(wantCodes))]
		}
		streams.add(n == want.Streams, "%s: %d, want %d", want.File, n, want.Streams)
		requests.add(reqs["smtp"] == want.SMTP && reqs["pop3"] == want.POP && reqs["imap"] == want.IMAP, "%s: %v, want smtp %d pop3 %d imap %d", want.File, reqs, want.SMTP, want.POP, want.IMAP)
		codes.add(slices.Equal(gotCodes, wantCodes), "%s: %v, want %v", want.File, gotCodes, wantCodes)
		from.add(slices.Equal(gotFrom, want.From), "%s: %q, want %q", want.File, gotFrom, want.From)
	}
	return []score{streams, requests, codes, from}, nil
}
