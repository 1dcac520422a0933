// Package fields looks at the header of a message itself: which fields are there, how often, in what form, and whether
// the names in them fit together.
//
// Promise: Read gathers facts from a parsed header, Judge is pure. RFC 5322 sections 3.3 to 3.6, RFC 2047, RFC 6532. It
// does not look at signatures or at the way of the message.
package fields

import (
	"net/mail"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/mailwhy/mailwhy/internal/mail/date"
	"github.com/mailwhy/mailwhy/internal/mail/header"
)

// Address is one mailbox of a field.
type Address struct {
	Name    string `json:"name,omitempty"`
	Address string `json:"address"`
	Domain  string `json:"domain,omitempty"` // lower case, without a trailing dot
}

// Facts are what the header says of itself.
type Facts struct {
	From       []Address      `json:"from"`
	Sender     *Address       `json:"sender,omitempty"`
	ReplyTo    []Address      `json:"reply_to,omitempty"`
	ReturnPath *Address       `json:"return_path,omitempty"` // Address "" is the null sender
	To         []Address      `json:"to,omitempty"`
	Subject    string         `json:"subject"`
	MessageID  string         `json:"message_id"`
	DateText   string         `json:"date_text"`
	Date       time.Time      `json:"date,omitzero"`
	DateFaults []string       `json:"date_faults,omitempty"`
	Counts     map[string]int `json:"-"` // by lower-case name
	List       bool           `json:"list,omitempty"`
	Faults     []header.Fault `json:"faults,omitempty"`
	EAI        bool           `json:"-"` // the way says that the message is internationalised (RFC 6531)
	fromRaw    string
	dateErr    error
}

// maxAddresses bounds the mailboxes kept of one field.
const maxAddresses = 50

// Read gathers the facts. border is the time of the oldest believed hop, zero where it is not known.
func Read(b *header.Block) *Facts {
	f := &Facts{Counts: map[string]int{}, Faults: b.Faults}
	for i := range b.Fields {
		f.Counts[strings.ToLower(b.Fields[i].Name)]++
	}
	f.fromRaw = b.Get("From")
	f.From = addresses(f.fromRaw)
	f.ReplyTo = addresses(b.Get("Reply-To"))
	f.To = addresses(b.Get("To"))
	if s := addresses(b.Get("Sender")); len(s) > 0 {
		f.Sender = &s[0]
	}
	if rp := b.First("Return-Path"); rp != nil {
		a := Address{}
		if as := addresses(rp.Value()); len(as) > 0 {
			a = as[0]
		}
		f.ReturnPath = &a
	}
	f.Subject = b.Text("Subject")
	f.MessageID = b.Get("Message-ID")
	f.List = b.First("List-Id") != nil || b.First("List-Post") != nil || strings.EqualFold(b.Get("Precedence"), "list")
	f.EAI = strings.Contains(b.Get("Received"), "UTF8SMTP")
	if df := b.First("Date"); df != nil {
		f.DateText = df.Value()
		d, err := date.Parse(f.DateText)
		f.dateErr = err
		if err == nil {
			f.Date = d.Time
			for _, x := range d.Faults {
				f.DateFaults = append(f.DateFaults, string(x))
			}
		}
	}
	return f
}

// addresses reads the mailboxes of a value, also where its form is broken: what stands in angle brackets, or words with
// an @.
func addresses(v string) []Address {
	if v == "" || len(v) > 64<<10 {
		return nil
	}
	var out []Address
	p := mail.AddressParser{WordDecoder: nil}
	if list, err := p.ParseList(v); err == nil {
		for _, a := range list {
			out = append(out, address(header.Decode(a.Name), a.Address))
		}
	} else {
		for _, part := range splitList(v) {
			if name, addr := loose(part); addr != "" {
				out = append(out, address(header.Decode(name), addr))
			}
		}
	}
	if len(out) > maxAddresses {
		out = out[:maxAddresses]
	}
	return out
}

func address(name, addr string) Address {
	a := Address{Name: strings.TrimSpace(name), Address: addr}
	if at := strings.LastIndexByte(addr, '@'); at >= 0 {
		a.Domain = strings.ToLower(strings.Trim(addr[at+1:], ". "))
	}
	return a
}

// splitList splits at commas outside quotes and brackets.
func splitList(v string) []string {
	var out []string
	quoted, depth, start := false, 0, 0
	for i := range len(v) {
		switch c := v[i]; {
		case c == '"' && (i == 0 || v[i-1] != '\\'):
			quoted = !quoted
		case quoted:
		case c == '<':
			depth = 1
		case c == '>':
			depth = 0
		case c == ',' && depth == 0:
			out = append(out, v[start:i])
			start = i + 1
		}
		if len(out) >= maxAddresses {
			return out
		}
	}
	return append(out, v[start:])
}

func loose(s string) (name, addr string) {
	if l := strings.LastIndexByte(s, '<'); l >= 0 {
		a, _, _ := strings.Cut(s[l+1:], ">")
		return strings.Trim(s[:l], " \t\""), strings.TrimSpace(a)
	}
	for _, w := range strings.Fields(s) {
		if strings.Contains(w, "@") {
			return "", strings.Trim(w, "<>()\",;")
		}
	}
	return "", ""
}

// Org is the registrable domain of a name, or the name itself.
func Org(domain string) string {
	if d, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return d
	}
	return domain
}
