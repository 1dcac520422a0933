package trace

import (
	"encoding/base64"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// ErrID says that a text is no id of a journey.
var ErrID = errors.New("is no id of a journey")

// ErrNoJourney says that there is no journey of an id, or none that those who ask may see.
var ErrNoJourney = errors.New("no such journey")

// ID names the journey: the same for the same journey however often it is asked for and by whom, from files or from any
// store, as long as its first line stays the first and where it was in its source. It holds what finds it again, so that
// no table of ids is needed.
func (j *Journey) ID() string {
	if j.id == "" && len(j.Steps) > 0 {
		j.id = j.makeID()
	}
	return j.id
}

func (j *Journey) makeID() string {
	kind, what := ByQueue, ""
	if len(j.QueueIDs) > 0 {
		what = j.QueueIDs[0]
	} else if len(j.MessageIDs) > 0 {
		kind, what = ByMessage, j.MessageIDs[0]
	}
	for i := range j.Steps {
		if s := &j.Steps[i]; what == "" {
			switch {
			case s.Session != "":
				what = s.Session
			case s.ClientIP != "":
				kind, what = ByIP, s.ClientIP
			case s.To != "":
				kind, what = ByAddress, s.To
			case s.User != "" && strings.Contains(s.User, "@"):
				kind, what = ByAddress, s.User
			case s.Host != "":
				kind, what = ByHost, s.Host
			}
		}
	}
	first := &j.Steps[0]
	h := fnv.New64a()
	for _, part := range []string{first.Host, first.Program, first.Kind, first.QueueID, first.To, first.ClientIP, strconv.FormatInt(first.at, 10), strconv.FormatInt(first.Offset, 10)} {
		h.Write([]byte(part + "\x00"))
	}
	text := strings.Join([]string{strconv.Itoa(int(kind)), what, strconv.FormatInt(j.Started.UnixNano(), 36), strconv.FormatInt(int64(j.Ended.Sub(j.Started)), 36), strconv.FormatUint(h.Sum64(), 36)}, "\x00")
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// startOf gives the start of the journey of an id, ns.
func startOf(id string) int64 {
	raw, _ := base64.RawURLEncoding.DecodeString(id)
	if part := strings.Split(string(raw), "\x00"); len(part) == 5 {
		start, _ := strconv.ParseInt(part[2], 36, 64)
		return start
	}
	return 0
}

// ByID gives the query that finds the journey of an id. Found journeys must be compared by their ID: others may share
// what it asks for.
func ByID(id string) (Query, error) {
	raw, err := base64.RawURLEncoding.DecodeString(id)
	part := strings.Split(string(raw), "\x00")
	if err != nil || len(part) != 5 || len(raw) > 4096 {
		return Query{}, fmt.Errorf("%.80q %w", id, ErrID)
	}
	kind, err1 := strconv.Atoi(part[0])
	start, err2 := strconv.ParseInt(part[2], 36, 64)
	span, err3 := strconv.ParseInt(part[3], 36, 64)
	if err := errors.Join(err1, err2, err3); err != nil || kind < 0 || kind > int(BySubject) || span < 0 {
		return Query{}, fmt.Errorf("%.80q %w", id, ErrID)
	}
	q := Query{What: part[1], Kind: QueryKind(kind), Text: part[1]}
	if q.Kind == ByIP {
		a, err := netip.ParseAddr(strings.TrimPrefix(q.Text, "IPv6:"))
		if err != nil {
			return Query{}, fmt.Errorf("%.80q %w", id, ErrID)
		}
		q.Prefix = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
	}
	if q.Kind != ByQueue && q.Kind != ByMessage && start > 0 { // an id's own lines are found whenever they were written
		q.Since, q.Until = time.Unix(0, start), time.Unix(0, start+span+1)
	}
	return q, nil
}
