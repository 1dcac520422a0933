package feed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// Bounds of a list.
const (
	MaxBytes = 256 << 20
	maxLine  = 64 << 10
	maxHits  = 100 // kept per indicator
)

// Request is one fetch over HTTP.
type Request struct {
	URL, Method string // "" is GET
	Body        []byte
	Header      map[string]string // may hold keys
	MaxBytes    int64
	Redirects   int
	Trusted     bool // say nothing to a server whose certificate is not believed
}

// Response is what came of it; Fault where there was no answer at all.
type Response struct {
	Status    int
	Body      []byte
	Truncated bool
	Fault     error
}

// Fetch asks a web server. An error means that nothing could be observed.
type Fetch func(ctx context.Context, r Request) (*Response, error)

// Door is what the sources are asked through.
type Door struct {
	Fetch Fetch
	Cache Cache
	Now   func() time.Time
	Fresh time.Duration // how old a kept answer may be; 0: none is used
}

// Answer is what a source said about each indicator, in their order.
type Answer struct {
	Source  string    `json:"source"`
	Hits    [][]Hit   `json:"hits"`
	Lines   int       `json:"lines,omitempty"`   // indicators the list holds
	Odd     int       `json:"odd,omitempty"`     // lines that are none
	Fetched time.Time `json:"fetched,omitzero"`  // when the source was read
	Stale   string    `json:"stale,omitempty"`   // it could not be read now, with the reason; this is the copy of Fetched
	Kept    bool      `json:"kept,omitempty"`    // answered from the copy, which was fresh enough
	Status  int       `json:"status,omitempty"`  // of HTTP, where it was no success
	Sighted []bool    `json:"sighted,omitempty"` // a sighting was sent back
}

// ErrEmpty says that a list holds no indicator at all: an error page, a wrong file.
var ErrEmpty = errors.New("no line of it is an address, a network, a domain, a URL or a hash")

// List looks indicators up in a plain list: one a line, alone or as the first field of a comma, semicolon, tab or blank
// separated line; lines that begin with #, ; or // are remarks. name is a file or an http(s) URL.
func (d *Door) List(ctx context.Context, name string, want []Indicator) (*Answer, error) {
	if !strings.HasPrefix(name, "https://") && !strings.HasPrefix(name, "http://") {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		a := &Answer{Source: name}
		if st, err := f.Stat(); err == nil {
			if st.IsDir() {
				return nil, fmt.Errorf("%s is a directory", name)
			}
			a.Fetched = st.ModTime()
		}
		return a, a.scan(f, want)
	}
	body, at, ok := d.Cache.Get(name)
	a := &Answer{Source: name, Fetched: at}
	if ok && d.Now().Sub(at) < d.Fresh {
		a.Kept = true
		return a, a.scan(strings.NewReader(string(body)), want)
	}
	res, err := d.Fetch(ctx, Request{URL: name, MaxBytes: MaxBytes, Redirects: 3})
	if err == nil && res.ok() {
		a.Fetched = d.Now()
		if err := a.scan(strings.NewReader(string(res.Body)), want); err != nil {
			return a, err // what is no list does not push a good copy out
		}
		return a, d.Cache.Put(name, res.Body, d.Now())
	}
	if err == nil {
		err = fault(res)
		a.Status = res.Status
	}
	if !ok {
		return a, err
	}
	a.Stale = err.Error()
	return a, a.scan(strings.NewReader(string(body)), want)
}

func (r *Response) ok() bool { return r.Fault == nil && r.Status == http.StatusOK && !r.Truncated }

func fault(res *Response) error {
	switch {
	case res.Fault != nil:
		return res.Fault
	case res.Truncated:
		return fmt.Errorf("longer than %d MB", MaxBytes>>20)
	}
	return fmt.Errorf("HTTP %d %s", res.Status, http.StatusText(res.Status))
}

// scan reads a list once and keeps the lines that speak of what is wanted.
func (a *Answer) scan(r io.Reader, want []Indicator) error {
	a.Hits = make([][]Hit, len(want))
	in := bufio.NewReaderSize(io.LimitReader(r, MaxBytes), maxLine)
	for {
		raw, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) { // no indicator is as long as this
			a.Odd++
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = in.ReadSlice('\n')
			}
			raw = nil
		}
		a.line(strings.TrimSpace(strings.ToValidUTF8(string(raw), "?")), want)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if a.Lines == 0 {
		return ErrEmpty
	}
	return nil
}

func (a *Answer) line(line string, want []Indicator) {
	line = strings.TrimPrefix(line, "\ufeff")
	if line == "" || line[0] == '#' || line[0] == ';' || strings.HasPrefix(line, "//") {
		return
	}
	word, note := line, ""
	if i := strings.IndexAny(line, ",;\t |#"); i > 0 {
		word, note = line[:i], strings.Trim(line[i:], ",;\t |#\"")
	}
	// Hosts files name an address of nowhere first.
	if word = strings.Trim(word, "\"'"); (word == "0.0.0.0" || word == "127.0.0.1") && note != "" {
		word, note, _ = strings.Cut(note, " ")
	}
	have, ok := Parse(word)
	if !ok {
		a.Odd++
		return
	}
	a.Lines++
	for i, w := range want {
		if have.Covers(w) && len(a.Hits[i]) < maxHits {
			if r := []rune(note); len(r) > 300 {
				note = string(r[:300]) + "…"
			}
			a.Hits[i] = append(a.Hits[i], Hit{Value: have.Value, Note: note, IDS: true})
		}
	}
}
