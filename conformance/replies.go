package main

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mailwhy/mailwhy/internal/knowledge"
)

// plausible maps words of the samples' descriptions to the coarse classes that fit them. The first that is found judges.
var plausible = []struct {
	word    string
	classes []string
}{
	{"greylist", []string{"rate-limit"}},
	{"ptr", []string{"ip-or-reputation"}},
	{"helo value", []string{"ip-or-reputation"}},
	{"domain for spf authentication is listed", []string{"ip-or-reputation"}},
	{"dmarc", []string{"authentication(SPF/DKIM/DMARC)"}},
	{"did not pass spf", []string{"authentication(SPF/DKIM/DMARC)"}},
	{"no dns mx", []string{"sender-rejected"}},
	{"domains exist", []string{"sender-rejected"}},
	{"valid domain or the domain", []string{"sender-rejected"}},
	{"blocklist", []string{"ip-or-reputation", "content", "policy", "sender-rejected"}},
	{"block list", []string{"ip-or-reputation", "content", "policy"}},
	{"blacklist", []string{"ip-or-reputation"}},
	{"poor ip reputation", []string{"ip-or-reputation"}},
	{"low reputation", []string{"ip-or-reputation", "rate-limit"}},
	{"does not exist at", []string{"recipient-unknown"}},
	{"no typos", []string{"recipient-unknown"}},
	{"email address is invalid", []string{"recipient-unknown"}},
	{"valid recipient", []string{"recipient-unknown"}},
	{"over quota", []string{"mailbox-full"}},
	{"mailbox is full", []string{"mailbox-full"}},
	{"sufficient free space", []string{"mailbox-full"}},
	{"has been disabled", []string{"recipient-disabled"}},
	{"because of inactivity", []string{"recipient-disabled"}},
	{"high rate", []string{"rate-limit", "mailbox-full"}},
	{"ratelimit", []string{"rate-limit"}},
	{"too many concurrent", []string{"rate-limit"}},
	{"concurrent connections", []string{"rate-limit"}},
	{"attachment", []string{"policy", "content"}},
	{"size exceeds", []string{"size-or-limit"}},
	{"maximum limit set by", []string{"size-or-limit"}},
	{"known virus", []string{"content"}},
	{"spam", []string{"content", "ip-or-reputation", "policy", "rate-limit"}},
	{"temporary failure", []string{"remote-system", "rate-limit", "recipient-rejected"}},
	{"loop", []string{"network"}},
}

// runReplies explains the sample replies: how many are known, and whether the class fits what the sample's description
// says, where one of the words above stands in it.
func runReplies(dir string) ([]score, error) {
	f, err := os.Open(filepath.Join(dir, "replies", "responses.jsonl"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	know := knowledge.Embedded()
	known, fits := score{name: "known", aim: 0.97}, score{name: "class fits the description", aim: 0.9}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var d struct{ Provider, Response, Description string }
		if err := json.Unmarshal(sc.Bytes(), &d); err != nil {
			return nil, err
		}
		r := know.ReadReply(d.Response, knowledge.ReplyContext{})
		known.add(r.Known(), "%s: %s", d.Provider, d.Response)
		low := strings.ToLower(d.Description)
		for _, p := range plausible {
			if strings.Contains(low, p.word) {
				fits.add(slices.Contains(p.classes, r.Coarse), "%s: %s (%s by %q): %s | %s", d.Provider, r.Cause, r.Certainty, r.Matched, d.Response, d.Description)
				break
			}
		}
	}
	return []score{known, fits}, nil
}
