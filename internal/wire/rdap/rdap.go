// Package rdap reads RDAP answers about networks and domains: holder, abuse contact, dates, states.
//
// Promise: reading only, bounded in depth and number; unknown members are ignored; all strings are hostile. RFCs: 9082,
// 9083 (answers), 7095 (jCard), 9224 (which server to ask).
//
// It must not fetch: see wire/http.
package rdap

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Bounds of what is read.
const (
	maxEntities = 200
	maxDepth    = 4
	maxText     = 200
	maxMany     = 10
)

// Object is a network or a domain.
type Object struct {
	Class     string    `json:"class"`            // "ip network", "domain", "autnum"
	Handle    string    `json:"handle,omitempty"` //
	Name      string    `json:"name,omitempty"`   // of a network; of a domain its ldhName
	Start     string    `json:"start,omitempty"`  // first and last address
	End       string    `json:"end,omitempty"`
	Type      string    `json:"type,omitempty"` // ASSIGNED PA, DIRECT ALLOCATION …
	Country   string    `json:"country,omitempty"`
	Holder    string    `json:"holder,omitempty"`
	Registrar string    `json:"registrar,omitempty"`
	Abuse     []string  `json:"abuse,omitempty"` // mail addresses
	Created   time.Time `json:"created,omitzero"`
	Expires   time.Time `json:"expires,omitzero"`
	Status    []string  `json:"status,omitempty"`
	WHOIS     string    `json:"whois,omitempty"` // port43
	Related   string    `json:"related,omitempty"`
}

type answer struct {
	Class    string          `json:"objectClassName"`
	Handle   string          `json:"handle"`
	Name     string          `json:"name"`
	LDH      string          `json:"ldhName"`
	Start    string          `json:"startAddress"`
	End      string          `json:"endAddress"`
	Type     string          `json:"type"`
	Country  string          `json:"country"`
	Port43   string          `json:"port43"`
	Status   []string        `json:"status"`
	Events   []event         `json:"events"`
	Entities []entity        `json:"entities"`
	Links    []link          `json:"links"`
	Error    json.RawMessage `json:"errorCode"`
	Title    string          `json:"title"`
}

type event struct {
	Action string `json:"eventAction"`
	Date   string `json:"eventDate"`
}

type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
	Type string `json:"type"`
}

type entity struct {
	Handle   string          `json:"handle"`
	Roles    []string        `json:"roles"`
	VCard    json.RawMessage `json:"vcardArray"`
	Entities []entity        `json:"entities"`
}

// Parse reads an answer. An error answer of the server (RFC 9083 section 6) is an error.
func Parse(body []byte) (*Object, error) {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, fmt.Errorf("not an RDAP answer: %w", err)
	}
	if len(a.Error) > 0 && a.Class == "" {
		return nil, fmt.Errorf("the RDAP server says %s %s", short(string(a.Error)), short(a.Title))
	}
	if a.Class == "" {
		return nil, errors.New("not an RDAP answer: no objectClassName")
	}
	o := &Object{Class: short(a.Class), Handle: short(a.Handle), Name: short(a.Name), Start: short(a.Start), End: short(a.End), Type: short(a.Type), Country: short(a.Country), WHOIS: short(a.Port43)}
	if o.Name == "" {
		o.Name = short(a.LDH)
	}
	for _, s := range a.Status[:min(len(a.Status), maxMany)] {
		o.Status = append(o.Status, short(s))
	}
	for _, e := range a.Events[:min(len(a.Events), 50)] {
		o.event(e)
	}
	for _, l := range a.Links[:min(len(a.Links), 50)] {
		if l.Rel == "related" && strings.Contains(l.Type, "rdap") && o.Related == "" {
			o.Related = short(l.Href)
		}
	}
	left := maxEntities
	o.entities(a.Entities, 0, &left)
	return o, nil
}

func (o *Object) event(e event) {
	t, err := time.Parse(time.RFC3339, e.Date)
	if err != nil {
		return
	}
	switch strings.ToLower(e.Action) {
	case "registration":
		o.Created = t.UTC()
	case "expiration":
		o.Expires = t.UTC()
	}
}

// entities reads who has to do with the object; those nearest to it count first.
func (o *Object) entities(list []entity, depth int, left *int) {
	if depth > maxDepth {
		return
	}
	for i := range list {
		if *left--; *left < 0 {
			return
		}
		e := &list[i]
		name, mails := card(e.VCard)
		for _, role := range e.Roles {
			switch strings.ToLower(role) {
			case "registrant":
				if o.Holder == "" && depth == 0 {
					o.Holder = first(name, short(e.Handle))
				}
			case "registrar":
				if o.Registrar == "" {
					o.Registrar = first(name, short(e.Handle))
				}
			case "abuse":
				for _, m := range mails {
					if !slices.Contains(o.Abuse, m) && len(o.Abuse) < maxMany {
						o.Abuse = append(o.Abuse, m)
					}
				}
			}
		}
	}
	for i := range list {
		o.entities(list[i].Entities, depth+1, left)
	}
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// card reads a jCard: the name (the organisation where the name is empty) and the mail addresses.
func card(raw json.RawMessage) (name string, mails []string) {
	var outer []json.RawMessage
	if json.Unmarshal(raw, &outer) != nil || len(outer) < 2 {
		return "", nil
	}
	var props [][]json.RawMessage
	if json.Unmarshal(outer[1], &props) != nil {
		return "", nil
	}
	org := ""
	for _, p := range props[:min(len(props), 100)] {
		if len(p) < 4 {
			continue
		}
		var key, value string
		if json.Unmarshal(p[0], &key) != nil || json.Unmarshal(p[3], &value) != nil || value == "" {
			continue
		}
		switch value = short(strings.TrimSpace(value)); strings.ToLower(key) {
		case "fn":
			name = first(name, value)
		case "org":
			org = first(org, value)
		case "email":
			if strings.Contains(value, "@") && len(mails) < maxMany {
				mails = append(mails, value)
			}
		}
	}
	return first(name, org), mails
}

func short(s string) string {
	if len(s) > maxText {
		return strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}

// IPURL and DomainURL are where to ask a server whose base URL is given (RFC 9082 section 3.1).
func IPURL(base string, a netip.Addr) string { return slash(base) + "ip/" + a.String() }

// DomainURL asks about a domain in its ASCII form.
func DomainURL(base, domain string) string { return slash(base) + "domain/" + url.PathEscape(domain) }

func slash(base string) string { return strings.TrimSuffix(base, "/") + "/" }
