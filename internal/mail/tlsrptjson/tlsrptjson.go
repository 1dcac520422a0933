// Package tlsrptjson reads SMTP TLS reports (RFC 8460 section 4.4).
//
// Promise: pure; at most MaxReport bytes are read. Unknown members are ignored, numbers that came as strings are taken.
package tlsrptjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// MaxReport is the largest report that is read, in bytes.
const MaxReport = 64 << 20

// Report is one report.
type Report struct {
	Org      string   `json:"organization-name"`
	Contact  string   `json:"contact-info"`
	ID       string   `json:"report-id"`
	Range    Range    `json:"date-range"`
	Policies []Policy `json:"policies"`
}

// Range is the time a report covers, as written (RFC 3339).
type Range struct {
	Start string `json:"start-datetime"`
	End   string `json:"end-datetime"`
}

// Times parses the range; zero where it does not parse.
func (r Range) Times() (start, end time.Time) {
	start, _ = time.Parse(time.RFC3339, r.Start)
	end, _ = time.Parse(time.RFC3339, r.End)
	return start, end
}

// Policy is what happened under one policy.
type Policy struct {
	Policy struct {
		Type   string  `json:"policy-type"` // "tlsa", "sts", "no-policy-found"
		Text   Strings `json:"policy-string"`
		Domain string  `json:"policy-domain"`
		MX     Strings `json:"mx-host"`
	} `json:"policy"`
	Summary struct {
		Success Number `json:"total-successful-session-count"`
		Failure Number `json:"total-failure-session-count"`
	} `json:"summary"`
	Failures []Failure `json:"failure-details"`
}

// Failure is one kind of failure between two servers.
type Failure struct {
	Type   string `json:"result-type"` // section 4.3
	From   string `json:"sending-mta-ip"`
	MX     string `json:"receiving-mx-hostname"`
	HELO   string `json:"receiving-mx-helo"`
	To     string `json:"receiving-ip"`
	Count  Number `json:"failed-session-count"`
	Info   string `json:"additional-information"`
	Reason string `json:"failure-reason-code"`
}

// Strings is an array of strings that some reporters write as one string.
type Strings []string

// UnmarshalJSON takes both forms.
func (s *Strings) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var one string
		if err := json.Unmarshal(b, &one); err != nil {
			return err
		}
		*s = Strings{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(s))
}

// Number is a count that some reporters write as a string.
type Number uint64

// UnmarshalJSON takes both forms; null is 0.
func (n *Number) UnmarshalJSON(b []byte) error {
	b = bytes.Trim(b, `"`)
	if string(b) == "null" || len(b) == 0 {
		return nil
	}
	v, err := strconv.ParseUint(string(b), 10, 48)
	if err != nil {
		return fmt.Errorf("%.40q is no count", b)
	}
	*n = Number(v)
	return nil
}

// ErrNotReport says that a document is JSON but no TLS report.
var ErrNotReport = errors.New("not a TLS report: no organization-name, date-range or policies")

// Read reads one report.
func Read(r io.Reader) (*Report, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxReport+1))
	if err != nil {
		return nil, err
	}
	if len(b) > MaxReport {
		return nil, fmt.Errorf("larger than %d bytes", MaxReport)
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	rep := &Report{}
	if err := json.Unmarshal(b, rep); err != nil {
		return nil, err
	}
	if rep.Org == "" && rep.Range.Start == "" && len(rep.Policies) == 0 {
		return nil, ErrNotReport
	}
	return rep, nil
}

// Sessions sums the sessions of all policies.
func (r *Report) Sessions() (success, failure uint64) {
	for _, p := range r.Policies {
		success += uint64(p.Summary.Success)
		failure += uint64(p.Summary.Failure)
	}
	return success, failure
}
