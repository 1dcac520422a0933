package capture

import (
	"bytes"
	"time"
)

// Bounds on what is kept per stream and overall.
const (
	maxPending  = 1 << 20 // bytes of one end that wait for a gap to be filled
	maxParts    = 2048
	maxWaiting  = 128 << 20 // bytes that wait in all streams together
	maxICMP     = 8
	idleOpen    = int64(2 * time.Hour)
	idleClosed  = int64(2 * time.Minute)
	gapPatience = 4 // packets after which data that the peer has acknowledged is held to be missing from the capture
	sameCopy    = int64(2 * time.Millisecond)
)

const (
	client = 0
	server = 1
)

var ends = [2]string{"client", "server"}

// half is what one end sent.
type half struct {
	have     bool // next is known
	next     uint32
	isn      uint32
	parts    []part
	waiting  int
	patience int
	acked    uint32 // by the peer
	anyAck   bool
	zeroAt   int64 // since when its window is zero; 0: it is not
	prev     segment
	stuckSeq uint32
	stuckLen int
	stuckN   int
}

type part struct {
	seq  uint32
	data []byte
}

// conv is a stream while it is followed.
type conv struct {
	Stream
	key        flow // client → server
	t0, last   int64
	opened     int64 // the handshake was done
	half       [2]half
	talk       *talk
	closed     bool
	before     *conv
	after      *conv
	list       *lru
	everServer bool
}

// lru is a list of streams, the longest idle first.
type lru struct{ first, last *conv }

func (l *lru) add(c *conv) {
	c.list, c.before, c.after = l, l.last, nil
	if l.last != nil {
		l.last.after = c
	} else {
		l.first = c
	}
	l.last = c
}

func (l *lru) remove(c *conv) {
	if c.before != nil {
		c.before.after = c.after
	} else {
		l.first = c.after
	}
	if c.after != nil {
		c.after.before = c.before
	} else {
		l.last = c.before
	}
	c.before, c.after = nil, nil
}

// table follows all streams.
type table struct {
	opt     Options
	each    func(*Stream)
	flows   map[flow]*conv // by the client's direction
	open    lru
	shut    lru
	sum     Summary
	frags   fragments
	waiting int
	lines   int   // kept by the transcripts of the streams followed
	now     int64 // of the latest packet
	err     error
}

func (t *table) packet(p *packet) {
	t.sum.Packets++
	t.sum.Bytes += int64(len(p.data))
	t.now = max(t.now, p.at)
	at := stamp(p.at)
	if t.sum.Start.IsZero() || at.Before(t.sum.Start) {
		t.sum.Start = at
	}
	if at.After(t.sum.End) {
		t.sum.End = at
	}
	if p.orig > len(p.data) {
		t.sum.Short++
	}
	ip, ok := frame(p.link, p.data)
	if !ok {
		t.sum.Other++
		if !readable(p.link) && len(t.sum.Links) < 16 {
			t.sum.Links[p.link]++
		}
		return
	}
	var h header
	if !ipHeader(ip, &h) {
		t.sum.Damaged++
		return
	}
	if h.off > 0 || h.more {
		t.sum.Fragments++
		if !t.frags.add(&h) {
			return
		}
	}
	switch h.proto {
	case 6:
		s := segment{at: p.at}
		if !tcpHeader(&h, &s) {
			t.sum.Damaged++
			return
		}
		t.segment(&s)
	case 1, 58:
		t.sum.Other++
		if n, ok := icmp(&h); ok {
			t.news(&n, p.at)
		}
	default:
		t.sum.Other++
	}
}

func readable(link uint32) bool {
	switch link {
	case linkNull, linkEthernet, linkRawBSD, linkRawOBSD, linkRaw, linkLoop, linkSLL, linkIPv4, linkIPv6, linkSLL2:
		return true
	}
	return false
}

func (t *table) news(n *icmpNews, at int64) {
	c := t.flows[n.about]
	if c == nil {
		c = t.flows[n.about.reverse()]
	}
	if c != nil && len(c.ICMP) < maxICMP {
		c.ICMP = append(c.ICMP, ICMP{From: n.from, Kind: n.kind, MTU: n.mtu, At: time.Duration(at - c.t0)})
	}
}

// segment gives a segment to its stream.
func (t *table) segment(s *segment) {
	dir := client
	c := t.flows[s.key]
	if c == nil {
		if c = t.flows[s.key.reverse()]; c != nil {
			dir = server
		}
	}
	if c != nil && s.flags&(flagSYN|flagACK) == flagSYN && c.renewed(dir, s) {
		t.finish(c)
		c = nil
	}
	if c == nil {
		c, dir = t.begin(s)
	} else {
		c.list.remove(c)
		c.list.add(c)
	}
	c.last = max(c.last, s.at)
	c.segment(t, dir, s)
	if c.closed && c.list == &t.open {
		t.open.remove(c)
		t.shut.add(c)
	}
	t.shed(s.at)
}

// renewed tells a SYN that opens a new conversation between the same ports.
func (c *conv) renewed(dir int, s *segment) bool {
	h := &c.half[dir]
	return c.side(dir).SYN > 0 && h.isn != s.seq || c.side(dir).SYN == 0 && (c.closed || c.Midway)
}

func (t *table) begin(s *segment) (c *conv, dir int) {
	dir = client
	switch {
	case s.flags&(flagSYN|flagACK) == flagSYN|flagACK, s.flags&flagSYN == 0 && fromServer(s):
		dir = server
	}
	c = &conv{key: s.key, t0: s.at, last: s.at}
	if dir == server {
		c.key = s.key.reverse()
	}
	c.Number, c.Start = t.sum.Streams, stamp(s.at)
	c.Midway = s.flags&flagSYN == 0
	c.Client.Addr, c.Server.Addr = c.key.from(), c.key.to()
	t.sum.Streams++
	t.flows[c.key] = c
	t.open.add(c)
	return c, dir
}

// fromServer guesses who is who where the capture begins in the middle.
func fromServer(s *segment) bool {
	from, to := mailPort(s.key.sp), mailPort(s.key.dp)
	switch {
	case from != "" && to == "":
		return true
	case to != "" && from == "":
		return false
	case hasFold(s.data, "EHLO "), hasFold(s.data, "HELO "):
		return false
	case bytes.HasPrefix(s.data, []byte("220")), bytes.HasPrefix(s.data, []byte("+OK")), bytes.HasPrefix(s.data, []byte("* OK")):
		return true
	}
	return s.key.sp < s.key.dp
}

// shed finishes what has been idle for long, and the longest idle where there are too many.
func (t *table) shed(now int64) {
	for c := t.shut.first; c != nil && now-c.last > idleClosed; c = t.shut.first {
		t.finish(c)
	}
	for c := t.open.first; c != nil && now-c.last > idleOpen; c = t.open.first {
		t.finish(c)
	}
	for len(t.flows) > t.opt.MaxOpen {
		if t.shut.first != nil {
			t.finish(t.shut.first)
			continue
		}
		t.sum.Evicted++
		t.finish(t.open.first)
	}
}

func (t *table) end() {
	for t.shut.first != nil {
		t.finish(t.shut.first)
	}
	for t.open.first != nil {
		t.finish(t.open.first)
	}
}

// finish hands a stream over and forgets it.
func (t *table) finish(c *conv) {
	c.list.remove(c)
	delete(t.flows, c.key)
	c.flush(t)
	c.Took = time.Duration(c.last - c.t0)
	if !c.closed && c.ClosedBy == "" {
		c.Quiet = time.Duration(max(t.now-c.last, 0))
	}
	for d := range c.half {
		c.half[d].window(c.side(d), false, c.last+int64(c.Quiet))
	}
	c.settle()
	if c.talk != nil {
		c.talk.finish()
		t.lines -= c.talk.kept
	}
	if c.Protocol != "" {
		t.sum.Mail[c.Protocol]++
	}
	t.each(&c.Stream)
}

// settle sums up at the end what single packets do not tell.
func (c *conv) settle() {
	for d := range c.half {
		h, s := &c.half[d], c.side(d)
		if h.stuckN > 0 && (!h.anyAck || int32(h.acked-h.stuckSeq) <= 0) {
			s.Stuck, s.StuckTimes = h.stuckLen, h.stuckN
		}
	}
	h := &c.half[client]
	c.Acked = h.have && h.anyAck && int32(h.acked-h.next) >= 0
	switch {
	case c.Server.Packets == 0 && (c.Client.Bytes > 0 || c.half[client].prev.flags&flagACK != 0 && c.Client.SYN == 0):
		c.OneSided = ends[client]
	case c.Client.Packets == 0:
		c.OneSided = ends[server]
	case c.Server.Packets == 0 && c.Client.SYN > 0 && c.Client.Packets > c.Client.SYN && c.Reset == nil:
		c.OneSided = ends[client]
	}
	if c.Protocol == "" && !c.Midway && c.Client.Bytes == 0 && c.Server.Bytes == 0 {
		c.Protocol = mailPort(c.key.dp)
	}
}

func (c *conv) side(dir int) *Side {
	if dir == client {
		return &c.Client
	}
	return &c.Server
}

func (c *conv) segment(t *table, dir int, s *segment) {
	h, peer, side := &c.half[dir], &c.half[1-dir], c.side(dir)
	side.Packets++
	if copyOf(&h.prev, s) {
		side.Duplicates++
		return
	}
	if s.flags&flagRST != 0 {
		c.reset(t, dir, s)
		return
	}
	if side.TTL == 0 {
		side.TTL = s.ttl
	}
	if s.flags&flagSYN != 0 {
		c.syn(dir, s)
	} else if c.opened == 0 && dir == client && s.flags&flagACK != 0 {
		c.opened = s.at
	}
	if s.flags&flagACK != 0 && (!peer.anyAck || int32(s.ack-peer.acked) > 0) {
		peer.acked, peer.anyAck = s.ack, true
		if peer.stuckN > 0 && int32(s.ack-peer.stuckSeq) > 0 {
			peer.stuckN, peer.stuckLen = 0, 0
		}
	}
	h.window(side, s.win == 0 && s.flags&flagSYN == 0, s.at)
	if s.len > 0 {
		c.payload(t, dir, s)
	}
	for d := range c.half {
		c.skip(t, d, s.at, false)
	}
	if s.flags&flagFIN != 0 && !side.FIN {
		side.FIN = true
		if c.ClosedBy == "" {
			c.ClosedBy = ends[dir]
		}
		if c.Client.FIN && c.Server.FIN && len(c.half[0].parts)+len(c.half[1].parts) == 0 {
			c.closed = true
		}
	}
	h.prev = *s
	h.prev.data = nil
}

// copyOf tells a packet that the capture holds twice, as those of bridges and of "any" do.
func copyOf(a, b *segment) bool {
	return a.at != 0 && b.at-a.at < sameCopy && a.seq == b.seq && a.ack == b.ack && a.len == b.len && a.flags == b.flags && a.win == b.win && b.len+int(b.flags&(flagSYN|flagFIN)) > 0
}

func (c *conv) syn(dir int, s *segment) {
	h, side := &c.half[dir], c.side(dir)
	side.SYN++
	if s.mss > 0 {
		side.MSS = s.mss
	}
	if dir == server && s.flags&flagACK != 0 {
		c.SYNACK = true
		c.opened = s.at
	}
	if !h.have || side.SYN == 1 {
		h.isn, h.next, h.have = s.seq, s.seq+1, true
	}
}

func (c *conv) reset(t *table, dir int, s *segment) {
	side := c.side(dir)
	if c.Reset == nil {
		c.Reset = &Reset{By: ends[dir], At: time.Duration(s.at - c.t0), TTL: s.ttl, Bytes: c.Client.Bytes + c.Server.Bytes}
		if d := int(s.ttl) - int(side.TTL); side.TTL != 0 && (d > 1 || d < -1) {
			c.Reset.Foreign = true
		}
	}
	c.flush(t)
	c.closed = true
}

// window follows how long an end would take nothing.
func (h *half) window(side *Side, zero bool, at int64) {
	switch {
	case zero && h.zeroAt == 0:
		h.zeroAt = at
		side.ZeroWindows++
	case !zero && h.zeroAt != 0:
		side.ZeroWindow += time.Duration(at - h.zeroAt)
		h.zeroAt = 0
	}
}

// payload puts the bytes of a segment in their place.
func (c *conv) payload(t *table, dir int, s *segment) {
	h, side := &c.half[dir], c.side(dir)
	seq := s.seq
	if s.flags&flagSYN != 0 {
		seq++
	}
	if !h.have {
		h.have, h.next = true, seq
	}
	ahead := int32(seq - h.next)
	if s.len == 1 && ahead == -1 {
		return // keep-alive
	}
	side.Segments++
	end := seq + uint32(s.len)
	if int32(end-h.next) <= 0 || c.waits(h, seq, end) {
		side.Resent++
		if h.stuckN == 0 || h.stuckSeq != seq {
			h.stuckSeq, h.stuckLen, h.stuckN = seq, s.len, 0
		}
		h.stuckN++
		return
	}
	if ahead <= 0 {
		if ahead < 0 {
			side.Resent++
		}
		c.deliver(t, dir, s, uint32(-ahead))
		c.drain(t, dir, s.at)
		return
	}
	side.Reordered++
	if h.waiting+len(s.data) > maxPending || len(h.parts) >= maxParts || t.waiting+len(s.data) > maxWaiting {
		c.skip(t, dir, s.at, true)
		if int32(seq-h.next) >= 0 {
			c.miss(dir, int64(seq-h.next), s.at)
			h.next = seq
		}
		c.deliver(t, dir, s, 0)
		return
	}
	i := len(h.parts)
	for i > 0 && int32(h.parts[i-1].seq-seq) > 0 {
		i--
	}
	h.parts = append(h.parts, part{})
	copy(h.parts[i+1:], h.parts[i:])
	h.parts[i] = part{seq, append([]byte(nil), s.data...)}
	h.waiting += len(s.data)
	t.waiting += len(s.data)
}

// waits tells a segment that is already among those that wait.
func (c *conv) waits(h *half, seq, end uint32) bool {
	for i := range h.parts {
		if p := &h.parts[i]; p.seq == seq && p.seq+uint32(len(p.data)) == end {
			return true
		}
	}
	return false
}

// deliver passes on the bytes of a segment from skip on, and says what the capture cut off.
func (c *conv) deliver(t *table, dir int, s *segment, skip uint32) {
	h := &c.half[dir]
	if int(skip) < len(s.data) {
		c.say(t, dir, s.data[skip:], s.at)
	}
	h.next += uint32(s.len) - skip
	if lost := s.len - max(len(s.data), int(skip)); lost > 0 {
		c.miss(dir, int64(lost), s.at)
	}
}

// drain passes on what waited and is now in place.
func (c *conv) drain(t *table, dir int, at int64) {
	h := &c.half[dir]
	n := 0
	for n < len(h.parts) {
		p := &h.parts[n]
		ahead := int32(p.seq - h.next)
		if ahead > 0 {
			break
		}
		if over := -int(ahead); over < len(p.data) {
			c.say(t, dir, p.data[over:], at)
			h.next = p.seq + uint32(len(p.data))
		}
		h.waiting -= len(p.data)
		t.waiting -= len(p.data)
		n++
	}
	if n > 0 {
		h.parts = append(h.parts[:0], h.parts[n:]...)
		h.patience = 0
		if len(h.parts) == 0 {
			h.parts = nil
		}
	}
}

// skip gives up on bytes that the peer has and the capture lacks; by force where there is no more room.
func (c *conv) skip(t *table, dir int, at int64, force bool) {
	h := &c.half[dir]
	for len(h.parts) > 0 {
		if !force {
			if !h.anyAck || int32(h.acked-h.parts[0].seq) <= 0 {
				return
			}
			if h.patience++; h.patience < gapPatience {
				return
			}
		}
		if lost := int32(h.parts[0].seq - h.next); lost > 0 {
			c.miss(dir, int64(lost), at)
			h.next = h.parts[0].seq
		}
		c.drain(t, dir, at)
	}
}

// flush gives up waiting on both ends.
func (c *conv) flush(t *table) {
	for d := range c.half {
		c.skip(t, d, c.last, true)
	}
}

func (c *conv) miss(dir int, n, at int64) {
	c.side(dir).Missing += n
	if c.talk != nil {
		c.talk.gap(dir, n, at)
	}
}

func (c *conv) say(t *table, dir int, b []byte, at int64) {
	c.side(dir).Bytes += int64(len(b))
	since := time.Duration(at - c.t0)
	if dir == client {
		c.LastSaid = since
	} else {
		c.LastHeard = since
		if !c.everServer && c.opened != 0 {
			c.everServer = true
			if c.Client.Bytes == 0 {
				c.Banner = time.Duration(at - c.opened)
			}
		}
	}
	if c.talk == nil {
		c.talk = newTalk(t, c)
	}
	c.talk.feed(dir, b, at)
}
