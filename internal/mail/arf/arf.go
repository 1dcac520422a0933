// Package arf reads the machine part of feedback reports: abuse complaints (RFC 5965) and reports about single messages
// that failed authentication (RFC 6591, RFC 9991).
//
// Promise: pure; takes the message/feedback-report part apart, and the head of the message that is reported. Field names
// are compared without case; unknown fields are kept.
package arf

import (
	"bufio"
	"bytes"
	"errors"
	"net/mail"
	"net/netip"
	"strings"
	"time"
)

// MaxFields bounds the fields of a report.
const MaxFields = 500

// Field is one field, in order.
type Field struct {
	Name, Value string
}

// Report is the machine part of a feedback report.
type Report struct {
	Type       string     `json:"feedback_type"` // "abuse", "auth-failure", "fraud", …
	UserAgent  string     `json:"user_agent,omitempty"`
	Version    string     `json:"version,omitempty"`
	Failure    string     `json:"auth_failure,omitempty"` // RFC 6591: "dmarc", "spf", "dkim", "bodyhash", …
	Result     string     `json:"delivery_result,omitempty"`
	SourceIP   netip.Addr `json:"source_ip,omitzero"`
	Domains    []string   `json:"reported_domains,omitempty"`
	MailFrom   string     `json:"original_mail_from,omitempty"`
	RcptTo     []string   `json:"original_rcpt_to,omitempty"`
	Arrival    time.Time  `json:"arrival,omitzero"`
	Incidents  string     `json:"incidents,omitempty"`
	Aligned    string     `json:"identity_alignment,omitempty"` // RFC 9991: what failed to align: "dkim", "spf", "none"
	DKIMDomain string     `json:"dkim_domain,omitempty"`
	SPFDNS     string     `json:"spf_dns,omitempty"`
	Fields     []Field    `json:"-"`
}

// ErrNotReport says that a part has no Feedback-Type.
var ErrNotReport = errors.New("not a feedback report: no Feedback-Type")

// Parse reads the content of a message/feedback-report part.
func Parse(b []byte) (*Report, error) {
	r := &Report{}
	sc := bufio.NewScanner(bytes.NewReader(b))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() && len(r.Fields) < MaxFields {
		line := strings.TrimRight(sc.Text(), "\r")
		switch name, value, ok := strings.Cut(line, ":"); {
		case strings.TrimSpace(line) == "":
		case line[0] == ' ' || line[0] == '\t':
			if n := len(r.Fields); n > 0 && len(r.Fields[n-1].Value) < 1<<16 {
				r.Fields[n-1].Value += " " + strings.TrimSpace(line)
			}
		case ok && !strings.ContainsAny(name, " \t"):
			r.Fields = append(r.Fields, Field{name, strings.TrimSpace(value)})
		}
	}
	if err := sc.Err(); err != nil {
		return nil, err
	}
	for _, f := range r.Fields {
		r.field(f)
	}
	if r.Type == "" {
		return nil, ErrNotReport
	}
	return r, nil
}

func (r *Report) field(f Field) {
	switch strings.ToLower(f.Name) {
	case "feedback-type":
		r.Type = strings.ToLower(f.Value)
	case "user-agent":
		r.UserAgent = f.Value
	case "version":
		r.Version = f.Value
	case "auth-failure":
		r.Failure = strings.ToLower(f.Value)
	case "delivery-result":
		r.Result = strings.ToLower(f.Value)
	case "source-ip":
		if ip, err := netip.ParseAddr(strings.Trim(f.Value, "[]")); err == nil {
			r.SourceIP = ip.Unmap().WithZone("")
		}
	case "reported-domain":
		r.Domains = append(r.Domains, strings.ToLower(f.Value))
	case "original-mail-from", "original-envelope-from":
		r.MailFrom = strings.Trim(f.Value, "<> ")
	case "original-rcpt-to":
		r.RcptTo = append(r.RcptTo, strings.Trim(f.Value, "<> "))
	case "arrival-date", "received-date":
		r.Arrival, _ = mail.ParseDate(f.Value)
	case "incidents":
		r.Incidents = f.Value
	case "identity-alignment":
		r.Aligned = strings.ToLower(f.Value)
	case "dkim-domain":
		r.DKIMDomain = strings.ToLower(f.Value)
	case "spf-dns":
		r.SPFDNS = f.Value
	}
}
