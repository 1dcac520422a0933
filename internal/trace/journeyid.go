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

// ID names the journey: the same for the same journey however often it is asked for, from files or from any store, as
// long as its first line stays the first. It holds what finds it again, so that no table of ids is needed.
func (j *Journey) ID() string {
	if len(j.Steps) == 0 {
		return ""
	}
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
	h.Write([]byte(first.Host + "\x00" + first.Program + "\x00" + first.Kind + "\x00" + first.QueueID + "\x00" + strconv.FormatInt(first.at, 10)))
	text := strings.Join([]string{strconv.Itoa(int(kind)), what, strconv.FormatInt(j.Started.UnixNano(), 36), strconv.FormatInt(int64(j.Ended.Sub(j.Started)), 36), strconv.FormatUint(h.Sum64(), 36)}, "\x00")
	return base64.RawURLEncoding.EncodeToString([]byte(text))
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
