package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxAnswer bounds what a service may answer, in bytes.
const maxAnswer = 64 << 10

// post is what the senders over HTTP share.
type post struct {
	client  *http.Client
	to      string
	secrets []string
	header  http.Header
	user    string
	pass    string
}

// newPost takes the address of a channel: its hook, else its URL, else where the service usually is.
func newPost(c *Channel, d *Doors, usual string) (*post, error) {
	p := &post{client: d.HTTP, to: c.URL, header: http.Header{}}
	if p.client == nil {
		p.client = &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if c.Hook != "" {
		hook, err := d.read(c.Hook)
		if err != nil {
			return nil, err
		}
		if httpURL(hook) == nil {
			return nil, errors.New("what hook refers to is no address that begins with https:// or http://")
		}
		p.to = hook
		p.secrets = append(p.secrets, hook, httpURL(hook).RequestURI())
	}
	if p.to == "" {
		p.to = usual
	}
	return p, nil
}

// json posts a value and gives the answer of a service that said 2xx.
func (p *post) json(ctx context.Context, to string, v any) ([]byte, error) {
	body, err := encode(v)
	if err != nil {
		return nil, err
	}
	return p.send(ctx, to, body)
}

// encode writes JSON without spelling out <, > and &, so that its length is what the services count.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

func (p *post) send(ctx context.Context, to string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, mask(err, p.secrets...)
	}
	for k, v := range p.header {
		req.Header[k] = v
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "mailwhy")
	if p.user != "" {
		req.SetBasicAuth(p.user, p.pass)
	}
	res, err := p.client.Do(req)
	if err != nil {
		var ue *url.Error // names the address, which may be a secret
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, mask(err, p.secrets...)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, mask(err, p.secrets...)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return answer, mask(&Refusal{Text: strings.TrimSpace(res.Status + " " + shorten(oneLine(string(answer)), 300)), After: retryAfter(res.Header)}, p.secrets...)
	}
	return answer, nil
}

// retryAfter reads a Retry-After field: seconds, or a time, held against the clock of the service itself. Nothing, and what
// is longer than a day, is 0.
func retryAfter(h http.Header) time.Duration {
	word := strings.TrimSpace(h.Get("Retry-After"))
	var d time.Duration
	if n, err := strconv.Atoi(word); err == nil {
		d = time.Duration(min(n, 1<<30)) * time.Second
	} else if at, err := http.ParseTime(word); err == nil {
		if now, err := http.ParseTime(h.Get("Date")); err == nil {
			d = at.Sub(now)
		}
	}
	if d < 0 || d > 24*time.Hour {
		return 0
	}
	return d
}

// answered reads an answer of JSON; one that is none is the service's refusal.
func answered(raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return &Refusal{Text: "answered with what is no JSON: " + shorten(oneLine(string(raw)), 200)}
	}
	return nil
}
