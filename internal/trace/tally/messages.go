package tally

import "time"

// message is what must be remembered of a message while it is in the queue.
type message struct {
	size     int64
	client   string // domain of the client, "pickup" for local submission; "" once the sender was counted
	sized    bool
	deferred bool
}

// messages are those in the queue, by host and queue id. Servers try again within hours what waits: a message that no line
// tells of for three days, up to six, is taken to have left, its end not logged.
type messages struct {
	now, before map[uint64]message
	since       int64 // begin of now
}

const silence = int64(3 * 24 * time.Hour)

func (m *messages) get(id uint64) message {
	if msg, ok := m.now[id]; ok {
		return msg
	}
	msg, ok := m.before[id]
	if ok {
		delete(m.before, id)
		m.put(id, msg)
	}
	return msg
}

func (m *messages) put(id uint64, msg message) {
	if m.now == nil {
		m.now = map[uint64]message{}
	}
	m.now[id] = msg
}

func (m *messages) remove(id uint64) {
	delete(m.now, id)
	delete(m.before, id)
}

func (m *messages) len() int { return len(m.now) + len(m.before) }

// clock tells the time of the log, which may go back.
func (m *messages) clock(at int64) {
	switch {
	case m.since == 0:
		m.since = at
	case at-m.since > silence:
		m.now, m.before, m.since = nil, m.now, at
	}
}
