// Package dmarcxml reads DMARC aggregate reports, those of RFC 7489 appendix C and those of RFC 9990, as a stream: a
// report of any size in a fixed amount of memory.
//
// Promise: rows are pushed to the caller one by one and their bytes are lent, not given: they are valid until the call
// returns. The tokenizer is our own and knows only what reports need: no document type declarations, so no entities but
// the five of XML and character references; depth, name and text lengths are bounded. A document that is not well-formed
// is an error with line and column; the caller then throws away what it got.
package dmarcxml

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// Namespace of reports of RFC 9990.
const Namespace = "urn:ietf:params:xml:ns:dmarc-2.0"

// Report is the head of a report: everything but the rows. Values are as written, trimmed.
type Report struct {
	Namespace string    `json:"namespace,omitempty"`
	Version   string    `json:"version,omitempty"`
	Org       string    `json:"org"`
	Email     string    `json:"email,omitempty"`
	Contact   string    `json:"contact,omitempty"`
	ID        string    `json:"id"`
	Begin     int64     `json:"begin"` // Unix seconds
	End       int64     `json:"end"`
	Generator string    `json:"generator,omitempty"`
	Errors    []string  `json:"errors,omitempty"` // what the reporter had to say about our records
	Policy    Published `json:"policy"`
	Rows      int       `json:"rows"`
	BadRows   int       `json:"bad_rows,omitempty"` // rows without a usable address or count
}

// Published is the policy as the reporter saw it.
type Published struct {
	Domain    string `json:"domain"`
	P         string `json:"p,omitempty"`
	SP        string `json:"sp,omitempty"`
	NP        string `json:"np,omitempty"`
	ADKIM     string `json:"adkim,omitempty"`
	ASPF      string `json:"aspf,omitempty"`
	Pct       string `json:"pct,omitempty"`
	FO        string `json:"fo,omitempty"`
	Testing   string `json:"testing,omitempty"`          // RFC 9990
	Discovery string `json:"discovery_method,omitempty"` // RFC 9990: "psl" or "treewalk"
}

// Result is one authentication result of a row; its bytes are lent.
type Result struct {
	Domain, Selector, Scope, Result []byte
}

// Reason is why a reporter did not follow the policy; its bytes are lent.
type Reason struct {
	Type, Comment []byte
}

// Row is one record of a report; its bytes are lent until the call returns.
type Row struct {
	IP                                   netip.Addr // IPv4 never as ::ffff:0:0
	Count                                uint64
	Disposition, DKIM, SPF               []byte // as evaluated: disposition, and aligned results "pass" or "fail"
	HeaderFrom, EnvelopeFrom, EnvelopeTo []byte
	Reasons                              []Reason
	AuthDKIM, AuthSPF                    []Result // raw results

	bytes []byte
	badIP bool
	badN  bool
}

// reset keeps the memory.
func (r *Row) reset() {
	*r = Row{Reasons: r.Reasons[:0], AuthDKIM: r.AuthDKIM[:0], AuthSPF: r.AuthSPF[:0], bytes: r.bytes[:0]}
}

// Aligned tells whether the reporter says that DMARC passes.
func (r *Row) Aligned() bool { return string(r.DKIM) == "pass" || string(r.SPF) == "pass" }

// Bounds of one row.
const (
	maxResults = 100 // authentication results of a kind, reasons
	maxErrors  = 20
)

// ErrNotReport says that a document is XML but no aggregate report.
var ErrNotReport = errors.New("not a DMARC aggregate report: the root element is not feedback")

// elem is an element whose place in the tree matters.
type elem uint8

const (
	eOther elem = iota // unknown: it and all in it is passed over
	eRoot
	eMetadata
	eDateRange
	ePublished
	eRecord
	eRow
	eEvaluated
	eReason
	eIdentifiers
	eAuth
	eDKIM
	eSPF
	eLeaf // an element whose text is wanted; which one says reader.leaf
)

// child gives what an element is by its parent and name. Reports of before RFC 7489 wrote some elements elsewhere
// (identities for identifiers, auth_results with domain in place); they are few and not read.
func child(parent elem, name []byte) elem {
	switch parent {
	case eRoot:
		switch string(name) {
		case "report_metadata":
			return eMetadata
		case "policy_published":
			return ePublished
		case "record":
			return eRecord
		case "version":
			return eLeaf
		}
	case eMetadata:
		switch string(name) {
		case "date_range":
			return eDateRange
		case "org_name", "email", "extra_contact_info", "report_id", "error", "generator":
			return eLeaf
		}
	case eRecord:
		switch string(name) {
		case "row":
			return eRow
		case "identifiers", "identities":
			return eIdentifiers
		case "auth_results":
			return eAuth
		}
	case eRow:
		switch string(name) {
		case "policy_evaluated":
			return eEvaluated
		case "source_ip", "count":
			return eLeaf
		}
	case eEvaluated:
		switch string(name) {
		case "reason":
			return eReason
		case "disposition", "dkim", "spf":
			return eLeaf
		}
	case eAuth:
		switch string(name) {
		case "dkim":
			return eDKIM
		case "spf":
			return eSPF
		}
	case eDateRange, ePublished, eReason, eIdentifiers, eDKIM, eSPF:
		return eLeaf
	}
	return eOther
}

// Read reads a report and calls each for every row, in order. The head is complete only when Read returns, but what
// stands before the rows in the document (it does in all known reports) is there at the first call. An error of each
// ends the reading and is returned.
func Read(r io.Reader, each func(*Report, *Row) error) (*Report, error) {
	rd := &reader{tok: newTokenizer(r), each: each}
	if err := rd.run(); err != nil {
		return &rd.rep, err
	}
	return &rd.rep, nil
}

type reader struct {
	tok   *tokenizer
	each  func(*Report, *Row) error
	rep   Report
	row   Row
	stack []elem
	text  []byte // of the leaf being read
	begun bool
}

func (rd *reader) run() error {
	for {
		kind, err := rd.tok.next()
		if errors.Is(err, io.EOF) {
			return rd.tok.complete(rd.begun)
		}
		if err != nil {
			return err
		}
		switch kind {
		case tStart:
			err = rd.start()
		case tEnd:
			err = rd.end()
		case tText:
			if n := len(rd.stack); n > 0 && rd.stack[n-1] == eLeaf {
				rd.text, err = rd.tok.appendText(rd.text)
			}
		}
		if err != nil {
			return err
		}
	}
}

func (rd *reader) start() error {
	name := rd.tok.local()
	if !rd.begun {
		rd.begun = true
		if string(name) != "feedback" {
			return ErrNotReport
		}
		rd.rep.Namespace = rd.tok.attribute("xmlns")
		rd.stack = append(rd.stack, eRoot)
		return nil
	}
	e := eOther
	if n := len(rd.stack); n > 0 {
		e = child(rd.stack[n-1], name)
	}
	switch e {
	case eRecord:
		rd.row.reset()
	case eReason:
		if len(rd.row.Reasons) < maxResults {
			rd.row.Reasons = append(rd.row.Reasons, Reason{})
		}
	case eDKIM:
		if len(rd.row.AuthDKIM) < maxResults {
			rd.row.AuthDKIM = append(rd.row.AuthDKIM, Result{})
		}
	case eSPF:
		if len(rd.row.AuthSPF) < maxResults {
			rd.row.AuthSPF = append(rd.row.AuthSPF, Result{})
		}
	case eLeaf:
		rd.text = rd.text[:0]
	}
	rd.stack = append(rd.stack, e)
	return nil
}

func (rd *reader) end() error {
	n := len(rd.stack) - 1
	e := rd.stack[n]
	rd.stack = rd.stack[:n]
	switch e {
	case eLeaf:
		rd.leaf(rd.stack[n-1], rd.tok.local(), trim(rd.text))
	case eRecord:
		rd.rep.Rows++
		if rd.row.badIP || rd.row.badN || !rd.row.IP.IsValid() {
			rd.rep.BadRows++
			if rd.row.badN {
				return nil // without a number there is nothing to count
			}
		}
		return rd.each(&rd.rep, &rd.row)
	}
	return nil
}

// leaf files the text of an element.
func (rd *reader) leaf(parent elem, name, v []byte) {
	switch parent {
	case eRoot, eMetadata, eDateRange, ePublished:
		rd.head(parent, string(name), string(v))
	case eRow:
		rd.rowField(name, v)
	case eEvaluated:
		switch string(name) {
		case "disposition":
			rd.row.Disposition = rd.keep(v)
		case "dkim":
			rd.row.DKIM = rd.keep(v)
		case "spf":
			rd.row.SPF = rd.keep(v)
		}
	case eReason:
		if last := &rd.row.Reasons[len(rd.row.Reasons)-1]; string(name) == "type" {
			last.Type = rd.keep(v)
		} else if string(name) == "comment" {
			last.Comment = rd.keep(v)
		}
	case eIdentifiers:
		switch string(name) {
		case "header_from":
			rd.row.HeaderFrom = rd.keep(v)
		case "envelope_from":
			rd.row.EnvelopeFrom = rd.keep(v)
		case "envelope_to":
			rd.row.EnvelopeTo = rd.keep(v)
		}
	case eDKIM:
		rd.result(&rd.row.AuthDKIM[len(rd.row.AuthDKIM)-1], name, v)
	case eSPF:
		rd.result(&rd.row.AuthSPF[len(rd.row.AuthSPF)-1], name, v)
	}
}

func (rd *reader) rowField(name, v []byte) {
	switch string(name) {
	case "source_ip":
		ip, err := netip.ParseAddr(string(v))
		rd.row.IP, rd.row.badIP = ip.Unmap().WithZone(""), err != nil
	case "count":
		n, err := strconv.ParseUint(string(v), 10, 48)
		rd.row.Count, rd.row.badN = n, err != nil
	}
}

func (rd *reader) result(r *Result, name, v []byte) {
	switch string(name) {
	case "domain":
		r.Domain = rd.keep(v)
	case "selector":
		r.Selector = rd.keep(v)
	case "scope":
		r.Scope = rd.keep(v)
	case "result":
		r.Result = rd.keep(v)
	}
}

// keep copies a value into the row's memory. Growing leaves earlier values in the old memory, which lives on through
// them.
func (rd *reader) keep(v []byte) []byte {
	b := rd.row.bytes
	at := len(b)
	b = append(b, v...)
	rd.row.bytes = b
	return b[at:len(b):len(b)]
}

func (rd *reader) head(parent elem, name, v string) {
	p := &rd.rep
	switch parent {
	case eRoot:
		p.Version = v
	case eDateRange:
		n, _ := strconv.ParseInt(v, 10, 62)
		if name == "begin" {
			p.Begin = n
		} else if name == "end" {
			p.End = n
		}
	case eMetadata:
		switch name {
		case "org_name":
			p.Org = v
		case "email":
			p.Email = v
		case "extra_contact_info":
			p.Contact = v
		case "report_id":
			p.ID = v
		case "generator":
			p.Generator = v
		case "error":
			if len(p.Errors) < maxErrors {
				p.Errors = append(p.Errors, v)
			}
		}
	case ePublished:
		p.Policy.set(name, v)
	}
}

func (p *Published) set(name, v string) {
	switch name {
	case "domain":
		p.Domain = strings.ToLower(strings.TrimSuffix(v, "."))
	case "p":
		p.P = strings.ToLower(v)
	case "sp":
		p.SP = strings.ToLower(v)
	case "np":
		p.NP = strings.ToLower(v)
	case "adkim":
		p.ADKIM = v
	case "aspf":
		p.ASPF = v
	case "pct":
		p.Pct = v
	case "fo":
		p.FO = v
	case "testing":
		p.Testing = v
	case "discovery_method":
		p.Discovery = v
	}
}

// SyntaxError is a document that is not well-formed.
type SyntaxError struct {
	Line, Column int // from 1; the column counts bytes
	What         string
}

// Error makes it an error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.What)
}
