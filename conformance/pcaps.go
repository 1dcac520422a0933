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

// runPcaps reads the sample captures. The known answers count what one frame holds as one request or reply, so
// pipelined commands and replies differ from ours, which counts each.
func runPcaps(dir string) ([]score, error) {
	f, err := os.Open(filepath.Join(dir, "pcaps", "expected.jsonl"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	streams, requests, codes, from := score{name: "mail streams", aim: 1}, score{name: "requests"}, score{name: "reply codes"}, score{name: "MAIL FROM"}
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
