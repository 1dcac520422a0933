package whois

import (
	"net"
	"net/mail"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Record is what could be read of an answer. All strings are hostile.
type Record struct {
	Refer     string    `json:"refer,omitempty"`     // the server that knows more
	Range     string    `json:"range,omitempty"`     // of a network, as written
	Name      string    `json:"name,omitempty"`      // of a network (netname)
	Holder    string    `json:"holder,omitempty"`    //
	Country   string    `json:"country,omitempty"`   //
	Registrar string    `json:"registrar,omitempty"` // of a domain
	Abuse     []string  `json:"abuse,omitempty"`     // addresses for reports
	Created   time.Time `json:"created,omitzero"`
	Expires   time.Time `json:"expires,omitzero"`
	Status    []string  `json:"status,omitempty"` // of a domain
	NotFound  bool      `json:"not_found,omitempty"`
	Limited   bool      `json:"limited,omitempty"` // the server answers us no more for now
}

// Bounds of a record.
const (
	maxLines = 5000
	maxValue = 200
	maxMany  = 10 // abuse addresses, states
)

// meanings are the labels of the registries, in lower case, and what they tell.
var meanings = map[string]func(r *Record, v string){
	"refer": refer, "whois": refer, "referralserver": refer, "whois server": refer, "registrar whois server": refer,
	"inetnum": ranged, "inet6num": ranged, "netrange": ranged, "cidr": ranged, "netblock": ranged,
	"netname":  func(r *Record, v string) { once(&r.Name, v) },
	"org-name": holder, "orgname": holder, "organization": holder, "owner": holder, "registrant organization": holder, "registrant": holder,
	"registrant name": holder, "custname": holder, "organisation": holder, "holder": holder,
	"country":   func(r *Record, v string) { once(&r.Country, strings.ToUpper(v)) },
	"registrar": func(r *Record, v string) { once(&r.Registrar, v) }, "sponsoring registrar": func(r *Record, v string) { once(&r.Registrar, v) }, "registrar name": func(r *Record, v string) { once(&r.Registrar, v) },
	"abuse-mailbox": abuse, "orgabuseemail": abuse, "abuse-email": abuse, "registrar abuse contact email": abuse, "abuse contact": abuse, "abuse email": abuse,
	"created": created, "creation date": created, "registered": created, "registered on": created, "registration time": created, "created on": created,
	"domain record activated": created, "registered date": created, "regdate": created,
	"registry expiry date": expires, "expiry date": expires, "expiration time": expires, "expires": expires, "expires on": expires, "expiration date": expires, "paid-till": expires,
	"registrar registration expiration date": expires, "renewal date": expires, "domain expires": expires,
	"domain status": status, "status": status, "state": status,
}

func refer(r *Record, v string)  { once(&r.Refer, serverOf(v)) }
func ranged(r *Record, v string) { once(&r.Range, v) }
func holder(r *Record, v string) { once(&r.Holder, v) }
func created(r *Record, v string) {
	if t, ok := parseDate(v); ok && (r.Created.IsZero() || t.Before(r.Created)) {
		r.Created = t
	}
}
func expires(r *Record, v string) {
	if t, ok := parseDate(v); ok && r.Expires.IsZero() {
		r.Expires = t
	}
}
func status(r *Record, v string) {
	w, _, _ := strings.Cut(v, " ")
	if w = strings.Trim(w, ","); w != "" && len(r.Status) < maxMany && !slices.Contains(r.Status, w) {
		r.Status = append(r.Status, w)
	}
}
func abuse(r *Record, v string) {
	if a, ok := address(v); ok && len(r.Abuse) < maxMany && !slices.Contains(r.Abuse, a) {
		r.Abuse = append(r.Abuse, a)
	}
}

func once(to *string, v string) {
	if *to == "" {
		*to = v
	}
}

// abuseLine is RIPE's and APNIC's comment: % Abuse contact for '…' is 'abuse@example.net'
var abuseLine = regexp.MustCompile(`(?i)abuse contact for .{1,100} is '([^']{3,200})'`)

var (
	missing = regexp.MustCompile(`(?im)^[%#\s>*]*(no match|not found|no entries found|no data found|no object found|domain not found|no matching record|.{0,60}\bstatus:\s*(free|available)\s*$|object does not exist|nothing found)`)
	limited = regexp.MustCompile(`(?i)(query rate|rate limit|limit exceeded|quota exceeded|too many (queries|requests|connections)|access control limit|try again later|excessive querying|denied by policy|exceeded the maximum)`)
)

// Parse reads an answer. The first value of a label counts, except that the oldest date of creation does.
func Parse(text string) (r Record) {
	n := 0
	for line := range strings.Lines(text) {
		if n++; n > maxLines {
			break
		}
		line = strings.TrimSpace(line)
		if m := abuseLine.FindStringSubmatch(line); m != nil {
			abuse(&r, m[1])
		}
		if line == "" || line[0] == '%' || line[0] == '#' {
			continue
		}
		label, value, ok := label(line)
		if !ok {
			continue
		}
		if note := meanings[label]; note != nil {
			note(&r, value[:min(len(value), maxValue)])
		}
	}
	head := text[:min(len(text), 4096)]
	empty := r.Range == "" && r.Holder == "" && r.Created.IsZero() && r.Registrar == "" && r.Refer == ""
	r.NotFound = empty && missing.MatchString(head)
	r.Limited = empty && !r.NotFound && limited.MatchString(head)
	return r
}

// label splits "Label: value", "Label....: value" and "[Label]   value".
func label(line string) (name, value string, ok bool) {
	if rest, found := strings.CutPrefix(line, "["); found {
		name, value, ok = strings.Cut(rest, "]")
	} else {
		name, value, ok = strings.Cut(line, ":")
	}
	name, value = strings.ToLower(strings.TrimRight(strings.TrimSpace(name), ".")), strings.TrimSpace(value)
	return name, value, ok && value != "" && len(name) <= 60
}

// serverOf reads a referral: a host, whois://host[:port], or rwhois, which is another protocol and no help.
func serverOf(v string) string {
	scheme, host, ok := strings.Cut(v, "://")
	if !ok {
		scheme, host = "whois", v
	}
	host, _, _ = strings.Cut(host, "/")
	host = strings.ToLower(strings.TrimSpace(host))
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	odd := func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune("@\"'", r) || unicode.IsSpace(r)
	}
	if scheme != "whois" || !strings.Contains(name, ".") || strings.ContainsFunc(host, odd) || len(host) > 253 {
		return ""
	}
	if a, err := netip.ParseAddr(name); err == nil && (!a.IsGlobalUnicast() || a.IsPrivate()) {
		return "" // nobody sends us into our own network
	}
	return host
}

func address(v string) (string, bool) {
	a, err := mail.ParseAddress(strings.TrimSpace(v))
	if err != nil || !strings.Contains(a.Address, "@") || len(a.Address) > 254 {
		return "", false
	}
	return a.Address, true
}

var dates = []string{
	time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02", "02-Jan-2006", "2-Jan-2006", "2006/01/02", "2006.01.02",
	"2006. 01. 02.", "20060102", "02.01.2006", "02/01/2006", "January 2 2006", "2 January 2006", "02-01-2006", "2006-Jan-02",
}

// parseDate reads the dates of registries: of what follows the date (a zone in words, a remark) as much is dropped as
// it takes.
func parseDate(v string) (time.Time, bool) {
	for range 4 {
		for _, f := range dates {
			if t, err := time.Parse(f, v); err == nil && t.Year() > 1980 && t.Year() < 2200 {
				return t.UTC(), true
			}
		}
		i := strings.LastIndexByte(v, ' ')
		if i < 0 {
			break
		}
		v = strings.TrimSpace(v[:i])
	}
	return time.Time{}, false
}
