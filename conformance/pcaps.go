package main

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/wire/capture"
)

// truth is what the client really said where the sample, which counts as Wireshark does, says otherwise; each with the reason.
var truth = map[string]struct {
	requests, replies int
	why               string
}{
	"smtp/rfc3030-bdat-nonascii.pcap":             {6, 8, "the reply to EHLO came as one line in each of two packets and was counted twice"},
	"smtp/smtp-bdat-cmd-chunk-size-overflow.pcap": {5, 5, "BDAT with a size no server takes, and the QUIT behind it, were taken for octets of a message"},
	"smtp/smtp-bdat-cmd-negative-chunk-size.pcap": {5, 5, "BDAT -1 and the QUIT behind it were taken for octets of a message"},
	"smtp/smtp-bdat-cmd-invalid.pcapng":           {15, 15, "two of three QUIT behind a refused BDAT were taken for octets of a message"},
	"smtp/smtp-bdat-pipeline-8bitmime.pcap":       {8, 9, "MAIL, RCPT and BDAT in one packet, twice, were taken for octets of a message; two replies in one packet count once"},
}

// runPcaps reads the sample captures and holds them against what another reader saw in them.
func runPcaps(dir string) ([]score, error) {
	f, err := os.Open(filepath.Join(dir, "pcaps", "expected.jsonl"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	streams, requests, codes, from := score{name: "mail streams", aim: 1}, score{name: "requests", aim: 1}, score{name: "reply codes", aim: 1}, score{name: "MAIL FROM", aim: 1}
	said := score{name: "what was really said", aim: 1}
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
		got, err := readPcap(filepath.Join(dir, "pcaps", want.File))
		if err != nil {
			return nil, err
		}
		var wantCodes []string
		if len(want.Codes) > 0 {
			wantCodes = strings.Split(strings.Join(want.Codes, ","), ",")
		}
		if len(want.Codes) >= 80 { // the list of the sample is cut there
			got.codes = got.codes[:min(len(got.codes), len(wantCodes))]
		}
		streams.add(got.streams == want.Streams, "%s: %d, want %d", want.File, got.streams, want.Streams)
		requests.add(got.packets["smtp"] == want.SMTP && got.packets["pop3"] == want.POP && got.packets["imap"] == want.IMAP, "%s: %v, want smtp %d pop3 %d imap %d", want.File, got.packets, want.SMTP, want.POP, want.IMAP)
		codes.add(slices.Equal(got.codes, wantCodes), "%s: %v, want %v", want.File, got.codes, wantCodes)
		from.add(slices.Equal(got.from, want.From), "%s: %q, want %q", want.File, got.from, want.From)
		if t, ok := truth[want.File]; ok {
			said.add(got.requests == t.requests && got.replies == t.replies, "%s: %d requests, %d replies, want %d, %d: %s", want.File, got.requests, got.replies, t.requests, t.replies, t.why)
		}
	}
	return []score{streams, requests, codes, from, said}, nil
}

// inPcap is what a capture holds: as packets, the way the sample counts, and as what was said.
type inPcap struct {
	streams           int
	packets           map[string]int // that carry requests, by protocol
	codes, from       []string
	requests, replies int // SMTP
}

func readPcap(name string) (got inPcap, err error) {
	in, err := os.Open(name)
	if err != nil {
		return got, err
	}
	defer in.Close()
	got.packets = map[string]int{}
	_, err = capture.Read(context.Background(), in, capture.Options{}, func(s *capture.Stream) {
		if s.Requests+s.Replies > 0 {
			got.streams++
		}
		if w := s.Wireshark; w != nil {
			got.packets[s.Protocol] += w.Requests
			got.codes, got.from = append(got.codes, w.Codes...), append(got.from, w.MailFrom...)
		}
		if s.Protocol == "smtp" {
			got.requests, got.replies = got.requests+s.Requests, got.replies+s.Replies
		}
	})
	return got, err
}
