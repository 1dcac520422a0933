package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MISP is a server of that name: base URL and the key of a user.
type MISP struct {
	Base string
	Key  string
}

// ErrKey says that the server refused the key.
var ErrKey = errors.New("the server refused the key")

// mispBytes bounds an answer: a hundred attributes with their tags are far below.
const mispBytes = 8 << 20

type mispAttribute struct {
	ID        json.Number `json:"id"`
	EventID   json.Number `json:"event_id"`
	Type      string      `json:"type"`
	Category  string      `json:"category"`
	Value     string      `json:"value"`
	Comment   string      `json:"comment"`
	Timestamp json.Number `json:"timestamp"`
	IDS       bool        `json:"to_ids"`
	Event     struct {
		Info string `json:"info"`
	} `json:"Event"`
	Tag []struct {
		Name string `json:"name"`
	} `json:"Tag"`
}

// MISP asks a server for the attributes that are one of the indicators, a question each, and sends a sighting back for
// those it knows where sight is set. Answers are kept; a sighting is never kept back by a kept answer.
func (d *Door) MISP(ctx context.Context, m MISP, want []Indicator, sight bool) (*Answer, error) {
	base := strings.TrimSuffix(m.Base, "/")
	a := &Answer{Source: base, Hits: make([][]Hit, len(want)), Sighted: make([]bool, len(want))}
	for i, w := range want {
		body, at, ok := d.Cache.Get("misp " + base + " " + w.Value)
		if ok && d.Now().Sub(at) < d.Fresh {
			a.Kept = true
		} else {
			fresh, err := d.restSearch(ctx, base, m.Key, w)
			switch {
			case err == nil:
				body, at = fresh, d.Now()
				if err := d.Cache.Put("misp "+base+" "+w.Value, body, at); err != nil {
					return a, err
				}
			case ok && !errors.Is(err, ErrKey):
				a.Stale = err.Error()
			default:
				return a, err
			}
		}
		if a.Fetched.IsZero() || at.Before(a.Fetched) {
			a.Fetched = at
		}
		hits, err := readAttributes(body)
		if err != nil {
			return a, err
		}
		a.Hits[i] = hits
		if sight && len(hits) > 0 {
			if err := d.sighting(ctx, base, m.Key, w); err != nil {
				return a, fmt.Errorf("sighting of %s: %w", w.Value, err)
			}
			a.Sighted[i] = true
		}
	}
	return a, nil
}

func (d *Door) restSearch(ctx context.Context, base, key string, w Indicator) ([]byte, error) {
	body, err := d.post(ctx, base+"/attributes/restSearch", key, map[string]any{
		"returnFormat": "json", "value": w.Value, "limit": maxHits, "includeEventTags": true, "deleted": false})
	if err != nil {
		return nil, err
	}
	_, err = readAttributes(body) // what is no answer is not kept
	return body, err
}

func (d *Door) sighting(ctx context.Context, base, key string, w Indicator) error {
	_, err := d.post(ctx, base+"/sightings/add", key, map[string]any{"values": []string{w.Value}, "source": "mailwhy", "type": "0"})
	return err
}

func (d *Door) post(ctx context.Context, url, key string, what any) ([]byte, error) {
	body, err := json.Marshal(what)
	if err != nil {
		return nil, err
	}
	res, err := d.Fetch(ctx, Request{URL: url, Method: "POST", Body: body, MaxBytes: mispBytes, Trusted: true,
		Header: map[string]string{"Authorization": key, "Accept": "application/json", "Content-Type": "application/json"}})
	switch {
	case err != nil:
		return nil, err
	case res.Status == 401 || res.Status == 403:
		return nil, ErrKey
	case !res.ok():
		return nil, fault(res)
	}
	return res.Body, nil
}

// readAttributes reads the answer of restSearch.
func readAttributes(body []byte) ([]Hit, error) {
	var r struct {
		Response *struct {
			Attribute []mispAttribute `json:"Attribute"`
		} `json:"response"`
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, fmt.Errorf("the answer is not that of a MISP server: %w", err)
	}
	if r.Response == nil {
		return nil, errors.New(`the answer is not that of a MISP server: no "response"`)
	}
	var out []Hit
	for _, at := range r.Response.Attribute[:min(len(r.Response.Attribute), maxHits)] {
		h := Hit{Value: at.Value, Note: at.Event.Info, Event: at.EventID.String(), IDS: at.IDS}
		if at.Comment != "" {
			h.Note = strings.TrimPrefix(h.Note+"; "+at.Comment, "; ")
		}
		if r := []rune(h.Note); len(r) > 300 {
			h.Note = string(r[:300]) + "…"
		}
		if sec, err := strconv.ParseInt(at.Timestamp.String(), 10, 64); err == nil && sec > 0 {
			h.At = time.Unix(sec, 0).UTC()
		}
		for _, t := range at.Tag[:min(len(at.Tag), 20)] {
			h.Tags = append(h.Tags, t.Name)
		}
		out = append(out, h)
	}
	return out, nil
}
